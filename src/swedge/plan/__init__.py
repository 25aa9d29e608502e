"""One plan from protocol to published table: written, locked, rehearsed, run and reported."""

from swedge.plan.lock import Amendment, LockedPlan
from swedge.plan.plan import Plan
from swedge.plan.report import Report
from swedge.plan.specs import (
    AllocationRule,
    Analysis,
    Column,
    Comparators,
    Condition,
    Missing,
    Multiplicity,
    Outcome,
    PlannedEstimator,
    PlannedTest,
    Population,
    PowerByFormula,
    PowerBySimulation,
    Source,
    Text,
)

__all__ = [
    "AllocationRule",
    "Amendment",
    "Analysis",
    "Column",
    "Comparators",
    "Condition",
    "LockedPlan",
    "Missing",
    "Multiplicity",
    "Outcome",
    "Plan",
    "PlannedEstimator",
    "PlannedTest",
    "Population",
    "PowerByFormula",
    "PowerBySimulation",
    "Report",
    "Source",
    "Text",
]
