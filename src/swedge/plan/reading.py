"""A plan from the TOML that a person wrote. Nothing in it is evaluated, and every refusal says at which line."""

from __future__ import annotations

import codecs
import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from swedge.errors import PlanError, SwedgeError, nearest
from swedge.plan.checks import check_settings
from swedge.plan.checks_outcomes import check_analysed
from swedge.plan.codec import shown
from swedge.plan.design_table import read_allocation, read_design, read_rule
from swedge.plan.fault import Fault
from swedge.plan.hints import as_float, fits, in_words
from swedge.plan.limits import check_limits
from swedge.plan.lines import DEEPEST, Lines
from swedge.plan.parts import NAMED, SINGLE, read_missing, read_named, read_single, read_texts, table_of, with_settings

FORMAT = "swedge plan 1"
LARGEST = 1_000_000
"""Bytes of a plan."""

SCALARS = ("format", "title", "version", "date", "alpha", "seed")
NEEDED = ("sources", "outcomes", "estimators", "analyses")
KEYS = (*SCALARS, "design", "allocation", *NAMED, *SINGLE, "missing", "text")

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT = re.compile(r"at line (\d+)")
_FORMAT = re.compile(r"swedge plan (\d{1,9})")
_SPELLING = (
    "Correct it: text stands in straight quotation marks, lists in square brackets, true and false are in small letters, decimals have"
    " a point, dates are as 2026-11-22, and every table and key occurs once."
)


def read_plan(path: str | PathLike[str]) -> dict[str, Any]:
    """Fields of a `Plan` from its TOML.

    Parameters
    ----------
    path : path
        A plan's file. The allocation's record is looked for in the same folder, and no other file is read.

    Raises
    ------
    PlanError
        With the line of what is wrong.
    """
    document = Document(path)
    with document.located():
        return document.fields()


class Document:
    """The text of a plan, its tables, and where each key stands.

    Parameters
    ----------
    path : path

    Raises
    ------
    PlanError
        If there is no such file, or it is no TOML of a plan's size.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        text = _text(self.path)
        self.lines = Lines(text)
        if self.lines.deep is not None:
            raise PlanError(f"{self.path.name}, line {self.lines.deep}: Keys stand under more than {DEEPEST} others. Make it flatter.")
        self.content = _parsed(text, self.path.name)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Turn a fault at a key into a PlanError with its line."""
        try:
            yield
        except Fault as fault:
            where = f", {dotted(fault.path)}" if fault.path else ""
            raise PlanError(f"{self.path.name}, line {self.lines.of(fault.path)}{where}: {fault.text}") from None
        except SwedgeError as error:
            raise PlanError(f"{self.path.name}: {error}") from None

    def fields(self) -> dict[str, Any]:
        """Fields of a `Plan`.

        Raises
        ------
        Fault
        """
        _check_format(self.content)
        _check_keys(self.content)
        check_limits(self.content)
        own = _scalars(self.content)
        return {**own, **self._design_fields(), **_parts(self.content, own)}

    def _design_fields(self) -> dict[str, Any]:
        table = table_of(self.content.get("design"), ("design",))
        design = read_design(table)
        rule = read_rule(table_of(self.content.get("allocation", {}), ("allocation",)), design, table)
        return {"design": design, "allocation_rule": rule, "allocation": read_allocation(rule, design, self.path.parent)}


def dotted(path: tuple[str, ...]) -> str:
    """A path as TOML writes it.

    >>> dotted(("columns", "age group", "holds"))
    'columns."age group".holds'
    """
    short = [key if len(key) <= 60 else f"{key[:57]}..." for key in path]
    return ".".join(key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=True) for key in short)


def _text(path: Path) -> str:
    if not path.is_file():
        raise PlanError(f"There is no plan {path.name} in that folder. Write one with `swedge new`, or correct the path.")
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise PlanError(f"{path.name} has more than {LARGEST:,} bytes, which no plan needs. Is it another file?")
    if data.startswith(codecs.BOM_UTF8):
        raise PlanError(f"{path.name}, line 1: The file begins with a byte order mark. Save it as UTF-8 without one.")
    try:
        return data.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PlanError(f"{path.name}, line {line}: The file is no UTF-8 text. Save it as UTF-8.") from None


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise PlanError(f"{name}: Lists or tables stand in too many others. Make it flatter.") from None
    except ValueError as error:
        found = _AT.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1 if "end of document" in str(error) else 1
        said = str(error).partition(" (at ")[0]
        raise PlanError(f"{name}, line {line}: This is no TOML: {said:.200}. {_SPELLING}") from None


def _check_format(content: Mapping[str, Any]) -> None:
    said = content.get("format")
    number = _FORMAT.fullmatch(said) if isinstance(said, str) else None
    if number is not None and int(number[1]) > 1:
        raise Fault(("format",), f"{said!r} is from a newer version of swedge; this one reads {FORMAT!r}. Update swedge.")
    if said not in (None, FORMAT):
        raise Fault(("format",), f'format is {shown(said)}. Begin the plan with the line format = "{FORMAT}".')


def _check_keys(content: Mapping[str, Any]) -> None:
    for key in content:
        if key not in KEYS:
            raise Fault((key,), f"{key!r:.60} is no part of a plan.{nearest(key, KEYS)} Parts are {', '.join(KEYS)}.")
    for key, line in (("format", f'format = "{FORMAT}"'), ("title", 'title = "..."'), ("design", "[design], with its kind below")):
        if key not in content:
            raise Fault((key,), f"The plan has no {key}. Add the line {line}.")


def _scalars(content: Mapping[str, Any]) -> dict[str, Any]:
    """Title, version, date, alpha and seed; those left out have the plan's defaults."""
    own: dict[str, Any] = {key: _scalar(key, content[key]) for key in SCALARS if key in content and key != "format"}
    check_settings(own.get("alpha", 0.05), own.get("seed", 0), own.get("date", ""))
    return own


def _scalar(key: str, value: object) -> object:
    if key == "date" and isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    hint = {"alpha": float, "seed": int}.get(key, str)
    if not fits(value, hint):
        raise Fault((key,), f"{key} is {shown(value)}; expected {in_words(hint)}.")
    return as_float(value, hint)


def _parts(content: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the other tables hold, the plan's seed and level filled in where a test or imputation has none of its own."""
    seed = own.get("seed", 0)
    tests = with_settings(content.get("tests", {}), {"seed": seed, "level": 1 - own.get("alpha", 0.05)})
    tables = {**{key: {} for key in NEEDED}, **content, "tests": tests}
    found: dict[str, Any] = {part: read_named(part, tables[part]) for part in NAMED if part in tables}
    found |= {part: read_single(part, content[part]) for part in SINGLE if part in content}
    found |= {"missing": read_missing(content["missing"], seed)} if "missing" in content else {}
    check_analysed(found["outcomes"], found["analyses"])
    return found | {"texts": read_texts(content.get("text", {}))}
