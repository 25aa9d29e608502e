"""Followed rows for tests: a drawn trial, the integer trial of tests/golden/durations.R, and a slow Kaplan-Meier estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

import swedge as sw
from swedge.estimators import Duration

Array = np.ndarray
COLUMNS = {"time": "days", "event": "ended", "cluster": "la", "period": "period"}
NAMES = ("Ash", "Birch", "Cedar", "Dale", "Elm")
DESIGN = sw.Design.stepped_wedge(clusters=NAMES, periods=6)
ALLOCATION = DESIGN.allocate({name: k for k, name in enumerate(NAMES)})
LAST = 900.0


def drawn(seed: int = 0, per: int = 30, effect: float = 0.0, noise: float = 0.2, censored: bool = True) -> pd.DataFrame:
    """One row an individual, times in whole days; half leave before the last day if censored, and every cell is followed for a year."""
    rng = np.random.default_rng([seed, 4])
    cluster, period = np.repeat(np.arange(5), 6 * per), np.tile(np.repeat(np.arange(6), per), 5)
    treated = ALLOCATION.treatment[cluster, period]
    level = 0.3 * rng.standard_normal(5)[cluster] + noise * rng.standard_normal((5, 6))[cluster, period]
    until = np.ceil(rng.exponential(400 * np.exp(-level - 0.1 * period - effect * treated)))
    left = np.where(np.arange(len(cluster)) % 2, rng.integers(50, 900, len(cluster)), LAST) if censored else np.full(len(cluster), np.inf)
    return pd.DataFrame(
        {
            "la": np.array(NAMES)[cluster],
            "period": period + 1,
            "days": np.minimum(until, left),
            "ended": (until <= left).astype(int),
            "sex": np.where(rng.random(len(cluster)) < 0.5, "f", "m"),
            "age": rng.integers(0, 13, len(cluster)),
        }
    )


def made() -> pd.DataFrame:
    """The integer trial of durations.R: ties, times of 0, three levels of a covariate."""
    i = np.arange(240)
    until = np.where(i % 40 == 0, 0, (37 * i**2 + 101 * i + 13) % 401)
    censored = (29 * i**2 + 53 * i) % 300 + np.where(i % 2 == 0, 300, 60)
    return pd.DataFrame(
        {
            "la": np.array(NAMES)[i // 48],
            "period": i // 8 % 6 + 1,
            "days": np.minimum(until, censored).astype(float),
            "ended": (until <= censored).astype(int),
            "level": (i % 3).astype(str),
        }
    )


def trial(
    frame: pd.DataFrame, horizon: float = 365.0, within: str = "cell", allocation: sw.Allocation = ALLOCATION, **more: Any
) -> sw.Trial:
    return Duration(horizon, within).trial(frame, allocation, **{**COLUMNS, **more})


def slow_mean(time: Array, event: Array, horizon: float, weights: Array | None = None) -> float:
    """Restricted mean of a weighted Kaplan-Meier estimate, one event time after another."""
    weights = np.ones(len(time)) if weights is None else weights
    survival, area, before = 1.0, 0.0, 0.0
    for at in np.unique(time[event == 1]):
        if at >= horizon:
            break
        area += survival * (at - before)
        before = at
        survival *= 1 - weights[(time == at) & (event == 1)].sum() / weights[time >= at].sum()
    return area + survival * (horizon - before)


def greenwood(time: Array, event: Array, horizon: float) -> float:
    """Greenwood's variance of the restricted mean."""
    total = 0.0
    for at in np.unique(time[event == 1]):
        dead, at_risk = ((time == at) & (event == 1)).sum(), (time >= at).sum()
        ahead = slow_mean(time, event, horizon) - slow_mean(time, event, min(at, horizon))
        total += ahead**2 * dead / (at_risk * (at_risk - dead)) if at < horizon and dead < at_risk else 0.0
    return float(total)
