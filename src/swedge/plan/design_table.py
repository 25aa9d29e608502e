"""The tables [design] and [allocation] of a plan."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from swedge.design import Allocation, Design
from swedge.errors import DesignError, listing, nearest
from swedge.plan.codec import build, place_in
from swedge.plan.content import differences
from swedge.plan.fault import Fault
from swedge.plan.parts import blaming_file
from swedge.plan.safe_paths import inside
from swedge.plan.specs import AllocationRule

Table = Mapping[str, Any]

CONSTRUCTORS: dict[str, Callable[..., Design]] = {
    "dates": Design.from_dates,
    "stepped_wedge": Design.stepped_wedge,
    "matrix": Design.from_matrix,
    "staircase": Design.staircase,
    "parallel": Design.parallel,
    "crossover": Design.crossover,
}
PATH = ("design",)
BALANCE = ("design", "balance")


def read_design(table: Table) -> Design:
    """The design of its table.

    Raises
    ------
    Fault
        At what no constructor takes, or what the constructor refuses.
    """
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in CONSTRUCTORS:
        known = ", ".join(CONSTRUCTORS)
        raise Fault((*PATH, "kind"), f"{kind!r:.60} is no kind of design.{nearest(kind, CONSTRUCTORS)} Kinds are {known}.")
    given = {key: value for key, value in table.items() if key not in ("kind", "balance")}
    _check_keys(CONSTRUCTORS[kind], given, ("kind", "balance"), PATH)
    with _blaming(PATH, given):
        design = CONSTRUCTORS[kind](**(given | _rows(given)))
    return _constrained(design, table["balance"]) if "balance" in table else design


def _check_keys(constructor: Callable[..., Design], given: Table, beside: tuple[str, ...], path: tuple[str, ...]) -> None:
    known = inspect.signature(constructor).parameters
    for key in given:
        if key not in known:
            raise Fault((*path, key), f"{key!r:.60} is no key of this table.{nearest(key, (*known, *beside))} Keys are {', '.join(known)}.")
    absent = [name for name, argument in known.items() if argument.default is argument.empty and name not in given]
    if absent:
        raise Fault(path, f"The design needs {listing(absent)}, which is missing.")


def _rows(given: Table) -> dict[str, Any]:
    """Rows with None where the plan has an empty text: TOML knows no None."""
    rows = given.get("rows")
    if not isinstance(rows, list):
        return {}
    return {"rows": [[None if cell == "" else cell for cell in row] if isinstance(row, list) else row for row in rows]}


def _constrained(design: Design, table: object) -> Design:
    if not isinstance(table, Mapping):
        raise Fault(BALANCE, "balance is no table. Write [design.balance.covariates], and below it referrals = { A = 100, B = 200 }.")
    _check_keys(design.constrained, table, (), BALANCE)
    columns = table["covariates"]
    if not (isinstance(columns, Mapping) and columns and all(isinstance(values, Mapping) for values in columns.values())):
        raise Fault((*BALANCE, "covariates"), "Each covariate is a table of numbers by cluster, such as referrals = { A = 100, B = 200 }.")
    with _blaming(BALANCE, table):
        return design.constrained(**{**table, "covariates": pd.DataFrame(columns)})


@contextmanager
def _blaming(path: tuple[str, ...], table: Table) -> Iterator[None]:
    """Say at which key of a table a constructor stopped."""
    try:
        yield
    except DesignError as error:
        raise Fault((*path, *_named_in(str(error), table)), str(error)) from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise Fault(path, f"The design refuses these values: {error!s:.200}.") from None


def _named_in(text: str, table: Table) -> tuple[str, ...]:
    """The key that a message names first, by itself or by a key below it, and that key below it."""
    places = {key: _places(text, key, value) for key, value in table.items()}
    named = {key: min(found) for key, found in places.items() if found}
    if not named:
        return ()
    key = min(named, key=lambda name: named[name])
    return (key, *_named_in(text, table[key])) if isinstance(table[key], Mapping) else (key,)


def _places(text: str, key: str, value: object) -> list[int]:
    below = value if isinstance(value, Mapping) else {}
    return [place for name in (key, key.capitalize(), *below) if (place := place_in(text, name)) >= 0]


def read_rule(table: Table, design: Design, design_table: Table) -> AllocationRule:
    """The table [allocation]; of dates that were carried out, also the sequences that they mean.

    Raises
    ------
    Fault
    """
    path = ("allocation",)
    sequences = table.get("sequences", {})
    if not isinstance(sequences, Mapping):
        raise Fault((*path, "sequences"), "sequences is no table. Write [allocation.sequences], and below it a line a cluster: A = 0.")
    rule: AllocationRule = build(AllocationRule, {**table, "sequences": [list(pair) for pair in sequences.items()]}, path)
    if rule.carried_out and rule.sequences:
        raise Fault((*path, "sequences"), "carried_out says that the dates were kept, so no sequences are given. Take one of them out.")
    if rule.carried_out and design_table["kind"] != "dates":
        raise Fault((*path, "carried_out"), "Only a design of kind dates says what was carried out. Give [allocation.sequences] instead.")
    return _settled(rule, design, design_table, path)


def _settled(rule: AllocationRule, design: Design, design_table: Table, path: tuple[str, ...]) -> AllocationRule:
    """The rule with every cluster's sequence in the design's order, where it is known."""
    if not (rule.carried_out or rule.sequences):
        return rule
    given = dict(rule.sequences)
    with _blaming((*path, "carried_out" if rule.carried_out else "sequences"), given):
        made = design.allocate_dates(design_table["go_live"]) if rule.carried_out else design.allocate(given)
    return AllocationRule(rule.record, rule.carried_out, tuple(zip(design.clusters, made.sequence, strict=True)))


def read_allocation(rule: AllocationRule, design: Design, folder: Path) -> Allocation | None:
    """The allocation of the audit record; None when there is no record yet.

    Raises
    ------
    Fault
        If the file lies outside the folder, was edited, is of another design, or is not what was carried out.
    """
    path = ("allocation", "record")
    with blaming_file(path):
        file = inside(folder, rule.record)
        allocation = Allocation.load(file) if file.is_file() else None
    if allocation is not None:
        _check_record(allocation, rule, design, path)
    return allocation


def _check_record(allocation: Allocation, rule: AllocationRule, design: Design, path: tuple[str, ...]) -> None:
    differing = differences(design.record(), allocation.design.record())
    if differing:
        found = [f"{change.path} is {change.was!r:.60} in the plan and {change.now!r:.60} in the record" for change in differing]
        raise Fault(
            path,
            f"{rule.record} is of another design: {listing(found)}. Restore the design; or, if nobody has"
            f" been allocated by it, move {rule.record} away and draw again with `swedge randomise`.",
        )
    carried = dict(rule.sequences)
    drawn = dict(zip(design.clusters, allocation.sequence, strict=True))
    found = [f"{name} has {drawn[name]} in the record and {own} in the plan" for name, own in carried.items() if drawn[name] != own]
    if found:
        raise Fault(path, f"{rule.record} is not what was carried out: sequence of {listing(found)}. Correct the plan, or the record.")
