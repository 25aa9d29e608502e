"""Who was observed under each condition: covariates of the primary outcome's rows, by the treatment of their cluster and period."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype

from swedge.errors import SMALL, SwedgeError
from swedge.plan.plan import Plan
from swedge.plan.specs import Outcome, Value
from swedge.plan.trials import Sample
from swedge.plan.uses import declared, outcomes_of
from swedge.trial.columns import as_numbers, label
from swedge.trial.formula import parse

CONDITIONS = ("control", "treated")
FEW = "other, few"
"""Levels that were not agreed, each held by no more than five rows: a value that few hold is not shown."""

EXISTS = "the outcome exists"
"""The step of the flow whose rows are described."""

Record = dict[str, Any]


def baseline_of(sample: Sample) -> list[Record]:
    """Covariates of the rows that the outcome exists for, by condition: a row for each level of a category, one for a number.

    Rows of comparators, and of periods that are neither control nor treated, are not among them. A share is of all rows of the condition,
    also of those with a missing value. None where rows are not individuals (a panel, or rows with a size), or cannot be the plan's trial.

    Parameters
    ----------
    sample : Sample
        Of the primary outcome.

    Returns
    -------
    list of dict
        ``variable, level, condition, n, share, mean, sd, missing``; the variable of the number of rows itself is empty.
    """
    if sample.source.first_treated is not None or sample.outcome.size is not None:
        return []
    try:
        _ = sample.trial
    except SwedgeError:
        return []
    rows, treated = _in_conditions(sample)
    parts = dict(zip(CONDITIONS, (~treated, treated), strict=True))
    found: list[Record] = [_record("", "", name, int(part.sum()), int(part.sum())) for name, part in parts.items()]
    for name, category in variables(sample.plan, sample.outcome).items():
        found += _described(sample.plan, sample.source.name, rows[name], category, parts)
    return found


def _in_conditions(sample: Sample) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Rows of the randomised clusters under control or treatment, and which are treated."""
    allocation, place = sample.allocation, sample._place
    cluster = sample.rows[sample.source.cluster].map(label)
    rows = sample.rows[cluster.isin(allocation.design.clusters)]
    number = {name: k for k, name in enumerate(allocation.design.clusters)}
    i = rows[sample.source.cluster].map(label).map(number).to_numpy(dtype=int)
    dated = place["period"] is None
    t = allocation.design.period_of(rows[place["date"]]) if dated else as_numbers(rows[place["period"]]).astype(int) - 1
    treatment = allocation.treatment[i, t]
    kept = np.isin(treatment, (0.0, 1.0))
    return rows[kept], treatment[kept] == 1.0


def variables(plan: Plan, outcome: Outcome) -> dict[str, bool]:
    """Columns of the formulas that adjust outcomes of the same table, the outcome's own first, and whether each is a category there.

    A column that is itself an outcome is none: nothing follows from it about those who came into the trial.
    """
    beside = outcomes_of(plan, plan.source_of(outcome))
    formulas = [outcome.covariates, *(a.covariates or "" for a in plan.analyses), *(other.covariates for other in beside)]
    read = {entry.name for other in beside for entry in plan.columns if entry.name in (other.column, other.event, other.censored)}
    read |= {str(name) for other in beside for name in (other.column, other.event, other.censored)}
    found: dict[str, bool] = {}
    for formula in filter(None, formulas):
        for kind, name in parse(formula):
            if kind != "operator" and name not in read:
                found[name] = found.get(name, False) or kind == "category"
    return found


def _described(plan: Plan, source: str, column: pd.Series, category: bool, parts: dict[str, NDArray[np.bool_]]) -> Iterator[Record]:
    """Records of one variable."""
    agreed = declared(plan, source, str(column.name))
    numbers = as_numbers(column)
    zero_or_one = bool(np.isin(numbers[column.notna().to_numpy()], (0.0, 1.0)).all())
    if zero_or_one and (agreed is None or agreed.holds in ("yes/no", "number")):
        yield from _levels(str(column.name), _yes_or_no(column, numbers), ["no", "yes"], parts)
    elif not category and (agreed.holds == "number" if agreed else is_numeric_dtype(column.infer_objects())):
        yield from (_number(str(column.name), numbers, name, part) for name, part in parts.items())
    else:
        texts, levels = _texts(column, agreed.levels if agreed else ())
        yield from _levels(str(column.name), texts, levels, parts)


def _yes_or_no(column: pd.Series, numbers: NDArray[np.float64]) -> pd.Series:
    return pd.Series(np.where(numbers == 1, "yes", "no"), index=column.index, dtype=object).where(column.notna(), None)


def _texts(column: pd.Series, agreed: tuple[Value, ...]) -> tuple[pd.Series, list[str]]:
    """Values as text, and their levels in order: those agreed, then others; of these, all that few rows hold are one."""
    texts = column.astype(object).map(label, na_action="ignore").where(column.notna(), None)
    levels = [label(level) for level in agreed]
    counts = texts.value_counts()
    few = [level for level, n in counts.items() if level not in levels and n <= SMALL]
    others = sorted((str(level) for level in counts.index if level not in (*levels, *few)), key=_in_order)
    return texts.where(~texts.isin(few), FEW), [*levels, *others, *([FEW] if few else [])]


def _in_order(text: str) -> tuple[float, str]:
    """Numbers by size, before texts."""
    try:
        return float(text), text
    except ValueError:
        return np.inf, text


def _levels(name: str, texts: pd.Series, levels: list[str], parts: dict[str, NDArray[np.bool_]]) -> Iterator[Record]:
    for level in levels:
        for condition, part in parts.items():
            n, missing = int((texts[part] == level).sum()), int(texts[part].isna().sum())
            yield _record(name, level, condition, n, int(part.sum()), missing=missing)


def _number(name: str, numbers: NDArray[np.float64], condition: str, part: NDArray[np.bool_]) -> Record:
    known = numbers[part & ~np.isnan(numbers)]
    size = int(part.sum())
    mean = float(known.mean()) if len(known) else np.nan
    sd = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    return _record(name, "", condition, len(known), size, missing=size - len(known), mean=mean, sd=sd)


def _record(variable: str, level: str, condition: str, n: int, size: int, **numbers: float) -> Record:
    share = n / size if size else np.nan
    own = {"mean": np.nan, "sd": np.nan, "missing": 0} | numbers
    return {"variable": variable, "level": level, "condition": condition, "n": n, "share": share, **own, "suppressed": False}
