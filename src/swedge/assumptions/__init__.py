"""What is assumed of a trial: correlations, effect curves, estimands, families."""

from swedge.assumptions.correlation import (
    Correlation,
    Exchangeable,
    ExponentialDecay,
    NestedExchangeable,
    RandomEffects,
    residual_variance,
)
from swedge.assumptions.effect import LTE, PTE, TATE, ByExposure, Constant, Delayed, EffectCurve, Estimand, Linear
from swedge.assumptions.family import family_named

__all__ = [
    "LTE",
    "PTE",
    "TATE",
    "ByExposure",
    "Constant",
    "Correlation",
    "Delayed",
    "EffectCurve",
    "Estimand",
    "Exchangeable",
    "ExponentialDecay",
    "Linear",
    "NestedExchangeable",
    "RandomEffects",
    "family_named",
    "residual_variance",
]
