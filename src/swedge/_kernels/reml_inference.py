"""Standard errors and degrees of freedom of contrasts in a Gaussian mixed model.

For one contrast both approximations are ``df = 2 v^2 / (g' W g)``, `v` its variance, `g` the gradient of `v` in the variance parameters
and `W` their covariance: from observed information for Satterthwaite, from expected information for Kenward-Roger, which also inflates `v`.

References
----------
Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum likelihood. Biometrics 53, 983-997.
Fai AHT, Cornelius PL (1996). Approximate F-tests of multiple degree of freedom hypotheses in generalized least squares analyses of
unbalanced split-plot experiments. Journal of Statistical Computation and Simulation 54, 363-378.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linalg import flat, inverse_factor
from swedge._kernels.reml import (
    BLOCK,
    SINGULAR,
    CellModel,
    Fitted,
    combine,
    evaluate,
    maximise,
    pairs,
    projected_gram,
    residuals,
    rotated,
    spread,
    times,
    whole_traces,
)

Array = NDArray[np.float64]

# Degrees of freedom below this come of an information that is singular but for rounding.
LEAST = 1e-4


class MixedFit(NamedTuple):
    """One row a replicate: contrasts ``(R, K)``, variances ``(R, 1 + components)`` with the residual first."""

    estimate: Array
    std_error: Array
    df: Array
    beta: Array
    variances: Array
    criterion: Array
    converged: NDArray[np.bool_]
    singular: NDArray[np.bool_]
    definite: NDArray[np.bool_]


def fit_mixed(model: CellModel, contrasts: Array, df: str) -> MixedFit:
    """Maximise and infer. `contrasts` is ``(K, p)``; `df` is "kenward-roger", "satterthwaite" or anything else for none (inf)."""
    ratios, converged = maximise(model)
    blocks = [slice(i, i + BLOCK) for i in range(0, model.size, BLOCK)]
    parts = [infer(model.take(block), ratios[block], converged[block], contrasts, df) for block in blocks]
    return MixedFit(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))


def infer(model: CellModel, ratios: Array, converged: NDArray[np.bool_], contrasts: Array, df: str) -> MixedFit:
    """Estimates, standard errors and df at given variance ratios."""
    at = evaluate(model, ratios)
    sigma2 = at.squares / model.freedom
    beta = times(at.root.swapaxes(-1, -2), at.half)
    results = [_contrast(model, at, ratios, sigma2, c, df) for c in contrasts]
    variances = np.concatenate([sigma2[:, None], sigma2[:, None] * ratios], -1)
    stacks = [np.stack([r[j] for r in results], -1) for j in (0, 1)]
    singular = np.asarray((ratios < SINGULAR).any(-1))
    definite = np.broadcast_to(at.definite, singular.shape)
    return MixedFit(beta @ contrasts.T, stacks[0], stacks[1], beta, variances, at.criterion, converged, singular, definite)


def _contrast(model: CellModel, at: Fitted, ratios: Array, sigma2: Array, contrast: Array, df: str) -> tuple[Array, Array]:
    m = times(at.root.swapaxes(-1, -2), times(at.root, np.broadcast_to(contrast, at.half.shape)))
    v = (contrast * m).sum(-1)
    if df == "satterthwaite":
        return np.sqrt(sigma2 * v), _satterthwaite(model, at, ratios, m, v)
    if df == "kenward-roger":
        inflation, freedom = _kenward_roger(model, at, ratios, m, v)
        return np.sqrt(sigma2 * (v + inflation)), freedom
    return np.sqrt(sigma2 * v), np.full_like(v, np.inf)


def _directions(model: CellModel, at: Fitted, m: Array) -> tuple[list[Array], Array]:
    """``g = H^-1 x m`` moved by each ``G_k``, and ``a_k = m' x' H^-1 G_k H^-1 x m``."""
    g = combine(m, at.vx)
    moved = spread(model, g)
    return moved, np.stack([(g * h).sum((-2, -1)) for h in moved], -1)


def _satterthwaite(model: CellModel, at: Fitted, ratios: Array, m: Array, v: Array) -> Array:
    """From the observed information in (sigma2, ratios), sigma2 in units of itself; components at zero drop out.

    nan where the information is singular: the components cannot be told from each other.
    """
    _, a = _directions(model, at, m)
    q = residuals(model, at)
    moved = spread(model, q)
    scale = (model.freedom / at.squares)[..., None]
    quad = np.stack([(q * g).sum((-2, -1)) for g in moved], -1)
    curvature = 2 * scale[..., None] * projected_gram(at, moved) - _double_traces(model, at, ratios)[0]
    inside = ratios >= SINGULAR
    hessian = _bordered(np.broadcast_to(model.freedom, v.shape), scale * quad, curvature, inside)
    gradient = np.concatenate([v[..., None], np.where(inside, a, 0.0)], -1)
    root, definite = inverse_factor(hessian)
    spent = (times(root, gradient) ** 2).sum(-1)
    df = v**2 / np.where(spent > 0, spent, np.nan)
    return np.where(definite & (df > LEAST), df, np.nan)


def _bordered(corner: Array, edge: Array, inner: Array, inside: NDArray[np.bool_]) -> Array:
    """Information over sigma2 and the ratios, with the identity for ratios at zero."""
    edge = np.where(inside, edge, 0.0)
    both = inside[..., :, None] & inside[..., None, :]
    inner = np.where(both, inner, np.eye(inner.shape[-1]))
    top = np.concatenate([corner[..., None, None], edge[..., None, :]], -1)
    return np.concatenate([top, np.concatenate([edge[..., :, None], inner], -1)], -2)


def _double_traces(model: CellModel, at: Fitted, ratios: Array) -> tuple[Array, Array, Array, Array, Array]:
    """``tr(P G_k P G_l)`` (without the mean's part for full likelihood) and the pieces it is made of.

    Those are ``tr(H^-1 G_k H^-1 G_l)``, ``tr(H^-1 G_k)``, ``tr(M^-1 C_kl)`` and ``tr(M^-1 A_k M^-1 A_l)``.
    """
    whole = _plain_traces(model, at)
    u = rotated(at)
    moved = spread(model, u)
    solved = [at.weighing.solve_columns(h) for h in moved]
    inner = [flat(u) @ flat(h).swapaxes(-1, -2) for h in moved]
    once = pairs(len(moved), lambda k, m: (moved[k] * solved[m]).sum((-3, -2, -1)))
    twice = pairs(len(moved), lambda k, m: (inner[k] * inner[m]).sum((-2, -1)))
    firsts = np.stack([np.einsum("...ii->...", b) for b in inner], -1)
    both = whole - 2 * once + twice if model.restricted else whole
    return both, whole, firsts, once, twice


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


def _with_residual(ratios: Array, corner: Array, linear: Array, square: Array) -> Array:
    """Extend a form in ``G_k`` to include ``G_0 = H - sum_k ratio_k G_k``, the residual, given the forms with `H` itself."""
    crossed = (square * ratios[..., None, :]).sum(-1)
    edge = linear - crossed
    first = corner - 2 * (linear * ratios).sum(-1) + (crossed * ratios).sum(-1)
    top = np.concatenate([first[..., None, None], edge[..., None, :]], -1)
    return np.concatenate([top, np.concatenate([edge[..., :, None], square], -1)], -2)


def _kenward_roger(model: CellModel, at: Fitted, ratios: Array, m: Array, v: Array) -> tuple[Array, Array]:
    """Inflation of the variance (in units of sigma2) and degrees of freedom.

    With ``H = G_0 + sum_k ratio_k G_k`` every form in ``G_0`` follows from forms in `H`: ``C_Hk = A_k``, ``C_HH = A_H = M``.
    """
    moved, a = _directions(model, at, m)
    columns = float(model.x.shape[-3])
    _, whole, firsts, once, twice = _double_traces(model, at, ratios)
    information = (
        _with_residual(ratios, model.total, whole_traces(model, at), whole)
        - 2 * _with_residual(ratios, np.asarray(columns), firsts, once)
        + _with_residual(ratios, np.asarray(columns), firsts, twice)
    )
    covariance = 2 * np.linalg.pinv(information, hermitian=True)
    # With k = H the bias term m'(C_kl - A_k M^-1 A_l)m is m'(A_l - A_l)m = 0.
    bias = _with_residual(ratios, 0 * v, 0 * a, projected_gram(at, moved))
    inflation = 2 * (covariance * bias).sum((-2, -1))
    full = np.concatenate([(v - (ratios * a).sum(-1))[..., None], a], -1)
    spent = (full * (covariance @ full[..., None])[..., 0]).sum(-1)
    return inflation, 2 * v**2 / spent
