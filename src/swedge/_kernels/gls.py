"""Generalised least squares at a known covariance: variance and cell weights of a contrast, and Satterthwaite df from expected information.

References
----------
Hussey MA, Hughes JP (2007). Design and analysis of stepped wedge cluster randomized trials. Contemporary Clinical Trials 28, 182-191.
Giesbrecht FG, Burns JC (1985). Two-stage analysis based on a mixed model: large-sample asymptotic theory and small-sample simulation
results. Biometrics 41, 477-486.
"""

from __future__ import annotations

from collections.abc import Callable
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
    count, columns = len(directions), np.moveaxis(fit.rotated, -3, -1)
    moved = [fit.precision @ g for g in directions]
    turned = [g @ columns for g in directions]
    bent = [fit.precision @ turn for turn in turned]
    inner = [_flat(turn).swapaxes(-1, -2) @ _flat(columns) for turn in turned]
    free = _symmetric(count, lambda k, m: _known_means(moved, within, deviations, k, m))
    information = free - _symmetric(count, lambda k, m: _spent_on_means(turned, bent, inner, k, m))
    gradient = np.stack([(fit.weights * (g @ fit.weights[..., None])[..., 0]).sum((-2, -1)) for g in directions], -1)
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


def _symmetric(count: int, entry: Callable[[int, int], Array]) -> Array:
    """A symmetric matrix of its entries on and above the diagonal."""
    upper = {(k, m): entry(k, m) for k in range(count) for m in range(k, count)}
    rows = [np.stack([upper[min(k, m), max(k, m)] for m in range(count)], -1) for k in range(count)]
    return np.stack(rows, -2)


def _flat(columns: Array) -> Array:
    """Cells as rows: ``(..., I, T, p)`` to ``(..., I T, p)``."""
    return columns.reshape((*columns.shape[:-3], -1, columns.shape[-1]))


def _trace(a: Array, b: Array) -> Array:
    """Sum over clusters of ``tr(a b)``."""
    return np.asarray((a * b.swapaxes(-1, -2)).sum((-3, -2, -1)))


def _known_means(moved: list[Array], within: list[Array], deviations: Array, k: int, m: int) -> Array:
    """Half of ``tr(V^-1 G_k V^-1 G_m)`` over cells and deviations: the information if the means were known."""
    return np.asarray(_trace(moved[k], moved[m]) + _trace(deviations * within[k], within[m])) / 2


def _spent_on_means(turned: list[Array], bent: list[Array], inner: list[Array], k: int, m: int) -> Array:
    """What estimating the means takes away from it: half of ``tr(V^-1 G_k V^-1 G_m) - tr(P G_k P G_m)``."""
    once = (turned[k] * bent[m]).sum((-3, -2, -1))
    return np.asarray(once - (inner[k] * inner[m].swapaxes(-1, -2)).sum((-2, -1)) / 2)
