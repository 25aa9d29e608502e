"""Whether a value is what a field's annotation says, and what that is in words."""

from __future__ import annotations

import inspect
import types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number", type(None): "nothing", Any: "numbers"}
PLURALS = {str: "texts", int: "whole numbers", float: "numbers", Any: "numbers"}


@cache
def hints_of(kind: type) -> dict[str, Any]:
    """Annotations of a dataclass's fields, evaluated in its own module."""
    return get_type_hints(kind)


def fits(value: object, hint: Any) -> bool:
    """Whether a decoded value is what a field takes.

    >>> fits((1, 2.5), tuple[float, ...]), fits("1", float), fits(True, int)
    (True, False, False)
    """
    if hint is Any:
        return True
    if _is_union(hint):
        return any(fits(value, option) for option in get_args(hint))
    if get_origin(hint) in (tuple, Sequence):
        return isinstance(value, tuple) and _entries_fit(value, get_args(hint))
    if hint in (int, float):
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    return is_dataclass(value) if hint is object else isinstance(value, hint)


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _entries_fit(value: tuple[object, ...], entries: tuple[Any, ...]) -> bool:
    if len(entries) == 1 or entries[-1] is Ellipsis:
        return all(fits(entry, entries[0]) for entry in value)
    return len(value) == len(entries) and all(map(fits, value, entries))


def as_float(value: object, hint: Any) -> object:
    """A whole number where only a number with decimals is meant, so that 1 and 1.0 are one plan."""
    if isinstance(value, int) and not isinstance(value, bool) and not _takes(hint, int) and _takes(hint, float):
        return float(value)
    if isinstance(value, tuple) and (inner := _entry(hint)) is not None:
        return tuple(as_float(entry, inner) for entry in value)
    return value


def _takes(hint: Any, kind: type) -> bool:
    return kind in get_args(hint) if _is_union(hint) else hint is kind


def _entry(hint: Any) -> Any:
    """What a tuple of one kind holds; None where that is not one thing."""
    options = get_args(hint) if _is_union(hint) else (hint,)
    inner = [
        get_args(option)[0] for option in options if get_origin(option) in (tuple, Sequence) and len(set(get_args(option)) - {...}) == 1
    ]
    return inner[0] if len(inner) == 1 else None


def only_kind(hint: Any) -> type | None:
    """The one specification that a field takes, alone or in a list; None if it takes several, or none.

    >>> only_kind(tuple[int, ...]) is only_kind(Any) is None
    True
    """
    options = [option for option in (get_args(hint) if _is_union(hint) else (hint,)) if option is not type(None)]
    if len(options) == 1 and get_origin(options[0]) in (tuple, Sequence):
        options = [option for option in get_args(options[0]) if option is not Ellipsis]
    made = [option for option in options if inspect.isclass(option) and is_dataclass(option) and not inspect.isabstract(option)]
    return made[0] if len(made) == len(options) == 1 and not made[0].__subclasses__() else None


def with_kind(entry: object, kind: type | None) -> object:
    """A table, or every table of a list, with its kind where it may be left out and is."""
    if kind is not None and isinstance(entry, list | tuple):
        return [with_kind(part, kind) for part in entry]
    return {"kind": kind.__name__, **entry} if kind is not None and isinstance(entry, Mapping) else entry


def in_words(hint: Any) -> str:
    """What a field takes, for a message.

    >>> in_words(float | None), in_words(tuple[str, ...])
    ('a number or nothing', 'a list in square brackets, of texts')
    """
    if _is_union(hint):
        return " or ".join(dict.fromkeys(in_words(option) for option in get_args(hint)))
    if get_origin(hint) in (tuple, Sequence):
        return f"a list in square brackets, of {_plural(get_args(hint)[0])}"
    if only_kind(hint) is not None:
        return f"a table, such as {{ {next(iter(hints_of(hint)))} = ... }}"
    return WORDS.get(hint, f"a table with a kind ({getattr(hint, '__name__', hint)})")


def _plural(hint: Any) -> str:
    if set(get_args(hint)) == {str, int, float, bool}:
        return "values"
    return PLURALS.get(hint, "tables" if only_kind(hint) is not None else f"entries that are each {in_words(hint)}")
