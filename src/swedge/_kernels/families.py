"""Exponential families and their links: mean, its rate of change, variance and its slope, and the constant of the log-likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]

ROOT_TWO_PI = float(np.sqrt(2 * np.pi))
# Complementary log-log: beyond this predictor the mean is 1 and its rate 0 in double precision.
STEEP = 6.0


@dataclass(frozen=True)
class FamilyMaths:
    """One family with one link. All functions work elementwise and broadcast.

    ``mean(eta)``, its derivative ``rate(eta)``; ``variance(mu)`` of one observation at dispersion 1, ``slope(mu)``: ``dvariance/dmu``;
    ``start(y, n)``: a linear predictor to begin with, `y` the mean of `n` observations; ``cumulant(eta)``: ``b`` in ``n (y eta - b(eta))``,
    for the canonical link; ``constant(y, n)``: what the log-likelihood adds to that.
    """

    name: str
    link: str
    mean: Callable[[Array], Array]
    rate: Callable[[Array], Array]
    variance: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    start: Callable[[Array, Array], Array]
    cumulant: Callable[[Array], Array]
    constant: Callable[[Array, Array], Array]
    canonical: bool


@dataclass(frozen=True)
class LinkMaths:
    """One link: ``predictor(mu)``, ``mean(eta)`` and ``rate(eta)``, its derivative."""

    predictor: Callable[[Array], Array]
    mean: Callable[[Array], Array]
    rate: Callable[[Array], Array]


def _logistic_rate(eta: Array) -> Array:
    mu = special.expit(eta)
    return np.asarray(mu * (1 - mu))


def _cloglog_rate(eta: Array) -> Array:
    held = np.minimum(eta, STEEP)
    return np.asarray(np.exp(held - np.exp(held)))


LINKS = {
    "identity": LinkMaths(lambda mu: mu, lambda eta: eta, np.ones_like),
    "logit": LinkMaths(special.logit, special.expit, _logistic_rate),
    "log": LinkMaths(np.log, np.exp, np.exp),
    "probit": LinkMaths(special.ndtri, special.ndtr, lambda eta: np.exp(-(eta**2) / 2) / ROOT_TWO_PI),
    "cloglog": LinkMaths(lambda mu: np.log(-np.log1p(-mu)), lambda eta: -np.expm1(-np.exp(np.minimum(eta, STEEP))), _cloglog_rate),
}


def _binomial_constant(y: Array, n: Array) -> Array:
    events = n * y
    return np.asarray(special.gammaln(n + 1) - special.gammaln(events + 1) - special.gammaln(n - events + 1))


def _poisson_constant(y: Array, n: Array) -> Array:
    # Counts of n units add up to a Poisson count of mean n * mu.
    return np.asarray(special.xlogy(n * y, n) - special.gammaln(n * y + 1))


@dataclass(frozen=True)
class _Family:
    """What a family has whatever its link; the first of `links` is canonical."""

    links: tuple[str, ...]
    variance: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    begin: Callable[[Array, Array], Array]
    cumulant: Callable[[Array], Array]
    constant: Callable[[Array, Array], Array]


def _no_constant(y: Array, n: Array) -> Array:
    return 0.0 * (y + n)


_BINARY = (("logit", "probit", "cloglog", "log", "identity"), lambda mu: mu * (1 - mu), lambda mu: 1 - 2 * mu)


def _inside(y: Array, n: Array) -> Array:
    """A mean kept away from 0 and 1; one beyond them, an effect having been taken out of it, counts as at the edge."""
    return np.asarray((n * np.maximum(y, 0.0) + 0.5) / (n + 1))


_FAMILIES = {
    "gaussian": _Family(("identity",), np.ones_like, np.zeros_like, lambda y, n: y + 0.0 * n, lambda eta: eta**2 / 2, _no_constant),
    "binomial": _Family(*_BINARY, lambda y, n: _inside(np.minimum(y, 1.0), n), lambda eta: np.logaddexp(0, eta), _binomial_constant),
    "poisson": _Family(("log", "identity"), lambda mu: mu, np.ones_like, _inside, np.exp, _poisson_constant),
    "fractional": _Family(*_BINARY, lambda y, n: _inside(np.minimum(y, 1.0), n), lambda eta: np.logaddexp(0, eta), _no_constant),
}


def _joined(name: str, link: str) -> FamilyMaths:
    own, maths = _FAMILIES[name], LINKS[link]
    return FamilyMaths(
        name,
        link,
        maths.mean,
        maths.rate,
        own.variance,
        own.slope,
        lambda y, n: maths.predictor(own.begin(y, n)),
        own.cumulant,
        own.constant,
        link == own.links[0],
    )


BY_LINK = {(name, link): _joined(name, link) for name, own in _FAMILIES.items() for link in own.links}
# Each family with its canonical link.
FAMILIES = {name: BY_LINK[name, own.links[0]] for name, own in _FAMILIES.items()}
