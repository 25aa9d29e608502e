"""The allocation of a plan: drawn, or as it was carried out."""

from __future__ import annotations

from swedge.design import Allocation
from swedge.errors import PlanError
from swedge.plan.plan import Plan


def allocate(plan: Plan, seed: int | None) -> Allocation:
    """Draw from the plan's design, or take what its allocation rule says was carried out.

    Parameters
    ----------
    plan : Plan
    seed : int, optional
        Of the draw; needed unless the rule names what was carried out.

    Raises
    ------
    PlanError
        If a seed is missing, or there is nothing to draw.
    """
    rule = plan.allocation_rule
    if rule.sequences:
        if seed is not None:
            raise PlanError(
                "The plan says which allocation was carried out, so nothing is drawn. Leave the seed out, or change [allocation]."
            )
        return plan.design.allocate(dict(rule.sequences))
    if seed is None:
        kept = (
            " Were the dates of go_live kept as they stand, write carried_out = true below [allocation]." if plan.design.boundaries else ""
        )
        raise PlanError(f"A draw needs a seed, which its record keeps. Pass one, such as --seed 20200301, agreed before it is used.{kept}")
    return plan.design.randomise(seed)
