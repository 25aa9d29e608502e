"""Size and coverage where the procedure is repeated: tests for few treated clusters, and intervals under trends within their bound."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw
from swedge._kernels.bounded_trends import conditional_interval, fixed_length_interval, relative_magnitudes, smoothness
from swedge.inference.evidence import split_evidence
from swedge.inference.few_treated import ConleyTaberTest, FermanPintoTest

Array = np.ndarray
PERIODS = 12


def noise(rng: np.random.Generator, clusters: int) -> Array:
    """Cluster levels and autocorrelated errors of variance 1."""
    error = rng.standard_normal((clusters, PERIODS))
    for t in range(1, PERIODS):
        error[:, t] = 0.5 * error[:, t - 1] + np.sqrt(0.75) * error[:, t]
    return error


def rejections(test: ConleyTaberTest | FermanPintoTest, treated: int, others: int, reps: int, sizes: Array | None = None) -> float:
    """How often a true null is rejected at 5% under two-way fixed effects of cells weighed alike."""
    rng = np.random.default_rng(treated + 10 * others)
    starts = np.linspace(4, 9, treated).round().astype(int) if treated > 1 else [6]
    arms = np.array([[t >= start for t in range(PERIODS)] for start in starts] + [[False] * PERIODS] * others)
    rows = [list(map(int, row)) for row in arms[:treated]]
    design = sw.Design.from_matrix(rows, clusters_per_sequence=[1] * treated)
    allocation = design.allocate({name: k for k, name in enumerate(design.clusters)})
    n = np.ones((treated + others, 1)) if sizes is None else sizes[:, None]
    count = 0
    for _ in range(reps):
        y = rng.standard_normal((len(n), 1)) + noise(rng, len(n)) / np.sqrt(n)
        cells = np.broadcast_to(n, y.shape)
        trial = sw.Trial.from_cells(cells, y, allocation, comparators=[f"other {k}" for k in range(others)])
        count += p_of(test, trial) <= 0.05 + 1e-12
    return count / reps


def p_of(test: ConleyTaberTest | FermanPintoTest, trial: sw.Trial) -> float:
    """The p value, without the interval that takes Ferman and Pinto's test its time."""
    if isinstance(test, ConleyTaberTest):
        return float(test.run(trial, sw.TwoWayFixedEffects(weigh="equal")).p_value)
    estimator = sw.TwoWayFixedEffects(weigh="equal")
    reference = test._reference(trial, estimator.weights(trial), 0.0)
    return float(((np.abs(reference) >= abs(estimator.point(trial))).sum() + 1) / (len(reference) + 1))


MIXED_SIZES = np.repeat([20.0, 400.0], [1, 40])


def test_size_is_near_nominal_in_few_repeats() -> None:
    """300 repeats see a size of 12% for sure, and let 5% pass: the limits are 4 standard errors of a proportion."""
    assert abs(rejections(FermanPintoTest(draws=199), 5, 10, 300) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 300)


@pytest.mark.calibration
@pytest.mark.parametrize(
    ("test", "treated", "others"),
    [
        (ConleyTaberTest(draws=999), 1, 40),
        (ConleyTaberTest(draws=999), 5, 40),
        (FermanPintoTest(draws=999), 1, 40),
        (FermanPintoTest(draws=999), 5, 10),
    ],
)
def test_calibration_size_of_tests_for_few_treated(test: ConleyTaberTest | FermanPintoTest, treated: int, others: int) -> None:
    """3% to 8%: three Monte Carlo errors of 2,000 repeats are 1.5 points, and the tests are not exact (docstrings: 10,000 repeats)."""
    assert 0.03 < rejections(test, treated, others, 2000) < 0.08


@pytest.mark.calibration
def test_calibration_few_comparators_break_conley_taber() -> None:
    """What the note warns of: it must be seen to fail."""
    assert rejections(ConleyTaberTest(draws=999), 5, 10, 2000) > 0.09


@pytest.mark.calibration
def test_calibration_size_differences_break_conley_taber_and_not_ferman_pinto() -> None:
    """One treated cluster of 20 among 40 of 400."""
    assert rejections(ConleyTaberTest(draws=999), 1, 40, 500, MIXED_SIZES) > 0.4
    assert rejections(FermanPintoTest(draws=999), 1, 40, 2000, MIXED_SIZES) < 0.2


@pytest.mark.calibration
def test_calibration_parts_of_a_split_have_their_size() -> None:
    """600 null trials; the limit is 4 Monte Carlo errors above 5%, and Conley and Taber's test with 10 comparators must break it."""
    design, rng, found = sw.Design.stepped_wedge(clusters=5, periods=6), np.random.default_rng(0), []
    for seed in range(600):
        y = rng.standard_normal((15, 1)) + noise(rng, 15)[:, :6]
        trial = sw.Trial.from_cells(np.ones((15, 6)), y, design.randomise(seed=seed), comparators=[f"other {k}" for k in range(10)])
        table = split_evidence(trial, sw.TwoWayFixedEffects(), draws=199).tidy()
        found.append((table["p_value"] <= 0.05 + 1e-12).to_numpy())
    sizes = dict(zip(table["term"] + ", " + table["test"], np.mean(found, 0), strict=True))
    assert sizes.pop("parallel trends, conley-taber") > 0.1
    assert max(sizes.values()) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)


def coverage(kind: str, reps: int) -> float:
    """How often the truth, 0, is covered under the steepest trend within the bound."""
    before, after, bound = 3, 3, 0.5
    target, rng = np.array([0.0, 0.0, 1.0]), np.random.default_rng(5)
    times = np.array([-3.0, -2, -1, 1, 2, 3])
    curved = np.where(times > 0, 0.5 * bound * times * (times + 1), 0.0)
    delta = np.where(times > 0, bound * times, times) if kind == "relative magnitudes" else curved
    covariance = 0.3 * np.eye(6) + 0.2
    inside = 0
    for estimate in rng.multivariate_normal(delta, covariance, size=reps):
        if kind == "relative magnitudes":
            low, high, _ = conditional_interval(relative_magnitudes(before, after, bound), estimate, covariance, target, 0.95)
        elif kind == "conditional":
            low, high, _ = conditional_interval(smoothness(before, after, bound), estimate, covariance, target, 0.95)
        else:
            low, high, _ = fixed_length_interval(estimate, covariance, target, bound, 0.95)
        inside += low <= 0 <= high
    return inside / reps


@pytest.mark.parametrize("kind", ["fixed length", "conditional", "relative magnitudes"])
def test_bounds_cover_in_few_repeats(kind: str) -> None:
    assert coverage(kind, 60) > 0.95 - 4 * np.sqrt(0.05 * 0.95 / 60)


@pytest.mark.calibration
@pytest.mark.parametrize("kind", ["fixed length", "conditional", "relative magnitudes"])
def test_calibration_bounds_cover(kind: str) -> None:
    assert coverage(kind, 2000) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.calibration
def test_calibration_a_steeper_trend_is_not_covered() -> None:
    """The bound matters: without leeway the same trend must be seen to break the interval."""
    rng, covariance, target = np.random.default_rng(6), 0.01 * np.eye(6), np.array([0.0, 0.0, 1.0])
    delta = np.array([0.0, 0, 0, 0.5, 1.5, 3])
    found = [fixed_length_interval(y, covariance, target, 0.0, 0.95)[:2] for y in rng.multivariate_normal(delta, covariance, size=200)]
    assert np.mean([low <= 0 <= high for low, high in found]) < 0.5
