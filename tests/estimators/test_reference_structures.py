"""Every structure of the linear mixed model against one dense covariance of all rows, on trials drawn to be awkward.

Both sides are exact at the same variances, so criterion, estimate, standard error and Kenward-Roger are compared there (1e-8); the optimum
is then compared with a direct search that shares nothing with swedge, and Satterthwaite's df with numerical derivatives.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference_trials as trials
import swedge as sw
from dense_structures import EVERY, Dense, awkward_rows, dense_of, trial_of


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
    rows = awkward_rows(seed, name, gaps)
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


def from_free(name: str, point: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Variances from numbers without bounds: logarithms, and a decay as a squared sine, which reaches 0 and 1."""
    part = dict(zip(names, np.exp(np.clip(point, -25, 8)), strict=True))
    if "autocorrelation" in part:
        part["autocorrelation"] = np.sin(point[names.index("autocorrelation")]) ** 2
    if "cluster_treatment" in part:
        share = np.tanh(point[names.index("cluster_treatment")])
        part["cluster_treatment"] = share * np.sqrt(part["cluster"] * part["treatment"])
    return np.array([part[n] for n in names])


@pytest.mark.parametrize("name", EVERY)
def test_no_direct_search_finds_less(name: str) -> None:
    """Nelder-Mead from points that owe nothing to swedge ends at the same height, or above where it gets stuck."""
    rows = awkward_rows(1, name)
    dense = dense_of(rows, name)
    fit = sw.MixedModel(EVERY[name][0], df="normal").fit(trial_of(rows, name))
    starts = np.array([np.full(len(dense.names), level) for level in (-0.5, 0.5)])
    found = dense.minimum(lambda point: from_free(name, point, dense.names), starts, reml=True)
    assert found == pytest.approx(
        float(fit.details["criterion"]), abs=2e-5
    )  # the search steps in logarithms: a zero is never quite reached
    assert fit.details["criterion"] < found + 1e-7


def test_decay_follows_the_calendar() -> None:
    rows = awkward_rows(3, "decay")
    boundaries = ["2024-01-01", "2024-02-01", "2024-05-01", "2024-06-01", "2025-01-01", "2025-02-01"]
    plain = trials.allocation_of(rows)
    matrix = plain.design.matrix
    design = sw.Design.from_matrix(
        matrix,
        clusters_per_sequence=[list(plain.sequence).count(s) for s in range(len(matrix))],
        clusters=plain.design.clusters,
        boundaries=boundaries,
    )
    allocation = design.allocate(dict(zip(plain.design.clusters, map(int, plain.sequence), strict=True)))
    trial = sw.Trial.from_frame(rows.assign(cluster=rows.cluster.astype(str)), allocation, cluster="cluster", period="period", outcome="y")
    fit = sw.MixedModel(sw.ExponentialDecay(), df="normal").fit(trial)
    edges = np.array(boundaries, dtype="datetime64[D]").astype(float)
    middles = (edges[1:] + edges[:-1]) / 2
    lag = np.abs(np.subtract.outer(middles, middles)) / np.diff(middles).mean()
    dense = replace(dense_of(rows, "decay"), lag=lag)
    there = dense.gls(found(fit, dense))
    assert fit.details["criterion"] == pytest.approx(there.criterion, abs=1e-8)
    assert fit.estimate == pytest.approx(there.beta[0], abs=1e-8)
