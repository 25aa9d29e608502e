"""Covariate formulas from strangers: names, ``C(name)``, ``+``, ``:`` and ``*``. Parsed here; patsy only ever sees names it was given."""

from __future__ import annotations

import re
from itertools import groupby
from math import prod
from numbers import Real
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, listing, nearest
from swedge.trial.columns import columns_of, label, numbers, refuse_times

_NAME = r"[^\W\d]\w*"
_TOKEN = re.compile(rf"\s*(?:(?P<category>C\(\s*(?P<inside>{_NAME})\s*\))|(?P<name>{_NAME})|(?P<operator>[+:*]))")
_ALIAS = re.compile(r"(?<![^:])((?:name|category)_\d+)(\[T\.|\[)?")  # at the start of a factor

# More than any trial needs. A formula of 26 names joined by * has 2^26 columns, and a child's number as a category one a child: its levels
# would even stand in the report. Categories have at most half as many levels as there are rows, but a few are always allowed.
MOST_TERMS, MOST_LEVELS, FEW_LEVELS, MOST_COLUMNS = 100, 200, 20, 500

_ADVICE = {
    "(": " No function is known but C(): a logarithm or square is a column of the data.",
    "~": " Only what stands right of ~ is written.",
    ",": " Write + in place of the comma.",
}

Token = tuple[str, str]
Values = TypeVar("Values", NDArray[np.float64], list[str])


def parse(formula: str) -> list[Token]:
    """Tokens ``(kind, text)`` with kind category, name or operator.

    Raises
    ------
    DataError
        At the first thing that is neither.

    Examples
    --------
    >>> parse("age + C(gender)")
    [('name', 'age'), ('operator', '+'), ('category', 'gender')]
    """
    if not isinstance(formula, str):
        raise DataError(f"covariates is a {type(formula).__name__}, not a formula. Write for example 'C(age_group) + C(gender)'.")
    tokens, at, end = [], 0, len(formula.rstrip())
    while at < end:
        match = _TOKEN.match(formula, at)
        if match is None:
            at += len(formula[at:]) - len(formula[at:].lstrip())
            raise DataError(
                f"covariates={_shown(formula)} cannot be read at character {at + 1}, {formula[at]!r}. Use column names, C(name), and + : *"
                f" between them; rename columns that are no plain names.{_ADVICE.get(formula[at], '')}"
            )
        kind = str(match.lastgroup if match.lastgroup != "inside" else "category")
        tokens.append((kind, match.group("inside") or match.group(kind)))
        at = match.end()
    _check_order(formula, tokens)
    return tokens


def _check_order(formula: str, tokens: list[Token]) -> None:
    operators = [kind == "operator" for kind, _ in tokens]
    alternates = operators == [bool(i % 2) for i in range(len(tokens))]
    if not tokens or not alternates or operators[-1]:
        raise DataError(f"covariates={_shown(formula)} is not a sum of terms. Write for example 'C(age_group) + C(gender)'.")
    if operators.count(False) > MOST_TERMS:
        raise DataError(f"covariates={_shown(formula)} names {operators.count(False)} terms; at most {MOST_TERMS} are read. Shorten it.")


def _shown(formula: str) -> str:
    return repr(formula if len(formula) <= 60 else formula[:57] + "...")


def names_in(formula: str, frame: pd.DataFrame) -> list[str]:
    """The columns that a formula uses, in order.

    Raises
    ------
    DataError
        If the frame lacks one, naming the nearest.
    """
    names = list(dict.fromkeys(text for kind, text in parse(formula) if kind != "operator"))
    absent = [name for name in names if name not in frame.columns]
    if absent:
        shown = listing([_shown(name) for name in absent])
        raise DataError(f"covariates name {shown}, which the data lack.{nearest(absent[0][:60], frame.columns)} {columns_of(frame)}")
    return names


def covariate_columns(formula: str, frame: pd.DataFrame) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Column names and columns ``(rows, q)`` without the intercept, by patsy with treatment contrasts.

    Every name is handed to patsy under an alias, so that a column called like a function is still only a column.
    """
    import patsy  # imported where used: it would slow down `import swedge`

    names_in(formula, frame)
    tokens = parse(formula)
    factors = list(dict.fromkeys(token for token in tokens if token[0] != "operator"))
    alias = {token: f"{token[0]}_{i}" for i, token in enumerate(factors)}
    data = {short: _values(frame, name, kind) for (kind, name), short in alias.items()}
    _check_width(formula, tokens, {token: data[short] for token, short in alias.items()})
    parts = [alias.get(token, token[1]) for token in tokens]
    matrix = patsy.dmatrix("1 + " + " ".join(parts), data, NA_action="raise", eval_env=patsy.EvalEnvironment([{}]))
    columns = matrix.design_info.column_names
    keep = [i for i, column in enumerate(columns) if column != "Intercept"]
    return tuple(_readable(columns[i], alias) for i in keep), np.asarray(matrix)[:, keep]


def _values(frame: pd.DataFrame, name: str, kind: str) -> NDArray[np.float64] | pd.Categorical[str]:
    """Numbers as they are; categories as text in the order of their values, whatever the column's dtype."""
    if kind == "name" and pd.api.types.is_numeric_dtype(frame[name].infer_objects()):
        return _refuse_constant(name, numbers(frame, name, "covariates"))
    if kind == "name":
        refuse_times(frame, name, "covariates", "Turn them into numbers, or write C(name) for a category.")
    values = frame[name].tolist()
    texts = [label(value) for value in values]
    found = dict(zip(texts, values, strict=True))
    most = max(FEW_LEVELS, min(MOST_LEVELS, len(frame) // 2))
    if len(found) > most:
        raise DataError(
            f"Covariate {name!r} has {len(found)} levels in {len(frame)} rows, more than {most}. Group them; an identifier or a date is no"
            " category."
        )
    return pd.Categorical(_refuse_constant(name, texts), categories=sorted(found, key=lambda text: _rank(found[text])))


def _refuse_constant(name: str, values: Values) -> Values:
    if all(value == values[0] for value in values):
        raise DataError(f"Covariate {name!r} holds one value in all {len(values)} rows. Take it out of the formula.")
    return values


def _rank(value: object) -> tuple[int, float, str]:
    """Numbers in order, then everything else by its text."""
    return (0, float(value), "") if isinstance(value, Real) else (1, 0.0, str(value))


def _check_width(formula: str, tokens: list[Token], data: dict[Token, object]) -> None:
    """Refuse a formula whose columns, counted generously before patsy makes them, would be too many."""
    parts = [[token for token in part if token in data] for plus, part in groupby(tokens, lambda token: token[1] == "+") if not plus]
    width = sum(prod(_levels(data[token]) for token in part) for part in parts)
    if width > MOST_COLUMNS:
        raise DataError(f"covariates={_shown(formula)} makes up to {width:,} columns, more than {MOST_COLUMNS}. Use fewer interactions.")


def _levels(values: object) -> int:
    return len(values.categories) if isinstance(values, pd.Categorical) else 2


def _readable(column: str, alias: dict[Token, str]) -> str:
    """Name in patsy for a column with our aliases turned back, ``C(gender)`` at level male becoming ``gender[male]``."""
    names = {short: name for (_, name), short in alias.items()}
    return _ALIAS.sub(lambda found: names[found[1]] + ("[" if found[2] else "") if found[1] in names else found[0], column)
