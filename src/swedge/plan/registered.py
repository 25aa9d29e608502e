"""Whether the plan that a person edits is still the one that was locked."""

from __future__ import annotations

from pathlib import Path

from swedge.errors import PlanError, listing
from swedge.plan.content import Difference
from swedge.plan.lock import LockedPlan
from swedge.plan.plan import Plan
from swedge.plan.reading import Document

INSIDE = ("estimator", "test")
"""Keys of the content that the TOML does not have: what is inside stands beside the label there."""


def require_registered(locked: LockedPlan, path: Path) -> None:
    """Refuse a plan's file that says something else than its lock.

    Parameters
    ----------
    locked : LockedPlan
    path : Path
        The plan's TOML.

    Raises
    ------
    PlanError
        Naming each difference with its line.
    """
    found = locked.differences(Plan.from_toml(path))
    if found:
        lines = Document(path).lines
        places = [f"line {lines.of(_written(change))}, {change}" for change in found]
        raise PlanError(
            f"{path.name} is not the plan that was locked: {listing(places)}. Restore the registered values, or record the change with"
            " `swedge amend` and a reason."
        )


def _written(change: Difference) -> tuple[str, ...]:
    """Where a value of the content stands in the TOML."""
    return tuple(key for place, key in enumerate(change.path.split(".")) if place != 2 or key not in INSIDE)
