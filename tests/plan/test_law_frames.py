"""Tables are read as they were written, and rows are chosen by value."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from plan_examples import small_plan
from plan_frames import rich_plan
from swedge.plan import LockedPlan, specs
from swedge.plan.frames import check_frames, csv_of, gather, select
from swedge.plan.plan import Plan
from swedge.plan.simulated import simulate_frames
from swedge.plan.versions import versions_of


def plan_with(*columns: specs.Column, **changes: object) -> Plan:
    design = sw.Design.stepped_wedge(["NA", "001", "C", "D", "E"], periods=6)
    return small_plan(design=design, allocation=design.randomise(1), columns=columns, **changes)


def written(folder: Path, text: str, name: str = "people.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def test_law_text_is_not_guessed_at(tmp_path: Path) -> None:
    plan = plan_with(specs.Column("ward", "category", ("001", "NA", "1")), specs.Column("note", "text"), specs.Column("age", "number"))
    path = written(tmp_path, "cluster,period,recovered,ward,note,age\nNA,1,0,001,1.50,NA\n001,2,1,NA,null,37.50\nC,3,,1,,4\n")
    frame = gather(plan, path)["people"]
    assert frame["cluster"].tolist() == ["NA", "001", "C"]
    assert frame["ward"].tolist() == ["001", "NA", "1"]
    assert frame["note"].tolist()[:2] == ["1.50", "null"]
    assert frame["note"].isna().tolist() == [False, False, True]
    assert frame["period"].tolist() == [1, 2, 3]
    assert frame["period"].dtype == np.int64
    assert frame[["recovered", "age"]].isna().to_numpy().tolist() == [[False, True], [False, False], [True, False]]
    assert frame["age"].tolist()[1:] == [37.5, 4.0]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["0", "1", "10"], [0, 1, 10]),
        (["0.0", "1.0", "10.0"], [0.0, 1.0, 10.0]),
        (["1", "1.0", "10"], ["1", "1.0", "10"]),
        (["1.10", "1.1", "2"], ["1.10", "1.1", "2"]),
        (["01", "1", "2"], ["01", "1", "2"]),
        (["1e5", "1", "2"], ["1e5", "1", "2"]),
        (["12345678901234567890", "1", "2"], ["12345678901234567890", "1", "2"]),
        (["inf", "nan", "NULL"], ["inf", "nan", "NULL"]),
    ],
)
def test_law_codes_are_numbers_only_where_nothing_is_lost(tmp_path: Path, texts: list[str], values: list[object]) -> None:
    plan = plan_with(specs.Column("ward", "category"))
    rows = "".join(f"C,1,0,{text}\n" for text in texts)
    assert gather(plan, written(tmp_path, "cluster,period,recovered,ward\n" + rows))["people"]["ward"].tolist() == values


def test_law_dates_true_and_false_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    plan = plan_with(specs.Column("born", "date"), specs.Column("flag", "yes/no"))
    text = "\ufeffcluster,period,recovered,born,flag\r\nC,1,0,2020-02-29,True\r\nC,1,1,,false\r\nC,2,1,NA,\r\n"
    frame = gather(plan, str(written(tmp_path, text)))["people"]
    assert list(frame.columns) == ["cluster", "period", "recovered", "born", "flag"]
    assert frame["born"].tolist()[0] == pd.Timestamp("2020-02-29")
    assert frame["born"].isna().tolist() == [False, True, True]
    assert frame["flag"].tolist()[:2] == [1.0, 0.0]


def test_law_one_frame_or_path_is_the_table_of_a_plan_with_one_source(tmp_path: Path) -> None:
    frame = simulate_frames(small_plan(), 1, size=2)["people"]
    path = written(tmp_path, csv_of(frame).decode())
    for given in (frame, path, str(path), {"people": frame}, {"people": path}):
        pd.testing.assert_frame_equal(gather(small_plan(), given)["people"], frame)


def test_law_files_named_in_the_plan_are_read_from_its_folder(tmp_path: Path) -> None:
    frames = simulate_frames(rich_plan(), 1, size=5)
    written(tmp_path, csv_of(frames["people"]).decode())
    found = gather(rich_plan(), {name: frames[name] for name in ("counts", "cohort", "panel")}, tmp_path)
    assert list(found) == ["people", "counts", "cohort", "panel"]
    pd.testing.assert_frame_equal(found["people"], frames["people"], check_dtype=False)


def test_law_parquet_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = simulate_frames(small_plan(), 1, size=2)["people"]
    frame.to_parquet(tmp_path / "people.parquet")
    pd.testing.assert_frame_equal(gather(small_plan(), tmp_path / "people.parquet")["people"], frame)


ONES = {
    "whole numbers": [1, 0, 2],
    "numbers": [1.0, 0.0, np.nan],
    "flags": [True, False, False],
    "nullable": pd.array([1, 0, None], dtype="Int64"),
    "nullable flags": pd.array([True, False, None], dtype="boolean"),
    "mixed": [True, None, 0],
    "category": pd.Categorical([1, 0, None]),
}


@pytest.mark.parametrize("value", [1, 1.0, "1", True])
@pytest.mark.parametrize("column", ONES)
def test_law_one_and_true_are_one_value(column: str, value: specs.Value) -> None:
    frame = pd.DataFrame({"x": ONES[column]}, index=[7, 8, 9])
    found = select(frame, (specs.Condition("x", (value,)),))
    assert found.tolist() == [True, False, False]
    assert found.index.tolist() == [7, 8, 9]
    assert found.dtype == bool


def test_law_text_is_compared_as_text() -> None:
    frame = pd.DataFrame({"x": ["1", "01", "1.0", None, "a"], "d": pd.to_datetime(["2020-09-01"] * 2 + [None] * 3)})
    assert select(frame, (specs.Condition("x", (1,)),)).tolist() == [True, False, False, False, False]
    assert select(frame, (specs.Condition("x", ("01", "a")),)).tolist() == [False, True, False, False, True]
    assert select(frame, (specs.Condition("d", ("2020-09-01",)), specs.Condition("x", ("01", "a")))).tolist() == [False, True, *[False] * 3]


def test_law_no_condition_keeps_every_row_and_no_rows_meet_any_condition() -> None:
    frame = pd.DataFrame({"x": [1, 2]})
    assert select(frame, ()).tolist() == [True, True]
    assert select(frame[:0], (specs.Condition("x", (1,)),)).tolist() == []


def test_law_frames_that_were_not_read_from_files_pass_in_any_type() -> None:
    plan = plan_with(specs.Column("born", "date"), specs.Column("sex", "category", ("f", "m")), specs.Column("flag", "yes/no"))
    frame = simulate_frames(plan, 1, size=5)["people"]
    days = [dt.date(2020, 9, 1) if i % 2 else None for i in range(len(frame))]
    for changed in (
        frame.assign(born=days),
        frame.assign(born=frame["born"].dt.strftime("%Y-%m-%d")),
        frame.assign(sex=frame["sex"].astype("category"), flag=frame["flag"].astype(bool)),
        frame.assign(sex=frame["sex"].astype(object), flag=frame["flag"].astype(str)),
        frame.assign(cluster=frame["cluster"].astype("category"), other="anything"),
    ):
        check_frames(plan, {"people": changed})


def test_law_clusters_without_an_outcome_may_be_away() -> None:
    plan = small_plan()
    outcome = specs.Outcome("recovered", "Recovered", "recovered", "binomial", "primary", without=("E",))
    frame = simulate_frames(plan, 1, size=5)["people"]
    check_frames(small_plan(outcomes=(outcome,)), {"people": frame[frame["cluster"] != "E"]})


def test_law_adopters_may_be_there_and_a_panel_without_comparators_may_hold_any_cluster() -> None:
    plan = rich_plan()
    frames = simulate_frames(plan, 1, size=5)
    check_frames(plan, {**frames, "people": pd.concat([frames["people"], frames["people"].assign(la="H")])})
    panel = specs.Source("people", cluster="cluster", period="period", first_treated="start")
    alone = small_plan(sources=(panel,), tests=(), analyses=(specs.Analysis("main", "Main", estimators=("cr2",)),))
    frame = simulate_frames(alone, 1, size=5)["people"]
    check_frames(alone, {"people": pd.concat([frame, frame.assign(cluster="elsewhere")])})


def test_law_csv_is_the_same_bytes_for_the_same_values() -> None:
    frame = pd.DataFrame(
        {
            "a": [0.1 + 0.2, 1e-300, np.nan],
            "b": ["x,y", 'q"', "ü"],
            "d": [pd.Timestamp("2020-09-01"), pd.NaT, pd.Timestamp("2020-09-01 12:00")],
        }
    )
    expected = 'a,b,d\n0.30000000000000004,"x,y",2020-09-01\n1e-300,"q""",\n,ü,2020-09-01T12:00:00\n'
    assert csv_of(frame) == expected.encode()
    assert csv_of(frame.set_axis([3, 1, 2])) == expected.encode()


@pytest.mark.parametrize("kind", ["str", "category", "object"])
def test_a_number_as_text_or_factor_is_a_number_in_a_formula(kind: str) -> None:
    plan = small_plan(columns=(specs.Column("age", "number"),))
    outcome = replace(plan.outcomes[0], covariates="age")
    frame = simulate_frames(replace(plan, outcomes=(outcome,)), 1, size=20)["people"].assign(age=lambda rows: np.arange(len(rows)) % 7)
    locked = LockedPlan(replace(plan, outcomes=(outcome,)), versions_of())
    before = frame.assign(age=frame["age"].astype(kind))
    kept = before.copy(deep=True)
    found, wanted = (locked.run(data, progress=False).rows for data in (before, frame))
    pd.testing.assert_frame_equal(found, wanted)
    pd.testing.assert_frame_equal(before, kept)
