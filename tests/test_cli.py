from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swedge import DataError, __version__, cli


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of the command, run in this process."""
    monkeypatch.setattr(sys, "argv", ["swedge", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"swedge {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["Start here:", "swedge demo --out demo", "size-table"]),
        (
            ["demo", "--help"],
            ["report.html", "allocation.json", "children.csv", "Examples:", "--panel", "--neighbours", "--quiet"],
        ),
        (["size-table", "--help"], ["should reject 5%", "mcse", "--noise", "--json", "swedge size-table --noise 0 --noise 0.1 --json"]),
    ],
)
def test_help_teaches(arguments: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, *arguments) == 0
    out = capsys.readouterr().out
    assert not [word for word in words if word not in out]


def test_no_command_shows_the_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(monkeypatch)
    assert "Start here:" in "".join(capsys.readouterr())


def test_size_table_prints_every_row_with_its_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "size-table", "--reps", "50", "--noise", "0", "--noise", "0.1", "--quiet") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["noise", "estimator", "test", "rejection", "mcse", "n_failed"]
    assert len(lines) == 2 + 2 * 6


def test_size_table_as_json_is_nothing_but_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "size-table", "--reps", "50", "--noise", "0.2", "--json", "--quiet") == 0
    captured = capsys.readouterr()
    rows = json.loads(captured.out)
    assert {row["noise"] for row in rows} == {0.2}
    assert set(rows[0]) == {"noise", "estimator", "test", "rejection", "mcse", "n_failed"}
    assert captured.err == ""


def test_the_same_seed_prints_the_same(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for seed in ("0", "0", "1"):
        run(monkeypatch, "size-table", "--reps", "50", "--noise", "0.1", "--seed", seed, "--json")
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]


def test_quiet_prints_where_the_report_is_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(monkeypatch, "demo", "--out", str(tmp_path), "--reps", "10", "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out == f"{tmp_path / 'report.html'}\n"
    assert captured.err == ""


def test_the_demo_prints_the_report_as_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(monkeypatch, "demo", "--out", str(tmp_path), "--reps", "10", "--seed", "0") == 0
    out = capsys.readouterr().out
    assert out.startswith("1. In short\n")
    assert out.endswith(f"Report: {tmp_path / 'report.html'}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["demo", "--out", "{folder}/file/under"], "cannot be made"),
        (["demo", "--out", "{folder}", "--neighbours", "{folder}/file"], "Add panel="),
        (["demo", "--out", "{folder}", "--panel", "{folder}/absent.csv"], "does not exist"),
        (["demo", "--out", "{folder}", "--reps", "0"], "--reps"),
        (["size-table", "--noise", "-1"], "--noise"),
        (["size-table", "--noise", "much"], "--noise"),
        (["sise-table"], "sise-table"),
    ],
)
def test_wrong_input_leaves_with_code_two_and_one_message(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    assert run(monkeypatch, *(word.format(folder=tmp_path) for word in arguments)) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_an_error_on_purpose_is_a_message_not_a_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(**_: object) -> None:
        raise DataError("Two rows for Walsall. Aggregate them first.")

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert capsys.readouterr().err == "swedge: Two rows for Walsall. Aggregate them first.\n"


def test_an_error_nobody_foresaw_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fails)
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_asking_for_help_loads_neither_pictures_nor_models() -> None:
    program = (
        "import sys; from swedge import cli; sys.argv = ['swedge', 'demo', '--help'];"
        "\ntry: cli.main()\nexcept SystemExit: pass\nsys.exit('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr
