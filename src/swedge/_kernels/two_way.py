"""Cluster and period effects over some cells of a table, without a column for each cluster.

What matters of two-way effects is ``mask (a_i + b_t)``: with the margins of a table, it is the table's projection onto them, and the table
less it is free of them. The `a` are eliminated, which leaves one symmetric system of the size of the periods.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Directions of the period system below this share of its largest one are those of a constant on a connected set of cells.
NULL = 1e-10


class TwoWay(NamedTuple):
    """Effects of clusters ``(..., I)`` and periods ``(..., T)``; of those that the cells leave open, the smallest."""

    cluster: Array
    period: Array

    @property
    def everywhere(self) -> Array:
        """``a_i + b_t`` in every cell, ``(..., I, T)``."""
        return np.asarray(self.cluster[..., None] + self.period[..., None, :])


def two_way(table: Array, mask: Array) -> TwoWay:
    """Effects for which ``mask (a_i + b_t)`` has the cluster sums and period sums of the table.

    Parameters
    ----------
    table : (..., I, T)
        Where it is 0 outside of the mask, these are its least-squares effects over the mask.
    mask : (..., I, T)
        0 or 1; the leading axes broadcast against those of the table.
    """
    count = np.maximum(mask.sum(-1), 1.0)
    share = mask / count[..., None]
    system = np.eye(mask.shape[-1]) * mask.sum(-2)[..., None, :] - share.swapaxes(-1, -2) @ mask
    rows, columns = table.sum(-1), table.sum(-2)
    left = columns - (rows[..., None] * share).sum(-2)
    period = (np.linalg.pinv(system, rcond=NULL, hermitian=True) @ left[..., None])[..., 0]
    return TwoWay((rows - (mask * period[..., None, :]).sum(-1)) / count, period)


def freed(table: Array, mask: Array) -> Array:
    """The table less ``mask (a_i + b_t)`` with its margins, ``(..., I, T)``: every cluster and every period adds up to 0."""
    return np.asarray(table - mask * two_way(table, mask).everywhere)


def foreseen(mask: Array) -> Flags:
    """Cells ``(..., I, T)`` whose cluster and period effects the cells of a mask identify together."""
    return np.asarray((mask @ connected(mask)) > 0)


def connected(mask: Array) -> Array:
    """Periods ``(..., T, T)`` that a chain of clusters joins: 1 or 0, a period without cells joined to none."""
    joined = ((mask.swapaxes(-1, -2) @ mask) > 0).astype(float)
    for _ in range(int(np.ceil(np.log2(max(mask.shape[-1], 2))))):
        joined = ((joined @ joined) > 0).astype(float)
    return joined
