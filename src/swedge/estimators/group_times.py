"""Effects by group and time: which clusters, in which two periods, are compared for each.

A group is the clusters first treated in one period. Clusters of one group that are observed in the same periods form a class: without
covariates they weigh alike, so that everything but their moments has the size of the classes. With covariates each cluster is a class.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.adjusted_change import adjusted_change
from swedge._kernels.cohort_moments import Moments, counts
from swedge.assumptions import family_named
from swedge.estimators.cohorts import Cohorts

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


class Classes(NamedTuple):
    """``label (..., I)`` of each cluster; of each class its first treated period ``start (..., C)``, and how many ``clusters (..., C)``.

    ``seen (..., C, T)``: the periods in which its clusters are observed.
    """

    label: Index
    start: Index
    seen: Flags
    clusters: Array


class Pairs(NamedTuple):
    """For each effect its ``group``, ``time`` and ``base`` period, ``(K,)``, counted from 0."""

    group: Index
    time: Index
    base: Index

    def take(self, which: Flags) -> Pairs:
        """Those effects alone."""
        return Pairs(self.group[which], self.time[which], self.base[which])

    @property
    def event(self) -> Index:
        """Periods since the group's first treated one."""
        return self.time - self.group

    def steps(self, periods: int) -> Array:
        """``(K, T)``: 1 in the period of the effect, -1 in its base period."""
        unit = np.eye(periods)
        return unit[self.time] - unit[self.base]


class GroupTimes(NamedTuple):
    """Effects by group and time as weights on changes.

    ``share (..., K, C)`` is the weight of one cluster's change, 0 where an effect is not identified (``usable (..., K)``), and ``size
    (..., K)`` how many clusters the group has.
    """

    pairs: Pairs
    classes: Classes
    share: Array
    usable: Flags
    size: Array


def classes_of(found: Cohorts) -> Classes:
    """Clusters that start together and are observed in the same periods."""
    seen = found.seen.reshape((-1, found.periods))
    start = np.broadcast_to(found.start, np.broadcast_shapes(found.start.shape, found.seen.shape[:-1]))
    pattern = np.zeros(len(seen), dtype=np.int64)
    if not seen.all():
        partly = ~seen.all(-1)
        pattern[partly] = 1 + np.unique(seen[partly], axis=0, return_inverse=True)[1].ravel()
    pattern = np.broadcast_to(pattern.reshape(found.seen.shape[:-1]), start.shape)
    _, first, label = np.unique(start + (found.periods + 1) * pattern, return_index=True, return_inverse=True)
    label = label.reshape(start.shape)
    rows = np.broadcast_to(found.seen, (*start.shape, found.periods)).reshape((-1, found.periods))[first]
    return Classes(label, start.ravel()[first], rows, counts(label, len(first)))


def clusters_of(found: Cohorts) -> Classes:
    """Each cluster a class of its own."""
    alone = np.arange(found.start.shape[-1])
    return Classes(alone, found.start, found.seen, np.ones(found.start.shape[-1]))


def pairs_of(found: Cohorts, base: str, anticipation: int) -> Pairs:
    """Every group and time with its base period: the last one before anticipation; before treatment the previous one if "varying".

    A period in which nobody of the group is observed, such as its transition into treatment, is passed over.
    """
    rows = []
    for g in found.dates:
        seen = _seen_periods(found, g)
        last = max(seen[seen < g - anticipation], default=-1)
        for t in seen if last >= 0 else ():
            before = max(seen[seen < t], default=-1) if base == "varying" and t < g else last
            if before >= 0 and before != t:
                rows.append((g, t, before))
    return Pairs(*np.array(rows, dtype=np.int64).reshape((-1, 3)).T)


def _seen_periods(found: Cohorts, group: int) -> Index:
    """Periods in which some cluster of a group is observed."""
    if found.seen.all():
        return np.arange(found.periods)
    ours = np.broadcast_to((found.start == group)[..., None], np.broadcast_shapes(found.seen.shape, (*found.start.shape, 1)))
    return np.flatnonzero((found.seen & ours).any(tuple(range(found.seen.ndim - 1))))


def sides(pairs: Pairs, classes: Classes, controls: str, anticipation: int) -> tuple[Flags, Flags]:
    """Which classes are treated and which are controls in each comparison, ``(..., K, C)``: only those observed in both periods."""
    periods = classes.seen.shape[-1]
    both = np.swapaxes(classes.seen[..., pairs.time] & classes.seen[..., pairs.base], -1, -2)
    start, group = classes.start[..., None, :], pairs.group[:, None]
    later = start > (np.maximum(pairs.time, pairs.base) + anticipation)[:, None]
    never = start == periods
    free = never | (later & (start != group)) if controls == "not_yet" else never
    if controls == "last":
        latest = np.max(np.where(classes.clusters > 0, classes.start, 0), -1)[..., None, None]
        free = (start == latest) & (never | later) & (start != group)
    return both & (start == group), both & free


def group_sizes(pairs: Pairs, classes: Classes) -> Array:
    """How many clusters each effect's group has, ``(..., K)``."""
    return np.asarray((of_group(pairs, classes) * classes.clusters[..., None, :]).sum(-1))


def plain(pairs: Pairs, classes: Classes, treated: Flags, control: Flags) -> GroupTimes:
    """Difference of mean changes."""
    ours, theirs = (_even(side, classes.clusters) for side in (treated, control))
    usable = np.asarray((ours > 0).any(-1) & (theirs > 0).any(-1))
    share = (ours - theirs) * usable[..., None]
    return GroupTimes(pairs, classes, share, usable, group_sizes(pairs, classes))


def _even(side: Flags, count: Array) -> Array:
    """One over the number of clusters on a side, in its classes that have any."""
    held = side & (count > 0)[..., None, :]
    many = (held * count[..., None, :]).sum(-1, keepdims=True)
    return np.asarray(held / np.maximum(many, 1.0))


def plain_influence(found: GroupTimes, held: Moments) -> tuple[Array, Array]:
    """Effects ``(..., K)``, and the mean influence ``(..., K, C)`` of each class's clusters on them."""
    change = np.swapaxes(held.mean[..., found.pairs.time] - held.mean[..., found.pairs.base], -1, -2)
    count = held.clusters[..., None, :]
    up, down = np.maximum(found.share, 0.0), np.maximum(-found.share, 0.0)
    ours, theirs = ((side * count * change).sum(-1, keepdims=True) for side in (up, down))
    return (ours - theirs)[..., 0], up * (change - ours) - down * (change - theirs)


def adjusted(found: GroupTimes, treated: Flags, control: Flags, x: Array, y: Array, how: str) -> tuple[GroupTimes, Array]:
    """The same at like covariates ``x (I, p)``, the constant among them, and each cluster's influence ``(..., K, I)``.

    `y` are cell means ``(..., I, T)``; the weights do not depend on them.
    """
    parts = {"propensity": how != "outcome regression", "regression": how != "ipw"}
    change = np.swapaxes(y[..., found.pairs.time] - y[..., found.pairs.base], -1, -2)
    rows = [
        adjusted_change(treated[..., k, :], control[..., k, :], x, change[..., k, :], family_named("binomial"), **parts)
        for k in range(len(found.pairs.group))
    ]
    share, influence = (np.where(found.usable[..., None], np.stack([row[j] for row in rows], -2), 0.0) for j in range(2))
    return found._replace(share=share), influence


def cell_slopes(found: GroupTimes, weights: Array | None) -> Array:
    """Weights of cells by class, ``(..., J, C, T)``, of averages ``weights (..., J, K)`` of the effects; None keeps each effect."""
    steps = found.pairs.steps(found.classes.seen.shape[-1])
    if weights is None:
        shown = np.where(found.usable[..., None], found.share, np.nan)
        return np.asarray(shown[..., None] * steps[:, None, :])
    change = np.swapaxes(found.share, -1, -2)
    return np.stack([(weights[..., j, None, :] * change) @ steps for j in range(weights.shape[-2])], -3)


def for_clusters(by_class: Array, label: Index) -> Array:
    """A table ``(..., J, C)`` of classes looked up for clusters, ``(..., J, I)``."""
    return np.take_along_axis(by_class, _lifted(label, by_class.ndim - 1)[..., None, :], -1)


def for_cells(by_class: Array, label: Index) -> Array:
    """A table ``(..., J, C, T)`` of classes looked up for clusters, ``(..., J, I, T)``."""
    return np.take_along_axis(by_class, _lifted(label, by_class.ndim - 2)[..., None, :, None], -2)


def _lifted(label: Index, axes: int) -> Index:
    return label.reshape((1,) * (axes - label.ndim) + label.shape)


def of_group(pairs: Pairs, classes: Classes) -> Array:
    """Which effects are those of a class's own group, ``(..., K, C)``."""
    observed = np.asarray(classes.seen.any(-1))
    own = (classes.start[..., None, :] == pairs.group[:, None]) & observed[..., None, :]
    return np.asarray(own, dtype=np.float64)
