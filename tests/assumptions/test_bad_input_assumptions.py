"""Assumptions that cannot be: correlations, standard deviations, curves, estimands and families."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import swedge as sw
from swedge.assumptions import Layout, RandomEffects, family_named, residual_variance

MIDDLE = np.arange(4.0)
CONTROL = (np.zeros((2, 3)), np.zeros((2, 3), dtype=np.int64))
TERMS = ["exposure 1", "exposure 2", "exposure 4"]

NUMBERS: dict[str, tuple[Callable[[], object], str]] = {
    "percentage": (lambda: sw.Exchangeable(5), r"icc is 5; expected a number in \[0, 1\)\. Give a correlation, not a percentage"),
    "icc of 1": (lambda: sw.Exchangeable(1.0), r"icc is 1\.0; expected a number in \[0, 1\)\."),
    "negative icc": (lambda: sw.NestedExchangeable(-0.01, 0.8), r"icc is -0\.01"),
    "nan icc": (lambda: sw.NestedExchangeable(np.nan, 0.8), "icc is nan"),
    "icc as text": (lambda: sw.ExponentialDecay("0.1", 0.8), r"icc is '0\.1'; expected a number"),  # type: ignore[arg-type]
    "icc as a list": (lambda: sw.Exchangeable([0.1]), r"icc is \[0\.1\]"),  # type: ignore[arg-type]
    "icc as a truth": (lambda: sw.Exchangeable(False), "icc is False"),
    "cac above 1": (lambda: sw.NestedExchangeable(0.1, 1.2), r"cac is 1\.2; expected a number in \[0, 1\]\."),
    "cac as a truth": (lambda: sw.ExponentialDecay(0.1, True), "cac is True"),
    "cac of 1 in a cohort": (lambda: sw.ProportionalDecay(0.1, 1.0), r"cac is 1\.0"),
    "iac of 1": (lambda: sw.Exchangeable(0.1, iac=1.0), r"iac is 1\.0"),
    "iac left open": (
        lambda: sw.Exchangeable(0.1, iac=None).between(MIDDLE, 1.0),
        "iac has no value, so this structure is one to estimate",
    ),
    "negative sd": (lambda: RandomEffects(cluster=-1.0), r"cluster is -1\.0; expected a standard deviation, finite and not negative"),
    "infinite sd": (lambda: RandomEffects(cluster_period=np.inf), "cluster_period is inf"),
    "sd as text": (lambda: RandomEffects(residual="1"), "residual is '1'"),  # type: ignore[arg-type]
    "sd left open": (
        lambda: RandomEffects(cluster=None).between(MIDDLE, 1.0),
        "cluster has no value, so this structure is one to estimate",
    ),
    "effect named twice": (
        lambda: sw.Exchangeable(0.1).structure(),
        r"Exchangeable states icc=0\.1; a fitted model estimates what is asked for",
    ),
    "iac to keep to": (lambda: sw.NestedExchangeable(iac=0.5).structure(), r"NestedExchangeable states iac=0\.5.*Leave the value out"),
    "cac to keep to": (lambda: sw.ProportionalDecay(cac=0.5).structure(), r"ProportionalDecay states cac=0\.5"),
    "effects to keep to": (
        lambda: RandomEffects(cluster=1.0, cluster_period=None, residual=2.0).structure(),
        r"RandomEffects states cluster=1\.0, residual=2\.0;",
    ),
    "nothing to estimate": (lambda: RandomEffects().structure(), "names no effect to estimate"),
    "correlation with nothing": (
        lambda: RandomEffects(treatment=None, treatment_corr=None).structure(),
        "a correlation of effects that are not",
    ),
    "decay of nothing": (lambda: RandomEffects(cluster=None, autocorrelation=None).structure(), "Give cluster_period=None beside it"),
    "shared exposure effects": (
        lambda: RandomEffects(exposure=1.0).parts(Layout(MIDDLE, np.zeros((1, 4)), np.ones((1, 4)))),
        "power takes clusters as independent. Leave out exposure=",
    ),
    "autocorrelation": (lambda: RandomEffects(autocorrelation=-0.5), r"autocorrelation is -0\.5; expected a number in \[0, 1\]"),
    "correlation of effects": (lambda: RandomEffects(treatment_corr=1.5), r"treatment_corr is 1\.5; expected a correlation in \[-1, 1\]"),
    "correlation as text": (lambda: RandomEffects(treatment_corr="0"), "treatment_corr is '?0"),  # type: ignore[arg-type]
    # structures to estimate are no truths
    "truth without icc": (
        lambda: sw.Exchangeable().between(MIDDLE, 1.0),
        "icc has no value, so this structure is one to estimate. Give icc=",
    ),
    "truth without cac": (lambda: sw.NestedExchangeable(0.1).between(MIDDLE, 1.0), "cac has no value"),
    "decay without cac": (lambda: sw.ExponentialDecay(0.1).between(MIDDLE, 1.0), "cac has no value"),
    "residual without icc": (lambda: residual_variance(sw.NestedExchangeable(), 1.0), "icc has no value"),
    "residual without sd": (lambda: residual_variance(sw.Exchangeable(0.1), None), "sd has no value"),
    "residual of no sd": (lambda: residual_variance(sw.Exchangeable(0.1), -2.0), r"sd is -2\.0; expected a standard deviation"),
    "residual of nan": (lambda: residual_variance(sw.Exchangeable(0.1), np.nan), "sd is nan"),
    "effects without residual": (lambda: residual_variance(RandomEffects(cluster=1.0), 1.0), "residual has no value"),
    "alphas": (lambda: sw.NestedExchangeable.from_alphas(0.0, 0.0), "alpha0 is 0.0; expected a correlation above 0"),
    "between above within": (lambda: sw.NestedExchangeable.from_alphas(0.04, 0.05), r"cac is 1\.25"),
    "individual below between": (lambda: sw.NestedExchangeable.from_alphas(0.05, 0.04, 0.01), r"alpha2 is 0\.01.*alpha1"),
}

CURVES: dict[str, tuple[Callable[[], object], str]] = {
    "no delay": (lambda: sw.Delayed(0), r"Delayed\(0\): expected a whole number of periods, at least 1"),
    "half a delay": (lambda: sw.Delayed(1.5), r"Delayed\(1\.5\)"),  # type: ignore[arg-type]
    "delay as a truth": (lambda: sw.Delayed(True), r"Delayed\(True\)"),
    "delay as text": (lambda: sw.Delayed("1"), r"Delayed\('1'\)"),  # type: ignore[arg-type]
    "backward growth": (lambda: sw.Linear(-2), r"Linear\(-2\)"),
    "nobody treated": (lambda: sw.ByExposure().columns(*CONTROL), "No cell is treated, so no exposure has an effect to estimate. Check"),
    "point at zero": (lambda: sw.PTE(0), r"PTE\(0\): expected a whole number of periods, at least 1"),
    "point between": (lambda: sw.PTE(1.5), r"PTE\(1\.5\)"),  # type: ignore[arg-type]
    "average from zero": (lambda: sw.TATE(0, 2), r"TATE\(0\)"),
    "average as text": (lambda: sw.TATE("1", 2), r"TATE\('1'\)"),  # type: ignore[arg-type]
    "average backwards": (lambda: sw.TATE(3, 1), r"TATE\(3, 1\): the first exposure comes after the last\. Swap them"),
    "point not observed": (lambda: sw.PTE(3).contrast(TERMS), "No cell has exposure 3; observed exposures are 1; 2; 4. Choose an estimand"),
    "average over a gap": (lambda: sw.TATE(1, 4).contrast(TERMS), "No cell has exposure 3; observed"),
    "average beyond": (lambda: sw.TATE(2, 9).contrast(TERMS), "No cell has exposure 3; 5; 6; and 3 more; observed"),
    "average from beyond": (lambda: sw.TATE(7).contrast(TERMS), "No cell has exposure in the range asked for; observed"),
    "estimand of one effect": (lambda: sw.LTE().contrast(["treatment"]), "An estimand averages effects over exposures"),
    "average of one effect": (lambda: sw.TATE().contrast(["treatment"]), r"Write effect=ByExposure\(\)"),
}


@pytest.mark.parametrize("name", [*NUMBERS, *CURVES])
def test_refused_with_directions(name: str) -> None:
    attempt, says = {**NUMBERS, **CURVES}[name]
    with pytest.raises(sw.DesignError, match=says):
        attempt()


@pytest.mark.parametrize("estimator", [sw.FixedEffects, sw.MixedModel])
def test_an_estimand_without_its_curve_is_refused_by_the_estimator(estimator: type) -> None:
    allocation = sw.Design.stepped_wedge(5).randomise(seed=0)
    mean = np.random.default_rng(0).normal(size=(5, 6))
    trial = sw.Trial.from_cells(np.full((5, 6), 20), mean, allocation, within=500.0)
    with pytest.raises(sw.DesignError, match=r"Write effect=ByExposure\(\)"):
        estimator(estimand=sw.TATE()).fit(trial)


@pytest.mark.parametrize("value", [np.float32(0.25), np.float64(0.25), 0.25, np.int64(0), 0])
def test_any_real_number_is_a_share(value: float) -> None:
    assert sw.Exchangeable(value).icc == value


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("normal", "family is 'normal'; expected one of gaussian, binomial, poisson"),
        ("Gaussian", "Did you mean 'gaussian'?"),
        ("binomal", "Did you mean 'binomial'?"),
        ("", "family is ''"),
        (None, "family is None"),
        (["binomial"], "expected one of gaussian"),
        ({}, "expected one of gaussian"),
        (1, "family is 1"),
    ],
)
def test_families_are_named(name: object, says: str) -> None:
    with pytest.raises(sw.DataError, match=says):
        family_named(name)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "link"), [("gaussian", "identity"), ("binomial", "logit"), ("poisson", "log")])
def test_families_have_canonical_links(name: str, link: str) -> None:
    assert (family_named(name).name, family_named(name).link) == (name, link)
