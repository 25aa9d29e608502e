"""What cannot be powered: each refusal says what, where and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import swedge as sw

WEDGE = sw.Design.stepped_wedge(5, 6)
GAUSSIAN: dict[str, Any] = {"effect": 0.2, "size": 50, "sd": 1.0, "correlation": sw.Exchangeable(0.05)}
BINARY: dict[str, Any] = {"effect": -0.01, "size": 50, "family": "binomial", "baseline": 0.05, "correlation": sw.Exchangeable(0.05)}
ONE_CLUSTER = [[9] * 6, *[[0] * 6] * 4]


def gaussian(**changes: Any) -> Any:
    return sw.analytic_power(WEDGE, **{**GAUSSIAN, **changes})


def binary(**changes: Any) -> Any:
    return sw.analytic_power(WEDGE, **{**BINARY, **changes})


def without(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in names}


def searched(**changes: Any) -> Any:
    return sw.required_size(WEDGE, **{**without(GAUSSIAN, "size"), **changes})


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    # correlations
    "icc of 1": (lambda: sw.Exchangeable(1.0), r"icc is 1\.0; expected a number in \[0, 1\)"),
    "icc below 0": (lambda: sw.NestedExchangeable(-0.1, 0.5), r"icc is -0\.1"),
    "icc in per cent": (lambda: sw.ExponentialDecay(5, 0.5), r"icc is 5; .* Give a correlation, not a percentage"),
    "icc is nan": (lambda: sw.Exchangeable(float("nan")), "icc is nan"),
    "cac above 1": (lambda: sw.NestedExchangeable(0.1, 1.2), r"cac is 1\.2; expected a number in \[0, 1\]\. "),
    "cac below 0": (lambda: sw.ExponentialDecay(0.1, -0.2), r"cac is -0\.2"),
    "iac of 1": (lambda: sw.Exchangeable(0.1, iac=1.0), r"iac is 1\.0; expected a number in \[0, 1\)"),
    "cac of 1 where individuals decay": (lambda: sw.ProportionalDecay(0.1, 1.0), r"cac is 1\.0; expected a number in \[0, 1\)"),
    "autocorrelation": (lambda: sw.RandomEffects(autocorrelation=2), r"autocorrelation is 2; expected a number in \[0, 1\]"),
    "correlation of effects": (
        lambda: sw.RandomEffects(cluster=1, treatment=1, treatment_corr=1.5),
        r"treatment_corr is 1\.5; expected a correlation in \[-1, 1\]",
    ),
    "standard deviation": (lambda: sw.RandomEffects(cluster=-1), "cluster is -1; expected a standard deviation"),
    "covariance that repeats itself": (
        lambda: gaussian(correlation=sw.RandomEffects(cluster=1, residual=1e-12)),
        r"cell means under RandomEffects.* is not positive definite\. Give residual= above 0",
    ),
    "no residual variance": (lambda: gaussian(correlation=sw.RandomEffects(cluster=1, residual=0)), "residual"),
    "residual left out": (lambda: gaussian(correlation=sw.RandomEffects(cluster=1)), "need residual= above 0; sd= is the total"),
    "alpha1 above alpha0": (lambda: sw.NestedExchangeable.from_alphas(0.05, 0.06), r"cac is 1\.2"),
    "alpha0 of 0": (lambda: sw.NestedExchangeable.from_alphas(0.0, 0.0), r"alpha0 is 0\.0; expected a correlation above 0"),
    "alpha2 below alpha1": (lambda: sw.NestedExchangeable.from_alphas(0.05, 0.04, 0.03), r"alpha2 is 0\.03, below alpha1 \(0\.04\)"),
    "structure without a value": (
        lambda: gaussian(correlation=sw.Exchangeable()),
        "icc has no value, so this structure is one to estimate",
    ),
    "structure without a cac": (lambda: gaussian(correlation=sw.NestedExchangeable(0.1)), r"cac has no value.* Give cac="),
    "a number for a structure": (lambda: gaussian(correlation=0.05), r"correlation=0\.05; expected a structure with values, such as Exch"),
    # risks
    "baseline 0": (lambda: binary(baseline=0), "baseline reaches 0, outside 0 to 1"),
    "baseline in per cent": (lambda: binary(baseline=5.5), r"baseline reaches 5\.5, outside 0 to 1"),
    "one baseline out of range": (lambda: binary(baseline=[0.1, 0.1, 1.1, 0.1, 0.1]), r"baseline reaches 1\.1"),
    "trend below 0": (lambda: binary(trend=-0.02), r"baseline with trend reaches -0\.01, outside 0 to 1\. Change baseline=, trend="),
    "effect below 0": (lambda: binary(effect=-0.06), r"the mean under treatment reaches -0\.01, outside 0 to 1"),
    "effect above 1": (lambda: binary(effect=0.99), r"the mean under treatment reaches 1\.04"),
    "effect above 1 on the log scale": (lambda: binary(link="log", effect=4.0), r"the mean under treatment reaches 2\.73, outside 0 to 1"),
    "negative rate": (lambda: binary(family="poisson", baseline=1.0, effect=-1.5), r"reaches -0\.5, outside 0 to inf"),
    "baselines for other clusters": (lambda: binary(baseline=[0.1, 0.2]), r"baseline has shape \(2,\); .* one a cluster: 5"),
    "trend for other periods": (lambda: binary(trend=[0.1, 0.2]), r"trend has shape \(2,\); .* one a period: 6"),
    "no baseline": (lambda: sw.analytic_power(WEDGE, **without(BINARY, "baseline")), "A binomial outcome needs baseline="),
    "risks out of range, exact test": (
        lambda: sw.exact_power(WEDGE, sw.WithinPeriod(), **{**BINARY, "effect": -0.1}),
        r"the mean under treatment reaches -0\.05",
    ),
    "risks out of range, linear estimator": (
        lambda: sw.variance_under(sw.WithinPeriod(), WEDGE, **{**BINARY, "effect": -0.1}),
        r"the mean under treatment reaches -0\.05",
    ),
    # what is not identified
    "no period with both arms": (
        lambda: gaussian(size=[[50, 0, 0, 0, 0, 0], *[[0, 0, 0, 0, 0, 50]] * 4]),
        r"does not identify the treatment effect: no period holds both treated and control cells.* Add controls",
    ),
    "one cluster": (
        lambda: gaussian(curve=sw.ByExposure(), estimand=sw.LTE(), size=ONE_CLUSTER),
        r"does not identify the LTE\(\): .* or assume a simpler effect curve",
    ),
    "a delay longer than the trial": (lambda: gaussian(curve=sw.Delayed(9)), "does not identify the treatment effect"),
    "effects without an estimand": (lambda: gaussian(curve=sw.ByExposure()), r"has 5 effects\. Name what is powered: estimand=TATE\(\)"),
    "an exposure nobody has": (
        lambda: gaussian(curve=sw.ByExposure(), estimand=sw.PTE(9)),
        r"No cell has exposure 9; observed exposures are",
    ),
    "an estimand without effects": (lambda: gaussian(estimand=sw.TATE()), r"An estimand averages effects over exposures"),
    "too few cells": (
        lambda: sw.best_incomplete(WEDGE, cells=3, size=5, correlation=sw.Exchangeable(0.1)),
        r"3 cells cannot be reached: with \d left, every further cell is needed to identify the effect",
    ),
    "half a sequence": (
        lambda: sw.best_incomplete(sw.Design.stepped_wedge(10, 6), cells=21, size=5, correlation=sw.Exchangeable(0.1)),
        "with 22 left, .* a sequence of more than 1 clusters, which lose it together",
    ),
    # no solution
    "individuals do not suffice": (
        lambda: searched(correlation=sw.NestedExchangeable(0.3, 0.2)),
        r"No number of individuals gives power 0\.8: with infinitely many it is 0\.104, because what varies between clusters and periods"
        r" does not average out within them\. Add clusters or periods, or reconsider icc and cac",
    ),
    "no effect in range": (
        lambda: sw.detectable_effect(WEDGE, **{**BINARY, "effect": -1}),
        r"No effect within the outcome's range \(up to -0\.05\) has power 0\.8: the most is 0\.529\. Use more clusters",
    ),
    "no odds ratio": (
        lambda: sw.detectable_effect(WEDGE, **{**BINARY, "effect": -1, "link": "logit"}),
        r"No effect within the outcome's range .* has power 0\.8: the most is 0\.4",
    ),
    "no effect, individuals": (lambda: searched(effect=0), r"effect=0 is the null hypothesis: its power is alpha \(0\.05\) however large"),
    "no effect, clusters": (lambda: sw.required_clusters(WEDGE, **{**GAUSSIAN, "effect": 0.0}), "effect=0 is the null hypothesis"),
    "hardly an effect": (
        lambda: sw.required_clusters(WEDGE, **{**GAUSSIAN, "effect": 1e-9}),
        r"No reasonable number of clusters gives power 0\.8 for an effect of 1e-09",
    ),
    "clusters with sizes of their own": (
        lambda: sw.required_clusters(WEDGE, **{**GAUSSIAN, "size": [1, 2, 3, 4, 5]}),
        r"needs one size= for all cells: .* it is unknown which are added",
    ),
    "power in per cent": (lambda: searched(power=80), r"power=80; expected a number above alpha \(0\.05\) and below 1"),
    "power below alpha": (lambda: sw.detectable_effect(WEDGE, power=0.01, **GAUSSIAN), r"power=0\.01; expected a number above alpha"),
    # names
    "unknown keyword": (
        lambda: sw.detectable_effect(WEDGE, corelation=1, **GAUSSIAN),
        r"'corelation' is no assumption of analytic power\. Did you mean 'correlation'\? Known: effect, size",
    ),
    "unknown keyword, shares": (
        lambda: sw.optimal_shares(WEDGE, size=5, correlation=sw.Exchangeable(0.1), curv=1),
        r"'curv' is no assumption .* Did you mean 'curve'\?",
    ),
    "missing keywords": (lambda: sw.required_size(WEDGE, sd=1.0), r"Missing: effect, correlation\."),
    "df by another name": (lambda: gaussian(df="satterwaite"), r"df='satterwaite'; .* Did you mean 'satterthwaite'\?"),
    "variance by another name": (lambda: binary(variance="pool"), r"variance='pool'; .* Did you mean 'pooled'\?"),
    "unknown link": (lambda: binary(link="probit"), "link='probit'; expected one of identity, logit, log"),
    "a share": (lambda: gaussian(family="fractional"), "A share has no variance that its mean gives"),
    "unknown family": (lambda: gaussian(family="normal"), "family is 'normal'; expected one of gaussian, binomial, poisson"),
    "link of another family": (lambda: gaussian(link="log"), "a Gaussian one has the identity link"),
    "logit of a count": (lambda: binary(family="poisson", link="logit"), "A Poisson outcome has link='log' or link='identity'"),
    # numbers
    "sizes for other clusters": (lambda: gaussian(size=[1, 2, 3]), r"size has shape \(3,\); the design has 5 clusters and 6 periods"),
    "sizes transposed": (lambda: gaussian(size=np.ones((6, 5))), r"size has shape \(6, 5\)"),
    "sizes of a stack": (lambda: gaussian(size=np.ones((2, 5, 6))), r"size has shape \(2, 5, 6\)"),
    "no individuals": (lambda: gaussian(size=0), "size must hold finite numbers, none negative and not all 0"),
    "negative size": (lambda: gaussian(size=[1, 2, 3, 4, -1]), "none negative"),
    "size is nan": (lambda: gaussian(size=np.nan), "finite numbers"),
    "size is text": (lambda: gaussian(size="many"), "size='many'; expected a number or a table of numbers"),
    "a pattern of nothing": (lambda: searched(size=[0, 0, 0, 0, 0]), "not all 0"),
    "sd of 0": (lambda: gaussian(sd=0), "needs sd=, its total standard deviation in one period"),
    "sd left out": (lambda: sw.analytic_power(WEDGE, **without(GAUSSIAN, "sd")), r"needs sd=.*\(or RandomEffects with residual=\)"),
    "sd is text": (lambda: gaussian(sd="1"), "sd='1'; expected a number"),
    "effect is text": (lambda: gaussian(effect="0.2"), r"effect='0\.2'; expected a number"),
    "effect is nan": (lambda: gaussian(effect=np.nan), "effect=nan; expected a finite number, treated minus control"),
    "alpha in per cent": (lambda: gaussian(alpha=5), "alpha=5; expected a number between 0 and 1"),
    "df of 0": (lambda: gaussian(df=0), "df=0; expected a positive number of degrees of freedom"),
    "negative df": (lambda: gaussian(df=-3.0), r"df=-3\.0; expected a positive number"),
    "df is None": (lambda: gaussian(df=None), "df=None; expected a number"),
    "allocation of another design": (
        lambda: gaussian(allocation=sw.Design.stepped_wedge(4, 5).randomise(seed=0)),
        "The allocation is one of other clusters or periods than the design's",
    ),
    "draws of nothing": (lambda: sw.power_over_allocations(WEDGE, draws=0, **GAUSSIAN), "draws=0; expected at least one allocation"),
    # degrees of freedom that run out
    "fewer cells than effects": (
        lambda: sw.analytic_power(sw.Design.staircase(5), **GAUSSIAN, df="between-within"),
        r"df='between-within' leaves -1 degrees of freedom\. Use df='satterthwaite', or a larger design",
    ),
    "two clusters": (
        lambda: sw.analytic_power(sw.Design.stepped_wedge(2, 3), **GAUSSIAN, df="clusters"),
        "df='clusters' leaves 0 degrees of freedom",
    ),
    "one cluster an arm": (
        lambda: sw.analytic_power(sw.Design.parallel(2, 1), **GAUSSIAN),
        r"No degrees of freedom: this design cannot estimate every variance in Exchangeable.* Put more clusters on a sequence",
    ),
    "a random effect of one treated cluster": (
        lambda: sw.analytic_power(
            sw.Design.from_matrix([[0, 0, 1], [0, 0, 0]], clusters_per_sequence=[1, 3]),
            effect=1.0,
            size=50,
            correlation=sw.RandomEffects(cluster=0.3, treatment=0.3, residual=1.0),
        ),
        "No degrees of freedom: this design cannot estimate every variance in RandomEffects",
    ),
    # surfaces and the exact test
    "a cac that is not there": (
        lambda: sw.power_surface(WEDGE, icc=[0.1], cac=[0.5], **GAUSSIAN),
        r"has no cac: it is 1\. Use NestedExchangeable or ExponentialDecay",
    ),
    "an icc that is not there": (
        lambda: sw.power_surface(WEDGE, icc=[0.1], **{**GAUSSIAN, "correlation": sw.RandomEffects(cluster=0.1, residual=1)}),
        "has no icc to vary",
    ),
    "exact test of a mixed model": (lambda: sw.exact_power(WEDGE, sw.MixedModel(), **GAUSSIAN), "exact_power needs a linear estimator"),
    "exact test on a link": (
        lambda: sw.exact_power(WEDGE, sw.WithinPeriod(), **{**BINARY, "link": "logit"}),
        "the identity link. For others, simulate_power with RandomisationTest",
    ),
    "too many allocations": (
        lambda: sw.exact_power(sw.Design.stepped_wedge(12, 13), sw.WithinPeriod(), **GAUSSIAN),
        r"479,001,600 allocations are too many to enumerate\. Use simulate_power with RandomisationTest\(draws=",
    ),
    "exact test of what is not observed": (
        lambda: sw.exact_power(sw.Design.staircase(5), sw.WithinPeriod(), **GAUSSIAN),
        "Which cells this design leaves out depends on the allocation, so a trial lacks outcomes that other allocations would need",
    ),
    "exact test without trials": (lambda: sw.exact_power(WEDGE, sw.WithinPeriod(), draws=0, **GAUSSIAN), "draws=0; expected at least one"),
    "variance of a mixed model": (
        lambda: sw.variance_under(sw.MixedModel(), WEDGE, **GAUSSIAN),  # type: ignore[arg-type]
        "variance_under needs a linear estimator, whose weights are known beforehand",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_directions(name: str) -> None:
    call, message = REFUSALS[name]
    with pytest.raises(sw.SwedgeError, match=f"(?s){message}"):
        call()


NOTES: dict[str, tuple[Callable[[], sw.AnalyticPower], str]] = {
    "no period effects": (lambda: gaussian(period_effects=False), "any secular trend is taken for an effect of treatment"),
    "the normal with few clusters": (lambda: gaussian(df="normal"), "overstates power with 5 clusters"),
    "sizes that differ": (lambda: gaussian(size=[10, 20, 30, 40, 50]), r"the power of one allocation\. power_over_allocations\(\)"),
    "a cohort that shrinks": (
        lambda: gaussian(size=[[20, 20, 18, 18, 15, 15]] * 5, correlation=sw.Exchangeable(0.05, iac=0.3)),
        "whoever is in a smaller one is taken to be in the larger ones too",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_is_only_noted(name: str) -> None:
    call, note = NOTES[name]
    found = call()
    assert len(found.notes) == 1
    assert re.search(note, found.notes[0])
    assert found.notes[0] in found.summary()


def test_the_default_needs_no_note() -> None:
    assert gaussian().notes == ()
