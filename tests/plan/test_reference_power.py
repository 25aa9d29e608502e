"""Power of a plan beside the same calculations made by hand."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import swedge as sw
from plan_examples import safeguarding_plan, small_plan
from swedge._present.plain import report_text
from swedge._present.report import Caution, Picture
from swedge.errors import SwedgeError
from swedge.plan import specs
from swedge.plan.documents.power import power_sections, power_text
from swedge.plan.power import COLUMNS, few_reps, plan_power

TRUTH = sw.Scenario(
    family="binomial", baseline=0.055, effect=-0.5, size=900.0, scale="logit", correlation=sw.RandomEffects(cluster=0.3, cluster_period=0.1)
)
CASE = specs.PowerBySimulation("sim", "Simulated", truth=TRUTH, estimators=("cr2", "overdispersed"), tests=("exact",), reps=250)


@pytest.fixture(scope="module")
def powered():
    base = safeguarding_plan()
    plan = replace(base, power=(*base.power, CASE, replace(CASE, name="null", label="Null", truth=replace(TRUTH, effect=0.0), tests=())))
    return plan, plan_power(plan, progress=False)


def test_reference_formula_is_analytic_power(powered):
    plan, power = powered
    case = plan.power[0]
    by_hand = sw.analytic_power(
        plan.design,
        effect=case.effect,
        size=900.0,
        correlation=case.correlation,
        baseline=0.055,
        family="binomial",
        alpha=0.05,
        allocation=plan.allocation,
    )
    row = power.tidy().iloc[0]
    assert (row["power"], row["std_error"], row["df"]) == (by_hand.power, by_hand.std_error, by_hand.df)
    at = sw.analytic_power(
        plan.design,
        effect=row["detectable"],
        size=900.0,
        correlation=case.correlation,
        baseline=0.055,
        family="binomial",
        allocation=plan.allocation,
    )
    assert at.power == pytest.approx(0.8, abs=1e-6)
    assert row["detectable"] < 0


def test_reference_formula_takes_the_allocation_and_alpha(powered):
    plan, _ = powered
    sizes = (900.0, 2000.0, 400.0, 600.0, 700.0)
    uneven = replace(plan, power=(replace(plan.power[0], size=sizes),))
    other = uneven.with_allocation(next(a for k in range(20) if (a := plan.design.randomise(seed=k)) != plan.allocation))
    first, second = (plan_power(p, progress=False).tidy()["power"].item() for p in (uneven, other))
    assert first != second
    strict = replace(uneven, alpha=0.01, tests=(), multiplicity=None, analyses=(specs.Analysis("main", "Main", estimators=("cr2",)),))
    assert plan_power(strict, progress=False).tidy()["power"].item() < first


def test_reference_simulation_is_simulate_power(powered):
    plan, power = powered
    cr2, over, exact = plan.estimators[0].estimator, plan.estimators[1].estimator, plan.tests[0].test
    methods = {"a": cr2, "b": (cr2, exact), "c": over, "d": (over, exact)}
    by_hand = sw.simulate_power(plan.design, TRUTH, methods, reps=250, seed=plan.seed, alpha=plan.alpha, progress=False).tidy()
    rows = power.tidy().query("case == 'sim'")
    assert rows["estimator"].tolist() == ["cr2", "cr2", "overdispersed", "overdispersed"]
    assert rows["test"].tolist() == ["", "exact", "", "exact"]
    for name in ("power", "mcse", "n_ok", "n_singular", "n_failed", "power_if_failures_reject"):
        np.testing.assert_array_equal(rows[name].to_numpy(float), by_hand[name].to_numpy(float))


def test_law_a_test_of_twelve_allocations_has_no_power_and_says_why(powered):
    plan, power = powered
    assert (power.tidy().query("test == 'exact'")["power"] == 0).all()
    told = [block.text for section in power_sections(plan, power) for block in section.blocks if isinstance(block, Caution)]
    assert any("cannot give a p below .0833, so its power is 0 at 5%" in text for text in told)


def test_law_tidy_has_a_row_a_case_and_method(powered):
    _, power = powered
    tidy = power.tidy()
    assert tuple(tidy.columns) == COLUMNS
    assert tidy["case"].tolist() == ["primary"] + ["sim"] * 4 + ["null"] * 2
    assert tidy["type_1"].astype(bool).tolist() == [False] * 5 + [True] * 2
    assert tidy.loc[tidy["by"] == "formula", ["mcse", "reps", "n_failed"]].isna().all(axis=None)


def test_law_the_section_tells_every_figure(powered):
    plan, power = powered
    sections = power_sections(plan, power)
    text = report_text(sections, 10_000)
    for row in power.tidy().itertuples():
        assert f"{row.power:.3f}" in text
    assert text.count("rejection rate without any effect") == 2
    assert power.summary() in text.replace("* ", "")
    assert sum(isinstance(block, Picture) for section in sections for block in section.blocks) == 1
    assert text == report_text(power_sections(plan, power), 10_000)


def test_law_failed_fits_are_told():
    truth = sw.Scenario(family="binomial", baseline=0.001, effect=0.0, size=5.0, scale="logit", correlation=sw.RandomEffects(cluster=0.1))
    case = specs.PowerBySimulation("rare", "Rare", truth=truth, estimators=("cr2",), reps=250)
    power = plan_power(small_plan(power=(case,)), progress=False)
    row = power.tidy().iloc[0]
    assert row["n_failed"] > 0
    assert f"{row['n_failed']:,.0f} failed fits, counted as not rejecting" in power.summary()


def test_law_a_plan_without_power_says_so():
    plan = small_plan()
    power = plan_power(plan)
    assert power.tidy().empty
    assert "[To be written: no power calculation is registered" in report_text(power_sections(plan, power))
    written = small_plan(texts=(specs.Text("sample_size", "As many as there are."),))
    assert "As many as there are." in report_text(power_sections(written, plan_power(written)))


def test_law_an_effect_out_of_reach_is_said_to_be():
    case = specs.PowerByFormula(
        "tiny", "Tiny", effect=0.001, size=2.0, correlation=sw.NestedExchangeable(0.05, 0.5), baseline=0.99, family="binomial"
    )
    power = plan_power(small_plan(power=(case,)))
    assert np.isnan(power.tidy()["detectable"].item())
    assert "no effect within the outcome's range has a power of 80%" in power.summary()


def test_bad_input_names_the_case():
    case = specs.PowerByFormula("wrong", "Wrong", effect=0.1, size=(1.0, 2.0), correlation=sw.Exchangeable(0.05), sd=1.0)
    with pytest.raises(SwedgeError, match=r"^Power of 'wrong': size has shape"):
        plan_power(small_plan(power=(case,)))


def test_law_the_plot_leaves_markup_alone(powered):
    plan, _ = powered
    named = replace(plan, power=(replace(plan.power[0], label=r"costs $\frac{$"),))
    axes = plan_power(named, progress=False).plot()
    axes.figure.canvas.draw()
    assert [label.get_text() for label in axes.get_yticklabels()] == [r"costs \$\frac{\$: by formula"]


def test_law_a_terminal_shows_the_main_columns_and_what_names_stand_for(powered):
    plan, power = powered
    text = power_text(power)
    head, _, *rows = text.split("\n\n")[0].splitlines()
    assert head.split() == ["case", "estimator", "test", "effect", "power", "mcse", "n_failed", "detectable"]
    assert len(rows) == len(power.tidy())
    assert all(len(row.split()) == 8 for row in rows), "a cell without a value has its mark"
    named = text.split("\n\n")[1]
    for entry in (*plan.power, plan.estimator("cr2"), plan.test("exact")):
        assert re.search(rf"^{entry.name} +{re.escape(entry.label)}$", named, re.MULTILINE)
    assert "No power case" in power_text(plan_power(small_plan()))


def test_law_too_few_trials_are_told_with_their_monte_carlo_error():
    few, enough = (replace(CASE, name=f"reps{reps}", reps=reps) for reps in (25, 100))
    (told,) = few_reps(safeguarding_plan(power=(few, enough)))
    assert told.startswith("power.reps25 simulates 25 trials")
    assert "0.100" in told
