"""Tables that are not the plan's are refused, saying what the plan asks for; no rare value is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan_examples import safeguarding_plan, small_plan
from plan_frames import rich_plan
from swedge.errors import DataError, PlanError
from swedge.plan import specs
from swedge.plan.frames import check_frames, gather, select
from swedge.plan.plan import Plan
from swedge.plan.simulated import simulate_frames

SMALL = simulate_frames(small_plan(), 1, size=10)["people"]
RICH = simulate_frames(rich_plan(), 1, size=10)


def refused(frame: pd.DataFrame, plan: Plan | None = None) -> str:
    with pytest.raises(DataError) as error:
        check_frames(plan or small_plan(), {"people": frame})
    return str(error.value)


def refused_people(**columns: object) -> str:
    with pytest.raises(DataError) as error:
        check_frames(rich_plan(), {**RICH, "people": RICH["people"].assign(**columns)})
    return str(error.value)


def some(column: str, value: object, rows: int) -> pd.Series:
    """The column of people with another value in its first rows."""
    held = RICH["people"][column].astype(object).copy()
    held.iloc[:rows] = value
    return held


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (SMALL, "The plan has 4 tables, and one was passed. Pass a mapping with people; counts; cohort; panel."),
        ({"people": SMALL}, "No table was passed for the source 'counts'. Pass a DataFrame or a path."),
        ({**RICH, "pannel": SMALL}, "no source of the plan: 'pannel'. Did you mean 'panel'? Its sources are people;"),
        ({**RICH, "people": 3}, "The table of 'people' is a int. Pass a DataFrame or the path of a CSV file."),
        ([SMALL], "The data are a list. Pass a DataFrame, a path, or a mapping"),
        ({}, "No table was passed for the source 'people'. Pass a DataFrame or a path, or put 'people.csv' into the plan's folder."),
        (None, "No table was passed for the source 'people'."),
    ],
)
def test_bad_input_tables_that_are_not_the_plans(frames: object, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        gather(rich_plan(), frames)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "There is no file 'absent.csv'."),
        ("people.xlsx", b"", "'people.xlsx' is no CSV and no Parquet file."),
        ("people.pkl", b"", "'people.pkl' is no CSV and no Parquet file."),
        ("people.csv", b"", "'people.csv' is empty."),
        ("people.csv", b"cluster,period\nA,\xff\n", "'people.csv' is not in UTF-8."),
        ("people.csv", b"cluster,period\nA,1\nB,1,Jane\n", "1 row of 'people.csv' has more or fewer values than the first line"),
        ("people.csv", b"cluster,period\nA,1\nJane\n", "1 row of 'people.csv' has more or fewer values than the first line"),
        ("people.csv", b'cluster,period\nA,"Jane\n', "'people.csv' cannot be split into values"),
        ("people.parquet", b"Jane", "'people.parquet' cannot be read as Parquet."),
    ],
)
def test_bad_input_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        gather(small_plan(), tmp_path / name)
    assert message in str(error.value)
    assert "Jane" not in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_bad_input_dates_the_other_way_round_are_refused_with_directions(tmp_path: Path) -> None:
    path = tmp_path / "children.csv"
    path.write_text("la,referral_date\n" + "Walsall,03/04/2020\n" * 7)
    with pytest.raises(DataError, match=r"Column 'referral_date' should hold dates.*Write year-month-day.*dayfirst=True"):
        gather(safeguarding_plan(), path)


def test_bad_input_a_file_outside_the_folder(tmp_path: Path) -> None:
    source = specs.Source("people", cluster="cluster", period="period", file="../people.csv")
    with pytest.raises(PlanError, match="leaves the plan's folder"):
        gather(small_plan(sources=(source,)), {}, tmp_path)


def test_bad_input_columns_that_are_not_there() -> None:
    text = refused(SMALL.rename(columns={"recovered": "recoverd"}))
    assert text == (
        "1 column that the plan uses is not in the data: 'recovered' in 'people', for outcome 'recovered'. Did you mean 'recoverd'? Pass"
        " the table that was agreed, or record an amendment of the plan."
    )
    with pytest.raises(DataError, match=r"^6 columns that the plan uses are not in the data: .*; and 3 more. Pass the table"):
        check_frames(rich_plan(), {**RICH, "people": RICH["people"].drop(columns=["ill", "days", "ended", "share", "age", "ward"])})
    for column, owner in (
        ("group", "population 'old'"),
        ("ward", "missing.imputation"),
        ("age", "outcome 'ill'"),
        ("born", "column 'born'"),
    ):
        with pytest.raises(DataError, match=re.escape(f"{column!r} in 'people', for {owner}")):
            check_frames(rich_plan(), {**RICH, "people": RICH["people"].drop(columns=column)})


def test_bad_input_a_file_without_a_head_shows_no_row() -> None:
    text = refused(SMALL.set_axis(["Jane Doe", "1", "0"], axis=1))
    assert text == "None of the columns that the plan uses is in 'people'. Is it another table, or one without a first line of names?"


def test_bad_input_no_rows_no_frame_and_a_column_twice() -> None:
    assert refused(SMALL[:0]) == "The table of 'people' has no rows."
    assert "has no DataFrame" in refused("people.csv")  # type: ignore[arg-type]
    twice = pd.concat([SMALL, SMALL[["recovered"]]], axis=1)
    assert refused(twice) == ("Columns that the plan uses are there more than once: 'recovered' in 'people'. Rename or drop all but one.")


def test_bad_input_clusters() -> None:
    assert refused(SMALL.assign(cluster=SMALL["cluster"].mask(SMALL["cluster"] == "B", "Bb"))).startswith(
        f"{int((SMALL['cluster'] == 'B').sum())} rows of 'people' hold a cluster that the plan does not name (1 value, such as 'Bb' in"
    )
    assert "2 clusters of the trial have no rows in 'people': D; E. Add their data" in refused(SMALL[SMALL["cluster"] < "D"])
    assert refused(SMALL.assign(cluster=SMALL["cluster"].mask(SMALL.index < 2))) == (
        "2 rows of 'people' have no cluster. Complete the data."
    )
    people = RICH["people"]
    with pytest.raises(DataError, match="1 comparator has no rows in 'people': G"):
        check_frames(rich_plan(), {**RICH, "people": people[people["la"] != "G"]})
    check_frames(rich_plan(), {**RICH, "counts": RICH["counts"][RICH["counts"]["la"] < "F"]})


def test_bad_input_a_cluster_spelt_two_ways_is_told_with_the_nearest_name() -> None:
    children = simulate_frames(safeguarding_plan(), 1, size=10)["children"]
    spelt = children["la"].mask(children.index < 9, "Telford & Wrekin").mask(children.index == 9, "Swindn")
    with pytest.raises(DataError) as error:
        check_frames(safeguarding_plan(), {"children": children.assign(la=spelt)})
    text = str(error.value)
    assert "10 rows of 'children' hold a cluster that the plan does not name" in text
    assert "'Telford & Wrekin' in 9 rows" in text
    assert "Did you mean 'Telford and Wrekin'? Did you mean 'Swindon'?" in text
    assert "Swindn" not in text


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("sex", "x", "'sex' in 'people' should hold one of f; m, and 7 of"),
        ("age", "old", "'age' in 'people' should hold numbers, and 7 of"),
        ("age", pd.Timestamp("2020-01-01"), "'age' in 'people' should hold numbers"),
        ("school", "yes", "'school' in 'people' should hold 1 for yes and 0 for no"),
        ("school", 2, "'school' in 'people' should hold 1 for yes and 0 for no"),
        ("born", "01/02/2020", "'born' in 'people' should hold dates, written year-month-day as in 2020-09-01"),
        ("born", 43831, "'born' in 'people' should hold dates"),
        ("ill", "yes", "'ill' in 'people' should hold numbers"),
        ("treated", "control", "'treated' in 'people' should hold numbers"),
        ("period", "first", "'period' in 'people' should hold numbers"),
        ("ward", "NA", "'ward' in 'people' should hold values, blank where missing, unless its agreed levels name NA"),
    ],
)
def test_bad_input_columns_that_do_not_hold_what_was_agreed(column: str, value: object, message: str) -> None:
    text = refused_people(**{column: some(column, value, 7)})
    assert text.startswith("1 column does not hold what the plan says: " + message)
    assert "in 7 rows" in text
    assert "not shown" in refused_people(**{column: some(column, value, 5)})


def test_bad_input_several_columns_are_told_together() -> None:
    text = refused_people(sex="x", age="old", school=2, ill="yes")
    assert text.startswith("4 columns do not hold what the plan says: ")
    assert text.endswith("; and 1 more. Correct the data, or record an amendment of the plan.")


def test_bad_input_conditions() -> None:
    frame = pd.DataFrame({"trio": [0] * 9 + [2] * 2, "none": np.nan})
    with pytest.raises(DataError, match=re.escape("A condition is on 'tiro', which is no column of the data. Did you mean 'trio'?")):
        select(frame, (specs.Condition("tiro", (1,)),))
    with pytest.raises(DataError) as error:
        select(frame, (specs.Condition("trio", ("yes", 1)),))
    assert str(error.value) == (
        "No row has 'trio' among 'yes'; 1. It holds 2 different values, such as 0 in 9 rows. Correct the condition in the"
        " plan, or the data."
    )
    with pytest.raises(DataError, match="It holds nothing"):
        select(frame, (specs.Condition("none", (1,)),))


WRONG = ("la", "period", "treated", "ill", "days", "sex", "age", "group", "school", "born")
"""Columns that cannot hold a text which nobody agreed to."""


@given(st.sampled_from(WRONG), st.integers(1, 5), st.booleans())
def test_law_no_message_shows_a_value_that_five_rows_or_fewer_hold(column: str, rows: int, others: bool) -> None:
    """The secret is a text nowhere else; beside it, some columns hold another wrong value often."""
    held = some(column, "Xq7-secret-93", rows)
    if others:
        held.iloc[10:30] = "often"
    text = refused_people(**{column: held})
    assert "secret" not in text
    assert ("often" in text) == others


@given(st.integers(1, 5), st.sampled_from(["born", "age", "ill", "sex", "la"]))
def test_law_no_message_about_a_file_shows_a_rare_value(tmp_path_factory: pytest.TempPathFactory, rows: int, column: str) -> None:
    path = tmp_path_factory.mktemp("data") / "people.csv"
    RICH["people"].assign(**{column: some(column, "Xq7-secret-93", rows)}).to_csv(path, index=False)
    with pytest.raises(DataError) as error:
        check_frames(rich_plan(), gather(rich_plan(), {**RICH, "people": path}))
    assert "secret" not in str(error.value)


def test_bad_input_a_changed_plan_says_which_part_asks() -> None:
    plan = rich_plan()
    adjusted = replace(plan, analyses=(*plan.analyses[:-1], replace(plan.analyses[-1], covariates="C(ward) + C(sex):age")))
    people = RICH["people"].drop(columns="ward")
    with pytest.raises(DataError, match="'ward' in 'people', for analysis 'imputed'"):
        check_frames(adjusted, {**RICH, "people": people})
