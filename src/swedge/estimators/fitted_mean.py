"""A fitted regression as effects and predictions are read off it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FamilyMaths
from swedge.assumptions import EffectCurve, Estimand
from swedge.estimate import Estimate, Wording
from swedge.estimators.columns import Effects
from swedge.trial import Trial

Array = NDArray[np.float64]


class Uncertainty(NamedTuple):
    """Covariance ``(R, K, K)`` and df ``(R, K)`` of contrasts; the share of each that single clusters fit exactly, if that matters."""

    covariance: Array
    df: Array
    alone: Array | None = None


class FittedMean(NamedTuple):
    """Columns before the effect's ``(..., b, I, T)``, the effect's `parts`, and coefficients ``(R, p)``: before, effect, covariates.

    `uncertainty` takes contrasts ``(K, p)`` or ``(R, K, p)``. `variance`, in a model with random effects, gives their variance
    ``(R or 1, I or 1, T)`` on the predictor of cells under a treatment ``(..., I, T)``.
    """

    parts: Effects
    before: Array
    maths: FamilyMaths
    beta: Array
    uncertainty: Callable[[Array], Uncertainty]
    status: NDArray[np.int8]
    wording: Wording
    details: dict[str, Array]
    variance: Callable[[Array], Array] | None = None


@runtime_checkable
class Regression(Protocol):
    """An estimator with a mean model, from which predictions can be made."""

    @property
    def effect(self) -> EffectCurve:
        """The effect curve."""

    @property
    def estimand(self) -> Estimand | None:
        """What is read off it."""

    def fit(self, trial: Trial) -> Estimate:
        """Fit one trial or a stack."""

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others."""

    def fitted_mean(self, trial: Trial) -> FittedMean:
        """The regression itself."""

    def bare(self) -> Regression:
        """The same estimate with the cheapest standard error."""
