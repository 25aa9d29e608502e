"""Blinded data agree with an allocation that was not carried out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from plan_examples import safeguarding_plan, small_plan
from plan_frames import rich_plan
from swedge.errors import DesignError, PlanError
from swedge.plan import specs
from swedge.plan.blinded import blinded
from swedge.plan.frames import check_frames, csv_of
from swedge.plan.lock import LockedPlan
from swedge.plan.plan import Plan
from swedge.plan.simulated import simulate_frames
from swedge.plan.trials import samples
from swedge.plan.versions import versions_of

TREATED = specs.Source("people", cluster="cluster", period="period", treatment="treated")


def plan_of_four() -> Plan:
    """Two strata of two clusters: four allocations."""
    design = sw.Design.stepped_wedge(["A", "B", "C", "D"], strata=[["A", "B"], ["C", "D"]])
    return small_plan(design=design, allocation=design.randomise(seed=1), sources=(TREATED,))


def test_law_the_real_allocation_is_never_drawn_and_the_others_are_drawn_alike() -> None:
    plan = plan_of_four()
    frames = simulate_frames(plan, 1, size=2)
    assert plan.allocation is not None
    assert plan.design.count() == 4
    drawn = [blinded(plan, frames, seed)[0].allocation for seed in range(200)]
    found = pd.Series([allocation.sequence for allocation in drawn if allocation is not None]).value_counts()
    assert plan.allocation.sequence not in found.index
    assert len(found) == 3
    assert found.min() > 40  # 200 / 3 less four standard deviations


def test_law_recorded_treatments_are_the_drawn_allocations_and_nothing_else_changes() -> None:
    plan = safeguarding_plan()
    frames = simulate_frames(plan, 1, size=20)
    before = csv_of(frames["children"])
    hidden, data = blinded(plan, frames, seed=1)
    assert csv_of(frames["children"]) == before
    check_frames(hidden, data)
    real, seen = frames["children"], data["children"]
    assert hidden.allocation is not None
    assert hidden == plan.with_allocation(hidden.allocation)
    pd.testing.assert_frame_equal(seen.drop(columns=["treated", "trio_treated"]), real.drop(columns=["treated", "trio_treated"]))
    for date, treatment in (("referral_date", "treated"), ("trio_date", "trio_treated")):
        rows = seen[seen[date].notna()]
        at = rows["la"].map(list(plan.design.clusters).index), plan.design.period_of(rows[date])
        assert rows[treatment].tolist() == hidden.allocation.treatment[at].tolist()
        assert seen[treatment].isna().equals(real[treatment].isna())
        assert (seen[treatment] != real[treatment]).any()


@pytest.mark.parametrize("make", [small_plan, safeguarding_plan, rich_plan])
def test_law_blinded_data_give_every_trial_and_the_same_seed_the_same_bytes(make: object) -> None:
    plan = make()  # type: ignore[operator]
    frames = simulate_frames(plan, 1, size=20)
    (hidden, data), (again, same) = blinded(plan, frames, 5), blinded(plan, frames, 5)
    assert hidden == again
    assert all(csv_of(data[name]) == csv_of(same[name]) for name in data)
    for analysis in plan.analyses:
        for real, seen in zip(samples(plan, frames, analysis), samples(hidden, data, analysis), strict=True):
            exposures = [dict(zip(s.trial.clusters, s.trial.exposure.tolist(), strict=True)) for s in (real, seen)]
            assert exposures[0] != exposures[1]
            assert real.trial.n.sum() == seen.trial.n.sum()


def test_law_columns_that_the_plan_does_not_use_are_left_out() -> None:
    plan = plan_of_four()
    frames = {"people": simulate_frames(plan, 1, size=2)["people"].assign(team="live since May")}
    assert list(blinded(plan, frames, 1)[1]["people"].columns) == ["cluster", "period", "treated", "recovered"]


def test_law_every_analysis_is_hidden_also_one_of_few_clusters() -> None:
    """Without A and B, an allocation that only exchanges these two would show the real contrast."""
    design = sw.Design.stepped_wedge(["A", "B", "C", "D"])
    few = specs.Analysis("few", "Few", estimators=("cr2",), without_clusters=("A", "B"))
    main = specs.Analysis("main", "Main", estimators=("cr2",))
    plan = small_plan(design=design, allocation=design.randomise(2), analyses=(main, few), sources=(TREATED,))
    frames = simulate_frames(plan, 1, size=2)
    assert plan.allocation is not None
    for seed in range(60):
        drawn = blinded(plan, frames, seed)[0].allocation
        assert drawn is not None
        assert drawn.sequence[2:] != plan.allocation.sequence[2:]


def test_law_a_panels_starts_change_places_and_stay_the_same_set() -> None:
    plan = rich_plan()
    frames = simulate_frames(plan, 1, size=5)
    for seed in range(50):
        seen = blinded(plan, frames, seed)[1]["panel"]
        real, moved = (frame.groupby("la")["start"].first() for frame in (frames["panel"], seen))
        assert not moved.equals(real)
        assert sorted(moved.dropna()) == sorted(real.dropna())
        assert moved.isna().equals(real.isna())
        assert (seen.groupby("la")["start"].nunique() <= 1).all()


def test_law_starts_that_are_all_the_same_change_places_with_the_never_treated() -> None:
    plan = rich_plan()
    frames = simulate_frames(plan, 1, size=5)
    panel = frames["panel"].assign(start=frames["panel"]["start"].where(frames["panel"]["start"].isna(), 3.0))
    seen = blinded(plan, {**frames, "panel": panel}, 2)[1]["panel"]
    assert not seen["start"].equals(panel["start"])
    assert seen.groupby("la")["start"].first().notna().sum() == 5


def test_law_gaps_and_other_clusters_keep_what_was_recorded() -> None:
    plan = replace(plan_of_four(), comparators=specs.Comparators(("F",), adopters=("H",)))
    frame = simulate_frames(plan, 1, size=2)["people"]
    beside = pd.concat([frame, frame.assign(cluster="H", treated=1.0)], ignore_index=True)
    beside.loc[0, "treated"] = np.nan
    seen = blinded(plan, {"people": beside}, 1)[1]["people"]
    assert seen["treated"].isna().sum() == 1
    assert (seen.loc[seen["cluster"] == "H", "treated"] == 1).all()
    assert (seen.loc[seen["cluster"] == "F", "treated"] == 0).all()


def test_bad_input_of_blinded() -> None:
    plan = plan_of_four()
    frames = simulate_frames(plan, 1, size=2)
    with pytest.raises(PlanError, match="no allocation, so there is none to hide"):
        blinded(replace(plan, allocation=None), frames, 1)
    with pytest.raises(DesignError, match="whole number"):
        blinded(plan, frames, "1")  # type: ignore[arg-type]
    design = sw.Design.stepped_wedge(["A", "B"], strata=[["A"], ["B"]])
    alone = small_plan(design=design, allocation=design.randomise(1))
    with pytest.raises(PlanError, match="permits one allocation only, so the real contrast cannot be hidden"):
        blinded(alone, simulate_frames(alone, 1, size=2), 1)
    panel = rich_plan()
    same = simulate_frames(panel, 1, size=2)
    with pytest.raises(PlanError, match="Every cluster of 'panel' has the same first treated period"):
        blinded(panel, {**same, "panel": same["panel"].assign(start=2)}, 1)


def test_law_a_mirror_image_of_the_real_allocation_is_never_drawn() -> None:
    design = sw.Design.parallel(["A", "B", "C", "D"], periods=2)
    plan = small_plan(design=design, allocation=design.randomise(seed=1), sources=(TREATED,))
    assert plan.allocation is not None
    assert design.count() == 6
    real, frames = plan.allocation.treatment, simulate_frames(plan, 1, size=2)
    drawn = {blinded(plan, frames, seed)[0].allocation.sequence for seed in range(100)}  # type: ignore[union-attr]
    assert len(drawn) == 4
    assert all(not np.array_equal(design.treatment_of(np.array(found)), 1 - real) for found in drawn)


def test_law_two_clusters_cannot_be_blinded_as_the_other_order_is_the_same_contrast_with_another_sign() -> None:
    design = sw.Design.stepped_wedge(["A", "B"])
    plan = small_plan(design=design, allocation=design.randomise(seed=1), sources=(TREATED,))
    scores = np.random.default_rng(1).normal(size=6)
    rows = pd.DataFrame({"cluster": ["A"] * 3 + ["B"] * 3, "period": [1, 2, 3] * 2, "score": scores})
    trial = sw.Trial.from_frame(rows, plan.allocation, outcome="score", cluster="cluster", period="period", family="gaussian")
    estimates = sw.RandomisationTest(interval=False).run(trial, sw.FixedEffects()).reference
    assert estimates is not None
    np.testing.assert_allclose(estimates[0], -estimates[1])
    with pytest.raises(PlanError, match="no other allocation that tells something else"):
        blinded(plan, simulate_frames(plan, 1, size=2), 1)


def test_law_the_place_of_a_reference_statistic_in_a_rehearsal_does_not_tell_the_real_estimate() -> None:
    plan = plan_of_four()
    locked = LockedPlan(plan, versions_of())
    data = simulate_frames(plan, 1, size=40)
    rehearsed, real = locked.rehearse(data, seed=2, progress=False), locked.run(data, progress=False)
    found, listed = rehearsed.reference["statistic"].to_numpy(), real.reference["statistic"].to_numpy()
    assert len(found) == 4
    np.testing.assert_array_equal(found, np.sort(listed))
    assert not np.array_equal(listed, np.sort(listed))
