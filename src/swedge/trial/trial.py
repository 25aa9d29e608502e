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


@dataclass(frozen=True, eq=False)
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
        family : {"gaussian", "binomial", "poisson"}
        covariates : str, optional
            Individual covariates: column names, ``C(name)``, joined by ``+``, ``:`` and ``*``. Nothing else is allowed, and nothing is
            evaluated.
        size : str, optional
            Column of counts, for rows that stand for several individuals. The outcome is then their mean (gaussian) or their number of
            events (binomial, poisson).
        treatment : str, optional
            A recorded treatment, checked against the allocation.
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
        return read_frame(df, allocation, columns, family, covariates, tuple(comparators), missing, empty)

    @classmethod
    def from_cells(
        cls,
        n: ArrayLike,
        mean: ArrayLike,
        allocation: Allocation,
        *,
        within: ArrayLike | None = None,
        family: str = "gaussian",
        comparators: Sequence[str] = (),
    ) -> Trial:
        """A trial, or a stack, from cluster x period tables.

        Parameters
        ----------
        n : array_like (..., I, T)
            Counts; 0 for a cell without data.
        mean : array_like (..., I, T) or (..., I, T, Q)
            Outcome means (risks, rates), then means of individual covariates.
        within : array_like (Q, Q) or (..., C, Q, Q), optional
            Scatter within cells; see `Cells`. A number serves for Q = 1.
        comparators : sequence of str
            Names of the last rows, when these are never-treated clusters outside the design.

        Examples
        --------
        >>> import swedge as sw
        >>> allocation = sw.Design.stepped_wedge(clusters=3, periods=4).randomise(seed=1)
        >>> trial = sw.Trial.from_cells(np.full((3, 4), 50), np.full((3, 4), 0.1), allocation, family="binomial")
        >>> trial.n.sum()
        np.float64(600.0)
        """
        from swedge.trial.frame import check_cells

        counts, means = np.asarray(n, dtype=float), np.asarray(mean, dtype=float)
        means = means[..., None] if means.shape[-2:] == counts.shape[-2:] else means
        cells = Cells(counts, means, _scatter(within, means.shape[-1]))
        treatment, exposure = exposed(allocation, len(comparators))
        trial = cls(
            cells,
            treatment,
            exposure,
            family_named(family).name,
            (*allocation.design.clusters, *map(str, comparators)),
            allocation,
            len(comparators),
            tuple(range(1, counts.shape[-1] + 1)),
            design=allocation.design,
        )
        return check_cells(trial)

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
        first_treated : str
            Column with the first treated period of the row's cluster; 0, nan and infinity mean never.
        size : str, optional
            Column of weights (counts). Left out, every cell weighs the same.

        Raises
        ------
        DataError
            If a cluster-period has two rows, or a cluster two starting periods.
        """
        from swedge.trial.panel import read_panel

        return read_panel(df, cluster, period, outcome, first_treated, size, family)

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
    def maths(self) -> FamilyMaths:
        """The family's functions."""
        return family_named(self.family)

    def under(self, treatment: Array, exposure: NDArray[np.int64]) -> Trial:
        """The same observations under other exposures; a stack, if these are."""
        return replace(self, treatment=treatment, exposure=exposure)

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
        return replace(self, cells=replace(self.cells, mean=moved))

    def replicate(self, which: int | slice | NDArray[np.int64]) -> Trial:
        """Part of a stack with one leading axis."""

        def pick(array: Array | None, tail: int) -> Array | None:
            return array if array is None or array.ndim == tail or array.shape[0] == 1 else array[which]

        cells = Cells(pick(self.cells.n, 2), pick(self.cells.mean, 3), pick(self.cells.within, 3))  # type: ignore[arg-type]  # None in, None out
        return replace(self, cells=cells, treatment=pick(self.treatment, 2), exposure=pick(self.exposure, 2), offset=pick(self.offset, 2))  # type: ignore[arg-type]  # arrays keep their type

    def tidy(self) -> pd.DataFrame:
        """One row a cell of a single trial: cluster, period, treatment, exposure, n, outcome."""
        _single(self)
        grid = pd.MultiIndex.from_product([self.clusters, self.periods], names=["cluster", "period"]).to_frame(index=False)
        tables = {"treatment": self.treatment, "exposure": self.exposure, "n": self.n, "outcome": self.outcome}
        return grid.assign(**{name: table.ravel() for name, table in tables.items()})

    def plot(self, ax: Axes | None = None) -> Axes:
        """Outcome of each cluster over the periods, filled where treated."""
        from swedge._present.trajectories import draw_trajectories

        _single(self)
        shown = np.where(self.n > 0, self.outcome, np.nan)
        return draw_trajectories(shown, self.arm, self.clusters, self.periods, ax=ax, comparators=self.comparators)


def exposed(allocation: Allocation, comparators: int) -> tuple[Array, NDArray[np.int64]]:
    """Treatment and exposure ``(I, T)`` of an allocation, with rows of control for comparators."""
    return _with_comparators(allocation.treatment, allocation.exposure, comparators)


def _with_comparators(treatment: Array, exposure: NDArray[np.int64], comparators: int) -> tuple[Array, NDArray[np.int64]]:
    if not comparators:
        return treatment, exposure
    rows = (*treatment.shape[:-2], comparators, treatment.shape[-1])
    return np.concatenate([treatment, np.zeros(rows)], -2), np.concatenate([exposure, np.zeros(rows, dtype=exposure.dtype)], -2)


def _scatter(within: ArrayLike | None, variables: int) -> Array | None:
    if within is None:
        return None
    scatter = np.asarray(within, dtype=float)
    if scatter.ndim == 0 and variables == 1:
        return scatter.reshape(1, 1, 1)
    if scatter.shape[-2:] != (variables, variables):
        raise DataError(f"within has shape {scatter.shape}; expected (..., {variables}, {variables}) for the outcome and its covariates.")
    return scatter[None] if scatter.ndim == 2 else scatter


def _single(trial: Trial) -> None:
    if trial.shape:
        raise DataError(f"This is a stack of trials of shape {trial.shape}; take one with trial.replicate(0).")
