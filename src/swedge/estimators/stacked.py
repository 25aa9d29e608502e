"""One clean experiment for each first treated period, stacked: windows of the same length, controls untreated throughout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError, listing
from swedge.estimators.changes import Changes, in_cells
from swedge.estimators.choices import check_choice, check_periods
from swedge.estimators.cohorts import cohorts
from swedge.estimators.difference import CellEffects, DifferenceInDifferences, about_centre
from swedge.estimators.treated_cells import clustered_factor
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]

CONTROLS = ("not_yet", "strict", "never")
WEIGHTS = {"treated": "in proportion to their treated clusters", "variance": "as least squares weighs them"}


class Experiments(NamedTuple):
    """Experiments by first treated period ``dates (A,)``: who is ``treated`` and who ``control (..., A, I)``, their ``share (..., A)``."""

    dates: Index
    treated: Flags
    control: Flags
    share: Array


@dataclass(frozen=True)
class StackedDiD(DifferenceInDifferences):
    """Each group's change over a window of event times against clusters untreated throughout it, averaged over groups.

    Parameters
    ----------
    before, after : int
        The window: event times from ``-before`` to ``after``, compared with event time -1. Groups whose window is not inside the panel
        are left out, and a note names them: every event time averages the same groups.
    controls : {"not_yet", "strict", "never"}
        Clusters first treated after the window; "strict" asks for another `before` periods after it; never-treated ones alone.
    weigh : {"treated", "variance"}
        "treated" weighs groups by their treated clusters (Wing, Freedman and Hollingsworth 2024); "variance" as least squares with an
        effect of every cluster and period in each experiment does (Cengiz et al. 2019): by ``treated controls / (treated + controls)``.
    vcov : {"CR2", "CR0", "CR1", "CR3", "influence"}
        "influence" is the stacked regression's own variance, clustered by cluster, with its small-sample factor. Weighed by "treated", that
        regression has no effect of each experiment's periods, and counts how these differ as noise.
    df : {"satterthwaite", "clusters", "normal"}

    Notes
    -----
    The overall effect averages event times 0 to `after`. A cluster that is not observed throughout a window is no part of its experiment.

    References
    ----------
    Wing C, Freedman SM, Hollingsworth A (2024). Stacked difference-in-differences. NBER working paper 32054. Cengiz D, Dube A, Lindner A,
    Zipperer B (2019). The effect of minimum wages on low-wage jobs. Quarterly Journal of Economics 134, 1405-1454.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.stacked import StackedDiD
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(StackedDiD(after=0).point(trial))
    3.0
    """

    before: int = 1
    after: int = 1
    controls: str = "not_yet"
    weigh: str = "treated"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("controls", self.controls, CONTROLS)
        check_choice("weigh", self.weigh, WEIGHTS)
        check_periods("before", self.before, least=1)
        check_periods("after", self.after, least=0)

    @property
    def events(self) -> Index:
        """Event times with an effect: the window without -1."""
        window = np.arange(-self.before, self.after + 1)
        return np.asarray(window[window != -1])

    def build(self, trial: Trial) -> CellEffects:
        """Effects and the weights of cells in them."""
        found = self._experiments(trial)
        per_event = [in_cells(found.share[..., None, :], self._changes(found, e), trial.n.shape[-1]) for e in self.events]
        weights = np.concatenate(per_event, -3)
        overall = weights[..., self.events >= 0, :, :].mean(-3, keepdims=True)
        terms = ("overall", *(f"event {e}" for e in self.events))
        estimand = "average effect on the treated, by periods since treatment"
        return CellEffects(terms, np.concatenate([overall, weights], -3), estimand, self._outside(trial))

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to each term's error, ``(..., K, I)``, the small-sample factor among it."""
        found, y = self._experiments(trial), about_centre(trial)
        parts = [self._errors(found, self._changes(found, e), y) for e in self.events]
        stacked = np.stack(parts, -2)
        overall = stacked[..., self.events >= 0, :].mean(-2, keepdims=True)
        return np.asarray(np.concatenate([overall, stacked], -2) * np.sqrt(self._factor(found))[..., None, None])

    def _experiments(self, trial: Trial) -> Experiments:
        """Windows inside the panel with somebody on both sides."""
        starts = cohorts(trial)
        dates = np.array([g for g in starts.dates if self._inside(g, starts.periods)], dtype=np.int64)
        window = [starts.seen[..., g - self.before : g + self.after + 1].all(-1) for g in dates]
        throughout = np.stack(window, -2) if window else np.zeros((*starts.seen.shape[:-2], 0, starts.seen.shape[-2]), dtype=bool)
        start, last = starts.start[..., None, :], dates[:, None] + self.after
        never = start == starts.periods
        spared = {"not_yet": start > last, "strict": (start > last + self.before) | never, "never": never}[self.controls]
        control, treated = throughout & spared, throughout & (start == dates[:, None])
        live = treated.any(-1) & control.any(-1)
        if not live.any():
            raise DataError(
                f"No clean comparison is left: no group has periods -{self.before} to {self.after} about its start in the panel with"
                f" controls untreated throughout. {self._way_out(trial)}"
            )
        return Experiments(dates, treated, control, self._shares(treated, control, live))

    def _way_out(self, trial: Trial) -> str:
        """What helps where no experiment is left: a shorter window only if the shortest one has any."""
        least = replace(self, before=1, after=0)
        if least != self:
            try:
                least._experiments(trial)
            except DataError:
                pass
            else:
                return "Shorten the window (before=, after=), or add comparators=."
        return (
            "Nor has any group periods -1 and 0, so no shorter window helps. Add comparators=; where the period before treatment was not"
            " observed, CallawaySantAnna() or Imputation()."
        )

    def _inside(self, date: int, periods: int) -> bool:
        return date >= self.before and date + self.after < periods

    def _shares(self, treated: Flags, control: Flags, live: Flags) -> Array:
        ours, theirs = treated.sum(-1), control.sum(-1)
        size = live * (ours if self.weigh == "treated" else ours * theirs / np.maximum(ours + theirs, 1))
        total = size.sum(-1, keepdims=True)
        return np.asarray(size / np.where(total > 0, total, np.nan))

    def _changes(self, found: Experiments, event: int) -> Changes:
        return Changes(found.treated, found.control, found.dates + event, found.dates - 1)

    def _errors(self, found: Experiments, changes: Changes, y: Array) -> Array:
        """Shares of changes about what the stacked regression expects of them, added up by cluster, ``(..., I)``."""
        weight = found.share[..., None] * changes.share
        change = changes.of(y)
        if self.weigh == "treated":
            expected = _pooled(weight, change, found.treated) + _pooled(weight, change, found.control)
        else:
            effect = (weight * change).sum((-2, -1))[..., None, None]
            inside = found.treated | found.control
            many = np.maximum(inside.sum(-1, keepdims=True), 1)
            level = ((change - effect * found.treated) * inside).sum(-1, keepdims=True) / many
            expected = level + effect * found.treated
        return np.asarray((weight * (change - expected)).sum(-2))

    def _factor(self, found: Experiments) -> Array:
        """``G / (G - 1) (N - 1) / (N - K)`` of the stacked regression, ``(...)``."""
        inside = (found.treated | found.control) & (found.share > 0)[..., None]
        window, experiments = self.before + self.after + 1, (found.share > 0).sum(-1)
        parameters = 2 * window if self.weigh == "treated" else (experiments + 1) * (window - 1) + 1
        return clustered_factor(inside.any(-2).sum(-1), inside.sum((-2, -1)) * window, np.asarray(parameters))

    def _outside(self, trial: Trial) -> tuple[str, ...]:
        """A note on groups whose window leaves the panel."""
        starts = cohorts(trial)
        outside = [str(trial.periods[g]) for g in starts.dates if not self._inside(g, starts.periods)]
        if not outside:
            return ()
        which = f"{listing(outside)}: {len(outside)} of {len(starts.dates)} groups {'is' if len(outside) == 1 else 'are'} left out."
        return (f"The window from {-self.before} to {self.after} leaves the panel for clusters first treated in {which}",)

    def _named(self) -> str:
        return f"Stacked difference-in-differences (event times {-self.before} to {self.after}, groups weighed {WEIGHTS[self.weigh]})"


def _pooled(weight: Array, change: Array, side: Flags) -> Array:
    """The side's weighted mean change over all experiments, where it belongs, ``(..., A, I)``."""
    held = np.abs(weight) * side
    mean = (held * change).sum((-2, -1)) / held.sum((-2, -1))
    return np.asarray(mean[..., None, None] * side)
