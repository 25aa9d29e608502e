"""A treated group's mean change against what controls of the same covariates changed by, and each cluster's influence on it.

References
----------
Sant'Anna PHC, Zhao J (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219, 101-122.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FamilyMaths
from swedge._kernels.glm import fit_slots, slot_model
from swedge._kernels.linalg import inverse_factor
from swedge.errors import Status

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Controls as good as certain to be treated would carry all the weight.
TRIMMED = 0.995


class AdjustedChange(NamedTuple):
    """Weight ``share (..., I)`` of each cluster's change, and its ``influence (..., I)`` on their sum; nan where not identified."""

    share: Array
    influence: Array


class Score(NamedTuple):
    """Weights of controls that add up to 1, residuals ``D - p`` of the propensity score, its inverse information, and where it exists."""

    odds: Array
    residual: Array
    inverse: Array
    found: Flags


def adjusted_change(
    treated: Flags, control: Flags, x: Array, change: Array, family: FamilyMaths, propensity: bool, regression: bool
) -> AdjustedChange:
    """One comparison.

    With both, the estimate is doubly robust (a logit score by maximum likelihood, a regression by least squares among controls); with one
    of them, weighting by normalised odds or outcome regression.

    Parameters
    ----------
    treated, control : (..., I)
    x : (I, p)
        Covariates, the constant among them.
    change : (..., I)
    family : FamilyMaths
        The binomial family.
    """
    ours = treated / treated.sum(-1, keepdims=True)
    line, fitted, known = _regressed(control, x, change) if regression else (None, 0.0, np.array(True))
    left = change - fitted
    share = ours
    influence = ours * (left - _mean(ours, left))
    if propensity:
        score = _score(treated, control, x, family)
        apart = score.odds * (left - _mean(score.odds, left))
        pull = apart @ x
        share, known = share - score.odds, known & score.found
        influence = influence - apart - score.residual * _along(x, score.inverse, pull)
    if line is not None:
        reach = control * _along(x, line, share @ x)
        share, influence = share - reach, influence - reach * left
    hidden = np.where(known, 1.0, np.nan)[..., None]
    return AdjustedChange(share * hidden, influence * hidden)


def _mean(weights: Array, values: Array) -> Array:
    return np.asarray((weights * values).sum(-1, keepdims=True))


def _along(x: Array, inverse: Array, direction: Array) -> Array:
    """``x inverse direction``, ``(..., I)``."""
    return np.asarray(((inverse @ direction[..., None])[..., 0]) @ x.T)


def _regressed(control: Flags, x: Array, change: Array) -> tuple[Array, Array, Flags]:
    """Inverse of the controls' cross-products ``(..., p, p)``, fitted changes ``(..., I)``, and where they exist."""
    ours = control.astype(float)
    root, known = inverse_factor((x.T * ours[..., None, :]) @ x)
    inverse = root.swapaxes(-1, -2) @ root
    return inverse, _along(x, inverse, (ours * change) @ x), known


def _score(treated: Flags, control: Flags, x: Array, family: FamilyMaths) -> Score:
    seen = (treated | control)[..., None].astype(float)
    fit = fit_slots(slot_model(treated[..., None].astype(float), x.T[..., None], seen, np.zeros((1, 1)), family, treated.shape[:-1]))
    chance = fit.mu[..., 0].reshape(treated.shape)
    odds = np.where(control & (chance < TRIMMED), chance / (1 - np.minimum(chance, TRIMMED)), 0.0)
    inverse = (fit.root.swapaxes(-1, -2) @ fit.root).reshape((*treated.shape[:-1], *fit.root.shape[1:]))
    residual = np.where(seen[..., 0] > 0, treated - chance, 0.0)
    found = fit.status.reshape(treated.shape[:-1]) == Status.OK
    return Score(odds / odds.sum(-1, keepdims=True), residual, inverse, found)
