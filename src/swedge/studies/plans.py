"""How long child protection plans last: a flow whose snapshot is the published stock.

A snapshot of open plans over-represents long ones: in a steady flow, the density of elapsed length among open plans is the share of plans
that last at least so long, over the mean length. `HAZARD` is the piecewise constant rate of ending that turns the published stock (`STOCK`)
into a flow, given the mean length of a plan (`MEAN_MONTHS`); `stock_shares` goes back the other way, and the tests check that it arrives.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

MONTH = 365.25 / 12

#: Lengths, in months, that separate the published bands of open plans.
BANDS = (3.0, 6.0, 12.0, 24.0)

#: Open plans at 31 March by length: up to 3 months, 3 to 6, 6 to 12, 12 to 24, longer. Source: Department for Education open statistics.
STOCK = (0.315, 0.255, 0.263, 0.144, 0.023)

#: Plans open at 31 March over plans started in a year, in months: 9.2 to 9.7 in 2016 to 2025. Source: as `STOCK`.
MEAN_MONTHS = 9.4

#: Plans that end, per month and open plan, in each band. Computed from `STOCK` and `MEAN_MONTHS` by solving for one band after the other.
HAZARD = (0.0087, 0.1368, 0.1632, 0.1494, 0.1868)


def plan_lengths(count: int, rng: np.random.Generator, ratio: ArrayLike = 1.0) -> Array:
    """Lengths in days ``(count,)`` of plans that start, by inverting the cumulative hazard.

    Parameters
    ----------
    ratio : array_like
        Multiplies each plan's length.

    Examples
    --------
    >>> lengths = plan_lengths(100_000, np.random.default_rng(0))
    >>> float((lengths / MONTH).mean().round(1))
    9.4
    """
    knots = np.array([0.0, *BANDS])
    spent = np.concatenate([[0.0], np.cumsum(np.diff(knots) * HAZARD[:-1])])
    target = rng.standard_exponential(count)
    band = np.searchsorted(spent, target, side="right") - 1
    months = knots[band] + (target - spent[band]) / np.array(HAZARD)[band]
    return np.asarray(months * MONTH * np.asarray(ratio))


def stock_shares(start: ArrayLike, length: ArrayLike, on: float) -> Array:
    """Shares ``(5,)`` of the plans open on day `on`, by how long they have lasted, in the published bands.

    Parameters
    ----------
    start, length : array_like
        First day and length in days of each plan; days count from any origin.
    """
    first, days = np.asarray(start, dtype=float), np.asarray(length, dtype=float)
    elapsed = on - first[(first <= on) & (first + days > on)]
    counts = np.bincount(np.searchsorted(np.array(BANDS) * MONTH, elapsed), minlength=len(STOCK))
    return np.asarray(counts / max(counts.sum(), 1))
