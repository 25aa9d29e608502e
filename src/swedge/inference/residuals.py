"""Cells beside what the model makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import FitError, nearest
from swedge.estimate import Estimator
from swedge.estimators.linearised import linearise
from swedge.inference.release import small
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# Standardised residuals beyond this are named: a normal one is, once in 370.
FAR = 3.0


@dataclass(frozen=True, eq=False, repr=False)
class CellResiduals:
    """Observed and fitted cell means of one trial.

    Attributes
    ----------
    observed, fitted, standardised : ndarray (I, T)
        nan where nothing was observed or a cell is suppressed for release; `standardised` also where the model fits a cell exactly.
    hidden : ndarray (I, T) of bool
        Cells suppressed for release.
    """

    observed: Array
    fitted: Array
    standardised: Array
    treatment: Array
    n: Array
    clusters: tuple[str, ...]
    periods: tuple[Any, ...]
    hidden: NDArray[np.bool_]
    estimator: str
    comparators: int = 0

    def __repr__(self) -> str:
        """One line: how many cells."""
        return f"<CellResiduals: {int((self.n > 0).sum())} cells, {self.estimator}>"

    def tidy(self) -> pd.DataFrame:
        """One row a cell with data: cluster, period, treatment, n, observed, fitted, residual, standardised."""
        index = pd.MultiIndex.from_product([self.clusters, self.periods], names=["cluster", "period"])
        tables = {
            "treatment": self.treatment,
            "n": np.where(self.hidden, np.nan, self.n),
            "observed": self.observed,
            "fitted": self.fitted,
            "residual": self.observed - self.fitted,
            "standardised": self.standardised,
        }
        frame = index.to_frame(index=False).assign(**{name: table.ravel() for name, table in tables.items()})
        return frame[self.n.ravel() > 0].reset_index(drop=True)

    def summary(self) -> str:
        """Spread of the standardised residuals, and the cells far out."""
        table = self.tidy().dropna(subset=["standardised"])
        lines = [f"{self.estimator}: residuals of {len(table)} cells, standardised ones with a root mean square of {self._spread():.2f}."]
        far = table[table["standardised"].abs() > FAR].sort_values("standardised", key=abs, ascending=False)
        lines += [f"{r.cluster}, period {r.period}: {r.standardised:+.1f} standard errors from its fit." for r in far[:3].itertuples()]
        if self.hidden.any():
            lines.append(f"{int((self.hidden & (self.n > 0)).sum())} cells with counts of 1 to 5 are suppressed.")
        return "\n".join(lines)

    def _spread(self) -> float:
        known = self.standardised[np.isfinite(self.standardised)]
        return float(np.sqrt((known**2).mean())) if known.size else np.nan

    def plot(self, ax: Axes | None = None) -> Axes:
        """Standardised residuals against normal quantiles."""
        from swedge._present.residuals import draw_quantiles

        return draw_quantiles(self.standardised[np.isfinite(self.standardised)], ax=ax)

    def plot_by(self, by: str = "period", ax: Axes | None = None) -> Axes:
        """Standardised residuals of each period, or cluster.

        Raises
        ------
        FitError
            If `by` is neither "period" nor "cluster".
        """
        from swedge._present.residuals import draw_groups

        if by not in ("period", "cluster"):
            raise FitError(f"by={by!r}; expected 'period' or 'cluster'.{nearest(by, ('period', 'cluster'))}")
        rows, names = (self.standardised, self.clusters) if by == "cluster" else (self.standardised.T, self.periods)
        arm = np.nan_to_num(self.treatment)
        return draw_groups(rows, arm if by == "cluster" else arm.T, [str(name) for name in names], by.capitalize(), ax=ax)

    def plot_trajectories(self, ax: Axes | None = None) -> Axes:
        """Observed cell means as markers, filled where treated, and fitted ones as lines."""
        from swedge._present.residuals import draw_fitted

        arm = np.nan_to_num(self.treatment)
        return draw_fitted(self.observed, self.fitted, arm, self.clusters, self.periods, ax=ax, comparators=self.comparators)


def cell_residuals(trial: Trial, estimator: Estimator, release: bool = False) -> CellResiduals:
    """Observed cell means beside those fitted.

    Parameters
    ----------
    trial : Trial
        One trial.
    estimator : FixedEffects, MixedModel, WithinPeriod or TwoWayFixedEffects
        A mixed model's fitted means hold the predicted effects of the cluster: its level, and its own treatment effect if it has one.
    release : bool
        Suppress cells with counts of 1 to 5 (individuals, events, or individuals without one).

    Raises
    ------
    DataError, FitError
        If this is no single trial, the fit fails, or the estimator gives no fitted cell means.

    Notes
    -----
    A standardised residual is the cell's mean minus its prediction from all other cells, over the standard error of that difference: at the
    estimated variances in a mixed model, by the mean square of the cells' own residuals in the others, so that noise between periods that a
    binomial variance does not know shows in no cell alone.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> len(cell_residuals(trial, sw.FixedEffects()).tidy())
    30
    """
    fit = linearise(trial, estimator)
    if np.isnan(fit.fitted).all():
        raise FitError(f"{type(estimator).__name__} is a comparison of cells, and fits none of them. Use TwoWayFixedEffects or MixedModel.")
    hidden = small(trial) if release else np.zeros(trial.n.shape, dtype=bool)
    kept = (trial.n > 0) & ~hidden
    observed, fitted, standardised = (np.where(kept, table, np.nan) for table in (trial.outcome, fit.fitted, fit.standardised))
    return CellResiduals(
        observed,
        fitted,
        standardised,
        trial.treatment,
        trial.n,
        trial.clusters,
        trial.periods,
        hidden,
        type(estimator).__name__,
        trial.comparators,
    )
