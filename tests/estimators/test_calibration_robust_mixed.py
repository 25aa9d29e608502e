"""Size of cluster-robust tests in the linear mixed model when the working correlation is wrong.

Truths of cells: decaying noise, or clusters with straight trends of their own; the model has one random intercept a cluster, which claims
that all clusters share one secular trend. Its own standard error believes it. CR2 with Satterthwaite df does not need it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import swedge as sw

TRUTHS = ("independent", "decay", "trends")


@cache
def null_trials(replicates: int, clusters: int, truth: str, sd: float = 0.3) -> sw.Trial:
    """Cells of 50 individuals without an effect."""
    rng = np.random.default_rng(7)
    lag = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    time = (np.arange(6) - 2.5) / 2.5
    covariance = {"independent": np.eye(6), "decay": 0.8**lag, "trends": np.outer(time, time) + 1e-9 * np.eye(6)}[truth]
    noise = sd * rng.standard_normal((replicates, clusters, 6)) @ np.linalg.cholesky(covariance).T
    level = 0.3 * rng.standard_normal((replicates, clusters, 1))
    mean = level + noise + rng.standard_normal((replicates, clusters, 6)) / np.sqrt(50)
    within = rng.chisquare(clusters * 6 * 49, size=replicates)[:, None, None, None]
    allocation = sw.Design.stepped_wedge(clusters, 6).randomise(seed=0)
    return sw.Trial.from_cells(np.full((clusters, 6), 50.0), mean, allocation, within=within)


def size_of(vcov: str, df: str, trials: sw.Trial) -> float:
    """Share of null trials rejected at 5%; every one of them has numbers."""
    fit = sw.MixedModel(sw.Exchangeable(), df=df, vcov=vcov).fit(trials)
    assert (fit.status <= sw.Status.SINGULAR).all()
    return float((fit.p_value < 0.05).mean())


def test_size_with_five_clusters() -> None:
    trials = null_trials(600, 5, "decay")
    assert 0.02 < size_of("CR2", "satterthwaite", trials) < 0.085  # three standard errors about .05 are .023 to .077
    assert size_of("model", "kenward-roger", trials) > 0.2, "one that must fail: a random intercept alone"
    assert size_of("CR0", "normal", trials) > 0.1, "and a sandwich without corrections"


@pytest.mark.calibration
@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize(("clusters", "sd"), [(5, 0.1), (5, 0.3), (10, 0.3), (20, 0.3)])
def test_calibration_wrong_correlation(clusters: int, sd: float, truth: str) -> None:
    trials = null_trials(4000, clusters, truth, sd)
    assert 0.02 < size_of("CR2", "satterthwaite", trials) < 0.065, "4,000 trials: three standard errors above .05 are .060"
    assert size_of("CR3", "satterthwaite", trials) < 0.06
