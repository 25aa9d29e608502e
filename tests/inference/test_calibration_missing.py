"""Complete cases are biased where gaps depend on outcome and treatment together; multiple imputation is not, and covers.

The seeds are fixed. A bound of 3.3 Monte Carlo errors would fail one new seed in a thousand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.inference.imputation import MultipleImputation
from swedge.inference.missing import missing_data_analysis

ALLOCATION = sw.Design.stepped_wedge(clusters=8, periods=5).randomise(seed=2)
EFFECT = 0.5


def trial_with_gaps(rng: np.random.Generator, size: int = 40) -> pd.DataFrame:
    """A covariate of two levels, lost most often among the treated with a high outcome."""
    i, t = (axis.repeat(size) for axis in np.indices((8, 5)).reshape(2, -1))
    group = (rng.random(len(i)) < 0.4).astype(float)
    arm = ALLOCATION.treatment[i, t]
    y = 0.2 * rng.standard_normal(8)[i] + 0.1 * t + EFFECT * arm + 1.5 * group + rng.standard_normal(len(i))
    lost = rng.random(len(i)) < 1 / (1 + np.exp(1.5 - np.where(arm > 0, 1.5, -0.5) * (y - 1)))
    return pd.DataFrame(
        {"cluster": np.array(ALLOCATION.design.clusters)[i], "period": t + 1, "y": y, "group": np.where(lost, np.nan, group)}
    )


@pytest.mark.parametrize("reps", [12, pytest.param(600, marks=pytest.mark.calibration)])
def test_calibration_under_missing_at_random(reps: int) -> None:
    seeds = np.random.SeedSequence(41).spawn(reps)
    tables = [
        missing_data_analysis(
            trial_with_gaps(np.random.default_rng(seed)),
            ALLOCATION,
            sw.FixedEffects(vcov="model"),
            cluster="cluster",
            period="period",
            outcome="y",
            covariates="C(group)",
            imputation=MultipleImputation(imputations=10, seed=k),
        ).tidy()
        for k, seed in enumerate(seeds)
    ]
    rows = pd.concat(tables).assign(covers=lambda f: (f["conf_low"] <= EFFECT) & (f["conf_high"] >= EFFECT))
    imputed, complete = (rows[rows["method"] == method] for method in ("multiple imputation", "complete case"))
    error = imputed["estimate"].std() / np.sqrt(reps)
    assert abs(imputed["estimate"].mean() - EFFECT) < 3.3 * error
    assert abs(complete["estimate"].mean() - EFFECT) > 5 * error
    assert imputed["covers"].mean() > 0.95 - 3.3 * np.sqrt(0.95 * 0.05 / reps)
    assert complete["covers"].mean() < 0.75
    if reps > 100:
        assert imputed["std_error"].mean() == pytest.approx(imputed["estimate"].std(), rel=0.1)
