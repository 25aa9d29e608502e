"""Intervals by test inversion: the effects that a test does not reject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.permutation import Accepted, exceedances
from swedge._present.tables import percent
from swedge.estimate import TestResult

Array = NDArray[np.float64]
Accepts = Callable[[Array], NDArray[np.bool_]]

# Rounds that narrow an end of the interval to a ninth each; points a scan takes over its length, and lengths it covers on either side.
NARROWINGS = 8
SCAN = 8
REACH = 5
DOUBLINGS = 30
# Points at which an accepted effect is sought where the estimate itself is rejected.
GRID = 81
NOTHING = "The only p that this test can give is 1: nothing can be tested here, and no interval excludes any effect at any level."


def share(reference: Array, observed: Array, unit: Array, exact: bool) -> Array:
    """The p value of ``observed (...)`` in ``reference (A, ...)``. What was observed is one of those enumerated, whatever rounding says."""
    count = exceedances(reference, observed, unit)
    return np.asarray(np.maximum(count, 1) / len(reference) if exact else (count + 1) / (len(reference) + 1))


def with_interval(result: TestResult, accepted: Callable[[float], Accepted]) -> TestResult:
    """The result with its interval, or with the whole line and the best attainable interval where its level cannot be reached.

    `accepted` gives the effects whose p is above an alpha.
    """
    alpha, line = 1 - result.level, np.array([-np.inf, np.inf])
    result = replace(result, methods=told_interval(result.methods, result.level, "holds the effects not rejected"))
    if alpha >= result.min_p - 1e-12:
        piece = accepted(alpha)
        return replace(result, conf_int=np.array(piece[:2]), notes=result.notes + _piece_notes(piece))
    if result.min_p > 1 - 1e-12:
        return replace(result, conf_int=line, notes=(*result.notes, NOTHING))
    best = 1 - result.min_p
    offered = accepted(result.min_p)
    note = (
        f"The smallest p this test can give is {result.min_p:.3f} (1 in {round(1 / result.min_p)}), so its {percent(result.level)}"
        f" interval is the whole line: no effect, however large, could be rejected at that level. Its {percent(best)} interval"
        f" is {offered.low:.4g} to {offered.high:.4g}."
    )
    return replace(result, conf_int=line, offered_level=best, offered_conf_int=np.array(offered[:2]), notes=(*result.notes, note))


def told_interval(methods: str, level: float, what: str) -> str:
    """The sentence of methods, saying what the interval does."""
    return f"{methods.removesuffix('.')}; the {percent(level)} interval {what}." if methods else ""


def searched(accepts: Accepts, accepts_soundly: Accepts, centre: float, unit: float) -> Accepted:
    """Hull of the accepted effects: the piece around `centre`, sought in steps of `unit`, and what a scan finds beyond; nan without one."""
    start = _within(accepts, centre, unit)
    low, high = (_edge(accepts, start, sign * unit) for sign in (-1, 1))
    return _scanned(accepts, accepts_soundly, low, high)


def _within(accepts: Accepts, centre: float, unit: float) -> float:
    """The accepted effect nearest to `centre`: a statistic that is not 0 once the estimate is taken out may reject the estimate itself."""
    if accepts(np.array([centre]))[0]:
        return centre
    grid = np.asarray(centre + unit * np.linspace(-REACH, REACH, GRID), dtype=np.float64)
    kept = grid[accepts(grid)]
    return float(kept[np.abs(kept - centre).argmin()]) if len(kept) else np.nan


def _edge(accepts: Accepts, centre: float, unit: float) -> float:
    """Where acceptance first ends, going from `centre` in steps that double; infinite if it never does."""
    if np.isnan(centre):
        return np.nan
    inside, step = centre, unit
    for _ in range(DOUBLINGS):
        outside = centre + step
        if not accepts(np.array([outside]))[0]:
            return _refined(accepts, inside, outside)
        inside, step = outside, 2 * step
    return float(np.sign(unit) * np.inf)


def _refined(accepts: Accepts, inside: float, outside: float) -> float:
    """The end between an accepted and a rejected effect, each round narrowing it to a ninth."""
    for _ in range(NARROWINGS):
        between = np.asarray(np.linspace(inside, outside, 10), dtype=np.float64)
        kept = accepts(between[1:-1])
        last = int(np.argmin(np.append(kept, False)))
        inside, outside = float(between[last]), float(between[last + 1])
    return (inside + outside) / 2


def _scanned(accepts: Accepts, accepts_soundly: Accepts, low: float, high: float) -> Accepted:
    """The hull after a scan of the piece from `low` to `high`, and of `REACH` times its length on either side.

    Beyond the piece only effects at which every fit worked count: far out on a link scale fits fail, which accepts anything.
    """
    step = (high - low) / SCAN
    if not 0 < step < np.inf:
        return Accepted(low, high, True)
    connected = bool(accepts(np.asarray(np.linspace(low, high, SCAN + 1)[1:-1], dtype=np.float64)).all())
    ends = []
    for end, away in ((low, -step), (high, step)):
        grid = np.asarray(end + away * np.arange(1, SCAN * REACH + 1), dtype=np.float64)
        found = np.flatnonzero(accepts_soundly(grid))
        connected &= not len(found)
        last = float(grid[found[-1]]) if len(found) else end
        ends.append(_refined(accepts_soundly, last, last + away) if len(found) else end)
    return Accepted(ends[0], ends[1], connected)


def _piece_notes(accepted: Accepted) -> tuple[str, ...]:
    notes = [] if accepted.connected else ["The effects not rejected do not form one interval; the limits enclose all of them."]
    if np.isnan(accepted.low):
        notes.append("The estimate itself is rejected, and so is every effect near it: this statistic does not measure a constant effect.")
    if np.isinf(accepted.low) or np.isinf(accepted.high):
        notes.append("Effects without bound are not rejected: under too many allocations the statistic moves with the effect as here.")
    return tuple(notes)
