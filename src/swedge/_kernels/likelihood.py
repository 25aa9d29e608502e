"""What every Gaussian likelihood profiled over its scale has in common: the criterion, its derivatives, and the forms they are made of.

With ``V = sigma2 H``, ``G_k`` the derivatives of `H` and `P` the projection of `H^-1` (Lindstrom & Bates 1988; Gilmour et al. 1995).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Forms(NamedTuple):
    """Traces and quadratic forms, ``(R, K)`` or ``(R, K, K)``, ``q = H^-1 (y - x b)`` and `u` the columns made orthonormal.

    ``plain = tr(H^-1 G_k)``, ``firsts = tr(u' G_k u)``, ``whole = tr(H^-1 G_k H^-1 G_m)``, ``once = tr(u' G_k H^-1 G_m u)``,
    ``twice = tr(u' G_k u u' G_m u)``, ``quad = q' G_k q``, ``gram = q' G_k P G_m q``; `bent_trace` and `bent_quad` are ``tr(P G_km)`` and
    ``q' G_km q`` of second derivatives, 0 where `H` is linear.
    """

    plain: Array
    firsts: Array
    whole: Array
    once: Array
    twice: Array
    quad: Array
    gram: Array
    bent_trace: Array
    bent_quad: Array

    def traces(self, restricted: bool) -> Array:
        """``tr(P G_k)``, or ``tr(H^-1 G_k)`` for full maximum likelihood."""
        return np.asarray(self.plain - self.firsts if restricted else self.plain)

    def double_traces(self, restricted: bool) -> Array:
        """``tr(P G_k P G_m)``, or that of ``H^-1``."""
        return np.asarray(self.whole - 2 * self.once + self.twice if restricted else self.whole)

    def profiled(self, freedom: Array, squares: Array, restricted: bool) -> tuple[Array, Array]:
        """Gradient and exact second derivatives of the criterion with the scale at its best."""
        scale = (freedom / squares)[..., None]
        gradient = self.traces(restricted) - scale * self.quad
        held = self.observed(freedom, squares, restricted)
        return gradient, held - scale[..., None] * outer(self.quad) / squares[..., None, None]

    def observed(self, freedom: Array, squares: Array, restricted: bool) -> Array:
        """Second derivatives of the criterion with the scale held."""
        scale = (freedom / squares)[..., None, None]
        return np.asarray(self.bent_trace - self.double_traces(restricted) + scale * (2 * self.gram - self.bent_quad))


class Readings(NamedTuple):
    """What contrasts make of it: ``variance (R, C, C)`` in units of sigma2, ``along (R, K, C, C)``, ``bias (R, K, K, C, C)``.

    With ``g = H^-1 x m`` of each contrast, ``along = g' G_k g`` and ``bias = g' G_k P G_m g``.
    """

    variance: Array
    along: Array
    bias: Array


def outer(vector: Array) -> Array:
    """``(..., K)`` to ``(..., K, K)``."""
    return np.asarray(vector[..., :, None] * vector[..., None, :])


def mixed(count: int, entry: Callable[[int, int], Array], tail: int = 0) -> Array:
    """Entries ``(R, ...)`` of a symmetric table, asked for on and above its diagonal, as ``(R, K, K, ...)``; `tail` axes follow."""
    values = {(k, m): entry(k, m) for k in range(count) for m in range(k, count)}
    axis = -1 - tail
    table = [np.stack([values[min(k, m), max(k, m)] for m in range(count)], axis) for k in range(count)]
    return np.stack(table, axis - 1)


def profiled_criterion(squares: Array, freedom: Array, log_det: Array, root: Array, restricted: bool) -> Array:
    """-2 log (restricted) likelihood at the best scale; `root` is the inverse Cholesky factor of ``x' H^-1 x``."""
    criterion = freedom * (1 + np.log(2 * np.pi * squares / freedom)) + log_det
    if restricted:
        criterion = criterion - 2 * np.log(np.einsum("...ii->...i", root)).sum(-1)
    return np.asarray(criterion)
