"""Laws of multiplicity: orderings, ties, failures, and what no adjustment may change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.inference import MaxT, RandomisationTest, multiplicity
from swedge.inference.multiplicity import METHODS

Array = np.ndarray
FS = sw.Design.stepped_wedge(["Wal", "Lan", "Tel", "Wan", "Swi"], strata=[["Wal", "Lan"], ["Tel", "Wan", "Swi"]])
WEDGE = sw.Design.stepped_wedge(clusters=5, periods=6)
LARGE = sw.Design.stepped_wedge(clusters=8, periods=9)


def drawn(design: sw.Design, seed: int, effects: tuple[float, ...] = (0.0, 0.6, 1.5)) -> dict[str, tuple[sw.Trial, sw.Estimator]]:
    rng = np.random.default_rng([seed, 13])
    allocation = design.randomise(seed=seed)
    shape = (design.n_clusters, design.n_periods)
    return {
        f"y{k}": (
            sw.Trial.from_cells(np.full(shape, 40), rng.standard_normal(shape) + e * allocation.treatment, allocation),
            sw.WithinPeriod(),
        )
        for k, e in enumerate(effects)
    }


# maxT -----------------------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000))
def test_adjusted_p_lie_above_the_unadjusted_and_step_down_below_single_step(seed: int) -> None:
    result = MaxT(statistic="estimate").run(drawn(FS, seed))
    bonferroni = np.minimum(1, 3 * result.p_value)
    assert (result.p_value <= result.step_down + 1e-12).all()
    assert (result.step_down <= result.single_step + 1e-12).all()
    assert (result.single_step >= 1 / 12 - 1e-12).all()
    order = np.argsort(-np.abs(result.statistic))
    assert (np.diff(result.step_down[order]) >= -1e-12).all()
    assert (np.diff(result.single_step[order]) >= -1e-12).all()
    assert bonferroni.shape == (3,)


def test_unadjusted_p_is_that_of_the_randomisation_test() -> None:
    for statistic in ("t", "estimate"):
        pairs = drawn(WEDGE, 1)
        result = MaxT(statistic=statistic).run(pairs)
        alone = [RandomisationTest(statistic=statistic, interval=False).run(*pair) for pair in pairs.values()]
        assert result.p_value.tolist() == [float(test.p_value) for test in alone]
        assert result.estimate.tolist() == [float(test.estimate) for test in alone]


def test_one_outcome_needs_no_adjustment_and_copies_of_it_neither() -> None:
    (pair,) = list(drawn(WEDGE, 2).values())[1:2]
    alone = MaxT().run({"y": pair})
    copies = MaxT().run({"y": pair, "again": pair, "once more": pair})
    assert alone.single_step == alone.step_down == alone.p_value
    assert copies.single_step.tolist() == copies.step_down.tolist() == [float(alone.p_value[0])] * 3


def test_the_order_and_the_unit_of_outcomes_change_nothing() -> None:
    pairs = drawn(WEDGE, 3)
    base = MaxT(statistic="estimate").run(pairs)
    turned = MaxT(statistic="estimate").run(dict(reversed(pairs.items())))
    assert turned.step_down[::-1] == pytest.approx(base.step_down)
    trial, estimator = pairs["y1"]
    larger = replace(trial, cells=replace(trial.cells, mean=100 * trial.cells.mean))
    for statistic in ("t", "estimate"):
        left = MaxT(statistic=statistic).run(pairs)
        right = MaxT(statistic=statistic).run({**pairs, "y1": (larger, estimator)})
        assert right.step_down == pytest.approx(left.step_down)
        assert right.single_step == pytest.approx(left.single_step)


def test_with_twelve_allocations_nothing_is_significant_and_the_result_says_so() -> None:
    result = MaxT().run(drawn(FS, 4, effects=(0.0, 40.0, 40.0)))
    assert result.min_p.tolist() == pytest.approx([1 / 12] * 3)
    assert result.step_down[1:].tolist() == pytest.approx([1 / 12] * 2)
    assert "can be below 0.0833" in result.summary()
    assert not result.rejects(0.05).any()
    assert result.rejects(0.1).tolist() == [False, True, True]


def test_sampled_allocations_are_the_same_for_every_outcome() -> None:
    result = MaxT(draws=199, seed=4, statistic="estimate").run(drawn(LARGE, 5))
    assert result.n_allocations == 199
    assert not result.exact
    counts = result.single_step * 200
    assert counts == pytest.approx(np.rint(counts))
    assert (result.single_step >= 1 / 200).all()
    (pair,) = list(drawn(LARGE, 5).values())[1:2]
    copies = MaxT(draws=199, seed=4).run({"y": pair, "again": pair})
    assert copies.single_step.tolist() == copies.p_value.tolist()


def test_a_stack_is_a_loop_and_a_failed_outcome_costs_the_others_nothing() -> None:
    parts = [drawn(FS, 6, effects=(0.3, 1.0)) for _ in range(1)] + [drawn(FS, 6, effects=(2.0, 0.0))]
    first = parts[0]["y0"][0]

    def stacked(name: str) -> sw.Trial:
        mean = np.stack([part[name][0].cells.mean for part in parts])
        return replace(first, cells=replace(first.cells, mean=mean))

    stack = MaxT().run({name: (stacked(name), sw.WithinPeriod()) for name in ("y0", "y1")})
    loop = [MaxT().run(part) for part in parts]
    for name in ("estimate", "statistic", "p_value", "single_step", "step_down"):
        assert getattr(stack, name) == pytest.approx(np.stack([getattr(result, name) for result in loop]), rel=1e-9)
    assert stack.tidy().shape[0] == 4
    with pytest.raises(sw.DataError, match="stack"):
        stack.plot()
    same = stacked("y0")
    mean = same.cells.mean.copy()
    mean[1] = 3.0
    lost = MaxT().run(
        {"y0": (replace(same, cells=replace(same.cells, mean=mean)), sw.WithinPeriod()), "y1": (stacked("y1"), sw.WithinPeriod())}
    )
    assert np.isnan(lost.step_down).tolist() == [[False, False], [True, False]]
    assert np.isnan(lost.single_step).tolist() == [[False, False], [True, False]]
    assert lost.step_down[0] == pytest.approx(stack.step_down[0])


def test_tidy_summary_and_plot() -> None:
    result = MaxT().run(drawn(FS, 7))
    frame = result.tidy()
    assert list(frame) == ["outcome", "estimate", "statistic", "p_value", "single_step", "step_down", "min_p", "test", "n_allocations"]
    assert "maxT (t): 3 outcomes, 12 allocations" in result.summary()
    axes = result.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["y0", "y1", "y2"]
    assert axes.get_xlabel() == "Two-sided p value"
    assert axes.get_xscale() == "log"


# Adjusted p values ----------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.sampled_from(sorted(METHODS)))
def test_adjusted_p_keep_place_and_order(p: list[float], method: str) -> None:
    frame = multiplicity({f"y{k}": value for k, value in enumerate(p)}, method=method)
    adjusted = frame["p_adjusted"].to_numpy()
    assert frame["p_value"].tolist() == p
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-12).all()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_missing_p_stays_missing_and_counts_in_the_family(method: str) -> None:
    frame = multiplicity({"a": 0.01, "lost": float("nan"), "b": 0.03}, method=method)
    full = multiplicity({"a": 0.01, "lost": 1.0, "b": 0.03}, method=method)
    assert np.isnan(frame["p_adjusted"]).tolist() == [False, True, False]
    assert frame["p_adjusted"].to_numpy()[[0, 2]] == pytest.approx(full["p_adjusted"].to_numpy()[[0, 2]])


def test_a_tidy_frame_keeps_its_columns_and_index() -> None:
    trial = drawn(WEDGE, 8)["y1"][0]
    frame = pd.concat([e.fit(trial).tidy() for e in (sw.WithinPeriod(), sw.TwoWayFixedEffects())], keys=["x", "z"])
    adjusted = multiplicity(frame, method="bonferroni")
    assert list(adjusted) == [*frame, "p_adjusted", "method"]
    assert adjusted.index.equals(frame.index)
    assert adjusted["p_adjusted"].tolist() == pytest.approx(np.minimum(1, 2 * frame["p_value"]).tolist())
    assert "p_adjusted" not in frame
