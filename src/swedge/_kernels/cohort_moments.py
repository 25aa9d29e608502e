"""Counts, means and scatter of clusters by class, and variances of estimates that weigh all clusters of a class alike.

Where every cluster of class `c` has the weights ``L_kc (T,)`` over its cells and the influence ``L_kc (y_i - m_c) + v_kc`` on term `k`, the
sum over clusters of products of influences is ``sum_c L_c S_c L_c' + n_c v_c v_c'``: nothing of the size of the panel is made but once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Moments(NamedTuple):
    """Of each class: how many ``clusters (..., C)``, their ``mean (..., C, T)`` and ``scatter (..., C, T, T)`` about it; 0 where empty."""

    clusters: Array
    mean: Array
    scatter: Array


def counts(label: NDArray[np.int64], classes: int) -> Array:
    """How many rows each class has, ``(..., C)``, of ``label (..., I)``."""
    rows = label.reshape((-1, label.shape[-1]))
    at = rows + classes * np.arange(len(rows))[:, None]
    return np.bincount(at.ravel(), minlength=classes * len(rows)).astype(float).reshape((*label.shape[:-1], classes))


def moments(label: NDArray[np.int64], classes: int, y: Array) -> Moments:
    """Moments of ``y (..., I, T)`` over classes ``label (..., I)``."""
    lead = np.broadcast_shapes(label.shape[:-1], y.shape[:-2])
    clusters, periods = y.shape[-2:]
    shift = classes * np.arange(math.prod(lead))[:, None]
    at = (np.broadcast_to(label, (*lead, clusters)).reshape((-1, clusters)) + shift).ravel()
    order = np.argsort(at, kind="stable")
    rows = np.broadcast_to(y, (*lead, clusters, periods)).reshape((-1, periods))[order]
    count = np.bincount(at, minlength=classes * len(shift))
    mean, scatter = _by_run(rows, count)
    return Moments(
        count.astype(float).reshape((*lead, classes)),
        mean.reshape((*lead, classes, periods)),
        scatter.reshape((*lead, classes, periods, periods)),
    )


def _by_run(rows: Array, count: NDArray[np.int64]) -> tuple[Array, Array]:
    """Means and scatter of runs of `count` rows one after another."""
    mean, scatter = np.zeros((len(count), rows.shape[-1])), np.zeros((len(count), rows.shape[-1], rows.shape[-1]))
    for c, end in enumerate(np.cumsum(count)):
        if count[c]:
            run = rows[end - count[c] : end]
            mean[c] = run.mean(0)
            about = run - mean[c]
            scatter[c] = about.T @ about
    return mean, scatter


def class_covariance(slopes: Array, about: Array, held: Moments) -> Array:
    """``sum_c L_c S_c L_c' + n_c v_c v_c'``, ``(..., K, K)``, of ``slopes (..., K, C, T)`` and ``about (..., K, C)``."""
    by_class = np.swapaxes(slopes, -3, -2)
    within = (by_class @ held.scatter @ np.swapaxes(by_class, -1, -2)).sum(-3)
    return np.asarray(within + (about * held.clusters[..., None, :]) @ np.swapaxes(about, -1, -2))
