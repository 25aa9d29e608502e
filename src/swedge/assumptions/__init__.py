"""What is assumed of a trial: correlations, effect curves, estimands, families."""

from swedge.assumptions.correlation import Correlation, Exchangeable, ExponentialDecay, NestedExchangeable, ProportionalDecay
from swedge.assumptions.effect import LTE, PTE, TATE, ByExposure, Constant, Delayed, EffectCurve, Estimand, Fading, Linear
from swedge.assumptions.family import family_named
from swedge.assumptions.layout import Layout, Part
from swedge.assumptions.random_effects import RandomEffects, check_gaussian, residual_variance

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
    "Fading",
    "Layout",
    "Linear",
    "NestedExchangeable",
    "Part",
    "ProportionalDecay",
    "RandomEffects",
    "check_gaussian",
    "family_named",
    "residual_variance",
]
