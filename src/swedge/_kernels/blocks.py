"""Restricted and full maximum likelihood of Gaussian cells whose covariance is any structure, stacked.

Cells are laid out in blocks that are independent of each other: one a cluster, or a single one where random effects cross clusters.
Individuals enter exactly: through their cell means and the scatter inside cells, or in a closed cohort through the cohort's mean profile
and scatter, whose deviations are more blocks with the covariance of one individual and no random effect of the cluster. Everything is
whitened by the Cholesky factor of each block, and derivatives are exact to second order.

References
----------
Patterson HD, Thompson R (1971). Recovery of inter-block information when block sizes are unequal. Biometrika 58, 545-554.
Lindstrom MJ, Bates DM (1988). Newton-Raphson and EM algorithms for linear mixed-effects models for repeated-measures data. Journal of the
American Statistical Association 83, 1014-1022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.covariance import Covariance
from swedge._kernels.likelihood import Forms, Readings, mixed, profiled_criterion
from swedge._kernels.linalg import flat, inverse_factor, rows
from swedge._kernels.parameters import Parameters
from swedge._kernels.search import MAX_TURNS, Minimum, Slopes, minimise

Array = NDArray[np.float64]

# Numbers in the covariances of one block of replicates: what a processor's cache holds beside its derivatives.
ROOM = 400_000
# Every group of starts has so many searches of so many turns; so many of the minima they come near are followed to the end.
BEST, TURNS, KEPT = 2, 6, 3
# Criteria closer than this are of one minimum.
SAME = 1e-5


class Scatter(NamedTuple):
    """Sums of squares and products of what no parameter moves: ``syy (R,)``, ``sxy (R, p)``, ``sxx (R, p, p)``."""

    syy: Array
    sxy: Array
    sxx: Array


class At(NamedTuple):
    """Pieces of the criterion at given parameters; `inverse` are the blocks' inverse Cholesky factors, `u` whitened unit columns."""

    point: Array
    inverse: Array
    u: Array
    q: Array
    root: Array
    beta: Array
    squares: Array
    criterion: Array
    definite: NDArray[np.bool_]


@dataclass(frozen=True)
class BlockModel:
    """A stack of problems. The first axis is R, or 1 where the same array serves all.

    ``y (R, B, M)``, ``x (R, p, B, M)``, 0 where a cell is not observed, ``copies (R, B)``: how many independent vectors share a block's
    covariance, ``constant (R,)``: the log counts, ``total (R,)`` observations, `typical` reciprocals ``(R,)`` of cells' mean and harmonic
    mean count.
    """

    y: Array
    x: Array
    copies: Array
    scatter: Scatter
    constant: Array
    total: Array
    covariance: Covariance
    restricted: bool
    typical: tuple[Array, Array]

    def take(self, which: NDArray[np.int64] | slice) -> BlockModel:
        """The replicates `which`."""
        y, x, copies, constant, total = (rows(own, which) for own in (self.y, self.x, self.copies, self.constant, self.total))
        scatter = Scatter(*(rows(piece, which) for piece in self.scatter))
        covariance, typical = self.covariance.take(which), (rows(self.typical[0], which), rows(self.typical[1], which))
        return BlockModel(y, x, copies, scatter, constant, total, covariance, self.restricted, typical)

    @property
    def size(self) -> int:
        """Number of replicates."""
        arrays = (self.y, self.x, self.copies, self.constant, self.total, *self.scatter, self.covariance.base, *self.covariance.shapes)
        return int(max(array.shape[0] for array in arrays))

    @property
    def parameters(self) -> Parameters:
        """What there is to estimate beside the residual variance."""
        return self.covariance.parameters

    @property
    def columns(self) -> int:
        """Number of coefficients."""
        return int(self.x.shape[-3])

    @property
    def freedom(self) -> Array:
        """Divisor of the residual variance, ``(R,)``."""
        return np.asarray(self.total - self.columns if self.restricted else self.total)

    def pieces(self) -> list[slice]:
        """Slices of the stack that fit in `ROOM`."""
        step = max(1, ROOM // int(np.prod(self.covariance.base.shape[1:])))
        return [slice(i, i + step) for i in range(0, self.size, step)]

    def evaluate(self, point: Array) -> At:
        """The profiled criterion, -2 log (restricted) likelihood, at ``point (R or 1, K)``."""
        inverse, sound = inverse_factor(self.covariance.total(self.parameters.outward(point)))
        ys = (inverse @ self.y[..., None])[..., 0]
        xs = (inverse[:, None] @ self.x[..., None])[..., 0]
        columns = flat(xs)
        root, definite = inverse_factor(columns @ columns.swapaxes(-1, -2) + self.scatter.sxx)
        half = (root @ ((columns @ ys.reshape((len(ys), -1, 1)))[..., 0] + self.scatter.sxy)[..., None])[..., 0]
        squares = np.maximum((ys**2).sum((-2, -1)) + self.scatter.syy - (half**2).sum(-1), np.finfo(float).tiny)
        u = (root @ columns).reshape((-1, *xs.shape[1:]))
        q = ys - (half[:, None, :] @ flat(u)).reshape((-1, *ys.shape[1:]))
        log_det = self.constant - 2 * (self.copies * np.log(np.einsum("...mm->...m", inverse)).sum(-1)).sum(-1)
        criterion = profiled_criterion(squares, self.freedom, log_det, root, self.restricted)
        definite = definite & sound.all(-1)
        beta = (root.swapaxes(-1, -2) @ half[..., None])[..., 0]
        return At(point, inverse, u, q, root, beta, squares, np.where(definite, criterion, np.inf), definite)

    def slopes(self, at: At) -> Slopes:
        """Gradient and exact second derivatives of the criterion in the parameters."""
        forms, chain = self.forms(at), self.parameters.chain(at.point)
        gradient, curvature = forms.profiled(self.freedom, at.squares, self.restricted)
        moved = chain.swapaxes(-1, -2)
        outward = (moved @ gradient[..., None])[..., 0]
        return Slopes(outward, moved @ curvature @ chain + self.parameters.bent(gradient))

    def forms(self, at: At) -> Forms:
        """Traces and quadratic forms of the derivatives of the covariance, in its ratios."""
        ratios = self.parameters.outward(at.point)
        first = [_whitened(at.inverse, g) for g in self.covariance.first(ratios)]
        second = {pair: _whitened(at.inverse, g) for pair, g in self.covariance.second(ratios).items()}
        copies = self.copies[..., None, None]
        count = len(first)
        on_u = [_along(d, at.u) for d in first]
        on_q = [(d @ at.q[..., None])[..., 0] for d in first]
        inner = [flat(at.u) @ flat(g).swapaxes(-1, -2) for g in on_u]
        shadow = [(flat(at.u) @ g.reshape((len(g), -1, 1)))[..., 0] for g in on_q]
        return Forms(
            plain=np.stack([(self.copies * np.einsum("...mm->...", d)).sum(-1) for d in first], -1),
            firsts=np.stack([np.einsum("...pp->...", b) for b in inner], -1),
            whole=mixed(count, lambda k, m: (copies * first[k] * first[m]).sum((-3, -2, -1))),
            once=mixed(count, lambda k, m: (on_u[k] * on_u[m]).sum((-3, -2, -1))),
            twice=mixed(count, lambda k, m: (inner[k] * inner[m]).sum((-2, -1))),
            quad=np.stack([(at.q * g).sum((-2, -1)) for g in on_q], -1),
            gram=mixed(count, lambda k, m: (on_q[k] * on_q[m]).sum((-2, -1)) - (shadow[k] * shadow[m]).sum(-1)),
            bent_trace=self._bent(count, second, lambda d: self._trace(d, at.u)),
            bent_quad=self._bent(count, second, lambda d: (at.q * (d @ at.q[..., None])[..., 0]).sum((-2, -1))),
        )

    def _trace(self, d: Array, u: Array) -> Array:
        whole = (self.copies * np.einsum("...mm->...", d)).sum(-1)
        return np.asarray(whole - (u * _along(d, u)).sum((-3, -2, -1)) if self.restricted else whole)

    @staticmethod
    def _bent(count: int, second: dict[tuple[int, int], Array], read) -> Array:  # type: ignore[no-untyped-def]  # a local closure
        values = {pair: read(d) for pair, d in second.items()}
        none = 0.0 * next(iter(values.values())) if values else np.zeros(1)
        return mixed(count, lambda k, m: values.get((k, m), none))

    def readings(self, at: At, contrasts: Array) -> Readings:
        """How the variance of contrasts ``(C, p)``, in units of the residual variance, moves with the ratios."""
        ratios = self.parameters.outward(at.point)
        half = contrasts @ at.root.swapaxes(-1, -2)
        g = (half @ flat(at.u)).reshape((len(half), len(contrasts), *at.u.shape[-2:]))
        first = [_along(_whitened(at.inverse, shape), g) for shape in self.covariance.first(ratios)]
        shadow = [flat(moved) @ flat(at.u).swapaxes(-1, -2) for moved in first]
        along = np.stack([flat(moved) @ flat(g).swapaxes(-1, -2) for moved in first], 1)
        bias = mixed(
            len(first),
            lambda k, m: flat(first[k]) @ flat(first[m]).swapaxes(-1, -2) - shadow[k] @ shadow[m].swapaxes(-1, -2),
            tail=2,
        )
        return Readings(half @ half.swapaxes(-1, -2), along, bias)


def _whitened(inverse: Array, shape: Array) -> Array:
    return np.asarray(inverse @ shape @ inverse.swapaxes(-1, -2))


def _along(matrix: Array, columns: Array) -> Array:
    """``matrix columns`` for ``(R, B, M, M)`` and ``(R, p, B, M)``."""
    return np.asarray(np.moveaxis(matrix @ np.moveaxis(columns, -3, -1), -1, -3))


def maximise_blocks(model: BlockModel) -> Minimum:
    """The best minimum of each replicate: a few turns from the best starts of every group, then on from the best of what they reach."""
    starts = [start for group in model.parameters.starts(*model.typical) for start in _best(model, group)]
    rough = [_minimise(model, start, TURNS) for start in starts]
    found = [_minimise(model, reached.point) for reached in _apart(rough)]
    best = np.argmin([np.where(m.converged, m.criterion, np.inf) for m in found], axis=0)
    return _chosen(found, best)


def _best(model: BlockModel, group: Array) -> list[Array]:
    """The `BEST` points ``(R, K)`` of a group ``(S, R or 1, K)``."""
    order = np.argsort([np.broadcast_to(model.evaluate(point).criterion, model.size) for point in group], axis=0)
    points = np.broadcast_to(group, (len(group), model.size, group.shape[-1]))
    return [points[which, np.arange(model.size)] for which in order[:BEST]]


def _minimise(model: BlockModel, start: Array, turns: int = MAX_TURNS) -> Minimum:
    return minimise(model, start, model.parameters.lower, model.parameters.upper, turns)


def _apart(rough: list[Minimum]) -> list[Minimum]:
    """The `KEPT` lowest of each replicate that are not the same minimum over again."""
    heights = np.stack([np.minimum(m.criterion, np.finfo(float).max) for m in rough])
    order = np.argsort(heights, axis=0, kind="stable")
    ranked = np.take_along_axis(heights, order, 0)
    again = np.diff(ranked, axis=0, prepend=-np.inf) < SAME
    order = np.take_along_axis(order, np.argsort(again, axis=0, kind="stable"), 0)
    return [_chosen(rough, which) for which in order[:KEPT]]


def _chosen(found: list[Minimum], which: NDArray[np.int64]) -> Minimum:
    """Minimum number `which` ``(R,)`` of each replicate."""
    return Minimum(*(np.stack(pieces)[which, np.arange(len(which))] for pieces in zip(*found, strict=True)))
