"""The whole analysis before anybody sees the treatment effect: on simulated data, or on the trial's own under another allocation."""

from __future__ import annotations

from typing import Any

from swedge.plan.blinded import blinded
from swedge.plan.frames import Frames, check_frames, gather
from swedge.plan.lock import LockedPlan
from swedge.plan.report import Report
from swedge.plan.run import carry_out
from swedge.plan.simulated import simulate_frames

SIMULATED = "rehearsal on simulated data"
BLINDED = "rehearsal on blinded data"


def rehearse(locked: LockedPlan, frames: Frames | None, seed: int, progress: bool | None, release: bool) -> Report:
    """Run the plan on data that cannot show its effect; the report says so and carries the real lock.

    Raises
    ------
    PlanError, DataError
        As `run_plan`; or if the design permits no other allocation.
    """
    options: dict[str, Any] = {"progress": progress, "release": release}
    if frames is None:
        return carry_out(locked, locked.plan, simulate_frames(locked.plan, seed), purpose=SIMULATED, **options)
    real = gather(locked.plan, frames)
    check_frames(locked.plan, real)
    plan, tables = blinded(locked.plan, real, seed)
    return carry_out(locked, plan, tables, purpose=BLINDED, **options)
