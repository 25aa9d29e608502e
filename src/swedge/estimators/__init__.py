"""Estimators: one idea a class."""

from swedge.estimators.comparisons import TwoWayFixedEffects, WithinPeriod
from swedge.estimators.fixed import FixedEffects
from swedge.estimators.mixed import MixedModel

__all__ = ["FixedEffects", "MixedModel", "TwoWayFixedEffects", "WithinPeriod"]
