"""The same effect under other choices: without some periods, with anticipation, by the stepped wedge or the comparators alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.validation import whole
from swedge.errors import DataError, FitError, listing, nearest
from swedge.estimate import SCALES, Estimate, Estimator, LinearEstimator
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.comparisons import TwoWayFixedEffects
from swedge.estimators.group_times import run_up
from swedge.estimators.linearised import check_one
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.sun_abraham import SunAbraham
from swedge.estimators.switcher_comparison import SwitcherComparison
from swedge.estimators.switchers import Switchers
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD
from swedge.inference.comparators import with_comparators
from swedge.inference.leave_out import refit
from swedge.inference.randomisation import RandomisationTest
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Estimators that cannot do without the period before treatment.
ADJACENT = "it compares with the last period before treatment, which is gone"
WHOLE_ROWS = "it takes clusters that are observed in every period alone"
NO_RUN_UP: dict[type[Estimator], str] = {
    StackedDiD: ADJACENT,
    Switchers: ADJACENT,
    SwitcherComparison: ADJACENT,
    SunAbraham: WHOLE_ROWS,
    RothSantAnna: WHOLE_ROWS,
    SyntheticDiD: WHOLE_ROWS,
    SyntheticControl: WHOLE_ROWS,
}


def without_periods(trial: Trial, periods: Iterable[Any]) -> Trial:
    """The trial with some periods not observed, for every cluster; exposure still counts them.

    Parameters
    ----------
    trial : Trial
    periods : iterable
        Labels of `Trial.periods`, such as the quarters of a lockdown.

    Raises
    ------
    DataError
        If a period is unknown, none would be left, or the scatter within cells is known for all periods together only.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=3, periods=4).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.ones((3, 4)), np.arange(12.0).reshape(3, 4), allocation)
    >>> without_periods(trial, [2]).n.sum(0).tolist()
    [3.0, 0.0, 3.0, 3.0]
    """
    if isinstance(periods, str) or not isinstance(periods, Iterable):
        raise DataError(f"periods={periods!r}; expected a list of period labels, such as [{trial.periods[0]!r}].")
    named = list(periods)
    unknown = [f"{p!r}.{nearest(p, trial.periods)}" for p in named if p not in trial.periods]
    if unknown or not named:
        raise DataError(f"periods holds {listing(unknown) or 'nothing'} The trial's periods are {listing(trial.periods, 12)}.")
    gone = np.isin(np.arange(len(trial.periods)), [trial.periods.index(p) for p in named])
    if gone.all():
        raise DataError("Without these periods nothing is left. Leave out fewer.")
    return _unseen(trial, np.broadcast_to(gone, trial.cells.n.shape[-2:]), f"Left out by choice: period {listing(named, 12)}.")


def without_run_up(trial: Trial, periods: int = 1) -> Trial:
    """The trial without the last observed periods before each cluster's treatment, in which the treatment may have been anticipated.

    A transition that the design leaves out is not counted, nor is any other period without data. The effects are then differences from
    periods before the run-up.

    Parameters
    ----------
    trial : Trial
    periods : int
        Observed ones to leave out, of each treated cluster.

    Raises
    ------
    DataError
        If this is a stack of treatments, or the scatter within cells is known for all periods together only.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=["A", "B"], periods=4, baseline=2).allocate({"A": 0, "B": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 4)), np.arange(8.0).reshape(2, 4), allocation)
    >>> without_run_up(trial).n.astype(int).tolist()
    [[1, 0, 1, 1], [1, 1, 0, 1]]
    """
    count = whole(periods, "periods", least=1)
    if trial.treatment.ndim > 2:
        raise DataError("A stack of treatments has other run-ups in each; take one trial with trial.replicate(0).")
    on, seen = trial.arm > 0, np.asarray(trial.n > 0)
    start = np.where(on.any(-1), on.argmax(-1), on.shape[-1])
    gone = run_up(start, np.asarray(seen.reshape((-1, *seen.shape[-2:])).any(0), dtype=bool), count)
    note = f"Left out by choice: {count} observed period{'s' * (count > 1)} before each cluster's treatment (anticipation)."
    return _unseen(trial, gone, note)


def _unseen(trial: Trial, gone: Flags, note: str) -> Trial:
    """The trial without the data of some cells ``(I, T)``; who was treated when is still known."""
    cells = trial.cells
    if trial.patterns is not None or cells.cohort is not None:
        raise DataError("A trial with individual covariate patterns or a closed cohort cannot leave cells out. Leave its rows out instead.")
    if cells.within is not None and cells.scatter is None and cells.within.any():
        raise DataError("The scatter within cells is known for all periods together, so none can be left out. Leave their rows out.")
    scatter = None if cells.scatter is None else cells.scatter * ~gone[..., None, None]
    left = replace(cells, n=np.where(gone, 0.0, cells.n), scatter=scatter).seen(trial.treatment)
    return replace(trial, cells=left, notes=(*trial.notes, note))


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide:
    """The same effect, estimated in several ways.

    Attributes
    ----------
    fits : dict
        Estimates by name, the first the one to compare with; a text says why there is none.
    p_order : dict
        Exact p over the design's allocations and the smallest that it can be, by name, where one exists.
    estimators : dict
        The estimator's name, by name of the way.
    """

    fits: dict[str, Estimate | str]
    p_order: dict[str, tuple[float, float]]
    estimators: dict[str, str]

    def __repr__(self) -> str:
        """One line: what stands side by side."""
        return f"<SideBySide: {', '.join(self.fits)}>"

    def tidy(self) -> pd.DataFrame:
        """One row a way, its first term: `way`, the columns of every result, `p_randomisation` and its smallest value `min_p`."""
        tables = [self._row(name, fit) for name, fit in self.fits.items()]
        return pd.concat(tables, ignore_index=True)

    def _row(self, name: str, fit: Estimate | str) -> pd.DataFrame:
        known = next(f for f in self.fits.values() if isinstance(f, Estimate)).tidy().head(1)
        numbers = [c for c in known.columns if c not in ("term", "estimand", "estimator", "status")]
        lost = known.assign(**dict.fromkeys(numbers, np.nan), status="failed", estimator=self.estimators[name], estimand="")
        row = fit.tidy().head(1) if isinstance(fit, Estimate) else lost
        exact, least = self.p_order.get(name, (np.nan, np.nan))
        return row.assign(way=name, p_randomisation=exact, min_p=least)[["way", *row.columns, "p_randomisation", "min_p"]]

    def summary(self) -> str:
        """Every way in one table, and why some have no estimate."""
        from swedge._present.tables import text_table

        table = self.tidy().drop(columns=["term", "statistic", "status"])
        lost = [f"{name}: {why}" for name, why in self.fits.items() if isinstance(why, str)]
        lost += [f"Note, {name}: {note}" for name, note in self._own_notes()]
        said = "p_value and interval are the estimator's own; p_randomisation is exact over the design's allocations, at least min_p."
        return "\n".join([text_table(table), said, *lost])

    def _own_notes(self) -> list[tuple[str, str]]:
        """Notes of a way that not every way has."""
        told = {name: fit.notes for name, fit in self.fits.items() if isinstance(fit, Estimate)}
        common = set.intersection(*map(set, told.values()))
        return [(name, note) for name, notes in told.items() for note in notes if note not in common]

    def plot(self, ax: Axes | None = None) -> Axes:
        """All ways as a forest."""
        from swedge._present.forest import draw_forest

        table = self.tidy()
        scale = next(f.scale for f in self.fits.values() if isinstance(f, Estimate))
        return draw_forest(
            table["way"].tolist(),
            table["estimate"].to_numpy(),
            table[["conf_low", "conf_high"]].to_numpy(),
            f"Effect ({SCALES[scale]})",
            ax=ax,
        )


def wedge_and_comparators(
    trial: Trial,
    *,
    wedge: Estimator | None = None,
    difference: Estimator | None = None,
    combined: Estimator | None = None,
) -> SideBySide:
    """The effect by the stepped wedge alone, by comparators alone, and by both.

    Parameters
    ----------
    trial : Trial
        One trial with never-treated comparators.
    wedge : Estimator, optional
        Fitted to the trial without its comparators. Left out: two-way fixed effects of cells weighed alike.
    difference : Estimator, optional
        Fitted to all, and comparing with never-treated clusters alone: ``CallawaySantAnna(controls="never")``.
    combined : Estimator, optional
        Fitted to all: two-way fixed effects of cells weighed alike.

    Raises
    ------
    DataError
        If the trial has no comparators.
    FitError
        If none of the three gives an estimate.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=4, periods=5).randomise(seed=0)
    >>> y = np.random.default_rng(0).standard_normal((12, 5))
    >>> trial = sw.Trial.from_cells(np.ones((12, 5)), y, allocation, comparators=[f"other {k}" for k in range(8)])
    >>> wedge_and_comparators(trial).tidy()["way"].tolist()
    ['stepped wedge alone', 'comparators alone', 'both']
    """
    plain = TwoWayFixedEffects(weigh="equal")
    how = (wedge or plain, difference or CallawaySantAnna(controls="never"), combined or plain)
    for estimator in how:
        check_one(trial, estimator)
    if not trial.comparators:
        raise DataError("The trial has no never-treated comparators, so the stepped wedge is all there is. Fit the estimator to it.")
    alone = with_comparators(trial, ())
    ways = {"stepped wedge alone": (alone, how[0]), "comparators alone": (trial, how[1]), "both": (trial, how[2])}
    return _fitted(ways, {"stepped wedge alone"})


def robustness(
    trial: Trial, estimator: Estimator, *, exclude: Mapping[str, Iterable[Any]] | None = None, anticipation: Iterable[int] = ()
) -> SideBySide:
    """The estimate as specified, without named periods, and without the run-up to treatment.

    Parameters
    ----------
    trial : Trial
    estimator : Estimator
    exclude : mapping of str to periods, optional
        Such as ``{"without Covid": [2020, 2021]}``.
    anticipation : iterable of int
        How many periods before each cluster's treatment to leave out, one fit each. `StackedDiD`, `Switchers`, `SwitcherComparison`,
        `SunAbraham`, `RothSantAnna`, `SyntheticDiD` and `SyntheticControl` have no version without them: such a row fails, and says so.

    Raises
    ------
    DataError
        If a period is unknown, or cells cannot be left out.
    FitError
        If the estimator fails as specified. Failures elsewhere are named in the result.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.ones((5, 6)), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> robustness(trial, sw.TwoWayFixedEffects(), exclude={"without 3": [3]}, anticipation=[1]).tidy()["way"].tolist()
    ['as specified', 'without 3', 'without 1 period before treatment']
    """
    check_one(trial, estimator)
    if exclude is not None and not isinstance(exclude, Mapping):
        raise DataError(f"exclude={exclude!r:.80}; expected names and periods, such as {{'without Covid': [2020, 2021]}}.")
    estimator.fit(trial)
    ways: dict[str, tuple[Trial | str, Estimator]] = {"as specified": (trial, estimator)}
    ways |= {str(name): (without_periods(trial, periods), estimator) for name, periods in (exclude or {}).items()}
    ordered = set(ways)
    for k in anticipation:
        ways[f"without {k} period{'s' * (k != 1)} before treatment"] = (_run_up_gone(trial, estimator, k), estimator)
    return _fitted(ways, ordered)


def _run_up_gone(trial: Trial, estimator: Estimator, periods: int) -> Trial | str:
    """The trial without the run-up, or why the estimator cannot take it."""
    left, why = without_run_up(trial, periods), NO_RUN_UP.get(type(estimator))
    if why is None:
        return left
    others = f"CallawaySantAnna(anticipation={periods}), Imputation() and TwoWayFixedEffects() have one"
    return f"{type(estimator).__name__} has no version without the run-up: {why}. {others}."


def _fitted(ways: Mapping[str, tuple[Trial | str, Estimator]], ordered: set[str]) -> SideBySide:
    """Fits by name, with the exact p of those in `ordered`, whose cells do not depend on the allocation; a text for a trial says why."""
    fits = {name: trial if isinstance(trial, str) else refit(trial, estimator) for name, (trial, estimator) in ways.items()}
    if not any(isinstance(fit, Estimate) for fit in fits.values()):
        raise FitError(f"No way gives an estimate: {listing([f'{name}: {why}' for name, why in fits.items()])}")
    exact = {name: _exact(*ways[name]) for name, fit in fits.items() if isinstance(fit, Estimate) and name in ordered}
    named = {fit.estimator: ways[name][1] for name, fit in fits.items() if isinstance(fit, Estimate)}
    own = {name: next((said for said, e in named.items() if e == how), type(how).__name__) for name, (_, how) in ways.items()}
    return SideBySide(fits, {name: p for name, p in exact.items() if p}, own)


def _exact(trial: Trial | str, estimator: Estimator) -> tuple[float, float] | None:
    """The exact p of the order and the smallest possible one, where it is cheap and rests on the order alone."""
    if isinstance(trial, str) or trial.design is None or trial.comparators or not isinstance(estimator, LinearEstimator):
        return None
    result = RandomisationTest(interval=False).run(trial, estimator)
    return float(result.p_value), result.min_p
