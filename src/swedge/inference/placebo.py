"""The placebo test: the treated clusters' timing handed to comparison clusters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.permutation import exceedances
from swedge._present.tables import percent
from swedge.design.validation import seed_number, whole
from swedge.errors import DataError, FitError, listing
from swedge.estimate import SCALES, Estimator, LinearEstimator, TestResult, check_pair
from swedge.inference.inversion import told_interval
from swedge.inference.randomisation import estimate_unit, one_effect, present
from swedge.trial import Cells, Trial

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlaceboTest:
    """Compare the estimate with those that comparison clusters give when they are treated on paper.

    Every draw hands the treated clusters' schedules to randomly chosen comparators, leaves the treated clusters out and estimates again.
    A stand-in goes without the cells that the treated cluster lacks: otherwise placebos would vary less than the estimate does.
    The test assumes that treated and comparison clusters are exchangeable but for the treatment: it rests on the choice of comparators,
    not on a randomisation.

    Parameters
    ----------
    draws : int
    seed : int
    level : float

    Notes
    -----
    ``p = (b + 1) / (m + 1)`` over `draws` random placebos, or over all different ones where there are no more than that. The interval is
    the estimate plus and minus the matching order statistic of the absolute placebo estimates, which inverts the test for a constant
    effect. The spread is learnt from the comparators that are there, as if it were known: with few of them the test is a little too
    ready to reject (7% at a nominal 5% with 2 treated clusters and 12 comparators).

    References
    ----------
    Conley TG, Taber CR (2011). Inference with difference in differences with a small number of policy changes. Review of Economics and
    Statistics 93, 113-125.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=2, periods=3).randomise(seed=0)
    >>> y = np.random.default_rng(0).standard_normal((10, 3))
    >>> trial = sw.Trial.from_cells(np.ones((10, 3)), y, allocation, comparators=[f"other {k}" for k in range(8)])
    >>> round(float(sw.PlaceboTest().run(trial, sw.TwoWayFixedEffects()).min_p) * 57, 6)  # 8 x 7 different placebos, and the trial itself
    1.0
    """

    draws: int = 999
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        whole(self.draws, "draws", least=1)
        seed_number(self.seed)
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial with comparators.

        Raises
        ------
        DataError
            If the trial is a stack, has too few comparators to play the treated clusters' part, or lacks cells of treated clusters that
            an estimator of more than cell means cannot do without.
        """
        check_pair(trial, estimator)
        treated = _treated(trial)
        check_scatter(trial, estimator, "A placebo test leaves the treated clusters out")
        _check_lacking(trial, treated, estimator)
        observed = present(one_effect(estimator.point(trial), trial, estimator), trial, estimator)
        stand_ins = self._stand_ins(trial, treated)
        reference = np.asarray(estimator.point(_placebos(trial, treated, stand_ins)))
        p = np.asarray((exceedances(reference, observed, estimate_unit(trial, estimator)) + 1) / (len(reference) + 1))
        half = _order_statistic(np.abs(reference), self.level)
        note = (
            f"{treated.sum()} of {(~treated).sum()} comparators at a time were given the treated clusters' schedules. This rests on"
            " comparators being exchangeable with the treated clusters, not on randomisation; they may include clusters that adopted"
            " the treatment unnamed."
        )
        limits = np.array([observed - half, observed + half])
        return TestResult(
            p,
            limits,
            observed,
            np.asarray(0, dtype=np.int8),
            observed,
            "placebo",
            self.level,
            1 / (len(reference) + 1),
            reference,
            len(reference),
            notes=(*trial.notes, note, *self._caveats(reference)),
            scale=estimator.scale(trial),
            estimator=type(estimator).__name__,
            methods=self._methods(trial, estimator, len(reference), int(treated.sum())),
        )

    def _methods(self, trial: Trial, estimator: Estimator, placebos: int, treated: int) -> str:
        name, scale = type(estimator).__name__, SCALES[estimator.scale(trial)]
        sentence = (
            f"Placebo test of no effect: the {name} estimate ({scale}) against {placebos:,} estimates with the {treated} treated clusters"
            " left out and their schedules given to never-treated comparators."
        )
        return told_interval(sentence, self.level, "holds the constant effects not rejected")

    def _caveats(self, reference: Array) -> tuple[str, ...]:
        count, failed = len(reference), int(np.isnan(reference).sum())
        smallest = 1 / (count + 1)
        every = f"These comparators allow {count} different placebos: each was tried once."
        few = f"The smallest p of {count} placebos is {smallest:.3f}, so the {percent(self.level)} interval is the whole line."
        lost = f"{failed} of {count} placebo fits failed and count as extreme."
        return (every,) * (count < self.draws) + (few,) * (smallest > 1 - self.level + 1e-12) + (lost,) * (failed > 0)

    def _stand_ins(self, trial: Trial, treated: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Comparators that take each treated cluster's schedule, ``(draws, treated)``: all different choices, or a sample of many."""
        others, schedules = np.flatnonzero(~treated), trial.treatment[treated]
        kind, same = np.unique(schedules, axis=0, return_inverse=True, return_counts=True)[1:]
        if math.perm(len(others), len(schedules)) // math.prod(math.factorial(int(c)) for c in same) > self.draws:
            rng = np.random.default_rng(self.seed)
            return np.asarray(rng.permuted(np.tile(others, (self.draws, 1)), axis=1)[:, : len(schedules)])
        every = np.array(list(_choices(others.tolist(), same.tolist())))
        return np.asarray(every[:, np.argsort(np.argsort(kind.ravel(), kind="stable"))])


def _choices(others: list[int], sizes: list[int]) -> Iterator[tuple[int, ...]]:
    """Every way to pick groups of these sizes, one after the other; the order inside a group makes no difference.

    >>> list(_choices([7, 8, 9], [1, 1]))
    [(7, 8), (7, 9), (8, 7), (8, 9), (9, 7), (9, 8)]
    >>> list(_choices([7, 8, 9], [2]))
    [(7, 8), (7, 9), (8, 9)]
    """
    if not sizes:
        yield ()
        return
    for chosen in itertools.combinations(others, sizes[0]):
        rest = [other for other in others if other not in chosen]
        yield from ((*chosen, *more) for more in _choices(rest, sizes[1:]))


def _placebos(trial: Trial, treated: NDArray[np.bool_], stand_ins: NDArray[np.int64]) -> Trial:
    """The comparators alone, `stand_ins` under the treated clusters' schedules and without the cells that these lack."""
    treatment = np.zeros((len(stand_ins), *trial.treatment.shape))
    exposure = np.zeros(treatment.shape, dtype=np.int64)
    at = np.arange(len(stand_ins))[:, None]
    treatment[at, stand_ins], exposure[at, stand_ins] = trial.treatment[treated], trial.exposure[treated]
    cells, lacking = _comparators(trial, treated), _lacking(trial, treated)
    if not lacking.any():
        return replace(trial, cells=cells).under(treatment, exposure)
    gone = np.zeros(treatment.shape, dtype=bool)
    gone[at, stand_ins] = lacking
    left = replace(cells.seen(np.where(gone, np.nan, treatment)), n=np.where(gone, 0.0, cells.n))
    return replace(trial, cells=left, treatment=treatment, exposure=exposure)


def _lacking(trial: Trial, treated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Cells that treated clusters lack ``(N, T)``, though the design has them and others that period."""
    seen = trial.n > 0
    return np.asarray(seen.any(0) & ~seen[treated] & ~np.isnan(trial.treatment[treated]))


def _check_lacking(trial: Trial, treated: NDArray[np.bool_], estimator: Estimator) -> None:
    """Refuse gaps that stand-ins cannot have: only cell means, and scatter known cell by cell, can be left out."""
    lacking, within = np.asarray(_lacking(trial, treated).any(-1)), trial.cells.within
    together = within is not None and trial.cells.scatter is None and bool(within.any()) and not isinstance(estimator, LinearEstimator)
    if lacking.any() and (together or trial.patterns is not None):
        named = [trial.clusters[i] for i in np.flatnonzero(treated)[lacking]]
        raise DataError(
            f"{listing(named)} ({len(named)} of {len(lacking)} treated clusters) lack some period, and what is known of comparators is not"
            " known cell by cell, so none can stand in without it. Use an estimator of cell means, such as TwoWayFixedEffects on a trial"
            " without covariates, or leave the rows of these periods out."
        )


def _comparators(trial: Trial, treated: NDArray[np.bool_]) -> Cells:
    """The cells of the comparators alone, with their scatter where it is known for each cluster."""
    within, scatter, own = trial.cells.within, trial.cells.scatter, ~treated[:, None, None]
    if within is not None and within.shape[-3] == len(treated):
        within = within * own
    return replace(trial.cells, n=trial.n * own[..., 0], within=within, scatter=None if scatter is None else scatter * own[..., None])


def check_scatter(trial: Trial, estimator: Estimator, why: str) -> None:
    """Refuse to leave clusters out where one scatter for all is known, saying why they have to be.

    Raises
    ------
    DataError
        If the estimator uses the scatter and only the pooled one is known.
    """
    within = trial.cells.within
    pooled = within is not None and within.shape[-3] < len(trial.clusters) and bool(within.any())
    if pooled and not isinstance(estimator, LinearEstimator):
        raise DataError(
            f"{why}, and within= holds one scatter for all clusters together. Pass one matrix a cluster, or build the trial from rows."
        )


def _treated(trial: Trial) -> NDArray[np.bool_]:
    if trial.shape:
        raise DataError("A placebo test takes one trial, not a stack; take one with trial.replicate(0).")
    treated = np.asarray((trial.arm > 0).any(-1))
    if (~treated).sum() < treated.sum() + 2:
        raise DataError(
            f"{int((~treated).sum())} never-treated comparators cannot stand in for {int(treated.sum())} treated clusters and still"
            " leave controls. Add comparators, or use RandomisationTest where a design stands behind the trial."
        )
    return treated


def _order_statistic(far: Array, level: float) -> float:
    """The ``ceil((m + 1) level)``-th smallest; infinite when too few draws gave an estimate for the level."""
    rank = int(np.ceil((len(far) + 1) * level - 1e-9))
    return float(np.sort(np.nan_to_num(far, nan=np.inf))[rank - 1]) if rank <= len(far) else np.inf
