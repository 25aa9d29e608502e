"""Parameters of a covariance: ratios of variances to that of the residual, a correlation of two effects, and a decay.

A level and a slope that correlate have three ratios, ``(a^2, ab, b^2 + d)``, which make any covariance of two with ``a, d >= 0``: a
correlation of 1 is the edge ``d = 0``, where the criterion keeps a slope, as it does not in a Cholesky factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Closer than this to 0 or 1, a decay is at its edge.
EDGE = 1e-6
# lme4's threshold for a singular fit is 1e-4 on the relative standard deviation.
SINGULAR = 1e-8
# Searches start from ratios between these multiples of the least and the greatest that cells can show, and from these decays: so many sizes
# of up to two ratios, and fewer of more, whose combinations multiply.
LOWEST, HIGHEST, SIZES, FEWER_SIZES = 0.1, 100.0, 6, 4
DECAYS = (0.02, 0.1, 0.5, 0.9, 0.98)


@dataclass(frozen=True)
class Parameters:
    """How many `ratios` there are, whether the first three belong to effects that correlate, and whether a `decay` comes last.

    `lasting` says that the decay has a meaning where the last ratio is 0, because the residual decays too.
    """

    ratios: int
    correlated: bool = False
    decay: bool = False
    lasting: bool = False

    @property
    def count(self) -> int:
        """How many there are beside the residual variance."""
        return self.ratios + self.decay

    @property
    def linear(self) -> NDArray[np.bool_]:
        """Which are ratios: all but a decay."""
        return np.arange(self.count) < self.ratios

    @property
    def lower(self) -> Array:
        """Least value of each parameter."""
        bound = np.zeros(self.count)
        if self.correlated:
            bound[1] = -np.inf
        return bound

    @property
    def upper(self) -> Array:
        """Greatest value of each parameter."""
        return np.where(self.linear, np.inf, 1.0)

    def outward(self, point: Array) -> Array:
        """Multipliers of the shapes, and the decay, at parameters ``(..., K)``."""
        if not self.correlated:
            return point
        a, b, d = (point[..., j] for j in range(3))
        return np.concatenate([np.stack([a**2, a * b, b**2 + d], -1), point[..., 3:]], -1)

    def inward(self, ratios: Array) -> Array:
        """The parameters that give these ratios: the inverse of `outward`. Without a level, the slope's variance is all in `d`."""
        if not self.correlated:
            return ratios
        a = np.sqrt(ratios[..., 0])
        b = np.divide(ratios[..., 1], a, out=np.zeros_like(a), where=a**2 > SINGULAR)
        d = np.maximum(ratios[..., 2] - b**2, 0.0)
        return np.concatenate([np.stack([a, b, d], -1), ratios[..., 3:]], -1)

    def chain(self, point: Array) -> Array:
        """Derivatives ``(..., K, K)`` of the ratios (rows) in the parameters."""
        jacobian = np.broadcast_to(np.eye(self.count), (*point.shape, self.count)).copy()
        if self.correlated:
            a, b = point[..., 0], point[..., 1]
            jacobian[..., 0, 0], jacobian[..., 1, 0], jacobian[..., 1, 1], jacobian[..., 2, 1] = 2 * a, b, a, 2 * b
        return jacobian

    def bent(self, gradient: Array) -> Array:
        """What the curvature of the ratios adds to second derivatives in the parameters, ``(..., K, K)``, given the gradient in them."""
        extra = np.zeros((*gradient.shape, self.count))
        if self.correlated:
            extra[..., 0, 0], extra[..., 1, 1] = 2 * gradient[..., 0], 2 * gradient[..., 2]
            extra[..., 0, 1] = extra[..., 1, 0] = gradient[..., 1]
        return extra

    def starts(self, least: Array, most: Array) -> list[Array]:
        """Groups of starting points ``(S, R, K)``; searches are run from the best of each group, as criteria may have several minima.

        `least` and `most` ``(R,)`` are the reciprocals of a large and of a small cell's count: ratios that data can tell from zero.
        """
        low, high = np.log(LOWEST * least), np.log(HIGHEST * most)
        variances = self.ratios - self.correlated
        amounts = np.exp(low + np.linspace(0, 1, SIZES if variances < 3 else FEWER_SIZES)[:, None] * (high - low))
        choices = np.array(list(product(range(len(amounts)), repeat=variances)), dtype=np.int64)
        grid = np.moveaxis(amounts[choices], -2, -1)
        corners = product((-0.8, 0.0, 0.8) if self.correlated else (0.0,), DECAYS if self.decay else (0.0,))
        return [self._from_variances(grid, correlation, decay) for correlation, decay in corners]

    def _from_variances(self, grid: Array, correlation: float, decay: float) -> Array:
        if self.correlated:
            shared = correlation * np.sqrt(grid[..., 0] * grid[..., 1])
            grid = self.inward(np.insert(grid, 1, shared, axis=-1))
        return np.concatenate([grid, np.full((*grid.shape[:-1], 1), decay)], -1) if self.decay else grid

    def at_edge(self, point: Array) -> NDArray[np.bool_]:
        """Which parameters ``(..., K)`` are at the edge of what they may be; those that mean nothing there are counted too."""
        edge = self.outward(point) < SINGULAR
        if self.correlated:
            level = point[..., 0] ** 2 < SINGULAR
            edge[..., :3] = np.stack([level, level, point[..., 2] < SINGULAR], -1)
        if self.decay:
            lost = edge[..., -2:-1].any(-1) & (not self.lasting)
            edge[..., -1] = lost | (point[..., -1] < EDGE) | (point[..., -1] > 1 - EDGE)
        return edge
