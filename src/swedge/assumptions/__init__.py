"""What is assumed of a trial: correlations, effect curves, estimands, families."""

from swedge.assumptions.correlation import Correlation, Exchangeable, ExponentialDecay, NestedExchangeable, ProportionalDecay, given
from swedge.assumptions.effect import ByExposure, ByPeriod, Constant, Delayed, EffectCurve, ExposureCurve, Fading, Linear, Spline, Washout
from swedge.assumptions.estimand import LTE, PTE, TATE, Estimand, read_off, terms_of
from swedge.assumptions.family import family_named
from swedge.assumptions.groups import ByGroup
from swedge.assumptions.layout import Layout, Part, covariance_of, lags
from swedge.assumptions.random_effects import RandomEffects, check_gaussian, residual_variance
from swedge.assumptions.structure import Structure

__all__ = [
    "LTE",
    "PTE",
    "TATE",
    "ByExposure",
    "ByGroup",
    "ByPeriod",
    "Constant",
    "Correlation",
    "Delayed",
    "EffectCurve",
    "Estimand",
    "Exchangeable",
    "ExponentialDecay",
    "ExposureCurve",
    "Fading",
    "Layout",
    "Linear",
    "NestedExchangeable",
    "Part",
    "ProportionalDecay",
    "RandomEffects",
    "Spline",
    "Structure",
    "Washout",
    "check_gaussian",
    "covariance_of",
    "family_named",
    "given",
    "lags",
    "read_off",
    "residual_variance",
    "terms_of",
]
