"""Cluster-robust variances of every structure against one dense covariance of all rows, and the laws that follow from what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import swedge as sw
from dense_structures import EVERY, Dense, awkward_rows, dense_of, trial_of

Array = np.ndarray
ROBUST = ("CR0", "CR1", "CR2", "CR3")
LOCAL = [name for name in EVERY if not name.startswith("exposure")]
CORRECTION = {"CR0": 0.0, "CR1": 0.0, "CR2": -0.5, "CR3": -1.0}


def power(m: Array, exponent: float) -> Array:
    values, vectors = np.linalg.eigh(m)
    kept = values > 1e-9
    return (vectors[:, kept] * values[kept] ** exponent) @ vectors[:, kept].T


def dense_sandwich(dense: Dense, theta: Array, kind: str) -> tuple[float, float, float]:
    """Estimate, standard error and Satterthwaite df from whitened rows, one cluster after the other."""
    v = dense.covariance(theta)
    white = np.linalg.inv(np.linalg.cholesky(v))
    x, y = white @ dense.x, white @ dense.rows.y.to_numpy()
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    who = dense.rows.cluster.to_numpy()
    pulls = []
    for name in np.unique(who):
        own = who == name
        a = power(np.eye(own.sum()) - x[own] @ bread @ x[own].T, CORRECTION[kind]) if CORRECTION[kind] else np.eye(own.sum())
        weight = np.zeros(len(y))
        weight[own] = a @ x[own] @ bread[:, 0]
        pulls.append(weight)
    pull = np.array(pulls)
    left = np.eye(len(y)) - x @ bread @ x.T
    gram = pull @ left @ pull.T
    factor = len(pull) / (len(pull) - 1) if kind == "CR1" else 1.0
    variance = factor * float(((pull @ (y - x @ beta)) ** 2).sum())
    return float(beta[0]), float(np.sqrt(variance)), float(np.trace(gram) ** 2 / (gram**2).sum())


CASES = [
    pytest.param(name, seed, gaps, covariates, id=f"{name}{'-gaps' * gaps}{'-covariate' * covariates}")
    for name in LOCAL
    for seed, gaps, covariates in [(1, False, False), (2, True, False), (3, False, True), (4, True, True)]
]


@pytest.mark.parametrize(("name", "seed", "gaps", "covariates"), CASES)
def test_reference_dense_rows(name: str, seed: int, gaps: bool, covariates: bool) -> None:
    rows = awkward_rows(seed, name, gaps)
    trial, dense = trial_of(rows, name, covariates), dense_of(rows, name, covariates)
    for kind in ROBUST:
        fit = sw.MixedModel(EVERY[name][0], df="satterthwaite", vcov=kind).fit(trial)
        theta = np.array([float(fit.details["variances"][part]) for part in dense.names])
        expected = dense_sandwich(dense, theta, kind)
        assert [float(fit.estimate), float(fit.std_error), float(fit.df)] == pytest.approx(expected, rel=1e-6, abs=1e-8)


ALLOCATION = sw.Design.stepped_wedge(clusters=6, periods=5, clusters_per_sequence=[2, 1, 2, 1]).randomise(seed=3)
ROBUST_MODEL = sw.MixedModel(df="satterthwaite", vcov="CR2")


def stack(replicates: int) -> sw.Trial:
    rng = np.random.default_rng(5)
    n = rng.integers(2, 9, size=(6, 5)).astype(float)
    shape = (replicates, 6, 5)
    y = 0.4 * rng.standard_normal((replicates, 6, 1)) + 0.5 * rng.standard_normal(shape)
    within = rng.chisquare(n.sum() - n.size, size=replicates)[:, None, None, None]
    return sw.Trial.from_cells(n, y, ALLOCATION, within=within)


@pytest.mark.parametrize("correlation", [sw.Exchangeable(), sw.NestedExchangeable(), sw.ExponentialDecay()])
def test_law_stack_equals_loop(correlation: sw.Exchangeable) -> None:
    trials = stack(7)
    model = replace(ROBUST_MODEL, correlation=correlation)
    whole = model.fit(trials)
    for r in range(7):
        one = model.fit(trials.replicate(r))
        for name in ("estimate", "std_error", "df", "p_value"):
            assert float(getattr(whole, name)[r]) == pytest.approx(float(getattr(one, name)), rel=1e-9)


@pytest.mark.parametrize("kind", ROBUST)
def test_law_without_random_effects_is_least_squares(kind: str) -> None:
    """Where the estimated variances are 0 the fit is least squares without cluster effects: residuals and sandwich by hand."""
    rng = np.random.default_rng(2)
    y = rng.standard_normal((6, 5))
    y -= y.mean(1, keepdims=True)
    trial = sw.Trial.from_cells(np.full((6, 5), 4.0), y, ALLOCATION, within=np.array([[300.0]]))
    fit = sw.MixedModel(df="satterthwaite", vcov=kind).fit(trial)
    assert fit.status == sw.Status.SINGULAR
    x = np.column_stack([ALLOCATION.treatment.ravel(), np.tile(np.eye(5), (6, 1))])
    bread = np.linalg.inv(x.T @ x)
    e = y.ravel() - x @ (bread @ x.T @ y.ravel())
    total = 0.0
    for i in range(6):
        own = slice(5 * i, 5 * i + 5)
        a = power(np.eye(5) - x[own] @ bread @ x[own].T, CORRECTION[kind]) if CORRECTION[kind] else np.eye(5)
        total += float(bread[0] @ x[own].T @ a @ e[own]) ** 2
    assert float(fit.std_error) == pytest.approx(np.sqrt(total * (6 / 5 if kind == "CR1" else 1)), rel=1e-9)


def test_law_scale_and_periods() -> None:
    """Outcomes twice as large double the standard error; a constant added to a period changes nothing."""
    trials = stack(3)
    base = ROBUST_MODEL.fit(trials)
    moved = replace(trials, cells=replace(trials.cells, mean=trials.cells.mean + np.arange(5.0)[:, None]))
    twice = replace(trials, cells=replace(trials.cells, mean=2 * trials.cells.mean, within=4 * trials.cells.within))
    np.testing.assert_allclose(ROBUST_MODEL.fit(moved).std_error, base.std_error, rtol=1e-6)
    np.testing.assert_allclose(ROBUST_MODEL.fit(twice).std_error, 2 * base.std_error, rtol=1e-6)
    np.testing.assert_allclose(ROBUST_MODEL.fit(twice).df, base.df, rtol=1e-6)


def test_law_estimate_is_the_models() -> None:
    trials = stack(4)
    np.testing.assert_allclose(ROBUST_MODEL.fit(trials).estimate, sw.MixedModel().fit(trials).estimate, rtol=1e-12)
    np.testing.assert_allclose(ROBUST_MODEL.point(trials), sw.MixedModel().fit(trials).estimate, rtol=1e-9)


def test_words() -> None:
    fit = ROBUST_MODEL.fit(stack(1).replicate(0))
    assert "CR2 cluster-robust variance and Satterthwaite degrees of freedom" in fit.methods
    assert fit.estimator == "MixedModel CR2 satterthwaite"
    assert not any("not safe" in note or "Kenward-Roger" in note for note in fit.notes)
    loose = sw.MixedModel(sw.Exchangeable(), df="normal", vcov="CR1").fit(stack(1).replicate(0))
    assert np.isinf(float(loose.df))
    assert any("CR1 with infinite (normal) degrees of freedom is not safe with 6 clusters" in note for note in loose.notes)
    assert not any("secular trend" in note for note in loose.notes), "a robust variance does not assume one secular trend"
    few = sw.MixedModel(df="clusters", vcov="CR3").fit(stack(1).replicate(0))
    assert float(few.df) == 4


def test_degenerate_replicates_are_statuses() -> None:
    """An outcome without variation, in a stack, is a status and leaves its neighbours alone."""
    trials = stack(3)
    mean, within = trials.cells.mean.copy(), trials.cells.within.copy()
    mean[1], within[1] = 0.5, 0.0
    fit = ROBUST_MODEL.fit(replace(trials, cells=replace(trials.cells, mean=mean, within=within)))
    assert list(fit.status == sw.Status.NO_VARIATION) == [False, True, False]
    assert list(np.isnan(fit.std_error)) == [False, True, False]


BAD = {
    "an unknown variance": (lambda: sw.MixedModel(vcov="CR4", df="satterthwaite"), r"vcov='CR4'; expected one of model, CR0"),
    "a variance that is no text": (lambda: sw.MixedModel(vcov=2), r"vcov=2; expected one of"),  # type: ignore[arg-type]
    "no df written": (lambda: sw.MixedModel(vcov="CR2"), r"df='kenward-roger' \(kenward-roger is the default\).*Write df='satterthwaite'"),
    "Kenward-Roger": (lambda: sw.MixedModel(vcov="CR3", df="kenward-roger"), r"belongs to the model's variance, not to vcov='CR3'"),
    "between-within": (lambda: sw.MixedModel(vcov="CR2", df="between-within"), r"df='between-within'.*not to vcov='CR2'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name: str) -> None:
    build, message = BAD[name]
    with pytest.raises(sw.FitError, match=message):
        build()


def test_bad_input_binary() -> None:
    trial = sw.Trial.from_cells(np.full((6, 5), 50), np.full((6, 5), 0.3) + 0.01 * np.arange(5), ALLOCATION, family="binomial")
    with pytest.raises(sw.FitError, match=r"vcov='CR2' is for Gaussian outcomes; this one is binomial.*FixedEffects\(vcov='CR2'\)"):
        sw.MixedModel(df="normal", vcov="CR2").fit(trial)


def test_bad_input_shared_exposures() -> None:
    crossed = sw.RandomEffects(cluster=None, exposure=None)
    with pytest.raises(sw.FitError, match="needs clusters that are independent under the model"):
        replace(ROBUST_MODEL, correlation=crossed).fit(stack(1).replicate(0))


def test_bad_input_pooled_scatter() -> None:
    rows = awkward_rows(1, "treatment")
    trial = trial_of(rows, "treatment", covariates=True)
    pooled = replace(trial, cells=replace(trial.cells, within=trial.cells.within.sum(0, keepdims=True)))
    with pytest.raises(sw.DataError, match="needs each cluster's scatter"):
        ROBUST_MODEL.fit(pooled)
