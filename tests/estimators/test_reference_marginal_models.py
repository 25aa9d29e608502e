"""Marginal effects of mixed and marginal models: integrals on a fine grid, and statsmodels' GEE."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import swedge as sw
from swedge.estimators import GEE, MarginalEffect

DESIGN = sw.Design.stepped_wedge(clusters=8, periods=5)
COMPARED = {"difference": lambda m: m, "ratio": np.log, "odds ratio": lambda m: np.log(m / (1 - m))}
STEP = 1e-30


@cache
def rows_and_trial() -> tuple[pd.DataFrame, sw.Trial]:
    """Children of two kinds in clusters, cells and treatment effects that vary a good deal."""
    rng, allocation = np.random.default_rng(8), DESIGN.randomise(seed=3)
    la, period = (np.repeat(index.ravel(), 60) for index in np.indices((8, 5)))
    kind, treated = rng.integers(0, 2, len(la)), allocation.treatment[la, period]
    own = 0.9 * rng.standard_normal(8)[la] + 0.6 * rng.standard_normal((8, 5))[la, period] + 0.7 * rng.standard_normal(8)[la] * treated
    y = rng.binomial(1, 1 / (1 + np.exp(-(own - 0.8 + 0.9 * kind - 0.7 * treated + 0.1 * period))))
    rows = pd.DataFrame({"la": np.array(DESIGN.clusters)[la], "period": period + 1, "kind": kind, "treated": treated, "y": y})
    return rows, sw.Trial.from_frame(rows, allocation, cluster="la", period="period", outcome="y", family="binomial", covariates="kind")


def world(rows: pd.DataFrame, arm: float) -> np.ndarray:
    """Columns of every child: periods, treatment, kind."""
    return np.column_stack([pd.get_dummies(rows.period), np.full(len(rows), arm), rows.kind]).astype(float)


def by_hand(estimator: sw.Estimator, measure: str, mean) -> tuple[float, float]:
    """Estimate and standard error from the model's own coefficients and their covariance; ``mean(eta, arm)`` predicts."""
    rows, trial = rows_and_trial()
    model = estimator.fitted_mean(trial)

    def effect(beta: np.ndarray) -> complex:
        means = np.array([mean(world(rows, arm) @ beta, arm).mean() for arm in (0.0, 1.0)])
        return np.diff(COMPARED[measure](means))[0]

    beta = model.beta[0]
    gradient = np.array([np.imag(effect(beta + 1j * STEP * row)) / STEP for row in np.eye(len(beta))])
    covariance = model.uncertainty(np.eye(len(beta))).covariance[0]
    return float(np.real(effect(beta))), float(np.sqrt(gradient @ covariance @ gradient))


LINKS = {"logit": lambda eta: 1 / (1 + np.exp(-eta)), "cloglog": lambda eta: 1 - np.exp(-np.exp(eta))}
MIXED = [
    sw.MixedModel(sw.Exchangeable(), df="normal"),
    sw.MixedModel(sw.Exchangeable(), df="clusters", link="cloglog", quadrature=7),
    sw.MixedModel(sw.NestedExchangeable(), df="normal"),
    sw.MixedModel(sw.RandomEffects(cluster=None, treatment=None, cluster_period=None), df="normal"),
]


def predictor_variance(found: dict[str, np.ndarray], arm: float) -> float:
    """From variances by name: the treatment's is part of what treated cells vary by."""
    level, slope = (float(found.get(name, 0.0)) for name in ("cluster", "treatment"))
    together = float(found.get("cluster_treatment", found.get("treatment_corr", 0.0) * np.sqrt(level * slope)))
    return level + float(found.get("cluster_period", 0.0)) + arm * (slope + 2 * together)


@pytest.mark.parametrize("measure", list(COMPARED))
@pytest.mark.parametrize("estimator", MIXED, ids=["intercept", "cloglog", "nested", "random treatment"])
def test_a_mixed_model_is_averaged_over_its_random_effects(estimator: sw.MixedModel, measure: str) -> None:
    _, trial = rows_and_trial()
    found = estimator.fit(trial).details["variances"]
    z = np.linspace(-9, 9, 2001)
    density = np.exp(-(z**2) / 2)
    density /= density.sum()
    inverse = LINKS[estimator.link or "logit"]

    def mean(eta: np.ndarray, arm: float) -> np.ndarray:
        values, at = np.unique(eta, return_inverse=True)  # few children differ
        return (inverse(values[:, None] + np.sqrt(predictor_variance(found, arm)) * z) @ density)[at]

    assert predictor_variance(found, 0.0) > 0.1
    estimate, std_error = by_hand(estimator, measure, mean)
    fit = MarginalEffect(estimator, measure).fit(trial)
    assert fit.estimate == pytest.approx(estimate, abs=1e-8 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-7)
    conditional = by_hand(estimator, measure, lambda eta, arm: inverse(eta))[0]
    assert abs(conditional - estimate) > 1e-3 * std_error, "the random effects do nothing here"


@pytest.mark.parametrize("df", ["clusters", "normal", "between-within"])
def test_a_mixed_model_keeps_its_degrees_of_freedom(df: str) -> None:
    _, trial = rows_and_trial()
    estimator = sw.MixedModel(sw.Exchangeable(), df=df)
    assert MarginalEffect(estimator).fit(trial).df == estimator.fit(trial).df


def test_a_stack_of_mixed_models_is_a_loop() -> None:
    _, trial = rows_and_trial()
    sequences = DESIGN.random_allocations(3, 1)
    estimator = MarginalEffect(sw.MixedModel(sw.Exchangeable(), df="normal"))
    many, alone = estimator.fit(trial.reallocated(sequences)), [estimator.fit(trial.reallocated(row)) for row in sequences]
    np.testing.assert_allclose(many.estimate, [fit.estimate for fit in alone], rtol=1e-7)
    np.testing.assert_allclose(many.std_error, [fit.std_error for fit in alone], rtol=1e-6)


def test_a_linear_mixed_model_is_refused() -> None:
    trial = sw.Trial.from_cells(np.full((8, 5), 20), np.random.default_rng(1).normal(size=(8, 5)), DESIGN.randomise(seed=1))
    with pytest.raises(sw.FitError, match=r"MixedModel.*is the marginal difference of means itself"):
        MarginalEffect(sw.MixedModel()).fit(trial)


@pytest.mark.parametrize("measure", list(COMPARED))
def test_statsmodels_gee_and_a_delta_method(measure: str) -> None:
    rows, trial = rows_and_trial()
    estimator = GEE(sw.Exchangeable(icc=0.05), vcov="robust", df="normal")
    held = sm.cov_struct.Exchangeable()
    held.dep_params = 0.05
    x = np.column_stack([pd.get_dummies(rows.period), rows.treated, rows.kind]).astype(float)
    peer = sm.GEE(rows.y, x, groups=rows.la, family=sm.families.Binomial(), cov_struct=held, update_dep=False).fit(ctol=1e-12)

    def effect(beta: np.ndarray) -> complex:
        return np.diff(COMPARED[measure](np.array([LINKS["logit"](world(rows, arm) @ beta).mean() for arm in (0.0, 1.0)])))[0]

    beta = peer.params.to_numpy()
    gradient = np.array([np.imag(effect(beta + 1j * STEP * row)) / STEP for row in np.eye(len(beta))])
    std_error = np.sqrt(gradient @ peer.cov_params().to_numpy() @ gradient)
    fit = MarginalEffect(estimator, measure).fit(trial)
    assert fit.estimate == pytest.approx(effect(beta), abs=1e-7 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-6)


@pytest.mark.parametrize(("link", "measure"), [("identity", "difference"), ("log", "ratio")])
def test_on_its_own_link_a_marginal_models_effect_is_the_coefficient(link: str, measure: str) -> None:
    rows, _ = rows_and_trial()
    table = rows.groupby(["la", "period"]).y.mean().unstack()
    trial = sw.Trial.from_cells(np.full((8, 5), 60), table, DESIGN.randomise(seed=3), family="binomial")
    estimator = GEE(sw.Exchangeable(), df="satterthwaite", link=link)
    plain, wrapped = estimator.fit(trial), MarginalEffect(estimator, measure).fit(trial)
    for name in ("estimate", "std_error", "df"):
        assert getattr(wrapped, name) == pytest.approx(float(getattr(plain, name)), rel=1e-8)
