"""Estimates without one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, FitError
from swedge.estimate import Estimate, Estimator, LinearEstimator
from swedge.estimators.linearised import check_one, linearise, term_place
from swedge.inference.leave_out import another, refit, without
from swedge.inference.release import small
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class CellInfluence:
    """What each cell does to the estimate.

    Attributes
    ----------
    terms : tuple of str
    estimate, std_error : ndarray (K,)
        With all cells.
    without : ndarray (K, I, T)
        Without each cell; nan where there is no estimate, or no cell.
    hidden : ndarray (I, T) of bool
        Cells suppressed for release.
    method : str
        How it was found.
    """

    terms: tuple[str, ...]
    estimate: Array
    std_error: Array
    without: Array
    treatment: Array
    n: Array
    clusters: tuple[str, ...]
    periods: tuple[Any, ...]
    hidden: NDArray[np.bool_]
    method: str

    def __repr__(self) -> str:
        """One line: how many cells."""
        return f"<CellInfluence: {int((self.n > 0).sum())} cells, {self.method}>"

    @property
    def change(self) -> Array:
        """Estimate without the cell minus that with it, ``(K, I, T)``."""
        return np.asarray(np.where(self.hidden, np.nan, self.without - self.estimate[:, None, None]))

    def tidy(self) -> pd.DataFrame:
        """One row a term and cell with data: estimate_without, change, change_in_se; cells suppressed for release are blank."""
        index = pd.MultiIndex.from_product([self.terms, self.clusters, self.periods], names=["term", "cluster", "period"])
        shape, change = self.without.shape, self.change
        frame = index.to_frame(index=False).assign(
            treatment=np.broadcast_to(self.treatment, shape).ravel(),
            n=np.broadcast_to(np.where(self.hidden, np.nan, self.n), shape).ravel(),
            estimate_without=np.where(self.hidden, np.nan, self.without).ravel(),
            change=change.ravel(),
            change_in_se=(change / self.std_error[:, None, None]).ravel(),
        )
        return frame[np.broadcast_to(self.n > 0, shape).ravel()].reset_index(drop=True)

    def summary(self) -> str:
        """The most influential cell of each term."""
        table = self.tidy()
        return "\n".join(
            [f"Influence of {int((self.n > 0).sum())} cells, {self.method}", *(self._most(table, term) for term in self.terms)]
        )

    def _most(self, table: pd.DataFrame, term: str) -> str:
        rows = table[table["term"] == term]
        known = rows.dropna(subset=["change"])
        lost = len(rows) - len(known) - int(self.hidden.sum())
        none = f" Without {lost} of the cells, taken one by one, there is no estimate." if lost else ""
        if not len(known):
            return f"{term}:{none}"
        worst = known.iloc[int(known["change"].abs().to_numpy().argmax())]
        return (
            f"{term}: the cell of {worst['cluster']}, period {worst['period']}, matters most; without it the estimate moves by"
            f" {worst['change']:+.4g} ({worst['change_in_se']:+.2f} standard errors).{none}"
        )

    def plot(self, term: str | None = None, ax: Axes | None = None) -> Axes:
        """Change without each cell in standard errors, as a heat map.

        Raises
        ------
        FitError
            If there are several terms and none is named, or the name is unknown.
        """
        from swedge._present.heatmap import draw_weights

        k = term_place(self.terms, term)
        label = "Change without the cell, in standard errors"
        return draw_weights(self.change[k] / self.std_error[k], np.zeros(self.n.shape), self.clusters, self.periods, ax=ax, label=label)


def cell_influence(trial: Trial, estimator: Estimator, release: bool = False) -> CellInfluence:
    """The estimate without each cell in turn.

    A Gaussian regression leaves the cell's mean out and holds the variances of the whole trial; every other model is refitted without the
    cell.

    Parameters
    ----------
    trial : Trial
        One trial.
    estimator : Estimator
    release : bool
        Suppress cells with counts of 1 to 5 (individuals, events, or individuals without one).

    Raises
    ------
    DataError
        If this is no single trial, or a Gaussian model would have to be refitted without the scatter of a cell.
    FitError
        If the estimator fails with all cells.

    References
    ----------
    Belsley DA, Kuh E, Welsch RE (1980). Regression Diagnostics. Wiley.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> cell_influence(trial, sw.WithinPeriod()).without.shape
    (1, 5, 6)
    """
    check_one(trial, estimator)
    fit = estimator.fit(trial)
    estimate, error = np.atleast_1d(fit.estimate), np.atleast_1d(fit.std_error)
    held = _held(trial, estimator)
    if held is None:
        found, method = _each_refitted(trial, estimator, fit), "each by a refit"
    else:
        found, method = estimate[:, None, None] - held, "each with the variances of the whole trial"
    hidden = small(trial) if release else np.zeros(trial.n.shape, dtype=bool)
    return CellInfluence(fit.terms, estimate, error, found, trial.treatment, trial.n, trial.clusters, trial.periods, hidden, method)


def _held(trial: Trial, estimator: Estimator) -> Array | None:
    """What terms lose without each cell, ``(K, I, T)``, where that is known without a refit."""
    if trial.family != "gaussian" and not isinstance(estimator, LinearEstimator):
        return None
    try:
        fit = linearise(trial, estimator)
    except FitError:
        return None
    return None if np.isnan(fit.pull).all() else fit.without


def _each_refitted(trial: Trial, estimator: Estimator, whole: Estimate) -> Array:
    """Terms without each cell, ``(K, I, T)``; nan for a term that has gone or means something else."""
    scatter = trial.cells.within is not None and trial.cells.scatter is None
    if trial.family == "gaussian" and scatter and not isinstance(estimator, LinearEstimator):
        raise DataError(
            f"{estimator!r} cannot be refitted without a cell: the scatter inside single cells is not known. Use leave_one_cluster_out."
        )
    found = np.full((len(whole.terms), *trial.n.shape), np.nan)
    for i, t in np.argwhere(trial.n > 0):
        gone = np.zeros(trial.n.shape, dtype=bool)
        gone[i, t] = True
        part = without(trial, gone)
        fit = refit(part, estimator)
        if isinstance(fit, Estimate) and not another(whole, fit, trial, part):
            for term, value in zip(fit.terms, np.ravel(fit.estimate), strict=True):
                found[whole.terms.index(term), i, t] = value
    return found
