"""What the tests refuse, and that they say what, where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import swedge as sw

DESIGN = sw.Design.stepped_wedge(clusters=5, periods=6)


def trial(design: sw.Design = DESIGN, comparators: int = 0, constant: bool = False) -> sw.Trial:
    rng = np.random.default_rng(0)
    shape = (design.n_clusters + comparators, design.n_periods)
    mean = np.full(shape, 0.1) if constant else rng.standard_normal(shape)
    return sw.Trial.from_cells(np.full(shape, 20), mean, design.randomise(seed=0), comparators=[f"c{k}" for k in range(comparators)])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sw.RandomisationTest(statistic="wald"), r"statistic='wald'; expected 'estimate' or 't'"),
        (lambda: sw.RandomisationTest(statistic="estimat"), r"Did you mean 'estimate'"),
        (lambda: sw.RandomisationTest(level=95), r"level=95; expected a number between 0 and 1"),
        (lambda: sw.RandomisationTest(level=0), r"level=0; expected"),
        (lambda: sw.RandomisationTest(level=float("nan")), r"level=nan; expected"),
        (lambda: sw.RandomisationTest(draws=0), r"draws is 0, and must be at least 1"),
        (lambda: sw.RandomisationTest(draws=-5), r"draws is -5"),
        (lambda: sw.RandomisationTest(draws=2.5), r"draws is 2\.5, not a whole number"),
        (lambda: sw.RandomisationTest(draws=True), r"draws is True, not a whole number"),
        (lambda: sw.RandomisationTest(seed=-1), r"seed is -1"),
        (lambda: sw.RandomisationTest(seed="today"), r"seed is 'today', not a whole number"),
        (lambda: sw.RandomisationTest(seed=1.5), r"seed is 1\.5"),
        (lambda: sw.PlaceboTest(draws=0), r"draws is 0"),
        (lambda: sw.PlaceboTest(draws=9.5), r"draws is 9\.5"),
        (lambda: sw.PlaceboTest(seed=-1), r"seed is -1"),
        (lambda: sw.PlaceboTest(seed=None), r"seed is None"),
        (lambda: sw.PlaceboTest(level=0), r"level=0; expected"),
        (lambda: sw.PlaceboTest(level=2), r"level=2; expected"),
        (lambda: sw.WaldTest(level=1.5).run(trial(), sw.WithinPeriod()), r"level is 1\.5; expected a number between 0 and 1"),
    ],
)
def test_options(make: Callable[[], object], says: str) -> None:
    with pytest.raises(sw.SwedgeError, match=says):
        make()


@pytest.mark.parametrize("test", [sw.RandomisationTest(), sw.PlaceboTest(draws=9)])
def test_several_effects_ask_for_an_estimand(test: sw.RandomisationTest | sw.PlaceboTest) -> None:
    many = sw.FixedEffects(effect=sw.ByExposure())
    design = sw.Design.from_matrix([[0, 1, 1]], clusters_per_sequence=[2]) if isinstance(test, sw.PlaceboTest) else DESIGN
    with pytest.raises(sw.FitError, match=r"gives \d effects.*needs one.*Name an estimand="):
        test.run(trial(design, comparators=6), many)
    one = replace(many, estimand=sw.TATE())
    assert np.isfinite(test.run(trial(design, comparators=6), one).p_value)


@pytest.mark.parametrize("statistic", ["estimate", "t"])
@pytest.mark.parametrize("estimator", [sw.WithinPeriod(), sw.TwoWayFixedEffects(), sw.FixedEffects()])
def test_equal_outcomes_give_no_p(estimator: sw.Estimator, statistic: str) -> None:
    with pytest.raises(sw.FitError, match=r"no variation.*Every outcome is the same"):
        sw.RandomisationTest(statistic=statistic).run(trial(constant=True), estimator)


def test_equal_outcomes_give_no_placebo_p() -> None:
    design = sw.Design.from_matrix([[0, 1, 1]], clusters_per_sequence=[2])
    with pytest.raises(sw.FitError, match=r"no variation"):
        sw.PlaceboTest(draws=9).run(trial(design, comparators=6, constant=True), sw.TwoWayFixedEffects())


def test_an_effect_that_is_not_identified_gives_no_p() -> None:
    together = sw.Design.from_matrix([[0, 1, 1]], clusters_per_sequence=[4])
    for estimator in (sw.WithinPeriod(), sw.TwoWayFixedEffects(), sw.FixedEffects()):
        with pytest.raises(sw.FitError, match="rank deficient"):
            sw.RandomisationTest().run(trial(together), estimator)


def test_an_allocation_that_the_design_does_not_permit() -> None:
    strict = sw.Design.stepped_wedge(clusters=["1", "2", "3", "4", "5"], strata=[["1", "2"], ["3", "4", "5"]])
    free = DESIGN.allocate({"1": 4, "2": 3, "3": 2, "4": 1, "5": 0})
    carried_out = sw.Trial.from_cells(np.full((5, 6), 9), np.random.default_rng(0).random((5, 6)), free)
    with pytest.raises(sw.DataError, match=r"not one that its design permits.*Pass the design"):
        sw.RandomisationTest().run(replace(carried_out, design=strict), sw.WithinPeriod())


def test_a_panel_was_not_randomised() -> None:
    panel = replace(trial(), design=None, allocation=None)
    with pytest.raises(sw.DataError, match=r"nothing was randomised.*Use PlaceboTest"):
        sw.RandomisationTest().run(panel, sw.WithinPeriod())


@pytest.mark.parametrize(("treated", "others"), [(1, 2), (3, 4), (2, 0)])
def test_comparators_must_fill_the_treated_clusters_part_and_leave_controls(treated: int, others: int) -> None:
    design = sw.Design.from_matrix([[0, 1, 1]], clusters_per_sequence=[treated])
    with pytest.raises(sw.DataError, match=rf"{others} never-treated comparators cannot stand in for {treated} treated.*Add comparators"):
        sw.PlaceboTest().run(trial(design, comparators=others), sw.TwoWayFixedEffects())
    enough = trial(design, comparators=treated + 2)
    assert np.isfinite(sw.PlaceboTest(draws=9).run(enough, sw.TwoWayFixedEffects()).p_value)


def test_a_placebo_test_takes_one_trial() -> None:
    design = sw.Design.from_matrix([[0, 1, 1]], clusters_per_sequence=[2])
    one = trial(design, comparators=6)
    stack = replace(one, cells=replace(one.cells, mean=np.stack([one.cells.mean] * 3)))
    with pytest.raises(sw.DataError, match=r"one trial, not a stack.*replicate"):
        sw.PlaceboTest().run(stack, sw.TwoWayFixedEffects())


def test_only_a_single_reference_can_be_drawn() -> None:
    with pytest.raises(sw.DataError, match="reference distribution"):
        sw.WaldTest().run(trial(), sw.WithinPeriod()).plot()
