"""Mixed models against dense individual-level references, on trials drawn to be awkward.

Both sides are exact apart from rounding once the variances are the same, so the fit is first compared at swedge's own variances (1e-8), and
only then with the reference's direct maximisation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference
import reference_data as data
import reference_trials as trials
import swedge as sw

STRUCTURES = {"ri": sw.Exchangeable(), "nested": sw.NestedExchangeable()}


@cache
def awkward(seed: int) -> pd.DataFrame:
    """Unequal cells down to one individual, unobserved cells, fractional treatment, covariates within and between cells."""
    generator = np.random.default_rng(seed)
    clusters, periods = int(generator.integers(4, 8)), int(generator.integers(4, 7))
    sd_cluster, sd_cell = generator.choice([0.0, 0.1, 0.5, 3.0], size=2)
    first = np.concatenate([[1, 2], generator.integers(1, periods, size=clusters - 2)])
    rows = []
    for i in range(clusters):
        effect = sd_cluster * generator.standard_normal()
        for t in range(periods):
            treated = float(t >= first[i]) * (0.5 if seed % 3 == 0 and t == first[i] else 1.0)
            noise = sd_cell * generator.standard_normal()
            if i > 1 and generator.random() < 0.1:
                continue  # not observed
            for _ in range(int(generator.integers(1, 9))):
                age, group = generator.normal(10 + i, 3), generator.choice(["a", "b", "c"])
                mean = 5 + 0.2 * t + 0.3 * treated + 0.1 * age + {"a": 0.0, "b": 0.4, "c": -0.2}[group] + effect + noise
                rows.append([i + 1, t + 1, treated, 1, mean + generator.standard_normal(), age, group])
    return pd.DataFrame(rows, columns=["cluster", "period", "treatment", "size", "y_cont", "age", "group"])


def design_matrix(rows: pd.DataFrame, covariates: str | None) -> np.ndarray:
    x = data.model_matrix(rows)
    if covariates is None:
        return x
    return np.column_stack([x, rows.age, rows.group == "b", rows.group == "c"])


def dense(rows: pd.DataFrame, nested: bool, covariates: str | None = None) -> list[reference.Block]:
    columns = rows.y_cont.to_numpy(), design_matrix(rows, covariates), rows.cluster.to_numpy(), rows.period.to_numpy()
    return reference.lmm_blocks(*columns, nested=nested)


def variances_of(fit: sw.Estimate, nested: bool) -> np.ndarray:
    found = fit.details["variances"]
    return np.array([float(found[name]) for name in (["cluster", "cluster_period", "residual"] if nested else ["cluster", "residual"])])


def check(fit_of: Callable[[str], sw.Estimate], own: list[reference.Block], nested: bool, reml: bool) -> None:
    """Same parameters first, then optima, then degrees of freedom."""
    satterthwaite = fit_of("satterthwaite")
    theta = variances_of(satterthwaite, nested)
    there = reference.gls(own, theta, reml)
    assert satterthwaite.details["criterion"] == pytest.approx(there.criterion, abs=1e-8, rel=1e-11)
    assert satterthwaite.estimate == pytest.approx(there.beta[0], abs=1e-8 * np.sqrt(there.cov[0, 0]))
    assert satterthwaite.std_error == pytest.approx(np.sqrt(there.cov[0, 0]), rel=1e-8)
    best, fit = reference.fit_lmm(own, reml)
    assert there.criterion == pytest.approx(fit.criterion, abs=1e-8)
    assert satterthwaite.estimate == pytest.approx(fit.beta[0], abs=1e-5 * np.sqrt(fit.cov[0, 0]))
    assert (satterthwaite.status == sw.Status.SINGULAR) == (best[:-1].min() == 0)
    # lmerTest's definition holds at an exact optimum only, where the parametrisation does not matter: so the reference's own
    assert satterthwaite.df == pytest.approx(reference.satterthwaite_df(own, best, reml), rel=2e-5)
    if reml:
        kr = fit_of("kenward-roger")
        std_error, df = reference.kenward_roger(own, theta)
        assert kr.std_error == pytest.approx(std_error, rel=1e-7)
        assert kr.df == pytest.approx(df, rel=1e-6)


@pytest.mark.parametrize("covariates", [None, "age + C(group)"])
@pytest.mark.parametrize("reml", [True, False], ids=["reml", "ml"])
@pytest.mark.parametrize("model", STRUCTURES)
@pytest.mark.parametrize("seed", range(12))
def test_awkward_trials(seed: int, model: str, reml: bool, covariates: str | None) -> None:
    rows = awkward(seed)
    trial = trials.from_rows(rows, "y_cont", "gaussian", covariates)
    nested = model == "nested"
    own = dense(rows, nested, covariates)
    check(lambda df: sw.MixedModel(STRUCTURES[model], reml=reml, df=df).fit(trial), own, nested, reml)


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled scatter", "scatter of each cluster"])
@pytest.mark.parametrize("model", STRUCTURES)
def test_covariates_through_the_door_for_cells(model: str, pooled: bool) -> None:
    rows = awkward(1)
    grouped, columns = rows.groupby(["cluster", "period"]), ["y_cont", "age"]
    n = grouped.size().unstack().fillna(0).to_numpy()
    mean = np.stack([grouped[c].mean().unstack().fillna(0).to_numpy() for c in columns], axis=-1)
    centred = rows[columns] - grouped[columns].transform("mean")
    within = np.stack([own.T @ own for own in (centred[rows.cluster == c].to_numpy() for c in range(1, len(n) + 1))])
    trial = sw.Trial.from_cells(n, mean, trials.allocation_of(rows), within=within.sum(0) if pooled else within)
    x = np.column_stack([data.model_matrix(rows), rows.age])
    own = reference.lmm_blocks(rows.y_cont.to_numpy(), x, rows.cluster.to_numpy(), rows.period.to_numpy(), nested=model == "nested")
    check(lambda df: sw.MixedModel(STRUCTURES[model], df=df).fit(trial), own, model == "nested", reml=True)


def test_a_residual_that_vanishes_is_not_a_licence_for_infinite_degrees_of_freedom() -> None:
    rows = data.made_trial("made_wedge")
    copied = rows.assign(y_cont=rows.groupby(["cluster", "period"]).y_cont.transform("mean"))  # everyone in a cell has the same outcome
    trial = trials.from_rows(copied, "y_cont", "gaussian")
    try:
        fit = sw.MixedModel(sw.NestedExchangeable(), df="kenward-roger").fit(trial)
    except sw.SwedgeError:
        return
    assert fit.df <= 30, "30 cells hold all there is"
