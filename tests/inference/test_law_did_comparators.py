"""Laws of the choice of comparators, of pre-trend tests and of bounded trends as a user meets them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import swedge as sw
from few_treated_panels import panel_of, with_outcome
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.sun_abraham import SunAbraham
from swedge.inference.comparators import choose_comparators, with_comparators
from swedge.inference.event_study import event_study
from swedge.inference.honest import honest_effect
from swedge.inference.pretrends import pretrend_test

Array = np.ndarray
STUDY = SunAbraham(aggregate="dynamic")

# Comparators


def nearest_by_loops(trial: sw.Trial, count: int, changes: bool) -> dict[str, list[str]]:
    chosen = {}
    for i in range(len(trial.clusters) - trial.comparators):
        early = [t for t in range(trial.n.shape[1]) if trial.arm[i, t] == 0]
        own = {k: trial.outcome[k, early] - (trial.outcome[k, early].mean() if changes else 0) for k in range(len(trial.clusters))}
        others = range(len(trial.clusters) - trial.comparators, len(trial.clusters))
        order = sorted(others, key=lambda k, own=own, i=i: ((own[k] - own[i]) ** 2).sum())
        chosen[trial.clusters[i]] = [trial.clusters[k] for k in order[:count]]
    return chosen


@pytest.mark.parametrize("on", ["levels", "changes"])
def test_matching_takes_the_nearest(on: str) -> None:
    trial = panel_of(1)
    choice = choose_comparators(trial, count=3, on=on)
    expected = nearest_by_loops(trial, 3, on == "changes")
    assert choice.pairs.groupby("cluster")["comparator"].apply(list).to_dict() == expected
    assert set(choice.names) == {name for names in expected.values() for name in names}
    assert choice.pairs.groupby("cluster")["distance"].apply(lambda d: bool(d.is_monotonic_increasing)).all()


def test_matching_sees_nothing_after_treatment() -> None:
    trial = panel_of(2)
    late = np.where(np.arange(8) >= 6, np.random.default_rng(0).normal(0, 99, (11, 8)), 0.0)
    assert choose_comparators(with_outcome(trial, trial.outcome + late)).names == choose_comparators(trial).names


def test_matching_on_changes_ignores_levels() -> None:
    trial = panel_of(3)
    moved = with_outcome(trial, trial.outcome + 40 * np.append([0, 1], np.arange(9, 0, -1))[:, None])
    assert choose_comparators(moved, on="changes").names == choose_comparators(trial, on="changes").names
    assert choose_comparators(moved).names != choose_comparators(trial).names


def test_covariates_decide_where_they_are_far_apart() -> None:
    trial = panel_of(4)
    near = np.where(np.isin(trial.clusters, ["la 00", "la 01", "la 07", "la 09"]), 0.0, 1000.0 + np.arange(11))
    told = trial.with_cluster_covariates(pd.DataFrame({"deprivation": near}, index=list(trial.clusters)))
    choice = choose_comparators(told, count=2, covariates=["deprivation"])
    assert choice.names == ("la 07", "la 09")
    balance = choice.tidy().set_index("variable").loc["deprivation"]
    assert balance["difference"] == 0
    assert abs(balance["difference_all"]) > 1


def test_the_chosen_trial_is_the_panel_without_the_others() -> None:
    trial = panel_of(5)
    choice = choose_comparators(trial, ["la 04", "la 08", "la 06"])
    rows = trial.tidy()
    kept = rows[rows.cluster.isin(["la 00", "la 01", "la 04", "la 06", "la 08"])]
    kept = kept.assign(first=kept.cluster.map({"la 00": 5, "la 01": 6}).fillna(0))
    direct = sw.Trial.from_panel(kept, cluster="cluster", period="period", outcome="outcome", first_treated="first")
    ours, theirs = (sw.TwoWayFixedEffects().fit(t) for t in (choice.trial, direct))
    assert choice.trial.clusters == direct.clusters
    assert choice.trial.comparators == 3
    assert ours.tidy().equals(theirs.tidy())
    assert any("given by name" in note for note in ours.notes)


def test_neighbours_come_from_the_table_and_exclusions_hold() -> None:
    trial = panel_of(6)
    table = pd.DataFrame(
        [("la 00", "la 05", 1), ("la 00", "la 06", 2), ("la 00", "la 07", 3), ("la 01", "la 00", 1), ("la 01", "la 06", 2), ("x", "y", 1)],
        columns=["cluster", "neighbour", "rank"],
    )
    assert choose_comparators(trial, "neighbours", count=2, neighbours=table).names == ("la 05", "la 06")
    assert choose_comparators(trial, "neighbours", count=3, neighbours=table, exclude=["la 06"]).names == ("la 05", "la 07")
    said = choose_comparators(trial, "neighbours", count=3, neighbours=table, exclude=["la 06"]).summary()
    assert "3 nearest neighbours" in said
    assert "without la 06" in said
    assert "no proof of parallel trends" in said


def test_comparators_are_left_out_one_by_one() -> None:
    trial = panel_of(7)
    choice = choose_comparators(trial, ["la 04", "la 08", "la 06", "la 09"])
    left = choice.leave_one_out(sw.TwoWayFixedEffects())
    assert left.clusters == ("la 04", "la 06", "la 08", "la 09")
    slow = [
        float(sw.TwoWayFixedEffects().point(with_comparators(trial, [n for n in left.clusters if n != gone]))) for gone in left.clusters
    ]
    assert left.tidy()["estimate"].to_numpy() == pytest.approx(np.array(slow), abs=1e-10)


def test_a_design_keeps_its_allocations() -> None:
    """Comparators outside the design can go; the exact test of the order does not notice under two-way fixed effects' own order."""
    design = sw.Design.stepped_wedge(clusters=4, periods=5)
    y = np.random.default_rng(0).standard_normal((9, 5))
    trial = sw.Trial.from_cells(np.ones((9, 5)), y, design.randomise(seed=1), comparators=[f"other {k}" for k in range(5)])
    assert sw.RandomisationTest().run(with_comparators(trial, ()), sw.TwoWayFixedEffects()).n_allocations == 24
    assert with_comparators(trial, ["other 3"]).clusters == ("1", "2", "3", "4", "other 3")


def test_choice_draws_its_groups() -> None:
    axes = choose_comparators(panel_of(8), count=2).plot()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [label.split(" (")[0] for label in labels] == ["treated clusters", "chosen comparators", "other candidates"]


# Effects before treatment, and bounds


@pytest.mark.parametrize("estimator", [STUDY, CallawaySantAnna(aggregate="dynamic", base="universal")])
def test_event_study_reads_what_was_fitted(estimator: sw.Estimator) -> None:
    fit = estimator.fit(panel_of(1, treated=5, others=25, together=True))
    study = event_study(fit)
    assert study.before.tolist() == [-4, -3, -2]
    assert study.after.tolist() == [0, 1, 2, 3]
    assert study.reference == -1
    at = [fit.terms.index(f"event {e}") for e in (-4, -3, -2, 0, 1, 2, 3)]
    assert study.estimate.tolist() == fit.estimate[at].tolist()
    nearest = event_study(fit, before=1, after=2)
    assert (nearest.before.tolist(), nearest.after.tolist()) == ([-2], [0, 1])


def test_anticipated_periods_stand_after_the_reference_but_not_in_the_average() -> None:
    fit = CallawaySantAnna(aggregate="dynamic", base="universal", anticipation=1).fit(panel_of(2, treated=5, others=25, together=True))
    study = event_study(fit)
    assert (study.reference, study.before.tolist(), study.after.tolist()) == (-2, [-4, -3], [-1, 0, 1, 2, 3])
    found = honest_effect(fit, bounds=[0.5])
    assert found.estimate == pytest.approx(study.estimate[-4:].mean())


def test_joint_test_is_a_wald_test() -> None:
    fit = STUDY.fit(panel_of(3, treated=6, others=24, together=True))
    found, study = pretrend_test(fit), event_study(fit)
    wald = study.estimate[:3] @ np.linalg.inv(study.covariance[:3, :3]) @ study.estimate[:3]
    assert found.joint_p == pytest.approx(stats.f.sf(wald / 3, 3, study.df), rel=1e-9)
    table = found.tidy()
    assert table["term"].tolist() == ["event -4", "event -3", "event -2", "jointly"]
    assert table["p_value"].iloc[0] == pytest.approx(2 * stats.t.sf(abs(table["statistic"].iloc[0]), study.df), rel=1e-9)


def test_a_missed_trend_is_what_simulation_misses() -> None:
    """Slope and bias after passing, from draws of the whole event study under that slope."""
    fit = STUDY.fit(panel_of(4, treated=6, others=24, together=True))
    found, study = pretrend_test(fit, power=[0.5]), event_study(fit)
    row = found.missed.iloc[0]
    times = np.array([-3, -2, -1, 1, 2, 3, 4])
    drawn = np.random.default_rng(0).multivariate_normal(row["slope"] * times, study.covariance, size=400_000)
    passed = (np.abs(drawn[:, :3]) <= stats.t.ppf(0.975, study.df) * np.sqrt(np.diagonal(study.covariance)[:3])).all(1)
    assert passed.mean() == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 400_000))
    average = drawn[passed][:, 3:].mean(1)
    assert row["bias_if_passed"] == pytest.approx(average.mean(), abs=4 * average.std() / np.sqrt(passed.sum()))
    assert row["bias"] == pytest.approx(2.5 * row["slope"])


def test_pretrends_speak_and_draw() -> None:
    found = pretrend_test(STUDY.fit(panel_of(5, treated=6, others=24, together=True)))
    assert "see honest_effect" in found.summary()
    labels = [text.get_text() for text in found.plot().get_legend().get_texts()]
    assert "slope seen with power 80%" in labels
    assert "PretrendTest" in repr(found)


def test_bounds_start_from_parallel_trends_and_widen() -> None:
    fit = STUDY.fit(panel_of(6, treated=8, others=32, effect=3.0, together=True))
    for kind in ("relative magnitudes", "smoothness"):
        table = honest_effect(fit, kind, [0.1, 0.4, 0.8]).tidy()
        assert table["bound"].isna().tolist() == [True, False, False, False]
        assert (np.diff(table["conf_high"][1:] - table["conf_low"][1:]) > 0).all()
        half = stats.t.ppf(0.975, table["df"][0]) * table["std_error"][0]
        assert table.loc[0, ["conf_low", "conf_high"]].tolist() == pytest.approx([table["estimate"][0] - half, table["estimate"][0] + half])


def test_no_leeway_gives_the_t_interval() -> None:
    """The covariance is inflated for exactly that; .2% is what the first stage's cutoff from 2^14 draws may move it."""
    table = honest_effect(STUDY.fit(panel_of(7, treated=6, others=24, together=True)), bounds=[0.0]).tidy()
    half = (table["conf_high"] - table["conf_low"]) / 2
    assert half[1] == pytest.approx(half[0], rel=2e-3)


@pytest.mark.parametrize("kind", ["relative magnitudes", "smoothness"])
def test_breakdown_is_where_zero_comes_in(kind: str) -> None:
    fit = STUDY.fit(panel_of(8, treated=8, others=32, effect=6.0, together=True))
    found = honest_effect(fit, kind, [0.1])
    assert 0 < found.breakdown < np.inf
    below, above = honest_effect(fit, kind, [found.breakdown * 0.999, found.breakdown * 1.001]).tidy()["conf_low"][1:]
    assert below > 0 >= above
    assert f"{found.breakdown:.3g}" in found.summary()
    none = honest_effect(STUDY.fit(panel_of(9, treated=8, others=32, together=True)), kind, [0.1])
    assert none.breakdown == 0
    assert "however small" in none.summary()


def test_one_period_before_treatment_besides_the_reference_is_enough() -> None:
    fit = STUDY.fit(panel_of(10, treated=6, others=24, effect=3.0, together=True))
    for kind in ("relative magnitudes", "smoothness"):
        found = honest_effect(fit, kind, before=1, after=1, term="event 0")
        assert np.isfinite(found.tidy()["conf_low"]).all()
        assert len(found.plot().get_yticklabels()) == 6
    assert len(pretrend_test(fit, before=1).tidy()) == 2


def test_smoothness_takes_either_method() -> None:
    fit = STUDY.fit(panel_of(11, treated=8, others=32, effect=3.0, together=True))
    both = [honest_effect(fit, "smoothness", [0.2], method=method).tidy().iloc[1] for method in ("fixed length", "conditional")]
    assert both[0]["set_low"] == both[1]["set_low"]
    assert both[0]["conf_low"] != both[1]["conf_low"]
