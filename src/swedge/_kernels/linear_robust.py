"""Cluster-robust variance of any weighted sum of cell means, with residuals from a working model of the means.

A weighted sum ``w'y`` that annihilates the working model's nuisance columns has error ``w'e``, `e` the errors of the cells. With ``Q`` an
orthonormal basis of the working model and ``M = 1 - QQ'``, the residuals are ``My`` and ``E (w_i' A_i (My)_i)^2`` is right under errors of
equal variance when ``A_i = (1 - Q_i Q_i')^(-1/2)``. Residuals that an estimator's own cohorts would fit away are not fitted away here.

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


class LinearRobust(NamedTuple):
    """``covariance (..., K, K)``, Satterthwaite ``df (..., K)`` under errors of equal variance, ``residual (..., I, T)``."""

    covariance: Array
    df: Array
    residual: Array


def orthonormal(columns: Array) -> Array:
    """Orthonormal basis ``(..., c, r)`` of the span of ``(..., c, p)``; directions of no length become zero."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(left * (size > 1e-10 * size[..., :1])[..., None, :])


def linear_robust(kind: str, weights: Array, y: Array, columns: Array) -> LinearRobust:
    """Variance of ``sum(weights * y)``.

    Parameters
    ----------
    kind : {"CR0", "CR1", "CR2", "CR3"}
    weights : (..., K, I, T)
        0 in cells that are not observed, as are `y` and `columns`.
    y : (..., I, T)
    columns : (..., p, I, T)
        The working model of the cell means: clusters, periods, and what is expected of the treatment.
    """
    clusters, periods = y.shape[-2:]
    basis = orthonormal(np.swapaxes(columns.reshape((*columns.shape[:-2], -1)), -1, -2))
    own = basis.reshape((*basis.shape[:-2], clusters, periods, -1))
    residual = y - (basis @ (basis.swapaxes(-1, -2) @ y.reshape((*y.shape[:-2], -1, 1)))).reshape(y.shape)
    bent = _corrected(kind, weights, own)
    pulls = (bent * residual[..., None, :, :]).sum(-1)
    informed = (np.abs(weights).sum((-3, -1)) > 0).sum(-1)[..., None, None]
    factor = informed / np.maximum(informed - 1, 1) if kind == "CR1" else 1.0
    return LinearRobust(factor * (pulls @ pulls.swapaxes(-1, -2)), _satterthwaite(bent, own), residual)


def _corrected(kind: str, weights: Array, own: Array) -> Array:
    """``A_i w_i``, ``(..., K, I, T)``; directions that the working model fits exactly are left out."""
    values, vectors = np.linalg.eigh(np.eye(own.shape[-2]) - own @ own.swapaxes(-1, -2))
    kept = values > ALONE
    h = np.where(kept, CORRECTIONS[kind](np.where(kept, values, 1.0)), 0.0)
    turn = (vectors * h[..., None, :]) @ vectors.swapaxes(-1, -2)
    return np.asarray((turn[..., None, :, :, :] @ weights[..., None])[..., 0])


def _satterthwaite(bent: Array, own: Array) -> Array:
    """``(tr G)^2 / tr(G^2)`` with ``G_ij = b_i' M_ij b_j``."""
    shadow = (own.swapaxes(-1, -2)[..., None, :, :, :] @ bent[..., None])[..., 0]
    gram = np.eye(bent.shape[-2]) * (bent**2).sum(-1)[..., None, :] - shadow @ shadow.swapaxes(-1, -2)
    trace = np.einsum("...ii->...", gram)
    return np.asarray(trace**2 / (gram**2).sum((-2, -1)))
