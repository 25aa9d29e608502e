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
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.likelihood import Forms, Readings, mixed, profiled_criterion
from swedge._kernels.linalg import flat, inverse_factor, rows, stacked
from swedge._kernels.parameters import Parameters
from swedge._kernels.search import Minimum, Slopes, minimise

Array = NDArray[np.float64]

BLOCK = 256


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

    @property
    def columns(self) -> int:
        """Number of coefficients."""
        return int(self.x.shape[-3])

    @property
    def parameters(self) -> Parameters:
        """What there is to estimate beside the residual variance."""
        return Parameters(1 + self.nested)

    def pieces(self) -> list[slice]:
        """Slices of the stack that a processor's cache holds."""
        return [slice(i, i + BLOCK) for i in range(0, self.size, BLOCK)]

    def evaluate(self, point: Array) -> Fitted:
        """The profiled criterion at variance ratios ``(R, K)``."""
        return evaluate(self, point)

    def slopes(self, at: Fitted) -> Slopes:
        """Gradient and average information of the criterion."""
        return slopes(self, at)

    def forms(self, at: Fitted) -> Forms:
        """Traces and quadratic forms of the random effects' covariance."""
        return forms(self, at)

    def readings(self, at: Fitted, contrasts: Array) -> Readings:
        """How the variance of contrasts ``(C, p)``, in units of the residual variance, moves with the ratios."""
        return readings(self, at, contrasts)


def cell_model(
    y: Array, x: Array, n: Array, scatter: tuple[Array, Array, Array], total: Array, lead: tuple[int, ...], nested: bool, restricted: bool
) -> CellModel:
    """Flatten leading axes and centre the outcome, so that sums of squares do not cancel. Period columns must span a constant."""
    syy, sxy, sxx = scatter
    return CellModel(
        stacked(centred(y, n), lead, 2),
        stacked(x * (n > 0)[..., None, :, :], lead, 3),
        stacked(n, lead, 2),
        stacked(syy, lead, 0),
        stacked(sxy, lead, 1),
        stacked(sxx, lead, 2),
        stacked(total, lead, 0),
        nested,
        restricted,
    )


def centred(y: Array, n: Array) -> Array:
    """Outcomes about their weighted mean, 0 where nothing was observed."""
    weight = n.sum((-2, -1), keepdims=True)
    centre = (n * np.where(n > 0, y, 0.0)).sum((-2, -1), keepdims=True) / weight
    return np.where(n > 0, y - centre, 0.0)


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
    point: Array
    vx: Array
    root: Array
    beta: Array
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
    criterion = profiled_criterion(squares, model.freedom, w.log_det, root, model.restricted)
    beta = times(root.swapaxes(-1, -2), half)
    return Fitted(w, ratios, vx, root, beta, squares, np.where(definite, criterion, np.inf), definite)


def cells(table: Array) -> Array:
    return table.reshape((*table.shape[:-2], -1))


def times(matrix: Array, vector: Array) -> Array:
    return np.asarray((matrix @ vector[..., None])[..., 0])


def spread(model: CellModel, a: Array) -> list[Array]:
    """``G_k a`` for each random effect: the cluster's sum in each of its cells, and `a` itself."""
    sums = np.broadcast_to(a.sum(-1, keepdims=True), a.shape)
    return [sums, a] if model.nested else [sums]


def residuals(model: CellModel, at: Fitted) -> Array:
    """``H^-1 (y - x b)``, ``(R, I, T)``."""
    return np.asarray(at.weighing.solve(model.y) - combine(at.beta, at.vx))


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
    return mixed(len(vectors), lambda k, m: (vectors[k] * solved[m]).sum((-2, -1)) - (shadow[k] * shadow[m]).sum(-1))


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


def forms(model: CellModel, at: Fitted) -> Forms:
    """Traces and quadratic forms of ``G_k``; the covariance is linear in the ratios, so there are no second derivatives."""
    q, u = residuals(model, at), rotated(at)
    on_q, on_u = spread(model, q), spread(model, u)
    solved = [at.weighing.solve_columns(h) for h in on_u]
    inner = [flat(u) @ flat(h).swapaxes(-1, -2) for h in on_u]
    count, none = len(on_q), np.zeros((1, len(on_q), len(on_q)))
    return Forms(
        plain=whole_traces(model, at),
        firsts=np.stack([np.einsum("...ii->...", b) for b in inner], -1),
        whole=_plain_traces(model, at),
        once=mixed(count, lambda k, m: (on_u[k] * solved[m]).sum((-3, -2, -1))),
        twice=mixed(count, lambda k, m: (inner[k] * inner[m]).sum((-2, -1))),
        quad=np.stack([(q * g).sum((-2, -1)) for g in on_q], -1),
        gram=projected_gram(at, on_q),
        bent_trace=none,
        bent_quad=none,
    )


def _plain_traces(model: CellModel, at: Fitted) -> Array:
    """``tr(H^-1 G_k H^-1 G_l)``, ``(R, K, K)``."""
    d, kappa = at.weighing.d, at.weighing.kappa[..., 0]
    s, s2, s3 = d.sum(-1), (d**2).sum(-1), (d**3).sum(-1)
    cc = ((s - kappa * s**2) ** 2).sum(-1)
    cp = (s2 * (1 - kappa * s) ** 2).sum(-1)
    pp = (s2 - 2 * kappa * s3 + kappa**2 * s2**2).sum(-1)
    if not model.nested:
        return np.asarray(cc[..., None, None])
    return np.stack([np.stack([cc, cp], -1), np.stack([cp, pp], -1)], -2)


def readings(model: CellModel, at: Fitted, contrasts: Array) -> Readings:
    """Directions ``g = H^-1 x m`` of the contrasts moved by each ``G_k``."""
    half = contrasts @ at.root.swapaxes(-1, -2)
    u = rotated(at)
    g = (half @ flat(u)).reshape((*half.shape[:-1], *u.shape[-2:]))
    moved = spread(model, g)
    solved = [flat(at.weighing.solve_columns(h)) for h in moved]
    shadow = [flat(h) @ flat(u).swapaxes(-1, -2) for h in moved]
    along = np.stack([flat(g) @ flat(h).swapaxes(-1, -2) for h in moved], -3)
    bias = mixed(len(moved), lambda k, m: flat(moved[k]) @ solved[m].swapaxes(-1, -2) - shadow[k] @ shadow[m].swapaxes(-1, -2), tail=2)
    return Readings(half @ half.swapaxes(-1, -2), along, bias)


def maximise(model: CellModel) -> Minimum:
    """Variance ratios at the optimum of each replicate, from the best of a grid spaced around the reciprocal of the mean count."""
    typical = 1 / np.maximum((model.n.sum((-2, -1)) / np.maximum((model.n > 0).sum((-2, -1)), 1)), 1e-12)
    steps = np.array(list(product((0.1, 1.0, 10.0, 100.0), repeat=1 + model.nested)))
    criterion = evaluate(model, steps[:, None] * typical[:, None]).criterion
    best = np.broadcast_to(criterion, (len(steps), model.size)).argmin(0)
    parameters = model.parameters
    return minimise(model, steps[best] * typical[:, None], parameters.lower, parameters.upper)
