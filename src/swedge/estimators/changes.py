"""Changes of some clusters against the changes of others between two periods: what switching and stacked comparisons are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]


class Changes(NamedTuple):
    """Comparisons: who is ``treated`` and who ``control``, ``(..., K, I)``, from period ``base`` to ``time``, ``(K,)``."""

    treated: Flags
    control: Flags
    time: Index
    base: Index

    @property
    def many(self) -> tuple[Array, Array]:
        """Treated clusters and controls of each comparison, ``(..., K)``."""
        return self.treated.sum(-1).astype(float), self.control.sum(-1).astype(float)

    @property
    def usable(self) -> Flags:
        """Comparisons that have both, ``(..., K)``."""
        return np.asarray(self.treated.any(-1) & self.control.any(-1))

    @property
    def share(self) -> Array:
        """Weight of each cluster's change, ``(..., K, I)``: a difference of two means, 0 in a comparison without one of them."""
        ours, theirs = (np.maximum(count, 1.0)[..., None] for count in self.many)
        return np.asarray((self.treated / ours - self.control / theirs) * self.usable[..., None])

    def of(self, y: Array) -> Array:
        """Changes ``(..., K, I)`` of cell means ``(..., I, T)``."""
        return np.asarray(np.moveaxis(y[..., self.time] - y[..., self.base], -1, -2))


def both_seen(trial: Trial, time: Index, base: Index) -> Flags:
    """Clusters with data in both periods of each comparison, ``(..., K, I)``."""
    seen = trial.n > 0
    return np.asarray(np.moveaxis(seen[..., time] & seen[..., base], -1, -2))


def proportional(member: Array | Flags, size: Array) -> Array:
    """Weights ``(..., J, K)`` of comparisons in each term, in proportion to size ``(..., K)``; nan in a term without any."""
    held = member * size[..., None, :]
    total = held.sum(-1, keepdims=True)
    return np.asarray(held / np.where(total > 0, total, np.nan))


def in_cells(weights: Array, found: Changes, periods: int) -> Array:
    """Weights of cells ``(..., J, I, T)``, of weights of comparisons ``(..., J, K)``."""
    share = found.share
    tables = [weights[..., found.time == t] @ share[..., found.time == t, :] for t in range(periods)]
    bases = [weights[..., found.base == t] @ share[..., found.base == t, :] for t in range(periods)]
    return np.stack([after - before for after, before in zip(tables, bases, strict=True)], -1)


def about_sides(found: Changes, change: Array) -> Array:
    """Changes ``(..., K, I)`` about the mean of their side, scaled up for it; of both sides for a cluster that is alone on its own."""
    ours, theirs = found.many
    either = found.treated | found.control
    together = _about(change, either, ours + theirs)
    sides = [
        np.where(count[..., None] > 1, _about(change, side, count), together) * side
        for side, count in ((found.treated, ours), (found.control, theirs))
    ]
    return np.asarray(sides[0] + sides[1])


def _about(change: Array, side: Flags, count: Array) -> Array:
    mean = (change * side).sum(-1, keepdims=True) / np.maximum(count, 1.0)[..., None]
    return np.asarray((change - mean) * np.sqrt(count / np.maximum(count - 1, 1.0))[..., None])
