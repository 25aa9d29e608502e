"""A dated change that hits every cluster, such as a lockdown."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.design import Design
from swedge.errors import DesignError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shock:
    """A dated change that hits every cluster: periods feel it by the share of their days that it covers.

    Parameters
    ----------
    start, end : date or str
        First day, and first day after; ISO strings are read as dates.
    change : float
        On the scenario's scale.

    Examples
    --------
    >>> Shock("2020-03-23", "2020-06-01", change=-0.3).days
    70
    """

    start: dt.date | str
    end: dt.date | str
    change: float

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, as_date(getattr(self, name)))
        if self.days <= 0:
            raise DesignError(f"A shock from {self.start} to {self.end} has no days. `end` is the first day after it.")
        if not np.isfinite(self.change):
            raise DesignError(f"change={self.change}; expected a finite number, on the scenario's scale.")

    @property
    def days(self) -> int:
        """Its length."""
        return (as_date(self.end) - as_date(self.start)).days

    def share(self, design: Design) -> Array:
        """Share of each period's days that the shock covers, ``(T,)``."""
        if not design.boundaries:
            raise DesignError("A shock has dates, but this design has none. Build it with Design.from_dates.")
        edges = np.array([b.toordinal() for b in design.boundaries], dtype=float)
        start, end = as_date(self.start).toordinal(), as_date(self.end).toordinal()
        overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
        return np.asarray(np.maximum(overlap, 0) / np.diff(edges))


def as_date(value: dt.date | str) -> dt.date:
    """A date from a date or an ISO string."""
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DesignError(f"{value!r} is not a date; expected an ISO date such as '2020-03-23'.") from None
