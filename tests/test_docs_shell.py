"""The tutorial of plans is true: its commands are run in one folder, in order, and print what the page shows."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import NamedTuple

import pytest

from swedge.design import Design
from swedge.inference import MultipleImputation
from swedge.plan import specs
from swedge.plan.design_table import CONSTRUCTORS
from swedge.plan.reading import SCALARS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "plan-and-report.md"
TEXT = PAGE.read_text("utf-8")
FENCE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
ANY = "\0"


class Command(NamedTuple):
    """A line after ``$``, what is shown below it, and the exit code that the page claims."""

    line: str
    shown: str
    code: int


def commands(markdown: str) -> Iterator[Command]:
    """Commands of the console blocks; a command succeeds unless ``echo $?`` below it says otherwise."""
    pairs = [entry.partition("\n")[::2] for block in FENCE.findall(markdown) for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    for (line, shown), after in zip(pairs, [*pairs[1:], ("", "")], strict=True):
        if line != "echo $?":
            yield Command(line, shown, int(after[1]) if after[0] == "echo $?" else 0)


def agrees(shown: str, printed: str) -> bool:
    """Whether a command printed what is shown: ``...`` stands for anything, and the page may break lines as it likes."""
    words = " ".join(shown.replace("...", f" {ANY} ").split())
    pattern = re.escape(words).replace(re.escape(ANY), ".*").replace(r"\ ", r"\s*")
    return re.fullmatch(pattern, " ".join(printed.split())) is not None


def test_the_comparison_can_fail() -> None:
    assert agrees("a 1\n...\nlast", "a 1\nb\nc\nlast\n")
    assert agrees("", "")
    assert not agrees("a 1", "a 2")
    assert not agrees("a", "a\nb")
    assert not agrees("", "a")


def test_every_command_of_the_tutorial_prints_and_exits_as_shown(tmp_path: Path) -> None:
    found = list(commands(TEXT))
    assert {"new", "check", "randomise", "lock", "power", "rehearse", "run", "report", "verify", "amend"} <= {
        word for command in found for word in re.findall(r"swedge ([a-z]+)", command.line)
    }
    bin_first = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": bin_first, "COLUMNS": "200", "PYTHONWARNINGS": ""}
    for command in found:
        done = subprocess.run(
            ["bash", "-c", command.line],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == command.code, f"$ {command.line}\n{done.stdout[-3000:]}"
        assert agrees(command.shown, done.stdout), f"$ {command.line}\nshown:\n{command.shown}\nprinted:\n{done.stdout[-3000:]}"
    assert not (tmp_path / "again").exists()


def documented() -> dict[str, dict[str, bool]]:
    """Keys of each table on the page, and whether it is in bold: needed."""
    reference = TEXT.partition("## Every key of plan.toml")[2]
    found = {}
    for part in re.split(r"^### ", reference, flags=re.MULTILINE)[1:]:
        cells = re.findall(r"^\| (.*?) \|", part, re.MULTILINE)
        keys = [match for cell in cells for match in re.findall(r"(\*\*)?`([a-z_]+)`", cell)]
        found[part.splitlines()[0]] = {key: bool(bold) for bold, key in keys}
    return found


def of_spec(kind: type, *, beside: tuple[str, ...] = ()) -> dict[str, bool]:
    """Keys that a specification takes, and whether it needs them. Names stand in the header, and labels have a default there."""
    own = {f.name: f.default is MISSING and f.default_factory is MISSING and f.name != "label" for f in fields(kind) if f.name != "name"}
    return {**dict.fromkeys(beside, True), **own}


def of_designs() -> dict[str, bool]:
    names = [name for constructor in CONSTRUCTORS.values() for name in inspect.signature(constructor).parameters]
    return {"kind": True, **dict.fromkeys(names, False), "balance": False}


def of_balance() -> dict[str, bool]:
    known = list(inspect.signature(Design.constrained).parameters.values())[1:]
    return {argument.name: argument.default is argument.empty for argument in known}


TABLES = {
    "The top of the file": {name: name in ("format", "title") for name in SCALARS},
    "`[design]`": of_designs(),
    "`[design.balance]`": of_balance(),
    "`[allocation]`": of_spec(specs.AllocationRule),
    "`[sources.NAME]`": of_spec(specs.Source),
    "`[columns.NAME]`": of_spec(specs.Column),
    "`[populations.NAME]`": of_spec(specs.Population),
    "`where` of a population or an outcome": of_spec(specs.Condition),
    "`[outcomes.NAME]`": of_spec(specs.Outcome),
    "`[estimators.NAME]` and `[tests.NAME]`": {"kind": True, "label": False},
    "`[analyses.NAME]`": {**of_spec(specs.Analysis), "estimators": True},
    "`[missing]`": of_spec(specs.Missing),
    "`[missing.imputation]`": of_spec(MultipleImputation),
    "`[multiplicity]`": of_spec(specs.Multiplicity),
    "`[comparators]`": of_spec(specs.Comparators),
    "`[power.NAME]` of kind `PowerByFormula`": of_spec(specs.PowerByFormula, beside=("kind",)),
    "`[power.NAME]` of kind `PowerBySimulation`": of_spec(specs.PowerBySimulation, beside=("kind",)),
    "`[text]`": {},
}


def test_the_page_has_a_table_for_each_of_the_plan_s() -> None:
    assert list(documented()) == list(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_every_key_of_a_table_is_on_the_page_and_no_other(table: str) -> None:
    assert documented()[table] == TABLES[table]
