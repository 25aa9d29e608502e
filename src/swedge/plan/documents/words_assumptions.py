"""Correlations, effect curves, estimands, scenarios and imputations in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from swedge import assumptions as a
from swedge._present.words import joined
from swedge.errors import counted
from swedge.inference import MultipleImputation
from swedge.plan.documents.prose import number, numbers
from swedge.power import Scenario, Shock


def given(value: float | None) -> str:
    """A parameter that is assumed, or one that the model estimates."""
    return "estimated" if value is None else number(value)


def _iac(iac: float | None) -> str:
    if iac == 0:
        return "different individuals in every period"
    return f"the same individuals in every period, with individual autocorrelation {given(iac)}"


def exchangeable(c: a.Exchangeable) -> str:
    """One random effect a cluster."""
    return f"one random effect for each cluster (exchangeable correlation: ICC {given(c.icc)}; {_iac(c.iac)})"


def nested(c: a.NestedExchangeable) -> str:
    """Random effects of clusters and of cluster-periods."""
    return (
        "random effects for clusters and for cluster-periods (nested exchangeable correlation:"
        f" ICC {given(c.icc)}, CAC {given(c.cac)}; {_iac(c.iac)})"
    )


def decaying(c: a.ExponentialDecay) -> str:
    """Cluster-period effects that forget."""
    return (
        "random effects for cluster-periods whose correlation decays with the time between periods"
        f" (ICC {given(c.icc)}, CAC {given(c.cac)} for a mean step; {_iac(c.iac)})"
    )


def proportional(c: a.ProportionalDecay) -> str:
    """A closed cohort that forgets."""
    return (
        "a closed cohort in which correlations within clusters and within individuals decay alike with time"
        f" (ICC {given(c.icc)}, {given(c.cac)} for a mean step)"
    )


EFFECTS = {
    "cluster": "clusters",
    "cluster_period": "cluster-periods",
    "treatment": "the treatment effect between clusters",
    "individual": "individuals",
    "exposure": "the treatment effect between exposure times",
    "residual": "residuals",
}


def random_effects(c: a.RandomEffects) -> str:
    """Standard deviations one by one."""
    there = [f"{words} {given(getattr(c, name))}" for name, words in EFFECTS.items() if name != "residual" and getattr(c, name) != 0]
    there += [f"residuals {number(c.residual)}"] if c.residual is not None else []
    ties = {
        "treatment_corr": "correlation of a cluster's treatment effect with its level",
        "autocorrelation": "of cluster-period effects one step apart",
    }
    tied = [f"{words} {given(getattr(c, name))}" for name, words in ties.items() if getattr(c, name) != 0]
    return f"random effects with standard deviations: {'; '.join([*(there or ['none']), *tied])}"


def structure(c: a.Structure) -> str:
    """Random effects by name."""
    corr = ", the treatment effect correlated with the cluster's level" if c.correlated else ""
    decay = {
        "none": "",
        "cluster_period": ", cluster-period effects autocorrelated",
        "all": ", cluster-period effects and residuals autocorrelated",
    }
    return f"random effects for {joined(EFFECTS.get(name, name) for name in c.effects)}{corr}{decay[c.decay]}"


def groups(curve: a.ByGroup) -> str:
    """An effect in each group."""
    labels = curve.labels or tuple(map(str, range(1, len(curve.groups) + 1)))
    shown = "; ".join(f"{label}: {joined(members)}" for label, members in zip(labels, curve.groups, strict=True))
    return f"an effect of its own in each group of clusters ({shown})"


def by_period(curve: a.ByPeriod) -> str:
    """Treatment by period."""
    rule = {
        "refuse": "a treated period without control cells is refused",
        "leave out": "a treated period without control cells is left out",
    }
    return f"an effect of its own in each period ({rule[curve.empty]})"


def periods(count: int) -> str:
    """A number of periods.

    >>> periods(1), periods(2)
    ('1 period', '2 periods')
    """
    return counted(count, "period", "periods")


def tate(estimand: a.TATE) -> str:
    """A time-averaged effect."""
    last = "the longest observed" if estimand.last is None else str(estimand.last)
    return f"the treatment effect averaged over exposures {estimand.first or 1} to {last}"


def shock(event: Shock) -> str:
    """A dated change."""
    return f"a change of {number(event.change)} in every cluster from {event.start} to {event.end} (the day after the last)"


TOLD = {
    "trend": "a secular trend of {} a period",
    "sd": "a total standard deviation of {}",
    "cluster_trends": "cluster-specific linear trends with standard deviation {}",
    "noise_by_cluster": "factors on the clusters' random effects of {}",
    "effect_by_cluster": "factors on the clusters' treatment effects of {}",
    "size_cv": "a coefficient of variation of cluster sizes of {}",
    "late": "go-live that is late by {} periods, cluster by cluster",
    "attrition": "a share of {} lost under control",
    "attrition_treated": "a share of {} lost under treatment",
    "window": "an outcome window of {} days that may cross go-live",
    "dispersion": "a dispersion of {}",
    "limit": "durations cut at {}",
}


def scenario(truth: Scenario) -> str:
    """An assumed truth."""
    plain = {field.name: field.default for field in fields(truth)}
    further = [words.format(numbers(getattr(truth, name))) for name, words in TOLD.items() if getattr(truth, name) != plain[name]]
    further += [shock(event) for event in truth.shocks]
    scale = f" on the {truth.scale} scale" if truth.scale else ""
    return (
        f"a {truth.family} outcome with {numbers(truth.baseline)} under control in the first period, {numbers(truth.size)} individuals a"
        f" cluster-period, an effect of {number(truth.effect)}{scale} ({ASSUMPTIONS[type(truth.curve)](truth.curve)}), and"
        f" {ASSUMPTIONS[type(truth.correlation)](truth.correlation)}" + (f"; {'; '.join(further)}" if further else "")
    )


def imputation(how: MultipleImputation) -> str:
    """Multiple imputation."""
    also = f" Auxiliary columns: {joined(how.auxiliary)}." if how.auxiliary else ""
    rounds = counted(how.burn_in, "round", "rounds")
    return (
        f"Multiple imputation by chained equations: {how.imputations} completed data sets, each after {rounds}, categories from logistic"
        f" regressions and numbers by predictive mean matching with {how.donors} donors (seed {how.seed}), pooled by Rubin's rules.{also}"
        " It assumes that values are missing at random given the columns used."
    )


ASSUMPTIONS: dict[type, Callable[[Any], str]] = {
    a.Exchangeable: exchangeable,
    a.NestedExchangeable: nested,
    a.ExponentialDecay: decaying,
    a.ProportionalDecay: proportional,
    a.RandomEffects: random_effects,
    a.Structure: structure,
    a.Constant: lambda curve: "one constant effect from the first treated period on",
    a.ByExposure: lambda curve: "an effect of its own for each number of periods since crossover",
    a.ByGroup: groups,
    a.ByPeriod: by_period,
    a.Delayed: lambda curve: f"no effect for {periods(curve.periods)} after crossover and one constant effect afterwards",
    a.Fading: lambda curve: f"the whole effect at once, fading in equal parts over {periods(curve.periods)}",
    a.Linear: lambda curve: f"an effect that grows in equal parts over {periods(curve.periods)} and then stays",
    a.Spline: lambda curve: f"an effect that is a natural cubic spline of exposure with {curve.knots} knots",
    a.Washout: lambda curve: f"one lasting effect after {periods(curve.periods)} of washout, each with an effect of its own",
    a.TATE: tate,
    a.LTE: lambda estimand: "the treatment effect at the longest exposure observed",
    a.PTE: lambda estimand: f"the treatment effect at exposure {estimand.at}",
    Scenario: scenario,
    Shock: shock,
    MultipleImputation: imputation,
}
"""A function for each class of assumption that a plan may name."""
