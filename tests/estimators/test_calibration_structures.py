"""Size of the linear mixed model's test under a decaying truth: Kenward-Roger holds it with five clusters, a lone intercept does not."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw


def null_trials(replicates: int, clusters: int, sd: float, decay: float) -> sw.Trial:
    """Cells of 50 individuals with decaying cluster-by-period noise and no effect."""
    generator = np.random.default_rng(1)
    lag = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    root = np.linalg.cholesky(sd**2 * decay**lag + 1e-12 * np.eye(6))
    noise = generator.standard_normal((replicates, clusters, 6)) @ root.T
    mean = noise + generator.standard_normal((replicates, clusters, 6)) / np.sqrt(50)
    within = generator.chisquare(clusters * 6 * 49, size=replicates)[:, None, None, None]
    return sw.Trial.from_cells(np.full((clusters, 6), 50.0), mean, sw.Design.stepped_wedge(clusters, 6).randomise(seed=0), within=within)


def size_of(model: sw.MixedModel, trials: sw.Trial) -> tuple[float, float]:
    """Share of null trials rejected at 5%, and share without numbers."""
    fit = model.fit(trials)
    usable = fit.status <= sw.Status.SINGULAR
    return float((fit.p_value[usable] < 0.05).mean()), float((~usable).mean())


def test_size_with_five_clusters() -> None:
    trials = null_trials(400, 5, 0.3, 0.8)
    rejected, lost = size_of(sw.MixedModel(sw.ExponentialDecay()), trials)
    assert 0.01 < rejected < 0.09  # three standard errors about .05 are .017 to .083
    assert lost == 0
    assert size_of(sw.MixedModel(sw.Exchangeable()), trials)[0] > 0.15, "one that must fail: a random intercept alone"


@pytest.mark.calibration
@pytest.mark.parametrize("decay", [0.3, 0.8])
@pytest.mark.parametrize(("clusters", "sd"), [(5, 0.0), (5, 0.1), (5, 0.3), (10, 0.1), (10, 0.3)])
def test_calibration_decay(clusters: int, sd: float, decay: float) -> None:
    rejected, lost = size_of(sw.MixedModel(sw.ExponentialDecay()), null_trials(4000, clusters, sd, decay))
    assert rejected < 0.062, "4,000 trials: three standard errors above .05 are .060"
    assert lost < 0.02, "a decay of noise that is hardly there leaves some adjusted variances below 0"
