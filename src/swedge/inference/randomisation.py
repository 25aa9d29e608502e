"""The randomisation test: the statistic under every allocation that the design permitted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.permutation import Accepted, accepted_effects
from swedge.assumptions import Constant
from swedge.design import Design
from swedge.design.validation import seed_number, whole
from swedge.errors import DataError, FitError, nearest
from swedge.estimate import SCALES, Estimator, LinearEstimator, TestResult, check_pair
from swedge.inference.inversion import searched, share, with_interval
from swedge.trial import Trial

Array = NDArray[np.float64]

# Above this many allocations the reference is sampled unless draws= says otherwise.
ENUMERATE = 20_000
DRAWS = 9_999


@dataclass(frozen=True)
class RandomisationTest:
    """Exact test of no effect for any estimator, with the interval of effects it does not reject.

    Parameters
    ----------
    statistic : {"estimate", "t"}
        The estimate itself, or the estimate over its standard error.
    draws : int, optional
        Allocations to sample; as many as the design permits or more means all of them, once each. Left out, all are enumerated up to 20,000
        and 9,999 are sampled beyond.
    level : float
        Confidence level of the interval.
    seed : int
        Of the sampled allocations.
    interval : bool, optional
        Whether to invert the test. Left out: for a single trial, not for a stack.

    Notes
    -----
    Enumerated p is ``b / m`` over the `m` permitted allocations, sampled p ``(b + 1) / (m + 1)``: a p of 0 cannot occur. The interval is
    ``{theta: p(theta) > 1 - level}`` for an effect that is a constant shift on the estimator's scale: exactly for linear estimators; for
    others the hull of the piece around the estimate and of what a scan of five times its length on either side finds. On a link scale an
    effect other than none leaves the other allocations' outcomes undetermined, and the test of it is approximate. If ``1 - level`` is
    below the smallest attainable p it is the whole line, and the interval at the best attainable level is offered beside it.

    References
    ----------
    Fisher RA (1935). The Design of Experiments. Oliver and Boyd.
    Thompson JA, Davey C, Fielding K, Hargreaves JR, Hayes RJ (2018). Robust analysis of stepped wedge trials using cluster-level summaries
    within periods. Statistics in Medicine 37, 2487-2500.
    Phipson B, Smyth GK (2010). Permutation p-values should never be zero. Statistical Applications in Genetics and Molecular Biology 9(1),
    39.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> y = np.arange(6) + 2.0 * allocation.treatment + np.sin(np.arange(30)).reshape(5, 6) / 10
    >>> result = sw.RandomisationTest().run(sw.Trial.from_cells(np.ones((5, 6)), y, allocation), sw.WithinPeriod())
    >>> result.n_allocations, float(result.p_value) == 1 / 120
    (120, True)
    """

    statistic: str = "estimate"
    draws: int | None = None
    level: float = 0.95
    seed: int = 0
    interval: bool | None = None

    def __post_init__(self) -> None:
        if self.statistic not in ("estimate", "t"):
            raise FitError(f"statistic={self.statistic!r}; expected 'estimate' or 't'.{nearest(self.statistic, ('estimate', 't'))}")
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")
        if self.draws is not None:
            whole(self.draws, "draws", least=1)
        seed_number(self.seed)

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial or a stack.

        Raises
        ------
        DataError
            For an observational panel, a trial whose allocation the design does not permit, or no estimator.
        FitError
            If the estimator fails on the observed trial.
        """
        check_pair(trial, estimator)
        design = _design(trial)
        sequences, exact = self._allocations(design)
        observed = self._observed(trial, estimator)
        reference = self._reference(trial, estimator, sequences)
        p = share(reference, observed, self._unit(trial, estimator), exact)
        status = np.where(np.isnan(observed), 2, 0).astype(np.int8)
        result = TestResult(
            np.where(np.isnan(observed), np.nan, p),
            np.full((*observed.shape, 2), np.nan),
            observed,
            status,
            np.asarray(estimator.point(trial)) if self.statistic == "t" else observed,
            f"randomisation ({self.statistic})",
            self.level,
            _smallest_p(trial, design, estimator, reference, exact),
            reference,
            len(sequences),
            exact and not _uncollected(trial),
            notes=_notes(trial, estimator, reference, exact),
            scale=estimator.scale(trial),
            estimator=type(estimator).__name__,
            methods=self._methods(trial, estimator, len(sequences), design.count()),
        )
        wanted = self.interval if self.interval is not None else not trial.shape
        return self._with_interval(result, trial, estimator, sequences) if wanted else result

    def _methods(self, trial: Trial, estimator: Estimator, tried: int, count: int) -> str:
        which = f"all {count:,} allocations" if tried == count else f"a random {tried:,} of the {count:,} allocations"
        read = "estimate" if self.statistic == "estimate" else "t statistic"
        what = f"{type(estimator).__name__} {read} ({SCALES[estimator.scale(trial)]})"
        return f"Two-sided randomisation test of no effect: the {what} against {which} permitted by the design."

    def _allocations(self, design: Design) -> tuple[NDArray[np.int64], bool]:
        if design.count() <= (self.draws or ENUMERATE):
            return np.asarray(design.allocations()), True
        return np.asarray(design.random_allocations(self.draws or DRAWS, np.random.default_rng(self.seed))), False

    def _observed(self, trial: Trial, estimator: Estimator) -> Array:
        """The statistic of the trial."""
        return present(self._statistic(trial, estimator), trial, estimator)

    def _unit(self, trial: Trial, estimator: Estimator) -> Array:
        return np.asarray(1.0) if self.statistic == "t" else estimate_unit(trial, estimator)

    def _statistic(self, trial: Trial, estimator: Estimator) -> Array:
        value = estimator.point(trial) if self.statistic == "estimate" else estimator.fit(trial).statistic
        return one_effect(value, trial, estimator)

    def _reference(self, trial: Trial, estimator: Estimator, sequences: NDArray[np.int64]) -> Array:
        """Statistics under every allocation, ``(A, ...)``."""
        if self.statistic == "estimate" and isinstance(estimator, LinearEstimator):
            return estimator.reference(trial, sequences)
        lead = (len(sequences), *(1,) * len(trial.shape))
        return self._statistic(trial.reallocated(sequences.reshape((*lead, -1))), estimator)

    def _with_interval(self, result: TestResult, trial: Trial, estimator: Estimator, sequences: NDArray[np.int64]) -> TestResult:
        if trial.shape:
            parts = [self._with_interval(_part(result, i), trial.replicate(i), estimator, sequences) for i in range(trial.shape[0])]
            return replace(result, conf_int=np.stack([p.conf_int for p in parts]))
        return with_interval(result, lambda alpha: self._accepted(result, trial, estimator, sequences, alpha))

    def _accepted(self, result: TestResult, trial: Trial, estimator: Estimator, sequences: NDArray[np.int64], alpha: float) -> Accepted:
        extra = 0 if _enumerated(trial, sequences) else 1
        shown = result.reference if self.statistic == "estimate" else None
        if isinstance(estimator, LinearEstimator) and estimator.fixed_weights and shown is not None:
            slopes = estimator.reference(trial, sequences, trial.arm)
            unit = float(self._unit(trial, estimator))
            return accepted_effects(shown, slopes, float(result.statistic), alpha, extra, unit)
        return self._search(result, trial, estimator, sequences, alpha)

    def _p(self, trial: Trial, estimator: Estimator, sequences: NDArray[np.int64], effects: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Give the p of each of some effects ``(G,)``, and whether every fit behind it worked.

        An effect at which the model cannot be fitted cannot be rejected, and a fit that fails under another allocation counts as extreme.
        """
        shifted = estimator.null(trial, effects)
        observed = self._statistic(shifted, estimator)
        reference = self._reference(shifted, estimator, sequences)
        sound = np.isfinite(observed) & np.isfinite(reference).all(0)
        return share(reference, observed, self._unit(shifted, estimator), _enumerated(trial, sequences)), sound

    def _search(self, result: TestResult, trial: Trial, estimator: Estimator, sequences: NDArray[np.int64], alpha: float) -> Accepted:
        """Hull of the accepted effects: the piece around the estimate, and what a scan finds beyond."""
        centre = float(result.estimate)
        estimates = self._reference_estimates(trial, estimator, sequences)
        unit = float(np.std(estimates[np.isfinite(estimates)])) if np.isfinite(estimates).any() else 0.0
        unit = unit or max(abs(centre), 1.0)

        def accepts(effects: Array) -> NDArray[np.bool_]:
            return self._p(trial, estimator, sequences, effects)[0] > alpha + 1e-12

        def accepts_soundly(effects: Array) -> NDArray[np.bool_]:
            p, sound = self._p(trial, estimator, sequences, effects)
            return sound & (p > alpha + 1e-12)

        return searched(accepts, accepts_soundly, centre, unit)

    def _reference_estimates(self, trial: Trial, estimator: Estimator, sequences: NDArray[np.int64]) -> Array:
        return np.asarray(estimator.point(trial.reallocated(sequences[: min(len(sequences), 200)])))


def one_effect(value: Array, trial: Trial, estimator: Estimator) -> Array:
    """Statistics ``(...)``, refused where the estimator gives several effects."""
    array = np.asarray(value, dtype=float)
    if array.shape != trial.shape:
        raise FitError(f"{estimator!r} gives {array.shape[-1]} effects; this test needs one. Name an estimand=.")
    return array


def present(value: Array, trial: Trial, estimator: Estimator) -> Array:
    """Statistics ``(...)``; where a single trial has none, the estimator's own error says why."""
    if not trial.shape and np.isnan(value):
        estimator.fit(trial)
        raise FitError(f"{estimator!r} gives no number on this trial.")
    return value


def estimate_unit(trial: Trial, estimator: Estimator) -> Array:
    """The size ``(...)`` of an estimate that is not small: the spread of the cell means for a difference, 1 for a log ratio."""
    if estimator.scale(trial) != "identity":
        return np.asarray(1.0)
    return np.asarray(np.nanstd(np.where(trial.n > 0, trial.outcome, np.nan), axis=(-2, -1)))


def _smallest_p(trial: Trial, design: Design, estimator: Estimator, reference: Array, exact: bool) -> float:
    """Smallest p that the test can give. Mirror images tie for a constant effect, and only where nothing stands still: comparators do.

    Allocations whose fits fail count as extreme, whatever was observed.
    """
    count, failed = len(reference), int(np.isnan(reference).reshape((len(reference), -1)).any(-1).sum())
    if failed:
        return (failed + 1) / (count + (not exact))
    if not exact:
        return 1 / (count + 1)
    constant = isinstance(getattr(estimator, "effect", Constant()), Constant) and getattr(estimator, "over", "all") == "all"
    return design.min_p() if constant and not trial.comparators else 1 / count


def _enumerated(trial: Trial, sequences: NDArray[np.int64]) -> bool:
    return trial.design is not None and len(sequences) == trial.design.count()


def _uncollected(trial: Trial) -> bool:
    """Whether the allocation left out cells that were not collected either: another allocation would have left out others."""
    left_out = np.isnan(trial.treatment)
    return bool((left_out & (trial.cells.n == 0)).any())


def _design(trial: Trial) -> Design:
    if trial.design is None:
        raise DataError("This is an observational panel: nothing was randomised, so no randomisation test exists. Use PlaceboTest.")
    if trial.allocation is not None and not trial.design.permits(trial.allocation.sequence):
        raise DataError("The allocation of this trial is not one that its design permits. Pass the design that was randomised.")
    return trial.design


def _part(result: TestResult, i: int) -> TestResult:
    reference = None if result.reference is None else result.reference[:, i]
    return replace(result, statistic=result.statistic[i], estimate=result.estimate[i], conf_int=result.conf_int[i], reference=reference)


def _notes(trial: Trial, estimator: Estimator, reference: Array, exact: bool) -> tuple[str, ...]:
    notes = list(trial.notes)
    if trial.covariates and isinstance(estimator, LinearEstimator):
        notes.append("The statistic is a difference of cell means: it does not adjust for the covariates of this trial.")
    failed = int(np.isnan(reference).sum())
    if failed:
        notes.append(f"{failed} of {reference.size} fits under other allocations failed and count as extreme.")
    if not exact:
        total = 0 if trial.design is None else trial.design.count()
        notes.append(f"p is from {len(reference):,} of {total:,} allocations, sampled.")
    if trial.comparators:
        notes.append(
            "Only the order of the trial's own clusters was randomised: this test says nothing about them against the comparators."
        )
    if _uncollected(trial):
        notes.append(
            "Cells that this allocation leaves out were not collected; another allocation would have left out others, so p is approximate."
        )
    return tuple(notes)
