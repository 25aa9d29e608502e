"""Where the rows of a rehearsal's tables belong: cluster, period, individual, and the treatment that was allocated there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import PlanError
from swedge.plan.plan import Plan
from swedge.plan.simulated_outcomes import Places
from swedge.plan.specs import Outcome, Source
from swedge.plan.uses import outcomes_of
from swedge.trial.trial import exposed

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

SPREAD = 0.2
"""By what share cells differ in size."""

COMPLETE = 2
"""Rows of each cell, for each population, in which nothing is missing, so that even small tables can be analysed."""

GROUP = (5, 31)
"""Individuals that a row stands for, where rows are groups: from the first number to below the second."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one table.

    Attributes
    ----------
    plan : Plan
    source : Source
    people : int
        Rows a cell, give or take `SPREAD`.
    populations : int
        How many sets of conditions have rows set aside to meet them.
    rng : Generator
    """

    plan: Plan
    source: Source
    people: int
    populations: int
    rng: np.random.Generator

    @cached_property
    def clusters(self) -> tuple[str, ...]:
        """Clusters of the design, then comparators."""
        beside = self.plan.comparators
        return (*self.plan.design.clusters, *(() if beside is None else beside.clusters))

    @property
    def is_panel(self) -> bool:
        """Whether there is one row a cluster and period."""
        return self.source.first_treated is not None

    @property
    def is_cohort(self) -> bool:
        """Whether the same individuals have a row in every period."""
        return any(outcome.individual is not None for outcome in outcomes_of(self.plan, self.source))

    @cached_property
    def _counts(self) -> Index:
        """Rows of each cell ``(I, T)``."""
        shape = len(self.clusters), self.plan.design.n_periods
        if self.is_panel:
            return np.ones(shape, dtype=np.intp)
        low, high = max(2, round(self.people * (1 - SPREAD))), max(2, round(self.people * (1 + SPREAD)))
        least = self.populations + 1
        drawn = np.maximum(self.rng.integers(low, high + 1, (shape[0], 1) if self.is_cohort else shape), least)
        return np.broadcast_to(drawn, shape).astype(np.intp)

    @cached_property
    def places(self) -> Places:
        """Where rows belong."""
        counts = self._counts
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        cluster, period = np.divmod(cell, counts.shape[1])
        unit = np.arange(len(cell))
        if self.is_panel:
            unit = cluster
        elif self.is_cohort:
            unit = np.concatenate([[0], np.cumsum(counts[:, 0])])[cluster] + _number_in(cell)
        size = np.full(len(cell), float(self.people if self.is_panel else 1))
        return Places(cluster, period, unit, size, self.is_panel, self.is_cohort)

    @property
    def units(self) -> int:
        """How many individuals there are, or clusters of a panel."""
        return int(self.places.unit.max()) + 1

    @cached_property
    def _place(self) -> Index:
        """Number of a row in its cell, of an individual in its cluster."""
        places = self.places
        return _number_in(places.cluster * self.plan.design.n_periods + places.period)

    @cached_property
    def slot(self) -> Index:
        """Which population's conditions a row is made to meet; the last number is none. Clusters of a panel take turns."""
        turns = max(self.populations, 1)
        return self.places.cluster % turns if self.is_panel else self._place % (self.populations + 1)

    @cached_property
    def spared(self) -> Flags:
        """Rows in which nothing is missing."""
        return self._place < COMPLETE * (self.populations + 1)

    def structure(self) -> Iterator[tuple[str, pd.Series]]:
        """Columns of the source and of outcomes that say where, when, who and under which treatment."""
        yield self.source.cluster, pd.Series(np.array(self.clusters)[self.places.cluster], dtype="str")
        yield from self._times(self.source)
        if self.source.first_treated is not None:
            yield self.source.first_treated, pd.Series(self._first_treated[self.places.cluster])
        for outcome in outcomes_of(self.plan, self.source):
            yield from self._times(outcome)
            if outcome.individual is not None:
                yield outcome.individual, pd.Series(self._place + 1)

    def _times(self, part: Source | Outcome) -> Iterator[tuple[str, pd.Series]]:
        if part.date is not None:
            yield part.date, self.dates()
        if part.period is not None:
            yield part.period, pd.Series(self.places.period + 1)
        if part.treatment is not None:
            yield part.treatment, pd.Series(self._treatment[self.places.cluster, self.places.period])

    def dates(self) -> pd.Series:
        """A day of each row's period."""
        if not self.plan.design.boundaries:
            raise PlanError("An outcome is dated, and the design has no dates. Name a column of period numbers in its period.")
        edges = np.array(self.plan.design.boundaries, dtype="datetime64[D]")
        start, days = edges[:-1][self.places.period], np.diff(edges).astype(np.int64)[self.places.period]
        return pd.Series((start + self.rng.integers(0, days)).astype("datetime64[s]"))

    @cached_property
    def _exposed(self) -> tuple[Array, NDArray[np.int64]]:
        assert self.plan.allocation is not None
        return exposed(self.plan.allocation, len(self.clusters) - self.plan.design.n_clusters)

    @property
    def _treatment(self) -> Array:
        """As allocated ``(I, T)``; where the design leaves a cell out, whether the cluster has crossed over."""
        treatment, exposure = self._exposed
        return np.where(np.isnan(treatment), exposure > 0, treatment)

    @property
    def _first_treated(self) -> Array:
        """First treated period from 1 ``(I,)``; nan for never."""
        treated = self._exposed[1] > 0
        return np.where(treated.any(1), treated.argmax(1) + 1.0, np.nan)

    def group_sizes(self) -> NDArray[np.int64]:
        """How many individuals each row stands for: about as many as a cell has, in a panel."""
        panel = round(self.people * (1 - SPREAD)), round(self.people * (1 + SPREAD)) + 1
        return self.rng.integers(*(panel if self.is_panel else GROUP), len(self.places.unit))


def _number_in(cell: Index) -> Index:
    return np.arange(len(cell)) - np.searchsorted(cell, cell)
