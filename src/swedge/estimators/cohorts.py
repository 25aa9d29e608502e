"""When each cluster starts: what difference-in-differences estimators know of a trial."""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError, listing
from swedge.trial import Trial

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


class Cohorts(NamedTuple):
    """First treated period of each cluster ``start (..., I)``, counted from 0, T where never; which cells are observed ``(..., I, T)``."""

    start: Counts
    seen: NDArray[np.bool_]

    @property
    def periods(self) -> int:
        """Number of periods."""
        return int(self.seen.shape[-1])

    @property
    def dates(self) -> list[int]:
        """Every first treated period that some cluster has, in order."""
        return [int(g) for g in np.unique(self.start) if g < self.periods]

    @property
    def never(self) -> NDArray[np.bool_]:
        """Clusters that are never treated, ``(..., I)``."""
        return np.asarray(self.start == self.periods)

    @property
    def throughout(self) -> NDArray[np.bool_]:
        """Clusters that are observed in every period that has data at all, ``(..., I)``."""
        return np.asarray((self.seen | ~self.seen.any(-2, keepdims=True)).all(-1))


_READ: WeakKeyDictionary[Trial, Cohorts] = WeakKeyDictionary()  # several questions of one fit, and fits of one trial, read them once


def cohorts(trial: Trial) -> Cohorts:
    """Read the cohorts off a trial's treatment, once a trial.

    Raises
    ------
    DataError
        If a cluster's treatment ends, is given in part, or nobody is ever treated.
    """
    if trial not in _READ:
        _READ[trial] = _cohorts(trial)
    return _READ[trial]


def _cohorts(trial: Trial) -> Cohorts:
    arm, seen = trial.arm, np.broadcast_to(trial.n > 0, np.broadcast_shapes(trial.n.shape, trial.arm.shape))
    check_whole(trial, arm)
    on = arm > 0
    start = np.where(on.any(-1), on.argmax(-1), arm.shape[-1])
    # A cell that the design leaves out has no arm: only observed cells can contradict an earlier start.
    stops = (np.arange(arm.shape[-1]) > start[..., None]) & ~on & ~np.isnan(trial.treatment)
    _refuse(trial, stops, "is treated and later not: these estimators need a treatment that stays once begun. Use SwitcherComparison()")
    if not on.any():
        raise DataError("No cluster is ever treated, so there is no effect to estimate. Check first_treated or the allocation.")
    return Cohorts(start.astype(np.int64), seen)


def check_whole(trial: Trial, arm: Array) -> None:
    """Refuse treatment in part of a period.

    Raises
    ------
    DataError
        Naming the clusters.
    """
    _refuse(
        trial, (arm > 0) & (arm < 1), "is treated in part of a period: say from which period on it counts as treated, with whole numbers"
    )


def _refuse(trial: Trial, wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        which = np.flatnonzero(wrong.any(-1).reshape((-1, wrong.shape[-2])).any(0))
        raise DataError(f"{listing([trial.clusters[i] for i in which])} {what} ({len(which)} of {len(trial.clusters)} clusters).")
