"""Restricted and full maximum likelihood of Gaussian cells, stacked.

Individuals enter through cell counts, cell means and one scatter within cells: an orthogonal transformation splits each cell into its mean
and deviations that carry no random effect, so the likelihood is that of all individuals, exactly. With ``V = sigma2 H`` on the cell means,
``H = diag(1/n) + lambda_cp I + lambda_c J`` cluster by cluster, `H` is inverted by Sherman-Morrison.

References
----------
Patterson HD, Thompson R (1971). Recovery of inter-block information when block sizes are unequal. Biometrika 58, 545-554.
Gilmour AR, Thompson R, Cullis BR (1995). Average information REML. Biometrics 51, 1440-1450.
Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects models using lme4. Journal of Statistical Software 67(1).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import flat, inverse_factor, rows, stacked

Array = NDArray[np.float64]

BLOCK = 256
MAX_TURNS = 80
# Newton decrement at which a fit has converged: the criterion is then within about this of its minimum.
CONVERGED = 1e-11
STUCK = 1e-6
# lme4's threshold for a singular fit is 1e-4 on the relative standard deviation.
SINGULAR = 1e-8


@dataclass(frozen=True)
class CellModel:
    """A stack of Gaussian cell problems. The first axis is R, or 1 where the same array serves all.

    ``y (R, I, T)`` cell means, ``x (R, p, I, T)`` columns, ``n (R, I, T)`` counts with 0 for a cell that is not observed,
    ``syy (R,)``, ``sxy (R, p)``, ``sxx (R, p, p)`` scatter within cells, ``total (R,)`` individuals.
    """

    y: Array
    x: Array
    n: Array
    syy: Array
    sxy: Array
    sxx: Array
    total: Array
    nested: bool
    restricted: bool

    def take(self, which: NDArray[np.int64] | slice) -> CellModel:
        """The replicates `which`."""
        picked = {f.name: rows(getattr(self, f.name), which) for f in fields(self) if f.name not in ("nested", "restricted")}
        return CellModel(**picked, nested=self.nested, restricted=self.restricted)

    @property
    def freedom(self) -> Array:
        """Divisor of the residual variance, ``(R,)``."""
        return np.asarray(self.total - self.x.shape[-3] if self.restricted else self.total)

    @property
    def size(self) -> int:
        """Number of replicates."""
        return int(max(getattr(self, f.name).shape[0] for f in fields(self) if f.name not in ("nested", "restricted")))


def cell_model(
    y: Array, x: Array, n: Array, scatter: tuple[Array, Array, Array], total: Array, lead: tuple[int, ...], nested: bool, restricted: bool
) -> CellModel:
    """Flatten leading axes and centre the outcome, so that sums of squares do not cancel. Period columns must span a constant."""
    weight = n.sum((-2, -1), keepdims=True)
    centre = (n * np.where(n > 0, y, 0.0)).sum((-2, -1), keepdims=True) / weight
    syy, sxy, sxx = scatter
    return CellModel(
        stacked(np.where(n > 0, y - centre, 0.0), lead, 2),
        stacked(x * (n > 0)[..., None, :, :], lead, 3),
        stacked(n, lead, 2),
        stacked(syy, lead, 0),
        stacked(sxy, lead, 1),
        stacked(sxx, lead, 2),
        stacked(total, lead, 0),
        nested,
        restricted,
    )


class Weighing(NamedTuple):
    """``H^-1 = diag(d) - kappa d d'`` in each cluster, and the log determinant with the individuals' constant."""

    d: Array
    kappa: Array
    log_det: Array

    def solve(self, a: Array) -> Array:
        """``H^-1 a`` for ``a (..., I, T)`` with as many axes as `d`."""
        da = self.d * a
        return np.asarray(da - self.kappa * self.d * da.sum(-1, keepdims=True))

    def solve_columns(self, a: Array) -> Array:
        """``H^-1 a`` for ``a (..., p, I, T)``."""
        return Weighing(self.d[..., None, :, :], self.kappa[..., None, :, :], self.log_det).solve(a)


class Fitted(NamedTuple):
    """Pieces of the criterion at given variance ratios."""

    weighing: Weighing
    vx: Array
    root: Array
    half: Array
    squares: Array
    criterion: Array
    definite: NDArray[np.bool_]


def weigh(model: CellModel, ratios: Array) -> Weighing:
    """Precision of the cell means at ``ratios (..., K)``: cluster, then cluster-by-period when nested."""
    cluster = ratios[..., 0, None, None]
    period = ratios[..., 1, None, None] if model.nested else 0.0 * cluster
    d = model.n / (1 + model.n * period)
    s = d.sum(-1, keepdims=True)
    log_det = np.log1p(model.n * period).sum((-2, -1)) + np.log1p(cluster * s).sum((-2, -1))
    return Weighing(d, cluster / (1 + cluster * s), log_det)


def evaluate(model: CellModel, ratios: Array) -> Fitted:
    """The profiled criterion, -2 log (restricted) likelihood, at ``ratios (..., K)``."""
    w = weigh(model, ratios)
    vx = w.solve_columns(model.x)
    root, definite = inverse_factor(flat(vx) @ flat(model.x).swapaxes(-1, -2) + model.sxx)
    half = times(root, times(flat(vx), cells(model.y)) + model.sxy)
    squares = (model.y * w.solve(model.y)).sum((-2, -1)) + model.syy - (half**2).sum(-1)
    squares = np.maximum(squares, np.finfo(float).tiny)
    criterion = _criterion(model, w.log_det, root, squares)
    return Fitted(w, vx, root, half, squares, np.where(definite, criterion, np.inf), definite)


def _criterion(model: CellModel, log_det: Array, root: Array, squares: Array) -> Array:
    freedom = model.freedom
    criterion = freedom * (1 + np.log(2 * np.pi * squares / freedom)) + log_det
    if model.restricted:
        criterion = criterion - 2 * np.log(np.einsum("...ii->...i", root)).sum(-1)
    return np.asarray(criterion)


def cells(table: Array) -> Array:
    return table.reshape((*table.shape[:-2], -1))


def times(matrix: Array, vector: Array) -> Array:
    return np.asarray((matrix @ vector[..., None])[..., 0])


class Slopes(NamedTuple):
    """First derivatives of the criterion and its average information, in the ratios."""

    gradient: Array
    information: Array


def spread(model: CellModel, a: Array) -> list[Array]:
    """``G_k a`` for each random effect: the cluster's sum in each of its cells, and `a` itself."""
    sums = np.broadcast_to(a.sum(-1, keepdims=True), a.shape)
    return [sums, a] if model.nested else [sums]


def residuals(model: CellModel, at: Fitted) -> Array:
    """``H^-1 (y - x b)``, ``(R, I, T)``."""
    beta = times(at.root.swapaxes(-1, -2), at.half)
    return np.asarray(at.weighing.solve(model.y) - combine(beta, at.vx))


def combine(beta: Array, columns: Array) -> Array:
    """``sum_p beta_p columns_p``: ``(R, p)`` and ``(R, p, I, T)`` to ``(R, I, T)``."""
    total = (beta[..., None, :] @ flat(columns))[..., 0, :]
    return np.asarray(total.reshape((*total.shape[:-1], *columns.shape[-2:])))


def slopes(model: CellModel, at: Fitted) -> Slopes:
    """Gradient and average information of the criterion."""
    q = residuals(model, at)
    moved = spread(model, q)
    quad = np.stack([(q * g).sum((-2, -1)) for g in moved], -1)
    gram = projected_gram(at, moved)
    scale = (model.freedom / at.squares)[..., None]
    gradient = traces(model, at) - scale * quad
    information = scale[..., None] * (gram - quad[..., :, None] * quad[..., None, :] / at.squares[..., None, None])
    return Slopes(gradient, information)


def projected_gram(at: Fitted, vectors: list[Array]) -> Array:
    """``g_k' P g_l`` for cell vectors `g`."""
    solved = [at.weighing.solve(g) for g in vectors]
    shadow = [times(at.root, times(flat(at.vx), cells(g))) for g in vectors]
    return pairs(len(vectors), lambda k, m: (vectors[k] * solved[m]).sum((-2, -1)) - (shadow[k] * shadow[m]).sum(-1))


def pairs(count: int, entry) -> Array:  # type: ignore[no-untyped-def]  # a local closure, two ints to an array
    values = {(k, m): entry(k, m) for k in range(count) for m in range(k, count)}
    return np.stack([np.stack([values[min(k, m), max(k, m)] for m in range(count)], -1) for k in range(count)], -2)


def rotated(at: Fitted) -> Array:
    """``L^-1 x' H^-1``, ``(R, p, I, T)``: columns whose outer product is what estimating the mean takes away."""
    return np.asarray((at.root @ flat(at.vx)).reshape(at.vx.shape))


def whole_traces(model: CellModel, at: Fitted) -> Array:
    """``tr(H^-1 G_k)``, ``(R, K)``."""
    d, kappa = at.weighing.d, at.weighing.kappa
    s = d.sum(-1)
    cluster = (s - kappa[..., 0] * s**2).sum(-1)
    period = (d - kappa * d**2).sum((-2, -1))
    return np.stack([cluster, period] if model.nested else [cluster], -1)


def traces(model: CellModel, at: Fitted) -> Array:
    """``tr(P G_k)``, or ``tr(H^-1 G_k)`` for full maximum likelihood, ``(R, K)``."""
    if not model.restricted:
        return whole_traces(model, at)
    u = rotated(at)
    taken = [(u.sum(-1) ** 2).sum((-2, -1)), (u**2).sum((-3, -2, -1))]
    return np.asarray(whole_traces(model, at) - np.stack(taken[: 1 + model.nested], -1))


def maximise(model: CellModel) -> tuple[Array, NDArray[np.bool_]]:
    """Variance ratios ``(R, K)`` at the optimum, and whether each replicate converged."""
    parts = [_maximise_block(model.take(slice(i, i + BLOCK))) for i in range(0, model.size, BLOCK)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _start(model: CellModel) -> Array:
    """The best of a small grid of ratios, spaced around the reciprocal of the mean count."""
    scale = 1 / np.maximum((model.n.sum((-2, -1)) / np.maximum((model.n > 0).sum((-2, -1)), 1)), 1e-12)
    steps = np.array([0.1, 1.0, 10.0, 100.0])
    grid = np.stack(np.meshgrid(*[steps] * (2 if model.nested else 1), indexing="ij"), -1).reshape(
        (len(steps) ** (1 + model.nested), 1, -1)
    )
    criterion = evaluate(model, grid * scale[:, None]).criterion
    best = np.broadcast_to(criterion, (len(grid), model.size)).argmin(0)
    return np.asarray(grid[best, 0] * scale[:, None])


class _Search:
    """Projected Newton over a stack: each turn evaluates one candidate for every replicate still active."""

    def __init__(self, model: CellModel) -> None:
        self.ratios = _start(model)
        self.candidate = self.ratios.copy()
        self.criterion = np.full(len(self.ratios), np.inf)
        self.step = np.zeros_like(self.ratios)
        self.length = np.ones(len(self.ratios))
        self.decrement = np.full(len(self.ratios), np.inf)
        self.active = np.arange(len(self.ratios))
        self.model = model

    def turn(self) -> None:
        """Judge the candidates, accept or shorten, and propose the next."""
        now, part = self.active, self.model.take(self.active)
        at = evaluate(part, self.candidate[now])
        slack = 1e-12 * (1 + np.abs(at.criterion))
        better = (at.criterion <= self.criterion[now] + slack) & at.definite
        self._accept(now[better], part.take(np.flatnonzero(better)), _pick(at, better))
        self.length[now[~better]] /= 4
        self.active = now[(self.decrement[now] > CONVERGED) & (self.length[now] > 1e-9)]
        self.candidate[self.active] = np.maximum(self.ratios[self.active] + self.length[self.active, None] * self.step[self.active], 0)

    def _accept(self, which: NDArray[np.int64], part: CellModel, at: Fitted) -> None:
        if not len(which):
            return
        self.ratios[which], self.criterion[which], self.length[which] = self.candidate[which], at.criterion, 1.0
        self.step[which], self.decrement[which] = _newton_step(self.ratios[which], *slopes(part, at))


def _pick(at: Fitted, keep: NDArray[np.bool_]) -> Fitted:
    chosen = np.flatnonzero(keep)
    vx, root, half, squares, criterion = (rows(piece, chosen) for piece in (at.vx, at.root, at.half, at.squares, at.criterion))
    return Fitted(Weighing(*(rows(piece, chosen) for piece in at.weighing)), vx, root, half, squares, criterion, keep[chosen])


def _newton_step(ratios: Array, gradient: Array, information: Array) -> tuple[Array, Array]:
    """Step over the components that are free to move, and the Newton decrement."""
    free = (ratios > 0) | (gradient < 0)
    slope = np.where(free, gradient, 0.0)
    diagonal = np.einsum("...ii->...i", information)
    ridge = np.where(free, 1e-9 * np.abs(diagonal) + np.finfo(float).tiny, 1.0)[..., None] * np.eye(ratios.shape[-1])
    held = np.where(free[..., None] & free[..., None, :], information, 0.0) + ridge
    step = -np.asarray(np.linalg.solve(held, slope[..., None]), dtype=np.float64)[..., 0]
    return step, -(slope * step).sum(-1)


def _maximise_block(model: CellModel) -> tuple[Array, NDArray[np.bool_]]:
    search = _Search(model)
    for _ in range(MAX_TURNS):
        search.turn()
        if not len(search.active):
            break
    return search.ratios, search.decrement < STUCK
