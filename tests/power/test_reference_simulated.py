"""Simulated power against closed forms that owe nothing to swedge: dense covariances, w'Vw, and the noncentral t."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

import reference
import swedge as sw

Array = np.ndarray
ICC, CAC, SD, SIZE = 0.08, 0.6, 1.5, 10


def cell_covariance(periods: int) -> Array:
    """Covariance of one cluster's cell means: tau2 everywhere, gamma2 on the diagonal, residual over the size."""
    tau2, gamma2 = SD**2 * ICC * CAC, SD**2 * ICC * (1 - CAC)
    return np.full((periods, periods), tau2) + np.eye(periods) * (gamma2 + SD**2 * (1 - ICC) / SIZE)


def truth(effect: float) -> sw.Scenario:
    return sw.Scenario("gaussian", baseline=3.0, effect=effect, size=SIZE, sd=SD, trend=-0.2, correlation=sw.NestedExchangeable(ICC, CAC))


def linear_variance(treatment: Array, own: bool) -> float:
    """The double sum w_s V_st w_t over cells of a cluster, added over clusters."""
    weights = reference.linear_weights(
        reference.cell_design(treatment, own), np.full(treatment.shape, float(SIZE)), np.ones(treatment.shape, bool)
    )
    covariance, total = cell_covariance(treatment.shape[1]), 0.0
    for i, s, t in product(range(len(weights)), range(weights.shape[1]), range(weights.shape[1])):
        total += weights[i, s] * covariance[s, t] * weights[i, t]
    return total


def gls_variance(treatment: Array) -> float:
    x = reference.cell_design(treatment, cluster_effects=False)
    v = np.kron(np.eye(len(treatment)), cell_covariance(treatment.shape[1]))
    return float(np.linalg.inv(x.T @ np.linalg.inv(v) @ x)[0, 0])


@pytest.mark.parametrize(("name", "own"), [("within", False), ("two-way", True)])
def test_estimates_of_linear_estimators_are_normal_with_variance_w_v_w(name: str, own: bool) -> None:
    """5,000 trials: the mean within 4 standard errors, the variance within 4 of its own (2 / R), the power of z within 4 of its own."""
    design = sw.Design.stepped_wedge(clusters=4, periods=5)
    estimator = {"within": sw.WithinPeriod(), "two-way": sw.TwoWayFixedEffects()}[name]
    variance = linear_variance(design.matrix, own)
    effect, reps = 2.0 * np.sqrt(variance), 5_000
    power = sw.simulate_power(design, truth(effect), {name: estimator}, reps=reps, seed=1)
    z = power.draws[name].estimate / np.sqrt(variance)
    assert abs(z.mean() - 2) < 4 / np.sqrt(reps)
    assert abs(z.var(ddof=1) - 1) < 4 * np.sqrt(2 / reps)
    assert stats.kstest(z - 2, "norm").pvalue > 1e-4
    expected = stats.norm.sf(1.959964 - 2) + stats.norm.cdf(-1.959964 - 2)
    assert abs((np.abs(z) > 1.959964).mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / reps)


@pytest.mark.parametrize(("strength", "seed"), [(0.0, 2), (2.0, 3), (3.2, 4)])
def test_power_of_the_mixed_model_is_that_of_gls_at_known_variances(strength: float, seed: int) -> None:
    """With 24 clusters Kenward-Roger's df are many, about 110. The variances are estimated all the same, which the noncentral t allows for;
    what is left is a point of power beside 3.5 Monte Carlo errors.
    """
    design = sw.Design.stepped_wedge(clusters=24, periods=5)
    variance = gls_variance(design.matrix[np.repeat(np.arange(4), 6)])
    reps = 1_500
    power = sw.simulate_power(design, truth(strength * np.sqrt(variance)), {"mixed": sw.MixedModel()}, reps=reps, seed=seed).tidy().iloc[0]
    df = 110
    critical = stats.t.isf(0.025, df)
    expected = stats.nct.sf(critical, df, strength) + stats.nct.cdf(-critical, df, strength)
    assert abs(power.power - expected) < 3.5 * np.sqrt(expected * (1 - expected) / reps) + 0.01
    assert power.empirical_se == pytest.approx(np.sqrt(variance), rel=3.5 / np.sqrt(2 * reps) + 0.01)
    assert power.model_se == pytest.approx(np.sqrt(variance), rel=0.05)
    assert abs(power.bias) < 3.5 * np.sqrt(variance / reps)
    assert abs(power.coverage - 0.95) < 3.5 * np.sqrt(0.05 * 0.95 / reps) + 0.005


def test_rejections_of_the_exact_test_by_refitting_every_allocation() -> None:
    """Twelve trials, twelve allocations each, least squares for every one: the same p as in the power run."""
    design = sw.Design.stepped_wedge(["a", "b", "c", "d", "e"], strata=[["a", "b"], ["c", "d", "e"]])
    method = {"exact": (sw.TwoWayFixedEffects(weigh="equal"), sw.RandomisationTest())}
    power = sw.simulate_power(design, truth(1.0), method, reps=12, seed=9)
    trial = truth(1.0).draw(design, 12, np.random.default_rng(np.random.SeedSequence(9, spawn_key=(0,))))

    def estimate(treatment: Array, y: Array) -> float:
        return abs(float(np.linalg.lstsq(reference.cell_design(treatment, True), y.ravel(), rcond=None)[0][0]))

    for k in range(12):
        y = trial.outcome[k]
        own = estimate(trial.treatment[k], y)
        far = [estimate(design.matrix[list(drawn)], y) for drawn in reference.every_allocation(range(5), [[0, 1], [2, 3, 4]])]
        assert power.draws["exact"].p_value[k] == pytest.approx(np.mean(np.array(far) >= own * (1 - 1e-9)))
