"""Clusters that switch between two periods against clusters that stay as they are: the crossover estimators of stepped-wedge trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError
from swedge.estimators.changes import Changes, about_sides, both_seen, in_cells, proportional
from swedge.estimators.choices import check_choice
from swedge.estimators.cohorts import check_whole
from swedge.estimators.difference import CellEffects, DifferenceInDifferences, about_centre
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CONTROLS = {"control": "clusters under control in both", "always": "clusters treated in both", "both": "clusters that stay as they are"}
WEIGHTS = {
    "equal": "period pairs weighed alike",
    "harmonic": "period pairs weighed by harmonic means of cluster counts",
    "switchers": "switching clusters weighed alike",
}


@dataclass(frozen=True)
class SwitcherComparison(DifferenceInDifferences):
    """Change from one period to the next of clusters that switch, against those that do not (Kennedy-Shaffer et al. 2020).

    Parameters
    ----------
    controls : {"control", "always", "both"}
        Whom switching clusters are compared with: those under control in both periods, those treated in both, or either. "always" and
        "both" assume that an effect does not change with time since treatment; "control" does not.
    weigh : {"equal", "harmonic", "switchers"}
        Pairs of periods weigh alike, in proportion to ``1 / (1 / switching + 1 / controls)``, or to the number of switching clusters.
        CO-1 of the paper is "control" and "equal", CO-2 "control" and "harmonic", CO-3 "both" and "equal"; "control" and "switchers" is
        the first effect of `Switchers`.
    vcov : {"CR2", "CR0", "CR1", "CR3", "influence"}
        "influence" is the variance of `Switchers`.
    df : {"satterthwaite", "clusters", "normal"}

    Notes
    -----
    Clusters whose treatment stops switch too, with the sign turned: a treatment may come and go. Neighbouring periods alone are compared.

    References
    ----------
    Kennedy-Shaffer L, de Gruttola V, Lipsitch M (2020). Novel methods for the analysis of stepped wedge cluster randomized trials.
    Statistics in Medicine 39, 815-844.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.switcher_comparison import SwitcherComparison
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(SwitcherComparison().point(trial))
    3.0
    """

    controls: str = "control"
    weigh: str = "equal"

    mixes_sides: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("controls", self.controls, CONTROLS)
        check_choice("weigh", self.weigh, WEIGHTS)

    def build(self, trial: Trial) -> CellEffects:
        """The effect and the weights of cells in it."""
        found = self._changes(trial)
        assumed = "" if self.controls == "control" else ", with effects that do not change with time since treatment"
        weights = in_cells(self._combined(found), found, trial.n.shape[-1])
        return CellEffects(("overall",), weights, f"average effect at the switch{assumed}")

    def influence(self, trial: Trial) -> Array:
        """What each cluster adds to the effect's error, ``(..., 1, I)``."""
        found = self._changes(trial)
        return np.asarray(self._combined(found) @ (found.share * about_sides(found, found.of(about_centre(trial)))))

    def _changes(self, trial: Trial) -> Changes:
        """Starts, then stops, in every pair of neighbouring periods; `Changes` holds stops as controls, so that their sign turns."""
        check_whole(trial, trial.arm)
        time = np.arange(1, trial.n.shape[-1])
        both = both_seen(trial, time, time - 1)
        on, off = ((np.moveaxis(state, -1, -2) & both) for state in _stayed(trial.arm))
        starts, stops = ((np.moveaxis(state, -1, -2) & both) for state in _switched(trial.arm))
        stay = {"control": off, "always": on, "both": on | off}[self.controls]
        found = Changes(_one_after_another(starts, stay), _one_after_another(stay, stops), np.tile(time, 2), np.tile(time - 1, 2))
        if not found.usable.any():
            raise DataError(
                f"No clean comparison is left: no cluster switches between two neighbouring periods next to {CONTROLS[self.controls]}. Use"
                " controls='both', or add comparators=; where a transition period hides the switch, Imputation()."
            )
        return found

    def _combined(self, found: Changes) -> Array:
        ours, theirs = (np.maximum(count, 1.0) for count in found.many)
        late = np.arange(ours.shape[-1]) >= ours.shape[-1] // 2
        size = {"equal": 1.0, "harmonic": ours * theirs / (ours + theirs), "switchers": np.where(late, theirs, ours)}[self.weigh]
        return proportional(np.ones((1, ours.shape[-1])), size * found.usable)

    def _named(self) -> str:
        against = f"against those of {CONTROLS[self.controls]}"
        return f"Changes of switching clusters between neighbouring periods {against}, {WEIGHTS[self.weigh]}"


def _switched(arm: Array) -> tuple[Flags, Flags]:
    """Clusters that start and that stop between each two periods, ``(..., I, T - 1)``."""
    step = np.diff(arm, axis=-1)
    return step > 0, step < 0


def _stayed(arm: Array) -> tuple[Flags, Flags]:
    """Clusters that stay treated and that stay under control."""
    same = np.diff(arm, axis=-1) == 0
    return same & (arm[..., 1:] > 0), same & (arm[..., 1:] == 0)


def _one_after_another(first: Flags, second: Flags) -> Flags:
    return np.concatenate(np.broadcast_arrays(first, second), -2)
