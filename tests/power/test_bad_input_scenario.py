"""What a scenario, a shock or an outcome window must refuse, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import swedge as sw
from swedge.studies import family_safeguarding

STUDY = family_safeguarding()
DATED, UNDATED = STUDY.design, sw.Design.stepped_wedge(clusters=5, periods=6)
NAN, INF = float("nan"), float("inf")


def binomial(**changes: Any) -> sw.Scenario:
    return sw.Scenario(**{"family": "binomial", "baseline": 0.06, "size": 200, **changes})


def gaussian(**changes: Any) -> sw.Scenario:
    return sw.Scenario(**{"family": "gaussian", "baseline": 0.0, "size": 20, "sd": 1.0, "correlation": sw.Exchangeable(0.05), **changes})


def draw(design: sw.Design = DATED, **changes: Any) -> sw.Trial:
    return binomial(**changes).draw(design, 2, np.random.default_rng(1))


def overlap(**changes: Any) -> sw.ExposureOverlap:
    return sw.exposure_overlap(changes.pop("allocation", STUDY.allocation), **{"size": STUDY.sizes, "days": 548, **changes})


def there_and_back() -> sw.Allocation:
    """A treatment that is taken away again."""
    rows, edges = [[0, 1, 0], [0, 0, 1]], ["2021-01-01", "2021-02-01", "2021-03-01", "2021-04-01"]
    return sw.Design.from_matrix(rows, clusters_per_sequence=[1, 1], boundaries=edges).randomise(seed=1)


STATED: dict[str, tuple[Callable[[], object], str]] = {
    "a family that is none": (lambda: binomial(family="binomal"), "family='binomal'; expected one of .* Did you mean 'binomial'"),
    "a scale of another family": (lambda: gaussian(scale="logit"), "scale='logit' does not go with family='gaussian'; expected identity"),
    "a risk of one": (lambda: binomial(baseline=(0.1, 1.0)), "expected risks strictly between 0 and 1"),
    "a fraction of nought": (lambda: binomial(family="fractional", baseline=0.0), "expected risks strictly between 0 and 1"),
    "a negative rate": (lambda: binomial(family="poisson", baseline=-1.0), "baseline=-1.0; expected positive numbers"),
    "a mean that is no number": (lambda: gaussian(baseline=NAN), "baseline=nan; expected finite numbers"),
    "a baseline in words": (lambda: binomial(baseline="6%"), "baseline='6%'; expected numbers"),
    "ragged sizes": (lambda: binomial(size=((1, 2), (3,))), "size=.*; expected numbers"),
    "an empty cell": (lambda: binomial(size=0), "size=0; expected at least one individual"),
    "endless cells": (lambda: binomial(size=INF), "size=inf; expected at least one individual"),
    "an effect that is no number": (lambda: binomial(effect=NAN), "effect=nan; expected finite numbers"),
    "an endless effect": (lambda: binomial(effect=-INF), "effect=-inf; expected finite numbers"),
    "a trend that is no number": (lambda: binomial(trend=(0.0, NAN)), "trend=.*; expected finite numbers"),
    "a curve by name": (lambda: binomial(curve="linear"), r"curve='linear'; expected Constant\(\), Delayed\(k\)"),
    "a negative trend between clusters": (lambda: binomial(cluster_trends=-0.1), "cluster_trends=-0.1; expected a finite number, not neg"),
    "sizes that vary without end": (lambda: binomial(size_cv=INF), "size_cv=inf; expected a finite number, not negative"),
    "negative noise": (lambda: binomial(noise_by_cluster=(-1, 1, 1, 1, 1)), "noise_by_cluster=.*; expected a finite number, not negative"),
    "one factor for all": (lambda: binomial(effect_by_cluster=2.0), "effect_by_cluster=2.0; expected a tuple with one number for each"),
    "a table of factors": (lambda: binomial(noise_by_cluster=((1, 1), (1, 1))), "expected a tuple with one number for each cluster"),
    "effects that are no numbers": (lambda: binomial(effect_by_cluster=(1, NAN)), "effect_by_cluster=.*; expected finite numbers"),
    "an early start": (lambda: binomial(late=(-1, 0, 0, 0, 0)), "late=.*; expected whole numbers of periods, not negative, or infinity"),
    "half a period late": (lambda: binomial(late=(0.5, 0, 0, 0, 0)), "late=.*; expected whole numbers of periods"),
    "late by no number": (lambda: binomial(late=(NAN, 0, 0, 0, 0)), "late=.*; expected whole numbers of periods"),
    "all as late": (lambda: binomial(late=1), "late=1; expected a tuple with one number for each cluster"),
    "everybody lost": (lambda: binomial(attrition=1.0), r"attrition=1.0; expected a share in \[0, 1\)"),
    "fewer than nobody lost": (lambda: binomial(attrition_treated=-0.1), "attrition_treated=-0.1; expected a share"),
    "a share that is no number": (lambda: binomial(attrition=NAN), "attrition=nan; expected a share"),
    "no window": (lambda: binomial(window=0), "window=0; expected a positive number of days"),
    "an endless window": (lambda: binomial(window=INF), "window=inf; expected a positive number of days"),
    "a dispersion above one": (lambda: binomial(family="fractional", dispersion=1.5), "dispersion=1.5; expected a share of the Bernoulli"),
    "no dispersion": (lambda: binomial(family="fractional", dispersion=0), "dispersion=0; expected a share of the Bernoulli"),
    "a dispersion of counts": (lambda: binomial(dispersion=0.5), "dispersion=0.5 is that of a fractional outcome"),
    "a duration without end": (lambda: binomial(family="duration", baseline=9.0), "A duration, and nothing else, needs limit="),
    "a duration of nothing": (lambda: binomial(family="duration", baseline=9.0, limit=0), "A duration, and nothing else, needs limit="),
    "a limit on risks": (lambda: binomial(limit=24), "A duration, and nothing else, needs limit="),
    "an ICC of rates": (lambda: binomial(family="poisson", correlation=sw.Exchangeable(0.1)), "no residual variance .* RandomEffects"),
    "a closed cohort": (lambda: gaussian(correlation=sw.Exchangeable(0.1, iac=0.5)), "describes a closed cohort; .* Leave out iac="),
    "individual effects": (lambda: gaussian(correlation=sw.RandomEffects(individual=1.0, residual=1.0)), "describes a closed cohort"),
    "a cohort that decays": (lambda: gaussian(correlation=sw.ProportionalDecay(0.1, 0.8)), "closed cohort; .* use ExponentialDecay"),
    "a number for a correlation": (lambda: gaussian(correlation=0.05), "correlation=0.05; expected a structure with values"),
    "one shock bare": (lambda: binomial(shocks=sw.Shock("2021-01-01", "2021-02-01", 0.1)), "shocks=.*; expected a tuple of Shock"),
    "shocks in words": (lambda: binomial(shocks=("lockdown",)), "shocks=.*; expected a tuple of Shock"),
    "a shock of no number": (lambda: sw.Shock("2021-01-01", "2021-02-01", NAN), "change=nan; expected a finite number"),
    "a shock of no days": (lambda: sw.Shock("2021-02-01", "2021-02-01", 0.1), "has no days"),
    "a shock on no date": (lambda: sw.Shock("lockdown", "2021-02-01", 0.1), "'lockdown' is not a date; expected an ISO date"),
}

DRAWN: dict[str, tuple[Callable[[], object], str]] = {
    "starts of other clusters": (lambda: draw(late=(1, 0)), "late has 2 numbers; the design has 5 clusters"),
    "effects of other clusters": (lambda: draw(effect_by_cluster=(1,) * 4), "effect_by_cluster has 4 numbers; the design has 5"),
    "noise of other clusters": (lambda: draw(noise_by_cluster=(1,) * 6), "noise_by_cluster has 6 numbers; the design has 5"),
    "sizes of another design": (lambda: draw(size=((9,) * 4,) * 5), r"size has shape \(5, 4\); the design has 5 clusters and 6 periods"),
    "risks of other clusters": (lambda: draw(baseline=(0.1,) * 4), r"baseline has shape \(4,\); the design has 5 clusters and 6 periods"),
    "a trend of other periods": (lambda: draw(trend=(0.0,) * 5), r"trend has shape \(5,\)"),
    "an effect by exposure": (lambda: draw(curve=sw.ByExposure()), "has 5 effects; a scenario needs one"),
    "a window without dates": (lambda: draw(UNDATED, window=548), "An outcome window needs dates"),
    "a shock without dates": (lambda: draw(UNDATED, shocks=(sw.Shock("2021-01-01", "2021-02-01", 0.1),)), "A shock has dates"),
    "risks out of range": (lambda: draw(scale="risk", effect=-0.2), "have a risk outside 0 to 1 on scale='risk'. Use scale='logit'"),
    "a correlation to estimate": (lambda: draw(correlation=sw.NestedExchangeable()), "icc has no value"),
    "a Gaussian without a spread": (lambda: gaussian(sd=None), "A Gaussian outcome needs sd=, its total standard deviation"),
}

WINDOWS: dict[str, tuple[Callable[[], object], str]] = {
    "two lengths": (lambda: overlap(months=18), "either as months= or as days="),
    "no length": (lambda: overlap(days=None), "either as months= or as days="),
    "no days": (lambda: overlap(days=0), "The outcome window is 0; expected a positive number of days"),
    "endless days": (lambda: overlap(days=INF), "The outcome window is inf; expected a positive number of days"),
    "half a month": (lambda: overlap(days=None, months=1.5), "The outcome window is 1.5; expected a positive whole number of months"),
    "negative months": (lambda: overlap(days=None, months=-18), "The outcome window is -18; expected a positive whole number of months"),
    "no hazard": (lambda: overlap(hazard=[]), "hazard must hold relative hazards"),
    "a hazard of nought": (lambda: overlap(hazard=[0, 0]), "hazard must hold relative hazards"),
    "a negative hazard": (lambda: overlap(hazard=[1, -1, 3]), "hazard must hold relative hazards"),
    "an endless hazard": (lambda: overlap(hazard=[1, INF]), "hazard must hold relative hazards"),
    "a table of hazards": (lambda: overlap(hazard=[[1, 2]]), "hazard must hold relative hazards"),
    "one size for all": (lambda: overlap(size=914), r"size has shape \(\); expected \(5,\) or \(5, 6\)"),
    "sizes of other clusters": (lambda: overlap(size=[1, 2, 3]), r"size has shape \(3,\)"),
    "negative sizes": (lambda: overlap(size=[1, 2, 3, 4, -5]), "size must hold finite numbers, none negative and not all 0"),
    "nobody": (lambda: overlap(size=np.zeros((5, 6))), "size must hold finite numbers, none negative and not all 0"),
    "no dates": (lambda: overlap(allocation=UNDATED.randomise(seed=1)), "An outcome window needs dates"),
    "a treatment taken away": (
        lambda: sw.exposure_overlap(there_and_back(), size=[9, 9], days=30),
        "needs a treatment that stays once begun",
    ),
}


@pytest.mark.parametrize("name", STATED)
def test_a_contradiction_is_refused_when_it_is_stated(name: str) -> None:
    call, message = STATED[name]
    with pytest.raises(sw.DesignError, match=message):
        call()


@pytest.mark.parametrize("name", DRAWN)
def test_a_scenario_that_does_not_fit_the_design_is_refused_when_drawn(name: str) -> None:
    call, message = DRAWN[name]
    with pytest.raises(sw.DesignError, match=message):
        call()


@pytest.mark.parametrize("name", WINDOWS)
def test_an_outcome_window_that_makes_no_sense_is_refused(name: str) -> None:
    call, message = WINDOWS[name]
    with pytest.raises(sw.DesignError, match=message):
        call()


@pytest.mark.parametrize("curve", [sw.Delayed, sw.Linear, sw.Fading])
@pytest.mark.parametrize("periods", [0, -1, 1.5, True, "two"])
def test_a_curve_counts_in_whole_periods(curve: Any, periods: Any) -> None:
    with pytest.raises(sw.DesignError, match="expected a whole number of periods, at least 1"):
        curve(periods)


def test_a_window_never_treated_is_no_error() -> None:
    never = gaussian(correlation=sw.RandomEffects(residual=1e-14), effect=1.0, window=548, late=(INF,) * 5)
    assert np.abs(never.draw(DATED, 1, np.random.default_rng(1)).outcome).max() < 1e-12
