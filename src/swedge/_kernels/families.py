"""Exponential families with canonical link: mean, variance and its slope, and the constant of the log-likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FamilyMaths:
    """One family. All functions work elementwise and broadcast.

    ``mean(eta)``; ``variance(mu)`` of one observation at dispersion 1, which for a canonical link is also ``dmu/deta``;
    ``slope(mu)``: ``dvariance/dmu``; ``start(y, n)``: a linear predictor to begin with, `y` the mean of `n` observations;
    ``cumulant(eta)``: ``b`` in ``n (y eta - b(eta))``; ``constant(y, n)``: what the log-likelihood adds to that.
    """

    name: str
    link: str
    mean: Callable[[Array], Array]
    variance: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    start: Callable[[Array, Array], Array]
    cumulant: Callable[[Array], Array]
    constant: Callable[[Array, Array], Array]


def _binomial_constant(y: Array, n: Array) -> Array:
    events = n * y
    return np.asarray(special.gammaln(n + 1) - special.gammaln(events + 1) - special.gammaln(n - events + 1))


def _poisson_constant(y: Array, n: Array) -> Array:
    # Counts of n units add up to a Poisson count of mean n * mu.
    return np.asarray(special.xlogy(n * y, n) - special.gammaln(n * y + 1))


FAMILIES = {
    "gaussian": FamilyMaths(
        "gaussian",
        "identity",
        mean=lambda eta: eta,
        variance=np.ones_like,
        slope=np.zeros_like,
        start=lambda y, n: y + 0.0 * n,
        cumulant=lambda eta: eta**2 / 2,
        constant=lambda y, n: 0.0 * (y + n),
    ),
    "binomial": FamilyMaths(
        "binomial",
        "logit",
        mean=lambda eta: special.expit(eta),
        variance=lambda mu: mu * (1 - mu),
        slope=lambda mu: 1 - 2 * mu,
        start=lambda y, n: special.logit((n * y + 0.5) / (n + 1)),
        cumulant=lambda eta: np.logaddexp(0, eta),
        constant=_binomial_constant,
    ),
    "poisson": FamilyMaths(
        "poisson",
        "log",
        mean=np.exp,
        variance=lambda mu: mu,
        slope=np.ones_like,
        start=lambda y, n: np.log((n * y + 0.5) / (n + 1)),
        cumulant=np.exp,
        constant=_poisson_constant,
    ),
}
