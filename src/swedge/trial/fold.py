"""Checked rows folded into cells and covariate patterns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from swedge.design import Allocation
from swedge.trial.cells import Cells, Patterns
from swedge.trial.trial import Trial, exposed

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Checked rows: where each belongs, its outcome mean, its count and its covariates."""

    cluster: Index
    period: Index
    outcome: Array
    size: Array
    covariates: Array

    def variables(self, family: str) -> Array:
        """What cells average: the outcome, and for a Gaussian one its covariates, ``(rows, Q)``."""
        return np.column_stack([self.outcome, self.covariates]) if family == "gaussian" else self.outcome[:, None]


def fold(rows: Rows, allocation: Allocation, family: str, names: tuple[str, ...], labels: tuple[str, ...], comparators: int) -> Trial:
    """The trial of these rows. Rows in cells that the design leaves out are kept for other allocations, and counted in a note."""
    shape = (len(names), allocation.design.n_periods)
    treatment, exposure = exposed(allocation, comparators)
    cells = _cells(rows, family, shape, treatment)
    patterns = patterns_of(rows, shape) if labels and family != "gaussian" else None
    periods = tuple(range(1, shape[1] + 1))
    notes = _notes(rows, cells, family, treatment)
    return Trial(
        cells, treatment, exposure, family, names, allocation, comparators, periods, patterns, labels, notes=notes, design=allocation.design
    )


def _cells(rows: Rows, family: str, shape: tuple[int, int], treatment: Array) -> Cells:
    n, mean, scatter = cells_of(rows.cluster, rows.period, rows.variables(family), rows.size, shape)
    if family == "binomial":
        scatter = (n * mean[..., 0] * (1 - mean[..., 0]))[..., None, None]
    elif (rows.size != 1).any():
        return Cells(n, mean)
    cells = Cells(n, mean, scatter.sum(1), scatter).seen(treatment)
    return cells if np.isnan(treatment).any() else replace(cells, scatter=None)


def cells_of(cluster: Index, period: Index, variables: Array, size: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Counts ``(I, T)``, means ``(I, T, Q)`` and, for rows of one individual each, scatter about them ``(I, T, Q, Q)``."""
    at = cluster * shape[1] + period
    order = np.argsort(at, kind="stable")
    edges = np.searchsorted(at[order], np.arange(shape[0] * shape[1] + 1))
    n = np.bincount(at, size, minlength=len(edges) - 1).astype(float)
    sums = np.stack([np.bincount(at, size * column, minlength=len(n)) for column in variables.T], -1)
    means = sums / np.where(n > 0, n, 1.0)[:, None]
    apart = (variables - means[at])[order]
    scatter = np.stack([apart[a:b].T @ apart[a:b] for a, b in pairwise(edges)])
    return n.reshape(shape), means.reshape((*shape, -1)), scatter.reshape((*shape, *scatter.shape[1:]))


def patterns_of(rows: Rows, shape: tuple[int, int]) -> Patterns:
    """Distinct (cluster, period, covariates) rows with their counts and mean outcomes, padded to one length a cluster."""
    key = np.column_stack([rows.cluster, rows.period, rows.covariates])
    distinct, at = np.unique(key, axis=0, return_inverse=True)
    n = np.bincount(at.ravel(), rows.size)
    mean = np.bincount(at.ravel(), rows.size * rows.outcome) / n
    owner = distinct[:, 0].astype(np.int64)
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    padded = (shape[0], int(place.max()) + 1)
    tables = [np.zeros((*padded, *values.shape[1:])) for values in (n, mean, distinct[:, 1], distinct[:, 2:])]
    for table, values in zip(tables, (n, mean, distinct[:, 1], distinct[:, 2:]), strict=True):
        table[owner, place] = values
    return Patterns(tables[0], tables[1], tables[2].astype(np.int64), tables[3], shape[1])


def _notes(rows: Rows, cells: Cells, family: str, treatment: Array) -> tuple[str, ...]:
    notes = []
    outside = cells.n[np.isnan(treatment)].sum()
    if outside:
        notes.append(f"{outside:g} individuals were seen in cells that the design leaves out (transition) and are not analysed.")
    if family in ("gaussian", "fractional") and cells.within is None:
        notes.append("Rows stand for several individuals and give their mean, so the scatter of individuals inside cells is not known.")
    return tuple(notes)
