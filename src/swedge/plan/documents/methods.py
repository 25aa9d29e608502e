"""The methods of a plan in one paragraph, fit for a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from swedge._present.tables import format_p, percent
from swedge._present.words import joined
from swedge.errors import counted
from swedge.plan.documents.consort import Ran
from swedge.plan.documents.prose import sentence
from swedge.plan.documents.sap_analysis import METHODS, missing_in_words
from swedge.plan.documents.sap_design import design_in_words, lot_in_words
from swedge.plan.documents.words import in_words
from swedge.plan.plan import Plan
from swedge.plan.versions import versions_of

if TYPE_CHECKING:
    from swedge.plan.lock import Amendment


def methods_paragraph(
    plan: Plan,
    sha256: str = "",
    report: Ran | None = None,
    *,
    versions: Mapping[str, str] | None = None,
    amendments: Sequence[Amendment] = (),
) -> str:
    """Design, allocations, outcomes, models, tests, missing data, multiplicity, software, hash and amendments, in one paragraph.

    Parameters
    ----------
    plan : Plan
    sha256 : str
        Of the lock; empty for a plan that is not locked.
    report : Report, optional
        Of the run: how many results failed is then said.
    versions : mapping, optional
        Packages and their versions; left out, those that are running.
    amendments : sequence of Amendment
        Of the lock.
    """
    used = versions_of() if versions is None else versions
    said = [
        f"{design_in_words(plan.design)} {lot_in_words(plan.design)} {_smallest(plan)}",
        *_outcomes(plan),
        *_models(plan),
        _level(plan),
        _missing(plan),
        _multiplicity(plan),
        *_comparators(plan),
        f"Software: {joined(f'{name} {version}' for name, version in used.items())}.",
        _registration(sha256, amendments),
        *_failed(report),
    ]
    return " ".join(" ".join(said).split())


def _smallest(plan: Plan) -> str:
    smallest = plan.design.min_p()
    words = f"The smallest p of a randomisation test over them is {format_p(smallest)}"
    return f"{words}, so that it cannot reject at {percent(plan.alpha)}." if smallest > plan.alpha else f"{words}."


def _outcomes(plan: Plan) -> list[str]:
    roles = {role: [o for o in plan.outcomes if o.role == role] for role in ("primary", "secondary", "exploratory")}
    return [
        f"The {role} outcome{'s were' if len(found) > 1 else ' was'} {joined(f'{o.label}{_window(o.window)}' for o in found)}."
        for role, found in roles.items()
        if found
    ]


def _window(window: str) -> str:
    return f" ({window})" if window else ""


def _models(plan: Plan) -> list[str]:
    """Estimators and tests of the main analyses, and what else is registered."""
    told = []
    for analysis in plan.analyses:
        if analysis.part == "main":
            told += [
                f"{analysis.label}, {plan.estimator(name).label}: {in_words(plan.estimator(name).estimator)}"
                for name in analysis.estimators
            ]
            told += [in_words(plan.test(name).test) for name in analysis.tests]
    return list(dict.fromkeys(told)) + _others(plan)


def _others(plan: Plan) -> list[str]:
    told = [
        f"{a.label} ({a.part}, by {joined(plan.estimator(name).label for name in a.estimators)})" for a in plan.analyses if a.part != "main"
    ]
    return [f"Further registered analyses: {'; '.join(told)}."] if told else []


def _level(plan: Plan) -> str:
    adjusted = [o.label for o in plan.outcomes if o.covariates]
    covariates = (
        f"Covariates were adjusted for in {joined(adjusted)} as registered." if adjusted else "Analyses were unadjusted for covariates."
    )
    return f"Tests were two-sided at the {percent(plan.alpha)} level and intervals have level {percent(plan.level)}. {covariates}"


def _missing(plan: Plan) -> str:
    how = f" {in_words(plan.missing.imputation)}" if plan.missing.imputation is not None else ""
    return f"Missing data: {missing_in_words(plan)}.{how}"


def _multiplicity(plan: Plan) -> str:
    rule = plan.multiplicity
    if rule is None:
        return "p values were not adjusted for several outcomes."
    which = joined(plan.outcome(name).label for name in rule.outcomes) if rule.outcomes else "the secondary outcomes"
    return f"p values of {which} were adjusted by {METHODS[rule.method]}."


def _comparators(plan: Plan) -> list[str]:
    beside = plan.comparators
    return (
        [f"Never-treated comparators were {joined(beside.clusters)}; they were not randomised. {sentence(beside.words)}"] if beside else []
    )


def _registration(sha256: str, amendments: Sequence[Amendment]) -> str:
    if not sha256:
        return "The plan is not locked: nothing in it is registered."
    told = [
        f"number {a.number} on {a.date}, {'after' if a.unblinded else 'before'} unblinding ({a.reason.rstrip('.')})" for a in amendments
    ]
    changed = f"{counted(len(told), 'amendment', 'amendments')}: {'; '.join(told)}." if told else "It has no amendments."
    return f"The analysis plan was locked under SHA-256 {sha256}. {changed}"


def _failed(report: Ran | None) -> list[str]:
    if report is None:
        return []
    failed, found = int((report.rows["status"] == "failed").sum()), len(report.deviations)
    results = f"Of {len(report.rows):,} results {failed:,} failed and {'is' if failed == 1 else 'are'} shown in place"
    return [f"{results}; {counted(found, 'deviation', 'deviations')} from the plan {'is' if found == 1 else 'are'} listed."]
