"""Fixed effects and cell comparisons against dense regressions on individual rows.

Closed forms on both sides: agreement is to rounding, loosened to 1e-8 because an iterated logit stops where its score is about 1e-10.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference
import reference_data as data
import reference_trials as trials
import swedge as sw

OUTCOME = {"gaussian": "y_cont", "binomial": "y_bin", "poisson": "y_count"}


@cache
def awkward(seed: int) -> pd.DataFrame:
    """Unequal cells, unobserved cells, several clusters a sequence, and covariates that vary within cells."""
    generator = np.random.default_rng(seed)
    clusters, periods = int(generator.integers(5, 10)), int(generator.integers(3, 6))
    first = np.concatenate([[1, 2], generator.integers(1, periods + 1, size=clusters - 2)])  # some never start
    rows = []
    for i in range(clusters):
        effect = 0.5 * generator.standard_normal()
        for t in range(periods):
            treated = int(t >= first[i])
            if i > 1 and generator.random() < 0.08:
                continue
            noise = 0.3 * generator.standard_normal()
            for _ in range(int(generator.integers(10, 60))):
                age, group = generator.normal(10 + i, 3), generator.choice(["a", "b", "c"])
                eta = 0.1 * t + 0.3 * treated + {"a": 0.0, "b": 0.4, "c": -0.2}[group] + effect + noise - 0.3
                y_bin, y_count = int(generator.random() < 1 / (1 + np.exp(-eta))), int(generator.poisson(np.exp(eta)))
                rows.append([i + 1, t + 1, treated, 1, eta + generator.standard_normal() + 0.1 * age, y_bin, y_count, age, group])
    columns = ["cluster", "period", "treatment", "size", "y_cont", "y_bin", "y_count", "age", "group"]
    return pd.DataFrame(rows, columns=columns)


def design_matrix(rows: pd.DataFrame, covariates: str | None) -> np.ndarray:
    columns = [data.model_matrix(rows, cluster_effects=True)]
    if covariates is not None:
        columns += [(rows.group == "b").to_numpy(float)[:, None], (rows.group == "c").to_numpy(float)[:, None]]
        columns += [rows.age.to_numpy()[:, None]] if "age" in covariates else []
    return np.column_stack(columns)


# a continuous covariate of a binary outcome is not for cells
CASES = [(family, c) for family in OUTCOME for c in (None, "C(group)", "age + C(group)") if family == "gaussian" or c in (None, "C(group)")]


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize(("family", "covariates"), CASES)
@pytest.mark.parametrize("seed", range(4))
def test_cluster_robust(seed: int, family: str, covariates: str | None, kind: str) -> None:
    rows = awkward(seed)
    fit = sw.FixedEffects(vcov=kind, df="satterthwaite").fit(trials.from_rows(rows, OUTCOME[family], family, covariates))
    x = design_matrix(rows, covariates)
    beta, weight, residual = reference.glm(rows[OUTCOME[family]].to_numpy(float), x, family)
    expected = reference.cluster_robust(x, weight, residual, rows.cluster.to_numpy(), kind)
    assert trials.numbers(fit) == pytest.approx([beta[0], *expected], rel=1e-8)


@pytest.mark.parametrize("family", OUTCOME)
@pytest.mark.parametrize("seed", range(4))
def test_model_and_overdispersed(seed: int, family: str) -> None:
    rows = awkward(seed)
    trial = trials.from_rows(rows, OUTCOME[family], family)
    x = design_matrix(rows, None)
    beta, weight, residual = reference.glm(rows[OUTCOME[family]].to_numpy(float), x, family)
    covariance = np.linalg.inv((weight[:, None] * x).T @ x)
    dispersion = residual @ residual / (len(x) - x.shape[1]) if family == "gaussian" else 1.0
    fit = sw.FixedEffects(vcov="model", df="normal").fit(trial)
    assert [float(fit.estimate), float(fit.std_error)] == pytest.approx([beta[0], np.sqrt(dispersion * covariance[0, 0])], rel=1e-8)
    if family == "gaussian":
        assert float(sw.FixedEffects(vcov="model", df="residual").fit(trial).df) == len(x) - x.shape[1]
        return
    named = rows.assign(total=rows[OUTCOME[family]])
    cells = named.groupby(["cluster", "period"], as_index=False).agg({"treatment": "first", "size": "sum", "total": "sum"})
    size = cells["size"].to_numpy(float)
    cell_x = design_matrix(cells, None)
    _, weight, residual = reference.glm(cells.total.to_numpy() / size, cell_x, family, size)
    std_error, df, phi = reference.overdispersed(cell_x, weight, residual)
    fit = sw.FixedEffects(vcov="overdispersed", df="residual").fit(trial)
    assert trials.numbers(fit) == pytest.approx([beta[0], std_error, df], rel=1e-8)
    assert max(float(fit.details["dispersion"]), 1.0) == pytest.approx(phi, rel=1e-8)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("seed", range(4))
def test_overdispersion_with_covariates_counts_cluster_periods_not_patterns(seed: int, family: str) -> None:
    rows = awkward(seed)
    x = design_matrix(rows, "C(group)")
    beta, weight, residual = reference.glm(rows[OUTCOME[family]].to_numpy(float), x, family)
    sums = rows.assign(excess=residual * np.sqrt(weight), variance=weight).groupby(["cluster", "period"])[["excess", "variance"]].sum()
    df = len(sums) - rows.cluster.nunique() - rows.period.nunique()  # cells less clusters, periods - 1 and treatment
    dispersion = max(1.0, (sums.excess**2 / sums.variance).sum() / df)
    std_error = np.sqrt(dispersion * np.linalg.inv((weight[:, None] * x).T @ x)[0, 0])
    fit = sw.FixedEffects(vcov="overdispersed", df="residual").fit(trials.from_rows(rows, OUTCOME[family], family, "C(group)"))
    assert trials.numbers(fit) == pytest.approx([beta[0], std_error, df], rel=1e-8)


def cell_table(rows: pd.DataFrame, outcome: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes (0 = not observed), means and treatments, (I, T)."""
    grouped = rows.groupby(["cluster", "period"])
    n = grouped.size().unstack().fillna(0).to_numpy(float)
    mean = grouped[outcome].mean().unstack().fillna(0).to_numpy(float)
    return n, mean, grouped.treatment.first().unstack().to_numpy(float)


@pytest.mark.parametrize("weigh", ["equal", "size"])
@pytest.mark.parametrize("estimator", [sw.WithinPeriod, sw.TwoWayFixedEffects])
@pytest.mark.parametrize("outcome", ["y_cont", "y_bin"])
@pytest.mark.parametrize("seed", range(4))
def test_comparisons_of_cells(seed: int, outcome: str, estimator: type, weigh: str) -> None:
    rows = awkward(seed)
    n, mean, treatment = cell_table(rows, outcome)
    trial = trials.from_rows(rows, outcome, "gaussian" if outcome == "y_cont" else "binomial")
    own_effects = estimator is sw.TwoWayFixedEffects
    weight = n if weigh == "size" else (n > 0).astype(float)
    x, seen = reference.cell_design(treatment, cluster_effects=own_effects), n > 0
    weights = estimator(weigh=weigh).weights(trial)
    assert weights == pytest.approx(reference.linear_weights(x, weight, seen), abs=1e-12)
    fit = estimator(weigh=weigh, vcov="CR2", df="satterthwaite").fit(trial)
    assert fit.estimate == pytest.approx((weights * mean).sum(), rel=1e-10)
    if not own_effects:
        assert fit.estimate == pytest.approx(reference.within_period(mean, treatment, weight), rel=1e-10)
    x, w, y = x[seen.ravel()], weight[seen], mean[seen]
    beta, working, residual = reference.glm(y, x, "gaussian", w)
    cluster = np.indices(n.shape)[0][seen]
    assert trials.numbers(fit) == pytest.approx([beta[0], *reference.cluster_robust(x, working, residual, cluster, "CR2")], rel=1e-8)


@pytest.mark.parametrize("vcov", ["CR0", "CR1", "CR2", "CR3"])
def test_two_way_fixed_effects_of_a_panel(vcov: str) -> None:
    generator = np.random.default_rng(5)
    cluster, period = (a.ravel() for a in np.indices((9, 7)))
    first = np.where(cluster < 5, cluster + 2, 0)
    treated = (first > 0) & (period + 1 >= first)
    y = generator.standard_normal(63) + 0.2 * cluster + 0.1 * period + 0.5 * treated
    rows = pd.DataFrame({"cluster": cluster.astype(str), "period": period + 1, "treatment": treated.astype(int), "y": y, "first": first})
    trial = sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y", first_treated="first")
    x = data.model_matrix(rows, cluster_effects=True)
    beta, weight, residual = reference.glm(y, x, "gaussian")
    expected = [beta[0], *reference.cluster_robust(x, weight, residual, cluster, vcov)]
    for estimator in (sw.TwoWayFixedEffects(vcov=vcov), sw.FixedEffects(vcov=vcov)):
        assert trials.numbers(estimator.fit(trial)) == pytest.approx(expected, rel=1e-9)
