"""The parts of a plan beside its design: named entries, single specifications, texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from swedge.errors import PlanError, nearest
from swedge.estimate import Estimator
from swedge.plan import specs
from swedge.plan.codec import TESTS, build, decode, kinds, shown
from swedge.plan.documents.items import TEXT_KEYS
from swedge.plan.fault import Fault
from swedge.plan.safe_paths import check_name

Table = Mapping[str, Any]
Path = tuple[str, ...]

POWER = ("PowerByFormula", "PowerBySimulation")
ENTRIES: dict[str, type] = {
    "sources": specs.Source,
    "columns": specs.Column,
    "populations": specs.Population,
    "outcomes": specs.Outcome,
    "analyses": specs.Analysis,
}
NAMED = (*ENTRIES, "estimators", "tests", "power")
SINGLE: dict[str, type] = {"multiplicity": specs.Multiplicity, "comparators": specs.Comparators}


def table_of(value: object, path: Path) -> Table:
    """A table, or a fault that shows how one is written."""
    if not isinstance(value, Mapping):
        raise Fault(path, f"{path[-1]!r} is {shown(value)}, no table. Write [{'.'.join(path)}], and its keys on the lines below.")
    return value


def read_named(part: str, content: object) -> tuple[Any, ...]:
    """The entries of a table of tables, in the order of the file.

    Raises
    ------
    Fault
    """
    made = {"estimators": _estimator, "tests": _test, "power": _power, "sources": _source}.get(part, _entry)
    table = table_of(content, (part,))
    return tuple(made(part, name, table_of(entry, (part, name))) for name, entry in table.items())


def _entry(part: str, name: str, table: Table) -> Any:
    return build(ENTRIES[part], _labelled(ENTRIES[part], name, table), (part, name), name=name)


def _source(part: str, name: str, table: Table) -> Any:
    made = _entry(part, name, table)
    if made.file is not None:
        with blaming_file((part, name, "file")):
            check_name(made.file)
    return made


@contextmanager
def blaming_file(path: Path) -> Iterator[None]:
    """Say at which key a file was refused."""
    try:
        yield
    except (PlanError, OSError) as error:
        raise Fault(path, str(error)) from None


def _labelled(kind: type, name: str, table: Table) -> Table:
    takes = any(field.name == "label" for field in fields(kind))
    return {"label": label_of(name), **table} if takes else table


def label_of(name: str) -> str:
    """What an entry without a label is called.

    >>> label_of("looked_after")
    'Looked after'
    """
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _estimator(part: str, name: str, table: Table) -> specs.PlannedEstimator:
    known = tuple(name for name, kind in kinds().items() if issubclass(kind, Estimator))
    label, made = _under_label(part, name, table, known)
    return specs.PlannedEstimator(name, label, made)


def _test(part: str, name: str, table: Table) -> specs.PlannedTest:
    label, made = _under_label(part, name, table, (*TESTS, "WaldTest"))
    return specs.PlannedTest(name, label, made)


def _under_label(part: str, name: str, table: Table, known: tuple[str, ...]) -> tuple[str, Any]:
    """The label of an entry, and the specification that its other keys are."""
    label = table.get("label", label_of(name))
    if not isinstance(label, str):
        raise Fault((part, name, "label"), f"label is {shown(label)}; expected text.")
    _check_kind(table, (part, name), known)
    return label, decode({key: value for key, value in table.items() if key != "label"}, (part, name))


def _check_kind(table: Table, path: Path, known: tuple[str, ...]) -> None:
    kind = table.get("kind")
    if kind not in known:
        found = "There is no kind" if kind is None else f"{shown(kind)} is no kind"
        raise Fault((*path, "kind"), f"{found} of {path[0]}.{nearest(kind, known)} Kinds are {', '.join(sorted(known))}.")


def _power(part: str, name: str, table: Table) -> Any:
    _check_kind(table, (part, name), POWER)
    kind, own = kinds()[table["kind"]], {key: value for key, value in table.items() if key != "kind"}
    return build(kind, _labelled(kind, name, own), (part, name), name=name)


def read_single(part: str, content: object) -> Any:
    """The one specification of a table.

    Raises
    ------
    Fault
    """
    return build(SINGLE[part], table_of(content, (part,)), (part,))


def read_missing(content: object, seed: int) -> specs.Missing:
    """The table [missing], whose imputation has the plan's seed unless it has its own.

    Raises
    ------
    Fault
    """
    table = dict(table_of(content, ("missing",)))
    if "imputation" in table:
        table["imputation"] = {"seed": seed, **table_of(table["imputation"], ("missing", "imputation"))}
    made: specs.Missing = build(specs.Missing, table, ("missing",))
    return made


def read_texts(content: object) -> tuple[specs.Text, ...]:
    """The table [text]: what a person wrote, by the item that asks for it.

    Raises
    ------
    Fault
    """
    table = table_of(content, ("text",))
    for item, words in table.items():
        if item not in TEXT_KEYS:
            known = ", ".join(TEXT_KEYS)
            raise Fault(("text", item), f"{item!r:.60} is no item of the documents.{nearest(item, TEXT_KEYS)} Items are {known}.")
        if not isinstance(words, str):
            raise Fault(("text", item), f"{item} is {shown(words)}; expected text between quotation marks, three if it has several lines.")
    return tuple(specs.Text(item, words) for item, words in table.items())


def with_settings(content: object, settings: Table) -> object:
    """Entries with the plan's seed and level where their kind takes them and they say nothing."""
    if not isinstance(content, Mapping):
        return content
    return {name: {**_taken(entry, settings), **entry} if isinstance(entry, Mapping) else entry for name, entry in content.items()}


def _taken(entry: Table, settings: Table) -> Table:
    kind = kinds().get(str(entry.get("kind")))
    known = {field.name for field in fields(kind)} if kind is not None else set()
    return {key: value for key, value in settings.items() if key in known}
