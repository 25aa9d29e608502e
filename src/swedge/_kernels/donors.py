"""Errors lent by clusters whose errors are seen to clusters whose errors are not."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

Array = NDArray[np.float64]

# Most donors that are drawn at a time: what is held in memory, not what is drawn.
BLOCK = 5_000_000


def borrowed(sums: Array, draws: int, seed: int) -> Array:
    """Totals over clusters ``(N,)`` of what each gets from a donor, `sums` ``(N, L)``: every choice of donors once, or `draws` random ones.

    Donors are chosen for each cluster independently, the same one as often as it comes.

    >>> sorted(borrowed(np.array([[0.0, 1.0], [0.0, 10.0]]), draws=4, seed=0).tolist())
    [0.0, 1.0, 10.0, 11.0]
    """
    clusters, donors = sums.shape
    at = np.arange(clusters)
    if donors**clusters <= draws:
        return np.asarray(sums[at, np.array(list(itertools.product(range(donors), repeat=clusters)))].sum(1))
    rng, rows = np.random.default_rng(seed), max(1, BLOCK // clusters)
    sizes = [min(rows, draws - done) for done in range(0, draws, rows)]
    return np.concatenate([sums[at, rng.integers(donors, size=(size, clusters))].sum(1) for size in sizes])


def variance_by_size(squares: Array, size: Array) -> tuple[float, float]:
    """``A`` and ``B``, neither below 0, of the least-squares line ``A + B / size`` through squared errors ``(L,)``.

    >>> variance_by_size(np.array([2.0, 1.5]), np.array([1.0, 2.0]))
    (1.0, 1.0)
    """
    terms = np.stack([np.ones(len(size)), size.min() / size], -1)
    common, by_size = optimize.nnls(terms, squares)[0]
    return float(common), float(by_size * size.min())
