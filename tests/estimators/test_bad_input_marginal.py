"""What a marginal effect refuses, and what it says then."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw
from swedge.estimators import MarginalEffect

DESIGN = sw.Design.stepped_wedge(clusters=4, periods=5)


def trial(family: str) -> sw.Trial:
    mean = np.random.default_rng(1).uniform(0.2, 0.6, (4, 5))
    return sw.Trial.from_cells(np.full((4, 5), 50), np.round(mean * 50) / 50, DESIGN.randomise(seed=1), family=family)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": sw.WithinPeriod()}, r"WithinPeriod.*predicts no risks.*FixedEffects"),
        ({"estimator": "FixedEffects"}, "predicts no risks"),
        ({"estimator": sw.FixedEffects}, "predicts no risks"),
        ({"estimator": MarginalEffect()}, "MarginalEffect.*predicts no risks"),
        ({"measure": "oddsratio"}, r"measure='oddsratio'; expected one of difference, ratio, odds ratio. Did you mean 'odds ratio'"),
        ({"measure": ["ratio"]}, "measure="),
        ({"over": "Treated"}, r"over='Treated'.*Did you mean 'treated'"),
        ({"over": None}, "over=None; expected 'all' or 'treated'"),
        ({"estimator": sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.LTE()), "over": "treated"}, "Leave out one of them"),
        ({"estimator": sw.FixedEffects(effect=sw.ByPeriod(empty="leave out"))}, "Use over='treated'"),
    ],
)
def test_an_argument_that_means_nothing(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(sw.FitError, match=message):
        MarginalEffect(**arguments)


@pytest.mark.parametrize(
    ("family", "measure", "advice"),
    [
        ("gaussian", "ratio", "Use measure='difference'."),
        ("gaussian", "odds ratio", "'difference'."),
        ("poisson", "odds ratio", "or 'ratio'."),
    ],
)
def test_a_measure_that_the_outcome_does_not_have(family: str, measure: str, advice: str) -> None:
    with pytest.raises(sw.FitError, match=f"this one is {family}.*{advice}"):
        MarginalEffect(measure=measure).fit(trial(family))


def test_no_trial() -> None:
    with pytest.raises(sw.DataError, match="An estimator fits a Trial"):
        MarginalEffect().fit(DESIGN)


def test_a_failure_is_named_alone_and_counted_in_a_stack() -> None:
    n, mean = np.full((2, 4, 5), 50.0), np.full((2, 4, 5), 0.3)
    mean[0] += 0.02 * np.random.default_rng(1).integers(-5, 5, (4, 5))
    many = sw.Trial.from_cells(n, mean * [[[1]], [[0]]], DESIGN.randomise(seed=1), family="binomial")
    fit = MarginalEffect(measure="ratio").fit(many)
    assert [sw.Status(int(code)) for code in fit.status] == [sw.Status.OK, sw.Status.NO_VARIATION]
    assert np.isfinite(fit.estimate[0])
    assert np.isnan([fit.estimate[1], fit.std_error[1], fit.df[1]]).all()
    with pytest.raises(sw.FitError, match=r"MarginalEffect.*no variation.*Every outcome is the same"):
        MarginalEffect().fit(many.replicate(1))


def test_an_effect_by_period_is_averaged_over_the_treated() -> None:
    fit = MarginalEffect(sw.FixedEffects(effect=sw.ByPeriod(empty="leave out")), over="treated").fit(trial("binomial"))
    assert np.isfinite(fit.estimate)
