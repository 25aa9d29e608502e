"""Cluster-robust variances of contrasts in a Gaussian mixed model, at the estimated covariance.

With ``V = sigma2 H`` the working covariance, a cluster's cross-products and scores are ``C_i = x_i' H_i^-1 x_i`` and
``s_i = x_i' H_i^-1 e_i``, those of rows whitened by any root of ``H_i^-1``: roots differ by a rotation, which leaves both alone.
Individuals enter through cell means and through each cluster's scatter inside its cells.

References
----------
Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. Biometrika 73, 13-22.
Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects
models. Journal of Business and Economic Statistics 36, 672-683.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.blocks import BlockModel
from swedge._kernels.linalg import rows
from swedge._kernels.reml import CellModel, residuals
from swedge._kernels.sandwich import Robust, cluster_robust

Array = NDArray[np.float64]
Sums = tuple[Array, Array]


class _Summed(NamedTuple):
    """Coefficients ``(R, p)``, ``L^-1 (R, p, p)``, cross-products ``(R, I, p, p)`` and scores ``(R, I, p)`` of the cell means."""

    beta: Array
    root: Array
    crossed: Array
    scores: Array


def robust_mixed(kind: str, model: CellModel | BlockModel, point: Array, clusters: int, scatter: Sums, contrasts: Array) -> Robust:
    """Covariance and Satterthwaite df of ``contrasts (C, p)`` at parameters ``point (R, K)``.

    Parameters
    ----------
    kind : {"CR0", "CR1", "CR2", "CR3"}
    model
        Blocks after the first `clusters` are deviations inside clusters, as many for each.
    scatter
        Of covariates inside each cluster's cells ``(R, I, p, p)``, and with the outcome ``(R, I, p)``.
    """
    parts = [
        _piece(kind, model.take(piece), point[piece], clusters, (rows(scatter[0], piece), rows(scatter[1], piece)), contrasts)
        for piece in model.pieces()
    ]
    return Robust(*(np.concatenate(found) for found in zip(*parts, strict=True)))


def _piece(kind: str, model: CellModel | BlockModel, point: Array, clusters: int, scatter: Sums, contrasts: Array) -> Robust:
    found = _cell_sums(model, point) if isinstance(model, CellModel) else _block_sums(model, point, clusters)
    inner, inner_y = scatter
    within = inner_y - (inner @ found.beta[:, None, :, None])[..., 0]
    return cluster_robust(kind, found.root, found.crossed + inner, found.scores + within, contrasts)


def _cell_sums(model: CellModel, point: Array) -> _Summed:
    at = model.evaluate(point)
    x = np.broadcast_to(model.x, at.vx.shape)
    crossed = np.moveaxis(at.vx, -2, -3) @ np.moveaxis(x, -2, -3).swapaxes(-1, -2)
    return _Summed(at.beta, at.root, crossed, np.einsum("rpit,rit->rip", x, residuals(model, at)))


def _block_sums(model: BlockModel, point: Array, clusters: int) -> _Summed:
    """The same of blocks, those of deviations added to their clusters'."""
    at = model.evaluate(point)
    whitened = np.moveaxis((at.inverse[:, None] @ model.x[..., None])[..., 0], -2, -3)
    scores = (whitened @ at.q[..., None])[..., 0]
    return _Summed(at.beta, at.root, _folded(whitened @ whitened.swapaxes(-1, -2), clusters), _folded(scores, clusters))


def _folded(blocks: Array, clusters: int) -> Array:
    """``(R, I + I k, ...)`` to ``(R, I, ...)``: a cluster's own block, and the `k` of its deviations."""
    own, more = blocks[:, :clusters], blocks[:, clusters:]
    return np.asarray(own + more.reshape((len(blocks), clusters, -1, *blocks.shape[2:])).sum(2))
