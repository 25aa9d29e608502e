"""A slow, obvious counterpart of analytic power: every individual a row, every covariance written down from the definitions.

Nothing here imports swedge. An individual is (cluster, period, name); two outcomes of a cross-section never share a name, a cohort's share
theirs over the periods, and of two cells of a cohort the smaller holds people who are in the larger too. A structure is a list of
(value, function of two individuals and their periods): the covariance is the sum of value times function, its derivative in a value the
function itself.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Array = NDArray[np.float64]


class Person(NamedTuple):
    """One outcome: where, when, whose, and under what treatment."""

    cluster: int
    period: int
    name: tuple[int, int]
    treated: float


Term = tuple[float, Callable[[Person, Person], float]]


def people(treatment: Array, n: Array, cohort: bool) -> list[Person]:
    """Everyone observed."""
    cells = [(i, t) for i, t in np.ndindex(*treatment.shape) if not np.isnan(treatment[i, t])]
    return [Person(i, t, (k, 0 if cohort else t + 1), float(treatment[i, t])) for i, t in cells for k in range(int(n[i, t]))]


def same(a: Person, b: Person) -> bool:
    """Whether two outcomes are one individual's."""
    return a.cluster == b.cluster and a.name == b.name


def correlated(icc: float, cac: float, iac: float, total: Callable[[Person], float], lag: Callable[[Person, Person], float]) -> list[Term]:
    """Structures by ICC, CAC and IAC of the total variance; `lag` is 0 within a period, so that ``cac ** lag`` is the decay."""

    def sd(a: Person, b: Person) -> float:
        return float(np.sqrt(total(a) * total(b)))

    shared = icc, lambda a, b: sd(a, b) * (a.cluster == b.cluster) * cac ** lag(a, b)
    own = (1 - icc) * iac, lambda a, b: sd(a, b) * same(a, b)
    rest = (1 - icc) * (1 - iac), lambda a, b: sd(a, b) * (a == b)
    return [shared, *([own] if iac else []), rest]


def slope_of_decay(icc: float, cac: float, total: float, lag: Callable[[Person, Person], float], own: bool) -> Term:
    """The direction in which a decay moves; `own` where individuals decay with their cluster."""

    def direction(a: Person, b: Person) -> float:
        gap = lag(a, b)
        change = gap * cac ** (gap - 1) if gap > 0 else 0.0
        return total * change * (icc * (a.cluster == b.cluster) + own * (1 - icc) * same(a, b))

    return 0.0, direction


class Answer(NamedTuple):
    """Variance and Satterthwaite df of the contrast, the weights of individuals and their covariance."""

    variance: float
    df: float
    weights: Array
    covariance: Array


def columns(crowd: list[Person], effect: Array, slope: Array | None = None) -> Array:
    """Period indicators that some row has, and effect columns ``(K, I, T)``, times the slope of the link."""
    periods = sorted({a.period for a in crowd})
    rows = [[float(a.period == t) for t in periods] + [e[a.cluster, a.period] for e in effect] for a in crowd]
    scale = np.ones(len(crowd)) if slope is None else np.array([slope[a.cluster, a.period] for a in crowd])
    return np.array(rows) * scale[:, None]


def answer(crowd: list[Person], x: Array, terms: list[Term], contrast: Array) -> Answer:
    """Generalised least squares with the full matrix, and df from traces of full matrices."""
    pieces = [np.array([[function(a, b) for b in crowd] for a in crowd]) for _, function in terms]
    v = sum(value * piece for (value, _), piece in zip(terms, pieces, strict=True))
    inverse = np.linalg.inv(v)
    bread = np.linalg.inv(x.T @ inverse @ x)
    weights = np.concatenate([np.zeros(x.shape[1] - len(contrast)), contrast]) @ bread @ x.T @ inverse
    hat = inverse - inverse @ x @ bread @ x.T @ inverse
    information = np.array([[np.trace(hat @ g @ hat @ h) / 2 for h in pieces] for g in pieces])
    gradient = np.array([weights @ g @ weights for g in pieces])
    variance = float(weights @ v @ weights)
    return Answer(variance, 2 * variance**2 / float(gradient @ np.linalg.solve(information, gradient)), weights, np.asarray(v))


def tails(shift: float, df: float, alpha: float) -> float:
    """Power of a two-sided t test: the normal tails given the residual variance, averaged over its chi by Gauss and Legendre in panels."""
    limit = special.stdtrit(df, 1 - alpha / 2)
    nodes, weights = np.polynomial.legendre.leggauss(60)
    low = special.gammaincinv(df / 2, 1e-15)
    ends = np.log([max(low, 1e-300) * 2 / df, special.gammainccinv(df / 2, 1e-15) * 2 / df]) / 2
    bend = np.log(max(shift, 1e-12) / limit) + np.linspace(-12, 12, 49) / max(shift, 1.0)
    middle = np.linspace(-12, 12, 49) / np.sqrt(2 * df + 1)
    cuts = np.unique(np.clip(np.concatenate([ends, bend, middle]), *ends))
    total = 0.0
    for a, b in pairwise(cuts):
        u = (a + b) / 2 + (b - a) / 2 * nodes
        density = np.exp(np.log(2) + df / 2 * np.log(df / 2) - special.gammaln(df / 2) + df * (u - np.exp(2 * u) / 2))
        chance = special.ndtr(shift - limit * np.exp(u)) + special.ndtr(-shift - limit * np.exp(u))
        total += float((weights * density * chance).sum()) * (b - a) / 2
    return total
