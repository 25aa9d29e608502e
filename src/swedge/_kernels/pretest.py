"""What normal coefficients look like when none of them is significant: probability of a box, and means inside it.

References
----------
Genz A (1992). Numerical computation of multivariate normal probabilities. Journal of Computational and Graphical Statistics 1, 141-149.
Roth J (2022). Pretest with caution: event-study estimates after testing for parallel trends. American Economic Review: Insights 4, 305-322.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special
from scipy.stats import qmc

Array = NDArray[np.float64]

# Points of the Sobol sequence, 2 to this power; the seed is fixed, so that the same numbers give the same digits.
POINTS = 14
# How far beyond the first guess a slope is sought, doubling.
DOUBLINGS = 60


class Inside(NamedTuple):
    """Probability that every coefficient lies within its limit, and their mean ``(K,)`` if so."""

    probability: float
    mean: Array


def inside_box(mean: Array, covariance: Array, limit: Array) -> Inside:
    """Normal coefficients of ``mean (K,)`` between ``-limit`` and ``limit``, one after the other given those before.

    >>> found = inside_box(np.zeros(2), np.eye(2), np.full(2, 1.959963984540054))
    >>> round(found.probability, 6)
    0.9025
    """
    root = np.linalg.cholesky(covariance)
    uniform = qmc.Sobol(len(mean), seed=0).random_base2(POINTS)
    normal, weight = np.zeros(uniform.shape), np.ones(len(uniform))
    for k in range(len(mean)):
        known = mean[k] + normal[:, :k] @ root[k, :k]
        low, high = (special.ndtr((sign * limit[k] - known) / root[k, k]) for sign in (-1, 1))
        weight *= high - low
        normal[:, k] = special.ndtri(np.clip(low + uniform[:, k] * (high - low), 1e-300, 1 - 1e-16))
    total = weight.mean()
    at = mean + normal @ root.T
    return Inside(float(total), (weight[:, None] * at).mean(0) / total if total > 0 else np.full(len(mean), np.nan))


def slope_with_power(times: Array, covariance: Array, limit: Array, power: float) -> float:
    """The slope of a straight line through 0 that puts some coefficient ``(K,)`` at `times` beyond its limit with probability `power`."""

    def missing(slope: float) -> float:
        return 1 - inside_box(slope * times, covariance, limit).probability - power

    high = float(np.min(limit / np.abs(times)))
    for _ in range(DOUBLINGS):
        if missing(high) > 0:
            break
        high *= 2
    return float(optimize.brentq(missing, 0.0, high, xtol=1e-12 * high, rtol=1e-12))
