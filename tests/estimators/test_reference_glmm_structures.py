"""Every structure, link and node count of the GLMM against slow re-implementations on tiny trials.

The reference knows no loadings and no derivatives: it takes the covariance matrix of a cluster's cells, and finds mode and curvature of
their log densities, which are SciPy's, by differences of fourth order. With one random effect it integrates over the line by adaptive
quadrature. Rounding of a second difference leaves its likelihood good to about 1e-7.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from scipy import integrate, optimize, stats

import swedge as sw
from swedge.assumptions import Correlation, RandomEffects, family_named
from swedge.estimators.columns import effects
from swedge.estimators.mixed_glmm import Generalised, fit_generalised

Array = np.ndarray
STEP = 2e-3  # of numerical differentiation, fourth order
LINKS = [("binomial", "logit"), ("binomial", "probit"), ("binomial", "cloglog"), ("binomial", "log"), ("poisson", "log")]
STRUCTURES: dict[str, Correlation] = {
    "cluster": sw.Exchangeable(),
    "nested": sw.NestedExchangeable(),
    "treatment": RandomEffects(cluster=None, treatment=None),
    "correlated": RandomEffects(cluster=None, treatment=None, treatment_corr=None),
    "correlated and nested": RandomEffects(cluster=None, treatment=None, treatment_corr=None, cluster_period=None),
    "decay": sw.ExponentialDecay(),
    "cluster and decay": RandomEffects(cluster=None, cluster_period=None, autocorrelation=None),
    "cells alone": RandomEffects(cluster_period=None),
}
INVERSE: dict[str, Callable[[Array], Array]] = {
    "logit": stats.logistic.cdf,
    "probit": stats.norm.cdf,
    "cloglog": lambda eta: 1 - np.exp(-np.exp(eta)),
    "log": np.exp,
}


@cache
def trial(family: str, seed: int = 3) -> sw.Trial:
    """Five clusters and four periods, one cell empty, with clusters and cells that differ."""
    rng = np.random.default_rng(seed)
    design = sw.Design.stepped_wedge(clusters=5, periods=4, clusters_per_sequence=[2, 2, 1])
    allocation = design.randomise(seed=1)
    n = rng.integers(30, 60, (5, 4)).astype(float)
    n[3, 1] = 0
    eta = (
        -1.4
        + 0.5 * rng.standard_normal((5, 1))
        + 0.25 * rng.standard_normal((5, 4))
        + 0.3 * rng.standard_normal((5, 1)) * allocation.treatment
    )
    risk = np.minimum(np.exp(eta), 0.7)
    y = rng.binomial(n.astype(int), risk) if family == "binomial" else rng.poisson(n * risk)
    return sw.Trial.from_cells(n, y / np.maximum(n, 1), allocation, family=family)


@cache
def found(structure: str, family: str, link: str, nodes: int = 1) -> Generalised:
    subject = trial(family)
    with np.errstate(all="ignore"):
        return fit_generalised(subject, effects(subject, sw.Constant(), None), STRUCTURES[structure], family_named(family, link), nodes)


def covariance(variances: dict[str, float], x: Array) -> Array:
    """Of a cluster's cells, from variances by name."""
    cells = len(x)
    lag = np.abs(np.subtract.outer(np.arange(cells), np.arange(cells)))
    decay = variances.get("autocorrelation", 0.0) ** lag if variances.get("autocorrelation") else np.eye(cells)
    shared = variances.get("cluster", 0.0) + variances.get("cluster_treatment", 0.0) * np.add.outer(x, x)
    return shared + variances.get("treatment", 0.0) * np.outer(x, x) + variances.get("cluster_period", 0.0) * decay


def log_density(family: str, link: str, y: Array, n: Array, eta: Array) -> Array:
    mu = INVERSE[link](eta)
    if family == "poisson":
        return stats.poisson.logpmf(np.round(n * y), n * mu)
    return stats.binom.logpmf(np.round(n * y), n, mu)


def laplace(family: str, link: str, y: Array, n: Array, eta: Array, v: Array) -> float:
    """One cluster: the joint density of counts and cell effects at its mode, over the curvature there. A zero direction is left out."""
    values, vectors = np.linalg.eigh(v)
    root = vectors[:, values > 1e-12] * np.sqrt(values[values > 1e-12])

    def slopes(at: Array) -> tuple[Array, Array]:
        far, ahead, here, behind, back = (log_density(family, link, y, n, at + k * STEP) for k in (2, 1, 0, -1, -2))
        return (back - 8 * behind + 8 * ahead - far) / (12 * STEP), (far - 16 * ahead + 30 * here - 16 * behind + back) / (12 * STEP**2)

    mode = np.zeros(root.shape[1])
    for _ in range(40):
        score, weight = slopes(eta + root @ mode)
        curvature = np.eye(root.shape[1]) + root.T @ (weight[:, None] * root)
        step = np.linalg.solve(curvature, root.T @ score - mode)
        mode = mode + step * min(1.0, 0.5 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return float(log_density(family, link, y, n, eta + root @ mode).sum() - mode @ mode / 2 - np.linalg.slogdet(curvature)[1] / 2)


def whole(family: str, link: str, beta: Array, variances: dict[str, float], one: Callable[..., float]) -> float:
    """Sum over clusters of the reference's log-likelihood of cells with data."""
    subject, total = trial(family), 0.0
    for i in range(5):
        seen = subject.n[i] > 0
        x = subject.treatment[i]
        eta = (beta[:-1] + beta[-1] * x)[seen]
        total += one(family, link, subject.outcome[i][seen], subject.n[i][seen], eta, covariance(variances, x)[np.ix_(seen, seen)])
    return total


def estimates(fit: Generalised) -> tuple[Array, dict[str, float]]:
    return fit.fit.beta[0], {name: float(value[0]) for name, value in fit.variances.items()}


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(("family", "link"), LINKS)
def test_reference_laplace(structure: str, family: str, link: str) -> None:
    """At our estimates, and at others nearby, which are less likely."""
    fit = found(structure, family, link)
    assert fit.fit.status[0] in (sw.Status.OK, sw.Status.SINGULAR)
    beta, variances = estimates(fit)
    reference = whole(family, link, beta, variances, laplace)
    assert -fit.fit.criterion[0] / 2 == pytest.approx(reference, abs=2e-6)
    moved = {name: value * 1.2 + 1e-3 if name != "autocorrelation" else value * 0.9 for name, value in variances.items()}
    assert whole(family, link, beta, moved, laplace) < reference + 1e-6
    assert whole(family, link, beta + 0.05, variances, laplace) < reference


def integrated(family: str, link: str, y: Array, n: Array, eta: Array, v: Array) -> float:
    """One cluster with one random intercept, integrated over the line."""
    sd = float(np.sqrt(v[0, 0]))
    top = max(log_density(family, link, y, n, eta + sd * u).sum() - u**2 / 2 for u in np.linspace(-5, 5, 101))

    def density(u: float) -> float:
        return float(np.exp(log_density(family, link, y, n, eta + sd * u).sum() - u**2 / 2 - top))

    area = sum(integrate.quad(density, a, a + 2, epsabs=1e-13, epsrel=1e-11)[0] for a in range(-10, 10, 2))
    return float(np.log(area / np.sqrt(2 * np.pi)) + top)


@pytest.mark.parametrize(("family", "link"), [pair for pair in LINKS if pair != ("binomial", "log")])
def test_reference_quadrature(family: str, link: str) -> None:
    fit = found("cluster", family, link, 25)
    beta, variances = estimates(fit)
    reference = whole(family, link, beta, variances, integrated)
    assert -fit.fit.criterion[0] / 2 == pytest.approx(reference, abs=1e-8)
    for change in (0.9, 1.1):
        assert whole(family, link, beta, {"cluster": variances["cluster"] * change}, integrated) < reference
    approximate = found("cluster", family, link, 1)
    assert -approximate.fit.criterion[0] / 2 != pytest.approx(-fit.fit.criterion[0] / 2, abs=1e-4)


@pytest.mark.parametrize(("family", "link", "nodes"), [("binomial", "logit", 2), ("binomial", "cloglog", 9)])
def test_reference_nodes_about_the_mode(family: str, link: str, nodes: int) -> None:
    """A few nodes, placed at the mode and scaled by the curvature there, both found numerically."""
    points, weights = np.polynomial.hermite.hermgauss(nodes)

    def one(family: str, link: str, y: Array, n: Array, eta: Array, v: Array) -> float:
        sd = float(np.sqrt(v[0, 0]))

        def height(u: float) -> float:
            return float(log_density(family, link, y, n, eta + sd * u).sum() - u**2 / 2)

        mode = optimize.minimize_scalar(lambda u: -height(u), bounds=(-8, 8), method="bounded", options={"xatol": 1e-10}).x
        step = 1e-3
        bend = -(
            -height(mode + 2 * step) + 16 * height(mode + step) - 30 * height(mode) + 16 * height(mode - step) - height(mode - 2 * step)
        )
        scale = np.sqrt(2 * 12 * step**2 / bend)
        terms = [weight * np.exp(point**2 + height(mode + scale * point)) for point, weight in zip(points, weights, strict=True)]
        return float(np.log(scale * sum(terms) / np.sqrt(2 * np.pi)))

    fit = found("cluster", family, link, nodes)
    assert -fit.fit.criterion[0] / 2 == pytest.approx(whole(family, link, *estimates(fit), one), abs=1e-6)


@pytest.mark.parametrize(
    ("structure", "family", "link"), [("nested", "binomial", "probit"), ("correlated", "poisson", "log"), ("decay", "binomial", "cloglog")]
)
def test_reference_standard_errors(structure: str, family: str, link: str) -> None:
    """The inverse of a numerical Hessian of the reference over all parameters, variances as standard deviations."""
    fit = found(structure, family, link)
    loadings, p = fit.model.loadings, fit.fit.beta.shape[1]
    start = np.concatenate([fit.fit.beta[0], fit.fit.theta[0]])

    def height(point: Array) -> float:
        variances = {name: float(value[0]) for name, value in loadings.variances(point[None, p:]).items()}
        return whole(family, link, point[:p], variances, laplace)

    free = np.abs(start) > 1e-4  # a standard deviation of 0 stays there, and shares no information with the effect
    free[:p] = True
    kept, step = np.flatnonzero(free), 2e-2
    hessian = np.zeros((len(kept), len(kept)))
    for a, j in enumerate(kept):
        for b, k in enumerate(kept[: a + 1]):
            corners = 0.0
            for sign_j in (1, -1):
                for sign_k in (1, -1):
                    point = start.copy()
                    point[j] += sign_j * step / 2
                    point[k] += sign_k * step / 2
                    corners += sign_j * sign_k * height(point)
            hessian[a, b] = hessian[b, a] = -corners / step**2
    error = np.sqrt(np.linalg.inv(hessian)[p - 1, p - 1])
    assert np.sqrt(fit.fit.covariance[0, -1, -1]) == pytest.approx(error, rel=5e-3)  # a difference of second order over 0.02
