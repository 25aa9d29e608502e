"""Outcomes that treated cells would have had, imputed from the untreated ones by two-way effects: what is over is the effect."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import inverse_factor
from swedge._kernels.two_way import freed, two_way
from swedge.errors import FitError, listing
from swedge.estimators.choices import check_periods
from swedge.estimators.difference import CellEffects, DifferenceInDifferences, about_centre
from swedge.estimators.treated_cells import (
    TreatedCells,
    about_means,
    averaged,
    check_aggregate,
    clustered_factor,
    looked_up,
    notes_on,
    treated_cells,
)
from swedge.trial import Trial

Array = NDArray[np.float64]


class Leads(NamedTuple):
    """Effects before treatment: weights ``(..., L, I, T)`` of untreated cells, and which cells stand in each event time."""

    weights: Array
    member: Array


@dataclass(frozen=True)
class Imputed(DifferenceInDifferences):
    """Averages of observed less imputed outcomes; an estimator says what its variance and its effects before treatment are."""

    aggregate: str | None = "simple"
    leads: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_aggregate(self.aggregate)
        check_periods("leads", self.leads, least=0)
        if self.leads and self.aggregate != "dynamic":
            raise FitError(f"leads={self.leads} are effects by event time. Use aggregate='dynamic', not {self.aggregate!r}.")

    @abstractmethod
    def _leads(self, cells: TreatedCells) -> Leads:
        """Effects before treatment, from the earliest event time to the last."""

    @abstractmethod
    def _centred(self, cells: TreatedCells, excess: Array) -> Array:
        """Treated cells' excess over imputed outcomes about what it is expected to be; untreated ones' as it is."""

    @abstractmethod
    def _lead_influence(self, leads: Leads, excess: Array, cells: TreatedCells) -> Array:
        """What each cluster adds to the error of effects before treatment, ``(..., L, I)``."""

    def build(self, trial: Trial) -> CellEffects:
        """Effects and the weights of cells in them."""
        cells = self._cells(trial)
        found = averaged(cells, trial, self.aggregate)
        weights = freed(found.weights, cells.untreated[..., None, :, :])
        if not self.leads:
            return CellEffects(found.terms, weights, found.estimand, notes_on(trial, cells))
        before = tuple(f"event {-e}" for e in range(self.leads, 0, -1))
        parts = (weights[..., :1, :, :], self._leads(cells).weights, weights[..., 1:, :, :])
        return CellEffects((found.terms[0], *before, *found.terms[1:]), _joined(parts), found.estimand, notes_on(trial, cells))

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to each term's error, ``(..., K, I)``."""
        cells = self._cells(trial)
        excess = _excess(trial, cells)
        weights = freed(averaged(cells, trial, self.aggregate).weights, cells.untreated[..., None, :, :])
        parts = (weights * self._centred(cells, excess)[..., None, :, :]).sum(-1)
        if not self.leads:
            return np.asarray(parts)
        return _joined((parts[..., :1, :], self._lead_influence(self._leads(cells), excess, cells), parts[..., 1:, :]), -2)

    def _cells(self, trial: Trial) -> TreatedCells:
        return treated_cells(trial)

    def _members(self, cells: TreatedCells) -> Array:
        """Untreated cells by event time, ``(..., L, I, T)``."""
        event = np.arange(cells.cohorts.periods) - cells.cohorts.start[..., None]
        wanted = np.arange(-self.leads, 0)[:, None, None]
        waiting = cells.untreated * ~cells.cohorts.never[..., None]
        return np.asarray((event[..., None, :, :] == wanted) * waiting[..., None, :, :])


def _excess(trial: Trial, cells: TreatedCells) -> Array:
    """Observed less imputed outcomes ``(..., I, T)``; in untreated cells residuals."""
    y = about_centre(trial)
    return np.asarray(np.where(cells.cohorts.seen, y - two_way(y * cells.untreated, cells.untreated).everywhere, 0.0))


def _joined(parts: tuple[Array, ...], axis: int = -3) -> Array:
    """Terms one after the other, leading axes broadcast."""
    lead = np.broadcast_shapes(*(part.shape[:axis] for part in parts))
    return np.concatenate([np.broadcast_to(part, (*lead, *part.shape[axis:])) for part in parts], axis)


@dataclass(frozen=True)
class Imputation(Imputed):
    """Imputation of what treated cells would have been, by effects of clusters and periods fitted to untreated cells alone.

    Parameters
    ----------
    aggregate : {"simple", "dynamic", "group", "calendar"} or None
        Which average of treated cells: all of them, or by periods since treatment, first treated period or calendar period, the overall
        effect first; None keeps each group and time.
    leads : int
        With "dynamic": how many periods before treatment get an effect too, from a regression of untreated cells on effects of clusters,
        periods and these event times. They test parallel trends, and leave the effects after treatment as they are.
    leave_one_out : bool
        With ``vcov="influence"``: a treated cell is compared with the mean effect of the other clusters of its group, which needs at
        least two in each.
    vcov : {"CR2", "CR0", "CR1", "CR3", "influence"}
        "influence" is the conservative variance of the paper: treated cells about the mean effect of their group and period, untreated
        ones about their fit. With one cluster a group the treated cells add nothing to it.
    df : {"satterthwaite", "clusters", "normal"}

    Notes
    -----
    Cells weigh alike. Treated cells whose outcome cannot be imputed, because their cluster has no untreated period or their period no
    untreated cluster, are left out, and a note says so. A cluster with one untreated period is enough.

    References
    ----------
    Borusyak K, Jaravel X, Spiess J (2024). Revisiting event-study designs: robust and efficient estimation. Review of Economic Studies 91,
    3253-3285.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.imputation import Imputation
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(Imputation().point(trial))
    3.0
    """

    leave_one_out: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.leave_one_out and self.vcov != "influence":
            raise FitError(f"leave_one_out=True belongs to vcov='influence', and vcov is {self.vcov!r}.")

    def _cells(self, trial: Trial) -> TreatedCells:
        cells = treated_cells(trial)
        if self.leave_one_out and not trial.shape and (cells.size == 1).any():
            alone = [f"{trial.periods[g]}" for g in np.unique(cells.pairs.group[cells.size == 1])]
            raise FitError(
                f"leave_one_out=True compares a treated cell with others of its group and period, and {listing(alone)} ({len(alone)} first"
                " treated periods) have cells with none. Use leave_one_out=False, or vcov='CR2'."
            )
        return cells

    def _leads(self, cells: TreatedCells) -> Leads:
        member = self._members(cells)
        free = freed(member, cells.untreated[..., None, :, :])
        flat = free.reshape((*free.shape[:-2], -1))
        root, definite = inverse_factor(flat @ flat.swapaxes(-1, -2))
        weights = (root.swapaxes(-1, -2) @ root @ flat).reshape(free.shape)
        return Leads(np.where(definite[..., None, None, None], weights, np.nan), member)

    def _centred(self, cells: TreatedCells, excess: Array) -> Array:
        about = about_means(cells, excess, None)
        return about * _without_itself(cells) if self.leave_one_out else about

    def _lead_influence(self, leads: Leads, excess: Array, cells: TreatedCells) -> Array:
        fitted = (leads.weights * excess[..., None, :, :]).sum((-2, -1))
        left = freed((excess - (fitted[..., None, None] * leads.member).sum(-3)) * cells.untreated, cells.untreated)
        return np.asarray((leads.weights * left[..., None, :, :]).sum(-1) * _regression_factor(cells, self.leads)[..., None, None])

    def _named(self) -> str:
        return "Imputation of untreated outcomes by cluster and period effects"


def _without_itself(cells: TreatedCells) -> Array:
    """What turns a distance from the mean of a group and period into one from the mean of its other cells; nan in a group of one."""
    size = np.where(cells.size == 1, np.nan, cells.size)
    return np.where(cells.usable, looked_up(size / np.maximum(size - 1.0, 1.0), cells.label), 1.0)


def _regression_factor(cells: TreatedCells, leads: int) -> Array:
    """Square root of the small-sample factor of the untreated cells' regression, ``(...)``; a cluster's only cell does not count."""
    each = cells.untreated.sum(-1)
    informing = each > 1
    parameters = leads + (cells.untreated.sum(-2) > 0).sum(-1)
    return np.sqrt(clustered_factor(informing.sum(-1), (each * informing).sum(-1), parameters))
