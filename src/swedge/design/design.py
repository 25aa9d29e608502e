"""`Design`: the schedules a stepped-wedge trial may follow, and the distribution over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import pandas as pd

from swedge._present.wedge import wedge
from swedge.design import record
from swedge.design.calendar import DateLike, as_date
from swedge.design.constructors import Constructors
from swedge.design.validation import seed_number, whole
from swedge.errors import DesignError, listing, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from swedge.design.allocation import Allocation

Value = TypeVar("Value")


@dataclass(frozen=True)
class Design(Constructors):
    """A distribution over allocations: which sequence of treatments each cluster may be given, and in which calendar.

    Build one with a constructor below. Fields are plain values: `repr` is a constructor call, equal designs permit the same allocations of
    the same clusters, and `dataclasses.replace` changes a field and checks the result.

    Parameters
    ----------
    rows
        Sequences x periods: 0 control, 1 treated, a fraction for treated in part, None for not observed.
    clusters
        Names of the clusters.
    clusters_per_sequence
        How many clusters take each sequence.
    strata
        Groups of clusters that share out given sequences; empty when every cluster may take any.
    boundaries
        First day of each period, then the day after the last; empty when the design has no dates.
    constraint
        Set by `constrained`: only the best balanced allocations are permitted.
    transition
        Number of periods from each start of treatment that are not observed while the treatment is put in place.

    Raises
    ------
    DesignError
        If the fields contradict each other: a ragged table, entries outside [0, 1], two equal sequences, repeated names, counts that do
        not add up, strata that do not partition the clusters, dates out of order.

    Examples
    --------
    >>> Design.stepped_wedge(clusters=2, periods=3)
    Design(rows=((0.0, 1.0, 1.0), (0.0, 0.0, 1.0)), clusters=('1', '2'), clusters_per_sequence=(1, 1), strata=(),
           boundaries=(), constraint=None, transition=0)
    """

    def randomise(self, seed: int) -> Allocation:
        """Draw the allocation of a trial, uniform over the permitted ones, with a record that can be re-drawn.

        Parameters
        ----------
        seed
            A whole number, chosen before anyone can know what it draws; 0 is a seed.

        Raises
        ------
        DesignError
            If the seed is not a whole number.

        Examples
        --------
        >>> Design.stepped_wedge(["A", "B", "C"]).randomise(seed=0).sequence
        (2, 1, 0)
        """
        from swedge.design.allocation import Allocation, Draw  # an Allocation holds a Design, so its module imports this one

        number = seed_number(seed)
        index = self._drawn_index(number)
        return Allocation(self, self.numbered(index), Draw.now(number, index))

    def allocate(self, sequences: Mapping[str, int]) -> Allocation:
        """The allocation that was carried out, by 0-based sequence number.

        Raises
        ------
        DesignError
            If this is no mapping of clusters to whole numbers, a cluster is missing or unknown, or the strata or the constraint do not
            permit the allocation.

        Examples
        --------
        >>> Design.stepped_wedge(["A", "B"]).allocate({"B": 0, "A": 1}).sequence
        (1, 0)
        """
        from swedge.design.allocation import Allocation, Draw  # as in randomise

        given = self._by_cluster(sequences)
        sequence = self._require([self._number(name, given[name]) for name in self.clusters])
        return Allocation(self, sequence, Draw.now(None, self.number_of(sequence)))

    def allocate_dates(self, go_live: Mapping[str, DateLike]) -> Allocation:
        """The allocation that was carried out, by go-live date: the first day of the sequence's first treated period.

        Raises
        ------
        DesignError
            If the design has no dates, a date is no sequence's go-live, or as in `allocate`.

        Examples
        --------
        >>> dates = {"A": "2020-09-01", "B": "2021-02-01"}
        >>> design = Design.from_dates(dates, start="2020-03-01", end="2021-06-30")
        >>> design.allocate_dates(dates).sequence
        (0, 1)
        """
        given = {name: as_date(day, f"go_live[{name!r}]") for name, day in self._by_cluster(go_live).items()}
        steps = self._sequence_of_go_live()
        wrong = [f"{name} on {day}" for name, day in given.items() if day not in steps]
        if wrong:
            raise DesignError(
                f"No sequence goes live on that day: {listing(wrong)}. The design has {', '.join(map(str, steps))}."
                " Correct the date, or use Design.from_dates with the dates carried out."
            )
        return self.allocate({name: steps[day] for name, day in given.items()})

    def _number(self, name: str, sequence: object) -> int:
        if isinstance(sequence, (str, dt.date, np.datetime64)):
            raise DesignError(
                f"The sequence of {name!r} is {sequence!r}. allocate takes whole numbers, and sequences count from 0 to"
                f" {self.n_sequences - 1}; for go-live dates use allocate_dates."
            )
        return whole(sequence, f"The sequence of {name!r}")

    def _by_cluster(self, given: Mapping[str, Value]) -> dict[str, Value]:
        if not isinstance(given, (Mapping, pd.Series)):
            raise DesignError(
                f"The allocation is a {type(given).__name__}, which does not say who goes when. Pass a mapping from every cluster: to its"
                f" sequence (0 to {self.n_sequences - 1}) in allocate, such as {{{self.clusters[0]!r}: 0, ...}}, or to its go-live date in"
                " allocate_dates."
            )
        named = {str(name): value for name, value in given.items()}
        unknown = [f"{name!r} is not a cluster.{nearest(name, self.clusters)}" for name in named if name not in set(self.clusters)]
        missing = [f"{name!r} has none" for name in self.clusters if name not in named]
        if offences := unknown + missing:
            raise DesignError(f"An allocation gives every cluster of the design a sequence: {listing(offences)}.")
        return named

    def _sequence_of_go_live(self) -> dict[dt.date, int]:
        if not self.boundaries:
            raise DesignError("The design has no dates. Use allocate with sequence numbers, or build the design with Design.from_dates.")
        steps = [(self.boundaries[t], s) for s, t in enumerate(self._go_live_period().tolist()) if t < self.n_periods]
        if len(dict(steps)) < len(steps):
            raise DesignError(
                "Several sequences go live on the same day, so a date does not say which. Use allocate with sequence numbers."
            )
        return dict(steps)

    def record(self) -> dict[str, Any]:
        """The design as plain JSON values; `Design.from_record` reads it back.

        Examples
        --------
        >>> design = Design.stepped_wedge(clusters=2)
        >>> Design.from_record(design.record()) == design
        True
        """
        return record.design_record(self)

    @classmethod
    def from_record(cls, content: Mapping[str, Any]) -> Self:
        """A design from `record()`; nothing in it is evaluated.

        Raises
        ------
        PlanError
            If a key is unknown or missing, or the values are not a valid design.
        """
        with record.reading("design"):
            return cls(**record.design_fields(content))

    def sha256(self) -> str:
        """Hash of the canonical JSON of `record()`: equal designs, equal hashes.

        Examples
        --------
        >>> len(Design.stepped_wedge(clusters=2).sha256())
        64
        """
        return record.digest(self.record())

    def plot(self, ax: Axes | None = None) -> Axes:
        """The wedge: sequences down, periods across (as wide as they are long), coloured by treatment.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> Design.stepped_wedge(clusters=2).plot(Figure().subplots()).get_xlabel()
        'Period'
        """
        labels = [f"{s}  ({count} clusters)" if count > 1 else str(s) for s, count in enumerate(self.clusters_per_sequence)]
        return wedge(self._states, self.matrix, labels, self.boundaries, ylabel="Sequence", ax=ax)
