"""What each cell does to a least-squares or GLS fit at a given covariance: its weight, its pull, and what is left of it.

With ``P = H^-1 - H^-1 x M^-1 x' H^-1`` a cell's pull is ``q = (P y)_c``, of variance ``P_cc`` (in units of the residual variance). Then
``q / P_cc`` is the cell minus its prediction from all others, and ``w_c q / P_cc`` what the contrast of weights `w` loses without the cell.

References
----------
Cook RD, Weisberg S (1982). Residuals and Influence in Regression. Chapman and Hall.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import flat, inverse_factor

Array = NDArray[np.float64]

# A cell of which the fit leaves less than this share of its precision is fitted exactly.
SPENT = 1e-9


class Smooth(NamedTuple):
    """Weights ``(K, I, T)`` of cells in the contrasts, and ``P_cc (I, T)``: nan where the fit leaves nothing of a cell."""

    weights: Array
    precision: Array


def smooth(vx: Array, own: Array, root: Array, contrasts: Array) -> Smooth:
    """Weights and precisions, given ``H^-1 x (p, I, T)``, its diagonal ``own (I, T)``, ``root = L^-1`` and ``contrasts (K, p)``."""
    turned = root @ flat(vx)
    weights = ((contrasts @ root.T) @ turned).reshape((len(contrasts), *own.shape))
    left = own - (turned**2).sum(0).reshape(own.shape)
    return Smooth(weights, np.where(left > SPENT * own, left, np.nan))


class Generalised(NamedTuple):
    """A GLS fit of ``y (I, T)``: ``H^-1 x``, the diagonal of ``H^-1``, ``L^-1`` and the pull ``(I, T)`` of each cell."""

    vx: Array
    own: Array
    root: Array
    pull: Array


def generalised(x: Array, y: Array, covariance: Array, inner: Array, inner_y: Array) -> Generalised:
    """GLS of cell means with covariance ``(I, T, T)``; `inner` and `inner_y` are what deviations from cell means add to ``x' H^-1 (x, y)``.

    Columns ``x (p, I, T)`` and `y` are 0 in cells that are not observed, whose covariance is the identity.
    """
    precision = np.linalg.inv(covariance)
    vx = np.einsum("its,pis->pit", precision, x)
    root, _ = inverse_factor(flat(vx) @ flat(x).T + inner)
    beta = root.T @ (root @ (flat(vx) @ y.ravel() + inner_y))
    residual = y - np.einsum("p,pit->it", beta, x)
    seen = (x != 0).any(0)
    pull = np.where(seen, np.einsum("its,is->it", precision, residual), 0.0)
    return Generalised(vx, np.where(seen, np.einsum("itt->it", precision), 0.0), root, pull)
