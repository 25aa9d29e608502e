"""Reference distributions: counts with relative tolerance, and intervals by sweeping the points at which a count changes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Statistics closer than this share of the observed one are tied,
TIE = 1e-9
# and so are statistics closer than this share of their unit: what lies below is rounding, or the last step of an iteration.
ROUNDING = 1e-9


def exceedances(reference: Array, observed: Array, unit: ArrayLike = 0.0) -> NDArray[np.int64]:
    """How many of ``reference (A, ...)`` are at least as far from 0 as ``observed (...)``.

    Ties count; `unit` ``(...)`` is the size of a statistic that is not small, such as the spread of the outcome. A statistic that could not
    be computed, the observed one too, counts as extreme, so failures never make a p smaller.

    >>> exceedances(np.array([1.0, -2.0, 0.5, np.nan]), np.array(-1.0))
    array(3)
    """
    far, near = np.abs(reference), np.abs(observed)
    slack = TIE * np.where(np.isfinite(near), near, 0.0) + ROUNDING * np.asarray(unit)
    return np.asarray((np.isnan(far) | np.isnan(near) | (far >= near - slack)).sum(0))


class Accepted(NamedTuple):
    """Hull of the effects not rejected, and whether they form one piece."""

    low: float
    high: float
    connected: bool


class _Counts(NamedTuple):
    """Sorted ends of the stretches of effects over which a reference allocation counts as extreme, or stops counting."""

    low: Array
    high: Array
    gap_low: Array
    gap_high: Array
    always: int

    def __call__(self, at: Array) -> NDArray[np.int64]:
        inside = np.searchsorted(self.low, at, "right") - np.searchsorted(self.high, at, "left")
        missing = np.searchsorted(self.gap_low, at, "left") - np.searchsorted(self.gap_high, at, "right")
        return np.asarray(self.always + inside - missing)


def accepted_effects(reference: Array, slopes: Array, observed: float, alpha: float, extra: int = 0, unit: float = 0.0) -> Accepted:
    """``{theta: p(theta) > alpha}`` for a linear statistic.

    Under an effect theta, allocation `r` gives ``a_r - theta k_r`` and the observed one ``b - theta``; it counts as extreme where
    ``((a - b) + theta (1 - k)) ((a + b) - theta (1 + k)) >= 0``: between the two roots if ``|k| < 1``, outside them if ``|k| > 1``.

    Parameters
    ----------
    reference, slopes : (A,)
        ``a_r`` and ``k_r``.
    extra : int
        Added to both counts of p: 1 when the reference was sampled, and the observed allocation is not in it.
    unit : float
        As in `exceedances`.

    Examples
    --------
    >>> low, high, _ = accepted_effects(np.array([1.0, 0.0, -0.5]), np.array([1.0, 0.0, 0.0]), observed=1.0, alpha=0.5)
    >>> round(low, 6), round(high, 6)
    (0.5, 1.5)
    """
    counts = _stretches(reference, slopes, observed, unit)
    points = np.unique(np.concatenate([counts.low, counts.high, counts.gap_low, counts.gap_high]))
    points = points[np.isfinite(points)]
    if not len(points):
        points = np.array([observed])
    between = np.concatenate([[points[0] - 1], (points[1:] + points[:-1]) / 2, [points[-1] + 1]])
    total = len(reference) + extra
    kept_gap, kept_point = ((counts(at) + extra) / total > alpha + 1e-12 for at in (between, points))
    order = np.empty(2 * len(points) + 1, dtype=bool)
    order[0::2], order[1::2] = kept_gap, kept_point
    return _hull(order, points)


def _stretches(reference: Array, slopes: Array, observed: float, unit: float) -> _Counts:
    with np.errstate(divide="ignore", invalid="ignore"):
        first = (observed - reference) / (1 - slopes)
        second = (reference + observed) / (1 + slopes)
    scale = TIE * float(np.nanmax(np.abs(reference), initial=abs(observed))) + ROUNDING * unit
    usual, steep = np.abs(slopes) < 1 - TIE, np.abs(slopes) > 1 + TIE
    low, high = np.minimum(first, second) - scale, np.maximum(first, second) + scale
    ray_low, ray_high, always = _rays(reference, slopes, observed, ~(usual | steep), scale)
    lost = np.isnan(reference)
    return _Counts(
        np.sort(np.concatenate([low[usual & ~lost], ray_low])),
        np.sort(np.concatenate([high[usual & ~lost], ray_high])),
        np.sort(low[steep & ~lost] + 2 * scale),
        np.sort(high[steep & ~lost] - 2 * scale),
        int(always + (steep & ~lost).sum() + lost.sum()),
    )


def _rays(reference: Array, slopes: Array, observed: float, level: NDArray[np.bool_], scale: float) -> tuple[Array, Array, int]:
    """Allocations whose slope is 1 or -1 count on a half-line, or everywhere when they tie with the observed one.

    With ``k = 1`` the count is where ``(a - b)((a + b) - 2 theta) >= 0``; ``k = -1`` is the same with `a` and `k` negated.
    """
    a = np.where(slopes < 0, -reference, reference)[level]
    tied = np.abs(a - observed) <= scale
    root = (a + observed) / 2
    below, above = (a > observed) & ~tied, (a < observed) & ~tied
    low = np.concatenate([np.full(below.sum(), -np.inf), root[above] - scale])
    high = np.concatenate([root[below] + scale, np.full(above.sum(), np.inf)])
    return low, high, int(tied.sum())


def _hull(kept: NDArray[np.bool_], points: Array) -> Accepted:
    """`kept` alternates gap, point, gap, ..., gap over sorted `points`."""
    where = np.flatnonzero(kept)
    if not len(where):
        return Accepted(np.nan, np.nan, True)
    first, last = where[0], where[-1]
    low = -np.inf if first == 0 else points[(first - 1) // 2]
    high = np.inf if last == len(kept) - 1 else points[last // 2]
    return Accepted(float(low), float(high), bool(kept[first : last + 1].all()))
