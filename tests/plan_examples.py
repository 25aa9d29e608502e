"""Plans for the tests of planning, built in Python."""

from __future__ import annotations

import swedge as sw
from swedge.inference import MultipleImputation
from swedge.plan import specs
from swedge.plan.plan import Plan
from swedge.studies import family_safeguarding

ADJUSTED = "C(age_group) + C(gender) + C(ethnicity) + C(disability) + C(previous_plans) + C(uasc)"


def small_plan(**changes: object) -> Plan:
    """Five clusters, six periods by number, one binary outcome; everything else at its default."""
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], periods=6)
    fields = {
        "title": "A small trial",
        "design": design,
        "sources": (specs.Source("people", cluster="cluster", period="period"),),
        "outcomes": (specs.Outcome("recovered", "Recovered", column="recovered", family="binomial", role="primary", expected=0.3),),
        "estimators": (specs.PlannedEstimator("cr2", "Fixed effects, CR2", sw.FixedEffects()),),
        "tests": (specs.PlannedTest("exact", "Randomisation test", sw.RandomisationTest(interval=False)),),
        "analyses": (specs.Analysis("main", "Main analysis", outcomes=("recovered",), estimators=("cr2",), tests=("exact",)),),
        "allocation": design.randomise(seed=1),
        "seed": 1,
    }
    return Plan(**(fields | changes))


def safeguarding_plan(**changes: object) -> Plan:
    """The Family Safeguarding trial: two outcomes, two populations, three estimators, a sensitivity set."""
    study = family_safeguarding()
    outcomes = (
        specs.Outcome(
            "looked_after",
            "Looked after",
            column="looked_after",
            family="binomial",
            role="primary",
            words="The child becomes looked after.",
            window="18 months from the first referral",
            covariates=ADJUSTED,
            expected=0.055,
        ),
        specs.Outcome(
            "plan_days",
            "Days on a child protection plan",
            column="plan_days",
            family="duration",
            censored="plan_open",
            horizon=730.0,
            requires=("plan_days",),
            unit="days",
            window="24 months from the start of the plan",
            expected=280.0,
        ),
        specs.Outcome(
            "proceedings",
            "Care proceedings",
            column="proceedings",
            family="binomial",
            window="16 weeks from the first meeting",
            without=("Swindon",),
            requires=("proceedings",),
            expected=0.35,
        ),
        specs.Outcome(
            "trio_rereferred",
            "Re-referral for the trio",
            column="trio_rereferred",
            family="binomial",
            date="trio_date",
            treatment="trio_treated",
            requires=("trio_date",),
            window="18 months",
            expected=0.2,
        ),
    )
    fields = {
        "title": "Family Safeguarding: impact evaluation",
        "version": "1.0",
        "date": "2020-02-01",
        "seed": 2020,
        "design": study.design,
        "allocation": study.allocation,
        "allocation_rule": specs.AllocationRule(carried_out=True),
        "sources": (specs.Source("children", cluster="la", date="referral_date", treatment="treated", file="children.csv"),),
        "columns": tuple(
            specs.Column(name, "category") for name in ("age_group", "gender", "ethnicity", "disability", "previous_plans", "uasc", "trio")
        ),
        "populations": (
            specs.Population("all", "All referred children"),
            specs.Population("trio", "Trio named at the first referral", where=(specs.Condition("trio", (1,)),)),
        ),
        "outcomes": outcomes,
        "estimators": (
            specs.PlannedEstimator("cr2", "Authority effects, CR2", sw.FixedEffects()),
            specs.PlannedEstimator("overdispersed", "Authority effects, overdispersed", sw.FixedEffects(vcov="overdispersed")),
            specs.PlannedEstimator("glmm", "Random intercept, z", sw.MixedModel(sw.Exchangeable(), df="normal")),
        ),
        "tests": (specs.PlannedTest("exact", "Randomisation test", sw.RandomisationTest(interval=False, seed=2020)),),
        "analyses": (
            specs.Analysis("main", "Main analysis", estimators=("cr2",), tests=("exact",)),
            specs.Analysis(
                "models",
                "Other models",
                part="sensitivity",
                outcomes=("looked_after",),
                estimators=("overdispersed", "glmm"),
                covariates="",
            ),
            specs.Analysis("trio", "Trio only", part="sensitivity", outcomes=("looked_after",), populations=("trio",), estimators=("cr2",)),
            specs.Analysis(
                "imputed",
                "Multiple imputation",
                part="sensitivity",
                outcomes=("looked_after",),
                estimators=("cr2",),
                missing="multiple imputation",
            ),
        ),
        "missing": specs.Missing("complete case", MultipleImputation(imputations=2, burn_in=1, seed=2020)),
        "multiplicity": specs.Multiplicity("holm", analysis="main", estimator="cr2"),
        "power": (
            specs.PowerByFormula(
                "primary",
                "Primary outcome",
                effect=-0.0185,
                size=900.0,
                correlation=sw.NestedExchangeable(icc=0.00268, cac=0.9),
                baseline=0.055,
                family="binomial",
            ),
        ),
    }
    return Plan(**(fields | changes))
