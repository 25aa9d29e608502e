"""What an estimator is: anything that turns a trial into an estimate."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.least_squares import varies
from swedge.errors import DataError, FitError, Status, described, listing
from swedge.estimate.result import ONE_CLUSTER, ONE_CLUSTER_SHARE, Estimate
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class Estimator(ABC):
    """Anything that turns a trial into an estimate. A new one implements `_fit`, and `scale` where it has a link.

    Examples
    --------
    >>> import swedge as sw
    >>> isinstance(sw.MixedModel(), sw.Estimator), isinstance(sw.MixedModel(), sw.LinearEstimator)
    (True, False)
    """

    def scale(self, trial: Trial) -> str:
        """The scale on which a constant effect is a shift."""
        return "identity"

    @abstractmethod
    def _fit(self, trial: Trial) -> Estimate:
        """Fit every replicate; failures are statuses."""

    def fit(self, trial: Trial) -> Estimate:
        """Fit one trial or a stack.

        Raises
        ------
        FitError
            If a single trial cannot be fitted. In a stack that is a `Status`, and its numbers are nan.
        """
        _check_trial(trial)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            estimate = self._fit(trial)
        return refuse_failed(estimate, repr(self), lambda: self.aliases(trial))

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others, as a sentence; nothing from an estimator that does not know."""
        return ""

    def point(self, trial: Trial) -> Array:
        """Point estimates alone, nan where the fit failed."""
        return self.fit(trial).estimate

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with a constant effect taken out, on this estimator's scale."""
        return trial.without(effect, self.scale(trial))


def refuse_failed(estimate: Estimate, who: str, aliases: Callable[[], str] = str) -> Estimate:
    """The estimate, unless it is a single one that failed; `aliases` names the columns of one that lacks rank."""
    if not np.ndim(estimate.status) and not Status(int(estimate.status)).usable:
        status = Status(int(estimate.status))
        named = aliases() if status == Status.RANK_DEFICIENT else _carried_alone(estimate) if status == Status.ONE_CLUSTER else ""
        raise FitError(f"{who} failed: {status.name.lower().replace('_', ' ')}. {status.advice}{named}")
    return estimate


def _carried_alone(estimate: Estimate) -> str:
    """Which of several effects single clusters carry."""
    shares = np.ravel(estimate.details.get(ONE_CLUSTER_SHARE, ()))
    named = [term for term, share in zip(estimate.terms, shares, strict=False) if share > ONE_CLUSTER]
    if len(estimate.terms) < 2 or not named:
        return ""
    other = " FixedEffects(vcov='overdispersed') gives the rest as well." if len(named) < len(estimate.terms) else ""
    return f" Of {len(estimate.terms)} effects this concerns {listing(named)}.{other}"


def _check_trial(trial: object) -> None:
    if not isinstance(trial, Trial):
        raise DataError(f"An estimator fits a Trial, and this is {described(trial)}. Build one with Trial.from_frame or Trial.from_cells.")


def check_estimator(value: object) -> None:
    """Refuse a class, a text or anything else that cannot fit.

    Raises
    ------
    DataError
        If `value` is no instance of an `Estimator`.
    """
    if not isinstance(value, Estimator):
        example = value.__name__ if isinstance(value, type) and issubclass(value, Estimator) else "FixedEffects"
        raise DataError(f"estimator is {described(value)}, not an Estimator that can fit. Pass for example {example}().")


def check_pair(trial: object, estimator: object) -> None:
    """Refuse what is no trial followed by an estimator.

    Raises
    ------
    DataError
        If the two are swapped, or one is something else.
    """
    if isinstance(trial, Estimator) and isinstance(estimator, Trial):
        raise DataError(f"A trial comes first, then an estimator; here {described(trial)} comes first. Swap them.")
    _check_trial(trial)
    check_estimator(estimator)


class LinearEstimator(Estimator):
    """An estimator that is a weighted sum of cell means. A new one implements `weights` as well, ``(..., I, T)``.

    Its estimates under all allocations are then one matrix product, and its variance under any truth is known: `exact_power` and
    `variance_under` take it.

    Examples
    --------
    >>> import swedge as sw
    >>> isinstance(sw.WithinPeriod(), sw.LinearEstimator)
    True
    """

    @property
    def fixed_weights(self) -> bool:
        """Whether the weights are the same whatever the outcomes, so that those of one allocation serve all outcomes."""
        return True

    @abstractmethod
    def weights(self, trial: Trial) -> Array:
        """Weights ``(..., I, T)``: the estimate is their sum over cell means. They add up to 0, and to 1 over treated cells."""

    def point(self, trial: Trial) -> Array:
        """Point estimates ``(...)`` by the weights alone; nan where every outcome is the same."""
        estimate = (self.weights(trial) * _about_mean(trial)).sum((-2, -1))
        return np.asarray(np.where(varies(trial.n, trial.outcome), estimate, np.nan))

    def reference(self, trial: Trial, sequences: NDArray[np.int64], outcome: Array | None = None) -> Array:
        """Estimates under allocations ``sequences (A, I)``, ``(A, ...)``: one matrix product where cell counts are shared.

        `outcome` stands in for the cell means, ``(..., I, T)``.
        """
        shown = _about_mean(trial) if outcome is None else outcome
        if trial.cells.n.ndim > 2 or not self.fixed_weights:
            lead = (len(sequences), *(1,) * len(trial.shape))
            return np.asarray((self.weights(trial.reallocated(sequences.reshape((*lead, -1)))) * shown).sum((-2, -1)))
        weights = self.weights(trial.reallocated(sequences))
        cells = weights.reshape((len(weights), -1)) @ shown.reshape((*shown.shape[:-2], -1))[..., None]
        return np.asarray(np.moveaxis(cells[..., 0], -1, 0))

    def variance(self, trial: Trial, covariance: ArrayLike) -> Array:
        """Variance of the estimate under an assumed truth: ``sum_i w_i' V_i w_i``.

        Parameters
        ----------
        covariance : array_like (T, T) or (..., I, T, T)
            Covariance of a cluster's cell means, sampling error included.
        """
        w = self.weights(trial)
        return np.asarray((w[..., None, :] @ np.asarray(covariance, dtype=float) @ w[..., None]).sum((-3, -2, -1)))

    def plot_weights(self, trial: Trial, ax: Axes | None = None) -> Axes:
        """Weight of every cell, negative ones in plain sight."""
        from swedge._present.heatmap import draw_weights

        return draw_weights(self.weights(trial), trial.arm, trial.clusters, trial.periods, ax=ax)


def _about_mean(trial: Trial) -> Array:
    """Cell means about their average, 0 where nobody was observed. Weights add up to 0, so this only keeps digits."""
    seen = trial.n > 0
    average = np.where(seen, trial.outcome, 0.0).sum((-2, -1), keepdims=True) / np.maximum(seen.sum((-2, -1), keepdims=True), 1)
    return np.where(trial.cells.n > 0, trial.outcome - average, 0.0)
