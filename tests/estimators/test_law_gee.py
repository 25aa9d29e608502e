"""What must hold of GEE whatever the data, and that it serves power and randomisation tests as any estimator does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge._kernels.gee import KEPT
from swedge.estimators.gee import GEE, VCOVS
from swedge.studies import family_safeguarding

DESIGN = sw.Design.stepped_wedge(clusters=6, periods=4)


def binary(seed: int = 0, noise: float = 0.4, count: int = 40) -> sw.Trial:
    rng = np.random.default_rng(seed)
    allocation = DESIGN.randomise(seed=seed)
    eta = -0.5 + noise * rng.standard_normal((6, 1)) + 0.1 * np.arange(4) + 0.3 * allocation.treatment
    n = rng.integers(count // 2, count, (6, 4))
    return sw.Trial.from_cells(n, rng.binomial(n, 1 / (1 + np.exp(-eta))) / n, allocation, family="binomial")


def stack(count: int = 6, **options: float) -> sw.Trial:
    every = [binary(k, **options) for k in range(count)]
    whole = sw.Trial.from_cells(
        np.stack([t.n for t in every]), np.stack([t.outcome for t in every]), every[0].allocation, family="binomial"
    )
    return whole.under(np.stack([t.treatment for t in every]), np.stack([t.exposure for t in every]))


@pytest.mark.parametrize("family", ["gaussian", "binomial"])
@pytest.mark.parametrize("dataset", list(data.MADE))
def test_statsmodels(dataset: str, family: str) -> None:
    """Independence: statsmodels' GEE has the same robust and model variances, and the same Pearson dispersion, on rows."""
    rows, outcome = data.trial_rows(dataset), "y_cont" if family == "gaussian" else "y_bin"
    peer = sm.GEE(
        rows[outcome].to_numpy(float),
        data.model_matrix(rows),
        groups=rows.cluster.to_numpy(),
        family=sm.families.Gaussian() if family == "gaussian" else sm.families.Binomial(),
        cov_struct=sm.cov_struct.Independence(),
    ).fit(ctol=1e-13, maxiter=200)
    for door in (trials.from_rows, trials.from_cells):
        fit = GEE(sw.Exchangeable(0.0), "robust", moments="pairs").fit(door(rows, outcome, family))
        assert fit.estimate == pytest.approx(peer.params[0], abs=1e-8 * peer.bse[0])
        assert fit.std_error == pytest.approx(peer.bse[0], rel=1e-8)


@pytest.mark.parametrize("vcov", VCOVS)
def test_values_that_were_estimated_give_the_same_fit(vcov: str) -> None:
    trial = binary(3)
    free = GEE(sw.NestedExchangeable(), vcov).fit(trial)
    icc, between = float(free.details["icc"]), float(free.details["icc_between"])
    assert 0 < between < icc
    kept = GEE(sw.NestedExchangeable(icc, between / icc), vcov).fit(trial)
    assert float(kept.estimate) == pytest.approx(float(free.estimate), rel=1e-7)
    assert float(kept.std_error) == pytest.approx(float(free.std_error), rel=1e-7)


def test_decay_runs_on_the_calendar() -> None:
    dates = ["2020-01-01", "2020-02-01", "2020-09-01", "2020-10-01", "2021-06-01"]
    dated = sw.Design.stepped_wedge(clusters=3, boundaries=dates)
    rng = np.random.default_rng(0)
    n, mean = np.full((3, 4), 30), rng.uniform(0.2, 0.6, (3, 4))
    plain = sw.Design.stepped_wedge(clusters=3, periods=4)
    fits = []
    for design in (dated, plain):
        trial = sw.Trial.from_cells(
            n, np.round(mean * 30) / 30, design.allocate(dict(zip(design.clusters, [0, 1, 2], strict=True))), family="binomial"
        )
        fits.append(float(GEE(sw.ExponentialDecay(0.3, 0.6), "MD").fit(trial).estimate))
    assert abs(fits[0] - fits[1]) > 1e-3


def test_average_is_of_standard_errors() -> None:
    one, other, both = (float(GEE(vcov=vcov).fit(binary(1)).std_error) for vcov in ("KC", "MD", "AVG"))
    assert both == pytest.approx((one + other) / 2, rel=1e-12)


def test_order_of_the_corrections() -> None:
    """With cluster effects in plain sight every correction adds to the robust variance, and MD adds most."""
    se = {vcov: float(GEE(vcov=vcov).fit(binary(1)).std_error) for vcov in VCOVS}
    assert se["robust"] < se["CR2"] < se["MD"]
    assert se["robust"] < se["KC"] < se["AVG"] < se["MD"]
    assert se["MBN"] > se["robust"]


def test_correlations_stay_possible() -> None:
    """Data with less variation between clusters than chance gives: the estimate is negative, and held where it is possible."""
    n, risk = np.full((6, 4), 400), np.full((6, 4), 0.3)
    risk[::2, 1] += 1 / 400
    trial = sw.Trial.from_cells(n, risk, DESIGN.randomise(seed=0), family="binomial")
    fit = GEE(sw.Exchangeable(), "robust", moments="cells").fit(trial)
    icc, cluster = float(fit.details["icc"]), 1600
    assert icc < 0
    assert 1 + (cluster - 1) * icc >= KEPT * (1 - 1e-6)
    assert fit.status == sw.Status.SINGULAR
    assert any("edge of what is possible" in note for note in fit.notes)


def test_failures_in_a_stack_are_counted() -> None:
    good = stack(3)
    outcome = good.outcome.copy()
    outcome[0] = 0.0  # nobody has the outcome
    outcome[1][good.treatment[1] == 1] = 0.0  # nobody treated has it
    broken = sw.Trial.from_cells(good.n, outcome, DESIGN.randomise(seed=0), family="binomial").under(good.treatment, good.exposure)
    fit = GEE(sw.Exchangeable()).fit(broken)
    assert [sw.Status(int(code)) for code in fit.status] == [sw.Status.NO_VARIATION, sw.Status.SEPARATED, sw.Status.OK]
    assert np.isnan(fit.estimate[:2]).all()
    assert np.isnan(fit.std_error[:2]).all()


def test_df() -> None:
    trial = binary(2)
    assert GEE().fit(trial).df == 4
    assert GEE(df="coefficients").fit(trial).df == 1
    assert GEE(df="normal").fit(trial).df == np.inf
    assert 1 < GEE(df="satterthwaite").fit(trial).df < 6


def test_notes_and_sentence() -> None:
    trial = binary(2)
    assert any("not safe with 6 clusters" in note for note in GEE(vcov="robust").fit(trial).notes)
    study = family_safeguarding()
    alone = study.scenario(noise=0.1).draw(study.design, 1, np.random.default_rng(1)).replicate(0)
    assert any("One cluster holds" in note for note in GEE(vcov="MD").fit(alone).notes)
    assert not GEE().fit(trial).notes
    sentence = GEE(df="satterthwaite").fit(trial).methods
    assert sentence.startswith(
        "Generalised estimating equations (binomial, logit link) with fixed period effects and a nested exchangeable"
    )
    assert "KC standard errors and Satterthwaite degrees of freedom; 6 clusters, 4 periods" in sentence
    assert "kept to Exchangeable(icc=0.0" in GEE(sw.Exchangeable(0.0)).fit(trial).methods


def test_randomisation_test_inverts_on_the_link() -> None:
    result = sw.RandomisationTest(draws=40, seed=1).run(binary(4), GEE(sw.Exchangeable()))
    assert 0 < result.p_value <= 1


def test_power_by_simulation() -> None:
    study = family_safeguarding()
    methods = {"gee": GEE(), "md": GEE(sw.Exchangeable(), "MD")}
    table = sw.simulate_power(study.design, study.scenario(0.6, 0.1), methods, reps=200, seed=1).tidy().set_index("estimator")
    assert (table["n_failed"] <= 2).all()
    assert 0 < table.loc["md", "power"] < table.loc["gee", "power"] < 1


def test_stack_of_data_and_exposures() -> None:
    fit = GEE().fit(stack(5))
    alone = [GEE().fit(binary(k)) for k in range(5)]
    assert fit.estimate == pytest.approx([float(f.estimate) for f in alone], rel=1e-9)
    assert fit.std_error == pytest.approx([float(f.std_error) for f in alone], rel=1e-9)
    assert isinstance(fit.tidy(), pd.DataFrame)
