"""Notes that difference-in-differences estimators share: treated clusters without weight, and errors that a variance does not see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge.errors import Status, listing
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A weight below this share of the largest is rounding.
NOTHING = 1e-9


def treated_cells(trial: Trial) -> Flags:
    """Cells ``(..., I, T)`` that are treated and observed."""
    return np.asarray((trial.arm > 0) & (trial.n > 0))


def idle_rows(weights: Array, on: Flags) -> Flags:
    """Rows ``(I,)`` of clusters, or of classes of them, with treated cells ``on (I, T)`` of which none has weight in ``(K, I, T)``."""
    size = np.fmax.reduce(np.abs(weights), axis=0)  # nan is no weight
    carried = np.fmax.reduce(np.where(on, size, 0.0), axis=-1)
    return np.asarray(on.any(-1) & ~(carried > NOTHING * np.fmax.reduce(size, axis=None)))


def without_weight(trial: Trial, idle: Flags) -> tuple[str, ...]:
    """The note on treated clusters of one trial that carry no weight, ``idle (I,)``."""
    if not idle.any():
        return ()
    named, treated = [trial.clusters[i] for i in np.flatnonzero(idle)], int(treated_cells(trial).any(-1).sum())
    carry = "carries" if len(named) == 1 else "carry"
    return (f"{len(named)} of {treated} treated clusters {carry} no weight in the effect, which is that of the others: {listing(named)}.",)


LOST = {
    Status.ONE_CLUSTER: "one cluster alone carries {}, so nothing measures the error; PlaceboTest does without a standard error",
    Status.NO_DEGREES_OF_FREEDOM: "no degrees of freedom are left for {}",
    Status.RANK_DEFICIENT: "the cells observed do not identify {}",
}


def lost_parts(terms: tuple[str, ...], own: NDArray[np.int8]) -> tuple[str, ...]:
    """Terms of one trial without numbers beside others that have some, by their statuses ``(K,)``."""
    lost = {status: [term for term, code in zip(terms, own, strict=True) if code == status] for status in LOST}
    return tuple(
        f"No result for {listing(named)} ({len(named)} of {len(terms)} effects): {LOST[status].format('them' if len(named) > 1 else 'it')}."
        for status, named in lost.items()
        if named
    )


def one_treated(trial: Trial) -> NDArray[np.bool_]:
    """Whether a single cluster is ever treated, ``(...)``: a variance of deviations from cohorts' means sees nothing of its error."""
    return np.asarray(((trial.arm > 0) & (trial.n > 0)).any(-1).sum(-1) == 1)


def cohorts_of_one(trial: Trial) -> tuple[str, ...]:
    """Clusters alone in their cohort, whom an influence function compares with nobody."""
    on, periods = trial.arm > 0, trial.arm.shape[-1]
    start = np.where(on.any(-1), on.argmax(-1), periods)
    start = np.where((trial.n > 0).any(-1), start, -1)
    dates = np.unique(start[start >= 0])
    alone = dates[[bool(((start == date).sum(-1) == 1).any()) for date in dates]]
    named = [trial.periods[g] for g in alone if g < periods]
    which = [f"first treated in {listing(named)} ({len(named)} of {(dates < periods).sum()} groups)"] if named else []
    which += ["never treated"] if periods in alone else []
    if not which:
        return ()
    return (
        f"One cluster alone was {' and one '.join(which)}: a variance by influence sees little or nothing of its error and is too small."
        " Use vcov='CR2', or a randomisation test.",
    )
