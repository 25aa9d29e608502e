"""Treated cells by group and time, and the averages of them that estimators of imputed outcomes report."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.two_way import foreseen
from swedge.errors import DataError, listing
from swedge.estimators.aggregation import ESTIMANDS, averages, weigh
from swedge.estimators.choices import check_choice
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
    """``terms (J,)``, the weights in them of treated cells ``(..., J, I, T)`` or of group-times ``(..., J, P)``, and what they estimate."""

    terms: tuple[str, ...]
    weights: Array
    estimand: str


def treated_cells(trial: Trial, controls: str = "not_yet") -> TreatedCells:
    """Sort a trial's cells; with "never" as controls, a cluster's last period before treatment is its only untreated one.

    Raises
    ------
    DataError
        If treatment stops or comes in part, or no treated cell of one trial can be foreseen from untreated ones.
    """
    found = cohorts(trial)
    after = np.arange(found.periods) >= found.start[..., None]
    free = found.seen & ~after
    if controls == "never":
        free &= found.never[..., None] | (np.arange(found.periods) == found.start[..., None] - 1)
    untreated = free.astype(float)
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
    """Averages of treated cells, each usable cell of a part alike; a term without any is nan."""
    found = group_time_weights(cells, trial, aggregate)
    share = found.weights / np.maximum(cells.size, 1.0)[..., None, :]
    known = np.asarray(np.isfinite(share).all(-1))[..., None, None]
    label = np.where(cells.usable, cells.label, -1)[..., None, :, :]
    return found._replace(weights=np.where(known, looked_up(share, label), np.nan))


def group_time_weights(cells: TreatedCells, trial: Trial, aggregate: str | None) -> Terms:
    """Averages of group-times by how many usable cells they have; the overall effect averages parts as `aggregation` says."""
    pairs = cells.pairs
    some = np.asarray((cells.size > 0).reshape((-1, len(pairs.group))).any(0))
    if aggregate is None:
        known = np.asarray(cells.size[..., some] > 0)[..., None]
        each = np.where(known, np.eye(len(pairs.group))[some], np.nan)
        names = (pair_name(trial, g, t) for g, t in zip(pairs.group[some], pairs.time[some], strict=True))
        return Terms(tuple(names), each, ESTIMANDS[None])
    terms, shares = weigh(averages(aggregate, pairs.take(some), trial.periods), cells.size[..., some])
    weights = np.zeros((*cells.size.shape[:-1], len(terms), len(pairs.group)))
    weights[..., some] = shares
    return Terms(terms, weights, ESTIMANDS[aggregate])


def pair_name(trial: Trial, group: int, time: int) -> str:
    """A group and time by the trial's period labels."""
    return f"group {trial.periods[group]}, time {trial.periods[time]}"


def about_means(cells: TreatedCells, table: Array, aggregate: str | None) -> Array:
    """The table ``(..., I, T)`` about the mean over the usable cells of each part of an aggregation; as it is elsewhere."""
    pairs = cells.pairs
    each = np.arange(len(pairs.group))
    parts = {"simple": 0 * each, "group": pairs.group, "calendar": pairs.time, "dynamic": pairs.event, None: each}
    part = np.append(parts[aggregate], -1)[cells.label]
    part = np.where(cells.usable, part, -1)
    count = int(part.max(initial=0)) + 1
    total, size = counted(part, np.where(cells.usable, table, 0.0), count), counted(part, cells.usable, count)
    return np.asarray(table - looked_up(total / np.maximum(size, 1.0), part))


def check_aggregate(aggregate: object) -> None:
    """Refuse an unknown aggregation.

    Raises
    ------
    FitError
        Naming the nearest known one.
    """
    if aggregate is not None:
        check_choice("aggregate", aggregate, [name for name in ESTIMANDS if name])


def notes_on(trial: Trial, cells: TreatedCells) -> tuple[str, ...]:
    """What is left out."""
    lost = np.asarray(cells.lost.reshape((-1, *cells.lost.shape[-2:])).any(0))
    if not lost.any():
        return ()
    who, when = [trial.clusters[i] for i in np.flatnonzero(lost.any(1))], [trial.periods[t] for t in np.flatnonzero(lost.any(0))]
    where = (
        f"{listing(who)} ({len(who)} of {len(trial.clusters)} clusters), in {listing(when)} ({len(when)} of {len(trial.periods)} periods)"
    )
    return (f"{int(lost.sum())} treated cells have no untreated outcome to compare with and are left out: {where}.",)


def clustered_factor(clusters: Array, cells: Array, parameters: Array) -> Array:
    """``G / (G - 1) (N - 1) / (N - K)`` of a regression clustered by what its fixed effects are nested in; 1 where it is not defined."""
    fine = (clusters > 1) & (cells > parameters)
    return np.where(fine, clusters / np.maximum(clusters - 1, 1) * (cells - 1) / np.where(fine, cells - parameters, 1), 1.0)
