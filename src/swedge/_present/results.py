"""Results shaped once for publication: what every format of a results table shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import pandas as pd

from swedge._present import results_cells as cells
from swedge._present.results_cells import Cell, Notes, Row, as_ratio, word
from swedge._present.tables import Column, is_missing, is_number, percent
from swedge.errors import DataError, listing, nearest

GROUPS = ("outcome", "analysis")
LABELS = ("analysis", "population", "term", "estimator", "test", "estimand", "measure")
NUMBERS = ("estimate", "conf_low", "conf_high", "p_value")
NEEDED = (*NUMBERS, "status")
SMALLEST = "Smallest p"


class Head(NamedTuple):
    """The name of a column, and whether it holds numbers."""

    name: str
    numeric: bool


class Shaped(NamedTuple):
    """A results table ready to print.

    Attributes
    ----------
    heads : tuple of Head
    groups : tuple of (str, rows)
        The name of each group, empty when there is one without a name, and its rows: a `Cell` for each head.
    notes : tuple of (str, str)
        Mark, or nothing, and text of each footnote.
    """

    heads: tuple[Head, ...]
    groups: tuple[tuple[str, tuple[tuple[Cell, ...], ...]], ...]
    notes: tuple[tuple[str, str], ...]

    @property
    def columns(self) -> list[Column]:
        """The table flat: a group is a row with its name, a mark stands in square brackets."""
        lines = [line for name, rows in self.groups for line in (*self._opening(name), *([_marked(c) for c in row] for row in rows))]
        return [Column(head.name, [line[k] for line in lines], head.numeric) for k, head in enumerate(self.heads)]

    def _opening(self, name: str) -> list[list[str]]:
        return [[name, *[""] * (len(self.heads) - 1)]] if name else []


def _marked(cell: Cell) -> str:
    return f"{cell.text} [{cell.mark}]" if cell.mark else cell.text


def shaped(frame: pd.DataFrame, shell: bool = False) -> Shaped:
    """Tidy results as a publication table: one row a result, an interval beside its estimate, failures in their place.

    Rows are grouped by `outcome`, or else by `analysis`. What names a row (`analysis`, `population`, `term`, `estimator`, `test`,
    `estimand`, `measure`) is a column where it varies and a footnote where it does not; a measure goes into the heads as far as it can.
    Numbers of a group have as many decimals as show three digits of its narrowest half interval. Where `measure` is a logarithm ("log odds
    ratio"), a column has its exponential. The smallest attainable p stands beside p.

    Parameters
    ----------
    frame : DataFrame
        Columns `estimate`, `conf_low`, `conf_high`, `p_value`, `status`; as there are: `outcome`, `df`, `min_p`, `n` (numbers, or text such
        as "1 to 5"), `level` of the interval, `reason` of a failure, and the names above. Others are left to the CSV file.
    shell : bool
        Leave blank what the data will tell: only names and `min_p` are read, and no numbers need be there.

    Returns
    -------
    Shaped

    Raises
    ------
    DataError
        If the frame has no rows, a column is missing, or a number cannot be one.

    Examples
    --------
    >>> row = {"term": "treatment", "estimate": 0.0123, "conf_low": -0.01, "conf_high": 0.03, "p_value": 0.2, "status": "ok"}
    >>> [cell.text for cell in shaped(pd.DataFrame([row])).groups[0][1][0]]
    ['treatment', '0.0123 (-0.0100 to 0.0300)', '.2000']
    """
    _check(frame, shell)
    group = next((name for name in GROUPS if name in frame.columns and frame[name].notna().any()), None)
    parts = _split(frame, group)
    labels, constant = _labels(frame, group, [part for _, part in parts])
    notes = Notes()
    columns = [_named(labels) + _numbers(frame, part, notes, shell) for _, part in parts]
    body = tuple((_titled(name, part, frame), _rows(part, of)) for (name, part), of in zip(parts, columns, strict=True))
    same = [("", "; ".join(f"{name.capitalize()}: {value}" for name, value in constant.items()) + ".")] if constant else []
    return Shaped(tuple(head for head, _ in columns[0]), body, (*same, *((mark, text) for text, mark in notes.items())))


Writer = tuple[Head, Callable[[Row], Cell]]


def _rows(part: pd.DataFrame, columns: Sequence[Writer]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(write(row) for _, write in columns) for row in _records(part))


def _records(part: pd.DataFrame) -> list[Row]:
    names = [str(name) for name in part.columns]
    return [dict(zip(names, values, strict=True)) for values in part.itertuples(index=False, name=None)]


def _titled(name: str, part: pd.DataFrame, frame: pd.DataFrame) -> str:
    """The name of a group, with its measure where groups differ in it."""
    measures = _distinct(part, "measure")
    return f"{name}: {measures[0]}" if name and len(measures) == 1 < len(_distinct(frame, "measure")) else name


def _named(labels: Sequence[str]) -> list[Writer]:
    return [(Head(name.capitalize(), False), partial(_name, label=name)) for name in labels]


def _name(row: Row, label: str) -> Cell:
    return Cell(word(row[label]))


def _numbers(frame: pd.DataFrame, part: pd.DataFrame, notes: Notes, shell: bool) -> list[Writer]:
    """The columns of numbers, which the whole frame decides, with as many decimals as a part of it needs."""
    columns = [*_effects(frame, _records(part), notes), *_evidence(frame, shell)]
    return [(Head(name, True), cells.blank if shell and name != SMALLEST else write) for name, write in columns]


def _effects(frame: pd.DataFrame, rows: list[Row], notes: Notes) -> list[tuple[str, Callable[[Row], Cell]]]:
    measures, levels = _distinct(frame, "measure"), _distinct(frame, "level")
    interval = f"({percent(float(levels[0]))} interval)" if len(levels) == 1 else "(interval)"
    write = partial(cells.estimate, places=cells.decimals(rows, cells.limits), notes=notes, spread=len(levels) > 1)
    columns: list[tuple[str, Callable[[Row], Cell]]] = [
        (f"{_sentence(measures[0]) if len(measures) == 1 else 'Estimate'} {interval}", write)
    ]
    found = sorted({as_ratio(measure) for measure in measures} - {""})
    if not found:
        return columns
    logs = [row for row in rows if as_ratio(row.get("measure"))]
    of = partial(cells.ratio, places=cells.decimals(logs, cells.ratios, digits=2))
    return [*columns, (f"{_sentence(found[0]) if len(found) == 1 else 'Ratio'} {interval}", of)]


def _sentence(text: str) -> str:
    """A capital letter first, and the others as they are: they may be initials."""
    return text[:1].upper() + text[1:]


def _evidence(frame: pd.DataFrame, shell: bool) -> list[tuple[str, Callable[[Row], Cell]]]:
    """Degrees of freedom, p, the smallest p and n, as far as the table has them."""
    bounded = "min_p" in frame.columns and bool((frame["min_p"].astype(float) > 0).any())
    there = {"df": "df" in frame.columns or shell, "p": True, SMALLEST: bounded, "n": "n" in frame.columns or shell}
    writers = {"df": cells.freedom, "p": cells.p_value, SMALLEST: cells.smallest, "n": cells.size}
    return [(name, write) for name, write in writers.items() if there[name]]


def _distinct(frame: pd.DataFrame, name: str) -> list[str]:
    return [word(value) for value in frame[name].dropna().unique()] if name in frame.columns else []


def _check(frame: pd.DataFrame, shell: bool) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"Results are a {type(frame).__name__}; expected a DataFrame, such as what tidy() returns.")
    twice = frame.columns[frame.columns.duplicated()].tolist()
    if twice:
        raise DataError(f"The results have two columns {twice[0]!r}. Drop one.")
    missing = [name for name in (() if shell else NEEDED) if name not in frame.columns]
    if missing:
        known = nearest(missing[0], frame.columns)
        raise DataError(f"The results have no column {listing([repr(name) for name in missing])}.{known} Pass the columns of tidy().")
    if frame.empty or not set(frame.columns) & {*GROUPS, *LABELS}:
        raise DataError("The results have no rows, or no column that names them. Pass at least one row, with a column such as 'term'.")
    for name in () if shell else NUMBERS:
        _check_numbers(frame[name])
    if not shell and (frame["conf_low"].astype(float) > frame["conf_high"].astype(float)).any():
        raise DataError("conf_low is above conf_high in a row of the results. Swap them.")
    for name in {"p_value", "min_p"} & set(frame.columns) - ({"p_value"} if shell else set()):
        if not frame[name].dropna().astype(float).between(0, 1).all():
            raise DataError(f"{name} is not between 0 and 1 in a row of the results. Pass probabilities.")


def _check_numbers(column: pd.Series) -> None:
    wrong = [repr(value) for value in column if not (is_missing(value) or is_number(value))]
    if wrong:
        raise DataError(f"{column.name} is not a number: {listing(wrong)}. Pass numbers, nan where a fit failed.")


def _labels(frame: pd.DataFrame, group: str | None, parts: Sequence[pd.DataFrame]) -> tuple[list[str], dict[str, str]]:
    """Columns that name the rows, and what is the same for all of them."""
    there = [name for name in LABELS if name in frame.columns and name != group and frame[name].notna().any()]
    titled = {"measure"} if group and all(len(_distinct(part, "measure")) < 2 for part in parts) else set()
    varying = [name for name in there if frame[name].nunique(dropna=False) > 1 and name not in titled]
    columns = varying or [name for name in there if name != "measure"][:1] or ([group] if group else [])
    return columns, {name: word(frame[name].iloc[0]) for name in there if name not in columns and name != "measure"}


def _split(frame: pd.DataFrame, group: str | None) -> list[tuple[str, pd.DataFrame]]:
    if group is None:
        return [("", frame)]
    names = frame[group].map(word)
    return [(name, frame[names == name]) for name in names.unique()]
