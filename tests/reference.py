"""Slow, obvious re-implementations in plain NumPy and SciPy: they prove the golden numbers, then they judge swedge.

Nothing here imports swedge, and nothing is clever: individual rows, dense covariance matrices (one block a cluster, because clusters are
independent), brute enumeration, direct maximisation. `tests/test_self_reference.py` shows that these functions reproduce the numbers of
lme4, lmerTest, pbkrtest, clubSandwich and fixest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Array = NDArray[np.float64]
Block = tuple[Array, Array, list[Array]]


# Gaussian mixed models: V = sum_k theta_k G_k, G = one constant a cluster, (one a cluster-period,) identity -------------------------------


@dataclass(frozen=True)
class Gls:
    """Generalised least squares at given variances; row and column 0 of `cov` belong to the treatment."""

    beta: Array
    cov: Array
    criterion: float
    inverse: list[Array]
    residual: list[Array]


def lmm_blocks(y: Array, x: Array, cluster: Array, period: Array, nested: bool) -> list[Block]:
    """One block a cluster: outcomes, design rows and the dense matrices G_k."""
    blocks = []
    for name in np.unique(cluster):
        own = np.flatnonzero(cluster == name)
        same_period = (period[own][:, None] == period[own]).astype(float)
        terms = [np.ones((len(own), len(own)))] + [same_period] * nested + [np.eye(len(own))]
        blocks.append((y[own], x[own], terms))
    return blocks


def gls(blocks: list[Block], theta: Array, reml: bool = True) -> Gls:
    """The GLS fit at variances `theta` and -2 log (restricted) likelihood with the constants of lme4."""
    inverse, log_det = [], 0.0
    for y, _, terms in blocks:
        factor = np.linalg.cholesky(sum(t * g for t, g in zip(theta, terms, strict=True)))
        log_det += 2 * np.log(np.diag(factor)).sum()
        half = np.linalg.solve(factor, np.eye(len(y)))
        inverse.append(half.T @ half)
    information = sum(x.T @ v @ x for (_, x, _), v in zip(blocks, inverse, strict=True))
    cov = np.linalg.inv(information)
    beta = cov @ sum(x.T @ v @ y for (y, x, _), v in zip(blocks, inverse, strict=True))
    residual = [y - x @ beta for y, x, _ in blocks]
    square = sum(r @ v @ r for r, v in zip(residual, inverse, strict=True))
    free = sum(len(y) for y, _, _ in blocks) - reml * len(beta)
    criterion = free * np.log(2 * np.pi) + log_det + square + reml * np.linalg.slogdet(information)[1]
    return Gls(beta, cov, float(criterion), inverse, residual)


def information_terms(blocks: list[Block], fit: Gls) -> tuple[Array, Array, Array, Array]:
    """Kenward and Roger's pieces: tr(V^-1 Gi V^-1 Gj), P_i, Q_ij, and tr(V^-1 Gi) with u'G_i u, u = V^-1 r, as rows of the last."""
    k, p = len(blocks[0][2]), len(fit.beta)
    trace, first, second, score = np.zeros((k, k)), np.zeros((k, p, p)), np.zeros((k, k, p, p)), np.zeros((2, k))
    for (_, x, terms), v, r in zip(blocks, fit.inverse, fit.residual, strict=True):
        vg, vx, u = [v @ g for g in terms], v @ x, v @ r
        for i, gi in enumerate(terms):
            score[:, i] += np.trace(vg[i]), u @ gi @ u
            first[i] -= vx.T @ gi @ vx
            for j, gj in enumerate(terms):
                trace[i, j] += np.sum(vg[i] * vg[j].T)
                second[i, j] += vx.T @ gi @ v @ gj @ vx
    return trace, first, second, score


def expected_information(fit: Gls, trace: Array, first: Array, second: Array) -> Array:
    """Half of tr(P Gi P Gj), the expected information of the restricted likelihood."""
    k = len(trace)
    pairs = [[np.trace(fit.cov @ first[i] @ fit.cov @ first[j]) - 2 * np.trace(fit.cov @ second[i, j]) for j in range(k)] for i in range(k)]
    return (trace + np.array(pairs)) / 2


def polish(blocks: list[Block], theta: Array, active: list[int], reml: bool) -> Array:
    """Fisher scoring on the active variances until the score vanishes: the criterion alone is flat to about 1e-6 in theta."""
    for _ in range(50):
        fit = gls(blocks, theta, reml)
        trace, first, second, (traced, square) = information_terms(blocks, fit)
        correction = np.array([np.trace(fit.cov @ p) for p in first])  # tr(P G) = tr(V^-1 G) + tr(cov P_i)
        information = expected_information(fit, trace, first, second) if reml else trace / 2
        step = np.linalg.solve(information[np.ix_(active, active)], ((square - traced - reml * correction) / 2)[active])
        while (theta[active] + step <= 0).any():
            step = step / 2
        theta = theta.copy()
        theta[active] += step
        if np.all(np.abs(step) < 1e-12 * theta[-1]):
            break
    return theta


def fit_lmm(blocks: list[Block], reml: bool = True) -> tuple[Array, Gls]:
    """Variances and fit that minimise the criterion: every set of zero components is tried, each from a grid and Nelder-Mead."""
    free = sum(len(y) for y, _, _ in blocks) - reml * blocks[0][1].shape[1]
    components = len(blocks[0][2]) - 1

    def variances(ratio: Array) -> Array:
        shape = gls(blocks, np.append(ratio, 1.0), reml)
        square = sum(r @ v @ r for r, v in zip(shape.residual, shape.inverse, strict=True))
        return np.append(ratio, 1.0) * square / free

    candidates = [variances(np.zeros(components))]
    for active in chain.from_iterable(combinations(range(components), size) for size in range(1, components + 1)):

        def spread(log_ratio: Array, active: tuple[int, ...] = active) -> Array:
            ratio = np.zeros(components)
            ratio[list(active)] = np.exp(np.clip(log_ratio, -40, 20))
            return variances(ratio)

        def objective(log_ratio: Array, spread: Callable[[Array], Array] = spread) -> float:
            return gls(blocks, spread(log_ratio), reml).criterion

        start = min((np.array(point) for point in product((-7.0, -4.0, -1.5), repeat=len(active))), key=objective)
        found = optimize.minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-8})
        theta = spread(found.x)
        if (theta[list(active)] > 1e-9 * theta[-1]).all():
            candidates.append(polish(blocks, theta, [*active, components], reml))
    best = min(candidates, key=lambda theta: gls(blocks, theta, reml).criterion)
    return best, gls(blocks, best, reml)


def derivatives(function: Callable[[Array], Array], at: Array, floor: float | Array = 0.02) -> tuple[Array, Array]:
    """Gradients and Hessians of a vector function by central differences, Richardson-extrapolated over three sizes of the step.

    The first step is a twentieth of each coordinate, or of `floor` where the coordinate is smaller.
    """
    centre, size = function(at), len(at)

    def central(step: Array) -> tuple[Array, Array]:
        e = np.diag(step)
        ahead, behind = np.array([function(at + h) for h in e]), np.array([function(at - h) for h in e])
        second = np.zeros((size, size, len(centre)))
        for i, j in product(range(size), repeat=2):
            if i == j:
                second[i, i] = (ahead[i] - 2 * centre + behind[i]) / step[i] ** 2
            elif i < j:
                corners = [s * t * function(at + s * e[i] + t * e[j]) for s, t in product((1, -1), repeat=2)]
                second[i, j] = second[j, i] = sum(corners) / (4 * step[i] * step[j])
        return (ahead - behind).T / (2 * step), np.moveaxis(second, -1, 0)

    first_step = 0.05 * np.maximum(np.abs(at), floor)
    table = [central(first_step / 2**level) for level in range(3)]
    for order in (1, 2):
        factor = 4**order
        table = [tuple((factor * f - c) / (factor - 1) for c, f in zip(*pair, strict=True)) for pair in pairwise(table)]
    return table[0]


def satterthwaite_df(blocks: list[Block], theta: Array, reml: bool = True) -> float:
    """Degrees of freedom of the treatment as lmerTest defines them: 2 v^2 / (g' A g), A = 2 H^-1, H the observed Hessian of the deviance.

    lmerTest differentiates over (relative standard deviations, sigma). At an interior optimum the parametrisation does not matter. Where
    a component is 0, v and the deviance are even in its standard deviation, so that component drops out of g and of A.
    """
    sigma = np.sqrt(theta[-1])
    at = np.append(np.sqrt(theta[:-1]) / sigma, sigma)

    def deviance_and_variance(point: Array) -> Array:
        fit = gls(blocks, np.append(point[:-1] ** 2, 1.0) * point[-1] ** 2, reml)
        return np.array([fit.criterion, fit.cov[0, 0]])

    # next to 0 the deviance hardly moves with a standard deviation, and short steps would only see rounding
    gradient, hessian = derivatives(deviance_and_variance, at, floor=np.append(np.full(len(at) - 1, 0.2), 0.0))
    v = gls(blocks, theta, reml).cov[0, 0]
    return float(2 * v**2 / (gradient[1] @ (2 * np.linalg.pinv(hessian[0])) @ gradient[1]))


def kenward_roger(blocks: list[Block], theta: Array) -> tuple[float, float]:
    """Adjusted standard error and degrees of freedom of the treatment, step by step as in the paper (1997) and pbkrtest.

    All components count, those estimated as 0 too: the covariance is linear in them and the information is the expected one.
    """
    fit = gls(blocks, theta)
    trace, first, second, _ = information_terms(blocks, fit)
    w = np.linalg.inv(expected_information(fit, trace, first, second))
    pairs = list(product(range(len(w)), repeat=2))
    phi, q = fit.cov, 1
    adjusted = phi + 2 * phi @ sum(w[i, j] * (second[i, j] - first[i] @ phi @ first[j]) for i, j in pairs) @ phi
    contrast = np.eye(len(phi))[:, :1]
    big_theta = contrast @ np.linalg.inv(contrast.T @ phi @ contrast) @ contrast.T
    part = [big_theta @ phi @ p @ phi for p in first]
    a1 = sum(w[i, j] * np.trace(part[i]) * np.trace(part[j]) for i, j in pairs)
    a2 = sum(w[i, j] * np.trace(part[i] @ part[j]) for i, j in pairs)
    b = (a1 + 6 * a2) / (2 * q)
    g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
    c1, c2, c3 = np.array([g, q - g, q + 2 - g]) / (3 * q + 2 * (1 - g))
    expectation = 1 / (1 - a2 / q)
    variance = 2 / q * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    rho = variance / (2 * expectation**2)
    return float(np.sqrt(adjusted[0, 0])), float(4 + (q + 2) / (q * rho - 1))


# Generalised linear models on rows and their cluster-robust variances ---------------------------------------------------------------------


def inverse_link(family: str, eta: Array) -> Array:
    """The mean at a linear predictor: identity, logit or log."""
    return {"gaussian": lambda e: e, "binomial": special.expit, "poisson": np.exp}[family](eta)


def unit_variance(family: str, mu: Array) -> Array:
    """The variance of one observation with mean `mu`, dispersion apart; also the slope of the canonical inverse link."""
    return {"gaussian": np.ones_like, "binomial": lambda m: m * (1 - m), "poisson": lambda m: m}[family](mu)


def glm(y: Array, x: Array, family: str, size: Array | None = None) -> tuple[Array, Array, Array]:
    """Iteratively reweighted least squares: coefficients, working weights, and residuals scaled by the root of the weights.

    `y` is a mean over `size` individuals. The scaled residuals are Pearson's.
    """
    size = np.ones(len(y)) if size is None else size
    overall = {"gaussian": lambda m: m, "binomial": special.logit, "poisson": np.log}[family](y @ size / size.sum())
    beta = np.linalg.lstsq(x, np.full(len(y), overall), rcond=None)[0]
    for _ in range(100):
        mu = inverse_link(family, x @ beta)
        v = unit_variance(family, mu)
        z = np.sqrt(size * v)[:, None] * x
        step = np.linalg.lstsq(z, np.sqrt(size / v) * (y - mu), rcond=None)[0]
        beta = beta + step
        if np.abs(step).max() < 1e-13:
            break
    mu = inverse_link(family, x @ beta)
    v = unit_variance(family, mu)
    return beta, size * v, np.sqrt(size / v) * (y - mu)


def symmetric_power(s: Array, power: float) -> Array:
    """A power of a symmetric positive semi-definite matrix, Moore-Penrose where it is singular."""
    values, vectors = np.linalg.eigh(s)
    kept = values > 1e-9
    return (vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T


def cluster_robust(x: Array, weight: Array, residual: Array, cluster: Array, kind: str) -> tuple[float, float]:
    """Standard error of the treatment and its Satterthwaite df under the working model, everything n x n.

    With rows scaled by the root of their working weights: H the hat matrix, S = I - H, and each cluster's residuals multiplied by
    S_jj^0 (CR0, CR1), S_jj^(-1/2) (CR2) or S_jj^(-1) (CR3). CR1 multiplies the variance by G / (G - 1).
    """
    z = np.sqrt(weight)[:, None] * x
    bread = np.linalg.inv(z.T @ z)
    s = np.eye(len(z)) - z @ bread @ z.T
    names = np.unique(cluster)
    power = {"CR0": 0.0, "CR1": 0.0, "CR2": -0.5, "CR3": -1.0}[kind]
    scores, spread = [], []
    for name in names:
        own = np.flatnonzero(cluster == name)
        direction = z[own] @ bread[:, 0]
        if power:
            direction = symmetric_power(s[np.ix_(own, own)], power) @ direction
        scores.append(direction @ residual[own])
        spread.append(s[:, own] @ direction)
    p = np.array(spread) @ np.array(spread).T
    inflate = len(names) / (len(names) - 1) if kind == "CR1" else 1.0
    return float(np.sqrt(inflate * np.sum(np.square(scores)))), float(np.trace(p) ** 2 / np.sum(p**2))


def overdispersed(x: Array, weight: Array, residual: Array) -> tuple[float, float, float]:
    """Standard error of the treatment, residual df and dispersion: Pearson's chi-square over its df, never below 1."""
    df = len(x) - x.shape[1]
    dispersion = max(float(residual @ residual) / df, 1.0)
    return float(np.sqrt(dispersion * np.linalg.inv((weight[:, None] * x).T @ x)[0, 0])), df, dispersion


# Laplace likelihood of the GLMM with one random intercept a cluster -----------------------------------------------------------------------


def log_density(family: str, count: Array, size: Array, eta: Array) -> Array:
    """Log probability of each count, with all constants."""
    if family == "binomial":
        choose = special.gammaln(size + 1) - special.gammaln(count + 1) - special.gammaln(size - count + 1)
        return choose + count * eta - size * np.logaddexp(0, eta)
    rate = np.log(size) + eta
    return count * rate - np.exp(rate) - special.gammaln(count + 1)


def laplace(beta: Array, sd: float, count: Array, size: Array, x: Array, cluster: Array, family: str) -> float:
    """The Laplace log-likelihood: each cluster's integrand at its own mode, over a standard normal u with intercept sd * u."""
    total = 0.0
    for name in np.unique(cluster):
        own = np.flatnonzero(cluster == name)
        y, n, eta = count[own], size[own], x[own] @ beta

        def height(u: float, y: Array = y, n: Array = n, eta: Array = eta) -> float:
            return float(log_density(family, y, n, eta + sd * u).sum() - u**2 / 2)

        mode = 0.0
        for _ in range(200):
            mu = inverse_link(family, eta + sd * mode)
            curvature = 1 + sd**2 * float(n @ unit_variance(family, mu))
            step = (sd * float((y - n * mu).sum()) - mode) / curvature
            while height(mode + step) < height(mode) - 1e-9:
                step /= 2
            mode += step
            if abs(step) < 1e-12:
                break
        mu = inverse_link(family, eta + sd * mode)
        total += height(mode) - np.log(1 + sd**2 * float(n @ unit_variance(family, mu))) / 2
    return total


def fit_laplace(count: Array, size: Array, x: Array, cluster: Array, family: str) -> tuple[Array, float, float, float]:
    """Coefficients, standard deviation, log-likelihood and the treatment's standard error (inverse Hessian over all parameters)."""
    start = glm(count / size, x, family, size)[0]

    def deviance(point: Array) -> Array:
        return np.array([-2 * laplace(point[1:], point[0], count, size, x, cluster, family)])

    candidates = []
    for sd in (0.0, 0.3):
        point = np.append(sd, start)
        for _ in range(30):  # Newton with the extrapolated derivatives; at sd = 0 the deviance is even in sd, so sd stays there
            (gradient,), (hessian,) = derivatives(deviance, point)
            values, vectors = np.linalg.eigh(hessian)
            step = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), 1e-6))
            if sd == 0.0:
                step[0] = 0.0
            while deviance(point + step)[0] > deviance(point)[0] + 1e-9:
                step = step / 2
            point = point + step
            if np.abs(step).max() < 1e-9:
                break
        candidates.append(point)
    best = min(candidates, key=lambda point: deviance(point)[0])
    _, (hessian,) = derivatives(deviance, best)
    return best[1:], abs(float(best[0])), -float(deviance(best)[0]) / 2, float(np.sqrt(2 * np.linalg.inv(hessian)[1, 1]))


# Comparisons of cell means by plain least squares -----------------------------------------------------------------------------------------


def linear_weights(x: Array, weight: Array, observed: Array) -> Array:
    """The cell weights of a weighted least-squares coefficient: the estimate is their sum with the cell means; unobserved cells get 0."""
    root = np.sqrt(weight[observed])
    out = np.zeros(observed.shape)
    out[observed] = np.linalg.pinv(root[:, None] * x[observed.ravel()])[0] * root
    return out


def cell_design(treatment: Array, cluster_effects: bool) -> Array:
    """Treatment, period effects and, if asked, cluster effects of the cells of an (I, T) table, row by row."""
    i, t = np.indices(treatment.shape).reshape(2, -1)
    periods = np.eye(treatment.shape[1])[t]
    clusters = np.eye(treatment.shape[0])[i][:, 1:] if cluster_effects else np.empty((len(i), 0))
    return np.column_stack([np.nan_to_num(treatment).ravel(), periods, clusters])


def within_period(mean: Array, treatment: Array, weight: Array) -> float:
    """Treated minus control within each period, averaged over periods by the precision of each difference under independent cells."""
    differences, precision = [], []
    for y, d, w in zip(mean.T, treatment.T, weight.T, strict=True):
        one, zero = (d == 1) & (w > 0), (d == 0) & (w > 0)
        if one.any() and zero.any():
            differences.append(np.average(y[one], weights=w[one]) - np.average(y[zero], weights=w[zero]))
            precision.append(1 / (1 / w[one].sum() + 1 / w[zero].sum()))
    return float(np.average(differences, weights=precision))


# Randomisation tests by brute force -------------------------------------------------------------------------------------------------------


def every_allocation(sequence: Sequence[int], strata: Sequence[Sequence[int]] | None = None) -> list[tuple[int, ...]]:
    """Every distinct way for the clusters of each stratum to share out that stratum's sequences."""
    strata = [range(len(sequence))] if strata is None else strata
    found = set()
    for orders in product(*(permutations([sequence[i] for i in stratum]) for stratum in strata)):
        drawn = dict(zip(chain.from_iterable(strata), chain.from_iterable(orders), strict=True))
        found.add(tuple(drawn[i] for i in range(len(sequence))))
    return sorted(found)


def randomisation_p(statistic: Callable[[Array, Array], float], mean: Array, matrix: Array, sequence: Sequence[int],
                    allocations: Sequence[Sequence[int]], theta: float = 0.0) -> float:  # fmt: skip
    """The exact two-sided p of `effect = theta`: the share of allocations whose |statistic| reaches the one carried out."""
    untreated = mean - theta * np.nan_to_num(matrix[list(sequence)])
    reference = np.array([abs(statistic(untreated, matrix[list(drawn)])) for drawn in allocations])
    observed = abs(statistic(untreated, matrix[list(sequence)]))
    return float(np.mean(reference >= observed - 1e-9 * max(observed, 1e-3)))


def not_rejected(p_of: Callable[[float], float], grid: Array, alpha: float) -> tuple[float, float]:
    """Ends of the values of a fine grid that a test does not reject."""
    kept = [theta for theta in grid if p_of(theta) > alpha]
    return min(kept), max(kept)
