"""The cluster-robust variance of weighted cell means against its definition on dense matrices, and on panels too large for those."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from swedge._kernels import linear_robust as kernel
from swedge._kernels.linear_robust import WorkingModel, linear_robust

Array = np.ndarray
ROOT = {
    "CR0": lambda m: np.eye(len(m)),
    "CR1": lambda m: np.eye(len(m)),
    "CR2": lambda m: powered(m, -0.5),
    "CR3": lambda m: powered(m, -1.0),
}


def powered(matrix: Array, power: float) -> Array:
    """A power of a symmetric matrix, directions without length left out."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.where(values > 1e-9, np.abs(values) ** power, 0.0)) @ vectors.T


def drawn(clusters: int, periods: int, levels: bool, seed: int = 0, weighed: bool = False) -> tuple[Array, Array, WorkingModel]:
    """Weights of three effects, outcomes, and a model with staggered treatment; a tenth of the cells are missing.

    `weighed` rows are multiplied by the square roots of weights between 1 and 100.
    """
    rng = np.random.default_rng(seed)
    seen = (rng.random((clusters, periods)) > 0.1).astype(float)
    arm = np.arange(periods) >= rng.integers(1, periods + 3, (clusters, 1))
    columns = np.stack([*np.broadcast_to(np.eye(periods)[:, None], (periods, clusters, periods)), arm]) * seen
    weights, y = rng.normal(size=(3, clusters, periods)) * seen, rng.normal(size=(clusters, periods)) * seen
    scale = np.sqrt(rng.uniform(1, 100, seen.shape)) if weighed else 1.0
    return weights, y, WorkingModel(columns * scale, seen * scale if levels else 0 * seen)


def by_definition(kind: str, weights: Array, y: Array, model: WorkingModel) -> tuple[Array, Array, Array]:
    """Covariance, df and the share not seen, with one column for each cluster and the whole residual maker."""
    clusters, periods = y.shape
    own = [np.ravel(np.eye(clusters)[i][:, None] * model.levels) for i in range(clusters)]
    x = np.stack([*model.columns.reshape((len(model.columns), -1)), *own], -1)
    basis = linalg.orth(x, rcond=1e-10)
    maker = np.eye(len(x)) - basis @ basis.T
    residual = maker @ y.ravel()
    cells = [slice(i * periods, (i + 1) * periods) for i in range(clusters)]
    bent = np.zeros((len(weights), clusters, len(x)))
    for i, at in enumerate(cells):
        bent[:, i, at] = weights[:, i] @ ROOT[kind](maker[at, at])
    pulls = bent @ residual
    factor = clusters / (clusters - 1) if kind == "CR1" else 1.0
    gram = bent @ maker @ bent.swapaxes(-1, -2)
    df = np.array([np.trace(g) ** 2 / np.trace(g @ g) for g in gram])
    fitted = [linalg.null_space(maker[at, at], rcond=1e-9) for at in cells]
    lost = sum(((weights[:, i] @ exact) ** 2).sum(-1) for i, exact in enumerate(fitted))
    return factor * pulls @ pulls.T, df, lost / (weights**2).sum((-2, -1))


@pytest.mark.parametrize("gram", [kernel.GRAM, 0], ids=["gram", "sums of products"])
@pytest.mark.parametrize(("levels", "weighed"), [(True, False), (False, False), (True, True), (False, True)])
@pytest.mark.parametrize("kind", ROOT)
@pytest.mark.parametrize(("clusters", "periods"), [(5, 6), (15, 12), (40, 4)])
def test_reference_dense(
    clusters: int, periods: int, kind: str, levels: bool, weighed: bool, gram: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "GRAM", gram)
    weights, y, model = drawn(clusters, periods, levels, weighed=weighed)
    found = linear_robust(kind, weights, y, model)
    covariance, df, alone = by_definition(kind, weights, y, model)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9, atol=1e-10 * np.abs(covariance).max())
    np.testing.assert_allclose(found.df, df, rtol=1e-9)
    np.testing.assert_allclose(found.alone, alone, rtol=1e-9, atol=1e-12)
    assert (alone > 0).all() or not levels  # weights at random see the constants of clusters, which are fitted exactly


def test_reference_a_lone_treated_cluster_leaves_one_part_in_the_number_of_controls() -> None:
    """Mean change against the controls' mean: treated cells have I - 1 of I parts of the squared weights, and residuals of 0."""
    arm = np.zeros((6, 4))
    arm[0, 2:] = 1
    rows = np.where(np.arange(6) == 0, 1.0, -0.2)[:, None]
    weights = (rows * np.array([-0.5, -0.5, 0.5, 0.5]))[None]
    model = WorkingModel(np.stack([*np.broadcast_to(np.eye(4)[:, None], (4, 6, 4)), arm]), np.ones((6, 4)))
    found = linear_robust("CR2", weights, np.random.default_rng(0).normal(size=(6, 4)), model)
    np.testing.assert_allclose(found.alone, 5 / 6, rtol=1e-12)


def test_reference_a_stack_is_a_loop() -> None:
    parts = [drawn(8, 5, True, seed) for seed in range(3)]
    weights, y = (np.stack([part[k] for part in parts]) for k in (0, 1))
    model = WorkingModel(np.stack([part[2].columns for part in parts]), np.stack([part[2].levels for part in parts]))
    together = linear_robust("CR2", weights, y, model)
    for k, part in enumerate(parts):
        alone = linear_robust("CR2", *part)
        np.testing.assert_allclose(together.covariance[k], alone.covariance, rtol=1e-10)
        np.testing.assert_allclose(together.df[k], alone.df, rtol=1e-10)


def test_reference_a_large_panel() -> None:
    """20,000 clusters: with so many, leverage is nothing and CR2 is the plain sum of squares."""
    weights, y, model = drawn(20_000, 6, True)
    corrected, plain = (linear_robust(kind, weights, y, model) for kind in ("CR2", "CR0"))
    centred = weights - model.levels * weights.sum(-1, keepdims=True) / np.maximum(model.levels.sum(-1, keepdims=True), 1)
    np.testing.assert_allclose(plain.covariance, corrected.covariance, rtol=2e-3, atol=1e-4 * plain.covariance.max())
    # Under errors of equal variance CR2 is unbiased: its mean is the sum of squared weights free of clusters' means, but for T + 1 columns.
    # 20,000 products have a Monte Carlo error of about 1%.
    expected = (centred**2).sum((-2, -1))
    np.testing.assert_allclose(np.diag(corrected.covariance), expected, rtol=0.05)
    assert (corrected.df > 10_000).all()


@pytest.mark.parametrize("levels", [True, False])
def test_reference_what_a_working_model_leaves(levels: bool) -> None:
    """Least squares on the columns and, with levels, one more for each cluster."""
    _, y, model = drawn(9, 5, levels, weighed=True)
    own = [np.ravel(np.eye(9)[i][:, None] * model.levels) for i in range(9)]
    x = np.stack([*model.columns.reshape((len(model.columns), -1)), *own], -1)
    left = y.ravel() - x @ np.linalg.lstsq(x, y.ravel(), rcond=None)[0]
    np.testing.assert_allclose(kernel.unexplained(model, y).ravel(), left, atol=1e-12)
    together = kernel.unexplained(model, np.stack([y, 2 * y]))
    np.testing.assert_allclose(together.reshape((2, -1)), np.stack([left, 2 * left]), atol=1e-12)


def test_reference_clusters_that_cr1_counts() -> None:
    """Those with weight, or as many as it is told: one without weight has data all the same."""
    weights, y, model = drawn(8, 5, True)
    weights[:, 0] = 0
    plain = linear_robust("CR0", weights, y, model).covariance
    np.testing.assert_allclose(linear_robust("CR1", weights, y, model).covariance, 7 / 6 * plain, rtol=1e-12)
    np.testing.assert_allclose(linear_robust("CR1", weights, y, model, np.array(8.0)).covariance, 8 / 7 * plain, rtol=1e-12)


def test_reference_residuals_that_mirror_each_other_leave_a_variance_of_0() -> None:
    """Two clusters with periods and an effect of their own: each pull is 0 but for rounding, and a number for it would be noise."""
    arm = np.zeros((2, 3))
    arm[0, 1:], arm[1, 2:] = 1, 1
    model = WorkingModel(np.stack([*np.broadcast_to(np.eye(3)[:, None], (3, 2, 3)), arm]), np.zeros((2, 3)))
    own = kernel.unexplained(model._replace(columns=model.columns[:3]), arm)
    found = linear_robust("CR0", (own / (own**2).sum())[None], np.array([[0.3, 0.1, 0.9], [0.8, 0.2, 0.4]]), model)
    assert found.covariance == 0
