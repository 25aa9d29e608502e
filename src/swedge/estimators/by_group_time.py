"""What estimators of effects by group and time share: weights, averages, and influence functions held by class of cluster."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.cohort_moments import Moments, class_covariance, moments
from swedge.errors import DataError, listing
from swedge.estimate import Estimate
from swedge.estimators.aggregation import Average, Averages, each, moved, weigh
from swedge.estimators.cohorts import Cohorts
from swedge.estimators.difference import ROBUST, CellEffects, DifferenceInDifferences, TermNumbers
from swedge.estimators.group_times import (
    Classes,
    GroupTimes,
    Pairs,
    cell_slopes,
    for_cells,
    for_clusters,
    plain,
    plain_influence,
    sides,
)
from swedge.estimators.unseen import idle_rows
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


# The detail of an event study that holds the event times of its base periods: one, where all effects are relative to the same.
REFERENCE = "reference"


class Influenced(NamedTuple):
    """Effects ``att (..., K)``, the mean influence of each class's clusters ``(..., K, C)``, and the moments of the classes.

    Without moments every class is one cluster.
    """

    found: GroupTimes
    att: Array
    about: Array
    held: Moments | None


@dataclass(frozen=True)
class ByGroupTime(DifferenceInDifferences):
    """Effects by group and time; an estimator says which comparisons it makes, and what it averages."""

    @abstractmethod
    def _comparisons(self, trial: Trial) -> tuple[GroupTimes, Flags, Flags]:
        """Every comparison that some cells identify, weighed plainly, and which classes are treated and controls in it."""

    @abstractmethod
    def _averages(self, pairs: Pairs, trial: Trial) -> Averages | None:
        """What is averaged; None keeps every group and time."""

    @abstractmethod
    def _estimand(self) -> str:
        """What the terms estimate."""

    @abstractmethod
    def _sizes_move(self) -> bool:
        """Whether the numbers of clusters in groups are estimates too."""

    def _weighed(self, trial: Trial) -> GroupTimes:
        return self._comparisons(trial)[0]

    def _influenced(self, trial: Trial) -> Influenced:
        found = self._comparisons(trial)[0]
        held = moments(found.classes.label, found.classes.clusters.shape[-1], _outcome(trial))
        return Influenced(found, *plain_influence(found, held), held)

    def build(self, trial: Trial) -> CellEffects:
        """Terms and their weights over cell means."""
        found = self._weighed(trial)
        return self._expanded(trial, found, self._average(trial, found))

    def leading(self, trial: Trial) -> CellEffects:
        """The overall effect alone, or every group and time."""
        found = self._weighed(trial)
        average = self._average(trial, found)
        first = Average(average.terms[:1], average.weights[..., :1, :]) if average.terms[0] == "overall" else average
        return self._expanded(trial, found, first)

    def _expanded(self, trial: Trial, found: GroupTimes, average: Average) -> CellEffects:
        return CellEffects(average.terms, for_cells(cell_slopes(found, average.weights), found.classes.label), self._estimand())

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to each term's error, ``(..., J, I)``."""
        known = self._influenced(trial)
        average, label = self._average(trial, known.found), known.found.classes.label
        about = for_clusters(self._about(trial, known, average), label)
        if known.held is None:
            return about
        slopes = cell_slopes(known.found, average.weights)
        level = (slopes * known.held.mean[..., None, :, :]).sum(-1)
        cells = (for_cells(slopes, label) * _outcome(trial)[..., None, :, :]).sum(-1)
        return np.asarray(cells - for_clusters(level, label) + about)

    def _fit(self, trial: Trial) -> Estimate:
        fit = super()._fit(trial)
        if trial.shape or not any(term.startswith("event ") for term in fit.terms):
            return fit
        pairs = self._comparisons(trial)[0].pairs
        return replace(fit, details={**fit.details, REFERENCE: np.unique(pairs.base - pairs.group)})

    def _idle(self, trial: Trial, found: TermNumbers) -> Flags:
        """By classes of clusters, all of which weigh alike."""
        if found.weights is not None:
            return super()._idle(trial, found)
        known = self._weighed(trial)
        average, classes = self._average(trial, known), known.classes
        read = average.weights[:1] if average.terms[0] == "overall" else average.weights
        on = classes.seen & (np.arange(classes.seen.shape[-1]) >= classes.start[:, None])
        return np.asarray(idle_rows(cell_slopes(known, read), on)[classes.label])

    def _numbers(self, trial: Trial) -> TermNumbers:
        if self.vcov in ROBUST:
            return super()._numbers(trial)._replace(notes=_notes(trial, self._weighed(trial)))
        known = self._influenced(trial)
        average = self._average(trial, known.found)
        estimate = (average.weights * np.where(known.found.usable, known.att, 0.0)[..., None, :]).sum(-1)
        df = self._fixed(trial, np.empty(estimate.shape))
        notes = _notes(trial, known.found)
        return TermNumbers(average.terms, estimate, self._spread(trial, known, average), df, self._estimand(), notes)

    def _spread(self, trial: Trial, known: Influenced, average: Average) -> Array:
        """Covariance ``(..., J, J)`` of the terms: the sum over clusters of products of influences."""
        about = self._about(trial, known, average)
        if known.held is None:
            return np.asarray(about @ np.swapaxes(about, -1, -2))
        return class_covariance(cell_slopes(known.found, average.weights), about, known.held)

    def _about(self, trial: Trial, known: Influenced, average: Average) -> Array:
        """Mean influence of each class's clusters on the terms, ``(..., J, C)``."""
        about = average.weights @ known.about
        if not self._sizes_move():
            return np.asarray(about)
        return np.asarray(about + moved(self._parts(known.found.pairs, trial), known.found, known.att))

    def _average(self, trial: Trial, found: GroupTimes) -> Average:
        return weigh(self._parts(found.pairs, trial), found.size, found.group_size)

    def _parts(self, pairs: Pairs, trial: Trial) -> Averages:
        return self._averages(pairs, trial) or each(pairs, trial.periods)


def _notes(trial: Trial, found: GroupTimes) -> tuple[str, ...]:
    """Which groups have no effect, and which clusters join some comparisons only."""
    held = found.classes.clusters.reshape((-1, found.classes.clusters.shape[-1])).max(0)
    start, seen = (
        part.reshape((-1, *part.shape[part.ndim - tail :])) for part, tail in ((found.classes.start, 1), (found.classes.seen, 2))
    )
    groups = np.unique(start[(start < seen.shape[-1]) & (held > 0)])
    lost = [str(trial.periods[g]) for g in groups if g not in found.pairs.group[found.pairs.event >= 0]]
    empty = ~seen.any(tuple(range(seen.ndim - 1)))
    part = int((held * (seen.any(-1) & ~(seen | empty).all(-1))).sum(-1).max())
    told = {
        f"No effect of the groups first treated in {listing(lost)}: no untreated period before, or no control.": bool(lost),
        f"{part} of {len(trial.clusters)} clusters {'is' if part == 1 else 'are'} not observed in every period; each joins the"
        " comparisons whose two periods it has.": part > 0,
    }
    return tuple(note for note, holds in told.items() if holds)


def _outcome(trial: Trial) -> Array:
    """Cell means, 0 where nobody was observed: changes and deviations from means of classes see no level."""
    seen = trial.n > 0
    return trial.outcome if seen.all() else np.where(seen, trial.outcome, 0.0)


def identified(found: Cohorts, pairs: Pairs, classes: Classes, controls: str) -> tuple[GroupTimes, Flags, Flags]:
    """Comparisons that have a treated cluster and a control.

    Raises
    ------
    DataError
        If there is none.
    """
    treated, control = sides(pairs, classes, controls)
    usable = plain(pairs, classes, treated, control).usable
    kept = np.asarray(usable.any(tuple(range(usable.ndim - 1))))
    if not (kept & (pairs.event >= 0)).any():
        raise DataError(_nothing_left(found, controls))
    pairs, treated, control = pairs.take(kept), treated[..., kept, :], control[..., kept, :]
    return plain(pairs, classes, treated, control), treated, control


def _nothing_left(found: Cohorts, controls: str) -> str:
    groups, never = len(found.dates), int(found.never.sum(-1).max())
    advice = (
        "controls='not_yet', or add never-treated comparators" if controls == "never" and not never else "more periods before treatment"
    )
    return (
        f"No clean comparison is left: {groups} groups first treated in different periods, {never} never-treated clusters,"
        f" controls={controls!r}. A comparison needs a group with an untreated period before, and controls observed in the same two"
        f" periods. Use {advice}."
    )
