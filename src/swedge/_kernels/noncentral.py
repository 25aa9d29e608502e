"""Power of two-sided t and z tests, both tails counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Array = NDArray[np.float64]


def two_sided_power(effect: ArrayLike, std_error: ArrayLike, df: ArrayLike, alpha: float) -> Array:
    """Probability that a noncentral t (normal where df is infinite) leaves the central limits, in either tail.

    >>> float(two_sided_power(1.959963984540054, 1.0, np.inf, 0.05).round(4))
    0.5
    """
    shift, nu = np.broadcast_arrays(
        np.abs(np.asarray(effect, dtype=float) / np.asarray(std_error, dtype=float)), np.asarray(df, dtype=float)
    )
    finite = np.isfinite(nu)
    limit = np.where(finite, special.stdtrit(np.where(finite, nu, 1.0), 1 - alpha / 2), special.ndtri(1 - alpha / 2))
    normal = special.ndtr(shift - limit) + special.ndtr(-limit - shift)
    return np.asarray(np.where(finite, _noncentral(shift, np.where(finite, nu, 1.0), limit), normal))


def _noncentral(shift: Array, nu: Array, limit: Array) -> Array:
    """Tail probabilities, by quadrature where the library's series gives up (far from the centre)."""
    with np.errstate(all="ignore"):
        power = 1 - special.nctdtr(nu, shift, limit) + special.nctdtr(nu, shift, -limit)
    lost = np.flatnonzero(~np.isfinite(power))
    if not len(lost):
        return np.asarray(power)
    flat = np.array(power, dtype=float).ravel()
    flat[lost] = [_integral(s, v, c) for s, v, c in zip(shift.ravel()[lost], nu.ravel()[lost], limit.ravel()[lost], strict=True)]
    return flat.reshape(np.shape(power))


def _integral(shift: float, nu: float, limit: float) -> float:
    """``E[Phi(shift - c r) + Phi(-shift - c r)]`` with ``r`` the root of a chi-square over its df, integrated over ``log r``."""
    from scipy import integrate  # imported where used: it would slow down `import swedge`

    constant = np.log(2) + nu / 2 * np.log(nu / 2) - special.gammaln(nu / 2)

    def weighted(log_root: float) -> float:
        root = np.exp(log_root)
        tails = special.ndtr(shift - limit * root) + special.ndtr(-shift - limit * root)
        return float(np.exp(constant + nu * (log_root - root**2 / 2)) * tails)

    low = max(special.gammaincinv(nu / 2, 1e-16), np.finfo(float).tiny)
    first, last = (float(np.log(end * 2 / nu) / 2) for end in (low, special.gammainccinv(nu / 2, 1e-16)))
    width = 8 / max(shift, 1.0)
    bend = np.log(max(shift, 1e-300) / limit)
    points = np.clip([0.0, bend - width, bend, bend + width], first, last).tolist()
    return float(min(integrate.quad(weighted, first, last, points=points, limit=400, epsabs=1e-13)[0], 1.0))
