"""Censored time to an event as restricted mean time: pseudo-observations that every estimator of a Gaussian outcome can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.survival import followed_until, kaplan_meier, log_log_band, pseudo_observations
from swedge.design import Allocation
from swedge.errors import SMALL, DataError, listing
from swedge.estimate import Estimate
from swedge.estimators.followed import Followed, followed, trial_of
from swedge.trial import Trial
from swedge.trial.columns import check_choice
from swedge.trial.formula import names_in
from swedge.trial.trial import exposed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from swedge._present.survival import Curve

Array = NDArray[np.float64]

# Who shares a Kaplan-Meier estimate, and what the note calls it.
WITHIN = {"cell": "each cluster-period", "period": "each period, over clusters", "all": "all clusters and periods"}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


@dataclass(frozen=True)
class Duration:
    """Time to an event, censored, as the mean time up to a horizon.

    The restricted mean, the area under the survival curve up to the horizon, is the mean of ``min(time, horizon)``. Each individual gets
    its pseudo-observation: the restricted mean plus `n` times its derivative by the individual's weight (the infinitesimal jackknife, as
    R's ``survival::pseudo``). Without censoring that is ``min(time, horizon)``; with it, the pseudo-observations of a group average to its
    Kaplan-Meier restricted mean and vary by Greenwood's variance. They are a Gaussian outcome in units of time, so every linear estimator,
    mixed model and exact test applies, and effects are differences of mean time. The treatment is never looked at: a randomisation test
    stays exact.

    Parameters
    ----------
    horizon : float
        Time up to which the mean is taken, in `unit`. Nobody need be followed for longer.
    within : {"cell", "period", "all"}
        Who shares a Kaplan-Meier estimate. Censoring has to be independent of the time to the event inside each such group. A trial's data
        end on one day, so those who enter in a later period are censored earlier, and periods differ in outcome too: pooling them ("all")
        is biased. Authorities may also differ in how long they follow, which "cell", the default, allows for. "period" and "all" borrow
        follow-up from other cells where a cell's own ends early.
    unit : str
        Name of the unit, for labels and notes.

    Notes
    -----
    Delayed entry (follow-up that starts after time 0) and competing events are out of scope: somebody who can no longer have the event is
    not censored.

    References
    ----------
    Andersen PK, Klein JP, Rosthoj S (2003). Generalised linear models for correlated pseudo-observations, with applications to multi-state
    models. Biometrika 90, 15-27.
    Andersen PK, Hansen MG, Klein JP (2004). Regression analysis of restricted mean survival time based on pseudo-observations. Lifetime
    Data Analysis 10, 335-350.
    Graw F, Gerds TA, Schumacher M (2009). On pseudo-values for regression analysis in competing risks models. Lifetime Data Analysis 15,
    241-255.
    Parner ET, Andersen PK, Overgaard M (2023). Regression models for censored time-to-event data using infinitesimal jack-knife
    pseudo-observations, with applications to left-truncation. Lifetime Data Analysis 29, 654-671.

    Examples
    --------
    >>> import numpy as np, pandas as pd, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=3, periods=4).randomise(seed=1)
    >>> cells = [(i, t) for i in allocation.design.clusters for t in range(1, 5) for _ in range(30)]
    >>> rng = np.random.default_rng(1)
    >>> until = rng.exponential(400, len(cells)).round()
    >>> rows = pd.DataFrame(cells, columns=["la", "period"]).assign(days=np.minimum(until, 800), ended=until < 800)
    >>> trial = Duration(horizon=730).trial(rows, allocation, time="days", event="ended", cluster="la", period="period")
    >>> float(trial.outcome[0, 0].round(6)) == float(np.minimum(until[:30], 730).mean().round(6))
    True
    >>> sw.WithinPeriod().fit(trial).scale
    'identity'
    """

    horizon: float
    within: str = "cell"
    unit: str = "days"

    def __post_init__(self) -> None:
        check_choice("within", self.within, tuple(WITHIN))
        if not _is_text(self.unit):
            raise DataError(f"unit={self.unit!r}; expected the name of a unit of time, such as 'days'.")
        if not _is_number(self.horizon) or not 0 < self.horizon < np.inf:
            raise DataError(f"horizon={self.horizon!r}; expected a finite, positive number of {self.unit}, such as 730.")
        object.__setattr__(self, "horizon", float(self.horizon))

    def trial(
        self,
        df: pd.DataFrame,
        allocation: Allocation,
        *,
        time: str,
        event: str,
        cluster: str,
        period: str | None = None,
        date: str | None = None,
        covariates: str | None = None,
        treatment: str | None = None,
        comparators: Sequence[str] = (),
        missing: str = "raise",
        empty: str = "raise",
    ) -> Trial:
        """A Gaussian trial whose outcome is the pseudo-observation, from one row an individual.

        Parameters
        ----------
        df : DataFrame
        allocation : Allocation
        time : str
            Column of times from entry to the event or to the end of follow-up, in `unit`; 0 is allowed.
        event : str
            Column of 1 (the event happened at that time) and 0 (censored then: still at risk at that time).
        cluster, period, date, covariates, treatment, comparators, empty
            As in `Trial.from_frame`. With covariates, censoring must not depend on them inside a group.
        missing : {"raise", "drop"}
            Rows without a time or event are refused, or left out of the curves and counted. Rows that only lack a covariate still count
            in the curves when they are dropped from the trial.

        Returns
        -------
        Trial
            Its notes say what the outcome is.

        Raises
        ------
        DataError
            If follow-up ends before the horizon in some group, times are negative, events other than 0 and 1, or the data contradict the
            design.
        """
        columns = {"cluster": cluster, "period": period, "date": date, "time": time, "event": event, "treatment": treatment}
        rows = followed(df, allocation, columns, covariates, comparators, missing)
        values = self._pseudo_observations(rows)
        trial = trial_of(df, allocation, rows, values, columns, covariates, comparators, missing, empty)
        return replace(trial, notes=(self._note(rows), *trial.notes))

    def _pseudo_observations(self, rows: Followed) -> Array:
        """One a row, from the curves of its group; refuses a horizon beyond a group's follow-up."""
        labels, group = rows.groups(self.within)
        curves = kaplan_meier(group, rows.time, rows.event, len(labels))
        until = followed_until(curves)
        short = np.flatnonzero(until < self.horizon)
        if short.size:
            known = _not_one_persons(float(until.min()), rows.time)
            raise DataError(_too_short(self, [labels[g] for g in short], len(labels), known))
        return pseudo_observations(curves, self.horizon)

    def _note(self, rows: Followed) -> str:
        censored = ((rows.event == 0) & (rows.time < self.horizon)).mean()
        return (
            f"The outcome is the pseudo-observation of mean {self.unit} to the event, restricted to {self.horizon:g} (Kaplan-Meier in"
            f" {WITHIN[self.within]}; {censored:.0%} of rows censored earlier): effects are differences of restricted mean {self.unit}."
            " Censoring is taken as independent of the event there."
        )

    def cox(
        self,
        df: pd.DataFrame,
        allocation: Allocation,
        *,
        time: str,
        event: str,
        cluster: str,
        period: str | None = None,
        date: str | None = None,
        covariates: str | None = None,
        comparators: Sequence[str] = (),
        missing: str = "raise",
        vcov: str = "CR2",
    ) -> Estimate:
        """Log hazard ratio of treatment by Cox regression up to the horizon, as a sensitivity analysis.

        Clusters are strata, so each has a baseline hazard of any shape and treated time is compared with control time of the same cluster
        alone; periods are coefficients, so their hazards are taken to be proportional. Follow-up is cut at the horizon; ties by Efron.

        Parameters
        ----------
        df, allocation, time, event, cluster, period, date, covariates, comparators, missing
            As in `trial`.
        vcov : {"CR2", "CR0"}
            "CR0" is the sandwich that software for Cox models gives (Lee, Wei and Amato 1992), with a normal distribution; with few
            clusters it is far too small (at 5% it rejects 19 to 21% of null trials of five clusters, CR2 5%). "CR2" corrects each
            cluster's score as `FixedEffects` does, on the information of the partial likelihood, with Satterthwaite df. Neither is exact:
            prefer the restricted mean and a randomisation test.

        Returns
        -------
        Estimate
            Positive: the event comes sooner under treatment.

        Raises
        ------
        DataError
            As `trial`, but follow-up need not reach the horizon.
        FitError
            If an arm has no events beside the other, or coefficients are not identified.

        References
        ----------
        Cox DR (1972). Regression models and life-tables. Journal of the Royal Statistical Society B 34, 187-220.
        Lee EW, Wei LJ, Amato DA (1992). Cox-type regression analysis for large numbers of small groups of correlated failure time
        observations. In: Klein JP, Goel PK (eds) Survival Analysis: State of the Art, 237-247. Kluwer.
        """
        from swedge.estimators.hazard import check_vcov, cox_estimate, cox_rows

        check_vcov(vcov)
        columns = {"cluster": cluster, "period": period, "date": date, "time": time, "event": event}
        used = () if covariates is None else names_in(covariates, df)
        rows = followed(df, allocation, columns, covariates, comparators, missing, used).up_to(self.horizon)
        base = trial_of(df, allocation, rows, rows.time, columns, covariates, comparators, missing, "keep")
        return cox_estimate(base, cox_rows(base, rows, df[rows.known], covariates), vcov, f"{self.horizon:g} {self.unit}")

    def plot(
        self,
        df: pd.DataFrame,
        allocation: Allocation,
        *,
        time: str,
        event: str,
        cluster: str,
        period: str | None = None,
        date: str | None = None,
        comparators: Sequence[str] = (),
        missing: str = "raise",
        ax: Axes | None = None,
        release: bool = False,
    ) -> Axes:
        """Kaplan-Meier curves of treated and control rows, with numbers at risk and the horizon.

        A description, not an effect: treated rows enter later, and clusters differ in how many they have. Bands are pointwise, by
        Greenwood's variance on the scale of ``log(-log S)``, and take individuals as independent.

        Parameters
        ----------
        df, allocation, time, event, cluster, period, date, comparators, missing
            As in `trial`. Rows in cells that the design leaves out are not drawn; cells treated in part are an arm of their own.
        release : bool
            For publication: 1 to 5 at risk read "1–5", and a curve ends where fewer than 6 are at risk.

        Raises
        ------
        DataError
            As `trial`, but follow-up need not reach the horizon.
        """
        from swedge._present.survival import draw_survival

        columns = {"cluster": cluster, "period": period, "date": date, "time": time, "event": event}
        rows = followed(df, allocation, columns, None, comparators, missing)
        treatment = exposed(allocation, len(comparators))[0][rows.cluster, rows.period]
        return draw_survival(_arms(rows, treatment), self.horizon, self.unit, ax=ax, release=release)


def _too_short(spec: Duration, short: list[str], groups: int, until: float) -> str:
    pooled = "" if spec.within == "all" else " Or pool by within='period' or 'all', if censoring is alike in what is pooled."
    return (
        f"Follow-up ends before the horizon of {spec.horizon:g} {spec.unit} in {len(short)} of {groups} groups that share a curve"
        f" ({listing(short)}), so mean time up to it is not known there. Use a horizon of {until:g} {spec.unit} or less.{pooled}"
    )


def _not_one_persons(until: float, times: Array) -> float:
    """A time up to which all are followed, rounded down where only few rows hold it: it would be their own."""
    if (times == until).sum() > SMALL or until <= 0:
        return until
    size = 10.0 ** np.floor(np.log10(until))
    return float(np.floor(until / size) * size)


def _arms(rows: Followed, treatment: Array) -> list[Curve]:
    """The curve of each arm that has rows."""
    arms = {"control": treatment == 0, "treated in part": (treatment > 0) & (treatment < 1), "treated": treatment == 1}
    return [_curve(label, rows.time[at], rows.event[at]) for label, at in arms.items() if at.any()]


def _curve(label: str, time: Array, event: Array) -> Curve:
    from swedge._present.survival import Curve

    curves = kaplan_meier(np.zeros(len(time), dtype=np.int64), time, event, 1)
    return Curve(label, curves.time[0], curves.at_risk[0], curves.survival[0], log_log_band(curves, 0.95)[0])
