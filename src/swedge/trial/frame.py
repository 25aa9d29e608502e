"""From rows to a trial: every check that data must pass before they are folded into cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from swedge.assumptions import family_named
from swedge.design import Allocation
from swedge.errors import SMALL, DataError, counted, listing, nearest, offending, releasable
from swedge.trial.cohort import as_cohort
from swedge.trial.columns import (
    as_numbers,
    check_choice,
    check_column,
    check_columns,
    check_placeable,
    cluster_names,
    label,
    numbers,
    refuse_times,
)
from swedge.trial.fold import Rows, fold
from swedge.trial.formula import covariate_columns, names_in
from swedge.trial.tables import check_cells
from swedge.trial.trial import Trial

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Columns = dict[str, str | None]

REMOVE = " Remove them, or widen the design's window."


def read_frame(
    df: pd.DataFrame,
    allocation: Allocation,
    columns: Columns,
    family: str,
    covariates: str | None,
    comparators: Sequence[str],
    missing: str,
    empty: str,
) -> Trial:
    """Check `df` against the allocation and fold it into a trial."""
    family_named(family)
    check_choice("missing", missing, ("raise", "drop"))
    check_choice("empty", empty, ("raise", "keep"))
    names, cluster, period = placed(df, allocation, columns, comparators)
    used = _covariate_names(df, covariates, columns)
    keep = complete(df, [columns["outcome"], columns["size"], *used], missing)
    _check_present(cluster[keep], names)
    labels, rows = _rows(df[keep], cluster[keep], period[keep], columns, family, covariates)
    trial = fold(rows, allocation, family, names, labels, len(comparators))
    trial = as_cohort(trial, rows, df[keep], columns["individual"])
    _check_treatment(df, columns["treatment"], cluster, period, trial)
    return check_cells(_with_binary_note(_with_count(trial, int((~keep).sum())), rows), empty)


def placed(df: pd.DataFrame, allocation: Allocation, columns: Columns, comparators: Sequence[str]) -> tuple[tuple[str, ...], Index, Index]:
    """Names of the clusters, and each row's cluster and 0-based period; all `columns` must exist."""
    names = cluster_names(allocation, comparators)
    _check_times(columns)
    check_columns(df, columns)
    check_placeable(df, columns)
    return names, _clusters(df, columns, names), _periods(df, columns, allocation)


def _rows(
    kept: pd.DataFrame, cluster: Index, period: Index, columns: Columns, family: str, covariates: str | None
) -> tuple[tuple[str, ...], Rows]:
    """Names of the covariates' columns, and the rows themselves."""
    labels, matrix = ((), np.zeros((len(kept), 0))) if covariates is None else covariate_columns(covariates, kept)
    outcome, size = _outcomes(kept, columns, family)
    return labels, Rows(cluster, period, outcome, size, matrix)


def _with_count(trial: Trial, dropped: int) -> Trial:
    note = f"{counted(dropped, 'row', 'rows')} with a missing outcome, size or covariate {'was' if dropped == 1 else 'were'} dropped."
    return replace(trial, dropped=dropped, notes=(*trial.notes, note)) if dropped else trial


def _with_binary_note(trial: Trial, rows: Rows) -> Trial:
    if trial.family != "gaussian" or not np.isin(rows.outcome, (0.0, 1.0)).all():
        return trial
    note = "The outcome is 0/1 and the family gaussian, so effects are differences of risks. For odds ratios pass family='binomial'."
    return replace(trial, notes=(*trial.notes, note))


def _check_times(columns: Columns) -> None:
    if (columns["period"] is None) == (columns["date"] is None):
        raise DataError("Give either period= (a column of period numbers from 1) or date= (a column of dates), not both or neither.")


def _covariate_names(df: pd.DataFrame, covariates: str | None, columns: Columns) -> list[str]:
    names = [] if covariates is None else names_in(covariates, df)
    for name in names:
        check_column(df, "covariates", name)
    if columns["outcome"] in names:
        raise DataError(f"covariates name {columns['outcome']!r}, which is the outcome. Take it out of the formula.")
    return names


def _clusters(df: pd.DataFrame, columns: Columns, names: tuple[str, ...]) -> Index:
    """Position of each row's cluster; no other cluster may occur."""
    found = df[columns["cluster"]].map(label).astype(object)
    unknown = found[~found.isin(names)].tolist()
    if unknown:
        raise DataError(_no_clusters(unknown, len(df), str(columns["cluster"]), names))
    return np.asarray(found.map({name: i for i, name in enumerate(names)}), dtype=np.int64)


def _no_clusters(unknown: list[str], rows: int, column: str, names: tuple[str, ...]) -> str:
    hints = [nearest(name.strip("'"), names) for name in list(releasable(unknown))[:3]]
    return (
        f"{len(unknown):,} of {counted(rows, 'row', 'rows')} {'holds' if len(unknown) == 1 else 'hold'} a value that is no cluster of the"
        f" allocation ({offending(unknown)}).{''.join(dict.fromkeys(hints))} Is {column!r} the cluster column? The clusters are"
        f" {listing(names)}. Correct the spelling, or name never-treated clusters in comparators=."
    )


def _check_present(cluster: Index, names: tuple[str, ...]) -> None:
    seen = np.bincount(cluster, minlength=len(names))
    absent = [name for name, rows in zip(names, seen, strict=True) if not rows]
    if absent:
        raise DataError(
            f"{counted(len(absent), 'cluster of the allocation has', 'clusters of the allocation have')} no rows with an outcome:"
            f" {listing(absent)}. Add their data, or redesign without them."
        )


def _periods(df: pd.DataFrame, columns: Columns, allocation: Allocation) -> Index:
    """0-based period of each row."""
    design = allocation.design
    if columns["date"] is not None:
        _refuse_zone(df, columns["date"])
        found = np.asarray(design.period_of(df[columns["date"]]), dtype=float)
        where = f"the window {design.boundaries[0]} to {design.boundaries[-1]} (exclusive)" if design.boundaries else "the window"
    else:
        found, where = _numbered(df, str(columns["period"])), f"1 to {design.n_periods}"
    outside = (found < 0) | (found >= design.n_periods)
    if outside.any():
        column, dated = str(columns["date"] or columns["period"]), columns["date"] is not None
        values = df[column][outside].tolist()
        advice = "" if dated else _shift(found + 1, column, design.n_periods)
        raise DataError(
            f"{counted(len(values), 'row lies', 'rows lie')} outside {where}, by column {column!r} ({offending(values)}).{advice or REMOVE}"
        )
    return found.astype(np.int64)


def _shift(period: Array, column: str, periods: int) -> str:
    """Advice for periods that are all there but do not count from 1; nothing when they are something else."""
    low, high = int(period.min()), int(period.max())
    by = 1 - low
    if by == 0 or not (high - low == periods - 1 or (low == 0 and high < periods)):
        return ""
    few = min(int((period == end).sum()) for end in (low, high)) <= SMALL
    runs = "does not" if few else f"runs {low} to {high}"
    return f" Periods count from 1; column {column!r} {runs}: {f'add {by}' if by > 0 else f'subtract {-by}'}."


def _refuse_zone(df: pd.DataFrame, column: str) -> None:
    """A midnight in London is the day before in UTC all summer: only the user knows which day was meant."""
    dtype = df[column].dtype
    if isinstance(dtype, pd.DatetimeTZDtype) or (types.is_object_dtype(dtype) and any(getattr(v, "tzinfo", None) for v in df[column])):
        raise DataError(
            f"date={column!r} has a time zone, and the day of a date depends on it. Convert to local days, for example by"
            " .dt.tz_convert('Europe/London').dt.tz_localize(None)."
        )


def _numbered(df: pd.DataFrame, column: str) -> Array:
    refuse_times(df, column, "period", f"Pass date={column!r}, or number the periods from 1.")
    values = as_numbers(df[column])
    wrong = ~np.isfinite(values)
    wrong[~wrong] = values[~wrong] % 1 != 0
    if wrong.any():
        raise DataError(
            f"{counted(int(wrong.sum()), 'row has', 'rows have')} no whole number in period={column!r}"
            f" ({offending(df[column][wrong].tolist())}). Periods count from 1; for dates pass date=."
        )
    return values - 1


def complete(df: pd.DataFrame, columns: Sequence[str | None], missing: str) -> NDArray[np.bool_]:
    """Rows that have a value in all `columns`; without any, or with ``missing="raise"`` without some, a DataError."""
    needed = list(dict.fromkeys(name for name in columns if name is not None))
    counts = {name: int(df[name].isna().sum()) for name in needed}
    if missing == "raise" and any(counts.values()):
        lacking = [f"{name}: {count} of {len(df)} rows" for name, count in counts.items() if count]
        raise DataError(
            f"Missing values in {listing(lacking)}. Impute them, or pass missing='drop' to leave these rows out and have them counted."
        )
    keep = np.asarray(df[needed].notna().all(axis=1))
    if not keep.any():
        raise DataError(f"Every row has a missing value in {listing(needed)}.")
    return keep


def _outcomes(df: pd.DataFrame, columns: Columns, family: str) -> tuple[Array, Array]:
    """Mean outcome and count of each row."""
    values = numbers(df, str(columns["outcome"]), "outcome")
    size = np.ones(len(df)) if columns["size"] is None else _sizes(df, columns["size"], family)
    _check_range(values, size, family, str(columns["outcome"]), columns["size"])
    return (values / size if family in ("binomial", "poisson") else values), size


def _sizes(df: pd.DataFrame, column: str, family: str) -> Array:
    """Counts of individuals; units of exposure (poisson) may be fractions."""
    size = numbers(df, column, "size")
    if (size <= 0).any():
        raise DataError(
            f"{counted(int((size <= 0).sum()), 'row has', 'rows have')} a size that is not positive ({column!r}). Remove empty groups."
        )
    if family != "poisson" and (size % 1 != 0).any():
        raise DataError(
            f"{counted(int((size % 1 != 0).sum()), 'row has', 'rows have')} a size that is no whole number ({column!r}). Give numbers of"
            " individuals."
        )
    return size


def _check_range(values: Array, size: Array, family: str, column: str, size_column: str | None) -> None:
    if family == "gaussian":
        return
    if family == "fractional":
        return _check_shares(values, column)
    wrong = (values % 1 != 0) | (values < 0) | ((values > size) & (family == "binomial"))
    expected = "a count: whole and not negative,"
    if family == "binomial":
        expected = "0 or 1" if size_column is None else f"a whole number of events from 0 to {size_column!r}"
    if wrong.any():
        raise DataError(
            f"outcome={column!r} must be {expected} for family={family!r}; {int(wrong.sum())} of {len(values)} rows are not."
            + (" It holds 1 and 2: if 2 means yes, subtract 1." if set(np.unique(values)) == {1.0, 2.0} else " Recode it.")
        )


def _check_shares(values: Array, column: str) -> None:
    wrong = (values < 0) | (values > 1)
    if wrong.any():
        percent = (values >= 0).all() and 1 < values.max() <= 100
        raise DataError(
            f"outcome={column!r} must be a share from 0 to 1 for family='fractional'; {int(wrong.sum())} of {len(values)} rows are not."
            + (" Divide percentages by 100." if percent else " Divide counts by what they are a share of.")
        )


def _check_treatment(df: pd.DataFrame, column: str | None, cluster: Index, period: Index, trial: Trial) -> None:
    """A recorded treatment must be the allocated one, cell by cell."""
    if column is None:
        return
    recorded, allocated = numbers(df, column, "treatment"), trial.treatment[cluster, period]
    strange = int(((recorded < 0) | (recorded > 1)).sum())
    if strange:
        raise DataError(f"treatment={column!r} must be 0, 1 or a share between; {strange} of {len(df)} rows are not. Recode it.")
    wrong = ~np.isnan(allocated) & (recorded != allocated)
    if wrong.any():
        raise DataError(_contradictions(recorded, cluster, period, wrong, trial))


def _contradictions(recorded: Array, cluster: Index, period: Index, wrong: NDArray[np.bool_], trial: Trial) -> str:
    cells = sorted(set(zip(cluster[wrong].tolist(), period[wrong].tolist(), strict=True)))
    shown = [
        f"{trial.clusters[i]}, period {t + 1}: recorded {_arms(recorded[(cluster == i) & (period == t)])}, allocated"
        f" {_arm(trial.treatment[i, t])}"
        for i, t in cells[:3]
    ]
    return (
        f"{counted(len(cells), 'cluster-period contradicts', 'cluster-periods contradict')} the allocation."
        f" {listing([*shown, *cells[3:]])}. Pass the allocation that was carried out, or drop treatment= to use it."
    )


def _arms(values: Array) -> str:
    distinct, rows = np.unique(values, return_counts=True)
    plain = len(distinct) <= 3 and bool(((rows > SMALL) | np.isin(distinct, (0.0, 1.0))).all())
    return " and ".join(_arm(v) for v in distinct) if plain else counted(len(distinct), "share", "different shares")


def _arm(value: float) -> str:
    return {0.0: "control", 1.0: "treated"}.get(float(value), f"{value:g} treated")
