"""Results in sentences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from swedge._present.report import Caution
from swedge._present.tables import format_p, is_missing, percent
from swedge._present.words import joined
from swedge.errors import counted
from swedge.estimate import RATIOS
from swedge.estimators import GEE, MarginalEffect
from swedge.plan.documents.naming import label_in, measure, named, releasable_text, shown_p
from swedge.plan.documents.results_tables import shown_count
from swedge.plan.documents.sap_design import offer
from swedge.plan.uses import covariates_of

if TYPE_CHECKING:
    from swedge.plan.report import Report


def what_was_done(report: Report) -> str:
    """How much was run, and how it went."""
    failed, odd = len(report.failures), len(report.deviations)
    lost = f"{failed} of them failed" if failed else "none of them failed"
    told = (
        counted(odd, "deviation from the plan is listed", "deviations from the plan are listed")
        if odd
        else "there is no deviation from the plan"
    )
    fits, tests = int((report.rows["test"] == "").sum()), int((report.rows["test"] != "").sum())
    rows = f"{counted(fits, 'estimate', 'estimates')} and {counted(tests, 'test', 'tests')}"
    return f"The report holds {rows}; {lost}, and {told}."


DIRECTION = "Effects are treated minus control on the scale that is named, and ratios are treated over control."
CONDITIONAL = (
    "An odds ratio that is called conditional compares like with like: the same values of what is named. Averaged over everyone, the"
    " marginal one, it is nearer to 1."
)


def how_to_read(report: Report, rows: Sequence[Any]) -> str:
    """Which way effects go, and what a conditional one is, where there is one."""
    odd = any(_given(report, row).startswith("conditional") for row in rows)
    return f"{DIRECTION} {CONDITIONAL}" if odd else DIRECTION


def _given(report: Report, row: Any) -> str:
    """Whether an effect is marginal, or what an odds ratio is conditional on; nothing on scales where the two are one.

    Covariates, fixed and random effects all make the odds ratio of a logistic regression another one than the average over individuals.
    """
    plan = report.locked.plan
    fitted = {entry.name: entry.estimator for entry in plan.estimators}.get(row.method)
    if isinstance(fitted, MarginalEffect):
        return "marginal"
    if row.scale != "logit":
        return ""
    adjusted = row.analysis in plan.names["analyses"] and covariates_of(plan.analysis(row.analysis), plan.outcome(row.outcome))
    on = ["period", *([] if isinstance(fitted, GEE) else ["cluster"]), *(["covariates"] if adjusted else [])]
    return f"conditional on {joined(on)}"


def _who(report: Report, row: Any) -> str:
    """Outcome, analysis, population and size: whoever reads the line alone knows of whom it is."""
    plan = report.locked.plan
    n = shown_count(report, row.n)
    parts = [label_in(plan, "outcomes", row.outcome), named(plan, row)]
    first = row.population == plan.names["populations"][0]  # `named` tells every other one
    parts += [label_in(plan, "populations", row.population)] if first else []
    return "; ".join([*parts, *([] if n is None else [f"n = {n if isinstance(n, str) else f'{n:,.0f}'}"])])


def in_words(report: Report, row: Any) -> str:
    """One result in a sentence; an infinite limit is a word.

    Whoever reads the sentence alone knows the outcome, the analysis, the population, the scale and the level.
    """
    plan = report.locked.plan
    who = _who(report, row)
    if row.status == "failed":
        return f"{who}: failed. {releasable_text(report, row.message)}".rstrip()
    what = measure(plan.outcome(row.outcome), row.scale)
    said = [_effect(what, row), *_ratio(row), _given(report, row), *_p(row), *_offered(row)]
    return f"{who}: {'; '.join(part for part in said if part)}."


def _effect(what: str | None, row: Any) -> str:
    if is_missing(row.estimate):
        return f"not estimated ({row.status})" if is_missing(row.p_value) else ""
    return f"{what} {row.estimate:.3g}{_interval(row.conf_low, row.conf_high, row.level)}"


def _interval(low: float, high: float, level: Any) -> str:
    if is_missing(low) or is_missing(high):
        return ""
    return f" ({percent(level)} interval {limits_in_words(low, high)})"


def limits_in_words(low: float, high: float) -> str:
    """Two limits; an infinite one is a word.

    >>> limits_in_words(-0.1, 0.2), limits_in_words(-np.inf, 0.2), limits_in_words(-np.inf, np.inf)
    ('-0.1 to 0.2', 'unlimited below, up to 0.2', 'unlimited on both sides')
    """
    if np.isinf(low) and np.isinf(high):
        return "unlimited on both sides"
    if np.isinf(low):
        return f"unlimited below, up to {high:.3g}"
    return f"from {low:.3g}, unlimited above" if np.isinf(high) else f"{low:.3g} to {high:.3g}"


def _ratio(row: Any) -> Iterator[str]:
    if row.scale in RATIOS and np.isfinite([row.estimate, row.conf_low, row.conf_high]).all():
        low, value, high = np.exp([row.conf_low, row.estimate, row.conf_high])
        yield f"as {RATIOS[row.scale]} {value:.3g} ({low:.3g} to {high:.3g})"


def _p(row: Any) -> Iterator[str]:
    if not is_missing(row.p_value):
        least = "" if is_missing(row.min_p) or not row.min_p else f" (the smallest that it can give is {format_p(row.min_p)})"
        yield f"{shown_p(row.p_value)}{least}"


def _offered(row: Any) -> Iterator[str]:
    if not is_missing(row.offered_level):
        yield f"the interval that it can give at {percent(row.offered_level)} is {limits_in_words(row.offered_low, row.offered_high)}"


def bounded(report: Report, rows: Sequence[Any]) -> list[Caution]:
    """A caution for every test that cannot reject at the plan's level, whatever the effect."""
    plan = report.locked.plan
    found: dict[tuple[str, float], dict[str, None]] = defaultdict(dict)
    for row in rows:
        if not is_missing(row.min_p) and row.min_p > plan.alpha:
            found[label_in(plan, "tests", row.test), row.min_p][label_in(plan, "outcomes", row.outcome)] = None
    return [
        Caution(
            f"{test} ({joined(outcomes)}): p cannot be below {format_p(least)}, so that it can never reject at {percent(plan.alpha)}:"
            f" {offer(least, plan.alpha)}"
        )
        for (test, least), outcomes in found.items()
    ]
