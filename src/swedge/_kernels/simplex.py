"""The smallest value of a quadratic form on the simplex, by Frank and Wolfe's steps, for a stack of forms.

Weights ``x`` that add up to 1 and are not negative fit ``Ax`` to ``b`` with penalty ``eta |x|^2``: that is ``x'Hx`` with
``H = B'B + eta``, the columns of `B` those of `A` less `b`. A step moves towards the coordinate of the steepest descent, as far as lowers
the form most. Steps stop when they gain little: the answer is the stopping rule's as much as the form's.

References
----------
Frank M, Wolfe P (1956). An algorithm for quadratic programming. Naval Research Logistics Quarterly 3, 95-110.
Arkhangelsky D, Athey S, Hirshberg DA, Imbens GW, Wager S (2021). Synthetic difference-in-differences. American Economic Review 111,
4088-4118.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

FIRST, MOST = 100, 10_000
# A gain below this share of the form at equal weights is rounding.
ROUNDING = 1e-14
# After the first steps, weights up to this share of the largest one are set to nothing.
SMALL = 0.25


def simplex_weights(form: Array, allowed: Flags, gain: Array) -> Array:
    """Weights ``(R, p)``: some steps from equal weights, small ones set to nothing, then steps until they gain less than `gain`.

    Parameters
    ----------
    form : (R, p, p)
    allowed : (R, p)
        Coordinates that may weigh something; where none may, the weights are nan.
    gain : (R,)
    """
    start = allowed / np.where(allowed.any(-1), allowed.sum(-1), np.nan)[:, None]
    gain = np.maximum(gain, ROUNDING * (start * (form @ start[..., None])[..., 0]).sum(-1))
    near = steps(form, allowed, start, gain, FIRST)
    kept = np.where(near > SMALL * near.max(-1, keepdims=True), near, 0.0)
    return steps(form, allowed, kept / kept.sum(-1, keepdims=True), gain, MOST)


def steps(form: Array, allowed: Flags, start: Array, gain: Array, most: int) -> Array:
    """At least two steps and at most `most`, from ``start (R, p)``."""
    found, left = start.copy(), np.flatnonzero(np.isfinite(start).all(-1))
    form, allowed, gain, x = form[left], allowed[left], gain[left], start[left]
    slope = (form @ x[..., None])[..., 0]
    value = (x * slope).sum(-1)
    for step in range(1, most + 1):
        x, slope, lower = _step(form, allowed, x, slope, value)
        go = (step < 2) | (value - lower > gain)
        value = lower
        if step == most or not go.all():
            found[left] = x
            left, form, allowed, gain, x, slope, value = (part[go] for part in (left, form, allowed, gain, x, slope, value))
        if not len(left):
            break
    return found


def _step(form: Array, allowed: Flags, x: Array, slope: Array, value: Array) -> tuple[Array, Array, Array]:
    """One step: weights, ``Hx`` and ``x'Hx`` after it."""
    row = np.arange(len(x))
    at = np.where(allowed, slope, np.inf).argmin(-1)
    own, pull = form[row, at, at], slope[row, at]
    bend = own - 2 * pull + value
    far = np.clip(np.divide(value - pull, bend, out=np.zeros_like(bend), where=bend > 0), 0.0, 1.0)
    stay = 1 - far
    x = stay[:, None] * x
    x[row, at] += far
    slope = stay[:, None] * slope + far[:, None] * form[row, :, at]
    return x, slope, stay**2 * value + 2 * far * stay * pull + far**2 * own
