"""The linear mixed model, exactly from cells and the scatter inside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.least_squares import varies
from swedge._kernels.reml import CellModel, cell_model
from swedge._kernels.reml_inference import MixedFit, fit_mixed
from swedge.assumptions import Correlation
from swedge.errors import DataError, Status
from swedge.estimators.columns import Effects, covariate_means, padded, period_columns, stack_columns
from swedge.estimators.found import Found
from swedge.estimators.pieces import cell_freedom, full
from swedge.trial import Trial

Array = NDArray[np.float64]

VANISHED = 1e-10


def fit_gaussian(trial: Trial, parts: Effects, correlation: Correlation, reml: bool, df: str) -> Found:
    """Maximise the (restricted) likelihood of each replicate."""
    nested = "cluster_period" in correlation.components
    model, before = _cell_model(trial, parts, nested, reml)
    fit = fit_mixed(model, padded(parts.contrasts, before, len(trial.covariates)), df)
    variances = dict(zip(("residual", "cluster", "cluster_period"), fit.variances.T, strict=False))
    moves = varies(full(trial.n, trial, 2), full(trial.outcome, trial, 2), model.syy)
    left = cell_freedom(trial, model.x) + len(trial.covariates)
    covariance = fit.std_error[..., None] ** 2 * np.eye(fit.std_error.shape[-1])
    return Found(fit.estimate, covariance, fit.df, _status(model, fit, moves, left), fit.criterion, variances)


def _cell_model(trial: Trial, parts: Effects, nested: bool, reml: bool) -> tuple[CellModel, int]:
    periods = period_columns(trial)
    x = stack_columns(periods, parts.columns)
    if trial.covariates:
        x = stack_columns(x, covariate_means(trial))
    scatter, total = _scatter(trial, x.shape[-3], nested)
    return cell_model(trial.outcome, x, trial.n, scatter, total, trial.shape, nested, reml), len(periods)


def _scatter(trial: Trial, p: int, nested: bool) -> tuple[tuple[Array, Array, Array], Array]:
    """Pooled scatter padded to the coefficients, and the number of individuals (of cells, where only means are known)."""
    within, q = trial.cells.within, len(trial.covariates)
    cells = (trial.n > 0).sum((-2, -1)).astype(float)
    total = trial.n.sum((-2, -1))
    if nested and (within is None or (total <= cells).all()):
        raise DataError(
            "A cluster-by-period effect cannot be told from the residual: these cells hold one number each. Pass within= (the"
            " scatter inside cells), build the trial from rows, or use MixedModel(Exchangeable()) on the means."
        )
    if within is None:
        return (np.zeros(()), np.zeros(p), np.zeros((p, p))), cells
    pooled = within.sum(-3)
    sxy, sxx = np.zeros((*pooled.shape[:-2], p)), np.zeros((*pooled.shape[:-2], p, p))
    if q:
        sxy[..., p - q :], sxx[..., p - q :, p - q :] = pooled[..., 1:, 0], pooled[..., 1:, 1:]
    return (pooled[..., 0, 0], sxy, sxx), total


def _status(model: CellModel, fit: MixedFit, moves: NDArray[np.bool_], left: Array) -> NDArray[np.int8]:
    """Status of each replicate, the gravest last; without cells `left` over, nothing tells the variance of clusters."""
    status = np.where(fit.singular, Status.SINGULAR, Status.OK)
    status = np.where(fit.converged, status, Status.NOT_CONVERGED)
    # A residual that vanishes beside the random effects leaves the likelihood without a maximum.
    vanished = fit.variances[:, 0] < VANISHED * fit.variances.sum(-1)
    status = np.where(vanished, Status.NO_RESIDUAL, status)
    status = np.where((model.freedom > 0) & (left > 0), status, Status.NO_DEGREES_OF_FREEDOM)
    status = np.where(fit.definite, status, Status.RANK_DEFICIENT)
    return np.where(moves, status, Status.NO_VARIATION).astype(np.int8)
