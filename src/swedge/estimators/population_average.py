"""Predictions of a generalised linear mixed model, averaged over its random effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.latent import LatentFit
from swedge._kernels.loadings import Loadings
from swedge.estimate import Wording
from swedge.estimators.columns import Effects, period_columns
from swedge.estimators.fitted_mean import FittedMean, Uncertainty
from swedge.estimators.mixed_glmm import Generalised
from swedge.trial import Trial

Array = NDArray[np.float64]


def population_average(trial: Trial, parts: Effects, found: Generalised, freedom: Callable[[Array], Array], wording: Wording) -> FittedMean:
    """The fit as predictions are made from it; the variances of random effects are taken as known.

    `freedom` turns infinite df into those of the model.
    """
    fit, loadings = found.fit, found.model.loadings

    def uncertainty(contrasts: Array) -> Uncertainty:
        covariance = contrasts @ fit.covariance @ contrasts.swapaxes(-1, -2)
        return Uncertainty(covariance, freedom(np.full(covariance.shape[:-1], np.inf)))

    def variance(treatment: Array) -> Array:
        return _variance(loadings, fit, np.broadcast_to(treatment, (len(treatment), *trial.n.shape[-2:])))

    return FittedMean(parts, period_columns(trial), found.model.slots.family, fit.beta, uncertainty, fit.status, wording, {}, variance)


def _variance(loadings: Loadings, fit: LatentFit, treatment: Array) -> Array:
    """Variance of the predictor ``(R, I or 1, T)`` in cells under `treatment` ``(R or 1, I, T)``."""
    load, _ = replace(loadings, arm=treatment).at(fit.theta).dense(treatment.shape[-1])
    return np.asarray((load**2).sum(-1))
