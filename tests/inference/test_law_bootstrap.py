"""Laws of the wild cluster bootstrap: what must not move it, what it says, and that a stack is a loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.inference import WildBootstrapTest

Array = np.ndarray
WEDGE = sw.Design.stepped_wedge(clusters=5, periods=6)
REGRESSIONS = [sw.TwoWayFixedEffects(), sw.WithinPeriod(), sw.FixedEffects()]
TESTS = [
    WildBootstrapTest(),
    WildBootstrapTest(restricted=False),
    WildBootstrapTest(statistic="estimate"),
    WildBootstrapTest(weights="webb"),
    WildBootstrapTest(weights="webb", draws=499, seed=3),
]


def cells(seed: int, effect: float = 0.5, design: sw.Design = WEDGE, family: str = "gaussian") -> sw.Trial:
    rng = np.random.default_rng([seed, 7])
    allocation = design.randomise(seed=seed)
    shape = (design.n_clusters, design.n_periods)
    n = rng.integers(30, 80, shape)
    mean = 0.5 * rng.standard_normal(shape) + 0.5 * rng.standard_normal((shape[0], 1)) + effect * np.nan_to_num(allocation.treatment)
    if family == "binomial":
        mean = rng.binomial(n, 1 / (1 + np.exp(0.5 - mean))) / n
    return sw.Trial.from_cells(n, mean, allocation, family=family)


def moved(trial: sw.Trial, mean: Array) -> sw.Trial:
    return replace(trial, cells=replace(trial.cells, mean=mean[..., None]))


def stack(count: int, family: str = "gaussian") -> sw.Trial:
    parts = [cells(0, family=family), *(cells(k, family=family) for k in range(1, count))]
    mean = np.stack([part.cells.mean for part in parts])
    return replace(parts[0], cells=replace(parts[0].cells, mean=mean))


# Samples -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
@pytest.mark.parametrize("estimator", REGRESSIONS)
def test_opposite_weights_give_opposite_statistics_and_ones_give_the_data(estimator: sw.Estimator, weights: str) -> None:
    result = WildBootstrapTest(weights=weights).run(cells(1), estimator)
    half = len(result.reference) // 2
    assert (result.reference[half:] == -result.reference[:half]).all()
    assert result.reference[0] == pytest.approx(result.statistic, rel=1e-12)
    cr1 = replace(estimator, vcov="CR1", df="clusters").fit(cells(1))
    assert result.statistic == pytest.approx(cr1.statistic, rel=1e-9)
    assert result.std_error == pytest.approx(cr1.std_error, rel=1e-9)


def test_unrestricted_samples_of_the_data_themselves_have_no_effect() -> None:
    result = WildBootstrapTest(restricted=False).run(cells(1), sw.TwoWayFixedEffects())
    assert result.reference[0] == pytest.approx(0, abs=1e-12)
    assert result.p_value >= result.min_p


@given(st.integers(0, 10_000))
def test_the_smallest_p_is_never_undercut(seed: int) -> None:
    trial = cells(seed, effect=30.0)
    trials = replace(trial, cells=replace(trial.cells, mean=trial.cells.mean[None]))  # a stack has no intervals to search for
    for test, smallest in zip(TESTS, (2 / 32, 2 / 32, 2 / 32, 6 / 6**5, 1 / 500), strict=True):
        result = test.run(trials, sw.WithinPeriod())
        assert result.min_p == pytest.approx(smallest)
        assert result.p_value[0] >= smallest - 1e-12


def test_five_clusters_cannot_reject_at_5_percent_and_the_result_says_so() -> None:
    result = WildBootstrapTest().run(cells(3, effect=30.0), sw.TwoWayFixedEffects())
    assert result.p_value == result.min_p == 1 / 16
    assert result.conf_int.tolist() == [-np.inf, np.inf]
    assert result.offered_level == pytest.approx(15 / 16)
    assert -np.inf < result.offered_conf_int[0] < result.estimate < result.offered_conf_int[1] < np.inf
    assert "0.062 (1 in 16)" in result.summary()
    webb = WildBootstrapTest(weights="webb").run(cells(3, effect=30.0), sw.TwoWayFixedEffects())
    assert webb.min_p == 6 / 6**5
    assert np.isfinite(webb.conf_int).all()


def test_as_many_draws_as_there_are_vectors_means_all() -> None:
    for weights, count in (("rademacher", 32), ("webb", 7776)):
        every = WildBootstrapTest(weights=weights, draws=count, seed=5).run(cells(2), sw.WithinPeriod())
        assert every.p_value == WildBootstrapTest(weights=weights).run(cells(2), sw.WithinPeriod()).p_value
        fewer = WildBootstrapTest(weights=weights, draws=count - 1).run(cells(2), sw.WithinPeriod())
        assert fewer.min_p == 1 / count
        assert any("sampled" in note for note in fewer.notes)


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_sampled_p_comes_from_the_same_distribution(weights: str) -> None:
    trial = stack(2)  # a stack has no intervals to search for
    whole = WildBootstrapTest(weights=weights).run(trial, sw.TwoWayFixedEffects()).p_value[0]
    drawn = [WildBootstrapTest(weights=weights, draws=31 if weights == "rademacher" else 199, seed=k) for k in range(60)]
    p = np.array([test.run(trial, sw.TwoWayFixedEffects()).p_value[0] for test in drawn])
    assert len(np.unique(p)) > 5
    assert abs(p.mean() - whole) <= 3.3 * p.std() / np.sqrt(60) + 1 / 200 + (weights == "rademacher") / 32  # (b + 1) / (m + 1) is biased up


# What must not move it ------------------------------------------------------------------------------------------------------------------


@given(st.permutations(range(5)), st.integers(0, 1_000))
def test_the_order_of_clusters_changes_nothing(order: list[int], seed: int) -> None:
    trial = cells(seed)
    sequence = [trial.allocation.sequence[k] for k in order]
    allocation = WEDGE.allocate({str(i + 1): s for i, s in enumerate(sequence)})
    shuffled = sw.Trial.from_cells(trial.n[order], trial.outcome[order], allocation)
    both = replace(
        trial,
        cells=replace(trial.cells, n=np.stack([t.n for t in (trial, shuffled)]), mean=np.stack([t.cells.mean for t in (trial, shuffled)])),
    )
    both = both.under(np.stack([t.treatment for t in (trial, shuffled)]), np.stack([t.exposure for t in (trial, shuffled)]))
    for test in TESTS[:4]:
        result = test.run(both, sw.TwoWayFixedEffects())
        assert result.p_value[0] == result.p_value[1]
        assert result.estimate[0] == pytest.approx(result.estimate[1], abs=1e-9)


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("estimator", REGRESSIONS)
def test_shifts_of_periods_and_the_unit_change_nothing_and_of_effects_move_the_interval(
    test: WildBootstrapTest, estimator: sw.Estimator
) -> None:
    test = replace(test, level=0.8)
    trial = cells(5)
    base = test.run(trial, estimator)
    shifted = test.run(moved(trial, 3 * (trial.outcome + 100 * np.arange(6))), estimator)
    assert shifted.p_value == pytest.approx(base.p_value, abs=1e-12)
    assert shifted.conf_int == pytest.approx(3 * base.conf_int, rel=1e-5, abs=1e-5)
    helped = test.run(moved(trial, trial.outcome + 2 * trial.arm), estimator)
    assert helped.conf_int == pytest.approx(base.conf_int + 2, rel=1e-5, abs=1e-5)
    assert base.conf_int[0] < base.estimate < base.conf_int[1]


@pytest.mark.parametrize("estimator", [sw.TwoWayFixedEffects(), sw.FixedEffects()])
def test_shifts_of_clusters_change_nothing_where_clusters_are_adjusted_for(estimator: sw.Estimator) -> None:
    trial = cells(6)
    shifted = moved(trial, trial.outcome + np.arange(5)[:, None] * 7)
    assert WildBootstrapTest().run(shifted, estimator).p_value == WildBootstrapTest().run(trial, estimator).p_value


def test_variance_and_df_of_the_estimator_play_no_part() -> None:
    for family in ("gaussian", "binomial"):
        trial = cells(7, family=family)
        base = WildBootstrapTest().run(trial, sw.FixedEffects())
        for other in (sw.FixedEffects(vcov="model"), sw.FixedEffects(vcov="overdispersed"), sw.FixedEffects(vcov="CR3", df="normal")):
            same = WildBootstrapTest().run(trial, other)
            assert same.p_value == base.p_value
            assert same.conf_int == pytest.approx(base.conf_int)


def test_cells_and_the_regression_on_individuals_are_one() -> None:
    """With cluster and period effects, FixedEffects on cells and TwoWayFixedEffects weighed by size are the same regression."""
    left, right = (WildBootstrapTest(level=0.8).run(cells(8), e) for e in (sw.FixedEffects(), sw.TwoWayFixedEffects()))
    assert left.p_value == right.p_value
    assert left.conf_int == pytest.approx(right.conf_int, rel=1e-6)


def test_a_cluster_without_data_is_not_there() -> None:
    six = sw.Design.stepped_wedge(clusters=6, periods=6, clusters_per_sequence=[2, 1, 1, 1, 1])
    trial = cells(9, design=six)
    n = trial.n.copy()
    n[3] = 0
    empty = WildBootstrapTest().run(sw.Trial.from_cells(n, trial.outcome, trial.allocation), sw.TwoWayFixedEffects())
    assert empty.n_allocations == 32
    assert empty.min_p == 1 / 16
    assert "over 5 clusters" in empty.summary()


# Intervals ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize(("estimator", "family"), [(sw.TwoWayFixedEffects(), "gaussian"), (sw.FixedEffects(), "binomial")])
def test_limits_are_where_p_crosses(test: WildBootstrapTest, estimator: sw.Estimator, family: str) -> None:
    """The test of an effect taken out is the test of none in the trial without it."""
    test = replace(test, level=0.75)
    trial = cells(10, family=family)
    low, high = test.run(trial, estimator).conf_int
    slack = 1e-5 * (high - low)
    p = [float(test.run(estimator.null(trial, at), estimator).p_value) for at in (low - slack, low + slack, high - slack, high + slack)]
    assert [value > 0.25 for value in p] == [False, True, True, False]


# Stacks and power -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize(("estimator", "family"), [*((e, "gaussian") for e in REGRESSIONS), (sw.FixedEffects(), "binomial")])
def test_a_stack_is_a_loop(test: WildBootstrapTest, estimator: sw.Estimator, family: str) -> None:
    trials = stack(7, family)
    whole = test.run(trials, estimator)
    parts = [test.run(trials.replicate(k), estimator) for k in range(7)]
    assert whole.p_value == pytest.approx([float(part.p_value) for part in parts], abs=1e-12)
    assert whole.statistic == pytest.approx([float(part.statistic) for part in parts], rel=1e-7)
    assert whole.std_error == pytest.approx([float(part.std_error) for part in parts], rel=1e-7)
    assert np.isnan(whole.conf_int).all()


def test_a_stack_of_allocations_and_one_that_fails() -> None:
    trial = cells(0)
    orders = WEDGE.allocations()[:6]
    p = WildBootstrapTest().run(trial.reallocated(orders), sw.TwoWayFixedEffects()).p_value
    assert p == pytest.approx([float(WildBootstrapTest().run(trial.reallocated(o), sw.TwoWayFixedEffects()).p_value) for o in orders])
    trials = stack(3)
    mean = trials.cells.mean.copy()
    mean[1] = 4.0
    failed = WildBootstrapTest().run(replace(trials, cells=replace(trials.cells, mean=mean)), sw.TwoWayFixedEffects())
    assert failed.status.tolist() == [sw.Status.OK, sw.Status.NO_VARIATION, sw.Status.OK]
    assert np.isnan(failed.p_value).tolist() == [False, True, False]
    assert np.isnan(failed.statistic).tolist() == np.isnan(failed.std_error).tolist() == [False, True, False]


def test_power_takes_it_as_a_test() -> None:
    truth = sw.Scenario(family="gaussian", baseline=0.0, effect=2.0, size=30, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8))
    methods = {"wild": (sw.TwoWayFixedEffects(), WildBootstrapTest(weights="webb")), "t": sw.TwoWayFixedEffects()}
    table = sw.simulate_power(WEDGE, truth, methods, reps=250, seed=1).tidy().set_index("estimator")
    assert table.loc["wild", "power"] > 0.5
    assert table.loc["wild", "n_failed"] == 0


# What it shows --------------------------------------------------------------------------------------------------------------------------


def test_summary_and_plot() -> None:
    result = WildBootstrapTest().run(cells(1), sw.TwoWayFixedEffects())
    assert "wild cluster bootstrap (Rademacher, restricted, t)" in result.summary()
    assert "all 32 vectors of Rademacher weights over 5 clusters" in result.summary()
    axes = result.plot()
    assert "32 bootstrap samples" in axes.get_title(loc="left")
    assert axes.get_ylabel() == "Number of bootstrap samples"
    assert WildBootstrapTest(weights="webb", draws=99) == eval(repr(WildBootstrapTest(weights="webb", draws=99)))
