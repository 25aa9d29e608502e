"""Whether a plan can keep what it says of its outcomes: each is analysed, and its conditions, means and times are possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from swedge.errors import listing, nearest
from swedge.plan.fault import Fault
from swedge.plan.simulated_outcomes import mean_range
from swedge.plan.specs import Analysis, Column, Condition, Outcome, PowerByFormula, Value

if TYPE_CHECKING:
    from swedge.plan.plan import Plan

FLAGS = ("0", "1", "0.0", "1.0", "true", "false")


def check_outcomes(plan: Plan) -> None:
    """Raise at the first outcome that cannot be what is written.

    Raises
    ------
    Fault
    """
    _possible(plan)
    _baselines(plan)
    for path, condition in _conditions(plan):
        check_agreed(plan.names["columns"], condition.column, (*path, "column"))
        _can_be_met(plan, path, condition)


def check_agreed(agreed: Sequence[str], name: str, path: tuple[str, ...]) -> None:
    """Refuse a column that is not agreed, where any are.

    Raises
    ------
    Fault
    """
    if agreed and name not in agreed:
        raise Fault(path, f"{name!r} is none of the agreed columns.{nearest(name, agreed)} Add [columns.{name}], or correct the name.")


def check_analysed(outcomes: Sequence[Outcome], analyses: Sequence[Analysis]) -> None:
    """Refuse an outcome that no analysis has, or a primary one that no main analysis has: it would be missing from the report.

    Asked of what a person wrote; plans made in Python may hold outcomes for later.

    Raises
    ------
    Fault
    """
    for outcome in outcomes if analyses else ():
        parts = {analysis.part for analysis in analyses if not analysis.outcomes or outcome.name in analysis.outcomes}
        if not parts or (outcome.role == "primary" and "main" not in parts):
            which = 'analysis of part "main"' if parts else "analysis"
            advice = "Add it to the outcomes of one, or take it out of the plan."
            raise Fault(("outcomes", outcome.name), f"No {which} has the {outcome.role} outcome {outcome.name!r}. {advice}")


def _possible(plan: Plan) -> None:
    for outcome in plan.outcomes:
        for key in ("horizon", "sd"):
            value = getattr(outcome, key)
            if value is not None and not value > 0:
                raise Fault(("outcomes", outcome.name, key), f"{key} is {value:g}; expected a number above 0.")
        low, high = mean_range(outcome)
        if outcome.expected is not None and not low < outcome.expected < high:
            told = f"expected is {outcome.expected:g}; a {outcome.family} mean lies between {low:g} and {high:g}. Correct it in the plan."
            raise Fault(("outcomes", outcome.name, "expected"), told)


def _baselines(plan: Plan) -> None:
    for case in plan.power:
        if not isinstance(case, PowerByFormula) or case.family != "binomial" or case.baseline is None:
            continue
        means = case.baseline if isinstance(case.baseline, tuple) else (case.baseline,)
        outside = [mean for mean in means if not 0 <= mean <= 1]
        if outside:
            raise Fault(
                ("power", case.name, "baseline"), f"baseline is {outside[0]:g}; expected a share from 0 to 1, such as 0.25 for 25%."
            )


def _conditions(plan: Plan) -> Iterator[tuple[tuple[str, ...], Condition]]:
    for part in ("populations", "outcomes"):
        for entry in getattr(plan, part):
            for number, condition in enumerate(entry.where, 1):
                yield (part, entry.name, "where", str(number)), condition


def _can_be_met(plan: Plan, path: tuple[str, ...], condition: Condition) -> None:
    """A value that the agreed column cannot hold selects nobody, which simulated data do not show."""
    for column in plan.columns:
        allowed = _allowed(column)
        wrong = [value for value in condition.among if _text(value) not in allowed] if column.name == condition.column else []
        if wrong and allowed:
            holds = listing([str(level) for level in column.levels], 8) if column.levels else "1 for yes and 0 for no"
            raise Fault((*path, "among"), f"{wrong[0]!r} is none of the values that {column.name!r} may take: {holds}. Correct it.")


def _allowed(column: Column) -> tuple[str, ...]:
    """Texts of the values that a column may take; nothing where they were not agreed."""
    if not column.levels:
        return FLAGS if column.holds == "yes/no" else ()
    flags = FLAGS if {_text(level) for level in column.levels} <= {*FLAGS} else ()
    return (*(_text(level) for level in column.levels), *flags)


def _text(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
