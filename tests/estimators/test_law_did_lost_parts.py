"""One effect of several that has no standard error is nan and is named; the others are what they were."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators import CallawaySantAnna, GeneralisedDiD, TwoStage
from swedge.estimators.difference import TOO_MUCH
from swedge.inference.honest import honest_effect
from swedge.inference.pretrends import pretrend_test

Array = np.ndarray
BY_EXPOSURE = GeneralisedDiD(alike="exposure")


def panel(starts: list[int], periods: int, seed: int = 0, reps: int | None = None) -> sw.Trial:
    names = [f"c{i:02d}" for i in range(len(starts))]
    rows = pd.DataFrame([(c, t, g) for c, g in zip(names, starts, strict=True) for t in range(1, periods + 1)], columns=["c", "t", "g"])
    y = np.random.default_rng(seed).standard_normal((reps or 1, len(starts), periods))
    trial = sw.Trial.from_panel(rows.assign(y=y[0].ravel()), cluster="c", period="t", outcome="y", first_treated="g")
    order = [names.index(c) for c in trial.clusters]
    return trial if reps is None else replace(trial, cells=replace(trial.cells, mean=y[:, order][..., None]))


def dense(trial: sw.Trial, weights: Array) -> tuple[Array, Array]:
    """CR2 standard errors ``(K,)`` of weighted sums, and the share of each that its clusters' residuals cannot show: dense matrices."""
    count, periods = trial.outcome.shape
    cluster, period = np.repeat(np.arange(count), periods), np.tile(np.arange(periods), count)
    x = np.column_stack([np.eye(count)[cluster], np.eye(periods)[period], trial.arm.ravel()])
    left = np.eye(len(x)) - x @ np.linalg.pinv(x)
    residual = left @ trial.outcome.ravel()
    variance, lost = np.zeros(len(weights)), np.zeros(len(weights))
    for i in range(count):
        own = cluster == i
        values, vectors = np.linalg.eigh(left[np.ix_(own, own)])
        # The cluster's own constant is always fitted; weights that add up to 0 in each cluster do not see it.
        seen = values > 1e-8
        half = (vectors[:, seen] / np.sqrt(values[seen])) @ vectors[:, seen].T
        rows = weights.reshape((len(weights), -1))[:, own]
        variance += (rows @ half @ residual[own]) ** 2
        lost += ((rows @ vectors[:, ~seen]) ** 2).sum(-1)
    return np.sqrt(variance), lost / (weights**2).sum((-2, -1))


def test_reference_parts_that_stand_are_those_of_dense_matrices() -> None:
    """Of five clusters four start in period 2: period 2 against the fifth carries event 0, which one cluster then tells alone."""
    trial = panel([2, 2, 2, 3, 2], 4)
    fit, weights = BY_EXPOSURE.fit(trial), BY_EXPOSURE.build(trial).weights
    error, share = dense(trial, weights)
    stands = share <= TOO_MUCH
    assert dict(zip(fit.terms, stands.tolist(), strict=True)) == {"overall": True, "event 0": False, "event 1": True, "event 2": True}
    np.testing.assert_allclose(fit.std_error[stands], error[stands], rtol=1e-10)
    np.testing.assert_allclose(fit.estimate[stands], (weights * trial.outcome).sum((-2, -1))[stands], atol=1e-12)
    for lost in (fit.estimate, fit.std_error, fit.df, fit.p_value, fit.covariance[1], fit.bands[:, 0]):
        assert np.isnan(np.ravel(lost)[1])
    assert np.isfinite(fit.bands[stands]).all()


def test_a_lost_part_is_named_and_drawn_around() -> None:
    fit = BY_EXPOSURE.fit(panel([2, 2, 2, 3, 2], 4))
    assert fit.tidy()["status"].tolist() == ["ok", "one_cluster", "ok", "ok"]
    (note,) = [note for note in fit.notes if "No result" in note]
    assert note.startswith("No result for event 0 (1 of 4 effects): one cluster alone carries it")
    assert "No result for event 0" in fit.summary()
    for alone in (fit, replace(fit, std_error=np.where(np.arange(4) == 2, fit.std_error, np.nan))):
        assert alone.plot().get_xlabel() == "Periods since treatment"
    plt.close("all")
    assert not any("No result" in note for note in BY_EXPOSURE.fit(panel([2, 2, 3, 3, 0, 0], 4)).notes)


def test_law_a_stack_is_its_replicates_with_a_lost_part() -> None:
    trials = panel([2, 2, 2, 3, 2], 4, reps=3)
    stack = BY_EXPOSURE.fit(trials)
    assert (stack.status == sw.Status.OK).all()
    for k in range(3):
        alone = BY_EXPOSURE.fit(trials.replicate(k))
        np.testing.assert_allclose(stack.std_error[k], alone.std_error, rtol=1e-10)
    assert stack.tidy()["status"].tolist() == ["ok", "one_cluster", "ok", "ok"] * 3


def test_effects_side_by_side_stand_while_one_does_and_a_test_of_the_lost_one_fails() -> None:
    trial, estimator = panel([4, 0, 0, 0, 0, 0], 4, reps=5), CallawaySantAnna(aggregate=None)
    fit = estimator.fit(trial)
    assert fit.terms == ("group 4, time 2", "group 4, time 3", "group 4, time 4")
    assert np.isnan(fit.std_error).all(0).tolist() == [False, False, True]
    turned = replace(fit, details={name: value[:, ::-1] for name, value in fit.details.items()})
    assert (sw.WaldTest().read(turned).status == sw.Status.ONE_CLUSTER).all()
    assert (sw.WaldTest().read(fit).status == sw.Status.OK).all()


def test_bad_input_an_overall_effect_without_a_standard_error_still_fails() -> None:
    with pytest.raises(sw.FitError, match="One cluster alone carries this effect"):
        CallawaySantAnna(aggregate="dynamic").fit(panel([4, 0, 0, 0, 0, 0], 4))


def test_bad_input_trends_from_an_event_study_with_a_lost_part() -> None:
    fit = CallawaySantAnna(aggregate="dynamic", base="universal").fit(panel([4, 5, 5, 0, 0, 0, 0], 6))
    k = fit.terms.index("event -4")
    lost = replace(fit, std_error=np.where(np.arange(len(fit.terms)) == k, np.nan, fit.std_error))
    for ask in (pretrend_test, honest_effect):
        with pytest.raises(sw.FitError, match=r"event -4 \(1 in all\) has no standard error.*Pass before= and after="):
            ask(lost)
    assert np.isfinite(pretrend_test(lost, before=1, after=1).tidy()["estimate"].iloc[0])


def test_an_effect_that_is_0_whatever_the_outcomes_is_none() -> None:
    """With one period before treatment the first stage fits it: the lead used to be 0 but for rounding, with a p."""
    trial = panel([2, 0, 0, 0, 0, 2], 4)
    fit = TwoStage(aggregate="dynamic", leads=1).fit(trial)
    assert fit.tidy().set_index("term")["status"].to_dict()["event -1"] == "rank_deficient"
    assert np.isnan(fit.p_value[fit.terms.index("event -1")])
    rest = TwoStage(aggregate="dynamic").fit(trial)
    kept = [fit.terms.index(term) for term in rest.terms]
    np.testing.assert_allclose(fit.std_error[kept], rest.std_error, rtol=1e-10)
    assert any("No result for event -1 (1 of" in note and "do not identify it" in note for note in fit.notes)


@pytest.mark.parametrize("alike", ["constant", "calendar", "exposure", "group-time", "cell"])
def test_bad_input_no_treated_cell_is_observed(alike: str) -> None:
    trial = panel([4, 5, 0, 0], 4)
    gone = replace(trial.cells, n=np.where(trial.arm > 0, 0.0, trial.cells.n))
    with pytest.raises(sw.DataError, match="No clean comparison is left: no treated cell is observed"):
        GeneralisedDiD(alike=alike).fit(replace(trial, cells=gone))
