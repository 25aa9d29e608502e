"""Weights of control clusters and of earlier periods that stand in for treated ones.

Clusters ``w`` are chosen so that ``sum_j w_j y_jt`` runs parallel to (with an intercept) or coincides with the treated clusters' mean
before treatment, periods ``l`` so that ``sum_t l_t y_jt`` does the same for each control's mean after it. Both lie on the simplex, under
ridge penalties in units of the controls' noise: the standard deviation of their first differences before treatment.

References
----------
Abadie A, Diamond A, Hainmueller J (2010). Synthetic control methods for comparative case studies. Journal of the American Statistical
Association 105, 493-505.
Arkhangelsky D, Athey S, Hirshberg DA, Imbens GW, Wager S (2021). Synthetic difference-in-differences. American Economic Review 111,
4088-4118.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.simplex import simplex_weights

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Both penalties and the smallest gain worth another step are in units of the noise.
LEAST, GAIN = 1e-6, 1e-5


class Panels(NamedTuple):
    """Outcomes ``y (R, I, T)``, ``treated`` and ``control (R, I)`` clusters, periods ``before`` and ``after (R, T)`` treatment."""

    y: Array
    treated: Flags
    control: Flags
    before: Flags
    after: Flags

    def part(self, rows: slice) -> Panels:
        """Some replicates."""
        return Panels(self.y[rows], self.treated[rows], self.control[rows], self.before[rows], self.after[rows])

    @property
    def treated_cells(self) -> Array:
        """How many cells are treated, ``(R,)``."""
        return np.asarray(self.treated.sum(-1) * self.after.sum(-1), dtype=float)


def noise(panels: Panels) -> Array:
    """Standard deviation ``(R,)`` of the controls' first differences before treatment; 0 where there are fewer than two."""
    held = panels.control[..., None] & (panels.before[..., 1:] & panels.before[..., :-1])[..., None, :]
    change = np.where(held, np.diff(panels.y, axis=-1), 0.0)
    count = held.sum((-2, -1))
    about = np.where(held, change - (change.sum((-2, -1)) / np.maximum(count, 1))[:, None, None], 0.0)
    return np.asarray(np.sqrt(np.divide((about**2).sum((-2, -1)), count - 1, out=np.zeros(len(count)), where=count > 1)))


def cluster_weights(panels: Panels, penalty: Array, intercept: bool) -> Array:
    """Weights ``(R, I)`` of controls; `penalty` ``(R,)`` in the outcome's units. nan where there is no control or no period before."""
    gap = panels.y - _mean(panels.y, panels.treated, -2)[:, None, :]
    held = panels.control[..., None] & panels.before[..., None, :]
    return _fitted(gap, held, -1, penalty, intercept, noise(panels))


def period_weights(panels: Panels) -> Array:
    """Weights ``(R, T)`` of the periods before treatment, with an intercept for their distance from those after."""
    gap = panels.y - _mean(panels.y, panels.after, -1)[:, :, None]
    held = panels.control[..., None] & panels.before[..., None, :]
    size = noise(panels)
    return _fitted(np.swapaxes(gap, -1, -2), np.swapaxes(held, -1, -2), -1, LEAST * size, True, size)


def _fitted(gap: Array, held: Flags, axis: int, penalty: Array, intercept: bool, size: Array) -> Array:
    """Weights over the rows of ``gap (R, p, q)`` whose weighted sum is as near 0 as can be in the columns that are held."""
    columns = held.any(-2).sum(-1).astype(float)
    centred = gap - _mean(gap, held, axis)[..., None] if intercept else gap
    rows = np.where(held, centred, 0.0)
    ridge = (columns * penalty**2)[:, None, None] * np.eye(gap.shape[-2])
    return simplex_weights(rows @ np.swapaxes(rows, -1, -2) + ridge, np.asarray(held.any(-1)), columns * (GAIN * size) ** 2)


def _mean(table: Array, held: Flags, axis: int) -> Array:
    """Means of what is held along an axis; 0 of nothing."""
    mask = held if held.ndim == table.ndim else np.expand_dims(held, -1 if axis == -2 else -2)
    return np.asarray(np.where(mask, table, 0.0).sum(axis) / np.maximum(mask.sum(axis), 1))
