"""Bad input of Callaway-Sant'Anna, Sun-Abraham and cluster covariates: what is wrong, where, and what to do."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.errors import DataError, FitError
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.sun_abraham import SunAbraham

OWN = {"vcov": "influence", "df": "normal"}


def panel(starts: list[float], periods: int = 4, seed: int = 0) -> sw.Trial:
    i, t = (index.ravel() for index in np.indices((len(starts), periods)))
    y = np.random.default_rng(seed).normal(size=len(i))
    rows = pd.DataFrame({"c": [f"c{k}" for k in i], "t": t + 1, "y": y, "g": np.array(starts, dtype=float)[i]})
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")


WITH_NEVER = [2, 2, 3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CallawaySantAnna(controls="nottreated"), "controls='nottreated'; expected one of never, not_yet."),
        (lambda: CallawaySantAnna(aggregate="grup"), "Did you mean 'group'?"),
        (lambda: CallawaySantAnna(base="short"), "expected one of varying, universal"),
        (lambda: CallawaySantAnna(adjust="dr"), "expected one of doubly robust, outcome regression, ipw"),
        (lambda: CallawaySantAnna(adjust=None), "adjust=None"),
        (lambda: CallawaySantAnna(anticipation=-1), "anticipation=-1; expected a whole number of periods, 0 or more."),
        (lambda: CallawaySantAnna(anticipation=0.5), "anticipation=0.5"),
        (lambda: CallawaySantAnna(anticipation=True), "anticipation=True"),
        (lambda: CallawaySantAnna(balance=1), "needs aggregate='dynamic', not 'simple'"),
        (lambda: CallawaySantAnna(balance=-1, aggregate="dynamic"), "balance=-1"),
        (lambda: CallawaySantAnna(covariates="x"), "expected a tuple of column names"),
        (lambda: CallawaySantAnna(covariates=(1,)), "expected a tuple of column names"),
        (lambda: CallawaySantAnna(covariates=1), "expected a tuple of column names"),
        (lambda: CallawaySantAnna(cluster="state"), "needs vcov='influence', not 'CR2'"),
        (lambda: CallawaySantAnna(cluster=1, **OWN), "cluster=1; expected the name of a column"),
        (lambda: CallawaySantAnna(vcov="influence"), "no Satterthwaite df"),
        (lambda: CallawaySantAnna(vcov="saturated", df="normal"), "vcov='saturated'; expected one of CR0, CR1, CR2, CR3, influence."),
        (lambda: SunAbraham(aggregate="simple"), "expected one of att, cohort, dynamic, None"),
        (lambda: SunAbraham(vcov="fixest"), "expected one of CR0, CR1, CR2, CR3, influence, saturated."),
        (lambda: SunAbraham(vcov="saturated"), "no Satterthwaite df"),
    ],
)
def test_bad_input_of_a_choice(make: object, message: str) -> None:
    with pytest.raises(FitError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("estimator", "starts", "message"),
    [
        (CallawaySantAnna(), [2, 3, 4], "Use controls='not_yet', or add never-treated comparators."),
        (CallawaySantAnna(), [1, 1, 0], "more periods before treatment"),
        (CallawaySantAnna(anticipation=2), [2, 3, 0], "1 never-treated clusters"),
        (CallawaySantAnna(controls="not_yet"), [2, 2, 2], "No clean comparison is left: 1 groups"),
        (SunAbraham(), [3, 3], "No clean comparison is left"),
        (CallawaySantAnna(), [0, 0], "No cluster is ever treated"),
    ],
)
def test_bad_input_without_a_clean_comparison(estimator: sw.Estimator, starts: list[float], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        estimator.fit(panel(starts))


def test_groups_that_drop_out_are_named() -> None:
    fit = CallawaySantAnna(aggregate="group").fit(panel([1, 2, 2, 3, 3, 0, 0, 0]))
    assert fit.terms == ("overall", "group 2", "group 3")
    assert any("No effect of the groups first treated in 1:" in note for note in fit.notes)


def test_bad_input_of_an_unbalanced_panel() -> None:
    trial = panel(WITH_NEVER)
    n = trial.cells.n.copy()
    n[0, 3] = 0
    gap = sw.Trial(sw.Cells(n, trial.cells.mean), trial.treatment, trial.exposure, "gaussian", trial.clusters, periods=trial.periods)
    with pytest.raises(DataError, match=r"1 of 8 clusters is not observed in every period.*Use CallawaySantAnna"):
        SunAbraham().fit(gap)
    notes = CallawaySantAnna(**OWN).fit(gap).notes
    assert any("1 of 8 clusters is not observed in every period; each joins" in note for note in notes)


def test_bad_input_of_covariates() -> None:
    trial = panel(WITH_NEVER)
    size = np.array([3.0, 1.0, 2.0, 5.0, 2.5, 4.0, 1.5, 3.5])
    table = pd.DataFrame({"x": size, "apart": np.arange(8) < 4, "alike": 1.0, "text": "a"}, index=trial.clusters)
    with pytest.raises(DataError, match=r"no cluster covariates, so no 'x'. Add them by trial.with_cluster_covariates"):
        CallawaySantAnna(covariates=("x",)).fit(trial)
    trial = trial.with_cluster_covariates(table)
    for name, error, message in (
        ("xx", DataError, "'xx' is no cluster covariate. Did you mean 'x'? They are x; apart; alike; text."),
        ("text", DataError, "'text' holds text. Code it as numbers"),
        ("alike", DataError, "alike is the same for every cluster"),
        ("apart", FitError, "cannot be adjusted for in 6 comparisons (group 2, time 2; group 2, time 3; group 2, time 4; and 3 more)"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            CallawaySantAnna(covariates=(name,), **OWN).fit(trial)
    with pytest.raises(DataError, match="'states' is no cluster covariate"):
        CallawaySantAnna(cluster="states", **OWN).fit(trial)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ([1, 2], "are a list; pass a DataFrame"),
        (pd.DataFrame({"x": [1.0]}, index=["c0"]), "c1; c2; c3; and 4 more have no row (7 in all). Index the frame by cluster name"),
        (pd.DataFrame({"x": np.ones(9)}, index=["c0", *(f"c{i}" for i in range(8))]), "c0 has several rows (1 in all)"),
        (pd.DataFrame({"x": [np.nan, *np.ones(7)]}, index=[f"c{i}" for i in range(8)]), "x (1 cluster) has missing values"),
        (pd.DataFrame(np.ones((8, 2)), columns=["x", "x"], index=[f"c{i}" for i in range(8)]), "x is the name of several columns"),
    ],
)
def test_bad_input_of_cluster_covariates(frame: object, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        panel(WITH_NEVER).with_cluster_covariates(frame)


def test_cluster_covariates_are_put_in_the_trials_order() -> None:
    trial = panel(WITH_NEVER)
    frame = pd.DataFrame({"x": np.arange(9.0)}, index=[*reversed(trial.clusters), "elsewhere"])
    assert trial.with_cluster_covariates(frame).cluster_column("x").tolist() == list(np.arange(7.0, -1, -1))
