"""The ways to write a design down: a stepped wedge, a table, dates, a staircase, parallel arms, a crossover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from swedge.design import builders
from swedge.design.calendar import DateLike, as_date, cut
from swedge.design.permitted import Permitted
from swedge.design.strata import Stratum
from swedge.design.validation import checked_counts, cluster_names, whole
from swedge.errors import DesignError

Names = int | Iterable[str]
Strata = Sequence[Sequence[str]] | Sequence[Stratum] | None


@dataclass(frozen=True)
class Constructors(Permitted):
    """Constructors of a design. Use them through `Design`."""

    @classmethod
    def stepped_wedge(
        cls,
        clusters: Names = 5,
        periods: int | None = None,
        *,
        transition: int = 0,
        baseline: int = 1,
        follow_up: int | None = None,
        clusters_per_sequence: Sequence[int] | int | None = None,
        strata: Strata = None,
        boundaries: Sequence[DateLike] = (),
    ) -> Self:
        """One sequence more crosses over in each period, until all are treated.

        Parameters
        ----------
        clusters
            How many, or their names.
        periods
            How many in all, transition periods included; by default as many as give each cluster a sequence of its own.
        transition
            Periods from crossover that are not observed.
        baseline
            Periods before the first crossover.
        follow_up
            Periods from the last crossover to the end; `transition + 1` by default, 0 leaves the last sequence untreated.
        clusters_per_sequence
            Needed when the clusters do not divide evenly over the sequences.
        strata
            Lists of names, which take consecutive sequences in the order given, or `Stratum` objects.
        boundaries
            First day of each period, then the day after the last.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=12, periods=5).clusters_per_sequence
        (3, 3, 3, 3)
        """
        names = cluster_names(clusters)
        last = whole(transition, "transition") + 1 if follow_up is None else whole(follow_up, "follow_up")
        rows = builders.stepped_wedge_rows(len(names), periods, whole(baseline, "baseline"), last, clusters_per_sequence)
        return cls._built(rows, names, clusters_per_sequence, strata, boundaries=boundaries, transition=transition)

    @classmethod
    def from_matrix(
        cls,
        rows: Sequence[Sequence[float | None]] | np.ndarray[Any, Any],
        clusters_per_sequence: Sequence[int] | int | None = None,
        clusters: Names | None = None,
        *,
        strata: Strata = None,
        transition: int = 0,
        boundaries: Sequence[DateLike] = (),
    ) -> Self:
        """Any table of sequences x periods.

        Parameters
        ----------
        rows
            0 control, 1 treated, a fraction for treated in part, None or nan for not observed.
        clusters_per_sequence
            One count a sequence, or one for all; by default the clusters divide evenly, one a sequence when they are not given.
        clusters
            How many, or their names, in any order: the design says which sequences exist, not who takes which.
        strata, boundaries
            As in `stepped_wedge`.
        transition
            Periods from each start of treatment that are not observed. Rows may show them as treated, or leave exactly these cells None.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.from_matrix([[0, 1, 1], [0, 0.5, 1], [0, None, 1]], clusters_per_sequence=[1, 1, 2]).matrix
        array([[0. , 1. , 1. ],
               [0. , 0.5, 1. ],
               [0. , nan, 1. ]])
        """
        table = builders.fill_transition(rows, whole(transition, "transition"))
        names = cluster_names(builders.default_clusters(len(table), clusters_per_sequence) if clusters is None else clusters)
        return cls._built(table, names, clusters_per_sequence, strata, boundaries=boundaries, transition=transition)

    @classmethod
    def from_dates(
        cls,
        go_live: Mapping[str, DateLike] | pd.Series[Any],
        start: DateLike,
        end: DateLike,
        *,
        strata: Strata = None,
        transition: int = 0,
    ) -> Self:
        """The design that planned go-live dates define: a period begins on each of them, and a cluster is treated from that day on.

        Parameters
        ----------
        go_live
            Date on which each cluster goes live, as planned or carried out. The design lets clusters swap these dates.
        start, end
            First and last day of the window, both inside it.
        strata
            Lists of names; the members of a list share out the dates that its members hold. Or `Stratum` objects.
        transition
            Periods from go-live that are not observed.

        Examples
        --------
        >>> from swedge.design import Design
        >>> dates = {"Walsall": "2020-09-01", "Lancashire": "2021-02-01"}
        >>> Design.from_dates(dates, start="2020-03-01", end="2021-06-27").periods["days"].tolist()
        [184, 153, 147]
        """
        if not isinstance(go_live, (Mapping, pd.Series)):
            raise DesignError(
                f"go_live is a {type(go_live).__name__}. Pass a mapping from cluster to date, for example {{'Walsall': '2020-09-01'}}."
            )
        names = cluster_names(name for name, _ in go_live.items())
        dates = {name: as_date(day, f"go_live[{name!r}]") for name, (_, day) in zip(names, go_live.items(), strict=True)}
        boundaries = cut(dates, as_date(start, "start"), as_date(end, "end"))
        rows, places = builders.rollout_of_dates(list(dates.values()), boundaries)
        groups = builders.strata_by_member(strata, names, places)
        return cls(builders.tupled(rows), names, tuple(np.bincount(places).tolist()), groups, boundaries, transition=transition)

    @classmethod
    def staircase(
        cls,
        clusters: Names,
        sequences: int | None = None,
        *,
        control: int = 1,
        treated: int = 1,
        transition: int = 0,
        clusters_per_sequence: Sequence[int] | int | None = None,
        strata: Strata = None,
        boundaries: Sequence[DateLike] = (),
    ) -> Self:
        """Each sequence is observed only for a few periods on either side of its crossover, and starts one period after the last.

        Parameters
        ----------
        clusters
            How many, or their names.
        sequences
            How many; one a cluster by default.
        control, treated
            Observed periods before crossover, and after it (after transition, if there is one).
        transition, clusters_per_sequence, strata, boundaries
            As in `stepped_wedge`.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.staircase(clusters=2).matrix
        array([[ 0.,  1., nan],
               [nan,  0.,  1.]])
        """
        names = cluster_names(clusters)
        steps = len(names) if sequences is None else whole(sequences, "sequences", least=1)
        spans = whole(control, "control"), whole(transition, "transition") + whole(treated, "treated", least=1)
        return cls._built(
            builders.staircase_rows(steps, *spans), names, clusters_per_sequence, strata, boundaries=boundaries, transition=transition
        )

    @classmethod
    def parallel(
        cls,
        clusters: Names,
        periods: int = 1,
        *,
        baseline: int = 0,
        transition: int = 0,
        clusters_per_sequence: Sequence[int] | int | None = None,
        strata: Strata = None,
        boundaries: Sequence[DateLike] = (),
    ) -> Self:
        """Two arms: sequence 0 stays control, sequence 1 is treated after the baseline.

        Parameters
        ----------
        clusters
            How many, or their names.
        periods
            How many in all.
        baseline
            How many of them before treatment starts.
        clusters_per_sequence
            Control clusters, then treated ones; equal arms by default.
        strata
            Lists of names, each split between the arms in the ratio of the whole trial, or `Stratum` objects.
        transition, boundaries
            As in `stepped_wedge`.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.parallel(clusters=4, periods=3, baseline=1).matrix
        array([[0., 0., 0.],
               [0., 1., 1.]])
        """
        rows = builders.parallel_rows(whole(periods, "periods", least=1), whole(baseline, "baseline"))
        return cls._built(
            rows,
            cluster_names(clusters),
            clusters_per_sequence,
            strata,
            builders.strata_in_ratio,
            boundaries=boundaries,
            transition=transition,
        )

    @classmethod
    def crossover(
        cls,
        clusters: Names,
        periods: int = 2,
        *,
        hold: int = 1,
        baseline: int = 0,
        washout: int = 0,
        clusters_per_sequence: Sequence[int] | int | None = None,
        strata: Strata = None,
        boundaries: Sequence[DateLike] = (),
    ) -> Self:
        """Two sequences that switch in opposite directions: sequence 0 starts in control, sequence 1 in treatment.

        Parameters
        ----------
        clusters
            How many, or their names.
        periods
            Observed periods after the baseline.
        hold
            Periods between switches: 1 gives AB/BA (ABAB/BABA for four periods), 2 gives AABB/BBAA.
        baseline
            Control periods before the first one.
        washout
            Unobserved periods inserted at each switch.
        clusters_per_sequence, strata, boundaries
            As in `parallel`.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.crossover(clusters=4).matrix
        array([[0., 1.],
               [1., 0.]])
        """
        spans = whole(periods, "periods", least=1), whole(hold, "hold", least=1), whole(baseline, "baseline"), whole(washout, "washout")
        return cls._built(
            builders.crossover_rows(*spans),
            cluster_names(clusters),
            clusters_per_sequence,
            strata,
            builders.strata_in_ratio,
            boundaries=boundaries,
        )

    @classmethod
    def _built(
        cls,
        rows: Sequence[Sequence[float | None]],
        names: tuple[str, ...],
        counts: Sequence[int] | int | None,
        strata: Strata,
        shared: Callable[[object, Sequence[str], Sequence[int]], tuple[Stratum, ...]] = builders.strata_in_order,
        *,
        boundaries: Sequence[DateLike] = (),
        transition: int = 0,
    ) -> Self:
        shares = builders.even_counts(len(names), len(rows)) if counts is None else counts
        checked = checked_counts(shares, len(rows), len(names))
        dates = tuple(as_date(day, f"boundaries[{t}]") for t, day in enumerate(boundaries))
        return cls(builders.tupled(rows), names, checked, shared(strata, names, checked), dates, transition=transition)
