"""What stands in the cells of a results table."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from swedge._present.escape import one_line
from swedge._present.tables import DASH, format_p, is_missing, is_number, percent
from swedge.errors import Status

Row = dict[str, Any]
Limits = tuple[float, float, float]

FINE = "ok"
MARKS = "abcdefghijklmnopqrstuvwxyz"


class Cell(NamedTuple):
    """A text with the mark of its footnote."""

    text: str
    mark: str = ""


class Notes(dict[str, str]):
    """Texts of footnotes with their marks, in order of appearance."""

    def mark(self, text: str) -> str:
        """The mark of a footnote, its own when it is new."""
        return self.setdefault(text, _letters(len(self)))


def _letters(k: int) -> str:
    return (_letters(k // 26 - 1) if k >= 26 else "") + MARKS[k % 26]


def word(value: Any) -> str:
    """A text on one line, or a dash."""
    return DASH if is_missing(value) else one_line(value)


def _float(value: Any) -> float:
    return math.nan if is_missing(value) else float(value)


def limits(row: Row) -> Limits:
    """Lower limit, estimate and upper limit."""
    low, estimate, high = (_float(row.get(name)) for name in ("conf_low", "estimate", "conf_high"))
    return low, estimate, high


def ratios(row: Row) -> Limits:
    """The same of the ratio whose logarithm was estimated."""
    with np.errstate(over="ignore"):
        low, estimate, high = (float(np.exp(value)) for value in limits(row))
    return low, estimate, high


def as_ratio(measure: Any) -> str:
    """What the exponential of a measure is, or nothing where the measure is not a logarithm.

    >>> as_ratio("marginal log odds ratio"), as_ratio("complementary log-log difference")
    ('marginal odds ratio', '')
    """
    words = f" {word(measure)} "
    return words.replace(" log ", " ").strip() if " log " in words else ""


def decimals(rows: Sequence[Row], read: Callable[[Row], Limits], digits: int = 3) -> int:
    """Decimals that show so many digits of the narrowest half interval, or else of the largest estimate."""
    triples = [read(row) for row in rows]
    half = [(high - low) / 2 for low, _, high in triples if math.isfinite(high - low) and high > low]
    sizes = [abs(estimate) for _, estimate, _ in triples if math.isfinite(estimate) and estimate != 0]
    size = min(half) if half else max(sizes, default=1.0)
    return min(max(digits - 1 - math.floor(math.log10(size)), 0), 8)


def _number(value: float, places: int) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    shown = f"{value:,.{places}f}" if abs(value) >= 10_000 else f"{value:.{places}f}"
    return shown.removeprefix("-") if not float(shown.replace(",", "")) else shown


def interval(triple: Limits, places: int, level: str = "") -> Cell:
    """An estimate with its interval, as far as they exist."""
    low, estimate, high = (DASH if math.isnan(value) else _number(value, places) for value in triple)
    return Cell(estimate if DASH in (low, high) else f"{estimate} ({level}{low} to {high})")


def estimate(row: Row, places: int, notes: Notes, spread: bool) -> Cell:
    """The estimate with its interval, and where levels are `spread` its level; of a fit that failed, its status."""
    status = word(row.get("status")).replace("_", " ").lower()
    level = f"{percent(float(row['level']))}: " if spread and not is_missing(row["level"]) else ""
    shown = interval(limits(row), places, level)
    if status in (FINE, DASH):
        return shown
    text = f"not estimated: {status}" if math.isnan(limits(row)[1]) else shown.text
    return Cell(text, notes.mark(_reason(row, status)))


def _reason(row: Row, status: str) -> str:
    """Why, in the words of the run or of the status."""
    told, known = word(row.get("reason")), status.replace(" ", "_").upper()
    why = told if told not in (DASH, "") else Status[known].advice if known in Status.__members__ else ""
    return f"{status.capitalize()}. {why}".strip()


def ratio(row: Row, places: int) -> Cell:
    """The ratio with its interval, where the measure is a logarithm."""
    return interval(ratios(row), places) if as_ratio(row.get("measure")) else Cell(DASH)


def freedom(row: Row) -> Cell:
    """Degrees of freedom; infinite ones are those of the normal distribution."""
    df = _float(row.get("df"))
    return Cell(DASH if math.isnan(df) else "normal" if math.isinf(df) else f"{df:,.1f}".removesuffix(".0"))


def p_value(row: Row) -> Cell:
    """The p value."""
    return Cell(format_p(_float(row.get("p_value"))))


def smallest(row: Row) -> Cell:
    """The smallest p that the test can give, where it cannot give every p."""
    p = _float(row.get("min_p"))
    return Cell(format_p(p) if p > 0 else DASH)


def size(row: Row) -> Cell:
    """How many; a suppressed number is text already."""
    n = row.get("n")
    return Cell(f"{n:,.0f}" if is_number(n) and not is_missing(n) else word(n))


def blank(row: Row) -> Cell:
    """Room for what the data will tell."""
    return Cell("")
