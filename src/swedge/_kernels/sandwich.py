"""Cluster-robust variances and Satterthwaite degrees of freedom from each cluster's cross-products alone.

On rows scaled by the square root of their working weights, with ``M = sum_i C_i = L L'`` and ``K_i = L^-1 C_i L^-T``, the corrected score
of cluster `i` is ``L h(K_i) L^-1 s_i`` with ``h(x) = 1`` for CR0, ``(1 - x)^(-1/2)`` for CR2 and ``1 / (1 - x)`` for CR3, the
Moore-Penrose inverse being taken where ``x = 1`` (a coefficient that only this cluster informs, such as its own intercept). Only matrices
of the size of the coefficient vector occur, so rows, cells and covariate patterns give the same answer.

References
----------
Bell RM, McCaffrey DF (2002). Bias reduction in standard errors for linear regression with multi-stage samples. Survey Methodology 28,
169-181. Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed
effects models. Journal of Business and Economic Statistics 36, 672-683.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# An eigenvalue of K_i this close to 1 is 1: the cluster alone informs that direction.
ALONE = 1e-9

# Contributions of clusters this small beside their scores are rounding: two clusters, say, whose residuals mirror each other.
CANCELLED = 1e-10

CORRECTIONS: dict[str, Callable[[Array], Array]] = {
    "CR0": np.ones_like,
    "CR1": np.ones_like,
    "CR2": lambda left: left**-0.5,
    "CR3": lambda left: 1 / left,
}


class Robust(NamedTuple):
    """``covariance (..., K, K)`` of the contrasts, their Satterthwaite ``df (..., K)``, and the share that single clusters fit exactly.

    `alone` is the squared length of a contrast along directions that one cluster alone informs, over its whole squared length. Residuals
    there are zero by the normal equations, so that no cluster-robust variance sees that part of the estimate's error.
    """

    covariance: Array
    df: Array
    alone: Array


def cluster_robust(kind: str, root: Array, crossed: Array, scores: Array, contrasts: Array) -> Robust:
    """Covariance and df of ``contrasts @ beta``; a contrast of whose variance only rounding is left has variance 0.

    Parameters
    ----------
    kind : {"CR0", "CR1", "CR2", "CR3"}
    root : (..., p, p)
        ``L^-1``.
    crossed : (..., I, p, p)
        ``C_i = X_i' W_i X_i``.
    scores : (..., I, p)
        ``s_i = X_i' W_i e_i``, `e` the working residual.
    contrasts : (K, p) or (..., K, p)
    """
    standard = root[..., None, :, :] @ crossed @ root.swapaxes(-1, -2)[..., None, :, :]
    values, vectors = np.linalg.eigh(standard)
    directions = contrasts @ root.swapaxes(-1, -2)
    projected = (vectors.swapaxes(-1, -2) @ directions.swapaxes(-1, -2)[..., None, :, :]).swapaxes(-1, -2)
    rotated = (vectors.swapaxes(-1, -2) @ (root[..., None, :, :] @ scores[..., None]))[..., 0]
    left = 1 - values
    kept = left > ALONE if kind in ("CR2", "CR3") else np.ones_like(left, dtype=bool)
    h = np.where(kept, CORRECTIONS[kind](np.where(kept, np.maximum(left, ALONE), 1.0)), 0.0)
    pulls = (projected * (h * rotated)[..., None, :]).sum(-1)
    informed = (np.einsum("...ipp->...i", crossed) > 0).sum(-1)[..., None]
    factor = informed / np.maximum(informed - 1, 1) if kind == "CR1" else np.ones_like(informed, dtype=float)
    alone = ((projected**2) * (left <= ALONE)[..., None, :]).sum((-3, -1)) / (directions**2).sum(-1)
    size = (directions**2).sum(-1) * (rotated**2).sum((-2, -1))[..., None]
    real = (pulls**2).sum(-2) > CANCELLED**2 * size
    covariance = factor[..., None] * (pulls.swapaxes(-1, -2) @ pulls) * (real[..., :, None] & real[..., None, :])
    return Robust(covariance, _satterthwaite(h, values, left, projected, vectors), alone)


def _satterthwaite(h: Array, values: Array, left: Array, projected: Array, vectors: Array) -> Array:
    """``(tr G)^2 / tr(G^2)`` with ``G_ij = delta_ij u'h^2 K(1-K)u + delta_ij b_i'b_i - b_i'b_j``, ``b_i = h(K_i) K_i u``."""
    own = ((h**2 * values)[..., None, :] * projected**2).sum(-1)
    bent = (vectors[..., None, :, :] @ ((h * values)[..., None, :] * projected)[..., None])[..., 0]
    bent = bent.swapaxes(-3, -2)
    gram = np.eye(own.shape[-2]) * own.swapaxes(-1, -2)[..., None, :] - bent @ bent.swapaxes(-1, -2)
    trace = np.einsum("...ii->...", gram)
    return np.asarray(trace**2 / (gram**2).sum((-2, -1)))
