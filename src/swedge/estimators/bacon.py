"""What a two-way fixed effects estimate averages: every comparison of two groups of clusters, with its weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, listing
from swedge.estimators.cohorts import Cohorts, cohorts
from swedge.estimators.difference import about_centre
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

KINDS = ("treated against never treated", "earlier against later", "later against earlier", "treated against always treated")


@dataclass(frozen=True, eq=False, repr=False)
class BaconDecomposition:
    """Two-by-two comparisons of groups and their weights in a two-way fixed effects estimate.

    Attributes
    ----------
    table : DataFrame
        One row a comparison: ``treated``, ``control`` (first treated periods, "never" or "always"), ``kind``, ``estimate``, ``weight``.
        Weights are not negative and add up to 1.
    estimate : float
        The two-way fixed effects estimate with cells weighed alike: the weighted sum of the comparisons.
    """

    table: pd.DataFrame
    estimate: float

    def __repr__(self) -> str:
        """One line: how many comparisons, of what."""
        return f"<BaconDecomposition: {self._many()}, estimate {self.estimate:.4g}>"

    def _many(self) -> str:
        return "one comparison" if len(self.table) == 1 else f"{len(self.table)} comparisons"

    def tidy(self) -> pd.DataFrame:
        """One row a comparison."""
        return self.table.copy()

    def by_kind(self) -> pd.DataFrame:
        """One row a kind of comparison: its weight and its weighted mean estimate."""
        rows = self.table.assign(part=self.table["weight"] * self.table["estimate"])
        sums = rows.groupby("kind", sort=False)[["weight", "part"]].sum()
        sums = sums.loc[[kind for kind in KINDS if kind in sums.index]]
        sums["estimate"] = sums["part"] / sums["weight"]
        return sums.reset_index()[["kind", "weight", "estimate"]]

    def summary(self) -> str:
        """Kinds of comparisons, and what those with treated controls do to the estimate."""
        from swedge._present.tables import text_table

        forbidden = float(self.table.loc[self.table["kind"].isin(KINDS[2:]), "weight"].sum())
        head = f"Two-way fixed effects estimate {self.estimate:.4g}: the weighted mean of {self._many()} of two groups"
        foot = f"{forbidden:.1%} of the weight lies on comparisons whose controls are already treated: right only if effects do not change"
        return "\n".join([head, text_table(self.by_kind()), f"{foot} with time since treatment."])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Each comparison's estimate against its weight."""
        from swedge._present.decomposition import draw_decomposition

        return draw_decomposition(self.table, KINDS, self.estimate, ax)


class _Group(NamedTuple):
    """A group's label, first treated period (the number of periods: never), share of clusters, and mean in each period ``(T,)``."""

    label: object
    start: int
    share: float
    mean: Array


def bacon_decomposition(trial: Trial) -> BaconDecomposition:
    """Split a two-way fixed effects estimate into its comparisons of two groups (Goodman-Bacon 2021).

    Parameters
    ----------
    trial : Trial
        One trial, every cluster observed in every period that has data; cells weigh alike.

    Raises
    ------
    DataError
        For a stack, a panel with gaps, or clusters that all start together.

    References
    ----------
    Goodman-Bacon A (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics 225, 254-277.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.bacon import bacon_decomposition
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> bacon_decomposition(trial)
    <BaconDecomposition: one comparison, estimate 3>
    """
    groups = _groups(trial)
    periods = len(groups[0].mean)
    pairs = [(a, b) for a in groups for b in groups if a is not b and 0 < a.start < periods]
    rows = [row for row in (_compared(a, b, periods) for a, b in pairs) if row is not None]
    if not rows:
        raise DataError("Every cluster starts in the same period, so there are no two groups to compare. Add comparators=.")
    table = pd.DataFrame(rows, columns=["treated", "control", "kind", "estimate", "weight"])
    table["weight"] /= table["weight"].sum()
    return BaconDecomposition(table, float((table["weight"] * table["estimate"]).sum()))


def _groups(trial: Trial) -> list[_Group]:
    if trial.shape:
        raise DataError(f"This is a stack of {int(np.prod(trial.shape))} trials; decompose one at a time, trial.replicate(k).")
    found = cohorts(trial)
    _check_complete(trial, found)
    kept = np.flatnonzero(found.seen.any(-2))
    shown, start = [trial.periods[t] for t in kept], np.searchsorted(kept, found.start)
    y = about_centre(trial)[:, kept]
    return [_Group(_label(shown, int(g)), int(g), float((start == g).mean()), y[start == g].mean(0)) for g in np.unique(start)]


def _check_complete(trial: Trial, found: Cohorts) -> None:
    gaps = np.flatnonzero(~found.throughout)
    if len(gaps):
        raise DataError(
            f"{listing([trial.clusters[i] for i in gaps])} ({len(gaps)} of {len(trial.clusters)} clusters) are not observed in every"
            " period, and the decomposition holds for complete panels alone. Leave these clusters or the periods with gaps out."
        )


def _label(periods: Sequence[object], start: int) -> object:
    return "never" if start == len(periods) else "always" if start == 0 else periods[start]


def _compared(treated: _Group, control: _Group, periods: int) -> tuple[object, object, str, float, float] | None:
    """The comparison over the periods in which the control's treatment does not change, and its weight before scaling."""
    on, other = (1 - group.start / periods for group in (treated, control))
    earlier = treated.start < control.start
    before = slice(0, treated.start) if earlier else slice(control.start, treated.start)
    after = slice(treated.start, control.start) if earlier else slice(treated.start, periods)
    change = [group.mean[after].mean() - group.mean[before].mean() for group in (treated, control)]
    weight = treated.share * control.share * ((on - other) * (1 - on) if earlier else on * (other - on))
    kind = KINDS[(0 if control.start == periods else 1) if earlier else (3 if control.start == 0 else 2)]
    return (treated.label, control.label, kind, float(change[0] - change[1]), float(weight)) if weight > 0 else None
