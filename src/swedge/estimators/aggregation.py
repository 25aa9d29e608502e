"""Averages of effects by group and time.

Every average weighs group-times by the number of clusters of their group: over those of one event time, calendar period or group. The
overall effect averages what lies at or after the first treated one. Which clusters are in which group is sampled too: a cluster of group
`g` moves ``theta = sum_k n_k att_k / sum_k n_k`` by the sum of ``(att_k - theta) / sum n`` over the group's own effects.

References
----------
Callaway B, Sant'Anna PHC (2021). Difference-in-differences with multiple time periods. Journal of Econometrics 225, 200-230.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge.estimators.group_times import GroupTimes, Pairs

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

ESTIMANDS: dict[str | None, str] = {
    "simple": "average effect on the treated",
    "group": "average effect on the treated, by group",
    "calendar": "average effect on the treated, by calendar period",
    "dynamic": "average effect on the treated, by periods since treatment",
    None: "effects by group and time",
}


class Averages(NamedTuple):
    """Parts: their ``terms (J,)`` and which effects each averages, ``member (J, K)``; and what the overall effect averages.

    That is effects ``after (K,)`` treatment alike by cluster ("cells"), or the parts that are ``counted (J,)``, by clusters ("groups") or
    each alike ("parts"); nothing at all ("none").
    """

    terms: tuple[str, ...]
    member: Flags
    counted: Flags
    after: Flags
    overall: str


def averages(aggregate: str, pairs: Pairs, periods: Sequence[Any], balance: int | None = None) -> Averages:
    """What an aggregation averages; "simple" has no parts."""
    after = pairs.event >= 0
    if aggregate == "simple":
        return Averages((), np.zeros((0, len(after)), dtype=bool), np.zeros(0, dtype=bool), after, "cells")
    if aggregate == "dynamic":
        return _dynamic(pairs, len(periods), balance)
    of = pairs.group if aggregate == "group" else pairs.time
    values = np.unique(of[after])
    terms = tuple(f"{aggregate} {periods[v]}" for v in values)
    overall = "groups" if aggregate == "group" else "parts"
    return Averages(terms, (of == values[:, None]) & after, np.ones(len(values), dtype=bool), after, overall)


def each(pairs: Pairs, periods: Sequence[Any]) -> Averages:
    """Every group and time by itself, its clusters with different base periods averaged."""
    first = np.append(True, (np.diff(pairs.group) > 0) | (np.diff(pairs.time) > 0))[: len(pairs.group)]
    terms = tuple(f"group {periods[g]}, time {periods[t]}" for g, t in zip(pairs.group[first], pairs.time[first], strict=True))
    member = np.cumsum(first) - 1 == np.arange(len(terms))[:, None]
    return Averages(terms, member, np.ones(len(terms), dtype=bool), pairs.event >= 0, "none")


def _dynamic(pairs: Pairs, periods: int, balance: int | None) -> Averages:
    kept = np.ones(len(pairs.group), dtype=bool)
    if balance is not None:
        kept = (periods - 1 - pairs.group >= balance) & (pairs.event <= balance) & (pairs.event > balance - periods)
    values = np.unique(pairs.event[kept])
    terms = tuple(f"event {v}" for v in values)
    return Averages(terms, (pairs.event == values[:, None]) & kept, values >= 0, pairs.event >= 0, "parts")


class Average(NamedTuple):
    """Terms ``(J,)`` and the weights ``(..., J, K)`` of effects by group and time in them, nan where a term has no effect."""

    terms: tuple[str, ...]
    weights: Array


def weigh(parts: Averages, size: Array, group_size: Array | None = None) -> Average:
    """Weights of the overall effect and of the parts.

    `size` ``(..., K)`` says how many clusters join each effect, 0 where it is not identified; `group_size`, how many of its group join any.
    """
    below = _shares(parts.member, size)
    if parts.overall == "none":
        return Average(parts.terms, below)
    top = _top(parts, size, size if group_size is None else group_size)
    above = _shares(parts.after[None], size) if parts.overall == "cells" else top[..., None, :] @ np.nan_to_num(below)
    return Average(("overall", *parts.terms), np.concatenate([above, below], -2))


def moved(parts: Averages, found: GroupTimes, effects: Array) -> Array:
    """How much one more cluster of each class moves the terms of `weigh`, ``(..., J, C)``."""
    below = _gradient(parts.member, found.size, effects) @ found.joins
    if parts.overall == "none":
        return np.asarray(below)
    if parts.overall == "cells":
        return np.concatenate([_gradient(parts.after[None], found.size, effects) @ found.joins, below], -2)
    top = np.nan_to_num(_top(parts, found.size, found.group_size))
    above = top[..., None, :] @ below
    if parts.overall == "groups":
        above = above + _regrouped(parts, found, effects, top)
    return np.concatenate([above, below], -2)


def _gradient(member: Flags, size: Array, effects: Array) -> Array:
    held = member & (size > 0)[..., None, :]
    theta = (np.nan_to_num(_shares(member, size)) * effects[..., None, :]).sum(-1, keepdims=True)
    return np.asarray(held * (effects[..., None, :] - theta) / np.maximum((held * size[..., None, :]).sum(-1, keepdims=True), 1.0))


def _regrouped(parts: Averages, found: GroupTimes, effects: Array, top: Array) -> Array:
    """The same for the overall effect's weights on groups, ``(..., 1, C)``."""
    theta = (np.nan_to_num(_shares(parts.member, found.size)) * effects[..., None, :]).sum(-1)
    about = theta - (top * theta).sum(-1, keepdims=True)
    own = (parts.member[..., None] & (found.members > 0)[..., None, :, :]).any(-2)
    clusters = (own * found.classes.clusters[..., None, :]).sum((-2, -1))[..., None]
    return np.asarray((about / np.maximum(clusters, 1.0))[..., None, :] @ own)


def _shares(member: Flags, size: Array) -> Array:
    """Weights in proportion to size; nan where nothing is left to average."""
    held = member * size[..., None, :]
    total = held.sum(-1, keepdims=True)
    return np.asarray(held / np.where(total > 0, total, np.nan))


def _top(parts: Averages, size: Array, group_size: Array) -> Array:
    """Weights ``(..., J)`` of parts in the overall effect; nan where none of them is left."""
    clusters = (parts.member * (group_size * (size > 0))[..., None, :]).max(-1, initial=0.0)
    kept = clusters * parts.counted if parts.overall == "groups" else (clusters > 0) & parts.counted
    total = kept.sum(-1, keepdims=True)
    return np.asarray(kept / np.where(total > 0, total, np.nan))
