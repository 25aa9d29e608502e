"""Restricted mean time under censoring: Kaplan-Meier estimates of many groups at once, and pseudo-observations.

With `d` events among `Y` at risk at each time ``t_j``, weight `w_i` of individual `i` moves the logarithm of its factor ``(Y - d) / Y`` by
``d / (Y (Y - d))`` while `i` is at risk, less ``1 / (Y - d)`` at the event of `i`. Weighted by the area ``R_j`` under the estimate
between ``t_j`` and the horizon and added over times, that is the derivative of the restricted mean; `n` times it, added to the restricted
mean, is the infinitesimal jackknife's pseudo-observation. Where all at risk have the event (``Y = d``) no area is left to lose.

References
----------
Kaplan EL, Meier P (1958). Nonparametric estimation from incomplete observations. Journal of the American Statistical Association 53,
457-481. Andersen PK, Hansen MG, Klein JP (2004). Regression analysis of restricted mean survival time based on pseudo-observations.
Lifetime Data Analysis 10, 335-350.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class KaplanMeier(NamedTuple):
    """Kaplan-Meier estimates of `G` groups over the `M` distinct times of the richest; shorter rows end in infinite times.

    ``time``, ``at_risk`` (just before), ``events``, ``survival`` (from that time on) are ``(G, M)``; individual `i` is at
    ``[group[i], place[i]]``; ``group``, ``place`` and ``event`` are ``(n,)``.
    """

    time: Array
    at_risk: Array
    events: Array
    survival: Array
    group: Index
    place: Index
    event: Array


def kaplan_meier(group: Index, time: Array, event: Array, groups: int) -> KaplanMeier:
    """Estimate every group's curve; who is censored at the time of an event is still at risk then.

    Parameters
    ----------
    group : (n,) of 0 to groups - 1
    time : (n,)
    event : (n,) of 0 (censored) and 1
    """
    order = np.lexsort((time, group))
    owner, sorted_time = group[order], time[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (owner[1:] != owner[:-1]) | (sorted_time[1:] != sorted_time[:-1])
    first = owner[new]
    column = np.arange(len(first)) - np.searchsorted(first, first)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = column[np.cumsum(new) - 1]
    shape = (groups, int(column.max()) + 1)
    leaving, events = (_counted(group, place, weights, shape) for weights in (np.ones(len(time)), event))
    times = np.full(shape, np.inf)
    times[group, place] = time
    at_risk = leaving[:, ::-1].cumsum(1)[:, ::-1]
    survival = np.cumprod(1 - events / np.maximum(at_risk, 1), axis=1)
    return KaplanMeier(times, at_risk, events, survival, group, place, event)


def _counted(group: Index, place: Index, weights: Array, shape: tuple[int, int]) -> Array:
    return np.bincount(group * shape[1] + place, weights, shape[0] * shape[1]).reshape(shape).astype(float)


def followed_until(curves: KaplanMeier) -> Array:
    """Largest horizon up to which each group's curve is known, ``(G,)``: its last time, or infinity where the curve has come down to 0."""
    last = np.where(np.isfinite(curves.time), curves.time, -np.inf).max(1)
    return np.where(curves.survival[:, -1] == 0, np.inf, last)


def area_ahead(curves: KaplanMeier, horizon: float) -> Array:
    """Area under each curve between each of its times and the horizon, ``(G, M)``."""
    edges = np.minimum(curves.time, horizon)
    widths = np.diff(edges, axis=1, append=horizon)
    return np.asarray((curves.survival * widths)[:, ::-1].cumsum(1)[:, ::-1])


def restricted_mean(curves: KaplanMeier, horizon: float) -> Array:
    """Area under each curve up to the horizon, ``(G,)``."""
    return np.asarray(np.minimum(curves.time[:, 0], horizon) + area_ahead(curves, horizon)[:, 0])


def pseudo_observations(curves: KaplanMeier, horizon: float) -> Array:
    """Pseudo-observations of the restricted mean, ``(n,)``.

    A group's mean is its restricted mean, and their sum of squares about it over ``n^2`` is Greenwood's variance of the restricted mean.
    """
    ahead = area_ahead(curves, horizon)
    staying = curves.at_risk - curves.events
    lost = np.divide(ahead, staying, out=np.zeros_like(ahead), where=staying > 0)
    gained = np.cumsum(lost * curves.events / np.maximum(curves.at_risk, 1), axis=1)
    at = (curves.group, curves.place)
    size = np.bincount(curves.group, minlength=len(ahead))
    moved = gained[at] - curves.event * lost[at]
    return np.asarray(restricted_mean(curves, horizon)[curves.group] + size[curves.group] * moved)


def log_log_band(curves: KaplanMeier, level: float) -> Array:
    """Pointwise limits of each curve on the scale of ``log(-log S)``, ``(G, M, 2)``; nan where the curve is still 1, or 0."""
    staying = np.where(curves.at_risk > curves.events, curves.at_risk - curves.events, np.nan)
    greenwood = np.cumsum(curves.events / (np.maximum(curves.at_risk, 1) * staying), axis=1)
    inside = (curves.survival > 0) & (curves.survival < 1)
    log = np.log(np.where(inside, curves.survival, np.nan))
    half = special.ndtri((1 + level) / 2) * np.sqrt(greenwood) / -log
    return np.stack([np.exp(log * np.exp(half)), np.exp(log * np.exp(-half))], -1)
