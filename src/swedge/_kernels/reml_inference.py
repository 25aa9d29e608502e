"""Standard errors and degrees of freedom of contrasts in a Gaussian mixed model.

For one contrast both approximations are ``df = 2 v^2 / (g' W g)``, `v` its variance, `g` the gradient of `v` in the variance parameters
and `W` their covariance: from observed information for Satterthwaite, from expected information for Kenward-Roger, which also inflates `v`.
Kenward-Roger is of first order in the covariance: where a decay is estimated, the term in second derivatives of the covariance is left out.
It depends on how the decay is written, and diverges as a decay over a lag below 2 comes to 0. Without it no parametrisation matters, and
the adjusted variance is never below `v`.

References
----------
Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum likelihood. Biometrics 53, 983-997.
Kenward MG, Roger JH (2009). An improved approximation to the precision of fixed effects from restricted maximum likelihood. Computational
Statistics and Data Analysis 53, 2583-2595.
Fai AHT, Cornelius PL (1996). Approximate F-tests of multiple degree of freedom hypotheses in generalized least squares analyses of
unbalanced split-plot experiments. Journal of Statistical Computation and Simulation 54, 363-378.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.likelihood import Forms, Readings
from swedge._kernels.parameters import EDGE, Parameters
from swedge._kernels.search import Minimum

Array = NDArray[np.float64]

# Degrees of freedom below this come of an information that is singular but for rounding.
LEAST = 1e-4
# A combination of parameters with less than this share of its information cannot be told from others.
BLIND = 1e-10


class Model(Protocol):
    """A stack of Gaussian likelihoods profiled over their scale."""

    @property
    def restricted(self) -> bool:
        """Whether the likelihood is the restricted one."""

    @property
    def total(self) -> Array:
        """Observations, ``(R,)``."""

    @property
    def freedom(self) -> Array:
        """Divisor of the residual variance, ``(R,)``."""

    @property
    def columns(self) -> int:
        """Number of coefficients."""

    @property
    def parameters(self) -> Parameters:
        """What there is to estimate beside the residual variance."""

    def pieces(self) -> list[slice]:
        """Slices of the stack that are worked on one after the other."""

    def take(self, which: NDArray[np.int64] | slice) -> Self:
        """Some replicates."""

    def evaluate(self, point: Array) -> Any:
        """The criterion and what it is made of."""

    def forms(self, at: Any) -> Forms:
        """Traces and quadratic forms there."""

    def readings(self, at: Any, contrasts: Array) -> Readings:
        """What contrasts make of it."""


class MixedFit(NamedTuple):
    """One row a replicate: contrasts ``(R, C)``, their covariance ``(R, C, C)`` and df.

    Variances ``(R, 1 + K)`` have the residual first, then every ratio times it; a decay comes last, as it is. `point`
    is where that is in the kernel's parameters.
    """

    estimate: Array
    covariance: Array
    df: Array
    variances: Array
    criterion: Array
    converged: NDArray[np.bool_]
    singular: NDArray[np.bool_]
    definite: NDArray[np.bool_]
    point: Array


def fit_mixed(model: Model, contrasts: Array, df: str, maximise: Callable[[Any], Minimum]) -> MixedFit:
    """Maximise and infer. `contrasts` is ``(C, p)``; `df` is "kenward-roger", "satterthwaite" or anything else for none (inf)."""
    parts = [_fit_piece(model.take(piece), contrasts, df, maximise) for piece in model.pieces()]
    return MixedFit(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))


def _fit_piece(model: Model, contrasts: Array, df: str, maximise: Callable[[Any], Minimum]) -> MixedFit:
    found = maximise(model)
    return infer(model, found.point, found.converged, contrasts, df)


def infer(model: Model, point: Array, converged: NDArray[np.bool_], contrasts: Array, df: str) -> MixedFit:
    """Estimates, covariance and df at given parameters."""
    parameters = model.parameters
    ratios = parameters.outward(point)
    at = model.evaluate(parameters.inward(ratios))
    sigma2 = at.squares / model.freedom
    reading = model.readings(at, contrasts)
    covariance, freedom = _inferred(model, at, reading, df)
    variances = np.concatenate([sigma2[:, None], np.where(parameters.linear, sigma2[:, None], 1.0) * ratios], -1)
    singular = np.asarray(parameters.at_edge(at.point).any(-1))
    definite = np.broadcast_to(at.definite, singular.shape)
    scaled = sigma2[:, None, None] * covariance
    return MixedFit(at.beta @ contrasts.T, scaled, freedom, variances, at.criterion, converged, singular, definite, point)


def _inferred(model: Model, at: Any, reading: Readings, df: str) -> tuple[Array, Array]:
    v = np.einsum("...cc->...c", reading.variance)
    if df == "satterthwaite":
        return reading.variance, _satterthwaite(model, at, reading, v)
    if df == "kenward-roger":
        return _kenward_roger(model, at, reading, v)
    return reading.variance, np.full_like(v, np.inf)


def _satterthwaite(model: Model, at: Any, reading: Readings, v: Array) -> Array:
    """From the observed information in (sigma2, parameters), sigma2 in units of itself; parameters at their edge drop out.

    nan where the variance rests on components that cannot be told from each other, or the point is no minimum.
    """
    forms, parameters = model.forms(at), model.parameters
    chain = parameters.chain(at.point)
    scale = (model.freedom / at.squares)[..., None]
    gradient = forms.traces(model.restricted) - scale * forms.quad
    curvature = chain.swapaxes(-1, -2) @ forms.observed(model.freedom, at.squares, model.restricted) @ chain + parameters.bent(gradient)
    inside = ~parameters.at_edge(at.point)
    edge = ((scale * forms.quad)[..., None, :] @ chain)[..., 0, :]
    hessian = _bordered(np.broadcast_to(model.freedom, v.shape[:1]), edge, curvature, inside)
    moved = np.einsum("rkcc,rkj->rjc", reading.along, chain)
    df = v**2 / _spent(hessian, np.concatenate([v[:, None], np.where(inside[..., None], moved, 0.0)], 1))
    return np.where(df > LEAST, df, np.nan)


def _spent(hessian: Array, slope: Array) -> Array:
    """``g' W g`` for slopes ``(R, K, C)``, nan where they rest on a direction without information, or of negative curvature."""
    scale, values, vectors = _scaled_directions(hessian)
    along = (vectors.swapaxes(-1, -2) @ (slope * scale[..., None])) ** 2
    known = (values > BLIND)[..., None]
    lost = np.where(known, 0.0, along).sum(-2) > BLIND * along.sum(-2)
    spent = np.where(known, along / np.where(known, values[..., None], 1.0), 0.0).sum(-2)
    return np.where(lost | (spent <= 0) | (values.min(-1) < -BLIND)[:, None], np.nan, spent)


def _scaled_directions(information: Array) -> tuple[Array, Array, Array]:
    """Scales that give each parameter information 1, and the eigenvalues and vectors of what they make of it."""
    size = np.sqrt(np.maximum(np.einsum("...kk->...k", information), 0.0))
    scale = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    scaled = information * scale[..., :, None] * scale[..., None, :]
    values, vectors = np.linalg.eigh(np.where(np.isfinite(scaled), scaled, 0.0))
    return scale, np.asarray(values, dtype=np.float64), np.asarray(vectors, dtype=np.float64)


def _pseudo_inverse(information: Array) -> Array:
    """Inverse over the directions that have information."""
    scale, values, vectors = _scaled_directions(information)
    known = values > BLIND
    kept = vectors * np.where(known, 1 / np.where(known, values, 1.0), 0.0)[..., None, :]
    return np.asarray(scale[..., :, None] * (kept @ vectors.swapaxes(-1, -2)) * scale[..., None, :])


def _bordered(corner: Array, edge: Array, inner: Array, inside: NDArray[np.bool_]) -> Array:
    """Information over sigma2 and the ratios, with the identity for ratios at zero."""
    edge = np.where(inside, edge, 0.0)
    both = inside[..., :, None] & inside[..., None, :]
    inner = np.where(both, inner, np.eye(inner.shape[-1]))
    top = np.concatenate([corner[..., None, None], edge[..., None, :]], -1)
    return np.concatenate([top, np.concatenate([edge[..., :, None], inner], -1)], -2)


def _with_residual(ratios: Array, corner: Array, linear: Array, square: Array) -> Array:
    """Extend a form in ``G_k`` to include ``G_0 = H - sum_k ratio_k G_k``, the residual, given the forms with `H` itself."""
    crossed = (square * ratios[..., None, :]).sum(-1)
    edge = linear - crossed
    first = corner - 2 * (linear * ratios).sum(-1) + (crossed * ratios).sum(-1)
    top = np.concatenate([first[..., None, None], edge[..., None, :]], -1)
    return np.concatenate([top, np.concatenate([edge[..., :, None], square], -1)], -2)


def _kenward_roger(model: Model, at: Any, reading: Readings, v: Array) -> tuple[Array, Array]:
    """Adjusted covariance (in units of sigma2) and degrees of freedom, in the variances themselves, and a decay that is not 0.

    With ``H = G_0 + sum_k ratio_k G_k`` every form in ``G_0`` follows from forms in `H`: ``C_Hk = A_k``, ``C_HH = A_H = M``.
    """
    forms = model.forms(at)
    ratios = np.where(model.parameters.linear, model.parameters.outward(at.point), 0.0)
    columns = np.asarray(float(model.columns))
    information = (
        _with_residual(ratios, model.total, forms.plain, forms.whole)
        - 2 * _with_residual(ratios, columns, forms.firsts, forms.once)
        + _with_residual(ratios, columns, forms.firsts, forms.twice)
    )
    covariance = 2 * _pseudo_inverse(_without_lost_decay(model.parameters, at.point, information))
    excess = _excess(ratios, covariance, reading)
    along = np.einsum("rkcc->rkc", reading.along)
    gradient = np.concatenate([v[:, None] - (ratios[..., None] * along).sum(1, keepdims=True), along], 1)
    spent = (gradient * (covariance @ gradient)).sum(-2)
    return reading.variance + excess + excess.swapaxes(-1, -2), 2 * v**2 / spent


def _without_lost_decay(parameters: Parameters, point: Array, information: Array) -> Array:
    """The information without a decay of 0, which has no derivative there.

    A decay of 1 stays: dropped, it would leave the cluster-periods no part in `v`, and five clusters a thousand degrees of freedom.
    """
    if not parameters.decay:
        return information
    kept = np.ones(information.shape[:-1])
    kept[..., -1] = point[..., -1] > EDGE
    return np.asarray(information * kept[..., :, None] * kept[..., None, :])


def _excess(ratios: Array, covariance: Array, reading: Readings) -> Array:
    """Kenward and Roger's ``sum W_ij (Q_ij - P_i Phi P_j)`` between contrasts, the residual among the i and j.

    Its forms with `H` vanish, so those with ``G_0`` are those with ``-sum_k ratio_k G_k``.
    """
    moved = covariance[:, 1:, 1:] - ratios[:, :, None] * covariance[:, :1, 1:]
    weights = moved - ratios[:, None, :] * (covariance[:, 1:, :1] - ratios[:, :, None] * covariance[:, :1, :1])
    return np.asarray(np.einsum("rkl,rklcd->rcd", weights, reading.bias))
