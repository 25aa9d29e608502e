"""What weights by exposure promise: they are what an effect at one exposure does to the estimate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import swedge as sw
from swedge.estimators.linearised import linearise
from swedge.estimators.weighing import exposure_weights
from swedge.power.planned_weights import planned_exposure_weights

DESIGN = sw.Design.stepped_wedge(clusters=6, periods=5, clusters_per_sequence=[2, 1, 2, 1])
LINEAR = [
    sw.WithinPeriod(),
    sw.WithinPeriod(weigh="size"),
    sw.TwoWayFixedEffects(),
    sw.TwoWayFixedEffects(weigh="equal"),
    sw.FixedEffects(),
    sw.FixedEffects(effect=sw.Delayed(1)),
    sw.FixedEffects(vcov="model", effect=sw.ByExposure(), estimand=sw.TATE()),
]
MIXED = [sw.MixedModel(), sw.MixedModel(sw.Exchangeable(), df="normal")]


def trial(seed: int = 0, covariates: int = 0, design: sw.Design = DESIGN) -> sw.Trial:
    rng = np.random.default_rng(seed)
    shape = (design.n_clusters, design.n_periods)
    n = rng.integers(5, 60, shape).astype(float)
    mean = rng.standard_normal((*shape, 1 + covariates)) / 2 + rng.standard_normal((shape[0], 1, 1))
    draws = rng.standard_normal((shape[0], 1 + covariates, 200))
    allocation = design.randomise(seed=seed)
    seen = np.where(np.isnan(allocation.treatment), 0.0, n)
    return sw.Trial.from_cells(seen, mean, allocation, within=draws @ draws.swapaxes(-1, -2))


def with_effect(trial: sw.Trial, exposure: int, size: float = 1.0) -> sw.Trial:
    mean = trial.cells.mean.copy()
    mean[..., 0] += size * (trial.exposure == exposure)
    return replace(trial, cells=replace(trial.cells, mean=mean))


@pytest.mark.parametrize("covariates", [0, 2])
@pytest.mark.parametrize("estimator", LINEAR, ids=repr)
def test_reference_weight_is_what_an_effect_at_one_exposure_does(estimator: sw.Estimator, covariates: int) -> None:
    plain = trial(1, covariates)
    weights = exposure_weights(plain, estimator)
    brute = [float(estimator.point(with_effect(plain, s)) - estimator.point(plain)) for s in weights.times]
    np.testing.assert_allclose(weights.weights, brute, atol=1e-10)


def dense(trial: sw.Trial, variances: dict[str, float], y: np.ndarray) -> float:
    """GLS of all cells by one big matrix, covariates' scatter added."""
    periods = trial.n.shape[1]
    i, t = (index.ravel() for index in np.indices(trial.n.shape))
    q = trial.cells.mean.shape[-1] - 1
    x = np.column_stack([np.eye(periods)[t], trial.treatment.ravel(), trial.cells.mean[..., 1:].reshape(len(t), q)])
    v = variances["cluster"] * (i[:, None] == i) + np.diag(variances.get("cluster_period", 0) + variances["residual"] / trial.n.ravel())
    left, right = x.T @ np.linalg.solve(v, x), x.T @ np.linalg.solve(v, y.ravel())
    pooled = trial.cells.within.sum(0) / variances["residual"]
    left[periods + 1 :, periods + 1 :] += pooled[1:, 1:]
    right[periods + 1 :] += pooled[1:, 0]
    return float(np.linalg.solve(left, right)[periods])


@pytest.mark.parametrize("covariates", [0, 2])
@pytest.mark.parametrize("estimator", MIXED, ids=repr)
def test_reference_mixed_weights_are_gls_at_the_estimated_variances(estimator: sw.MixedModel, covariates: int) -> None:
    plain = trial(2, covariates)
    fit, weights = estimator.fit(plain), exposure_weights(plain, estimator)
    variances = {name: float(v) for name, v in fit.details["variances"].items()}
    base = dense(plain, variances, plain.outcome)
    assert abs(base - fit.estimate) < 1e-8 * fit.std_error, "the dense fit is another one"
    brute = [dense(plain, variances, with_effect(plain, s).outcome) - base for s in weights.times]
    np.testing.assert_allclose(weights.weights, brute, atol=1e-9)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_reference_logit_weights_are_the_slope_of_the_estimate_where_the_model_holds(family: str) -> None:
    """Where cells lie on the model, working weights are exact for small effects; a central difference of 1e-4 is good to 1e-8."""
    allocation = DESIGN.randomise(seed=3)
    rng = np.random.default_rng(3)
    n, eta = rng.integers(50, 400, (6, 5)).astype(float), rng.normal(-1, 0.5, (6, 1)) + rng.normal(0, 0.3, 5) + 0.4 * allocation.treatment
    inverse = special.expit if family == "binomial" else np.exp

    def fitted(shift: np.ndarray) -> sw.Trial:
        return sw.Trial.from_cells(n, inverse(eta + shift), allocation, family=family)

    estimator, h = sw.FixedEffects(vcov="model"), 1e-4
    weights = exposure_weights(fitted(np.zeros((6, 5))), estimator)
    ends = [[float(estimator.point(fitted(e * (allocation.exposure == s)))) for e in (h, -h)] for s in weights.times]
    np.testing.assert_allclose(weights.weights, [(up - down) / (2 * h) for up, down in ends], atol=1e-6)


def test_reference_logit_patterns_are_the_rows() -> None:
    """With covariates: IRLS weights of rows, one by one."""
    import pandas as pd
    import statsmodels.api as sm

    rng, allocation = np.random.default_rng(4), DESIGN.randomise(seed=4)
    i, t = rng.integers(0, 6, 1500), rng.integers(0, 5, 1500)
    age = rng.integers(0, 3, 1500)
    z = allocation.treatment[i, t]
    y = (rng.random(1500) < special.expit(-0.5 + 0.2 * age + 0.3 * z)).astype(int)
    rows = pd.DataFrame({"la": np.array(DESIGN.clusters)[i], "period": t + 1, "age": age, "y": y})
    made = sw.Trial.from_frame(rows, allocation, cluster="la", period="period", outcome="y", family="binomial", covariates="C(age)")
    x = np.column_stack([np.eye(5)[t], np.eye(6)[i][:, 1:], z, np.eye(3)[age][:, 1:]])
    mu = sm.GLM(y, x, family=sm.families.Binomial()).fit(tol=1e-13).fittedvalues
    w = mu * (1 - mu)
    row_weights = np.linalg.solve((x.T * w) @ x, x.T * w)[10]
    weights = exposure_weights(made, sw.FixedEffects())
    exposure = allocation.exposure[i, t]
    np.testing.assert_allclose(weights.weights, [row_weights[exposure == s].sum() for s in weights.times], atol=1e-8)
    assert weights.weights.sum() == pytest.approx(1)


@given(st.integers(0, 10_000), st.sampled_from([*LINEAR[:5], sw.MixedModel(sw.Exchangeable(), df="normal")]))
def test_law_weights_of_a_constant_effect_add_up_to_one(seed: int, estimator: sw.Estimator) -> None:
    plain = trial(seed)
    by_exposure, by_period = exposure_weights(plain, estimator), exposure_weights(plain, estimator, by="period")
    assert by_exposure.weights.sum() == pytest.approx(1)
    assert by_period.weights.sum() == pytest.approx(1)
    assert by_exposure.expected(np.full(len(by_exposure.times), 3.0)) == pytest.approx(3)
    assert by_exposure.cells.sum() == by_period.cells.sum() == (plain.arm > 0).sum()


@given(st.integers(0, 10_000), st.floats(0, 0.5), st.floats(0, 1))
def test_law_planned_weights_add_up_to_one(seed: int, icc: float, cac: float) -> None:
    size = np.random.default_rng(seed).integers(1, 99, (6, 5))
    weights = planned_exposure_weights(DESIGN, size=size, correlation=sw.NestedExchangeable(icc, cac))
    assert weights.weights.sum() == pytest.approx(1)


def test_law_a_logit_plan_adds_up_to_one_too() -> None:
    weights = planned_exposure_weights(
        DESIGN, size=40, correlation=sw.Exchangeable(0.02), family="binomial", link="logit", baseline=0.1, effect=-0.5
    )
    assert weights.weights.sum() == pytest.approx(1)


def test_law_relabelling_clusters_changes_nothing() -> None:
    plain, order = trial(5), np.random.default_rng(0).permutation(6)
    names = {str(k + 1): int(np.asarray(plain.allocation.sequence)[order[k]]) for k in range(6)}
    moved = sw.Trial.from_cells(plain.n[order], plain.cells.mean[order], DESIGN.allocate(names), within=plain.cells.within[order])
    for estimator in (sw.MixedModel(), sw.FixedEffects()):
        np.testing.assert_allclose(exposure_weights(moved, estimator).weights, exposure_weights(plain, estimator).weights, atol=1e-6)


def test_law_exposures_by_themselves_weigh_alike_under_an_average() -> None:
    weights = exposure_weights(trial(6), sw.MixedModel(effect=sw.ByExposure(), estimand=sw.TATE()))
    np.testing.assert_allclose(weights.weights, 0.25, atol=1e-9)
    assert "No exposure has a negative weight." in weights.summary()


def test_law_the_summary_names_negative_weights_and_the_picture_shows_all() -> None:
    weights = planned_exposure_weights(sw.Design.stepped_wedge(5, 6), size=1, correlation=sw.Exchangeable(0.5))
    assert weights.negative == (4, 5)
    assert "Negative weights: exposure 4 (-0.089); exposure 5 (-0.111)" in weights.summary()
    assert [text.get_text() for text in weights.plot().texts] == ["0.778", "0.356", "0.067", "-0.089", "-0.111"]
    assert list(weights.tidy().columns) == ["exposure", "weight", "cells", "clusters", "estimator"]
    assert repr(weights).startswith("<ExposureWeights: 5 by exposure, 2 negative")


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: exposure_weights("trial", sw.WithinPeriod()), sw.DataError, "fits a Trial, and this is the text 'trial'"),
        (lambda: exposure_weights(trial(), sw.WithinPeriod), sw.DataError, "the class WithinPeriod, not an Estimator"),
        (lambda: exposure_weights(trial(), sw.WithinPeriod(), by="exposures"), sw.FitError, "by='exposures'.*Did you mean 'exposure'"),
        (
            lambda: exposure_weights(trial(), sw.FixedEffects(vcov="model", effect=sw.ByExposure())),
            sw.FitError,
            "gives 4 effects.*estimand=",
        ),
        (
            lambda: exposure_weights(trial().reallocated(np.zeros((2, 6), dtype=int) + np.arange(6) % 4), sw.WithinPeriod()),
            sw.DataError,
            r"stack of trials of shape \(2,\)",
        ),
        (
            lambda: exposure_weights(trial(), sw.WithinPeriod()).expected([1.0]),
            sw.FitError,
            r"shape \(1,\); expected one finite number for each",
        ),
        (lambda: exposure_weights(trial(), sw.WithinPeriod()).expected([1, 2, 3, np.nan]), sw.FitError, "one finite number"),
        (
            lambda: planned_exposure_weights(DESIGN, size=9, correlation=sw.Exchangeable(0.1), curve=sw.ByExposure()),
            sw.DesignError,
            "Leave out curve= and estimand=",
        ),
        (lambda: planned_exposure_weights(DESIGN, size=9, correlation=sw.Exchangeable()), sw.DesignError, "icc"),
        (lambda: planned_exposure_weights(DESIGN, size=9, correlation=sw.Exchangeable(0.1), by="week"), sw.FitError, "by='week'"),
        (
            lambda: planned_exposure_weights(DESIGN, size=9, correlation=sw.Exchangeable(0.1), sds=2),
            sw.DesignError,
            "'sds' is no assumption",
        ),
        (
            lambda: planned_exposure_weights(
                sw.Design.from_matrix([[0, 1]], clusters_per_sequence=[4]), size=9, correlation=sw.Exchangeable(0.1)
            ),
            sw.DesignError,
            "does not identify a treatment effect",
        ),
    ],
)
def test_bad_input_exposure_weights(call: object, error: type[sw.SwedgeError], says: str) -> None:
    with pytest.raises(error, match=says):
        call()  # type: ignore[operator]


def test_bad_input_a_mixed_model_with_a_link_gives_no_weights() -> None:
    rng = np.random.default_rng(0)
    n = np.full((6, 5), 80.0)
    made = sw.Trial.from_cells(n, rng.binomial(80, 0.4, (6, 5)) / n, DESIGN.randomise(seed=0), family="binomial")
    with pytest.raises(sw.FitError, match=r"Gaussian mixed model of independent clusters.*Use FixedEffects"):
        exposure_weights(made, sw.MixedModel(sw.Exchangeable(), df="normal"))


STRUCTURES = [
    sw.NestedExchangeable(),
    sw.ExponentialDecay(),
    sw.RandomEffects(cluster=None, treatment=None),
    sw.RandomEffects(cluster=None, treatment=None, treatment_corr=None, cluster_period=None),
]


@pytest.mark.parametrize("covariates", [0, 1])
@pytest.mark.parametrize("correlation", STRUCTURES, ids=repr)
def test_law_weighted_cells_are_the_mixed_estimate_whatever_the_structure(correlation: sw.NestedExchangeable, covariates: int) -> None:
    """The weights know the covariance: they give back the estimate, which covariates' scatter helps to make."""
    design = sw.Design.from_matrix([[0, None, 1, 1, 1], [0, 0, None, 1, 1], [0, 0, 0, None, 1]], clusters_per_sequence=[4, 4, 4])
    rng = np.random.default_rng(9)
    made = trial(9, covariates, design)
    mean = made.cells.mean + (0.7 * rng.standard_normal((12, 1)) * made.arm)[..., None]
    made = replace(made, cells=replace(made.cells, mean=mean))
    estimator = sw.MixedModel(correlation, df="normal")
    fit, weights = estimator.fit(made), exposure_weights(made, estimator)
    assert weights.weights.sum() == pytest.approx(1)
    if not covariates:
        found = (linearise(made, estimator).weights[0] * np.where(made.n > 0, made.outcome, 0.0)).sum()
        assert found == pytest.approx(float(fit.estimate), abs=1e-8 * float(fit.std_error))
