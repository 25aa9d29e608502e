"""Covariates: patterns and scatter give the numbers that a regression on individual rows gives.

The rows go to statsmodels, whose fits here are closed forms or Newton steps to the last digit; 1e-9 of a standard error is rounding.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import reference
import swedge as sw

CATEGORIES = "C(age) + C(sex)"
FAMILIES = {"gaussian": sm.families.Gaussian(), "binomial": sm.families.Binomial(), "poisson": sm.families.Poisson()}
READ = {"cluster": "la", "period": "period", "outcome": "y"}
DESIGN = sw.Design.stepped_wedge(clusters=["Avon", "Bute", "Cork", "Down"], periods=5)


@cache
def rows_of(family: str, seed: int, least: int = 20) -> tuple[pd.DataFrame, sw.Allocation]:
    """Individuals in disorder, with two categories that go with the treatment and a number that varies between and within cells."""
    rng = np.random.default_rng([seed, 1])
    allocation = DESIGN.randomise(seed=seed)
    sizes = rng.integers(least, 2 * least, (4, 5))
    la, period = (np.repeat(index.ravel(), sizes.ravel()) for index in np.indices(sizes.shape))
    treated = allocation.treatment[la, period]
    age = rng.choice(["0-4", "5-9", "10-12"], len(la), p=[0.5, 0.3, 0.2])
    sex = np.where(rng.random(len(la)) < 0.4 + 0.1 * treated, "f", "m")
    score = rng.normal(10 + la, 3)
    predictor = 0.3 * la - 0.1 * period - 0.5 * treated + 0.6 * (sex == "f") + 0.4 * (age == "5-9") - 0.5
    if family == "gaussian":
        y = predictor + 0.2 * score + rng.standard_normal(len(la))
    else:
        y = rng.binomial(1, 1 / (1 + np.exp(-predictor))) if family == "binomial" else rng.poisson(np.exp(predictor))
    names = np.array(DESIGN.clusters)
    frame = pd.DataFrame({"la": names[la], "period": period + 1, "treated": treated, "age": age, "sex": sex, "score": score, "y": y})
    return frame.sample(frac=1.0, random_state=seed), allocation


def matrix(frame: pd.DataFrame, covariates: list[str], clusters: bool = True) -> np.ndarray:
    """Treatment first, then an indicator a period, one a cluster but the first, and covariates, categories without their first level."""
    parts = [frame.treated, pd.get_dummies(frame.period)]
    parts += [pd.get_dummies(frame.la).iloc[:, 1:]] if clusters else []
    for name in covariates:
        numeric = pd.api.types.is_numeric_dtype(frame[name])
        parts.append(frame[name] if numeric else pd.get_dummies(frame[name]).iloc[:, 1:])
    return np.column_stack([np.asarray(part, dtype=float) for part in parts])


def check(fit: sw.Estimate, estimate: float, std_error: float, tolerance: float = 1e-9) -> None:
    assert fit.estimate == pytest.approx(estimate, abs=tolerance * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=tolerance)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_patterns_are_the_regression_on_rows(family: str, seed: int) -> None:
    frame, allocation = rows_of(family, seed)
    trial = sw.Trial.from_frame(frame, allocation, **READ, family=family, covariates=CATEGORIES)
    assert trial.patterns is not None
    assert trial.patterns.n.size < len(frame)
    x = matrix(frame, ["age", "sex"])
    peer = sm.GLM(frame.y.to_numpy(float), x, FAMILIES[family]).fit(tol=1e-14, tol_criterion="params")
    fit = sw.FixedEffects(vcov="model").fit(trial)
    check(fit, peer.params[0], peer.bse[0])
    bare = sw.FixedEffects(vcov="model").fit(sw.Trial.from_frame(frame, allocation, **READ, family=family))
    assert abs(float(fit.estimate) - float(bare.estimate)) > 1e-3 * peer.bse[0], "the covariates do nothing here"


@pytest.mark.parametrize(("family", "vcov"), [("binomial", "CR0"), ("binomial", "CR2"), ("poisson", "CR2"), ("poisson", "CR3")])
def test_robust_variance_of_patterns_is_that_of_rows(family: str, vcov: str) -> None:
    frame, allocation = rows_of(family, 1, least=12)
    trial = sw.Trial.from_frame(frame, allocation, **READ, family=family, covariates=CATEGORIES)
    x = matrix(frame, ["age", "sex"])
    beta, weight, residual = reference.glm(frame.y.to_numpy(float), x, family)
    std_error, df = reference.cluster_robust(x, weight, residual, frame.la.to_numpy(), vcov)
    fit = sw.FixedEffects(vcov=vcov).fit(trial)
    check(fit, beta[0], std_error, 1e-8)  # the dense side takes roots of matrices of the size of a cluster
    assert fit.df == pytest.approx(df, rel=1e-7)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_grouped_rows_are_rows(family: str) -> None:
    frame, allocation = rows_of(family, 2)
    keys = ["la", "period", "age", "sex"]
    grouped = frame.groupby(keys, as_index=False).agg(y=("y", "sum"), size=("y", "size"))
    for estimator in (sw.FixedEffects(), sw.FixedEffects(vcov="overdispersed"), sw.MixedModel(sw.Exchangeable(), df="normal")):
        rows = sw.Trial.from_frame(frame, allocation, **READ, family=family, covariates=CATEGORIES)
        groups = sw.Trial.from_frame(grouped, allocation, **READ, family=family, covariates=CATEGORIES, size="size")
        one, other = estimator.fit(rows), estimator.fit(groups)
        check(other, float(one.estimate), float(one.std_error))
        assert other.df == pytest.approx(one.df, rel=1e-9)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_overdispersion_is_that_of_cells_whatever_the_patterns(family: str) -> None:
    """Slots are added up to cells before Pearson's chi-square is taken, so patterns of one person do not dilute it."""
    frame, allocation = rows_of(family, 1)
    trial = sw.Trial.from_frame(frame, allocation, **READ, family=family, covariates=CATEGORIES)
    x = matrix(frame, ["age", "sex"])
    beta, weight, _ = reference.glm(frame.y.to_numpy(float), x, family)
    mu = reference.inverse_link(family, x @ beta)
    cells = pd.DataFrame({"la": frame.la.to_numpy(), "period": frame.period.to_numpy(), "r": frame.y.to_numpy() - mu, "w": weight})
    sums = cells.groupby(["la", "period"]).sum()
    df = 20 - (5 + 3 + 1)
    dispersion = max(float((sums.r**2 / sums.w).sum()) / df, 1.0)
    model = float(np.linalg.inv((weight[:, None] * x).T @ x)[0, 0])
    fit = sw.FixedEffects(vcov="overdispersed").fit(trial)
    check(fit, beta[0], float(np.sqrt(dispersion * model)))
    assert fit.df == df


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("covariates", [["score"], ["score", "sex", "age"]], ids=["number", "mixed"])
def test_scatter_is_the_regression_on_rows(covariates: list[str], seed: int) -> None:
    frame, allocation = rows_of("gaussian", seed)
    formula = " + ".join(name if name == "score" else f"C({name})" for name in covariates)
    trial = sw.Trial.from_frame(frame, allocation, **READ, covariates=formula)
    peer = sm.OLS(frame.y, matrix(frame, covariates)).fit()
    fit = sw.FixedEffects(vcov="model").fit(trial)
    check(fit, peer.params.iloc[0], peer.bse.iloc[0])
    assert fit.df == peer.df_resid
    bare = sw.FixedEffects(vcov="model").fit(sw.Trial.from_frame(frame, allocation, **READ))
    assert abs(float(fit.estimate) - float(bare.estimate)) > 1e-3 * peer.bse.iloc[0], "the covariates do nothing here"


def test_mixed_model_with_scatter_is_the_one_on_rows() -> None:
    """REML of dense individual covariance matrices: the same fit at swedge's variances, and no better one beside them."""
    frame, allocation = rows_of("gaussian", 1)
    trial = sw.Trial.from_frame(frame, allocation, **READ, covariates="score + C(sex)")
    fit = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trial)
    x = matrix(frame, ["score", "sex"], clusters=False)
    blocks = reference.lmm_blocks(frame.y.to_numpy(float), x, frame.la.to_numpy(), frame.period.to_numpy(), nested=False)
    found = fit.details["variances"]
    variances = np.array([float(found["cluster"]), float(found["residual"])])
    dense = reference.gls(blocks, variances)
    check(fit, dense.beta[0], float(np.sqrt(dense.cov[0, 0])), 1e-8)
    assert fit.details["criterion"] == pytest.approx(dense.criterion, rel=1e-11)
    for step in ([1.01, 1], [0.99, 1], [1, 1.01], [1, 0.99]):
        assert reference.gls(blocks, variances * step).criterion > dense.criterion


def test_a_comparison_of_cell_means_says_that_it_leaves_covariates_out() -> None:
    frame, allocation = rows_of("gaussian", 1)
    adjusted = sw.Trial.from_frame(frame, allocation, **READ, covariates="score")
    for estimator in (sw.WithinPeriod(), sw.TwoWayFixedEffects()):
        fit = estimator.fit(adjusted)
        assert fit.estimate == estimator.fit(sw.Trial.from_frame(frame, allocation, **READ)).estimate
        assert any("score" in note and "not" in note for note in fit.notes), "an adjustment that was asked for is dropped in silence"


def test_a_robust_variance_needs_each_clusters_scatter() -> None:
    frame, allocation = rows_of("gaussian", 1)
    trial = sw.Trial.from_frame(frame, allocation, **READ, covariates="score")
    pooled = trial.cells.within.sum(-3, keepdims=True)
    cells = sw.Trial.from_cells(trial.n, trial.cells.mean, allocation, within=pooled, covariates=["score"])
    check(sw.FixedEffects(vcov="model").fit(cells), *(float(v) for v in numbers(sw.FixedEffects(vcov="model").fit(trial))))
    with pytest.raises(sw.DataError, match=r"each cluster's scatter.*Pass one matrix a cluster"):
        sw.FixedEffects().fit(cells)


def numbers(fit: sw.Estimate) -> tuple[np.ndarray, np.ndarray]:
    return fit.estimate, fit.std_error
