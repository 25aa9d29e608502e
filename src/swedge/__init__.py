"""Design, power and analyse stepped-wedge cluster randomised trials with few clusters.

The published facts of three trials are in `swedge.studies`, which is imported when first used.
"""

from types import ModuleType

from swedge.assumptions import (
    LTE,
    PTE,
    TATE,
    ByExposure,
    ByGroup,
    ByPeriod,
    Constant,
    Delayed,
    Exchangeable,
    ExponentialDecay,
    Fading,
    Linear,
    NestedExchangeable,
    ProportionalDecay,
    RandomEffects,
    Spline,
)
from swedge.design import Allocation, Constraint, Design, Stratum
from swedge.errors import DataError, DesignError, FitError, PlanError, Status, SwedgeError
from swedge.estimate import Estimate, Estimator, LinearEstimator, TestResult, WaldTest
from swedge.estimators import FixedEffects, MixedModel, TwoWayFixedEffects, WithinPeriod
from swedge.inference import PlaceboTest, RandomisationTest
from swedge.power import (
    AnalyticPower,
    ExactPower,
    ExposureOverlap,
    InformationContent,
    Scenario,
    Shock,
    SimulatedGrid,
    SimulatedPower,
    analytic_power,
    best_incomplete,
    design_effect,
    detectable_effect,
    exact_power,
    exposure_overlap,
    information_content,
    optimal_shares,
    power_over_allocations,
    power_surface,
    required_clusters,
    required_size,
    simulate_grid,
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
    "ByGroup",
    "ByPeriod",
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
    "ExposureOverlap",
    "Fading",
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
    "SimulatedGrid",
    "SimulatedPower",
    "Spline",
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
    "design_effect",
    "detectable_effect",
    "exact_power",
    "exposure_overlap",
    "information_content",
    "optimal_shares",
    "power_over_allocations",
    "power_surface",
    "required_clusters",
    "required_size",
    "simulate_grid",
    "simulate_power",
    "variance_under",
]


def __getattr__(name: str) -> ModuleType:
    """Import `swedge.studies` on first use: most work needs none of it."""
    if name == "studies":
        import importlib

        return importlib.import_module("swedge.studies")
    raise AttributeError(f"module 'swedge' has no attribute {name!r}")
