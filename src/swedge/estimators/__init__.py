"""Estimators: one idea a class."""

from swedge.estimators.bacon import BaconDecomposition, bacon_decomposition
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.comparisons import TwoWayFixedEffects, WithinPeriod
from swedge.estimators.duration import Duration
from swedge.estimators.extended_two_way import ExtendedTwoWay
from swedge.estimators.fixed import FixedEffects
from swedge.estimators.gee import GEE
from swedge.estimators.generalised import GeneralisedDiD
from swedge.estimators.identification import Aliasing, aliasing
from swedge.estimators.imputation import Imputation
from swedge.estimators.marginal import MarginalEffect
from swedge.estimators.mixed import MixedModel
from swedge.estimators.profile import ProfileIntervals, profile_intervals
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.sun_abraham import SunAbraham
from swedge.estimators.switcher_comparison import SwitcherComparison
from swedge.estimators.switchers import Switchers
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD
from swedge.estimators.two_stage import TwoStage
from swedge.estimators.weighing import ExposureWeights, exposure_weights

__all__ = [
    "GEE",
    "Aliasing",
    "BaconDecomposition",
    "CallawaySantAnna",
    "Duration",
    "ExposureWeights",
    "ExtendedTwoWay",
    "FixedEffects",
    "GeneralisedDiD",
    "Imputation",
    "MarginalEffect",
    "MixedModel",
    "ProfileIntervals",
    "RothSantAnna",
    "StackedDiD",
    "SunAbraham",
    "SwitcherComparison",
    "Switchers",
    "SyntheticControl",
    "SyntheticDiD",
    "TwoStage",
    "TwoWayFixedEffects",
    "WithinPeriod",
    "aliasing",
    "bacon_decomposition",
    "exposure_weights",
    "profile_intervals",
]
