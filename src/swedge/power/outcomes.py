"""Drawing cell means: one function a family, from expected values, counts and a generator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DesignError

Array = NDArray[np.float64]

# Family under which trials of each kind of outcome are analysed.
ANALYSED_AS = {"gaussian": "gaussian", "binomial": "binomial", "poisson": "poisson", "fractional": "binomial", "duration": "gaussian"}


class Drawn(NamedTuple):
    """Cell means ``(R, I, T)`` and, for outcomes analysed as Gaussian, scatter within cells ``(R, 1, 1, 1)``."""

    mean: Array
    within: Array | None


def draw_gaussian(expected: Array, n: Array, residual: float, rng: np.random.Generator) -> Drawn:
    """Normal means, and the scatter that so many individuals have."""
    mean = expected + rng.standard_normal(expected.shape) * np.sqrt(residual / np.maximum(n, 1.0))
    freedom = np.maximum(n - 1, 0.0).sum((-2, -1))
    squares = residual * rng.chisquare(np.maximum(freedom, 1e-300), len(expected))
    return Drawn(mean, squares[:, None, None, None])


def draw_binomial(risk: Array, n: Array, rng: np.random.Generator) -> Drawn:
    """Shares of events."""
    return Drawn(rng.binomial(n.astype(np.int64), _proportions(risk)) / np.maximum(n, 1.0), None)


def draw_poisson(rate: Array, n: Array, rng: np.random.Generator) -> Drawn:
    """Events a unit of exposure."""
    return Drawn(rng.poisson(n * rate) / np.maximum(n, 1.0), None)


def draw_fractional(share: Array, n: Array, dispersion: float, rng: np.random.Generator) -> Drawn:
    """Beta draws with the mean and variance of a mean of shares in [0, 1] whose own variance is ``dispersion m (1 - m)``."""
    mean = _proportions(share)
    total = np.maximum(n, 1.0) / dispersion - 1
    spread = np.where(total > 0, total, 1.0)
    drawn = rng.beta(np.maximum(mean * spread, 1e-9), np.maximum((1 - mean) * spread, 1e-9))
    alone = ~np.broadcast_to(total > 0, drawn.shape)
    if alone.any():  # one individual of Bernoulli variance is a Bernoulli draw
        drawn = np.where(alone, rng.random(drawn.shape) < mean, drawn)
    return Drawn(drawn, None)


def draw_duration(hazard: Array, n: Array, limit: float, rng: np.random.Generator) -> Drawn:
    """Mean times to event, exponential and cut at `limit`, with their scatter; every individual is drawn."""
    counts = np.broadcast_to(n, hazard.shape).astype(np.int64).ravel()
    times = np.minimum(rng.standard_exponential(int(counts.sum())) / np.repeat(hazard.ravel(), counts), limit)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    occupied = counts > 0
    sums, squares = np.zeros((2, len(counts)))
    sums[occupied] = np.add.reduceat(times, starts[occupied])
    squares[occupied] = np.add.reduceat(times**2, starts[occupied])
    mean = sums / np.maximum(counts, 1)
    within = (squares - counts * mean**2).reshape(hazard.shape).sum((-2, -1))
    return Drawn(mean.reshape(hazard.shape), within[:, None, None, None])


def _proportions(expected: Array) -> Array:
    """Proportions, refused when more than one cell in a thousand is out of range."""
    outside = float(((expected < 0) | (expected > 1)).mean())
    if outside > 1e-3:
        raise DesignError(
            f"{outside:.1%} of the cells drawn have a risk outside 0 to 1 on scale='risk'. Use scale='logit', or a smaller effect, trend"
            f" or ICC."
        )
    return np.clip(expected, 0.0, 1.0)
