"""What the bootstrap, the jackknife and multiplicity refuse, and that they say what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.inference import JackknifeTest, MaxT, WildBootstrapTest, multiplicity

DESIGN = sw.Design.stepped_wedge(clusters=5, periods=6)


def trial(design: sw.Design = DESIGN, seed: int = 0, family: str = "gaussian") -> sw.Trial:
    rng = np.random.default_rng(seed)
    shape = (design.n_clusters, design.n_periods)
    mean = rng.standard_normal(shape) if family == "gaussian" else rng.integers(3, 17, shape) / 20
    return sw.Trial.from_cells(np.full(shape, 20), mean, design.randomise(seed=0), family=family)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: WildBootstrapTest(weights="mammen"), r"weights='mammen'; expected one of rademacher, webb"),
        (lambda: WildBootstrapTest(weights="rademachr"), r"Did you mean 'rademacher'"),
        (lambda: WildBootstrapTest(statistic="z"), r"statistic='z'; expected one of t, estimate"),
        (lambda: WildBootstrapTest(restricted="yes"), r"restricted='yes'; expected True or False"),
        (lambda: WildBootstrapTest(draws=0), r"draws is 0, and must be at least 1"),
        (lambda: WildBootstrapTest(draws=9.5), r"draws is 9\.5, not a whole number"),
        (lambda: WildBootstrapTest(seed=-1), r"seed is -1"),
        (lambda: WildBootstrapTest(seed=None), r"seed is None"),
        (lambda: WildBootstrapTest(level=95), r"level=95; expected a number between 0 and 1"),
        (lambda: JackknifeTest(level=1), r"level=1; expected a number between 0 and 1"),
        (lambda: JackknifeTest(centre="meen"), r"centre='meen'; expected 'estimate' or 'mean'\. Did you mean 'mean'"),
        (lambda: MaxT(statistic="p"), r"statistic='p'; expected 'estimate' or 't'"),
        (lambda: MaxT(draws=0), r"draws is 0"),
        (lambda: MaxT(seed="x"), r"seed is 'x'"),
        (lambda: multiplicity({"a": 0.1}, method="holms"), r"method='holms'; expected one of holm.*Did you mean 'holm'"),
    ],
)
def test_options(make: Callable[[], object], says: str) -> None:
    with pytest.raises(sw.SwedgeError, match=says):
        make()


@pytest.mark.parametrize("estimator", [sw.MixedModel(sw.Exchangeable()), sw.MixedModel(sw.Exchangeable(), df="normal")])
def test_a_mixed_model_has_no_scores_to_perturb(estimator: sw.Estimator) -> None:
    with pytest.raises(sw.FitError, match=r"MixedModel.*is not\. Use FixedEffects, TwoWayFixedEffects or WithinPeriod"):
        WildBootstrapTest().run(trial(), estimator)


@pytest.mark.parametrize("test", [WildBootstrapTest(), JackknifeTest()])
def test_several_effects_ask_for_an_estimand(test: WildBootstrapTest | JackknifeTest) -> None:
    many = sw.FixedEffects(effect=sw.ByExposure())
    with pytest.raises(sw.FitError, match=r"gives \d effects.*needs one.*Name an estimand="):
        test.run(trial(), many)
    assert np.isfinite(test.run(trial(), replace(many, estimand=sw.TATE(1, 3))).p_value)


@pytest.mark.parametrize("test", [WildBootstrapTest(), JackknifeTest()])
@pytest.mark.parametrize("estimator", [sw.WithinPeriod(), sw.FixedEffects()])
def test_equal_outcomes_and_frames_give_no_p(test: WildBootstrapTest | JackknifeTest, estimator: sw.Estimator) -> None:
    flat = trial()
    flat = replace(flat, cells=replace(flat.cells, mean=np.full_like(flat.cells.mean, 3.0)))
    with pytest.raises(sw.FitError, match="no variation"):
        test.run(flat, estimator)
    with pytest.raises(sw.DataError, match=r"a DataFrame"):
        test.run(pd.DataFrame(), estimator)


def test_one_cluster_that_carries_the_effect() -> None:
    alone = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 4])
    with pytest.raises(sw.FitError, match="one cluster"):
        WildBootstrapTest().run(trial(alone), sw.TwoWayFixedEffects())


def test_a_jackknife_needs_the_scatter_of_each_cluster() -> None:
    cells = trial()
    pooled = sw.Trial.from_cells(cells.n, cells.outcome, cells.allocation, within=300.0)
    with pytest.raises(sw.DataError, match="A jackknife leaves out one cluster at a time"):
        JackknifeTest().run(pooled, sw.MixedModel())
    assert np.isfinite(JackknifeTest().run(pooled, sw.TwoWayFixedEffects()).p_value)


# maxT -----------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcomes", [{}, [], None, (trial(), sw.WithinPeriod())])
def test_maxt_takes_a_mapping(outcomes: object) -> None:
    with pytest.raises(sw.DataError, match="a mapping from outcomes to pairs"):
        MaxT().run(outcomes)


@pytest.mark.parametrize("pair", [trial(), (trial(),), [trial(), sw.WithinPeriod()]])
def test_maxt_takes_pairs(pair: object) -> None:
    with pytest.raises(sw.DataError, match=r"'y' is .*; expected a pair of a trial and an estimator"):
        MaxT().run({"y": pair})


def test_outcomes_of_other_designs_allocations_or_stacks_are_named() -> None:
    one, e = trial(), sw.WithinPeriod()
    strict = trial(sw.Design.stepped_wedge(clusters=5, periods=6, strata=[["1", "2"], ["3", "4", "5"]]))
    other = sw.Trial.from_cells(one.n, one.outcome, DESIGN.randomise(seed=5))
    stack = replace(one, cells=replace(one.cells, mean=np.stack([one.cells.mean] * 2)))
    with pytest.raises(sw.DataError, match=r"3 of 5 outcomes have another design.*than 'a': c; d; e"):
        MaxT().run({"a": (one, e), "b": (one, e), "c": (strict, e), "d": (other, e), "e": (stack, e)})


def test_maxt_needs_a_randomisation_and_one_effect() -> None:
    panel = replace(trial(), design=None, allocation=None)
    with pytest.raises(sw.DataError, match="nothing was randomised"):
        MaxT().run({"y": (panel, sw.WithinPeriod())})
    with pytest.raises(sw.FitError, match="Name an estimand="):
        MaxT().run({"y": (trial(), sw.FixedEffects(effect=sw.ByExposure()))})


# Adjusted p -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p_values", "says"),
    [
        ([0.1, 0.2], "p_values is a list; expected a mapping"),
        (0.1, "p_values is a float"),
        ({}, "no p value to adjust"),
        (pd.DataFrame({"p": [0.1]}), "no column p_value; it has p"),
        (pd.DataFrame({"p_value": []}), "no p value to adjust"),
        ({"a": 1.2, "b": 0.1, "c": -0.1}, r"2 p values are no numbers between 0 and 1: a: 1\.2; c: -0\.1"),
        ({"a": "small"}, "1 p value is no number between 0 and 1: a: 'small'"),
        ({"a": float("inf")}, "1 p value is no number"),
        (pd.DataFrame({"term": ["x", "y"], "p_value": [0.2, 7.0]}), r"1 p value is.*y: 7\.0"),
    ],
)
def test_p_values(p_values: object, says: str) -> None:
    with pytest.raises(sw.DataError, match=says):
        multiplicity(p_values)
