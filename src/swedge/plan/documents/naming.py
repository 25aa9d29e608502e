"""What the results of a plan are called in print: its labels in place of its names."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

import pandas as pd

from swedge._present.escape import one_line
from swedge._present.tables import format_p, is_missing
from swedge.estimate import SCALES
from swedge.plan.plan import Plan
from swedge.plan.specs import Outcome
from swedge.plan.suppression import without_small_counts

if TYPE_CHECKING:
    from swedge.plan.report import Report

OWN_TEST = "own"
"""What stands for the test that an estimator makes itself."""

DIFFERENCES = {
    "binomial": "difference in risk",
    "fractional": "difference in share",
    "poisson": "difference in mean count",
    "gaussian": "difference in mean",
    "duration": "difference in restricted mean",
}


def measure(outcome: Outcome, scale: Any) -> str | None:
    """What an estimate is, with its unit; None where the scale is not known, since nothing was estimated.

    >>> days = Outcome("d", "Days", column="d", family="duration", event="e", horizon=730.0, unit="days")
    >>> measure(days, "identity"), measure(days, "log hazard"), measure(days, None)
    ('difference in restricted mean (days)', 'log hazard ratio', None)
    """
    if is_missing(scale):
        return None
    unit = f" ({outcome.unit})" if outcome.unit else ""
    return f"{DIFFERENCES[outcome.family]}{unit}" if scale == "identity" else SCALES.get(scale, str(scale))


def mean_of(outcome: Outcome) -> str:
    """What the mean of a cell is.

    >>> mean_of(Outcome("a", "Looked after", column="a", family="binomial"))
    'Looked after (share of individuals)'
    """
    unit = outcome.unit or {"binomial": "share of individuals", "fractional": "share", "poisson": "mean count"}.get(outcome.family, "mean")
    return f"{outcome.label} ({unit})"


def labels(plan: Plan, part: str) -> dict[str, str]:
    """Labels by name; those of `part` that have none go by their names."""
    return {entry.name: one_line(entry.label) or entry.name for entry in getattr(plan, part)}


def label_in(plan: Plan, part: str, name: Any) -> str:
    """The label of a name, or the name where the plan does not know it.

    A report may hold what its plan does not register: it is listed as a deviation, and shown.
    """
    return labels(plan, part).get(name, one_line(name))


def named(plan: Plan, row: Any) -> str:
    """Analysis, population, method and test of a row in one phrase; the population only if it is not the plan's first."""
    first = plan.names["populations"][0]
    parts = [label_in(plan, "analyses", row.analysis), label_in(plan, "estimators", row.method)]
    parts += [label_in(plan, "tests", row.test)] if row.test else []
    parts += [label_in(plan, "populations", row.population)] if row.population != first else []
    return "; ".join(parts)


def primary_of(plan: Plan) -> Outcome:
    """The first primary outcome; without one, the first."""
    return next((outcome for outcome in plan.outcomes if outcome.role == "primary"), plan.outcomes[0])


def drawn(text: Any, width: int = 0) -> str:
    r"""A text for a picture, in which no dollar sign begins a formula, on lines of `width` characters.

    >>> drawn("costs $5 or $6"), drawn("Looked after", 8)
    ('costs \\$5 or \\$6', 'Looked\nafter')
    """
    plain = re.sub(r"^_", " _", one_line(text))  # matplotlib hides labels that begin with an underscore
    return ("\n".join(textwrap.wrap(plain, width)) if width else plain).replace("$", r"\$")


def shown_p(p: float) -> str:
    """A p value with its sign.

    >>> shown_p(0.25), shown_p(0.0002)
    ('p = .2500', 'p < .001')
    """
    return f"p = {format_p(p)}".replace("= <", "< ")


def releasable_text(report: Report, text: Any) -> str:
    """A sentence in which no count of people that is meant for release is 1 to 5; nothing where there is no sentence."""
    said = "" if is_missing(text) else one_line(text)
    return without_small_counts(said) if report.release else said


def of(frame: pd.DataFrame, **values: str) -> pd.DataFrame:
    """Rows whose columns have these values, in order."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame
