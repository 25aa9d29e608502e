"""Effects when differences in trend are bounded: fixed-length and conditional intervals.

Event-study coefficients are normal about ``delta + (0, tau)``, `delta` the difference in trend, 0 in the reference period between the `K`
periods before and the `T` after it. The effect is ``theta = l'tau``.

Bounds on `delta` after treatment come in pairs, ``+-(C delta_pre + D delta_post) <= d + F delta_pre`` with `D` ``(T, T)`` invertible. The
conditional test profiles ``T - 1`` nuisance effects out by combinations ``gamma >= 0`` of the bounds that load on `theta` alone. As `D` is
invertible these form a cone with only T + 2 edges, which are written down here: the two signs of ``D^-T l``, and each pair added up. What a
linear program a draw would look for is then the largest of T + 2 numbers.

References
----------
Rambachan A, Roth J (2023). A more credible approach to parallel trends. Review of Economic Studies 90, 2555-2591.
Andrews I, Roth J, Pakes A (2023). Inference for linear conditional moment inequalities. Review of Economic Studies 90, 2763-2791.
Armstrong TB, Kolesar M (2018). Optimal inference in a class of regression models. Econometrica 86, 655-683.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special
from scipy.stats import qmc

Array = NDArray[np.float64]

# Points of the Sobol sequence, 2 to this power, and the share of alpha that the first stage of the hybrid test takes.
POINTS = 14
FIRST_STAGE = 0.1
# Grid over which acceptance is scanned, and how often again at its ends; combinations of less variance than this share are constants.
GRID = 2001
SCANS = 3
CONSTANT = 1e-12


class Bounds(NamedTuple):
    """``+-(before delta_pre + after delta_post) <= limit + slack delta_pre``: ``(T, K)``, ``(T, T)``, a number and ``(K,)``."""

    before: Array
    after: Array
    limit: float
    slack: Array


def smoothness(before: int, after: int, limit: float) -> list[Bounds]:
    """Slopes change by at most `limit` from one period to the next."""
    second = np.diff(np.eye(before + 1 + after), 2, axis=0)[before - 1 :]
    return [Bounds(second[:, :before], second[:, before + 1 :], limit, np.zeros(before))]


def relative_magnitudes(before: int, after: int, ratio: float) -> list[Bounds]:
    """Steps after treatment are at most `ratio` times the largest step before: one set of bounds a step and sign."""
    steps = np.diff(np.eye(before + 1 + after), axis=0)
    own, later = steps[:before, :before], steps[before:, before + 1 :]
    nothing = np.zeros((after, before))
    return [Bounds(nothing, later, 0.0, sign * ratio * row) for row in own for sign in (1.0, -1.0)]


def identified_set(bounds: list[Bounds], estimate: Array, target: Array) -> tuple[float, float]:
    """The effects that the bounds leave possible, were the estimates ``(K + T,)`` exact."""
    pre, post = np.split(estimate, [len(estimate) - len(target)])
    ends = []
    for part in bounds:
        reach = part.limit + part.slack @ pre
        along = np.linalg.solve(part.after.T, target)
        middle = target @ post + along @ (part.before @ pre)
        if reach >= 0:
            ends += [middle - reach * np.abs(along).sum(), middle + reach * np.abs(along).sum()]
    return (float(min(ends)), float(max(ends))) if ends else (np.nan, np.nan)


def conditional_interval(
    bounds: list[Bounds], estimate: Array, covariance: Array, target: Array, level: float
) -> tuple[float, float, bool]:
    """Hull of the effects that the conditional test with a least-favourable first stage does not reject, and whether it is all accepted."""
    alpha = 1 - level
    every = [_edges(part, estimate, covariance, target) for part in bounds]
    tests = [(edges, _largest_quantile(edges.covariance, 1 - FIRST_STAGE * alpha)) for edges in every]
    ends = [_piece(edges, alpha, ceiling) for edges, ceiling in tests]
    if np.isnan(ends).all():
        return np.nan, np.nan, True
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    between = np.linspace(low, high, GRID)[1:-1]
    kept = np.any([_accepted(edges, between, alpha, ceiling) for edges, ceiling in tests], axis=0)
    return low, high, bool(kept.all())


class _Edges(NamedTuple):
    """Each edge's moment ``value - slope * theta``, at most 0 in expectation, ``(T + 2,)``, and their covariance."""

    value: Array
    slope: Array
    covariance: Array


def _edges(bounds: Bounds, estimate: Array, covariance: Array, target: Array) -> _Edges:
    after = len(target)
    main = np.hstack([bounds.before, bounds.after])
    extra = np.append(bounds.slack, np.zeros(after))
    rows = np.vstack([main - extra, -main - extra])
    size = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    along = np.linalg.solve(bounds.after.T, target)
    up, down = np.maximum(along, 0), np.maximum(-along, 0)
    edges = np.vstack([np.append(up, down), np.append(down, up), np.hstack([np.eye(after)] * 2)])
    edges /= (edges @ size)[:, None]
    combined = edges @ rows
    slope = combined[:, -after:] @ target / (target @ target)
    return _Edges(combined @ estimate - edges.sum(1) * bounds.limit, slope, combined @ covariance @ combined.T)


def _piece(edges: _Edges, alpha: float, ceiling: float) -> tuple[float, float]:
    """The hull of the accepted effects of one set of bounds; beyond the first stage's limits nothing is accepted."""
    limits = sorted((edges.value[:2] - ceiling) / edges.slope[:2])
    grid = np.linspace(limits[0], limits[1], GRID)
    kept = np.flatnonzero(_accepted(edges, grid, alpha, ceiling))
    if not len(kept):
        return np.nan, np.nan
    first, last = kept[0], kept[-1]
    low = _end(edges, grid[first], grid[max(first - 1, 0)], alpha, ceiling)
    return low, _end(edges, grid[last], grid[min(last + 1, GRID - 1)], alpha, ceiling)


def _end(edges: _Edges, inside: float, outside: float, alpha: float, ceiling: float) -> float:
    for _ in range(SCANS):
        between = np.linspace(inside, outside, GRID)
        last = int(np.argmin(np.append(_accepted(edges, between[1:-1], alpha, ceiling), False)))
        inside, outside = float(between[last]), float(between[last + 1])
    return float(inside)


def _accepted(edges: _Edges, theta: Array, alpha: float, ceiling: float) -> NDArray[np.bool_]:
    """Whether each effect ``(G,)`` passes both stages."""
    value = edges.value - np.multiply.outer(theta, edges.slope)
    largest = value.max(1)
    variances = np.diagonal(edges.covariance)
    k = value.argmax(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        follows = edges.covariance[k] / variances[k][:, None]
        meet = (value - follows * largest[:, None]) / (1 - follows)
    low = np.where(follows < 1 - 1e-9, meet, -np.inf).max(1)
    high = np.minimum(np.where(follows > 1 + 1e-9, meet, np.inf).min(1), ceiling)
    cutoff = _truncated_quantile(low, high, np.sqrt(variances[k]), (1 - alpha) / (1 - FIRST_STAGE * alpha))
    constant = variances[k] <= CONSTANT * variances.max()
    return np.asarray((largest <= ceiling) & (largest <= np.where(constant, 0.0, np.maximum(cutoff, 0.0))))


def _truncated_quantile(low: Array, high: Array, size: Array, level: float) -> Array:
    """Quantile of a normal of mean 0 cut off at both ends, by upper tails."""
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = (1 - level) * special.ndtr(-low / size) + level * special.ndtr(-high / size)
        return np.asarray(-size * special.ndtri(tail))


def _largest_quantile(covariance: Array, level: float) -> float:
    """Quantile of the largest of normals of mean 0, over a scrambled Sobol sequence of fixed seed."""
    values, vectors = np.linalg.eigh(covariance)
    kept = values > CONSTANT * values[-1]
    uniform = qmc.Sobol(int(kept.sum()), seed=0).random_base2(POINTS)
    normal = special.ndtri(np.clip(uniform, 1e-12, 1 - 1e-12))
    return float(np.quantile((normal @ (vectors[:, kept] * np.sqrt(values[kept])).T).max(1), level))


def folded_quantile(shift: float, level: float) -> float:
    """The `level` quantile of ``|Z + shift|``.

    >>> round(folded_quantile(0.0, 0.95), 4), round(folded_quantile(9.0, 0.95), 4)
    (1.96, 10.6449)
    """
    b = abs(shift)
    ends = b + special.ndtri(level), b + special.ndtri((1 + level) / 2)
    return float(optimize.brentq(lambda c: special.ndtr(c - b) - special.ndtr(-c - b) - level, ends[0] - 1e-9, ends[1] + 1e-9, xtol=1e-13))


def fixed_length_interval(estimate: Array, covariance: Array, target: Array, limit: float, level: float) -> tuple[float, float, Array]:
    """The shortest interval about a weighted sum of the coefficients when slopes change by at most `limit`, and its weights ``(K + T,)``.

    Weights after treatment are `target`; those before take out straight lines and some of the curvature. With ``c_t`` the sum's response to
    a change of slope in period t, its bias is at most ``limit sum |c_t|``, and the weights before are affine in the `c_t` before: the
    length is a convex function of these, minimised with ``c = p - q``, p and q at least 0.
    """
    before = len(estimate) - len(target)
    start, turn, fixed = _responses(before, target)
    size = float(np.sqrt(start @ covariance @ start))

    def length(parts: Array) -> tuple[float, Array]:
        weights = start + turn @ (parts[: before - 1] - parts[before - 1 :])
        spread = float(np.sqrt(weights @ covariance @ weights))
        shift = limit * (fixed + parts.sum()) / spread
        reach = folded_quantile(shift, level)
        lean = _folded_slope(reach, shift)
        slope = (reach - shift * lean) / spread * (turn.T @ covariance @ weights)
        return spread * reach / size, (np.append(slope, -slope) + lean * limit) / size

    parts = np.zeros(2 * (before - 1))
    if before > 1:
        parts = optimize.minimize(
            length,
            parts,
            jac=True,
            method="L-BFGS-B",
            bounds=[(0, None)] * len(parts),
            options={"ftol": 1e-15, "gtol": 1e-11, "maxiter": 2000},
        ).x
    weights = start + turn @ (parts[: before - 1] - parts[before - 1 :])
    half = float(length(parts)[0]) * size
    return float(weights @ estimate - half), float(weights @ estimate + half), weights


def _folded_slope(reach: float, shift: float) -> float:
    """Derivative of the folded normal's quantile by its shift."""
    near, far = np.exp(-0.5 * (reach - shift) ** 2), np.exp(-0.5 * (reach + shift) ** 2)
    return float((near - far) / (near + far))


def _responses(before: int, target: Array) -> tuple[Array, Array, float]:
    """Weights ``(K + T,)`` that no turn before treatment moves, how they move with such turns ``(K + T, K - 1)``, fixed responses."""
    times, later = np.arange(-before, 0), np.arange(1, len(target) + 1)
    fixed = sum(abs(float(target @ np.maximum(later - t, 0))) for t in range(len(target)))
    turns = np.maximum(times[1:, None] - times, 0)
    system = np.vstack([times, turns]).astype(float)
    inverse = np.linalg.inv(system)
    start = np.append(-inverse[:, 0] * float(target @ later), target)
    return start, np.vstack([inverse[:, 1:], np.zeros((len(target), before - 1))]), fixed
