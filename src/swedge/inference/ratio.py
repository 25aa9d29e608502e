"""The likelihood ratio of a mixed model's effect: the statistic, and the effects that it does not reject."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.permutation import Accepted
from swedge.errors import FitError, Status
from swedge.estimate import Estimate, Estimator, check_pair
from swedge.estimators.columns import Effects, effects
from swedge.estimators.mixed import MixedModel
from swedge.estimators.mixed_null import by_likelihood, null_fit
from swedge.inference.inversion import searched
from swedge.trial import Trial

Array = NDArray[np.float64]


class Ratio(NamedTuple):
    """``statistic (...)``, nan where a fit failed; the fit with the effect; statuses; model and effect."""

    statistic: Array
    fit: Estimate
    status: NDArray[np.int8]
    model: MixedModel
    parts: Effects


def likelihood_ratio(trial: Trial, estimator: Estimator) -> Ratio:
    """Twice the log-likelihood that the effect gains, both fits by full maximum likelihood.

    Raises
    ------
    FitError
        If the estimator is no `MixedModel` with one effect, or a single trial cannot be fitted.
    """
    check_pair(trial, estimator)
    if not isinstance(estimator, MixedModel):
        raise FitError(f"{estimator!r} has no likelihood to compare. Use a MixedModel; RandomisationTest takes any estimator.")
    model, parts = by_likelihood(estimator), effects(trial, estimator.effect, estimator.estimand)
    if parts.columns.shape[-3] != 1:
        raise FitError(
            f"{estimator!r} has {parts.columns.shape[-3]} effects, and a likelihood ratio leaves out one. Use a curve with one coefficient,"
            " such as effect=Constant()."
        )
    fit, null = model.fit(trial), null_fit(model, trial)
    status = np.where(fit.status > Status.SINGULAR, fit.status, np.maximum(fit.status, null.status)).astype(np.int8)
    gained = np.maximum(null.details["criterion"] - fit.details["criterion"], 0.0)
    return Ratio(np.where(status <= Status.SINGULAR, gained, np.nan), fit, status, model, parts)


def accepted(trial: Trial, ratio: Ratio, critical: float) -> Accepted:
    """The effects of a single trial whose likelihood ratio is at most `critical`. One at which the fit fails cannot be rejected."""
    least = float(ratio.fit.details["criterion"])

    def gains(effect: Array) -> Array:
        null = null_fit(ratio.model, ratio.model.null(trial, effect))
        return np.where(null.status <= Status.SINGULAR, null.details["criterion"] - least, np.nan)

    def accepts(effect: Array) -> NDArray[np.bool_]:
        return np.asarray(~(gains(effect) > critical))

    def accepts_soundly(effect: Array) -> NDArray[np.bool_]:
        return np.asarray(gains(effect) <= critical)

    return searched(accepts, accepts_soundly, float(ratio.fit.estimate), float(ratio.fit.std_error))
