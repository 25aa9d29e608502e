"""Covariance of blocks of cells as a function of its parameters.

In units of the residual variance ``H = base + sum_k ratio_k G_k``. Shapes are fixed matrices, except those that decay: their entries are
multiplied by ``rho`` to the power of a lag.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import rows
from swedge._kernels.parameters import Parameters

Array = NDArray[np.float64]
Pairs = dict[tuple[int, int], Array]

# A decay is kept this far from 0 in its derivatives: next to 0, powers below 1 have no slope.
LEAST_DECAY = 1e-8
# Derivatives, scaled to length 1, whose Gram matrix has an eigenvalue below this are one direction short; decays are judged here.
ALIKE, INTERIOR = 1e-8, 0.5


@dataclass(frozen=True)
class Covariance:
    """Shapes ``(R or 1, B, M, M)`` of blocks, and what moves them.

    `shapes` are those of fixed form; when effects correlate, the first three are those of level, both together, and slope. `fading`, the
    shape whose entries decay with ``lag (M, M)``, comes after them; `base` is what the residual adds, `fading_base` the part of it that
    decays too. The last parameter is the decay, where there is one.
    """

    base: Array
    shapes: tuple[Array, ...] = ()
    correlated: bool = False
    fading: Array | None = None
    fading_base: Array | None = None
    lag: Array | None = None

    def take(self, which: NDArray[np.int64] | slice) -> Covariance:
        """The replicates `which`."""
        fading, fading_base = (None if own is None else rows(own, which) for own in (self.fading, self.fading_base))
        shapes = tuple(rows(shape, which) for shape in self.shapes)
        return replace(self, base=rows(self.base, which), shapes=shapes, fading=fading, fading_base=fading_base)

    @property
    def parameters(self) -> Parameters:
        """What there is to estimate."""
        ratios = len(self.shapes) + (self.fading is not None)
        return Parameters(ratios, self.correlated, self.lag is not None, self.fading_base is not None)

    def total(self, ratios: Array) -> Array:
        """``H``, ``(R, B, M, M)``."""
        whole = self.base + sum((_times(ratios[:, k], shape) for k, shape in enumerate(self.shapes)), np.zeros(()))
        if self.fading is not None:
            whole = whole + _times(ratios[:, len(self.shapes)], self._faded(ratios, 0))
        if self.fading_base is not None:
            whole = whole + self.fading_base * self._power(ratios, 0)
        return np.asarray(whole)

    def first(self, ratios: Array) -> list[Array]:
        """Derivatives of ``H`` in the ratios."""
        directions = list(self.shapes)
        if self.fading is not None:
            directions.append(self._faded(ratios, 0))
        return [*directions, self._in_decay(ratios, 1)] if self.lag is not None else directions

    def second(self, ratios: Array) -> Pairs:
        """Second derivatives of ``H`` in the ratios, where they are not zero; row before column."""
        if self.lag is None:
            return {}
        last = len(self.shapes) + (self.fading is not None)
        crossed = {} if self.fading is None else {(last - 1, last): self._faded(ratios, 1)}
        return {**crossed, (last, last): self._in_decay(ratios, 2)}

    def _in_decay(self, ratios: Array, order: int) -> Array:
        moved = np.zeros(()) if self.fading is None else _times(ratios[:, -2], self._faded(ratios, order))
        return np.asarray(moved if self.fading_base is None else moved + self.fading_base * self._power(ratios, order))

    def _faded(self, ratios: Array, order: int) -> Array:
        shape = np.zeros(()) if self.fading is None else self.fading
        return np.asarray(shape * self._power(ratios, order)) if self.lag is not None else shape

    def _power(self, ratios: Array, order: int) -> Array:
        """``rho^lag`` or its derivative of that order, ``(R, 1, M, M)``."""
        lag = np.zeros(()) if self.lag is None else self.lag
        rho = ratios[:, -1, None, None, None]
        if order == 0:
            return np.asarray(rho**lag)
        factor = lag if order == 1 else lag * (lag - 1)
        return np.where(factor == 0, 0.0, factor * np.maximum(rho, LEAST_DECAY) ** (lag - order))


def entangled(covariance: Covariance, residual: Array | None) -> NDArray[np.bool_] | None:
    """Which parameters the covariance of no replicate tells from the others, that of the `residual` ``(R, B, M, M)`` first if it is given.

    None if one replicate tells all: first derivatives of its blocks, at ratios of 1 and an interior decay, are linearly independent.
    """
    first = _entangled(covariance.take(slice(0, 1)), None if residual is None else residual[:1])
    return first if first is None else _entangled(covariance, residual)


def _entangled(covariance: Covariance, residual: Array | None) -> NDArray[np.bool_] | None:
    ratios = np.where(covariance.parameters.linear, 1.0, INTERIOR)[None]
    directions = covariance.first(ratios) if residual is None else [residual, *covariance.first(ratios)]
    columns = np.stack(np.broadcast_arrays(*directions), -1)
    table = columns.reshape(len(columns), -1, columns.shape[-1])
    gram = table.swapaxes(-1, -2) @ table
    size = np.sqrt(np.maximum(np.einsum("rkk->rk", gram), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(gram / size[:, :, None] / size[:, None, :])
    if (values[:, 0] > ALIKE).any():
        return None
    return np.asarray(np.abs(vectors[0, :, 0]) > ALIKE**0.5)


def _times(ratio: Array, shape: Array) -> Array:
    return np.asarray(ratio[:, None, None, None] * shape)
