"""Fits that must stay sound where likelihoods are awkward: decays near their edges, cells of very unequal size, searches that stray."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge._kernels.density import DENSITIES
from swedge._kernels.linalg import small_inverse
from swedge._kernels.search import minimise
from swedge.assumptions import Correlation
from swedge.estimators.columns import effects
from swedge.estimators.mixed_gaussian import gaussian_model
from swedge.studies import family_safeguarding

EFFECTS = sw.RandomEffects
BESIDE = EFFECTS(cluster=None, cluster_period=None, autocorrelation=None)
DESIGN = family_safeguarding().design


def nulls(n: np.ndarray, replicates: int, sd: tuple[float, float] = (0.15, 0.1), seed: int = 5) -> sw.Trial:
    """Null trials on the dated design of Family Safeguarding, residual variance 1."""
    rng, allocations = np.random.default_rng(seed), DESIGN.allocations()
    sequences = allocations[rng.integers(len(allocations), size=replicates)]
    each = (replicates, *n.shape)
    mean = sd[0] * rng.normal(size=(*each[:2], 1)) + sd[1] * rng.normal(size=each) + rng.normal(size=each) / np.sqrt(n)
    within = rng.chisquare(n.sum() - n.size, size=replicates)
    first = DESIGN.allocate(dict(zip(DESIGN.clusters, map(int, sequences[0]), strict=True)))
    trial = sw.Trial.from_cells(n, mean[0], first, within=1.0)
    return replace(trial, cells=replace(trial.cells, mean=mean[..., None], within=within[:, None, None, None])).reallocated(sequences)


@pytest.mark.parametrize("structure", [sw.ExponentialDecay(), BESIDE], ids=["decay", "cluster and decay"])
@pytest.mark.parametrize("sd", [(0.15, 0.1), (0.05, 0.2), (0.3, 0.05)])
def test_law_kenward_roger_of_a_decay_inflates_and_no_more_than_twice(structure: Correlation, sd: tuple[float, float]) -> None:
    trial = nulls(np.full((5, 6), 60.0), 400, sd)
    fit, plain = (sw.MixedModel(structure, df=df).fit(trial) for df in ("kenward-roger", "normal"))
    ratio = fit.std_error / plain.std_error
    assert (fit.status <= sw.Status.SINGULAR).all()
    assert ratio.min() > 1 - 1e-9
    assert ratio.max() < 2
    assert (fit.df > 1).all()
    assert (fit.df < 200).all(), "five clusters have no thousand degrees of freedom: a decay of 1 is not dropped"


def test_law_a_decay_at_its_edge_gives_the_standard_error_of_what_is_left() -> None:
    """With a decay of 0 the model beside a cluster effect is the nested one, Kenward-Roger and all."""
    trial = nulls(np.full((5, 6), 60.0), 400)
    fit, nested = sw.MixedModel(BESIDE).fit(trial), sw.MixedModel().fit(trial)
    gone = (fit.details["variances"]["autocorrelation"] < 1e-7) & (fit.details["variances"]["cluster"] > 1e-4)
    gone &= fit.details["variances"]["cluster_period"] > 1e-4
    assert gone.sum() > 50
    np.testing.assert_allclose(fit.std_error[gone], nested.std_error[gone], rtol=1e-4)
    np.testing.assert_allclose(fit.df[gone], nested.df[gone], rtol=1e-3)


def test_law_the_methods_sentence_says_first_order_where_a_decay_is_estimated() -> None:
    trial = nulls(np.full((5, 6), 60.0), 2).replicate(0)
    assert "first-order Kenward-Roger degrees" in sw.MixedModel(sw.ExponentialDecay()).fit(trial).summary()
    assert "first-order" not in sw.MixedModel().fit(trial).summary()
    assert "first-order" not in sw.MixedModel(sw.ExponentialDecay(), df="satterthwaite").fit(trial).summary()


THREE = EFFECTS(cluster=None, treatment=None, treatment_corr=None, cluster_period=None)
UNCORRELATED = EFFECTS(cluster=None, treatment=None, cluster_period=None, autocorrelation=None)
# Replicates that a search from ratios about the reciprocal of small cells alone left up to .7 above the minimum.
HARD = {
    "decay": (sw.ExponentialDecay(), (57, 377, 434, 584)),
    "correlated": (THREE, (64, 173)),
    "treatment and decay": (UNCORRELATED, (84, 145, 452, 464, 687)),
}


def unequal() -> sw.Trial:
    """A thousand null trials with cells of 2 to 2,000, drawn as those replicates were found."""
    rng, allocations = np.random.default_rng(5), DESIGN.allocations()
    sequences = allocations[rng.integers(len(allocations), size=1000)]
    n = np.exp(rng.uniform(np.log(2), np.log(2000), size=(5, 6))).round()
    each = (1000, 5, 6)
    mean = 0.15 * rng.normal(size=(1000, 5, 1)) + 0.1 * rng.normal(size=each) + rng.normal(size=each) / np.sqrt(n)
    within = rng.chisquare(n.sum() - 30, size=1000)
    first = DESIGN.allocate(dict(zip(DESIGN.clusters, map(int, sequences[0]), strict=True)))
    trial = sw.Trial.from_cells(n, mean[0], first, within=1.0)
    return replace(trial, cells=replace(trial.cells, mean=mean[..., None], within=within[:, None, None, None])).reallocated(sequences)


@pytest.mark.parametrize("name", HARD)
def test_reference_random_starts_find_nothing_lower_where_cells_are_unequal(name: str) -> None:
    structure, which = HARD[name]
    trial = unequal().replicate(np.array(which))
    size = len(which)
    fit = sw.MixedModel(structure, df="normal").fit(trial)
    model, _ = gaussian_model(trial, effects(trial, sw.Constant(), None), structure.structure(), True)
    parameters, rng = model.parameters, np.random.default_rng(1)
    lowest = np.full(size, np.inf)
    for _ in range(60):
        start = np.exp(rng.uniform(np.log(1e-4), np.log(1e2), size=(size, parameters.count)))
        if parameters.decay:
            start[:, -1] = rng.uniform(0.02, 0.98, size=size)
        found = minimise(model, start, parameters.lower, parameters.upper)
        lowest = np.minimum(lowest, np.where(found.converged, found.criterion, np.inf))
    assert (fit.details["criterion"] - lowest < 1e-3).all()


def test_law_a_replicate_starts_where_it_would_start_alone() -> None:
    """Counts of others in the stack do not move a fit."""
    small, large = np.full((5, 6), 4.0), np.full((5, 6), 4000.0)
    trial = nulls(small, 2)
    both = replace(trial, cells=replace(trial.cells, n=np.stack([small, large])))
    together = sw.MixedModel(BESIDE, df="normal").fit(both).details["criterion"]
    alone = [sw.MixedModel(BESIDE, df="normal").fit(both.replicate(r)).details["criterion"] for r in range(2)]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


@pytest.mark.parametrize("name", DENSITIES, ids="-".join)
def test_law_densities_stay_silent_wherever_a_search_strays(name: tuple[str, str]) -> None:
    eta = np.concatenate([np.linspace(-1000, 1000, 401), [-1e-9, 0.0, 1e-9]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (0.0, 0.3, 1.0):
            value = DENSITIES[name].value(np.full_like(eta, y), eta)
            parts = DENSITIES[name].slopes(np.full_like(eta, y), eta)
            inside = eta < 0 if name == ("binomial", "log") else np.isfinite(eta)
            assert not np.isnan(value[inside]).any()
            assert all(not np.isnan(part[inside]).any() for part in parts)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_law_a_matrix_that_is_not_positive_has_no_inverse_and_makes_no_noise(size: int) -> None:
    sound, unsound = 2 * np.eye(size), np.diag([-1.0] + [1.0] * (size - 1))
    inverse, log_det = small_inverse(np.stack([sound, unsound, np.zeros((size, size))]))
    np.testing.assert_allclose(inverse[0], np.eye(size) / 2)
    assert log_det[0] == pytest.approx(size * np.log(2))
    assert np.isnan(inverse[1:]).all()
    assert np.isnan(log_det[1:]).all()


def test_law_notes_quote_figures_only_for_models_that_were_simulated() -> None:
    counts = np.full((5, 6), 200.0)
    events = np.random.default_rng(3).binomial(200, 0.2, size=(5, 6)) / 200
    trial = sw.Trial.from_cells(counts, events, DESIGN.randomise(seed=1), family="binomial")
    other = " ".join(sw.MixedModel(EFFECTS(cluster=None, treatment=None), df="normal").fit(trial).notes)
    assert "has not been simulated" in other
    assert "Family Safeguarding" not in other
    assert "6, 9 and 11%" in " ".join(sw.MixedModel(df="normal").fit(trial).notes)


def test_a_cohort_that_the_model_forgets_is_told() -> None:
    """The same twenty people in every period, analysed as new ones: a note says so, and people are not counted six times."""
    rng = np.random.default_rng(3)
    allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    who = [(str(c + 1), t + 1, f"{c}-{k}") for c in range(5) for k in range(20) for t in range(6)]
    rows = pd.DataFrame(who, columns=["la", "period", "person"]).assign(y=rng.standard_normal(600))
    rows["y"] += rows["person"].map(dict(zip(rows["person"].unique(), rng.standard_normal(100), strict=True)))
    trial = sw.Trial.from_frame(rows, allocation, cluster="la", period="period", outcome="y", individual="person")
    plain, own = sw.MixedModel().fit(trial), sw.MixedModel(sw.NestedExchangeable(iac=None)).fit(trial)
    assert any("The same individuals are in every period" in note for note in plain.notes)
    assert not any("The same individuals are in every period" in note for note in own.notes)
    assert "100 individuals measured 600 times" in own.methods
