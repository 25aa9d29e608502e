"""What is meant for release gives no count of 1 to 5 away: not itself, not by a difference, not in a sentence, not in any file."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from plan_examples import small_plan
from swedge.plan import LockedPlan, Report, specs
from swedge.plan.suppression import without_small_counts
from swedge.plan.versions import versions_of


def people() -> pd.DataFrame:
    """Three rows outside a population, two without a covariate, three without an outcome, a cell of four, and one with three events."""
    draw = np.random.default_rng(3)
    places = pd.MultiIndex.from_product([list("ABCDE"), range(1, 7), range(40)], names=["cluster", "period", "person"])
    frame = places.to_frame(index=False)
    frame = frame.assign(recovered=draw.random(len(frame)) < 0.3, score=draw.normal(10, 3, len(frame)), age=draw.normal(size=len(frame)))
    frame = frame.astype({"recovered": float}).assign(trio=1)
    at = {name: frame["cluster"] == name for name in "ABCDE"}
    frame.loc[at["A"] & (frame["period"] == 2) & (frame["person"] < 3), "trio"] = 0
    frame.loc[at["B"] & (frame["period"] == 1) & (frame["person"] < 2), "age"] = np.nan
    frame.loc[at["E"] & (frame["period"] == 1) & (frame["person"] < 3), "score"] = np.nan
    frame.loc[at["D"] & (frame["period"] == 1), "recovered"] = (frame["person"] < 3).astype(float)
    return frame[~(at["C"] & (frame["period"] == 4) & (frame["person"] >= 4))].reset_index(drop=True)


def plan() -> LockedPlan:
    about = {"part": "sensitivity", "estimators": ("cr2",)}
    analyses = (
        specs.Analysis("main", "Main", estimators=("cr2",), tests=("exact",), covariates=""),
        specs.Analysis("adjusted", "Adjusted", **about),
        specs.Analysis("refuse", "Refused", **about, missing="refuse"),
        specs.Analysis("trio", "Trio", **about, populations=("trio",)),
    )
    made = small_plan(
        outcomes=(
            specs.Outcome("recovered", "Recovered", column="recovered", family="binomial", role="primary", covariates="age"),
            specs.Outcome("score", "Score", column="score", family="gaussian", covariates="age"),
        ),
        populations=(specs.Population("all", "All"), specs.Population("trio", "Trio", where=(specs.Condition("trio", (1,)),))),
        analyses=analyses,
        missing=specs.Missing("complete case"),
    )
    return LockedPlan(made, versions_of())


@pytest.fixture(scope="module")
def report() -> Report:
    return plan().run(people(), progress=False)


@pytest.fixture(scope="module")
def inside() -> Report:
    return plan().run(people(), progress=False, release=False)


def few(counts: pd.Series) -> bool:
    return bool((counts.round(6).abs().between(1, 5)).any())


def test_no_shown_cell_differs_by_a_small_count_from_the_same_of_another_population(report: Report, inside: Report) -> None:
    def apart(cells: pd.DataFrame) -> pd.DataFrame:
        cells = cells.assign(events=cells["n"] * cells["mean"])
        wide = cells.pivot_table(index=["outcome", "cluster", "period"], columns="population", values=["n", "events"])
        gaps = pd.DataFrame({name: wide[name]["all"] - wide[name]["trio"] for name in ("n", "events")})
        return gaps.assign(events=gaps["events"].where(gaps.index.get_level_values("outcome") == "recovered"))

    assert few(apart(inside.cells)["n"])
    assert not few(apart(report.cells)["n"])
    assert not few(apart(report.cells)["events"])


def test_no_suppressed_number_of_individuals_is_the_rest_of_its_clusters_total(report: Report) -> None:
    total = report.flow[report.flow["stage"] == "analysed"].set_index(["outcome", "population", "cluster"])["rows"]
    groups = report.cells.groupby(["outcome", "population", "cluster"])
    for key, cells in groups:
        rest = total[key] - cells["n"].sum()
        if cells["suppressed"].sum() == 1:
            assert np.isnan(rest) or rest > 5, key
        assert not (np.isnan(total[key]) and not cells["suppressed"].any()), key


def test_no_two_sizes_of_an_outcome_or_a_size_and_a_step_differ_by_a_small_count(report: Report, inside: Report) -> None:
    for outcome in ("recovered", "score"):
        steps = report.flow[report.flow["outcome"] == outcome].groupby(["population", "stage"])["rows"]
        totals = steps.sum()[steps.apply(lambda rows: rows.notna().all())].tolist()

        def gaps(rows: pd.DataFrame, totals: list[float] = totals, outcome: str = outcome) -> list[float]:
            shown = [*totals, *rows.loc[rows["outcome"] == outcome, "n"].dropna()]
            return [a - b for a in shown for b in shown if 1 <= a - b <= 5]

        assert gaps(inside.rows)
        assert not gaps(report.rows)


def test_no_text_of_any_file_counts_one_to_five_people(report: Report, inside: Report) -> None:
    from swedge.plan.documents.outputs import files_of

    small = re.compile(r"(?<![\d,.])(?<!1 to )[1-5] (of [\d,]+ )?(rows?|individuals?)\b")
    files = {**report.files(), **files_of(report)}
    told = {name: small.findall(data.decode()) for name, data in files.items() if name.endswith((".json", ".csv", ".md", ".txt", ".tex"))}
    assert not any(told.values())
    assert small.search(json.dumps(inside.content()))


def test_sizes_that_are_left_out_are_not_in_the_sentences_of_their_fits(report: Report, inside: Report) -> None:
    hidden = inside.rows.loc[report.rows["n"].isna() & inside.rows["n"].notna(), "n"]
    assert len(hidden)
    said = " ".join(report.notes["text"])
    assert not [n for n in hidden.unique() if f"{n:,.0f} individuals" in said]


def test_numbers_other_than_counts_are_the_same_inside_and_for_release(report: Report, inside: Report) -> None:
    columns = [name for name in report.rows.columns if name not in ("n", "message")]
    pd.testing.assert_frame_equal(report.rows[columns], inside.rows[columns])
    shown = ~report.cells["suppressed"].astype(bool)
    pd.testing.assert_frame_equal(report.cells[shown].drop(columns="suppressed"), inside.cells[shown].drop(columns="suppressed"))


def test_what_is_released_twice_is_as_it_was(report: Report) -> None:
    again = report.released()
    for name in ("rows", "flow", "cells", "baseline", "notes", "deviations"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(report, name))


def test_a_sentence_keeps_what_is_no_count_of_people() -> None:
    text = "1 to 5 rows; 12 rows; 3 clusters; 1 in 12; 4 of 12 fits; 2.5 events; period 3."
    assert without_small_counts(text) == text
    assert without_small_counts("1 row was, 5 children, 2 of 1,200 rows") == "1 to 5 row was, 1 to 5 children, 1 to 5 of 1,200 rows"


def test_a_population_without_rows_costs_its_own_analyses_only() -> None:
    report = plan().run(people().assign(trio=lambda rows: 2 - rows["person"] % 2 * 2), progress=False)
    status = report.rows.groupby("analysis")["status"].agg(set)
    assert (status["main"], status["trio"]) == ({"ok"}, {"failed"})
    assert set(report.flow["population"]) == {"all"}
