"""How far simultaneous bands reach: quantiles of the largest of several correlated t statistics."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special
from scipy.stats import qmc

Array = NDArray[np.float64]

# Points of the Sobol sequence, 2 to this power: the quantile is good to about four digits.
POINTS = 15
# Eigenvalues below this share of the largest add no direction.
FLAT = 1e-12


def largest_t_quantile(covariance: Array, df: float, level: float) -> float:
    """The `level` quantile of ``max_k |t_k|`` for t statistics of covariance `covariance`, ``(K, K)``, and common `df`.

    A t vector's length is independent of its direction: lengths are integrated exactly, directions over a scrambled Sobol sequence whose
    seed is fixed, so that the same covariance gives the same digits.

    References
    ----------
    Montiel Olea JL, Plagborg-Moller M (2019). Simultaneous confidence bands: theory, implementation, and an application to SVARs. Journal
    of Applied Econometrics 34, 1-17.

    Examples
    --------
    >>> round(largest_t_quantile(np.eye(1), np.inf, 0.95), 2)
    1.96
    >>> round(largest_t_quantile(np.eye(3), np.inf, 0.95), 2)
    2.39
    """
    size = np.sqrt(np.diagonal(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(size, size))
    kept = values > FLAT * values[-1]
    uniform = qmc.Sobol(int(kept.sum()), seed=0).random_base2(POINTS)
    normal = special.ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    directions = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
    largest = np.abs(directions @ (vectors[:, kept] * np.sqrt(values[kept])).T).max(-1)
    return float(optimize.brentq(lambda reach: _inside(reach / largest, kept.sum(), df) - level, 1e-3, 1e6))


def _inside(radius: Array, rank: int, df: float) -> float:
    """Probability that a spherical t vector ends before `radius`, over all directions: its squared length is ``rank F(rank, df)``."""
    if np.isinf(df):
        return float(special.chdtr(rank, radius**2).mean())
    return float(special.fdtr(rank, df, radius**2 / rank).mean())
