"""What a scenario says is what it draws: means, variances and covariances of cells against closed forms, and effects without any noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import swedge as sw
from swedge.assumptions import Layout
from swedge.power.analytic import covariance_of
from swedge.studies import family_safeguarding

Array = NDArray[np.float64]

STUDY = family_safeguarding()
DESIGN, CARRIED_OUT = STUDY.design, STUDY.allocation
SEQUENCE = np.array(CARRIED_OUT.sequence)
TREATED, EXPOSURE = CARRIED_OUT.treatment, CARRIED_OUT.exposure
REPS = 20_000
# Standard errors by which the worst of some hundred moments may be out: a fixed seed makes it a fixed answer.
WORST = 4.5
ZERO = 1e-12
# Outcomes that do not vary, to within rounding: a Gaussian truth needs some residual.
SILENT = sw.RandomEffects(residual=1e-14)


def drawn(truth: sw.Scenario, reps: int = REPS, seed: int = 1, design: sw.Design = DESIGN) -> sw.Trial:
    """Trials under one allocation: the one carried out, or that of a design whose clusters come in order."""
    sequence = SEQUENCE if design is DESIGN else np.arange(design.n_clusters)
    return truth.draw(design, reps, np.random.default_rng(seed), np.tile(sequence, (reps, 1)))


def scores(values: Array, expected: Array | float) -> Array:
    """How many standard errors the mean over replicates is from what it should be."""
    error = values.std(0, ddof=1) / np.sqrt(len(values))
    return np.asarray(np.abs(values.mean(0) - expected) / np.maximum(error, ZERO))


def assert_mean(values: Array, expected: Array | float) -> None:
    assert scores(values, expected).max() < WORST


def assert_covariance(values: Array, expected: Array) -> None:
    """Second moments about the empirical mean, ``values (R, ..., T)`` against ``expected (..., T, T)``."""
    centred = values - values.mean(0)
    assert scores(centred[..., :, None] * centred[..., None, :], expected).max() < WORST


def exact(effect: float = 1.0, baseline: Any = 0.0, design: sw.Design = DESIGN, **assumptions: Any) -> Array:
    """Cell means of a Gaussian truth without noise, ``(I, T)``: nothing but what was stated."""
    truth = sw.Scenario("gaussian", baseline=baseline, effect=effect, size=10, correlation=SILENT, **assumptions)
    return np.asarray(drawn(truth, reps=1, design=design).outcome[0])


# Means, variances and covariances --------------------------------------------------------------------------------------------------------


CORRELATIONS: dict[str, Any] = {
    "exchangeable": sw.Exchangeable(0.2),
    "nested": sw.NestedExchangeable(0.2, 0.6),
    "decay in calendar time": sw.ExponentialDecay(0.2, 0.6),
    "random effects": sw.RandomEffects(cluster=0.5, cluster_period=0.3, residual=2.0),
    "autocorrelated": sw.RandomEffects(cluster=0.5, cluster_period=0.3, autocorrelation=0.7, residual=2.0),
    "treatment effects vary": sw.RandomEffects(cluster=0.5, cluster_period=0.3, treatment=0.4, residual=2.0),
    "and go with the level": sw.RandomEffects(cluster=0.5, cluster_period=0.3, treatment=0.4, treatment_corr=-0.6, residual=2.0),
}


@pytest.mark.parametrize("name", CORRELATIONS)
def test_gaussian_cells_have_the_covariance_that_analytic_power_assumes(name: str) -> None:
    sizes = np.add.outer([4.0, 9, 16, 25, 36], np.arange(6))
    truth = sw.Scenario("gaussian", baseline=3.0, effect=0.5, trend=0.1, size=sizes, sd=2.0, correlation=CORRELATIONS[name])
    trial = drawn(truth)
    layout = Layout(np.asarray(DESIGN.midpoints(), dtype=float), TREATED, np.full((1, 6), 4.0))
    assert_mean(trial.outcome, 3.0 + 0.1 * np.arange(6) + 0.5 * TREATED)
    assert_covariance(trial.outcome, covariance_of(CORRELATIONS[name].parts(layout), sizes))


def test_gaussian_scatter_is_a_chi_square_of_individuals_less_cells() -> None:
    truth = sw.Scenario("gaussian", baseline=0.0, size=7, sd=2.0, correlation=sw.Exchangeable(0.25))
    within = np.asarray(drawn(truth).cells.within)[:, 0, 0, 0]
    residual, freedom = 3.0, 5 * 6 * (7 - 1)
    assert_mean(within, residual * freedom)
    assert_mean((within - residual * freedom) ** 2, 2 * freedom * residual**2)


def test_clusters_are_independent() -> None:
    outcome = drawn(sw.Scenario("gaussian", baseline=0.0, size=5, sd=1.0, correlation=sw.Exchangeable(0.5))).outcome
    centred = outcome[..., 0] - outcome[..., 0].mean(0)
    assert_mean(centred[:, 0] * centred[:, 1], 0.0)


def test_risks_on_their_own_scale_have_an_icc_on_the_proportion_scale() -> None:
    n, mean, icc, cac = 60.0, 0.3, 0.02, 0.5
    truth = sw.Scenario("binomial", scale="risk", baseline=mean, size=n, correlation=sw.NestedExchangeable(icc, cac))
    shared = icc * mean * (1 - mean)
    expected = np.full((5, 6, 6), cac * shared)
    expected[:, np.arange(6), np.arange(6)] = shared + (mean * (1 - mean) - shared) / n
    outcome = drawn(truth).outcome
    assert_mean(outcome, mean)
    assert_covariance(outcome, expected)


def averaged(function: Callable[[Array], Array], mean: Array, sd: float) -> Array:
    """Expectation of a function of a normal variable, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return np.asarray((function(mean[..., None] + sd * nodes) * weights).sum(-1) / weights.sum())


def expit(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def test_logits_carry_trend_effect_and_noise() -> None:
    n, sd = 80.0, 0.6
    truth = sw.Scenario("binomial", baseline=0.2, effect=-0.7, trend=0.1, size=n, correlation=sw.RandomEffects(cluster_period=sd))
    predictor = np.log(0.2 / 0.8) + 0.1 * np.arange(6) - 0.7 * TREATED
    mean, square = averaged(expit, predictor, sd), averaged(lambda x: expit(x) ** 2, predictor, sd)
    outcome = drawn(truth).outcome
    assert_mean(outcome, mean)
    assert_mean((outcome - mean) ** 2, square - mean**2 + (mean - square) / n)


def test_an_icc_on_the_logit_scale_is_relative_to_the_logistic_variance() -> None:
    icc, sd = 0.1, 0.4
    truth = sw.Scenario("binomial", baseline=0.2, size=10, correlation=sw.Exchangeable(icc))
    assert truth.correlation.between(np.arange(2.0), truth.residual)[0, 1] == pytest.approx(icc / (1 - icc) * np.pi**2 / 3, rel=1e-12)
    by_sd = replace(truth, correlation=sw.RandomEffects(cluster=sd))
    same = replace(truth, correlation=sw.Exchangeable(sd**2 / (sd**2 + np.pi**2 / 3)))
    np.testing.assert_allclose(drawn(by_sd, 20).outcome, drawn(same, 20).outcome, rtol=1e-12)


def test_counts_are_poisson_with_lognormal_rates() -> None:
    n, tau, gamma = 50.0, 0.3, 0.2
    truth = sw.Scenario("poisson", baseline=0.4, effect=0.5, size=n, correlation=sw.RandomEffects(cluster=tau, cluster_period=gamma))
    total = tau**2 + gamma**2
    mean = 0.4 * np.exp(0.5 * TREATED + total / 2)
    outer = mean[:, :, None] * mean[:, None, :]
    expected = outer * np.expm1(tau**2)
    each = np.arange(6)
    expected[:, each, each] = mean**2 * np.expm1(total) + mean / n
    outcome = drawn(truth).outcome
    assert_mean(outcome, mean)
    assert_covariance(outcome, expected)


@pytest.mark.parametrize("dispersion", [1.0, 0.3])
def test_fractions_have_the_dispersion_stated(dispersion: float) -> None:
    n = 6.0
    truth = sw.Scenario("fractional", scale="risk", baseline=0.3, effect=0.1, size=n, dispersion=dispersion)
    mean = 0.3 + 0.1 * TREATED
    trial = drawn(truth)
    assert trial.family == "binomial"
    assert ((trial.outcome >= 0) & (trial.outcome <= 1)).all()
    assert_mean(trial.outcome, mean)
    assert_mean((trial.outcome - mean) ** 2, dispersion * mean * (1 - mean) / n)


@pytest.mark.parametrize("limit", [2.0, 24.0])
def test_durations_have_the_restricted_mean_and_variance_of_an_exponential(limit: float) -> None:
    n, size = 12, 2_000
    truth = sw.Scenario("duration", baseline=10.0, effect=np.log(1.5), size=n, limit=limit)
    trial = drawn(truth, reps=size)
    hazard = np.exp(np.log(1.5) * TREATED) / 10
    beyond = np.exp(-hazard * limit)
    mean = (1 - beyond) / hazard
    variance = 2 / hazard**2 * (1 - beyond * (1 + hazard * limit)) - mean**2
    assert_mean(trial.outcome, mean)
    assert_mean((trial.outcome - mean) ** 2, variance / n)
    assert_mean(np.asarray(trial.cells.within)[:, 0, 0, 0], ((n - 1) * variance).sum())


def test_a_positive_effect_on_the_log_hazard_shortens_a_duration() -> None:
    means = drawn(sw.Scenario("duration", baseline=10.0, effect=0.5, size=50, limit=24.0), reps=200).outcome.mean(0)
    assert means[TREATED > 0].max() < means[TREATED == 0].min()


def test_noise_by_cluster_multiplies_standard_deviations() -> None:
    factors = np.array([4.0, 1, 1, 0.5, 0])
    noise = sw.RandomEffects(cluster=0.2, cluster_period=0.3, residual=1e-14)
    truth = sw.Scenario("gaussian", baseline=0.0, size=1, correlation=noise, noise_by_cluster=tuple(factors))
    expected = (factors**2)[:, None, None] * (0.2**2 + 0.3**2 * np.eye(6))
    assert_covariance(drawn(truth).outcome, expected)


def test_cluster_trends_are_lines_between_minus_and_plus_their_draw() -> None:
    outcome = drawn(sw.Scenario("gaussian", baseline=0.0, size=1, correlation=SILENT, cluster_trends=0.7)).outcome
    middle = np.asarray(DESIGN.midpoints(), dtype=float)
    line = 2 * (middle - middle[0]) / (middle[-1] - middle[0]) - 1
    np.testing.assert_allclose(outcome, outcome[..., -1:] * line, atol=1e-12)
    assert_mean(outcome[..., -1] ** 2, 0.49)


# Sizes and losses ------------------------------------------------------------------------------------------------------------------------


def test_cluster_sizes_vary_by_gamma_factors_shared_by_a_clusters_periods() -> None:
    truth = sw.Scenario("binomial", baseline=0.2, size=10_000, size_cv=0.5)
    factors = drawn(truth).cells.n / 10_000
    assert np.ptp(factors, axis=-1).max() == 0
    assert_mean(factors[..., 0], 1.0)
    assert_mean((factors[..., 0] - 1) ** 2, 0.25)


def test_no_cell_is_emptied_by_varying_sizes() -> None:
    assert drawn(sw.Scenario("binomial", baseline=0.2, size=1, size_cv=3.0), reps=500).cells.n.min() == 1


@pytest.mark.parametrize(("control", "treated"), [(0.2, None), (0.2, 0.4), (0.0, 0.3), (0.3, 0.0)])
def test_attrition_is_binomial_and_may_differ_by_arm(control: float, treated: float | None) -> None:
    truth = sw.Scenario("binomial", baseline=0.2, size=50, attrition=control, attrition_treated=treated)
    share = np.where(TREATED > 0, control if treated is None else treated, control)
    n = drawn(truth).cells.n
    assert_mean(n, 50 * (1 - share))
    assert_mean((n - 50 * (1 - share)) ** 2, 50 * share * (1 - share))


def test_attrition_goes_by_what_was_allocated_for_every_draw() -> None:
    truth = sw.Scenario("binomial", baseline=0.2, size=400, attrition_treated=0.5)
    trial = truth.draw(DESIGN, 200, np.random.default_rng(1))
    assert trial.cells.n[trial.treatment > 0].max() < 260
    assert (trial.cells.n[trial.treatment == 0] == 400).all()


# Effects, to the last digit --------------------------------------------------------------------------------------------------------------


CURVES: dict[str, tuple[Any, Callable[[int], float]]] = {
    "constant": (sw.Constant(), lambda s: 1.0),
    "delayed": (sw.Delayed(2), lambda s: float(s > 2)),
    "linear": (sw.Linear(3), lambda s: min(s / 3, 1.0)),
    "fading": (sw.Fading(3), lambda s: max(1 - (s - 1) / 3, 0.0)),
}


def by_exposure(curve: Callable[[int], float], exposure: Array) -> Array:
    return np.array([[curve(int(s)) if s > 0 else 0.0 for s in row] for row in exposure])


@pytest.mark.parametrize("name", CURVES)
def test_a_curve_builds_up_or_fades_by_periods_since_go_live(name: str) -> None:
    curve, by_hand = CURVES[name]
    np.testing.assert_allclose(exact(2.0, curve=curve), 2.0 * by_exposure(by_hand, EXPOSURE), atol=1e-12)


@given(first=st.integers(1, 8), effect=st.floats(-2, 2))
def test_fading_is_the_whole_effect_in_its_first_period_and_gone_after_the_last(first: int, effect: float) -> None:
    means = exact(effect, curve=sw.Fading(first))
    np.testing.assert_allclose(means[EXPOSURE == 1], effect, atol=1e-12)
    np.testing.assert_allclose(means[first < EXPOSURE], 0.0, atol=1e-12)


@pytest.mark.parametrize("name", CURVES)
def test_late_and_failed_starts_move_the_effect_and_not_the_record(name: str) -> None:
    curve, by_hand = CURVES[name]
    late = (1, 0, np.inf, 2, 0)
    truth = sw.Scenario("gaussian", baseline=0.0, effect=1.0, size=5, correlation=SILENT, curve=curve, late=late)
    trial = drawn(truth, reps=1)
    actual = np.array([[max(s - delay, 0) for s in row] for row, delay in zip(EXPOSURE, late, strict=True)])
    np.testing.assert_allclose(trial.outcome[0], by_exposure(by_hand, actual), atol=1e-12)
    np.testing.assert_array_equal(trial.treatment[0], TREATED)
    np.testing.assert_array_equal(trial.exposure[0], EXPOSURE)


def test_effects_may_differ_by_cluster() -> None:
    factors = (2.0, 1.0, 0.0, -1.0, 0.5)
    np.testing.assert_allclose(exact(3.0, effect_by_cluster=factors), 3.0 * np.array(factors)[:, None] * TREATED, atol=1e-12)


def share_of_window(go_live: float, first: int, end: int, days: int) -> float:
    """Mean treated share of the window over the days of entry, at noon: the slow way."""
    return float(np.mean([min(max(day + 0.5 + days - go_live, 0.0), days) / days for day in range(first, end)]))


def felt(late: tuple[float, ...], days: int) -> Array:
    """Share of the effect in each cell: 1 once live, the treated share of the window before."""
    edges = [day.toordinal() for day in DESIGN.boundaries]
    table = np.zeros((5, 6))
    for i, delay in enumerate(late):
        start = int(TREATED[i].argmax()) + delay
        go_live = edges[int(start)] if start < 6 else np.inf
        for t in range(6):
            table[i, t] = 1.0 if edges[t] >= go_live else share_of_window(go_live, edges[t], edges[t + 1], days)
    return table


@pytest.mark.parametrize("late", [(0, 0, 0, 0, 0), (1, 0, np.inf, 2, 0)])
@pytest.mark.parametrize("days", [30, 548])
def test_controls_whose_window_crosses_go_live_feel_the_treated_share_of_the_effect(days: int, late: tuple[float, ...]) -> None:
    np.testing.assert_allclose(exact(-0.8, window=days, late=late), -0.8 * felt(late, days), rtol=1e-12, atol=1e-12)


def test_a_window_of_eighteen_months_leaves_a_fifteenth_of_a_constant_effect() -> None:
    shares = sw.Trial.from_cells(STUDY.cell_sizes, exact(1.0, window=548), CARRIED_OUT)
    assert float(sw.TwoWayFixedEffects().fit(shares).estimate) == pytest.approx(0.051, abs=0.001)


def test_shocks_are_felt_by_days_and_add_up() -> None:
    edges = DESIGN.boundaries
    first, second = sw.Shock("2020-08-20", "2020-09-11", -0.3), sw.Shock(edges[3], edges[4], 0.5)
    means = exact(0.0, shocks=(first, second), baseline=1.0)
    expected = np.ones((5, 6))
    expected[:, 0] -= 0.3 * 12 / 184
    expected[:, 1] -= 0.3 * 10 / 153
    expected[:, 3] += 0.5
    np.testing.assert_allclose(means, expected, atol=1e-12)


def test_a_trend_is_a_step_a_period_or_each_periods_own_shift() -> None:
    np.testing.assert_allclose(exact(0.0, trend=0.2), np.tile(0.2 * np.arange(6), (5, 1)), atol=1e-12)
    shifts = (0.0, 1.0, -1.0, 2.0, 0.0, 3.0)
    np.testing.assert_allclose(exact(0.0, trend=shifts), np.tile(shifts, (5, 1)), atol=1e-12)


def test_a_fractional_treatment_feels_its_fraction() -> None:
    design = sw.Design.from_matrix([[0, 0.5, 1, 1], [0, 0, 0.5, 1]], clusters_per_sequence=[1, 1])
    np.testing.assert_allclose(exact(2.0, design=design), [[0, 1, 2, 2], [0, 0, 1, 2]], atol=1e-12)


# Digits ----------------------------------------------------------------------------------------------------------------------------------


NEUTRAL: dict[str, Any] = {
    "size_cv": 0.0,
    "attrition": 0.0,
    "attrition_treated": 0.0,
    "late": (0, 0, 0, 0, 0),
    "effect_by_cluster": (1, 1, 1, 1, 1),
    "noise_by_cluster": (1, 1, 1, 1, 1),
    "curve": sw.Delayed(1),
}


@pytest.mark.parametrize("name", [name for name in NEUTRAL if name != "curve"])
def test_an_argument_that_changes_nothing_changes_no_digit(name: str) -> None:
    plain = STUDY.scenario(0.8, 0.1, trend=0.02, cluster_trends=0.1)
    same = replace(plain, **{name: NEUTRAL[name]})
    np.testing.assert_array_equal(drawn(same, 50).outcome, drawn(plain, 50).outcome)


RECORDED: dict[str, tuple[sw.Scenario, float, float]] = {
    "binomial": (
        STUDY.scenario(
            0.8,
            0.1,
            trend=0.02,
            cluster_trends=0.1,
            noise_by_cluster=(4, 1, 1, 1, 1),
            shocks=(sw.Shock("2020-03-23", "2020-06-01", -0.3),),
        ),
        0.12436974789915967,
        77.84284009835852,
    ),
    "gaussian": (
        sw.Scenario(
            "gaussian",
            baseline=1.0,
            effect=0.3,
            size=40,
            sd=2.0,
            correlation=sw.NestedExchangeable(0.05, 0.8),
            curve=sw.Delayed(1),
        ),
        0.30529404157763673,
        1602.0950437601455,
    ),
    "risk": (
        sw.Scenario("binomial", scale="risk", baseline=0.06, effect=-0.01, size=400, correlation=sw.ExponentialDecay(0.003, 0.8)),
        0.0475,
        80.6675,
    ),
    "poisson": (
        sw.Scenario("poisson", baseline=0.5, effect=0.1, size=300, correlation=sw.RandomEffects(cluster=0.1, cluster_period=0.05)),
        0.49666666666666665,
        788.97,
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_seed_gives_what_it_gave_when_scenarios_were_first_written(name: str) -> None:
    truth, cell, total = RECORDED[name]
    outcome = truth.draw(DESIGN, 50, np.random.default_rng(3)).outcome
    np.testing.assert_allclose([outcome[7, 2, 3], outcome.sum()], [cell, total], rtol=1e-12)


def test_a_scenario_is_hashable_and_equal_to_itself_written_with_arrays() -> None:
    one = sw.Scenario("binomial", baseline=[0.1, 0.2], size=np.array([[5, 6], [7, 8]]), late=np.array([1, np.inf]), trend=(0.0, 0.1))
    two = sw.Scenario("binomial", baseline=(0.1, 0.2), size=((5, 6), (7, 8)), late=(1, np.inf), trend=[0.0, 0.1])
    assert (one, hash(one)) == (two, hash(two))
