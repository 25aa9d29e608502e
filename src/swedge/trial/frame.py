"""From rows to cells: every check that data must pass before they become a trial."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.assumptions import family_named
from swedge.design import Allocation
from swedge.errors import DataError, listing, nearest
from swedge.trial.cells import Cells, Patterns
from swedge.trial.formula import covariate_columns, label, names_in
from swedge.trial.trial import Trial, exposed

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True)
class _Rows:
    """Checked rows: where each belongs, its outcome mean, its count and its covariates."""

    cluster: Index
    period: Index
    outcome: Array
    size: Array
    covariates: Array


def read_frame(
    df: pd.DataFrame,
    allocation: Allocation,
    columns: dict[str, str | None],
    family: str,
    covariates: str | None,
    comparators: tuple[str, ...],
    missing: str,
    empty: str,
) -> Trial:
    """Check `df` against the allocation and fold it into a trial."""
    family_named(family)
    _check_choice("missing", missing, ("raise", "drop"))
    _check_choice("empty", empty, ("raise", "keep"))
    check_columns(df, columns)
    names = (*allocation.design.clusters, *comparators)
    used = [] if covariates is None else names_in(covariates, df)
    _check_placeable(df, columns)
    cluster, period = _clusters(df, columns, names), _periods(df, columns, allocation)
    keep = _complete(df, columns, used, missing)
    kept = df[keep]
    labels, matrix = ((), np.zeros((len(kept), 0))) if covariates is None else covariate_columns(covariates, kept)
    outcome, size = _outcomes(kept, columns, family)
    rows = _Rows(cluster[keep], period[keep], outcome, size, matrix)
    trial = _fold(rows, allocation, family, names, labels, len(comparators))
    _check_treatment(df, columns["treatment"], cluster, period, trial)
    return check_cells(_with_count(trial, int((~keep).sum())), empty)


def _with_count(trial: Trial, dropped: int) -> Trial:
    note = f"{dropped} rows with a missing outcome or covariate were dropped."
    return replace(trial, dropped=dropped, notes=(*trial.notes, note)) if dropped else trial


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise DataError(f"{name}={value!r}; expected one of {', '.join(map(repr, allowed))}.{nearest(value, allowed)}")


def check_columns(df: pd.DataFrame, columns: dict[str, str | None]) -> None:
    """Refuse columns that the frame lacks, and a frame without rows."""
    if (columns["period"] is None) == (columns["date"] is None):
        raise DataError("Give either period= (a column of period numbers from 1) or date= (a column of dates), not both or neither.")
    for role, name in columns.items():
        if name is not None and name not in df.columns:
            raise DataError(
                f"{role}={name!r} is not a column of the data.{nearest(name, df.columns)} Columns are {listing(list(df.columns), 8)}."
            )
    if not len(df):
        raise DataError("The data have no rows.")


def _check_placeable(df: pd.DataFrame, columns: dict[str, str | None]) -> None:
    """Rows without a cluster or a time belong to no cell: dropping them in silence would lose data."""
    for role in ("cluster", "period", "date"):
        name = columns[role]
        if name is not None and df[name].isna().any():
            raise DataError(
                f"{int(df[name].isna().sum())} rows have no {role} ({name!r}), so they belong to no cell. Complete or remove them."
            )


def _clusters(df: pd.DataFrame, columns: dict[str, str | None], names: tuple[str, ...]) -> Index:
    """Position of each row's cluster. Every allocated cluster must occur, and no other may."""
    found = df[columns["cluster"]].map(label)
    unknown = sorted(set(found) - set(names))
    if unknown:
        hints = [f"{name!r} ({int((found == name).sum())} rows).{nearest(name, names)}" for name in unknown]
        raise DataError(
            f"{len(unknown)} cluster names are not in the allocation: {listing(hints)} Correct the spelling, or name never-treated"
            f" clusters in comparators=."
        )
    absent = [name for name in names if name not in set(found)]
    if absent:
        raise DataError(
            f"{len(absent)} clusters of the allocation have no rows: {listing(absent)}. Add their data, or redesign without them."
        )
    return np.asarray(found.map({name: i for i, name in enumerate(names)}), dtype=np.int64)


def _periods(df: pd.DataFrame, columns: dict[str, str | None], allocation: Allocation) -> Index:
    """0-based period of each row."""
    design = allocation.design
    if columns["date"] is not None:
        found = np.asarray(design.period_of(df[columns["date"]]), dtype=np.int64)
        where = f"the window {design.boundaries[0]} to {design.boundaries[-1]} (exclusive)" if design.boundaries else "the window"
    else:
        found, where = _numbered(df[columns["period"]]), f"1 to {design.n_periods}"
    outside = (found < 0) | (found >= design.n_periods)
    if outside.any():
        values = sorted({str(v) for v in df[columns["date"] or columns["period"]][outside]})
        raise DataError(f"{int(outside.sum())} rows lie outside {where}: {listing(values)}. Remove them, or widen the design's window.")
    return found


def _numbered(series: pd.Series) -> Index:
    numbers = pd.to_numeric(series, errors="coerce")
    wrong = numbers.isna() | (numbers % 1 != 0)
    if wrong.any():
        raise DataError(
            f"{int(wrong.sum())} rows have a period that is no whole number: {listing(sorted(set(map(str, series[wrong]))))}. Periods"
            f" count from 1."
        )
    return np.asarray(numbers, dtype=np.int64) - 1


def _complete(df: pd.DataFrame, columns: dict[str, str | None], used: list[str], missing: str) -> NDArray[np.bool_]:
    """Rows with outcome, size and covariates present."""
    needed = list(dict.fromkeys([c for c in (columns["outcome"], columns["size"]) if c is not None] + used))
    counts = {name: int(df[name].isna().sum()) for name in needed}
    if missing == "raise" and any(counts.values()):
        lacking = [f"{name}: {count} of {len(df)}" for name, count in counts.items() if count]
        raise DataError(
            f"Missing values in {listing(lacking)}. Impute them, or pass missing='drop' to leave these rows out and have them counted."
        )
    keep = np.asarray(df[needed].notna().all(axis=1))
    if not keep.any():
        raise DataError(f"Every row has a missing value in {listing(needed)}.")
    return keep


def _outcomes(df: pd.DataFrame, columns: dict[str, str | None], family: str) -> tuple[Array, Array]:
    """Mean outcome and count of each row."""
    values = _numbers(df, str(columns["outcome"]), "outcome")
    size = np.ones(len(df)) if columns["size"] is None else _numbers(df, columns["size"], "size")
    if (size <= 0).any():
        raise DataError(f"{int((size <= 0).sum())} rows have a size that is not positive ({columns['size']!r}). Remove empty groups.")
    _check_range(values, size, family, str(columns["outcome"]), columns["size"])
    return (values / size if family != "gaussian" else values), size


def _numbers(df: pd.DataFrame, column: str, role: str) -> Array:
    numbers = pd.to_numeric(df[column], errors="coerce")
    if numbers.isna().any() or not np.isfinite(numbers.astype(float)).all():
        raise DataError(
            f"{role}={column!r} holds values that are no finite numbers, in {int(numbers.isna().sum())} rows. Code it as numbers."
        )
    return np.asarray(numbers, dtype=float)


def _check_range(values: Array, size: Array, family: str, column: str, size_column: str | None) -> None:
    if family == "binomial":
        wrong = (values % 1 != 0) | (values < 0) | (values > size)
        expected = "0 or 1" if size_column is None else f"a whole number of events from 0 to {size_column!r}"
    else:
        wrong = (values < 0) & (family == "poisson")
        expected = "a count, not negative"
    if wrong.any():
        raise DataError(
            f"outcome={column!r} must be {expected} for family={family!r}; {int(wrong.sum())} of {len(values)} rows are not. Recode it."
        )


def _fold(rows: _Rows, allocation: Allocation, family: str, names: tuple[str, ...], labels: tuple[str, ...], comparators: int) -> Trial:
    shape = (len(names), allocation.design.n_periods)
    gaussian = family == "gaussian"
    variables = np.column_stack([rows.outcome, rows.covariates]) if gaussian else rows.outcome[:, None]
    cells = cells_of(rows.cluster, rows.period, variables, rows.size, shape)
    patterns = None if gaussian or not labels else patterns_of(rows.cluster, rows.period, rows.outcome, rows.size, rows.covariates, shape)
    treatment, exposure = exposed(allocation, comparators)
    periods = tuple(range(1, shape[1] + 1))
    return Trial(cells, treatment, exposure, family, names, allocation, comparators, periods, patterns, labels, design=allocation.design)


def cells_of(cluster: Index, period: Index, variables: Array, size: Array, shape: tuple[int, int]) -> Cells:
    """Counts, means and each cluster's scatter about its cell means."""
    at = cluster * shape[1] + period
    n = np.bincount(at, size, minlength=shape[0] * shape[1]).astype(float)
    sums = np.stack([np.bincount(at, size * column, minlength=len(n)) for column in variables.T], -1)
    means = sums / np.maximum(n, 1e-300)[:, None]
    apart = (variables - means[at]) * np.sqrt(size)[:, None]
    within = np.stack([apart[cluster == i].T @ apart[cluster == i] for i in range(shape[0])])
    return Cells(n.reshape(shape), means.reshape((*shape, -1)), within)


def patterns_of(cluster: Index, period: Index, outcome: Array, size: Array, covariates: Array, shape: tuple[int, int]) -> Patterns:
    """Distinct (cluster, period, covariates) rows with their counts and mean outcomes, padded to one length a cluster."""
    key = np.column_stack([cluster, period, covariates])
    distinct, at = np.unique(key, axis=0, return_inverse=True)
    n = np.bincount(at.ravel(), size)
    mean = np.bincount(at.ravel(), size * outcome) / n
    owner = distinct[:, 0].astype(np.int64)
    place = np.arange(len(owner)) - np.searchsorted(owner, owner)
    padded = (shape[0], int(place.max()) + 1)
    tables = [np.zeros((*padded, *values.shape[1:])) for values in (n, mean, distinct[:, 1], distinct[:, 2:])]
    for table, values in zip(tables, (n, mean, distinct[:, 1], distinct[:, 2:]), strict=True):
        table[owner, place] = values
    return Patterns(tables[0], tables[1], tables[2].astype(np.int64), tables[3])


def _check_treatment(df: pd.DataFrame, column: str | None, cluster: Index, period: Index, trial: Trial) -> None:
    """A recorded treatment must be the allocated one, cell by cell."""
    if column is None:
        return
    recorded, allocated = _numbers(df, column, "treatment"), trial.treatment[cluster, period]
    wrong = ~np.isnan(allocated) & (recorded != allocated)
    if wrong.any():
        cells = sorted(set(zip(cluster[wrong], period[wrong], strict=True)))
        shown = [
            f"{trial.clusters[i]}, period {t + 1}: recorded {_arms(recorded[(cluster == i) & (period == t)])}, allocated"
            f" {_arm(trial.treatment[i, t])}"
            for i, t in cells
        ]
        raise DataError(
            f"{len(cells)} cluster-periods contradict the allocation. {listing(shown)}. Pass the allocation that was carried out, or drop"
            f" treatment= to use it."
        )


def _arms(values: Array) -> str:
    return " and ".join(_arm(v) for v in np.unique(values))


def _arm(value: float) -> str:
    return {0.0: "control", 1.0: "treated"}.get(float(value), f"{value:g} treated")


def check_cells(trial: Trial, empty: str = "keep") -> Trial:
    """Refuse shapes that do not fit, risks outside [0, 1] and cells that the design observes but the data do not hold."""
    shape = trial.cells.n.shape[-2:]
    expected = (len(trial.clusters), trial.treatment.shape[-1])
    if shape != expected:
        raise DataError(f"Cells are {shape[0]} clusters x {shape[1]} periods; the allocation has {expected[0]} x {expected[1]}.")
    seen = trial.n > 0
    if trial.family != "gaussian":
        top = 1.0 if trial.family == "binomial" else np.inf
        wrong = seen & ((trial.outcome < 0) | (trial.outcome > top))
        if wrong.any():
            raise DataError(
                f"{int(wrong.sum())} cells have a {trial.family} mean outside [0, {top:g}]. Give means (events / n), not counts."
            )
    _check_empty(trial, seen, empty)
    return trial


def _check_empty(trial: Trial, seen: NDArray[np.bool_], empty: str) -> None:
    lacking = ~np.isnan(trial.treatment) & ~seen
    if not seen.any((-2, -1)).all():
        raise DataError("No cell has any individuals.")
    if empty == "keep" or not lacking.any():
        return
    cells = [f"{trial.clusters[i]}, period {t + 1}" for i, t in np.argwhere(lacking)]
    whole = [t + 1 for t in range(seen.shape[1]) if lacking[:, t].any() and not seen[:, t].any()]
    periods = f" Nobody at all was observed in period {listing(whole)}." if whole else ""
    raise DataError(
        f"{len(cells)} cells that the design observes have no rows: {listing(cells)}.{periods} Check the dates and names; pass"
        f" empty='keep' if nobody was eligible there."
    )
