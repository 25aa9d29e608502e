"""Before a run, `swedge check --data` finds what would make its analyses fail."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from plan.small_toml import SMALL, written
from swedge.errors import DataError
from swedge.plan.buildable import check_trials
from swedge.plan.plan import Plan
from swedge.plan.randomising import allocate
from swedge.plan.simulated import simulate_frames
from swedge.plan.tables import read_table


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = written(tmp_path, SMALL.replace('period = "period"', 'period = "period"\ntreatment = "treated"'))
    allocate(Plan.from_toml(path), 1).save(tmp_path / "allocation.json")
    return Plan.from_toml(path)


def test_law_data_as_planned_pass(plan: Plan) -> None:
    check_trials(plan, simulate_frames(plan, 1))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("recovered", 2.0, "must be 0 or 1"),
        ("period", 99, "99"),
        ("treated", 1, "contradict the allocation"),
    ],
)
def test_bad_input_a_trial_that_cannot_be_made_is_named(plan: Plan, column: str, value: float, message: str) -> None:
    frame = simulate_frames(plan, 1)["people"]
    frame[column] = frame[column].mask(frame.index % 7 == 0, value)
    with pytest.raises(DataError, match=r"1 of 1 registered data sets cannot be made \(recovered in main\)") as caught:
        check_trials(plan, {"people": frame})
    assert message in str(caught.value)


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_bad_input_another_separator_is_named(tmp_path: Path, sign: str, name: str) -> None:
    pd.DataFrame({"cluster": ["A"], "age": [1]}).to_csv(tmp_path / "a.csv", sep=sign, index=False)
    with pytest.raises(DataError, match=f"separated by {name}"):
        read_table(tmp_path / "a.csv", {})


def test_bad_input_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        read_table(tmp_path, {})


def test_bad_input_a_spreadsheets_days_are_explained(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("day\n46388\n46389\n")
    with pytest.raises(DataError, match="spreadsheet's numbers of days"):
        read_table(tmp_path / "a.csv", {"day": "date"})
