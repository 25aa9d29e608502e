"""A run is what one would write by hand, fit by fit; failures stay in their place; what is for release hides small counts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import swedge as sw
from plan_examples import ADJUSTED, safeguarding_plan, small_plan
from swedge.inference import MultipleImputation, missing_data_analysis
from swedge.plan import LockedPlan, Plan, Report, specs
from swedge.plan.deviations import registered_fits
from swedge.plan.frames import csv_of
from swedge.plan.run import run_plan
from swedge.plan.verifying import verified
from swedge.plan.versions import versions_of
from swedge.studies import family_safeguarding, simulate_children

SAFEGUARDING = safeguarding_plan()


def locked(plan: Plan) -> LockedPlan:
    return LockedPlan(plan, versions_of())


@pytest.fixture(scope="module")
def children() -> pd.DataFrame:
    return simulate_children(family_safeguarding(), 5, noise=0.1, missing=True, without_proceedings=("Swindon",))


@pytest.fixture(scope="module")
def report(children: pd.DataFrame) -> Report:
    return run_plan(locked(SAFEGUARDING), children, progress=False)


def row(report: Report, analysis: str, outcome: str, method: str, test: str = "") -> pd.Series:
    rows = report.rows
    found = rows[(rows.analysis == analysis) & (rows.outcome == outcome) & (rows.method == method) & (rows.test == test)]
    assert len(found) == 1
    return found.iloc[0]


def agrees(found: pd.Series, fit: sw.Estimate, trial: sw.Trial) -> None:
    assert (found.estimate, found.std_error, found.df, found.p_value) == (fit.estimate, fit.std_error, fit.df, fit.p_value)
    assert (found.conf_low, found.conf_high) == tuple(fit.conf_int)
    assert found.n == trial.n.sum()


ABOUT = {"cluster": "la", "date": "referral_date", "treatment": "treated"}


def test_the_primary_outcome_by_hand(report: Report, children: pd.DataFrame) -> None:
    allocation = family_safeguarding().allocation
    trial = sw.Trial.from_frame(
        children, allocation, outcome="looked_after", family="binomial", covariates=ADJUSTED, missing="drop", **ABOUT
    )
    agrees(row(report, "main", "looked_after", "cr2"), sw.FixedEffects().fit(trial), trial)
    exact = sw.RandomisationTest(interval=False).run(trial, sw.FixedEffects())
    found = row(report, "main", "looked_after", "cr2", "exact")
    assert (found.p_value, found.min_p, found.n_allocations) == (exact.p_value, exact.min_p, 12)


def test_an_unadjusted_analysis_and_another_population_by_hand(report: Report, children: pd.DataFrame) -> None:
    allocation = family_safeguarding().allocation
    plain = sw.Trial.from_frame(children, allocation, outcome="looked_after", family="binomial", **ABOUT)
    agrees(row(report, "models", "looked_after", "overdispersed"), sw.FixedEffects(vcov="overdispersed").fit(plain), plain)
    trio = children[children["trio"] == 1]
    trial = sw.Trial.from_frame(trio, allocation, outcome="looked_after", family="binomial", covariates=ADJUSTED, missing="drop", **ABOUT)
    agrees(row(report, "trio", "looked_after", "cr2"), sw.FixedEffects().fit(trial), trial)


def test_a_duration_by_hand(report: Report, children: pd.DataFrame) -> None:
    plans = children[children["plan_days"].notna()].assign(ended=lambda rows: 1 - rows["plan_open"])
    trial = sw.Duration(730).trial(plans, family_safeguarding().allocation, time="plan_days", event="ended", **ABOUT)
    agrees(row(report, "main", "plan_days", "cr2"), sw.FixedEffects().fit(trial), trial)


def test_treatment_from_another_date_by_hand(report: Report, children: pd.DataFrame) -> None:
    trio = children[children["trio_date"].notna()]
    about = {"cluster": "la", "date": "trio_date", "treatment": "trio_treated"}
    trial = sw.Trial.from_frame(trio, family_safeguarding().allocation, outcome="trio_rereferred", family="binomial", **about)
    agrees(row(report, "main", "trio_rereferred", "cr2"), sw.FixedEffects().fit(trial), trial)


def test_an_authority_without_the_outcome_leaves_the_design_of_the_others(report: Report, children: pd.DataFrame) -> None:
    rows = children[children["proceedings"].notna()]
    design = sw.Design.from_dates(
        {"Walsall": "2020-09-01", "Lancashire": "2021-02-01", "Telford and Wrekin": "2021-06-28", "Wandsworth": "2022-01-24"},
        start="2020-03-01",
        end="2022-11-24",
        strata=[["Walsall", "Lancashire"], ["Telford and Wrekin", "Wandsworth"]],
    )
    found = row(report, "main", "proceedings", "cr2", "exact")
    assert (found.n_allocations, found.min_p) == (design.count(), design.min_p()) == (4, 0.25)
    assert found.n == len(rows)
    assert row(report, "main", "proceedings", "cr2").clusters == 4


def test_imputed_sets_by_hand(report: Report, children: pd.DataFrame) -> None:
    fit = missing_data_analysis(
        children,
        family_safeguarding().allocation,
        sw.FixedEffects(),
        outcome="looked_after",
        family="binomial",
        covariates=ADJUSTED,
        methods=("multiple imputation",),
        imputation=MultipleImputation(imputations=2, burn_in=1, seed=2020),
        **ABOUT,
    ).estimates["multiple imputation"]
    found = row(report, "imputed", "looked_after", "cr2")
    assert (found.estimate, found.std_error, found.df) == (fit.estimate, fit.std_error, fit.df)
    assert found.n == len(children)


def test_adjusted_p_by_hand(report: Report) -> None:
    names = ("plan_days", "proceedings", "trio_rereferred")
    p = {name: row(report, "main", name, "cr2").p_value for name in names}
    expected = sw.multiplicity(p, "holm")
    pd.testing.assert_frame_equal(report.adjusted[["outcome", "p_value", "p_adjusted", "method"]], expected)


def test_every_registered_fit_and_test_is_run_and_nothing_else(report: Report) -> None:
    done = set(report.rows[["analysis", "outcome", "population", "method", "test"]].itertuples(index=False, name=None))
    assert done == set(registered_fits(SAFEGUARDING))
    assert not len(report.deviations)


def test_the_flow_counts_rows_by_hand(report: Report, children: pd.DataFrame) -> None:
    flow = report.flow[(report.flow.outcome == "looked_after") & (report.flow.population == "trio")].set_index(["cluster", "stage"])["rows"]
    swindon = children[children["la"] == "Swindon"]
    trio = swindon[swindon["trio"] == 1]
    known = trio[["age_group", "gender", "ethnicity", "disability", "previous_plans", "uasc"]].notna().all(axis=1)
    stages = ("rows read", "in the population", "the outcome is known", "analysed")
    assert [flow["Swindon", stage] for stage in stages] == [len(swindon), len(trio), len(trio), known.sum()]


@pytest.mark.parametrize("rule", ["complete case", "missing indicator", "multiple imputation"])
def test_the_last_step_of_the_flow_is_who_was_analysed(rule: str, children: pd.DataFrame) -> None:
    analysis = specs.Analysis("main", "Main", outcomes=("looked_after",), estimators=("cr2",), missing=rule)
    report = run_plan(locked(replace(SAFEGUARDING, analyses=(analysis,), multiplicity=None)), children, progress=False)
    analysed = report.flow.query("stage == 'analysed'")["rows"].sum()
    assert analysed == report.rows["n"].item()
    assert (analysed == len(children)) == (rule != "complete case")


def test_periods_left_out_by_hand(children: pd.DataFrame) -> None:
    analysis = specs.Analysis("main", "Main", outcomes=("looked_after",), estimators=("cr2",), without_periods=(1, 4))
    report = run_plan(locked(replace(SAFEGUARDING, analyses=(analysis,), multiplicity=None)), children, progress=False)
    allocation = family_safeguarding().allocation
    period = allocation.design.period_of(children["referral_date"]) + 1
    rows = children[(period != 1) & (period != 4)]
    trial = sw.Trial.from_frame(
        rows, allocation, outcome="looked_after", family="binomial", covariates=ADJUSTED, missing="drop", empty="keep", **ABOUT
    )
    agrees(report.rows.iloc[0], sw.FixedEffects().fit(trial), trial)
    assert report.notes["text"].str.contains("Left out by choice: period 1; 4").any()


def test_the_level_follows_alpha(children: pd.DataFrame) -> None:
    plan = replace(SAFEGUARDING, alpha=0.2, tests=(), analyses=(replace(SAFEGUARDING.analyses[0], tests=(), outcomes=("looked_after",)),))
    plan = replace(plan, multiplicity=None)
    found = run_plan(locked(plan), children, progress=False).rows.iloc[0]
    trial = sw.Trial.from_frame(
        children, plan.allocation, outcome="looked_after", family="binomial", covariates=ADJUSTED, missing="drop", **ABOUT
    )
    assert [found.conf_low, found.conf_high] == sw.FixedEffects().fit(trial).at(0.8).conf_int.tolist()


def test_the_largest_statistic_by_hand(children: pd.DataFrame) -> None:
    analysis = replace(SAFEGUARDING.analyses[0], outcomes=("looked_after", "trio_rereferred"))
    rule = specs.Multiplicity("maxT", analysis="main", estimator="cr2", outcomes=analysis.outcomes)
    plan = replace(SAFEGUARDING, analyses=(analysis,), multiplicity=rule)
    report = run_plan(locked(plan), children, progress=False)
    from swedge.plan.trials import samples

    trials = {s.outcome.name: (s.trial, sw.FixedEffects()) for s in samples(plan, {"children": children}, analysis)}
    expected = sw.MaxT(seed=2020).run(trials).tidy()
    assert report.adjusted["p_adjusted"].tolist() == expected["step_down"].tolist()


def people(size: int = 20) -> pd.DataFrame:
    """Rows of the small plan: `size` in every cell."""
    cells = [(cluster, period) for cluster in "ABCDE" for period in range(1, 7) for _ in range(size)]
    rng = np.random.default_rng(1)
    return pd.DataFrame(cells, columns=["cluster", "period"]).assign(recovered=rng.binomial(1, 0.4, len(cells)))


@dataclass(frozen=True)
class Raises:
    """A test that fails as no test of ours does."""

    level: float = 0.95

    def run(self, trial: sw.Trial, estimator: sw.Estimator) -> sw.TestResult:
        raise KeyError("Jane Doe, born 2001-02-03")


def test_a_failure_stays_in_its_place_and_its_words_do_not_leak() -> None:
    plan = small_plan(tests=(specs.PlannedTest("exact", "A test", Raises()),))
    fake = LockedPlanOf(plan)
    report = run_plan(fake, people(), progress=False)
    assert report.rows["status"].tolist() == ["ok", "failed"]
    assert report.failures["message"].item() == "An unexpected KeyError; nothing was estimated."
    assert "Jane" not in report.rows.to_string()
    assert report.deviations["kind"].tolist() == ["failed"]


@dataclass(frozen=True)
class Threads:
    """A test that says how many threads a matrix product has."""

    level: float = 0.95

    def run(self, trial: sw.Trial, estimator: sw.Estimator) -> sw.TestResult:
        raise sw.FitError(str({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}))


def test_a_run_has_one_thread_a_product_so_that_no_digit_hangs_on_their_number() -> None:
    plan = small_plan(tests=(specs.PlannedTest("exact", "A test", Threads()),))
    with threadpool_limits(2, user_api="blas"):
        report = run_plan(LockedPlanOf(plan), people(), progress=False)
    assert report.failures["message"].item() == "{1}"


def test_a_report_knows_the_data_that_it_read(tmp_path: Path) -> None:
    frame = people()
    report = run_plan(locked(small_plan()), frame, progress=False)
    (tmp_path / "people.csv").write_bytes(csv_of(frame))
    again = run_plan(locked(small_plan()), tmp_path / "people.csv", progress=False)
    other = run_plan(locked(small_plan()), frame.assign(recovered=1 - frame["recovered"]), progress=False)
    assert report.data == again.data == {"people": hashlib.sha256(csv_of(frame)).hexdigest()}
    assert report.data != other.data


class LockedPlanOf(LockedPlan):
    """A lock around a plan that holds what no lock could hold."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, versions_of())

    def changes(self) -> pd.DataFrame:
        return LockedPlan(small_plan(), versions_of()).changes()


def test_an_estimator_that_cannot_be_fitted_says_so_and_its_tests_too() -> None:
    frame = people().assign(recovered=1)
    report = run_plan(locked(small_plan()), frame, progress=False)
    assert report.rows["status"].tolist() == ["failed", "failed"]
    assert report.rows["message"].str.contains("Every outcome is the same").all()


def test_missing_values_under_the_rule_refuse_are_failures_in_place() -> None:
    frame = people()
    frame.loc[3, "recovered"] = np.nan
    report = run_plan(locked(small_plan()), frame, progress=False)
    assert set(report.rows["status"]) == {"failed"}
    assert report.rows["message"].str.contains("missing").all()


def test_what_was_not_asked_for_is_a_deviation(children: pd.DataFrame) -> None:
    report = locked(SAFEGUARDING).run(children, progress=False, only=("models",))
    assert set(report.rows["analysis"]) == {"models"}
    left = report.deviations
    assert set(left["kind"]) == {"not run"}
    assert len(left) == len([fit for fit in registered_fits(SAFEGUARDING) if fit[0] != "models"])


def test_other_package_versions_and_amendments_are_deviations(tmp_path: Path) -> None:
    path, plan = tmp_path / "plan.lock.json", small_plan()
    LockedPlan(plan, versions_of() | {"numpy": "1.0.0"}).save(path)
    changed = replace(plan, seed=9)
    Plan.load(path).amend(changed, reason="why", unblinded=True, date="2021-01-01").save(path, overwrite=True)
    found = run_plan(Plan.load(path), people(), progress=False).deviations
    assert found.query("where == 'plan.seed'")[["kind", "registered", "run"]].values.tolist() == [
        ["amendment 1, 2021-01-01, after unblinding", "1", "9 (why)"]
    ]
    older = LockedPlan(plan, versions_of() | {"numpy": "1.0.0"})
    found = run_plan(older, people(), progress=False).deviations
    assert found.values.tolist() == [["software version", "numpy", "1.0.0", np.__version__]]


def test_small_counts_are_missing_for_release_and_kept_inside() -> None:
    frame = people(40)
    first = (frame["cluster"] == "A") & (frame["period"] == 1)
    frame.loc[first, "recovered"] = 0
    frame.loc[frame.index[first][:3], "recovered"] = 1
    shown = run_plan(locked(small_plan()), frame, progress=False)
    kept = run_plan(locked(small_plan()), frame, progress=False, release=False)
    cell = "cluster == 'A' and period == '1'"
    assert shown.cells.query(cell)[["n", "mean"]].isna().all(axis=None)
    assert shown.cells.query(cell)["suppressed"].item()
    assert kept.cells.query(cell)["mean"].item() == 3 / 40
    pd.testing.assert_frame_equal(shown.rows, kept.rows)


def test_a_small_difference_between_steps_is_a_count_too() -> None:
    frame = people(40)
    frame.loc[frame.index[frame["cluster"] == "B"][:2], "recovered"] = np.nan
    plan = replace(small_plan(), missing=specs.Missing("complete case"))
    flow = run_plan(locked(plan), frame, progress=False).flow
    hidden = flow[flow["suppressed"]]
    assert set(hidden["cluster"]) == {"B"}
    assert set(hidden["stage"]) == {"the outcome is known", "analysed"}
    assert hidden["rows"].isna().all()


def test_saved_results_read_back_digit_by_digit(report: Report, tmp_path: Path) -> None:
    for name, data in report.files().items():
        (tmp_path / name).write_bytes(data)
    found = Report.load(tmp_path)
    assert found.content() == report.content()
    assert (found.sha256, found.release, found.purpose) == (report.sha256, report.release, report.purpose)
    pd.testing.assert_frame_equal(found.rows[["estimate", "p_value", "conf_low"]], report.rows[["estimate", "p_value", "conf_low"]])


def test_infinite_limits_survive_a_file(tmp_path: Path) -> None:
    plan = small_plan()
    design = sw.Design.stepped_wedge(["A", "B"], periods=3)
    exact = specs.PlannedTest("exact", "Exact", sw.RandomisationTest())
    linear = specs.PlannedEstimator("cr2", "Within periods", sw.WithinPeriod(vcov="CR0", df="normal"))
    small = replace(plan, design=design, allocation=design.randomise(seed=0), tests=(exact,), estimators=(linear,))
    frame = people()
    report = run_plan(locked(small), frame[frame["cluster"].isin(["A", "B"]) & (frame["period"] < 4)], progress=False)
    assert np.isinf(report.rows["conf_high"].to_numpy(dtype=float)).any()
    for name, data in report.files().items():
        (tmp_path / name).write_bytes(data)
    assert Report.load(tmp_path).content() == report.content()


def test_results_of_another_plan_are_refused(report: Report, tmp_path: Path) -> None:
    for name, data in report.files().items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "plan.lock.json").unlink()
    small_plan().lock(tmp_path / "plan.lock.json")
    with pytest.raises(sw.PlanError, match="Run the plan again"):
        Report.load(tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(sw.PlanError, match=r"holds no results\.json"):
        Report.load(tmp_path)


def test_an_unknown_analysis_is_refused_with_the_nearest(children: pd.DataFrame) -> None:
    with pytest.raises(sw.DataError, match="Did you mean 'models'"):
        run_plan(locked(SAFEGUARDING), children, only=("model",))


def test_a_family_takes_no_p_of_several_effects() -> None:
    curve = specs.PlannedEstimator("cr2", "By exposure", sw.FixedEffects(vcov="overdispersed", effect=sw.ByExposure()))
    rule = specs.Multiplicity("holm", analysis="main", estimator="cr2", outcomes=("recovered",))
    analysis = specs.Analysis("main", "Main", estimators=("cr2",))
    report = run_plan(locked(small_plan(estimators=(curve,), multiplicity=rule, analyses=(analysis,))), people(), progress=False)
    assert len(report.rows) == 5
    (row,) = report.adjusted.itertuples()
    assert np.isnan(row.p_value)
    assert np.isnan(row.p_adjusted)
    assert row.message.startswith("Failed: 5 effects were estimated")


def test_an_edited_result_is_refused_with_and_without_documents(tmp_path: Path) -> None:
    report = run_plan(locked(small_plan()), people(), progress=False)
    home = report.save_results(tmp_path / "results")
    assert "files verified" in verified(home)["says"]
    table, results = home / "tables" / "results.csv", home / "results.json"
    before = table.read_bytes()
    table.write_bytes(before.replace(b"600.0", b"601.0"))
    with pytest.raises(sw.PlanError, match=r"1 file is not as it was written: tables/results\.csv.*swedge run"):
        verified(home)
    table.write_bytes(before)
    p_value = repr(float(report.rows["p_value"].iloc[0])).encode()
    assert p_value in results.read_bytes()
    results.write_bytes(results.read_bytes().replace(p_value, b"0.001"))
    with pytest.raises(sw.PlanError, match="edited after it was written"):
        Report.load(home)


def test_a_panel_counts_its_own_clusters_and_its_rows_are_no_people() -> None:
    rows = [(name, year, 3 + k % 3 if k < 5 else np.nan) for k, name in enumerate("ABCDEFGHIJKL") for year in range(1, 9)]
    panel = pd.DataFrame(rows, columns=["state", "year", "first"])
    panel["rate"] = np.random.default_rng(1).normal(size=len(panel))
    plan = small_plan(
        sources=(
            specs.Source("people", cluster="cluster", period="period"),
            specs.Source("panel", cluster="state", period="year", first_treated="first"),
        ),
        outcomes=(*small_plan().outcomes, specs.Outcome("rate", "Rate", column="rate", family="gaussian", source="panel")),
        estimators=(
            specs.PlannedEstimator("cr2", "CR2", sw.FixedEffects()),
            specs.PlannedEstimator("cs", "CS", sw.CallawaySantAnna(aggregate="dynamic")),
        ),
        analyses=(
            specs.Analysis("main", "Main", outcomes=("recovered",), estimators=("cr2",)),
            specs.Analysis("did", "Difference-in-differences", outcomes=("rate",), estimators=("cs",)),
        ),
        multiplicity=specs.Multiplicity("holm", analysis="did", estimator="cs", outcomes=("rate",)),
    )
    report = run_plan(locked(plan), {"people": people(), "panel": panel}, progress=False)
    found = report.rows[report.rows["analysis"] == "did"]
    assert found["term"].iloc[0] == "overall"
    assert set(found["clusters"]) == {12}
    assert report.adjusted["p_value"].tolist() == [found["p_value"].iloc[0]]
    cells = report.cells[report.cells["outcome"] == "rate"]
    assert not cells["suppressed"].any()
    found = cells.assign(year=cells["period"].astype(int)).set_index(["cluster", "year"])["mean"]
    wanted = panel.set_index(["state", "year"])["rate"]
    np.testing.assert_array_equal(found.reindex(wanted.index), wanted)
