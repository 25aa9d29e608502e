"""Treated cells by group and time, and the averages of them that estimators of imputed outcomes report."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.two_way import foreseen
from swedge.errors import DataError, FitError, listing, nearest
from swedge.estimators.aggregation import ESTIMANDS, averages, weigh
from swedge.estimators.cohorts import Cohorts, cohorts
from swedge.estimators.group_times import Pairs
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


class TreatedCells(NamedTuple):
    """What the untreated cells of a trial say about its treated ones.

    ``untreated (..., I, T)`` is 1 in untreated cells with data. ``usable (..., I, T)`` are treated cells with data whose untreated outcome
    they identify, ``lost`` the others. ``label (..., I, T)`` is the group-time of each cell among `pairs`, -1 outside of them, and ``size
    (..., P)`` how many usable cells a group-time has.
    """

    cohorts: Cohorts
    untreated: Array
    usable: Flags
    lost: Flags
    pairs: Pairs
    label: Index
    size: Array


class Terms(NamedTuple):
    """``terms (J,)``, the weights of treated cells in them ``(..., J, I, T)``, and what they estimate."""

    terms: tuple[str, ...]
    target: Array
    estimand: str


def treated_cells(trial: Trial) -> TreatedCells:
    """Sort a trial's cells.

    Raises
    ------
    DataError
        If treatment stops or comes in part, or no treated cell of one trial can be foreseen from untreated ones.
    """
    found = cohorts(trial)
    after = np.arange(found.periods) >= found.start[..., None]
    untreated = (found.seen & ~after).astype(float)
    treated = found.seen & after
    usable = treated & foreseen(untreated)
    if not usable.any():
        raise DataError(
            "No clean comparison is left: no treated cell has both an untreated period of its own cluster and an untreated cluster in its"
            " own period. Add comparators=, or use an estimator with an assumed effect, such as TwoWayFixedEffects()."
        )
    pairs = _pairs(found)
    label = _labels(found, pairs)
    return TreatedCells(found, untreated, usable, treated & ~usable, pairs, label, counted(label, usable, len(pairs.group)))


def _pairs(found: Cohorts) -> Pairs:
    rows = [(g, t, g - 1) for g in found.dates for t in range(g, found.periods)]
    group, time, base = np.array(rows, dtype=np.int64).reshape((-1, 3)).T
    return Pairs(group, time, base)


def _labels(found: Cohorts, pairs: Pairs) -> Index:
    table = np.full((found.periods + 1, found.periods), -1)
    table[pairs.group, pairs.time] = np.arange(len(pairs.group))
    return np.asarray(table[found.start])


def counted(label: Index, cells: Array | Flags, labels: int) -> Array:
    """Sums of cells by label, ``(..., P)``."""
    lead = np.broadcast_shapes(label.shape, cells.shape)
    rows = np.broadcast_to(label, lead).reshape((-1, lead[-2] * lead[-1]))
    values = np.broadcast_to(cells, lead).reshape(rows.shape)
    offset = np.arange(len(rows))[:, None] * (labels + 1)
    sums = np.bincount((rows + 1 + offset).ravel(), weights=values.ravel().astype(float), minlength=len(rows) * (labels + 1))
    return np.asarray(sums.reshape((*lead[:-2], labels + 1))[..., 1:])


def looked_up(values: Array, label: Index) -> Array:
    """Values by label ``(..., P)`` in every cell ``(..., I, T)``; 0 where the label is -1."""
    padded = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], -1)
    lead = np.broadcast_shapes(values.shape[:-1], label.shape[:-2])
    flat = np.broadcast_to(label, (*lead, *label.shape[-2:])).reshape((*lead, -1))
    picked = np.take_along_axis(np.broadcast_to(padded, (*lead, padded.shape[-1])), flat % padded.shape[-1], -1)
    return np.asarray(picked.reshape((*lead, *label.shape[-2:])))


def averaged(cells: TreatedCells, trial: Trial, aggregate: str | None) -> Terms:
    """Every usable cell of a term weighs the same; the overall effect averages terms as `aggregation` says."""
    weights, terms = _weighed(cells, trial, aggregate)
    share = weights / np.maximum(cells.size, 1.0)[..., None, :]
    label = np.where(cells.usable, cells.label, -1)
    known = np.isfinite(weights).all(-1)[..., None, None]
    return Terms(terms, np.where(known, looked_up(share, label[..., None, :, :]), np.nan), ESTIMANDS[aggregate])


def about_means(cells: TreatedCells, table: Array, aggregate: str | None) -> Array:
    """The table ``(..., I, T)`` about the mean over the usable cells of each part of an aggregation; as it is elsewhere."""
    pairs = cells.pairs
    parts = {"simple": 0 * pairs.group, "group": pairs.group, "calendar": pairs.time, "dynamic": pairs.event, None: np.arange(len(pairs.group))}
    part = np.append(parts[aggregate], -1)[cells.label]
    part = np.where(cells.usable, part, -1)
    count = int(part.max(initial=0)) + 1
    total, size = counted(part, np.where(cells.usable, table, 0.0), count), counted(part, cells.usable, count)
    return np.asarray(table - looked_up(total / np.maximum(size, 1.0), part))


def _weighed(cells: TreatedCells, trial: Trial, aggregate: str | None) -> tuple[Array, tuple[str, ...]]:
    pairs = cells.pairs
    if aggregate is None:
        kept = (cells.size > 0).reshape((-1, len(pairs.group))).any(0)
        each = np.eye(len(pairs.group))[kept]
        known = (cells.size > 0)[..., kept]
        names = zip(pairs.group[kept], pairs.time[kept], strict=True)
        return np.where(known[..., None], each, np.nan), tuple(f"group {trial.periods[g]}, time {trial.periods[t]}" for g, t in names)
    some = (cells.size > 0).reshape((-1, len(pairs.group))).any(0)
    average = weigh(averages(aggregate, pairs.take(some), trial.periods), cells.size[..., some])
    weights = np.zeros((*average.weights.shape[:-1], len(pairs.group)))
    weights[..., some] = average.weights
    return weights, average.terms


def check_aggregate(aggregate: object) -> None:
    """Refuse an unknown aggregation.

    Raises
    ------
    FitError
        Naming the nearest known one.
    """
    if aggregate not in ESTIMANDS:
        known = [str(name) for name in ESTIMANDS if name]
        raise FitError(f"aggregate={aggregate!r}; expected one of {', '.join(known)} or None.{nearest(str(aggregate), known)}")


def lost_cells(trial: Trial, cells: TreatedCells) -> tuple[str, ...]:
    """A note on treated cells that are left out, and why."""
    lost = cells.lost.reshape((-1, *cells.lost.shape[-2:])).any(0)
    if not lost.any():
        return ()
    who, when = np.flatnonzero(lost.any(1)), np.flatnonzero(lost.any(0))
    return (
        f"{int(lost.sum())} treated cells have no untreated outcome to compare with and are left out: {listing([trial.clusters[i] for i in who])}"
        f" ({len(who)} of {len(trial.clusters)} clusters), in {listing([str(trial.periods[t]) for t in when])} ({len(when)} of"
        f" {len(trial.periods)} periods).",
    )
