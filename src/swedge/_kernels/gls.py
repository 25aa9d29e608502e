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


class GLS(NamedTuple):
    """``variance (...)`` and cell ``weights (..., I, T)`` of one contrast; the pieces are reused for its df."""

    variance: Array
    weights: Array
    precision: Array
    rotated: Array
    definite: NDArray[np.bool_]


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
    precision = np.asarray(np.linalg.inv(_masked(covariance, seen)), dtype=np.float64) * _both(seen)
    vx = np.einsum("...its,...pis->...pit", precision, x, optimize=True)
    flat = (*vx.shape[:-2], -1)
    root, definite = inverse_factor(vx.reshape(flat) @ (x * seen[..., None, :, :]).reshape((*x.shape[:-2], -1)).swapaxes(-1, -2))
    rotated = (root @ vx.reshape(flat)).reshape(np.broadcast_shapes(vx.shape, (*root.shape[:-1], 1, 1)))
    half = root @ contrast
    weights = np.einsum("...p,...pit->...it", half, rotated)
    variance = np.where(definite, (half**2).sum(-1), np.nan)
    return GLS(variance, weights, precision, rotated, definite)


def _both(seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return seen[..., :, None] & seen[..., None, :]


def _masked(covariance: Array, seen: NDArray[np.bool_]) -> Array:
    """The covariance with the identity in place of cells that are not observed."""
    return np.where(_both(seen), covariance, np.eye(covariance.shape[-1]))


def satterthwaite(fit: GLS, directions: list[Array], within: list[Array], deviations: Array) -> Array:
    """``2 v^2 / (g' W g)``, `W` the inverse expected (restricted) information.

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
    count = len(directions)
    information = np.stack(
        [np.stack([_information(fit, moved, turned, within, deviations, k, m) for m in range(count)], -1) for k in range(count)], -2
    )
    gradient = np.stack([np.einsum("...it,...its,...is->...", fit.weights, g, fit.weights, optimize=True) for g in directions], -1)
    covariance = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
    spent = np.einsum("...k,...km,...m->...", gradient, covariance, gradient)
    return np.asarray(np.where(spent > 0, 2 * fit.variance**2 / np.where(spent > 0, spent, 1.0), np.inf))


def _information(fit: GLS, moved: list[Array], turned: list[Array], within: list[Array], deviations: Array, k: int, m: int) -> Array:
    """Half of ``tr(P G_k P G_m)`` over cells and deviations."""
    whole = np.einsum("...its,...ist->...", moved[k], moved[m], optimize=True)
    once = np.einsum("...pit,...its,...pis->...", turned[k], fit.precision, turned[m], optimize=True)
    inner = [np.einsum("...pit,...qit->...pq", turn, fit.rotated, optimize=True) for turn in (turned[k], turned[m])]
    twice = (inner[0] * inner[1].swapaxes(-1, -2)).sum((-2, -1))
    inside = (deviations * within[k] * within[m].swapaxes(-1, -2)).sum((-3, -2, -1))
    return np.asarray((whole - 2 * once + twice + inside) / 2)
