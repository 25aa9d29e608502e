"""Laws of the placebo test: whose cells it uses, what p and the interval are, and what must not move it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import reference
import swedge as sw

Array = np.ndarray
TREATED = sw.Design.from_matrix([[0, 0, 1, 1], [0, 0, 0, 1]], clusters_per_sequence=[1, 1], clusters=["Avon", "Bute"])


def trial_of(seed: int, others: int = 9, effect: float = 0.0, design: sw.Design = TREATED) -> sw.Trial:
    rng = np.random.default_rng([seed, 5])
    allocation = design.randomise(seed=seed)
    shape = (design.n_clusters + others, design.n_periods)
    mean = rng.standard_normal(shape) + rng.standard_normal((shape[0], 1))
    mean[: design.n_clusters] += effect * np.nan_to_num(allocation.treatment)
    return sw.Trial.from_cells(np.full(shape, 10), mean, allocation, comparators=[f"other {k}" for k in range(others)])


def every_placebo(trial: sw.Trial) -> Array:
    """The estimates of all ordered choices of comparators, by plain least squares without the treated clusters."""
    treated = (trial.arm > 0).any(-1)
    schedules, outcome = trial.arm[treated], trial.outcome[~treated]
    found = []
    for chosen in permutations(range(len(outcome)), int(treated.sum())):
        treatment = np.zeros(outcome.shape)
        treatment[list(chosen)] = schedules
        x = reference.cell_design(treatment, cluster_effects=True)
        found.append(np.linalg.lstsq(x, outcome.ravel(), rcond=None)[0][0])
    return np.array(found)


ALIKE = sw.Design.from_matrix([[0, 0, 1, 1]], clusters_per_sequence=[3])


def test_few_placebos_are_tried_once_each() -> None:
    trial = trial_of(1, others=6)
    result = sw.PlaceboTest().run(trial, sw.TwoWayFixedEffects())
    assert result.n_allocations == 30
    assert np.sort(result.reference) == pytest.approx(np.sort(every_placebo(trial)), abs=1e-10)
    assert any("30 different placebos" in note for note in result.notes)


def test_treated_clusters_of_one_schedule_are_interchangeable() -> None:
    """Choices, not orders: 7 over 3 is 35, where the orders would be 210."""
    trial = trial_of(1, others=7, design=ALIKE)
    result = sw.PlaceboTest().run(trial, sw.TwoWayFixedEffects())
    possible = np.unique(every_placebo(trial).round(9))
    assert result.n_allocations == len(possible) == 35
    assert np.sort(result.reference) == pytest.approx(possible, abs=1e-8)
    many = sw.Design.from_matrix([[0, 1]], clusters_per_sequence=[9])
    assert sw.PlaceboTest().run(trial_of(1, others=11, design=many), sw.TwoWayFixedEffects()).n_allocations == 55  # of 20 million orders


def test_many_placebos_are_drawn_evenly() -> None:
    trial = trial_of(1, others=7)
    possible = every_placebo(trial)
    assert len(possible) == 42
    drawn = np.zeros(42)
    for seed in range(60):
        reference_of = sw.PlaceboTest(draws=41, seed=seed).run(trial, sw.TwoWayFixedEffects()).reference
        apart = np.abs(reference_of[:, None] - possible)
        assert apart.min(1).max() < 1e-10
        drawn += np.bincount(apart.argmin(1), minlength=42)
    mean = 60 * 41 / 42
    assert np.abs(drawn - mean).max() < 4.5 * np.sqrt(mean)  # 1 in 3,500 for the worst of 42


@pytest.mark.parametrize("draws", [50, 999], ids=["sampled", "enumerated"])
@pytest.mark.parametrize("effect", [0.0, 1e6])
def test_p_adds_one_to_both_counts(effect: float, draws: int) -> None:
    result = sw.PlaceboTest(draws=draws).run(trial_of(2, effect=effect), sw.TwoWayFixedEffects())
    count = min(draws, 72)
    beyond = int((np.abs(result.reference) >= abs(result.estimate) * (1 - 1e-9)).sum())
    assert result.n_allocations == len(result.reference) == count
    assert result.p_value == (beyond + 1) / (count + 1)
    assert result.p_value >= result.min_p == 1 / (count + 1)
    assert not result.exact


@pytest.mark.parametrize("seed", range(5))
def test_interval_is_the_set_of_effects_not_rejected(seed: int) -> None:
    """Each end is probed by taking an effect out of the data and testing again with the same draws."""
    trial = trial_of(seed, effect=1.0)
    test = sw.PlaceboTest(draws=199, seed=seed, level=0.9)
    low, high = test.run(trial, sw.TwoWayFixedEffects()).conf_int
    for end, outwards in ((low, -1), (high, 1)):
        inside, outside = (test.run(trial.without(end + step), sw.TwoWayFixedEffects()) for step in (-1e-6 * outwards, 1e-6 * outwards))
        assert inside.p_value > 0.1 + 1e-9
        assert outside.p_value <= 0.1 + 1e-9


def test_treated_clusters_take_no_part_in_the_reference() -> None:
    trial = trial_of(3)
    wild = trial.outcome.copy()
    wild[:2] = [[1e3, -1e3, 5e3, 0], [7e3, 0, 0, -9e3]]
    other = replace(trial, cells=replace(trial.cells, mean=wild[..., None]))
    for estimator in (sw.TwoWayFixedEffects(), sw.WithinPeriod(), sw.FixedEffects()):
        plain, moved = (sw.PlaceboTest(draws=50).run(t, estimator) for t in (trial, other))
        assert moved.reference == pytest.approx(plain.reference, abs=1e-9)
        assert moved.estimate != plain.estimate


def test_scatter_of_the_treated_clusters_takes_no_part_either() -> None:
    """Individual covariates and a mixed model's variances, against the same test on rows from which the treated clusters were removed."""
    rng = np.random.default_rng(0)
    allocation = TREATED.randomise(seed=0)
    names = [*TREATED.clusters, *(f"other {k}" for k in range(8))]
    la, period = (index.ravel().repeat(6) for index in np.indices((10, 4)))
    score = rng.standard_normal(len(la)) * np.where(la < 2, 9.0, 1.0)
    frame = pd.DataFrame({"la": np.array(names)[la], "period": period + 1, "score": score})
    frame["y"] = np.where(la < 2, -5.0, 0.7) * score + rng.standard_normal(len(la))
    trial = sw.Trial.from_frame(frame, allocation, cluster="la", period="period", outcome="y", covariates="score", comparators=names[2:])
    result = sw.PlaceboTest(draws=20, seed=4).run(trial, sw.FixedEffects())
    rest = frame[la >= 2]
    indicators = np.column_stack([pd.get_dummies(rest.period), pd.get_dummies(rest.la).iloc[:, 1:], rest.score]).astype(float)
    possible = []
    for chosen in permutations(names[2:], 2):
        treated = np.zeros(len(rest))
        for name, schedule in zip(chosen, trial.arm[:2], strict=True):
            treated[(rest.la == name).to_numpy()] = schedule[rest.period[rest.la == name] - 1]
        possible.append(np.linalg.lstsq(np.column_stack([treated, indicators]), rest.y, rcond=None)[0][0])
    assert np.abs(result.reference[:, None] - np.array(possible)).min(1).max() < 1e-8
    mixed = sw.PlaceboTest(draws=5).run(trial, sw.MixedModel(sw.Exchangeable(), df="normal"))
    assert np.isfinite(mixed.reference).all()


def test_scatter_pooled_over_all_clusters_is_refused_where_it_matters() -> None:
    trial = trial_of(1)
    pooled = replace(trial, cells=replace(trial.cells, within=np.full((1, 1, 1), 300.0)))
    with pytest.raises(sw.DataError, match=r"one scatter for all clusters.*Pass one matrix a cluster"):
        sw.PlaceboTest(draws=9).run(pooled, sw.MixedModel(sw.Exchangeable()))
    plain = sw.PlaceboTest(draws=9).run(trial, sw.TwoWayFixedEffects())
    assert sw.PlaceboTest(draws=9).run(pooled, sw.TwoWayFixedEffects()).reference.tolist() == plain.reference.tolist()


def test_too_few_draws_for_the_level_say_so() -> None:
    few = sw.PlaceboTest(draws=10).run(trial_of(1), sw.TwoWayFixedEffects())
    assert few.conf_int.tolist() == [-np.inf, np.inf]
    assert any("0.091" in note and "whole line" in note for note in few.notes)
    enough = sw.PlaceboTest(draws=19).run(trial_of(1), sw.TwoWayFixedEffects())
    assert np.isfinite(enough.conf_int).all()
    assert not any("whole line" in note for note in enough.notes)


def test_fits_that_fail_count_as_extreme_and_widen_the_interval() -> None:
    """Three comparators never see an event: a logit with one of them treated on paper separates."""
    rng = np.random.default_rng(1)
    trial = trial_of(1, others=8)
    events = rng.binomial(40, 0.4, (10, 4))
    events[7:, 2:] = 0
    binomial = replace(trial, family="binomial", cells=replace(trial.cells, n=np.full((10, 4), 40.0), mean=events[..., None] / 40))
    result = sw.PlaceboTest(draws=40).run(binomial, sw.FixedEffects())
    failed = int(np.isnan(result.reference).sum())
    assert 0 < failed < 40
    reached = int((np.abs(result.reference) >= abs(result.estimate) * (1 - 1e-9)).sum())
    assert result.p_value == (reached + failed + 1) / 41
    assert any(f"{failed} of 40 placebo fits failed and count as extreme" in note for note in result.notes)
    assert failed > 0.05 * 41
    assert result.conf_int.tolist() == [-np.inf, np.inf], "more than 5% of the draws are infinitely far"


def test_the_seed_settles_the_draws_and_zero_is_one() -> None:
    draws = [sw.PlaceboTest(draws=30, seed=seed).run(trial_of(1), sw.TwoWayFixedEffects()).reference.tolist() for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


def test_a_panel_without_a_design_is_what_it_is_for() -> None:
    rng = np.random.default_rng(3)
    years, names = np.arange(2015, 2023), [f"la {k:02d}" for k in range(14)]
    frame = pd.DataFrame([(name, year) for name in names for year in years], columns=["la", "year"])
    frame["first"] = frame.la.map({names[0]: 2018, names[1]: 2020}).fillna(0)
    frame["rate"] = rng.standard_normal(len(frame)) + 40 * ((frame["first"] > 0) & (frame.year >= frame["first"]))
    panel = sw.Trial.from_panel(frame, cluster="la", period="year", outcome="rate", first_treated="first")
    result = sw.PlaceboTest(draws=199).run(panel, sw.TwoWayFixedEffects())
    assert result.n_allocations == 12 * 11
    assert result.p_value == 1 / 133
    assert result.conf_int[0] < 40 < result.conf_int[1]
    assert any("2 of 12 comparators" in note and "not on randomisation" in note for note in result.notes)
    with pytest.raises(sw.DataError, match="PlaceboTest"):
        sw.RandomisationTest().run(panel, sw.TwoWayFixedEffects())


# Gaps -----------------------------------------------------------------------------------------------------------------------------------


def gappy(seed: int, lacking: list[tuple[int, int]], others: int = 8) -> pd.DataFrame:
    """Rows of two treated clusters, first treated in periods 3 and 4 of 6, and others; without the `lacking` cells (cluster, period)."""
    rng = np.random.default_rng([seed, 9])
    rows = [(f"c{i:02d}", t, {0: 3, 1: 4}.get(i, 0)) for i in range(2 + others) for t in range(1, 7) if (i, t) not in lacking]
    return pd.DataFrame(rows, columns=["c", "t", "first"]).assign(y=rng.standard_normal(len(rows)))


def as_panel(frame: pd.DataFrame) -> sw.Trial:
    return sw.Trial.from_panel(frame, cluster="c", period="t", outcome="y", first_treated="first")


LACKING = [(0, 1), (0, 3), (1, 6)]
ESTIMATORS = [sw.CallawaySantAnna(), sw.Imputation(), sw.TwoWayFixedEffects(), sw.Switchers(), sw.GeneralisedDiD()]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_a_stand_in_goes_without_the_cells_that_the_treated_cluster_lacks(estimator: sw.Estimator) -> None:
    """Each of the 56 placebos built by hand, one panel each, its stand-ins' rows deleted."""
    frame = gappy(1, LACKING)
    result = sw.PlaceboTest().run(as_panel(frame), estimator)
    rest, found = frame[frame["first"] == 0], []
    for chosen in permutations(sorted(rest["c"].unique()), 2):
        lost = [(chosen[i], t) for i, t in LACKING]
        own = rest[[pair not in lost for pair in zip(rest["c"], rest["t"], strict=True)]]
        found.append(float(estimator.point(as_panel(own.assign(first=own["c"].map(dict(zip(chosen, (3, 4), strict=True))).fillna(0))))))
    assert np.sort(result.reference) == pytest.approx(np.sort(found), abs=1e-10)


def rows_of(design: sw.Design, lacking: list[tuple[str, int]]) -> tuple[pd.DataFrame, sw.Trial, list[str]]:
    """Eight rows a cell of Avon, Bute and six others, their trial, and the others' names."""
    rng, allocation, names = np.random.default_rng(3), design.allocate({"Avon": 0, "Bute": 1}), [f"other {k}" for k in range(6)]
    there = allocation.schedule().set_index(["cluster", "period"])["treatment"]
    cells = [
        (c, t) for c in ("Avon", "Bute", *names) for t in range(1, 5) if (c, t) not in lacking and not np.isnan(there.get((c, t), 0.0))
    ]
    frame = pd.DataFrame([(c, t) for c, t in cells for _ in range(8)], columns=["cluster", "period"])
    frame["y"] = rng.standard_normal(len(frame)) + frame["cluster"].map({c: rng.standard_normal() for c in ("Avon", "Bute", *names)})
    return frame, sw.Trial.from_frame(frame, allocation, comparators=names, **WHERE), names


WHERE = {"outcome": "y", "cluster": "cluster", "period": "period", "empty": "keep"}
MODEL = sw.MixedModel(sw.Exchangeable(), df="satterthwaite")


def test_scatter_of_cells_that_a_stand_in_goes_without_is_left_out() -> None:
    """A mixed model where scatter is known cell by cell: every placebo, by hand on the rows that are left."""
    design = sw.Design.from_matrix([[0, None, 1, 1], [0, 0, None, 1]], clusters_per_sequence=[1, 1], clusters=["Avon", "Bute"])
    frame, trial, names = rows_of(design, [("Avon", 4)])
    found = []
    for one, two in permutations(names, 2):
        gone = [(one, 2), (one, 4), (two, 3)]
        pairs = zip(frame["cluster"], frame["period"], strict=True)
        own = frame[[name in names and (name, period) not in gone for name, period in pairs]]
        own = own.assign(cluster=own["cluster"].replace({one: "Avon", two: "Bute"}))
        left = sw.Trial.from_frame(own, trial.allocation, comparators=[name for name in names if name not in (one, two)], **WHERE)
        found.append(float(MODEL.fit(left).estimate))
    assert np.sort(sw.PlaceboTest(draws=30).run(trial, MODEL).reference) == pytest.approx(np.sort(found), abs=1e-5)


def test_bad_input_gaps_that_a_stand_in_cannot_have() -> None:
    trial = rows_of(TREATED, [("Avon", 4)])[1]
    with pytest.raises(sw.DataError, match=r"Avon \(1 of 2 treated clusters\) lack some period.*Use an estimator of cell means"):
        sw.PlaceboTest().run(trial, MODEL)
    assert np.isfinite(sw.PlaceboTest().run(trial, sw.TwoWayFixedEffects()).p_value)


def test_calibration_treated_clusters_with_gaps_hold_the_tests_size() -> None:
    """Of 200 tests at 5% with two treated clusters seen twice each; more rejected while stand-ins were seen throughout."""
    lacking = [(i, t) for i, kept in ((0, (2, 3)), (1, (3, 4))) for t in range(1, 7) if t not in kept]
    p = [float(sw.PlaceboTest(draws=99, seed=k).run(as_panel(gappy(k, lacking, 12)), sw.TwoWayFixedEffects()).p_value) for k in range(200)]
    assert np.mean(np.array(p) <= 0.05) < 0.11
