"""Outcomes for rehearsals, by family: clusters and periods differ, and the treatment does nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.plan.specs import Outcome

Array = NDArray[np.float64]
Index = NDArray[np.intp]

CLUSTER_SD, PERIOD_SD, CELL_SD = 0.2, 0.1, 0.05
"""Standard deviations of clusters, periods and cells: on the link's scale, or in standard deviations of the outcome."""

INDIVIDUAL_SHARE = 0.5
"""Of a cohort: share of the variance within a cell that lies between individuals."""

CONCENTRATION = 5.0
"""Of shares: the two parameters of the beta distribution add up to it."""

LOST, DIGITS = 0.03, 6
"""Share of durations that are censored early; and digits kept, so that two machines write the same."""

DEFAULTS = {"binomial": 0.2, "fractional": 0.2, "gaussian": 0.0, "poisson": 1.0}


@dataclass(frozen=True, eq=False)
class Places:
    """Where rows belong: cluster, period and individual ``(N,)`` from 0; how many individuals each row stands for; whether it is a mean.

    Attributes
    ----------
    cluster, period, unit : ndarray (N,)
    size : ndarray (N,)
        1 for a row an individual.
    mean : bool
        Whether rows hold means of cells, as in a panel, also where counts would be events.
    cohort : bool
        Whether a unit has several rows.
    """

    cluster: Index
    period: Index
    unit: Index
    size: Array
    mean: bool
    cohort: bool

    def shocks(self, rng: np.random.Generator) -> Array:
        """Effects of cluster, period and both together, a row."""
        cells = rng.normal(0, CELL_SD, (int(self.cluster.max()) + 1, int(self.period.max()) + 1))
        cells += rng.normal(0, CLUSTER_SD, (len(cells), 1)) + rng.normal(0, PERIOD_SD, cells.shape[1])
        return np.asarray(cells[self.cluster, self.period])

    def noise(self, rng: np.random.Generator) -> Array:
        """What rows differ in beside that, with variance 1 an individual."""
        own = rng.standard_normal(len(self.unit)) / np.sqrt(self.size)
        if not self.cohort:
            return own
        lasting = rng.standard_normal(int(self.unit.max()) + 1)[self.unit]
        return np.asarray(np.sqrt(INDIVIDUAL_SHARE) * lasting + np.sqrt(1 - INDIVIDUAL_SHARE) * own)


def draw_outcome(outcome: Outcome, places: Places, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Columns of an outcome: itself, and of a duration the event or the censoring."""
    return DRAWS[outcome.family](outcome, _expected(outcome), places, rng)


def _expected(outcome: Outcome) -> float:
    if outcome.expected is not None:
        return outcome.expected
    return (outcome.horizon or 0.0) / 2 if outcome.family == "duration" else DEFAULTS[outcome.family]


def mean_range(outcome: Outcome) -> tuple[float, float]:
    """Between what the mean of an outcome's family lies."""
    if outcome.family == "gaussian":
        return -np.inf, np.inf
    return 0.0, {"poisson": np.inf, "duration": outcome.horizon or np.inf}.get(outcome.family, 1.0)


def _risk(mean: float, places: Places, rng: np.random.Generator) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.log(mean / (1 - mean)) - places.shocks(rng))))


def _events(outcome: Outcome, mean: float, places: Places, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    return {outcome.column: _counted(rng.binomial(places.size.astype(np.int64), _risk(mean, places, rng)), places)}


def _counts(outcome: Outcome, mean: float, places: Places, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    return {outcome.column: _counted(rng.poisson(mean * places.size * np.exp(places.shocks(rng))), places)}


def _counted(events: NDArray[np.int64], places: Places) -> NDArray[np.generic]:
    return np.round(events / places.size, DIGITS) if places.mean else events


def _shares(outcome: Outcome, mean: float, places: Places, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    risk = _risk(mean, places, rng)
    weight = CONCENTRATION * places.size
    return {outcome.column: np.round(rng.beta(risk * weight, (1 - risk) * weight), DIGITS)}


def _measures(outcome: Outcome, mean: float, places: Places, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    sd = 1.0 if outcome.sd is None else outcome.sd
    return {outcome.column: np.round(mean + sd * (places.shocks(rng) + places.noise(rng)), DIGITS)}


def _durations(outcome: Outcome, mean: float, places: Places, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    """Exponential times, followed to the horizon; a few are lost in the first half of their cell, so that follow-up ends at the horizon."""
    assert outcome.horizon is not None
    scale = _scale(mean, outcome.horizon)
    until = rng.exponential(scale, len(places.unit)) * np.exp(places.shocks(rng))
    event, time = until <= outcome.horizon, np.minimum(until, outcome.horizon)
    lost = (rng.random(len(time)) < LOST) & (time < mean)
    time = np.where(lost, time * rng.random(len(time)), time)
    flag, column = (event & ~lost, outcome.event) if outcome.event is not None else (~event | lost, outcome.censored)
    return {outcome.column: np.round(time, DIGITS), str(column): flag.astype(np.int64)}


def _scale(mean: float, horizon: float) -> float:
    """Mean of the exponential distribution whose restricted mean up to the horizon is `mean`, by bisection of its logarithm."""
    low, high = np.log(mean), np.log(mean) + 20
    for _ in range(60):
        middle = (low + high) / 2
        short = -np.exp(middle) * np.expm1(-horizon / np.exp(middle)) < mean
        low, high = (middle, high) if short else (low, middle)
    return float(np.exp(middle))


DRAWS: dict[str, Callable[[Outcome, float, Places, np.random.Generator], dict[str, NDArray[np.generic]]]] = {
    "binomial": _events,
    "poisson": _counts,
    "fractional": _shares,
    "gaussian": _measures,
    "duration": _durations,
}
