"""Weighted least squares of cell means, with the scatter of covariates inside cells, over a stack."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.linalg import inverse_factor
from swedge.errors import Status

Array = NDArray[np.float64]

# Outcomes whose differences are below this share of their size are all the same: only rounding tells them apart.
SAME = 1e-13
# A fit whose residuals are below this share of what it explains has none.
EXACT = 1e-10


def varies(n: Array, y: Array, scatter: ArrayLike = 0.0) -> NDArray[np.bool_]:
    """Whether outcomes ``(..., I, T)`` differ within a replicate, between cells or inside them (`scatter`, sums of squares)."""
    return np.asarray(
        squares_about_mean(n, y) + np.asarray(scatter, dtype=float) > SAME**2 * (n * np.where(n > 0, y, 0.0) ** 2).sum((-2, -1))
    )


def squares_about_mean(n: Array, y: Array) -> Array:
    """Weighted sum of squares ``(...)`` of cell means about their mean."""
    y = np.where(n > 0, y, 0.0)
    total = n.sum((-2, -1), keepdims=True)
    centre = (n * y).sum((-2, -1), keepdims=True) / np.where(total > 0, total, 1.0)
    return np.asarray((n * (y - centre) ** 2).sum((-2, -1)))


class LeastSquares(NamedTuple):
    """Coefficients ``(R, p)``, ``L^-1``, clusters' cross-products ``(R, I, p, p)`` and scores ``(R, I, p)``, cells' weighted squares."""

    beta: Array
    root: Array
    crossed: Array
    scores: Array
    squares: Array
    definite: NDArray[np.bool_]

    def status(self, weight: Array, y: Array, scatter: ArrayLike = 0.0, robust: bool = True) -> NDArray[np.int8]:
        """Status of each replicate."""
        return fit_status(weight, y, self.squares, self.definite, scatter, robust)


def fit_status(
    weight: Array, y: Array, squares: Array, definite: NDArray[np.bool_], scatter: ArrayLike = 0.0, robust: bool = True
) -> NDArray[np.int8]:
    """Status of each replicate. A robust variance is made of the cells' residuals, and there may be none.

    `squares` is the weighted sum of squared residuals of cells, `definite` whether they identify every coefficient.
    """
    exact = robust & (squares <= EXACT**2 * squares_about_mean(weight, y))
    status = np.where(exact, Status.NO_DEGREES_OF_FREEDOM, Status.OK)
    status = np.where(definite, status, Status.RANK_DEFICIENT)
    return np.asarray(np.where(varies(weight, y, scatter), status, Status.NO_VARIATION), dtype=np.int8)


def fit_cells(x: Array, weight: Array, y: Array, inner: Array | None = None, inner_y: Array | None = None) -> LeastSquares:
    """Fit ``y (R, I, T)`` on ``x (R, p, I, T)`` with weights ``(R, I, T)``.

    ``inner (R or 1, I, p, p)`` and ``inner_y (R or 1, I, p)`` add each cluster's cross-products of deviations from cell means. A cluster
    axis of length 1 holds them for all clusters together; the scores then lack them, and no robust variance may be taken.
    """
    clusters = range(y.shape[-2])
    between = np.stack([(x[:, :, i] * weight[:, None, i]) @ x[:, :, i].swapaxes(-1, -2) for i in clusters], -3)
    moments = np.stack([(x[:, :, i] @ (weight * y)[:, i, :, None])[..., 0] for i in clusters], -2)
    within = np.zeros((1, 1, *between.shape[-2:])) if inner is None else inner
    within_y = np.zeros((1, 1, moments.shape[-1])) if inner_y is None else inner_y
    root, definite = inverse_factor(between.sum(-3) + within.sum(-3))
    moment = moments.sum(-2) + within_y.sum(-2)
    beta = (root.swapaxes(-1, -2) @ (root @ moment[..., None]))[..., 0]
    crossed = between + within
    scores = moments + within_y - (crossed @ beta[:, None, :, None])[..., 0]
    fitted = (beta[:, None, :] @ x.reshape((*x.shape[:-2], -1)))[:, 0].reshape(y.shape)
    return LeastSquares(beta, root, crossed, scores, (weight * (y - fitted) ** 2).sum((-2, -1)), definite)
