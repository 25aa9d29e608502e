"""A trial: cells under an exposure. One trial or a stack of them, broadcast over leading axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.families import FamilyMaths
from swedge.assumptions import family_named
from swedge.design import Allocation, Design
from swedge.errors import DataError
from swedge.trial.cells import Cells, Patterns

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Trial:
    """What was observed, and under which exposure.

    Make one with `from_frame` (rows), `from_cells` (a cluster x period table) or `from_panel` (an observational panel); `under` gives the
    same observations under other allocations, which is how randomisation tests and power stack trials.

    Attributes
    ----------
    cells : Cells
    treatment : ndarray (..., I, T)
        1 treated, 0 control, a fraction between; nan where the design leaves the cell out.
    exposure : ndarray (..., I, T) of int
        Periods since crossover, 0 under control.
    family : str
    clusters : tuple of str
        The allocated clusters, then the never-treated comparators.
    allocation : Allocation or None
        The allocation carried out, of a single trial.
    design : Design or None
        What the allocation was drawn from; None for an observational panel.
    comparators : int
        How many of the last clusters are never-treated comparators outside the design.
    periods : tuple
        Labels of the periods.
    patterns : Patterns or None
    covariates : tuple of str
        Names of the individual covariates' columns.
    offset : ndarray or None
        Known part of the linear predictor, ``(..., I, T)``.
    dropped : int
        Rows left out because the outcome or a covariate was missing.
    notes : tuple of str
        What a reader of a result has to know about these data.
    cluster_covariates : DataFrame or None
        One row a cluster, in the order of `clusters`; see `with_cluster_covariates`.
    """

    cells: Cells
    treatment: Array
    exposure: NDArray[np.int64]
    family: str
    clusters: tuple[str, ...]
    allocation: Allocation | None = None
    comparators: int = 0
    periods: tuple[Any, ...] = ()
    patterns: Patterns | None = None
    covariates: tuple[str, ...] = ()
    offset: Array | None = None
    dropped: int = 0
    notes: tuple[str, ...] = ()
    design: Design | None = None
    cluster_covariates: pd.DataFrame | None = None

    @classmethod
    def from_frame(
        cls,
        df: pd.DataFrame,
        allocation: Allocation,
        *,
        cluster: str,
        outcome: str,
        period: str | None = None,
        date: str | None = None,
        family: str = "gaussian",
        covariates: str | None = None,
        size: str | None = None,
        treatment: str | None = None,
        individual: str | None = None,
        comparators: Sequence[str] = (),
        missing: str = "raise",
        empty: str = "raise",
    ) -> Trial:
        """A trial from one row an individual (or one row a group of `size` individuals).

        Parameters
        ----------
        df : DataFrame
        allocation : Allocation
            The allocation that was carried out.
        cluster, outcome : str
            Columns. Cluster names must be those of the design, or of `comparators`.
        period, date : str
            Exactly one of them: a column of period numbers counted from 1, or of dates, which dated designs sort into periods.
        family : {"gaussian", "binomial", "poisson", "fractional"}
            "fractional" is for shares from 0 to 1 of each individual, such as sessions missed: a mean on the logit link and no likelihood
            (Papke and Wooldridge 1996).
        covariates : str, optional
            Individual covariates: column names, ``C(name)``, joined by ``+``, ``:`` and ``*``. Nothing else is allowed, and nothing is
            evaluated. A text column is a category; the first level, in the order of the values, is the reference.
        size : str, optional
            Column of counts, for rows that stand for several individuals. The outcome is then their mean (gaussian and fractional: the
            scatter of individuals inside cells is then not known) or their number of events (binomial, poisson).
        treatment : str, optional
            A recorded treatment, checked against the allocation.
        individual : str, optional
            Column that tells the individuals of a cluster apart, where the same ones are measured in every period (a closed cohort).
            Without it, rows are taken as cross-sections. Gaussian outcomes only.
        comparators : sequence of str
            Names of never-treated clusters outside the design.
        missing : {"raise", "drop"}
            What to do with rows whose outcome or covariate is missing. Dropped rows are counted in `dropped`.
        empty : {"raise", "keep"}
            What to do when a cell that the design observes has no rows.

        Raises
        ------
        DataError
            If the data contradict the design, or hold something the family cannot.
        """
        from swedge.trial.frame import read_frame

        columns = {"cluster": cluster, "outcome": outcome, "period": period, "date": date, "size": size, "treatment": treatment}
        columns["individual"] = individual
        return read_frame(df, allocation, columns, family, covariates, comparators, missing, empty)

    @classmethod
    def from_cells(
        cls,
        n: ArrayLike,
        mean: ArrayLike,
        allocation: Allocation,
        *,
        within: ArrayLike | None = None,
        family: str = "gaussian",
        covariates: Sequence[str] = (),
        comparators: Sequence[str] = (),
    ) -> Trial:
        """A trial, or a stack, from cluster x period tables.

        Parameters
        ----------
        n : array_like (..., I, T)
            Counts; 0 for a cell without data. A DataFrame is put in the design's order by its labels: clusters, and periods from 1.
        mean : array_like (..., I, T) or (..., I, T, Q)
            Outcome means (risks, rates), then means of individual covariates. A DataFrame as for `n`.
        within : array_like (Q, Q) or (..., C, Q, Q), optional
            Scatter within cells; see `Cells`. A number serves for Q = 1.
        covariates : sequence of str
            Names of the individual covariates whose means follow the outcome's; left out, they are numbered. Gaussian outcomes only.
        comparators : sequence of str
            Names of the last rows, when these are never-treated clusters outside the design.

        Raises
        ------
        DataError
            If shapes or labels do not fit the allocation, or numbers cannot be counts, means or scatter.

        Examples
        --------
        >>> import swedge as sw
        >>> allocation = sw.Design.stepped_wedge(clusters=3, periods=4).randomise(seed=1)
        >>> trial = sw.Trial.from_cells(np.full((3, 4), 50), np.full((3, 4), 0.1), allocation, family="binomial")
        >>> trial.n.sum()
        np.float64(600.0)
        """
        from swedge.trial.tables import read_cells

        return read_cells(n, mean, allocation, within, family, covariates, comparators)

    @classmethod
    def from_panel(
        cls,
        df: pd.DataFrame,
        *,
        cluster: str,
        period: str,
        outcome: str,
        first_treated: str,
        size: str | None = None,
        family: str = "gaussian",
    ) -> Trial:
        """An observational panel with one row a cluster and period; no design stands behind it.

        Parameters
        ----------
        period : str
            Column of period numbers, such as years. Periods that no cluster has are not counted.
        outcome : str
            Column of cell means (risks for binomial, rates for poisson, shares for fractional). A missing one leaves its cell out, and is
            counted in a note.
        first_treated : str
            Column with the first treated period of the row's cluster; 0, nan and infinity mean never.
        size : str, optional
            Column of weights (counts). Left out, every cell weighs the same.

        Raises
        ------
        DataError
            If a cluster-period has two rows, a cluster two starting periods, or a column what it should not hold.
        """
        from swedge.trial.panel import read_panel

        return read_panel(df, cluster, period, outcome, first_treated, size, family)

    def __repr__(self) -> str:
        """One line: how many trials, clusters and periods, and of what family."""
        many = f"{int(np.prod(self.shape))} trials of " if self.shape else ""
        beside = f" ({self.comparators} never treated)" if self.comparators else ""
        people = "" if self.shape else f", n = {float(self.n.sum()):,.0f}"
        dropped = f", {self.dropped:,} dropped" if self.dropped else ""
        return f"<Trial: {many}{len(self.clusters)} clusters{beside} x {self.n.shape[-1]} periods, {self.family}{people}{dropped}>"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Leading shape: ``()`` for one trial."""
        offset = () if self.offset is None else self.offset.shape[:-2]
        slots = () if self.patterns is None else self.patterns.mean.shape[:-2]
        return np.broadcast_shapes(self.cells.lead, self.treatment.shape[:-2], offset, slots)

    @cached_property
    def n(self) -> Array:
        """Counts ``(..., I, T)``, 0 where the design leaves the cell out."""
        return np.where(np.isnan(self.treatment), 0.0, self.cells.n)

    @cached_property
    def arm(self) -> Array:
        """Treatment ``(..., I, T)`` with 0 for cells that are left out."""
        return np.nan_to_num(self.treatment, nan=0.0)

    @property
    def outcome(self) -> Array:
        """Outcome means ``(..., I, T)``."""
        return self.cells.outcome

    @property
    def _shown(self) -> Array:
        return np.where(self.n > 0, self.outcome, np.nan)

    @property
    def maths(self) -> FamilyMaths:
        """The family's functions."""
        return family_named(self.family)

    def under(self, treatment: Array, exposure: NDArray[np.int64]) -> Trial:
        """The same observations under other exposures ``(..., I, T)``; a stack, if these are.

        Raises
        ------
        DataError
            If the last two axes are not clusters and periods.
        """
        expected = self.cells.n.shape[-2:]
        if treatment.shape[-2:] != expected or exposure.shape[-2:] != expected:
            raise DataError(
                f"Treatment has shape {treatment.shape}, exposure {exposure.shape}; expected (..., {expected[0]}, {expected[1]})."
            )
        return replace(self, cells=self.cells.seen(treatment), treatment=treatment, exposure=exposure)

    def reallocated(self, sequences: NDArray[np.int64]) -> Trial:
        """The same observations under allocations ``sequences (..., I)``; comparators stay untreated.

        Raises
        ------
        DataError
            If no design stands behind the trial.
        """
        if self.design is None:
            raise DataError("This is an observational panel: no design says which other allocations were possible. Use PlaceboTest.")
        return self.under(*_with_comparators(self.design.treatment_of(sequences), self.design.exposure_of(sequences), self.comparators))

    def without(self, effect: ArrayLike, scale: str = "identity") -> Trial:
        """The trial with a constant effect taken out: means shifted (identity), or an offset added on a link scale.

        `effect` broadcasts against the leading shape.
        """
        shift = np.asarray(effect, dtype=float)[..., None, None] * self.arm
        if scale != "identity":
            return replace(self, offset=shift if self.offset is None else self.offset + shift)
        moved = np.broadcast_to(
            self.cells.mean, (*np.broadcast_shapes(self.cells.mean.shape[:-1], shift.shape), self.cells.mean.shape[-1])
        ).copy()
        moved[..., 0] -= shift
        patterns = self.patterns and replace(self.patterns, mean=self.patterns.mean - self.patterns.spread(shift))
        return replace(self, cells=replace(self.cells, mean=moved), patterns=patterns)

    def replicate(self, which: int | slice | NDArray[np.int64]) -> Trial:
        """Part of a stack with one leading axis: one trial, or a smaller stack.

        Raises
        ------
        DataError
            If this is no such stack, or it holds no trial of that number.
        """
        count = _stacked(self, which)

        def part(whole: Any, **tails: int) -> Any:
            return whole and replace(whole, **{name: _pick(getattr(whole, name), which, tail, count) for name, tail in tails.items()})

        own: Trial = part(self, treatment=2, exposure=2, offset=2)
        return replace(own, cells=part(self.cells, n=2, mean=3, within=3), patterns=part(self.patterns, n=2, mean=2))

    def with_cluster_covariates(self, frame: pd.DataFrame) -> Trial:
        """The trial with what is known of each cluster: one row a cluster, indexed by name; rows of other clusters are left out.

        Raises
        ------
        DataError
            If a cluster has no row or several, or a value is missing.
        """
        from swedge.trial.cluster_table import read_cluster_table

        return replace(self, cluster_covariates=read_cluster_table(self.clusters, frame))

    def cluster_column(self, name: str) -> NDArray[Any]:
        """A column ``(I,)`` of the cluster covariates.

        Raises
        ------
        DataError
            If the trial has no such column.
        """
        from swedge.trial.cluster_table import column_of

        return column_of(self.cluster_covariates, name)

    def tidy(self) -> pd.DataFrame:
        """One row a cell of a single trial: cluster, period, treatment, exposure, n, and outcome, nan where n = 0."""
        _single(self)
        grid = pd.MultiIndex.from_product([self.clusters, self.periods], names=["cluster", "period"]).to_frame(index=False)
        tables = {"treatment": self.treatment, "exposure": self.exposure, "n": self.n, "outcome": self._shown}
        return grid.assign(**{name: table.ravel() for name, table in tables.items()})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Outcome of each cluster over the periods, filled where treated."""
        from swedge._present.trajectories import draw_trajectories

        _single(self)
        return draw_trajectories(self._shown, self.arm, self.clusters, self.periods, ax=ax, comparators=self.comparators)


def exposed(allocation: Allocation, comparators: int) -> tuple[Array, NDArray[np.int64]]:
    """Treatment and exposure ``(I, T)`` of an allocation, with rows of control for comparators."""
    return _with_comparators(allocation.treatment, allocation.exposure, comparators)


def _with_comparators(treatment: Array, exposure: NDArray[np.int64], comparators: int) -> tuple[Array, NDArray[np.int64]]:
    if not comparators:
        return treatment, exposure
    rows = (*treatment.shape[:-2], comparators, treatment.shape[-1])
    return np.concatenate([treatment, np.zeros(rows)], -2), np.concatenate([exposure, np.zeros(rows, dtype=exposure.dtype)], -2)


def _single(trial: Trial) -> None:
    if trial.shape:
        raise DataError(f"This is a stack of trials of shape {trial.shape}; take one with trial.replicate(0).")


def _pick(array: NDArray[Any] | None, which: Any, tail: int, count: int) -> NDArray[Any] | None:
    """Part of an array with `tail` axes of its own; one that serves all `count` trials is shared."""
    if array is None or array.ndim == tail:
        return array
    alone = 0 if isinstance(which, int | np.integer) else slice(None)
    return array[which if array.shape[0] == count else alone]


def _stacked(trial: Trial, which: object) -> int:
    if len(trial.shape) != 1:
        raise DataError(f"replicate takes part of a stack with one leading axis; this trial has shape {trial.shape}.")
    count = trial.shape[0]
    if isinstance(which, int | np.integer) and not -count <= which < count:
        raise DataError(f"replicate({which}) of a stack of {count} trials; they are numbered 0 to {count - 1}.")
    return count
