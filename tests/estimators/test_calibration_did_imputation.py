"""Size at a nominal 5% with five treated clusters, one a group, beside ten never treated: defaults keep it, influence functions do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators.difference import DifferenceInDifferences
from swedge.estimators.extended_two_way import ExtendedTwoWay
from swedge.estimators.generalised import GeneralisedDiD
from swedge.estimators.imputation import Imputation
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.switcher_comparison import SwitcherComparison
from swedge.estimators.switchers import Switchers
from swedge.estimators.two_stage import TwoStage

STARTS, PERIODS = [4, 5, 6, 8, 10, *[0] * 10], 12
OWN = {"vcov": "influence", "df": "normal"}
DEFAULTS = (
    Imputation(),
    TwoStage(),
    ExtendedTwoWay(),
    StackedDiD(),
    Switchers(),
    SwitcherComparison(),
    SwitcherComparison(controls="both"),
    GeneralisedDiD(alike="exposure", correlation=sw.ExponentialDecay(0.3, 0.7)),
)


def null_trials(reps: int, seed: int) -> sw.Trial:
    """Outcomes without an effect, AR(1) .5 within clusters that differ."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(reps, len(STARTS), PERIODS))
    noise[..., 0] /= np.sqrt(0.75)
    for t in range(1, PERIODS):
        noise[..., t] += 0.5 * noise[..., t - 1]
    y = noise + 2 * rng.normal(size=(reps, len(STARTS), 1))
    rows = pd.DataFrame([(i, t + 1, g, 0.0) for i, g in enumerate(STARTS) for t in range(PERIODS)], columns=list("ctgy"))
    trial = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    return replace(trial, cells=replace(trial.cells, mean=y[..., None]))


def size(estimator: DifferenceInDifferences, reps: int, seed: int = 1) -> float:
    fit = estimator.fit(null_trials(reps, seed))
    p = fit.p_value if len(fit.terms) == 1 else fit.p_value[:, 0]
    assert np.isfinite(p).all()
    return float((p < 0.05).mean())


def most(reps: int, level: float = 0.05) -> float:
    """What a test of the level stays below but once in 30,000 runs."""
    return level + 4 * np.sqrt(level * (1 - level) / reps)


@pytest.mark.parametrize("estimator", DEFAULTS, ids=repr)
def test_calibration_defaults_keep_their_size(estimator: DifferenceInDifferences) -> None:
    assert size(estimator, 600) < most(600)


def test_calibration_must_fail_for_influence_functions_with_one_cluster_a_group() -> None:
    assert size(Imputation(**OWN), 600) > 0.3
    assert size(ExtendedTwoWay(**OWN), 600) > 0.2
    assert size(TwoStage(**OWN), 600) > most(600)


@pytest.mark.calibration
@pytest.mark.parametrize("estimator", DEFAULTS, ids=repr)
def test_calibration_in_full(estimator: DifferenceInDifferences) -> None:
    found = size(estimator, 10_000, seed=2)
    assert 0.015 < found < most(10_000)
