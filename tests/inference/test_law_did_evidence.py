"""Laws of the split of evidence, of tests for few treated clusters, and of estimates side by side."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from few_treated_panels import with_outcome
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.inference.evidence import split_evidence
from swedge.inference.few_treated import ConleyTaberTest, FermanPintoTest
from swedge.inference.robustness import robustness, wedge_and_comparators, without_periods, without_run_up

Array = np.ndarray
WEDGE = sw.Design.stepped_wedge(clusters=4, periods=5)
STRATA = sw.Design.stepped_wedge(clusters=["a", "b", "c", "d"], periods=5, strata=[["a", "b"], ["c", "d"]])
ESTIMATORS = {"two-way": sw.TwoWayFixedEffects(), "not yet": CallawaySantAnna(controls="not_yet"), "never": CallawaySantAnna()}


def trial_of(seed: int, others: int = 8, design: sw.Design = WEDGE, effect: float = 0.0) -> sw.Trial:
    rng = np.random.default_rng([seed, 11])
    allocation = design.randomise(seed=seed)
    y = rng.standard_normal((4 + others, 5)) + 3 * rng.standard_normal((4 + others, 1)) + rng.standard_normal(5)
    y[:4] += effect * allocation.treatment
    return sw.Trial.from_cells(np.ones(y.shape), y, allocation, comparators=[f"other {k}" for k in range(others)])


def parts(trial: sw.Trial, estimator: sw.LinearEstimator) -> pd.DataFrame:
    table = split_evidence(trial, estimator, draws=49).tidy()
    return table.drop_duplicates("term").set_index("term")


@pytest.mark.parametrize("name", ESTIMATORS)
def test_parts_average_to_the_estimate(name: str) -> None:
    trial = trial_of(1)
    split = split_evidence(trial, ESTIMATORS[name], draws=49)
    own = split.tidy().drop_duplicates("term").set_index("term")
    mixed = split.share * own.loc["randomised order", "estimate"] + (1 - split.share) * own.loc["parallel trends", "estimate"]
    assert mixed == pytest.approx(own.loc["together", "estimate"], abs=1e-12)
    assert own.loc["together", "estimate"] == pytest.approx(float(ESTIMATORS[name].point(trial)), abs=1e-12)
    assert own["share"].tolist() == pytest.approx([split.share, 1 - split.share, 1.0])


@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_part_estimates_a_constant_effect(name: str) -> None:
    """Adding d to treated cells adds d to each part."""
    trial = trial_of(2)
    before, after = (parts(t, ESTIMATORS[name])["estimate"] for t in (trial, with_outcome(trial, trial.outcome + 2.5 * trial.arm)))
    assert (after - before).to_numpy() == pytest.approx([2.5] * 3, abs=1e-10)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_trend_of_the_comparators_moves_the_assumed_part_alone(name: str) -> None:
    """What the trial's clusters share, and what the comparators share, the order cannot see."""
    trial = trial_of(3)
    drift = np.where(np.arange(12)[:, None] >= 4, np.arange(5.0) ** 2, 0.0)
    before, after = (parts(t, ESTIMATORS[name]) for t in (trial, with_outcome(trial, trial.outcome + drift)))
    assert after.loc["randomised order", "estimate"] == pytest.approx(before.loc["randomised order", "estimate"], abs=1e-10)
    assert after.loc["randomised order", "p_value"] == before.loc["randomised order", "p_value"]
    assert abs(after.loc["parallel trends", "estimate"] - before.loc["parallel trends", "estimate"]) > 0.5


def test_order_is_tested_by_enumeration() -> None:
    """Against the estimates of all 24 orders, by plain refits: the mean taken off, and both tails counted."""
    trial, estimator = trial_of(4), sw.TwoWayFixedEffects()
    found = np.array([float(estimator.point(trial.reallocated(np.array(order)))) for order in permutations(range(4))])
    observed = float(estimator.point(trial)) - found.mean()
    split = split_evidence(trial, estimator, draws=49)
    own = split.tidy().set_index("term").loc["randomised order"]
    assert np.sort(split.reference) == pytest.approx(np.sort(found), abs=1e-10)
    assert own["p_value"] == (np.abs(found - found.mean()) >= abs(observed) - 1e-9).sum() / 24
    assert own["min_p"] == 1 / 24


@pytest.mark.parametrize("seed", range(3))
def test_interval_of_the_order_is_what_its_test_does_not_reject(seed: int) -> None:
    trial = trial_of(seed, effect=1.0)
    estimator = sw.TwoWayFixedEffects()
    low, high = split_evidence(trial, estimator, draws=49, level=0.9).tidy().loc[0, ["conf_low", "conf_high"]]
    for end, outwards in ((low, -1), (high, 1)):
        inside, outside = (parts(trial.without(end + s * outwards), estimator).loc["randomised order", "p_value"] for s in (-1e-6, 1e-6))
        assert inside > 0.1 + 1e-9
        assert outside <= 0.1 + 1e-9


def test_order_has_its_size_under_any_trend_of_the_comparators() -> None:
    """Under the null, p at most k/24 in k/24 of the 24 orders, ties apart: exact, not approximate."""
    trial, estimator = trial_of(5), sw.TwoWayFixedEffects()
    p = [parts(trial.reallocated(np.array(order)), estimator).loc["randomised order", "p_value"] for order in permutations(range(4))]
    assert np.sort(p) == pytest.approx(np.arange(1, 25) / 24, abs=1e-12)


def test_two_way_order_is_the_trial_without_comparators() -> None:
    trial = trial_of(6)
    alone = sw.Trial.from_cells(np.ones((4, 5)), trial.outcome[:4], trial.allocation)
    own = parts(trial, sw.TwoWayFixedEffects()).loc["randomised order", "estimate"]
    assert own == pytest.approx(float(sw.TwoWayFixedEffects().point(alone)), abs=1e-10)


def test_without_comparators_or_strata_all_is_order() -> None:
    """Strata take different steps, so that between them stands an assumption too."""
    for design, whole in ((WEDGE, True), (STRATA, False)):
        trial = trial_of(7, others=0, design=design)
        split = split_evidence(trial, sw.TwoWayFixedEffects(), draws=49)
        assert (abs(split.share - 1) < 1e-9) == whole
        assert ("parallel trends" in set(split.tidy()["term"])) != whole
    assert any("cannot reject" in note for note in split.notes), "4 allocations"
    assert any("fewer than two comparators" in note for note in split.notes)


@pytest.mark.parametrize("collected", [True, False])
def test_cells_left_out_count_under_the_allocations_that_observe_them(collected: bool) -> None:
    """A transition period: with its cells collected the order's null is that of plain refits, without them a note says so."""
    design = sw.Design.stepped_wedge(clusters=4, periods=6, transition=1)
    allocation = design.randomise(seed=2)
    y = np.random.default_rng(3).standard_normal((11, 6))
    n = np.ones(y.shape)
    n[:4] = np.where(np.isnan(allocation.treatment) & (not collected), 0.0, 1.0)
    trial = sw.Trial.from_cells(n, y, allocation, comparators=[f"other {k}" for k in range(7)])
    split = split_evidence(trial, sw.TwoWayFixedEffects(), draws=49)
    own = split.tidy().drop_duplicates("term").set_index("term")["estimate"]
    mixed = split.share * own["randomised order"] + (1 - split.share) * own["parallel trends"]
    assert mixed == pytest.approx(own["together"], abs=1e-12)
    assert any("not collected" in note for note in split.notes) != collected
    if collected:
        every = [float(sw.TwoWayFixedEffects().point(trial.reallocated(np.array(order)))) for order in permutations(range(4))]
        assert np.sort(split.reference) == pytest.approx(np.sort(every), abs=1e-10)


def test_placebos_of_the_assumed_part_are_every_choice() -> None:
    """8 comparators over 4, weighed as the trial's clusters are, the other 4 in the comparators' place."""
    trial = trial_of(8)
    split = split_evidence(trial, sw.TwoWayFixedEffects())
    weights, y = split.weights["parallel trends"], trial.outcome[4:]
    found = []
    for order in permutations(range(8), 4):
        rest = [k for k in range(8) if k not in order]
        found.append((weights[:4] * y[list(order)]).sum() + (weights[4:].sum(0) / 4 * y[rest]).sum())
    estimate = (weights * trial.outcome).sum()
    expected = (np.abs(np.unique(np.round(found, 9))) >= abs(estimate) - 1e-9).sum()
    row = split.tidy().query("test == 'placebo' and term == 'parallel trends'").iloc[0]
    assert row["min_p"] == pytest.approx(1 / 71)
    assert row["p_value"] == pytest.approx((expected + 1) / 71)


def test_split_speaks_and_draws() -> None:
    split = split_evidence(trial_of(9), sw.TwoWayFixedEffects(), draws=49)
    said = split.summary()
    assert "randomised order" in said
    assert "24 permitted allocations" in said
    assert split.tidy()["test"].tolist() == ["randomisation", "wald (CR2)", "placebo", "conley-taber", "wald", "placebo"]
    assert split.plot().get_yticklabels()[0].get_text().startswith("randomised order")
    assert "EvidenceSplit" in repr(split)


# Few treated clusters


def panel_of(seed: int, treated: int = 1, others: int = 7, sizes: Array | None = None, effect: float = 0.0) -> sw.Trial:
    rng = np.random.default_rng([seed, 13])
    count = treated + others
    frame = pd.DataFrame([(f"la {i:02d}", t) for i in range(count) for t in range(1, 7)], columns=["la", "year"])
    frame["first"] = frame.la.map({f"la {i:02d}": 3 + i for i in range(treated)}).fillna(0)
    frame["n"] = np.repeat(np.ones(count) if sizes is None else sizes, 6)
    frame["y"] = rng.standard_normal(len(frame)) / np.sqrt(frame.n) + np.repeat(rng.standard_normal(count), 6)
    frame["y"] += effect * ((frame["first"] > 0) & (frame.year >= frame["first"]))
    return sw.Trial.from_panel(frame, cluster="la", period="year", outcome="y", first_treated="first", size="n")


def departures(y: Array) -> Array:
    own = y - y.mean(0)
    return own * np.sqrt(len(own) / (len(own) - 1))


@pytest.mark.parametrize("treated", [1, 2])
def test_conley_taber_tries_every_choice_of_comparators(treated: int) -> None:
    trial, estimator = panel_of(1, treated), sw.TwoWayFixedEffects()
    result = ConleyTaberTest().run(trial, estimator)
    weights, lent = estimator.weights(trial)[:treated], departures(trial.outcome[treated:])
    every = [sum(float(weights[j] @ lent[k]) for j, k in enumerate(chosen)) for chosen in product(range(7), repeat=treated)]
    assert np.sort(result.reference) == pytest.approx(np.sort(every), abs=1e-12)
    assert result.p_value == ((np.abs(every) >= abs(float(result.estimate))).sum() + 1) / (7**treated + 1)
    assert result.min_p == 1 / (7**treated + 1)
    assert any("squared weights" in note for note in result.notes)


@pytest.mark.parametrize("test", [ConleyTaberTest(draws=199, level=0.9), FermanPintoTest(draws=199, level=0.9)])
@pytest.mark.parametrize("sizes", [False, True])
def test_interval_is_what_the_test_does_not_reject(test: ConleyTaberTest | FermanPintoTest, sizes: bool) -> None:
    trial = panel_of(2, 2, 9, np.repeat([20.0, 5.0], [5, 6]) if sizes else None, effect=0.7)
    low, high = test.run(trial, sw.TwoWayFixedEffects()).conf_int
    for end, outwards in ((low, -1), (high, 1)):
        inside, outside = (float(test.run(trial.without(end + s * outwards), sw.TwoWayFixedEffects()).p_value) for s in (-1e-5, 1e-5))
        assert inside > 0.1 + 1e-9
        assert outside <= 0.1 + 1e-9


def test_ferman_pinto_rescales_errors_by_size() -> None:
    """Against loops: variance A + B / size by non-negative least squares over a fine grid, then every cluster's path rescaled."""
    sizes = np.array([4.0, 4, 9, 9, 16, 25, 25, 36])
    trial, estimator = panel_of(3, 1, 7, sizes), sw.TwoWayFixedEffects(weigh="equal")
    weights, lent = estimator.weights(trial), departures(trial.outcome)
    squares = np.array([(weights[0] @ path) ** 2 for path in lent])
    best = min(((((squares - a - b / sizes) ** 2).sum(), a, b) for a, b in candidates(squares, sizes)), key=lambda row: row[0])
    spread = np.sqrt(best[1] + best[2] / sizes)
    chosen = np.random.default_rng(0).integers(8, size=(99, 8))
    slow = [sum(weights[i] @ lent[k] * spread[i] / spread[k] for i, k in enumerate(row)) for row in chosen]
    result = FermanPintoTest(draws=99).run(trial, estimator)
    assert result.reference == pytest.approx(np.array(slow), abs=1e-9)
    assert any("rescaled by cluster size, 4 to 36" in note for note in result.notes)


def candidates(squares: Array, sizes: Array) -> list[tuple[float, float]]:
    """Least squares of both terms, or of one of them where the other would be negative."""
    terms = np.stack([np.ones(len(sizes)), 1 / sizes], -1)
    both = np.linalg.lstsq(terms, squares, rcond=None)[0]
    alone = [float(squares @ column / (column @ column)) for column in terms.T]
    return [(alone[0], 0.0), (0.0, alone[1]), *([tuple(both)] if (both >= 0).all() else [])]


def test_equal_sizes_are_one_variance() -> None:
    trial = panel_of(4, 1, 7)
    assert FermanPintoTest(draws=99).run(trial, sw.TwoWayFixedEffects()).notes[0].startswith("All clusters are of one size")


@pytest.mark.parametrize("test", [ConleyTaberTest(draws=199), FermanPintoTest(draws=199)])
def test_levels_and_common_periods_are_no_errors(test: ConleyTaberTest | FermanPintoTest) -> None:
    trial = panel_of(5, 2, 8)
    moved = with_outcome(trial, trial.outcome + 50 * np.arange(10)[:, None] + 9 * np.arange(6.0) ** 2)
    plain, other = (test.run(t, sw.TwoWayFixedEffects()) for t in (trial, moved))
    assert other.reference == pytest.approx(plain.reference, abs=1e-9)
    assert other.estimate == pytest.approx(float(plain.estimate), abs=1e-9)
    assert other.plot().get_ylabel() == "Number of draws"


def test_too_few_draws_give_the_whole_line() -> None:
    for test in (ConleyTaberTest(draws=9), FermanPintoTest(draws=9)):
        result = test.run(panel_of(6, 2, 9), sw.TwoWayFixedEffects())
        assert result.conf_int.tolist() == [-np.inf, np.inf]
        assert any("whole line" in note for note in result.notes)


# Side by side


def test_wedge_and_comparators_stand_side_by_side() -> None:
    trial = trial_of(10)
    found = wedge_and_comparators(trial)
    table = found.tidy().set_index("way")
    alone = sw.Trial.from_cells(np.ones((4, 5)), trial.outcome[:4], trial.allocation)
    exact = sw.RandomisationTest().run(alone, sw.TwoWayFixedEffects())
    assert table.loc["stepped wedge alone", "estimate"] == pytest.approx(float(exact.estimate), abs=1e-10)
    assert table.loc["stepped wedge alone", "p_randomisation"] == exact.p_value
    assert table.loc["stepped wedge alone", "min_p"] == exact.min_p
    assert table["p_randomisation"].isna().tolist() == [False, True, True]
    assert table.loc["comparators alone", "estimate"] == pytest.approx(float(CallawaySantAnna().point(trial)))
    assert table.loc["both", "estimate"] == pytest.approx(float(sw.TwoWayFixedEffects().point(trial)))
    assert len(found.plot().get_yticklabels()) == 3
    assert "stepped wedge alone" in found.summary()


def test_left_out_periods_are_as_if_never_collected() -> None:
    """Two-way fixed effects of the panel without these rows; treatment begun in a period left out is not forgotten."""
    trial = panel_of(7, 2, 6, effect=1.0)
    kept = trial.tidy().query("period != 4")
    kept = kept.assign(first=kept.cluster.map({"la 00": 3, "la 01": 4}).fillna(0))
    without = sw.Trial.from_panel(
        kept.assign(first=kept["first"]), cluster="cluster", period="period", outcome="outcome", first_treated="first"
    )
    assert float(sw.TwoWayFixedEffects().point(without_periods(trial, [4]))) == pytest.approx(
        float(sw.TwoWayFixedEffects().point(without)), abs=1e-10
    )


def test_run_up_is_each_clusters_own() -> None:
    gone = without_run_up(panel_of(8, 2, 3), 2).n == 0
    assert gone.tolist() == [
        [True, True, False, False, False, False],
        [False, True, True, False, False, False],
        *([[False] * 6] * 3),
    ]


def test_randomisation_still_works_without_a_period() -> None:
    """The period stays out under every allocation, so the test is the one of a trial that never saw it."""
    trial = trial_of(11, others=0)
    part = without_periods(trial, [3])
    found = sw.RandomisationTest(interval=False).run(part, sw.TwoWayFixedEffects())
    slow = []
    for order in permutations(range(4)):
        arm = WEDGE.treatment_of(np.array(order))[:, [0, 1, 3, 4]]
        rows = np.stack([arm.ravel(), *(np.repeat(np.eye(4), 4, 0).T), *(np.tile(np.eye(4), 4)[1:])], -1)
        slow.append(np.linalg.lstsq(rows, trial.outcome[:, [0, 1, 3, 4]].ravel(), rcond=None)[0][0])
    assert np.sort(found.reference) == pytest.approx(np.sort(slow), abs=1e-9)


def test_robustness_names_what_fails_and_what_changes() -> None:
    trial = panel_of(9, 2, 6)
    found = robustness(trial, sw.TwoWayFixedEffects(), exclude={"only late": [1, 2, 3]}, anticipation=[1])
    table = found.tidy().set_index("way")
    assert table.loc["only late", "status"] == "failed"
    assert np.isfinite(table.loc["without 1 period before treatment", "estimate"])
    assert "only late: " in found.summary()
    assert "Note, without 1 period before treatment: Left out by choice" in found.summary()
    assert len(found.plot().get_yticklabels()) == 3


def test_a_comparator_with_a_gap_is_left_out_of_the_tests_by_comparators_alone() -> None:
    """The other comparators' paths are what the reference is made of: as in the trial that never had the one with the gap."""
    trial = trial_of(4, others=9)
    n = np.ones((13, 5))
    n[12, 2] = 0
    gap = replace(trial, cells=replace(trial.cells, n=n).seen(trial.treatment))
    split = split_evidence(gap, sw.TwoWayFixedEffects(), draws=99)
    rows = split.tidy().query("term == 'parallel trends'").set_index("test")
    assert rows.index.tolist() == ["wald (CR2)", "placebo", "conley-taber"]
    assert np.isfinite(rows["p_value"]).all()
    weights, paths = split.weights["parallel trends"][:4], trial.outcome[4:12] - trial.outcome[4:12].mean(0)
    sums = weights @ paths.T * np.sqrt(8 / 7)
    draws = [sums[range(4), list(who)].sum() for who in product(range(8), repeat=4)]
    full = split_evidence(gap, sw.TwoWayFixedEffects(), draws=4096).tidy().query("test == 'conley-taber'")["p_value"].item()
    observed = abs(rows["estimate"].iloc[0])
    assert full == pytest.approx((1 + (np.abs(draws) >= observed - 1e-12).sum()) / (1 + len(draws)), abs=1e-12)
    said = [note for note in split.notes if note.startswith("Parallel trends: 1 of 9 comparators")]
    assert "other 8" in said[0]
    assert said[0].endswith("use the other 8.")
    assert not any("not observed in every period" in note for note in split_evidence(trial, sw.TwoWayFixedEffects(), draws=99).notes)


def test_comparators_that_all_have_gaps_leave_the_robust_variance_alone() -> None:
    trial = trial_of(4, others=3)
    n = np.ones((7, 5))
    n[[4, 5], [1, 2]] = 0
    gap = replace(trial, cells=replace(trial.cells, n=n).seen(trial.treatment))
    split = split_evidence(gap, sw.TwoWayFixedEffects(), draws=99)
    assert split.tidy().query("term == 'parallel trends'")["test"].tolist() == ["wald (CR2)"]
    assert any("2 of 3 comparators are not observed" in note for note in split.notes)
    assert any("fewer than two comparators" in note for note in split.notes)


WITHOUT_RUN_UP = [sw.TwoWayFixedEffects(), sw.CallawaySantAnna(), sw.Imputation(), sw.TwoStage(), sw.ExtendedTwoWay()]
NO_RUN_UP = [sw.SunAbraham(), sw.StackedDiD(), sw.Switchers(), sw.SwitcherComparison(), sw.SyntheticDiD(), sw.RothSantAnna(beta=1)]


@pytest.mark.parametrize("estimator", [*WITHOUT_RUN_UP, *NO_RUN_UP], ids=repr)
def test_robustness_says_which_estimators_have_no_version_without_the_run_up(estimator: sw.Estimator) -> None:
    found = robustness(panel_of(9, 4, 12), estimator, anticipation=[1])
    table, name = found.tidy().set_index("way"), type(estimator).__name__
    way = "without 1 period before treatment"
    assert table["estimator"].tolist() == [name, name]
    if estimator in WITHOUT_RUN_UP:
        assert np.isfinite(table.loc[way, "estimate"])
        return
    assert table.loc[way, "status"] == "failed"
    assert f"{way}: {name} has no version without the run-up: it " in found.summary()
    assert "CallawaySantAnna(anticipation=1)" in found.summary()


def test_robustness_of_sun_and_abraham_without_the_run_up_is_callaway_and_santanna_with_anticipation() -> None:
    """What the message of the failed row names is the same comparison: base one period earlier, against never-treated clusters."""
    panel = panel_of(9, 4, 12)
    ours, theirs = sw.SunAbraham(), sw.CallawaySantAnna(controls="never")
    assert float(ours.point(panel)) == pytest.approx(float(theirs.point(panel)), abs=1e-12)
    early = sw.CallawaySantAnna(controls="never", anticipation=1, base="universal")
    gone = sw.CallawaySantAnna(controls="never", base="universal").point(sw.without_run_up(panel))
    assert float(early.point(panel)) == pytest.approx(float(gone), abs=1e-12)


def test_stacked_says_whether_a_shorter_window_would_help() -> None:
    panel = panel_of(9, 2, 6)
    with pytest.raises(sw.DataError, match=r"has periods -9 to 1 .* Shorten the window \(before=, after=\), or add comparators="):
        sw.StackedDiD(before=9).fit(panel)
    with pytest.raises(sw.DataError, match=r"no shorter window helps. Add comparators=.*CallawaySantAnna\(\) or Imputation\(\)"):
        sw.StackedDiD().fit(sw.without_run_up(panel))


def test_assumed_part_has_the_variance_of_its_own_weights() -> None:
    """CR2 of ``sum w_it y_it`` by dense algebra: residuals on clusters, periods and treatment, each cluster's block of the annihilator."""
    trial = trial_of(12)
    split = split_evidence(trial, sw.TwoWayFixedEffects(), draws=49)
    weights, y = split.weights["parallel trends"], trial.outcome
    columns = [np.kron(np.eye(12), np.ones((5, 1))), np.kron(np.ones((12, 1)), np.eye(5))[:, 1:], trial.arm.reshape(-1, 1)]
    x = np.hstack(columns)
    keep = np.eye(60) - x @ np.linalg.pinv(x)
    residual, total, bent = keep @ y.ravel(), 0.0, np.zeros((12, 60))
    for i in range(12):
        own = slice(5 * i, 5 * i + 5)
        values, vectors = np.linalg.eigh(keep[own, own])
        half = vectors @ np.diag([1 / np.sqrt(v) if v > 1e-9 else 0.0 for v in values]) @ vectors.T
        bent[i, own] = half @ weights[i]
        total += (bent[i, own] @ residual[own]) ** 2
    gram = bent @ keep @ bent.T
    row = split.tidy().query("test == 'wald (CR2)'").iloc[0]
    assert row["std_error"] == pytest.approx(np.sqrt(total), rel=1e-9)
    assert row["df"] == pytest.approx(np.trace(gram) ** 2 / (gram**2).sum(), rel=1e-9)


def test_one_treated_cluster_gives_parallel_trends_no_standard_error() -> None:
    """The working model fits what a lone treated cluster does: its error would be invisible, so none is given and a note says why."""
    design = sw.Design.from_matrix([[0, 0, 1, 1], [0, 0, 0, 0]], clusters_per_sequence=[1, 1])
    y = np.random.default_rng(3).standard_normal((10, 4))
    trial = sw.Trial.from_cells(np.ones(y.shape), y, design.randomise(seed=0), comparators=[f"other {k}" for k in range(8)])
    split = split_evidence(trial, ESTIMATORS["two-way"], draws=49)
    row = split.tidy().query("term == 'parallel trends'").iloc[0]
    assert np.isnan(row["std_error"])
    assert np.isnan(row["p_value"])
    assert any("one cluster alone carries" in note for note in split.notes)
