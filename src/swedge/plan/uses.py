"""Which columns of its tables a plan uses, and what each has to hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from swedge.plan.specs import Analysis, Column, Outcome, Source
from swedge.trial.formula import parse

if TYPE_CHECKING:
    from swedge.plan.plan import Plan

ANYTHING = "anything"
CLUSTER = "cluster"
COVARIATE = "covariate"
"""What a column holds by its place in the plan, where that is none of the kinds that a person may agree: ``C(name)`` and conditions take
anything, a bare name in a formula is a number unless it is text."""

ORDER = (CLUSTER, "date", "yes/no", "number", "text", "category", COVARIATE, ANYTHING)
"""Of a column with several uses, the first of these says how it is read and what is checked."""


class Use(NamedTuple):
    """A column of a table, what it has to hold there, and which part of the plan uses it."""

    source: str
    column: str
    holds: str
    owner: str


def uses(plan: Plan) -> tuple[Use, ...]:
    """Every use of every column, the sources' own first; declared columns come last, so that their owner is who really uses them.

    Raises
    ------
    DataError
        If a formula cannot be read.
    """
    found = [use for source in plan.sources for use in _of_source(source)]
    found += [use for outcome in plan.outcomes for use in _of_outcome(plan, outcome)]
    found += [use for analysis in plan.analyses for use in _of_analysis(plan, analysis)]
    held = {(use.source, use.column) for use in found}
    return tuple(dict.fromkeys([*found, *(use for column in plan.columns for use in _of_column(plan, column, held))]))


def kinds_of(plan: Plan, source: str) -> dict[str, str]:
    """Every column of a table that a plan uses, in order, and what it holds."""
    found = [use for use in uses(plan) if use.source == source]
    kinds = dict.fromkeys((use.column for use in found), ANYTHING)
    kinds.update((use.column, use.holds) for use in sorted(found, key=lambda use: ORDER.index(use.holds), reverse=True))
    return kinds


def _of_source(source: Source) -> Iterator[Use]:
    roles = ((source.cluster, CLUSTER), (source.date, "date"), *((name, "number") for name in _counted(source)))
    yield from (Use(source.name, name, holds, f"source {source.name!r}") for name, holds in roles if name is not None)


def _counted(source: Source) -> tuple[str | None, ...]:
    return source.period, source.treatment, source.first_treated


def _of_outcome(plan: Plan, outcome: Outcome) -> Iterator[Use]:
    source, owner = plan.source_of(outcome).name, f"outcome {outcome.name!r}"
    counted = (outcome.column, outcome.period, outcome.treatment, outcome.size, outcome.event, outcome.censored)
    roles = [*((name, "number") for name in counted), (outcome.date, "date"), (outcome.individual, ANYTHING)]
    roles += [(name, ANYTHING) for name in (*outcome.requires, *(condition.column for condition in outcome.where))]
    roles += _in_formula(outcome.covariates)
    yield from (Use(source, name, holds, owner) for name, holds in roles if name is not None)


def _of_analysis(plan: Plan, analysis: Analysis) -> Iterator[Use]:
    """Formula, populations and auxiliary columns, in every table that the analysis reads."""
    populations = [plan.population(name) for name in analysis.populations or plan.names["populations"][:1]]
    wanted = [(condition.column, ANYTHING, f"population {entry.name!r}") for entry in populations for condition in entry.where]
    wanted += [(name, holds, f"analysis {analysis.name!r}") for name, holds in _in_formula(analysis.covariates or "")]
    if plan.missing.imputation is not None and rule_of(plan, analysis) == "multiple imputation":
        wanted += [(name, ANYTHING, "missing.imputation") for name in plan.missing.imputation.auxiliary]
    tables = dict.fromkeys(plan.source_of(outcome).name for outcome in analysed(plan, analysis))
    yield from (Use(table, *use) for table in tables for use in wanted)


def _in_formula(formula: str) -> list[tuple[str, str]]:
    tokens = parse(formula) if formula else []
    return [(text, COVARIATE if kind == "name" else ANYTHING) for kind, text in tokens if kind != "operator"]


def _of_column(plan: Plan, column: Column, held: set[tuple[str, str]]) -> Iterator[Use]:
    """A declared column, in the tables that it was declared for; in those that use it, if in no one of them; if none does, in the first."""
    using = [name for name in plan.names["sources"] if (name, column.name) in held]
    tables = [column.source] if column.source is not None else using or [plan.sources[0].name]
    yield from (Use(table, column.name, column.holds, f"column {column.name!r}") for table in tables)


def analysed(plan: Plan, analysis: Analysis) -> list[Outcome]:
    """Outcomes of an analysis."""
    return [plan.outcome(name) for name in analysis.outcomes or plan.names["outcomes"]]


def outcomes_of(plan: Plan, source: Source) -> list[Outcome]:
    """Outcomes that a table holds."""
    return [outcome for outcome in plan.outcomes if plan.source_of(outcome) == source]


def rule_of(plan: Plan, analysis: Analysis) -> str:
    """What an analysis does about missing values."""
    return analysis.missing or plan.missing.rule


def covariates_of(analysis: Analysis, outcome: Outcome) -> list[str]:
    """Columns of the formula with which an analysis adjusts an outcome."""
    formula = outcome.covariates if analysis.covariates is None else analysis.covariates
    return list(dict.fromkeys(name for name, _ in _in_formula(formula)))


def declared(plan: Plan, source: str, column: str) -> Column | None:
    """What was agreed about a column of a table."""
    agreed = [entry for entry in plan.columns if entry.name == column and entry.source in (source, None)]
    return next((entry for entry in agreed if entry.source is not None), agreed[0] if agreed else None)
