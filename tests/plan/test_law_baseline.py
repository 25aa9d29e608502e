"""Covariates by condition: their totals add up, and what is released gives no count of one to five away."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from plan_examples import small_plan
from report_examples import people, run_of, short_plan
from swedge._present.report import Caution, Table
from swedge.plan import specs
from swedge.plan.baseline import FEW, variables
from swedge.plan.documents.consort import consort_checklist
from swedge.plan.documents.outputs import table_files
from swedge.plan.documents.results import in_short, report_sections, summary_text
from swedge.plan.documents.results_tables import baseline_table, crude_table
from swedge.plan.plan import Plan
from swedge.plan.report import Report
from swedge.plan.suppression import baseline_for_release

KEY = ["population", "variable", "condition"]


def adjusted_plan(**changes: object) -> Plan:
    """One binary outcome, adjusted for a category, a number, a yes/no, and a category whose levels were not agreed; two populations."""
    about = {"outcomes": ("recovered",), "estimators": ("cr2",)}
    fields = {
        "columns": (
            specs.Column("kind", "category", levels=("x", "y", "z")),
            specs.Column("age", "number"),
            specs.Column("ill", "yes/no"),
            specs.Column("home", "category"),
            specs.Column("recovered", "yes/no"),
        ),
        "outcomes": (
            specs.Outcome(
                "recovered", "Recovered", column="recovered", family="binomial", role="primary", covariates="C(kind) + age + C(ill)"
            ),
            specs.Outcome("score", "Score", column="score", family="gaussian", covariates="C(home) + C(recovered)"),
        ),
        "populations": (specs.Population("all", "All"), specs.Population("ill", "Ill", where=(specs.Condition("ill", (1,)),))),
        "analyses": (
            specs.Analysis("main", "Main", **about, covariates=""),
            specs.Analysis("ill", "Ill", part="sensitivity", **about, populations=("ill",), covariates=""),
        ),
        "missing": specs.Missing("complete case"),
    }
    return small_plan(**(fields | changes))


def rows(seed: int = 0, size: int = 40, ill: float = 0.7, rare: float = 0.02, lost: float = 0.01) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    places = pd.MultiIndex.from_product([list("ABCDE"), range(1, 7), range(size)], names=["cluster", "period", "person"])
    frame = places.to_frame(index=False)
    n = len(frame)
    frame = frame.assign(
        recovered=(draw.random(n) < 0.4).astype(float),
        score=draw.normal(size=n),
        age=np.where(draw.random(n) < lost, np.nan, draw.normal(40, 9, n)),
        ill=(draw.random(n) < ill).astype(int),
        kind=draw.choice(["x", "y", "z"], n, p=[1 - 5 * rare, 4 * rare, rare]),
        home=np.where(np.arange(n) < 3, "Lighthouse", draw.choice(["flat", "house"], n)),
    )
    frame.loc[draw.random(n) < lost, "kind"] = None
    frame.loc[draw.random(n) < lost / 4, "recovered"] = np.nan
    return frame


@cache
def inside(seed: int = 0) -> Report:
    return run_of(adjusted_plan(), rows(seed), release=False)


def test_levels_and_missing_values_add_up_to_the_rows_of_the_condition() -> None:
    frame = inside().baseline
    total = frame[frame["variable"] == ""].set_index(["population", "condition"])["n"]
    for (population, variable, condition), part in frame[frame["variable"] != ""].groupby(KEY):
        assert part["n"].sum() + part["missing"].iloc[0] == total[population, condition], variable
        assert part["missing"].nunique() == 1
    np.testing.assert_allclose(frame["share"], frame["n"] / frame.set_index(["population", "condition"]).index.map(total))
    exists = inside().flow[inside().flow["stage"] == "the outcome exists"].groupby("population")["rows"].sum()
    assert total.groupby("population").sum().to_dict() == exists.to_dict()


@pytest.mark.parametrize("population", ["all", "ill"])
def test_counts_means_and_spreads_are_those_of_the_rows(population: str) -> None:
    frame, report = rows(), inside()
    frame = frame[frame["ill"] == 1] if population == "ill" else frame
    begins = dict(zip(report.locked.allocation.design.clusters, report.locked.allocation.treatment, strict=True))
    treated = np.array([begins[name][period - 1] for name, period in zip(frame["cluster"], frame["period"], strict=True)])
    found = report.baseline[report.baseline["population"] == population].set_index(["variable", "level", "condition"])
    for condition, own in (("control", frame[treated == 0]), ("treated", frame[treated == 1])):
        assert found.loc[("", "", condition), "n"] == len(own)
        for level in ("x", "y", "z"):
            assert found.loc[("kind", level, condition), "n"] == (own["kind"] == level).sum()
        age = found.loc[("age", "", condition)]
        assert (age["n"], age["missing"]) == (own["age"].notna().sum(), own["age"].isna().sum())
        np.testing.assert_allclose([age["mean"], age["sd"]], [own["age"].mean(), own["age"].std()])
        assert found.loc[("ill", "yes", condition), "n"] == (own["ill"] == 1).sum()


def test_a_value_that_few_hold_has_no_name_and_an_outcome_is_no_covariate() -> None:
    frame = inside().baseline
    assert set(frame.loc[frame["variable"] == "home", "level"]) == {"flat", "house", FEW}
    assert list(variables(adjusted_plan(), adjusted_plan().outcomes[0])) == ["kind", "age", "ill", "home"]
    report = run_of(adjusted_plan(), rows())
    told = " ".join(data.decode() for data in {**report.files(), **table_files(report)}.values())
    assert "Lighthouse" not in told
    assert "flat" in told


def items(frame: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, float]]:
    """Counts of each population, variable and condition by level, the missing values among them."""
    found: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in frame.itertuples(index=False):
        part = found.setdefault((row.population, row.variable, row.condition), {"(missing)": row.missing} if row.variable else {})
        part[row.level] = row.n
    return found


def small(count: float) -> bool:
    return 1 <= abs(round(count, 6)) <= 5


def check_released(shown: pd.DataFrame, true: pd.DataFrame) -> int:
    """No count of one to five can be read, or worked out within a variable or between populations; how many counts are left."""
    told, known = items(shown), items(true)
    for (population, variable, condition), part in told.items():
        assert not any(small(n) for n in part.values())
        size, truth = told[population, "", condition][""], known[population, variable, condition]
        hidden = [level for level, n in part.items() if np.isnan(n)]
        assert not (variable and not np.isnan(size) and len(hidden) == 1), (variable, condition)
        assert not (variable and not np.isnan(size) and small(sum(truth[level] for level in hidden)))
        assert not (variable and np.isnan(size) and not hidden)
        for level, n in part.items():
            others = [told[other][level] for other in told if other[1:] == (variable, condition) and level in told[other]]
            assert not any(small(n - other) for other in others), (variable, level)
    means = shown[shown["mean"].notna()].index
    assert not any(small(n) for n in true.loc[means, "n"])
    return int(shown["n"].notna().sum())


@pytest.mark.parametrize("seed", range(12))
def test_no_small_count_or_difference_is_left_over_random_small_data(seed: int) -> None:
    draw = np.random.default_rng(seed)
    frame = rows(seed, int(draw.integers(3, 25)), *draw.choice([[0.7, 0.02, 0.01], [0.98, 0.01, 0.003], [0.3, 0.005, 0.05]]))
    plan = adjusted_plan()
    told, true = (run_of(plan, frame, release=release) for release in (True, False))
    check_released(told.baseline, true.baseline)
    design = plan.design.clusters
    cells = told.cells[(told.cells["outcome"] == "recovered") & told.cells["cluster"].isin(design)]
    for row in told.baseline[(told.baseline["variable"] == "") & told.baseline["n"].notna()].itertuples(index=False):
        own = cells[(cells["population"] == row.population) & (cells["treatment"] == float(row.condition == "treated"))]
        assert not small(row.n - own["n"].sum())
    sizes = told.baseline[told.baseline["variable"] == ""].groupby("population")["n"].sum(min_count=2)
    assert not any(small(a - b) for a in sizes for b in told.rows["n"].dropna())


def test_no_small_count_is_left_in_random_tables() -> None:
    draw, left = np.random.default_rng(1), 0
    for _ in range(150):
        frame = random_table(draw)
        sizes = frame[frame["variable"] == ""].groupby("population")["n"].sum()
        left += check_released(baseline_for_release(frame, sizes.to_dict()), frame)
    assert left > 1000


def random_table(draw: np.random.Generator) -> pd.DataFrame:
    """Two populations, the second within the first; small counts are common."""
    lines = []
    for condition in ("control", "treated"):
        counts = [draw.choice([0, 2, 4, 7, 40], 4) for _ in range(3)]
        kept = [np.maximum(n - draw.choice([0, 0, 1, 6], 4), 0) for n in counts]
        for name, parts in (("all", counts), ("part", kept)):
            size = int(max(n.sum() for n in parts))
            lines.append((name, "", "", condition, size, 0))
            for k, n in enumerate(parts):
                lines += [(name, f"v{k}", f"l{level}", condition, int(m), size - int(n.sum())) for level, m in enumerate(n)]
    frame = pd.DataFrame(lines, columns=["population", "variable", "level", "condition", "n", "missing"])
    return frame.sort_values("population", kind="stable").reset_index(drop=True).assign(share=0.5, mean=np.nan, sd=np.nan, suppressed=False)


@pytest.mark.parametrize("release", [True, False])
def test_a_report_saved_and_loaded_gives_the_same_bytes(release: bool, tmp_path: Path) -> None:
    report = run_of(adjusted_plan(), rows(), release=release)
    report.save_results(tmp_path / "saved")
    again = Report.load(tmp_path / "saved")
    assert {**again.files(), **table_files(again)} == {**report.files(), **table_files(report)}
    assert baseline_table(again, "all").equals(baseline_table(report, "all"))
    released = report.released()
    pd.testing.assert_frame_equal(released.baseline, report.baseline)


def test_the_table_shows_what_the_frame_holds() -> None:
    table = baseline_table(inside(), "all")
    size = inside().baseline.loc[0, "n"]
    assert list(table.columns) == ["variable", "level", f"control (n = {size:,.0f})", table.columns[3]]
    first = inside().baseline[inside().baseline["variable"] == "kind"].iloc[0]
    assert table.iloc[0].tolist()[:3] == ["kind", "x", f"{first['n']:,.0f} ({100 * first['share']:.1f}%)"]
    assert table["level"].tolist()[3:5] == ["missing", "mean (SD)"]


def test_panels_and_rows_that_stand_for_several_have_no_baseline() -> None:
    plan = adjusted_plan()
    sized = tuple(replace(outcome, size="size") for outcome in plan.outcomes[:1])
    frame = rows().dropna(subset=["recovered"]).assign(size=1)
    report = run_of(replace(plan, outcomes=(*sized, plan.outcomes[1])), frame)
    assert (report.rows["status"] == "ok").all()
    assert not len(report.baseline)
    assert "Baseline" not in [part.heading for part in report_sections(report)]
    assert consort_checklist(plan, report).set_index("item").loc["15", "status"] == "to be written"


def test_crude_results_are_the_sums_of_the_cells_and_missing_where_one_is() -> None:
    report = inside()
    cells = report.cells[report.cells["population"] == "all"]
    table = crude_table(report, ["recovered"])
    for condition, line in table[table["population"] == "All"].set_index("condition").iterrows():
        own = cells[cells["treatment"] == float(condition == "treated")]
        events = (own["n"] * own["mean"]).sum()
        assert (line["individuals"], line["events"]) == (f"{own['n'].sum():,.0f}", f"{events:,.0f}")
        assert line["mean"] == f"{100 * events / own['n'].sum():.2f}%"
    hidden = report.cells.assign(suppressed=(report.cells["cluster"] == "A") & (report.cells["period"] == "1"))
    told = crude_table(replace(report, cells=hidden), ["recovered"]).set_index(["population", "condition"])["individuals"]
    assert (told.loc[("All", "control")], told.loc[("All", "treated")] != "suppressed") == ("suppressed", True)


def test_crude_results_stand_with_the_warning_that_they_are_no_comparison() -> None:
    blocks = next(part.blocks for part in report_sections(inside()) if part.heading.startswith("Primary outcome"))
    after = [b for a, b in pairwise(blocks) if isinstance(a, Table) and a.caption.startswith("Crude results")]
    assert len(after) == 1
    assert isinstance(after[0], Caution)
    assert "no comparison" in after[0].text


def test_in_short_names_population_size_direction_and_what_an_effect_is_conditional_on() -> None:
    marginal = specs.PlannedEstimator("marginal", "Risk difference", sw.MarginalEffect(sw.FixedEffects()))
    plan = adjusted_plan()
    main = replace(plan.analyses[0], estimators=("cr2", "marginal"), covariates=None)
    report = run_of(replace(plan, estimators=(*plan.estimators, marginal), analyses=(main, plan.analyses[1])), rows())
    said = in_short(report).blocks
    assert any(isinstance(block, str) and "treated minus control" in block and "treated over control" in block for block in said)
    lines = next(block.texts for block in said if hasattr(block, "texts"))
    n = report.rows["n"].iloc[0]
    assert all("; All; " in line for line in lines)
    assert np.isnan(n) or all(f"n = {n:,.0f}" in line for line in lines)
    assert "conditional on period, cluster and covariates" in lines[0]
    assert "marginal" in lines[1]
    assert consort_checklist(report.locked.plan, report).set_index("item").loc["17b", "status"] == "from the report"
    assert consort_checklist(plan, inside()).set_index("item").loc["17b", "status"] == "to be written"


def test_the_hash_stands_once_on_the_first_screen() -> None:
    report = run_of(short_plan(), people(short_plan()))
    opening = summary_text(report).split("Methods\n")[0]
    assert opening.count(report.sha256) == 1
    assert not any(report.sha256 in str(block) for part in report_sections(report)[:3] for block in part.blocks)


def test_results_come_before_the_flow_of_other_outcomes() -> None:
    plan = adjusted_plan(analyses=(specs.Analysis("main", "Main", estimators=("cr2",), covariates=""),))
    headings = [part.heading for part in report_sections(run_of(plan, rows()))]
    wanted = [
        "Flow of clusters and individuals",
        "Baseline",
        "Primary outcome: Recovered",
        "Secondary outcomes",
        "Flow of the other outcomes",
    ]
    assert [heading for heading in headings if heading in wanted] == wanted


def test_the_flow_says_whose_rows_it_counts_and_writes_all_counts_alike() -> None:
    plan = adjusted_plan(comparators=specs.Comparators(("P", "Q")))
    frame = rows(size=80)
    report = run_of(plan, pd.concat([frame, frame[frame["cluster"] == "A"].assign(cluster="P")]), release=False)
    blocks = next(part.blocks for part in report_sections(report) if part.heading.startswith("Flow of clusters"))
    assert "2 comparators" in blocks[0]
    table = next(block.frame for block in blocks if isinstance(block, Table))
    assert table["rows read"].iloc[-1] == "2,400"
    cells = [str(cell) for column in table.columns[1:] for cell in table[column]]
    assert all(re.fullmatch(r"\d{1,3}(,\d{3})*", cell) for cell in cells)
