"""Marginal effects re-done row by row: predictions of every row, gradients by complex steps, and dense n x n cluster-robust variances.

A complex step gives a derivative to rounding: ``f'(b) = Im f(b + ih) / h`` for an `h` so small that its square is nothing.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import linalg

import reference
import reference_data as data
import reference_trials as trials
import swedge as sw
from estimators.marginal_rows import banded
from swedge.estimators import MarginalEffect

Array = np.ndarray
COMPARED = {"difference": lambda m: m, "ratio": np.log, "odds ratio": lambda m: np.log(m / (1 - m))}
MEAN = {"binomial": lambda eta: 1 / (1 + np.exp(-eta)), "poisson": np.exp}
STEP = 1e-30
CASES = [("binomial", measure) for measure in COMPARED] + [("poisson", "difference"), ("poisson", "ratio")]


@cache
def made(name: str, family: str, adjusted: bool) -> tuple[pd.DataFrame, sw.Trial]:
    rows = banded(name)
    return rows, trials.from_rows(rows, "y", family, "C(band)" if adjusted else None)


def design(rows: pd.DataFrame, treatment: Array, adjusted: bool) -> Array:
    """Effect columns ``(n, k)`` first, then periods, clusters and bands."""
    bands = pd.get_dummies(rows.band).to_numpy(float)[:, 1:] if adjusted else np.empty((len(rows), 0))
    return np.column_stack([treatment, data.model_matrix(rows, cluster_effects=True)[:, 1:], bands])


def slope(effect, beta: Array) -> Array:
    """Gradient of a function of coefficients."""
    return np.array([np.imag(effect(beta + 1j * STEP * row)) / STEP for row in np.eye(len(beta))])


def dense(x: Array, family: str, rows: pd.DataFrame, effect, kind: str) -> tuple[float, float, float]:
    """Estimate, standard error and df of ``effect(beta)``: beta is turned so that its first entry is the linearised effect."""
    beta, weight, residual = reference.glm(rows.y.to_numpy(float), x, family)
    gradient = slope(effect, beta)
    turned = np.column_stack([gradient / (gradient @ gradient), linalg.null_space(gradient[None])])
    return effect(beta), *reference.cluster_robust(x @ turned, weight, residual, rows.cluster.to_numpy(), kind)


@pytest.mark.parametrize("over", ["all", "treated"])
@pytest.mark.parametrize("adjusted", [False, True], ids=["bare", "adjusted"])
@pytest.mark.parametrize("kind", ["CR0", "CR2", "CR3"])
@pytest.mark.parametrize(("family", "measure"), CASES)
def test_rows_numerical_gradient_and_dense_variance(family: str, measure: str, kind: str, adjusted: bool, over: str) -> None:
    rows, trial = made("made_wedge", family, adjusted)
    treatment = rows.treatment.to_numpy(float)[:, None]
    among = treatment[:, 0] > 0 if over == "treated" else np.ones(len(rows), dtype=bool)

    def effect(beta: Array) -> complex:
        one, none = (design(rows, np.full_like(treatment, arm), adjusted)[among] @ beta for arm in (1, 0))
        return np.diff(COMPARED[measure](np.array([MEAN[family](eta).mean() for eta in (none, one)])))[0]

    estimate, std_error, df = dense(design(rows, treatment, adjusted), family, rows, effect, kind)
    fit = MarginalEffect(sw.FixedEffects(vcov=kind), measure, over).fit(trial)
    assert fit.estimate == pytest.approx(estimate, abs=1e-9 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-7)  # roots of matrices of the size of a cluster
    assert fit.df == pytest.approx(df, rel=1e-6)


def exposure_columns(rows: pd.DataFrame) -> tuple[Array, Array]:
    """Each row's exposure, and one indicator an exposure."""
    first = rows[rows.treatment == 1].groupby("cluster").period.min()
    exposure = np.where(rows.treatment == 1, rows.period - rows.cluster.map(first) + 1, 0)
    return exposure, (exposure[:, None] == np.arange(1, exposure.max() + 1)).astype(float)


@pytest.mark.parametrize("measure", list(COMPARED))
@pytest.mark.parametrize("estimand", [sw.TATE(), sw.TATE(1, 2), sw.LTE(), sw.PTE(2)])
def test_an_estimand_averages_the_effects_at_its_exposures(estimand: sw.TATE, measure: str) -> None:
    rows, trial = made("made_wedge", "binomial", True)
    _, indicators = exposure_columns(rows)
    wanted = estimand.contrast([f"exposure {s + 1}" for s in range(indicators.shape[1])])[1]

    def effect(beta: Array) -> complex:
        worlds = [0 * indicators, *(np.broadcast_to(row, indicators.shape) for row in np.eye(indicators.shape[1]))]
        means = np.array([MEAN["binomial"](design(rows, world, True) @ beta).mean() for world in worlds])
        return wanted @ (COMPARED[measure](means)[1:] - COMPARED[measure](means)[0])

    estimate, std_error, df = dense(design(rows, indicators, True), "binomial", rows, effect, "CR2")
    fit = MarginalEffect(sw.FixedEffects(effect=sw.ByExposure(), estimand=estimand), measure).fit(trial)
    assert fit.estimate == pytest.approx(estimate, abs=1e-9 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-7)
    assert fit.df == pytest.approx(df, rel=1e-6)


@pytest.mark.parametrize("measure", list(COMPARED))
def test_the_treated_are_averaged_at_their_own_exposures(measure: str) -> None:
    rows, trial = made("made_wedge", "binomial", True)
    exposure, indicators = exposure_columns(rows)

    def effect(beta: Array) -> complex:
        worlds = [MEAN["binomial"](design(rows, columns, True)[exposure > 0] @ beta).mean() for columns in (0 * indicators, indicators)]
        return np.diff(COMPARED[measure](np.array(worlds)))[0]

    estimate, std_error, df = dense(design(rows, indicators, True), "binomial", rows, effect, "CR2")
    fit = MarginalEffect(sw.FixedEffects(effect=sw.ByExposure()), measure, "treated").fit(trial)
    assert fit.terms == ("treatment",)
    assert fit.estimate == pytest.approx(estimate, abs=1e-9 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-7)
    assert fit.df == pytest.approx(df, rel=1e-6)


@pytest.mark.parametrize("vcov", ["overdispersed", "model"])
def test_overdispersion_multiplies_the_model_variance_of_the_effect(vcov: str) -> None:
    rows, trial = made("made_unequal", "binomial", False)
    cells = data.cells_of(rows.assign(y_bin=rows.y))
    x = design(cells.assign(band=0), cells.treatment.to_numpy(float)[:, None], False)
    beta, weight, residual = reference.glm(cells.y_bin.to_numpy(float), x, "binomial", cells["size"].to_numpy(float))
    share = cells["size"].to_numpy(float) / cells["size"].sum()

    def effect(b: Array) -> complex:
        return share @ np.subtract(*(MEAN["binomial"](np.column_stack([np.full(len(x), arm), x[:, 1:]]) @ b) for arm in (1.0, 0.0)))

    gradient = slope(effect, beta)
    dispersion = reference.overdispersed(x, weight, residual)[2] if vcov == "overdispersed" else 1.0
    assert (dispersion > 1) == (vcov == "overdispersed")
    fit = MarginalEffect(sw.FixedEffects(vcov=vcov)).fit(trial)
    assert fit.estimate == pytest.approx(effect(beta), rel=1e-9)
    assert fit.std_error == pytest.approx(np.sqrt(dispersion * gradient @ np.linalg.inv((weight[:, None] * x).T @ x) @ gradient), rel=1e-7)
    assert fit.df == len(x) - x.shape[1]
