"""The largest statistic of several outcomes: randomisation tests adjusted for one another exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.westfall_young import largest_statistics, never_falling
from swedge._present.tables import format_p
from swedge.errors import DataError, described, listing
from swedge.estimate import Estimator, TestResult, check_pair
from swedge.inference.inversion import share
from swedge.inference.randomisation import RandomisationTest
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class MaxTResult:
    """Adjusted p values of K outcomes, in the order given; arrays have the trials' leading shape, then K.

    Attributes
    ----------
    outcomes : tuple of str
    estimate, statistic : ndarray (..., K)
        The statistic is the one whose largest was compared across outcomes.
    p_value : ndarray (..., K)
        Of each outcome's own randomisation test; nan where it could not be fitted.
    single_step, step_down : ndarray (..., K)
        Adjusted p. The step-down one is never the larger, and as safe.
    min_p : ndarray (K,)
        Smallest p, adjusted or not, that each outcome's test can give.
    n_allocations : int
    exact : bool
        Whether every permitted allocation was tried, and nothing else stands between p and exactness.
    """

    outcomes: tuple[str, ...]
    estimate: Array
    statistic: Array
    p_value: Array
    single_step: Array
    step_down: Array
    min_p: Array
    n_allocations: int
    exact: bool
    test: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line: how many outcomes, and the smallest adjusted p."""
        count = self.p_value.size // len(self.outcomes)
        if self.p_value.ndim > 1:
            return f"<MaxTResult: {count} trials, {self.test} of {len(self.outcomes)} outcomes>"
        return f"<MaxTResult: {self.test} of {listing(self.outcomes)}; smallest adjusted p {format_p(float(np.nanmin(self.step_down)))}>"

    def rejects(self, alpha: float = 0.05) -> NDArray[np.bool_]:
        """Which outcomes ``(..., K)`` have a step-down p of at most `alpha`."""
        return np.asarray(np.nan_to_num(self.step_down, nan=1.0) <= alpha + 1e-12)

    def tidy(self) -> pd.DataFrame:
        """One row an outcome (and, in a stack, a replicate)."""
        names = ("estimate", "statistic", "p_value", "single_step", "step_down")
        count = self.p_value.size // len(self.outcomes)
        frame = pd.DataFrame({"outcome": list(self.outcomes) * count, **{name: getattr(self, name).ravel() for name in names}})
        frame = frame.assign(min_p=np.tile(self.min_p, count), test=self.test, n_allocations=self.n_allocations)
        return frame.assign(replicate=np.repeat(np.arange(count), len(self.outcomes))) if self.p_value.ndim > 1 else frame

    def summary(self) -> str:
        """The adjusted p values in words, with notes."""
        from swedge._present.tables import text_table

        shown = self.tidy().drop(columns=["test", "n_allocations"])
        named = shown.rename(columns={"single_step": "p, single step", "step_down": "p, step down"})
        head = f"{self.test}: {len(self.outcomes)} outcomes, {self.n_allocations:,} allocations"
        return "\n".join([head, text_table(named), *(f"Note: {note}" for note in self.notes)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The p of every outcome, alone and adjusted, with the smallest that the design can give."""
        from swedge._present.adjusted import draw_adjusted

        if self.p_value.ndim > 1:
            raise DataError("This is a stack of results; test single trials to plot them.")
        series = {"alone": self.p_value, "single step": self.single_step, "step down": self.step_down}
        return draw_adjusted(self.outcomes, series, float(self.min_p.min()), ax)


@dataclass(frozen=True)
class MaxT:
    """Randomisation tests of several outcomes of one trial, adjusted by the distribution of their largest statistic.

    All outcomes are permuted together, so that their dependence, whatever it is, is in the reference: the chance of any false rejection is
    held exactly, and outcomes that move as one cost hardly more than one.

    Parameters
    ----------
    draws : int, optional
        Allocations to sample, as in `RandomisationTest`; left out, all are enumerated up to 20,000.
    seed : int
        Of the sampled allocations, which are the same for every outcome.
    statistic : {"t", "estimate"}
        What is compared across outcomes: the estimate over its own standard error, or over the root mean square of its reference. The
        latter is bounded, so that a large effect stands out less.

    Notes
    -----
    Single step: the share of allocations under which the largest statistic of all outcomes is at least as extreme as this one's. Step down:
    the largest is taken of this outcome and those less extreme, and no outcome has a smaller p than one more extreme. No adjusted p is
    below the smallest of the design; with 12 allocations none of any number of outcomes can be significant at 5%, and none needs more than
    the design gives it. A fit that fails under some allocation counts as extreme there for all outcomes.

    References
    ----------
    Westfall PH, Young SS (1993). Resampling-Based Multiple Testing: Examples and Methods for p-Value Adjustment. Wiley.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.inference import MaxT
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> noise = np.random.default_rng(0).standard_normal((2, 5, 6))
    >>> trials = [sw.Trial.from_cells(np.ones((5, 6)), y + 9 * k * allocation.treatment, allocation) for k, y in enumerate(noise)]
    >>> result = MaxT().run({"none": (trials[0], sw.WithinPeriod()), "some": (trials[1], sw.WithinPeriod())})
    >>> float(result.step_down[1]) == 1 / 120, bool(result.step_down[0] == result.p_value[0])
    (True, True)
    """

    draws: int | None = None
    seed: int = 0
    statistic: str = "t"

    def __post_init__(self) -> None:
        self._single()

    def _single(self) -> RandomisationTest:
        """The test of one outcome."""
        return RandomisationTest(statistic=self.statistic, draws=self.draws, seed=self.seed, interval=False)

    def run(self, outcomes: Mapping[str, tuple[Trial, Estimator]]) -> MaxTResult:
        """Test outcomes of one trial, or of stacks of one shape.

        Parameters
        ----------
        outcomes : mapping of str to (Trial, Estimator)

        Raises
        ------
        DataError
            If the trials do not share design, allocation and stack, or one was not randomised.
        FitError
            If an estimator fails on a single observed trial.
        """
        pairs = _checked(outcomes)
        results = [self._single().run(trial, estimator) for trial, estimator in pairs.values()]
        reference, observed = self._joint(results)
        largest = largest_statistics(reference, observed)
        whole, unit = _enumerated(pairs, results), np.ones(1)
        single = share(largest.overall, observed, unit, whole)
        step = never_falling(share(largest.remaining, observed, unit, whole), largest.order)
        lost = np.isnan(observed)
        return MaxTResult(
            outcomes=tuple(pairs),
            estimate=np.stack([result.estimate for result in results], -1),
            statistic=observed,
            p_value=np.stack([result.p_value for result in results], -1),
            single_step=np.where(lost, np.nan, single),
            step_down=np.where(lost, np.nan, step),
            min_p=np.array([result.min_p for result in results]),
            n_allocations=len(reference),
            exact=all(result.exact for result in results),
            test=f"maxT ({self.statistic})",
            notes=_notes(pairs, results),
        )

    def _joint(self, results: Sequence[TestResult]) -> tuple[Array, Array]:
        """Statistics under every allocation ``(A, ..., K)`` and the observed ones, of one size across outcomes."""
        shape = (results[0].n_allocations, *results[0].p_value.shape)
        reference = np.stack([np.broadcast_to(np.asarray(result.reference), shape) for result in results], -1)
        observed = np.stack([result.statistic for result in results], -1)
        if self.statistic == "t":
            return reference, observed
        known = np.isfinite(reference)
        squares = np.where(known, reference**2, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        size = np.sqrt(np.where(squares > 0, squares, np.nan))
        return reference / size, observed / size


def _checked(outcomes: object) -> dict[str, tuple[Trial, Estimator]]:
    """Pairs of trials under one allocation and their estimators."""
    if not isinstance(outcomes, Mapping) or not outcomes:
        raise DataError("MaxT takes a mapping from outcomes to pairs, such as {'looked after': (trial, sw.WithinPeriod())}.")
    for name, pair in outcomes.items():
        if not (isinstance(pair, tuple) and len(pair) == 2):
            raise DataError(f"{name!r} is {described(pair)}; expected a pair of a trial and an estimator.")
        _check_named(str(name), pair)
    pairs = {str(name): pair for name, pair in outcomes.items()}
    one = next(iter(pairs.values()))[0]
    other = [name for name, (trial, _) in pairs.items() if not _alike(trial, one)]
    if other:
        raise DataError(
            f"{len(other)} of {len(pairs)} outcomes have another design, allocation or number of trials than {next(iter(pairs))!r}:"
            f" {listing(other)}. Outcomes are permuted together, so build every trial from the allocation that was carried out."
        )
    return pairs


def _check_named(name: str, pair: tuple[object, object]) -> None:
    """One outcome's pair; what is wrong says of which outcome."""
    try:
        check_pair(*pair)
    except DataError as error:
        raise DataError(f"{name!r}: {error}") from error


def _alike(trial: Trial, one: Trial) -> bool:
    """Whether two trials are of one design, one allocation and one shape; their comparators may differ."""
    if trial.shape != one.shape or trial.design != one.design:
        return False
    rows = len(trial.clusters) - trial.comparators
    left, right = (np.broadcast_to(t.treatment, (*t.shape, *t.n.shape[-2:]))[..., :rows, :] for t in (trial, one))
    return bool(np.array_equal(left, right, equal_nan=True))


def _enumerated(pairs: Mapping[str, tuple[Trial, Estimator]], results: Sequence[TestResult]) -> bool:
    design = next(iter(pairs.values()))[0].design
    return design is not None and results[0].n_allocations == design.count()


def _notes(pairs: Mapping[str, tuple[Trial, Estimator]], results: Sequence[TestResult]) -> tuple[str, ...]:
    """The smallest p, then what was noted of every outcome, then of single ones."""
    smallest = min(result.min_p for result in results)
    common = [note for note in results[0].notes if all(note in result.notes for result in results)]
    single = [f"{name}: {note}" for name, result in zip(pairs, results, strict=True) for note in result.notes if note not in common]
    return (f"No p of these allocations, adjusted or not, can be below {smallest:.3g}.", *common, *single)
