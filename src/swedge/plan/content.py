"""A plan as JSON values and back, leaf by leaf where two plans are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from swedge.design import Allocation, Design, record
from swedge.errors import PlanError, SwedgeError
from swedge.plan.codec import decode, encode
from swedge.plan.plan import Plan

APART = ("design", "allocation")
ABSENT = "(absent)"
LONGEST = 20_000


class Difference(NamedTuple):
    """One leaf in which two plans differ: a dotted path, what was registered, and what is there now."""

    path: str
    was: object
    now: object

    def __str__(self) -> str:
        was, now = beside(shown(self.was, LONGEST), shown(self.now, LONGEST))
        return f"{self.path} was registered as {was} and is now {now}"


def shown(value: object, width: int = 80) -> str:
    """A value for a message, cut when it is long."""
    text = value if value is ABSENT else record.canonical(value).decode()
    return str(text) if len(text) <= width else f"{text[:width]}..."


def beside(was: str, now: str, width: int = 80) -> tuple[str, str]:
    """Two texts, cut so that what they do not share is seen.

    >>> beside("C(age) + C(sex) + size", "C(age) + C(sex)", width=8)
    ('...x) + siz...', '...x)')
    """
    same = next((k for k, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    start = 0 if max(len(was), len(now)) <= width else max(0, same - width // 4)
    return _window(was, start, width), _window(now, start, width)


def _window(text: str, start: int, width: int) -> str:
    return "..." * (start > 0) + text[start : start + width] + "..." * (len(text) > start + width)


def plan_content(plan: Plan) -> dict[str, Any]:
    """Everything in a plan but its allocation, as JSON values."""
    own = {field.name: encode(getattr(plan, field.name)) for field in fields(plan) if field.name not in APART}
    return {**own, "design": record.design_record(plan.design)}


def plan_of(content: object, allocation: object) -> Plan:
    """The plan of its content and of its allocation's record.

    Raises
    ------
    PlanError
        If either is not what this version of swedge writes.
    """
    names = [field.name for field in fields(Plan) if field.name != "allocation"]
    values = record.only(content, names, "plan")
    own = {name: decode(values[name], (name,), complete=True) for name in names if name != "design"}
    return Plan(**own, design=Design.from_record(values["design"]), allocation=Allocation.from_record(allocation))


def leaves(content: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Dotted paths and scalars, in order; entries of a list go by their name where it is theirs alone, else by their number from 1."""
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(content, list | tuple) and content:
        names = [_named(value) for value in content]
        for number, (name, value) in enumerate(zip(names, content, strict=True), 1):
            yield from leaves(value, f"{path}.{name if name and names.count(name) == 1 else f'{name}{number}'}")
    else:
        yield path, content


def _named(value: object) -> str:
    """What an entry of a list is called, if it has a name of its own."""
    name = value.get("name") or value.get("item") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) else ""


def differences(was: object, now: object) -> list[Difference]:
    """Where two contents differ, in the order of the first; what only one has is absent from the other.

    Named entries that have only changed places differ in their order: the first population is the main one.

    >>> differences({"seed": 1, "outcomes": []}, {"seed": 2, "outcomes": []})
    [Difference(path='seed', was=1, now=2)]
    """
    old, new = dict(leaves(was)), dict(leaves(now))
    paths = [*old, *(path for path in new if path not in old)]
    pairs = [Difference(path, old.get(path, ABSENT), new.get(path, ABSENT)) for path in paths]
    return [pair for pair in pairs if not _same(pair.was, pair.now)] + [*_moved(was, now, "")]


def _moved(was: object, now: object, path: str) -> Iterator[Difference]:
    """Lists whose named entries are the same in another order."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in was:
            yield from _moved(was[key], now.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(was, list | tuple) and isinstance(now, list | tuple):
        old, new = [_named(value) for value in was], [_named(value) for value in now]
        if all(old) and old != new and sorted(old) == sorted(new):
            yield Difference(f"{path}.order", old, new)


def _same(was: object, now: object) -> bool:
    return was is now or (was is not ABSENT and now is not ABSENT and record.canonical(was) == record.canonical(now))


def allocation_content(plan: Plan) -> dict[str, Any]:
    """The audit record of a plan's allocation.

    Raises
    ------
    PlanError
        If it has none, or it does not verify.
    """
    if plan.allocation is None:
        raise PlanError(
            "The plan has no allocation, and a lock holds its record. Draw one with `swedge randomise`, which writes"
            f" {plan.allocation_rule.record}."
        )
    try:
        plan.allocation.verify()
    except SwedgeError as error:
        raise PlanError(f"The plan's allocation does not verify: {error}") from None
    return plan.allocation.record()
