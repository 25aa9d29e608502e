"""Every structure of the linear mixed model against one dense covariance of all rows, on trials drawn to be awkward.

Both sides are exact at the same variances, so criterion, estimate, standard error and Kenward-Roger are compared there (1e-8); the optimum is
then compared with a direct search that shares nothing with swedge, and Satterthwaite's df with numerical derivatives.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from dense_structures import Dense, awkward_rows
from swedge.assumptions import Correlation

EFFECTS = sw.RandomEffects
STRUCTURES: dict[str, tuple[Correlation, tuple[str, ...]]] = {
    "treatment": (EFFECTS(cluster=None, treatment=None), ("cluster", "treatment")),
    "correlated": (EFFECTS(cluster=None, treatment=None, treatment_corr=None), ("cluster", "cluster_treatment", "treatment")),
    "three": (EFFECTS(cluster=None, treatment=None, cluster_period=None), ("cluster", "treatment", "cluster_period")),
    "decay": (sw.ExponentialDecay(), ("cluster_period", "autocorrelation")),
    "cluster and decay": (
        EFFECTS(cluster=None, cluster_period=None, autocorrelation=None),
        ("cluster", "cluster_period", "autocorrelation"),
    ),
    "exposure": (EFFECTS(cluster=None, exposure=None), ("cluster", "exposure")),
    "exposure, nested": (EFFECTS(cluster=None, exposure=None, cluster_period=None), ("cluster", "exposure", "cluster_period")),
}
COHORTS: dict[str, tuple[Correlation, tuple[str, ...]]] = {
    "cohort": (sw.Exchangeable(iac=None), ("cluster", "individual")),
    "block exchangeable": (sw.NestedExchangeable(iac=None), ("cluster", "individual", "cluster_period")),
    "decay, individuals": (sw.ExponentialDecay(iac=None), ("individual", "cluster_period", "autocorrelation")),
    "proportional": (sw.ProportionalDecay(), ("cluster_period", "autocorrelation")),
    "treatment, individuals": (EFFECTS(cluster=None, treatment=None, individual=None), ("cluster", "treatment", "individual")),
}
EVERY = {**STRUCTURES, **COHORTS}


def trial_of(rows: pd.DataFrame, name: str, covariates: bool) -> sw.Trial:
    named = rows.assign(cluster=rows.cluster.astype(str))
    columns = {"cluster": "cluster", "period": "period", "outcome": "y", "covariates": "age" if covariates else None}
    individual = "person" if name in COHORTS else None
    return sw.Trial.from_frame(named, trials.allocation_of(rows), individual=individual, **columns)


def dense_of(rows: pd.DataFrame, name: str, covariates: bool) -> Dense:
    x = data.model_matrix(rows)
    x = np.column_stack([x, rows.age]) if covariates else x
    periods = np.arange(rows.period.max(), dtype=float)
    return Dense(rows, x, ("residual", *EVERY[name][1]), name == "proportional", np.abs(np.subtract.outer(periods, periods)))


def found(fit: sw.Estimate, dense: Dense) -> np.ndarray:
    """The fit's variances in the dense reference's order."""
    assert set(fit.details["variances"]) == set(dense.names)
    return np.array([float(fit.details["variances"][name]) for name in dense.names])


CASES = [
    pytest.param(name, seed, gaps, covariates, id=f"{name}-{seed}{'-gaps' * gaps}{'-covariate' * covariates}")
    for name in EVERY
    for seed, gaps, covariates in [(1, False, False), (2, True, False), (3, False, True), (4, True, True)]
]


@pytest.mark.parametrize("reml", [True, False], ids=["reml", "ml"])
@pytest.mark.parametrize(("name", "seed", "gaps", "covariates"), CASES)
def test_dense_covariance(name: str, seed: int, gaps: bool, covariates: bool, reml: bool) -> None:
    rows = awkward_rows(seed, name in COHORTS, gaps)
    trial, dense = trial_of(rows, name, covariates), dense_of(rows, name, covariates)
    model = sw.MixedModel(EVERY[name][0], reml=reml, df="satterthwaite")
    fit = model.fit(trial)
    theta = found(fit, dense)
    there = dense.gls(theta, reml)
    assert fit.details["criterion"] == pytest.approx(there.criterion, abs=1e-8)
    assert fit.estimate == pytest.approx(there.beta[0], abs=1e-8)
    assert fit.std_error == pytest.approx(np.sqrt(there.cov[0, 0]), rel=1e-8)
    if fit.status == sw.Status.OK:
        assert fit.df == pytest.approx(dense.satterthwaite(theta, reml), rel=1e-4)
    if reml and fit.status == sw.Status.OK:
        std_error, df = dense.kenward_roger(theta)
        kr = sw.MixedModel(EVERY[name][0]).fit(trial)
        assert kr.std_error == pytest.approx(std_error, rel=1e-6)
        assert kr.df == pytest.approx(df, rel=1e-5)


