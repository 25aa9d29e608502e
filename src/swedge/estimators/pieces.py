"""A regression on cluster and period effects boiled down to what its variances are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.glm import SlotFit, SlotModel, fit_slots, slot_model
from swedge._kernels.least_squares import fit_cells
from swedge._kernels.linalg import stacked
from swedge.errors import DataError, Status
from swedge.estimators.columns import covariate_means, slots, stack_columns
from swedge.trial import Trial

Array = NDArray[np.float64]


class Pieces(NamedTuple):
    """Coefficients, ``L^-1``, clusters' cross-products and scores; residual variance of the model and of the cells, with their df."""

    beta: Array
    root: Array
    crossed: Array
    scores: Array
    dispersion: Array
    dispersion_df: Array
    excess: Array
    excess_df: Array
    status: NDArray[np.int8]


def cell_freedom(trial: Trial, columns: Array) -> Array:
    """Cells with data minus coefficients that cells inform, ``(R,)``."""
    cells = (trial.n > 0).sum((-2, -1)).astype(float)
    return np.broadcast_to(cells - columns.shape[-3], trial.shape).ravel()


def full(array: Array, trial: Trial, tail: int) -> Array:
    """One row a replicate, ``(R, ...)``, `tail` axes belonging to one."""
    rows = stacked(array, trial.shape, tail)
    return np.broadcast_to(rows, (int(np.prod(trial.shape)), *rows.shape[1:]))


def gaussian_pieces(trial: Trial, columns: Array, robust: bool) -> Pieces:
    """Least squares from cells and scatter. Without scatter every cell mean is one observation weighted by its count."""
    x = stack_columns(columns, covariate_means(trial)) if trial.covariates else columns
    inner, inner_y, inner_yy = cluster_scatter(trial, x.shape[-3], robust)
    n = full(trial.n, trial, 2)
    y = np.where(n > 0, full(trial.outcome, trial, 2), 0.0)
    centre = ((n * y).sum((-2, -1)) / n.sum((-2, -1)))[:, None, None]
    fit = fit_cells(full(x, trial, 3) * (n > 0)[:, None], n, np.where(n > 0, y - centre, 0.0), inner, inner_y)
    within = inner_yy - 2 * (fit.beta * inner_y.sum(-2)).sum(-1) + (fit.beta * (inner.sum(-3) @ fit.beta[..., None])[..., 0]).sum(-1)
    status = fit.status(n, y, inner_yy, robust and not trial.covariates)
    cells = cell_freedom(trial, columns)
    alone = trial.cells.within is None
    freedom = cells if alone else n.sum((-2, -1)) - x.shape[-3]
    dispersion = (fit.squares + within) / freedom
    return Pieces(fit.beta, fit.root, fit.crossed, fit.scores, dispersion, freedom, fit.squares / cells, cells, status)


def cluster_scatter(trial: Trial, p: int, robust: bool) -> tuple[Array, Array, Array]:
    """Scatter of covariates ``(R, C, p, p)``, with the outcome ``(R, C, p)``, and of the outcome ``(R,)``."""
    q, within = len(trial.covariates), trial.cells.within
    if within is None:
        within = np.zeros((1, q + 1, q + 1))
    if q and robust and within.shape[-3] == 1 < len(trial.clusters):
        raise DataError(
            "A cluster-robust variance with individual covariates needs each cluster's scatter, and within= holds none, or only the pooled"
            " one. Pass one matrix a cluster, or build the trial from rows."
        )
    within = stacked(within, trial.shape, 3)
    inner, inner_y = np.zeros((*within.shape[:2], p, p)), np.zeros((*within.shape[:2], p))
    inner[..., p - q :, p - q :], inner_y[..., p - q :] = within[..., 1:, 1:], within[..., 1:, 0]
    return inner, inner_y, within[..., 0, 0].sum(-1)


def glm_pieces(trial: Trial, columns: Array, robust: bool) -> Pieces:
    """Block after block of the stack fitted and boiled down, so that no block's columns outlive it."""
    parts = slots(trial, columns)
    model = slot_model(parts.y, parts.x, parts.n, parts.offset, trial.maths, trial.shape)
    rows = [_glm_block(trial, block, robust) for block in model.blocks()]
    beta, root, crossed, scores, pearson = (np.concatenate([row[j] for row in rows]) for j in range(5))
    status = np.concatenate([row.status for row in rows])
    freedom = cell_freedom(trial, columns)
    excess = pearson / np.where(freedom > 0, freedom, np.nan)
    # A share's variance is known up to a factor, which cells alone tell: nothing says that it is at least 1.
    dispersion = excess if trial.family == "fractional" else np.ones(len(beta))
    status = np.where(no_variation(model), Status.NO_VARIATION, status).astype(np.int8)
    return Pieces(beta, root, crossed, scores, dispersion, freedom, excess, freedom, status)


class _Block(NamedTuple):
    beta: Array
    root: Array
    crossed: Array
    scores: Array
    pearson: Array
    status: NDArray[np.int8]


def _glm_block(trial: Trial, model: SlotModel, robust: bool) -> _Block:
    fit = fit_slots(model)
    none = np.zeros((model.size, 1, 1, 1))
    crossed, scores = cluster_sums(model, fit) if robust else (none, none[..., 0])
    return _Block(fit.beta, fit.root, crossed, scores, _pearson(trial, model, fit), fit.status)


def cluster_sums(model: SlotModel, fit: SlotFit) -> tuple[Array, Array]:
    """Each cluster's cross-product ``(R, I, p, p)`` and score ``(R, I, p)``; one cluster at a time, to stay small."""
    residual = model.n * (model.y - fit.mu)
    crossed, scores = [], []
    for i in range(residual.shape[-2]):
        x = model.x[:, :, i]
        crossed.append((x * fit.w[:, None, i]) @ x.swapaxes(-1, -2))
        scores.append((x @ residual[:, i, :, None])[..., 0])
    return np.stack(crossed, -3), np.stack(scores, -2)


def _pearson(trial: Trial, model: SlotModel, fit: SlotFit) -> Array:
    """Pearson chi-square of the cells: slots are added up to cells first."""
    residual, expected = model.n * (model.y - fit.mu), fit.w
    if trial.patterns is not None:
        residual, expected = trial.patterns.gather(residual), trial.patterns.gather(expected)
    return np.asarray(np.divide(residual**2, expected, out=np.zeros_like(residual), where=expected > 0).sum((-2, -1)))


def no_variation(model: SlotModel) -> NDArray[np.bool_]:
    """Whether every outcome of a replicate is the least or the greatest possible."""
    seen = model.n > 0
    lowest = ((model.y == 0) | ~seen).all((-2, -1))
    highest = ((model.y == 1) | ~seen).all((-2, -1)) if model.family.name in ("binomial", "fractional") else np.zeros_like(lowest)
    return np.broadcast_to(lowest | highest, (model.size,))
