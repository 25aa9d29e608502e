"""Whatever a plan may hold survives being written as JSON and read back, to the last field and type."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plan_examples
import swedge as sw
from swedge import assumptions, inference, power
from swedge.estimate import WaldTest
from swedge.plan import specs
from swedge.plan.codec import decode, encode, kinds
from swedge.plan.fault import Fault
from swedge.plan.plan import Plan

SCENARIO = power.Scenario(
    family="gaussian",
    baseline=(1.0, 2.0),
    size=((10, 20, 30), (5, 6, 7)),
    effect=0.5,
    curve=sw.Delayed(1),
    correlation=sw.NestedExchangeable(icc=0.05, cac=0.8),
    sd=2.0,
    shocks=(power.Shock("2020-03-23", "2020-06-01", change=-0.3),),
    late=(0.0, math.inf),
)
EXAMPLES: tuple[Any, ...] = (
    sw.LTE(),
    sw.PTE(2),
    sw.TATE(1, 3),
    sw.ByExposure(),
    sw.ByGroup((("A", "B"), ("C",)), ("early", "late")),
    sw.ByPeriod(empty="leave out"),
    sw.Constant(),
    sw.Delayed(2),
    sw.Exchangeable(icc=0.05),
    sw.ExponentialDecay(icc=0.05, cac=0.8),
    assumptions.Fading(3),
    sw.Linear(4),
    sw.NestedExchangeable(icc=0.05, cac=0.8, iac=0.3),
    assumptions.ProportionalDecay(0.05, 0.7),
    sw.RandomEffects(cluster=0.3, cluster_period=0.1),
    assumptions.Spline(5),
    assumptions.Structure(("cluster", "cluster_period"), decay="all"),
    assumptions.Washout(2),
    sw.GEE(sw.Exchangeable(), vcov="MD"),
    sw.CallawaySantAnna(aggregate=None),
    sw.ExtendedTwoWay(),
    sw.FixedEffects(vcov="overdispersed", effect=sw.ByExposure(), estimand=sw.TATE(1, 2)),
    sw.GeneralisedDiD(),
    sw.Imputation(aggregate="dynamic", leads=2),
    sw.MarginalEffect(sw.FixedEffects(), "ratio", over="treated"),
    sw.MixedModel(sw.ExponentialDecay(), df="between-within"),
    sw.RothSantAnna(beta=0.0),
    sw.StackedDiD(before=2),
    sw.SunAbraham(),
    sw.SwitcherComparison(),
    sw.Switchers(effects=2),
    sw.SyntheticControl(seed=3),
    sw.SyntheticDiD(penalty=0.1),
    sw.TwoStage(),
    sw.TwoWayFixedEffects(),
    sw.WithinPeriod(),
    WaldTest(0.9),
    inference.ConleyTaberTest(draws=99),
    inference.FermanPintoTest(seed=5),
    inference.JackknifeTest(),
    inference.LikelihoodRatioTest(interval=False),
    inference.ParametricBootstrapTest(draws=99),
    inference.PlaceboTest(level=0.9),
    inference.RandomisationTest(draws=500, interval=False),
    inference.WildBootstrapTest(weights="webb"),
    inference.MultipleImputation(imputations=3, auxiliary=("a", "b")),
    SCENARIO,
    power.Shock("2020-03-23", "2020-06-01", change=-0.3),
    specs.Source("people", cluster="c", period="t", first_treated="g"),
    specs.Column("age", "category", levels=("a", 1, 2.5, True)),
    specs.Condition("trio", (1, "1", True)),
    specs.Population("trio", "Trio", where=(specs.Condition("trio", (1,)),)),
    specs.Outcome("days", "Days", column="days", family="duration", censored="open", horizon=730, expected=280, without=("E",)),
    specs.PlannedEstimator("cr2", "CR2", sw.FixedEffects()),
    specs.PlannedTest("exact", "Exact", sw.RandomisationTest()),
    specs.Analysis("main", "Main", estimators=("cr2",), covariates="", without_periods=(1, 2)),
    specs.Missing("multiple imputation", inference.MultipleImputation()),
    specs.Multiplicity("holm", analysis="main", estimator="cr2"),
    specs.Comparators(("F", "G"), adopters=("H",)),
    specs.PowerByFormula("p", "P", effect=1, size=(10, 20), correlation=sw.Exchangeable(icc=0.01)),
    specs.PowerBySimulation("s", "S", truth=SCENARIO, estimators=("cr2",)),
    specs.AllocationRule(carried_out=True, sequences=(("A", 0), ("B", 1))),
    specs.Text("background", "Why."),
)


def through_json(value: Any, complete: bool = True) -> Any:
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)), (), complete)


def spelt(value: Any) -> str:
    """The repr, with whole numbers apart from decimals and from true and false."""
    return repr(encode(value))


def test_every_kind_that_a_plan_may_hold_has_an_example():
    assert {type(example).__name__ for example in EXAMPLES} == set(kinds())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_an_example_comes_back_as_it_was(example):
    back = through_json(example)
    assert back == example
    assert type(back) is type(example)
    assert spelt(back) == spelt(example)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_lock_holds_every_field_and_refuses_one_that_is_absent(example):
    content = encode(example)
    assert list(content) == ["kind", *(field.name for field in fields(example) if field.init)]
    for name in list(content)[1:]:
        with pytest.raises(Fault, match=f"needs {name}, which is missing"):
            decode({key: value for key, value in content.items() if key != name}, (), complete=True)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_kind_refuses_a_key_that_it_does_not_have(example):
    with pytest.raises(Fault, match="'__class__' is no key of"):
        decode({**encode(example), "__class__": "x"})


def test_whole_numbers_and_decimals_are_one_plan_where_only_decimals_are_meant():
    whole = specs.Outcome("days", "Days", column="days", family="gaussian", expected=280, sd=10)
    decimal = specs.Outcome("days", "Days", column="days", family="gaussian", expected=280.0, sd=10.0)
    assert json.dumps(encode(whole)) == json.dumps(encode(decimal))


def test_values_of_a_condition_keep_their_types():
    back = through_json(specs.Condition("trio", (1, True, "1", 1.5)))
    assert [type(value) for value in back.among] == [int, bool, str, float]


@pytest.mark.parametrize("plan", [plan_examples.small_plan, plan_examples.safeguarding_plan])
def test_every_field_of_a_plan_comes_back(plan):
    made: Plan = plan()
    for field in fields(made):
        value = getattr(made, field.name)
        if field.name not in ("design", "allocation"):
            assert through_json(value) == value, field.name


PLAIN = st.text(max_size=30)
NUMBERS = st.floats(allow_nan=False)


@given(label=PLAIN, words=PLAIN, expected=NUMBERS, levels=st.lists(st.one_of(PLAIN, st.booleans(), st.integers(), NUMBERS), min_size=1))
def test_any_text_and_any_number_come_back(label, words, expected, levels):
    outcome = specs.Outcome(
        "y", label, column=words, family="gaussian", words=words, expected=expected, where=(specs.Condition(words, tuple(levels)),)
    )
    back = through_json(outcome)
    assert back == outcome
    assert spelt(back) == spelt(outcome)


@given(
    value=st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), PLAIN, NUMBERS), lambda inner: st.lists(inner, max_size=3), max_leaves=10
    )
)
def test_lists_come_back_as_tuples(value):
    def frozen(entry: Any) -> Any:
        return tuple(map(frozen, entry)) if isinstance(entry, list) else entry

    assert through_json(value) == frozen(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, sw.FixedEffects, print])
def test_what_is_no_plain_value_cannot_be_written(value):
    with pytest.raises(TypeError, match="no plain value"):
        encode(value)


def test_nothing_but_infinity_needs_a_table_of_its_own():
    assert encode(-math.inf) == {"kind": "number", "value": "-inf"}
    for value in ("nan", "1", 1.0, None, "__import__('os')"):
        with pytest.raises(Fault, match="holds value"):
            decode({"kind": "number", "value": value})


def test_kinds_are_specifications_and_nothing_else():
    assert all(is_dataclass(kind) and kind.__module__.startswith("swedge.") for kind in kinds().values())
    assert not {"Plan", "Trial", "Design", "Allocation", "Path", "object", "Estimator"} & set(kinds())
