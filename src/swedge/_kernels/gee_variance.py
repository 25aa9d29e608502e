"""Variances of a marginal model with few clusters, and their Satterthwaite degrees of freedom, from each cluster's cross-product and score.

With ``M = sum_i C_i = L L'``, ``K_i = L^-1 C_i L^-T``, ``z_i = L^-1 s_i`` and ``u = L^-1 c``, every variance of ``c' beta`` is
``sum_i (a_i' z_i)(b_i' z_i)``: robust ``a = b = u``; MD ``a = b = (I - K_i)^-1 u``; KC ``a = (I - K_i)^-1 u, b = u``; CR2
``a = b = (I - K_i)^(-1/2) u``; FG ``a = b = L' F_i L^-T u`` with `F_i` diagonal, ``(1 - min(.75, (C_i M^-1)_jj))^(-1/2)``. Moore-Penrose
inverses are taken where an eigenvalue of `K_i` is 1. As ``(I - H_i)^-1`` of the residuals becomes ``(I - K_i)^-1`` of the scores, leverages
of individuals never occur.

References
----------
Kauermann G, Carroll RJ (2001). A note on the efficiency of sandwich covariance matrix estimation. JASA 96, 1387-1396.
Mancl LA, DeRouen TA (2001). A covariance estimator for GEE with improved small-sample properties. Biometrics 57, 126-134.
Fay MP, Graubard BI (2001). Small-sample adjustments for Wald-type tests using sandwich estimators. Biometrics 57, 1198-1206.
Morel JG, Bokossa MC, Neerchal NK (2003). Small sample correction for the variance of GEE estimators. Biometrical Journal 45, 395-409.
Preisser JS, Lu B, Qaqish BF (2008). Finite sample adjustments in estimating equations and covariance estimators for intracluster
correlations. Statistics in Medicine 27, 5764-5785.
Ford WP, Westgate PM (2017). Improved standard error estimator for maintaining the validity of inference in cluster randomized trials with
a small number of clusters. Biometrical Journal 59, 478-495.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.sandwich import ALONE, CANCELLED

Array = NDArray[np.float64]

# Fay and Graubard's bound on a leverage; Morel, Bokossa and Neerchal's bounds on their share and on the design effect.
BOUND, MOST, LEAST = 0.75, 0.5, 1.0

QUADRATIC = ("KC", "MD", "FG", "CR2", "robust")


class Variance(NamedTuple):
    """``covariance (R, K, K)`` of the contrasts and their Satterthwaite ``df (R, K)``, nan where there are none.

    `alone (R, K)` is the share of a contrast that single clusters fit exactly, which no variance made of residuals sees.
    """

    covariance: Array
    df: Array
    alone: Array


class _Rotated(NamedTuple):
    """Clusters' matrices `K_i` in their eigenvectors, whitened scores ``z (R, I, p)``, and whitened contrasts ``u (R, K, p)``."""

    values: Array
    vectors: Array
    z: Array
    u: Array


def gee_variance(
    kind: str, root: Array, crossed: Array, scores: Array, contrasts: Array, dispersion: Array, individuals: Array
) -> Variance:
    """Covariance of ``contrasts @ beta``.

    Parameters
    ----------
    kind : {"KC", "MD", "FG", "CR2", "robust", "MBN", "AVG", "model"}
    root, crossed, scores : (R, p, p), (R, I, p, p), (R, I, p)
        ``L^-1``, ``C_i`` and ``s_i``, at dispersion 1.
    contrasts : (K, p) or (R, K, p)
    dispersion, individuals : (R,)
    """
    standard = root[:, None] @ crossed @ root.swapaxes(-1, -2)[:, None]
    values, vectors = np.linalg.eigh(standard)
    z = (root[:, None] @ scores[..., None])[..., 0]
    rotated = _Rotated(values, vectors, z, contrasts @ root.swapaxes(-1, -2))
    df = np.full(rotated.u.shape[:-1], np.nan)
    if kind in QUADRATIC:
        covariance, df = _sandwich(kind, rotated, root, crossed)
    elif kind == "AVG":
        covariance = _average(*(_sandwich(one, rotated, root, crossed)[0] for one in ("KC", "MD")))
    else:
        model = dispersion[:, None, None] * (rotated.u @ rotated.u.swapaxes(-1, -2))
        covariance = model if kind == "model" else _morel(rotated, model, dispersion, individuals)
    alone = _alone(rotated)
    return Variance(covariance, df, 0 * alone if kind == "model" else alone)


def _alone(rotated: _Rotated) -> Array:
    """The share of each contrast along directions that one cluster alone informs, ``(R, K)``."""
    along = (rotated.u[:, None] @ rotated.vectors) ** 2
    return np.asarray((along * (rotated.values >= 1 - ALONE)[:, :, None]).sum((-3, -1)) / (rotated.u**2).sum(-1))


def _sandwich(kind: str, rotated: _Rotated, root: Array, crossed: Array) -> tuple[Array, Array]:
    """Covariance and Satterthwaite df of a variance that is a sum of products of scores; what is only rounding is 0."""
    left, right = _sides(kind, rotated, root, crossed)
    a, b = (left @ rotated.z[..., None])[..., 0], (right @ rotated.z[..., None])[..., 0]
    covariance = a.swapaxes(-1, -2) @ b
    size = (left**2).sum(-1) * (rotated.z**2).sum(-1)[..., None]
    real = np.abs(np.einsum("rkk->rk", covariance)) > CANCELLED**2 * size.sum(-2)
    covariance = (covariance + covariance.swapaxes(-1, -2)) / 2 * (real[:, :, None] & real[:, None])
    return covariance, _satterthwaite(rotated, left, right)


def _sides(kind: str, rotated: _Rotated, root: Array, crossed: Array) -> tuple[Array, Array]:
    """``a_i`` and ``b_i`` of every contrast, ``(R, I, K, p)``."""
    plain = np.broadcast_to(rotated.u[:, None], (*rotated.z.shape[:2], *rotated.u.shape[1:]))
    if kind == "robust":
        return plain, plain
    if kind == "FG":
        leverage = np.einsum("ripq,rqp->rip", crossed, root.swapaxes(-1, -2) @ root)
        factor = (1 - np.minimum(BOUND, leverage)) ** -0.5
        bent = ((rotated.u @ root)[:, None] * factor[:, :, None]) @ np.linalg.inv(root)[:, None]
        return bent, bent
    power = -0.5 if kind == "CR2" else -1.0
    left = 1 - rotated.values
    kept = left > ALONE
    h = np.where(kept, np.where(kept, left, 1.0) ** power, 0.0)
    bent = ((plain @ rotated.vectors) * h[:, :, None]) @ rotated.vectors.swapaxes(-1, -2)
    return bent, plain if kind == "KC" else bent


def _satterthwaite(rotated: _Rotated, left: Array, right: Array) -> Array:
    """``(tr A)^2 / tr(A^2)`` of the quadratic form in scores of covariance ``delta_ij K_i - K_i K_j``, the model being true."""
    gram = {}
    for name, one, other in (("aa", left, left), ("bb", right, right), ("ab", left, right)):
        first, second = (_turned(rotated, side) for side in (one, other))
        own = (one * second).sum(-1)
        gram[name] = np.eye(own.shape[1]) * own.swapaxes(-1, -2)[..., None] - first.swapaxes(1, 2) @ second.swapaxes(1, 2).swapaxes(-1, -2)
    trace = np.einsum("rkii->rk", gram["ab"])
    square = (gram["aa"] * gram["bb"] + gram["ab"] * gram["ab"].swapaxes(-1, -2)).sum((-2, -1)) / 2
    return np.asarray(trace**2 / square)


def _turned(rotated: _Rotated, side: Array) -> Array:
    """``K_i a_i``, ``(R, I, K, p)``."""
    return np.asarray(((side @ rotated.vectors) * rotated.values[:, :, None]) @ rotated.vectors.swapaxes(-1, -2))


def _morel(rotated: _Rotated, model: Array, dispersion: Array, individuals: Array) -> Array:
    """The robust covariance with a factor, plus a share of the model's: at most one half, times a design effect of at least one."""
    clusters = (rotated.values[..., -1] > 0).sum(-1).astype(float)
    p = rotated.z.shape[-1]
    scores = (rotated.u[:, None] @ rotated.z[..., None])[..., 0]
    factor = (individuals - 1) / (individuals - p) * clusters / (clusters - 1)
    share = np.where(clusters > 3 * p, p / np.where(clusters > p, clusters - p, 1.0), MOST)
    rank = np.where(clusters >= p, p, clusters - 1)  # the scores add up to 0
    effect = np.maximum(LEAST, (rotated.z**2).sum((-2, -1)) / dispersion / rank)
    robust = scores.swapaxes(-1, -2) @ scores
    return np.asarray(factor[:, None, None] * robust + (share * effect)[:, None, None] * model)


def _average(one: Array, other: Array) -> Array:
    """The covariance whose standard errors are the averages of two; its correlations are those of the averaged covariances."""
    first, second = (np.sqrt(np.einsum("rkk->rk", m)) for m in (one, other))
    mean = (one + other) / 2
    scale = (first + second) / 2 / np.sqrt(np.einsum("rkk->rk", mean))
    return np.asarray(mean * scale[:, :, None] * scale[:, None])
