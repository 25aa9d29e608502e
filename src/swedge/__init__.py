"""Design, power and analyse stepped-wedge cluster randomised trials with few clusters.

And prove that you analysed the trial you planned.
"""

from swedge.assumptions import (
    LTE,
    PTE,
    TATE,
    ByExposure,
    Constant,
    Delayed,
    Exchangeable,
    ExponentialDecay,
    Linear,
    NestedExchangeable,
    RandomEffects,
)
from swedge.design import Allocation, Constraint, Design, Stratum
from swedge.errors import DataError, DesignError, FitError, PlanError, Status, SwedgeError
from swedge.estimate import Estimate, Estimator, LinearEstimator, TestResult, WaldTest
from swedge.estimators import FixedEffects, MixedModel, TwoWayFixedEffects, WithinPeriod
from swedge.inference import PlaceboTest, RandomisationTest
from swedge.power import Scenario, Shock, SimulatedPower, simulate_power
from swedge.trial import Cells, Patterns, Trial

__version__ = "0.1.0"

__all__ = [
    "LTE",
    "PTE",
    "TATE",
    "Allocation",
    "ByExposure",
    "Cells",
    "Constant",
    "Constraint",
    "DataError",
    "Delayed",
    "Design",
    "DesignError",
    "Estimate",
    "Estimator",
    "Exchangeable",
    "ExponentialDecay",
    "FitError",
    "FixedEffects",
    "Linear",
    "LinearEstimator",
    "MixedModel",
    "NestedExchangeable",
    "Patterns",
    "PlaceboTest",
    "PlanError",
    "RandomEffects",
    "RandomisationTest",
    "Scenario",
    "Shock",
    "SimulatedPower",
    "Status",
    "Stratum",
    "SwedgeError",
    "TestResult",
    "Trial",
    "TwoWayFixedEffects",
    "WaldTest",
    "WithinPeriod",
    "simulate_power",
]
