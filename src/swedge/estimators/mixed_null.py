"""The mixed model without its effect: its likelihood, and trials drawn from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.glm import linear
from swedge._kernels.laplace import LatentModel
from swedge._kernels.loadings import Loadings
from swedge.assumptions import family_named
from swedge.errors import DataError
from swedge.estimate import Estimate
from swedge.estimators.columns import effects
from swedge.estimators.mixed import MixedModel
from swedge.estimators.mixed_glmm import Generalised, fit_generalised, loadings_of
from swedge.trial import Cells, Trial

Array = NDArray[np.float64]


@dataclass(frozen=True)
class NoEffect:
    """The effect curve of a model without treatment."""

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """No names and no columns."""
        return (), np.zeros((0, *treatment.shape[-2:]))


def by_likelihood(model: MixedModel) -> MixedModel:
    """The same model by full maximum likelihood, without the work of degrees of freedom."""
    return replace(model, reml=False, df="normal")


def null_fit(model: MixedModel, trial: Trial) -> Estimate:
    """The fit of one trial, or of a stack, without an effect: no terms, but a status, a criterion and variances."""
    return replace(by_likelihood(model), effect=NoEffect(), estimand=None).fit(trial)


def draw_null(model: MixedModel, trial: Trial, draws: int, rng: np.random.Generator) -> Trial:
    """A stack ``(draws,)`` of trials like this one, drawn from the model fitted to it without an effect.

    Raises
    ------
    DataError
        If the trial is a stack.
    FitError
        If the model cannot be fitted without an effect, or has random effects that cannot be drawn from cells.
    """
    if trial.shape:
        raise DataError(f"Trials are drawn like a single one; this is a stack of shape {trial.shape}. Take one with trial.replicate(0).")
    fit = null_fit(model, trial)
    return _gaussian(model, trial, fit, draws, rng) if trial.family == "gaussian" else _generalised(model, trial, draws, rng)


def _generalised(model: MixedModel, trial: Trial, draws: int, rng: np.random.Generator) -> Trial:
    """Risks or rates of each slot, then counts; a risk above 1, which a log link may give, is 1."""
    maths = family_named(trial.family, model.link)
    found = fit_generalised(trial, effects(trial, NoEffect(), None), model.correlation, maths, model.quadrature)
    slots = found.model.slots
    mu = maths.mean(linear(slots, found.fit.beta) + found.model.spread(_random(found.model, found.fit.theta, draws, rng)))
    binary = trial.family == "binomial"
    counts = rng.binomial(slots.n.astype(np.int64), np.minimum(mu, 1.0)) if binary else rng.poisson(slots.n * mu)
    return _with_outcome(trial, found, counts / np.maximum(slots.n, np.finfo(float).tiny))


def _random(model: LatentModel, theta: Array, draws: int, rng: np.random.Generator) -> Array:
    """Random effects of cells, ``(draws, I, T)``."""
    return _cells(model.loadings, theta, model.slots.n.shape[-2], draws, rng)


def _cells(loadings: Loadings, theta: Array, clusters: int, draws: int, rng: np.random.Generator) -> Array:
    load = loadings.at(theta).dense(loadings.arm.shape[-1])[0][0]
    u = rng.standard_normal((draws, clusters, loadings.width))
    return np.asarray((load @ u[..., None])[..., 0])


def _with_outcome(trial: Trial, found: Generalised, mean: Array) -> Trial:
    """The trial with slot means ``(draws, I, J)`` in place of its own."""
    if trial.patterns is None:
        return replace(trial, cells=replace(trial.cells, mean=mean[..., None]))
    counts = found.model.slots.n * mean
    cells = np.divide(trial.patterns.gather(counts), trial.n, out=np.zeros((len(mean), *trial.n.shape)), where=trial.n > 0)
    rest = np.broadcast_to(trial.cells.mean[..., 1:], (*cells.shape, trial.cells.mean.shape[-1] - 1))
    whole = replace(trial.cells, mean=np.concatenate([cells[..., None], rest], -1))
    return replace(trial, cells=whole, patterns=replace(trial.patterns, mean=mean))


def _gaussian(model: MixedModel, trial: Trial, fit: Estimate, draws: int, rng: np.random.Generator) -> Trial:
    """Cell means about 0, to which the fit adds whatever its coefficients are, and the scatter of so many individuals."""
    variances = {name: float(value) for name, value in fit.details["variances"].items()}
    loadings = loadings_of(trial, model.correlation)
    clusters = trial.n.shape[-2]
    between = _cells(loadings, loadings.parameters(variances)[None], clusters, draws, rng)
    noise = np.sqrt(variances["residual"] / np.maximum(trial.n, 1.0)) * rng.standard_normal(between.shape)
    own = trial.cells.mean[..., 1:]
    mean = np.concatenate([(between + noise)[..., None], np.broadcast_to(own, (draws, *own.shape))], -1)
    return replace(trial, cells=Cells(trial.cells.n, mean, _scatter(trial, variances["residual"], draws, rng)))


def _scatter(trial: Trial, residual: float, draws: int, rng: np.random.Generator) -> Array | None:
    """Scatter ``(draws, 1, Q, Q)``: that of the covariates as it is, products with the outcome normal, the rest chi-square."""
    if trial.cells.within is None:
        return None
    pooled = trial.cells.within.sum(-3)
    q = len(pooled) - 1
    root = np.linalg.cholesky(pooled[1:, 1:])
    shared = rng.standard_normal((draws, q)) * np.sqrt(residual)
    freedom = float(np.maximum(trial.n - 1, 0.0).sum()) - q
    squares = residual * rng.chisquare(freedom, draws) if freedom > 0 else np.zeros(draws)
    table = np.broadcast_to(pooled, (draws, q + 1, q + 1)).copy()
    table[:, 0, 0] = squares + (shared**2).sum(-1)
    table[:, 0, 1:] = table[:, 1:, 0] = shared @ root.T
    return table[:, None]
