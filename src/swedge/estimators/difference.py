"""What difference-in-differences estimators share: cell weights, and a variance that does not rest on their own cohorts' residuals."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.least_squares import varies
from swedge._kernels.linear_robust import WorkingModel, linear_robust
from swedge.errors import FitError, Status, nearest
from swedge.estimate import Estimate, LinearEstimator, Wording, assemble
from swedge.estimate.result import spent
from swedge.estimators.columns import counted, informed, period_columns, stack_columns
from swedge.estimators.pieces import full
from swedge.estimators.unseen import cohorts_of_one, idle_rows, lost_parts, one_treated, treated_cells, without_weight
from swedge.trial import Trial

Array = NDArray[np.float64]

ROBUST = ("CR0", "CR1", "CR2", "CR3")
VCOVS = (*ROBUST, "influence")
# Variances made of deviations from cohorts' means, of which a cohort of one has none.
BY_COHORT = ("influence", "saturated")
# A robust variance is refused when single clusters fit more than this share of a contrast exactly. With one cluster on a side it is .28 to
# .95, and the standard error .2 to .85 of what it should be; that up to .48 rejects few true nulls at 5% is the doing of 1 to 2 df.
TOO_MUCH = 0.25
# Weights that add up to this, without their signs, are rounding: an effect is no number that is 0 whatever the outcomes.
NOTHING = 1e-9
VCOV_WORDS = {
    "influence": "influence-function",
    "saturated": "the saturated regression's clustered",
    "neyman": "conservative Neyman",
    "adjusted": "adjusted Neyman",
    "placebo": "placebo",
    "jackknife": "fixed-weight jackknife",
}
DF_WORDS = {"satterthwaite": "Satterthwaite", "clusters": "clusters minus 1", "normal": "infinite (normal)"}


class CellEffects(NamedTuple):
    """What an estimator builds: ``terms (K,)``, ``weights (..., K, I, T)`` over cell means, and what the terms estimate.

    A term called "overall" comes first and sums up the others; tests and power read it. `notes` say what was left out.
    """

    terms: tuple[str, ...]
    weights: Array
    estimand: str
    notes: tuple[str, ...] = ()

    @property
    def summed_up(self) -> bool:
        """Whether the first term says it all."""
        return len(self.terms) == 1 or self.terms[0] == "overall"


class TermNumbers(NamedTuple):
    """``terms (K,)`` with ``estimate (..., K)``, ``covariance (..., K, K)`` and ``df (..., K)``; a term that is not identified is nan.

    ``alone (..., K)`` is the share of each term whose error a cluster-robust variance does not see, ``weights (..., K, I, T)`` those of
    cells, where they are at hand.
    """

    terms: tuple[str, ...]
    estimate: Array
    covariance: Array
    df: Array
    estimand: str
    notes: tuple[str, ...] = ()
    alone: Array | None = None
    weights: Array | None = None

    @property
    def summed_up(self) -> bool:
        """Whether the first term says it all."""
        return len(self.terms) == 1 or self.terms[0] == "overall"


@dataclass(frozen=True)
class DifferenceInDifferences(LinearEstimator):
    """A builder of cell weights for clusters that start at different times; a new estimator implements `build` and `_named`.

    The default variance is CR2 with Satterthwaite df, its residuals from a two-way model with one constant effect: with one cluster a
    cohort an estimator's own residuals are zero where its effects are fitted, and variances made of them reject true nulls several times
    too often. Effects that differ from a constant stay in these residuals, which makes the variance conservative: five clusters that start
    one after the other beside 12 never treated, noise of 1 and effects of ``1 + e`` in event time `e` give a standard error 1.27 times the
    spread of the estimates, ``3 (1 + e)`` one of 2.6 times. "influence" is the estimator's own influence function, as peers report it.

    Where one cluster carries an effect alone, on either side, the working model fits its cells, and nothing is left to measure their error
    by: above a quarter of an effect's squared weights its status is ``ONE_CLUSTER``. One of several effects is then nan, and a note names
    it; where it is the overall one, or the only one, the fit fails. So does one by "influence" where a single cluster is ever treated: its
    standard error would be .28 of what it should be beside 10 others and .15 beside 40, and 60% and 77% of true nulls would be rejected at
    5% (`Switchers` and `SwitcherComparison`, whose influence functions mix the sides, are spared). Use `PlaceboTest` or
    `RandomisationTest`, which do without a variance.
    """

    vcov: str = "CR2"
    df: str = "satterthwaite"

    vcovs: ClassVar[tuple[str, ...]] = VCOVS
    dfs: ClassVar[tuple[str, ...]] = tuple(DF_WORDS)
    # Whether the influence of a cluster alone on its side is taken about the mean of both sides, and so not 0.
    mixes_sides: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, allowed in (("vcov", self.vcovs), ("df", self.dfs)):
            value = getattr(self, name)
            if value not in allowed:
                raise FitError(f"{name}={value!r}; expected one of {', '.join(allowed)}.{nearest(str(value), allowed)}")
        if self.vcov not in ROBUST and self.df == "satterthwaite":
            raise FitError(f"vcov={self.vcov!r} has no Satterthwaite df. Use df='normal' (as peers do) or df='clusters'.")

    @abstractmethod
    def build(self, trial: Trial) -> CellEffects:
        """Terms and their weights over cell means, 0 in cells that are not observed."""

    @abstractmethod
    def _named(self) -> str:
        """The estimator in words, for a sentence."""

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to each term's error, ``(..., K, I)``: its cells about its cohort's means, weighed.

        Clusters of one cohort are compared with each other; a cohort of one cluster adds nothing, and its error is not seen.
        """
        raise FitError(f"{type(self).__name__} has no influence function of its own; use vcov='CR2'.")

    def leading(self, trial: Trial) -> CellEffects:
        """What tests and power read: the one effect or the overall one alone, or several where they stand side by side."""
        built = self.build(trial)
        return CellEffects(built.terms[:1], built.weights[..., :1, :, :], built.estimand) if built.summed_up else built

    def weights(self, trial: Trial) -> Array:
        """Weights ``(..., I, T)`` of the one effect or the overall one; ``(..., K, I, T)`` where several stand side by side."""
        built = self.leading(trial)
        return np.asarray(built.weights[..., 0, :, :] if built.summed_up else built.weights)

    def point(self, trial: Trial) -> Array:
        """The one effect or the overall one ``(...)``, by the weights alone; ``(..., K)`` where several stand side by side."""
        built = self.leading(trial)
        estimate = (built.weights * about_centre(trial)[..., None, :, :]).sum((-2, -1))
        shown = np.where(varies(trial.n, trial.outcome)[..., None], estimate, np.nan)
        return np.asarray(shown[..., 0] if built.summed_up else shown)

    def working_model(self, trial: Trial) -> WorkingModel:
        """Whose residuals make the variance: clusters, periods and one constant effect."""
        return two_way_model(trial)

    def rows(self, trial: Trial, weights: Array, y: Array) -> tuple[Array, Array, WorkingModel]:
        """Weights ``(..., K, I, T)``, outcomes and the working model on rows that are taken to be uncorrelated: cells."""
        return weights, y, self.working_model(trial)

    def _fit(self, trial: Trial) -> Estimate:
        found = self._numbers(trial)
        numbers = (full(found.estimate, trial, 1), full(found.covariance, trial, 2), full(found.df, trial, 1))
        alone = self._alone(trial, found)
        own = statuses(*numbers, alone)
        leading = own[:, 0] if found.summed_up else own.min(-1)
        moves = full(np.asarray(varies(trial.n, trial.outcome), dtype=np.float64), trial, 0) > 0
        status = np.where(moves | (leading == Status.RANK_DEFICIENT), leading, Status.NO_VARIATION).astype(np.int8)
        lost = lost_parts(found.terms, own[0]) if not trial.shape and status[0] == Status.OK else ()
        notes = (*trial.notes, *self._unseen(trial, found), *found.notes, *lost)
        wording = Wording(type(self).__name__, found.estimand, "identity", self._methods(trial), notes)
        return assemble(trial, found.terms, numbers, status, wording, alone=alone, own=own if len(found.terms) > 1 else None)

    def _alone(self, trial: Trial, found: TermNumbers) -> Array | None:
        """Share of each term ``(R, K)`` whose error the variance does not see: all of it by influence where one cluster is ever treated."""
        blind = found.alone
        if self.vcov in BY_COHORT and not self.mixes_sides:
            blind = np.broadcast_to(one_treated(trial)[..., None], found.estimate.shape).astype(np.float64)
        return None if blind is None else full(blind, trial, 1)

    def _unseen(self, trial: Trial, found: TermNumbers) -> tuple[str, ...]:
        """Notes on treated clusters of one trial that carry no weight, and on cohorts of one whose error the variance does not see."""
        single = cohorts_of_one(trial) if self.vcov in BY_COHORT else ()
        if trial.shape:
            return single
        return (*without_weight(trial, self._idle(trial, found)), *single)

    def _idle(self, trial: Trial, found: TermNumbers) -> NDArray[np.bool_]:
        """Treated clusters ``(I,)`` of one trial that carry no weight in the overall effect, or in any where there is none."""
        weights = self.leading(trial).weights if found.weights is None else found.weights
        return idle_rows(weights[:1] if found.terms[0] == "overall" else weights, treated_cells(trial))

    def _numbers(self, trial: Trial) -> TermNumbers:
        """Estimates and their variance, by the weights of cells."""
        built, y = self.build(trial), about_centre(trial)
        nothing = np.abs(built.weights).sum((-2, -1)) <= NOTHING
        estimate = np.where(nothing, np.nan, (built.weights * y[..., None, :, :]).sum((-2, -1)))
        covariance, df, alone = self._covariance(trial, built.weights, y)
        return TermNumbers(built.terms, estimate, covariance, df, built.estimand, built.notes, alone, built.weights)

    def _covariance(self, trial: Trial, weights: Array, y: Array) -> tuple[Array, Array, Array | None]:
        """Covariance, df, and what share of each term's error a robust variance does not see."""
        alone = None
        if self.vcov in ROBUST:
            covariance, natural, _, alone = linear_robust(self.vcov, *self.rows(trial, weights, y))
        else:
            parts = self.influence(trial)
            covariance, natural = parts @ parts.swapaxes(-1, -2), np.full(parts.shape[:-1], np.inf)
        return covariance, natural if self.df == "satterthwaite" else self._fixed(trial, natural), alone

    def _fixed(self, trial: Trial, natural: Array) -> Array:
        count = np.inf if self.df == "normal" else informed(trial).reshape((*trial.shape, 1)) - 1.0
        return np.broadcast_to(count, np.broadcast_shapes(natural.shape, np.shape(count)))

    def _methods(self, trial: Trial) -> str:
        beside = f", {trial.comparators} of them never-treated comparison clusters" if trial.comparators else ""
        variance = VCOV_WORDS.get(self.vcov, f"{self.vcov} cluster-robust")
        return f"{self._named()}, {variance} standard errors and {DF_WORDS[self.df]} degrees of freedom; {counted(trial)}{beside}."


def statuses(estimate: Array, covariance: Array, df: Array, alone: Array | None) -> NDArray[np.int8]:
    """What became of each term by itself, ``(R, K)``."""
    variance = np.einsum("...kk->...k", covariance)
    known = np.isfinite(estimate) & np.isfinite(variance)
    left = np.where(spent(estimate, variance, df), Status.NO_DEGREES_OF_FREEDOM, Status.OK)
    blind = known & (False if alone is None else alone > TOO_MUCH)
    return np.where(blind, Status.ONE_CLUSTER, np.where(known, left, Status.RANK_DEFICIENT)).astype(np.int8)


def two_way_model(trial: Trial) -> WorkingModel:
    """Clusters, periods and one constant effect."""
    return with_levels(trial)._replace(levels=(trial.n > 0).astype(float))


def with_levels(trial: Trial) -> WorkingModel:
    """A working model that keeps clusters' levels in its residuals: periods and one constant effect."""
    columns = stack_columns(period_columns(trial), trial.arm[..., None, :, :]) * (trial.n > 0)[..., None, :, :]
    return WorkingModel(np.asarray(columns), np.zeros(trial.n.shape))


def about_centre(trial: Trial) -> Array:
    """Cell means about their overall level, which weights that add up to 0 do not see; 0 where nobody was observed."""
    n = trial.n
    level = (n * np.where(n > 0, trial.outcome, 0.0)).sum((-2, -1), keepdims=True) / n.sum((-2, -1), keepdims=True)
    return np.where(n > 0, trial.outcome - level, 0.0)
