"""Generalised linear models fitted by iteratively reweighted least squares over a stack.

References
----------
McCullagh P, Nelder JA (1989). Generalized Linear Models, 2nd edition. Chapman and Hall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FamilyMaths
from swedge._kernels.linalg import flat, inverse_factor, project, rows, stacked
from swedge.errors import Status

Array = NDArray[np.float64]

MAX_ITERATIONS = 60
# Newton decrement, in units of the log-likelihood, at which a fit has converged.
CONVERGED = 1e-20
# A slot with a variance below this sits on the edge of its range: where the others identify every coefficient and the score equations are
# solved to this decrement, none runs off to infinity.
EDGE, SOLVED = 1e-7, 1e-12
BLOCK_DOUBLES = 4_000_000


@dataclass(frozen=True)
class SlotModel:
    """A stack of problems over slots: ``y, n, offset (R, I, J)``, ``x (R, p, I, J)``; axis 0 is 1 where an array serves all."""

    y: Array
    x: Array
    n: Array
    offset: Array
    family: FamilyMaths

    @property
    def size(self) -> int:
        """Number of replicates."""
        return int(max(a.shape[0] for a in (self.y, self.x, self.n, self.offset)))

    def take(self, which: NDArray[np.int64] | slice) -> SlotModel:
        """The replicates `which`."""
        return SlotModel(rows(self.y, which), rows(self.x, which), rows(self.n, which), rows(self.offset, which), self.family)

    def parts(self, copies: int = 1) -> list[slice]:
        """Runs of replicates of a size that stays in memory, `copies` times over."""
        step = max(1, BLOCK_DOUBLES // (copies * int(np.prod(self.x.shape[1:]))))
        return [slice(i, i + step) for i in range(0, self.size, step)]

    def blocks(self) -> list[SlotModel]:
        """The replicates run by run."""
        return [self.take(part) for part in self.parts()]


def slot_model(y: Array, x: Array, n: Array, offset: Array, family: FamilyMaths, lead: tuple[int, ...]) -> SlotModel:
    """Flatten leading axes; slots without data weigh nothing and hold zeros."""
    seen = n > 0
    return SlotModel(
        stacked(np.where(seen, y, 0.0), lead, 2),
        stacked(x * seen[..., None, :, :], lead, 3),
        stacked(n, lead, 2),
        stacked(offset, lead, 2),
        family,
    )


class SlotFit(NamedTuple):
    """Coefficients ``(R, p)``, means and working weights ``(R, I, J)``, ``root (R, p, p)`` = ``L^-1`` of ``LL' = x w x'``, statuses."""

    beta: Array
    mu: Array
    w: Array
    root: Array
    status: NDArray[np.int8]


def linear(model: SlotModel, beta: Array) -> Array:
    """The linear predictor ``(R, I, J)``."""
    eta = (beta[:, None, :] @ flat(model.x))[:, 0]
    return np.asarray(eta.reshape((len(eta), *model.x.shape[-2:])) + model.offset)


def working(model: SlotModel, eta: Array, mu: Array) -> tuple[Array, Array]:
    """Expected information ``n mu'^2 / v`` and score ``n (y - mu) mu' / v`` of each slot's predictor, ``(R, I, J)``."""
    if model.family.canonical:
        return model.n * model.family.variance(mu), model.n * (model.y - mu)
    rate = model.family.rate(eta)
    share = model.n * rate / np.maximum(model.family.variance(mu), np.finfo(float).tiny)
    return share * rate, share * (model.y - mu)


def fit_slots(model: SlotModel) -> SlotFit:
    """Fit every replicate of one block."""
    iteration = _Iteration(model)
    for _ in range(MAX_ITERATIONS):
        iteration.turn()
        if not len(iteration.active):
            break
    return iteration.result()


class _Iteration:
    """Reweighted least squares, replicate by replicate until each converges or fails."""

    def __init__(self, model: SlotModel) -> None:
        self.model = model
        self.active = np.arange(model.size)
        self.beta = np.zeros((model.size, model.x.shape[1]))
        self.moved = np.full(model.size, np.inf)
        self.definite = np.ones(model.size, dtype=bool)
        self.identified = np.ones(model.size, dtype=bool)
        self.first = True

    def turn(self) -> None:
        """One step for the replicates still active."""
        now, part = self.active, self.model.take(self.active)
        eta = self._predictor(part, self.beta[now])
        mu = part.family.mean(eta)
        w, pull = working(part, eta, mu)
        root, definite = inverse_factor(_information(part.x, w))
        score = project(part.x, pull + (w * (eta - part.offset) if self.first else 0.0))
        half = (root @ score[..., None])[..., 0]
        step = (root.swapaxes(-1, -2) @ half[..., None])[..., 0]
        self._update(now, step, (half**2).sum(-1), definite)

    def _predictor(self, part: SlotModel, beta: Array) -> Array:
        if not self.first:
            return linear(part, beta)
        shape = (len(self.active), *part.n.shape[1:])
        return np.broadcast_to(part.family.start(part.y, np.maximum(part.n, 1.0)), shape)

    def _update(self, now: NDArray[np.int64], step: Array, moved: Array, definite: NDArray[np.bool_]) -> None:
        self.beta[now] = step if self.first else self.beta[now] + step
        self.moved[now] = np.where(np.isfinite(moved), moved, np.inf) if not self.first else np.inf
        self.definite[now] = definite
        if self.first:  # no slot has lost its weight yet, so a loss of rank is the columns' own
            self.identified[now] = definite
        scale = (self.beta[now] ** 2).sum(-1) + 1
        self.first = False
        self.active = now[(moved > CONVERGED * scale) | ~np.isfinite(self.moved[now])]
        self.active = self.active[self.definite[self.active]]

    def result(self) -> SlotFit:
        """Everything at the last estimate."""
        eta = np.broadcast_to(linear(self.model, self.beta), (self.model.size, *self.model.x.shape[-2:]))
        mu = self.model.family.mean(eta)
        w, pull = working(self.model, eta, mu)
        root, definite = inverse_factor(_information(self.model.x, w))
        return SlotFit(self.beta, mu, w, root, self._status(_separated(self.model, mu, w, pull), definite))

    def _status(self, apart: NDArray[np.bool_], definite: NDArray[np.bool_]) -> NDArray[np.int8]:
        status = np.where(self.moved < 1e-8, Status.OK, Status.NOT_CONVERGED)
        status = np.where(definite & self.definite, status, Status.RANK_DEFICIENT)
        status = np.where(apart, Status.SEPARATED, status)
        return np.asarray(np.where(self.identified, status, Status.RANK_DEFICIENT), dtype=np.int8)


def _separated(model: SlotModel, mu: Array, w: Array, pull: Array) -> NDArray[np.bool_]:
    """Whether fitted means sit on the edge of their range, in slots with data, because a coefficient has no finite estimate."""
    if model.family.name == "gaussian":
        return np.zeros(len(mu), dtype=bool)
    variance = model.family.variance(mu)
    near = (variance < EDGE) & (model.n > 0)
    apart = np.asarray(near.any((-2, -1)))
    some = np.flatnonzero(apart)
    beyond = np.asarray((near & (variance < 0)).any((-2, -1)))[some]
    apart[some] = beyond | ~_solved(rows(model.x, some), np.where(near, 0.0, w)[some], pull[some])
    return apart


def _solved(x: Array, inner: Array, pull: Array) -> NDArray[np.bool_]:
    """Whether a fit is a maximum with finite coefficients: what separates has weight in no slot of those of weight ``inner (R, I, J)``.

    The slots that a separating direction moves all end at the edge, so the others do not identify it; slots that it has not moved there
    yet leave a score.
    """
    root, held = inverse_factor(_information(x, inner))
    decrement = ((root @ project(x, pull)[..., None]) ** 2).sum((-2, -1))
    return np.asarray(held & (decrement < SOLVED))


def _information(x: Array, w: Array) -> Array:
    return np.asarray(flat(x * w[:, None]) @ flat(x).swapaxes(-1, -2))
