"""The tables of sequences x periods behind the constructors of `Design`, and how its clusters are shared out."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from swedge.design.strata import Stratum, named_groups, refuse_non_partition
from swedge.design.validation import Row, checked_rows, whole
from swedge.errors import DesignError, listing

Table = list[list[float | None]]


def tupled(rows: Iterable[Iterable[float | None]]) -> tuple[Row, ...]:
    """Rows as the tuples that a design holds."""
    return tuple(tuple(row) for row in rows)


def stepped_wedge_rows(n_clusters: int, periods: int | None, baseline: int, follow_up: int, counts: object) -> Table:
    """Sequence s is treated from period `baseline + s` on; the last one has `follow_up` periods left."""
    steps = _default_steps(n_clusters, counts) if periods is None else whole(periods, "periods", least=1) - baseline - follow_up + 1
    if steps < 1:
        raise DesignError(
            f"periods={periods} leaves no room for a crossover after baseline={baseline} and before follow_up={follow_up}. Add periods."
        )
    length = baseline + steps - 1 + follow_up
    return [[float(t >= baseline + s) for t in range(length)] for s in range(steps)]


def _default_steps(n_clusters: int, counts: object) -> int:
    if counts is None:
        return n_clusters
    return len(list(counts)) if isinstance(counts, Iterable) else n_clusters // whole(counts, "clusters_per_sequence", least=1)


def staircase_rows(steps: int, control: int, treated: int) -> Table:
    """Sequence s is observed from period s on, `control` periods and then `treated` ones."""
    observed: list[float | None] = [float(t >= control) for t in range(control + treated)]
    return [[None] * s + observed + [None] * (steps - 1 - s) for s in range(steps)]


def parallel_rows(periods: int, baseline: int) -> Table:
    """A control and a treated arm."""
    if baseline >= periods:
        raise DesignError(
            f"baseline={baseline} leaves no treated period in periods={periods}. periods counts the baseline too: add periods."
        )
    return [[0.0] * periods, [float(t >= baseline) for t in range(periods)]]


def crossover_rows(periods: int, hold: int, baseline: int, washout: int) -> Table:
    """Two sequences that switch every `hold` periods, with `washout` unobserved periods inserted at each switch."""
    if periods <= hold:
        raise DesignError(f"periods={periods} ends before the first switch after hold={hold}. Add periods, or use Design.parallel.")
    first: list[float | None] = []
    for t in range(periods):
        first += [None] * (washout if t and t % hold == 0 else 0) + [float(t // hold % 2)]
    second = [None if cell is None else 1 - cell for cell in first]
    return [[0.0] * baseline + first, [0.0] * baseline + second]


def rollout_of_dates(go_live: Sequence[dt.date], boundaries: Sequence[dt.date]) -> tuple[Table, list[int]]:
    """One row for each distinct go-live, in order of time, and the row of each cluster."""
    steps = sorted(set(go_live))
    rows: Table = [[float(day >= step) for day in boundaries[:-1]] for step in steps]
    return rows, [steps.index(day) for day in go_live]


def fill_transition(rows: object, transition: int) -> Sequence[Sequence[float | None]]:
    """Rows in which transition periods left unobserved are shown as treated, as a design holds them."""
    return [_filled(list(row), s, transition) if transition else row for s, row in enumerate(checked_rows(rows))]


def _filled(row: list[float | None], sequence: int, transition: int) -> list[float | None]:
    for start, stop in _gaps_before_treatment(row):
        if stop - start != transition:
            raise DesignError(
                f"Sequence {sequence} has {stop - start} unobserved periods before treatment (from period {start + 1}), but"
                f" transition={transition}. Leave exactly the transition unobserved, or pass transition=0 to take the rows as they are."
            )
        row[start:stop] = [1.0] * transition
    return row


def _gaps_before_treatment(row: Sequence[float | None]) -> list[tuple[int, int]]:
    seen = [t for t, cell in enumerate(row) if cell is not None]
    return [(a + 1, b) for a, b in itertools.pairwise(seen) if b > a + 1 and row[a] == 0 and row[b]]


def default_clusters(n_sequences: int, counts: object) -> int:
    """Number of clusters when only the counts are given."""
    if counts is None:
        return n_sequences
    shares = list(counts) if isinstance(counts, Iterable) else [counts] * n_sequences
    return sum(whole(count, f"clusters_per_sequence[{s}]", least=1) for s, count in enumerate(shares))


def even_counts(n_clusters: int, n_sequences: int) -> tuple[int, ...]:
    """The same number of clusters for each sequence, or a refusal that says what would work."""
    share, over = divmod(n_clusters, n_sequences)
    if share == 0:
        raise DesignError(
            f"{n_clusters} clusters are too few for {n_sequences} sequences. Use fewer periods or sequences, or more clusters."
        )
    if over:
        near = [share + 1] * over + [share] * (n_sequences - over)
        raise DesignError(
            f"{n_clusters} clusters do not divide over {n_sequences} sequences. Pass clusters_per_sequence, for example {near}, use"
            f" {share * n_sequences} or {(share + 1) * n_sequences} clusters, or change the number of periods or sequences."
        )
    return (share,) * n_sequences


def strata_by_member(strata: object, names: Sequence[str], places: Sequence[int]) -> tuple[Stratum, ...]:
    """Groups of names share out the sequences that their members hold; Stratum objects stay as they are."""
    groups = named_groups(strata)
    if isinstance(groups, tuple):
        return groups
    if groups:
        refuse_non_partition(groups, names)
    held = dict(zip(names, places, strict=True))
    return tuple(Stratum(group, tuple(held[name] for name in group)) for group in groups)


def strata_in_order(strata: object, names: Sequence[str], counts: Sequence[int]) -> tuple[Stratum, ...]:
    """Groups of names take consecutive sequences, in the order given; Stratum objects stay as they are."""
    places = np.repeat(np.arange(len(counts)), counts).tolist()
    groups = named_groups(strata)
    if isinstance(groups, list) and groups:
        refuse_non_partition(groups, names)
    order = [name for group in groups for name in group] if isinstance(groups, list) else []
    return strata_by_member(strata, order, places[: len(order)])


def strata_in_ratio(strata: object, names: Sequence[str], counts: Sequence[int]) -> tuple[Stratum, ...]:
    """Groups of names are split between the sequences in the ratio of the whole trial; Stratum objects stay as they are."""
    groups = named_groups(strata)
    if isinstance(groups, tuple):
        return groups
    if groups:
        refuse_non_partition(groups, names)
    return tuple(Stratum(group, _split(group, counts)) for group in groups)


def _split(group: Sequence[str], counts: Sequence[int]) -> tuple[int, ...]:
    if any(len(group) * count % sum(counts) for count in counts):
        raise DesignError(
            f"The stratum {{{listing(group)}}} of {len(group)} clusters cannot be split in the ratio {':'.join(map(str, counts))}."
            " Say which sequences it takes with Stratum(clusters, sequences)."
        )
    return tuple(np.repeat(np.arange(len(counts)), [len(group) * count // sum(counts) for count in counts]).tolist())
