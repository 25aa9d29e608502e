"""Tables of a report, with labels in place of names and failures in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swedge._present.tables import is_missing
from swedge.errors import SMALL
from swedge.plan.baseline import CONDITIONS
from swedge.plan.documents.naming import OWN_TEST, label_in, labels, measure, named, of, releasable_text
from swedge.plan.report import KEY
from swedge.plan.specs import Outcome
from swedge.plan.versions import ordered

if TYPE_CHECKING:
    from swedge.plan.report import Report

SUPPRESSED = "suppressed"
FAILED = "failed"
MEAN = "mean (SD)"
EVENTS, SHARES = ("binomial", "poisson"), ("binomial", "fractional")
FIT = [name for name in KEY if name != "test"]


def publication(report: Report, rows: pd.DataFrame, by_outcome: bool = False) -> pd.DataFrame:
    """Rows of a report as `swedge._present.results.shaped` takes them: one a result, and one more for an interval that a test offers.

    Parameters
    ----------
    report : Report
    rows : DataFrame
        Some of the report's.
    by_outcome : bool
        Whether outcomes name the groups; else analyses do, and all rows are of one outcome.
    """
    made = pd.DataFrame([line for row in rows.itertuples(index=False) for line in _lines(report, row)])
    names = ("term", "estimand")
    filled = {name: _alone(made[name]) for name in names}
    return made.assign(**filled) if by_outcome else made.assign(**filled).drop(columns="outcome")


def _lines(report: Report, row: Any) -> Iterator[dict[str, Any]]:
    plan, fit = report.locked.plan, _fit_of(report, row)
    one = {
        "outcome": label_in(plan, "outcomes", row.outcome),
        "analysis": label_in(plan, "analyses", row.analysis),
        "population": label_in(plan, "populations", row.population),
        "estimator": label_in(plan, "estimators", row.method),
        "term": fit["term"] if row.test else row.term,
        "test": label_in(plan, "tests", row.test) if row.test else OWN_TEST,
        "estimand": fit["estimand"] if row.test else row.estimand,
        "measure": measure(plan.outcome(row.outcome), row.scale),
        "reason": releasable_text(report, row.message),
        "n": shown_count(report, row.n),
    }
    numbers = {name: getattr(row, name) for name in ("estimate", "conf_low", "conf_high", "level", "df", "p_value", "min_p", "status")}
    yield one | numbers
    if not is_missing(row.offered_level):
        offered = {
            "conf_low": row.offered_low,
            "conf_high": row.offered_high,
            "level": row.offered_level,
            "p_value": np.nan,
            "min_p": np.nan,
        }
        yield one | numbers | offered | {"test": f"{one['test']}, interval it offers", "n": None}


def _fit_of(report: Report, row: Any) -> Any:
    """The first row of the fit that a test is of; empty where it failed."""
    found = of(report.rows, test="", **{name: getattr(row, name) for name in FIT})
    return found.iloc[0] if len(found) else {"term": None, "estimand": None}


def _alone(column: pd.Series) -> pd.Series:
    """A column of names in which all that are known are the same says so of those that are not known, too."""
    known = column.dropna().unique()
    return column.astype(object).where(column.notna(), known[0]) if len(known) == 1 else column


def shown_count(report: Report, n: Any) -> Any:
    """A count as it may be shown."""
    if is_missing(n):
        return None
    return f"1 to {SMALL}" if report.release and 1 <= round(n) <= SMALL else n


def rows_of(report: Report, outcome: str, *parts: str) -> pd.DataFrame:
    """Rows of an outcome in some parts of the plan, in the order of the run."""
    rows = of(report.rows, outcome=outcome)
    return rows[rows["part"].isin(parts)]


def adjusted_table(report: Report) -> pd.DataFrame:
    """The registered family of p values, as they are and adjusted."""
    known = labels(report.locked.plan, "outcomes")
    frame = report.adjusted
    pairs = zip(frame["message"], frame["p_value"], strict=True)
    said = [releasable_text(report, text) or ("It failed." if is_missing(p) else "") for text, p in pairs]
    columns = {
        "outcome": [known.get(name, name) for name in frame["outcome"]],
        "p": pd.to_numeric(frame["p_value"]).to_numpy(dtype=float),
        "p, adjusted": pd.to_numeric(frame["p_adjusted"]).to_numpy(dtype=float),
        "method": frame["method"].to_numpy(),
    }
    return pd.DataFrame(columns | ({"note": said} if any(said) else {}))


def deviations_table(report: Report) -> pd.DataFrame:
    """Deviations with names as they are registered."""
    return releasable(report, report.deviations).rename(columns={"where": "what", "run": "in this run"})


def releasable(report: Report, frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose sentences hold no small count of people that is meant for release."""
    texts = {name: [releasable_text(report, text) for text in frame[name]] for name in ("message", "run") if name in frame.columns}
    return frame.assign(**texts)


def amendments_table(report: Report) -> pd.DataFrame:
    """Amendments on record."""
    rows = [(a.number, a.date, "after" if a.unblinded else "before", a.reason, a.before) for a in report.locked.amendments]
    return pd.DataFrame(rows, columns=["amendment", "date", "unblinding", "reason", "SHA-256 of the lock before it"])


def data_table(report: Report) -> pd.DataFrame:
    """SHA-256 of each table that was read."""
    return pd.DataFrame(list(report.data.items()), columns=["source", "SHA-256"])


def versions_table(report: Report) -> pd.DataFrame:
    """Packages: what ran beside what was locked."""
    locked = report.locked.versions
    names = ordered({**locked, **report.versions})
    rows = [(name, report.versions.get(name, "none"), locked.get(name, "none")) for name in names]
    return pd.DataFrame(rows, columns=["package", "in this run", "when locked"])


def failures_table(report: Report) -> pd.DataFrame:
    """What failed, and why."""
    plan = report.locked.plan
    rows = [
        (label_in(plan, "outcomes", row.outcome), named(plan, row), releasable_text(report, row.message))
        for row in report.failures.itertuples(index=False)
    ]
    return pd.DataFrame(rows, columns=["outcome", "analysis", "why"])


def cells_table(report: Report) -> pd.DataFrame:
    """Cells with labels; what is suppressed says so."""
    plan, cells = report.locked.plan, report.cells
    hidden = cells["suppressed"].astype(bool)
    return cells.assign(
        outcome=cells["outcome"].map(labels(plan, "outcomes")),
        population=cells["population"].map(labels(plan, "populations")),
        n=cells["n"].astype(object).mask(hidden, SUPPRESSED),
        mean=cells["mean"].astype(object).mask(hidden, SUPPRESSED),
    )


def notes_points(report: Report, kind: str) -> tuple[str, ...]:
    """Sentences of one kind that fits and tests gave, each once, with what it is about."""
    plan, notes = report.locked.plan, of(report.notes, kind=kind)
    return tuple(f"{releasable_text(report, text)} [{_about(plan, rows)}]" for text, rows in notes.groupby("text", sort=False))


def _about(plan: Any, rows: pd.DataFrame) -> str:
    """Of which results a note is: by name while they are few."""
    whose = [f"{label_in(plan, 'outcomes', row.outcome)}: {named(plan, row)}" for row in rows.itertuples(index=False)]
    return "; ".join(whose) if len(whose) <= 2 else f"{whose[0]}; and {len(whose) - 1} more"


def baseline_table(report: Report, population: str) -> pd.DataFrame:
    """Covariates of one population by condition: a number (share) for each level, mean (SD) for a number, and who has no value."""
    rows = of(report.baseline, population=population)
    columns = {condition: of(rows, condition=condition) for condition in CONDITIONS}
    sizes = {condition: _counted(own["n"].iloc[0]) for condition, own in columns.items()}
    lines = [line for name in rows["variable"].unique() if name for line in _variable(columns, str(name))]
    heads = [f"{condition} (n = {size})" if size != SUPPRESSED else f"{condition} (n {size})" for condition, size in sizes.items()]
    return pd.DataFrame(lines, columns=["variable", "level", *heads])


def _variable(columns: dict[str, pd.DataFrame], name: str) -> Iterator[tuple[str, ...]]:
    own = {condition: of(rows, variable=name) for condition, rows in columns.items()}
    first = next(iter(own.values()))
    for k, level in enumerate(first["level"]):
        yield name if k == 0 else "", str(level) or MEAN, *(_described(rows.iloc[k]) for rows in own.values())
    missing = [rows["missing"].iloc[0] for rows in own.values()]
    if any(is_missing(n) or n for n in missing):
        yield "", "missing", *(_counted(n) for n in missing)


def _described(row: Any) -> str:
    """One cell: mean (SD), or n (share)."""
    if not row.level:
        return SUPPRESSED if is_missing(row["mean"]) else f"{_four(row['mean'])} ({_four(row['sd'])})"
    return SUPPRESSED if is_missing(row["n"]) else f"{_counted(row['n'])} ({100 * row['share']:.1f}%)"


def _four(value: Any) -> str:
    return "–" if is_missing(value) else f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _counted(n: Any) -> str:
    return SUPPRESSED if is_missing(n) else f"{n:,.0f}"


def crude_table(report: Report, outcomes: Sequence[str]) -> pd.DataFrame:
    """Individuals, events and mean of outcomes under control and under treatment, from the cells; missing where one is suppressed.

    Cells of comparators, and those that are treated in part, are not among them.
    """
    plan, cells = report.locked.plan, report.cells
    own = cells[cells["outcome"].isin(outcomes) & cells["cluster"].isin(plan.design.clusters)]
    pairs = own[["outcome", "population"]].drop_duplicates().itertuples(index=False, name=None)
    lines = [
        _crude_line(report, str(outcome), str(population), of(own, outcome=outcome, population=population), condition)
        for outcome, population in pairs
        for condition in CONDITIONS
    ]
    return pd.DataFrame(lines, columns=["outcome", "population", "condition", "individuals", "events", "mean"])


def _crude_line(report: Report, outcome: str, population: str, cells: pd.DataFrame, condition: str) -> tuple[str, ...]:
    plan, own = report.locked.plan, cells[cells["treatment"] == float(CONDITIONS.index(condition))]
    who = (label_in(plan, "outcomes", outcome), label_in(plan, "populations", population), condition)
    if own["suppressed"].astype(bool).any():
        return *who, SUPPRESSED, SUPPRESSED, SUPPRESSED
    registered, n = plan.outcome(outcome), own["n"].to_numpy(dtype=float)
    people = plan.source_of(registered).first_treated is None or registered.size is not None
    total, summed = float(np.nansum(n)), float(np.nansum(n * own["mean"].to_numpy(dtype=float)))
    events = f"{summed:,.0f}" if registered.family in EVENTS and people else "–"
    return *who, f"{total:,.0f}" if people else "–", events, _mean_of(registered, summed / total if total else np.nan)


def _mean_of(outcome: Outcome, mean: float) -> str:
    """A mean with its unit; that of shares and risks in per cent."""
    if outcome.family in SHARES and not is_missing(mean):
        return f"{100 * mean:.2f}%"
    return f"{_four(mean)} {outcome.unit}".strip()
