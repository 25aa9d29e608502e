"""Generalised least squares at a known covariance: variance and cell weights of a contrast, and Satterthwaite df from expected information.

References
----------
Hussey MA, Hughes JP (2007). Design and analysis of stepped wedge cluster randomized trials. Contemporary Clinical Trials 28, 182-191.
Giesbrecht FG, Burns JC (1985). Two-stage analysis based on a mixed model: large-sample asymptotic theory and small-sample simulation
results. Biometrics 41, 477-486.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import inverse_factor

Array = NDArray[np.float64]

# A combination of variance parameters with less than this share of its information left, once means are estimated, cannot be estimated.
BLIND = 1e-10

# A cell mean that keeps less than this share of its variance once the cluster's other cells are known repeats them.
SINGULAR = 1e-14


class GLS(NamedTuple):
    """``variance (...)`` and cell ``weights (..., I, T)`` of one contrast; the pieces are reused for its df.

    `definite` says whether the contrast is identified, `sound` whether each cluster's covariance ``(..., I)`` has an inverse.
    """

    variance: Array
    weights: Array
    precision: Array
    rotated: Array
    definite: NDArray[np.bool_]
    sound: NDArray[np.bool_]


def generalised_least_squares(x: Array, covariance: Array, seen: NDArray[np.bool_], contrast: Array) -> GLS:
    """Weigh cells for ``contrast @ beta``.

    Parameters
    ----------
    x : (..., p, I, T)
    covariance : (..., I, T, T)
        Of the cell means.
    seen : (..., I, T)
        Cells that are observed.
    contrast : (p,)
    """
    masked = _masked(covariance, seen)
    precision, sound = _inverse(masked)
    precision = precision * _both(seen)
    vx = np.einsum("...its,...pis->...pit", precision, x, optimize=True)
    flat = (*vx.shape[:-2], -1)
    root, definite = inverse_factor(vx.reshape(flat) @ (x * seen[..., None, :, :]).reshape((*x.shape[:-2], -1)).swapaxes(-1, -2))
    rotated = (root @ vx.reshape(flat)).reshape(np.broadcast_shapes(vx.shape, (*root.shape[:-1], 1, 1)))
    half = root @ contrast
    weights = np.einsum("...p,...pit->...it", half, rotated)
    variance = np.where(definite, (half**2).sum(-1), np.nan)
    return GLS(variance, weights, precision, rotated, definite, sound)


def _both(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return seen[..., :, None] & seen[..., None, :]


def _inverse(covariance: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Inverses of a stack of covariances, and whether each entry keeps a share of its variance once the others are known."""
    try:
        inverse = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        inverse = np.full_like(covariance, np.nan)
    kept = 1 / (np.einsum("...tt->...t", covariance) * np.einsum("...tt->...t", inverse))
    return inverse, np.asarray((kept > SINGULAR).all(-1))


def _masked(covariance: Array, seen: NDArray[np.bool_]) -> Array:
    """The covariance with the identity in place of cells that are not observed."""
    return np.where(_both(seen), covariance, np.eye(covariance.shape[-1]))


def satterthwaite(fit: GLS, directions: list[Array], within: list[Array], deviations: Array) -> Array:
    """``2 v^2 / (g' W g)``, `W` the inverse expected (restricted) information; 0 where `v` rests on a parameter that cannot be estimated.

    Parameters
    ----------
    directions : list of (..., I, T, T)
        Derivative of the covariance of cell means in each parameter.
    within : list of (..., I, T, T)
        ``S^-1 dS`` in each parameter, `S` the covariance of one individual's outcomes given the cluster.
    deviations : (..., I, T, T)
        How many independent deviations from cell means carry each pair of entries of `S`.
    """
    moved = [fit.precision @ g for g in directions]
    turned = [np.einsum("...its,...pis->...pit", g, fit.rotated, optimize=True) for g in directions]
    pairs = [[_known_means(moved, within, deviations, k, m) for m in range(len(directions))] for k in range(len(directions))]
    free = np.stack([np.stack(row, -1) for row in pairs], -2)
    spent = [[_spent_on_means(fit, turned, k, m) for m in range(len(directions))] for k in range(len(directions))]
    information = free - np.stack([np.stack(row, -1) for row in spent], -2)
    gradient = np.stack([np.einsum("...it,...its,...is->...", fit.weights, g, fit.weights, optimize=True) for g in directions], -1)
    size = np.sqrt(np.einsum("...kk->...k", free))
    return _df(fit.variance, information, gradient, np.divide(1.0, size, out=np.zeros_like(size), where=size > 0))


def _df(variance: Array, information: Array, gradient: Array, scale: Array) -> Array:
    """Satterthwaite's ratio, parameters scaled so that each carries information 1 when the means are known."""
    values, vectors = np.linalg.eigh(information * scale[..., :, None] * scale[..., None, :])
    along = np.einsum("...k,...kj->...j", gradient * scale, vectors) ** 2
    estimable = values > BLIND
    needed = np.where(estimable, along / np.where(estimable, values, 1.0), 0.0).sum(-1)
    lost = np.where(estimable, 0.0, along).sum(-1) > BLIND * along.sum(-1)
    return np.asarray(np.where(lost, 0.0, np.divide(2 * variance**2, needed, out=np.full_like(needed, np.inf), where=needed > 0)))


def _known_means(moved: list[Array], within: list[Array], deviations: Array, k: int, m: int) -> Array:
    """Half of ``tr(V^-1 G_k V^-1 G_m)`` over cells and deviations: the information if the means were known."""
    whole = np.einsum("...its,...ist->...", moved[k], moved[m], optimize=True)
    return np.asarray(whole + (deviations * within[k] * within[m].swapaxes(-1, -2)).sum((-3, -2, -1))) / 2


def _spent_on_means(fit: GLS, turned: list[Array], k: int, m: int) -> Array:
    """What estimating the means takes away from it: half of ``tr(V^-1 G_k V^-1 G_m) - tr(P G_k P G_m)``."""
    once = np.einsum("...pit,...its,...pis->...", turned[k], fit.precision, turned[m], optimize=True)
    inner = [np.einsum("...pit,...qit->...pq", turn, fit.rotated, optimize=True) for turn in (turned[k], turned[m])]
    return np.asarray(once - (inner[0] * inner[1].swapaxes(-1, -2)).sum((-2, -1)) / 2)
