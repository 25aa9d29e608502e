"""Effects by group and time: which clusters, in which two periods, are compared for each.

A group is the clusters first treated in one period. Clusters of one group that are observed in the same periods form a class: without
covariates they weigh alike, so that everything but their moments has the size of the classes. With covariates each cluster is a class.
A class has base periods of its own: what one cluster lacks changes nothing for the others, nor for another allocation of a stack.
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

    ``seen (..., C, T)``: the periods in which its clusters are observed. ``base (..., C, T)``: the period that each is compared with, -1
    where none is. ``last (..., C)``: the last untreated period without anticipation, -1 where there is none.
    """

    label: Index
    start: Index
    seen: Flags
    clusters: Array
    base: Index
    last: Index


class Pairs(NamedTuple):
    """For each effect its ``group``, ``time`` and ``base`` period, ``(K,)``, counted from 0; classes of a group may differ in the base."""

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

    ``share (..., K, C)`` is the weight of one cluster's change, 0 where an effect is not identified (``usable (..., K)``). ``joins (..., K,
    C)`` is 1 where clusters of a class are the treated ones of an effect.
    """

    pairs: Pairs
    classes: Classes
    share: Array
    usable: Flags
    joins: Array

    @property
    def size(self) -> Array:
        """How many treated clusters join each effect, ``(..., K)``."""
        return np.asarray((self.joins * self.classes.clusters[..., None, :]).sum(-1))

    @property
    def members(self) -> Array:
        """1 for each effect of a class's group ``(..., K, C)`` if the class joins some effect at or after treatment."""
        own = self.classes.start[..., None, :] == self.pairs.group[:, None]
        after = self.joins * (self.pairs.event >= 0)[:, None]
        return np.asarray(own & (after > 0).any(-2, keepdims=True), dtype=np.float64)

    @property
    def group_size(self) -> Array:
        """How many clusters of each effect's group join some effect at or after treatment, ``(..., K)``."""
        return np.asarray((self.members * self.classes.clusters[..., None, :]).sum(-1))


def classes_of(found: Cohorts, base: str = "universal", anticipation: int = 0) -> Classes:
    """Clusters that start together and are observed in the same periods.

    Their base is the last observed period before treatment and `anticipation` observed periods; before treatment it is the previous
    observed one if "varying".
    """
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
    first_treated = start.ravel()[first]
    return Classes(label, first_treated, rows, counts(label, len(first)), *_based(first_treated, rows, base, anticipation))


def clusters_of(found: Cohorts, base: str, anticipation: int) -> Classes:
    """Each cluster a class of its own."""
    alone = np.arange(found.start.shape[-1])
    return Classes(alone, found.start, found.seen, np.ones(len(alone)), *_based(found.start, found.seen, base, anticipation))


def pairs_of(classes: Classes) -> Pairs:
    """Every group and time with the base periods of its classes."""
    start = np.broadcast_to(classes.start, classes.seen.shape[:-1])[..., None]
    rows = np.stack(np.broadcast_arrays(start, np.arange(classes.seen.shape[-1]), classes.base), -1)
    return Pairs(*np.unique(rows[classes.base >= 0], axis=0).reshape((-1, 3)).T)


def _based(start: Index, seen: Flags, base: str, anticipation: int) -> tuple[Index, Index]:
    """The `base` and `last` of `Classes`."""
    at = np.arange(seen.shape[-1])
    before = at < start[..., None]
    never = start == len(at)
    last = np.where(never, len(at) - 1, np.where(seen & before & ~run_up(start, seen, anticipation), at, -1).max(-1))
    previous = np.roll(np.maximum.accumulate(np.where(seen, at, -1), -1), 1, -1)
    previous[..., 0] = -1
    own = np.where(before & (base == "varying"), previous, last[..., None])
    return np.where(seen & ~never[..., None] & (last >= 0)[..., None] & (own != at), own, -1), last


def run_up(start: Index, seen: Flags, count: int) -> Flags:
    """The last `count` observed periods before the first treated one, ``(..., T)``; none of clusters that are never treated."""
    before = seen & (np.arange(seen.shape[-1]) < start[..., None]) & (start < seen.shape[-1])[..., None]
    later = np.flip(np.cumsum(np.flip(before, -1), -1), -1)
    return np.asarray(before & (later <= count))


def sides(pairs: Pairs, classes: Classes, controls: str) -> tuple[Flags, Flags]:
    """Which classes are treated and which are controls in each comparison, ``(..., K, C)``: only those observed in both periods."""
    both = np.swapaxes(classes.seen[..., pairs.time] & classes.seen[..., pairs.base], -1, -2)
    start, group = classes.start[..., None, :], pairs.group[:, None]
    own = (start == group) & (np.swapaxes(classes.base[..., pairs.time], -1, -2) == pairs.base[:, None])
    never = start == classes.seen.shape[-1]
    later = classes.last[..., None, :] >= np.maximum(pairs.time, pairs.base)[:, None]
    free = never | (later & (start != group)) if controls == "not_yet" else never
    if controls == "last":
        latest = np.max(np.where(classes.clusters > 0, classes.start, 0), -1)[..., None, None]
        free = (start == latest) & (never | later) & (start != group)
    return both & own, both & free


def plain(pairs: Pairs, classes: Classes, treated: Flags, control: Flags) -> GroupTimes:
    """Difference of mean changes."""
    ours, theirs = (_even(side, classes.clusters) for side in (treated, control))
    usable = np.asarray((ours > 0).any(-1) & (theirs > 0).any(-1))
    share = (ours - theirs) * usable[..., None]
    return GroupTimes(pairs, classes, share, usable, np.asarray((ours > 0) & usable[..., None], dtype=np.float64))


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


def cell_slopes(found: GroupTimes, weights: Array) -> Array:
    """Weights of cells by class, ``(..., J, C, T)``, of averages ``weights (..., J, K)`` of the effects."""
    steps = found.pairs.steps(found.classes.seen.shape[-1])
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
