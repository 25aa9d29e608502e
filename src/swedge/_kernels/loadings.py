"""Random effects of a cluster as loadings of its cells on independent standard normals, ``z = L(theta) u``.

The columns of `L` are, as far as they are there: the cluster, its treatment effect, then one a period. With a cluster effect of standard
deviation ``t`` and a treatment effect ``c u_1 + d u_2``, cells load ``t + c x`` and ``d x``; a correlation of 1 is ``d = 0``. Effects
that decay by ``exp(-k)`` a mean period length are a chain, ``z_s = r z_(s-1) + sqrt(1 - r^2) u_s`` with ``r = exp(-k gap)``;
``k = theta^2`` makes the loadings smooth where the chain does not decay. Every standard deviation and this theta may change sign without
changing the likelihood, so that a search reflects them at 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import rows

Array = NDArray[np.float64]

# Where searches begin: standard deviations on a link's scale, and roots of decay rates (correlations of .7, .94 and .24 a period).
START, START_DECAYS = 0.3, (0.6, 0.25, 1.2)


class Load(NamedTuple):
    """Loadings of cells.

    On shared normals ``lead (R, I or 1, T, k)``, with derivatives ``turn (m, R or 1, I or 1, T, k)``; where `Loadings.cells_apart`, on one
    normal each besides, ``own (R, 1, 1)``, which is the last parameter.
    """

    lead: Array
    own: Array | None
    turn: Array

    def take(self, which: NDArray[np.int64]) -> Load:
        """The replicates `which`; derivatives are left as they are."""
        return Load(rows(self.lead, which), None if self.own is None else rows(self.own, which), self.turn)

    def dense(self, periods: int) -> tuple[Array, Array]:
        """All columns ``(R, I or 1, T, k)``, and their derivatives ``(m, ...)``."""
        if self.own is None:
            return self.lead, self.turn
        apart = np.broadcast_to(np.eye(periods), (*self.lead.shape[:-1], periods))
        turn = np.broadcast_to(self.turn, (len(self.turn), *self.lead.shape))
        zero = np.zeros_like(self.lead)
        table = [np.concatenate([part, np.zeros_like(apart)], -1) for part in turn] + [np.concatenate([zero, apart], -1)]
        return np.concatenate([self.lead, self.own[..., None] * apart], -1), np.stack(table)


@dataclass(frozen=True, eq=False)
class Loadings:
    """Which random effects there are.

    ``arm (R or 1, I, T)`` is the treatment; `gaps (T - 1,)` the distances between periods in mean period lengths, for effects that decay.
    """

    cluster: bool
    treatment: bool
    correlated: bool
    cells: bool
    arm: Array
    gaps: Array | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters in order."""
        present = {
            "cluster": self.cluster,
            "shared": self.correlated,
            "treatment": self.treatment,
            "cluster_period": self.cells,
            "decay": self.gaps is not None,
        }
        return tuple(name for name, here in present.items() if here)

    @property
    def cells_apart(self) -> bool:
        """Whether cluster-periods have independent effects."""
        return self.cells and self.gaps is None

    @property
    def width(self) -> int:
        """How many independent normals a cluster has."""
        return int(self.cluster) + int(self.treatment) + (self.arm.shape[-1] if self.cells else 0)

    @property
    def starts(self) -> tuple[Array, ...]:
        """Where searches begin: in one place, or at several decays, whose likelihood may have more than one top."""
        decays = START_DECAYS if "decay" in self.names else (0.0,)
        return tuple(np.array([{"shared": 0.0, "decay": decay}.get(name, START) for name in self.names]) for decay in decays)

    @property
    def reflected(self) -> NDArray[np.bool_]:
        """Which parameters may be replaced by their absolute value. With a correlation the sign of `shared` is that of `cluster`."""
        return np.array([name != "shared" and not (name == "cluster" and self.correlated) for name in self.names])

    def take(self, which: NDArray[np.int64] | slice) -> Loadings:
        """The replicates `which`."""
        return replace(self, arm=rows(self.arm, which))

    def at(self, theta: Array) -> Load:
        """Loadings and their derivatives at ``theta (R, m)``."""
        basis = self._basis()
        if self.cells_apart:
            return Load((theta.T[:-1, :, None, None, None] * basis).sum(0), theta[:, -1, None, None], basis)
        table = theta.T[:, :, None, None, None]
        if self.gaps is None:
            return Load((table * basis).sum(0), None, basis)
        chain, bend = _chain(theta[:, -1], self.gaps)
        wide = np.broadcast_to(basis, (len(basis), len(theta), *basis.shape[2:])).copy()
        periods = chain.shape[-1]
        wide[-1][..., -periods:] = chain[:, None]
        moved = np.zeros_like(wide[:1])
        moved[0][..., -periods:] = theta[:, -2, None, None, None] * bend[:, None]
        return Load((table[:-1] * wide).sum(0), None, np.concatenate([wide, moved]))

    def _basis(self) -> Array:
        """What each standard deviation of shared columns multiplies, ``(m, R or 1, I or 1, T, k)``; `_chain` puts in the decay."""
        periods = self.arm.shape[-1]
        one, x = np.ones((1, 1, periods)), self.arm
        lead = int(self.cluster) + int(self.treatment)
        shape = x.shape if self.treatment else one.shape
        pieces = {"cluster": (0, one), "shared": (0, x), "treatment": (lead - 1, x)}
        names = [name for name in self.names if name in pieces or (name == "cluster_period" and not self.cells_apart)]
        table = np.zeros((len(names), *shape, lead + (0 if self.gaps is None else periods)))
        for j, name in enumerate(names):
            if name in pieces:
                where, values = pieces[name]
                table[j][..., where] = values
        return table

    def parameters(self, variances: dict[str, float]) -> Array:
        """Theta ``(m,)`` of given variances, the inverse of `variances`."""
        level = np.sqrt(variances.get("cluster", 0.0))
        shared = variances.get("cluster_treatment", 0.0) / level if level > 0 else 0.0
        decay = -np.log(max(variances.get("autocorrelation", 1.0), np.finfo(float).tiny))
        table = {
            "cluster": level,
            "shared": shared,
            "treatment": np.sqrt(max(variances.get("treatment", 0.0) - shared**2, 0.0)),
            "cluster_period": np.sqrt(variances.get("cluster_period", 0.0)),
            "decay": np.sqrt(decay),
        }
        return np.array([table[name] for name in self.names])

    def singular(self, theta: Array, least: float) -> NDArray[np.bool_]:
        """Whether a variance is zero, or a correlation at the end of its range, ``(R,)``; `least` is the smallest root that is not."""
        value = dict(zip(self.names, theta.T, strict=True))
        edge = np.stack([np.abs(value[name]) < least for name in self.names if name != "shared"]).any(0)
        return np.asarray(edge | (np.exp(-(value["decay"] ** 2)) < least) if "decay" in value else edge)

    def variances(self, theta: Array) -> dict[str, Array]:
        """Variances ``(R,)`` by name, and what goes with them."""
        value = dict(zip(self.names, theta.T, strict=True))
        shared = value.get("shared", np.zeros(len(theta)))
        table: dict[str, Array] = {name: value[name] ** 2 for name in ("cluster", "treatment", "cluster_period") if name in value}
        if self.correlated:
            table["treatment"] = table["treatment"] + shared**2
            table["cluster_treatment"] = value["cluster"] * shared
        if self.gaps is not None:
            table["autocorrelation"] = np.exp(-(value["decay"] ** 2))
        return table


def _chain(root: Array, gaps: Array) -> tuple[Array, Array]:
    """The Cholesky factor ``(R, T, T)`` of a chain's correlation at ``root (R,)`` of its decay rate, and its derivative in the root."""
    periods = len(gaps) + 1
    lag = np.concatenate([[0.0], np.cumsum(gaps)])
    between = np.maximum(lag[:, None] - lag, 0.0)
    gap = np.concatenate([[0.0], gaps])
    rate = root[:, None] ** 2
    keep = np.exp(-rate[..., None] * between) * np.tri(periods)
    fresh, turn = _fresh(root[:, None], gap)
    fresh[:, 0], turn[:, 0] = 1.0, 0.0
    return keep * fresh[:, None], keep * (turn[:, None] - 2 * root[:, None, None] * between * fresh[:, None])


def _fresh(root: Array, gap: Array) -> tuple[Array, Array]:
    """``sqrt(1 - exp(-2 root^2 gap))``, odd in the root, and its derivative; both without loss of digits near 0."""
    twice = 2 * root**2 * gap
    ratio = np.where(twice > 0, -np.expm1(-twice) / np.where(twice > 0, twice, 1.0), 1.0)
    size = np.sqrt(2 * gap * ratio)
    turn = np.divide(2 * gap * np.exp(-twice), size, out=np.zeros_like(size), where=size > 0)
    return root * size, turn
