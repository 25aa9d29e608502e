"""Reports for the tests of documents: quick, and with everything that a document has to show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import swedge as sw
from plan_examples import small_plan
from swedge.inference import MultipleImputation
from swedge.plan import specs
from swedge.plan.lock import LockedPlan
from swedge.plan.plan import Plan
from swedge.plan.report import Report
from swedge.plan.run import carry_out
from swedge.plan.versions import versions_of

HOSTILE = (
    '<script>alert(1)</script> $\\frac{$ | `x` [a](javascript:1) ${7*7} {{x}} "q" & \'',
    "x =cmd|' /C calc'!A0",
    "_hidden $x$",
    "\\input{/etc/passwd} @x",
)
"""Labels that HTML, Markdown, formulas of pictures, LaTeX and spreadsheets might obey."""


def rich_plan(**changes: Any) -> Plan:
    """Twelve permitted allocations; outcomes on three scales, one of which never happens; sensitivity and supplementary analyses."""
    clusters = ["A", "B", "C", "D", "E"]
    design = sw.Design.stepped_wedge(clusters, periods=6, strata=[["A", "B"], ["C", "D", "E"]])
    fields: dict[str, Any] = {
        "title": "A rich trial",
        "date": "2026-01-31",
        "design": design,
        "allocation": design.randomise(seed=2),
        "outcomes": (
            specs.Outcome("recovered", "Recovered", column="recovered", family="binomial", role="primary", words="Well again"),
            specs.Outcome("score", "Score", column="score", family="gaussian", unit="points", window="a year", covariates="C(kind)"),
            specs.Outcome("never", "Never happens", column="never", family="binomial"),
            specs.Outcome("extra", "Extra", column="score", family="gaussian", unit="points", role="exploratory"),
        ),
        "populations": (
            specs.Population("all", "All rows"),
            specs.Population("kind", "One kind", where=(specs.Condition("kind", ("x",)),)),
        ),
        "columns": (specs.Column("kind", "category", levels=("x", "y")),),
        "estimators": (
            specs.PlannedEstimator("cr2", "Fixed effects, CR2", sw.FixedEffects()),
            specs.PlannedEstimator("within", "Within periods", sw.WithinPeriod()),
            specs.PlannedEstimator("curve", "By exposure", sw.FixedEffects(vcov="overdispersed", effect=sw.ByExposure())),
        ),
        "tests": (
            specs.PlannedTest("exact", "Randomisation test", sw.RandomisationTest(seed=1)),
            specs.PlannedTest("plain", "Plain randomisation test", sw.RandomisationTest(interval=False, seed=1)),
        ),
        "analyses": (
            specs.Analysis("main", "Main analysis", estimators=("cr2", "within"), tests=("exact",)),
            specs.Analysis("curve", "Effect curve", part="sensitivity", outcomes=("score",), estimators=("curve",), words="It may grow"),
            specs.Analysis(
                "kind",
                "One kind only",
                part="supplementary",
                outcomes=("recovered",),
                populations=("kind",),
                estimators=("cr2",),
                tests=("plain",),
            ),
            specs.Analysis(
                "imputed", "Imputed", part="sensitivity", outcomes=("score",), estimators=("cr2",), missing="multiple imputation"
            ),
        ),
        "missing": specs.Missing("complete case", MultipleImputation(imputations=2, burn_in=1, seed=1)),
        "multiplicity": specs.Multiplicity("holm", analysis="main", estimator="cr2"),
    }
    return small_plan(**(fields | changes))


def short_plan(**changes: Any) -> Plan:
    """The rich plan with one outcome and few pictures."""
    plan = rich_plan()
    main = replace(plan.analyses[0], outcomes=("recovered",), estimators=("cr2",))
    kept = {"outcomes": plan.outcomes[:1], "estimators": plan.estimators[:1], "analyses": (main, plan.analyses[2]), "multiplicity": None}
    return replace(plan, **(kept | changes))


def people(plan: Plan, size: int = 30, seed: int = 0) -> pd.DataFrame:
    """Simulated people of a plan with periods by number, without any effect; some scores are missing."""
    rng = np.random.default_rng(seed)
    cells = [(name, period + 1) for name in plan.design.clusters for period in range(plan.design.n_periods)]
    frame = pd.DataFrame([cell for cell in cells for _ in range(size)], columns=["cluster", "period"])
    n = len(frame)
    score = np.where(rng.random(n) < 0.05, np.nan, rng.normal(10, 2, n))
    return frame.assign(recovered=rng.binomial(1, 0.4, n), never=0, score=score, kind=rng.choice(["x", "y"], n))


def run_of(plan: Plan, frame: pd.DataFrame | None = None, **options: Any) -> Report:
    """The report of a plan, run on simulated people."""
    locked = LockedPlan(plan, versions_of())
    tables = {plan.sources[0].name: people(plan) if frame is None else frame}
    return carry_out(locked, plan, tables, **{"progress": False, "release": True, **options})


def hostile_plan() -> Plan:
    """The rich plan with hostile labels and words wherever a person writes."""
    plan, (script, formula, hidden, latex) = rich_plan(), HOSTILE
    outcomes = (
        replace(plan.outcomes[0], label=script, words=script, window=latex),
        replace(plan.outcomes[1], label=formula, unit=hidden),
        *plan.outcomes[2:],
    )
    analyses = (replace(plan.analyses[0], label=hidden), replace(plan.analyses[1], label=latex, words=formula), *plan.analyses[2:])
    labelled = {
        "estimators": tuple(replace(entry, label=label) for entry, label in zip(plan.estimators, HOSTILE, strict=False)),
        "tests": tuple(replace(entry, label=label) for entry, label in zip(plan.tests, HOSTILE, strict=False)),
        "populations": tuple(replace(entry, label=label) for entry, label in zip(plan.populations, HOSTILE[::-1], strict=False)),
    }
    return replace(plan, title=script, version=formula, outcomes=outcomes, analyses=analyses, **labelled)


def small_people(plan: Plan) -> pd.DataFrame:
    """People of whom some cells hold one to five, and some steps of the flow lose as few."""
    frame = people(plan, seed=3)
    few = (frame["cluster"] == "B") & (frame["period"] == 2)
    frame = frame[~few | (frame.groupby(["cluster", "period"]).cumcount() < 4)].copy()
    frame.loc[frame.index[(frame["cluster"] == "C")][:3], "recovered"] = np.nan
    return frame
