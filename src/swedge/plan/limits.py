"""What no honest plan holds: endless loops, unprintable signs, numbers beyond every reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swedge.plan.fault import Fault

Path = tuple[str, ...]

LONGEST_TEXT, LONGEST_KEY, LONGEST_LIST = 20_000, 100, 10_000
MOST_REPEATS, MOST_UNITS, WIDEST = 1_000_000, 1_000, 2**63

ROWS = ("design", "rows")
"""Where nan means that a cell is not observed."""

# Settings whose only bound is patience, and those that make a table of their size.
_MOST = dict.fromkeys(("reps", "draws", "imputations", "burn_in", "donors", "replicates", "sample"), MOST_REPEATS)
_MOST |= dict.fromkeys(("clusters", "periods", "sequences", "baseline", "follow_up", "transition", "control", "treated"), MOST_UNITS)
_MOST |= dict.fromkeys(("hold", "washout", "knots", "quadrature", "effects", "placebos", "leads", "before", "after"), MOST_UNITS)

# Marks that print nothing or turn the order of letters, so that a text reads as something else than what is run.
_HIDDEN = frozenset(map(chr, (*range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF, 0x061C, 0xAD, 0x180E)))


def check_limits(content: Mapping[str, Any]) -> None:
    """Refuse a value that would only burn time, or that does not read as what it is.

    Raises
    ------
    Fault
        At the first one.
    """
    for path, key in _keys(content, ()):
        _check_text(key, path, LONGEST_KEY)
    for path, value in _scalars(content, ()):
        if isinstance(value, str):
            _check_text(value, path, LONGEST_TEXT)
        elif isinstance(value, int | float):
            _check_number(value, path)


def _keys(content: object, path: Path) -> Iterator[tuple[Path, str]]:
    for key, value in _entries(content, path):
        yield (*path, key), key
        yield from _keys(value, (*path, key))


def _scalars(content: object, path: Path) -> Iterator[tuple[Path, object]]:
    if not isinstance(content, list | Mapping):
        yield path, content
    for key, value in _entries(content, path):
        yield from _scalars(value, (*path, key))


def _entries(content: object, path: Path) -> Iterator[tuple[str, object]]:
    if isinstance(content, list) and len(content) > LONGEST_LIST:
        raise Fault(path, f"The list has {len(content):,} entries; at most {LONGEST_LIST:,} are read. Shorten it.")
    if isinstance(content, list):
        yield from ((str(number), value) for number, value in enumerate(content, 1))
    elif isinstance(content, Mapping):
        yield from content.items()


def _check_text(text: str, path: Path, longest: int) -> None:
    if len(text) > longest:
        raise Fault(path, f"The text has {len(text):,} characters; at most {longest:,} are read. Shorten it.")
    wrong = next((sign for sign in text if sign in _HIDDEN or (ord(sign) < 32 and sign not in "\n\t") or 127 <= ord(sign) < 160), None)
    if wrong is not None:
        raise Fault(path, f"The text holds the sign U+{ord(wrong):04X}, which prints nothing or turns the order of letters. Remove it.")


def _check_number(value: float, path: Path) -> None:
    if value != value and path[:2] != ROWS:
        raise Fault(path, "nan is no number. Leave the key out if there is none; nan stands only in the rows of a design.")
    if isinstance(value, int) and not -WIDEST <= value < WIDEST:
        raise Fault(path, "The whole number needs more than 64 bits. Shorten it.")
    most = _MOST.get(path[-1])
    if most is not None and not isinstance(value, bool) and value > most and value != float("inf"):
        raise Fault(path, f"{path[-1]} is {value:,}; at most {most:,} are run. Lower it.")
