"""The two-stage regression: untreated cells give the effects of clusters and periods, what is over is regressed on treatment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.two_way import freed
from swedge.estimators.imputation import Imputed, Leads
from swedge.estimators.treated_cells import TreatedCells, about_means

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TwoStage(Imputed):
    """Two-stage difference-in-differences: the estimates of `Imputation`, with the variance of a two-step regression.

    Parameters
    ----------
    aggregate : {"simple", "dynamic", "group", "calendar"} or None
        What the second stage regresses on: one treatment, or periods since treatment, first treated periods or calendar periods.
    leads : int
        With "dynamic": how many periods before treatment the second stage has too. They are mean residuals of cells that the first stage
        was fitted to, and so are nearer to 0 than a difference of trends is; `Imputation` tests these.
    vcov : {"CR2", "CR0", "CR1", "CR3", "influence"}
        "influence" is the variance of two-step moments, clustered: treated cells about their term's own mean, the error of the first
        stage carried over.
    df : {"satterthwaite", "clusters", "normal"}

    References
    ----------
    Gardner J (2022). Two-stage differences in differences. arXiv 2207.05943.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.two_stage import TwoStage
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(TwoStage().point(trial))
    3.0
    """

    def _leads(self, cells: TreatedCells) -> Leads:
        member = self._members(cells)
        size = member.sum((-2, -1), keepdims=True)
        share = np.where(size > 0, member / np.maximum(size, 1.0), np.nan)
        return Leads(freed(share, cells.untreated[..., None, :, :]), share)

    def _centred(self, cells: TreatedCells, excess: Array) -> Array:
        return about_means(cells, excess, self.aggregate)

    def _lead_influence(self, leads: Leads, excess: Array, cells: TreatedCells) -> Array:
        fitted = (leads.weights * excess[..., None, :, :]).sum((-2, -1))
        each = (leads.weights * excess[..., None, :, :]).sum(-1)
        return np.asarray(each - fitted[..., None] * leads.member.sum(-1))

    def _named(self) -> str:
        return "Two-stage regression on cluster and period effects of untreated cells"
