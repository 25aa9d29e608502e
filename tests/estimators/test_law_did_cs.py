"""What only Callaway-Sant'Anna and Sun-Abraham promise: laws between them, transition periods, gaps, plots."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.sun_abraham import SunAbraham

Array = np.ndarray
OWN = {"vcov": "influence", "df": "normal"}
STARTS = np.repeat([3, 4, 6, 0], [3, 4, 5, 6])


def panel(seed: int = 0, periods: int = 7) -> sw.Trial:
    i, t = (index.ravel() for index in np.indices((len(STARTS), periods)))
    y = np.random.default_rng(seed).normal(size=len(i))
    rows = pd.DataFrame({"c": [f"c{k:02d}" for k in i], "t": t + 2001, "y": y, "g": np.where(STARTS > 0, STARTS + 2000, 0)[i]})
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_law_sun_abraham_is_callaway_santanna_against_the_never_treated(seed: int) -> None:
    trial = panel(seed)
    for ours, theirs in (("att", "simple"), ("cohort", "group"), ("dynamic", "dynamic"), (None, None)):
        sun = SunAbraham(aggregate=ours, **OWN).fit(trial).tidy().set_index("term")
        callaway = CallawaySantAnna(aggregate=theirs, base="universal", **OWN).fit(trial).tidy().set_index("term")
        parts = callaway.index if theirs in ("simple", None) else callaway.index[1:]
        columns = ["estimate", "std_error"]
        np.testing.assert_allclose(sun.loc[parts, columns], callaway.loc[parts, columns], rtol=1e-10, atol=1e-12)
        if theirs is not None:
            assert sun.estimate.iloc[0] == pytest.approx(CallawaySantAnna().fit(trial).estimate, abs=1e-12)


def test_law_covariates_that_balance_change_no_effect() -> None:
    """A 0/1 covariate with the same share in every cohort: the regression and the odds give back the plain difference."""
    trial = panel(4)
    starts = trial.exposure.argmax(-1) * trial.arm.any(-1)
    y, x = trial.outcome, np.arange(len(starts)) % 2.0
    doubled = sw.Trial(
        sw.Cells(np.ones((36, 7)), np.concatenate([y, y + 0.1])[..., None]),
        np.concatenate([trial.treatment] * 2),
        np.concatenate([trial.exposure] * 2),
        "gaussian",
        tuple(f"d{k}" for k in range(36)),
        periods=trial.periods,
    )
    x = np.repeat([0.0, 1.0], 18)
    doubled = doubled.with_cluster_covariates(pd.DataFrame({"x": x}, index=doubled.clusters))
    plain = CallawaySantAnna(aggregate=None).build(doubled)
    for adjust in ("doubly robust", "outcome regression", "ipw"):
        built = CallawaySantAnna(aggregate=None, covariates=("x",), adjust=adjust).build(doubled)
        np.testing.assert_allclose(built.weights, plain.weights, atol=1e-9)


def test_law_a_transition_period_is_passed_over() -> None:
    design = sw.Design.stepped_wedge(clusters=5, periods=7, transition=1)
    allocation = design.randomise(seed=2)
    n = np.ones(allocation.treatment.shape)
    trial = sw.Trial.from_cells(n, np.random.default_rng(3).normal(size=n.shape), allocation)
    estimator = CallawaySantAnna(controls="not_yet")
    weights = estimator.weights(trial)
    assert (weights[np.isnan(allocation.treatment)] == 0).all()
    np.testing.assert_allclose(weights.sum(-1), 0, atol=1e-12)
    np.testing.assert_allclose(weights.sum(-2), 0, atol=1e-12)
    assert (weights * trial.arm).sum() == pytest.approx(1)
    terms = replace(estimator, aggregate=None).build(trial).terms
    start = {int(trial.arm[i].argmax()) for i in range(5)}
    named = [tuple(int(word.split()[1]) - 1 for word in term.split(",")) for term in terms]
    # The last control is in transition when the last but one begins.
    assert {g for g, t in named if t >= g} == set(sorted(start)[:-2])
    assert any("first treated in 6; 7:" in note for note in estimator.fit(trial).notes)
    result = sw.RandomisationTest().run(trial, estimator)
    assert len(result.reference) == 120


def test_law_anticipation_moves_the_base_and_nothing_else() -> None:
    trial = panel(5)
    early = CallawaySantAnna(aggregate=None, anticipation=1, base="universal").build(trial)
    base = {}
    for term, weights in zip(early.terms, early.weights, strict=True):
        group = int(term.split(",")[0].split()[1])
        base.setdefault(group, set()).add(int(np.flatnonzero((weights * (trial.arm.argmax(-1) == group - 2001)[:, None]).sum(0) < -0.5)[0]))
    assert base == {g: {g - 2001 - 2} for g in (2003, 2004, 2006)}


def test_law_balance_keeps_one_set_of_groups() -> None:
    fit = CallawaySantAnna(aggregate="dynamic", balance=2, base="universal").build(panel(6))
    assert [term for term in fit.terms if not term.startswith("event -")] == ["overall", "event 0", "event 1", "event 2"]
    late = panel(6).arm.argmax(-1) == 5
    assert (fit.weights[:, late] == 0).all()


def test_law_state_clusters_of_one_are_clusters() -> None:
    trial = panel(7)
    trial = trial.with_cluster_covariates(pd.DataFrame({"own": trial.clusters, "pair": np.arange(18) // 2}, index=trial.clusters))
    for aggregate in ("simple", "dynamic", None):
        plain = CallawaySantAnna(aggregate=aggregate, **OWN)
        np.testing.assert_allclose(replace(plain, cluster="own").fit(trial).covariance, plain.fit(trial).covariance, atol=1e-14)
        parts = plain.influence(trial).reshape((-1, 9, 2)).sum(-1)
        np.testing.assert_allclose(
            replace(plain, cluster="pair").fit(trial).covariance.reshape(len(parts), -1), parts @ parts.T, atol=1e-14
        )


def test_event_study_plot_leaves_out_the_overall_effect() -> None:
    fit = CallawaySantAnna(aggregate="dynamic", **OWN).fit(panel(8))
    axes = fit.plot()
    assert axes.get_xlabel() == "Periods since treatment"
    assert axes.get_xticks().tolist() == [float(term.split()[1]) for term in fit.terms[1:]]
    verticals = [line for line in axes.lines if list(line.get_xdata()) == [-0.5, -0.5]]
    assert len(verticals) == 1
    assert CallawaySantAnna(aggregate="group").fit(panel(8)).plot().get_xlabel() != "Periods since treatment"


def test_summary_says_what_it_rests_on() -> None:
    text = CallawaySantAnna(controls="not_yet", aggregate="group", anticipation=1, **OWN).fit(panel(9)).summary()
    assert "against not-yet-treated clusters (varying base period, periods of anticipation: 1), averaged by group" in text
    assert "influence-function standard errors" in text
    assert "6 of them never-treated comparison clusters." in text
