"""Effects by periods since treatment, split where treatment begins: what pre-trend tests and bounds on trends read off a fit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from swedge.design.validation import whole
from swedge.errors import FitError, listing
from swedge.estimate import Estimate
from swedge.estimate.result import quantile
from swedge.estimators.by_group_time import REFERENCE

Array = NDArray[np.float64]

# Directions whose variance is below this share of the largest have none.
FLAT = 1e-10
ADVICE = "Fit CallawaySantAnna(aggregate='dynamic', base='universal') or SunAbraham(aggregate='dynamic')"


class EventStudy(NamedTuple):
    """Event times ``before (K,)`` and ``after (T,)`` the reference period; estimates ``(K + T,)``, their covariance and smallest df.

    A time between them that is in neither was never observed.
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    reference: int
    estimate: Array
    covariance: Array
    df: float

    @property
    def unobserved(self) -> list[int]:
        """Event times between the others that nobody was observed in."""
        known = {*self.before.tolist(), *self.after.tolist(), self.reference}
        return sorted(set(range(min(known), max(known) + 1)) - known)

    @property
    def inflated(self) -> Array:
        """The covariance times the square of t over normal quantiles at 95%: normal intervals of it are as long as t intervals."""
        return np.asarray(self.covariance * float(quantile(0.95, self.df) / special.ndtri(0.975)) ** 2)


def event_study(fit: object, before: int | None = None, after: int | None = None) -> EventStudy:
    """Effects relative to one period before treatment, of a single fit; only the `before` and `after` observed ones nearest, if given.

    Raises
    ------
    FitError
        If the fit holds no effects by event time against one reference period, or they do not vary independently of each other.
    """
    if not isinstance(fit, Estimate) or np.ndim(fit.status) or fit.covariance is None:
        raise FitError(f"This takes the fit of one event study, and was given {fit!r:.80}. {ADVICE}.")
    named = [term for term in fit.terms if term.startswith("event ")]
    at = np.array([int(term.split()[1]) for term in named], dtype=np.int64)
    reference = _reference(at, fit)
    kept = _window(at, reference, before, after)
    rows = np.array([fit.terms.index(named[k]) for k in kept])
    _check_known([fit.terms[k] for k in rows if not np.isfinite(fit.std_error[k])])
    found = EventStudy(
        at[kept][at[kept] < reference],
        at[kept][at[kept] > reference],
        reference,
        np.asarray(fit.estimate)[rows],
        fit.covariance[np.ix_(rows, rows)],
        float(np.min(np.asarray(fit.df)[rows])),
    )
    _check_rank(found)
    return found


def _reference(at: NDArray[np.int64], fit: Estimate) -> int:
    """The one event time before treatment without an effect of its own."""
    if len(at) < 2 or (np.diff(at) < 1).any():
        raise FitError(
            f"The fit has {listing(fit.terms) or 'no terms'}; this needs effects by event time before and after treatment. {ADVICE}."
        )
    bases = fit.details.get(REFERENCE)
    if bases is not None and len(bases) > 1:
        raise FitError(
            f"The effects are relative to different periods, {listing([f'event {e}' for e in bases])}; this needs one reference period."
            f" {ADVICE}; with base='universal' already, leave out clusters whose last period before treatment is not observed."
        )
    gaps = sorted(set(range(int(at.min()), int(at.max()) + 1)) - set(at.tolist())) if bases is None else [int(bases[0])]
    if len(gaps) != 1 or gaps[0] >= 0 or at.min() >= gaps[0]:
        raise FitError(
            f"The effects run from event {at.min()} to event {at.max()}, and {listing(gaps) or 'none'} of these times has none; this needs"
            f" effects relative to one reference period, the one that is missing, with some before and after it. {ADVICE}."
        )
    return gaps[0]


def _window(at: NDArray[np.int64], reference: int, before: int | None, after: int | None) -> NDArray[np.int64]:
    early, late = np.flatnonzero(at < reference), np.flatnonzero(at > reference)
    first = 0 if before is None else max(len(early) - whole(before, "before", least=1), 0)
    return np.concatenate([early[first:], late[: len(late) if after is None else whole(after, "after", least=1)]])


def _check_known(lost: list[str]) -> None:
    if lost:
        raise FitError(
            f"{listing(lost)} ({len(lost)} in all) has no standard error, as the fit's notes say. Pass before= and after= to leave it out,"
            " or use PlaceboTest."
        )


def _check_rank(found: EventStudy) -> None:
    size = np.sqrt(np.diagonal(found.covariance))
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = found.covariance / np.outer(size, size)
    values = np.linalg.eigvalsh(scaled) if np.isfinite(scaled).all() else np.zeros(1)
    rank, count = int((values > FLAT).sum()), len(found.estimate)
    if rank < count:
        raise FitError(
            f"The covariance of the {count} effects has rank {rank}: too few clusters tell them apart. Pass before= and after= to look at"
            " fewer periods, or use vcov='CR2'."
        )
