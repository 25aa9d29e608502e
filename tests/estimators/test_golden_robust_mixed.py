"""Cluster-robust variances of linear mixed models against clubSandwich on lme4 fits.

At lme4's own variances CR0, CR1 and CR3 agree to 1e-8; at ours to 1e-5, and where lme4 stopped `gap` above the minimum of -2 log likelihood
(random treatment effects with a correlation of 1) to the square root of that besides. clubSandwich's CR2 takes another square root than
whitening: `other_root` is its formula written down on all rows.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge._kernels.linalg import stacked
from swedge._kernels.mixed_robust import robust_mixed
from swedge.assumptions import Correlation
from swedge.estimators.columns import effects, padded
from swedge.estimators.mixed_gaussian import gaussian_model
from swedge.estimators.pieces import cluster_scatter

Array = np.ndarray
TABLE = data.golden("robust_mixed")
STRUCTURES: dict[str, Correlation] = {
    "ri": sw.Exchangeable(),
    "nested": sw.NestedExchangeable(),
    "nested_age": sw.NestedExchangeable(),
    "rt_corr": sw.RandomEffects(cluster=None, treatment=None, treatment_corr=None),
}
RATIOS = {
    "ri": ["var_cluster"],
    "nested": ["var_cluster", "var_cluster_period"],
    "nested_age": ["var_cluster", "var_cluster_period"],
    "rt_corr": ["var_cluster", "cov_cluster_treatment", "var_treatment"],
}


def rows_of(dataset: str) -> pd.DataFrame:
    return data.aged_rows(dataset) if dataset.startswith("made") else data.trial_rows(dataset)


@cache
def trial(dataset: str, aged: bool) -> sw.Trial:
    return trials.from_rows(rows_of(dataset), "y_cont", "gaussian", covariates="age" if aged else None)


def at_their_variances(record: pd.Series) -> tuple[float, float, float]:
    """Standard error and df of ours where lme4 stopped, and the criterion there."""
    cells = trial(record.dataset, record.model == "nested_age")
    parts = effects(cells, sw.Constant(), None)
    model, before = gaussian_model(cells, parts, STRUCTURES[record.model].structure(), True, True)
    ratios = np.array([[record[name] / record.var_residual for name in RATIOS[record.model]]])
    inner, inner_y, _ = cluster_scatter(cells, model.columns, robust=True)
    scatter = stacked(inner, (), 3), stacked(inner_y, (), 2)
    contrasts = padded(parts.contrasts, before, len(cells.covariates))
    point = model.parameters.inward(ratios)
    found = robust_mixed(record.vcov, model, point, len(cells.clusters), scatter, contrasts)
    return float(np.sqrt(found.covariance[0, 0, 0])), float(found.df[0, 0]), float(model.evaluate(point).criterion[0])


def each(table: pd.DataFrame) -> list[object]:
    return [pytest.param(row, id=f"{row.dataset}-{row.model}-{row.vcov}") for _, row in table.iterrows()]


@pytest.mark.parametrize("record", each(TABLE[TABLE.vcov != "CR2"]))
def test_golden_clubsandwich(record: pd.Series) -> None:
    std_error, df, criterion = at_their_variances(record)
    assert std_error == pytest.approx(record.std_error, rel=1e-8)
    fit = sw.MixedModel(STRUCTURES[record.model], df="satterthwaite", vcov=record.vcov).fit(
        trial(record.dataset, record.model == "nested_age")
    )
    gap = criterion - float(fit.details["criterion"])
    assert gap > -1e-8
    assert gap < 1e-6 or record.model == "rt_corr"
    near = 1e-5 + np.sqrt(max(gap, 0.0))
    assert float(fit.estimate) == pytest.approx(record.estimate, abs=near * record.std_error)
    assert float(fit.std_error) == pytest.approx(record.std_error, rel=near)
    if not np.isnan(record.satterthwaite_df):
        assert df == pytest.approx(record.satterthwaite_df, rel=1e-7)
        assert float(fit.df) == pytest.approx(record.satterthwaite_df, rel=10 * near)


def other_root(record: pd.Series, whitened: bool) -> tuple[float, float]:
    """CR2 and its df from all rows: ``A = D' (D (V - x M^-1 x') D')^(-1/2) D`` with ``V = D'D``, or with whitened residuals."""
    rows = rows_of(record.dataset)
    x = data.model_matrix(rows)
    x = np.column_stack([x, rows.age]) if record.model == "nested_age" else x
    part = record.fillna(0.0)
    blocks = []
    for _, own in rows.assign(row=np.arange(len(rows))).groupby("cluster"):
        z, period = own.treatment.to_numpy(float), own.period.to_numpy()
        v = part.var_residual * np.eye(len(own)) + part.var_cluster + part.var_cluster_period * np.equal.outer(period, period)
        v = v + part.var_treatment * np.outer(z, z) + part.cov_cluster_treatment * np.add.outer(z, z)
        blocks.append((own.y_cont.to_numpy(), x[own.row.to_numpy()], v))
    bread = np.linalg.inv(sum(x.T @ np.linalg.solve(v, x) for _, x, v in blocks))
    beta = bread @ sum(x.T @ np.linalg.solve(v, y) for y, x, v in blocks)
    pulls, weights = [], []
    for y, x, v in blocks:
        root = power(v, 0.5)
        left = v - x @ bread @ x.T
        if whitened:
            white = power(v, -0.5)
            a = root @ power(white @ left @ white, -0.5) @ white
        else:
            a = root @ power(root @ left @ root, -0.5) @ root
        weights.append(a.T @ np.linalg.solve(v, x @ bread[:, 0]))
        pulls.append(weights[-1] @ (y - x @ beta))
    projected = np.array([w @ x for w, (_, x, _) in zip(weights, blocks, strict=True)])
    gram = np.diag([w @ v @ w for w, (_, _, v) in zip(weights, blocks, strict=True)]) - projected @ bread @ projected.T
    return float(np.sqrt(np.sum(np.square(pulls)))), float(np.trace(gram) ** 2 / np.sum(gram**2))


def power(m: Array, exponent: float) -> Array:
    """A power of a symmetric matrix over the directions that it has."""
    values, vectors = np.linalg.eigh(m)
    kept = values > 1e-10 * values.max()
    return (vectors[:, kept] * values[kept] ** exponent) @ vectors[:, kept].T


@pytest.mark.parametrize(
    "record", each(TABLE[(TABLE.vcov == "CR2") & TABLE.dataset.isin(["made_unequal", "made_gaps", "made_wedge", "d13"])])
)
def test_golden_both_roots(record: pd.Series) -> None:
    """On the same rows: whitening is ours to rounding, the other root clubSandwich's. They are within 5% of each other here."""
    std_error, df, _ = at_their_variances(record)
    assert other_root(record, whitened=True) == pytest.approx((std_error, df), rel=1e-7)
    assert other_root(record, whitened=False) == pytest.approx((record.std_error, record.satterthwaite_df), rel=1e-6)
    assert std_error == pytest.approx(record.std_error, rel=0.05)
