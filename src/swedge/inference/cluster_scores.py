"""The cluster scores of a regression, with its effect free or held at a value: what a wild bootstrap perturbs."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from swedge._kernels.glm import SlotFit, SlotModel, fit_slots, slot_model
from swedge._kernels.least_squares import fit_cells
from swedge._kernels.linalg import inverse_factor
from swedge._kernels.wild_bootstrap import Pulls, pulls_of, under_null
from swedge.errors import FitError, Status
from swedge.estimate import Estimator
from swedge.estimators import FixedEffects, TwoWayFixedEffects, WithinPeriod
from swedge.estimators.columns import Effects, cluster_columns, effects, padded, period_columns, slots, stack_columns
from swedge.estimators.pieces import cluster_sums, full, gaussian_pieces, glm_pieces
from swedge.trial import Trial

Array = NDArray[np.float64]
Regression = FixedEffects | TwoWayFixedEffects | WithinPeriod


class ClusterScores(NamedTuple):
    """``L^-1 (R, p, p)``; clusters' cross-products ``(R, I, p, p)`` and scores ``(R, I, p)``; contrast ``(p,)``; effects ``(R,)``.

    The effect is the estimate, or what it is held at. Axis 0 is 1 where an array serves all replicates; `sound` says which fits worked.
    """

    root: Array
    crossed: Array
    scores: Array
    contrast: Array
    effect: Array
    sound: NDArray[np.bool_]

    @property
    def pulls(self) -> Pulls:
        """What a bootstrap sample is made of."""
        return pulls_of(self.root, self.crossed, self.scores, self.contrast)


def regression(estimator: Estimator) -> Regression:
    """The estimator, its variance a plain one; refused if it has no cluster scores."""
    if not isinstance(estimator, Regression):
        raise FitError(
            f"A wild bootstrap perturbs the cluster scores of a regression with fixed coefficients, which {estimator!r} is not. Use"
            " FixedEffects, TwoWayFixedEffects or WithinPeriod; RandomisationTest and JackknifeTest take any estimator."
        )
    return replace(estimator, vcov="CR2", df="clusters")


def by_score(trial: Trial, estimator: Regression) -> bool:
    """Whether the regression has a link, so that the bootstrap is of its scores rather than of residuals."""
    return estimator.scale(trial) != "identity"


@np.errstate(all="ignore")
def free_scores(trial: Trial, estimator: Regression) -> ClusterScores:
    """Scores at the estimate."""
    return _model_scores(trial, estimator) if isinstance(estimator, FixedEffects) else _cell_scores(trial, estimator)


@np.errstate(all="ignore")
def held_scores(trial: Trial, estimator: Regression, effect: Array) -> ClusterScores:
    """Scores where the effect is held at each of some values: ``(G,)`` for one trial, one a replicate for a stack."""
    if isinstance(estimator, FixedEffects) and by_score(trial, estimator):
        return _held_glm(trial, estimator, effect)
    free = free_scores(trial, estimator)
    scores = under_null(free.root, free.crossed, free.scores, free.contrast, free.effect - np.ravel(effect))
    return free._replace(scores=scores, effect=effect)


def _cell_scores(trial: Trial, estimator: TwoWayFixedEffects | WithinPeriod) -> ClusterScores:
    """Scores of a regression of cell means."""
    x = stack_columns(estimator.indicators(trial), trial.arm[..., None, :, :])
    weight = full(estimator.cell_weights(trial), trial, 2)
    y = np.where(weight > 0, full(trial.outcome, trial, 2), 0.0)
    fit = fit_cells(full(x, trial, 3) * (weight > 0)[:, None], weight, y)
    contrast = np.eye(x.shape[-3])[-1]
    return ClusterScores(fit.root, fit.crossed, fit.scores, contrast, fit.beta @ contrast, fit.status(weight, y) == Status.OK)


def _model_scores(trial: Trial, estimator: FixedEffects) -> ClusterScores:
    """Scores of a regression on individuals or, without their scatter, on cell means."""
    parts, base = _parts(trial, estimator)
    boil = gaussian_pieces if trial.family == "gaussian" else glm_pieces
    pieces = boil(trial, stack_columns(base, parts.columns), True)
    contrast = _contrast(trial, parts, base)
    sound = pieces.status <= Status.SINGULAR
    return ClusterScores(pieces.root, pieces.crossed, pieces.scores, contrast, pieces.beta @ contrast, sound)


def _parts(trial: Trial, estimator: FixedEffects) -> tuple[Effects, Array]:
    """The effect's columns and those of periods and clusters."""
    return effects(trial, estimator.effect, estimator.estimand), stack_columns(period_columns(trial), cluster_columns(trial))


def _contrast(trial: Trial, parts: Effects, base: Array) -> Array:
    return np.asarray(padded(parts.contrasts, base.shape[-3], len(trial.covariates))[0])


def _held_glm(trial: Trial, estimator: FixedEffects, effect: Array) -> ClusterScores:
    """Fit without the contrast ``w'b``: ``b = effect w / w'w + N g`` with `N` the null space of `w`, the first part being an offset."""
    parts, base = _parts(trial, estimator)
    w = parts.contrasts[0]
    along = np.tensordot(w / (w @ w), np.moveaxis(parts.columns, -3, 0), 1)
    offset = effect[..., None, None] * along + (0.0 if trial.offset is None else trial.offset)
    held = replace(trial, offset=offset)
    across = np.moveaxis(np.tensordot(null_space(w[None]).T, np.moveaxis(parts.columns, -3, 0), 1), 0, -3)
    null, whole = _model(held, stack_columns(base, across)), _model(held, stack_columns(base, parts.columns))
    fits = [fit_slots(block) for block in null.blocks()]
    fit = SlotFit(*map(np.concatenate, zip(*fits, strict=True)))
    crossed, scores = cluster_sums(whole, fit)
    root, definite = inverse_factor(crossed.sum(-3))
    return ClusterScores(root, crossed, scores, _contrast(trial, parts, base), effect, definite & (fit.status <= Status.SINGULAR))


def _model(trial: Trial, columns: Array) -> SlotModel:
    parts = slots(trial, columns)
    return slot_model(parts.y, parts.x, parts.n, parts.offset, trial.maths, trial.shape)
