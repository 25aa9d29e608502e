"""An effect of its own for each group of clusters: treatment by stratum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.assumptions.effect import EffectCurve
from swedge.errors import DesignError, listing, nearest

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ByGroup:
    """An effect of its own in each group of clusters, such as strata of readiness.

    Parameters
    ----------
    groups : tuple of tuple of str
        Names of the clusters in each group. Every cluster that is ever treated has to be in exactly one; comparators are left out.

    Examples
    --------
    >>> curve = ByGroup((("A", "B"), ("C",))).placed(("A", "B", "C"))
    >>> curve.columns(np.array([[0, 1.0], [0, 1], [0, 0]]), np.zeros((3, 2), dtype=int))[0]
    ('group 1', 'group 2')
    """

    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        members = [name for group in self.groups for name in group]
        if len(self.groups) < 2 or not all(self.groups):
            raise DesignError(f"groups={self.groups!r}; expected at least two groups of cluster names, such as (('A', 'B'), ('C',)).")
        twice = sorted({name for name in members if members.count(name) > 1})
        if twice:
            raise DesignError(f"{listing(twice)} stands in groups= twice. A cluster belongs to one group.")

    def placed(self, clusters: Sequence[str]) -> EffectCurve:
        """The curve for clusters in this order.

        Raises
        ------
        DesignError
            If a group names a cluster that is not there.
        """
        unknown = [f"{name!r}.{nearest(name, list(clusters))}" for group in self.groups for name in group if name not in clusters]
        if unknown:
            raise DesignError(f"groups= names clusters that the trial does not have: {listing(unknown)}")
        return _Placed(tuple(tuple(list(clusters).index(name) for name in group) for group in self.groups), tuple(clusters))

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Refused: names have no place yet."""
        raise DesignError("Effects by group are for analysing a trial, whose clusters have names. For power, name one effect: Constant().")


@dataclass(frozen=True)
class _Placed:
    """`ByGroup` by position."""

    groups: tuple[tuple[int, ...], ...]
    clusters: tuple[str, ...]

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Treatment in each group's clusters, ``(..., K, I, T)``."""
        member = np.array([np.isin(np.arange(treatment.shape[-2]), group) for group in self.groups])
        treated = (treatment > 0).any(-1).reshape((-1, treatment.shape[-2])).any(0)
        left = [self.clusters[i] for i in np.flatnonzero(treated & ~member.any(0))]
        if left:
            raise DesignError(f"groups= leaves out {listing(left)}, which is treated: every treated cluster needs a group.")
        columns = np.nan_to_num(treatment)[..., None, :, :] * member[:, :, None]
        return tuple(f"group {k + 1}" for k in range(len(self.groups))), columns
