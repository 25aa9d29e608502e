"""The Laplace approximation for a generalised linear mixed model with one random intercept a cluster, stacked.

With ``eta = x b + tau u``, `u` standard normal, the approximate log-likelihood of a cluster is
``sum n (y eta - B(eta)) - u^2/2 - log(1 + tau^2 sum w)/2`` at the mode of `u`; this is the criterion of lme4's ``glmer`` with ``nAGQ = 1``.

References
----------
Breslow NE, Clayton DG (1993). Approximate inference in generalized linear mixed models. Journal of the American Statistical Association
88, 9-25. Bates D, Maechler M, Bolker B, Walker S (2015). Fitting linear mixed-effects models using lme4. Journal of Statistical Software
67(1).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.glm import SlotFit, SlotModel
from swedge._kernels.linalg import flat, inverse_factor, project
from swedge.errors import Status

Array = NDArray[np.float64]

MODE_STEPS = 25
MAX_TURNS = 60
CONVERGED = 1e-14
# Step of the central difference that turns gradients into a Hessian, relative to each parameter's own scale.
DIFFERENCE = 1e-4
# lme4 calls a random-intercept standard deviation below this singular.
SINGULAR = 1e-4


class LaplaceFit(NamedTuple):
    """``beta (R, p)``, ``tau (R,)``, covariance of beta ``(R, p, p)``, ``criterion (R,)`` = -2 log-likelihood, ``mu (R, I, J)``, status."""

    beta: Array
    tau: Array
    covariance: Array
    criterion: Array
    mu: Array
    status: NDArray[np.int8]


class _Point(NamedTuple):
    """The approximation at one parameter vector: modes ``u (R, I)`` are carried along as the next starting value."""

    value: Array
    gradient: Array
    information: Array
    u: Array
    mu: Array


def _mode(model: SlotModel, fixed: Array, tau: Array, u: Array) -> tuple[Array, Array, Array, Array]:
    """Mode of each cluster's effect by Newton's method, with `mu` and `w` there."""
    scale = tau[:, None]
    for _ in range(MODE_STEPS):
        mu = model.family.mean(fixed + (scale * u)[..., None])
        w = model.n * model.family.variance(mu)
        curve = 1 + scale**2 * w.sum(-1)
        step = (scale * (model.n * (model.y - mu)).sum(-1) - u) / curve
        u = u + np.clip(step, -5, 5)
        if not (np.abs(step) > 1e-12 * (1 + np.abs(u))).any():
            break
    eta = fixed + (scale * u)[..., None]
    mu = model.family.mean(eta)
    return u, eta, mu, model.n * model.family.variance(mu)


def _point(model: SlotModel, theta: Array, u: Array) -> _Point:
    """Log-likelihood, its exact gradient and an approximate information at ``theta = (b, tau)``."""
    beta, tau = theta[:, :-1], theta[:, -1]
    fixed = (beta[:, None, :] @ flat(model.x))[:, 0].reshape((len(theta), *model.n.shape[1:])) + model.offset
    u, eta, mu, w = _mode(model, fixed, tau, u)
    curve = 1 + tau[:, None] ** 2 * w.sum(-1)
    value = (model.n * (model.y * eta - model.family.cumulant(eta))).sum((-2, -1)) - 0.5 * (u**2 + np.log(curve)).sum(-1)
    gradient, information = _derivatives(model, tau, u, mu, w, curve)
    return _Point(value, gradient, information, u, mu)


def _derivatives(model: SlotModel, tau: Array, u: Array, mu: Array, w: Array, curve: Array) -> tuple[Array, Array]:
    """Gradient in (b, tau), the mode moving along; information ``x' (W^-1 + tau^2 J)^-1 x`` with the tau part from the curvature.

    ``deta = dx + tau du``; ``du/db = -tau sum(w x)/curve``; ``du/dtau = (sum n(y-mu) - tau u sum w)/curve``.
    """
    scale = tau[:, None]
    residual = model.n * (model.y - mu)
    total, pull = w.sum(-1), residual.sum(-1)
    bend = w * model.family.slope(mu)
    wx = (model.x * w[:, None]).sum(-1)
    du_tau = (pull - scale * u * total) / curve
    bent = bend.sum(-1)
    lead = scale**2 / curve
    d_beta = project(model.x, residual - 0.5 * lead[..., None] * bend) + 0.5 * (wx * (lead * scale**2 * bent / curve)[:, None]).sum(-1)
    d_tau = (pull * u - 0.5 * (2 * scale * total / curve + lead * bent * (u + scale * du_tau))).sum(-1)
    base = flat(model.x * w[:, None]) @ flat(model.x).swapaxes(-1, -2)
    info = base - (wx * lead[:, None]) @ wx.swapaxes(-1, -2)
    # The tau entry is that of a variance seen through total/curve^... at the mode: 2 (tau total / curve)^2, kept away from zero.
    tau_info = (2 * (scale * total / curve) ** 2).sum(-1)
    return np.concatenate([d_beta, d_tau[:, None]], -1), _bordered(info, np.maximum(tau_info, 1e-3))


def _bordered(inner: Array, corner: Array) -> Array:
    size = inner.shape[-1] + 1
    full = np.zeros((*inner.shape[:-2], size, size))
    full[..., :-1, :-1], full[..., -1, -1] = inner, corner
    return full


class _Search:
    """Quasi-Newton (BFGS) steps from the approximate information; the likelihood is even in tau, so a negative step is reflected."""

    def __init__(self, model: SlotModel, start: Array) -> None:
        self.model = model
        self.theta = start
        self.u = np.zeros((len(start), model.n.shape[1]))
        first = _point(model, self.theta, self.u)
        self.value, self.gradient, self.u = first.value, first.gradient, first.u
        root, _ = inverse_factor(first.information)
        self.inverse = root.swapaxes(-1, -2) @ root
        self.length = np.ones(len(start))
        self.decrement = np.full(len(start), np.inf)
        self.active = np.arange(len(start))

    def turn(self) -> None:
        """One candidate for every replicate still active."""
        now = self.active
        step = (self.inverse[now] @ self.gradient[now][..., None])[..., 0]
        self.decrement[now] = (step * self.gradient[now]).sum(-1)
        trial = self.theta[now] + self.length[now, None] * step
        trial[:, -1] = np.abs(trial[:, -1])
        at = _point(self.model.take(now), trial, self.u[now])
        better = at.value >= self.value[now] - 1e-13 * np.abs(self.value[now])
        self._accept(now[better], trial[better], at, better)
        self.length[now[~better]] /= 4
        self.active = now[(self.decrement[now] > CONVERGED) & (self.length[now] > 1e-8)]

    def _accept(self, which: NDArray[np.int64], trial: Array, at: _Point, better: NDArray[np.bool_]) -> None:
        moved, turned = trial - self.theta[which], self.gradient[which] - at.gradient[better]
        self.inverse[which] = _bfgs(self.inverse[which], moved, turned)
        self.theta[which], self.value[which] = trial, at.value[better]
        self.gradient[which], self.u[which], self.length[which] = at.gradient[better], at.u[better], 1.0


def _bfgs(inverse: Array, moved: Array, turned: Array) -> Array:
    """Update of the inverse information; skipped where the curvature along the step is not positive."""
    bend = (moved * turned).sum(-1)
    sound = bend > 1e-14 * np.sqrt((moved**2).sum(-1) * (turned**2).sum(-1))
    rho = np.where(sound, 1 / np.where(sound, bend, 1.0), 0.0)[:, None, None]
    left = np.eye(moved.shape[-1]) - rho * moved[:, :, None] * turned[:, None, :]
    updated = left @ inverse @ left.swapaxes(-1, -2) + rho * moved[:, :, None] * moved[:, None, :]
    return np.where(sound[:, None, None], updated, inverse)


def fit_laplace(model: SlotModel, start: SlotFit) -> LaplaceFit:
    """Maximise from a fit that ignores the clusters (or holds them fixed) in `start`."""
    beta = start.beta
    search = _Search(model, np.concatenate([beta, np.full((len(beta), 1), 0.3)], -1))
    for _ in range(MAX_TURNS):
        search.turn()
        if not len(search.active):
            break
    return _finish(model, search, start)


def _finish(model: SlotModel, search: _Search, start: SlotFit) -> LaplaceFit:
    at = _point(model, search.theta, search.u)
    hessian = _hessian(model, search.theta, at)
    singular = search.theta[:, -1] < SINGULAR
    hessian[:, -1, :-1] = np.where(singular[:, None], 0.0, hessian[:, -1, :-1])
    hessian[:, :-1, -1] = hessian[:, -1, :-1]
    hessian[:, -1, -1] = np.where(singular, 1.0, hessian[:, -1, -1])
    root, definite = inverse_factor(hessian)
    covariance = (root.swapaxes(-1, -2) @ root)[:, :-1, :-1]
    status = np.where(singular, Status.SINGULAR, Status.OK)
    status = np.where((search.decrement < 1e-6) & definite, status, Status.NOT_CONVERGED)
    status = np.where(np.isin(start.status, [Status.OK, Status.NOT_CONVERGED]), status, start.status)
    constant = model.family.constant(model.y, np.maximum(model.n, 1e-300)) * (model.n > 0)
    criterion = -2 * (at.value + constant.sum((-2, -1)))
    return LaplaceFit(search.theta[:, :-1], search.theta[:, -1], covariance, criterion, at.mu, status.astype(np.int8))


def _hessian(model: SlotModel, theta: Array, at: _Point) -> Array:
    """Information by central differences of the exact gradient, two evaluations a parameter."""
    scale = DIFFERENCE / np.sqrt(np.einsum("...ii->...i", at.information))
    columns = []
    for k in range(theta.shape[-1]):
        shift = np.zeros_like(theta)
        shift[:, k] = scale[:, k]
        ahead, behind = (_point(model, theta + sign * shift, at.u).gradient for sign in (1, -1))
        columns.append((behind - ahead) / (2 * scale[:, k, None]))
    hessian = np.stack(columns, -1)
    return np.asarray((hessian + hessian.swapaxes(-1, -2)) / 2)
