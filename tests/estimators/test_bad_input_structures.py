"""Structures that a trial cannot carry, cohorts that are none, and profiles of what is not there: refused with directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import reference_trials as trials
import swedge as sw
from dense_structures import awkward_rows, trial_of
from swedge.estimators.profile import profile_intervals

ROWS = awkward_rows(1, "cohort")
EFFECTS = sw.RandomEffects


def means(periods: int = 5, clusters: int = 4, design: sw.Design | None = None) -> sw.Trial:
    chosen = sw.Design.stepped_wedge(clusters=clusters, periods=periods) if design is None else design
    shape = (chosen.n_clusters, chosen.n_periods)
    mean = np.random.default_rng(0).normal(size=shape)
    return sw.Trial.from_cells(np.full(shape, 10), mean, chosen.randomise(seed=1), within=360.0)


def cohort(rows: pd.DataFrame, **more: str) -> sw.Trial:
    named = rows.assign(cluster=rows.cluster.astype(str))
    columns = {"cluster": "cluster", "period": "period", "outcome": "y", "individual": "person", **more}
    return sw.Trial.from_frame(named, trials.allocation_of(rows), **columns)


def fit(structure: object, trial: sw.Trial, **more: object) -> object:
    return sw.MixedModel(structure, **more).fit(trial)


parallel = sw.Design.parallel(clusters=6, periods=4)
one_period = sw.Design.parallel(clusters=8, periods=1)
crossed = sw.Design.crossover(clusters=8, periods=2)
BESIDE = EFFECTS(cluster=None, cluster_period=None, autocorrelation=None)
ALL_FOUR = EFFECTS(cluster=None, treatment=None, treatment_corr=None, cluster_period=None)


def neighbours(family: str = "gaussian") -> sw.Trial:
    """Each cluster seen in two neighbouring periods."""
    allocation = sw.Design.stepped_wedge(clusters=8, periods=5).randomise(seed=1)
    n = np.zeros((8, 5))
    for i, s in enumerate(allocation.sequence):
        n[i, s : s + 2] = 50
    mean = np.random.default_rng(2).binomial(50, 0.3, size=n.shape) / 50
    return sw.Trial.from_cells(n, mean, allocation, family=family, within=700.0 if family == "gaussian" else None)


def events(design: sw.Design) -> sw.Trial:
    shape = (design.n_clusters, design.n_periods)
    mean = np.random.default_rng(0).binomial(50, 0.3, size=shape) / 50
    return sw.Trial.from_cells(np.full(shape, 50), mean, design.randomise(seed=1), family="binomial")


one_number = sw.Trial.from_cells(
    np.ones((5, 6)), np.random.default_rng(0).normal(size=(5, 6)), sw.Design.stepped_wedge(5).randomise(seed=0)
)

REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "values": (lambda: sw.MixedModel(sw.Exchangeable(0.05)), sw.DesignError, r"Exchangeable states icc=0\.05; a fitted model estimates"),
    "no structure": (lambda: sw.MixedModel("nested"), sw.FitError, r"correlation='nested'; expected a structure to estimate"),
    "one arm a cluster": (
        lambda: fit(EFFECTS(cluster=None, treatment=None), means(design=parallel)),
        sw.FitError,
        "No cluster is seen both treated and untreated.*Leave treatment= out",
    ),
    "two periods": (lambda: fit(sw.ExponentialDecay(), means(2, 1)), sw.FitError, "A decay needs three periods"),
    "one number a cell": (lambda: fit(sw.NestedExchangeable(), one_number), sw.DataError, "cells hold one number each"),
    "one number a cell, treatment": (
        lambda: fit(EFFECTS(cluster=None, treatment=None, cluster_period=None), one_number),
        sw.DataError,
        "cells hold one number each",
    ),
    "one period": (
        lambda: fit(sw.NestedExchangeable(), means(design=one_period)),
        sw.FitError,
        r"cannot tell cluster and cluster_period apart.*use MixedModel\(Exchangeable\(\)\)",
    ),
    "one period, events": (
        lambda: fit(sw.NestedExchangeable(), events(one_period), df="normal"),
        sw.FitError,
        "cannot tell cluster and cluster_period apart",
    ),
    "one period, one number a cell": (
        lambda: fit(
            sw.Exchangeable(), sw.Trial.from_cells(np.full((8, 1), 9), np.arange(8.0)[:, None] ** 0.5, one_period.randomise(seed=1))
        ),
        sw.FitError,
        "cannot tell residual and cluster apart.*Pass within=",
    ),
    "two periods, four effects": (
        lambda: fit(ALL_FOUR, means(design=crossed)),
        sw.FitError,
        "cannot tell cluster, treatment_corr, treatment and cluster_period apart.*Leave one of them out",
    ),
    "two periods, four effects, events": (lambda: fit(ALL_FOUR, events(crossed), df="normal"), sw.FitError, "and cluster_period apart"),
    "neighbouring periods": (
        lambda: fit(BESIDE, neighbours()),
        sw.FitError,
        "cannot tell cluster, cluster_period and autocorrelation apart",
    ),
    "neighbouring periods, events": (
        lambda: fit(BESIDE, neighbours("binomial"), df="normal"),
        sw.FitError,
        "cannot tell cluster, cluster_period and autocorrelation apart",
    ),
    "one exposure": (lambda: fit(EFFECTS(cluster=None, exposure=None), means(2, 1)), sw.FitError, "fewer than two. Leave exposure= out"),
    "exposure twice": (
        lambda: fit(EFFECTS(cluster=None, exposure=None), means(), effect=sw.ByExposure()),
        sw.FitError,
        r"cannot be told from fixed effects of exposure time\. Use effect=Constant\(\)",
    ),
    "exposure in a cohort": (
        lambda: fit(EFFECTS(cluster=None, exposure=None, individual=None), cohort(ROWS)),
        sw.FitError,
        "not available for closed cohorts",
    ),
    "no cohort": (
        lambda: fit(sw.NestedExchangeable(iac=None), means()),
        sw.FitError,
        r"Build the trial with Trial\.from_frame\(\.\.\., individual=",
    ),
    "no cohort, proportional": (lambda: fit(sw.ProportionalDecay(), means()), sw.FitError, "without iac="),
    "incomplete": (
        lambda: cohort(ROWS.drop(index=ROWS.index[[0, 5]])),
        sw.DataError,
        r"\d of \d+ individuals are not measured in every period of their cluster \(1: \d.*keep those with all measurements",
    ),
    "twice": (lambda: cohort(pd.concat([ROWS, ROWS.iloc[:1]])), sw.DataError, "1 individual has several rows in one period"),
    "nobody": (lambda: cohort(ROWS.assign(person=ROWS.person.where(ROWS.index > 0))), sw.DataError, "1 row has no individual"),
    "no column": (lambda: cohort(ROWS, individual="child"), sw.DataError, "individual='child' is not a column of the data"),
    "groups": (lambda: cohort(ROWS.assign(size=2), size="size"), sw.DataError, "one row an individual and period"),
    "binary cohort": (lambda: cohort(ROWS.assign(y=1 * (ROWS.y > 0)), family="binomial"), sw.DataError, "needs family='gaussian'"),
    "profile of a stack": (
        lambda: profile_intervals(means().reallocated(means().design.allocations()[:2]), sw.MixedModel()),
        sw.DataError,
        r"stack of trials of shape \(2,\); take one with trial\.replicate",
    ),
    "profile of another estimator": (
        lambda: profile_intervals(means(), sw.FixedEffects()),
        sw.FitError,
        "profiled for a MixedModel of a Gaussian",
    ),
    "profile level": (
        lambda: profile_intervals(means(), sw.MixedModel(), level=95),
        sw.FitError,
        "level is 95; expected a number between 0 and 1",
    ),
    "profile term": (
        lambda: profile_intervals(means(), sw.MixedModel(), terms=["clutser"]),
        sw.FitError,
        "No parameter is called 'clutser'; there are residual; cluster; cluster_period; icc; cac. Did you mean 'cluster'",
    ),
    "profile term as text": (lambda: profile_intervals(means(), sw.MixedModel(), terms="icc"), sw.FitError, "terms is the text 'icc'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_directions(name: str) -> None:
    attempt, kind, says = REFUSED[name]
    with pytest.raises(kind, match=says):
        attempt()


def test_messages_about_cohorts_name_no_one() -> None:
    rows = ROWS.assign(person=[f"child {p}" for p in ROWS.person])
    with pytest.raises(sw.DataError) as refusal:
        cohort(rows.drop(index=rows.index[:3]))
    assert "child" not in str(refusal.value)


def test_law_structures_that_can_be_told_are_fitted() -> None:
    assert fit(sw.Exchangeable(), means(design=one_period)).df > 0
    assert fit(sw.ExponentialDecay(), neighbours()).df > 0
    assert fit(EFFECTS(cluster=None, treatment=None, cluster_period=None), means(design=crossed)).df > 0
    staircase = sw.Design.staircase(clusters=8, control=2, treated=2)
    n = np.where(np.isnan(staircase.randomise(seed=1).treatment), 0, 20)
    mean = np.random.default_rng(0).normal(size=n.shape)
    trial = sw.Trial.from_cells(n, mean, staircase.randomise(seed=1), within=float(n.sum() - (n > 0).sum()))
    assert fit(BESIDE, trial).df > 0


def test_a_trial_of_rows_keeps_its_cohort_under_other_allocations() -> None:
    trial = trial_of(ROWS, "cohort")
    other = trial.reallocated(trial.design.allocations()[:2])
    assert sw.MixedModel(sw.Exchangeable(iac=None)).fit(other).status.shape == (2,)
