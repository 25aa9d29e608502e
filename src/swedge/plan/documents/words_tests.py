"""Tests in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swedge import inference as i
from swedge._present.tables import percent
from swedge.estimate import WaldTest


def _draws(draws: int | None, all_of: str, rule: str) -> str:
    return (
        f"all {all_of} are tried where there are no more than {rule}, and 9,999 drawn otherwise"
        if draws is None
        else f"{draws:,} {all_of} (or all, if there are no more)"
    )


def _interval(test: Any, what: str = "the effects not rejected") -> str:
    if getattr(test, "interval", True) is False:
        return "no interval is computed"
    always = " always" if getattr(test, "interval", None) else ""
    return f"the {percent(test.level)} interval holds {what}{always and ' and is always given'}"


def randomisation(test: i.RandomisationTest) -> str:
    """An exact test."""
    statistic = {"estimate": "the estimate", "t": "the estimate over its standard error"}[test.statistic]
    return (
        f"Randomisation test of no effect: {statistic} under the allocation carried out is compared with what it would have been under the"
        f" allocations that the design permits; {_draws(test.draws, 'permitted allocations', '20,000')} (seed {test.seed}). Over all of"
        f" them p is the share that is at least as extreme, and so not below 1 over their number; {_interval(test)}."
    )


def wild(test: i.WildBootstrapTest) -> str:
    """A bootstrap of clusters."""
    weights = {"rademacher": "random signs", "webb": "Webb's six points"}[test.weights]
    residuals = "under no effect (restricted)" if test.restricted else "at the estimate (unrestricted)"
    statistic = {"t": "the estimate over its CR1 standard error", "estimate": "the estimate"}[test.statistic]
    return (
        f"Wild cluster bootstrap test of no effect: each cluster's residuals {residuals} are multiplied by"
        f" one weight ({weights}); the statistic"
        f" is {statistic}; {_draws(test.draws, 'different samples', '65,536')} (seed {test.seed}); {_interval(test)}."
    )


def likelihood_ratio(test: i.LikelihoodRatioTest) -> str:
    """Two fits by maximum likelihood."""
    df = {"between-within": "between-within", "clusters": "clusters minus 2", "normal": "infinite (chi-square)"}[test.df]
    return (
        f"Likelihood-ratio test of no effect between two fits by full maximum likelihood, referred to F with 1 and {df} degrees of freedom;"
        f" {_interval(test, 'the effects that the profile likelihood does not reject')}."
    )


def parametric_bootstrap(test: i.ParametricBootstrapTest) -> str:
    """Trials drawn from the null model."""
    return (
        "Parametric bootstrap test of no effect: the likelihood ratio is compared with its distribution in"
        f" {test.draws:,} trials drawn from the model fitted without an effect (seed {test.seed}); {_interval(test)}."
        " A drawn trial that cannot be"
        " fitted counts as more extreme."
    )


def placebo(test: i.PlaceboTest) -> str:
    """Comparators treated on paper."""
    return (
        "Placebo test of no effect: the estimate is compared with those that comparison clusters give when they are treated on paper, in"
        f" {test.draws:,} random placebos (or all, if there are no more; seed {test.seed}); {_interval(test)}. It rests on the choice of"
        " comparators, not on a randomisation."
    )


def conley_taber(test: i.ConleyTaberTest) -> str:
    """Few treated clusters, many comparators."""
    return (
        "Conley-Taber test of no effect: the treated clusters' share of the error is drawn from the comparators' residuals,"
        f" {test.draws:,} draws (seed {test.seed}); {_interval(test)}. With few comparators it rejects too often."
    )


def ferman_pinto(test: i.FermanPintoTest) -> str:
    """Few treated clusters of unlike sizes."""
    return (
        "Ferman-Pinto test of no effect: errors of all clusters are drawn anew, rescaled to each cluster's size,"
        f" {test.draws:,} draws (seed {test.seed}); {_interval(test)}."
    )


def jackknife(test: i.JackknifeTest) -> str:
    """Leave one cluster out."""
    centre = {"estimate": "the whole trial's estimate", "mean": "their own mean"}[test.centre]
    return (
        "Jackknife test of no effect: the standard error comes from estimates without each cluster in turn,"
        f" measured from {centre}, with t on"
        f" clusters minus 1 degrees of freedom and a {percent(test.level)} interval."
    )


def wald(test: WaldTest) -> str:
    """The estimator's own."""
    return (
        "The estimator's own two-sided test: the estimate over its standard error, with its degrees of freedom"
        f" and its {percent(test.level)} interval."
    )


TESTS: dict[type, Callable[[Any], str]] = {
    i.RandomisationTest: randomisation,
    i.WildBootstrapTest: wild,
    i.LikelihoodRatioTest: likelihood_ratio,
    i.ParametricBootstrapTest: parametric_bootstrap,
    i.PlaceboTest: placebo,
    i.ConleyTaberTest: conley_taber,
    i.FermanPintoTest: ferman_pinto,
    i.JackknifeTest: jackknife,
    WaldTest: wald,
}
"""A function for each class of test that a plan may name."""
