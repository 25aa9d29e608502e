"""What part of an estimate rests on the randomised order, and what part on parallel trends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import Status
from swedge.estimate import LinearEstimator
from swedge.estimate.result import COLUMNS
from swedge.inference.evidence_parts import Chances, check_split, order_row, parts_of, trend_rows, whole_rows
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

ORDER, TRENDS, TOGETHER = "randomised order", "parallel trends", "together"
# A share of the effect below this is rounding.
NOTHING = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class EvidenceSplit:
    """An estimate as a weighted average of two of the same effect: one by the randomised order, one by parallel trends.

    Attributes
    ----------
    table : DataFrame
        What `tidy` gives.
    share : float
        Weight of the randomised order, from 0 to 1 where weights behave.
    centre : float
        Mean of the estimate over the permitted allocations.
    n_allocations : int
    reference : ndarray (A,)
        The estimate under each allocation.
    weights : dict
        Weights ``(I, T)`` of each part's estimate.
    notes : tuple of str
    """

    table: pd.DataFrame
    share: float
    centre: float
    n_allocations: int
    reference: Array
    weights: dict[str, Array]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """One line: the shares."""
        return f"<EvidenceSplit: {self.share:.0%} randomised order, {1 - self.share:.0%} parallel trends>"

    def tidy(self) -> pd.DataFrame:
        """One row a part and test: the columns of every result (`term` is the part), then test, min_p and share.

        `min_p` is the smallest p that the test can give, 0 where it has no floor.
        """
        return self.table.copy()

    def summary(self) -> str:
        """The parts in words."""
        from swedge._present.tables import text_table

        own = self.table.drop_duplicates("term").set_index("term")["estimate"]
        parts = [f"{self.share:.0%} x {own[ORDER]:.4g} (randomised order)"] if ORDER in own else []
        parts += [f"{1 - self.share:.0%} x {own[TRENDS]:.4g} (parallel trends)"] if TRENDS in own else []
        shown = self.table.rename(columns={"term": "part"}).assign(min_p=self.table["min_p"].replace(0.0, np.nan))
        columns = ["part", "test", "share", "estimate", "std_error", "df", "p_value", "min_p", "conf_low", "conf_high"]
        lines = [
            f"{self.table['estimator'].iloc[0]}: {own[TOGETHER]:.4g} = {' + '.join(parts)}",
            text_table(shown[columns]),
            f"Over the {self.n_allocations:,} permitted allocations the estimate averages {self.centre:.4g}, which no order can change.",
        ]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Each part's estimate with the interval of each test."""
        from swedge._present.forest import draw_forest

        labels = [f"{row['term']} ({row['share']:.0%}), {row['test']}" for _, row in self.table.iterrows()]
        limits = self.table[["conf_low", "conf_high"]].to_numpy()
        return draw_forest(labels, self.table["estimate"].to_numpy(), limits, "Effect (difference)", ax=ax)


def split_evidence(trial: Trial, estimator: LinearEstimator, *, draws: int = 9_999, seed: int = 0, level: float = 0.95) -> EvidenceSplit:
    """Split a linear estimate into what the randomised order says and what parallel trends say.

    Parameters
    ----------
    trial : Trial
        One trial with a design, with never-treated comparators beside it or not.
    estimator : LinearEstimator
        Its weights must not depend on outcomes.
    draws : int
        Of placebos and of comparators' errors.
    seed : int
    level : float

    Raises
    ------
    DataError
        If no design stands behind the trial, it permits more than 20,000 allocations, or its allocation is not one of them.
    FitError
        If the estimator is no weighted sum of cell means with one effect, or its weights depend on outcomes.

    Notes
    -----
    Let `w_r` be the weights under allocation r, `w` those under the one carried out and `m` the mean of all `w_r`. No order changes
    ``m'y``: it compares the trial's clusters as a group with comparators (or strata with each other). With treatment `d` as carried out and
    ``k = m'd``, ``(w - m)'y / (1 - k)`` and ``m'y / k`` both estimate a constant effect, and the estimate is their average with weights
    ``1 - k`` and k. The first is tested over the design's allocations, exactly: p, and the interval of constant effects that are not
    rejected; its `std_error` is the spread over allocations. The second is tested by CR2 with Satterthwaite df (residuals of cell means on
    clusters, periods and treatment), by placebos (comparators stand in for the trial's clusters, the others stay comparators), and by
    comparators' errors as in `ConleyTaberTest`. Together: the estimator's own variance and `PlaceboTest`. In 600 null trials of 5 clusters,
    6 periods and 10 comparators under autocorrelated noise (.5) the six tests rejected at 5% in 4.3%, 4.2%, 6.0%, 13.7% (comparators'
    errors, whose note says why), 4.8% and 4.2%.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=4, periods=5).randomise(seed=0)
    >>> y = np.random.default_rng(0).standard_normal((12, 5))
    >>> trial = sw.Trial.from_cells(np.ones((12, 5)), y, allocation, comparators=[f"other {k}" for k in range(8)])
    >>> split = split_evidence(trial, sw.TwoWayFixedEffects(), draws=99)
    >>> parts = split.tidy().drop_duplicates("term").set_index("term")["estimate"]
    >>> whole = split.share * parts["randomised order"] + (1 - split.share) * parts["parallel trends"]
    >>> bool(abs(whole - parts["together"]) < 1e-12)
    True
    """
    check_split(trial, estimator)
    chances, parts = Chances(draws, seed, level), parts_of(trial, estimator)
    notes, weights = list(trial.notes), {TOGETHER: parts.weights}
    rows = [(TOGETHER, 1.0, row) for row in whole_rows(trial, estimator, chances, notes)]
    if abs(1 - parts.ordered) > NOTHING:
        weights[TRENDS] = parts.mean / (1 - parts.ordered)
        rows = [*((TRENDS, 1 - parts.ordered, row) for row in trend_rows(trial, weights[TRENDS], chances, notes)), *rows]
    if abs(parts.ordered) > NOTHING:
        weights[ORDER] = (parts.weights - parts.mean) / parts.ordered
        rows = [(ORDER, parts.ordered, order_row(trial, estimator, parts, level)), *rows]
    table = pd.DataFrame([{"term": part, "share": weight, **row._asdict()} for part, weight, row in rows])
    table = table.assign(estimand="treatment effect", estimator=type(estimator).__name__, status=Status.OK.name.lower())
    notes += [*_floors(table, 1 - level), *_uncollected(trial)]
    shown = table[[*COLUMNS, "test", "min_p", "share"]]
    return EvidenceSplit(shown, parts.ordered, parts.centre, len(parts.reference), parts.reference, weights, tuple(dict.fromkeys(notes)))


def _floors(table: pd.DataFrame, alpha: float) -> list[str]:
    """Tests whose smallest p is above alpha."""
    high = table[table["min_p"] > alpha + 1e-12]
    rows = zip(high["test"], high["term"], high["min_p"], strict=True)
    return [f"The smallest p of the {test} test ({part}) is {least:.3f}: it cannot reject at {alpha:.3g}." for test, part, least in rows]


def _uncollected(trial: Trial) -> list[str]:
    """Cells whose absence depends on the allocation."""
    lost = (np.isnan(trial.treatment) & (trial.cells.n == 0)).any()
    return ["Cells that this allocation leaves out were not collected, so p of the randomised order is approximate."] if lost else []
