"""Variance over random treatment timing of weighted sums of clusters' outcomes, and the adjustment for a baseline that makes it smallest.

Clusters of cohort `c` are a simple random sample. Where each of its ``N_c`` clusters has the weights ``L_c (T,)`` over its outcomes, their
sum has variance ``sum_c N_c L_c S_c L_c'`` less a term in the spread of the effects, which is not identified. Leaving that term out is
conservative; what periods before any treatment predict of the effects' spread bounds it from below.

References
----------
Roth J, Sant'Anna PHC (2023). Efficient estimation for staggered rollout designs. Journal of Political Economy Microeconomics 1, 669-709.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A baseline difference whose variance is below this share of the outcome's own does not vary.
STILL = 1e-12
# Directions in which early outcomes vary less than this share of the largest one of any cohort are rounding.
NULL = 1e-12


def neyman(slopes: Array, spread: Array, count: Array) -> Array:
    """Conservative covariance ``(..., J, J)``.

    Parameters
    ----------
    slopes : (..., J, C, T)
        Weights of one cluster of each cohort.
    spread : (..., C, T, T)
        Covariance of clusters' outcomes within each cohort.
    count : (..., C)
        Clusters of each cohort.
    """
    by_cohort = np.swapaxes(slopes, -3, -2)
    return np.asarray((count[..., None, None] * (by_cohort @ spread @ np.swapaxes(by_cohort, -1, -2))).sum(-3))


def efficient_slope(later: Array, earlier: Array, spread: Array, count: Array) -> Array:
    """The multiple ``(..., J)`` of ``earlier`` that, taken from ``later``, leaves the least variance.

    It is 1 where `earlier` does not vary, and nan where a covariance is.
    """
    across = np.swapaxes(earlier, -3, -2) @ spread
    with_earlier, with_later = ((count[..., None] * (across * np.swapaxes(side, -3, -2)).sum(-1)).sum(-2) for side in (earlier, later))
    own = np.einsum("...jj->...j", neyman(later, spread, count))
    moves = with_earlier > STILL * own
    return np.asarray(np.where(moves, with_later, 1.0) / np.where(moves, with_earlier, np.where(np.isnan(with_earlier), np.nan, 1.0)))


def predicted_spread(slopes: Array, spread: Array, count: Array, early: NDArray[np.bool_]) -> Array:
    """Lower bound ``(..., J, J)`` of what `neyman` counts too much: the spread of effects that the `early` periods ``(..., T)`` predict.

    Cohorts' covariances of early outcomes are averaged alike, as the authors' package does; in theory they are the same.
    """
    kept = early[..., None, :, None] & early[..., None, None, :]
    before = np.where(kept, spread, 0.0)
    values, vectors = np.linalg.eigh(before)
    real = values > NULL * values.max((-2, -1), keepdims=True)
    inverse = (vectors * np.divide(1.0, values, out=np.zeros_like(values), where=real)[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    fitted = inverse @ np.where(early[..., None, :, None], spread, 0.0)
    held = (count > 0)[..., None, None]
    gradient = (count[..., None, None] * (fitted @ np.moveaxis(slopes, -3, -1))).sum(-3)
    typical = (held * before).sum(-3) / held.sum(-3)
    return np.asarray(np.swapaxes(gradient, -1, -2) @ typical @ gradient / count.sum(-1)[..., None, None])


def pooled(scatter: Array, count: Array) -> Array:
    """One covariance ``(..., 1, T, T)`` for all cohorts, of their scatter ``(..., C, T, T)``; nan where no cohort has two clusters."""
    left = (np.maximum(count - 1, 0.0)).sum(-1)[..., None, None, None]
    total = ((count > 0)[..., None, None] * scatter).sum(-3, keepdims=True)
    return np.asarray(total / np.where(left > 0, left, np.nan))


def apart(scatter: Array, count: Array) -> Array:
    """The covariance ``(..., C, T, T)`` of each cohort; nan where it has one cluster, 0 where it has none."""
    left = np.where(count == 1, np.nan, np.maximum(count - 1, 1.0))
    return np.asarray(scatter / left[..., None, None])
