"""Laws of the generalised linear mixed model: doors, stacks, units, boundaries, and what its words say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.assumptions import RandomEffects
from swedge.estimators.columns import effects
from swedge.estimators.freedom import between_within

MODELS = [
    sw.MixedModel(df="between-within"),
    sw.MixedModel(RandomEffects(cluster=None, treatment=None, treatment_corr=None), df="clusters"),
    sw.MixedModel(sw.ExponentialDecay(), df="normal"),
    sw.MixedModel(sw.Exchangeable(), df="normal", quadrature=7),
    sw.MixedModel(sw.Exchangeable(), df="normal", link="probit"),
    sw.MixedModel(df="normal", link="cloglog"),
    sw.MixedModel(df="normal", link="log"),
]
DESIGN = sw.Design.stepped_wedge(clusters=8, periods=5, clusters_per_sequence=[2, 2, 2, 2])


def rows(seed: int) -> pd.DataFrame:
    """Individuals with a category and a number, in clusters and cells that differ."""
    rng = np.random.default_rng(seed)
    allocation = DESIGN.randomise(seed=seed)
    level = 0.4 * rng.standard_normal((8, 1)) + 0.2 * rng.standard_normal((8, 5))
    frame = pd.DataFrame([(i, t) for i in range(8) for t in range(5) for _ in range(10 + (i + t) % 5)], columns=["i", "t"])
    frame = frame.assign(cluster=[DESIGN.clusters[i] for i in frame.i], period=frame.t + 1, group=rng.choice(["a", "b", "c"], len(frame)))
    eta = -1.2 + level[frame.i, frame.t] + 0.3 * allocation.treatment[frame.i, frame.t] + 0.3 * (frame.group == "b")
    return frame.assign(y=rng.binomial(1, np.minimum(np.exp(eta), 0.8)))


def read(frame: pd.DataFrame, seed: int, covariates: str | None = None) -> sw.Trial:
    columns = {"cluster": "cluster", "period": "period", "outcome": "y", "family": "binomial", "covariates": covariates}
    return sw.Trial.from_frame(frame, DESIGN.randomise(seed=seed), **columns)


def numbers(fit: sw.Estimate) -> list[float]:
    return [float(fit.estimate), float(fit.std_error), float(fit.details["criterion"])]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_law_rows_and_cells(model: sw.MixedModel) -> None:
    """Cells of individuals; the criterion differs by the number of ways to choose who had the outcome."""
    frame = read(rows(1), 1)
    cells = sw.Trial.from_cells(frame.n, frame.outcome, DESIGN.randomise(seed=1), family="binomial")
    one, other = model.fit(frame), model.fit(cells)
    assert numbers(one) == pytest.approx(numbers(other), rel=1e-8)


@pytest.mark.parametrize("model", MODELS[:4], ids=repr)
def test_law_patterns_and_individuals(model: sw.MixedModel) -> None:
    """Slots in another order, and every pattern cut in two: individuals with the outcome, and those without it."""
    few = read(rows(2), 2, "C(group)")
    patterns = few.patterns
    assert patterns is not None
    order = np.argsort(-patterns.n[0])
    shuffled = replace(patterns, n=patterns.n[:, order], mean=patterns.mean[:, order], period=patterns.period[:, order])
    shuffled = replace(shuffled, covariates=patterns.covariates[:, order])
    apart = replace(
        patterns,
        n=np.concatenate([patterns.n * patterns.mean, patterns.n * (1 - patterns.mean)], -1),
        mean=np.concatenate([np.ones_like(patterns.mean), np.zeros_like(patterns.mean)], -1),
        period=np.concatenate([patterns.period] * 2, -1),
        covariates=np.concatenate([patterns.covariates] * 2, -2),
    )
    whole = numbers(model.fit(few))
    assert numbers(model.fit(replace(few, patterns=shuffled))) == pytest.approx(whole, rel=1e-8)
    assert numbers(model.fit(replace(few, patterns=apart)))[:2] == pytest.approx(whole[:2], rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_law_a_stack_is_a_loop(model: sw.MixedModel) -> None:
    generator = np.random.default_rng(5)
    base = read(rows(3), 3)
    drawn = generator.binomial(base.n.astype(int), 0.25, (6, 8, 5)) / base.n
    stack = replace(base, cells=replace(base.cells, mean=drawn[..., None]))
    fit = model.fit(stack)
    for i in range(6):
        if fit.status[i] <= sw.Status.SINGULAR:
            single = model.fit(stack.replicate(i))
            assert [fit.estimate[i], fit.std_error[i]] == pytest.approx(
                [float(single.estimate), float(single.std_error)], rel=1e-6, abs=1e-8
            )
            assert fit.details["criterion"][i] == pytest.approx(float(single.details["criterion"]), abs=1e-9)


@pytest.mark.parametrize("model", [m for m in MODELS if m.link != "log"], ids=repr)
def test_law_an_offset_is_taken_from_the_effect(model: sw.MixedModel) -> None:
    trial = read(rows(4), 4)
    moved = model.fit(model.null(trial, 0.3))
    plain = model.fit(trial)
    assert float(moved.estimate) == pytest.approx(float(plain.estimate) - 0.3, abs=1e-6)
    assert float(moved.details["criterion"]) == pytest.approx(float(plain.details["criterion"]), abs=1e-9)


def test_law_a_nested_model_without_cell_variance_is_that_of_clusters() -> None:
    trial = trials.from_cells(data.made_trial("made_wedge"), "y_bin", "binomial")
    nested, plain = sw.MixedModel(df="normal").fit(trial), sw.MixedModel(sw.Exchangeable(), df="normal").fit(trial)
    assert nested.details["variances"]["cluster_period"] == pytest.approx(0, abs=1e-9)
    assert numbers(nested) == pytest.approx(numbers(plain), rel=1e-7)
    assert nested.status == sw.Status.SINGULAR


@pytest.mark.parametrize(("door", "tolerance"), [("rows", 2e-4), ("cells", 2e-4)])
def test_golden_the_null_trial_of_family_safeguarding(door: str, tolerance: float) -> None:
    """lme4 prints .0199957 (rows) and .0199854 (cells), SE .102582 and .102770, variance .12032: its tolerance, not the data."""
    cells = data.trial_rows("fs_null")
    if door == "cells":
        trial = trials.from_cells(cells, "y_bin", "binomial")
    else:
        each = cells.loc[cells.index.repeat(cells["size"])]
        events = np.concatenate([np.arange(n) < y for n, y in zip(cells["size"], cells.y, strict=True)]).astype(int)
        trial = trials.from_rows(each.assign(y_bin=events, size=1), "y_bin", "binomial")
    fit = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trial)
    assert fit.estimate == pytest.approx(0.0199957, abs=tolerance)
    assert fit.std_error == pytest.approx(0.102582, abs=5e-4)  # true at the optimum: .1028568, see golden/README.md
    assert fit.details["variances"]["cluster"] == pytest.approx(0.12032, abs=tolerance)
    whole = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trials.from_cells(cells, "y_bin", "binomial"))
    assert numbers(fit) == pytest.approx(numbers(whole), rel=1e-8)


def test_between_within_df() -> None:
    """5 x 6 cells: 30 - 5 - 5 - 1; unobserved cells count out; a parallel trial has clusters - 2."""
    wedge = trials.from_cells(data.made_trial("made_wedge"), "y_bin", "binomial")
    gaps = trials.from_cells(data.made_trial("made_gaps"), "y_bin", "binomial")
    assert between_within(wedge, effects(wedge, sw.Constant(), None)).tolist() == [[19.0]]
    assert between_within(gaps, effects(gaps, sw.Constant(), None)).tolist() == [[28 - 7 - 4 - 1]]
    exposures = effects(wedge, sw.ByExposure(), sw.TATE())
    assert between_within(wedge, exposures).tolist() == [[30 - 5 - 5 - 5]]
    design, n = sw.Design.parallel(clusters=6, periods=2), np.full((6, 2), 40)
    parallel = sw.Trial.from_cells(n, np.linspace(0.2, 0.5, 12).reshape(6, 2), design.randomise(seed=0), family="binomial")
    assert between_within(parallel, effects(parallel, sw.Constant(), None)).tolist() == [[4.0]]
    assert float(sw.MixedModel(df="between-within").fit(wedge).df) == 19
    gaussian = trials.from_rows(data.made_trial("made_wedge"), "y_cont", "gaussian")
    assert float(sw.MixedModel(df="between-within").fit(gaussian).df) == 19


def test_words() -> None:
    trial = trials.from_cells(data.made_trial("made_unequal"), "y_bin", "binomial")
    fit = sw.MixedModel(sw.Exchangeable(), df="between-within", link="probit", quadrature=9).fit(trial)
    assert "probit link, adaptive Gauss-Hermite quadrature with 9 nodes" in fit.methods
    assert "between-within degrees of freedom" in fit.methods
    assert "probit difference" in fit.summary()
    assert any("share one secular trend exactly" in note for note in fit.notes)
    nested = sw.MixedModel(df="between-within").fit(trial)
    assert any("ParametricBootstrapTest" in note for note in nested.notes)
    assert "Laplace" in nested.methods


# Bad input --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "match"),
    [
        (sw.MixedModel(), r"df='kenward-roger' is for Gaussian outcomes.*between-within.*LikelihoodRatioTest"),
        (sw.MixedModel(df="satterthwaite"), "for Gaussian outcomes"),
        (sw.MixedModel(df="normal", quadrature=5), r"integrates over one random effect.*Use quadrature=1"),
        (sw.MixedModel(sw.Exchangeable(), df="normal", quadrature=5, link="log"), "risks exceed 1 on a log link"),
        (sw.MixedModel(sw.Exchangeable(), df="normal", link="identity"), r"no mixed model with identity link.*logit, probit, cloglog, log"),
        (sw.MixedModel(sw.Exchangeable(), df="normal", link="logt"), "Did you mean 'logit'"),
        (sw.MixedModel(RandomEffects(cluster=None, exposure=None), df="normal"), r"has no mixed model with.*Leave out individual"),
        (sw.MixedModel(sw.ProportionalDecay(), df="normal"), "has no mixed model with"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_bad_input_model(model: sw.MixedModel, match: str) -> None:
    trial = trials.from_cells(data.made_trial("made_wedge"), "y_bin", "binomial")
    with pytest.raises(sw.FitError, match=match):
        model.fit(trial)


@pytest.mark.parametrize("nodes", [0, -3, 1.5, True, "9", 100])
def test_bad_input_quadrature(nodes: object) -> None:
    with pytest.raises(sw.FitError, match=r"expected a number of nodes, 1 \(Laplace\) to 99"):
        sw.MixedModel(quadrature=nodes)  # type: ignore[arg-type]


def test_bad_input_gaussian_quadrature() -> None:
    trial = trials.from_rows(data.made_trial("made_wedge"), "y_cont", "gaussian")
    with pytest.raises(sw.FitError, match="whose likelihood is exact"):
        sw.MixedModel(quadrature=5).fit(trial)


def test_bad_input_structures_that_cells_cannot_show() -> None:
    design = sw.Design.stepped_wedge(clusters=5, periods=6)
    alone = sw.Trial.from_cells(np.ones((5, 6)), np.arange(30).reshape(5, 6) % 2, design.randomise(seed=0), family="binomial")
    with pytest.raises(sw.FitError, match="one individual at most"):
        sw.MixedModel(df="normal").fit(alone)
    two = sw.Design.from_matrix([[0, 0], [0, 1]], clusters_per_sequence=[3, 3])
    short = sw.Trial.from_cells(np.full((6, 2), 40), np.linspace(0.1, 0.5, 12).reshape(6, 2), two.randomise(seed=0), family="binomial")
    with pytest.raises(sw.FitError, match="decay needs three periods"):
        sw.MixedModel(sw.ExponentialDecay(), df="normal").fit(short)


def test_bad_input_a_risk_of_one_has_no_logarithm_to_spare() -> None:
    """Cells in which everyone has the outcome push the fitted risk to 1, the end of a log link: a status, no number."""
    design = sw.Design.stepped_wedge(clusters=5, periods=6)
    allocation = design.randomise(seed=0)
    risk = np.where(allocation.treatment > 0, 1.0, 0.9)
    trial = sw.Trial.from_cells(np.full((5, 6), 40), risk, allocation, family="binomial")
    with pytest.raises(sw.FitError, match=r"not converged|separated"):
        sw.MixedModel(sw.Exchangeable(), df="normal", link="log").fit(trial)
