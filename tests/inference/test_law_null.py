"""An effect that is taken out is gone: for every curve and estimand, so that intervals by inversion hold what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw

ALLOCATION = sw.Design.stepped_wedge(clusters=6, periods=7).randomise(seed=2)
READINGS = [
    (sw.Constant(), None),
    (sw.Linear(4), None),
    (sw.Linear(4), sw.TATE()),
    (sw.Linear(4), sw.PTE(1)),
    (sw.Delayed(2), sw.TATE()),
    (sw.Fading(3), sw.TATE(1, 4)),
    (sw.Spline(3), sw.TATE()),
    (sw.ByExposure(), sw.TATE(1, 3)),
    (sw.ByExposure(), sw.LTE()),
]


def continuous() -> sw.Trial:
    rng = np.random.default_rng(3)
    y = rng.normal(size=(6, 1)) + 0.05 * rng.normal(size=(6, 7)) + np.minimum(ALLOCATION.exposure / 4, 1)
    return sw.Trial.from_cells(np.full((6, 7), 50), y, ALLOCATION, within=2058.0)


def binary_rows() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    cluster, period = (axis.repeat(40) for axis in np.indices((6, 7)).reshape(2, -1))
    x = rng.integers(0, 3, len(cluster))
    risk = 0.5 + 0.05 * x - 0.1 * ALLOCATION.treatment[cluster, period]
    return pd.DataFrame({"la": (cluster + 1).astype(str), "period": period + 1, "x": x, "y": (rng.random(len(x)) < risk).astype(int)})


@pytest.mark.parametrize(("curve", "estimand"), READINGS, ids=repr)
@pytest.mark.parametrize("kind", ["fixed", "mixed", "gee", "marginal"])
def test_nothing_is_left_once_the_estimate_is_taken_out(kind: str, curve: sw.Constant, estimand: sw.TATE | None) -> None:
    trial = continuous()
    fixed = sw.FixedEffects(vcov="model", effect=curve, estimand=estimand)
    estimator = {
        "fixed": fixed,
        "mixed": sw.MixedModel(effect=curve, estimand=estimand),
        "gee": sw.GEE(sw.Exchangeable(0.01), vcov="model", effect=curve, estimand=estimand),
        "marginal": sw.MarginalEffect(fixed),
    }[kind]
    estimate = estimator.fit(trial).estimate
    assert float(estimator.fit(estimator.null(trial, estimate)).estimate) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("curve", "estimand"), READINGS, ids=repr)
def test_the_estimate_is_inside_its_interval(curve: sw.Constant, estimand: sw.TATE | None) -> None:
    result = sw.RandomisationTest(draws=199).run(continuous(), sw.FixedEffects(vcov="model", effect=curve, estimand=estimand))
    low, high = result.conf_int
    assert low < result.estimate < high


def test_an_average_of_a_known_curve_is_its_coefficient_in_another_unit() -> None:
    trial, share = continuous(), np.minimum(np.arange(1, 7) / 4, 1).mean()
    whole, average = (
        sw.RandomisationTest().run(trial, sw.FixedEffects(vcov="model", effect=sw.Linear(4), estimand=e)) for e in (None, sw.TATE())
    )
    np.testing.assert_allclose(average.conf_int, whole.conf_int * share, rtol=1e-6)


@pytest.mark.parametrize("curve", [sw.Constant(), sw.Linear(4), sw.Delayed(2)], ids=repr)
def test_the_treated_lose_what_the_treated_had(curve: sw.Constant) -> None:
    trial = continuous()
    estimator = sw.MarginalEffect(sw.FixedEffects(vcov="model", effect=curve), over="treated")
    assert float(estimator.fit(estimator.null(trial, estimator.fit(trial).estimate)).estimate) == pytest.approx(0, abs=1e-9)


def test_covariate_patterns_lose_the_effect_too() -> None:
    """A risk difference by the identity link, with a covariate. What is left comes of the weights, which change with the risks."""
    trial = sw.Trial.from_frame(binary_rows(), ALLOCATION, cluster="la", period="period", outcome="y", family="binomial", covariates="x")
    estimator = sw.GEE(sw.Exchangeable(0.02), link="identity")
    estimate = estimator.fit(trial).estimate
    assert abs(float(estimator.fit(estimator.null(trial, estimate)).estimate)) < 0.01 * abs(float(estimate))
    result = sw.RandomisationTest(draws=99, level=0.9).run(trial, estimator)
    assert result.conf_int[1] - result.conf_int[0] > 0.02


def test_a_stack_loses_one_effect_for_all() -> None:
    trial = continuous()
    stack = sw.Trial.from_cells(trial.n, np.stack([trial.outcome, trial.outcome + 1]), ALLOCATION, within=2058.0)
    estimator = sw.MarginalEffect(sw.FixedEffects(vcov="model"))
    np.testing.assert_allclose(estimator.fit(estimator.null(stack, 0.01)).estimate, estimator.fit(stack).estimate - 0.01, rtol=1e-10)


def test_an_average_that_is_always_zero_is_refused() -> None:
    with pytest.raises(sw.DesignError, match=r"PTE\(1\) is 0 under Delayed"):
        sw.FixedEffects(effect=sw.Delayed(1), estimand=sw.PTE(1)).fit(continuous())


def test_allocations_that_cannot_be_fitted_bound_p() -> None:
    allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    n = np.full((5, 6), 50.0)
    n[2, 5] = 0
    rng = np.random.default_rng(0)
    y = rng.normal(size=(5, 1)) + 0.1 * rng.normal(size=(5, 6)) + 3 * allocation.treatment
    estimator = sw.FixedEffects(vcov="model", effect=sw.ByExposure(), estimand=sw.TATE(1, 2))
    result = sw.RandomisationTest().run(sw.Trial.from_cells(n, y, allocation), estimator)
    assert result.p_value >= result.min_p == pytest.approx(25 / 120)
    assert any("24 of 120 fits" in note for note in result.notes)


def test_a_spline_of_one_allocation_is_that_of_all() -> None:
    """Knots come from the design, so that the observed statistic is one of the reference."""
    allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    n = np.full((5, 6), 50.0)
    n[int(np.argmax(allocation.exposure[:, 5])), 5] = 0
    y = np.random.default_rng(0).normal(size=(5, 6))
    result = sw.RandomisationTest().run(
        sw.Trial.from_cells(n, y, allocation), sw.FixedEffects(vcov="model", effect=sw.Spline(3), estimand=sw.PTE(2))
    )
    assert result.reference is not None
    assert np.nanmin(np.abs(result.reference - result.statistic)) < 1e-10


@pytest.mark.parametrize("estimand", [sw.LTE(), sw.TATE()], ids=repr)
def test_a_jackknife_does_not_mix_estimands(estimand: sw.TATE) -> None:
    with pytest.raises(sw.FitError, match="alone has: without it the estimand is another"):
        sw.JackknifeTest().run(continuous(), sw.FixedEffects(vcov="model", effect=sw.ByExposure(), estimand=estimand))


def test_decay_counts_the_years_of_a_panel_with_gaps() -> None:
    rng = np.random.default_rng(4)
    years = [2010, 2011, 2012, 2018, 2019, 2020]
    rows = pd.DataFrame([(f"c{i}", t, 2011 + 3 * (i % 3) if i < 6 else 0) for i in range(8) for t in years], columns=["c", "t", "g"])
    panel = {"cluster": "c", "period": "t", "outcome": "y", "first_treated": "g"}
    held = sw.GEE(sw.ExponentialDecay(0.9, 0.6))
    trial = sw.Trial.from_panel(rows.assign(y=rng.normal(size=len(rows))), **panel)
    lag = np.abs(np.subtract.outer(years, years)) / 2.0
    covariance = 0.9 * 0.6**lag + 0.1 * np.eye(6)
    x = np.concatenate([np.tile(np.eye(6), (8, 1)), trial.arm.reshape(-1, 1)], 1)
    precision = np.kron(np.eye(8), np.linalg.inv(covariance))
    expected = np.linalg.solve(x.T @ precision @ x, x.T @ precision @ trial.outcome.ravel())[-1]
    assert float(held.point(trial)) == pytest.approx(expected, rel=1e-8)
