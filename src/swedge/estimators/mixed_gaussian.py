"""The linear mixed model, exactly from cells and the scatter inside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.blocks import BlockModel, Scatter, maximise_blocks
from swedge._kernels.least_squares import varies
from swedge._kernels.linalg import stacked
from swedge._kernels.mixed_robust import robust_mixed
from swedge._kernels.reml import CellModel, cell_model, centred, maximise
from swedge._kernels.reml_inference import MixedFit, fit_mixed
from swedge.assumptions import Correlation, Structure
from swedge.errors import Status
from swedge.estimators.closed_cohort import in_cohort, with_cohort
from swedge.estimators.columns import Effects, covariate_means, padded, period_columns, stack_columns
from swedge.estimators.found import Found
from swedge.estimators.identified import check_identified
from swedge.estimators.layout import Grid, covariance_of, grid_of, ratio_names
from swedge.estimators.pieces import cell_freedom, cluster_scatter, full
from swedge.trial import Trial

Array = NDArray[np.float64]
Scatters = tuple[Array, Array, Array]

VANISHED = 1e-10
# Structures whose covariance Sherman and Morrison invert: thousands of fits a second.
FAST = (Structure(("cluster",)), Structure(("cluster", "cluster_period")))


def fit_gaussian(trial: Trial, parts: Effects, correlation: Correlation, reml: bool, df: str, vcov: str = "model") -> Found:
    """Maximise the (restricted) likelihood of each replicate; a `vcov` other than "model" is a cluster-robust variance there."""
    structure = correlation.structure()
    check_identified(trial, parts, structure)
    robust = vcov != "model"
    model, before = gaussian_model(trial, parts, structure, reml, robust)
    contrasts = padded(parts.contrasts, before, len(trial.covariates))
    fit = fit_mixed(model, contrasts, "none" if robust else df, maximise if isinstance(model, CellModel) else maximise_blocks)
    variances = dict(zip(("residual", *ratio_names(structure)), fit.variances.T, strict=True))
    moves = varies(full(trial.n, trial, 2), full(trial.outcome, trial, 2), _squares_within(trial))
    left = cell_freedom(trial, period_columns(trial)) - parts.columns.shape[-3]
    status = _status(model, fit, moves, left)
    found = Found(fit.estimate, fit.covariance, fit.df, status, fit.criterion, variances, shares(variances))
    return _robust(found, trial, model, fit.point, (vcov, df), contrasts) if robust else found


def _robust(found: Found, trial: Trial, model: CellModel | BlockModel, point: Array, how: tuple[str, str], contrasts: Array) -> Found:
    """The same fit with a cluster-robust variance; its own df where Satterthwaite's are asked for."""
    vcov, df = how
    inner, inner_y, _ = cluster_scatter(trial, model.columns, robust=True)
    if len(trial.covariates) and isinstance(model, BlockModel) and model.y.shape[-2] > len(trial.clusters):
        inner, inner_y = 0 * inner, 0 * inner_y  # a cohort's blocks of deviations hold them
    robust = robust_mixed(vcov, model, point, len(trial.clusters), (inner, inner_y), contrasts)
    natural = robust.df if df == "satterthwaite" else np.full_like(robust.df, np.inf)
    return found._replace(covariance=robust.covariance, df=natural, alone=robust.alone)


def gaussian_model(
    trial: Trial, parts: Effects, structure: Structure, reml: bool, apart: bool = False
) -> tuple[CellModel | BlockModel, int]:
    """The likelihood of a structure, and how many columns stand before the effect's; `apart` keeps a cohort's clusters apart."""
    periods = period_columns(trial)
    x = stack_columns(periods, parts.columns)
    if trial.covariates:
        x = stack_columns(x, covariate_means(trial))
    scatter, total = _scatter(trial, x.shape[-3], structure)
    if structure not in FAST:
        return _block_model(trial, structure, x, (scatter, total), reml, apart), len(periods)
    nested = "cluster_period" in structure.effects
    return cell_model(trial.outcome, x, trial.n, scatter, total, trial.shape, nested, reml), len(periods)


def _block_model(trial: Trial, structure: Structure, x: Array, inside: tuple[Scatters, Array], reml: bool, apart: bool) -> BlockModel:
    """Cells as blocks: one a cluster, or one alone where exposure effects cross clusters; a cohort's deviations follow."""
    grid = grid_of(trial)
    covariance = covariance_of(grid, structure)
    blocks = covariance.base.shape[-3:-1]
    y, columns = stacked(centred(trial.outcome, trial.n), trial.shape, 2), stacked(x * (trial.n > 0)[..., None, :, :], trial.shape, 3)
    model = BlockModel(
        y=y.reshape(len(y), *blocks),
        x=columns.reshape(*columns.shape[:2], *blocks),
        copies=np.ones((1, blocks[0])),
        scatter=Scatter(*(stacked(piece, trial.shape, tail) for tail, piece in enumerate(inside[0]))),
        constant=np.log(np.where(grid.seen, grid.n, 1.0)).sum((-2, -1)),
        total=stacked(inside[1], trial.shape, 0),
        covariance=covariance,
        restricted=reml,
        typical=_typical(grid),
    )
    return with_cohort(model, trial, grid, structure, apart) if in_cohort(structure) else model


def _typical(grid: Grid) -> tuple[Array, Array]:
    """Reciprocals of the mean and of the harmonic mean count of the cells with data, ``(R,)``."""
    cells = np.maximum(grid.seen.sum((-2, -1)), 1)
    total = np.maximum(grid.n.sum((-2, -1)), 1.0)
    return cells / total, (np.where(grid.seen, 1 / np.maximum(grid.n, 1.0), 0.0).sum((-2, -1))) / cells


def _scatter(trial: Trial, p: int, structure: Structure) -> tuple[Scatters, Array]:
    """Pooled scatter padded to the coefficients, and the number of individuals (of cells, where only means are known)."""
    within, q = trial.cells.within, len(trial.covariates)
    none = (np.zeros(()), np.zeros(p), np.zeros((p, p)))
    if within is None:
        return none, (trial.n > 0).sum((-2, -1)).astype(float)
    total = trial.n.sum((-2, -1))
    if in_cohort(structure):
        return none, total
    pooled = within.sum(-3)
    sxy, sxx = np.zeros((*pooled.shape[:-2], p)), np.zeros((*pooled.shape[:-2], p, p))
    if q:
        sxy[..., p - q :], sxx[..., p - q :, p - q :] = pooled[..., 1:, 0], pooled[..., 1:, 1:]
    return (pooled[..., 0, 0], sxy, sxx), total


def _squares_within(trial: Trial) -> Array:
    within = trial.cells.within
    return np.zeros(()) if within is None else stacked(within.sum(-3)[..., 0, 0], trial.shape, 0)


def _status(model: CellModel | BlockModel, fit: MixedFit, moves: NDArray[np.bool_], left: Array) -> NDArray[np.int8]:
    """Status of each replicate, the gravest last; without cells `left` over, nothing tells the variance of clusters."""
    status = np.where(fit.singular, Status.SINGULAR, Status.OK)
    status = np.where(fit.converged, status, Status.NOT_CONVERGED)
    # A residual that vanishes beside the random effects leaves the likelihood without a maximum.
    linear = fit.variances[:, 1:][:, model.parameters.linear]
    vanished = fit.variances[:, 0] < VANISHED * (fit.variances[:, 0] + linear.sum(-1))
    status = np.where(vanished, Status.NO_RESIDUAL, status)
    status = np.where((model.freedom > 0) & (left > 0), status, Status.NO_DEGREES_OF_FREEDOM)
    status = np.where(fit.definite, status, Status.RANK_DEFICIENT)
    return np.where(moves, status, Status.NO_VARIATION).astype(np.int8)


def shares(variances: dict[str, Array]) -> dict[str, Array]:
    """ICC of two outcomes of one cluster and period under control, CAC one period apart, IAC, from variances by name."""
    cluster, cell = variances.get("cluster"), variances.get("cluster_period")
    if cluster is None and cell is None:
        return {}
    lasting, fading = cluster if cluster is not None else 0.0, cell if cell is not None else 0.0
    own = variances.get("individual", 0.0)
    between = np.asarray(lasting + fading)
    found = {"icc": between / (between + own + variances["residual"])}
    if cell is not None:
        kept = lasting + fading * variances.get("autocorrelation", np.asarray(0.0))
        found["cac"] = np.divide(kept, between, out=np.full_like(between, np.nan), where=between > 0)
    return {**found, "iac": own / (own + variances["residual"])} if "individual" in variances else found
