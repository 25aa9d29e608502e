"""What to look at before an estimate is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import SwedgeError, listing
from swedge.estimate import Estimate, Estimator
from swedge.estimators.linearised import check_one
from swedge.inference.influence import CellInfluence, cell_influence
from swedge.inference.leave_out import LeaveOneOut, leave_one_cluster_out
from swedge.inference.residuals import CellResiduals, cell_residuals
from swedge.trial import Trial

Part = TypeVar("Part")

# A random effect whose variance is below this share of the sampling variance of an average cell's mean is as good as absent.
NEAR_ZERO = 0.01
Row = tuple[str, str, str, float]
RANDOM = ("cluster", "cluster_period", "treatment", "individual")


@dataclass(frozen=True, eq=False, repr=False)
class Diagnostics:
    """Diagnostics of one estimator on one trial; a part that does not exist for it is None, and `notes` say why.

    Attributes
    ----------
    fit : Estimate
    left_out : LeaveOneOut or None
        Refits without each cluster.
    influence : CellInfluence or None
        The estimate without each cell.
    residuals : CellResiduals or None
    components : DataFrame
        Of a mixed model: component, variance, near_zero.
    notes : tuple of str
    """

    fit: Estimate
    left_out: LeaveOneOut | None
    influence: CellInfluence | None
    residuals: CellResiduals | None
    components: pd.DataFrame
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """One line: what was looked at."""
        return f"<Diagnostics: {self.fit.estimator}, {len(self._parts())} parts>"

    def _parts(self) -> list[LeaveOneOut | CellInfluence | CellResiduals]:
        return [part for part in (self.left_out, self.influence, self.residuals) if part is not None]

    def tidy(self) -> pd.DataFrame:
        """One row a check: check, term, where, value: the largest of each kind."""
        low = self.components[self.components["near_zero"]].to_dict("records")
        rows = [*self._clusters(), *self._cells(), *self._residuals()]
        rows += [("variance near zero", "", row["component"], row["variance"]) for row in low]
        return pd.DataFrame(rows, columns=["check", "term", "where", "value"])

    def _clusters(self) -> list[Row]:
        if self.left_out is None:
            return []
        worst = _largest(self.left_out.tidy(), "change_in_se")
        rows = [("change without a cluster, in SE", row["term"], row["left_out"], row["change_in_se"]) for row in worst]
        return [*rows, *(("no estimate without", "", name, np.nan) for name in self.left_out.failures)]

    def _cells(self) -> list[Row]:
        if self.influence is None:
            return []
        worst = _largest(self.influence.tidy(), "change_in_se")
        return [("change without a cell, in SE", row["term"], _cell(row), row["change_in_se"]) for row in worst]

    def _residuals(self) -> list[Row]:
        if self.residuals is None:
            return []
        worst = _largest(self.residuals.tidy().assign(term=""), "standardised")
        return [("standardised residual", "", _cell(row), row["standardised"]) for row in worst]

    def summary(self) -> str:
        """Every part in words."""
        low = self.components.loc[self.components["near_zero"], "component"].tolist()
        lines = [part.summary() for part in self._parts()]
        if low:
            lines.append(f"Variances near zero: {listing(low)}. With few clusters this does not show that they are zero.")
        return "\n\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def plot(self) -> NDArray[np.object_]:
        """All parts in one figure: a (2, 2) array of Axes with trajectories, estimates without each cluster, influence and residuals."""
        import matplotlib.pyplot as plt

        axes = plt.subplots(2, 2, figsize=(15, 10), layout="constrained")[1]
        term = self.fit.terms[0]
        if self.residuals is not None:
            self.residuals.plot_trajectories(ax=axes[0, 0])
            self.residuals.plot(ax=axes[1, 1])
        if self.left_out is not None:
            self.left_out.plot(term, ax=axes[0, 1])
        if self.influence is not None:
            self.influence.plot(term, ax=axes[1, 0])
        for ax in axes.flat:
            ax.set_visible(ax.has_data() or bool(ax.texts))
        return np.asarray(axes)


def _largest(table: pd.DataFrame, column: str) -> list[dict[Any, Any]]:
    """The row of each term in which a column is farthest from 0."""
    known = table.dropna(subset=[column]).sort_values(column, key=abs, kind="stable", ascending=False)
    return known.drop_duplicates("term").sort_index().to_dict("records")


def _cell(row: dict[Any, Any]) -> str:
    return f"{row['cluster']}, period {row['period']}"


def diagnose(trial: Trial, estimator: Estimator, release: bool = False) -> Diagnostics:
    """Refits without each cluster, influence of each cell, residuals, and variances near zero.

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
        If this is no single trial.
    FitError
        If the estimator fails on the whole trial. A part that the estimator does not have is left out with a note.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> diagnose(trial, sw.TwoWayFixedEffects()).tidy()["check"].tolist()
    ['change without a cluster, in SE', 'change without a cell, in SE', 'standardised residual']
    """
    check_one(trial, estimator)
    fit, notes = estimator.fit(trial), list[str]()
    left_out = _part(lambda: leave_one_cluster_out(trial, estimator), notes)
    influence = _part(lambda: cell_influence(trial, estimator, release), notes)
    residuals = _part(lambda: cell_residuals(trial, estimator, release), notes)
    return Diagnostics(fit, left_out, influence, residuals, components(trial, fit), tuple(notes))


def _part(make: Callable[[], Part], notes: list[str]) -> Part | None:
    """A part of the diagnostics, or a note why it does not exist."""
    try:
        return make()
    except SwedgeError as error:
        notes.append(str(error))
        return None


def components(trial: Trial, fit: Estimate) -> pd.DataFrame:
    """Variances of a mixed model's random effects, and which are near zero beside the sampling variance of an average cell's mean."""
    found = {name: float(value) for name, value in fit.details.get("variances", {}).items() if name in ("residual", *RANDOM)}
    seen = trial.n > 0
    noise = found.get("residual", 0.0) * (1 / trial.n[seen]).mean()
    near = [name in RANDOM and value < max(NEAR_ZERO * noise, 1e-8) for name, value in found.items()]
    return pd.DataFrame({"component": list(found), "variance": list(found.values()), "near_zero": np.array(near, dtype=bool)})
