"""Estimators: one idea a class."""

from swedge.estimators.comparisons import TwoWayFixedEffects, WithinPeriod
from swedge.estimators.duration import Duration
from swedge.estimators.fixed import FixedEffects
from swedge.estimators.gee import GEE
from swedge.estimators.identification import Aliasing, aliasing
from swedge.estimators.marginal import MarginalEffect
from swedge.estimators.mixed import MixedModel
from swedge.estimators.profile import ProfileIntervals, profile_intervals
from swedge.estimators.weighing import ExposureWeights, exposure_weights

__all__ = [
    "GEE",
    "Aliasing",
    "Duration",
    "ExposureWeights",
    "FixedEffects",
    "MarginalEffect",
    "MixedModel",
    "ProfileIntervals",
    "TwoWayFixedEffects",
    "WithinPeriod",
    "aliasing",
    "exposure_weights",
    "profile_intervals",
]
