"""Inference for difference-in-differences where periods are missing, or clusters start after the last one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from few_treated_panels import panel_of, transition_trial
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.inference.event_study import event_study

UNIVERSAL = CallawaySantAnna(aggregate="dynamic", base="universal")
ROWS = [[0, 0, 0, None, 1, 1, 1], [0, 0, 0, 0, None, 1, 1], [0, 0, 0, 0, 0, None, 1]]


def test_a_transition_moves_the_reference_and_is_no_event_time() -> None:
    study = event_study(UNIVERSAL.fit(transition_trial(ROWS, 2)))
    assert (study.reference, study.before.tolist(), study.after.tolist()) == (-2, [-6, -5, -4, -3], [0, 1, 2])
    assert study.unobserved == [-1]


def test_law_one_transition_for_all_is_the_panel_without_that_period() -> None:
    """The same data with the transition cut out and the later periods moved up: the same tests, the same bounds."""
    with_gap, cut = transition_trial([ROWS[1]], 6), transition_trial([[0, 0, 0, 0, 1, 1]], 6)
    cut = replace(cut, cells=replace(cut.cells, mean=np.delete(with_gap.cells.mean, 4, -2)))
    ours, theirs = UNIVERSAL.fit(with_gap), UNIVERSAL.fit(cut)
    own, other = sw.honest_effect(ours, bounds=[0.5, 1.0]), sw.honest_effect(theirs, bounds=[0.5, 1.0])
    assert own.tidy()["conf_low"].to_numpy() == pytest.approx(other.tidy()["conf_low"].to_numpy(), abs=1e-6)
    assert sw.pretrend_test(ours).joint_p == pytest.approx(sw.pretrend_test(theirs).joint_p, abs=1e-10)
    assert any("Nobody is observed at event -1" in note for note in own.notes)
    assert not any("Nobody is observed" in note for note in other.notes)


def test_the_nearest_observed_periods_are_kept() -> None:
    study = event_study(UNIVERSAL.fit(transition_trial(ROWS, 2)), before=2, after=1)
    assert (study.before.tolist(), study.after.tolist()) == ([-4, -3], [0])


def test_few_degrees_of_freedom_are_said() -> None:
    few = sw.pretrend_test(UNIVERSAL.fit(transition_trial([[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]], 1)))
    assert few.study.df < 10
    assert "It has next to no power: do not read it." in few.summary()
    many = sw.pretrend_test(UNIVERSAL.fit(panel_of(2, treated=16, others=24, together=True)))
    assert many.study.df > 10
    assert f"and {many.study.df:.3g} degrees of freedom" in many.summary()
    assert "no power" not in many.summary()
    normal = sw.pretrend_test(replace(UNIVERSAL, df="normal").fit(panel_of(2, treated=16, others=24, together=True)))
    assert "degrees of freedom" not in normal.summary()


def test_the_joint_tests_limit_is_where_its_p_is_the_level() -> None:
    found = sw.pretrend_test(UNIVERSAL.fit(panel_of(2, treated=16, others=24, together=True)))
    count = len(found.study.before)
    wald = float(found.tidy()["statistic"].iloc[-1]) * count
    limit = float(found.summary().split("Wald statistic is above ")[1].split(" ")[0])
    assert (found.joint_p < 0.05) == (wald > limit)
    scaled = found.study._replace(estimate=found.study.estimate * np.sqrt(limit / wald))
    from swedge.inference.pretrends import _joint_p

    assert _joint_p(scaled) == pytest.approx(0.05, abs=2e-3)


@pytest.mark.parametrize("test", [sw.ConleyTaberTest(draws=49), sw.FermanPintoTest(draws=49)])
def test_weights_by_outcomes_are_noted(test: sw.ConleyTaberTest | sw.FermanPintoTest) -> None:
    trial = panel_of(3)
    assert any("chooses its weights by the outcomes" in note for note in test.run(trial, sw.SyntheticDiD()).notes)
    assert not any("chooses its weights" in note for note in test.run(trial, CallawaySantAnna()).notes)


def test_a_cluster_that_starts_after_the_last_period_is_matched_to_nobody() -> None:
    rows = pd.DataFrame(
        [(f"c{i:02d}", t, {0: 4.0, 1: 5.0, 2: 9.0}.get(i, 0.0)) for i in range(12) for t in range(1, 7)], columns=["c", "t", "g"]
    )
    rows["y"] = np.random.default_rng(0).standard_normal(len(rows))
    late = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    choice = sw.choose_comparators(late, count=2)
    without = sw.Trial.from_panel(rows[rows["c"] != "c02"], cluster="c", period="t", outcome="y", first_treated="g")
    pd.testing.assert_frame_equal(choice.pairs, sw.choose_comparators(without, count=2).pairs)
    pd.testing.assert_frame_equal(choice.tidy(), sw.choose_comparators(without, count=2).tidy())
    assert "c02 (1 cluster) is not treated in any period here" in choice.summary()
    assert any("c02" in note for note in choice.trial.notes)
    assert "c02" in choice.trial.clusters
    assert choice.plot().get_legend() is not None
