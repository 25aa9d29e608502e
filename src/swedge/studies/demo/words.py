"""What the parts of the demo share: a part, and numbers in words."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from swedge._present.report import Section
from swedge._present.tables import format_p


class Part(NamedTuple):
    """A section of the report, and the sentence it adds to the summary."""

    section: Section
    headline: str


def interval(limits: ArrayLike, decimals: int = 2) -> str:
    """Two limits in words.

    >>> interval([0.7, 1.3]), interval([0.0, float("inf")])
    ('0.70 to 1.30', '0 to inf')
    """
    low, high = np.asarray(limits, dtype=float).ravel()
    return " to ".join(f"{v:.{decimals}f}" if np.isfinite(v) and v else f"{v:g}" for v in (low, high))


def p_in_words(p: ArrayLike) -> str:
    """A p value for a sentence.

    >>> p_in_words(1 / 12), p_in_words(0.0001)
    ('p = .0833', 'p < .001')
    """
    shown = format_p(float(np.asarray(p)))
    return f"p < {shown[1:]}" if shown.startswith("<") else f"p = {shown}"


def day(date: dt.date) -> str:
    """A date in words.

    >>> day(dt.date(2020, 3, 1))
    '1 March 2020'
    """
    return f"{date.day} {date:%B %Y}"
