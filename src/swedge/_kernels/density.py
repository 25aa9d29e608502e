"""Log densities of binomial and Poisson means in the linear predictor: value and first three derivatives, for every link.

One observation has ``l(eta) = y a(eta) + (1 - y) c(eta)`` (binomial) or ``y eta - exp(eta)`` (Poisson), without the constant of
`FamilyMaths`. All are concave, so the observed information ``-l''`` is never negative; for a canonical link it is the expected one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]
Slopes = tuple[Array, Array, Array]

ROOT_HALF_PI = float(np.sqrt(np.pi / 2))
# Linear predictors above this are taken as this much when a search strays there: products of their exponentials stay finite.
HIGHEST = 200.0


class Density(NamedTuple):
    """``value(y, eta)``, and ``slopes(y, eta)``: the score ``l'``, the weight ``-l''`` and its derivative ``-l'''``; nan out of range."""

    value: Callable[[Array, Array], Array]
    slopes: Callable[[Array, Array], Slopes]


def _logit_slopes(y: Array, eta: Array) -> Slopes:
    mu = special.expit(eta)
    weight = mu * (1 - mu)
    return y - mu, weight, weight * (1 - 2 * mu)


def _rate_slopes(y: Array, eta: Array) -> Slopes:
    mu = _exp(eta)
    return y - mu, mu, mu


def _exp(eta: Array) -> Array:
    return np.exp(np.minimum(eta, HIGHEST))


def _mixed(y: Array, event: Slopes, none: Slopes) -> Slopes:
    """Score, weight and bend from the first three derivatives of the log probabilities of an event and of none."""
    parts = [y * a + (1 - y) * c for a, c in zip(event, none, strict=True)]
    return parts[0], -parts[1], -parts[2]


def _normal(eta: Array) -> Slopes:
    """Three derivatives of ``log Phi``: with the inverse Mills ratio m, ``m``, ``-m (m + eta)`` and ``m (m + eta)(2m + eta) - m``."""
    mills = 1 / (ROOT_HALF_PI * special.erfcx(-eta / np.sqrt(2)))
    above = mills + eta
    return mills, -mills * above, mills * (above * (above + mills) - 1)


def _probit_slopes(y: Array, eta: Array) -> Slopes:
    first, second, third = _normal(-eta)
    return _mixed(y, _normal(eta), (-first, second, -third))


def _cloglog_slopes(y: Array, eta: Array) -> Slopes:
    """With ``t = exp(eta)``, ``g = t / (exp(t) - 1)``: an event has ``g``, ``h = g (1 - t - g)`` and ``h (1 - t - 2g) - g t``."""
    t = _exp(eta)
    g = np.divide(t * np.exp(-t), -np.expm1(-t), out=np.ones_like(t), where=t > 0)
    bend = g * (1 - t - g)
    return _mixed(y, (g, bend, bend * (1 - t - 2 * g) - g * t), (-t, -t, -t))


def _log_slopes(y: Array, eta: Array) -> Slopes:
    below = np.where(eta < 0, eta, np.nan)
    mu = np.exp(below)
    odds = mu / -np.expm1(below)
    bend = odds * (1 + odds)
    return _mixed(y, (np.ones_like(mu), np.zeros_like(mu), np.zeros_like(mu)), (-odds, -bend, -bend * (1 + 2 * odds)))


def _weighted(event: Callable[[Array], Array], none: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    """The log density from the log probabilities of an event and of none; one that did not happen counts 0, however unlikely."""

    def value(y: Array, eta: Array) -> Array:
        return np.asarray(np.where(y > 0, y * event(eta), 0.0) + np.where(y < 1, (1 - y) * none(eta), 0.0))

    return value


def _log_of_event(eta: Array) -> Array:
    t = _exp(eta)
    return np.log(-np.expm1(-t), out=np.array(eta, dtype=np.float64), where=t > 0)


def _log_of_none(eta: Array) -> Array:
    return np.log(-np.expm1(np.where(eta < 0, eta, np.nan)))


DENSITIES = {
    ("binomial", "logit"): Density(lambda y, eta: y * eta - np.logaddexp(0, eta), _logit_slopes),
    ("binomial", "probit"): Density(_weighted(special.log_ndtr, lambda eta: special.log_ndtr(-eta)), _probit_slopes),
    ("binomial", "cloglog"): Density(_weighted(_log_of_event, lambda eta: -_exp(eta)), _cloglog_slopes),
    ("binomial", "log"): Density(_weighted(lambda eta: eta, _log_of_none), _log_slopes),
    ("poisson", "log"): Density(lambda y, eta: y * eta - _exp(eta), _rate_slopes),
}
