"""Columns of a frame: each there once, and holding what it should.

Messages count rows and name columns; they never show a child's values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from swedge.design import Allocation
from swedge.errors import DataError, counted, listing, nearest

Array = NDArray[np.float64]

# How the names of columns that swedge adds to a frame begin.
INTERNAL = "swedge "


def label(value: object) -> str:
    """A category or cluster as text; a whole number read as a float loses its ``.0``.

    >>> label(3.0), label("Walsall")
    ('3', 'Walsall')
    """
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among those allowed."""
    if value not in allowed:
        raise DataError(f"{name}={value!r}; expected one of {', '.join(map(repr, allowed))}.{nearest(value, allowed)}")


def check_columns(df: object, columns: Mapping[str, str | None]) -> None:
    """Refuse what is no frame, columns that it lacks or holds twice, and a frame without rows."""
    if not isinstance(df, pd.DataFrame):
        raise DataError(f"The data are a {type(df).__name__}, not a pandas DataFrame. Convert them by pandas.DataFrame(...).")
    for role, name in columns.items():
        if name is not None:
            check_column(df, role, name)
    if not len(df):
        raise DataError("The data have no rows.")


def check_column(df: pd.DataFrame, role: str, name: str) -> None:
    """Refuse a column that the frame lacks or holds twice."""
    if name not in df.columns:
        raise DataError(f"{role}={name!r} is not a column of the data.{nearest(name, df.columns)} {columns_of(df)}")
    if isinstance(df[name], pd.DataFrame):
        raise DataError(f"{role}={name!r} names {df[name].shape[1]} columns of the data. Rename or drop all but one.")


def columns_of(df: pd.DataFrame) -> str:
    """A sentence with the user's columns: those that swedge adds are called after ``INTERNAL``."""
    return f"Columns are {listing([name for name in df.columns if not str(name).startswith(INTERNAL)], 8)}."


def check_placeable(df: pd.DataFrame, columns: Mapping[str, str | None]) -> None:
    """Rows without a cluster or a time belong to no cell: dropping them in silence would lose data."""
    for role in ("cluster", "period", "date"):
        name = columns.get(role)
        if name is not None and (lost := int(df[name].isna().sum())):
            raise DataError(f"{counted(lost, 'row has', 'rows have')} no {role} in column {name!r}, and so no cell. Complete the data.")


def cluster_names(allocation: object, comparators: Sequence[object]) -> tuple[str, ...]:
    """The allocated clusters, then the comparators.

    Raises
    ------
    DataError
        If no allocation was passed, or a comparator is listed twice or belongs to the design.
    """
    if not isinstance(allocation, Allocation):
        raise DataError(
            f"allocation is a {type(allocation).__name__}. Pass the Allocation that was carried out: design.allocate({{cluster:"
            " sequence}), design.allocate_dates({cluster: go-live}), or Allocation.load(path) for a saved record; treatment= of"
            " Trial.from_frame has the data checked against it."
        )
    if isinstance(comparators, str):
        raise DataError(f"comparators is the text {comparators!r}. Pass a list of names.")
    clusters, others = allocation.design.clusters, tuple(map(label, comparators))
    wrong = [f"{name!r} is a cluster of the design" for name in others if name in clusters]
    wrong += [f"{name!r} is listed twice" for name in dict.fromkeys(others) if others.count(name) > 1]
    if wrong:
        raise DataError(f"comparators are never-treated clusters outside the design, but {listing(wrong)}. Correct the list.")
    refuse_twins((*clusters, *others))
    return (*clusters, *others)


def refuse_twins(names: Sequence[str]) -> None:
    """One cluster under two spellings is split in silence: refuse names that differ in nothing but capitals and spaces."""
    first: dict[str, str] = {}
    folded = "\n".join(names).casefold()
    plain = folded.split("\n")
    if plain != folded.split() or len(plain) != len(names):
        plain = [" ".join(name.split()).casefold() for name in names]
    if len(set(plain)) == len(plain):
        return
    twins = [f"{first[key]!r} and {name!r}" for key, name in zip(plain, names, strict=True) if first.setdefault(key, name) != name]
    if twins:
        raise DataError(f"Clusters differ in nothing but capitals and spaces: {listing(twins)}. Give each cluster one name.")


def refuse_times(df: pd.DataFrame, column: str, role: str, advice: str) -> None:
    """Dates and durations would turn into nanoseconds, complex numbers lose a part."""
    dtype = df[column].dtype
    dtype = dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) else dtype
    if types.is_datetime64_any_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        raise DataError(f"{role}={column!r} holds dates, not numbers. {advice}")
    if types.is_timedelta64_dtype(dtype):
        raise DataError(f"{role}={column!r} holds durations, not numbers. Convert them to a unit, for example by .dt.days.")
    if types.is_complex_dtype(dtype):
        raise DataError(f"{role}={column!r} holds complex numbers. Pass real ones.")


def as_numbers(series: pd.Series) -> Array:
    """A column as floats, nan where it holds no number."""
    return np.asarray(pd.to_numeric(series, errors="coerce").to_numpy(dtype=float, na_value=np.nan))


def numbers(df: pd.DataFrame, column: str, role: str, missing: bool = False) -> Array:
    """A column as finite floats; with `missing`, nan where the frame has no value.

    Raises
    ------
    DataError
        If it holds text, infinities, dates or durations.
    """
    refuse_times(df, column, role, "Pass a column of numbers.")
    values = as_numbers(df[column])
    wrong = ~np.isfinite(values) & ~(missing & df[column].isna().to_numpy())
    if wrong.any():
        raise DataError(
            f"{role}={column!r} holds values that are no finite numbers, in {int(wrong.sum())} of {len(df)} rows. Code it as numbers, with"
            " missing values as nan."
        )
    return values
