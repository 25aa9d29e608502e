"""Options of a scenario taken together, and what a store holds when it is extended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.power.outcomes import draw_fractional

DATES = {"A": "2020-04-01", "B": "2020-07-01", "C": "2020-10-01"}


def dated(transition: int) -> sw.Design:
    return sw.Design.from_dates(DATES, start="2020-01-01", end="2021-07-01", transition=transition)


def test_one_individual_of_bernoulli_variance_is_a_bernoulli_draw() -> None:
    drawn = draw_fractional(np.full((20_000, 1, 1), 0.1), np.ones((1, 1)), 1.0, np.random.default_rng(1)).mean
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert abs(drawn.mean() - 0.1) < 4 * np.sqrt(0.09 / 20_000)


def test_go_live_is_the_start_of_a_transition() -> None:
    with_gap, without = (sw.exposure_overlap(allocation, size=[10] * 3, months=6) for allocation in map(in_order, (dated(1), dated(0))))
    np.testing.assert_allclose(with_gap.share, without.share, rtol=1e-12)  # the same days before the same go-live


def in_order(design: sw.Design) -> sw.Allocation:
    return design.allocate_dates(DATES)


def test_what_is_never_carried_out_moves_nothing() -> None:
    design = sw.Design.stepped_wedge(4, 5)
    correlation = sw.RandomEffects(treatment=1.0, residual=0.01)
    truth = sw.Scenario(family="gaussian", baseline=0.0, size=1000, correlation=correlation, late=(np.inf,) * 4, attrition_treated=0.5)
    trial = truth.draw(design, 50, np.random.default_rng(1))
    assert trial.outcome[trial.treatment == 1].std() < 0.001
    assert (trial.n == 1000).all()


@pytest.mark.parametrize("design", [sw.Design.stepped_wedge(4, 6, transition=1), sw.Design.from_matrix([[0, 0.5, 1], [0, 0, 0.5]])])
def test_late_starts_need_a_treatment_wholly_there(design: sw.Design) -> None:
    truth = sw.Scenario(family="binomial", baseline=0.3, size=50, late=(1,) * design.n_clusters)
    with pytest.raises(sw.DesignError, match="wholly there at once"):
        truth.draw(design, 2, np.random.default_rng(1))


def test_a_window_goes_with_a_constant_effect() -> None:
    with pytest.raises(sw.DesignError, match="spreads a constant effect"):
        sw.Scenario(family="binomial", baseline=0.3, size=50, window=100, curve=sw.Delayed(1))


@pytest.mark.parametrize(
    "more",
    [
        {"family": "binomial", "baseline": 0.1, "link": "logit", "correlation": sw.Exchangeable(0.05)},
        {"correlation": sw.Exchangeable(0.05, iac=0.5)},
        {"correlation": sw.RandomEffects(cluster=0.2, treatment=0.1, residual=1.0)},
    ],
)
def test_a_design_effect_is_refused_where_it_means_nothing(more: dict[str, object]) -> None:
    with pytest.raises(sw.DesignError, match="cross-sections on the identity link"):
        sw.design_effect(sw.Design.parallel(20), size=30, **more)


def test_parallel_against_itself_with_risks_by_cluster() -> None:
    risks = np.linspace(0.05, 0.4, 6)
    table = sw.design_effect(sw.Design.parallel(6), size=30, family="binomial", baseline=risks, correlation=sw.Exchangeable(0.05))
    by_hand = 4 / (1 / (risks * (1 - risks) * (0.05 + 0.95 / 30))).sum()
    assert table["variance"].iloc[1] == pytest.approx(by_hand, rel=1e-12)


def test_an_extended_store_holds_each_replicate_once(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    design, truth = sw.Design.stepped_wedge(5, 6), sw.Scenario(family="binomial", baseline=0.3, size=50)
    for reps in (300, 600):
        result = sw.simulate_power(design, truth, {"CR2": sw.FixedEffects()}, reps=reps, seed=1, store=tmp_path / "store")
    rows = pd.read_parquet(tmp_path / "store")
    assert sorted(rows["replicate"]) == list(range(600))
    fresh = sw.simulate_power(design, truth, {"CR2": sw.FixedEffects()}, reps=600, seed=1)
    pd.testing.assert_frame_equal(result.tidy(), fresh.tidy())


def test_an_allocation_that_identifies_nothing_has_no_power() -> None:
    design = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[2, 2])
    size = [[10, 0], [10, 0], [10, 10], [10, 10]]
    table = sw.power_over_allocations(design, effect=1.0, size=size, sd=1.0, correlation=sw.Exchangeable(0.05), df="normal")
    lost = np.isinf(table["std_error"])
    assert lost.sum() == 2
    assert (table["power"][lost] == 0).all()
    assert table["power"].notna().all()
