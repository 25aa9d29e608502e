"""Bounded trends and pre-tests beside slow and obvious versions: linear programs a value, random search, plain simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, special

from swedge._kernels import bounded_trends
from swedge._kernels.bounded_trends import (
    Bounds,
    conditional_interval,
    fixed_length_interval,
    identified_set,
    relative_magnitudes,
    smoothness,
)
from swedge._kernels.pretest import inside_box, slope_with_power

Array = np.ndarray
MAKE = {"smoothness": smoothness, "relative magnitudes": relative_magnitudes}
SHAPES = [(1, 1), (1, 3), (3, 1), (2, 3), (4, 4)]


def problem(seed: int, before: int, after: int) -> tuple[Array, Array, Array]:
    """Estimates, a covariance with correlations of either sign, and the weights of an effect."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((before + after, before + after + 2)) / 10
    target = np.eye(after)[0] if seed % 2 else np.full(after, 1 / after)
    return rng.standard_normal(before + after) / 4, root @ root.T, target


def pieces(kind: str, before: int, after: int) -> list[Bounds]:
    return smoothness(before, after, 0.1) if kind == "smoothness" else relative_magnitudes(before, after, 0.8)


def rows_of(part: Bounds, after: int) -> tuple[Array, Array]:
    """All inequalities ``A delta <= d``."""
    main, extra = np.hstack([part.before, part.after]), np.append(part.slack, np.zeros(after))
    return np.vstack([main - extra, -main - extra]), np.full(2 * after, part.limit)


def least_slack(moments: Array, nuisance: Array, size: Array) -> tuple[float, Array]:
    """The linear program ``min eta: moments - nuisance x <= size eta``, and its multipliers."""
    count = nuisance.shape[1]
    found = optimize.linprog(
        np.append(1.0, np.zeros(count)), -np.column_stack([size, nuisance]), -moments, bounds=[(None, None)] * (count + 1)
    )
    return float(found.fun), -found.ineqlin.marginals


def accepted_by_programs(part: Bounds, estimate: Array, covariance: Array, target: Array, theta: float, ceiling: float) -> bool:
    """The two-stage test with every quantity from a linear program, at 5%."""
    after = len(target)
    rows, limit = rows_of(part, after)
    spread = rows @ covariance @ rows.T
    size = np.sqrt(np.diagonal(spread))
    basis = np.linalg.svd(target[None])[2][1:]  # effects that leave the target alone
    particular = target * theta / (target @ target)
    moments = rows @ estimate - limit - rows[:, -after:] @ particular
    nuisance = rows[:, -after:] @ basis.T
    eta, gamma = least_slack(moments, nuisance, size)
    if eta > ceiling:
        return False
    variance = gamma @ spread @ gamma
    if variance < 1e-12:
        return eta <= 0
    along = spread @ gamma / variance
    rest = moments - along * eta
    ends = []
    for sign in (1, -1):
        found = optimize.linprog(
            np.append(sign * 1.0, np.zeros(nuisance.shape[1])),
            np.column_stack([along - size, -nuisance]),
            -rest,
            bounds=[(None, None)] * (nuisance.shape[1] + 1),
        )
        ends.append(float(found.x[0]) if found.status == 0 else -sign * np.inf)
    low, high = ends[0], min(ends[1], ceiling)
    level, root = (1 - 0.05) / (1 - 0.005), np.sqrt(variance)
    cutoff = root * special.ndtri(special.ndtr(low / root) + level * (special.ndtr(high / root) - special.ndtr(low / root)))
    return eta <= max(0.0, cutoff)


@pytest.mark.parametrize(("before", "after"), SHAPES[1:])
@pytest.mark.parametrize("kind", ["smoothness", "relative magnitudes"])
def test_two_stage_test_is_that_of_linear_programs(kind: str, before: int, after: int) -> None:
    """T + 2 edges in place of a program a value: the same decision at every effect, but where both are at the edge of theirs."""
    agreed = {True: 0, False: 0}
    for seed in range(4):
        estimate, covariance, target = problem(seed, before, after)
        part = pieces(kind, before, after)[seed % len(pieces(kind, before, after))]
        edges = bounded_trends._edges(part, estimate, covariance, target)
        ceiling = bounded_trends._largest_quantile(edges.covariance, 0.995)
        grid = target @ estimate[before:] + np.linspace(-3, 3, 31)
        ours = bounded_trends._accepted(edges, grid, 0.05, ceiling)
        for theta, mine in zip(grid, ours, strict=True):
            assert accepted_by_programs(part, estimate, covariance, target, float(theta), ceiling) == mine
            agreed[bool(mine)] += 1
    assert min(agreed.values()) > 4, "both decisions were met"


@pytest.mark.parametrize("kind", ["smoothness", "relative magnitudes"])
def test_first_stage_is_that_of_linear_programs(kind: str) -> None:
    """The largest of T + 2 numbers is the program's optimum, draw by draw."""
    _, covariance, target = problem(3, 3, 4)
    part = pieces(kind, 3, 4)[0]
    rows, _ = rows_of(part, 4)
    basis = np.linalg.svd(target[None])[2][1:]
    size = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    rng = np.random.default_rng(0)
    for _ in range(30):
        errors = rng.multivariate_normal(np.zeros(7), covariance)
        edges = bounded_trends._edges(Bounds(part.before, part.after, 0.0, part.slack), errors, covariance, target)
        assert least_slack(rows @ errors, rows[:, -4:] @ basis.T, size)[0] == pytest.approx(edges.value.max(), abs=1e-9)


@pytest.mark.parametrize(("before", "after"), SHAPES)
@pytest.mark.parametrize("kind", ["smoothness", "relative magnitudes"])
def test_identified_set_is_that_of_linear_programs(kind: str, before: int, after: int) -> None:
    estimate, _, target = problem(before + after, before, after)
    ends = []
    for part in pieces(kind, before, after):
        rows, limit = rows_of(part, after)
        for sign in (1, -1):
            found = optimize.linprog(
                sign * target, rows[:, before:], limit - rows[:, :before] @ estimate[:before], bounds=[(None, None)] * after
            )
            ends += [target @ estimate[before:] - sign * found.fun] if found.status == 0 else []
    assert identified_set(pieces(kind, before, after), estimate, target) == pytest.approx((min(ends), max(ends)), abs=1e-9)


@pytest.mark.parametrize(("before", "after"), SHAPES)
@pytest.mark.parametrize("limit", [0.0, 0.02, 0.3])
def test_fixed_length_is_the_shortest(before: int, after: int, limit: float) -> None:
    """Bias from its definition, by a linear program over trends; no random weights that ignore straight lines are shorter."""
    estimate, covariance, target = problem(7 + before, before, after)
    low, high, best = fixed_length_interval(estimate, covariance, target, limit, 0.95)
    times = np.append(np.arange(-before, 0), np.arange(1, after + 1))
    assert best[before:].tolist() == target.tolist()
    assert best @ times == pytest.approx(0.0, abs=1e-9)
    assert (low + high) / 2 == pytest.approx(best @ estimate, abs=1e-12)
    assert (high - low) / 2 == pytest.approx(half_length(best, covariance, limit, before), rel=1e-7)
    rng, free = np.random.default_rng(0), np.linalg.svd(times[None, :before].astype(float))[2][1:]
    for scale in (1.0, 0.1, 0.01):
        for move in rng.standard_normal((15, before - 1)) * scale:
            other = best.copy()
            other[:before] += move @ free
            assert half_length(other, covariance, limit, before) >= (high - low) / 2 * (1 - 1e-7)


def half_length(weights: Array, covariance: Array, limit: float, before: int) -> float:
    """Worst bias over trends whose slope changes by at most `limit`, and the quantile of a folded normal about it."""
    spread = np.sqrt(weights @ covariance @ weights)
    turns = np.diff(np.insert(np.eye(len(weights)), before, 0, axis=0), 2, axis=0)
    bound = np.full(2 * len(turns), limit)
    worst = -optimize.linprog(-weights, np.vstack([turns, -turns]), bound, bounds=[(None, None)] * len(weights)).fun
    return float(spread * folded(worst / spread))


def folded(shift: float) -> float:
    return float(optimize.brentq(lambda c: special.ndtr(c - shift) - special.ndtr(-c - shift) - 0.95, 0, shift + 9, xtol=1e-12))


def test_conditional_interval_without_leeway_is_the_normal_one() -> None:
    """Relative magnitudes of 0 are parallel trends after treatment: the interval is 1.96 standard errors on either side."""
    estimate, covariance, target = problem(2, 3, 3)
    low, high, connected = conditional_interval(relative_magnitudes(3, 3, 0.0), estimate, covariance, target, 0.95)
    error = np.sqrt(target @ covariance[3:, 3:] @ target)
    assert connected
    expected = target @ estimate[3:] + np.array([-1, 1]) * 1.959963984540054 * error
    assert [low, high] == pytest.approx(expected, abs=1e-3 * error)  # the first stage's cutoff is known to 2^14 draws


@pytest.mark.parametrize("kind", ["smoothness", "relative magnitudes"])
def test_units_of_the_outcome_and_labels_of_its_sign_pass_through(kind: str) -> None:
    estimate, covariance, target = problem(4, 3, 3)
    scale = 7.0 if kind == "smoothness" else 1.0
    plain = conditional_interval(MAKE[kind](3, 3, 0.2), estimate, covariance, target, 0.95)
    bigger = conditional_interval(MAKE[kind](3, 3, 0.2 * scale), 7 * estimate, 49 * covariance, target, 0.95)
    turned = conditional_interval(MAKE[kind](3, 3, 0.2), -estimate, covariance, target, 0.95)
    assert bigger[:2] == pytest.approx(7 * np.array(plain[:2]), rel=1e-6)
    assert turned[:2] == pytest.approx(-np.array(plain[1::-1]), rel=2e-3)  # the draws of the first stage are not symmetric


@pytest.mark.parametrize("kind", ["smoothness", "relative magnitudes"])
def test_intervals_grow_with_the_bound(kind: str) -> None:
    estimate, covariance, target = problem(6, 3, 3)
    found = np.array([conditional_interval(MAKE[kind](3, 3, bound), estimate, covariance, target, 0.95)[:2] for bound in (0.2, 0.6, 1.5)])
    assert (np.diff(found[:, 0]) < 0).all()
    assert (np.diff(found[:, 1]) > 0).all()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_box_is_that_of_plain_simulation(count: int) -> None:
    rng = np.random.default_rng(count)
    root = rng.standard_normal((count, count + 1))
    covariance, mean = root @ root.T, rng.standard_normal(count)
    limit = 1.96 * np.sqrt(np.diagonal(covariance))
    drawn = rng.multivariate_normal(mean, covariance, size=400_000)
    inside = (np.abs(drawn) <= limit).all(1)
    found = inside_box(mean, covariance, limit)
    assert found.probability == pytest.approx(inside.mean(), abs=4 * np.sqrt(0.25 / 400_000))
    assert found.mean == pytest.approx(drawn[inside].mean(0), abs=4 * drawn[inside].std(0).max() / np.sqrt(inside.sum()))


def test_slope_has_the_power_asked_for() -> None:
    _, covariance, _ = problem(5, 4, 2)
    times, limit = np.arange(-4.0, 0), 1.96 * np.sqrt(np.diagonal(covariance)[:4])
    slope = slope_with_power(times, covariance[:4, :4], limit, 0.8)
    drawn = np.random.default_rng(1).multivariate_normal(slope * times, covariance[:4, :4], size=400_000)
    assert (np.abs(drawn) > limit).any(1).mean() == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 400_000))


def test_slope_of_one_period_is_the_textbook_power() -> None:
    """One effect: the slope at 80% is 1.96 + .84 standard errors, but for the far tail."""
    slope = slope_with_power(np.array([-1.0]), np.eye(1), np.array([1.959963984540054]), 0.8)
    assert special.ndtr(slope - 1.959963984540054) + special.ndtr(-slope - 1.959963984540054) == pytest.approx(0.8, abs=1e-10)
