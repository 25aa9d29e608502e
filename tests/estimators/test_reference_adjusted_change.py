"""A propensity score exists unless a plane tells treated from control clusters apart, however far some controls are."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import linprog

from swedge._kernels.adjusted_change import TRIMMED, adjusted_change
from swedge._kernels.glm import EDGE
from swedge.assumptions import family_named

Array = np.ndarray


def sample(seed: int) -> tuple[Array, Array, Array]:
    """Who is treated, covariates with the constant, and changes; treated clusters lie 0 to 3 standard deviations off."""
    rng = np.random.default_rng([seed, 3])
    count, treated, width = int(rng.integers(10, 40)), int(rng.integers(1, 6)), int(rng.integers(1, 3))
    z = rng.normal(size=(count, width)) if seed % 3 else rng.integers(0, 3, size=(count, width)).astype(float)
    apart = np.arange(count) < treated
    z[apart, 0] += rng.choice([0, 1, 2, 3])
    return apart, np.column_stack([np.ones(count), (z - z.mean(0)) / z.std(0)]), rng.normal(size=count)


def separated(treated: Array, x: Array) -> bool:
    """Whether some plane has all treated clusters on one side or on it, and all controls on the other, not all of them on it."""
    side = np.where(treated, 1.0, -1.0)[:, None] * x
    return -linprog(-side.sum(0), A_ub=-side, b_ub=np.zeros(len(x)), bounds=[(-1, 1)] * x.shape[1]).fun > 1e-8


def by_hand(treated: Array, x: Array, change: Array) -> tuple[float, Array]:
    """The doubly robust effect with a score by statsmodels, and that score."""
    chance = sm.GLM(treated.astype(float), x, family=sm.families.Binomial()).fit(maxiter=200, tol=1e-14).mu
    odds = np.where(~treated & (chance < TRIMMED), chance / (1 - chance), 0.0)
    fitted = x @ np.linalg.lstsq(x[~treated], change[~treated], rcond=None)[0]
    return float(((treated / treated.sum() - odds / odds.sum()) * (change - fitted)).sum()), chance


def test_reference_a_score_is_refused_where_a_plane_separates_and_only_there() -> None:
    apart, far = 0, 0
    for seed in range(300):
        treated, x, change = sample(seed)
        if np.linalg.matrix_rank(x[~treated]) < x.shape[1]:
            continue
        with np.errstate(all="ignore"):
            found = adjusted_change(treated, ~treated, x, change, family_named("binomial"), True, True)
        if separated(treated, x):
            apart += 1
            assert np.isnan(found.share).all(), seed
            continue
        effect, chance = by_hand(treated, x, change)
        far += bool((chance * (1 - chance) < EDGE).any())
        assert float((found.share * change).sum()) == pytest.approx(effect, abs=1e-8), seed
    assert apart > 50
    # Scores that used to be refused for one control that is as good as certain to be one.
    assert far > 3
