"""Plans whose tables are unlike: groups, cohorts, panels, dated outcomes, comparators."""

from __future__ import annotations

import swedge as sw
from plan_examples import small_plan
from swedge.inference import MultipleImputation
from swedge.plan import specs
from swedge.plan.plan import Plan

CLUSTERS = ("A", "B", "C", "D", "E")


def rich_plan(**changes: object) -> Plan:
    """Four tables: people with gaps and comparators, counts, a cohort, and a panel."""
    sources = (
        specs.Source("people", cluster="la", period="period", treatment="treated", file="people.csv"),
        specs.Source("counts", cluster="la", period="period"),
        specs.Source("cohort", cluster="la", period="period", treatment="treated"),
        specs.Source("panel", cluster="la", period="year", first_treated="start"),
    )
    outcomes = (
        specs.Outcome("ill", "Ill", "ill", "binomial", "primary", covariates="C(sex) + age", expected=0.3),
        specs.Outcome("days", "Days", "days", "duration", event="ended", horizon=100.0, requires=("days",), without=("E",)),
        specs.Outcome("share", "Share", "share", "fractional", where=(specs.Condition("school", (1,)),)),
        specs.Outcome("visits", "Visits", "visits", "poisson", source="counts", size="exposure"),
        specs.Outcome("events", "Events", "events", "binomial", source="counts", size="people"),
        specs.Outcome("score", "Score", "score", "gaussian", source="cohort", individual="id", covariates="C(sex)", sd=2.0),
        specs.Outcome("rate", "Rate", "rate", "binomial", source="panel", size="people"),
    )
    analyses = (
        specs.Analysis("main", "Main", outcomes=("ill", "days", "share", "visits", "events", "score"), estimators=("cr2",)),
        specs.Analysis("panel", "Panel", outcomes=("rate",), estimators=("did",), comparators=True),
        specs.Analysis("beside", "Beside", outcomes=("ill", "days"), estimators=("cr2",), comparators=True, populations=("old", "young")),
        specs.Analysis("imputed", "Imputed", outcomes=("ill",), estimators=("cr2",), missing="multiple imputation"),
    )
    fields = {
        "sources": sources,
        "outcomes": outcomes,
        "analyses": analyses,
        "estimators": (
            specs.PlannedEstimator("cr2", "CR2", sw.FixedEffects()),
            specs.PlannedEstimator("did", "Differences", sw.Imputation()),
        ),
        "tests": (),
        "populations": (
            specs.Population("all", "All"),
            specs.Population("old", "Old", where=(specs.Condition("group", ("60+",)),)),
            specs.Population("young", "Young", where=(specs.Condition("group", ("0-19", "20-59")),)),
        ),
        "columns": (
            specs.Column("sex", "category", levels=("f", "m")),
            specs.Column("age", "number"),
            specs.Column("group", "category", levels=("0-19", "20-59", "60+")),
            specs.Column("school", "yes/no"),
            specs.Column("born", "date"),
            specs.Column("code", "text"),
            specs.Column("ward", "category"),
        ),
        "comparators": specs.Comparators(("F", "G"), adopters=("H",)),
        "missing": specs.Missing("complete case", MultipleImputation(imputations=2, burn_in=1, auxiliary=("ward",), seed=1)),
    }
    return small_plan(**(fields | changes))
