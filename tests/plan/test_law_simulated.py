"""Simulated tables are the plan's tables: they pass its checks and carry every analysis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from plan_examples import safeguarding_plan, small_plan
from plan_frames import rich_plan
from swedge.errors import DesignError, PlanError, Status
from swedge.plan import specs
from swedge.plan.frames import check_frames, csv_of, gather, select
from swedge.plan.plan import Plan
from swedge.plan.simulated import simulate_frames
from swedge.plan.trials import samples

PLANS = {"small": small_plan, "safeguarding": safeguarding_plan, "rich": rich_plan}


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]()


def dated(**changes: object) -> Plan:
    return safeguarding_plan(**changes)


def test_law_simulated_tables_pass_the_checks_and_every_analysis_is_fitted(plan: Plan) -> None:
    frames = simulate_frames(plan, seed=1)
    check_frames(plan, frames)
    for analysis in plan.analyses:
        for sample in samples(plan, frames, analysis):
            for name in analysis.estimators:
                fit = sample.fit(plan.estimator(name).estimator)
                assert np.all(np.isin(fit.status, (Status.OK, Status.SINGULAR))), (analysis.name, sample.outcome.name)


@pytest.mark.parametrize("size", [2, 7])
def test_law_small_tables_pass_the_checks_and_give_trials(plan: Plan, size: int) -> None:
    frames = simulate_frames(plan, seed=2, size=size)
    check_frames(plan, frames)
    unfit = [s.outcome.name for analysis in plan.analyses for s in samples(plan, frames, analysis) if not s.trial.n.any()]
    assert unfit == []


def test_law_the_same_seed_gives_the_same_bytes_and_another_seed_others(plan: Plan) -> None:
    first, again, other = (simulate_frames(plan, seed, size=20) for seed in (0, 0, 1))
    for name in plan.names["sources"]:
        assert csv_of(first[name]) == csv_of(again[name])
        assert csv_of(first[name]) != csv_of(other[name])


def test_law_a_source_is_the_same_whatever_the_sources_after_it() -> None:
    plan = rich_plan()
    main = replace(plan.analyses[0], outcomes=("ill", "days", "share"))
    fewer = replace(plan, sources=plan.sources[:1], outcomes=plan.outcomes[:3], analyses=(main, *plan.analyses[2:]))
    assert csv_of(simulate_frames(fewer, 5, size=10)["people"]) == csv_of(simulate_frames(plan, 5, size=10)["people"])


def test_law_files_of_simulated_tables_read_back_as_the_same_tables(plan: Plan, tmp_path: Path) -> None:
    frames = simulate_frames(plan, seed=3, size=10)
    for name, frame in frames.items():
        (tmp_path / f"{name}.csv").write_bytes(csv_of(frame))
    read = gather(plan, {name: tmp_path / f"{name}.csv" for name in frames})
    check_frames(plan, read)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(read[name], frame, check_dtype=False)
        assert csv_of(read[name]) == csv_of(frame)


def test_law_the_recorded_treatment_is_the_allocated_one_on_each_days_own_date() -> None:
    plan = dated()
    frame = simulate_frames(plan, 1, size=20)["children"]
    assert plan.allocation is not None
    table = pd.DataFrame(plan.allocation.treatment, index=list(plan.design.clusters))
    for date, treatment in (("referral_date", "treated"), ("trio_date", "trio_treated")):
        rows = frame[frame[date].notna()]
        period = plan.design.period_of(rows[date])
        assert (period >= 0).all()
        assert rows[treatment].tolist() == [table.loc[la, t] for la, t in zip(rows["la"], period, strict=True)]
        assert frame[treatment].notna().equals(frame[date].notna())


def test_law_outcomes_are_complete_where_they_exist_and_blank_where_they_do_not() -> None:
    plan = dated()
    frame = simulate_frames(plan, 1)["children"]
    away = frame["la"] == "Swindon"
    assert frame.loc[away, "proceedings"].isna().all()
    assert 0.2 < frame.loc[~away, "proceedings"].isna().mean() < 0.4
    assert frame["plan_open"].notna().equals(frame["plan_days"].notna())
    assert frame["looked_after"].notna().all()
    assert 0.02 < frame["gender"].isna().mean() < 0.04


def test_law_covariates_are_complete_where_gaps_are_refused() -> None:
    plan = dated(missing=specs.Missing("refuse"), analyses=(specs.Analysis("main", "Main", estimators=("cr2",)),))
    frame = simulate_frames(plan, 1, size=50)["children"]
    assert frame[["gender", "ethnicity", "uasc"]].notna().all(axis=None)


def test_law_a_share_of_rows_meets_every_populations_conditions() -> None:
    plan = rich_plan()
    frame = simulate_frames(plan, 1)["people"]
    for population in plan.populations[1:]:
        assert 0.2 < select(frame, population.where).mean() < 0.8
    assert 0.2 < select(frame, plan.outcome("share").where).mean() < 0.8


def test_law_outcomes_lie_around_what_the_plan_expects() -> None:
    plan = dated()
    frame = simulate_frames(plan, 4, size=300)["children"]
    assert abs(frame["looked_after"].mean() - 0.055) < 0.02
    assert abs(np.minimum(frame["plan_days"], 730).mean() - 280) < 60
    assert ((frame["plan_open"] == 1) & (frame["plan_days"] < 730)).any()


def test_law_nothing_is_known_of_the_treatment() -> None:
    """Over seeds, the mean estimate is nought: 2 is the 0.05 level of a normal mean."""
    plan = small_plan()
    fits = [samples(plan, simulate_frames(plan, seed, size=50), plan.analyses[0])[0].fit(sw.FixedEffects()).estimate for seed in range(40)]
    found = np.ravel(fits)
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))


def test_law_the_size_is_the_power_calculations_up_to_300_rows() -> None:
    def rows(**changes: object) -> float:
        return len(simulate_frames(small_plan(**changes), 1)["people"]) / 30

    case = specs.PowerByFormula("p", "P", effect=0.1, size=40.0, correlation=sw.Exchangeable(0.01), sd=1.0)
    assert 32 <= rows(power=(case,)) <= 48
    assert 240 <= rows(power=(replace(case, size=900.0),)) <= 360
    assert 80 <= rows(power=(replace(case, size=(40.0, 50.0)),)) <= 120
    assert 80 <= rows() <= 120


def test_law_a_transition_and_unobserved_cells_are_simulated_and_fitted() -> None:
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], periods=7, transition=1)
    source = specs.Source("people", cluster="cluster", period="period", treatment="treated")
    plan = small_plan(design=design, allocation=design.randomise(1), sources=(source,))
    frames = simulate_frames(plan, 1, size=30)
    check_frames(plan, frames)
    assert samples(plan, frames, plan.analyses[0])[0].fit(sw.FixedEffects()).status == Status.OK


def test_bad_input_of_simulate_frames() -> None:
    plan = small_plan()
    with pytest.raises(PlanError, match="no allocation"):
        simulate_frames(replace(plan, allocation=None), 1)
    with pytest.raises(DesignError, match="whole number"):
        simulate_frames(plan, 0.5)  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="at least 2"):
        simulate_frames(plan, 1, size=1)
    with pytest.raises(PlanError, match=r"expected is 1.5; a binomial mean lies between 0 and 1"):
        simulate_frames(replace(plan, outcomes=(replace(plan.outcomes[0], expected=1.5),)), 1)
    either = replace(plan.outcomes[0], where=(specs.Condition("sex", ("f",)),))
    men = specs.Population("men", "Men", where=(specs.Condition("sex", ("m",)),))
    with pytest.raises(PlanError, match="exclude each other"):
        simulate_frames(replace(plan, outcomes=(either,), populations=(men,)), 1)
