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
    ProportionalDecay,
    RandomEffects,
)
from swedge.design import Allocation, Constraint, Design, Stratum
from swedge.errors import DataError, DesignError, FitError, PlanError, Status, SwedgeError
from swedge.estimate import Estimate, Estimator, LinearEstimator, TestResult, WaldTest
from swedge.estimators import FixedEffects, MixedModel, TwoWayFixedEffects, WithinPeriod
from swedge.inference import PlaceboTest, RandomisationTest
from swedge.power import (
    AnalyticPower,
    ExactPower,
    InformationContent,
    Scenario,
    Shock,
    SimulatedPower,
    analytic_power,
    best_incomplete,
    detectable_effect,
    exact_power,
    information_content,
    optimal_shares,
    power_over_allocations,
    power_surface,
    required_clusters,
    required_size,
    simulate_power,
    variance_under,
)
from swedge.trial import Cells, Patterns, Trial

__version__ = "0.1.0"

__all__ = [
    "LTE",
    "PTE",
    "TATE",
    "Allocation",
    "AnalyticPower",
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
    "ExactPower",
    "Exchangeable",
    "ExponentialDecay",
    "FitError",
    "FixedEffects",
    "InformationContent",
    "Linear",
    "LinearEstimator",
    "MixedModel",
    "NestedExchangeable",
    "Patterns",
    "PlaceboTest",
    "PlanError",
    "ProportionalDecay",
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
    "analytic_power",
    "best_incomplete",
    "detectable_effect",
    "exact_power",
    "information_content",
    "optimal_shares",
    "power_over_allocations",
    "power_surface",
    "required_clusters",
    "required_size",
    "simulate_power",
    "variance_under",
]
