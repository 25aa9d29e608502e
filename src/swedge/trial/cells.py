"""Cells: what a stepped-wedge trial is once individuals have been counted, averaged and had their scatter taken."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cluster-period cells.

    Attributes
    ----------
    n : ndarray (..., I, T)
        Individuals (or units of exposure) in each cell; 0 where nothing was observed.
    mean : ndarray (..., I, T, Q)
        Cell means: the outcome first, then individual covariates.
    within : ndarray (..., C, Q, Q) or None
        Sums of squares and products about the cell means, added over periods; ``C = I`` for each cluster, ``C = 1`` for all together. None
        where it is not known, as when only means were published.
    scatter : ndarray (I, T, Q, Q) or None
        The same before it is added up, kept only where the design leaves cells out: another allocation leaves out others.
    cohort : ndarray (I, T, Q, T, Q) or None
        Of a closed cohort, the same over pairs of periods: products of individuals' deviations from their cells' means.

    Raises
    ------
    DataError
        If the shapes do not fit, a count or scatter is negative or no number, or a cell with individuals has no mean.
    """

    n: Array
    mean: Array
    within: Array | None = None
    scatter: Array | None = None
    cohort: Array | None = None

    def __post_init__(self) -> None:
        self._check_shapes()
        if not np.isfinite(self.n).all() or (self.n < 0).any():
            raise DataError("Cell counts must be finite and not negative. Give 0 for a cell in which nothing was observed.")
        if not np.isfinite(np.where(self.n[..., None] > 0, self.mean, 0.0)).all():
            raise DataError("A cell with individuals has a mean that is not a finite number. Give n = 0 where nothing was observed.")
        squares = np.zeros(()) if self.within is None else np.diagonal(self.within, axis1=-2, axis2=-1)
        if not np.isfinite(0 if self.within is None else self.within).all() or (squares < 0).any():
            raise DataError("within holds sums of squares and products: finite numbers, not negative on the diagonal.")

    def _check_shapes(self) -> None:
        if self.mean.ndim < 3 or self.mean.shape[-3:-1] != self.n.shape[-2:]:
            raise DataError(
                f"Cell means of shape {self.mean.shape} do not fit counts of shape {self.n.shape}; expected (..., I, T, Q) and (..., I, T)."
            )
        clusters, variables = self.n.shape[-2], self.mean.shape[-1]
        fits = [(c, variables, variables) for c in (1, clusters)]
        if self.within is not None and self.within.shape[-3:] not in fits:
            raise DataError(f"within has shape {self.within.shape}; expected (..., C, {variables}, {variables}) with C 1 or {clusters}.")
        try:
            _ = self.lead
        except ValueError:
            raise DataError(f"Stacks do not fit: counts have shape {self.n.shape}, means {self.mean.shape}.") from None

    @property
    def outcome(self) -> Array:
        """Outcome means ``(..., I, T)``."""
        return np.asarray(self.mean[..., 0])

    @property
    def lead(self) -> tuple[int, ...]:
        """Leading (stack) shape."""
        within = () if self.within is None else self.within.shape[:-3]
        return np.broadcast_shapes(self.n.shape[:-2], self.mean.shape[:-3], within)

    def seen(self, treatment: Array) -> Cells:
        """The same cells with the scatter of those that `treatment` (nan where left out) observes."""
        if self.scatter is None:
            return self
        observed = (~np.isnan(treatment)).astype(float)
        return replace(self, within=np.einsum("...it,itpq->...ipq", observed, self.scatter))


@dataclass(frozen=True, eq=False)
class Patterns:
    """Counts of distinct covariate rows, for binomial and Poisson outcomes with covariates.

    Attributes
    ----------
    n, mean : ndarray (..., I, J)
        Individuals and mean outcome in each slot; a cluster with fewer than J distinct (period, covariates) rows ends in slots of n = 0.
    period : ndarray (I, J) of int
        0-based period of each slot.
    covariates : ndarray (I, J, q)
    n_periods : int, optional
        Number of periods T; left out, the last one that has a slot.
    """

    n: Array
    mean: Array
    period: NDArray[np.int64]
    covariates: Array
    n_periods: int | None = None

    def spread(self, table: Array) -> Array:
        """A cell table ``(..., I, T)`` looked up for every slot, ``(..., I, J)``."""
        index = np.broadcast_to(self.period, (*table.shape[:-2], *self.period.shape))
        return np.take_along_axis(table, index, axis=-1)

    def gather(self, table: Array) -> Array:
        """A slot table ``(..., I, J)`` added up over the slots of each cell, ``(..., I, T)``."""
        periods = int(self.period.max()) + 1 if self.n_periods is None else self.n_periods
        here = self.period[..., None] == np.arange(periods)
        return np.asarray(np.einsum("...ij,ijt->...it", table, here.astype(float)))
