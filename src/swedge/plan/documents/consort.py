"""The CONSORT checklist for stepped-wedge trials, filled where the plan (and the report of its run) knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import pandas as pd

from swedge._present.report import Section, Table
from swedge._present.tables import format_p, percent
from swedge._present.words import joined
from swedge.errors import counted
from swedge.estimators import MarginalEffect
from swedge.plan.documents.answers import OPEN, PLANNED, WRITTEN
from swedge.plan.documents.prose import sentence
from swedge.plan.documents.sap_analysis import MEASURES, missing_in_words
from swedge.plan.documents.sap_design import carried_out, design_in_words, lot_in_words, power_case
from swedge.plan.plan import Plan

DONE = "from the report"
"""The status of what the report of a run answers."""

CONSORT = (
    "Hemming K, Taljaard M, McKenzie JE, et al (2018). Reporting of stepped wedge cluster randomised trials:"
    " extension of the CONSORT 2010 statement"
    " with explanation and elaboration. BMJ 363, k1614."
)


class Ran(Protocol):
    """What is read of the report of a run: data frames."""

    @property
    def rows(self) -> pd.DataFrame:
        """One row a result: ``analysis, outcome, population, method, test, status`` among its columns."""

    @property
    def flow(self) -> pd.DataFrame:
        """Rows left after each step: ``outcome, population, cluster, stage, rows``."""

    @property
    def cells(self) -> pd.DataFrame:
        """Cells analysed: ``outcome, population, cluster, period, treatment, n, mean``."""

    @property
    def baseline(self) -> pd.DataFrame:
        """Covariates by condition: ``population, variable, condition, n`` among its columns."""

    @property
    def deviations(self) -> pd.DataFrame:
        """``kind, where, registered, run``."""


class Entry(NamedTuple):
    """An item of the checklist, in words of our own; `keys` are the plan's ``[text]`` keys that answer it."""

    number: str
    section: str
    topic: str
    wants: str
    keys: tuple[str, ...] = ()


FRONT, OPENING, METHODS, RESULTS, DISCUSSION, OTHER = (
    "Title and abstract",
    "Introduction",
    "Methods",
    "Results",
    "Discussion",
    "Other information",
)

ITEMS = (
    Entry("1a", FRONT, "Title", "the title says that this is a stepped-wedge cluster randomised trial"),
    Entry("1b", FRONT, "Abstract", "design, methods, results and conclusions in a structured summary"),
    Entry("2a", OPENING, "Background", "why the trial, why clusters, why a stepped wedge", ("background", "rationale")),
    Entry("2b", OPENING, "Objectives", "objectives or hypotheses", ("objectives",)),
    Entry("3a", METHODS, "Design", "clusters, sequences, periods, step lengths, same or other people, with a diagram"),
    Entry("3b", METHODS, "Changes to methods", "what changed after the start, and why"),
    Entry("4a", METHODS, "Eligibility", "who could enter, clusters and individuals", ("eligibility",)),
    Entry("4b", METHODS, "Setting", "where the trial took place and data were collected", ("setting",)),
    Entry("5", METHODS, "Interventions", "intervention and control, how kept up, at which level", ("intervention",)),
    Entry("6a", METHODS, "Outcomes", "primary and secondary outcomes, how and when assessed"),
    Entry("6b", METHODS, "Changes to outcomes", "what changed in outcomes after the start, and why"),
    Entry("7a", METHODS, "Sample size", "the calculation with its correlations, so that it can be repeated", ("sample_size",)),
    Entry("7b", METHODS, "Interim analyses", "interim looks and stopping rules", ("interim_analyses", "stopping")),
    Entry("8a", METHODS, "Sequence generation", "how clusters were allocated at random to sequences", ("randomisation",)),
    Entry("8b", METHODS, "Restriction", "strata or constraints of the randomisation"),
    Entry("9", METHODS, "Concealment", "that clusters were allocated, and how that was concealed", ("concealment",)),
    Entry("10a", METHODS, "Implementation", "who drew the allocation, enrolled clusters and assigned them", ("implementation",)),
    Entry("10b", METHODS, "Participants in clusters", "how individuals came into clusters, and who identified them", ("participants",)),
    Entry("10c", METHODS, "Consent", "from whom, when and for what; whether it differed by condition", ("consent",)),
    Entry("11a", METHODS, "Blinding", "who was blinded to the allocation, and how", ("blinding",)),
    Entry("11b", METHODS, "Similarity", "how alike the conditions were, if relevant", ("similarity",)),
    Entry("12a", METHODS, "Statistical methods", "models, with time, clustering and repeated measures"),
    Entry("12b", METHODS, "Additional analyses", "subgroup, sensitivity and adjusted analyses"),
    Entry("13a", RESULTS, "Flow", "clusters and individuals assessed, allocated, treated and analysed, by sequence"),
    Entry("13b", RESULTS, "Losses", "losses and exclusions of clusters and individuals, with reasons"),
    Entry("14a", RESULTS, "Dates", "dates of steps, of go-live, of recruitment and follow-up, with departures"),
    Entry("14b", RESULTS, "End of the trial", "why the trial ended or was stopped"),
    Entry("15", RESULTS, "Baseline", "characteristics of clusters and individuals by condition or sequence"),
    Entry("16", RESULTS, "Numbers analysed", "observations and clusters in each analysis, and whether as allocated"),
    Entry("17a", RESULTS, "Outcomes and estimation", "results by condition, effects with intervals, correlations and time effects"),
    Entry("17b", RESULTS, "Binary outcomes", "absolute and relative effects"),
    Entry("18", RESULTS, "Ancillary analyses", "other analyses, registered ones told from exploratory ones"),
    Entry("19", RESULTS, "Harms", "important harms under each condition", ("harms",)),
    Entry("20", DISCUSSION, "Limitations", "bias, imprecision, multiplicity"),
    Entry("21", DISCUSSION, "Generalisability", "to which clusters and individuals the findings apply"),
    Entry("22", DISCUSSION, "Interpretation", "what the results mean, beside other evidence"),
    Entry("23", OTHER, "Registration", "number and registry", ("registration",)),
    Entry("24", OTHER, "Protocol", "where the full protocol can be read", ("protocol_access",)),
    Entry("25", OTHER, "Funding", "who paid, and what part they played", ("funding",)),
    Entry("26", OTHER, "Ethics", "committee and approval; reasons for any waiver of consent", ("ethics",)),
)
"""The 26 items, with their parts, of Hemming et al. (2018), numbered as there; topics and wants are ours."""


def consort_checklist(plan: Plan, report: Ran | None = None) -> pd.DataFrame:
    """The checklist: ``item, section, topic, status, answer``.

    Parameters
    ----------
    plan : Plan
    report : Report, optional
        Of the run. Left out, items on results are to be written.

    Returns
    -------
    DataFrame
        The status is "from the plan", "from the report", "written" (in the plan's ``[text]``) or "to be written"; what is to be written
        is marked in square brackets, with room for the page.
    """
    rows = [(entry.number, entry.section, entry.topic, *_answered(entry, plan, report)) for entry in ITEMS]
    return pd.DataFrame(rows, columns=["item", "section", "topic", "status", "answer"])


def consort_sections(plan: Plan, report: Ran | None = None) -> list[Section]:
    """The checklist as a section of a document."""
    words = f"The items of {CONSORT} Numbers are as there; the words are not. Page numbers are for a person to give."
    return [Section("CONSORT checklist for stepped-wedge trials", (words, Table(consort_checklist(plan, report), "The checklist.")))]


def _answered(entry: Entry, plan: Plan, report: Ran | None) -> tuple[str, str]:
    found = FOUND[entry.number](plan, report) if report is not None and entry.number in FOUND else ""
    written = [sentence(plan.text(key)) for key in entry.keys if plan.text(key)]
    fact = KNOWN[entry.number](plan) if entry.number in KNOWN else ""
    said = " ".join(part for part in (*written, fact, found) if part)
    if said:
        return (DONE if found else PLANNED if fact else WRITTEN), f"{said} [page: __]"
    where = f" ({', '.join(f'text.{key}' for key in entry.keys)})" if entry.keys else ""
    return OPEN, f"[To be written: {entry.wants}{where}; page: __]"


def _design(plan: Plan) -> str:
    cohort = [o.label for o in plan.outcomes if o.individual]
    who = (
        f"The same individuals are followed over periods for {joined(cohort)}."
        if cohort
        else "Rows are taken to be different individuals, in every period."
    )
    return f"{design_in_words(plan.design)} {who} The diagram is in the analysis plan."


def _outcomes(plan: Plan) -> str:
    told = [f"{o.label} ({o.role}; {MEASURES[o.family].split(';')[0]}{f'; {o.window}' if o.window else ''})" for o in plan.outcomes]
    return f"{'; '.join(told)}."


def _power(plan: Plan) -> str:
    return " ".join(power_case(plan, case) for case in plan.power)


def _generation(plan: Plan) -> str:
    """How the lot was drawn; nothing where it was not drawn here."""
    draw = None if plan.allocation is None else plan.allocation.draw
    if draw is None or draw.seed is None:
        return ""
    return f"Drawn uniformly over the permitted allocations with seed {draw.seed}. The audit record is {plan.allocation_rule.record}."


def _restriction(plan: Plan) -> str:
    constraint = plan.design.constraint
    balanced = f" Constrained to balance {joined(c.name for c in constraint.covariates)}." if constraint is not None else ""
    smallest = plan.design.min_p()
    bound = f" A randomisation test cannot give a p below {format_p(smallest)}, so it cannot reject at {percent(plan.alpha)}." * (
        smallest > plan.alpha
    )
    return f"{lot_in_words(plan.design)}{balanced}{bound}"


def _methods(plan: Plan) -> str:
    told = [f"{a.label}: {joined(plan.estimator(name).label for name in a.estimators)}" for a in plan.analyses if a.part == "main"]
    return f"{'; '.join(told)}. Missing data: {missing_in_words(plan)}. In full in the analysis plan (items 27a to 28)." if told else ""


def _further(plan: Plan) -> str:
    told = [f"{a.label} ({a.part})" for a in plan.analyses if a.part != "main"]
    return f"{joined(told)}." if told else "None is registered."


def _dates(plan: Plan) -> str:
    if plan.allocation is None or not plan.design.boundaries:
        return ""
    frame = carried_out(plan.allocation)
    steps = joined(f"{cluster} {day}" for cluster, day in zip(frame["cluster"], frame["go_live"], strict=True))
    return f"Go-live as allocated: {steps}. Departures from these dates are for a person to state."


def _deviations(_: Plan, report: Ran) -> str:
    found = len(report.deviations)
    return (
        f"The report lists {counted(found, 'deviation', 'deviations')} from the registered analysis. Other changes"
        " are for a person to state."
    )


def _flow(_: Plan, report: Ran) -> str:
    if report.flow.empty:
        return ""
    clusters, steps = report.flow["cluster"].nunique(), report.flow["stage"].nunique()
    return (
        f"The flow of rows is in the report: {clusters} clusters, {steps} steps, for each outcome and population. Who was assessed for"
        " eligibility is for a person to state."
    )


def _baseline(_: Plan, report: Ran) -> str:
    told = report.baseline["variable"].replace("", None).nunique()
    return f"The report has a table of {counted(told, 'covariate', 'covariates')} by condition." if told else ""


def _analysed(_: Plan, report: Ran) -> str:
    if report.cells.empty:
        return ""
    return (
        f"Individuals in each cell analysed are in the report, for {counted(report.cells['cluster'].nunique(), 'cluster', 'clusters')},"
        " as allocated."
    )


def _results(_: Plan, report: Ran) -> str:
    if report.rows.empty:
        return ""
    rows = report.rows
    failed = int((rows["status"] == "failed").sum())
    return (
        f"Results tables: {len(rows):,} results for {counted(rows['outcome'].nunique(), 'outcome', 'outcomes')},"
        f" {failed:,} failed and shown in place."
    )


def _binary(plan: Plan, report: Ran) -> str:
    """Absolute effects of binary primary outcomes: estimated on the scale of risks, or by standardisation."""
    binary = [o.name for o in plan.outcomes if o.role == "primary" and o.family == "binomial"]
    averaged = [entry.name for entry in plan.estimators if isinstance(entry.estimator, MarginalEffect)]
    rows = report.rows[report.rows["outcome"].isin(binary) & (report.rows["status"] != "failed") & (report.rows["test"] == "")]
    if rows.empty:
        return ""
    found = rows[(rows["scale"] == "identity") | rows["method"].isin(averaged)]
    named = dict.fromkeys(plan.estimator(name).label for name in found["method"] if name in plan.names["estimators"])
    return f"{joined(named)}: in the results tables, beside the relative effects." if named else ""


def _ancillary(_: Plan, report: Ran) -> str:
    rows = report.rows
    if rows.empty or "part" not in rows.columns:
        return ""
    parts = rows.loc[rows["part"] != "main", "analysis"].nunique()
    return (
        f"The report holds {counted(parts, 'registered analysis', 'registered analyses')} beside the main ones;"
        " what is not registered is exploratory."
    )


KNOWN: dict[str, Callable[[Plan], str]] = {
    "3a": _design,
    "6a": _outcomes,
    "7a": _power,
    "8a": _generation,
    "8b": _restriction,
    "12a": _methods,
    "12b": _further,
    "14a": _dates,
}
FOUND: dict[str, Callable[[Plan, Any], str]] = {
    "3b": _deviations,
    "13a": _flow,
    "15": _baseline,
    "16": _analysed,
    "17a": _results,
    "17b": _binary,
    "18": _ancillary,
}
