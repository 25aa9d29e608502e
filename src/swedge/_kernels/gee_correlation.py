"""Working correlations of individuals in a cluster: their matrix by periods, and their parameters from sums of residual products.

Two individuals of one period correlate ``M[t, t]``, of two periods ``M[s, t]``. The parameters solve least squares in which a pair of
cells has target ``a / d`` and weight ``d**2``; `Products` holds sums of ``d a`` and of ``d**2`` over clusters.

References
----------
Li F, Yu H, Rathouz PJ, Turner EL, Preisser JS (2022). Marginal modeling of cluster-period means and intraclass correlations in stepped
wedge designs with binary outcomes. Biostatistics 23, 772-788.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Decays that are searched before Newton's steps, everywhere or about the last one; moments may put the decay above 1.
GRID, ABOUT = np.linspace(0.02, 1.5, 75), np.linspace(-0.15, 0.15, 16)
STEPS = 6


class Products(NamedTuple):
    """Sums within periods ``(R,)`` and between periods ``(R, T, T)``, the latter above the diagonal."""

    within: Array
    within_weight: Array
    between: Array
    between_weight: Array


@dataclass(frozen=True)
class Working:
    """A structure: "exchangeable", "nested" or "decay" to estimate, or "fixed".

    ``lag (T, T)`` is in mean period lengths; ``fixed (T, T)`` holds given correlations. Parameters are ``(R, 2)``: within a period, and
    between periods (nested) or the decay; an exchangeable structure has the first twice.
    """

    kind: str
    lag: Array
    fixed: Array | None = None

    @property
    def estimated(self) -> bool:
        """Whether there is anything to estimate."""
        return self.fixed is None

    def matrix(self, theta: Array) -> Array:
        """Correlations by periods, ``(R, T, T)``."""
        if self.fixed is not None:
            return self.fixed[None]
        within, other = theta[:, 0, None, None], theta[:, 1, None, None]
        if self.kind == "decay":
            return np.asarray(within * other**self.lag)
        return np.where(self.lag > 0, other, within)

    def shrunk(self, theta: Array, share: Array) -> Array:
        """Parameters of correlations multiplied by ``share (R,)``."""
        factor = np.stack([share, np.ones_like(share) if self.kind == "decay" else share], -1)
        return np.asarray(theta * factor)

    def ordinary(self, theta: Array) -> NDArray[np.bool_]:
        """Whether correlations are no less than 0 and fall with the lag, so that some random effects have them, ``(R,)``."""
        within, other = theta.T
        top = np.ones_like(within) if self.kind == "decay" else within
        return np.asarray((within >= 0) & (within < 0.95) & (other >= 0) & (other <= top))

    def edge(self, theta: Array) -> NDArray[np.bool_]:
        """Whether a decay ends where the search does, ``(R,)``."""
        return np.asarray((self.kind == "decay") & ((theta[:, 1] <= GRID[0] / 2) | (theta[:, 1] >= GRID[-1])))

    def solve(self, products: Products, near: Array | None = None) -> Array:
        """Parameters ``(R, 2)`` from sums of products; a decay is sought near ``near (R,)`` if given, everywhere otherwise."""
        if self.kind == "nested":
            within = _ratio(products.within, products.within_weight)
            other = _ratio(products.between.sum((-2, -1)), products.between_weight.sum((-2, -1)))
            return np.stack([within, other], -1)
        if self.kind == "decay":
            return self._decay(products, near)
        top = products.within + products.between.sum((-2, -1))
        one = _ratio(top, products.within_weight + products.between_weight.sum((-2, -1)))
        return np.stack([one, one], -1)

    def _decay(self, products: Products, near: Array | None) -> Array:
        """Least squares in the decay alone, the correlation within periods being solved for: grid, then Newton inside its bracket."""
        rows, columns = np.triu_indices(len(self.lag), 1)
        lags = np.append(0.0, self.lag[rows, columns])
        top = np.column_stack([products.within, products.between[:, rows, columns]])
        low = np.column_stack([products.within_weight, products.between_weight[:, rows, columns]])
        tried = np.broadcast_to(GRID, (len(top), len(GRID))) if near is None else near[:, None] + ABOUT
        start = _best(np.clip(tried, GRID[0], GRID[-1]), lags, top, low)
        decay = start
        for _ in range(STEPS):
            decay = np.clip(decay - _newton(decay, lags, top, low), start - GRID[0], start + GRID[0])
            decay = np.clip(decay, GRID[0] / 2, GRID[-1])
        decay = np.where(_explained(decay, lags, top, low) >= _explained(start, lags, top, low), decay, start)
        power = decay[:, None] ** lags
        return np.stack([_ratio((top * power).sum(-1), (low * power**2).sum(-1)), decay], -1)


def _explained(decay: Array, lags: Array, top: Array, low: Array) -> Array:
    """What a decay takes off the sum of squares, ``(R,)``."""
    power = decay[:, None] ** lags
    return np.asarray((top * power).sum(-1) ** 2 / np.maximum((low * power**2).sum(-1), np.finfo(float).tiny))


def _best(tried: Array, lags: Array, top: Array, low: Array) -> Array:
    """The best of each row's decays ``(R, G)``."""
    fits = np.stack([_explained(decay, lags, top, low) for decay in tried.T], -1)
    return np.asarray(np.take_along_axis(tried, fits.argmax(-1)[:, None], 1)[:, 0])


def _newton(decay: Array, lags: Array, top: Array, low: Array) -> Array:
    """Newton's step for the stationary point of ``(sum top k^l)^2 / sum low k^(2 l)``: the root of ``2 a' b - a b'``."""
    power, k = decay[:, None] ** lags, decay[:, None]
    a, slope, bend = (top * power).sum(-1), (top * lags * power / k).sum(-1), (top * lags * (lags - 1) * power / k**2).sum(-1)
    square = low * power**2
    b, b_slope, b_bend = square.sum(-1), (square * 2 * lags / k).sum(-1), (square * 2 * lags * (2 * lags - 1) / k**2).sum(-1)
    return _ratio(2 * slope * b - a * b_slope, 2 * bend * b + slope * b_slope - a * b_bend)


def _ratio(top: Array, low: Array) -> Array:
    """0 where nothing informs a parameter."""
    return np.asarray(np.nan_to_num(np.divide(top, low, out=np.zeros_like(top + low), where=low != 0), posinf=0.0, neginf=0.0))
