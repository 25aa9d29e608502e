"""The wild cluster bootstrap from each cluster's cross-product and score alone.

A bootstrap sample multiplies the residuals of cluster `j` by a weight ``g_j``. With ``M = sum_i C_i``, scores ``s_j`` under the null and
``a = M^-1 c``, the bootstrap estimate lies ``sum_j g_j u_j``, ``u_j = a's_j``, away from the null, and cluster `i` pulls at its
cluster-robust variance by ``g_i u_i - sum_j (C_i a)' M^-1 s_j g_j``. So a sample costs as many operations as there are pairs of clusters,
whatever the number of individuals, cells and coefficients.

References
----------
Roodman D, MacKinnon JG, Nielsen MO, Webb MD (2019). Fast and wild: bootstrap inference in Stata using boottest. Stata Journal 19, 4-60.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A bootstrap variance this small beside its parts, as in `sandwich`, is rounding: that sample has no statistic.
CANCELLED = 1e-10
BLOCK_DOUBLES = 4_000_000

POINTS = {
    "rademacher": np.array([1.0, -1.0]),
    "webb": np.array([1.0, np.sqrt(1.5), np.sqrt(0.5), -1.0, -np.sqrt(1.5), -np.sqrt(0.5)]),
}


def every_weight(kind: str, clusters: int) -> Array:
    """Half of all weight vectors ``(B, I)``, the others being their mirror images: the first weight is positive. The first row is 1s.

    >>> every_weight("rademacher", 2)
    array([[ 1.,  1.],
           [ 1., -1.]])
    """
    points = POINTS[kind]
    positive = points[: len(points) // 2]
    return np.array(list(itertools.product(positive, *[points] * (clusters - 1))))


def random_weights(kind: str, clusters: int, draws: int, rng: np.random.Generator) -> Array:
    """Sampled weight vectors ``(B, I)``, all points equally likely."""
    return rng.choice(POINTS[kind], size=(draws, clusters))


class Pulls(NamedTuple):
    """What a sample is made of, ``(R, ...)``: ``u (R, I)``, ``spread (R, I, I)``, and the square of all that can cancel, ``(R,)``.

    A sample with weights `g` has the estimate ``u @ g`` and the squares ``|spread @ g|^2``.
    """

    u: Array
    spread: Array
    size: Array


def pulls_of(root: Array, crossed: Array, scores: Array, contrast: Array) -> Pulls:
    """Boil clusters down; leading axes broadcast.

    Parameters
    ----------
    root : (R, p, p)
        ``L^-1`` of ``M = LL'``.
    crossed : (R, I, p, p)
        ``C_i``.
    scores : (R, I, p)
        ``s_i`` under the null hypothesis, or at the estimate.
    contrast : (p,)
    """
    direction = root @ contrast
    along = (root.swapaxes(-1, -2) @ direction[..., None])[..., 0]
    bent = (crossed @ along[..., None, :, None])[..., 0] @ root.swapaxes(-1, -2)
    rotated = scores @ root.swapaxes(-1, -2)
    u = (scores @ along[..., None])[..., 0]
    spread = np.eye(u.shape[-1]) * u[..., None] - bent @ rotated.swapaxes(-1, -2)
    return Pulls(u, spread, (direction**2).sum(-1) * (rotated**2).sum((-2, -1)))


def under_null(root: Array, crossed: Array, scores: Array, contrast: Array, distance: Array) -> Array:
    """Scores ``(R, I, p)`` of a linear regression when ``contrast @ beta`` is held `distance` ``(R,)`` below its estimate."""
    direction = root @ contrast
    along = (root.swapaxes(-1, -2) @ direction[..., None])[..., 0]
    step = distance / (direction**2).sum(-1)
    return np.asarray(scores + (crossed @ along[..., None, :, None])[..., 0] * step[..., None, None])


def bootstrap_errors(pulls: Pulls, weights: Array) -> Array:
    """CR0 standard errors ``(B, R)`` of the estimates of samples with weights ``(B, I)``; nan where only rounding is left."""
    step = max(1, BLOCK_DOUBLES // weights.size)
    blocks = [pulls.spread[i : i + step] for i in range(0, len(pulls.u), step)]
    squares = np.concatenate([((spread @ weights.T) ** 2).sum(-2) for spread in blocks]).T
    return np.asarray(np.sqrt(np.where(squares > CANCELLED**2 * pulls.size, squares, np.nan)))
