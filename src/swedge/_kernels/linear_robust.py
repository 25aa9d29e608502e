"""Cluster-robust variance of any weighted sum of cell means, with residuals from a working model of the means.

A weighted sum ``w'y`` that annihilates the working model's nuisance columns has error ``w'e``, `e` the errors of the cells. With ``Q`` an
orthonormal basis of the working model and ``M = 1 - QQ'``, the residuals are ``My`` and ``E (w_i' A_i (My)_i)^2`` is right under errors of
equal variance when ``A_i = (1 - Q_i Q_i')^(-1/2)``. Residuals that an estimator's own cohorts would fit away are not fitted away here.

Constants of clusters do not meet each other in any cell: with the other columns about their means in each cluster, ``Q_i`` is the constant
scaled to length 1 beside an orthonormal basis of the rest, and no column for each cluster is ever made. On rows multiplied by the square
roots of their weights the constant is those square roots.

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


# A standard error this small beside weights and residuals is rounding: two clusters, say, whose residuals mirror each other.
CANCELLED = 1e-10

# Up to this many clusters the Gram matrix is made, which loses fewer digits than its trace by sums of products.
GRAM = 300


class WorkingModel(NamedTuple):
    """``columns (..., p, I, T)``, and ``levels (..., I, T)``: each cluster has a multiple of its own row among them, all 0 for none.

    1 in the cells over which a cluster has a constant; on rows multiplied by the square roots of weights, these square roots.
    """

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


def _orthonormal(columns: Array) -> Array:
    """Orthonormal basis ``(..., c, r)`` of the span of ``(..., c, p)``; directions of no length become zero."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left * (size > 1e-10 * size[..., :1])[..., None, :])


def linear_robust(kind: str, weights: Array, y: Array, model: WorkingModel, clusters: Array | None = None) -> LinearRobust:
    """Variance of ``sum(weights * y)``; 0 where only rounding is left of it.

    Parameters
    ----------
    kind : {"CR0", "CR1", "CR2", "CR3"}
    weights : (..., K, I, T)
        0 in cells that are not observed, as are `y` and the columns and levels of the model.
    y : (..., I, T)
    model : WorkingModel
        Of the cell means: clusters, periods, and what is expected of the treatment.
    clusters : (...), optional
        How many "CR1" counts; those with weight if left out.
    """
    basis = _basis(model)
    residual = _residual(basis, y)
    bent, alone = _corrected(kind, weights, basis)
    pulls = (bent * residual[..., None, :, :]).sum(-1)
    size = (weights**2).sum((-2, -1)) * (residual**2).sum((-2, -1))[..., None]
    real = (pulls**2).sum(-1) > CANCELLED**2 * size
    counted = (np.abs(weights).sum((-3, -1)) > 0).sum(-1) if clusters is None else np.asarray(clusters)
    factor = (counted / np.maximum(counted - 1, 1))[..., None, None] if kind == "CR1" else 1.0
    covariance = factor * (pulls @ pulls.swapaxes(-1, -2)) * (real[..., :, None] & real[..., None, :])
    return LinearRobust(covariance, _satterthwaite(bent, basis), residual, alone)


def unexplained(model: WorkingModel, table: Array) -> Array:
    """What of a table ``(..., I, T)`` the working model leaves."""
    return _residual(_basis(model), table)


def _basis(model: WorkingModel) -> _Basis:
    length = np.sqrt((model.levels**2).sum(-1, keepdims=True))
    constant = model.levels / np.where(length > 0, length, 1.0)
    own = constant[..., None, :, :]
    moving = model.columns - own * (model.columns * own).sum(-1, keepdims=True)
    clusters, periods = moving.shape[-2:]
    rest = _orthonormal(np.swapaxes(moving.reshape((*moving.shape[:-2], -1)), -1, -2))
    return _Basis(constant, rest.reshape((*rest.shape[:-2], clusters, periods, -1)))


def _residual(basis: _Basis, y: Array) -> Array:
    moving = y - basis.constant * (basis.constant * y).sum(-1, keepdims=True)
    rest = basis.rest.reshape((*basis.rest.shape[:-3], -1, basis.rest.shape[-1]))
    cells = moving.reshape((*moving.shape[:-2], -1))
    fitted = (cells @ rest) @ rest.T if rest.ndim == 2 else (rest @ (rest.swapaxes(-1, -2) @ cells[..., None]))[..., 0]
    return np.asarray(moving - fitted.reshape((*fitted.shape[:-1], *y.shape[-2:])))


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
