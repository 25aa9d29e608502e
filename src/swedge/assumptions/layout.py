"""Where a covariance structure is laid out: period mid-points, treatment, and the total variance of an outcome in each cell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Part(NamedTuple):
    """One parameter's part of a covariance.

    The covariance of cell means is the sum over parts of ``value (between + individual / n)``, `n` the larger of two cells, that of one
    individual's outcomes given the cluster the sum of ``value individual``; arrays are ``(..., I, T, T)`` and broadcast. A part of value 0
    is a direction in which the covariance may move: it adds nothing and costs degrees of freedom.
    """

    value: float
    between: Array
    individual: Array


class Layout(NamedTuple):
    """Period mid-points ``(T,)`` in any unit; treatment, 0 where unobserved, and total variance of an outcome ``(..., I, T)``.

    `slope` is the derivative of a cell's mean in its linear predictor, ``(..., I, T)``: what random effects on a link are multiplied by.
    """

    midpoints: Array
    treatment: Array
    total: Array
    slope: Array | float = 1.0

    def scaled(self, value: float, between: Array | None, individual: Array | None = None) -> Part:
        """A part whose shapes ``(T, T)`` are multiplied by the cells' standard deviations."""
        spread = outer(np.sqrt(self.total))
        none = np.zeros((len(self.midpoints),) * 2)
        return Part(value, spread * (none if between is None else between), spread * (none if individual is None else individual))


def covariance_of(parts: list[Part], n: Array) -> Array:
    """Covariance of cell means, ``(..., I, T, T)``; of a cohort's two cells the smaller holds individuals who are in the larger too."""
    shared = 1 / np.maximum(n[..., :, None], n[..., None, :])
    total = sum((part.value * (part.between + part.individual * shared) for part in parts), np.zeros(()))
    return np.asarray(total)


def outer(root: Array) -> Array:
    """Products of a cluster's entries with each other, ``(..., T, T)``."""
    return np.asarray(root[..., :, None] * root[..., None, :])


def autocorrelation(midpoints: Array, per_period: float) -> tuple[Array, Array]:
    """``per_period`` to the power of the lag in mean distances of neighbours, ``(T, T)``, and its derivative (at 0, just above 0)."""
    lag = lags(midpoints)
    power = np.asarray(per_period**lag)
    slope = np.where(lag > 0, lag * max(per_period, 1e-12) ** (lag - 1), 0.0)
    return power, slope


def lags(midpoints: Array) -> Array:
    """Distances ``(T, T)`` of period mid-points, in mean distances of neighbours."""
    gap = float(np.mean(np.diff(midpoints))) if len(midpoints) > 1 else 1.0
    return np.asarray(np.abs(np.subtract.outer(midpoints, midpoints)) / gap)
