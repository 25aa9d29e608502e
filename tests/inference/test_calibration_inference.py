"""Size and coverage of the reference-distribution tests. A small run is part of the tests, the full one of `make calibrate`.

The seeds are fixed. A bound of 1e-3 on a chi-square, or of 3.3 Monte Carlo errors, would fail one new seed in a thousand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import swedge as sw

Array = np.ndarray
FS = sw.Design.stepped_wedge(["Wal", "Lan", "Tel", "Wan", "Swi"], strata=[["Wal", "Lan"], ["Tel", "Wan", "Swi"]])
SIZES = np.array([[500, 420, 400, 570, 330, 500]]) * np.array([[2.0], [4.0], [1.0], [1.4], [1.6]]) / 20


def sized(small: int, full: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("reps", [small, pytest.param(full, marks=pytest.mark.calibration)])


def null_trials(design: sw.Design, reps: int, seed: int, family: str = "gaussian", effect: float = 0.0) -> sw.Trial:
    """Clusters with own levels, trends and noise, some noisier than others; the allocation is drawn, and does `effect` on the link."""
    rng = np.random.default_rng(seed)
    sequences = design.random_allocations(reps, rng)
    clusters, periods = design.n_clusters, design.n_periods
    spread = np.linspace(0.5, 2, clusters)[:, None]
    line = np.linspace(-1, 1, periods)
    predictor = rng.standard_normal((clusters, 1)) + 0.3 * rng.standard_normal((reps, clusters, 1)) * line
    predictor = predictor + 0.2 * spread * rng.standard_normal((reps, clusters, periods)) + 0.2 * np.arange(periods)
    predictor = predictor + effect * design.treatment_of(sequences)
    n = np.rint(SIZES)
    if family == "gaussian":
        mean = predictor + rng.standard_normal(predictor.shape) / np.sqrt(n)
    else:
        mean = rng.binomial(n.astype(int), 1 / (1 + np.exp(1.5 - predictor))) / n
    base = sw.Trial.from_cells(n, mean, design.randomise(seed=0), family=family)
    return base.under(design.treatment_of(sequences), design.exposure_of(sequences))


def uniform(p: Array, steps: int) -> float:
    """Probability of counts this uneven over the grid of attainable p."""
    place = np.rint(p * steps).astype(int)
    assert np.abs(place - p * steps).max() < 1e-9, "p is off its grid"
    return float(stats.chisquare(np.bincount(place, minlength=steps + 1)[1:]).pvalue)


@sized(6_000, 120_000)
@pytest.mark.parametrize("estimator", [sw.WithinPeriod(), sw.TwoWayFixedEffects(weigh="equal")])
def test_p_is_uniform_on_its_grid(estimator: sw.LinearEstimator, reps: int) -> None:
    trials = null_trials(FS, reps, seed=1)
    p = sw.RandomisationTest().run(trials, estimator).p_value
    assert uniform(p, 12) > 1e-3


@sized(480, 6_000)
@pytest.mark.parametrize("statistic", ["estimate", "t"])
def test_p_of_a_log_odds_ratio_is_uniform_on_its_grid(statistic: str, reps: int) -> None:
    trials = null_trials(FS, reps, seed=2, family="binomial")
    p = np.concatenate(
        [
            sw.RandomisationTest(statistic=statistic).run(trials.replicate(slice(i, i + 240)), sw.FixedEffects()).p_value
            for i in range(0, reps, 240)
        ]
    )
    assert uniform(p, 12) > 1e-3


@sized(1_200, 20_000)
def test_an_allocation_that_was_not_randomised_breaks_it(reps: int) -> None:
    """Must fail: the clusters of most noise always go first, and the test still permutes as if that had been chance."""
    trials = null_trials(FS, reps, seed=3)
    first = np.tile([1, 0, 4, 3, 2], (reps, 1))
    trend = 0.15 * np.arange(6) * np.array([[1.0], [2.0], [0.0], [1.0], [2.0]])
    steep = replace(trials, cells=replace(trials.cells, mean=trials.cells.mean + trend[..., None]))
    p = sw.RandomisationTest().run(steep.under(FS.treatment_of(first), FS.exposure_of(first)), sw.WithinPeriod()).p_value
    assert uniform(p, 12) < 1e-6


@sized(3_000, 60_000)
@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_a_sampled_p_rejects_no_more_than_it_says_and_hardly_less(reps: int, alpha: float) -> None:
    """Sixty samples of 99 allocations, each for its share of the trials; the error is that between samples."""
    trials = null_trials(sw.Design.stepped_wedge(clusters=5, periods=6), reps, seed=4)
    blocks = [trials.replicate(slice(i, i + reps // 60)) for i in range(0, reps, reps // 60)]
    p = [sw.RandomisationTest(draws=99, seed=k).run(block, sw.WithinPeriod()).p_value for k, block in enumerate(blocks)]
    rates = np.mean(np.array(p) <= alpha + 1e-9, axis=1)
    error = rates.std(ddof=1) / np.sqrt(len(rates))
    assert rates.mean() <= alpha + 3.3 * error
    assert rates.mean() >= 0.7 * alpha - 3.3 * error


@sized(250, 4_000)
def test_the_917_interval_covers_eleven_times_in_twelve(reps: int) -> None:
    trials = null_trials(FS, reps, seed=5, effect=0.4)
    result = sw.RandomisationTest(level=11 / 12, interval=True).run(trials, sw.WithinPeriod())
    covers = (result.conf_int[:, 0] <= 0.4) & (result.conf_int[:, 1] >= 0.4)
    error = np.sqrt(11 / 12 / 12 / reps)
    assert abs(covers.mean() - 11 / 12) <= 3.3 * error
    assert (result.conf_int[:, 0] < result.estimate).all()


def placebo_p(reps: int, seed: int, treated_sd: float) -> Array:
    rng = np.random.default_rng(seed)
    design = sw.Design.from_matrix([[0, 0, 1, 1], [0, 0, 0, 1]], clusters_per_sequence=[1, 1])
    base = sw.Trial.from_cells(np.ones((14, 4)), rng.standard_normal((14, 4)), design.randomise(seed=0), comparators=list("abcdefghijkl"))
    p = []
    for k in range(reps):
        noise = rng.standard_normal((14, 4)) + rng.standard_normal((14, 1))
        noise[:2] *= treated_sd
        trial = replace(base, cells=replace(base.cells, mean=noise[..., None]))
        p.append(float(sw.PlaceboTest(draws=99, seed=k).run(trial, sw.TwoWayFixedEffects()).p_value))
    return np.array(p)


@sized(400, 4_000)
def test_placebo_size_when_treated_and_comparators_are_exchangeable(reps: int) -> None:
    """Above nominal: what is usual is learnt from 12 comparators, so a quantile is as sure as that of a normal known by 11 df."""
    p = placebo_p(reps, 6, treated_sd=1.0)
    for alpha in (0.05, 0.1, 0.5):
        error = 3.3 * np.sqrt(alpha * (1 - alpha) / reps)
        most = 2 * stats.t.sf(stats.norm.ppf(1 - alpha / 2), 11)  # .076 for .05
        assert alpha - error <= (p <= alpha).mean() <= most + error


@sized(300, 1_500)
def test_placebo_size_breaks_when_the_treated_are_noisier(reps: int) -> None:
    """Must fail: exchangeability is what the test rests on."""
    assert (placebo_p(reps, 7, treated_sd=3.0) <= 0.05).mean() > 0.2
