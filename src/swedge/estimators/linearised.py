"""An estimate as a weighted sum of cells, at its fitted variances or working weights: what exposure weights and residuals are read from.

References
----------
Pregibon D (1981). Logistic regression diagnostics. Annals of Statistics 9, 705-724.
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.glm import SlotModel, fit_slots, linear, slot_model, working
from swedge._kernels.least_squares import fit_cells
from swedge._kernels.smoothing import Smooth, generalised, smooth
from swedge.assumptions import Structure, family_named
from swedge.errors import DataError, FitError, listing, nearest
from swedge.estimate import Estimator, LinearEstimator, check_pair
from swedge.estimators.closed_cohort import in_cohort
from swedge.estimators.columns import (
    cluster_columns,
    covariate_means,
    effects,
    padded,
    period_columns,
    slots,
    stack_columns,
)
from swedge.estimators.comparisons import TwoWayFixedEffects, WithinPeriod
from swedge.estimators.fixed import FixedEffects
from swedge.estimators.layout import covariance_of, grid_of, ratio_names
from swedge.estimators.mixed import MixedModel
from swedge.estimators.pieces import gaussian_pieces
from swedge.trial import Trial

Array = NDArray[np.float64]

# Random effects that a cluster has in all periods, or in all treated ones: fitted means hold them.
CLUSTERS = ("cluster", "cluster_treatment", "treatment")
# A weight below this share of the largest is rounding.
IDLE = 1e-9


class Linearised(NamedTuple):
    """One trial's estimate as a weighted sum of cells, beside what the model makes of each cell.

    `weights` ``(K, I, T)`` multiply effects of the cells on the estimator's scale. Tables ``(I, T)``: `fitted` means (with the predicted
    effects of the cluster, in a mixed model); `pull`, the cell's score, of variance `scale` times `precision`. nan where a table does not
    exist.
    """

    terms: tuple[str, ...]
    weights: Array
    fitted: Array
    pull: Array
    precision: Array
    scale: float

    @property
    def standardised(self) -> Array:
        """Residuals over their standard errors, ``(I, T)``; nan where the model fits a cell exactly."""
        return np.asarray(self.pull / np.sqrt(self.scale * self.precision))

    @property
    def without(self) -> Array:
        """What each term loses when a cell is left out at these variances, ``(K, I, T)``; nan where the term needs the cell."""
        change = self.weights * self.pull / self.precision
        idle = np.isnan(self.precision) & (np.abs(self.weights) < IDLE * np.abs(self.weights).max((-2, -1), keepdims=True))
        return np.asarray(np.where(idle & ~np.isnan(self.pull), 0.0, change))


def check_one(trial: object, estimator: object) -> None:
    """Refuse what is no single trial, or no estimator.

    Raises
    ------
    DataError
        If `trial` is no trial, or a stack, or `estimator` is no estimator.
    """
    check_pair(trial, estimator)
    if isinstance(trial, Trial) and trial.shape:
        raise DataError(f"This is a stack of trials of shape {trial.shape}; take one with trial.replicate(0).")


def term_place(terms: tuple[str, ...], term: str | None) -> int:
    """The place of a named term, or of the only one.

    Raises
    ------
    FitError
        If there are several and none is named, or the name is unknown.
    """
    if term is None and len(terms) == 1:
        return 0
    if term not in terms:
        raise FitError(f"term={term!r}; expected one of {listing(terms, 12)}.{nearest(term, terms)}")
    return terms.index(term)


def linearise(trial: Trial, estimator: Estimator) -> Linearised:
    """The estimate of one trial as a weighted sum of its cells.

    Exact for least squares; at the estimated variances for a Gaussian mixed model; at the working weights for a link, where it is the
    first-order effect of a small change in a cell's linear predictor.

    Raises
    ------
    DataError, FitError
        If this is no single trial, the fit fails, or the estimator is of a kind that gives no cell weights.
    """
    check_one(trial, estimator)
    return _linearise(estimator, trial)


@singledispatch
def _linearise(estimator: Estimator, trial: Trial) -> Linearised:
    raise FitError(
        f"{type(estimator).__name__} gives no weights of cells. Use a linear estimator, FixedEffects or MixedModel with the same effect."
    )


@_linearise.register
def _(estimator: LinearEstimator, trial: Trial) -> Linearised:
    terms, unknown = estimator.fit(trial).terms, np.full(trial.n.shape, np.nan)
    weights = estimator.weights(trial).reshape((-1, *trial.n.shape))
    return Linearised(terms[: len(weights)], weights, unknown, unknown, unknown, np.nan)


@_linearise.register(TwoWayFixedEffects)
@_linearise.register(WithinPeriod)
def _(estimator: TwoWayFixedEffects | WithinPeriod, trial: Trial) -> Linearised:
    estimator.fit(trial)
    x = stack_columns(estimator.indicators(trial), trial.arm[None])
    weight = estimator.cell_weights(trial)
    y, _ = _centred(trial, weight)
    seen = weight > 0
    fit = fit_cells((x * seen)[None], weight[None], y[None])
    return _least_squares(trial, x * seen, weight, fit.beta[0], fit.root[0], np.eye(len(x))[-1:], ("treatment",))


@_linearise.register
def _(estimator: FixedEffects, trial: Trial) -> Linearised:
    estimator.point(trial)
    parts = effects(trial, estimator.effect, estimator.estimand)
    base = stack_columns(period_columns(trial), cluster_columns(trial))
    columns = stack_columns(base, parts.columns)
    contrasts = padded(parts.contrasts, len(base), len(trial.covariates))
    if trial.family != "gaussian":
        table = slots(trial, columns)
        link = family_named(trial.family, estimator.scale(trial))
        model = slot_model(table.y, table.x, table.n, table.offset, link, trial.shape)
        return _generalised_linear(trial, model, contrasts, parts.terms)
    pieces = gaussian_pieces(trial, columns, robust=False)
    x = _with_covariates(trial, columns) * (trial.n > 0)
    return _least_squares(trial, x, trial.n, pieces.beta[0], pieces.root[0], contrasts, parts.terms)


@_linearise.register
def _(estimator: MixedModel, trial: Trial) -> Linearised:
    fit = estimator.fit(trial)
    parts = effects(trial, estimator.effect, estimator.estimand)
    periods = period_columns(trial)
    columns = stack_columns(periods, parts.columns)
    contrasts = padded(parts.contrasts, len(periods), len(trial.covariates))
    structure = estimator.correlation.structure()
    if trial.family != "gaussian" or in_cohort(structure) or "exposure" in structure.effects:
        raise FitError(
            f"Weights of cells are known of a Gaussian mixed model of independent clusters and cross-sections; this is {estimator!r} of a"
            f" {trial.family} outcome. Use FixedEffects with the same effect."
        )
    variances = {name: float(value) for name, value in fit.details["variances"].items()}
    return _mixed(trial, columns, structure, variances, contrasts, parts.terms)


def _centred(trial: Trial, weight: Array) -> tuple[Array, float]:
    """Outcomes about their mean, 0 where nothing was observed, and that mean."""
    seen = weight > 0
    y = np.where(seen, trial.outcome, 0.0)
    centre = float((weight * y).sum() / weight.sum())
    return np.where(seen, y - centre, 0.0), centre


def _with_covariates(trial: Trial, columns: Array) -> Array:
    return stack_columns(columns, covariate_means(trial)) if trial.covariates else columns


def _least_squares(trial: Trial, x: Array, weight: Array, beta: Array, root: Array, contrasts: Array, terms: tuple[str, ...]) -> Linearised:
    """From coefficients of the centred outcome; `scale` is the mean square of the cells."""
    y, centre = _centred(trial, weight)
    pull = weight * (y - np.einsum("p,pit->it", beta, x))
    cells = smooth(x * weight, weight, root, contrasts)
    squares = (pull**2 / np.where(weight > 0, weight, 1.0)).sum()
    freedom = (weight > 0).sum() - (len(x) - len(trial.covariates))
    fitted = centre + np.einsum("p,pit->it", beta, x)
    return _told(trial, terms, cells, fitted, pull, squares / freedom if freedom > 0 else np.nan)


def _told(trial: Trial, terms: tuple[str, ...], cells: Smooth, fitted: Array, pull: Array, scale: float) -> Linearised:
    """Tables with nan where nothing was observed."""
    seen = trial.n > 0
    fitted, pull, precision = (np.where(seen, table, np.nan) for table in (fitted, pull, cells.precision))
    return Linearised(terms, np.where(seen, cells.weights, 0.0), fitted, pull, precision, float(scale))


def _mixed(
    trial: Trial, columns: Array, structure: Structure, variances: dict[str, float], contrasts: Array, terms: tuple[str, ...]
) -> Linearised:
    """GLS at the estimated variances, whose `scale` is 1."""
    x = _with_covariates(trial, columns) * (trial.n > 0)
    y, centre = _centred(trial, trial.n)
    fit = generalised(x, y, _covariance(trial, structure, variances), *_scatter(trial, len(x), variances["residual"]))
    rest = _covariance(trial, structure, {name: 0.0 if name in CLUSTERS else value for name, value in variances.items()})
    fitted = centre + y - np.einsum("its,is->it", rest, fit.pull)
    return _told(trial, terms, smooth(fit.vx, fit.own, fit.root, contrasts), fitted, fit.pull, 1.0)


def _covariance(trial: Trial, structure: Structure, variances: dict[str, float]) -> Array:
    """Of cell means, ``(I, T, T)``; a cell that is not observed has a variance of its own."""
    residual = variances["residual"]
    ratios = [variances[name] / (1.0 if name == "autocorrelation" else residual) for name in ratio_names(structure)]
    return np.asarray(residual * covariance_of(grid_of(trial), structure).total(np.array([ratios]))[0])


def _scatter(trial: Trial, p: int, residual: float) -> tuple[Array, Array]:
    """What covariates' deviations from their cell means add to the normal equations, over the residual variance."""
    q, inner, inner_y = len(trial.covariates), np.zeros((p, p)), np.zeros(p)
    if q and trial.cells.within is not None:
        pooled = trial.cells.within.sum(-3) / residual
        inner[p - q :, p - q :], inner_y[p - q :] = pooled[1:, 1:], pooled[1:, 0]
    return inner, inner_y


def _generalised_linear(trial: Trial, model: SlotModel, contrasts: Array, terms: tuple[str, ...]) -> Linearised:
    """A generalised linear model at its working weights; slots are added up to cells."""
    fit = fit_slots(model)
    w, pull = working(model, linear(model, fit.beta), fit.mu)
    mass, score, expected = (_gathered(trial, table[0]) for table in (w, pull, model.n * fit.mu))
    cells = smooth(_gathered(trial, (model.x * w[:, None])[0]), mass, fit.root[0], contrasts)
    squares = (score**2 / np.where(mass > 0, mass, 1.0)).sum()
    freedom = (trial.n > 0).sum() - (model.x.shape[1] - len(trial.covariates))
    scale = squares / freedom if freedom > 0 else np.nan
    return _told(trial, terms, cells, expected / np.where(trial.n > 0, trial.n, 1.0), score, scale)


def _gathered(trial: Trial, table: Array) -> Array:
    return table if trial.patterns is None else trial.patterns.gather(table)
