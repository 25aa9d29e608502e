"""Every default analysis holds its size with five clusters, and the analyses that are known to fail are seen to fail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.studies import calibration_table
from swedge.studies.calibration import COLUMNS, WARNED

SHORT, LONG = 400, 10_000


@pytest.fixture(scope="module")
def short() -> pd.DataFrame:
    return calibration_table(SHORT, seed=1, noise=[0.2])


def conservative(table: pd.DataFrame) -> pd.Series:
    """Whether each rejection rate is at most 5%, but for three Monte Carlo standard errors of a rate of 5%."""
    count = table["n_ok"] + table["n_singular"] + table["n_failed"]
    return table["rejection"] <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / count)


def test_the_table_has_one_row_an_analysis(short: pd.DataFrame) -> None:
    assert tuple(short.columns) == COLUMNS
    assert not short.duplicated(["outcome", "noise", "analysis"]).any()
    assert set(short["outcome"]) == {"binary", "continuous"}
    assert (short["n_ok"] + short["n_singular"] + short["n_failed"]).eq(SHORT).all()
    assert set(short.loc[~short["default"], "analysis"]) <= WARNED


def test_defaults_hold_their_size_under_noise(short: pd.DataFrame) -> None:
    defaults = short[short["default"]]
    assert conservative(defaults).all(), defaults[~conservative(defaults)].to_string()


@pytest.mark.parametrize(
    "analysis", ["GLMM random intercept, z", "FixedEffects CR0, z", "MixedModel without cluster-by-period, Satterthwaite"]
)
def test_analyses_without_the_noise_fail(short: pd.DataFrame, analysis: str) -> None:
    """The test that must fail: were these to pass, the simulation would hold no noise."""
    row = short[short["analysis"] == analysis].iloc[0]
    assert row["rejection"] - 3 * row["mcse"] > 0.1
    assert row["coverage"] < 0.9


def test_an_outcome_that_is_not_simulated_is_refused() -> None:
    with pytest.raises(sw.DesignError, match="expected binary or continuous"):
        calibration_table(10, seed=1, outcomes=["ordinal"])


@pytest.mark.calibration
def test_every_default_holds_its_size_and_its_coverage() -> None:
    table = calibration_table(LONG, seed=1, n_jobs=2)
    defaults = table[table["default"]]
    assert conservative(defaults).all(), defaults[~conservative(defaults)].to_string()
    covered = defaults.dropna(subset=["coverage"])
    assert (covered["coverage"] >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / LONG)).all()
