"""The tables that a plan is run on: gathered, checked against what was agreed, and cut to a population."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from numbers import Real
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, counted, listing, nearest, offending
from swedge.plan.plan import Plan
from swedge.plan.safe_paths import inside
from swedge.plan.specs import Condition, Source, Value
from swedge.plan.tables import read_table
from swedge.plan.uses import ANYTHING, COVARIATE, Use, analysed, declared, kinds_of, outcomes_of, uses
from swedge.trial.columns import as_numbers, label

Table = pd.DataFrame | str | PathLike[str]
Frames = Table | Mapping[str, Table]

FLAGS = {True: ("1", "true", "True"), False: ("0", "false", "False")}
AMBIGUOUS = "NA"


def gather(plan: Plan, frames: Frames | None, folder: str | PathLike[str] | None = None) -> dict[str, pd.DataFrame]:
    """The plan's tables, by source, in the plan's order.

    Frames are taken as they are, but for numbers that are text or factors where the plan says number. Files are read as text: a column
    becomes numbers or dates where the plan says that it holds them, so that an authority called NA and a level 001 stay what they are.
    Blank is missing; in columns of numbers and dates NA is, too.

    Parameters
    ----------
    plan : Plan
    frames : DataFrame, path, or mapping from source names to them
        A single one is the table of a plan with one source.
    folder : path, optional
        Where the files that the plan names lie; they are read for sources that were not passed.

    Raises
    ------
    DataError
        If a table is missing or belongs to no source, or a file cannot be read.
    PlanError
        If a source's file lies outside the folder.
    """
    given = _by_source(plan, frames)
    return {source.name: _table(plan, source, given, folder) for source in plan.sources}


def _by_source(plan: Plan, frames: Frames | None) -> Mapping[str, Table]:
    names = plan.names["sources"]
    if frames is None:
        return {}
    if isinstance(frames, pd.DataFrame | str | PathLike):
        if len(names) > 1:
            raise DataError(f"The plan has {len(names)} tables, and one was passed. Pass a mapping with {listing(names, 8)}.")
        return {names[0]: frames}
    if not isinstance(frames, Mapping):
        raise DataError(f"The data are a {type(frames).__name__}. Pass a DataFrame, a path, or a mapping from source names to them.")
    unknown = [f"{name!r:.60}.{nearest(name, names)}" for name in frames if name not in names]
    if unknown:
        raise DataError(f"Tables were passed for what is no source of the plan: {listing(unknown)} Its sources are {listing(names, 8)}.")
    return frames


def _table(plan: Plan, source: Source, given: Mapping[str, Table], folder: str | PathLike[str] | None) -> pd.DataFrame:
    table = given.get(source.name)
    if table is None and source.file is not None and folder is not None:
        table = inside(Path(folder), source.file)
    if table is None:
        file = f", or put {source.file!r} into the plan's folder" if source.file is not None else ""
        raise DataError(f"No table was passed for the source {source.name!r}. Pass a DataFrame or a path{file}.")
    kinds = _kinds(plan, source.name)
    if isinstance(table, pd.DataFrame):
        return _in_numbers(table, kinds)
    if not isinstance(table, str | PathLike):
        raise DataError(f"The table of {source.name!r} is a {type(table).__name__}. Pass a DataFrame or the path of a CSV file.")
    return _in_numbers(read_table(Path(table), kinds), kinds)


def _in_numbers(table: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The table with numbers where the plan says so: as text or as levels of a factor they would be a category in a formula."""
    told = [name for name, kind in kinds.items() if kind in ("number", "yes/no") and name in table.columns]
    columns = [table[name] for name in told if isinstance(table[name], pd.Series)]
    odd = {str(column.name): _as_numbers(column) for column in columns if not pd.api.types.is_numeric_dtype(column.dtype)}
    return table.assign(**{name: values for name, values in odd.items() if (np.isnan(values) == table[name].isna()).all()})


def _kinds(plan: Plan, source: str) -> dict[str, str]:
    """What every column of a table holds. Agreed levels say by their type how they are read, also those of a yes/no."""
    kinds = kinds_of(plan, source)
    agreed = {name: declared(plan, source, name) for name in kinds}
    return {name: "category" if kind == "yes/no" and (column := agreed[name]) and column.levels else kind for name, kind in kinds.items()}


def check_frames(plan: Plan, frames: Mapping[str, pd.DataFrame]) -> None:
    """Refuse tables that are not those of the plan: columns, what they hold, and clusters.

    What a family can hold (0 and 1, counts, shares) and what the allocation says of each row are left to `Trial.from_frame`.

    Parameters
    ----------
    plan : Plan
    frames : mapping
        By source, as `gather` gives them.

    Raises
    ------
    DataError
        Saying which part of the plan asks for what the data are not, and what to do. No value is shown that five rows or fewer hold.
    """
    used = uses(plan)
    _check_tables(plan, frames)
    _check_columns(used, frames)
    for source in plan.sources:
        _check_clusters(plan, source, frames[source.name])
    _check_holds(plan, frames)


def _check_tables(plan: Plan, frames: Mapping[str, pd.DataFrame]) -> None:
    for name in plan.names["sources"]:
        if not isinstance(frames.get(name), pd.DataFrame):
            raise DataError(f"The source {name!r} has no DataFrame. Pass one table for each of {listing(plan.names['sources'], 8)}.")
        if not len(frames[name]):
            raise DataError(f"The table of {name!r} has no rows.")


def _check_columns(used: Sequence[Use], frames: Mapping[str, pd.DataFrame]) -> None:
    asked = {(use.source, use.column): use for use in reversed(used)}.values()
    absent = [use for use in reversed(asked) if use.column not in frames[use.source].columns]
    headless = sorted({use.source for use in asked} - {use.source for use in asked if use not in absent})
    if headless:
        raise DataError(
            f"None of the columns that the plan uses is in {headless[0]!r}. Is it another table, or one without a first line of names?"
        )
    if absent:
        told = [f"{use.column!r} in {use.source!r}, for {use.owner}.{nearest(use.column, frames[use.source].columns)}" for use in absent]
        raise DataError(
            f"{counted(len(absent), 'column that the plan uses is', 'columns that the plan uses are')} not in the data: {listing(told)}"
            f"{'.' if len(told) > 3 else ''} Pass the table that was agreed, or record an amendment of the plan."
        )
    twice = [f"{use.column!r} in {use.source!r}" for use in asked if isinstance(frames[use.source][use.column], pd.DataFrame)]
    if twice:
        raise DataError(f"Columns that the plan uses are there more than once: {listing(twice)}. Rename or drop all but one.")


def _check_clusters(plan: Plan, source: Source, frame: pd.DataFrame) -> None:
    column = frame[source.cluster]
    if lost := int(column.isna().sum()):
        raise DataError(
            f"{counted(lost, 'row', 'rows')} of {source.name!r} {'has' if lost == 1 else 'have'} no cluster. Complete the data."
        )
    found = column.map(label).astype(object)
    _check_known(plan, source, found)
    present = set(found)
    for names, what in _expected(plan, source):
        absent = [name for name in names if name not in present]
        if absent:
            raise DataError(
                f"{counted(len(absent), *what)} no rows in {source.name!r}: {listing(absent)}. Add their data; or,"
                " by an amendment, name them in without of the outcomes that they do not hold."
            )


def _check_known(plan: Plan, source: Source, found: pd.Series) -> None:
    """Refuse clusters that the plan does not name. An observational panel without listed comparators may hold any."""
    beside = plan.comparators
    if source.first_treated is not None and beside is None:
        return
    known = (*plan.design.clusters, *(() if beside is None else (*beside.clusters, *beside.adopters)))
    unknown = found[~found.isin(known)].tolist()
    if unknown:
        hints = dict.fromkeys(nearest(name, known) for name in dict.fromkeys(unknown))
        raise DataError(
            f"{counted(len(unknown), 'row', 'rows')} of {source.name!r} {'holds' if len(unknown) == 1 else 'hold'} a cluster that the plan"
            f" does not name ({offending(unknown)}).{''.join(list(hints)[:3])} Is {source.cluster!r} the column of clusters? Correct the"
            f" spelling or leave these rows out; the plan names {listing(known)}."
        )


def _expected(plan: Plan, source: Source) -> Iterator[tuple[list[str], tuple[str, str]]]:
    """Clusters of which some outcome of a table needs rows, and what to call them."""
    own = outcomes_of(plan, source)
    without = set.intersection(*(set(outcome.without) for outcome in own)) if own else set()
    yield [name for name in plan.design.clusters if name not in without], ("cluster of the trial has", "clusters of the trial have")
    compared = [o for analysis in plan.analyses if analysis.comparators for o in analysed(plan, analysis) if o in own]
    needed = set().union(*(set(plan.comparators.clusters) - set(o.without) for o in compared)) if plan.comparators else set()
    yield sorted(needed), ("comparator has", "comparators have")


def _check_holds(plan: Plan, frames: Mapping[str, pd.DataFrame]) -> None:
    places = [(source, name, kind) for source in plan.names["sources"] for name, kind in kinds_of(plan, source).items()]
    told = [fault for source, name, kind in places if (fault := _fault(plan, source, frames[source][name], kind))]
    if told:
        raise DataError(
            f"{counted(len(told), 'column does', 'columns do')} not hold what the plan says: {listing(told)}. Correct the data, or record"
            " an amendment of the plan."
        )


def _fault(plan: Plan, source: str, column: pd.Series, kind: str) -> str:
    """What a column should hold and how many rows do not; nothing where all do."""
    agreed = declared(plan, source, str(column.name))
    wrong, expected = _wrong(column, kind, agreed.levels if agreed else ())
    if not wrong.any():
        return ""
    return (
        f"{column.name!r} in {source!r} should hold {expected}, and {int(wrong.sum()):,} of {counted(len(column), 'row does', 'rows do')}"
        f" not ({offending(column[wrong].tolist())})"
    )


def _wrong(column: pd.Series, kind: str, levels: tuple[Value, ...]) -> tuple[NDArray[np.bool_], str]:
    """Rows with a value that the column should not hold, and what it should."""
    known = column.notna().to_numpy()
    if levels:
        return known & ~_among(column, levels), f"one of {listing([str(level) for level in levels], 8)}"
    if kind == "date":
        return known & _no_dates(column), "dates, written year-month-day as in 2020-09-01"
    if kind == "number":
        return known & np.isnan(_as_numbers(column)), "numbers"
    if kind == "yes/no":
        return known & ~np.isin(_as_numbers(column), (0, 1)), "1 for yes and 0 for no"
    if kind in ("category", ANYTHING, COVARIATE):
        return known & (column.astype(object) == AMBIGUOUS).to_numpy(), "values, blank where missing, unless its agreed levels name NA"
    return np.zeros(len(column), dtype=bool), ""


def _no_dates(column: pd.Series) -> NDArray[np.bool_]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return np.zeros(len(column), dtype=bool)
    texts = column.astype(object).where(np.array([not isinstance(value, Real) for value in column], dtype=bool))
    return np.asarray(pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce").isna())


def _as_numbers(column: pd.Series) -> NDArray[np.float64]:
    """Numbers, nan where a value is none; dates and durations are none."""
    plain = pd.api.types.is_datetime64_any_dtype(column.dtype) or pd.api.types.is_timedelta64_dtype(column.dtype)
    return np.full(len(column), np.nan) if plain else as_numbers(column)


def select(frame: pd.DataFrame, conditions: tuple[Condition, ...]) -> pd.Series[bool]:
    """Rows that meet every condition: their value is among those given. 1, 1.0 and true are one value; a missing value meets none.

    Raises
    ------
    DataError
        If a column is absent, or holds none of the values of a condition in any row.

    Examples
    --------
    >>> children = pd.DataFrame({"trio": [1.0, 0.0, None], "la": ["A", "B", "A"]})
    >>> select(children, (Condition("trio", (1,)), Condition("la", ("A",)))).tolist()
    [True, False, False]
    """
    kept = np.ones(len(frame), dtype=bool)
    for condition in conditions:
        kept &= _meets(frame, condition)
    return pd.Series(kept, index=frame.index, dtype=bool)


def _meets(frame: pd.DataFrame, condition: Condition) -> NDArray[np.bool_]:
    if condition.column not in frame.columns:
        raise DataError(
            f"A condition is on {condition.column!r}, which is no column of the data.{nearest(condition.column, frame.columns)}"
        )
    column = frame[condition.column]
    met = _among(column, condition.among)
    if len(column) and not met.any():
        held = column.dropna().tolist()
        holds = f"It holds {offending(held)}" if held else "It holds nothing"
        raise DataError(
            f"No row has {condition.column!r} among {listing([repr(value) for value in condition.among])}. {holds}. Correct the condition"
            " in the plan, or the data."
        )
    return met


def _among(column: pd.Series, values: Sequence[Value]) -> NDArray[np.bool_]:
    codes, found = pd.factorize(column)
    numeric = all(isinstance(value, Real | np.bool_) for value in found)
    wanted = {key for value in values for key in _keys(value, numeric)}
    hit = [_key(value) in wanted for value in found]
    return np.array([*hit, False], dtype=bool)[codes]  # code -1, of a missing value, is the last


def alike(values: Sequence[Value], others: Sequence[Value]) -> bool:
    """Whether each of some values of a plan is among others, as a condition would find it.

    >>> alike([1, True], ("0", "1")), alike(["b"], ("a",))
    (True, False)
    """
    return bool(_among(pd.Series(list(values), dtype=object), others).all())


def _key(value: object) -> str:
    """A value of a column as text, the same for one value in several types."""
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat()
    return label(float(value)) if isinstance(value, Real | np.bool_) else str(value)


def _keys(value: Value, numeric: bool) -> tuple[str, ...]:
    """Texts that a value of a plan may be in a column."""
    if isinstance(value, bool):
        return FLAGS[value]
    if not isinstance(value, str):
        return (_key(value),)
    try:
        return (value, label(float(value))) if numeric else (value,)
    except ValueError:
        return (value,)


def fingerprint(frame: pd.DataFrame) -> str:
    """SHA-256 of a table as `csv_of` writes it: the same for a file and for the frame that was read from it.

    >>> fingerprint(pd.DataFrame({"a": [1]}))[:12]
    '309b0e45a73d'
    """
    return hashlib.sha256(csv_of(frame)).hexdigest()


def csv_of(frame: pd.DataFrame) -> bytes:
    r"""The frame as CSV in UTF-8, the same bytes everywhere.

    Lines end in ``\n``, numbers have every digit, dates are written year-month-day, and what is missing is blank. Read back
    by `gather`, it is the same table. It is for data: text is written as it is, also where a spreadsheet would run it.

    Examples
    --------
    >>> csv_of(pd.DataFrame({"la": ["NA", "B"], "p": [1 / 12, None], "day": pd.to_datetime(["2020-09-01", None])}))
    b'la,p,day\nNA,0.08333333333333333,2020-09-01\nB,,\n'
    """
    columns = {k: _dates_as_text(frame.iloc[:, k]) for k in range(frame.shape[1])}
    table = pd.DataFrame(columns, index=frame.index)
    return table.to_csv(index=False, header=[str(name) for name in frame.columns], lineterminator="\n").encode()


def _dates_as_text(column: pd.Series) -> pd.Series:
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column
    return column.map(_key, na_action="ignore").astype(object)
