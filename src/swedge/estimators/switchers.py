"""Clusters that have switched against clusters that have not yet: effects by periods since the switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError
from swedge.estimators.changes import Changes, about_sides, both_seen, in_cells, proportional
from swedge.estimators.choices import check_periods
from swedge.estimators.cohorts import cohorts
from swedge.estimators.difference import CellEffects, DifferenceInDifferences, about_centre
from swedge.trial import Trial

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Switchers(DifferenceInDifferences):
    """Change of clusters since their last untreated period, against clusters not treated by then (de Chaisemartin and D'Haultfoeuille).

    The overall effect averages the effects of event times 0, 1, ... in proportion to the clusters that switched; "event 0" is the
    estimator for switchers of the 2020 paper, later ones those of the 2024 paper.

    Parameters
    ----------
    effects : int, optional
        How many periods since the switch, the period of the switch being the first; all that have controls when left out.
    placebos : int
        How many event times before: "event -2" compares two periods before treatment with one. Only clusters whose effect after as long
        a time is known take part.
    vcov : {"CR2", "CR0", "CR1", "CR3", "influence"}
        "influence" is the variance of `did_multiplegt_dyn`: changes about the mean change of their side, times n / (n - 1); of a cluster
        alone on its side about the mean of both sides.
    df : {"satterthwaite", "clusters", "normal"}

    References
    ----------
    de Chaisemartin C, D'Haultfoeuille X (2020). Two-way fixed effects estimators with heterogeneous treatment effects. American Economic
    Review 110, 2964-2996. de Chaisemartin C, D'Haultfoeuille X (2024). Difference-in-differences estimators of intertemporal treatment
    effects. Review of Economics and Statistics.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.switchers import Switchers
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(Switchers().point(trial))
    3.0
    """

    effects: int | None = None
    placebos: int = 0

    mixes_sides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.effects is not None:
            check_periods("effects", self.effects, least=1)
        check_periods("placebos", self.placebos, least=0)

    def build(self, trial: Trial) -> CellEffects:
        """Effects and the weights of cells in them."""
        found, event = self._changes(trial)
        weights = self._combined(found, event)
        terms = ("overall", *(f"event {e}" for e in np.unique(event)))
        return CellEffects(terms, in_cells(weights, found, trial.n.shape[-1]), "average effect on switchers, by periods since treatment")

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to each term's error, ``(..., K, I)``."""
        found, event = self._changes(trial)
        return np.asarray(self._combined(found, event) @ (found.share * about_sides(found, found.of(about_centre(trial)))))

    def _changes(self, trial: Trial) -> tuple[Changes, NDArray[np.int64]]:
        """Every comparison that the cells allow, and its event time."""
        starts = cohorts(trial)
        rows = self._windows(starts.dates, starts.periods)
        group, event, time, base, last = np.array(rows, dtype=np.int64).reshape((-1, 5)).T
        both, start = both_seen(trial, time, base), starts.start[..., None, :]
        found = Changes(both & (start == group[:, None]), both & (start > last[:, None]), time, base)
        kept = found.usable.any(tuple(range(found.usable.ndim - 1)))
        if not (kept & (event >= 0)).any():
            raise DataError(
                "No clean comparison is left: no cluster switches while another that was observed in the same two periods is still"
                " untreated. Add comparators=, or use SwitcherComparison(controls='both'), which assumes a constant effect; where a"
                " transition period hides the switch, Imputation()."
            )
        return Changes(found.treated[..., kept, :], found.control[..., kept, :], time[kept], base[kept]), event[kept]

    def _windows(self, dates: list[int], periods: int) -> list[tuple[int, int, int, int, int]]:
        """First treated period, event time, the two periods compared, and the period by whose end a control must be untreated."""
        most = periods if self.effects is None else self.effects
        after = [(g, s - 1, g - 1 + s, g - 1, g - 1 + s) for g in dates for s in range(1, most + 1) if g > 0 and g - 1 + s < periods]
        room = [(g, s) for g in dates for s in range(1, self.placebos + 1) if g - 1 - s >= 0 and g - 1 + s < periods]
        return [*((g, -s - 1, g - 1 - s, g - 1, g - 1 + s) for g, s in room), *after]

    def _combined(self, found: Changes, event: NDArray[np.int64]) -> Array:
        """Weights ``(..., J, K)``: all effects together, then each event time."""
        size = found.many[0] * found.usable
        member = np.concatenate([event[None] >= 0, event == np.unique(event)[:, None]])
        return proportional(member, size)

    def _named(self) -> str:
        return "Changes of clusters since their last untreated period against clusters not yet treated"
