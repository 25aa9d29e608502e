"""The parts of a split estimate, and the tests of each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.donors import borrowed
from swedge._kernels.linear_robust import linear_robust
from swedge._kernels.permutation import accepted_effects
from swedge.design import Design
from swedge.design.validation import seed_number, spell, whole
from swedge.errors import DataError, FitError, listing
from swedge.estimate import LinearEstimator, TestResult
from swedge.estimate.result import quantile, two_sided_p
from swedge.estimators.difference import TOO_MUCH, two_way_model
from swedge.estimators.linearised import check_one
from swedge.inference.few_treated import comparators_share, errors, symmetric
from swedge.inference.inversion import share, with_interval
from swedge.inference.placebo import PlaceboTest
from swedge.inference.randomisation import ENUMERATE, estimate_unit, one_effect, present
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Chances:
    """How much is drawn, from which seed, and the level of the intervals."""

    draws: int
    seed: int
    level: float

    def __post_init__(self) -> None:
        whole(self.draws, "draws", least=1)
        seed_number(self.seed)
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")


class Row(NamedTuple):
    """One test of one part."""

    test: str
    estimate: float
    std_error: float
    statistic: float
    df: float
    p_value: float
    min_p: float
    conf_low: float
    conf_high: float


class Parts(NamedTuple):
    """Weights carried out and on average ``(I, T)``; estimates and their response to the effect, under each allocation ``(A,)``."""

    weights: Array
    mean: Array
    reference: Array
    slopes: Array

    @property
    def ordered(self) -> float:
        """Share of the effect that the order identifies."""
        return float(1 - self.slopes.mean())

    @property
    def centre(self) -> float:
        """Mean of the estimate over allocations."""
        return float(self.reference.mean())


def check_split(trial: Trial, estimator: LinearEstimator) -> None:
    """Refuse what has no weights, weights that depend on outcomes, or no single effect."""
    check_one(trial, estimator)
    if not isinstance(estimator, LinearEstimator):
        raise FitError(
            f"{type(estimator).__name__} is no weighted sum of cell means, so it has no weights to split; TwoWayFixedEffects has."
        )
    if not estimator.fixed_weights:
        raise FitError(
            f"{type(estimator).__name__} chooses its weights by the outcomes, so an average of them over allocations splits nothing. Use an"
            " estimator whose weights the treatment alone decides, such as CallawaySantAnna or TwoWayFixedEffects."
        )
    present(one_effect(estimator.point(trial), trial, estimator), trial, estimator)


def parts_of(trial: Trial, estimator: LinearEstimator) -> Parts:
    """Weights under every permitted allocation, summed up."""
    every = np.asarray(estimator.weights(trial.reallocated(np.asarray(_design(trial).allocations()))))
    lost = int(np.isnan(every).any((-2, -1)).sum())
    if lost:
        raise FitError(f"Under {lost} of {len(every)} permitted allocations the estimator has no weights, so there is no mean over them.")
    y = collected(trial)
    return Parts(np.asarray(estimator.weights(trial)), every.mean(0), (every * y).sum((-2, -1)), (every * trial.arm).sum((-2, -1)))


def collected(trial: Trial) -> Array:
    """Cell means about their average, 0 where nothing was collected; cells that this allocation alone leaves out count for others."""
    there = trial.cells.n > 0
    return np.where(there, trial.outcome - trial.outcome[there].mean(), 0.0)


def _design(trial: Trial) -> Design:
    design = trial.design
    if design is None:
        raise DataError("This is an observational panel: nothing was randomised, so all of it rests on parallel trends. Use PlaceboTest.")
    if design.count() > ENUMERATE:
        raise DataError(f"The design permits {spell(design.count())} allocations; the split averages over each, up to {ENUMERATE:,}.")
    if trial.allocation is not None and not design.permits(trial.allocation.sequence):
        raise DataError("The allocation of this trial is not one that its design permits. Pass the design that was randomised.")
    return design


def order_row(trial: Trial, estimator: LinearEstimator, parts: Parts, level: float) -> Row:
    """The exact test of the order: the estimate about its mean over allocations, per unit of effect."""
    reference, slopes = ((values - values.mean()) / parts.ordered for values in (parts.reference, parts.slopes))
    observed = float((parts.weights * collected(trial)).sum() - parts.centre) / parts.ordered
    unit = float(estimate_unit(trial, estimator) / abs(parts.ordered))
    p = share(reference, np.asarray(observed), np.asarray(unit), True)
    least = 1 / len(reference) if trial.comparators or trial.design is None else trial.design.min_p()
    nothing = np.full(2, np.nan)
    found = TestResult(p, nothing, np.asarray(observed), np.asarray(0, dtype=np.int8), np.asarray(observed), "randomisation", level, least)
    result = with_interval(found, lambda alpha: accepted_effects(reference, slopes, observed, alpha, 0, unit))
    return _row(result, float(reference.std()))


def trend_rows(trial: Trial, weights: Array, chances: Chances, notes: list[str]) -> Iterator[Row]:
    """Tests of the group of trial clusters against comparators; what cannot be done is noted."""
    yield _robust(trial, weights, chances.level, notes)
    own = np.arange(len(trial.clusters)) < len(trial.clusters) - trial.comparators
    lenders = _lenders(trial, own, notes)
    if lenders.sum() < 2:
        notes.append("With fewer than two comparators there are no placebos, and no comparators' errors to learn from.")
        return
    yield from _lending(trial, weights, own, lenders, chances, notes)


def _lenders(trial: Trial, own: Flags, notes: list[str]) -> Flags:
    """Comparators observed in every period in which somebody is; a note names the others."""
    seen = trial.n > 0
    lenders = np.asarray(~own & (seen | ~seen.any(0)).all(-1))
    lost = [trial.clusters[i] for i in np.flatnonzero(~own & ~lenders)]
    if lost:
        notes.append(
            f"Parallel trends: {len(lost)} of {trial.comparators} comparators {'is' if len(lost) == 1 else 'are'} not observed in every"
            f" period, so none of them can stand in or lend its errors: {listing(lost)}. The placebo and Conley-Taber"
            f" tests use the other {int(lenders.sum())}."
        )
    return lenders


def _lending(trial: Trial, weights: Array, own: Flags, lenders: Flags, chances: Chances, notes: list[str]) -> Iterator[Row]:
    """Tests by comparators in the trial clusters' place."""
    estimate, unit = float((weights * collected(trial)).sum()), float(np.std(trial.outcome[trial.n > 0]))
    paths = errors(trial, lenders, trial.outcome)
    if len(paths) >= own.sum() + 2:
        yield _row(symmetric(estimate, _placebos(paths, weights, own, chances), unit, "placebo", chances.level))
    else:
        notes.append(f"{len(paths)} comparators cannot stand in for {int(own.sum())} clusters and leave two: no placebo test.")
    reference = borrowed(weights[own] @ paths.T, chances.draws, chances.seed)
    notes += [f"Conley-Taber, parallel trends: {note}" for note in comparators_share(weights, own)[1:]]
    yield _row(symmetric(estimate, reference, unit, "conley-taber", chances.level))


def _placebos(paths: Array, weights: Array, own: Flags, chances: Chances) -> Array:
    """Estimates when comparators with error ``paths (L, T)`` stand in for the trial's clusters and the others, weighed alike, stay."""
    paths = paths * np.sqrt(1 - 1 / len(paths))
    chosen = _stand_ins(len(paths), weights[own], chances)
    sums, rest = weights[own] @ paths.T, weights[~own].sum(0) @ paths.T / (len(paths) - int(own.sum()))
    return np.asarray(sums[np.arange(len(sums)), chosen].sum(1) + rest.sum() - rest[chosen].sum(1))


def _stand_ins(others: int, weights: Array, chances: Chances) -> NDArray[np.int64]:
    """Who stands in, ``(draws, N)``: each different choice once where clusters weigh alike and there are few, else at random."""
    count = len(weights)
    if np.allclose(weights, weights[0], atol=1e-12) and math.comb(others, count) <= chances.draws:
        return np.array(list(itertools.combinations(range(others), count)))
    rng = np.random.default_rng(chances.seed)
    return np.asarray(rng.permuted(np.tile(np.arange(others), (chances.draws, 1)), axis=1)[:, :count])


def whole_rows(trial: Trial, estimator: LinearEstimator, chances: Chances, notes: list[str]) -> Iterator[Row]:
    """Tests of the estimate as it is."""
    try:
        fit = estimator.fit(trial)
        df = float(np.ravel(fit.df)[0])
        yield _wald(float(np.ravel(fit.estimate)[0]), float(np.ravel(fit.std_error)[0]), df, chances.level)
    except FitError as error:
        notes.append(str(error))
        yield _wald(float(estimator.point(trial)), np.nan, np.nan, chances.level)
    try:
        placebo = PlaceboTest(draws=chances.draws, seed=chances.seed, level=chances.level).run(trial, estimator)
        yield _row(placebo, float(np.std(np.asarray(placebo.reference))))
    except DataError as error:
        notes.append(f"No placebo test of the whole estimate: {error}")


def _robust(trial: Trial, weights: Array, level: float, notes: list[str]) -> Row:
    """CR2 with Satterthwaite df, residuals from cell means on clusters, periods and treatment; none where one cluster carries the part."""
    y = collected(trial)
    found = linear_robust("CR2", weights[None], y, two_way_model(trial.under(trial.arm, trial.exposure)))
    error, alone = float(np.sqrt(found.covariance[0, 0])), float(found.alone[0])
    if alone > TOO_MUCH:
        notes.append(f"No CR2 for parallel trends: one cluster alone carries {alone:.0%} of this part, and the model fits it exactly.")
        error = np.nan
    return _wald(float((weights * y).sum()), error, float(found.df[0]), level)._replace(test="wald (CR2)")


def _wald(estimate: float, error: float, df: float, level: float) -> Row:
    t, half = estimate / error, float(quantile(level, df)) * error
    return Row("wald", estimate, error, t, df, float(two_sided_p(t, df)), 0.0, estimate - half, estimate + half)


def _row(test: TestResult, error: float | None = None) -> Row:
    """A test by a reference distribution."""
    spread = float(np.nan if test.std_error is None else test.std_error) if error is None else error
    low, high = (float(end) for end in test.conf_int)
    estimate = float(test.estimate)
    return Row(test.test, estimate, spread, float(test.statistic), np.nan, float(test.p_value), test.min_p, low, high)
