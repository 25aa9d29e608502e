"""Samples of the wild cluster bootstrap: weight vectors, and the statistics they give under an effect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.wild_bootstrap import POINTS, bootstrap_errors, every_weight, random_weights
from swedge.estimators.columns import informed
from swedge.inference.cluster_scores import ClusterScores, Regression, free_scores, held_scores
from swedge.trial import Trial

Array = NDArray[np.float64]

# Up to this many weight vectors are tried one by one unless draws= says otherwise.
ENUMERATE = 2**16
DRAWS = 9_999


@dataclass(frozen=True, eq=False)
class Vectors:
    """Weight vectors ``(B, I)``, zero for clusters without data: drawn, or the half of all `total` ones that the other half mirrors."""

    weights: Array
    total: int
    clusters: int
    exact: bool

    @property
    def count(self) -> int:
        """How many vectors the reference distribution stands for."""
        return self.total if self.exact else len(self.weights)


def weight_vectors(trial: Trial, kind: str, draws: int | None, seed: int) -> Vectors:
    """All vectors if there are no more than `draws`, else so many random ones."""
    seen = np.asarray((trial.n > 0).any(-1).reshape((-1, len(trial.clusters))).any(0))
    clusters = int(seen.sum())
    total = len(POINTS[kind]) ** clusters
    exact = total <= (draws or ENUMERATE)
    rng = np.random.default_rng(seed)
    chosen = every_weight(kind, clusters) if exact else random_weights(kind, clusters, draws or DRAWS, rng)
    weights = np.zeros((len(chosen), len(seen)))
    weights[:, seen] = chosen
    return Vectors(weights, total, clusters, exact)


@dataclass(frozen=True, eq=False)
class WildSamples:
    """Bootstrap samples of a trial, or of a stack of R.

    Attributes
    ----------
    weights : ndarray (B, I)
    restricted : bool
        Whether samples are drawn under the effect that is tested, else at the estimate.
    studentised : bool
        Whether the statistic is an estimate over its CR1 standard error.
    """

    trial: Trial
    estimator: Regression
    weights: Array
    restricted: bool
    studentised: bool

    def under(self, effects: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Statistics ``(B, G)`` of samples, those of the data ``(G,)``, and which fits worked, for a test of each of some effects.

        `effects` is ``(G,)`` for one trial and has the shape of a stack. The data are the sample whose weights are all 1.
        """
        if self.restricted:
            held = held_scores(self.trial, self.estimator, effects)
            return self._statistics(held, self.weights), self._statistics(held, self._ones)[0], held.sound
        away = self._free.effect - np.ravel(effects)
        return self._at_estimate, away / self.std_error if self.studentised else away, self._free.sound

    @cached_property
    def std_error(self) -> Array:
        """CR1 standard errors ``(R,)`` of the estimates."""
        return np.asarray(self._errors(self._free, self._ones)[0])

    @cached_property
    def _free(self) -> ClusterScores:
        return free_scores(self.trial, self.estimator)

    @cached_property
    def _at_estimate(self) -> Array:
        return self._statistics(self._free, self.weights)

    @property
    def _ones(self) -> Array:
        return np.ones((1, len(self.trial.clusters)))

    def _statistics(self, scores: ClusterScores, weights: Array) -> Array:
        estimates = np.asarray(weights @ scores.pulls.u.T)
        return estimates / self._errors(scores, weights) if self.studentised else estimates

    def _errors(self, scores: ClusterScores, weights: Array) -> Array:
        clusters = informed(self.trial)
        return np.asarray(bootstrap_errors(scores.pulls, weights) * np.sqrt(clusters / np.maximum(clusters - 1, 1)))
