"""Rows of cells on which errors that the cells of a cluster share are no longer correlated.

The working covariance of a cluster's ``m`` cells is ``1 + r 11'`` in units of their noise. With ``q`` the constant of length 1 over them
its inverse root is ``1 - (1 - f) qq'``, ``f = (1 + r m)^(-1/2)``. Outcomes and columns are multiplied by it and weights by its inverse, so
that the weighted sum stays what it was; what a bias-reduced variance takes to be uncorrelated then is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linear_robust import WorkingModel, unexplained

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def decorrelated(weights: Array, y: Array, model: WorkingModel, seen: Flags) -> tuple[Array, Array, WorkingModel]:
    """Weights ``(..., K, I, T)``, outcomes ``(..., I, T)`` and a working model without levels on such rows."""
    count = seen.sum(-1)
    unit = seen / np.sqrt(np.maximum(count, 1))[..., None]
    change = 1 / np.sqrt(1 + level_ratio(unexplained(model, y), seen, model.columns.shape[-3])[..., None] * count)
    columns = _stretched(model.columns, unit[..., None, :, :], change[..., None, :])
    return (
        _stretched(weights, unit[..., None, :, :], 1 / change[..., None, :]),
        _stretched(y, unit, change),
        model._replace(columns=columns),
    )


def level_ratio(residual: Array, seen: Flags, columns: int) -> Array:
    """Variance of clusters' levels over that of noise ``(...)`` by the method of moments, 0 where they vary no more than noise.

    `residual` ``(..., I, T)`` is free of so many columns, an overall constant among them.
    """
    count = seen.sum(-1).astype(float)
    cells, clusters = count.sum(-1), (count > 0).sum(-1)
    level = residual.sum(-1) / np.maximum(count, 1)
    inside = ((seen * (residual - level[..., None])) ** 2).sum((-2, -1)) / np.maximum(cells - clusters - columns + 1, 1)
    between = (count * level**2).sum(-1) / np.maximum(clusters - 1, 1)
    size = (cells - (count**2).sum(-1) / cells) / np.maximum(clusters - 1, 1)
    excess = between / np.where(inside > 0, inside, np.inf) - 1
    return np.asarray(np.maximum(excess, 0.0) / np.where(size > 0, size, 1.0))


def _stretched(table: Array, unit: Array, by: Array) -> Array:
    """Each cluster's part along its constant, multiplied by a number."""
    return np.asarray(table + ((by - 1) * (unit * table).sum(-1))[..., None] * unit)
