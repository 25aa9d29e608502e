"""Covariate formulas from strangers: names, ``C(name)``, ``+``, ``:`` and ``*``. Parsed here; patsy only ever sees names it was given."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, listing, nearest

_TOKEN = re.compile(r"\s*(?:(?P<category>C\(\s*(?P<inside>[A-Za-z]\w*)\s*\))|(?P<name>[A-Za-z]\w*)|(?P<operator>[+:*]))")


def parse(formula: str) -> list[tuple[str, str]]:
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
    tokens, at = [], 0
    while at < len(formula.rstrip()):
        match = _TOKEN.match(formula, at)
        if match is None or formula[match.end() : match.end() + 1] == "(":
            raise DataError(
                f"covariates={formula!r} cannot be read at character {at + 1}. Use column names, C(name), and + : * between them."
            )
        kind = str(match.lastgroup if match.lastgroup != "inside" else "category")
        tokens.append((kind, match.group("inside") or match.group(kind)))
        at = match.end()
    _check_order(formula, tokens)
    return tokens


def _check_order(formula: str, tokens: list[tuple[str, str]]) -> None:
    operators = [kind == "operator" for kind, _ in tokens]
    alternates = operators == [bool(i % 2) for i in range(len(tokens))]
    if not tokens or not alternates or operators[-1]:
        raise DataError(f"covariates={formula!r} is not a sum of terms. Write for example 'C(age_group) + C(gender)'.")


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
        raise DataError(f"covariates name {listing(absent)}, which the data lack.{nearest(absent[0], frame.columns)}")
    return names


def covariate_columns(formula: str, frame: pd.DataFrame) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Column names and columns ``(rows, q)`` without the intercept, by patsy with treatment contrasts.

    Every name is handed to patsy under an alias, so that a column called like a function is still only a column.
    """
    import patsy  # imported where used: it would slow down `import swedge`

    names = names_in(formula, frame)
    alias = {(kind, name): f"{kind}_{i}" for i, name in enumerate(names) for kind in ("name", "category")}
    parts = [text if kind == "operator" else alias[kind, text] for kind, text in parse(formula)]
    data = {short: _values(frame[name], kind) for (kind, name), short in alias.items()}
    matrix = patsy.dmatrix("1 + " + " ".join(parts), data, NA_action="raise", eval_env=patsy.EvalEnvironment([{}]))
    columns = [c for c in matrix.design_info.column_names if c != "Intercept"]
    keep = [matrix.design_info.column_names.index(c) for c in columns]
    return tuple(_readable(c, alias) for c in columns), np.asarray(matrix)[:, keep]


def _values(series: pd.Series, kind: str) -> object:
    """Numbers as they are; categories as text in the order of their values."""
    if kind == "name" and pd.api.types.is_numeric_dtype(series):
        return series.to_numpy(dtype=float)
    levels = sorted(series.unique(), key=lambda value: (isinstance(value, str), value))
    return pd.Categorical([label(v) for v in series], categories=[label(v) for v in levels])


def label(value: object) -> str:
    """A category or cluster as text; a whole number read as a float loses its ``.0``."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _readable(column: str, alias: dict[tuple[str, str], str]) -> str:
    for (_, name), short in sorted(alias.items(), key=lambda pair: -len(pair[1])):
        column = re.sub(rf"\b{short}\b", name, column)
    return column.replace("[T.", "[")
