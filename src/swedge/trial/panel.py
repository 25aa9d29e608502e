"""An observational panel as a trial without a design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.assumptions import family_named
from swedge.errors import DataError, counted, listing, offending, releasable
from swedge.trial.cells import Cells
from swedge.trial.columns import as_numbers, check_columns, check_placeable, label, numbers, refuse_times, refuse_twins
from swedge.trial.tables import check_cells
from swedge.trial.trial import Trial

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Panel:
    """Clusters by first treatment, the never-treated last; their first treated period ``(I,)``; periods ``(T,)``; tables ``(I, T)``."""

    clusters: tuple[str, ...]
    first: Array
    periods: Array
    n: Array
    outcome: Array

    @property
    def exposure(self) -> NDArray[np.int64]:
        """Periods of the panel since the first treated one; one before the panel is counted back in mean period lengths."""
        last = len(self.periods) - 1
        gap = (self.periods[-1] - self.periods[0]) / last if last else 1.0
        early = np.ceil((self.first - self.periods[0]) / gap - 1e-9)
        start = np.where(self.first < self.periods[0], early, np.searchsorted(self.periods, self.first))
        return np.asarray(np.maximum(np.arange(last + 1) - start[:, None] + 1, 0), dtype=np.int64)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of a result has to know."""
        always = [self.clusters[i] for i in np.flatnonzero(self.first <= self.periods[0])]
        gaps = np.diff(self.periods)
        lost = int((self.n == 0).sum())
        told = {
            f"{lost} of {self.n.size} cells have no outcome and weigh nothing.": lost > 0,
            f"Treated in every period, so never a control: {listing(always)}.": bool(always),
            "The periods are unevenly spaced: exposure counts the periods of the panel.": gaps.size > 0 and gaps.max() > gaps.min() + 1e-9,
        }
        return tuple(note for note, holds in told.items() if holds)


def read_panel(df: pd.DataFrame, cluster: str, period: str, outcome: str, first_treated: str, size: str | None, family: str) -> Trial:
    """Clusters in order of first treatment, the never-treated last; missing outcomes become cells of n = 0 and are counted."""
    family_named(family)
    columns = {"cluster": cluster, "period": period, "outcome": outcome, "first_treated": first_treated, "size": size}
    check_columns(df, columns)
    check_placeable(df, columns)
    refuse_times(df, period, "period", "Number the periods: years by .dt.year, quarters by 4 * .dt.year + .dt.quarter.")
    names, cluster_of = _labels(df[cluster])
    period_of, periods = pd.factorize(numbers(df, period, "period"), sort=True)
    rows = _Rows(names, cluster_of, periods, period_of, _starts(df, first_treated))
    _check_rows(rows)
    return check_cells(_trial(_panel(rows, _weights(df, outcome, size), numbers(df, outcome, "outcome", missing=True)), family))


def _trial(panel: _Panel, family: str) -> Trial:
    exposure = panel.exposure
    return Trial(
        Cells(panel.n, panel.outcome[..., None]),
        (exposure > 0).astype(float),
        exposure,
        family,
        panel.clusters,
        None,
        int(np.isinf(panel.first).sum()),
        tuple(int(t) if t.is_integer() else t for t in panel.periods.tolist()),
        notes=panel.notes,
    )


class _Rows(NamedTuple):
    """Names of clusters ``(I,)`` and periods ``(T,)``, where each row belongs ``(R,)``, and the first treated period it states."""

    names: list[str]
    cluster: NDArray[np.int64]
    periods: Array
    period: NDArray[np.int64]
    first: Array

    @property
    def starts(self) -> Array:
        """First treated period ``(I,)``, as the last row of each cluster has it."""
        starts = np.empty(len(self.names))
        starts[self.cluster] = self.first
        return starts


def _panel(rows: _Rows, weights: Array, outcomes: Array) -> _Panel:
    starts = rows.starts
    order = np.lexsort((np.array(rows.names), starts))
    at = np.argsort(order)[rows.cluster] * len(rows.periods) + rows.period
    n, outcome = np.zeros((2, len(order), len(rows.periods)))
    n.reshape(-1)[at] = weights
    outcome.reshape(-1)[at] = np.where(np.isnan(outcomes), 0.0, outcomes)
    return _Panel(tuple(np.array(rows.names, dtype=object)[order].tolist()), starts[order], rows.periods, n, outcome)


def _labels(names: pd.Series) -> tuple[list[str], NDArray[np.int64]]:
    """Names of clusters as text, and which of them each row has."""
    codes, values = pd.factorize(names)
    if values.dtype.kind in "iu":  # whole numbers as text are as different as they are
        return list(map(str, values.tolist())), codes
    own, known = pd.factorize(np.array([label(value) for value in values.tolist()], dtype=object))
    return known.tolist(), own[codes]


def _starts(df: pd.DataFrame, column: str) -> Array:
    """First treated period, infinite for never."""
    refuse_times(df, column, "first_treated", "Give the number of the first treated period, as in period=.")
    starts = np.where(df[column].isna(), np.inf, as_numbers(df[column]))
    wrong = np.isnan(starts) | (starts < 0)
    if wrong.any():
        raise DataError(
            f"{counted(int(wrong.sum()), 'row has', 'rows have')} no period in first_treated={column!r}"
            f" ({offending(df[column][wrong].tolist())}). Give a number, or 0, nan or inf for never."
        )
    return np.where(starts == 0, np.inf, starts)


def _weights(df: pd.DataFrame, outcome: str, size: str | None) -> Array:
    """Weight of each row, 0 where the outcome is missing."""
    seen = df[outcome].notna().to_numpy()
    weights = seen.astype(float)
    if size is not None:
        weights[seen] = numbers(df[seen], size, "size")
    return weights


def _check_rows(rows: _Rows) -> None:
    cell = rows.cluster * len(rows.periods) + rows.period
    held = np.bincount(cell)
    if held.max() > 1:
        raise DataError(
            f"{counted(int((held > 1).sum()), 'cluster-period has', 'cluster-periods have')} more than one row, in"
            f" {_of_clusters(rows, held[cell] > 1)}. Aggregate them first: a panel has one row a cluster and period."
        )
    _refuse_twins(rows)
    changing = rows.first != rows.starts[rows.cluster]
    if changing.any():
        raise DataError(
            f"first_treated changes within {_of_clusters(rows, changing)}. A cluster is first treated once, so its rows must agree:"
            " df.groupby(cluster)[first_treated].nunique() is more than 1 where they do not."
        )


def _of_clusters(rows: _Rows, chosen: NDArray[np.bool_]) -> str:
    """The clusters of the chosen rows; named where all their rows are so many that a name cannot be one person's."""
    found = np.unique(rows.cluster[chosen])
    names = list(releasable([rows.names[i] for i in rows.cluster[np.isin(rows.cluster, found)]]))
    shown = f": {listing(names)}" if names else ", whose names have too few rows to be shown"
    return counted(len(found), "cluster", "clusters") + shown


def _refuse_twins(rows: _Rows) -> None:
    """As for named clusters, without the names: the column may hold people's."""
    try:
        refuse_twins(rows.names)
    except DataError:
        plain = np.array([" ".join(name.split()).casefold() for name in rows.names])
        spellings = np.unique(plain, return_counts=True)
        again = np.isin(plain, spellings[0][spellings[1] > 1])[rows.cluster]
        raise DataError(
            f"Names differ in nothing but capitals and spaces, of {_of_clusters(rows, again)}. Give each cluster one name."
        ) from None
