"""Randomisation tests against brute force: p, and the interval as the set of effects that the test does not reject.

Reference p values come from tests/reference.py and statsmodels, allocation by allocation. Each end is probed a little inside and outside;
the step is far above the rounding that ties are given (1e-9) and, for the bisection, above its last halving.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import reference
import swedge as sw

Array = np.ndarray
Strata = list[list[int]] | None

# name: matrix, clusters per sequence, strata of clusters
DESIGNS: dict[str, tuple[list[list[float | None]], list[int], Strata]] = {
    "wedge": ([[0] * k + [1] * (5 - k) for k in range(1, 5)], [1] * 4, None),
    "strata": ([[0] * k + [1] * (6 - k) for k in range(1, 6)], [1] * 5, [[0, 1], [2, 3, 4]]),
    "pairs": ([[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]], [2, 1, 2], None),
    "mirror": ([[0, 0, 1], [0, 0, 0]], [3, 3], None),
    "gaps": ([[0, None, 1, 1], [0, 0, None, 1], [0, 0, 0, 1]], [2, 1, 2], None),
    "partial": ([[0, 0.5, 1, 1], [0, 0, 0.5, 1], [0, 0, 0, 0.5]], [1, 2, 1], None),
}


@dataclass(frozen=True)
class Problem:
    """One data set: the design, the allocation carried out, cells."""

    matrix: Array
    sequence: list[int]
    strata: Strata
    n: Array
    mean: Array
    design: sw.Design

    @property
    def drawn(self) -> list[tuple[int, ...]]:
        return reference.every_allocation(self.sequence, self.strata)

    def trial(self, family: str = "gaussian") -> sw.Trial:
        allocation = self.design.allocate(dict(zip(self.design.clusters, self.sequence, strict=True)))
        return sw.Trial.from_cells(self.n, self.mean, allocation, family=family)


@cache
def design_of(name: str) -> sw.Design:
    matrix, counts, strata = DESIGNS[name]
    names = [f"c{i}" for i in range(sum(counts))]
    named = None if strata is None else [[names[i] for i in stratum] for stratum in strata]
    return sw.Design.from_matrix(matrix, clusters_per_sequence=counts, clusters=names, strata=named)


def problem(name: str, seed: int, coarse: bool = False) -> Problem:
    """A random data set; a coarse one has outcomes in halves and equal cells, so that statistics tie."""
    matrix, _, strata = DESIGNS[name]
    rng = np.random.default_rng([seed, 7])
    design = design_of(name)
    sequence = [int(s) for s in design.random_allocations(1, rng)[0]]
    table = np.array(matrix, float)
    shape = table[sequence].shape
    n = np.ones(shape) if coarse else rng.choice([1.0, 2.0, 5.0, 30.0], shape)
    noise = rng.standard_normal(shape) + rng.standard_normal((shape[0], 1))
    mean = (np.round(2 * noise) / 2 if coarse else noise) + 0.5 * np.nan_to_num(table[sequence])
    return Problem(table, sequence, strata, n, mean, design)


def weights_of(one: Problem, drawn: tuple[int, ...], own: bool, by_size: bool) -> Array:
    """Cell weights of a regression on periods (and clusters), by a pseudo-inverse."""
    treatment = one.matrix[list(drawn)]
    seen = ~np.isnan(treatment)
    weight = one.n if by_size else np.ones_like(one.n)
    return reference.linear_weights(reference.cell_design(treatment, own), weight, seen)


LINEAR: dict[str, tuple[sw.LinearEstimator, bool, bool]] = {
    "within": (sw.WithinPeriod(), False, False),
    "within size": (sw.WithinPeriod(weigh="size"), False, True),
    "two-way": (sw.TwoWayFixedEffects(), True, True),
    "two-way equal": (sw.TwoWayFixedEffects(weigh="equal"), True, False),
}


def linear_p(one: Problem, weigh: Callable[[tuple[int, ...]], Array]) -> Callable[[float], float]:
    """The p of `effect = theta`, from the weights under every allocation."""
    table = np.stack([weigh(drawn) for drawn in one.drawn])
    observed = weigh(tuple(one.sequence))
    arm = np.nan_to_num(one.matrix[one.sequence])

    def p_of(theta: float) -> float:
        y = one.mean - theta * arm
        far, near = np.abs((table * y).sum((-2, -1))), abs((observed * y).sum())
        return float(np.mean(far >= near - 1e-9 * max(far.max(), 1e-3)))

    return p_of


def probe(p_of: Callable[[float], float], interval: Array, alpha: float, step: float) -> None:
    """Accepted just inside each end, rejected just outside it."""
    low, high = np.ravel(interval)
    assert low < high
    for end, outwards in ((low, -1.0), (high, 1.0)):
        if np.isfinite(end):
            assert p_of(end - outwards * step) > alpha + 1e-9
            assert p_of(end + outwards * step) <= alpha + 1e-9


CASES = [(seed, list(DESIGNS)[seed % 6], list(LINEAR)[seed // 6 % 4], bool(seed // 24 % 2)) for seed in range(100)]


@pytest.mark.parametrize(("seed", "name", "estimator", "coarse"), CASES)
def test_linear_interval_on_a_hundred_data_sets(seed: int, name: str, estimator: str, coarse: bool) -> None:
    one = problem(name, seed, coarse)
    chosen, own, by_size = LINEAR[estimator]
    p_of = linear_p(one, lambda drawn: weights_of(one, drawn, own, by_size))
    level = (0.6, 0.8, 0.95)[seed % 3]
    result = sw.RandomisationTest(level=level).run(one.trial(), chosen)
    assert result.p_value == pytest.approx(p_of(0.0), abs=1e-12)
    assert result.n_allocations == len(one.drawn)
    low, high = np.ravel(result.conf_int)
    if 1 - level < result.min_p - 1e-9:
        assert (low, high) == (-np.inf, np.inf)
        offered = np.ravel(result.offered_conf_int)
        assert result.offered_level == pytest.approx(1 - result.min_p)
        probe(p_of, offered, result.min_p, 1e-6)
        return
    probe(p_of, result.conf_int, 1 - level, 1e-6)
    beyond = np.geomspace(1e-3, 1e3, 25)
    outside = [theta for theta in (*(low - beyond), *(high + beyond)) if np.isfinite(theta)]
    assert all(p_of(theta) <= 1 - level + 1e-9 for theta in outside), "an effect beyond the ends is not rejected"


def test_the_hundred_data_sets_hold_what_is_hard() -> None:
    """Infinite intervals and ties: else the hundred would prove little."""
    ties, infinite = 0, 0
    for seed, name, estimator, coarse in CASES:
        one = problem(name, seed, coarse)
        result = sw.RandomisationTest(level=(0.6, 0.8, 0.95)[seed % 3]).run(one.trial(), LINEAR[estimator][0])
        infinite += bool(np.isinf(result.conf_int).any())
        ties += len(np.unique(np.abs(np.ravel(result.reference)).round(9))) < len(one.drawn)
    assert ties >= 20
    assert infinite >= 5


@dataclass(frozen=True)
class Extrapolation(sw.LinearEstimator):
    """Twice the comparison in the second period less that in the third. Its weights reach beyond 1, and so do its slopes."""

    def weights(self, trial: sw.Trial) -> Array:
        treated, weights = trial.arm == 1, np.zeros(trial.arm.shape)
        for period, factor in ((1, 2.0), (2, -1.0)):
            one, zero = treated[..., period], ~treated[..., period]
            weights[..., period] = factor * (one / one.sum(-1, keepdims=True) - zero / zero.sum(-1, keepdims=True))
        return weights

    def _fit(self, trial: sw.Trial) -> sw.Estimate:
        raise NotImplementedError


@pytest.mark.parametrize("seed", range(30))
def test_interval_of_an_estimator_with_slopes_beyond_one(seed: int) -> None:
    one = problem(["wedge", "strata", "pairs"][seed % 3], seed, seed % 2 == 0)

    def weigh(drawn: tuple[int, ...]) -> Array:
        table = np.zeros(one.mean.shape)
        for period, factor in ((1, 2.0), (2, -1.0)):
            arms = one.matrix[list(drawn)][:, period]
            for i, arm in enumerate(arms):
                table[i, period] = factor / (arms == 1).sum() if arm == 1 else -factor / (arms == 0).sum()
        return table

    arm = one.matrix[one.sequence]
    slopes = np.array([(weigh(drawn) * arm).sum() for drawn in one.drawn])
    assert np.abs(slopes).max() > 1 + 1e-6
    p_of = linear_p(one, weigh)
    result = sw.RandomisationTest(level=0.75).run(one.trial(), Extrapolation())
    assert result.p_value == pytest.approx(p_of(0.0), abs=1e-12)
    probe(p_of, result.conf_int, 0.25, 1e-6)
    centre, half = float(result.estimate), 20 * float(np.std(result.reference))
    inside = [theta for theta in np.linspace(centre - half, centre + half, 401) if p_of(theta) > 0.25 + 1e-9]
    assert result.conf_int[0] <= min(inside) + 1e-9
    assert result.conf_int[1] >= max(inside) - 1e-9
    between = np.linspace(*np.clip(result.conf_int, centre - half, centre + half), 401)
    gap = any(p_of(theta) <= 0.25 + 1e-9 for theta in between[1:-1])
    said = any("do not form one interval" in note for note in result.notes)
    assert said or not gap, "a gap between effects that are not rejected goes unsaid"


def test_a_stack_with_intervals_is_its_trials_one_by_one() -> None:
    trials = [problem("wedge", seed) for seed in range(3)]
    one = trials[0]
    stack = sw.Trial.from_cells(one.n, np.stack([t.mean for t in trials]), one.trial().allocation)
    test = sw.RandomisationTest(level=0.8, interval=True)
    together = test.run(stack, sw.WithinPeriod())
    each = [test.run(stack.replicate(k), sw.WithinPeriod()) for k in range(3)]
    assert together.p_value.tolist() == [float(r.p_value) for r in each]
    assert together.conf_int == pytest.approx(np.stack([r.conf_int for r in each]))
    assert np.isnan(sw.RandomisationTest().run(stack, sw.WithinPeriod()).conf_int).all()


# Statistics that are no weighted sums: the interval is searched by doubling and bisection -------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_interval_of_a_t_statistic(seed: int) -> None:
    """CR2 of the dense sandwich under every allocation; the ends are the first around the estimate."""
    one = problem(["wedge", "strata"][seed % 2], seed)
    shape = one.mean.shape
    cluster, weight = np.repeat(np.arange(shape[0]), shape[1]), one.n.ravel()

    def t_of(y: Array, drawn: tuple[int, ...]) -> float:
        x = reference.cell_design(one.matrix[list(drawn)], cluster_effects=True)
        root = np.sqrt(weight)
        beta = np.linalg.lstsq(root[:, None] * x, root * y.ravel(), rcond=None)[0]
        residual = root * (y.ravel() - x @ beta)
        return float(beta[0] / reference.cluster_robust(x, weight, residual, cluster, "CR2")[0])

    def p_of(theta: float) -> float:
        y = one.mean - theta * one.matrix[one.sequence]
        far = np.abs([t_of(y, drawn) for drawn in one.drawn])
        return float(np.mean(far >= abs(t_of(y, tuple(one.sequence))) * (1 - 1e-9)))

    result = sw.RandomisationTest(statistic="t", level=0.8).run(one.trial(), sw.TwoWayFixedEffects())
    assert result.p_value == pytest.approx(p_of(0.0))
    assert result.conf_int[0] < result.estimate < result.conf_int[1]
    probe(p_of, result.conf_int, 0.2, 1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_interval_of_a_log_odds_ratio(seed: int) -> None:
    """The null is an offset on the logit scale: statsmodels with offset, allocation by allocation."""
    one = problem("strata", seed)
    rng = np.random.default_rng(seed)
    n = rng.integers(60, 200, one.mean.shape)
    events = rng.binomial(n, 1 / (1 + np.exp(1.2 - 0.3 * one.mean)))
    one = Problem(one.matrix, one.sequence, one.strata, n.astype(float), events / n, one.design)
    arm = one.matrix[one.sequence].ravel()
    counts = np.column_stack([events.ravel(), (n - events).ravel()])

    def estimate(drawn: tuple[int, ...], theta: float) -> float:
        x = reference.cell_design(one.matrix[list(drawn)], cluster_effects=True)
        return float(sm.GLM(counts, x, sm.families.Binomial(), offset=theta * arm).fit(tol=1e-12).params[0])

    def p_of(theta: float) -> float:
        far = np.abs([estimate(drawn, theta) for drawn in one.drawn])
        return float(np.mean(far >= abs(estimate(tuple(one.sequence), theta)) - 1e-8))

    result = sw.RandomisationTest(level=0.75).run(one.trial("binomial"), sw.FixedEffects())
    assert result.p_value == pytest.approx(p_of(0.0))
    own = sorted(estimate(drawn, 0.0) for drawn in one.drawn)
    assert np.sort(result.reference) == pytest.approx(own, abs=1e-8)
    probe(p_of, result.conf_int, 0.25, 1e-5)


def test_interval_of_an_adjusted_log_odds_ratio() -> None:
    """Covariate patterns against a logistic regression on rows, the offset of the null row by row."""
    one = problem("wedge", 3)
    rng = np.random.default_rng(3)
    la, period, sex = (index.ravel().repeat(12) for index in np.indices((4, 5, 2)))
    arm = one.matrix[one.sequence][la, period]
    y = rng.binomial(1, 1 / (1 + np.exp(0.8 - 0.3 * la + 0.5 * arm - 0.4 * sex)))
    frame = pd.DataFrame({"la": np.array(one.design.clusters)[la], "period": period + 1, "sex": sex, "y": y})
    allocation = one.design.allocate(dict(zip(one.design.clusters, one.sequence, strict=True)))
    trial = sw.Trial.from_frame(frame, allocation, cluster="la", period="period", outcome="y", family="binomial", covariates="C(sex)")
    indicators = np.column_stack([np.eye(5)[period], np.eye(4)[la][:, 1:], sex])

    def estimate(drawn: tuple[int, ...], theta: float) -> float:
        x = np.column_stack([one.matrix[list(drawn)][la, period], indicators])
        return float(sm.GLM(y.astype(float), x, sm.families.Binomial(), offset=theta * arm).fit(tol=1e-12).params[0])

    def p_of(theta: float) -> float:
        far = np.abs([estimate(drawn, theta) for drawn in one.drawn])
        return float(np.mean(far >= abs(estimate(tuple(one.sequence), theta)) - 1e-8))

    result = sw.RandomisationTest(level=0.75).run(trial, sw.FixedEffects())
    assert result.p_value == pytest.approx(p_of(0.0))
    probe(p_of, result.conf_int, 0.25, 1e-5)


def test_bisection_and_sweep_find_the_same_interval() -> None:
    """A two-way regression of all individuals is both a weighted sum and a `FixedEffects`, which is searched."""
    for seed in range(4):
        one = problem("wedge", 40 + seed)
        sweep = sw.RandomisationTest(level=0.8).run(one.trial(), sw.TwoWayFixedEffects())
        search = sw.RandomisationTest(level=0.8).run(one.trial(), sw.FixedEffects())
        assert search.p_value == sweep.p_value
        if not any("do not form" in note for note in sweep.notes):
            assert search.conf_int == pytest.approx(sweep.conf_int, abs=1e-6)


@pytest.mark.parametrize("effect", [sw.Delayed(1), sw.Linear(2)])
def test_interval_of_an_effect_that_builds_up_holds_its_estimate(effect: sw.Delayed) -> None:
    """What is taken out follows the curve that is estimated, so at the estimate nothing is left."""
    one = problem("wedge", 3)
    estimator = sw.FixedEffects(effect=effect)
    result = sw.RandomisationTest(level=0.8).run(one.trial(), estimator)
    assert result.conf_int[0] < result.estimate < result.conf_int[1]
    left = estimator.fit(estimator.null(one.trial(), result.estimate))
    assert left.estimate == pytest.approx(0, abs=1e-9)
