"""The commands of a plan, run as a user runs them: one folder, one message an error, exit codes that a script can read."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from swedge import cli
from swedge.plan import Plan

BLANK = ("new", "-q"), ("randomise", "--seed", "7"), ("lock",)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["swedge", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the blank plan, drawn, locked and rehearsed, so that there are data to run on."""
    folder = tmp_path_factory.mktemp("blank")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert [run(patch, *arguments) for arguments in BLANK] == [0, 0, 0]
        from swedge.plan.frames import csv_of
        from swedge.plan.simulated import simulate_frames

        plan = Plan.load("plan.lock.json").plan
        for source, frame in simulate_frames(plan, 1).items():
            name = plan.sources[[entry.name for entry in plan.sources].index(source)].file
            Path(name or f"{source}.csv").write_bytes(csv_of(frame))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "trial")
    monkeypatch.chdir(tmp_path / "trial")
    return tmp_path / "trial"


def test_new_keeps_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "plan.toml").read_bytes()
    assert run(monkeypatch, "new") == 2
    assert "is there already" in capsys.readouterr().err
    assert (folder / "plan.toml").read_bytes() == before


def test_check_as_json_is_nothing_but_json(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "check", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["allocations"] == Plan.from_toml("plan.toml").design.count()
    assert facts["allocation"] == "allocation.json"


def test_check_names_the_line(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = (folder / "plan.toml").read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith("family ="))
    lines[at] = 'family = "binominal"'
    (folder / "plan.toml").write_text("\n".join(lines))
    assert run(monkeypatch, "check") == 2
    captured = capsys.readouterr()
    assert f"plan.toml, line {at + 1}" in captured.err
    assert "Did you mean 'binomial'" in captured.err
    assert "Traceback" not in captured.err
    assert not captured.out


def test_randomise_does_not_replace_a_draw(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "allocation.json").read_bytes()
    codes = [run(monkeypatch, "randomise", "--seed", str(seed)) for seed in range(8)]
    assert set(codes) == {0, 2}
    assert codes[7] == 0
    assert "holds another record" in capsys.readouterr().err
    assert (folder / "allocation.json").read_bytes() == before


def test_randomise_needs_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "new", "-q") == 0
    assert run(monkeypatch, "randomise") == 2
    assert "--seed" in capsys.readouterr().err
    assert not (tmp_path / "allocation.json").exists()


def test_lock_prints_the_hash_and_verify_holds_it_against_the_registered_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "lock", "--json") == 0
    sha256 = json.loads(capsys.readouterr().out)["sha256"]
    assert run(monkeypatch, "verify", "allocation.json", "plan.lock.json", "--sha256", sha256) == 0
    assert run(monkeypatch, "verify", "plan.lock.json", "--sha256", "0" * 64) == 2
    assert "was registered" in capsys.readouterr().err


def test_run_refuses_a_plan_that_is_not_locked(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "run", "plan.toml") == 2
    assert "is not locked" in capsys.readouterr().err


def replaced(path: Path, old: str, new: str) -> int:
    """Change one line of a file; its number."""
    lines = path.read_text().splitlines()
    at = next(k for k, line in enumerate(lines) if line.startswith(old))
    lines[at] = new
    path.write_text("\n".join(lines) + "\n")
    return at + 1


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("seed = ", "seed = 99", "seed"),
        ("column = ", 'column = "period"', "column"),
        ("covariates = ", 'covariates = ""', "covariates"),
        ("title = ", 'title = "Another"', "title"),
    ],
)
def test_a_changed_plan_is_not_run_until_an_amendment_is_recorded(
    old: str, new: str, path: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = replaced(folder / "plan.toml", old, new)
    assert run(monkeypatch, "run", "-q") == 2
    message = capsys.readouterr().err
    assert path in message
    assert f"line {line}" in message
    assert not (folder / "results").exists()
    assert run(monkeypatch, "lock") == 2
    assert run(monkeypatch, "amend", "--reason", "We were wrong", "--blinded", "--date", "2030-01-01") == 0
    assert path in capsys.readouterr().out
    assert run(monkeypatch, "run", "-q", "--json") == (3 if path == "column" else 0)
    assert json.loads(capsys.readouterr().out)["deviations"] >= 1


def test_one_edited_byte_of_the_lock_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lock = folder / "plan.lock.json"
    lock.write_text(lock.read_text().replace('"alpha":0.05', '"alpha":0.06', 1))
    assert run(monkeypatch, "run", "-q") == 2
    assert "plan.alpha is now 0.06" in capsys.readouterr().err
    assert not (folder / "results").exists()


def test_another_allocation_beside_the_lock_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "allocation.json").unlink()
    assert run(monkeypatch, "randomise", "--seed", "8") == 0
    assert run(monkeypatch, "run", "-q") == 2
    assert "allocation" in capsys.readouterr().err


def test_data_of_another_trial_are_refused_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan.from_toml("plan.toml")
    data = folder / str(plan.sources[0].file)
    head, rest = data.read_text().split("\n", 1)
    data.write_text(head.replace(plan.outcomes[0].column, "elsewhere") + "\n" + rest)
    assert run(monkeypatch, "run", "-q") == 2
    assert plan.outcomes[0].column in capsys.readouterr().err
    assert not (folder / "results").exists()


def test_run_and_report_and_verify(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "run", "-q") == 0
    assert run(monkeypatch, "report", "-q") == 0
    assert (folder / "results" / "report.html").is_file()
    assert run(monkeypatch, "verify", "results") == 0
    (folder / "results" / "tables" / "results.csv").write_text("edited")
    assert run(monkeypatch, "verify", "results") == 2
    assert "tables/results.csv" in capsys.readouterr().err


def test_a_reviewer_with_the_lock_and_the_data_gets_every_digit(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "run", "-q") == 0
    home = tmp_path / "reviewer"
    home.mkdir()
    data = Plan.load("plan.lock.json").plan.sources[0].file
    for name in ("plan.lock.json", str(data)):
        shutil.copy(folder / name, home / name)
    monkeypatch.chdir(home)
    assert run(monkeypatch, "run", "plan.lock.json", "--data", str(data), "--out", "again", "-q") == 0
    ours = {path.relative_to(folder / "results"): path.read_bytes() for path in sorted((folder / "results").rglob("*")) if path.is_file()}
    theirs = {path.relative_to(home / "again"): path.read_bytes() for path in sorted((home / "again").rglob("*")) if path.is_file()}
    assert ours == theirs


def test_results_of_another_run_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "run", "-q") == 0
    assert run(monkeypatch, "run", "-q") == 0, "the same run again changes nothing"
    before = (folder / "results" / "results.json").read_bytes()
    only = Plan.from_toml("plan.toml").analyses[0].name
    assert run(monkeypatch, "run", "-q", "--only", only) == 2
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "note.txt").write_text("mine")
    assert run(monkeypatch, "run", "-q", "--out", "elsewhere", "--replace") == 2
    assert [path.name for path in (folder / "elsewhere").iterdir()] == ["note.txt"]
    assert "holds other files" in capsys.readouterr().err
    assert (folder / "results" / "results.json").read_bytes() == before


def test_rehearse_without_and_with_data(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = str(Plan.from_toml("plan.toml").sources[0].file)
    assert run(monkeypatch, "rehearse", "-q") == 0
    assert run(monkeypatch, "rehearse", "-q", "--data", data, "--out", "blinded") == 0
    assert "rehearsal" in (folder / "rehearsal" / "report.html").read_text().lower()
    assert "blinded data" in (folder / "blinded" / "report.html").read_text()


def test_report_of_a_lock_is_what_a_protocol_needs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "report", "plan.lock.json", "-q") == 0
    assert (folder / "protocol" / "sap.html").is_file()
    assert (folder / "protocol" / "sap.docx").is_file()


def test_power_as_json(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "power", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows
    assert all(0 <= row["power"] <= 1 for row in rows)


@pytest.mark.parametrize("command", ["new", "check", "randomise", "verify", "power", "lock", "amend", "rehearse", "run", "report"])
def test_help_teaches_by_example(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, command, "--help") == 0
    out = capsys.readouterr().out
    assert "Examples:" in out
    assert f"swedge {command}" in out


@pytest.mark.parametrize("command", ["check", "lock", "run", "report", "power", "rehearse", "verify"])
def test_a_missing_file_is_one_message(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, command, *(["nowhere.json"] if command == "verify" else [])) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.err.strip()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [("run",), ("rehearse",), ("power",), ("amend", "--reason", "x", "--blinded")])
def test_a_forgotten_lock_is_named_with_what_makes_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    (folder / "plan.lock.json").unlink()
    assert run(monkeypatch, *command) == 2
    said = capsys.readouterr().err
    assert "There is no lock plan.lock.json" in said
    assert "swedge lock" in said


def test_verify_names_a_file_that_is_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "verify", "plan.lock.json", "nothing.json") == 2
    assert "no file or folder nothing.json" in capsys.readouterr().err


def test_dates_that_are_dealt_out_anew_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "new", "-q", "--study", "family-safeguarding") == 0
    assert run(monkeypatch, "randomise") == 0
    assert "anew" not in capsys.readouterr().out
    (tmp_path / "allocation.json").unlink()
    replaced(tmp_path / "plan.toml", "carried_out = ", "carried_out = false")
    assert run(monkeypatch, "randomise", "--seed", "3") == 0
    assert "The dates of go_live were dealt out anew" in capsys.readouterr().out


def test_a_draw_of_a_design_without_dates_says_nothing_of_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "randomise", "--seed", "7") == 0
    assert "go_live" not in capsys.readouterr().out


def test_check_warns_of_a_smallest_p_above_alpha_and_of_few_simulated_trials(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "check") == 0
    quiet = capsys.readouterr().out
    assert "can never reject" not in quiet
    assert re.search(r"^  warnings +none$", quiet, re.MULTILINE)
    replaced(folder / "plan.toml", "alpha = ", "alpha = 0.005")
    replaced(folder / "plan.toml", "reps = ", "reps = 10")
    assert run(monkeypatch, "check") == 0
    told = capsys.readouterr().out
    assert re.search(r"^  smallest p .* \(above alpha: .* can never reject\)$", told, re.MULTILINE)
    assert "power.simulated simulates 10 trials: a power near 50% would have a Monte Carlo standard error of 0.158" in told


@pytest.mark.parametrize("name", ["plan.toml", "people.csv"])
def test_verify_says_what_it_takes(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "verify", name) == 2
    said = capsys.readouterr().err
    assert "Name a lock (plan.lock.json), the record of an allocation" in said
    assert "Expecting" not in said


def test_one_is_one(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    replaced(folder / "plan.toml", "title = ", 'title = "Another"')
    assert run(monkeypatch, "amend", "--reason", "Another title", "--blinded", "--date", "2030-01-01") == 0
    assert run(monkeypatch, "verify", "plan.lock.json") == 0
    assert run(monkeypatch, "run", "-q") == 0
    out = capsys.readouterr().out
    assert "1 amendment, SHA-256" in out
    assert "1 deviation. Written" in out
