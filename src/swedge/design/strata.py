"""Strata: groups of clusters that share out given sequences among themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swedge.design.enumeration import Layout
from swedge.design.validation import cluster_names, whole
from swedge.errors import DesignError, listing, nearest


@dataclass(frozen=True)
class Stratum:
    """Clusters that share out `sequences` among themselves, in random order.

    Parameters
    ----------
    clusters
        Names of the members.
    sequences
        0-based sequences that the members take, one for each: a sequence that two members take is listed twice. Order has no meaning.

    Raises
    ------
    DesignError
        If there is not one sequence for each cluster, or a name occurs twice.

    Examples
    --------
    >>> Stratum(("Walsall", "Lancashire"), (1, 0))
    Stratum(clusters=('Walsall', 'Lancashire'), sequences=(0, 1))
    """

    clusters: tuple[str, ...]
    sequences: tuple[int, ...]

    def __post_init__(self) -> None:
        """Settle types and order, and match members to places."""
        object.__setattr__(self, "clusters", cluster_names(self.clusters))
        object.__setattr__(self, "sequences", tuple(sorted(whole(s, "A stratum's sequence") for s in self.sequences)))
        if len(self.clusters) != len(self.sequences):
            raise DesignError(
                f"{self} has {len(self.clusters)} clusters for {len(self.sequences)} sequences."
                " List one sequence for each cluster, repeating a sequence that several take."
            )

    def __str__(self) -> str:
        """The stratum as a message names it."""
        return f"Stratum {{{listing(self.clusters)}}}"


def checked_strata(strata: Iterable[Any], clusters: Sequence[str], counts: Sequence[int]) -> tuple[Stratum, ...]:
    """Strata in one canonical order, or none when a single stratum holds every cluster."""
    groups = tuple(strata)
    stray = [group for group in groups if not isinstance(group, Stratum)]
    if stray:
        raise DesignError(f"strata holds {listing(stray)}. Pass Stratum(clusters, sequences) objects, or lists of names to a constructor.")
    if not groups:
        return ()
    refuse_non_partition([group.clusters for group in groups], clusters)
    _refuse_other_supply(groups, counts)
    place = {name: i for i, name in enumerate(clusters)}
    ordered = [Stratum(tuple(sorted(group.clusters, key=place.__getitem__)), group.sequences) for group in groups]
    return tuple(sorted(ordered, key=lambda group: place[group.clusters[0]])) if len(ordered) > 1 else ()


def refuse_non_partition(groups: Sequence[Sequence[str]], clusters: Sequence[str]) -> None:
    """Every cluster must be in exactly one group."""
    tally = Counter(name for group in groups for name in group)
    unknown = [f"{name!r} is not a cluster.{nearest(name, clusters)}" for name in tally if name not in set(clusters)]
    twice = [f"{name!r} is in {count} strata" for name, count in tally.items() if count > 1]
    missing = [f"{name!r} is in none" for name in clusters if name not in tally]
    if offenders := unknown + twice + missing:
        raise DesignError(
            f"Strata must hold every cluster exactly once: {listing(offenders)}. Correct strata= or leave it out to draw from all clusters."
        )


def _refuse_other_supply(groups: Sequence[Stratum], counts: Sequence[int]) -> None:
    taken = Counter(s for group in groups for s in group.sequences)
    wrong = [
        f"sequence {s} has {counts[s] if s < len(counts) else 0} and the strata use {taken[s]}"
        for s in sorted({*taken, *range(len(counts))})
        if s >= len(counts) or taken[s] != counts[s]
    ]
    if wrong:
        raise DesignError(
            f"The strata must use up clusters_per_sequence exactly: {listing(wrong)}. Correct the sequences of the strata or the counts."
        )


def named_groups(strata: object) -> list[tuple[str, ...]] | tuple[Stratum, ...]:
    """Stratum objects as a tuple, or lists of names as a list."""
    if strata is None:
        return []
    if isinstance(strata, str) or not isinstance(strata, Iterable):
        raise DesignError(f"strata is {strata!r}. Pass a list of lists of cluster names.")
    groups = list(strata)
    if groups and all(isinstance(group, Stratum) for group in groups):
        return tuple(groups)
    loose = [repr(group) for group in groups if isinstance(group, (str, Stratum)) or not isinstance(group, Iterable)]
    if loose:
        raise DesignError(f"strata holds {listing(loose)}. Make every stratum a list of cluster names, or every one a Stratum.")
    return [cluster_names(group) for group in groups]


def layout_of(strata: Sequence[Stratum], clusters: Sequence[str], counts: Sequence[int]) -> Layout:
    """Arrays that the enumeration works with; without strata every cluster draws from every place."""
    groups = strata or (Stratum(tuple(clusters), tuple(np.repeat(np.arange(len(counts)), counts).tolist())),)
    stratum_of = {name: h for h, group in enumerate(groups) for name in group.clusters}
    supply = [np.bincount(group.sequences, minlength=len(counts)) for group in groups]
    return Layout(np.array([stratum_of[name] for name in clusters], dtype=np.intp), np.array(supply, dtype=np.intp))
