"""What must not change a fit of any structure, and what must change it in a known way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from dense_structures import EVERY, awkward_rows, trial_of


def numbers(fit: sw.Estimate) -> np.ndarray:
    return np.array([*trials.numbers(fit), *(float(v) for v in fit.details["variances"].values())])


def model_of(name: str, df: str = "kenward-roger") -> sw.MixedModel:
    return sw.MixedModel(EVERY[name][0], df=df)


def shifted(trial: sw.Trial, by: np.ndarray, times: float = 1.0) -> sw.Trial:
    """The trial with outcomes multiplied and cell means moved."""
    cells = trial.cells
    mean = cells.mean.copy()
    mean[..., 0] = times * mean[..., 0] + by
    cohort = None if cells.cohort is None else times**2 * cells.cohort
    return replace(trial, cells=replace(cells, mean=mean, within=times**2 * cells.within, cohort=cohort))


@pytest.mark.parametrize("name", EVERY)
def test_a_constant_added_to_a_period_changes_nothing(name: str) -> None:
    trial = trial_of(awkward_rows(5, name), name)
    fit, moved = (model_of(name).fit(t) for t in (trial, shifted(trial, np.array([0.0, 50.0, -20.0, 3.0, 1.0]))))
    assert numbers(moved) == pytest.approx(numbers(fit), rel=1e-5, abs=1e-6)
    assert moved.details["criterion"] == pytest.approx(fit.details["criterion"], abs=1e-7)


@pytest.mark.parametrize("name", EVERY)
def test_the_unit_of_the_outcome_is_the_unit_of_the_answer(name: str) -> None:
    trial = trial_of(awkward_rows(5, name), name)
    fit, scaled = (model_of(name).fit(t) for t in (trial, shifted(trial, np.zeros(5), 100.0)))
    assert scaled.estimate == pytest.approx(100 * fit.estimate, rel=1e-6)
    assert scaled.std_error == pytest.approx(100 * fit.std_error, rel=1e-6)
    assert scaled.df == pytest.approx(fit.df, rel=1e-5)
    for name_of, value in fit.details["variances"].items():
        unit = 1.0 if name_of == "autocorrelation" else 1e4
        assert scaled.details["variances"][name_of] == pytest.approx(unit * value, rel=1e-4, abs=1e-4 * unit)


@pytest.mark.parametrize("name", EVERY)
def test_names_of_clusters_and_people_do_not_matter(name: str) -> None:
    rows = awkward_rows(6, name)
    renamed = (
        rows.assign(cluster=7 - rows.cluster, person=100 - rows.person)
        .sample(frac=1.0, random_state=0)
        .sort_values("cluster", kind="stable")
    )
    fit, other = (model_of(name).fit(trial_of(frame, name)) for frame in (rows, renamed))
    assert numbers(other) == pytest.approx(numbers(fit), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("df", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("name", EVERY)
def test_a_stack_is_a_loop(name: str, df: str) -> None:
    trial = trial_of(awkward_rows(7, name), name)
    stack = trial.reallocated(trial.design.allocations()[:5])
    together = model_of(name, df).fit(stack)
    for r in range(5):
        alone = model_of(name, df)._fit(stack.replicate(r))
        assert together.status[r] == alone.status
        np.testing.assert_allclose([together.estimate[r], together.std_error[r], together.df[r]],
                                   [alone.estimate, alone.std_error, alone.df], rtol=1e-6)  # fmt: skip


@pytest.mark.parametrize("name", ["correlated", "decay", "cohort"])
def test_several_effects_have_the_covariance_that_their_contrasts_have(name: str) -> None:
    trial = trial_of(awkward_rows(8, name), name)
    many = replace(model_of(name), effect=sw.ByExposure()).fit(trial)
    mean = replace(model_of(name), effect=sw.ByExposure(), estimand=sw.TATE()).fit(trial)
    weights = np.full(len(many.terms), 1 / len(many.terms))
    assert weights @ many.estimate == pytest.approx(mean.estimate, rel=1e-9)
    assert weights @ many.covariance @ weights == pytest.approx(mean.std_error**2, rel=1e-9)
    assert np.diag(many.covariance) == pytest.approx(many.std_error**2, rel=1e-12)


def test_a_correlation_of_one_is_an_edge_and_not_a_failure() -> None:
    fit = model_of("correlated").fit(trials.from_rows(data.made_trial("made_wedge"), "y_cont", "gaussian"))
    found = fit.details["variances"]
    assert fit.status == sw.Status.SINGULAR
    assert found["cluster_treatment"] ** 2 == pytest.approx(found["cluster"] * found["treatment"], rel=1e-6)


def test_shares_are_those_of_the_variances() -> None:
    found = model_of("block exchangeable").fit(trial_of(awkward_rows(1, "block exchangeable"), "block exchangeable")).details
    v = found["variances"]
    between = v["cluster"] + v["cluster_period"]
    assert found["icc"] == pytest.approx(between / (between + v["individual"] + v["residual"]))
    assert found["cac"] == pytest.approx(v["cluster"] / between)
    assert found["iac"] == pytest.approx(v["individual"] / (v["individual"] + v["residual"]))
