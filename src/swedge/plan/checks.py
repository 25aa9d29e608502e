"""Whether the parts of a plan fit together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from swedge.design.validation import seed_number
from swedge.errors import DataError, DesignError, listing, nearest
from swedge.inference.multiplicity import METHODS
from swedge.plan.checks_outcomes import check_agreed, check_outcomes
from swedge.plan.fault import Fault
from swedge.plan.safe_paths import is_device
from swedge.trial.formula import parse

if TYPE_CHECKING:
    from swedge.plan.plan import Plan
    from swedge.plan.specs import Analysis, Outcome

LONGEST_NAME, LONGEST_TEXT = 40, 20_000
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A cell that begins so is run by spreadsheets."""


def check_plan(plan: Plan) -> None:
    """Raise at the first contradiction.

    Raises
    ------
    Fault
        Saying where; readers turn it into a PlanError with a line.
    """
    for check in CHECKS:
        check(plan)


def _settings(plan: Plan) -> None:
    check_settings(plan.alpha, plan.seed, plan.date)


def check_settings(alpha: float, seed: int, date: str) -> None:
    """Refuse a level, seed or date that is none.

    Raises
    ------
    Fault
    """
    if not 0 < alpha < 0.5:
        raise Fault(("alpha",), f"alpha is {alpha}; expected a level such as 0.05.")
    try:
        seed_number(seed)
    except DesignError as error:
        raise Fault(("seed",), str(error)) from None
    if date:
        _day(date)


def _day(text: str) -> None:
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        raise Fault(("date",), f"date is {text!r}; expected year-month-day, such as 2026-11-22.") from None


def _somebody(plan: Plan) -> None:
    for part in ("sources", "outcomes", "estimators", "analyses", "populations"):
        if not getattr(plan, part):
            raise Fault((part,), f"The plan has no {part}. Add at least one, such as [{part}.name].")


def _names(plan: Plan) -> None:
    for part, names in plan.names.items():
        for name in names:
            if part != "columns":
                _plain(name, (part, name))
        spelt = [name.casefold() for name in names]
        repeated = [name for name, plain in zip(names, spelt, strict=True) if spelt.count(plain) > 1]
        if repeated and part != "columns":
            raise Fault((part, repeated[-1]), f"{repeated[-1]!r} names two {part}, capitals apart. Give each a name of its own.")


def _plain(name: str, path: tuple[str, ...]) -> None:
    """Names become file names and anchors, so they are plain."""
    letters = name.replace("_", "").replace("-", "")
    if not (letters.isascii() and letters.isalnum() and name[0].isalnum() and len(name) <= LONGEST_NAME) or is_device(name):
        raise Fault(
            path, f"{name!r:.60} is no plain name. Use up to {LONGEST_NAME} letters, digits, _ and -; what is printed is the label."
        )


def _words(plan: Plan) -> None:
    for path, text in _texts(plan):
        if text.startswith(FORMULA_STARTS):
            raise Fault(path, f"The text begins with {text[0]!r}, which a spreadsheet would run as a formula. Begin with a letter.")
        if len(text) > LONGEST_TEXT:
            raise Fault(path, f"The text has {len(text):,} characters; at most {LONGEST_TEXT:,} are printed. Shorten it.")
        if any(ord(sign) < 32 and sign not in "\n\t" for sign in text):
            raise Fault(path, "The text holds a control character. Remove it.")


def _texts(plan: Plan) -> Iterator[tuple[tuple[str, ...], str]]:
    yield ("title",), plan.title
    for part in ("outcomes", "estimators", "tests", "populations", "analyses", "sources", "power"):
        for entry in getattr(plan, part):
            for key in ("label", "words", "window", "unit"):
                yield (part, entry.name, key), getattr(entry, key, "")
    yield from ((("text", entry.item), entry.words) for entry in plan.texts)


def _references(plan: Plan) -> None:
    for analysis in plan.analyses:
        for part in ("outcomes", "populations", "estimators", "tests"):
            _known(plan, part, getattr(analysis, part), ("analyses", analysis.name, part))
    for case in plan.power:
        for part in ("estimators", "tests"):
            _known(plan, part, getattr(case, part, ()), ("power", case.name, part))
    for outcome in plan.outcomes:
        _known(plan, "sources", (outcome.source,) if outcome.source else (), ("outcomes", outcome.name, "source"))


def _known(plan: Plan, part: str, names: Iterable[str], path: tuple[str, ...]) -> None:
    for name in names:
        if name not in plan.names[part]:
            known = listing(plan.names[part], 8) or "none"
            raise Fault(path, f"{name!r} is none of the plan's {part}.{nearest(name, plan.names[part])} They are: {known}.")


def _primary(plan: Plan) -> None:
    if not any(outcome.role == "primary" for outcome in plan.outcomes):
        raise Fault(("outcomes",), 'No outcome has the role "primary". Give one of them role = "primary".')


def _family_of_tests(plan: Plan) -> None:
    rule = plan.multiplicity
    if rule is None:
        return
    if rule.method not in (*METHODS, "maxT"):
        raise Fault(
            ("multiplicity", "method"),
            f"{rule.method!r} is no method.{nearest(rule.method, METHODS)} They are: {', '.join(METHODS)}, maxT.",
        )
    for key, part in (("analysis", "analyses"), ("estimator", "estimators"), ("test", "tests")):
        name = getattr(rule, key)
        _known(plan, part, () if name is None else (name,), ("multiplicity", key))
    _known(plan, "outcomes", rule.outcomes, ("multiplicity", "outcomes"))
    _adjusted_is_run(plan)


def _adjusted_is_run(plan: Plan) -> None:
    rule = plan.multiplicity
    assert rule is not None
    analysis = plan.analysis(rule.analysis)
    for key, run in (("estimator", analysis.estimators), ("test", analysis.tests)):
        name = getattr(rule, key)
        if name is not None and name not in run:
            raise Fault(
                ("multiplicity", key),
                f"Analysis {analysis.name!r} does not run {name!r}; it runs {listing(run, 8) or 'none'}. Name one that it runs.",
            )
    outside = [name for name in rule.outcomes if analysis.outcomes and name not in analysis.outcomes]
    if outside:
        raise Fault(
            ("multiplicity", "outcomes"), f"Analysis {analysis.name!r} does not analyse {outside[0]!r}. Add it there, or take it out here."
        )


def _clusters(plan: Plan) -> None:
    own = plan.design.clusters
    beside = () if plan.comparators is None else plan.comparators.clusters
    both = [name for name in beside if name in own]
    if both:
        raise Fault(("comparators", "clusters"), f"{both[0]!r} is a cluster of the trial, so it is no comparator. Take it out of the list.")
    for path, names in _left_out(plan):
        for name in names:
            if name not in (*own, *beside):
                raise Fault(path, f"{name!r} is no cluster of the trial and no comparator.{nearest(name, (*own, *beside))}")
    for analysis in plan.analyses:
        if analysis.comparators and not beside:
            raise Fault(("analyses", analysis.name, "comparators"), "No comparators are named. Add [comparators] with clusters = [...].")


def _left_out(plan: Plan) -> Iterator[tuple[tuple[str, ...], Sequence[str]]]:
    yield from ((("outcomes", outcome.name, "without"), outcome.without) for outcome in plan.outcomes)
    yield from ((("analyses", analysis.name, "without_clusters"), analysis.without_clusters) for analysis in plan.analyses)


def _periods(plan: Plan) -> None:
    for analysis in plan.analyses:
        wrong = [period for period in analysis.without_periods if not 1 <= period <= plan.design.n_periods]
        if wrong:
            path = ("analyses", analysis.name, "without_periods")
            raise Fault(path, f"Period {wrong[0]} does not exist; the design has periods 1 to {plan.design.n_periods}.")


def _dates(plan: Plan) -> None:
    if plan.design.boundaries:
        return
    for part in ("sources", "outcomes"):
        for entry in getattr(plan, part):
            if entry.date is not None:
                path = (part, entry.name, "date")
                raise Fault(path, "The design has no dates to sort this column by. Name a column of period numbers in period.")


def _formulas(plan: Plan) -> None:
    for path, formula, outcome in _written(plan):
        try:
            tokens = parse(formula)
        except DataError as error:
            raise Fault(path, str(error)) from None
        _declared(plan, [text for kind, text in tokens if kind != "operator"], outcome, path)
        _categories(plan, [text for kind, text in tokens if kind == "name"], path)
        _straight(plan, [text for kind, text in tokens if kind == "category"], path)


def _written(plan: Plan) -> Iterator[tuple[tuple[str, ...], str, Outcome | None]]:
    for outcome in plan.outcomes:
        if outcome.covariates:
            yield ("outcomes", outcome.name, "covariates"), outcome.covariates, outcome
    for analysis in plan.analyses:
        if analysis.covariates:
            yield ("analyses", analysis.name, "covariates"), analysis.covariates, None


def _declared(plan: Plan, used: Iterable[str], outcome: Outcome | None, path: tuple[str, ...]) -> None:
    """Where columns were agreed, a formula may only use those."""
    for name in used:
        check_agreed(plan.names["columns"], name, path)
        if outcome is not None and name == outcome.column:
            raise Fault(path, f"{name!r} is the outcome itself, so it cannot be its own covariate. Take it out.")


def _categories(plan: Plan, bare: Sequence[str], path: tuple[str, ...]) -> None:
    """A category whose levels are numbers would be a straight line without its C()."""
    for column in plan.columns:
        if column.name in bare and column.holds == "category" and any(not isinstance(level, str) for level in column.levels):
            raise Fault(path, f"{column.name!r} is a category with numbers as levels. Write C({column.name}), or declare it a number.")


def _straight(plan: Plan, factors: Sequence[str], path: tuple[str, ...]) -> None:
    """A number in C() would have a level for every value."""
    for column in plan.columns:
        if column.name in factors and column.holds == "number":
            told = f"{column.name!r} holds numbers, and C() would make each value a level of its own."
            raise Fault(path, f'{told} Write {column.name}, or declare it with holds = "category".')


def _gaps(plan: Plan) -> None:
    _foretelling(plan)
    for analysis in plan.analyses:
        path = ("analyses", analysis.name, "missing")
        rule = analysis.missing or plan.missing.rule
        if rule == "multiple imputation" and plan.missing.imputation is None:
            raise Fault(
                path, "Multiple imputation is asked for, and [missing.imputation] does not say how. Write imputations and a seed there."
            )
        if rule == "multiple imputation" and analysis.tests:
            raise Fault(
                path, "Tests have no pooled version over imputed sets. Run the tests in an analysis of complete cases, or leave them out."
            )
        _imputable(plan, analysis, rule, path)


def _foretelling(plan: Plan) -> None:
    imputation = plan.missing.imputation
    for name in () if imputation is None else imputation.auxiliary:
        check_agreed(plan.names["columns"], name, ("missing", "imputation", "auxiliary"))


def _imputable(plan: Plan, analysis: Analysis, rule: str, path: tuple[str, ...]) -> None:
    if rule not in ("multiple imputation", "missing indicator"):
        return
    for name in analysis.outcomes or plan.names["outcomes"]:
        outcome = plan.outcome(name)
        if outcome.family == "duration" or outcome.size or outcome.individual:
            raise Fault(
                path,
                f"{rule.capitalize()} needs one row an individual with one value; {name!r} is not so. Name the outcomes it is for.",
            )


def _levels(plan: Plan) -> None:
    """An interval's level is the plan's alpha; a test that says otherwise contradicts it."""
    for entry in plan.tests:
        level = getattr(entry.test, "level", plan.level)
        if abs(level - plan.level) > 1e-12:
            raise Fault(
                ("tests", entry.name, "level"),
                f"The test has level {level}, and alpha = {plan.alpha} means {plan.level:g}. Leave level out.",
            )
        if not callable(getattr(entry.test, "run", None)):
            raise Fault(
                ("tests", entry.name, "kind"), f'{type(entry.test).__name__} is no test. Write for example kind = "RandomisationTest".'
            )


def _allocated(plan: Plan) -> None:
    if plan.allocation is not None and plan.allocation.design != plan.design:
        raise Fault(
            ("allocation", "record"), "The allocation's record is of another design than the plan's. Draw again with `swedge randomise`."
        )


CHECKS: tuple[Callable[[Plan], None], ...] = (
    _somebody,
    _settings,
    _names,
    _words,
    _references,
    _primary,
    check_outcomes,
    _family_of_tests,
    _clusters,
    _periods,
    _dates,
    _formulas,
    _gaps,
    _levels,
    _allocated,
)
