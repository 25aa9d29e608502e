"""The likelihood of a generalised linear mixed model by Laplace's approximation or adaptive quadrature, and its gradient, stacked.

A cluster's slots have ``eta = x b + (L(theta) u)`` at the slot's cell, `u` independent standard normals. With ``f(u)`` the log density of
the outcomes less ``u'u / 2``, its mode ``u`` and ``A = I + L'WL``, `W` the observed information of the cells, Laplace's log-likelihood is
``f(u) - log|A| / 2``: that of glmmTMB for every link, and of lme4's ``glmer`` with ``nAGQ = 1`` for canonical links (for others glmer puts
the expected information in `W`). With one random effect, ``q`` nodes about the mode integrate instead; ``q = 1`` is Laplace.

References
----------
Breslow NE, Clayton DG (1993). Approximate inference in generalized linear mixed models. Journal of the American Statistical Association
88, 9-25. Pinheiro JC, Bates DM (1995). Approximations to the log-likelihood function in the nonlinear mixed-effects model. Journal of
Computational and Graphical Statistics 4, 12-35. Skaug HJ, Fournier DA (2006). Automatic approximation of the marginal likelihood in
non-Gaussian hierarchical models. Computational Statistics and Data Analysis 51, 699-709.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.density import DENSITIES, Density
from swedge._kernels.glm import SlotModel, linear
from swedge._kernels.linalg import flat, project, small_inverse
from swedge._kernels.loadings import Load, Loadings

Array = NDArray[np.float64]

MODE_STEPS = 60
# A Newton step this small leaves an error of its square.
MODE_STEP = 1e-7
LARGEST_STEP = 5.0
ROOT_TWO_PI = float(np.sqrt(2 * np.pi))
# Information on a parameter of the random effects is not let below this where it only scales steps.
LEAST_INFORMATION = 1e-3


@dataclass(frozen=True, eq=False)
class LatentModel:
    """Slots, the random effects of their cells, `period (I, J)` of each slot (None where slots are cells), and quadrature nodes."""

    slots: SlotModel
    loadings: Loadings
    period: NDArray[np.int64] | None = None
    nodes: int = 1

    @property
    def density(self) -> Density:
        """Of one observation."""
        return DENSITIES[self.slots.family.name, self.slots.family.link]

    def take(self, which: NDArray[np.int64] | slice) -> LatentModel:
        """The replicates `which`."""
        part = LatentModel(self.slots.take(which), self.loadings.take(which), self.period, self.nodes)
        if self.period is not None:
            part.__dict__["_here"] = self._here
        return part

    @cached_property
    def _here(self) -> Array:
        """Which cell each slot belongs to, ``(I, J, T)``."""
        assert self.period is not None
        return np.asarray(self.period[..., None] == np.arange(self.loadings.arm.shape[-1]), dtype=np.float64)

    def cells(self, table: Array) -> Array:
        """A slot table added up over cells, ``(R, I, T)``."""
        if self.period is None:
            return table
        sums: Array = table.swapaxes(0, 1) @ self._here
        return sums.swapaxes(0, 1)

    def spread(self, table: Array) -> Array:
        """A cell table looked up for every slot, ``(R, I, J)``."""
        if self.period is None:
            return table
        return np.asarray(np.take_along_axis(table, np.broadcast_to(self.period, (len(table), *self.period.shape)), axis=-1))


class Point(NamedTuple):
    """The likelihood at one parameter vector: ``value (R,)``, ``gradient (R, p + m)``, modes ``u (R, I, k)``, means ``mu (R, I, J)``."""

    value: Array
    gradient: Array
    u: Array
    mu: Array


class _Mode(NamedTuple):
    """The mode of one parameter vector, and what belongs to it.

    ``w, bend, score (R, I, J)`` of slots, `cell_w` and `cell_score` of cells. With the shared columns ``l`` of `L` and the own ones ``g``,
    ``d = 1 + g^2 w`` is the lower block of `A` and `inverse` that of the Schur complement ``I + l'(w / d) l`` of its upper block.
    """

    u: Array
    eta: Array
    score: Array
    w: Array
    bend: Array
    cell_w: Array
    cell_score: Array
    d: Array
    inverse: Array
    logdet: Array


def evaluate(model: LatentModel, theta: Array, u: Array) -> Point:
    """Log-likelihood and its exact gradient at ``theta = (b, theta)``, the modes and nodes moving along; nan where it has none."""
    p = model.slots.x.shape[1]
    fixed, load = _fixed(model, theta[:, :p]), model.loadings.at(theta[:, p:])
    at = _mode(model, fixed, load, u)
    value, gradient = _integrated(model, fixed, load, at)
    value = np.where(np.isfinite(at.logdet).all(-1), value, np.nan)
    return Point(value, gradient, at.u, model.slots.family.mean(at.eta))


def _fixed(model: LatentModel, beta: Array) -> Array:
    return np.broadcast_to(linear(model.slots, beta), (len(beta), *model.slots.x.shape[-2:]))


def _counted(n: Array, part: Array) -> Array:
    """`n` observations of each; none where there are none, whatever the predictor."""
    return np.where(n > 0, n * part, 0.0)


def _out(load: Load, u: Array) -> Array:
    """Cells' random effects ``(R, I, T)``."""
    k = load.lead.shape[-1]
    shared = np.einsum("ritk,rik->rit", load.lead, u[..., :k])
    return np.asarray(shared if load.own is None else shared + load.own * u[..., k:])


def _back(load: Load, table: Array) -> Array:
    """Cells' sums over loadings ``(R, I, k)``."""
    shared = np.einsum("ritk,rit->rik", load.lead, table)
    return np.asarray(shared if load.own is None else np.concatenate([shared, load.own * table], -1))


def _solve(load: Load, at: _Mode, right: Array) -> Array:
    """``A^-1`` times ``right (R, I, k)``."""
    if load.own is None:
        return np.asarray(np.einsum("rikl,ril->rik", at.inverse, right))
    k = load.lead.shape[-1]
    upper, lower = right[..., :k], right[..., k:]
    tie = load.own * at.cell_w / at.d
    first = np.einsum("rikl,ril->rik", at.inverse, upper - np.einsum("ritk,rit->rik", load.lead, tie * lower))
    return np.concatenate([first, lower / at.d - tie * np.einsum("ritk,rik->rit", load.lead, first)], -1)


def _at(model: LatentModel, fixed: Array, load: Load, u: Array) -> _Mode:
    """Everything at ``u``."""
    slots = model.slots
    eta = fixed + model.spread(_out(load, u))
    score, w, bend = (_counted(slots.n, part) for part in model.density.slopes(slots.y, eta))
    cell_w = model.cells(w)
    d = np.ones(1) if load.own is None else 1 + load.own**2 * cell_w
    inner = np.einsum("ritk,ritl->rikl", load.lead, load.lead * (cell_w / d)[..., None]) + np.eye(load.lead.shape[-1])
    inverse, logdet = small_inverse(inner)
    logdet = logdet if load.own is None else logdet + np.log(d).sum(-1)
    return _Mode(u, eta, score, w, bend, cell_w, model.cells(score), d, inverse, logdet)


def _mode(model: LatentModel, fixed: Array, load: Load, u: Array) -> _Mode:
    """Newton's method, a step cut to a quarter where the slope along it has turned and grown.

    The integrand is concave, so its slope along a step falls from the start on: it is judged by that, without a logarithm. Once most
    replicates stand still the others go on alone.
    """
    at = _at(model, fixed, load, u)
    gradient, step = _newton(load, at)
    for _ in range(MODE_STEPS):
        moving = np.flatnonzero((np.abs(step) > MODE_STEP).any((-2, -1)))
        if not len(moving):
            break
        if 2 * len(moving) < len(step):
            u, step = at.u + step, np.zeros_like(step)
            u[moving] = _mode(model.take(moving), fixed[moving], load.take(moving), at.u[moving]).u
            at = at._replace(u=u)
            break
        ahead = _at(model, fixed, load, at.u + step)
        new_gradient, new_step = _newton(load, ahead)
        good = np.abs((step * new_gradient).sum(-1)) <= (step * gradient).sum(-1)
        if good.all():
            at, gradient, step = ahead, new_gradient, new_step
        else:
            at = _Mode(*(_chosen(good, new, old) for new, old in zip(ahead, at, strict=True)))
            gradient, step = _chosen(good, new_gradient, gradient), _chosen(good, new_step, step / 4)
    return _at(model, fixed, load, at.u + np.where(np.abs(step) <= MODE_STEP, step, 0.0))


def _chosen(good: NDArray[np.bool_], new: Array, old: Array) -> Array:
    if new.ndim == 1:
        return new
    return np.where(good.reshape(good.shape + (1,) * (new.ndim - 2)), new, old)


def _newton(load: Load, at: _Mode) -> tuple[Array, Array]:
    """Gradient in `u` and Newton's step, cut where it is long."""
    gradient = _back(load, at.cell_score) - at.u
    step = _solve(load, at, gradient)
    longest = np.abs(step).max(-1, keepdims=True)
    return gradient, step * np.minimum(1.0, LARGEST_STEP / np.maximum(longest, LARGEST_STEP))


class _Sums(NamedTuple):
    """Sums over nodes, weighted by their share of the integral.

    ``value (R, I)`` of each cluster, ``score (R, I, J)`` of slots, ``outer (R, I, T, k)`` of loadings on shared normals, ``pull (R, I, k)``
    on the mode and ``stretch (R, I)`` of the scale.
    """

    value: Array
    score: Array
    outer: Array
    pull: Array
    stretch: Array


def _integrated(model: LatentModel, fixed: Array, load: Load, at: _Mode) -> tuple[Array, Array]:
    """Value and gradient, by one solve with ``A`` for the movement of the modes (an adjoint).

    ``A du = dL's - L'W (x db + dL u)`` and ``d log|A| = tr(A^-1 dA)``, ``dW = W' deta``; nodes are ``u + c A^(-1/2)``, so that their values
    add `pull` to the mode's adjoint and `stretch` to that of the log determinant.
    """
    sums = _laplace_sums(model, load, at) if model.nodes == 1 else _node_sums(model, fixed, load, at)
    stretch = sums.stretch[..., None]
    turned = np.einsum("ritk,rikl->ritl", load.lead, at.inverse)
    share = (turned * load.lead).sum(-1) / at.d**2
    leverage = share if load.own is None else share + load.own**2 / at.d
    half = -0.5 * model.spread(stretch * leverage) * at.bend
    cell_half = model.cells(half)
    adjoint = _solve(load, at, _back(load, cell_half) + sums.pull)
    moved = _out(load, adjoint)
    d_beta = project(model.slots.x, sums.score + half - at.w * model.spread(moved))
    pushed = cell_half - at.cell_w * moved
    slopes = [*_shared_slopes(load, at, sums, pushed, adjoint, (stretch * at.cell_w / at.d)[..., None] * turned)]
    if load.own is not None:
        k = load.lead.shape[-1]
        held = stretch * at.cell_w * load.own * (1 / at.d - at.cell_w * share)
        slopes.append(((at.cell_score + pushed) * at.u[..., k:] + at.cell_score * adjoint[..., k:] - held).sum((-2, -1)))
    return (sums.value - 0.5 * at.logdet).sum(-1), np.concatenate([d_beta, np.stack(slopes, -1)], -1)


def _shared_slopes(load: Load, at: _Mode, sums: _Sums, pushed: Array, adjoint: Array, held: Array) -> list[Array]:
    """Slope of the log-likelihood along each parameter of the shared columns, ``(R,)``."""
    k = load.lead.shape[-1]
    table = sums.outer + pushed[..., None] * at.u[..., None, :k] + at.cell_score[..., None] * adjoint[..., None, :k] - held
    return [(part * table).sum((-3, -2, -1)) for part in load.turn]


def _laplace_sums(model: LatentModel, load: Load, at: _Mode) -> _Sums:
    value = _counted(model.slots.n, model.density.value(model.slots.y, at.eta)).sum(-1) - 0.5 * (at.u**2).sum(-1)
    outer = at.cell_score[..., None] * at.u[..., None, : load.lead.shape[-1]]
    return _Sums(value, at.score, outer, np.zeros(at.u.shape), np.ones(value.shape))


def _node_sums(model: LatentModel, fixed: Array, load: Load, at: _Mode) -> _Sums:
    """Gauss-Hermite nodes about the mode; one random effect a cluster. Nodes are on axis 0."""
    x, weight = np.polynomial.hermite_e.hermegauss(model.nodes)
    scale = np.sqrt(at.inverse[..., 0])
    u = at.u + x[:, None, None, None] * scale
    value, score = (np.stack(rows) for rows in zip(*(_node(model, fixed, load, node) for node in u), strict=True))
    cells = np.stack([model.cells(table) for table in score])
    slope = np.stack([_back(load, table) for table in cells]) - u
    total, share = _softmax(value - 0.5 * u[..., 0] ** 2 + 0.5 * x[:, None, None] ** 2, weight / ROOT_TWO_PI)
    pull = (share[..., None] * slope).sum(0)
    stretch = 1 + (share * x[:, None, None] * (slope * scale)[..., 0]).sum(0)
    outer = (share[..., None, None] * cells[..., None] * u[..., None, :]).sum(0)
    return _Sums(total, (share[..., None] * score).sum(0), outer, pull, stretch)


def _node(model: LatentModel, fixed: Array, load: Load, u: Array) -> tuple[Array, Array]:
    """Log density ``(R, I)`` and scores of slots at `u`."""
    slots = model.slots
    eta = fixed + model.spread(_out(load, u))
    value = _counted(slots.n, model.density.value(slots.y, eta)).sum(-1)
    return value, _counted(slots.n, model.density.slopes(slots.y, eta)[0])


def _softmax(logs: Array, weight: Array) -> tuple[Array, Array]:
    """Log of the weighted sum of exponentials over axis 0, and each term's share of it."""
    top = logs.max(0)
    terms = weight[:, None, None] * np.exp(logs - top)
    total = terms.sum(0)
    return top + np.log(total), terms / total


def information(model: LatentModel, theta: Array, u: Array) -> Array:
    """Information ``(R, p + m, p + m)`` of the Gaussian model that the mode sees: where to start, and how long steps are.

    ``x'Px`` for `b`, ``tr(P V_j P V_k) / 2`` for theta, ``V_j`` the derivative of ``LL'`` and ``P = W - W L A^-1 L'W``.
    """
    slots, p = model.slots, model.slots.x.shape[1]
    load = model.loadings.at(theta[:, p:])
    at = _at(model, _fixed(model, theta[:, :p]), load, u)
    full, turn = load.dense(at.cell_w.shape[-1])
    weighted = full * at.cell_w[..., None]
    inverse, _ = small_inverse(full.swapaxes(-1, -2) @ weighted + np.eye(full.shape[-1]))
    precision = at.cell_w[..., None] * np.eye(full.shape[-2]) - weighted @ inverse @ weighted.swapaxes(-1, -2)
    moves = [precision @ (part @ full.swapaxes(-1, -2) + full @ part.swapaxes(-1, -2)) for part in turn]
    inner = np.stack([np.stack([0.5 * (a * b.swapaxes(-1, -2)).sum((-3, -2, -1)) for b in moves], -1) for a in moves], -1)
    columns = slots.x * at.w[:, None]
    sums = np.stack([model.cells(columns[:, j]) for j in range(p)], 1)
    shrunk = np.einsum("ritk,rpit->rpik", full, sums)
    lost = np.einsum("rpik,rikl,rqil->rpq", shrunk, inverse, shrunk, optimize=True)
    return _blocks(flat(columns) @ flat(slots.x).swapaxes(-1, -2) - lost, inner)


def _blocks(outer: Array, inner: Array) -> Array:
    p, m = outer.shape[-1], inner.shape[-1]
    full = np.zeros((*outer.shape[:-2], p + m, p + m))
    full[..., :p, :p], full[..., p:, p:] = outer, inner + LEAST_INFORMATION * np.eye(m)
    return full
