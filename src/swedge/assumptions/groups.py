"""An effect of its own for each group of clusters: treatment by stratum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.assumptions.effect import EffectCurve
from swedge.errors import DesignError, listing, nearest

Array = NDArray[np.float64]

EXPECTED = "groups of names, such as (('A', 'B'), ('C',))"


@dataclass(frozen=True)
class ByGroup:
    """An effect of its own in each group of clusters, such as strata of readiness.

    Parameters
    ----------
    groups : tuple of tuple of str
        Names of the clusters in each group. Every cluster that is ever treated has to be in exactly one; comparators are left out. Lists
        become tuples.
    labels : tuple of str, optional
        What to call the groups in results, in their order; left out, they are numbered from 1.

    Raises
    ------
    DesignError
        If these are not at least two groups of names, a name stands twice, or labels do not name each group apart.

    Examples
    --------
    >>> curve = ByGroup((("A", "B"), ("C",))).placed(("A", "B", "C"))
    >>> curve.columns(np.array([[0, 1.0], [0, 1], [0, 0]]), np.zeros((3, 2), dtype=int))[0]
    ('group 1', 'group 2')
    >>> ByGroup([["A", "B"], ["C"]], labels=["north", "south"])
    ByGroup(groups=(('A', 'B'), ('C',)), labels=('north', 'south'))
    """

    groups: tuple[tuple[str, ...], ...] = ()
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", tuple(map(_names, _items(self.groups))))
        members = [name for group in self.groups for name in group]
        if len(self.groups) < 2 or not all(self.groups):
            raise DesignError(f"groups={self.groups!r}; expected at least two {EXPECTED}.")
        twice = sorted({name for name in members if members.count(name) > 1})
        if twice:
            raise DesignError(
                f"{listing(twice)} {'stands' if len(twice) == 1 else 'stand'} in groups= twice. A cluster belongs to one group."
            )
        object.__setattr__(self, "labels", _checked_labels(self.labels, len(self.groups)))

    def placed(self, clusters: Sequence[str]) -> EffectCurve:
        """The curve for clusters in this order.

        Raises
        ------
        DesignError
            If a group names a cluster that is not there.
        """
        unknown = [f"{name!r}.{nearest(name, list(clusters))}" for group in self.groups for name in group if name not in clusters]
        if unknown:
            raise DesignError(
                f"groups= names {'a cluster' if len(unknown) == 1 else 'clusters'} that the trial does not have: {listing(unknown)}"
            )
        members = tuple(tuple(list(clusters).index(name) for name in group) for group in self.groups)
        return _Placed(members, tuple(clusters), self.labels or tuple(str(k + 1) for k in range(len(self.groups))))

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Refused: names have no place yet."""
        raise DesignError("Effects by group are for analysing a trial, whose clusters have names. For power, name one effect: Constant().")


def _items(groups: object) -> list[object]:
    """Members of a list or tuple; a dictionary's keys or a text's letters are no names of clusters."""
    if isinstance(groups, Mapping):
        raise DesignError(f"groups= is a dictionary. Pass its {EXPECTED}; labels=('north', 'south') gives them names.")
    if isinstance(groups, str | Set) or not isinstance(groups, Iterable):
        raise DesignError(f"groups= holds {groups!r}. Pass {EXPECTED}.")
    return list(groups)


def _names(group: object) -> tuple[str, ...]:
    names = _items(group)
    strange = [repr(name) for name in names if isinstance(name, bool) or not isinstance(name, str | int | np.integer)]
    if strange:
        raise DesignError(f"groups= holds {listing(strange)}, no {'name' if len(strange) == 1 else 'names'} of clusters. Pass {EXPECTED}.")
    return tuple(map(str, names))


def _checked_labels(labels: object, groups: int) -> tuple[str, ...]:
    texts = [] if isinstance(labels, str | Mapping | Set) or not isinstance(labels, Iterable) else list(labels)
    plain = all(isinstance(text, str) and text.strip() for text in texts)
    if (labels != () and not texts) or not plain or len(set(texts)) != len(texts) or len(texts) not in (0, groups):
        raise DesignError(f"labels={labels!r}; expected a different text for each of {groups} groups, such as ('north', 'south').")
    return tuple(texts)


@dataclass(frozen=True)
class _Placed:
    """`ByGroup` by position."""

    groups: tuple[tuple[int, ...], ...]
    clusters: tuple[str, ...]
    labels: tuple[str, ...]

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Treatment in each group's clusters, ``(..., K, I, T)``."""
        member = np.array([np.isin(np.arange(treatment.shape[-2]), group) for group in self.groups])
        treated = (treatment > 0).any(-1).reshape((-1, treatment.shape[-2])).any(0)
        left = [self.clusters[i] for i in np.flatnonzero(treated & ~member.any(0))]
        if left:
            verb = "is" if len(left) == 1 else "are"
            raise DesignError(f"groups= leaves out {listing(left)}, which {verb} treated: every treated cluster needs a group.")
        columns = np.nan_to_num(treatment)[..., None, :, :] * member[:, :, None]
        return tuple(f"group {label}" for label in self.labels), columns
