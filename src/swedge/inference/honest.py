"""How far trends may differ before a conclusion falls: effects under bounded violations of parallel trends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.bounded_trends import (
    conditional_interval,
    fixed_length_interval,
    identified_set,
    relative_magnitudes,
    smoothness,
)
from swedge._present.tables import percent
from swedge.errors import FitError, Status, listing, nearest
from swedge.estimate import SCALES, Estimate
from swedge.estimate.result import COLUMNS, quantile
from swedge.inference.event_study import EventStudy, event_study

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

KINDS = {
    "relative magnitudes": "from one period to the next trends differ at most by this multiple of the most they did before treatment",
    "smoothness": "the difference in trend changes its slope by at most this much from one period to the next",
}
METHODS = ("fixed length", "conditional")
RATIOS = (0.0, 0.5, 1.0, 1.5, 2.0)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Halvings that find the breakdown value, and how far it is sought: ratios, or standard errors a period.
HALVINGS = 24
FARTHEST = 50.0


class _Row(NamedTuple):
    limit: float
    low: float
    high: float
    set_low: float
    set_high: float
    whole: bool


@dataclass(frozen=True, eq=False, repr=False)
class HonestEffect:
    """Intervals of one effect under bounds on how trends differ.

    Attributes
    ----------
    term : str
    kind : {"relative magnitudes", "smoothness"}
    method : {"conditional", "fixed length"}
    rows : tuple
        One a bound: the bound, the limits, and the effects possible if the estimates were exact.
    breakdown : float
        Largest bound at which the interval leaves 0 out: 0 where none does, infinite where the search found no end.
    estimate, std_error, df : float
        Under parallel trends.
    """

    term: str
    kind: str
    method: str
    rows: tuple[_Row, ...]
    breakdown: float
    estimate: float
    std_error: float
    df: float
    level: float
    estimator: str
    scale: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line: what was bounded, and where it breaks."""
        return f"<HonestEffect: {self.term} under {self.kind}, {len(self.rows)} bounds, breakdown {self.breakdown:.3g}>"

    def tidy(self) -> pd.DataFrame:
        """One row a bound, parallel trends first: the columns of every result, `bound`, and `set_low` and `set_high`, the effects possible.

        `std_error`, `statistic`, `df` and `p_value` are nan but under parallel trends.
        """
        from swedge.estimate.result import two_sided_p

        half = float(quantile(self.level, self.df)) * self.std_error
        t = self.estimate / self.std_error
        first = (np.nan, self.std_error, t, self.df, float(two_sided_p(t, self.df)), self.estimate - half, self.estimate + half)
        nothing = (np.nan,) * 4
        rows = [(*first, self.estimate, self.estimate), *((r.limit, *nothing, *r[1:5]) for r in self.rows)]
        names = ["bound", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "set_low", "set_high"]
        table = pd.DataFrame(rows, columns=names)
        said = {"term": self.term, "estimand": "effect", "estimator": self.estimator, "status": Status.OK.name.lower()}
        return table.assign(estimate=self.estimate, **said)[[*COLUMNS, "bound", "set_low", "set_high"]]

    def summary(self) -> str:
        """The intervals, what the bounds mean, and the breakdown value."""
        from swedge._present.tables import text_table

        shown = self.tidy()[["term", "bound", "estimate", "conf_low", "conf_high", "set_low", "set_high"]]
        head = f"{self.estimator}: {self.term} ({SCALES[self.scale]}), {percent(self.level)} intervals"
        sense = f"Bound: {KINDS[self.kind]} (first row: parallel trends). {METHOD_WORDS[self.method]}"
        return "\n".join([head, text_table(shown), sense, self._broken(), *(f"Note: {note}" for note in self.notes)])

    def _broken(self) -> str:
        if self.breakdown == 0:
            return "Breakdown: no bound, however small, leaves an effect of 0 out."
        if np.isinf(self.breakdown):
            return "Breakdown: no bound that was tried lets an effect of 0 in."
        return f"Breakdown: an effect of 0 is left out up to a bound of {self.breakdown:.3g}, and let in beyond."

    def plot(self, ax: Axes | None = None) -> Axes:
        """Every interval, parallel trends first."""
        from swedge._present.forest import draw_forest

        table = self.tidy()
        labels = ["parallel trends", *(f"{self.kind}: {limit:.3g}" for limit in table["bound"][1:])]
        limits = table[["conf_low", "conf_high"]].to_numpy()
        return draw_forest(labels, table["estimate"].to_numpy(), limits, f"Effect ({SCALES[self.scale]})", ax=ax)


METHOD_WORDS = {
    "conditional": "Intervals by the conditional test with a least-favourable first stage (Andrews, Roth and Pakes).",
    "fixed length": "Shortest intervals of fixed length; their centre moves with the bound.",
}


@dataclass(frozen=True)
class _Bounded:
    """One effect of an event study, and the kind of bound."""

    study: EventStudy
    target: Array
    kind: str
    method: str
    level: float

    def row(self, limit: float) -> _Row:
        before, post = len(self.study.before), self.target
        make = relative_magnitudes if self.kind == "relative magnitudes" else smoothness
        bounds = make(before, len(post), limit)
        possible = identified_set(bounds, self.study.estimate, post)
        if self.method == "fixed length":
            low, high, _ = fixed_length_interval(self.study.estimate, self.study.inflated, post, limit, self.level)
            return _Row(limit, low, high, *possible, True)
        low, high, connected = conditional_interval(bounds, self.study.estimate, self.study.inflated, post, self.level)
        return _Row(limit, low, high, *possible, connected)

    def excludes(self, limit: float) -> bool:
        """Whether an effect of 0 lies outside the interval."""
        row = self.row(limit)
        return not row.low <= 0 <= row.high

    def breakdown(self, unit: float) -> float:
        """Largest bound at which 0 is outside."""
        low, high = 0.0, unit * FARTHEST
        if not self.excludes(low):
            return 0.0
        if self.excludes(high):
            return float(np.inf)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.excludes(middle) else (low, middle)
        return low


def honest_effect(
    fit: Estimate,
    kind: str = "relative magnitudes",
    bounds: Sequence[float] | None = None,
    *,
    term: str | None = None,
    method: str | None = None,
    before: int | None = None,
    after: int | None = None,
    level: float = 0.95,
) -> HonestEffect:
    """Intervals for an effect when trends may differ, within bounds.

    Parameters
    ----------
    fit : Estimate
        An event study against one reference period: ``CallawaySantAnna(aggregate="dynamic", base="universal")`` or
        ``SunAbraham(aggregate="dynamic")``.
    kind : {"relative magnitudes", "smoothness"}
        What bounds the difference in trend after treatment: a multiple of the largest step between successive periods before it, or the
        largest change of its slope (0: it goes on as a straight line).
    bounds : sequence of float, optional
        Multiples, or changes of slope in units of the outcome a period. Left out: 0 to 2, or 0 to one standard error of the effect.
    term : str, optional
        Such as "event 0". Left out: the average over all periods after treatment, each counting alike.
    method : {"conditional", "fixed length"}, optional
        How the interval is made. Smoothness takes both, and "fixed length" where it is left out; relative magnitudes "conditional" alone.
    before, after : int, optional
        How many periods next to the reference period to use. Left out: all.
    level : float

    Raises
    ------
    FitError
        If the fit is no such event study, or a choice does not exist.

    Notes
    -----
    The coefficients are taken as normal with known covariance. With finite df (the smallest of the terms) the covariance is inflated by the
    square of t over normal quantiles at 95%, so that parallel trends give the t interval; with few clusters that is an approximation. The
    conditional test uses bounds on periods after treatment alone, its first stage takes a tenth of alpha, and the interval is the hull of
    the effects not rejected. Whether differences in trend before treatment are refuted is not asked: see `pretrend_test`.

    References
    ----------
    Rambachan A, Roth J (2023). A more credible approach to parallel trends. Review of Economic Studies 90, 2555-2591.

    Examples
    --------
    >>> import numpy as np, pandas as pd, swedge as sw
    >>> from swedge.estimators.sun_abraham import SunAbraham
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame([(i, t, 4.0 * (i < 20)) for i in range(40) for t in range(1, 7)], columns=["la", "year", "first"])
    >>> df["y"] = rng.standard_normal(240) + 6.0 * ((df["first"] > 0) & (df["year"] >= 4))
    >>> panel = sw.Trial.from_panel(df, cluster="la", period="year", outcome="y", first_treated="first")
    >>> found = honest_effect(SunAbraham(aggregate="dynamic").fit(panel), bounds=[0.5, 1])
    >>> bool((found.tidy()["conf_low"] > 0).all()), found.breakdown > 1
    (True, True)
    """
    how = _checked_method(kind, method, level)
    study = event_study(fit, before, after)
    bounded = _Bounded(study, _target(study, term), kind, how, level)
    full = np.append(np.zeros(len(study.before)), bounded.target)
    error = float(np.sqrt(full @ study.covariance @ full))
    limits = _limits(kind, bounds, error)
    rows = tuple(bounded.row(limit) for limit in limits)
    return HonestEffect(
        term or "average after treatment",
        kind,
        how,
        rows,
        bounded.breakdown(1.0 if kind == "relative magnitudes" else error),
        float(full @ study.estimate),
        error,
        study.df,
        level,
        fit.estimator,
        fit.scale,
        tuple(_notes(study, rows)),
    )


def _checked_method(kind: str, method: str | None, level: float) -> str:
    if kind not in KINDS:
        raise FitError(f"kind={kind!r}; expected one of {', '.join(KINDS)}.{nearest(kind, KINDS)}")
    if method is not None and method not in METHODS:
        raise FitError(f"method={method!r}; expected one of {', '.join(METHODS)}.{nearest(method, METHODS)}")
    if kind == "relative magnitudes" and method == "fixed length":
        raise FitError("method='fixed length' needs a convex bound, and relative magnitudes give none. Use method='conditional'.")
    if not 0 < level < 1:
        raise FitError(f"level={level}; expected a number between 0 and 1, such as 0.95.")
    return method or ("conditional" if kind == "relative magnitudes" else "fixed length")


def _target(study: EventStudy, term: str | None) -> Array:
    """Weights ``(T,)`` of the effects after the reference period."""
    if term is None:
        treated = study.after >= 0
        return np.asarray(treated / treated.sum())
    known = [f"event {e}" for e in study.after]
    if term not in known:
        raise FitError(f"term={term!r} is no effect after treatment; they are {', '.join(known)}.{nearest(term, known)}")
    return np.asarray(np.eye(len(known))[known.index(term)])


def _limits(kind: str, bounds: Sequence[float] | None, error: float) -> tuple[float, ...]:
    if bounds is None:
        return RATIOS if kind == "relative magnitudes" else tuple(error * share for share in SHARES)
    try:
        limits = tuple(float(limit) for limit in bounds)
    except (TypeError, ValueError):
        limits = ()
    if not limits or not all(0 <= limit < np.inf for limit in limits):
        raise FitError(f"bounds={bounds!r}; expected one or more numbers, none below 0, such as [0.5, 1, 2].")
    return limits


def _notes(study: EventStudy, rows: tuple[_Row, ...]) -> list[str]:
    finite, apart = np.isfinite(study.df), [row.limit for row in rows if not row.whole]
    empty = [row.limit for row in rows if np.isnan(row.low)]
    skipped = listing([f"event {e}" for e in study.unobserved])
    told = {
        f"Nobody is observed at {skipped}: bounds are on changes from one observed event time to the next, however far apart.": bool(
            skipped
        ),
        f"The coefficients have {study.df:.3g} degrees of freedom: their covariance is inflated to give t intervals under parallel trends,"
        " which is an approximation.": finite,
        f"At {len(apart)} bounds the effects not rejected do not form one interval; the limits enclose all of them.": bool(apart),
        f"At {len(empty)} bounds every effect is rejected: the coefficients contradict the bound.": bool(empty),
    }
    return [note for note, holds in told.items() if holds]
