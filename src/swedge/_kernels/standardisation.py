"""Averages of predicted means over slots, had all of them been treated alike, and their gradients in the coefficients.

With shares ``w`` of slots that add up to 1, ``m = sum w h(eta)`` and ``dm/db = sum w h'(eta) x``, `h` the inverse link; with normal random
effects of variance ``v`` on the predictor, ``h(eta)`` is averaged over them, ``E h(eta + sqrt(v) z)``, by Gauss-Hermite quadrature.

References
----------
Lane PW, Nelder JA (1982). Analysis of covariance and standardization as instances of prediction. Biometrics 38, 613-621.
Localio AR, Margolis DJ, Berlin JA (2007). Relative risks and confidence intervals were easily computed indirectly from multivariable
logistic regression. Journal of Clinical Epidemiology 60, 874-882.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import LINKS, FamilyMaths
from swedge._kernels.linalg import flat, project

Array = NDArray[np.float64]

NODES = 40


class Slots(NamedTuple):
    """All columns but the effect's ``x (R or 1, p - k, I, J)``, the known part of the predictor, and weights ``(R or 1, I, J)``."""

    x: Array
    offset: Array
    weight: Array


class World(NamedTuple):
    """What everyone receives: the effect's columns ``(R or 1, k, I or 1, J or 1)``, and the variance of random effects, broadcast alike."""

    columns: Array
    variance: Array


def standardise(maths: FamilyMaths, slots: Slots, beta: Array, before: int, worlds: list[World]) -> tuple[Array, Array]:
    """Mean of each world ``(R, M)`` and its gradient ``(R, M, p)``; in ``beta (R, p)`` the effect stands after `before` others."""
    effect = slice(before, before + worlds[0].columns.shape[-3])
    others = np.delete(beta, effect, -1)
    level = (others[:, None] @ flat(slots.x))[:, 0].reshape((-1, *slots.x.shape[-2:])) + slots.offset
    share = slots.weight / slots.weight.sum((-2, -1), keepdims=True)
    found = [_standardised(maths, slots.x, level, share, beta[:, effect], before, world) for world in worlds]
    return np.stack([mean for mean, _ in found], 1), np.stack([gradient for _, gradient in found], 1)


def _standardised(maths: FamilyMaths, x: Array, level: Array, share: Array, own: Array, before: int, world: World) -> tuple[Array, Array]:
    eta = level + (own[..., None, None] * world.columns).sum(-3)
    mean, rate = averaged(maths, eta, world.variance)
    slope = share * rate
    outer = project(x, slope)
    inner = (world.columns * slope[:, None]).sum((-2, -1))
    return (share * mean).sum((-2, -1)), np.concatenate([outer[:, :before], inner, outer[:, before:]], -1)


def averaged(maths: FamilyMaths, eta: Array, variance: Array) -> tuple[Array, Array]:
    """Mean and its rate of change in `eta`, averaged over a normal random effect; its variance broadcasts against `eta`."""
    if not variance.any():
        return maths.mean(eta), maths.rate(eta)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    scale, total = np.sqrt(variance), weights.sum()
    mean = sum(w * maths.mean(eta + scale * z) for z, w in zip(nodes, weights, strict=True))
    rate = sum(w * maths.rate(eta + scale * z) for z, w in zip(nodes, weights, strict=True))
    return np.asarray(mean / total), np.asarray(rate / total)


def compared(means: Array, gradients: Array, scale: str) -> tuple[Array, Array]:
    """Each world against the first on a link's scale: ``(R, M - 1)``, and gradients ``(R, M - 1, p)`` by the chain rule."""
    link = LINKS[scale]
    value = link.predictor(means)
    slope = gradients / link.rate(value)[..., None]
    return value[:, 1:] - value[:, :1], slope[:, 1:] - slope[:, :1]
