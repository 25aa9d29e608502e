"""Laws of the randomisation test: what it counts, what it says, and what must not move it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
import swedge as sw

Array = np.ndarray

FS = sw.Design.from_dates(
    {"Walsall": "2020-09-01", "Lancashire": "2021-02-01", "Telford": "2021-06-28", "Wandsworth": "2022-01-24", "Swindon": "2022-05-24"},
    start="2020-03-01",
    end="2022-11-24",
    strata=[["Walsall", "Lancashire"], ["Telford", "Wandsworth", "Swindon"]],
)
WEDGE = sw.Design.stepped_wedge(clusters=5, periods=6)
LARGE = sw.Design.stepped_wedge(clusters=7, periods=8)
LINEAR = [sw.WithinPeriod(), sw.TwoWayFixedEffects()]


def cells(design: sw.Design, seed: int, effect: float = 0.5, comparators: int = 0) -> sw.Trial:
    rng = np.random.default_rng([seed, 3])
    allocation = design.randomise(seed=seed)
    shape = (design.n_clusters + comparators, design.n_periods)
    mean = rng.standard_normal(shape) + rng.standard_normal((shape[0], 1))
    mean[: design.n_clusters] += effect * np.nan_to_num(allocation.treatment)
    others = [f"other {k}" for k in range(comparators)]
    return sw.Trial.from_cells(rng.integers(5, 50, shape), mean, allocation, comparators=others)


def moved(trial: sw.Trial, mean: Array) -> sw.Trial:
    return replace(trial, cells=replace(trial.cells, mean=mean[..., None]))


# Twelve allocations ----------------------------------------------------------------------------------------------------------------------


def test_with_twelve_allocations_the_95_interval_is_the_line_and_917_is_offered() -> None:
    assert FS.count() == 12
    result = sw.RandomisationTest().run(cells(FS, 1), sw.WithinPeriod())
    assert result.min_p == pytest.approx(1 / 12)
    assert result.conf_int.tolist() == [-np.inf, np.inf]
    assert result.offered_level == pytest.approx(11 / 12)
    low, high = result.offered_conf_int
    assert -np.inf < low < result.estimate < high < np.inf
    (note,) = [note for note in result.notes if "smallest p" in note]
    assert "0.083 (1 in 12)" in note
    assert "95%" in note
    assert "91.7%" in note
    assert f"{low:.4g} to {high:.4g}" in note
    assert note in result.summary()
    assert result.rejects(0.05) == np.False_
    asked = sw.RandomisationTest(level=11 / 12).run(cells(FS, 1), sw.WithinPeriod())
    assert asked.conf_int == pytest.approx([low, high])
    assert not any("smallest p" in note for note in asked.notes)


@pytest.mark.parametrize("estimator", [sw.FixedEffects(), sw.MixedModel(sw.Exchangeable()), sw.TwoWayFixedEffects()])
def test_the_smallest_p_is_reached_and_never_undercut(estimator: sw.Estimator) -> None:
    """An overwhelming effect gives 1/12 for every estimator, and an allocation that is not carried out gives more."""
    trial = cells(FS, 2, effect=50.0)
    test = sw.RandomisationTest(interval=False)
    assert test.run(trial, estimator).p_value == 1 / 12
    others = trial.reallocated(FS.allocations())
    p = test.run(others, estimator).p_value
    assert p.min() == 1 / 12
    assert (p * 12 == np.rint(p * 12)).all()


def test_mirror_images_tie_unless_comparators_stand_still() -> None:
    parallel = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[3, 3])
    strong = sw.RandomisationTest().run(cells(parallel, 1, effect=50.0), sw.TwoWayFixedEffects())
    assert strong.p_value == strong.min_p == 2 / 20
    beside = sw.RandomisationTest().run(cells(parallel, 1, effect=50.0, comparators=3), sw.TwoWayFixedEffects())
    assert beside.p_value == beside.min_p == 1 / 20
    assert np.isfinite(beside.conf_int).all()


# What p is -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statistic", ["estimate", "t"])
@pytest.mark.parametrize("estimator", [*LINEAR, sw.FixedEffects(vcov="overdispersed")])
def test_p_is_the_share_of_the_reference_that_reaches_the_statistic(estimator: sw.Estimator, statistic: str) -> None:
    trial = cells(WEDGE, 4)
    result = sw.RandomisationTest(statistic=statistic, interval=False).run(trial, estimator)
    fit = estimator.fit(trial)
    assert result.statistic == pytest.approx(float(fit.estimate if statistic == "estimate" else fit.statistic))
    assert result.exact
    assert result.n_allocations == len(result.reference) == 120
    own = WEDGE.number_of(trial.allocation.sequence)
    assert result.reference[own] == pytest.approx(float(result.statistic))
    assert result.p_value == np.mean(np.abs(result.reference) >= abs(result.statistic) * (1 - 1e-9))


@pytest.mark.parametrize("estimator", [sw.WithinPeriod(), sw.FixedEffects()])
def test_sampled_p_adds_one_to_both_counts(estimator: sw.Estimator) -> None:
    test = sw.RandomisationTest(draws=199, seed=0, interval=False)
    for effect in (0.3, 1e6):
        result = test.run(cells(LARGE, 5, effect=effect), estimator)
        beyond = int((np.abs(result.reference) >= abs(result.statistic) * (1 - 1e-9)).sum())
        assert result.p_value == (beyond + 1) / 200
        assert result.p_value >= result.min_p == 1 / 200
        assert not result.exact
        assert any("199 of 5,040 allocations, sampled" in note for note in result.notes)


def test_sampled_p_is_near_the_enumerated_one() -> None:
    """Within 4.5 Monte Carlo errors in each of 20 data sets, which is about 1 in 7,000 for the worst of them; and seeds differ."""
    differences = []
    for seed in range(20):
        trial = cells(LARGE, seed, effect=0.3)
        exact = float(sw.RandomisationTest(interval=False).run(trial, sw.WithinPeriod()).p_value)
        sampled = [float(sw.RandomisationTest(draws=999, seed=k, interval=False).run(trial, sw.WithinPeriod()).p_value) for k in (0, 1)]
        error = np.sqrt(exact * (1 - exact) / 999)
        assert max(abs(p - exact) for p in sampled) <= 4.5 * error + 1 / 1000
        differences.append(sampled[0] != sampled[1])
    assert any(differences)


def test_the_seed_settles_the_sample_and_zero_is_one() -> None:
    trial = cells(LARGE, 1)
    run = [sw.RandomisationTest(draws=50, seed=seed, interval=False).run(trial, sw.WithinPeriod()).reference for seed in (0, 0, 1)]
    assert run[0].tolist() == run[1].tolist()
    assert run[0].tolist() != run[2].tolist()


def test_as_many_draws_as_allocations_are_the_allocations() -> None:
    trial = cells(FS, 1)
    result = sw.RandomisationTest(draws=12).run(trial, sw.WithinPeriod())
    assert result.exact
    assert result.p_value == sw.RandomisationTest().run(trial, sw.WithinPeriod()).p_value
    assert not sw.RandomisationTest(draws=11).run(trial, sw.WithinPeriod()).exact


@pytest.mark.parametrize("statistic", ["estimate", "t"])
def test_fits_that_fail_under_other_allocations_count_as_extreme(statistic: str) -> None:
    """Two clusters lose every event in the second period: where exactly these are treated, or exactly the others, the logit separates."""
    design = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[2, 2], clusters=["a", "b", "c", "d"])
    events = np.array([[8, 0], [9, 0], [7, 12], [6, 9]])
    trial = sw.Trial.from_cells(np.full((4, 2), 40), events / 40, design.allocate({"a": 0, "b": 1, "c": 0, "d": 1}), family="binomial")
    result = sw.RandomisationTest(statistic=statistic, level=0.5).run(trial, sw.FixedEffects(vcov="model"))
    assert np.isnan(result.reference).sum() == 2
    reached = int((np.abs(result.reference) >= abs(result.statistic) * (1 - 1e-9)).sum())
    assert 0 < reached < 4
    assert result.p_value == (reached + 2) / 6
    assert any("2 of 6 fits under other allocations failed and count as extreme" in note for note in result.notes)


def test_a_stack_counts_a_failed_trial_as_failed() -> None:
    n = np.full((5, 6), 60)
    rng = np.random.default_rng(0)
    means = rng.binomial(60, 0.3, (3, 5, 6)) / 60
    means[1] = 0
    stack = sw.Trial.from_cells(n, means, FS.randomise(seed=0), family="binomial")
    for estimator in (sw.FixedEffects(), sw.WithinPeriod()):
        result = sw.RandomisationTest().run(stack, estimator)
        assert np.isnan(result.p_value).tolist() == [False, True, False]
        assert (result.status > sw.Status.SINGULAR).tolist() == [False, True, False]
        assert not result.rejects(0.999)[1]
        each = [sw.RandomisationTest(interval=False).run(stack.replicate(k), estimator).p_value for k in (0, 2)]
        assert result.p_value[::2].tolist() == [float(p) for p in each]


@pytest.mark.parametrize("estimator", [*LINEAR, sw.FixedEffects(), sw.MixedModel(sw.Exchangeable(), df="normal")])
@pytest.mark.parametrize("statistic", ["estimate", "t"])
def test_a_stack_is_its_trials_one_by_one(estimator: sw.Estimator, statistic: str) -> None:
    base = cells(FS, 1)
    rng = np.random.default_rng(1)
    means = rng.standard_normal((4, 5, 6))
    sequences = FS.random_allocations(4, rng)
    stack = moved(base, means).under(FS.treatment_of(sequences), FS.exposure_of(sequences))
    test = sw.RandomisationTest(statistic=statistic, interval=False)
    together = test.run(stack, estimator)
    each = [test.run(stack.replicate(k), estimator) for k in range(4)]
    assert together.p_value.tolist() == [float(r.p_value) for r in each]
    assert together.reference == pytest.approx(np.stack([r.reference for r in each], -1), rel=1e-9)


# What must not move it -------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.sampled_from(LINEAR), st.sampled_from([-2.0, 1e-9, 1e7]))
def test_p_has_no_unit_and_no_level(seed: int, estimator: sw.LinearEstimator, unit: float) -> None:
    trial = cells(FS, seed % 50)
    rng = np.random.default_rng(seed)
    level = 10.0 ** rng.integers(-3, 7) * rng.standard_normal(6)
    plain = sw.RandomisationTest(level=0.8).run(trial, estimator)
    other = sw.RandomisationTest(level=0.8).run(moved(trial, unit * (trial.outcome + level)), estimator)
    assert other.p_value == plain.p_value
    size = np.abs(level).max() + 1
    assert np.sort(other.conf_int / unit) == pytest.approx(plain.conf_int, abs=1e-8 * size)


@given(st.integers(0, 50), st.sampled_from(LINEAR), st.floats(-5, 5))
def test_interval_moves_with_the_treated_cells(seed: int, estimator: sw.LinearEstimator, shift: float) -> None:
    trial = cells(FS, seed)
    plain = sw.RandomisationTest(level=0.8).run(trial, estimator)
    other = sw.RandomisationTest(level=0.8).run(moved(trial, trial.outcome + shift * trial.arm), estimator)
    assert other.conf_int == pytest.approx(plain.conf_int + shift, abs=1e-7)


@pytest.mark.parametrize("estimator", [*LINEAR, sw.FixedEffects(), sw.MixedModel(sw.Exchangeable())])
def test_relabelling_moves_nothing(estimator: sw.Estimator) -> None:
    trial = cells(FS, 3)
    order = [1, 0, 4, 2, 3]  # within the strata
    names = [FS.clusters[i] for i in order]
    allocation = FS.allocate({FS.clusters[new]: trial.allocation.sequence[old] for new, old in enumerate(order)})
    relabelled = sw.Trial.from_cells(trial.n[order], trial.outcome[order], allocation)
    test = sw.RandomisationTest(level=0.8)
    plain, other = test.run(trial, estimator), test.run(relabelled, estimator)
    assert sorted(names) == sorted(FS.clusters)
    assert other.p_value == plain.p_value
    assert other.conf_int == pytest.approx(plain.conf_int, abs=1e-6)


def test_exactly_additive_data_are_all_ties() -> None:
    """No effect and no noise: every statistic is 0 but for rounding, and rounding is no evidence."""
    base = cells(WEDGE, 1)
    clusters, periods = np.arange(5)[:, None] ** 3 / 7, np.arange(6) ** 2 / 3
    for level in (0.0, 1e6):
        result = sw.RandomisationTest(interval=False).run(moved(base, level + clusters + periods), sw.TwoWayFixedEffects())
        assert result.p_value == 1.0


# Comparators and unobserved cells --------------------------------------------------------------------------------------------------------


def test_comparators_stay_untreated() -> None:
    trial = cells(FS, 4, comparators=3)
    result = sw.RandomisationTest(interval=False).run(trial, sw.TwoWayFixedEffects(weigh="equal"))
    assert result.n_allocations == 12
    expected = []
    for sequence in FS.allocations():
        treatment = np.vstack([FS.matrix[sequence], np.zeros((3, 6))])
        x = reference.cell_design(treatment, cluster_effects=True)
        expected.append(np.linalg.lstsq(x, trial.outcome.ravel(), rcond=None)[0][0])
    assert result.reference == pytest.approx(np.array(expected), abs=1e-10)
    assert any("comparators" in note for note in result.notes)
    alone = sw.RandomisationTest(interval=False).run(cells(FS, 4), sw.TwoWayFixedEffects(weigh="equal"))
    assert not any("comparators" in note for note in alone.notes)


def test_cells_never_collected_make_p_approximate_and_it_says_so() -> None:
    design = sw.Design.stepped_wedge(clusters=4, periods=6, transition=1)
    trial = cells(design, 1)
    out = np.isnan(trial.treatment)
    lacking = replace(trial, cells=replace(trial.cells, n=np.where(out, 0.0, trial.cells.n)))
    assert any("p is approximate" in note for note in sw.RandomisationTest().run(lacking, sw.WithinPeriod()).notes)
    assert not any("approximate" in note for note in sw.RandomisationTest().run(trial, sw.WithinPeriod()).notes)


def test_a_panel_of_rows_has_the_same_test_as_its_cells() -> None:
    rng = np.random.default_rng(0)
    allocation = FS.randomise(seed=5)
    la, period = np.indices((5, 6)).reshape(2, -1).repeat(8, axis=1)
    frame = pd.DataFrame({"la": np.array(FS.clusters)[la], "period": period + 1, "y": rng.standard_normal(240)})
    rows = sw.Trial.from_frame(frame, allocation, cluster="la", period="period", outcome="y")
    mean = frame.groupby(["la", "period"], sort=False).y.mean().to_numpy().reshape(5, 6)
    plain = sw.RandomisationTest().run(sw.Trial.from_cells(np.full((5, 6), 8), mean, allocation), sw.WithinPeriod())
    assert sw.RandomisationTest().run(rows, sw.WithinPeriod()).reference == pytest.approx(plain.reference, abs=1e-12)
