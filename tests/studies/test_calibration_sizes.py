"""Size and power at Family Safeguarding's sizes against published-style reference simulations, within three Monte Carlo standard errors.

The reference figures were made by another implementation, with 2,000 replicates (sizes and CR2's power) or 1,200 (everything of the
overdispersed analysis); both simulations' errors count.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from swedge.studies import family_safeguarding, size_table
from swedge.studies.sizes import ANALYSES

pytestmark = [pytest.mark.calibration, pytest.mark.slow]

GLMM, MODEL, CR0, CR2, CR3, OVERDISPERSED = (name for name, _ in ANALYSES)
REPS = 10_000

SIZES = {
    GLMM: (0.051, 0.094, 0.270),
    MODEL: (0.054, 0.104, 0.244),
    CR0: (0.223, 0.216, 0.237),
    CR2: (0.051, 0.049, 0.046),
    CR3: (0.020, 0.023, 0.019),
}
OVERDISPERSED_SIZES = (0.030, 0.048, 0.064)
CR2_POWER = {0.9: (0.105, 0.094), 0.8: (0.357, 0.282), 0.7: (0.671, 0.559)}
OVERDISPERSED_POWER = (0.469, 0.396, 0.267)

# Deviations from independent noise alike everywhere: sizes of the overdispersed analysis and CR2, then their power at an odds ratio of .8.
AUTOCORRELATED = {0.1: (0.058, 0.055, 0.432, 0.307), 0.2: (0.067, 0.052, 0.313, 0.223)}
TRENDS = {0.1: (0.023, 0.052, 0.380, 0.320), 0.2: (0.013, 0.052, 0.182, 0.235)}
ONE_NOISY = (0.077, 0.042, 0.282, 0.177)


@cache
def rejection(noise: float, odds_ratio: float = 1.0, **assumptions: object) -> dict[str, float]:
    table = size_table(reps=REPS, seed=20200901, noise=[noise], odds_ratio=odds_ratio, **assumptions)
    assert (table["n_failed"] == 0).all()
    return dict(zip(table["estimator"], table["rejection"], strict=True))


def errors_apart(ours: float, theirs: float, replicates: int, ours_replicates: int = REPS) -> float:
    pooled = (ours * ours_replicates + theirs * replicates) / (ours_replicates + replicates)
    return abs(ours - theirs) / np.sqrt(pooled * (1 - pooled) * (1 / ours_replicates + 1 / replicates))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("level", range(3))
def test_size(name: str, level: int) -> None:
    assert errors_apart(rejection((0.0, 0.1, 0.2)[level])[name], SIZES[name][level], 2000) < 3


@pytest.mark.parametrize("level", range(3))
def test_size_and_power_of_the_overdispersed_analysis(level: int) -> None:
    noise = (0.0, 0.1, 0.2)[level]
    assert errors_apart(rejection(noise)[OVERDISPERSED], OVERDISPERSED_SIZES[level], 1200) < 3
    assert errors_apart(rejection(noise, 0.8)[OVERDISPERSED], OVERDISPERSED_POWER[level], 1200) < 3


@pytest.mark.parametrize("ratio", CR2_POWER)
def test_power_of_cr2(ratio: float) -> None:
    for noise, theirs in zip((0.0, 0.1), CR2_POWER[ratio], strict=True):
        assert errors_apart(rejection(noise, ratio)[CR2], theirs, 2000) < 3


@pytest.mark.parametrize("noise", AUTOCORRELATED)
def test_noise_with_autocorrelation(noise: float) -> None:
    figures = [rejection(noise, ratio, autocorrelation=0.7) for ratio in (1.0, 0.8)]
    ours = [figure[name] for figure in figures for name in (OVERDISPERSED, CR2)]
    assert max(errors_apart(a, b, 1200) for a, b in zip(ours, AUTOCORRELATED[noise], strict=True)) < 3


@pytest.mark.parametrize("slope", TRENDS)
def test_trends_that_differ_between_authorities(slope: float) -> None:
    """The reference's slopes are per standard deviation of the period number; ours run from -1 to 1, which is 1.46 of them."""
    number = np.arange(6)
    reach = (number[-1] - number.mean()) / number.std()
    figures = [rejection(0.0, ratio, cluster_trends=float(slope * reach)) for ratio in (1.0, 0.8)]
    ours = [figure[name] for figure in figures for name in (OVERDISPERSED, CR2)]
    assert max(errors_apart(a, b, 1200) for a, b in zip(ours, TRENDS[slope], strict=True)) < 3


def test_noise_four_times_larger_in_one_authority() -> None:
    """The reference does not say which authority, so ours is the mean over the five, at a root mean square of .20."""
    scales = [tuple(np.where(np.arange(5) == i, 2.0, 0.5).tolist()) for i in range(5)]
    figures = [[rejection(0.2, ratio, noise_by_cluster=scale) for scale in scales] for ratio in (1.0, 0.8)]
    ours = [float(np.mean([figure[name] for figure in part])) for part in figures for name in (OVERDISPERSED, CR2)]
    assert max(errors_apart(a, b, 1200, 5 * REPS) for a, b in zip(ours, ONE_NOISY, strict=True)) < 3


def test_satterthwaite_df_are_about_three_and_three_quarters() -> None:
    from swedge import FixedEffects

    study = family_safeguarding()
    fit = FixedEffects().fit(study.scenario().draw(study.design, 500, np.random.default_rng(0)))
    assert float(np.mean(fit.df)) == pytest.approx(3.75, abs=0.02)


@pytest.mark.xfail(strict=True, reason="must fail: with noise of .20 the GLMM's z does not hold its size")
def test_the_glmm_holds_its_size_with_noise() -> None:
    assert errors_apart(rejection(0.2)[GLMM], 0.05, 10**9) < 3
