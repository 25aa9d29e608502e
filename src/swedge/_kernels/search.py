"""Projected Newton on a box, over a stack: each turn judges one candidate of every replicate still active.

References
----------
Bertsekas DP (1982). Projected Newton methods for optimization problems with simple constraints. SIAM Journal on Control and
Optimization 20, 221-246.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import rows

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

MAX_TURNS = 80
# Newton decrement at which a fit has converged: the criterion is then within about this of its minimum.
CONVERGED = 1e-11
STUCK = 1e-6
# Curvature below this share of a parameter's own is taken as this much: a flat direction must not make an endless step.
FLAT = 1e-9


class Problem(Protocol):
    """A stack of criteria to minimise."""

    def take(self, which: NDArray[np.int64] | slice) -> Self:
        """The replicates `which`."""

    def evaluate(self, point: Array) -> Any:
        """A NamedTuple of stacked arrays with ``criterion (R,)`` and ``definite (R,)``, at ``point (R, K)``."""

    def slopes(self, at: Any) -> Slopes:
        """First and second derivatives there."""


class Slopes(NamedTuple):
    """Gradient ``(R, K)`` of a criterion and its second derivatives ``(R, K, K)``, or an approximation to them."""

    gradient: Array
    curvature: Array


class Minimum(NamedTuple):
    """Where each replicate ended, and whether it converged there."""

    point: Array
    criterion: Array
    converged: Flags


def minimise(problem: Problem, start: Array, lower: Array, upper: Array, turns: int = MAX_TURNS) -> Minimum:
    """Minimise from ``start (R, K)`` within the box ``lower, upper (K,)``, in so many `turns` at most."""
    search = _Search(problem, start, lower, upper)
    for _ in range(turns):
        search.turn()
        if not len(search.active):
            break
    return Minimum(search.point, search.criterion, search.decrement < STUCK)


class _Search:
    def __init__(self, problem: Problem, start: Array, lower: Array, upper: Array) -> None:
        self.problem, self.lower, self.upper = problem, lower, upper
        self.point, self.candidate = start.copy(), start.copy()
        self.step = np.zeros_like(start)
        self.criterion, self.decrement = np.full((2, len(start)), np.inf)
        self.length = np.ones(len(start))
        self.active = np.arange(len(start))

    def turn(self) -> None:
        """Judge the candidates, accept or shorten, and propose the next."""
        now, part = self.active, self.problem.take(self.active)
        at = part.evaluate(self.candidate[now])
        slack = 1e-12 * (1 + np.abs(at.criterion))
        better = (at.criterion <= self.criterion[now] + slack) & at.definite
        chosen = np.flatnonzero(better)
        self._accept(now[chosen], part.take(chosen), picked(at, chosen))
        self.length[now[~better]] /= 4
        self.active = now[(self.decrement[now] > CONVERGED) & (self.length[now] > 1e-9)]
        ahead = self.point[self.active] + self.length[self.active, None] * self.step[self.active]
        self.candidate[self.active] = np.clip(ahead, self.lower, self.upper)

    def _accept(self, which: NDArray[np.int64], part: Problem, at: Any) -> None:
        if not len(which):
            return
        self.point[which], self.criterion[which], self.length[which] = self.candidate[which], at.criterion, 1.0
        self.step[which], self.decrement[which] = self._newton(self.point[which], *part.slopes(at))

    def _newton(self, point: Array, gradient: Array, curvature: Array) -> tuple[Array, Array]:
        """Step over the parameters that are free to move, and the Newton decrement."""
        free = ((point > self.lower) | (gradient < 0)) & ((point < self.upper) | (gradient > 0))
        slope = np.where(free, gradient, 0.0)
        held = np.where(free[..., None] & free[..., None, :], curvature, np.eye(point.shape[-1]))
        step = -_solved(held, slope)
        return step, -(slope * step).sum(-1)


def _solved(matrix: Array, vector: Array) -> Array:
    """``|matrix|^-1 vector``, eigenvalues replaced by their size, so that the step goes downhill whatever the curvature."""
    size = np.sqrt(np.abs(np.einsum("...ii->...i", matrix)))
    scale = np.divide(1.0, size, out=np.ones_like(size), where=size > 0)
    scaled = matrix * scale[..., :, None] * scale[..., None, :]
    scaled = np.where(np.isfinite(scaled).all((-2, -1), keepdims=True), scaled, np.eye(matrix.shape[-1]))
    values, vectors = np.linalg.eigh(scaled)
    along = (vectors.swapaxes(-1, -2) @ (scale * vector)[..., None])[..., 0] / np.maximum(np.abs(values), FLAT)
    return np.asarray(scale * (vectors @ along[..., None])[..., 0])


def picked(state: Any, which: NDArray[np.int64]) -> Any:
    """Rows of every array in a NamedTuple of stacked arrays, however deep."""
    if isinstance(state, tuple):
        return type(state)(*(picked(piece, which) for piece in state))
    return rows(state, which)
