"""Generalised estimating equations of clusters given as cells or covariate patterns, stacked.

Individuals of a cluster have working covariance ``A^(1/2) R A^(1/2)`` with ``R = (1 - a) I + Z M Z'``: `Z` puts individuals into
periods, `M` holds correlations by periods, `a` is its diagonal. With `N` the counts of the periods,
``x' R^-1 x = (x' x - p' p) / (1 - a) + p' B^-1 p`` for ``p = N^(-1/2) Z' x`` and ``B = (1 - a) I + N^(1/2) M N^(1/2)``, so that nothing
larger than periods by periods is inverted. The equations of cluster-period means are the same ones: with one mean a period the first
term vanishes.

References
----------
Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. Biometrika 73, 13-22.
Preisser JS, Lu B, Qaqish BF (2008). Finite sample adjustments in estimating equations and covariance estimators for intracluster
correlations. Statistics in Medicine 27, 5764-5785.
Li F, Yu H, Rathouz PJ, Turner EL, Preisser JS (2022). Marginal modeling of cluster-period means and intraclass correlations in stepped
wedge designs with binary outcomes. Biostatistics 23, 772-788.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.gee_correlation import Products, Working
from swedge._kernels.glm import SlotModel, fit_slots, linear
from swedge._kernels.linalg import inverse_factor, rows
from swedge.errors import Status

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

BLOCK = 256
MAX_TURNS = 200
# Turns after which a decay is sought near the last one only; the least share of a step that goes to and fro.
SETTLED, DAMPED = 20, 1 / 256
# Newton decrement of the mean and step of the correlation at which a fit has converged; the second line is still good to six digits.
CONVERGED, STEADY = 1e-18, 1e-11
STUCK, DRIFTING = 1e-10, 1e-7
# A residual variance below this share of what the mean explains is rounding, and steps are not judged beside it.
ROUNDING = 1e-12
# Share of its variance under independence that every combination of a cluster's cells keeps; correlations below that are shrunk.
KEPT = 0.01


@dataclass(frozen=True)
class GEEModel:
    """A stack of problems over slots.

    ``period (I, J, T)`` puts slots into periods, None where every period is one slot; ``inner (R or 1, I, p, p)``,
    ``inner_y (R or 1, I, p)`` and ``inner_yy (R or 1,)`` are cross-products about cell means (Gaussian outcomes only). `moments` is "MAEE",
    "cells" or "pairs"; `free` says whether the dispersion is estimated.
    """

    slots: SlotModel
    period: Array | None
    inner: Array
    inner_y: Array
    inner_yy: Array
    working: Working
    moments: str
    free: bool

    def take(self, which: NDArray[np.int64] | slice) -> GEEModel:
        """The replicates `which`."""
        inner, inner_y, inner_yy = (rows(table, which) for table in (self.inner, self.inner_y, self.inner_yy))
        return replace(self, slots=self.slots.take(which), inner=inner, inner_y=inner_y, inner_yy=inner_yy)

    def gather(self, table: Array) -> Array:
        """Slots added up to periods, ``(..., I, J)`` to ``(..., I, T)``."""
        return table if self.period is None else np.einsum("...ij,ijt->...it", table, self.period)


class GEEFit(NamedTuple):
    """``beta (R, p)``, ``root (R, p, p)``, clusters' cross-products and scores, ``theta (R, 2)``, ``dispersion (R,)``, statuses."""

    beta: Array
    root: Array
    crossed: Array
    scores: Array
    theta: Array
    dispersion: Array
    status: NDArray[np.int8]

    @property
    def leverage(self) -> Array:
        """The largest share of the information on some combination of coefficients that one cluster holds, ``(R,)``."""
        standard = self.root[:, None] @ self.crossed @ self.root.swapaxes(-1, -2)[:, None]
        return np.asarray(np.linalg.eigvalsh(standard)[..., -1].max(-1))


class Sums(NamedTuple):
    """Sums over each cell ``(R, I, T)``: individuals, variances, standard deviations, residuals, and the columns of the mean's derivative.

    ``tall`` and ``short`` are standardised columns ``(R, I, T, p)`` and residuals over root counts; the rest of the cross-products, about
    cell means, is ``within (R, I, p, p)`` and ``within_score (R, I, p)``; ``squares (R,)`` adds up individuals' squared standardised
    residuals.
    """

    n: Array
    variance: Array
    sd: Array
    residual: Array
    slope: Array
    tall: Array
    short: Array
    within: Array
    within_score: Array
    squares: Array


def fit_gee(model: GEEModel) -> GEEFit:
    """Fit every replicate, block after block."""
    size = max(model.slots.size, len(model.inner), len(model.inner_y), len(model.inner_yy))
    parts = [_Iteration(model.take(slice(i, i + BLOCK)), min(BLOCK, size - i)).run() for i in range(0, size, BLOCK)]
    return GEEFit(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Iteration:
    """One Fisher step of the mean and one solution for the correlation a turn, until each replicate stands still."""

    def __init__(self, model: GEEModel, size: int) -> None:
        self.model = model
        self.beta, self.status = _start(model, size)
        self.theta = np.zeros((size, 2))
        self.dispersion = np.ones(size)
        self.moved, self.drift = np.full(size, np.inf), np.full(size, np.inf)
        self.bent = np.zeros(size, dtype=bool)
        self.identified = np.ones(size, dtype=bool)
        self.share, self.gap = np.ones(size), np.zeros((size, 2))
        self.active = np.flatnonzero(self.status == Status.OK)

    def run(self) -> GEEFit:
        """Turn until nothing is active, and report everything at the last parameters."""
        for turn in range(MAX_TURNS):
            if not len(self.active):
                break
            self._turn(turn)
        sums = cell_sums(self.model, self.beta)
        root, definite, crossed, scores = _equations(self.model, sums, self.theta)
        sound = np.asarray(np.isfinite(crossed).all((-3, -2, -1)) & np.isfinite(scores).all((-2, -1)))
        crossed, scores = np.where(sound[:, None, None, None], crossed, 0.0), np.where(sound[:, None, None], scores, 0.0)
        status = np.where(self.bent, Status.SINGULAR, Status.OK)
        still = (self.moved < STUCK) & (self.drift < DRIFTING) & definite & sound & _inside(self.model, self.beta)
        status = np.where(still, status, Status.NOT_CONVERGED)
        status = np.where(self.identified, status, Status.RANK_DEFICIENT)
        status = np.where(self.status == Status.OK, status, self.status).astype(np.int8)
        return GEEFit(self.beta, root, crossed, scores, self.theta, self.dispersion, status)

    def _turn(self, turn: int) -> None:
        now, part = self.active, self.model.take(self.active)
        root, definite, _, scores = _equations(part, cell_sums(part, self.beta[now]), self.theta[now])
        if not turn:  # under independence, so a loss of rank is the columns' own
            self.identified[now] = definite
        half = (root @ scores.sum(-2)[..., None])[..., 0]
        self.beta[now] += (root.swapaxes(-1, -2) @ half[..., None])[..., 0]
        sums = cell_sums(part, self.beta[now])
        near = self.theta[now, 1] if turn > SETTLED else None
        theta, self.dispersion[now], self.bent[now] = _correlation(part, sums, self.theta[now], root, near)
        gap = self._damped(now, theta - self.theta[now])
        self.theta[now] += self.share[now, None] * gap
        explained = (np.linalg.solve(root.swapaxes(-1, -2), self.beta[now][..., None]) ** 2).sum((-2, -1))
        self.moved[now] = (half**2).sum(-1) / (self.dispersion[now] + ROUNDING * explained)
        self.drift[now] = np.abs(gap).max(-1)
        going = (self.moved[now] > CONVERGED) | (self.drift[now] > STEADY) | ~np.isfinite(self.moved[now])
        self.active = now[going & definite & np.isfinite(self.beta[now]).all(-1)]

    def _damped(self, now: NDArray[np.int64], gap: Array) -> Array:
        """Halve the steps of replicates whose correlation goes to and fro without coming closer."""
        last = self.gap[now]
        back = ((gap * last).sum(-1) < 0) & ((gap**2).sum(-1) > (last**2).sum(-1) / 4)
        self.share[now] = np.maximum(np.where(back, self.share[now] / 2, self.share[now]), DAMPED)
        self.gap[now] = gap
        return gap


def _start(model: GEEModel, size: int) -> tuple[Array, NDArray[np.int8]]:
    """Coefficients under independence; a Gaussian mean is found in one step from zero."""
    if model.slots.family.name == "gaussian":
        return np.zeros((size, model.slots.x.shape[1])), np.zeros(size, dtype=np.int8)
    fit = fit_slots(model.slots)
    return np.broadcast_to(fit.beta, (size, fit.beta.shape[1])).copy(), np.broadcast_to(fit.status, (size,)).copy()


def _inside(model: GEEModel, beta: Array) -> Flags:
    """Whether every fitted mean lies inside the family's range."""
    mean = model.slots.family.mean(linear(model.slots, beta))
    return np.asarray(((model.slots.family.variance(mean) > 0) | (model.slots.n == 0)).all((-2, -1)))


def cell_sums(model: GEEModel, beta: Array) -> Sums:
    """Everything that the equations need at `beta`."""
    slots, family = model.slots, model.slots.family
    eta = linear(slots, beta)
    mean = family.mean(eta)
    variance = np.maximum(family.variance(mean), np.finfo(float).tiny)
    sd, rate, residual = np.sqrt(variance), family.rate(eta), slots.y - mean
    n, columns = slots.n, np.moveaxis(slots.x, 1, -1)
    share = n * rate / sd
    counts = model.gather(n)
    per_root = np.divide(1.0, np.sqrt(counts), out=np.zeros_like(counts), where=counts > 0)
    tall = _gathered(model, share[..., None] * columns) * per_root[..., None]
    short = model.gather(n * residual / sd) * per_root
    within, within_score = _within(model, beta, tall, short, (columns, share * rate / sd, share * residual / sd))
    slope = _gathered(model, (n * rate)[..., None] * columns)
    sums = model.gather(n * variance), model.gather(n * sd), model.gather(n * residual)
    return Sums(counts, *sums, slope, tall, short, within, within_score, _squares(model, beta, variance, residual))


def _gathered(model: GEEModel, columns: Array) -> Array:
    """Columns ``(R, I, J, p)`` of slots added up to periods."""
    return columns if model.period is None else np.einsum("rijp,ijt->ritp", columns, model.period, optimize=True)


def _within(model: GEEModel, beta: Array, tall: Array, short: Array, slot: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Cross-products and scores of deviations from cells: of patterns in their cell, and of individuals' covariates."""
    crossed, score = model.inner, model.inner_y - (model.inner @ beta[:, None, :, None])[..., 0]
    if model.period is None:
        return crossed, score
    columns, weight, pull = slot
    whole = (columns * weight[..., None]).swapaxes(-1, -2) @ columns
    whole_score = (columns.swapaxes(-1, -2) @ pull[..., None])[..., 0]
    crossed = crossed + whole - tall.swapaxes(-1, -2) @ tall
    return crossed, score + whole_score - (tall.swapaxes(-1, -2) @ short[..., None])[..., 0]


def _squares(model: GEEModel, beta: Array, variance: Array, residual: Array) -> Array:
    """Individuals' squared standardised residuals, ``(R,)``; those of a count about its mean are not known, and taken to be 0."""
    y, n = model.slots.y, model.slots.n
    about = y * (1 - y) if model.slots.family.name == "binomial" else np.zeros(1)
    moment, gram = model.inner_y.sum(-2), model.inner.sum(-3)
    inner = model.inner_yy - 2 * (beta * moment).sum(-1) + (beta * (gram @ beta[..., None])[..., 0]).sum(-1)
    return np.asarray((n * (about + residual**2) / variance).sum((-2, -1)) + inner)


def _equations(model: GEEModel, sums: Sums, theta: Array) -> tuple[Array, Flags, Array, Array]:
    """``root``, whether it exists, each cluster's cross-product and score, at dispersion 1."""
    matrix = model.working.matrix(theta)
    left = (1 - matrix[:, 0, 0])[:, None, None]
    factor, _ = inverse_factor(_scaled(matrix, sums.n))
    columns, residual = factor @ sums.tall, factor @ sums.short[..., None]
    crossed = columns.swapaxes(-1, -2) @ columns + sums.within / left[..., None]
    scores = (columns.swapaxes(-1, -2) @ residual)[..., 0] + sums.within_score / left
    root, definite = inverse_factor(crossed.sum(-3))
    size = len(theta)
    return _each(root, size), _each(definite, size), _each(crossed, size), _each(scores, size)


def _each(table: NDArray[Any], size: int) -> NDArray[Any]:
    """One row a replicate."""
    return np.broadcast_to(table, (size, *table.shape[1:]))


def _scaled(matrix: Array, n: Array) -> Array:
    """``B``: the covariance of cells beside that of independent individuals, ``(R, I, T, T)``."""
    spread = np.sqrt(n)
    both = spread[..., :, None] * spread[..., None, :]
    left = (1 - matrix[:, 0, 0])[:, None, None, None]
    return np.asarray(matrix[:, None] * both + left * np.eye(matrix.shape[-1]))


def _correlation(model: GEEModel, sums: Sums, theta: Array, root: Array, near: Array | None) -> tuple[Array, Array, Flags]:
    """New correlations that are possible, the dispersion, and whether they had to be shrunk for it."""
    pull = _adjusted(model, sums, theta, root) if model.moments == "MAEE" else sums.residual
    counts = model.slots.family.name == "poisson"
    if not model.working.estimated:
        fixed = _each(_dispersion(sums, pull) if model.free else 1 / (1 - model.working.matrix(theta)[:, 0, 0] * counts), len(theta))
        return theta, fixed, np.zeros(len(theta), dtype=bool)
    dispersion = _dispersion(sums, pull) if model.free else np.ones(len(theta))
    found = model.working.solve(_pairs(sums, dispersion) if model.moments == "pairs" else _cells(sums, pull, dispersion, counts), near)
    if counts:  # the parameters found are beside a variance of 1 within cells
        dispersion = np.maximum(1 + found[:, 0], KEPT)
        found = model.working.shrunk(found, 1 / dispersion)
    share = _possible(model.working, found, sums.n)
    return model.working.shrunk(found, share), dispersion, (share < 1) | model.working.edge(found)


def _adjusted(model: GEEModel, sums: Sums, theta: Array, root: Array) -> Array:
    """Residuals ``(I - H)^-1 r`` of cell sums; left as they are in a cluster that alone informs some of its cells."""
    matrix = model.working.matrix(theta)
    empty = sums.n == 0
    diagonal = sums.variance * (1 - matrix[:, 0, 0])[:, None, None] + empty
    eye = np.eye(matrix.shape[-1])
    covariance = matrix[:, None] * (sums.sd[..., :, None] * sums.sd[..., None, :]) + diagonal[..., None] * eye
    spent = sums.slope @ root[:, None].swapaxes(-1, -2)
    inverse, definite = inverse_factor(covariance - spent @ spent.swapaxes(-1, -2))
    solved = inverse.swapaxes(-1, -2) @ (inverse @ sums.residual[..., None])
    return np.where(definite[..., None], (covariance @ solved)[..., 0], sums.residual)


def _dispersion(sums: Sums, pull: Array) -> Array:
    """Mean squared standardised residual of an individual, ``(R,)``, adjusted between cells as `pull` is."""
    change = np.divide((pull - sums.residual) * sums.residual, sums.n, out=np.zeros_like(pull), where=sums.n > 0)
    return np.asarray((sums.squares + change.sum((-2, -1))) / sums.n.sum((-2, -1)))


def _cells(sums: Sums, pull: Array, dispersion: Array, counts: bool) -> Products:
    """Products of cell means, each pair of cells weighing as its covariance does; of two periods the earlier one's residual is adjusted.

    An individual's variance is the family's; of `counts` it is that within a cell, so that clusters add to it.
    """
    per = np.divide(1.0, sums.n, out=np.zeros_like(sums.n), where=sums.n > 0)
    unit = dispersion[:, None, None]
    sd, own = sums.sd * per, sums.variance * per**2
    weight = sd**2 - (0.0 if counts else own)
    within = weight * (pull * sums.residual * per**2 / unit - own)
    earlier, later = sd * pull * per / unit, sd * sums.residual * per
    between = np.triu(earlier.swapaxes(-1, -2) @ later, 1)
    return Products(within.sum((-2, -1)), (weight**2).sum((-2, -1)), between, np.triu((sd**2).swapaxes(-1, -2) @ sd**2, 1))


def _pairs(sums: Sums, dispersion: Array) -> Products:
    """Products of Pearson residuals, every pair of individuals weighing the same."""
    total = sums.short * np.sqrt(sums.n)
    within = ((total**2).sum((-2, -1)) - sums.squares) / dispersion / 2
    between = np.triu(total.swapaxes(-1, -2) @ total, 1) / dispersion[:, None, None]
    return Products(within, (sums.n * (sums.n - 1)).sum((-2, -1)) / 2, between, np.triu(sums.n.swapaxes(-1, -2) @ sums.n, 1))


def _possible(working: Working, theta: Array, n: Array) -> Array:
    """The share of each replicate's correlations, 1 or less, that leaves every combination of cells some variance, ``(R,)``."""
    share = np.ones(len(theta))
    odd = np.flatnonzero(~working.ordinary(theta))
    if len(odd):
        matrix = working.matrix(theta[odd])
        scaled = _scaled(matrix, rows(n, odd))
        sound = np.asarray(np.isfinite(scaled).all((-3, -2, -1)))
        values = np.asarray(np.linalg.eigvalsh(np.where(sound[:, None, None, None], scaled, np.eye(scaled.shape[-1]))))[..., 0].min(-1)
        least = np.minimum(values, 1 - matrix[:, 0, 0])
        share[odd] = np.where(sound, np.minimum(1.0, (1 - KEPT) / np.maximum(1 - least, 1 - KEPT)), 0.0)
    return share
