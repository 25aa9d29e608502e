"""The two-way regression with an effect for every group and time: saturated, so that no treated cell serves as a control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.two_way import freed
from swedge.estimators.choices import check_choice
from swedge.estimators.difference import CellEffects, DifferenceInDifferences, about_centre
from swedge.estimators.treated_cells import (
    TreatedCells,
    check_aggregate,
    clustered_factor,
    counted,
    group_time_weights,
    looked_up,
    notes_on,
    treated_cells,
)
from swedge.trial import Trial

Array = NDArray[np.float64]

CONTROLS = ("not_yet", "never")
# A combination of effects that the columns reproduce to less than this is not identified by them.
APART = 1e-6
# Directions of the effects' columns with less than this share of the largest one's sum of squares are those of two-way effects.
RANK = 1e-10


class Saturated(NamedTuple):
    """Columns of every group and time free of two-way effects ``(..., P, c)``, their products ``(..., P, P)``, and the inverse of these."""

    columns: Array
    gram: Array
    inverse: Array


@dataclass(frozen=True)
class ExtendedTwoWay(DifferenceInDifferences):
    """Two-way fixed effects with an effect for every group and time, averaged (Wooldridge).

    Parameters
    ----------
    controls : {"not_yet", "never"}
        "not_yet" gives effects to treated cells alone, so that all untreated ones are controls: on a panel without gaps the estimates of
        `Imputation`. "never" gives them to every cell but a group's last before treatment, so that never-treated clusters are the controls.
    aggregate : {"simple", "dynamic", "group", "calendar"} or None
        Which average of the effects: each weighs as many cells as it has.
    vcov : {"CR2", "CR0", "CR1", "CR3", "influence"}
        "influence" is the variance of the regression itself, clustered, with the small-sample factor of fixest (clusters' effects are not
        counted, as they are nested). With one cluster a group its residuals are zero where its effects are fitted: the standard error is
        then far too small.
    df : {"satterthwaite", "clusters", "normal"}

    References
    ----------
    Wooldridge JM (2021). Two-way fixed effects, the two-way Mundlak regression, and difference-in-differences estimators. SSRN 3906345.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.extended_two_way import ExtendedTwoWay
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> round(float(ExtendedTwoWay().point(trial)), 12)
    3.0
    """

    controls: str = "not_yet"
    aggregate: str | None = "simple"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_aggregate(self.aggregate)
        check_choice("controls", self.controls, CONTROLS)

    def build(self, trial: Trial) -> CellEffects:
        """Effects and the weights of cells in them."""
        cells = _by_group_time(treated_cells(trial, self.controls))
        found = group_time_weights(cells, trial, self.aggregate)
        fit = _saturated(cells)
        contrasts = _with_leads(found.weights, cells, fit)
        combined = contrasts @ fit.inverse
        known = np.asarray(np.abs(combined @ fit.gram - contrasts) < APART).all(-1, keepdims=True)
        weights = np.where(known, combined, np.nan) @ fit.columns
        tables = weights.reshape((*weights.shape[:-1], *trial.n.shape[-2:]))
        return CellEffects(found.terms, tables, found.estimand, notes_on(trial, cells))

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to each term's error, ``(..., K, I)``, the small-sample factor among it."""
        cells = _by_group_time(treated_cells(trial, self.controls))
        fit, seen = _saturated(cells), cells.cohorts.seen.astype(float)
        y = freed(about_centre(trial), seen)
        flat = y.reshape((*y.shape[:-2], -1))
        beta = fit.inverse @ (fit.columns @ flat[..., None])
        fitted = (beta.swapaxes(-1, -2) @ fit.columns)[..., 0, :]
        left = np.asarray(flat - fitted).reshape(np.broadcast_shapes(y.shape, cells.usable.shape))
        parameters = np.linalg.matrix_rank(fit.gram, rtol=RANK, hermitian=True) + (seen.sum(-2) > 0).sum(-1)
        factor = clustered_factor(seen.any(-1).sum(-1), seen.sum((-2, -1)), parameters)
        return np.asarray((self.build(trial).weights * left[..., None, :, :]).sum(-1) * np.sqrt(factor)[..., None, None])

    def _named(self) -> str:
        against = "clusters not yet treated" if self.controls == "not_yet" else "never-treated clusters"
        return f"Extended two-way fixed effects with an effect for every group and time against {against}"


def _by_group_time(cells: TreatedCells) -> TreatedCells:
    """Every treated cell of a group and time that one cluster identifies: its effect is the group's, not the cluster's own."""
    treated = cells.usable | cells.lost
    known = looked_up((cells.size > 0).astype(float), cells.label) > 0
    usable = treated & known
    return cells._replace(usable=usable, lost=treated & ~known, size=counted(cells.label, usable, len(cells.pairs.group)))


def _members(cells: TreatedCells) -> Array:
    """Cells with an effect of their own ``(..., P, I, T)``: treated ones by `pairs`, then those before treatment that are no controls."""
    start, periods = cells.cohorts.start, cells.cohorts.periods
    rest = cells.cohorts.seen & (cells.untreated == 0)
    cell = np.where(rest, start[..., None] * periods + np.arange(periods), -1)
    before = [g * periods + t for g in cells.cohorts.dates for t in range(g - 1)] if _leads_apart(cells) else []
    wanted = np.append(cells.pairs.group * periods + cells.pairs.time, np.array(before, dtype=np.int64))
    return np.asarray(cell[..., None, :, :] == wanted[:, None, None], dtype=np.float64)


def _leads_apart(cells: TreatedCells) -> bool:
    """Whether some untreated cell is no control."""
    after = np.arange(cells.cohorts.periods) >= cells.cohorts.start[..., None]
    return bool((cells.cohorts.seen & ~after & (cells.untreated == 0)).any())


def _saturated(cells: TreatedCells) -> Saturated:
    seen = cells.cohorts.seen.astype(float)
    free = freed(_members(cells), seen[..., None, :, :])
    columns = free.reshape((*free.shape[:-2], -1))
    gram = columns @ columns.swapaxes(-1, -2)
    return Saturated(columns, gram, np.linalg.pinv(gram, rcond=RANK, hermitian=True))


def _with_leads(weights: Array, cells: TreatedCells, fit: Saturated) -> Array:
    """Weights of treated group-times, padded with 0 for the effects before treatment."""
    none = np.zeros((*weights.shape[:-1], fit.columns.shape[-2] - len(cells.pairs.group)))
    return np.concatenate([weights, none], -1)
