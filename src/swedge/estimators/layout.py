"""The covariance that a structure asks for, laid out over the clusters of a trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.covariance import Covariance
from swedge._kernels.linalg import stacked
from swedge.assumptions import Structure, lags
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


def ratio_names(structure: Structure) -> tuple[str, ...]:
    """Names of the variances (and of the covariance, and the decay) to estimate beside the residual's, in the kernel's order."""
    fixed = [name for name in structure.effects if name != "cluster_period"]
    if structure.correlated:
        fixed = ["cluster", "cluster_treatment", "treatment", *fixed[2:]]
    fading = ["cluster_period"] if "cluster_period" in structure.effects else []
    return (*fixed, *fading, *(["autocorrelation"] if structure.decay != "none" else []))


class Grid(NamedTuple):
    """What shapes are made of, stacked: `seen`, treatment `x` and counts `n` ``(R, I, T)``, exposures ``(R, I, T)``, lags ``(T, T)``."""

    seen: Flags
    x: Array
    n: Array
    exposure: Array
    lag: Array

    @property
    def together(self) -> Array:
        """Pairs of cells of one cluster that are both observed, ``(R, I, T, T)``."""
        return (self.seen[..., :, None] & self.seen[..., None, :]).astype(float)

    @property
    def noise(self) -> Array:
        """Products of the cells' standard errors of one unit, ``(R, I, T, T)``."""
        root = np.where(self.seen, 1 / np.sqrt(np.where(self.seen, self.n, 1.0)), 0.0)
        return np.asarray(root[..., :, None] * root[..., None, :])


def midpoints(trial: Trial) -> Array:
    """Mid-points of the periods ``(T,)``: the design's dates or period numbers, or the numbers of a panel's periods."""
    return np.asarray(trial.periods if trial.design is None else trial.design.midpoints(), dtype=float)


def grid_of(trial: Trial) -> Grid:
    """The trial's cells, stacked."""
    n, x = stacked(trial.n, trial.shape, 2), stacked(trial.arm, trial.shape, 2)
    return Grid(n > 0, x, n, stacked(trial.exposure.astype(float), trial.shape, 2), lags(midpoints(trial)))


def covariance_of(grid: Grid, structure: Structure) -> Covariance:
    """Shapes of each effect over the cells of each cluster, or of all clusters where exposure effects cross them."""
    names = [name for name in ratio_names(structure) if name not in ("cluster_period", "autocorrelation")]
    lay = _layout(structure)
    shapes = tuple(_shapes(grid)[name]() for name in names if name != "exposure")
    laid = [lay(shape) for shape in shapes]
    if "exposure" in names:
        laid.insert(names.index("exposure"), _shared_exposures(grid))
    decays, own = structure.decay != "none", np.eye(grid.lag.shape[-1])
    fading = lay(grid.together * (1.0 if decays else own)) if "cluster_period" in structure.effects else None
    hidden = lay(own * ~grid.seen[..., None, :])
    base = hidden if structure.decay == "all" else hidden + residual_of(grid, structure)
    fading_base = lay(grid.noise) if structure.decay == "all" else None
    repeats = laid_lag(grid, lay) if decays else None
    return Covariance(base, tuple(laid), structure.correlated, fading, fading_base, repeats)


def residual_of(grid: Grid, structure: Structure) -> Array:
    """What an independent residual adds to the cells of each block."""
    return _layout(structure)(grid.noise * np.eye(grid.lag.shape[-1]))


def _layout(structure: Structure) -> Callable[[Array], Array]:
    return _crossed if "exposure" in structure.effects else _by_cluster


def _shapes(grid: Grid) -> dict[str, Callable[[], Array]]:
    x, together = grid.x, grid.together
    return {
        "cluster": lambda: together,
        "cluster_treatment": lambda: together * (x[..., :, None] + x[..., None, :]),
        "treatment": lambda: together * (x[..., :, None] * x[..., None, :]),
        "individual": lambda: grid.noise,
    }


def laid_lag(grid: Grid, lay: Callable[[Array], Array]) -> Array:
    """Lags of the cells of a block, ``(M, M)``."""
    copies = grid.seen.shape[-2] if lay is _crossed else 1
    return np.tile(grid.lag, (copies, copies))


def _by_cluster(shape: Array) -> Array:
    return shape


def _crossed(shape: Array) -> Array:
    """``(R, I, T, T)`` as one block-diagonal ``(R, 1, I T, I T)``."""
    replicates, clusters, periods = shape.shape[:3]
    joined = np.zeros((replicates, clusters, periods, clusters, periods))
    each = np.arange(clusters)
    joined[:, each, :, each, :] = np.moveaxis(shape, 1, 0)
    return joined.reshape(replicates, 1, clusters * periods, clusters * periods)


def _shared_exposures(grid: Grid) -> Array:
    """Pairs of cells, whatever their clusters, that are treated for the same number of periods."""
    x = np.where(grid.seen, grid.x, 0.0)
    lead = np.broadcast_shapes(x.shape, grid.exposure.shape)
    x, s = np.broadcast_to(x, lead).reshape(lead[0], -1), np.broadcast_to(grid.exposure, lead).reshape(lead[0], -1)
    same = (s[:, :, None] == s[:, None, :]) & (s[:, :, None] > 0)
    return np.asarray(same * x[:, :, None] * x[:, None, :])[:, None]
