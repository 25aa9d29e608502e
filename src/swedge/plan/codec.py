"""Specifications as plain values and back. Kinds come from a closed list; nothing is evaluated."""

from __future__ import annotations

import datetime as dt
import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from typing import Any

from swedge import assumptions, estimators, inference, power
from swedge.errors import SwedgeError, listing, nearest
from swedge.estimate import Estimator, WaldTest
from swedge.plan import specs
from swedge.plan.fault import Fault
from swedge.plan.hints import as_float, fits, hints_of, in_words, only_kind, with_kind

Path = tuple[str, ...]

TESTS = (
    "ConleyTaberTest",
    "FermanPintoTest",
    "JackknifeTest",
    "LikelihoodRatioTest",
    "ParametricBootstrapTest",
    "PlaceboTest",
    "RandomisationTest",
    "WildBootstrapTest",
)


@cache
def kinds() -> dict[str, type]:
    """Every class that a plan may name: estimators, tests, assumptions, and a plan's own specifications."""
    assumed = [getattr(assumptions, name) for name in assumptions.__all__]
    fitted = [getattr(estimators, name) for name in estimators.__all__]
    own = [kind for kind in vars(specs).values() if inspect.isclass(kind) and kind.__module__ == specs.__name__]
    found: list[Any] = [kind for kind in assumed if is_dataclass(kind)]
    found += [kind for kind in fitted if inspect.isclass(kind) and issubclass(kind, Estimator) and not inspect.isabstract(kind)]
    found += [WaldTest, *(getattr(inference, name) for name in TESTS), inference.MultipleImputation, power.Scenario, power.Shock, *own]
    return {kind.__name__: kind for kind in found if inspect.isclass(kind)}


def encode(value: Any) -> Any:
    """A specification as JSON values: every field, defaults too, so that a later default changes nothing.

    >>> encode(WaldTest(0.9))
    {'kind': 'WaldTest', 'level': 0.9}
    """
    if is_dataclass(value) and not isinstance(value, type):
        hints = hints_of(type(value))
        own = {field.name: encode(as_float(getattr(value, field.name), hints[field.name])) for field in fields(value)}
        return {"kind": type(value).__name__, **own}
    if isinstance(value, list | tuple):
        return [encode(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"kind": "number", "value": str(value)}
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} is no plain value")


def decode(content: object, path: Path = (), complete: bool = False) -> Any:
    """A specification from plain values.

    Parameters
    ----------
    content
        Scalars, lists, and tables with a ``kind``.
    path
        Where it stands, for messages.
    complete
        Whether every field has to be there, as in a lock.

    Raises
    ------
    Fault
        If a kind or field is unknown, or a value is not what the field takes.

    Examples
    --------
    >>> decode({"kind": "TATE", "first": 1, "last": 3})
    TATE(first=1, last=3)
    """
    if isinstance(content, list | tuple):
        return tuple(decode(entry, (*path, str(k)), complete) for k, entry in enumerate(content, 1))
    if not isinstance(content, Mapping):
        return content
    name = content.get("kind")
    if not isinstance(name, str):
        raise Fault(path, f'This table has no kind. Write for example kind = "FixedEffects"; kinds are {", ".join(sorted(kinds()))}.')
    if name == "number":
        return _number(content, path)
    if name not in kinds():
        raise Fault((*path, "kind"), f"{name!r:.60} is no kind.{nearest(name, kinds())} Kinds are {', '.join(sorted(kinds()))}.")
    return build(kinds()[name], {key: entry for key, entry in content.items() if key != "kind"}, path, complete)


def _number(content: Mapping[str, Any], path: Path) -> float:
    shown = content.get("value")
    if set(content) != {"kind", "value"} or shown not in ("inf", "-inf"):
        raise Fault(path, 'A table of kind number holds value = "inf" or "-inf" and nothing else.')
    return float(shown)


def build(kind: type, content: Mapping[str, Any], path: Path, complete: bool = False, **given: Any) -> Any:
    """One specification from a table of its fields; `given` are fields that the table may not hold.

    Raises
    ------
    Fault
        At the first unknown or absent field, wrong type, or value that the specification refuses.
    """
    known = {field.name: field for field in fields(kind) if field.init and field.name not in given}
    _check_keys(kind, content, known, path, complete)
    values = {key: _value(kind, key, entry, (*path, key), complete) for key, entry in content.items()}
    try:
        return kind(**given, **values)
    except SwedgeError as error:
        raise Fault(_blamed(path, str(error), values), str(error)) from None
    except (TypeError, ValueError, ArithmeticError) as error:
        raise Fault(path, f"{kind.__name__} refuses these values: {error!s:.200}.") from None


def _check_keys(kind: type, content: Mapping[str, Any], known: Mapping[str, Field[Any]], path: Path, complete: bool) -> None:
    for key in content:
        if key not in known:
            raise Fault((*path, key), f"{key!r:.60} is no key of {kind.__name__}.{nearest(key, known)} Keys are {', '.join(known)}.")
    needed = [name for name, field in known.items() if complete or (field.default is MISSING and field.default_factory is MISSING)]
    absent = [name for name in needed if name not in content]
    if absent:
        raise Fault(path, f"{kind.__name__} needs {listing(absent)}, which is missing.")


def _value(kind: type, key: str, entry: object, path: Path, complete: bool) -> Any:
    hint = hints_of(kind)[key]
    named = entry if complete else with_kind(entry, only_kind(hint))
    value = as_float(decode(named, path, complete), hint)
    if not fits(value, hint):
        raise Fault(path, f"{key} is {shown(value)}; expected {in_words(hint)}.")
    return value


def shown(value: object) -> str:
    """A value for a message: cut short, or only what it is."""
    return f"{value!r:.60}" if isinstance(value, str | int | float | bool | tuple) else f"a {type(value).__name__}"


def _blamed(path: Path, text: str, values: Mapping[str, Any]) -> Path:
    """The field that a message names first, if it names one; else the table."""
    named = [(place, key) for key in values if (place := place_in(text, key)) >= 0]
    return (*path, min(named)[1]) if named else path


def place_in(text: str, key: str) -> int:
    """Where a message names a key, as a word of its own; -1 if it does not.

    >>> place_in("sizes and size", "size")
    10
    """
    found = re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text)
    return -1 if found is None else found.start()
