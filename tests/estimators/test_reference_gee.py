"""GEE against equations of individuals with dense n x n working covariances: every structure, every variance, covariates inside cells.

Both sides iterate to 1e-11 or below, so 1e-7 of the number compared is asked of everything; a decay is found by another optimiser on the
reference's side, whose least squares end at the square root of rounding, and 1e-6 is asked there.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import dense_gee as dense
import swedge as sw
from swedge.estimators.gee import GEE, VCOVS

KINDS = {"exchangeable": sw.Exchangeable(), "nested": sw.NestedExchangeable(), "decay": sw.ExponentialDecay()}
DESIGN = sw.Design.stepped_wedge(clusters=["a", "b", "c", "d", "e", "f", "g"], periods=4, clusters_per_sequence=[2, 2, 3])


@cache
def frame(family: str) -> pd.DataFrame:
    """Seven clusters with 2 to 6 individuals a cell, cluster effects that decay, and two covariates."""
    rng = np.random.default_rng(3)
    treatment = DESIGN.allocate(dict(zip(DESIGN.clusters, [0, 0, 1, 1, 2, 2, 2], strict=True))).treatment
    rows = []
    for i in range(7):
        cell = rng.standard_normal()
        for t in range(4):
            cell = 0.8 * cell + 0.6 * rng.standard_normal()
            for _ in range(rng.integers(2, 7)):
                older, depth = int(rng.integers(0, 2)), round(float(rng.standard_normal()), 3)
                eta = -0.3 + 0.1 * t + cell + 0.4 * treatment[i, t] + 0.5 * older
                if family == "gaussian":
                    y = eta + 0.3 * depth + rng.standard_normal()
                elif family == "binomial":
                    y = float(rng.uniform() < 1 / (1 + np.exp(-eta)))
                else:
                    y = float(rng.poisson(np.exp(0.6 * eta)))
                rows.append({"la": DESIGN.clusters[i], "period": t + 1, "y": y, "older": older, "depth": depth, "x": treatment[i, t]})
    return pd.DataFrame(rows)


def trial(family: str, covariates: str | None = None) -> sw.Trial:
    allocation = DESIGN.allocate(dict(zip(DESIGN.clusters, [0, 0, 1, 1, 2, 2, 2], strict=True)))
    return sw.Trial.from_frame(frame(family), allocation, cluster="la", period="period", outcome="y", family=family, covariates=covariates)


@cache
def reference(family: str, link: str, kind: str, moments: str, covariates: tuple[str, ...] = ()) -> dense.Dense:
    rows = frame(family)
    periods = pd.get_dummies(rows.period).to_numpy(float)
    centre = 1.0 if family == "gaussian" else 0.0  # FG is not invariant, and Gaussian covariates enter about their means
    x = np.column_stack([periods, rows.x, *(rows[name] - centre * rows[name].mean() for name in covariates)])
    return dense.fit(dense.Rows(rows.y.to_numpy(float), x, rows.la.to_numpy(), rows.period.to_numpy()), family, link, kind, moments)


def compare(fit: sw.Estimate, found: dense.Dense, vcov: str, tolerance: float) -> None:
    variance = dense.covariance(found, vcov)[4, 4]
    assert variance > 0
    assert fit.std_error == pytest.approx(np.sqrt(variance), rel=tolerance)
    assert fit.estimate == pytest.approx(found.beta[4], abs=tolerance * np.sqrt(variance))
    assert fit.details["dispersion"] == pytest.approx(found.dispersion, rel=tolerance)
    assert fit.details["icc"] == pytest.approx(found.theta[0], rel=tolerance)
    other = fit.details.get("icc_between", fit.details.get("decay"))
    assert other is None or other == pytest.approx(found.theta[1], rel=tolerance)


@pytest.mark.parametrize("vcov", VCOVS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
def test_every_structure_and_variance(family: str, kind: str, vcov: str) -> None:
    link = {"gaussian": "identity", "binomial": "logit", "poisson": "log"}[family]
    fit = GEE(KINDS[kind], vcov).fit(trial(family))
    compare(fit, reference(family, link, kind, "MAEE"), vcov, 1e-6 if kind == "decay" else 1e-7)


@pytest.mark.parametrize("moments", ["cells", "pairs"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["gaussian", "binomial"])
def test_other_moments(family: str, kind: str, moments: str) -> None:
    link = {"gaussian": "identity", "binomial": "logit"}[family]
    fit = GEE(KINDS[kind], "robust", moments=moments).fit(trial(family))
    compare(fit, reference(family, link, kind, moments), "robust", 1e-6 if kind == "decay" else 1e-7)


@pytest.mark.parametrize("vcov", VCOVS)
@pytest.mark.parametrize(("family", "covariates"), [("binomial", ("older",)), ("gaussian", ("older", "depth")), ("poisson", ("older",))])
def test_covariates_inside_cells(family: str, covariates: tuple[str, ...], vcov: str) -> None:
    link = {"gaussian": "identity", "binomial": "logit", "poisson": "log"}[family]
    fit = GEE(sw.NestedExchangeable(), vcov).fit(trial(family, " + ".join(covariates)))
    compare(fit, reference(family, link, "nested", "MAEE", covariates), vcov, 1e-7)


@pytest.mark.parametrize("moments", ["cells", "pairs"])
def test_other_moments_with_covariates(moments: str) -> None:
    for family, link, names in (("binomial", "logit", ("older",)), ("gaussian", "identity", ("older", "depth"))):
        fit = GEE(sw.Exchangeable(), "KC", moments=moments).fit(trial(family, " + ".join(names)))
        compare(fit, reference(family, link, "exchangeable", moments, names), "KC", 1e-7)


@pytest.mark.parametrize(("family", "link"), [("binomial", "identity"), ("binomial", "cloglog"), ("poisson", "identity")])
def test_other_links(family: str, link: str) -> None:
    fit = GEE(sw.NestedExchangeable(), "MD", link=link).fit(trial(family))
    compare(fit, reference(family, link, "nested", "MAEE"), "MD", 1e-7)
    assert fit.scale == link


@pytest.mark.parametrize("vcov", ["KC", "MD", "FG", "CR2", "robust"])
@pytest.mark.parametrize("covariates", [(), ("older",)])
def test_satterthwaite(vcov: str, covariates: tuple[str, ...]) -> None:
    fit = GEE(sw.NestedExchangeable(), vcov, "satterthwaite").fit(trial("binomial", " + ".join(covariates) or None))
    found = reference("binomial", "logit", "nested", "MAEE", covariates)
    contrast = np.eye(5 + len(covariates))[4]
    assert fit.df == pytest.approx(dense.satterthwaite(found, vcov, contrast), rel=1e-7)


def test_several_effects_have_one_covariance() -> None:
    rows = frame("binomial")
    exposure = trial("binomial").exposure
    clusters = [DESIGN.clusters.index(name) for name in rows.la]
    own = exposure[clusters, rows.period - 1]
    x = np.column_stack([pd.get_dummies(rows.period).to_numpy(float), *(own == s for s in (1, 2, 3))]).astype(float)
    found = dense.fit(
        dense.Rows(rows.y.to_numpy(float), x, rows.la.to_numpy(), rows.period.to_numpy()), "binomial", "logit", "nested", "MAEE"
    )
    for vcov in VCOVS:
        fit = GEE(sw.NestedExchangeable(), vcov, effect=sw.ByExposure()).fit(trial("binomial"))
        expected = dense.covariance(found, vcov)[4:, 4:]
        assert fit.covariance == pytest.approx(expected, rel=1e-6, abs=1e-7 * np.abs(expected).max())
        assert fit.estimate == pytest.approx(found.beta[4:], rel=1e-6)
