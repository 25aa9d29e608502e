"""Bad input of the efficient estimator under random timing and of synthetic controls: what is wrong, and what to do."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.errors import DataError, DesignError, FitError
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD


def panel(starts: list[float], periods: int = 5, gone: tuple[tuple[int, int], ...] = (), seed: int = 0) -> sw.Trial:
    i, t = (index.ravel() for index in np.indices((len(starts), periods)))
    y = np.random.default_rng(seed).normal(size=(len(starts), periods))
    for cell in gone:
        y[cell] = np.nan
    rows = pd.DataFrame({"c": [f"c{k}" for k in i], "t": t + 1, "y": y.ravel(), "g": np.array(starts, dtype=float)[i]})
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")


WITH_NEVER = [3, 3, 4, 4, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RothSantAnna(aggregate="cohrt"), "Did you mean 'cohort'?"),
        (lambda: RothSantAnna(aggregate=None), "aggregate=None; expected one of simple, cohort, calendar, event"),
        (lambda: RothSantAnna(controls="never"), "controls='never'; expected one of not_yet, last."),
        (lambda: RothSantAnna(pool="all"), "pool='all'; expected one of None, never, cohorts, trial."),
        (lambda: RothSantAnna(beta="1"), "beta='1'; expected a number such as 1 (difference-in-differences)"),
        (lambda: RothSantAnna(beta=True), "beta=True"),
        (lambda: RothSantAnna(beta=np.inf), "beta=inf"),
        (lambda: RothSantAnna(vcov="influence"), "vcov='influence'; expected one of auto, CR0, CR1, CR2, CR3, neyman, adjusted."),
        (
            lambda: RothSantAnna(df="satterthwaite"),
            "df='satterthwaite' belongs to the cluster-robust variances, and vcov='auto' may be Neyman's. Name vcov='CR2' too.",
        ),
        (
            lambda: RothSantAnna(vcov="neyman", df="satterthwaite"),
            "vcov='neyman' has no Satterthwaite df. Use df='normal' (as peers do) or df='clusters'.",
        ),
        (lambda: SyntheticDiD(aggregate="group"), "aggregate='group'; expected one of simple, cohort."),
        (lambda: SyntheticDiD(vcov="bootstrap"), "vcov='bootstrap'; expected one of CR0, CR1, CR2, CR3, placebo, jackknife."),
        (lambda: SyntheticDiD(vcov="placebo"), "has no Satterthwaite df"),
        (lambda: SyntheticDiD(penalty=-1), "penalty=-1; expected a number of 0 or more (multiples of the noise)"),
        (lambda: SyntheticControl(penalty="1"), "penalty='1'"),
        (lambda: SyntheticControl(penalty=True), "penalty=True"),
        (lambda: SyntheticDiD(penalty=np.nan), "penalty=nan"),
    ],
)
def test_bad_input_choices(make: object, message: str) -> None:
    with pytest.raises(FitError, match=re.escape(message)):
        make()


def test_bad_input_draws_and_seed() -> None:
    for wrong in ({"draws": 0}, {"draws": 2.5}, {"seed": -1}):
        with pytest.raises(DesignError):
            SyntheticDiD(vcov="placebo", df="normal", **wrong)


@pytest.mark.parametrize(
    ("estimator", "trial", "message"),
    [
        (RothSantAnna(), panel([1, 1, 0, 0]), "No clean comparison is left"),
        (RothSantAnna(), panel([3, 3, 3]), "No clean comparison is left"),
        (RothSantAnna(), panel(WITH_NEVER, gone=tuple((i, 0) for i in range(4))), "No clean comparison is left"),
        (SyntheticDiD(), panel([3, 3, 4, 4, 5]), "never-treated clusters that are observed in every period, and there are none"),
        (SyntheticDiD(), panel(WITH_NEVER, gone=tuple((i, 2) for i in range(4, 9))), "and there are none. Add comparators="),
        (SyntheticControl(), panel([1, 1, 0, 0]), "has a period before treatment"),
        (SyntheticControl(), panel(WITH_NEVER, gone=tuple((i, 0) for i in range(4))), "Synthetic weights need whole rows"),
    ],
)
def test_bad_input_trials_without_a_comparison(estimator: sw.LinearEstimator, trial: sw.Trial, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        estimator.fit(trial)


@pytest.mark.parametrize(
    ("estimator", "trial", "message"),
    [
        (RothSantAnna(pool="never"), panel([3, 4, 0, 0, 0]), "pool='never' needs two clusters in every cohort, and some have one."),
        (RothSantAnna(pool="cohorts"), panel([2, 3, 4, 5]), "pool='cohorts' needs a cohort of two clusters, and each has one."),
        (SyntheticDiD(vcov="jackknife", df="normal"), panel([3, 4, 0, 0, 0]), "needs two treated clusters in every cohort"),
        (
            SyntheticDiD(vcov="placebo", df="normal"),
            panel([3, 3, 3, 0, 0, 0]),
            "3 never-treated clusters cannot stand in for 3 treated ones",
        ),
        (RothSantAnna(beta=1, vcov="neyman", df="normal", pool="never"), panel([3, 4, 0, 0, 0]), "pool='never'"),
    ],
)
def test_bad_input_variances_that_do_not_exist(estimator: sw.LinearEstimator, trial: sw.Trial, message: str) -> None:
    with pytest.raises(FitError, match=re.escape(message)):
        estimator.fit(trial)


def test_bad_input_in_a_stack_is_a_status() -> None:
    trials = [panel([3, 3, 0, 0, 0], seed=1), panel([3, 4, 0, 0, 0], seed=1)]
    stack = trials[0].under(np.stack([t.treatment for t in trials]), np.stack([t.exposure for t in trials]))
    for estimator in (RothSantAnna(pool="never"), SyntheticDiD(vcov="jackknife", df="normal")):
        fit = estimator.fit(stack)
        assert fit.status.tolist() == [sw.Status.OK, sw.Status.RANK_DEFICIENT]
        assert np.isnan(fit.std_error).tolist() == [False, True]


def test_bad_input_unbalanced_clusters_are_left_out_and_counted() -> None:
    gone = panel(WITH_NEVER, gone=((0, 1), (5, 3)))
    rest = panel(WITH_NEVER)
    kept = np.setdiff1d(np.arange(9), [0, 5])
    for estimator in (RothSantAnna(), SyntheticDiD()):
        fit = estimator.fit(gone)
        assert any(note.startswith("2 clusters are not observed in every period and left out") for note in fit.notes)
        weights = estimator.weights(gone)
        assert not weights[[0, 5]].any()
        alone = panel([WITH_NEVER[i] for i in kept])
        values = rest.outcome[kept]
        np.testing.assert_allclose(fit.estimate.ravel()[0], estimator.point(_with(alone, values)), atol=1e-10)


def _with(trial: sw.Trial, y: np.ndarray) -> sw.Trial:
    rows = trial.tidy()
    starts = [3, 4, 4, 0, 0, 0, 0]
    frame = rows.assign(y=y.ravel(), g=np.repeat(starts, trial.n.shape[1]))
    return sw.Trial.from_panel(frame, cluster="cluster", period="period", outcome="y", first_treated="g")


def test_bad_input_clusters_treated_from_the_start_are_left_out_and_counted() -> None:
    trial = panel([1, 3, 3, 4, 4, 0, 0, 0])
    for estimator in (RothSantAnna(), SyntheticDiD()):
        assert any(note.startswith("1 cluster is treated from the first period on") for note in estimator.fit(trial).notes)
        assert not estimator.weights(trial)[0].any()


def test_bad_input_power_of_weights_that_outcomes_make() -> None:
    design = sw.Design.stepped_wedge(clusters=5, periods=6)
    assumed = {"effect": 0.5, "size": 20, "sd": 1.0, "correlation": sw.Exchangeable(0.05)}
    with pytest.raises(DesignError, match="simulate_power with RandomisationTest"):
        sw.exact_power(design, RothSantAnna(), draws=100, **assumed)
    with pytest.raises(DesignError, match="whose weights are known beforehand"):
        sw.variance_under(RothSantAnna(), design, **assumed)
    assert sw.exact_power(design, RothSantAnna(beta=1), draws=200, **assumed).count == 120


def test_bad_input_a_pool_that_plays_no_part_is_told() -> None:
    trial = panel([3, 4, 5, 0, 0, 0])
    for estimator, told in (
        (RothSantAnna(beta=1, pool="never"), True),
        (RothSantAnna(beta=1, pool="cohorts", vcov="CR1", df="clusters"), True),
        (RothSantAnna(beta=1), False),
        (RothSantAnna(beta=1, pool="trial", vcov="neyman", df="normal"), False),
        (RothSantAnna(pool="trial"), False),
    ):
        assert any("plays no part: beta= is given" in note for note in estimator.fit(trial).notes) == told, estimator
