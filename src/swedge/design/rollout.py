"""What may happen when: sequences x periods, the clusters that share them, and the dates of the periods."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from swedge.design import calendar
from swedge.design.constraint import Constraint
from swedge.design.enumeration import Ints, Layout
from swedge.design.strata import Stratum, checked_strata, layout_of
from swedge.design.validation import Row, checked_counts, checked_rows, cluster_names, whole
from swedge.errors import DesignError, listing

CONTROL, TREATED, PARTLY, TRANSITION, UNOBSERVED = range(5)


def exposure_matrix(rows: NDArray[np.float64]) -> Ints:
    """Periods since crossover `(S, T)` of a rollout `(S, T)` with nan where not observed.

    The count starts at 1 in the first treated period, goes on through unobserved ones, and falls back to 0 when treatment is withdrawn.
    """
    exposure, running = np.zeros(rows.shape, dtype=np.intp), np.zeros(len(rows), dtype=np.intp)
    for t, cells in enumerate(rows.T):
        treated = (cells > 0) | (np.isnan(cells) & (running > 0))
        running = np.where(treated, running + 1, 0)
        exposure[:, t] = running
    return exposure


@dataclass(frozen=True)
class Rollout:
    """Fields of a design, checked, and the arrays and dates that follow from them. Use it through `Design`."""

    rows: tuple[Row, ...]
    clusters: tuple[str, ...]
    clusters_per_sequence: tuple[int, ...]
    strata: tuple[Stratum, ...] = ()
    boundaries: tuple[dt.date, ...] = ()
    constraint: Constraint | None = None
    transition: int = 0

    def __post_init__(self) -> None:
        """Settle types and order so that equality is meaning, and refuse what cannot be a trial."""
        self._settle("rows", checked_rows(self.rows))
        self._settle("clusters", cluster_names(self.clusters))
        self._settle("clusters_per_sequence", checked_counts(self.clusters_per_sequence, len(self.rows), len(self.clusters)))
        self._settle("strata", checked_strata(self.strata, self.clusters, self.clusters_per_sequence))
        self._settle("boundaries", calendar.checked_boundaries(self.boundaries, len(self.rows[0])))
        self._settle("transition", whole(self.transition, "transition"))
        _refuse_matrix(self.matrix)
        if self.constraint is not None:
            self.constraint.check(self.matrix, self._layout)

    def _settle(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @property
    def n_clusters(self) -> int:
        """Number of clusters, I."""
        return len(self.clusters)

    @property
    def n_periods(self) -> int:
        """Number of periods, T."""
        return len(self.rows[0])

    @property
    def n_sequences(self) -> int:
        """Number of sequences, S."""
        return len(self.rows)

    @cached_property
    def _layout(self) -> Layout:
        return layout_of(self.strata, self.clusters, self.clusters_per_sequence)

    @cached_property
    def _rows(self) -> NDArray[np.float64]:
        return np.array(self.rows, dtype=np.float64)

    @cached_property
    def _exposure(self) -> Ints:
        return _frozen(exposure_matrix(self._rows))

    @cached_property
    def matrix(self) -> NDArray[np.float64]:
        """Treatment `(S, T)` of each sequence in each period, read-only: 0, 1 or a fraction; nan where not observed or in transition.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=2, periods=4, transition=1).matrix
        array([[ 0., nan,  1.,  1.],
               [ 0.,  0., nan,  1.]])
        """
        return _frozen(np.where(self._in_transition, np.nan, self._rows))

    @property
    def _in_transition(self) -> NDArray[np.bool_]:
        return (self._rows > 0) & (self._exposure <= self.transition)

    @property
    def _states(self) -> Ints:
        treated = np.select([self._rows == 0, self._rows == 1, np.isnan(self._rows)], [CONTROL, TREATED, UNOBSERVED], PARTLY)
        return np.where(self._in_transition, TRANSITION, treated)

    def treatment_of(self, sequences: ArrayLike) -> NDArray[np.float64]:
        """Treatment `(..., I, T)` of allocations `(..., I)` given as 0-based sequences; nan where not observed.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=2, periods=3).treatment_of([1, 0])
        array([[0., 0., 1.],
               [0., 1., 1.]])
        """
        return self.matrix[self._checked(sequences)]

    def exposure_of(self, sequences: ArrayLike) -> Ints:
        """Periods since crossover `(..., I, T)` of allocations `(..., I)`: 0 under control, 1 in the first treated period.

        Transition periods count: with `transition=1` the first observed treated period has exposure 2. A cluster whose treatment is
        withdrawn is back at 0, and one that is unobserved for a while goes on counting.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=2, periods=3).exposure_of([1, 0])
        array([[0, 0, 1],
               [0, 1, 2]])
        """
        return self._exposure[self._checked(sequences)]

    def _checked(self, sequences: ArrayLike) -> Ints:
        array = np.asarray(sequences)
        if array.dtype.kind not in "iu" or array.shape[-1:] != (self.n_clusters,):
            raise DesignError(f"Allocations are whole numbers with one entry for each of {self.n_clusters} clusters on the last axis.")
        if array.size and not 0 <= array.min() <= array.max() < self.n_sequences:
            raise DesignError(
                f"Sequences are numbered 0 to {self.n_sequences - 1}, but an allocation holds {array.min()} to {array.max()}."
            )
        return array.astype(np.intp, copy=False)

    @property
    def periods(self) -> pd.DataFrame:
        """One row per period: `period` from 1, `start`, `end` (inclusive) and `days`; NaT and NA without dates.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.parallel(clusters=2, boundaries=["2020-01-01", "2021-01-01"]).periods
           period      start        end  days
        0       1 2020-01-01 2020-12-31   366
        """
        return calendar.period_frame(self.boundaries, self.n_periods)

    def period_of(self, dates: object) -> Ints:
        """0-based period `(N,)` of each date; -1 where a date is missing or outside the window.

        Parameters
        ----------
        dates
            A Series, index, array or list of dates, timestamps (the time of day is dropped) or 'YYYY-MM-DD' text.

        Raises
        ------
        DesignError
            If the design has no dates.
        DataError
            If dates are numbers or unreadable text.

        Examples
        --------
        >>> from swedge.design import Design
        >>> design = Design.from_dates({"A": "2020-09-01", "B": "2021-02-01"}, start="2020-03-01", end="2021-06-30")
        >>> design.period_of(["2020-08-31", "2020-09-01", "2021-07-01"])
        array([ 0,  1, -1])
        """
        if not self.boundaries:
            raise DesignError("The design has no dates. Build it with Design.from_dates, or give its boundaries=.")
        return calendar.period_index(self.boundaries, dates)

    def midpoints(self) -> NDArray[np.float64]:
        """Middle of each period `(T,)` in days since the start, or 0 to T - 1 without dates: the clock of decaying correlation.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=2, boundaries=["2020-01-01", "2020-01-11", "2020-01-31", "2020-02-10"]).midpoints()
        array([ 5., 20., 35.])
        """
        return calendar.midpoints(self.boundaries, self.n_periods)

    def schedule(self) -> pd.DataFrame:
        """One row per sequence and period: `sequence, clusters, period, start, end, treatment, exposure`.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=4, periods=3).schedule().drop(columns=["start", "end"]).head(3)
           sequence  clusters  period  treatment  exposure
        0         0         2       1        0.0         0
        1         0         2       2        1.0         1
        2         0         2       3        1.0         2
        """
        frame = self._tidy(range(self.n_sequences), "sequence", range(self.n_sequences))
        frame.insert(1, "clusters", np.repeat(self.clusters_per_sequence, self.n_periods))
        return frame

    def _tidy(self, sequences: Sequence[int], label: str, labels: Sequence[object]) -> pd.DataFrame:
        rows = list(sequences)
        times = pd.concat([self.periods.drop(columns="days")] * len(sequences), ignore_index=True)
        times.insert(0, label, [name for name in labels for _ in range(self.n_periods)])
        times["treatment"], times["exposure"] = self.matrix[rows].ravel(), self._exposure[rows].ravel()
        return times

    def _go_live_period(self) -> Ints:
        """0-based first treated period of each sequence `(S,)`, in transition or not; T when there is none."""
        started = self._exposure > 0
        return np.where(started.any(axis=1), started.argmax(axis=1), self.n_periods)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def _refuse_matrix(matrix: NDArray[np.float64]) -> None:
    blank = [f"sequence {s}" for s in np.flatnonzero(np.isnan(matrix).all(axis=1))]
    if blank:
        raise DesignError(
            f"A sequence must be observed in some period, and {listing(blank)} never is. Drop the row, or shorten transition."
        )
    first: dict[bytes, int] = {}
    twins = [f"{first[key]} and {s}" for s, key in enumerate(map(bytes, matrix)) if first.setdefault(key, s) != s]
    if twins:
        raise DesignError(f"Sequences {listing(twins)} are the same. Give the row once, with clusters_per_sequence=2 or more for it.")
    if not ((matrix > 0).any() and (matrix < 1).any()):
        raise DesignError(
            "The design compares nothing: it needs an observed treated and an observed control cell. Check rows, baseline and transition."
        )
