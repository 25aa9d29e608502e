"""Generalised linear mixed models against glmer and glmmTMB, links and nodes against glmer, likelihood ratios against lmer and glmer.

The likelihood is compared at the peer's own parameters first, then the optima. glmer's Laplace fits of the records were stopped at
``tolPwrss = 1e-7``, which leaves their determinant a step behind (golden/README.md): `LOOSE` is that, and glmmTMB, glmer's quadrature and
the tightened runs get no such allowance.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge._kernels.laplace import evaluate
from swedge.assumptions import RandomEffects, family_named
from swedge.estimators.columns import effects
from swedge.estimators.mixed_glmm import Generalised, fit_generalised
from swedge.inference.likelihood_ratio import LikelihoodRatioTest

STRUCTURES, LINKS, RATIOS = (data.golden(name) for name in ("glmm_structures", "glmm_links", "likelihood_ratios"))
CORRELATION = {
    "ri": sw.Exchangeable(),
    "nested": sw.NestedExchangeable(),
    "treatment": RandomEffects(cluster=None, treatment=None),
    "decay": sw.ExponentialDecay(),
}
LOOSE = 1.2e-4  # log-likelihood; estimates then differ by up to 1e-4


def each(table: pd.DataFrame, *columns: str) -> list[object]:
    return [pytest.param(row, id="-".join(str(row[c]) for c in columns)) for _, row in table.iterrows()]


@cache
def fitted(dataset: str, model: str, nodes: int) -> Generalised:
    trial = trials.from_cells(data.trial_rows(dataset), "y_bin", "binomial")
    parts = effects(trial, sw.Constant(), None)
    with np.errstate(all="ignore"):
        return fit_generalised(trial, parts, CORRELATION[model], family_named("binomial"), nodes)


def constant(found: Generalised, nodes: int) -> float:
    """What glmer's log-likelihood lacks of ours: nothing for Laplace, the saturated one with more nodes; and what the kernel leaves out."""
    slots = found.model.slots
    whole = float((slots.family.constant(slots.y, np.maximum(slots.n, 1e-300)) * (slots.n > 0)).sum())
    if nodes == 1:
        return whole
    y, n = slots.y, slots.n
    certain = (y == 0) | (y == 1)
    y = np.where(certain, 0.5, y)
    return float(-(n * np.where(certain, 0.0, y * np.log(y) + (1 - y) * np.log(1 - y))).sum())


def own_parameters(row: pd.Series) -> np.ndarray:
    theta = [float(value) for value in row.theta.split()]
    if row.model == "decay":
        theta[1] = np.sqrt(-np.log(theta[1]))
    return np.array([[*(float(value) for value in row.beta.split()), *theta]])


def outside(row: pd.Series) -> bool:
    """A negative correlation of neighbouring periods is outside the range of a decay."""
    return row.model == "decay" and float(row.theta.split()[1]) <= 0


def loose(row: pd.Series) -> bool:
    return row.source.startswith("lme4") and row.nodes == 1


RECORDED = STRUCTURES[STRUCTURES.log_likelihood.notna()]


@pytest.mark.parametrize("row", each(RECORDED[~RECORDED.apply(outside, axis=1)], "dataset", "model", "nodes", "source"))
def test_the_likelihood_at_the_peers_parameters(row: pd.Series) -> None:
    found = fitted(row.dataset, row.model, row.nodes)
    start = np.zeros((1, found.model.slots.n.shape[1], found.model.loadings.width))
    value = evaluate(found.model, own_parameters(row), start).value[0] + constant(found, row.nodes)
    # glmmTMB's own inner optimum is good to 3e-9 (the records of decays that do not decay)
    assert value == pytest.approx(row.log_likelihood, abs=LOOSE if loose(row) else 5e-9)


@pytest.mark.parametrize("row", each(STRUCTURES[~STRUCTURES.apply(outside, axis=1)], "dataset", "model", "nodes", "source"))
def test_the_optimum(row: pd.Series) -> None:
    found = fitted(row.dataset, row.model, row.nodes)
    kernel = found.model.slots.family.constant(found.model.slots.y, np.maximum(found.model.slots.n, 1e-300)) * (found.model.slots.n > 0)
    reached = -found.fit.criterion[0] / 2 - float(kernel.sum()) + constant(found, row.nodes)
    if not np.isnan(row.log_likelihood):
        assert reached > row.log_likelihood - 5e-9  # a maximum is not below theirs
        assert reached == pytest.approx(row.log_likelihood, abs=LOOSE if loose(row) else 5e-6)
    assert found.fit.beta[0, -1] == pytest.approx(row.estimate, abs=1e-4)
    if not row.warned and not np.isnan(row.std_error):
        error = np.sqrt(found.fit.covariance[0, -1, -1])
        assert error == pytest.approx(row.std_error, rel=7e-3 if loose(row) else 2e-6)


@pytest.mark.parametrize("row", each(STRUCTURES[STRUCTURES.apply(outside, axis=1)], "dataset", "model", "source"))
def test_a_negative_autocorrelation_ends_at_none(row: pd.Series) -> None:
    """Where the peer's neighbouring periods repel each other (or its standard deviation is 0), ours is singular and no more likely."""
    found = fitted(row.dataset, row.model, row.nodes)
    assert found.fit.status[0] == sw.Status.SINGULAR
    assert -found.fit.criterion[0] / 2 < row.log_likelihood + 1e-7


@pytest.mark.parametrize("row", each(LINKS, "dataset", "family", "link", "nodes"))
def test_links_and_nodes(row: pd.Series) -> None:
    """With one node and a link that is not canonical glmer takes the expected information for the observed: another approximation."""
    trial = trials.from_cells(data.trial_rows(row.dataset), "y_bin", row.family)
    fit = sw.MixedModel(sw.Exchangeable(), df="normal", link=row.link, quadrature=int(row.nodes)).fit(trial)
    same = row.nodes > 1 or row.link == "log"
    assert fit.estimate == pytest.approx(row.estimate, abs=2e-5 * row.std_error if same else 0.02 * row.std_error)
    assert fit.std_error == pytest.approx(row.std_error, rel=5e-6 if same else 1e-2)
    assert fit.details["variances"]["cluster"] == pytest.approx(row.var_cluster, rel=1e-5 if same else 0.03, abs=1e-7)


@pytest.mark.parametrize(
    "row", each(LINKS[(LINKS.nodes == 1) & (LINKS.family == "binomial") & (LINKS.var_cluster > 1e-6)], "dataset", "link")
)
def test_the_observed_information_is_nearer_to_the_integral_than_the_expected(row: pd.Series) -> None:
    """Laplace's approximation with the curvature of the integrand itself, against glmer's, both measured from 25 nodes."""
    trial = trials.from_cells(data.trial_rows(row.dataset), "y_bin", row.family)
    fit = sw.MixedModel(sw.Exchangeable(), df="normal", link=row.link).fit(trial)
    whole = LINKS[(LINKS.dataset == row.dataset) & (LINKS.link == row.link) & (LINKS.nodes == 25)].iloc[0]
    assert abs(fit.estimate - whole.estimate) < 0.003 * whole.std_error
    assert abs(fit.estimate - whole.estimate) < abs(row.estimate - whole.estimate) / 3


@pytest.mark.parametrize("row", each(RATIOS, "dataset", "family", "model"))
def test_likelihood_ratios(row: pd.Series) -> None:
    rows = data.trial_rows(row.dataset)
    door = trials.from_rows if row.family == "gaussian" else trials.from_cells
    trial = door(rows, "y_cont" if row.family == "gaussian" else "y_bin", row.family)
    profiled = not np.isnan(row.conf_low)
    test = LikelihoodRatioTest(df="normal", interval=profiled)
    result = test.run(trial, sw.MixedModel(CORRELATION[row.model], df="normal"))
    assert result.statistic == pytest.approx(row.statistic, abs=1e-6)
    if profiled:  # lme4 interpolates its profile by a spline through points that are not those of the limits
        width = row.conf_high - row.conf_low
        assert result.conf_int == pytest.approx([row.conf_low, row.conf_high], abs=5e-4 * width)
