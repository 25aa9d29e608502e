"""Two-way fixed effects, which sweep clusters out, against least squares with a column for each cluster and the whole hat matrix."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import reference
import swedge as sw

Array = np.ndarray
KINDS = ("CR0", "CR1", "CR2", "CR3")


class Dense(NamedTuple):
    """Estimate, standard error, Satterthwaite df and weights of cells."""

    estimate: float
    std_error: float
    df: float
    weights: Array


def panel(seed: int, clusters: int = 14, periods: int = 6, sizes: bool = True, fresh: bool = True) -> sw.Trial:
    """Staggered starts beside never-treated clusters; cells of sizes 1 to 300, a seventh of them missing, and one cluster seen once."""
    rng = np.random.default_rng(seed)
    start = np.where(rng.random(clusters) < 0.35, 0, rng.integers(2, periods + 1, clusters))
    start[:4] = 2, 2, 0, 0
    i, t = (index.ravel() for index in np.indices((clusters, periods)))
    rows = pd.DataFrame({"c": [f"c{k:03d}" for k in i], "t": t + 1, "g": start[i], "cell": np.arange(len(i))})
    rows["y"] = rng.normal(size=len(i)) + 3 * rng.normal(size=clusters)[i] + 0.2 * t
    rows["n"] = np.rint(np.exp(rng.uniform(0, np.log(300), len(i)))) if sizes else 1.0
    kept = (rng.random(len(i)) > 1 / 7) & ((i > 0) | (t == 3))
    rows = rows[kept | (i == 1) | (i == 2)]
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g", size="n")


def dense(trial: sw.Trial, kind: str, weigh: str) -> Dense:
    """One row a cell observed, one column for the treatment, each period and each cluster but one."""
    i, t = np.nonzero(trial.n > 0)
    weight = trial.n[i, t] if weigh == "size" else np.ones(len(i))
    columns = [trial.arm[i, t][:, None], t[:, None] == np.unique(t), i[:, None] == np.unique(i)[1:]]
    x = np.concatenate(columns, 1).astype(float)
    beta, working, residual = reference.glm(trial.outcome[i, t], x, "gaussian", weight)
    weights = np.zeros(trial.n.shape)
    weights[i, t] = np.linalg.solve((x.T * weight) @ x, x.T * weight)[0]
    return Dense(beta[0], *reference.cluster_robust(x, working, residual, i, kind), weights)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weigh", ["size", "equal"])
@pytest.mark.parametrize("seed", range(4))
def test_reference_ragged_weighted_panels(seed: int, weigh: str, kind: str) -> None:
    trial = panel(seed)
    expected = dense(trial, kind, weigh)
    fit = sw.TwoWayFixedEffects(weigh=weigh, vcov=kind).fit(trial)
    np.testing.assert_allclose([fit.estimate, fit.std_error, fit.df], expected[:3], rtol=1e-8)
    np.testing.assert_allclose(sw.TwoWayFixedEffects(weigh=weigh).weights(trial), expected.weights, atol=1e-11)
    clusters = (trial.n > 0).any(-1).sum() - 1
    assert [sw.TwoWayFixedEffects(weigh, kind, df).fit(trial).df for df in ("clusters", "normal")] == [clusters, np.inf]


@pytest.mark.parametrize("weigh", ["size", "equal"])
def test_reference_more_clusters_than_their_gram_matrix_is_made_for(weigh: str) -> None:
    trial = panel(4, clusters=340, periods=4)
    fit = sw.TwoWayFixedEffects(weigh=weigh).fit(trial)
    np.testing.assert_allclose([fit.estimate, fit.std_error, fit.df], dense(trial, "CR2", weigh)[:3], rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_reference_stacks_of_exposures_of_outcomes_and_of_sizes(kind: str) -> None:
    """Comparators and missing cells in each."""
    rng = np.random.default_rng(7)
    design = sw.Design.stepped_wedge(clusters=6, periods=4)
    n = rng.integers(1, 50, (9, 4)) * (rng.random((9, 4)) > 0.1)
    one = sw.Trial.from_cells(n, rng.normal(size=(9, 4)), design.randomise(seed=0), comparators=["x", "y", "z"])
    means, sizes = rng.normal(size=(5, 9, 4)), rng.integers(1, 50, (5, 9, 4)).astype(float)
    drawn = one.reallocated(design.random_allocations(5, rng))
    stacks = [drawn, *(replace(t, cells=replace(t.cells, mean=means[..., None])) for t in (one, drawn))]
    stacks.append(replace(drawn, cells=replace(drawn.cells, n=sizes, mean=means[..., None])))
    for stack in stacks:
        fit = sw.TwoWayFixedEffects(vcov=kind).fit(stack)
        expected = np.array([dense(stack.replicate(k), kind, "size")[:3] for k in range(5)])
        np.testing.assert_allclose(np.stack([fit.estimate, fit.std_error, fit.df], -1), expected, rtol=1e-8)


def test_reference_a_level_of_a_million_costs_no_digits() -> None:
    trial = panel(5)
    high = replace(trial, cells=replace(trial.cells, mean=trial.cells.mean + 1e6))
    plain, moved = (sw.TwoWayFixedEffects().fit(t) for t in (trial, high))
    np.testing.assert_allclose([moved.estimate, moved.std_error, moved.df], [plain.estimate, plain.std_error, plain.df], rtol=1e-7)


def test_law_periods_that_do_not_hang_together_are_refused() -> None:
    """Clusters seen in periods 1 and 2 and others in 3 and 4: levels of the two halves cannot be told from those of their periods."""
    start, half = np.array([2, 2, 0, 0, 4, 4, 0, 0]), np.repeat([0, 2], 4)
    i, t = (index.ravel() for index in np.indices((8, 2)))
    rows = pd.DataFrame({"c": i, "t": t + half[i] + 1, "g": start[i], "y": np.random.default_rng(0).normal(size=16)})
    trial = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    with pytest.raises(sw.FitError, match=r"rank deficient.*Columns that repeat others: cluster 7 = periods 3, 4 - clusters 4, 5, 6"):
        sw.TwoWayFixedEffects().fit(trial)
    stack = trial.under(np.stack([trial.treatment] * 2), np.stack([trial.exposure] * 2))
    assert (sw.TwoWayFixedEffects().fit(stack).status == sw.Status.RANK_DEFICIENT).all()


def test_law_two_thousand_clusters_need_no_column_each() -> None:
    """40,000 cells by 2,000 columns are .6 GB for a start. Sweeping means out in turn, clusters' and periods', comes to the same."""
    trial = panel(6, clusters=2000, periods=20, sizes=False)
    fit = sw.TwoWayFixedEffects(vcov="CR0").fit(trial)
    seen = (trial.n > 0).astype(float)
    tables = [seen * trial.arm, seen * np.where(seen > 0, trial.outcome, 0.0)]
    for _ in range(60):
        for axis in (1, 0):
            tables = [table - seen * table.sum(axis, keepdims=True) / np.maximum(seen.sum(axis, keepdims=True), 1) for table in tables]
    arm, y = tables
    effect = (arm * y).sum() / (arm**2).sum()
    pulls = (arm * (y - effect * arm)).sum(-1) / (arm**2).sum()
    np.testing.assert_allclose([fit.estimate, fit.std_error], [effect, np.sqrt((pulls**2).sum())], rtol=1e-8)
