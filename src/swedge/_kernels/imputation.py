"""Draws of missing values from their predictive distribution given the other columns.

The columns ``x (N, p)`` begin with the intercept; indicators are 0/1 and numbers standardised, so that one weak prior suits all.

References
----------
van Buuren S (2018). Flexible Imputation of Missing Data, 2nd edition. Chapman and Hall.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from swedge._kernels.linalg import inverse_factor

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

# Normal priors of log odds. They matter where a level is found with one outcome alone, whose odds would be infinite without them.
PRIOR_SD, INTERCEPT_SD = 2.5, 10.0
# Share of each column's sum of squares added to it, so that columns that repeat each other do no harm.
RIDGE = 1e-5
# Newton decrement, in units of the log posterior, at which its mode is found.
CONVERGED, MAX_ITERATIONS = 1e-8, 100


def draw_levels(x: Array, codes: Index, seen: Flags, order: Index, modes: Array, rng: np.random.Generator) -> Index:
    """Codes of the rows not `seen`: one logistic regression a level, against all levels that come later in `order`.

    Parameters
    ----------
    modes : ndarray (L - 1, p)
        Where each regression starts; overwritten by the modes found.
    """
    left, open_rows = np.flatnonzero(seen), np.flatnonzero(~seen)
    drawn = np.full(len(codes), order[-1])
    for k, level in enumerate(order[:-1]):
        here = codes[left] == level
        modes[k], root = posterior(x[left], here.astype(float), modes[k])
        odds = modes[k] + root.T @ rng.standard_normal(len(root))
        hit = rng.random(len(open_rows)) < special.expit(x[open_rows] @ odds)
        drawn[open_rows[hit]] = level
        left, open_rows = left[~here], open_rows[~hit]
    return np.asarray(drawn[~seen])


def posterior(x: Array, y: Array, start: Array) -> tuple[Array, Array]:
    """Mode of a logistic regression's posterior, and ``root`` with ``root' root`` the inverse of its information there."""
    precision = np.full(x.shape[1], PRIOR_SD**-2)
    precision[0] = INTERCEPT_SD**-2

    def height(beta: Array) -> float:
        eta = x @ beta
        return float(y @ eta - np.logaddexp(0, eta).sum() - 0.5 * precision @ beta**2)

    beta = start
    for _ in range(MAX_ITERATIONS):
        risk = special.expit(x @ beta)
        root, _ = inverse_factor((x * (risk * (1 - risk))[:, None]).T @ x + np.diag(precision))
        half = root @ (x.T @ (y - risk) - precision * beta)
        if half @ half < CONVERGED:
            break
        step, now = root.T @ half, height(beta)
        while height(beta + step) < now - 1e-12 * abs(now):
            step = step / 2
        beta = beta + step
    return beta, root


def draw_numbers(x: Array, y: Array, seen: Flags, donors: int, rng: np.random.Generator) -> Array:
    """Values of the rows not `seen`, each taken from a row whose predicted value is near: predictive mean matching.

    Observed rows are predicted at the fitted coefficients, missing ones at a draw of them from a normal linear model's posterior.
    """
    known = x[seen]
    squares = known.T @ known
    root, _ = inverse_factor(squares + RIDGE * np.diag(squares.diagonal() + 1))
    fitted = root.T @ (root @ (known.T @ y[seen]))
    residual = y[seen] - known @ fitted
    spread = np.sqrt(residual @ residual / rng.chisquare(max(len(known) - x.shape[1], 1)))
    drawn = fitted + spread * (root.T @ rng.standard_normal(len(root)))
    return y[seen][_near(known @ fitted, x[~seen] @ drawn, donors, rng)]


def _near(predicted: Array, targets: Array, donors: int, rng: np.random.Generator) -> Index:
    """For each target one of the `donors` nearest predictions at random, those as near as the last of them included."""
    order = np.argsort(predicted, kind="stable")
    line = predicted[order]
    count = min(donors, len(line))
    window = np.searchsorted(line, targets)[:, None] + np.arange(-count, count)
    inside = (window >= 0) & (window < len(line))
    gaps = np.where(inside, np.abs(line[np.clip(window, 0, len(line) - 1)] - targets[:, None]), np.inf)
    reach = np.partition(gaps, count - 1, axis=1)[:, count - 1] * (1 + 1e-9) + 1e-12 * np.abs(targets)
    low, high = np.searchsorted(line, targets - reach, "left"), np.searchsorted(line, targets + reach, "right")
    return np.asarray(order[low + (rng.random(len(targets)) * (high - low)).astype(np.intp)])
