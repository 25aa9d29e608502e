"""Maximum likelihood of a generalised linear mixed model: quasi-Newton over a stack, and the covariance of what it finds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.laplace import LatentModel, Point, evaluate, information
from swedge._kernels.linalg import inverse_factor
from swedge.errors import Status

Array = NDArray[np.float64]

MAX_TURNS = 100
# Variances move most in the first turns; the information they imply is taken anew after these.
FIRST_TURNS = 4
# Newton decrement, in units of the log-likelihood, at which the search ends, and the largest that counts as converged.
CONVERGED, NEARLY = 1e-14, 1e-6
# Step of the central difference that turns gradients into a Hessian, relative to each parameter's own scale.
DIFFERENCE = 1e-4
# lme4 calls a random effect whose standard deviation is below this singular.
SINGULAR = 1e-4
# Statuses of the start from which a search goes on.
GOES_ON = (Status.OK, Status.NOT_CONVERGED)
# A direction of the random effects' parameters with less than this share of its scale's information is flat.
FLAT = 1e-6


class LatentFit(NamedTuple):
    """``beta (R, p)`` with its covariance, ``theta (R, m)``, ``criterion (R,)`` = -2 log-likelihood, ``mu (R, I, J)``, status."""

    beta: Array
    theta: Array
    covariance: Array
    criterion: Array
    mu: Array
    status: NDArray[np.int8]


class _Search:
    """BFGS steps from an approximate information; parameters that may change sign are reflected."""

    def __init__(self, model: LatentModel, start: Array, sound: NDArray[np.bool_]) -> None:
        self.model, self.theta = model, start
        u = np.zeros((len(start), model.slots.x.shape[-2], model.loadings.width))
        first = evaluate(model, start, u)
        self.value, self.gradient, self.u = first.value, first.gradient, first.u
        self.inverse = _inverse(information(model, start, self.u))
        self.length = np.ones(len(start))
        self.decrement = np.full(len(start), np.inf)
        self.active = np.flatnonzero(np.isfinite(self.value) & sound)

    def run(self) -> None:
        """Turn until every replicate has converged or given up."""
        for turn in range(MAX_TURNS):
            if not len(self.active):
                break
            if turn == FIRST_TURNS:
                now = self.active
                self.inverse[now] = _inverse(information(self.model.take(now), self.theta[now], self.u[now]))
            self._turn()

    def improve(self, other: _Search) -> None:
        """Take over the replicates in which the other search converged and came higher, or in which this one did not converge."""
        stuck = ~(self.decrement < NEARLY)
        better = (other.decrement < NEARLY) & (stuck | (other.value > self.value))
        self.theta[better], self.u[better] = other.theta[better], other.u[better]
        self.value[better], self.decrement[better] = other.value[better], other.decrement[better]

    def _turn(self) -> None:
        """One candidate for every replicate still active."""
        now, p = self.active, self.model.slots.x.shape[1]
        step = (self.inverse[now] @ self.gradient[now][..., None])[..., 0]
        self.decrement[now] = (step * self.gradient[now]).sum(-1)
        trial = self.theta[now] + self.length[now, None] * step
        trial[:, p:] = np.where(self.model.loadings.reflected, np.abs(trial[:, p:]), trial[:, p:])
        at = evaluate(self.model.take(now), trial, self.u[now])
        better = at.value >= self.value[now] - 1e-13 * np.abs(self.value[now])
        self._accept(now[better], trial[better], at, better)
        self.length[now[~better]] /= 4
        self.active = now[(self.decrement[now] > CONVERGED) & (self.length[now] > 1e-8)]

    def _accept(self, which: NDArray[np.int64], trial: Array, at: Point, better: NDArray[np.bool_]) -> None:
        moved, turned = trial - self.theta[which], self.gradient[which] - at.gradient[better]
        self.inverse[which] = _bfgs(self.inverse[which], moved, turned)
        self.theta[which], self.value[which] = trial, at.value[better]
        self.gradient[which], self.u[which], self.length[which] = at.gradient[better], at.u[better], 1.0


def _inverse(m: Array) -> Array:
    root, _ = inverse_factor(m)
    return np.asarray(root.swapaxes(-1, -2) @ root)


def _bfgs(inverse: Array, moved: Array, turned: Array) -> Array:
    """Update of the inverse information; skipped where the curvature along the step is not positive."""
    bend = (moved * turned).sum(-1)
    sound = bend > 1e-14 * np.sqrt((moved**2).sum(-1) * (turned**2).sum(-1))
    rho = np.where(sound, 1 / np.where(sound, bend, 1.0), 0.0)[:, None, None]
    left = np.eye(moved.shape[-1]) - rho * moved[:, :, None] * turned[:, None, :]
    updated = left @ inverse @ left.swapaxes(-1, -2) + rho * moved[:, :, None] * moved[:, None, :]
    return np.where(sound[:, None, None], updated, inverse)


def fit_latent(model: LatentModel, beta: Array, status: NDArray[np.int8]) -> LatentFit:
    """Maximise from coefficients ``beta (R, p)``; a replicate whose `status` says that they cannot be found is not gone on with."""
    sound = np.isin(status, GOES_ON) & np.isfinite(beta).all(-1)
    begin = np.where(sound[:, None], beta, 0.0)
    first, *others = (_searched(model, begin, theta, sound) for theta in model.loadings.starts)
    for other in others:
        first.improve(other)
    return _finish(model, first, status)


def _searched(model: LatentModel, beta: Array, theta: Array, sound: NDArray[np.bool_]) -> _Search:
    search = _Search(model, np.concatenate([beta, np.broadcast_to(theta, (len(beta), len(theta)))], -1), sound)
    search.run()
    return search


def _finish(model: LatentModel, search: _Search, start: NDArray[np.int8]) -> LatentFit:
    p = model.slots.x.shape[1]
    at = evaluate(model, search.theta, search.u)
    hessian = _hessian(model, search.theta, at)
    covariance, definite = _covariance(hessian, information(model, search.theta, at.u), p)
    singular = model.loadings.singular(search.theta[:, p:], SINGULAR)
    status = np.where(singular, Status.SINGULAR, Status.OK)
    status = np.where((search.decrement < NEARLY) & definite & np.isfinite(at.value), status, Status.NOT_CONVERGED)
    status = np.where(np.isin(start, GOES_ON), status, start)
    slots = model.slots
    constant = slots.family.constant(slots.y, np.maximum(slots.n, 1e-300)) * (slots.n > 0)
    criterion = -2 * (at.value + constant.sum((-2, -1)))
    return LatentFit(search.theta[:, :p], search.theta[:, p:], covariance, criterion, at.mu, status.astype(np.int8))


def _covariance(hessian: Array, scale: Array, p: int) -> tuple[Array, NDArray[np.bool_]]:
    """Covariance of the coefficients, and whether this is a maximum.

    Directions in which the likelihood does not tell the random effects' parameters apart, such as a decay where nothing varies, are left
    out of what the coefficients share their information with.
    """
    size = np.sqrt(np.einsum("...ii->...i", scale))[:, p:]
    inner = hessian[:, p:, p:] / size[:, :, None] / size[:, None, :]
    across = hessian[:, :p, p:] / size[:, None, :]
    sound = np.asarray(np.isfinite(hessian).all((-2, -1)))
    values, vectors = np.linalg.eigh(np.where(sound[:, None, None], inner, np.eye(inner.shape[-1])))
    told = np.abs(values) > FLAT
    turned = across @ vectors * np.where(told, 1 / np.sqrt(np.where(told, np.abs(values), 1.0)), 0.0)[:, None, :]
    root, definite = inverse_factor(np.where(sound[:, None, None], hessian[:, :p, :p] - turned @ turned.swapaxes(-1, -2), np.nan))
    return root.swapaxes(-1, -2) @ root, definite & sound & (values > -FLAT).all(-1)


def _hessian(model: LatentModel, theta: Array, at: Point) -> Array:
    """Information by central differences of the exact gradient, two evaluations a parameter."""
    scale = DIFFERENCE / np.sqrt(np.einsum("...ii->...i", information(model, theta, at.u)))
    columns = []
    for k in range(theta.shape[-1]):
        shift = np.zeros_like(theta)
        shift[:, k] = scale[:, k]
        ahead, behind = (evaluate(model, theta + sign * shift, at.u).gradient for sign in (1, -1))
        columns.append((behind - ahead) / (2 * scale[:, k, None]))
    hessian = np.stack(columns, -1)
    return np.asarray((hessian + hessian.swapaxes(-1, -2)) / 2)
