"""From the trial's tables to what is analysed: one outcome in one population, as one analysis reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from swedge.design import Allocation
from swedge.errors import DataError, listing
from swedge.estimate import Estimate, Estimator
from swedge.estimators import Duration
from swedge.inference import missing_data_analysis
from swedge.inference.missing import with_indicators
from swedge.plan.frames import select
from swedge.plan.plan import Plan
from swedge.plan.specs import Analysis, Outcome, Population, Source
from swedge.trial import Trial
from swedge.trial.columns import label
from swedge.trial.formula import names_in

IMPUTED, INDICATOR = FILLED = ("multiple imputation", "missing indicator")


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows of one outcome in one population, and how one analysis makes a trial of them.

    Attributes
    ----------
    plan : Plan
    analysis : Analysis
    outcome : Outcome
    population : Population
    frame : DataFrame
        The outcome's table, as received.
    """

    plan: Plan
    analysis: Analysis
    outcome: Outcome
    population: Population
    frame: pd.DataFrame = field(repr=False)

    @property
    def source(self) -> Source:
        """The outcome's table, as agreed."""
        return self.plan.source_of(self.outcome)

    @property
    def covariates(self) -> str | None:
        """The formula; None for an unadjusted analysis."""
        own = self.outcome.covariates if self.analysis.covariates is None else self.analysis.covariates
        return own or None

    @property
    def rule(self) -> str:
        """What is done about missing values."""
        return self.analysis.missing or self.plan.missing.rule

    @property
    def comparators(self) -> tuple[str, ...]:
        """Never-treated clusters beside the trial's own; those without this outcome are not among them."""
        listed = self.plan.comparators.clusters if self.analysis.comparators and self.plan.comparators else ()
        return tuple(name for name in listed if name not in self._left_out)

    @property
    def _left_out(self) -> tuple[str, ...]:
        return (*self.outcome.without, *self.analysis.without_clusters)

    @cached_property
    def allocation(self) -> Allocation:
        """The allocation of the clusters that hold this outcome."""
        assert self.plan.allocation is not None
        own = self.plan.allocation.design.clusters
        return self.plan.allocation.without(name for name in self._left_out if name in own)

    @cached_property
    def stages(self) -> dict[str, pd.Series]:
        """Which rows are left after each step, by step; an outcome that is imputed counts as known."""
        frame = self.frame
        names = frame[self.source.cluster].map(label)
        mine = names.isin([*self.clusters])
        inside = mine & select(frame, self.population.where) & ~self._in_periods_left_out(frame)
        exists = inside & select(frame, self.outcome.where) & frame[list(self.outcome.requires)].notna().all(axis=1)
        known = exists if self.rule == IMPUTED else exists & frame[self._needed].notna().all(axis=1)
        analysed = known if self.rule in FILLED else known & frame[self._covariate_columns].notna().all(axis=1)
        return {
            "rows read": names.notna(),
            "in the clusters of this outcome": mine,
            "in the population": inside,
            "the outcome exists": exists,
            "the outcome is known": known,
            "analysed": analysed,
        }

    def _in_periods_left_out(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """Rows of the periods that the analysis leaves out."""
        gone, where = self.analysis.without_periods, self._place
        if not gone:
            return pd.Series(False, index=frame.index)
        dated = where["period"] is None
        period = self.allocation.design.period_of(frame[where["date"]]) + 1 if dated else pd.to_numeric(frame[where["period"]], "coerce")
        return pd.Series(np.isin(np.asarray(period), gone), index=frame.index)

    @property
    def _empty(self) -> str:
        """What is done about cells without rows: there are some where periods were left out."""
        return "keep" if self.analysis.without_periods else "raise"

    @property
    def clusters(self) -> tuple[str, ...]:
        """Whose rows are read: the allocation's and the comparators, or all of a panel's."""
        if self.source.first_treated is None:
            return (*self.allocation.design.clusters, *self.comparators)
        return tuple(name for name in self.frame[self.source.cluster].map(label).unique() if name not in self._left_out)

    @property
    def _needed(self) -> list[str]:
        """Columns of the outcome itself."""
        columns = (self.outcome.column, self.outcome.event, self.outcome.censored, self.outcome.size)
        return [name for name in columns if name is not None]

    @property
    def _covariate_columns(self) -> list[str]:
        return [] if self.covariates is None else names_in(self.covariates, self.frame)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """Rows that the outcome exists for."""
        rows = self.frame[self.stages["the outcome exists"]]
        if not len(rows):
            raise DataError(
                f"No row of {self.source.name!r} is left for {self.outcome.name!r} in population {self.population.name!r}."
                " Check the conditions in the plan against the data."
            )
        return rows

    def flow(self) -> pd.DataFrame:
        """Rows left after each step: ``cluster, stage, rows``, in order."""
        names = self.frame[self.source.cluster].map(label)
        parts = [names[kept].value_counts().reindex(self.clusters, fill_value=0).rename(stage) for stage, kept in self.stages.items()]
        wide = pd.concat(parts, axis=1).rename_axis("cluster").reset_index()
        return wide.melt("cluster", var_name="stage", value_name="rows")

    @property
    def _place(self) -> dict[str, Any]:
        """Columns that say where and when a row belongs."""
        own, source = self.outcome, self.source
        date = None if own.period else own.date or source.date
        period = None if own.date else own.period or source.period
        treatment = own.treatment or (source.treatment if own.date is None and own.period is None else None)
        return {"cluster": source.cluster, "date": date, "period": period, "treatment": treatment}

    @cached_property
    def trial(self) -> Trial:
        """The trial to be fitted, and tested.

        Raises
        ------
        DataError
            If the rows cannot be the plan's trial.
        """
        made = self._panel() if self.source.first_treated else self._duration() if self.outcome.family == "duration" else self._cells()
        gone = self.analysis.without_periods
        return replace(made, notes=(*made.notes, f"Left out by choice: period {listing(gone, 12)}.")) if gone else made

    def _panel(self) -> Trial:
        source, outcome = self.source, self.outcome
        assert source.first_treated is not None
        assert source.period is not None
        return Trial.from_panel(
            self.rows,
            cluster=source.cluster,
            period=outcome.period or source.period,
            outcome=outcome.column,
            first_treated=source.first_treated,
            size=outcome.size,
            family=outcome.family,
        )

    def _duration(self) -> Trial:
        outcome, rows = self.outcome, self.rows
        assert outcome.horizon is not None
        event = outcome.event or "(event)"
        if outcome.censored is not None:
            rows = rows.assign(**{event: 1 - pd.to_numeric(rows[outcome.censored], errors="coerce")})
        return Duration(outcome.horizon, unit=outcome.unit or "days").trial(
            rows,
            self.allocation,
            time=outcome.column,
            event=event,
            covariates=self.covariates,
            comparators=self.comparators,
            missing="raise" if self.rule == "refuse" else "drop",
            empty=self._empty,
            **self._place,
        )

    def _cells(self) -> Trial:
        outcome, rows, covariates = self.outcome, self.rows, self.covariates
        if self.rule == INDICATOR and covariates is not None:
            rows, covariates = with_indicators(rows, outcome.column, covariates)
        return Trial.from_frame(
            rows,
            self.allocation,
            outcome=outcome.column,
            family=outcome.family,
            covariates=covariates,
            size=outcome.size,
            individual=outcome.individual,
            comparators=self.comparators,
            missing="raise" if self.rule == "refuse" else "drop",
            empty=self._empty,
            **self._place,
        )

    def fit(self, estimator: Estimator) -> Estimate:
        """The fit of one estimator, pooled over imputed sets where the rule says so.

        Raises
        ------
        DataError, FitError
            If the rows cannot be the plan's trial, or it cannot be fitted.
        """
        if self.rule != IMPUTED:
            return estimator.fit(self.trial)
        assert self.plan.missing.imputation is not None
        outcome = self.outcome
        found = missing_data_analysis(
            self.rows,
            self.allocation,
            estimator,
            outcome=outcome.column,
            family=outcome.family,
            covariates=self.covariates,
            comparators=self.comparators,
            methods=(IMPUTED,),
            imputation=self.plan.missing.imputation,
            empty=self._empty,
            **self._place,
        )
        return found.estimates[IMPUTED]


def samples(plan: Plan, frames: Mapping[str, pd.DataFrame], analysis: Analysis) -> list[Sample]:
    """Every outcome in every population of an analysis, in the plan's order."""
    outcomes = [plan.outcome(name) for name in analysis.outcomes or plan.names["outcomes"]]
    populations = [plan.population(name) for name in analysis.populations or plan.names["populations"][:1]]
    return [Sample(plan, analysis, o, p, frames[plan.source_of(o).name]) for o in outcomes for p in populations]
