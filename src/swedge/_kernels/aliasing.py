"""Which columns repeat others, which contrasts are identified all the same, and how much of their information the others take."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import PIVOT

Array = NDArray[np.float64]

# A coefficient below this share of the largest is rounding.
NOTHING = 1e-6


def relations(columns: Array) -> Array:
    """Null vectors ``(d, p)`` of ``columns (m, p)``: each has -1 at a column that repeats earlier ones, and what it is made of before it.

    The columns kept are independent, so the numbers are the only ones.

    >>> relations(np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]])).tolist()
    [[2.0, 2.0, -1.0]]
    """
    size = np.sqrt((columns**2).sum(0))
    unit = columns / np.where(size > 0, size, 1.0)
    kept: list[int] = []
    found = []
    for j in range(columns.shape[1]):
        parts, left = _projected(unit[:, j], unit[:, kept])
        if left > PIVOT:
            kept.append(j)
            continue
        row = np.zeros(columns.shape[1])
        row[kept], row[j] = parts * size[j] / size[kept], -1.0
        found.append(np.where(np.abs(row) > NOTHING * np.abs(row).max(), row, 0.0))
    return np.array(found).reshape((-1, columns.shape[1])).round(9)


def _projected(target: Array, basis: Array) -> tuple[Array, float]:
    """Coefficients on an independent basis, and the length that is left."""
    parts = np.linalg.lstsq(basis, target, rcond=None)[0]
    return np.asarray(parts, dtype=np.float64), float(np.linalg.norm(target - basis @ parts))


def identified(null: Array, contrasts: Array) -> NDArray[np.bool_]:
    """Whether no null vector ``(d, p)`` moves a contrast ``(K, p)``."""
    return np.asarray((np.abs(null @ contrasts.T) < NOTHING).all(0))


def information_left(effects: Array, others: Array, contrasts: Array) -> Array:
    """Variances of contrasts ``(K, k)`` over columns ``effects (m, k)``, in units of the residual's, others projected out ``(m, r)``."""
    scale = np.sqrt((others**2).sum(0))
    basis, size, _ = np.linalg.svd(others[:, scale > 0] / scale[scale > 0], full_matrices=False)
    basis = basis[:, size > PIVOT * size.max(initial=0.0)]
    rest = effects - basis @ (basis.T @ effects)
    return np.asarray(np.einsum("kp,pq,kq->k", contrasts, np.linalg.pinv(rest.T @ rest, rcond=PIVOT, hermitian=True), contrasts))
