"""Cluster-robust variance of any weighted sum of cell means, with residuals from a working model of the means.

A weighted sum ``w'y`` that annihilates the working model's nuisance columns has error ``w'e``, `e` the errors of the cells. With ``Q`` an
orthonormal basis of the working model and ``M = 1 - QQ'``, the residuals are ``My`` and ``E (w_i' A_i (My)_i)^2`` is right under errors of
equal variance when ``A_i = (1 - Q_i Q_i')^(-1/2)``. Residuals that an estimator's own cohorts would fit away are not fitted away here.

Constants of clusters do not meet each other in any cell: with the other columns about their means in each cluster, ``Q_i`` is the constant
scaled to length 1 beside an orthonormal basis of the rest, and no column for each cluster is ever made.

References
----------
Bell RM, McCaffrey DF (2002). Bias reduction in standard errors for linear regression with multi-stage samples. Survey Methodology 28,
169-181. Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed
effects models. Journal of Business and Economic Statistics 36, 672-683.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.sandwich import ALONE, CORRECTIONS

Array = NDArray[np.float64]


# Up to this many clusters the Gram matrix is made, which loses fewer digits than its trace by sums of products.
GRAM = 300


class WorkingModel(NamedTuple):
    """``columns (..., p, I, T)``, and ``levels (..., I, T)``: 1 in the cells over which each cluster has a constant, all 0 for none."""

    columns: Array
    levels: Array


class LinearRobust(NamedTuple):
    """``covariance (..., K, K)``, Satterthwaite ``df (..., K)`` under errors of equal variance, ``residual (..., I, T)``.

    ``alone (..., K)`` is the squared length of the weights along directions in which the working model fits one cluster exactly, over
    their whole squared length: residuals are 0 there, and the variance does not see that share of the error.
    """

    covariance: Array
    df: Array
    residual: Array
    alone: Array


class _Corrected(NamedTuple):
    """``bent (..., K, I, T)``, the weights by which residuals count, and the share ``alone (..., K)`` that none of them sees."""

    bent: Array
    alone: Array


class _Basis(NamedTuple):
    """Constants of clusters ``(..., I, T)``, each of length 1 or 0, and the rest of the basis by cluster ``(..., I, T, r)``."""

    constant: Array
    rest: Array


def orthonormal(columns: Array) -> Array:
    """Orthonormal basis ``(..., c, r)`` of the span of ``(..., c, p)``; directions of no length become zero."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left * (size > 1e-10 * size[..., :1])[..., None, :])


def linear_robust(kind: str, weights: Array, y: Array, model: WorkingModel) -> LinearRobust:
    """Variance of ``sum(weights * y)``.

    Parameters
    ----------
    kind : {"CR0", "CR1", "CR2", "CR3"}
    weights : (..., K, I, T)
        0 in cells that are not observed, as are `y` and the columns and levels of the model.
    y : (..., I, T)
    model : WorkingModel
        Of the cell means: clusters, periods, and what is expected of the treatment.
    """
    basis = _basis(model)
    residual = _residual(basis, y)
    bent, alone = _corrected(kind, weights, basis)
    pulls = (bent * residual[..., None, :, :]).sum(-1)
    informed = (np.abs(weights).sum((-3, -1)) > 0).sum(-1)[..., None, None]
    factor = informed / np.maximum(informed - 1, 1) if kind == "CR1" else 1.0
    return LinearRobust(factor * (pulls @ pulls.swapaxes(-1, -2)), _satterthwaite(bent, basis), residual, alone)


def _basis(model: WorkingModel) -> _Basis:
    count = np.maximum(model.levels.sum(-1, keepdims=True), 1.0)
    within, share = model.levels[..., None, :, :], count[..., None, :, :]
    moving = model.columns - within * ((model.columns * within).sum(-1, keepdims=True) / share)
    clusters, periods = moving.shape[-2:]
    rest = orthonormal(np.swapaxes(moving.reshape((*moving.shape[:-2], -1)), -1, -2))
    return _Basis(model.levels / np.sqrt(count), rest.reshape((*rest.shape[:-2], clusters, periods, -1)))


def _residual(basis: _Basis, y: Array) -> Array:
    fitted = (basis.rest * (basis.rest * y[..., None]).sum((-3, -2), keepdims=True)).sum(-1)
    return np.asarray(y - basis.constant * (basis.constant * y).sum(-1, keepdims=True) - fitted)


def _corrected(kind: str, weights: Array, basis: _Basis) -> _Corrected:
    """``A_i w_i``; directions that the working model fits exactly are left out, and counted."""
    own = basis.constant[..., :, None] * basis.constant[..., None, :] + basis.rest @ basis.rest.swapaxes(-1, -2)
    values, vectors = np.linalg.eigh(np.eye(own.shape[-1]) - own)
    kept = values > ALONE
    h = np.where(kept, CORRECTIONS[kind](np.where(kept, values, 1.0)), 0.0)
    turned = (vectors.swapaxes(-1, -2)[..., None, :, :, :] @ weights[..., None])[..., 0]
    bent = (vectors[..., None, :, :, :] @ (h[..., None, :, :] * turned)[..., None])[..., 0]
    lost, whole = ((part**2).sum((-2, -1)) for part in (np.where(kept[..., None, :, :], 0.0, turned), weights))
    return _Corrected(np.asarray(bent), np.asarray(lost / np.where(whole > 0, whole, 1.0)))


def _satterthwaite(bent: Array, basis: _Basis) -> Array:
    """``(tr G)^2 / tr(G^2)`` with ``G_ij = b_i' M_ij b_j``: a diagonal less the products of the clusters' shadows on the basis."""
    shadow = (basis.rest.swapaxes(-1, -2)[..., None, :, :, :] @ bent[..., None])[..., 0]
    apart = (bent**2).sum(-1) - (bent * basis.constant[..., None, :, :]).sum(-1) ** 2
    length = (shadow**2).sum(-1)
    trace = (apart - length).sum(-1)
    if bent.shape[-2] <= GRAM:
        gram = np.eye(bent.shape[-2]) * apart[..., None, :] - shadow @ shadow.swapaxes(-1, -2)
        return np.asarray(trace**2 / (gram**2).sum((-2, -1)))
    crossed = ((shadow.swapaxes(-1, -2) @ shadow) ** 2).sum((-2, -1)) - (length**2).sum(-1)
    return np.asarray(trace**2 / (((apart - length) ** 2).sum(-1) + crossed))
