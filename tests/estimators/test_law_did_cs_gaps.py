"""Callaway-Sant'Anna where cells are missing: nobody who can be compared is dropped, and an allocation means the same in a stack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.errors import SwedgeError
from swedge.estimators.callaway_santanna import CallawaySantAnna

Array = np.ndarray
GAPS = [(1, 0), (3, 4), (4, 2), (9, 3)]
NOT_YET = CallawaySantAnna(controls="not_yet")


def wedge(seed: int, transition: int = 0, others: int = 8, gaps: bool = True) -> sw.Trial:
    allocation = sw.Design.stepped_wedge(clusters=5, periods=6 + transition, transition=transition).randomise(seed=0)
    n = np.ones((5 + others, 6 + transition))
    if gaps:
        n[tuple(np.transpose(GAPS))] = 0
    y = np.random.default_rng(seed).standard_normal(n.shape)
    return sw.Trial.from_cells(n, y, allocation, comparators=[f"other {k}" for k in range(others)])


def each_alone(trial: sw.Trial, estimator: CallawaySantAnna, count: int) -> Array:
    found = np.full(count, np.nan)
    for k in range(count):
        try:
            found[k] = estimator.point(trial.replicate(k))
        except SwedgeError:
            continue
    return found


CASES = [
    NOT_YET,
    CallawaySantAnna(),
    CallawaySantAnna(controls="not_yet", base="universal", anticipation=1),
    CallawaySantAnna(controls="not_yet", aggregate="group"),
    CallawaySantAnna(aggregate="dynamic"),
]


@pytest.mark.parametrize("transition", [0, 1])
@pytest.mark.parametrize("estimator", CASES, ids=repr)
def test_law_every_allocation_is_the_same_alone_and_in_a_stack(estimator: CallawaySantAnna, transition: int) -> None:
    trial = wedge(1, transition)
    stack = trial.reallocated(np.asarray(trial.design.allocations()))
    loop = each_alone(stack, estimator, 120)
    assert np.isfinite(loop).sum() > 100
    np.testing.assert_allclose(estimator.point(stack), loop, atol=1e-12)


def test_law_terms_side_by_side_are_the_union_over_a_stack_and_nan_where_one_has_none() -> None:
    trial, estimator = wedge(2), CallawaySantAnna(controls="not_yet", aggregate=None)
    stack = trial.reallocated(np.asarray(trial.design.allocations())[::7])
    built, union = estimator.build(stack), set()
    for k, weights in enumerate(built.weights):
        alone = estimator.build(stack.replicate(k))
        union |= set(alone.terms)
        mine = [built.terms.index(term) for term in alone.terms]
        np.testing.assert_allclose(weights[mine], alone.weights, atol=1e-12)
        assert np.isnan(np.delete(weights, mine, 0)).all()
    assert union == set(built.terms)


def test_law_the_exact_p_is_that_of_a_loop_over_allocations() -> None:
    trial = wedge(3)
    loop = each_alone(trial.reallocated(np.asarray(trial.design.allocations())), NOT_YET, 120)
    result = sw.RandomisationTest(interval=False).run(trial, NOT_YET)
    observed = float(NOT_YET.point(trial))
    assert result.estimate == pytest.approx(observed, abs=1e-12)
    assert result.p_value == pytest.approx((np.abs(loop) >= abs(observed) - 1e-9).mean(), abs=1e-12)


def test_law_placebos_with_gaps_are_those_of_a_loop() -> None:
    from swedge.inference.placebo import _placebos, _treated

    trial, test = wedge(4), sw.PlaceboTest(draws=40)
    own = _treated(trial)
    stack = _placebos(trial, own, test._stand_ins(trial, own))
    np.testing.assert_allclose(CallawaySantAnna().point(stack), each_alone(stack, CallawaySantAnna(), len(stack.treatment)), atol=1e-12)


def panel(gap: tuple[tuple[str, int], ...]) -> sw.Trial:
    rows = pd.DataFrame(
        [(f"c{i}", t, {0: 4.0, 1: 4.0, 2: 3.0}.get(i, 0.0)) for i in range(10) for t in range(1, 7)], columns=["c", "t", "g"]
    )
    rows["y"] = np.random.default_rng(0).standard_normal(len(rows)) + 100.0 * ((rows["c"] == "c0") & (rows["t"] >= 4))
    kept = [key not in gap for key in zip(rows["c"], rows["t"], strict=True)]
    return sw.Trial.from_panel(rows[kept], cluster="c", period="t", outcome="y", first_treated="g")


def test_a_cluster_without_its_last_period_before_treatment_keeps_its_weight() -> None:
    trial = panel((("c0", 3),))
    treated = dict(zip(trial.clusters, (CallawaySantAnna().weights(trial) * trial.arm).sum(-1), strict=True))
    assert {name: treated[name] for name in ("c0", "c1", "c2")} == pytest.approx({"c0": 0.3, "c1": 0.3, "c2": 0.4})
    own = CallawaySantAnna(aggregate="group").fit(trial).tidy().set_index("term")["estimate"]
    y = dict(zip(trial.clusters, np.where(trial.n > 0, trial.outcome, np.nan), strict=True))
    never = np.mean([y[f"c{i}"] for i in range(3, 10)], 0)
    by_hand = np.mean([(y["c0"] - never)[3:] - (y["c0"] - never)[1], (y["c1"] - never)[3:] - (y["c1"] - never)[2]])
    assert own["group 4"] == pytest.approx(by_hand, abs=1e-10)


def test_sizes_count_clusters_that_join_and_a_note_names_the_others() -> None:
    trial = panel((("c0", 1), ("c0", 2), ("c0", 3)))
    fit = CallawaySantAnna(aggregate="group").fit(trial)
    shown = fit.tidy().set_index("term")["estimate"]
    assert shown["overall"] == pytest.approx((shown["group 3"] + shown["group 4"]) / 2, abs=1e-12)
    assert any("1 of 3 treated clusters carries no weight" in note and "c0" in note for note in fit.notes)


def test_law_anticipation_is_what_leaving_the_run_up_out_gives_across_a_transition() -> None:
    trial = wedge(5, transition=1, gaps=False)
    for estimator in (CallawaySantAnna(), NOT_YET):
        early = [replace(estimator, anticipation=k).point(trial) for k in (0, 1)]
        left_out = sw.without_run_up(trial, 1)
        assert early[1] == pytest.approx(float(estimator.point(left_out)), abs=1e-12)
        assert abs(early[1] - early[0]) > 1e-3
    gone = (trial.n > 0) & (left_out.n == 0)
    start = np.argmax(trial.arm > 0, -1)
    assert [np.flatnonzero(row).tolist() for row in gone[:5]] == [[int(g) - 2] for g in start[:5]]
    assert not gone[5:].any()


def test_every_cluster_with_covariates_has_its_own_base_too() -> None:
    trial = panel((("c0", 3),))
    x = pd.DataFrame({"x": np.random.default_rng(1).standard_normal(10)}, index=list(trial.clusters))
    weights = CallawaySantAnna(covariates=("x",), adjust="outcome regression").weights(trial.with_cluster_covariates(x))
    treated = dict(zip(trial.clusters, (weights * trial.arm).sum(-1), strict=True))
    assert treated["c0"] == pytest.approx(0.3)
