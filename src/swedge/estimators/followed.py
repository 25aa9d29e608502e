"""Rows that are followed until an event or a censoring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design import Allocation
from swedge.errors import DataError
from swedge.trial import Trial
from swedge.trial.columns import INTERNAL, check_choice, numbers
from swedge.trial.formula import names_in
from swedge.trial.frame import Columns, complete, placed

Array = NDArray[np.float64]
Index = NDArray[np.int64]

OUTCOME = INTERNAL + "restricted time"


@dataclass(frozen=True, eq=False)
class Followed:
    """Rows with a known time: where each belongs, its time and its event, ``(n,)``; `known` says which rows of the frame these are."""

    clusters: tuple[str, ...]
    cluster: Index
    period: Index
    time: Array
    event: Array
    known: NDArray[np.bool_]

    def up_to(self, horizon: float) -> Followed:
        """The same rows, censored at the horizon."""
        return replace(self, time=np.minimum(self.time, horizon), event=np.where(self.time > horizon, 0.0, self.event))

    def groups(self, within: str) -> tuple[list[str], Index]:
        """Names of the groups that hold rows, and each row's group."""
        if within == "all":
            return ["all rows"], np.zeros(len(self.time), dtype=np.int64)
        periods = int(self.period.max()) + 1
        key = self.period if within == "period" else self.cluster * periods + self.period
        found, group = np.unique(key, return_inverse=True)
        labels = [f"{self.clusters[k // periods]}, period {k % periods + 1}" if within == "cell" else f"period {k + 1}" for k in found]
        return labels, group.astype(np.int64)


def followed(
    df: pd.DataFrame,
    allocation: Allocation,
    columns: Columns,
    covariates: str | None,
    comparators: Sequence[str],
    missing: str,
    also: Sequence[str] = (),
) -> Followed:
    """Check cluster, period, time and event of every row; rows that lack a time, an event or a column of `also` are refused or left out."""
    check_choice("missing", missing, ("raise", "drop"))
    names, cluster, period = placed(df, allocation, columns, comparators)
    time, event = str(columns["time"]), str(columns["event"])
    _check_apart(df, covariates, (time, event))
    known = complete(df, [time, event, *also], missing)
    times, events = _times(df[known], time), _events(df[known], event)
    return Followed(names, cluster[known], period[known], times, events, known)


def _check_apart(df: pd.DataFrame, covariates: str | None, outcome: tuple[str, str]) -> None:
    if outcome[0] == outcome[1]:
        raise DataError(
            f"time and event are the same column, {outcome[0]!r}. Pass the time, and beside it 1 for an event and 0 for censored."
        )
    both = [name for name in ([] if covariates is None else names_in(covariates, df)) if name in outcome]
    if both:
        raise DataError(f"covariates name {both[0]!r}, which is part of the outcome. Take it out of the formula.")


def _times(df: pd.DataFrame, column: str) -> Array:
    times = numbers(df, column, "time")
    if (times < 0).any():
        raise DataError(
            f"time={column!r} is negative in {int((times < 0).sum())} of {len(df)} rows. Count from entry; the least time is 0."
        )
    return times


def _events(df: pd.DataFrame, column: str) -> Array:
    events = numbers(df, column, "event")
    wrong = ~np.isin(events, (0.0, 1.0))
    if wrong.any():
        hint = " It holds 1 and 2: if 2 means the event, subtract 1." if set(np.unique(events)) == {1.0, 2.0} else " Recode it."
        raise DataError(f"event={column!r} must be 1 (event) or 0 (censored); {int(wrong.sum())} of {len(df)} rows are not.{hint}")
    return events


def trial_of(
    df: pd.DataFrame,
    allocation: Allocation,
    rows: Followed,
    values: Array,
    columns: Columns,
    covariates: str | None,
    comparators: Sequence[str],
    missing: str,
    empty: str,
) -> Trial:
    """The Gaussian trial with one of `values` for each row."""
    outcome = np.full(len(df), np.nan)
    outcome[rows.known] = values
    return Trial.from_frame(
        df.assign(**{OUTCOME: outcome}),
        allocation,
        cluster=str(columns["cluster"]),
        outcome=OUTCOME,
        period=columns["period"],
        date=columns["date"],
        covariates=covariates,
        treatment=columns.get("treatment"),
        comparators=comparators,
        missing=missing,
        empty=empty,
    )
