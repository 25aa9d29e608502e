"""A short analysis as a user would type it. mypy reads it in strict mode; nothing runs it."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import swedge as sw


def plan() -> sw.Allocation:
    design = sw.Design.stepped_wedge(clusters=["Ash", "Birch", "Cedar", "Dale", "Elm"], periods=6)
    assert_type(design.count(), int)
    assert_type(design.min_p(), float)
    assert_type(design.periods, pd.DataFrame)
    return design.randomise(seed=0)


def analyse(df: pd.DataFrame, allocation: sw.Allocation, estimator: sw.Estimator) -> pd.DataFrame:
    trial = sw.Trial.from_frame(df, allocation, cluster="site", period="period", outcome="outcome", family="binomial")
    fit = estimator.fit(trial)
    assert_type(fit, sw.Estimate)
    assert_type(fit.p_value, NDArray[np.float64])
    exact = sw.RandomisationTest().run(trial, sw.WithinPeriod())
    print(exact.summary(), fit.plot().get_xlabel())
    return fit.tidy()


def power(design: sw.Design) -> pd.DataFrame:
    truth = sw.Scenario(family="binomial", scale="logit", baseline=0.06, effect=-0.2, size=200)
    analyses: dict[str, Any] = {"CR2": sw.FixedEffects(vcov="CR2"), "exact": (sw.WithinPeriod(), sw.RandomisationTest())}
    return sw.simulate_power(design, truth, analyses, reps=100, seed=1).tidy()


def refused(error: sw.SwedgeError) -> str:
    return str(error)
