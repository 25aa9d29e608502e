"""Dates: reading them strictly, cutting a window into periods, finding the period of a date."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, DesignError, counted, listing, offending

DateLike = dt.date | str | np.datetime64
Dates = tuple[dt.date, ...]

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_BRITISH = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}.*")
_YEARS = range(1800, 2200)
_DAY = dt.timedelta(days=1)


def as_date(value: object, what: str) -> dt.date:
    """One date, from a date, a midnight timestamp or text 'YYYY-MM-DD'; anything else is refused.

    >>> as_date("2020-09-01", "start")
    datetime.date(2020, 9, 1)
    """
    day = _parsed(value)
    if day is None or day.year not in _YEARS:
        raise DesignError(f"{what} is {value!r}, which is not a date. Pass a datetime.date or text such as '2020-09-01' (year-month-day).")
    return day


def _parsed(value: object) -> dt.date | None:
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    if value is pd.NaT:
        return None
    if isinstance(value, dt.datetime):
        return value.date() if value.time() == dt.time() else None
    return value if isinstance(value, dt.date) else None


def _from_text(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:
        return None


def checked_boundaries(boundaries: Iterable[object], n_periods: int) -> Dates:
    """No dates, or T + 1 increasing ones: period t runs from boundary t up to the day before boundary t + 1."""
    dates = tuple(as_date(day, f"boundaries[{t}]") for t, day in enumerate(boundaries))
    if dates and len(dates) != n_periods + 1:
        raise DesignError(
            f"boundaries has {len(dates)} dates for {n_periods} periods. Give {n_periods + 1}: the first day of each period, then the"
            " day after the end."
        )
    back = [f"{later} follows {earlier}" for earlier, later in itertools.pairwise(dates) if later <= earlier]
    if back:
        raise DesignError(f"boundaries must increase, but {listing(back)}. Sort them and drop repeats.")
    return dates


def cut(go_live: Mapping[str, dt.date], start: dt.date, end: dt.date) -> Dates:
    """Boundaries of the window `start` to `end` (inclusive), cut at each distinct go-live."""
    if end < start:
        raise DesignError(f"The window ends on {end}, before it starts on {start}. Swap start and end.")
    outside = [f"{name} on {day}" for name, day in go_live.items() if not start <= day <= end]
    if outside:
        raise DesignError(
            f"Go-live outside the window {start} to {end}: {listing(outside)}. Correct the date, widen the window or leave the cluster out."
        )
    return (*sorted({start, *go_live.values()}), end + _DAY)


def period_frame(boundaries: Dates, n_periods: int) -> pd.DataFrame:
    """One row per period, counted from 1: first day, last day (inclusive) and days."""
    edges = edge_days(boundaries, n_periods)
    days = pd.array(np.diff(edges).astype(np.int64), dtype="Int64") if boundaries else pd.array([pd.NA] * n_periods, dtype="Int64")
    return pd.DataFrame(
        {
            "period": np.arange(1, n_periods + 1),
            "start": _stamps(edges[:-1]),
            "end": _stamps(edges[1:] - np.timedelta64(1, "D")),
            "days": days,
        }
    )


def _stamps(days: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    return days.astype("datetime64[s]")


def edge_days(boundaries: Dates, n_periods: int) -> NDArray[np.datetime64]:
    """Boundaries as days `(T + 1,)`; all NaT when the design has no dates."""
    return np.array(boundaries if boundaries else ["NaT"] * (n_periods + 1), dtype="datetime64[D]")


def midpoints(boundaries: Dates, n_periods: int) -> NDArray[np.float64]:
    """Middle of each period `(T,)` in days since the start of the window, or 0 to T - 1 without dates."""
    if not boundaries:
        return np.arange(n_periods, dtype=np.float64)
    edges = (edge_days(boundaries, n_periods) - np.datetime64(boundaries[0])).astype(np.float64)
    return (edges[1:] + edges[:-1]) / 2


def period_index(boundaries: Dates, dates: object) -> NDArray[np.intp]:
    """0-based period of each date; -1 where a date is missing or outside the window."""
    edges, days = np.array(boundaries, dtype="datetime64[D]"), as_days(dates)
    inside = (days >= edges[0]) & (days < edges[-1])
    return np.where(inside, np.searchsorted(edges, days, side="right") - 1, -1).astype(np.intp)


def as_days(dates: object) -> NDArray[np.datetime64]:
    """A column of dates as days `(N,)`, dropping the time of day; numbers and unreadable text are refused."""
    column = pd.Series(_as_column(dates))
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = _read_column(column)
    return column.to_numpy(dtype="datetime64[us]").astype("datetime64[D]")


def _as_column(dates: Any) -> Any:
    return [dates] if isinstance(dates, (str, dt.date, np.datetime64)) else dates


def _looks_british(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) and _BRITISH.fullmatch(value.strip()) for value in values)


def _read_column(column: pd.Series[Any]) -> pd.Series[Any]:
    values: Sequence[object] = column.astype(object).tolist()
    numbers = [value for value in values if isinstance(value, (int, float, np.number)) and value == value]
    if numbers:
        raise DataError(
            f"{len(numbers)} of {counted(len(values), 'date', 'dates')} {'is a number' if len(numbers) == 1 else 'are numbers'}"
            f" ({offending(numbers)}). Convert spreadsheet serial dates first, with their own origin, by"
            " pandas.to_datetime(column, unit='D', origin='1899-12-30')."
        )
    read = pd.to_datetime(column.astype(object), format="%Y-%m-%d", errors="coerce")
    wrong = [value for value, lost in zip(values, read.isna() & column.notna(), strict=True) if lost]
    if wrong:
        raise DataError(
            f"{len(wrong)} of {counted(len(values), 'date', 'dates')} cannot be read ({offending(wrong)}). Write year-month-day, such as"
            f" '2020-09-01', or convert by pandas.to_datetime{', with dayfirst=True' if _looks_british(wrong) else ''}."
        )
    return read
