"""Trials that pass the door and still hold no answer: a `FitError` with advice, never a number."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw
from trial.rows import ALLOCATION, read, rows

GAUSSIAN = {"outcome": "g", "family": "gaussian"}
BEFORE_AFTER = sw.Design.from_matrix([[0, 1]], clusters_per_sequence=[4]).allocate({str(i + 1): 0 for i in range(4)})
LINEAR = [sw.WithinPeriod(), sw.TwoWayFixedEffects()]
FIXED = [sw.FixedEffects(vcov=vcov) for vcov in ("CR2", "CR0", "overdispersed", "model")]
MIXED = [sw.MixedModel(), sw.MixedModel(sw.Exchangeable(), df="satterthwaite")]


def before_after(family: str) -> sw.Trial:
    mean = np.random.default_rng(0).random((4, 2))
    return sw.Trial.from_cells(np.full((4, 2), 50), mean, BEFORE_AFTER, family=family, within=30.0 if family == "gaussian" else None)


@pytest.mark.parametrize("estimator", [*LINEAR, *FIXED, *MIXED], ids=repr)
def test_no_period_with_both_arms_identifies_nothing(estimator: sw.Estimator) -> None:
    with pytest.raises(sw.FitError, match=r"rank deficient.*some period holds treated and control"):
        estimator.fit(before_after("gaussian"))


@pytest.mark.parametrize("estimator", LINEAR, ids=repr)
def test_nor_does_it_for_risks(estimator: sw.Estimator) -> None:
    with pytest.raises(sw.FitError, match="rank deficient"):
        estimator.fit(before_after("binomial"))


@pytest.mark.parametrize("estimator", FIXED, ids=repr)
def test_a_logit_without_both_arms_fails_too(estimator: sw.Estimator) -> None:
    with pytest.raises(sw.FitError, match="rank deficient"):
        estimator.fit(before_after("binomial"))


def test_cells_without_people_can_take_both_arms_away() -> None:
    """Each period keeps one arm."""
    kept = np.where(ALLOCATION.treatment == np.arange(4) % 2, 0, 10)
    trial = sw.Trial.from_cells(kept, np.random.default_rng(0).random((3, 4)), ALLOCATION, family="binomial")
    for estimator in (*LINEAR, sw.FixedEffects()):
        with pytest.raises(sw.FitError, match="rank deficient"):
            estimator.fit(trial)


@pytest.mark.parametrize("constant", [0, 1])
@pytest.mark.parametrize("estimator", [*LINEAR, *FIXED], ids=repr)
def test_all_outcomes_equal(estimator: sw.Estimator, constant: int) -> None:
    with pytest.raises(sw.FitError, match=r"no variation. Every outcome is the same.*right column"):
        estimator.fit(read(rows().assign(y=constant)))


@pytest.mark.parametrize("estimator", [*LINEAR, *FIXED, *MIXED], ids=repr)
def test_all_numbers_equal(estimator: sw.Estimator) -> None:
    with pytest.raises(sw.FitError, match="no variation"):
        estimator.fit(read(rows().assign(g=3.3), **GAUSSIAN))


SEPARATED = {
    "by treatment": lambda d: d.assign(y=d.treated),
    "by a period": lambda d: d.assign(y=d.y.mask(d.period == 1, 0)),
    "by a cluster": lambda d: d.assign(y=d.y.mask(d.la == "Walsall", 1)),
    "by a covariate": lambda d: d.assign(age=d.y * 2.0 + 1),
}


@pytest.mark.parametrize("name", SEPARATED)
@pytest.mark.parametrize("estimator", FIXED, ids=repr)
def test_separation_in_a_logit(estimator: sw.Estimator, name: str) -> None:
    trial = read(SEPARATED[name](rows()), covariates="age" if name == "by a covariate" else None)
    with pytest.raises(sw.FitError, match=r"separated. The outcome is all 0 or all 1 in a group of cells.*Merge the periods or levels"):
        estimator.fit(trial)


REPEATS = [(estimator, formula) for estimator in (*FIXED, *MIXED) for formula in ("age + twin", "C(period)", "treated", "C(sex) + sex")]
REPEATS += [(estimator, "C(la)") for estimator in FIXED]  # in a mixed model clusters are random, and their indicators repeat nothing


@pytest.mark.parametrize(("estimator", "covariates"), REPEATS, ids=str)
def test_a_covariate_that_repeats_another_or_the_model(estimator: sw.Estimator, covariates: str) -> None:
    trial = read(rows().assign(twin=lambda d: 2 * d.age + 1), covariates=covariates, **GAUSSIAN)
    with pytest.raises(sw.FitError, match=r"rank deficient.*Drop a covariate that repeats another"):
        estimator.fit(trial)


@pytest.mark.parametrize("covariates", ["age + twin", "C(sex) + sex"])
def test_a_repeated_covariate_in_a_logit_fails_too(covariates: str) -> None:
    with pytest.raises(sw.FitError, match="rank deficient"):
        sw.FixedEffects().fit(read(rows(per=12).assign(twin=lambda d: 2 * d.age), covariates=covariates))


def test_a_delay_beyond_the_trial_leaves_nothing_to_estimate() -> None:
    with pytest.raises(sw.FitError, match="rank deficient"):
        sw.FixedEffects(effect=sw.Delayed(9)).fit(read(**GAUSSIAN))


def test_a_stack_counts_what_a_single_trial_refuses() -> None:
    mean = np.stack([np.random.default_rng(i).random((3, 4)) * (i > 0) for i in range(3)])
    fit = sw.FixedEffects(vcov="model").fit(sw.Trial.from_cells(np.full((3, 4), 50), mean, ALLOCATION, family="binomial"))
    assert fit.status.tolist() == [sw.Status.NO_VARIATION, sw.Status.OK, sw.Status.OK]
    assert np.isnan(fit.estimate).tolist() == [True, False, False]
