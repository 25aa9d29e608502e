"""Power: scenarios and simulation."""

from swedge.power.analytic import AnalyticPower, analytic_power
from swedge.power.content import InformationContent, best_incomplete, information_content, optimal_shares
from swedge.power.efficiency import design_effect
from swedge.power.exact import ExactPower, exact_power, variance_under
from swedge.power.grid import SimulatedGrid, simulate_grid
from swedge.power.overlap import ExposureOverlap, exposure_overlap
from swedge.power.planned_weights import planned_exposure_weights
from swedge.power.scenario import Scenario
from swedge.power.search import detectable_effect, power_over_allocations, power_surface, required_clusters, required_size
from swedge.power.shock import Shock
from swedge.power.simulate import SimulatedPower, simulate_power

__all__ = [
    "AnalyticPower",
    "ExactPower",
    "ExposureOverlap",
    "InformationContent",
    "Scenario",
    "Shock",
    "SimulatedGrid",
    "SimulatedPower",
    "analytic_power",
    "best_incomplete",
    "design_effect",
    "detectable_effect",
    "exact_power",
    "exposure_overlap",
    "information_content",
    "optimal_shares",
    "planned_exposure_weights",
    "power_over_allocations",
    "power_surface",
    "required_clusters",
    "required_size",
    "simulate_grid",
    "simulate_power",
    "variance_under",
]
