"""What a plan knows of its principles, populations, outcomes and analyses."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from swedge._present.report import Block, Caution, Points, Table
from swedge._present.tables import format_p, percent
from swedge._present.words import joined
from swedge.assumptions import ByGroup
from swedge.estimators import TwoWayFixedEffects, WithinPeriod
from swedge.estimators.difference import DifferenceInDifferences
from swedge.plan.documents.answers import Facts, Fill, Known
from swedge.plan.documents.prose import conditions, number, sentence
from swedge.plan.documents.sap_design import offer
from swedge.plan.documents.words import cautions, formula, in_words, known, references, smallest_p
from swedge.plan.plan import Plan
from swedge.plan.specs import Analysis, Outcome, PlannedTest
from swedge.plan.uses import analysed, rule_of

CELL_MEANS = (WithinPeriod, TwoWayFixedEffects, DifferenceInDifferences)
"""Estimators that no covariate of a formula enters."""

MEASURES = {
    "binomial": "binary; effects on the scale of the link (log odds ratios under logit)",
    "gaussian": "continuous; effects are differences of means",
    "poisson": "a count; effects on the scale of the link (log rate ratios under log)",
    "fractional": "a share; effects on the scale of the link (log odds ratios under logit)",
    "duration": (
        "a duration, as pseudo-observations of the restricted mean (Kaplan-Meier within cluster-periods); effects are differences of it"
    ),
}
RULES = {
    "refuse": "missing values are refused: the analysis does not run while there are any",
    "complete case": "rows with a missing outcome or covariate are left out (complete cases)",
    "missing indicator": "missing covariates get an indicator of their own, and rows with a missing outcome are left out",
    "multiple imputation": "missing covariates and outcomes are multiply imputed",
}
METHODS = {
    "holm": "Holm's step-down procedure",
    "hochberg": "Hochberg's step-up procedure",
    "hommel": "Hommel's procedure",
    "bonferroni": "Bonferroni's correction",
    "sidak": "Sidak's correction",
    "benjamini-hochberg": "the false discovery rate of Benjamini and Hochberg",
    "benjamini-yekutieli": "the false discovery rate of Benjamini and Yekutieli",
    "maxT": "the step-down p of the largest statistic under the allocations that the design permits (maxT)",
}
STAGES = (
    "rows read, in the clusters of the outcome, in the population, for which the outcome exists, with a known"
    " outcome, and with known covariates"
)


def significance(facts: Facts) -> Known:
    """Item 16."""
    return Known((f"Two-sided tests at the {percent(facts.plan.alpha)} level (alpha = {number(facts.plan.alpha)}).",))


def multiplicity(facts: Facts) -> Known:
    """Item 17."""
    plan, rule = facts.plan, facts.plan.multiplicity
    if rule is None:
        return Known(("No adjustment for several outcomes is registered: p values are given as they are, and are to be read so.",))
    outcomes = joined(plan.outcome(name).label for name in rule.outcomes) if rule.outcomes else "every secondary outcome"
    whose = f"the test {plan.test(rule.test).label}" if rule.test else "the estimator's own test"
    words = (
        f"p values of {outcomes} in {plan.analysis(rule.analysis).label}, by {plan.estimator(rule.estimator).label}"
        f" and {whose}, are one family,"
        f" adjusted by {METHODS[rule.method]}. p values outside the family are not adjusted."
    )
    return Known((f"{words} {sentence(rule.words)}".strip(),))


def intervals(facts: Facts) -> Known:
    """Item 18."""
    level = percent(facts.plan.level)
    return Known(
        (f"Every estimate has a {level} interval. A test that cannot give one at this level offers the highest level that it can give.",)
    )


def populations(facts: Facts) -> Known:
    """Item 20."""
    told = []
    for k, entry in enumerate(facts.plan.populations):
        who = f"rows where {conditions(entry.where)}" if entry.where else "every row"
        main = ", the main population" if k == 0 else ""
        told.append(f"{entry.label} ({entry.name}{main}): {who}. {sentence(entry.words)}".strip())
    return Known((Points(tuple(told)),))


def recruitment(facts: Facts) -> Known:
    """Item 23."""
    return Known(
        (
            f"The flow diagram counts, for each outcome, population and cluster, {STAGES}. Counts of 1 to"
            " 5 are suppressed in what is released.",
        )
    )


def outcomes(facts: Facts) -> Known:
    """Item 26a."""
    rows = [{"outcome": o.label, "name": o.name, "role": o.role, "window": o.window or "–"} for o in facts.plan.outcomes]
    return Known((Table(pd.DataFrame(rows), "The outcomes."),))


def measurement(facts: Facts) -> Known:
    """Item 26b."""
    rows = [
        {"outcome": o.label, "column": o.column, "table": facts.plan.source_of(o).name, "type": MEASURES[o.family], "unit": o.unit or "–"}
        for o in facts.plan.outcomes
    ]
    return Known((Table(pd.DataFrame(rows), "Columns, types and units."),))


def derivation(facts: Facts) -> Known:
    """Item 26c."""
    told = tuple(f"{o.label}: {' '.join(_derived(o))}" for o in facts.plan.outcomes if _derived(o))
    gaps = tuple(f"[To be written: the definition of {o.label} (outcomes.{o.name}.words)]" for o in facts.plan.outcomes if not o.words)
    return Known((Points(told),) if told else (), gaps)


def _derived(o: Outcome) -> list[str]:
    flag = f"{o.event} says that the event happened" if o.event else f"{o.censored} says that it was censored"
    said = (
        (o.words, sentence(o.words)),
        (o.horizon, f"Time up to {number(o.horizon or 0)}{f' {o.unit}' if o.unit else ''}, where it is cut; {flag}."),
        (o.where, f"Only rows where {conditions(o.where)}."),
        (o.requires, f"It does not exist for rows without a value of {joined(o.requires)}, which are counted and not missing."),
        (o.date, f"Placed in its period by {o.date}."),
        (o.period, f"Placed in its period by the period number {o.period}."),
        (o.treatment, f"Its own record of treatment, {o.treatment}, is checked against the allocation."),
        (o.size, f"Each row stands for {o.size} individuals."),
        (o.individual, f"{o.individual} names the individual, who may be seen in several periods."),
        (o.without, f"Not held by {joined(o.without)}, whose rows are not read."),
        (o.expected, f"Rehearsals simulate a mean of {number(o.expected or 0)} under control."),
        (o.sd, f"Rehearsals simulate a standard deviation of {number(o.sd or 0)}."),
    )
    return [words for value, words in said if value is not None and value not in ("", ())]


def methods(facts: Facts) -> Known:
    """Item 27a."""
    plan = facts.plan
    models = [Points(tuple(_model(plan, name) for name in plan.names["estimators"])), *_warned(plan)]
    tests = [Points(tuple(f"{plan.test(n).label} ({n}): {in_words(plan.test(n).test)}" for n in plan.names["tests"]))] if plan.tests else []
    paragraphs = [block for analysis in plan.analyses if analysis.part == "main" for block in analysis_blocks(plan, analysis)]
    notation = (
        "Notation: i is the cluster, j the period, k the individual; X_ij is 1 (or the treated part) where"
        " cluster i is treated in period j; g is"
        " the link; β_j are period effects, α_i fixed and u_i, v_ij random effects of clusters and cluster-periods;"
        " θ is the treatment effect."
    )
    return Known((notation, *models, *tests, *paragraphs))


def _model(plan: Plan, name: str) -> str:
    entry, clusters = plan.estimator(name), plan.design.n_clusters
    model = f" Model: {formula(entry.estimator)}." if formula(entry.estimator) else ""
    return f"{entry.label} ({name}): {in_words(entry.estimator)}{model} {known(entry.estimator, clusters)}".strip()


def _warned(plan: Plan) -> list[Block]:
    pairs = [(entry.label, entry.estimator) for entry in plan.estimators] + [(entry.label, entry.test) for entry in plan.tests]
    return [Caution(f"{label}: {text}") for label, spec in pairs for text in cautions(spec, plan.design.n_clusters)]


def analysis_blocks(plan: Plan, analysis: Analysis) -> list[Block]:
    """An analysis in a paragraph, and what its tests cannot do."""
    found = analysed(plan, analysis)
    who = joined(plan.population(name).label for name in analysis.populations or plan.names["populations"][:1])
    labels = [plan.estimator(name).label for name in analysis.estimators]
    by = joined(labels) + (f" ({labels[0]} leads)" if len(labels) > 1 else "")
    tests = f" Tests, beside the estimators' own: {joined(plan.test(name).label for name in analysis.tests)}." if analysis.tests else ""
    words = (
        f"{analysis.label} ({analysis.name}, {analysis.part}): {joined(o.label for o in found)} in {who}, by {by}.{tests}"
        f" {_covariates_in_words(plan, analysis)} Missing data: {RULES[rule_of(plan, analysis)]}.{_left_out(plan, analysis)}"
        f" {sentence(analysis.words)}"
    )
    return [words.strip(), *(block for name in analysis.tests for block in _attainable(plan, analysis, plan.test(name)))]


def _covariates_in_words(plan: Plan, analysis: Analysis) -> str:
    """What is adjusted for; comparisons of cell means are not, and lose rows with a missing covariate all the same."""
    crude = [entry.label for entry in map(plan.estimator, analysis.estimators) if isinstance(entry.estimator, CELL_MEANS)]
    adjusted = analysis.covariates or (analysis.covariates is None and any(o.covariates for o in analysed(plan, analysis)))
    told = f" {joined(crude)}: a comparison of cell means, not adjusted for them." if crude and adjusted else ""
    return f"{_formula_in_words(analysis)}{told}"


def _formula_in_words(analysis: Analysis) -> str:
    if analysis.covariates is None:
        return "Covariates are those of each outcome."
    return f"In place of the outcomes' own covariates: {analysis.covariates}." if analysis.covariates else "Unadjusted."


def _left_out(plan: Plan, analysis: Analysis) -> str:
    said = [
        f"Never-treated comparators ({len(plan.comparators.clusters)} clusters) stand beside the trial's."
        if analysis.comparators and plan.comparators
        else "",
        f"Left out: {joined(analysis.without_clusters)}." if analysis.without_clusters else "",
        f"Left out: period{'s' * (len(analysis.without_periods) > 1)} {joined(analysis.without_periods)}."
        if analysis.without_periods
        else "",
    ]
    return "".join(f" {text}" for text in said if text)


def _attainable(plan: Plan, analysis: Analysis, entry: PlannedTest) -> list[Block]:
    """Smallest p of a test, outcome by outcome; a caution where it cannot reject."""
    bounds: dict[float, list[str]] = {}
    for outcome in analysed(plan, analysis):
        bounds.setdefault(smallest_attainable(plan, analysis, outcome, entry.test), []).append(outcome.label)
    return [_bound(plan, entry.label, labels, p) for p, labels in bounds.items() if p > 0]


def _bound(plan: Plan, label: str, labels: Iterable[str], p: float) -> Block:
    words = f"{label}, {joined(labels)}: p of this test cannot be below {format_p(p)}."
    return words if p <= plan.alpha else Caution(f"{words} It can never reject at {percent(plan.alpha)}: {offer(p, plan.alpha)}")


def smallest_attainable(plan: Plan, analysis: Analysis, outcome: Outcome, test: object) -> float:
    """Smallest p of a test of one outcome under the allocations of its clusters; 0 where there is no bound, or none is known yet."""
    gone = [name for name in (*outcome.without, *analysis.without_clusters) if name in plan.design.clusters]
    if (gone and plan.allocation is None) or plan.source_of(outcome).first_treated is not None:
        return 0.0
    own = plan.allocation.without(gone).design if gone and plan.allocation is not None else plan.design
    return smallest_p(test, own.count(), own.min_p())


def covariates(facts: Facts) -> Known:
    """Item 27b."""
    rows = [{"outcome": o.label, "covariates": o.covariates or "none (unadjusted)"} for o in facts.plan.outcomes]
    other = [a for a in facts.plan.analyses if a.covariates is not None]
    rest = (Points(tuple(f"{a.label}: {a.covariates or 'unadjusted'}" for a in other)),) if other else ()
    return Known((Table(pd.DataFrame(rows), "Covariates of each outcome's analyses; C(name) makes categories of a column."), *rest))


def sensitivity(facts: Facts) -> Known:
    """Item 27e."""
    return _parts(facts, "sensitivity", "No sensitivity analysis is registered.")


def _parts(facts: Facts, part: str, none: str) -> Known:
    blocks = [block for entry in facts.plan.analyses if entry.part == part for block in analysis_blocks(facts.plan, entry)]
    return Known(tuple(blocks) or (none,))


def subgroups(facts: Facts) -> Known:
    """Item 27f."""
    plan = facts.plan
    grouped = [entry.label for entry in plan.estimators if isinstance(getattr(entry.estimator, "effect", None), ByGroup)]
    split = [
        f"{a.label}: {joined(plan.population(n).label for n in a.populations)}"
        for a in plan.analyses
        if set(a.populations) - {plan.populations[0].name}
    ]
    if not grouped and not split:
        return Known(("No analysis of subgroups is registered.",))
    words = f"Effects that differ between groups of clusters: {joined(grouped)}." if grouped else "No effect by subgroup is registered."
    return Known((words, *((Points(tuple(sentence(text) for text in split)),) if split else ())))


def missing_in_words(plan: Plan) -> str:
    """The plan's rule for missing values, and each analysis that has another."""
    others = [f"in {a.label}, {RULES[a.missing]}" for a in plan.analyses if a.missing not in (None, plan.missing.rule)]
    return "; ".join([RULES[plan.missing.rule], *others])


def missing_data(facts: Facts) -> Known:
    """Item 28."""
    rule = facts.plan.missing
    own = [f"{a.label}: {RULES[a.missing]}." for a in facts.plan.analyses if a.missing is not None]
    how = [in_words(rule.imputation)] if rule.imputation is not None else []
    opening = f"Unless an analysis says otherwise, {RULES[rule.rule]}. {sentence(rule.words)}".strip()
    count = "Missing values are counted for each outcome, population and cluster."
    return Known((opening, *how, *([Points(tuple(own))] if own else []), count))


def additional(facts: Facts) -> Known:
    """Item 29."""
    found = _parts(facts, "supplementary", "No supplementary analysis is registered.")
    return Known((*found.blocks, *_comparators(facts.plan)))


def _comparators(plan: Plan) -> list[Block]:
    beside = plan.comparators
    if beside is None:
        return []
    adopters = f" Left out because they adopted the programme: {joined(beside.adopters)}." if beside.adopters else ""
    words = f"Never-treated comparators: {joined(beside.clusters)}. {sentence(beside.words)}".strip()
    warning = "Comparators were not randomised, and may hold clusters that adopted the programme unknown to this plan."
    return [f"{words}{adopters}", Caution(warning)]


def software(facts: Facts) -> Known:
    """Item 31."""
    frame = pd.DataFrame({"package": list(facts.versions), "version": list(facts.versions.values())})
    words = f"The analysis runs from the locked plan itself. Seed of what draws and has no seed of its own: {facts.plan.seed}."
    return Known((words, Table(frame, "Packages.")))


def method_references(facts: Facts) -> Known:
    """Item 32a."""
    plan = facts.plan
    specs = [*(entry.estimator for entry in plan.estimators), *(entry.test for entry in plan.tests), plan.missing.imputation]
    found = tuple(dict.fromkeys(source for spec in specs for source in references(spec)))
    return Known((Points(found),) if found else ())


FILLS: dict[str, Fill] = {
    "16": significance,
    "17": multiplicity,
    "18": intervals,
    "20": populations,
    "23": recruitment,
    "26a": outcomes,
    "26b": measurement,
    "26c": derivation,
    "27a": methods,
    "27b": covariates,
    "27e": sensitivity,
    "27f": subgroups,
    "28": missing_data,
    "29": additional,
    "31": software,
    "32a": method_references,
}
"""What the plan knows, by item."""
