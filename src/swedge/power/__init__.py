"""Power: scenarios and simulation."""

from swedge.power.scenario import Scenario, Shock
from swedge.power.simulate import SimulatedPower, simulate_power

__all__ = ["Scenario", "Shock", "SimulatedPower", "simulate_power"]
