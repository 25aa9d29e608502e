"""Lists, numbers and conditions in words."""

from __future__ import annotations

from collections.abc import Sequence

from swedge._present.words import joined
from swedge.plan.specs import Condition, Value

BY_FORMULA = "by formula"


def number(value: float) -> str:
    """A number short, and never rounded.

    >>> number(0.05), number(2000), number(0.123456789)
    ('0.05', '2,000', '0.123456789')
    """
    if isinstance(value, int) or (value == int(value) if abs(value) < 1e15 else False):
        return f"{int(value):,}"
    short = f"{value:g}"
    return short if float(short) == value else repr(float(value))


def numbers(value: object) -> str:
    """A number, or numbers in order.

    >>> numbers(0.5), numbers((1.0, 2.5)), numbers(((1.0, 2.0), (3.0, 4.0)))
    ('0.5', '1; 2.5', '(1; 2); (3; 4)')
    """
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "; ".join(f"({numbers(entry)})" if isinstance(entry, Sequence) else numbers(entry) for entry in value)
    return number(value) if isinstance(value, int | float) else str(value)


def with_method(label: str, before: str = ", ") -> str:
    """The label of a power calculation with what it was made by, once.

    >>> with_method("Looked after"), with_method("Looked after, by formula")
    ('Looked after, by formula', 'Looked after, by formula')
    """
    return label if label.casefold().rstrip(" .)").endswith(BY_FORMULA) else f"{label}{before}{BY_FORMULA}"


def value_in_words(value: Value) -> str:
    """A value of a column: a text in quotation marks.

    >>> value_in_words("yes"), value_in_words(1), value_in_words(True)
    ("'yes'", '1', 'yes')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"'{value}'" if isinstance(value, str) else number(value)


def conditions(where: Sequence[Condition]) -> str:
    """Which rows meet every condition, in words.

    >>> conditions((Condition("age", (1, 2)), Condition("trio", (1,))))
    'age is 1 or 2, and trio is 1'
    """
    return ", and ".join(f"{entry.column} is {joined(map(value_in_words, entry.among), 'or')}" for entry in where)


def sentence(text: str) -> str:
    """A text closed by a full stop.

    >>> sentence("Done"), sentence("Done?"), sentence("")
    ('Done.', 'Done?', '')
    """
    return text if not text or text.rstrip().endswith((".", "!", "?", ":")) else f"{text.rstrip()}."
