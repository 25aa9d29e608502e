"""A regression on rows with thirty columns: dense n x n matrices on a sample, and one answer from rows, covariate patterns and cells.

The whole file, its seconds and its memory are in benchmarks/full_size.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference
import swedge as sw
from swedge.estimators import MarginalEffect
from swedge.studies import family_safeguarding, simulate_children
from swedge.trial import Patterns

STUDY = family_safeguarding()
CATEGORIES = ["age_group", "gender", "ethnicity", "previous_plans"]
COVARIATES = [*CATEGORIES, "disability", "white_british_share", "score", "factor_1B", "factor_2B", "factor_3A", "factor_3B"]
FORMULA = " + ".join(f"C({name})" if name in CATEGORIES else name for name in COVARIATES)


@cache
def children(count: int, family: str) -> pd.DataFrame:
    """A sample of a simulated file, with an outcome that is common enough for thirty columns and a number that no two rows share."""
    rng = np.random.default_rng(3)
    rows = simulate_children(STUDY, seed=3).sample(count, random_state=1)
    score = rng.standard_normal(count)
    predictor = 0.4 * rows.treated + 0.3 * score + 0.5 * rows.factor_3A - 0.5
    outcome = {
        "binomial": rng.binomial(1, 1 / (1 + np.exp(-predictor))),
        "poisson": rng.poisson(np.exp(predictor)),
        "gaussian": predictor + rng.standard_normal(count),
    }
    return rows.assign(score=score, y=outcome[family], period=period_of(rows))


def period_of(rows: pd.DataFrame) -> np.ndarray:
    starts = pd.to_datetime([str(day) for day in STUDY.design.boundaries])
    return np.searchsorted(starts, pd.to_datetime(rows.referral_date), side="right")


def matrix(rows: pd.DataFrame, covariates: list[str]) -> np.ndarray:
    """Treatment first, then periods, authorities but one, and covariates, categories without their first level."""
    parts = [rows.treated, pd.get_dummies(rows.period), pd.get_dummies(rows.la).iloc[:, 1:]]
    parts += [pd.get_dummies(rows[name]).iloc[:, 1:] if name in CATEGORIES else rows[name] for name in covariates]
    return np.column_stack([np.asarray(part, dtype=float) for part in parts])


def read(rows: pd.DataFrame, family: str, formula: str | None = FORMULA) -> sw.Trial:
    return sw.Trial.from_frame(rows, STUDY.allocation, cluster="la", date="referral_date", outcome="y", family=family, covariates=formula)


def numbers(fit: sw.Estimate) -> list[float]:
    return [float(fit.estimate), float(fit.std_error), float(fit.df)]


@pytest.mark.parametrize("vcov", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize("family", ["binomial", "poisson", "gaussian"])
def test_thirty_columns_are_those_of_dense_matrices(family: str, vcov: str) -> None:
    rows = children(700, family)
    x = matrix(rows, COVARIATES)
    assert x.shape[1] == 30
    assert np.linalg.matrix_rank(x) == 30
    beta, weight, residual = reference.glm(rows.y.to_numpy(float), x, family)
    std_error, df = reference.cluster_robust(x, weight, residual, rows.la.to_numpy(), vcov)
    fit = sw.FixedEffects(vcov=vcov).fit(read(rows, family))
    assert fit.estimate == pytest.approx(beta[0], abs=1e-9 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-7)  # roots of matrices of the size of a cluster
    assert fit.df == pytest.approx(df, rel=1e-6)


def row_by_row(trial: sw.Trial, rows: pd.DataFrame) -> sw.Trial:
    """The same trial with a slot for every row, whatever its covariates are."""
    codes = {name: i for i, name in enumerate(trial.clusters)}
    owner = rows.la.map(codes).to_numpy()
    order = np.argsort(owner, kind="stable")
    place = np.arange(len(rows)) - np.searchsorted(owner[order], owner[order])
    shape = (len(codes), int(place.max()) + 1)
    n, mean, period = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    covariates = np.zeros((*shape, len(trial.covariates)))
    at = owner[order], place
    n[at], mean[at], period[at] = 1.0, rows.y.to_numpy(float)[order], rows.period.to_numpy()[order] - 1
    covariates[at] = matrix(rows, ["age_group", "gender"])[order, -len(trial.covariates) :]
    return replace(trial, patterns=Patterns(n, mean, period, covariates, trial.n.shape[-1]))


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("vcov", ["CR0", "CR2", "CR3", "overdispersed", "model"])
def test_rows_and_covariate_patterns_agree(vcov: str, family: str) -> None:
    rows = children(5000, family)
    patterns = read(rows, family, "C(age_group) + C(gender)")
    assert patterns.patterns.n.shape[-1] < 100
    slots = row_by_row(patterns, rows)
    assert slots.patterns.n.shape[-1] > 1000
    for estimator in (
        sw.FixedEffects(vcov=vcov),
        MarginalEffect(sw.FixedEffects(vcov=vcov)),
        MarginalEffect(sw.FixedEffects(vcov=vcov), "ratio"),
    ):
        assert numbers(estimator.fit(slots)) == pytest.approx(numbers(estimator.fit(patterns)), rel=1e-9)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_rows_and_cells_agree_without_covariates(family: str) -> None:
    rows = children(5000, family)
    cells = read(rows, family, None)
    table = replace(row_by_row(replace(cells, covariates=("none",)), rows), covariates=())
    table = replace(table, patterns=replace(table.patterns, covariates=table.patterns.covariates[..., :0]))
    for estimator in (sw.FixedEffects(), MarginalEffect(measure="ratio"), sw.FixedEffects(vcov="overdispersed")):
        assert numbers(estimator.fit(table)) == pytest.approx(numbers(estimator.fit(cells)), rel=1e-9)


def test_the_whole_file_is_one_fit() -> None:
    """27,000 rows, no two of them alike: the estimate's own score equations hold, and its model variance is the inverse information."""
    rows = children(27_000, "binomial")
    trial = read(rows, "binomial")
    assert (trial.patterns.n <= 1).all()
    fit = sw.FixedEffects(vcov="model").fit(trial)
    beta, weight, _ = reference.glm(rows.y.to_numpy(float), x := matrix(rows, COVARIATES), "binomial")
    assert fit.estimate == pytest.approx(beta[0], abs=1e-9 * float(fit.std_error))
    assert fit.std_error == pytest.approx(np.sqrt(np.linalg.inv((weight[:, None] * x).T @ x)[0, 0]), rel=1e-9)
