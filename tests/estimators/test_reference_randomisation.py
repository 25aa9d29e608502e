"""Randomisation tests against brute force: every permutation by itertools, and intervals by trying a fine grid."""

from __future__ import annotations

import numpy as np
import pytest

import reference
import swedge as sw

LINEAR = {
    "within": (sw.WithinPeriod(), False),
    "two-way": (sw.TwoWayFixedEffects(weigh="equal"), True),
}
# name: matrix, clusters per sequence, strata of cluster indices with their sequences
DESIGNS = {
    "wedge": ([[0] * k + [1] * (5 - k) for k in range(1, 5)], [1, 1, 1, 1], None),
    "pairs": ([[0, 1, 1], [0, 0, 1]], [3, 3], None),
    "strata": ([[0] * k + [1] * (6 - k) for k in range(1, 6)], [1] * 5, [[0, 1], [2, 3, 4]]),
    "gaps": ([[0, None, 1, 1], [0, 0, None, 1], [0, 0, 0, 1]], [2, 1, 2], None),
}


def make(name: str) -> tuple[sw.Design, np.ndarray, list[int], list[list[int]] | None]:
    matrix, counts, strata = DESIGNS[name]
    names = [f"c{i}" for i in range(sum(counts))]
    sequence = [int(s) for s in np.repeat(np.arange(len(counts)), counts)]
    design = sw.Design.from_matrix(
        matrix,
        clusters_per_sequence=counts,
        clusters=names,
        strata=None if strata is None else [[names[i] for i in stratum] for stratum in strata],
    )
    return design, np.array(matrix, float), sequence, strata


def statistic_of(own_effects: bool) -> object:
    def statistic(mean: np.ndarray, treatment: np.ndarray) -> float:
        seen = ~np.isnan(treatment)
        x = reference.cell_design(treatment, cluster_effects=own_effects)[seen.ravel()]
        return float(np.linalg.lstsq(x, mean[seen], rcond=None)[0][0])

    return statistic


@pytest.mark.parametrize("name", ["wedge", "pairs", "strata"])
@pytest.mark.parametrize("estimator", LINEAR)
@pytest.mark.parametrize("seed", range(3))
def test_p_and_interval(name: str, estimator: str, seed: int) -> None:
    design, matrix, sequence, strata = make(name)
    generator = np.random.default_rng(seed)
    drawn = [int(s) for s in generator.permutation(sequence)] if strata is None else sequence
    mean = generator.standard_normal(matrix[drawn].shape).round(3) + 0.6 * matrix[drawn]
    chosen, own_effects = LINEAR[estimator]
    statistic = statistic_of(own_effects)
    allocations = reference.every_allocation(drawn, strata)

    def p_of(theta: float) -> float:
        return reference.randomisation_p(statistic, mean, matrix, drawn, allocations, theta)

    trial = sw.Trial.from_cells(np.ones(mean.shape), mean, design.allocate(dict(zip(design.clusters, drawn, strict=True))))
    alpha = max(0.25, 1.5 / len(allocations))
    result = sw.RandomisationTest(level=1 - alpha).run(trial, chosen)
    assert result.n_allocations == len(allocations) == design.count()
    assert result.p_value == pytest.approx(p_of(0.0))
    own = sorted(statistic(mean, matrix[list(one)]) for one in allocations)
    assert np.sort(np.ravel(result.reference)) == pytest.approx(own, abs=1e-10)
    low, high = np.ravel(result.conf_int)
    estimate = statistic(mean, matrix[drawn])
    width = high - low if np.isfinite(high - low) else 10.0
    grid = estimate + np.linspace(-1.5, 1.5, 401) * width
    first, last = reference.not_rejected(p_of, grid, alpha)
    step = grid[1] - grid[0]
    assert first == pytest.approx(max(low, grid[0]), abs=1.01 * step)
    assert last == pytest.approx(min(high, grid[-1]), abs=1.01 * step)


@pytest.mark.parametrize("name", DESIGNS)
def test_permitted_allocations_are_those_of_itertools(name: str) -> None:
    design, _, sequence, strata = make(name)
    allocations = reference.every_allocation(sequence, strata)
    assert design.count() == len(allocations)
    assert sorted(map(tuple, np.asarray(design.allocations()).tolist())) == allocations


@pytest.mark.parametrize("collected", [True, False], ids=["every cell", "only the cells of the allocation"])
@pytest.mark.parametrize("seed", range(3))
def test_allocations_that_would_have_left_out_other_cells(seed: int, collected: bool) -> None:
    design, matrix, sequence, _ = make("gaps")
    mean = np.random.default_rng(seed).standard_normal(matrix[sequence].shape)
    kept = np.ones(mean.shape, bool) if collected else ~np.isnan(matrix[sequence])

    def statistic(y: np.ndarray, treatment: np.ndarray) -> float:
        return reference.within_period(y, treatment, (kept & ~np.isnan(treatment)).astype(float))

    expected = reference.randomisation_p(statistic, mean, matrix, sequence, reference.every_allocation(sequence))
    allocation = design.allocate(dict(zip(design.clusters, sequence, strict=True)))
    result = sw.RandomisationTest(interval=False).run(sw.Trial.from_cells(kept.astype(int), mean * kept, allocation), sw.WithinPeriod())
    assert result.p_value == pytest.approx(expected)


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_an_infinite_interval_says_why(name: str, level: float) -> None:
    design, matrix, sequence, _ = make(name)
    mean = np.random.default_rng(0).standard_normal(matrix[sequence].shape)
    trial = sw.Trial.from_cells(np.ones(mean.shape), mean, design.allocate(dict(zip(design.clusters, sequence, strict=True))))
    result = sw.RandomisationTest(level=level).run(trial, sw.WithinPeriod())
    if np.isinf(result.conf_int).any():
        assert result.notes, "no effect can be rejected at this level, and the result does not say so"


def test_t_statistic_by_brute_force() -> None:
    design, matrix, sequence, _ = make("wedge")
    mean = np.random.default_rng(4).standard_normal((4, 5)) + 0.5 * matrix
    cluster = np.repeat(np.arange(4), 5)

    def studentised(y: np.ndarray, treatment: np.ndarray) -> float:
        x = reference.cell_design(treatment, cluster_effects=True)
        beta, weight, residual = reference.glm(y.ravel(), x, "gaussian")
        return float(beta[0] / reference.cluster_robust(x, weight, residual, cluster, "CR2")[0])

    expected = reference.randomisation_p(studentised, mean, matrix, sequence, reference.every_allocation(sequence))
    trial = sw.Trial.from_cells(np.ones((4, 5)), mean, design.allocate(dict(zip(design.clusters, sequence, strict=True))))
    result = sw.RandomisationTest(statistic="t", interval=False).run(trial, sw.TwoWayFixedEffects(weigh="equal"))
    assert result.p_value == pytest.approx(expected)


def test_gaussian_mixed_model_by_brute_force() -> None:
    design, matrix, sequence, _ = make("wedge")
    generator = np.random.default_rng(6)
    n = generator.integers(2, 6, size=(4, 5))
    y = [generator.standard_normal(k) + 0.4 * d for k, d in zip(n.ravel(), matrix.ravel(), strict=True)]
    mean = np.array([v.mean() for v in y]).reshape(4, 5)
    within = float(sum(((v - v.mean()) ** 2).sum() for v in y))
    rows = np.repeat(np.arange(20), n.ravel())
    flat = np.concatenate(y)

    def estimate(_: np.ndarray, treatment: np.ndarray) -> float:
        x = reference.cell_design(treatment, cluster_effects=False)[rows]
        blocks = reference.lmm_blocks(flat, x, rows // 5, rows % 5, nested=False)
        return float(reference.fit_lmm(blocks)[1].beta[0])

    expected = reference.randomisation_p(estimate, mean, matrix, sequence, reference.every_allocation(sequence))
    trial = sw.Trial.from_cells(n, mean, design.allocate(dict(zip(design.clusters, sequence, strict=True))), within=[[within]])
    result = sw.RandomisationTest(interval=False).run(trial, sw.MixedModel(sw.Exchangeable()))
    assert result.p_value == pytest.approx(expected)
