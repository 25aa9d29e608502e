"""The columns of a simulated power, worked out again by hand from its draws; seeds; and failures that are counted, never dropped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw

DESIGN = sw.Design.stepped_wedge(clusters=5, periods=6)
GAUSSIAN = sw.Scenario("gaussian", baseline=1.0, effect=0.3, size=12, sd=1.0, trend=0.1, correlation=sw.NestedExchangeable(0.1, 0.7))
RARE = sw.Scenario("binomial", baseline=(0.02, 0.05, 0.08, 0.05, 0.02), effect=-0.6, size=15)


def row(power: sw.SimulatedPower, name: str) -> pd.Series:
    return power.tidy().set_index("estimator").loc[name]


def by_hand(draws: object, truth: float, alpha: float, level: float) -> dict[str, float]:
    """Every column from the replicates, one at a time."""
    rejected = either = covered = 0
    estimates, squares = [], []
    codes = [int(code) for code in draws.status]  # type: ignore[attr-defined]
    for estimate, error, p, low, high, code in zip(*draws, strict=True):  # type: ignore[misc]
        if code > sw.Status.SINGULAR:
            either += 1
            assert np.isnan([estimate, error, p]).all(), "a failed fit carries numbers"
            continue
        rejected += p <= alpha
        either += p <= alpha
        covered += low <= truth <= high
        estimates.append(estimate)
        squares.append(error**2)
    reps = len(codes)
    return {
        "power": rejected / reps,
        "mcse": np.sqrt(rejected / reps * (1 - rejected / reps) / reps),
        "bias": np.mean(estimates) - truth,
        "empirical_se": np.std(estimates, ddof=1),
        "model_se": np.sqrt(np.mean(squares)),
        "coverage": covered / len(estimates),
        "n_ok": codes.count(sw.Status.OK),
        "n_singular": codes.count(sw.Status.SINGULAR),
        "n_failed": sum(code > sw.Status.SINGULAR for code in codes),
        "power_if_failures_reject": either / reps,
    }


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_columns_are_what_the_replicates_say(alpha: float) -> None:
    methods = {"mixed": sw.MixedModel(), "within": (sw.WithinPeriod(), sw.WaldTest(0.9)), "fixed": sw.FixedEffects(df="clusters")}
    power = sw.simulate_power(DESIGN, GAUSSIAN, methods, reps=300, seed=5, alpha=alpha)
    for name in methods:
        expected = by_hand(power.draws[name], 0.3, alpha, 0.9 if name == "within" else 0.95)
        found = row(power, name)
        assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-12)
        assert not found.type_1
    assert row(power, "mixed").n_singular > 0
    widths = [np.mean(power.draws[name].conf_high - power.draws[name].conf_low) for name in ("mixed", "within")]
    assert min(widths) > 0


def test_failures_are_counted_and_never_dropped() -> None:
    """Rare outcomes in tiny cells: many logits separate. The power is over all trials, and its bound takes each failure for a rejection."""
    power = sw.simulate_power(DESIGN, RARE, {"fixed": sw.FixedEffects(), "within": sw.WithinPeriod()}, reps=400, seed=0)
    found, expected = row(power, "fixed"), by_hand(power.draws["fixed"], -0.6, 0.05, 0.95)
    assert 40 < found.n_failed < 400, "the scenario does not make fits fail, or no fit works"
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-12)
    assert found.power <= 1 - found.n_failed / 400
    assert found.power_if_failures_reject >= found.power + found.n_failed / 400 - 1e-12
    assert found.n_ok + found.n_singular + found.n_failed == 400
    statuses = set(power.draws["fixed"].status.tolist())
    assert {sw.Status.OK, sw.Status.SEPARATED} <= statuses
    assert row(power, "within").n_failed == 0
    assert f"{found.n_failed} failed" in power.summary()


def test_failed_fits_of_an_exact_test_are_counted_too() -> None:
    nothing = sw.Scenario("binomial", baseline=1e-9, effect=0.0, size=5)
    power = sw.simulate_power(DESIGN, nothing, {"exact": (sw.WithinPeriod(), sw.RandomisationTest())}, reps=30, seed=1)
    found = row(power, "exact")
    assert (found.n_failed, found.power, found.power_if_failures_reject) == (30, 0.0, 1.0)
    assert np.isnan(found.bias)


def test_what_is_estimated_on_another_scale_has_no_bias_or_coverage() -> None:
    truth = sw.Scenario("binomial", baseline=0.3, effect=0.4, size=60)
    power = sw.simulate_power(DESIGN, truth, {"logit": sw.FixedEffects(), "risk": sw.TwoWayFixedEffects()}, reps=60, seed=1)
    assert np.isnan(row(power, "risk")[["bias", "coverage"]].astype(float)).all()
    assert np.isfinite(row(power, "logit")[["bias", "coverage"]].astype(float)).all()
    on_risk = sw.Scenario("binomial", scale="risk", baseline=0.3, effect=0.1, size=60)
    again = sw.simulate_power(DESIGN, on_risk, {"logit": sw.FixedEffects(), "risk": sw.TwoWayFixedEffects()}, reps=60, seed=1)
    assert np.isnan(row(again, "logit")[["bias", "coverage"]].astype(float)).all()
    assert np.isfinite(row(again, "risk")[["bias", "coverage"]].astype(float)).all()


def test_the_null_is_named_as_such() -> None:
    null = sw.Scenario("gaussian", baseline=0.0, effect=0.0, size=12, sd=1.0, correlation=sw.NestedExchangeable(0.1, 0.7))
    power = sw.simulate_power(DESIGN, null, {"fixed": sw.FixedEffects()}, reps=50, seed=1)
    assert row(power, "fixed").type_1
    assert "size" in power.summary()
    assert "power" in sw.simulate_power(DESIGN, GAUSSIAN, {"fixed": sw.FixedEffects()}, reps=50, seed=1).summary()


@pytest.mark.parametrize("reps", [1, 250, 251])
def test_a_chunk_of_one_trial_is_a_chunk(reps: int) -> None:
    """251 replicates end in a stack of one; also where intervals are asked of each trial by itself."""
    method = {"exact": (sw.WithinPeriod(), sw.RandomisationTest(level=0.9, interval=True)), "mixed": sw.MixedModel()}
    power = sw.simulate_power(sw.Design.stepped_wedge(clusters=4, periods=5), GAUSSIAN, method, reps=reps, seed=2)
    assert power.reps == reps
    for draws in power.draws.values():
        assert len(draws.estimate) == reps
        assert np.isfinite(draws.conf_low).all()


def test_seeds() -> None:
    """0 is a seed like any other, the same seed gives the same digits, and neighbouring seeds share none."""
    draws = [sw.simulate_power(DESIGN, GAUSSIAN, {"w": sw.WithinPeriod()}, reps=20, seed=seed).draws["w"].estimate for seed in (0, 0, 1, 2)]
    assert draws[0].tolist() == draws[1].tolist()
    flat = np.concatenate(draws[1:])
    assert len(np.unique(flat)) == 60


def test_every_permitted_allocation_is_drawn_evenly() -> None:
    """One in 12 each: 6,000 draws, 500 apiece with a standard deviation of 21.4; 4.5 of these."""
    design = sw.Design.stepped_wedge(["a", "b", "c", "d", "e"], strata=[["a", "b"], ["c", "d", "e"]])
    trial = GAUSSIAN.draw(design, 6_000, np.random.default_rng(3))
    number = {tuple(map(tuple, design.treatment_of(sequence))): i for i, sequence in enumerate(design.allocations())}
    counts = np.bincount([number[tuple(map(tuple, table))] for table in trial.treatment], minlength=12)
    assert np.abs(counts - 500).max() < 4.5 * 21.4


def test_cells_in_transition_carry_no_scatter() -> None:
    """The residual variance found in trials with a transition is the one stated: sd^2 (1 - icc)."""
    design = sw.Design.stepped_wedge(clusters=5, periods=7, transition=1)
    trial = GAUSSIAN.draw(design, 1_000, np.random.default_rng(0))
    assert np.isnan(trial.treatment).any()
    fit = sw.MixedModel(df="normal").fit(trial)
    found = fit.details["variances"]["residual"]
    # 12 - 1 deviations in each of 30 cells: a standard error of .9 sqrt(2 / 330) over sqrt(1,000)
    assert found.mean() == pytest.approx(0.9, abs=4 * 0.9 * np.sqrt(2 / 330 / 1_000) + 0.002)
