"""Draws of missing values against what they ought to be drawn from: the likelihood maximised directly, brute force, closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import optimize, stats

from swedge._kernels.imputation import INTERCEPT_SD, PRIOR_SD, _near, draw_levels, draw_numbers, posterior
from swedge.inference.imputation import MultipleImputation


def columns(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.column_stack([np.ones(rows), rng.random(rows) < 0.4, rng.standard_normal(rows)])


def test_the_posterior_mode_is_the_direct_maximum_and_the_root_its_curvature() -> None:
    x = columns(300, 1)
    y = (np.random.default_rng(2).random(300) < 0.3).astype(float)
    precision = np.array([INTERCEPT_SD**-2, PRIOR_SD**-2, PRIOR_SD**-2])

    def depth(beta: np.ndarray) -> float:
        return float(np.logaddexp(0, x @ beta).sum() - y @ x @ beta + 0.5 * precision @ beta**2)

    mode, root = posterior(x, y, np.zeros(3))
    assert mode == pytest.approx(optimize.minimize(depth, np.zeros(3), tol=1e-12).x, abs=1e-5)
    h = 1e-3 * np.eye(3)
    curvature = [[(depth(mode + a + b) - depth(mode + a - b) - depth(mode - a + b) + depth(mode - a - b)) / 4e-6 for a in h] for b in h]
    assert np.linalg.inv(root.T @ root) == pytest.approx(np.array(curvature), rel=1e-4, abs=1e-4)


def test_in_large_samples_the_prior_disappears() -> None:
    x = columns(40_000, 3)
    y = (np.random.default_rng(4).random(40_000) < 1 / (1 + np.exp(1 - x[:, 1] + 0.5 * x[:, 2]))).astype(float)
    fit = sm.GLM(y, x, family=sm.families.Binomial()).fit()
    mode, root = posterior(x, y, np.zeros(3))
    assert mode == pytest.approx(fit.params, abs=0.02 * fit.bse.min())
    assert np.sqrt(np.diag(root.T @ root)) == pytest.approx(fit.bse, rel=1e-3)


@pytest.mark.parametrize("start", [0.0, 30.0])
def test_a_level_with_one_outcome_alone_stays_finite_from_any_start(start: float) -> None:
    x = columns(500, 5)
    y = (np.random.default_rng(6).random(500) < 0.3).astype(float) * (1 - x[:, 1])  # the indicator's rows are all 0
    mode, root = posterior(x, y, np.full(3, start))
    assert np.isfinite(root).all()
    assert -12 < mode[1] < -2
    assert np.sqrt((root.T @ root)[1, 1]) < PRIOR_SD


def test_nominal_levels_are_drawn_at_their_shares_given_another_column() -> None:
    """With one indicator the model is saturated, so the shares drawn are the shares observed: three levels, in no order."""
    rng = np.random.default_rng(7)
    flag = rng.random(60_000) < 0.5
    shares = np.where(flag[:, None], [0.2, 0.7, 0.1], [0.5, 0.1, 0.4])
    codes = (rng.random(60_000)[:, None] > shares.cumsum(1)).sum(1)
    seen = rng.random(60_000) < 0.5
    drawn = draw_levels(np.column_stack([np.ones(60_000), flag]), codes, seen, np.array([1, 0, 2]), np.zeros((2, 2)), rng)
    for value in (False, True):
        observed = np.bincount(codes[seen & (flag == value)], minlength=3)
        imputed = np.bincount(drawn[flag[~seen] == value], minlength=3)
        assert stats.chi2_contingency([observed, imputed]).pvalue > 1e-3


@pytest.mark.parametrize("ties", [False, True])
def test_donors_are_the_nearest_by_brute_force_and_each_is_as_likely(ties: bool) -> None:
    rng = np.random.default_rng(8)
    predicted = np.repeat(rng.standard_normal(10), 6) if ties else rng.standard_normal(60)
    for target in [*rng.standard_normal(5), predicted[3], -9.0, 9.0]:
        gaps = np.abs(predicted - target)
        allowed = np.flatnonzero(gaps <= np.sort(gaps)[4] + 1e-11)
        picked = _near(predicted, np.full(4000, target), 5, rng)
        counts = np.bincount(picked, minlength=60)
        assert set(np.flatnonzero(counts)) == set(allowed)
        assert stats.chisquare(counts[allowed]).pvalue > 1e-4
    assert len(allowed) == (6 if ties else 5)


def test_fewer_observed_rows_than_donors() -> None:
    x = np.column_stack([np.ones(5), np.arange(5.0)])
    drawn = draw_numbers(x, np.array([1.0, 2, 3, 0, 0]), np.arange(5) < 3, 10, np.random.default_rng(0))
    assert set(drawn) <= {1.0, 2.0, 3.0}


def test_numbers_keep_their_regression_on_the_outcome() -> None:
    """Rows go missing by the outcome: the complete rows' mean of z is wrong, the completed one right."""
    rng = np.random.default_rng(9)
    y = rng.standard_normal(20_000)
    z = 2 * y + rng.standard_normal(20_000)
    df = pd.DataFrame({"y": y, "z": np.where(rng.random(20_000) < 1 / (1 + np.exp(-y)), np.nan, z)})
    made = [frame["z"] for frame in MultipleImputation(imputations=5, seed=1).completed(df, ["y", "z"])]
    assert df["z"].mean() < -0.7
    assert np.mean([values.mean() for values in made]) == pytest.approx(z.mean(), abs=0.06)
    assert np.mean([np.polyfit(y, values, 1)[0] for values in made]) == pytest.approx(2, abs=0.03)


def test_the_spread_between_sets_is_that_of_theory() -> None:
    """A proportion, half of it missing at random: the variance between sets is the posterior's plus the draw's."""
    rng = np.random.default_rng(10)
    df = pd.DataFrame({"v": np.where(rng.random(2000) < 0.5, np.nan, rng.random(2000) < 0.3), "u": rng.random(2000) < 0.5})
    seen, share = int(df["v"].notna().sum()), float(df["v"].mean())
    means = [frame["v"].mean() for frame in MultipleImputation(imputations=400, seed=2).completed(df, ["v", "u"])]
    gone = 2000 - seen
    theory = (gone / 2000) ** 2 * share * (1 - share) * (1 / seen + 1 / gone)
    assert 400 * np.var(means, ddof=1) / theory == pytest.approx(400, abs=4 * np.sqrt(2 * 400))
