"""Fixed effects against clubSandwich, base R and the panel packages.

These are closed forms, so both sides are good to rounding. R's glm leaves its working weights at the step before the last, which costs
about four digits; the printed numbers of the published example carry ten.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw

FIXED, TWFE = data.golden("fixed"), data.golden("golden_twfe")
OUTCOME = {"gaussian": "y_cont", "binomial": "y_bin", "poisson": "y_bin"}


def each(table: pd.DataFrame, *columns: str) -> list[object]:
    return [pytest.param(row, id="-".join([*(str(row[c]) for c in columns)])) for _, row in table.iterrows()]


@cache
def trial(dataset: str, door: str, family: str) -> sw.Trial:
    return getattr(trials, f"from_{door}")(data.trial_rows(dataset), OUTCOME[family], family)


@pytest.mark.parametrize("row", each(FIXED, "dataset", "family", "vcov", "unit"))
@pytest.mark.parametrize("door", ["rows", "cells"])
def test_clubsandwich_and_base_r(row: pd.Series, door: str) -> None:
    df = "normal" if np.isinf(row.df) else "satterthwaite" if row.vcov.startswith("CR") else "residual"
    fit = sw.FixedEffects(vcov=row.vcov, df=df).fit(trial(row.dataset, door, row.family))
    printed = "README" in row.version
    assert fit.estimate == pytest.approx(row.estimate, abs=1e-10 if printed else 1e-9 * row.std_error)
    assert fit.std_error == pytest.approx(row.std_error, abs=1e-10, rel=1e-10 if row.family == "gaussian" else 1e-8)
    if not np.isnan(row.df):
        assert fit.df == pytest.approx(row.df, abs=1e-7 if printed else 0, rel=1e-9)
    assert fit.status == sw.Status.OK


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
@pytest.mark.parametrize("vcov", ["CR0", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("dataset", ["sw_data_example", *data.MADE])
def test_rows_and_cells_agree_to_1e_10(dataset: str, vcov: str, family: str) -> None:
    rows, cells = (sw.FixedEffects(vcov=vcov).fit(trial(dataset, door, family)) for door in ("rows", "cells"))
    assert trials.numbers(cells) == pytest.approx(trials.numbers(rows), rel=1e-10)


def panel(dataset: str) -> sw.Trial:
    rows = data.panel_rows(dataset)
    return sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y_cont", first_treated="first_treated")


@pytest.mark.parametrize("row", each(TWFE[TWFE.vcov.str.startswith("CR")], "dataset", "vcov"))
@pytest.mark.parametrize("estimator", [sw.TwoWayFixedEffects, sw.FixedEffects])
def test_clubsandwich_on_panels(row: pd.Series, estimator: type) -> None:
    fit = estimator(vcov=row.vcov, df="satterthwaite").fit(panel(row.dataset))
    assert fit.estimate == pytest.approx(row.estimate, abs=1e-10 * row.std_error)
    assert fit.std_error == pytest.approx(row.std_error, rel=1e-10)
    assert fit.df == pytest.approx(row.df, rel=1e-9)


@pytest.mark.parametrize("row", each(TWFE[~TWFE.vcov.str.startswith("CR")], "source", "vcov"))
def test_panel_packages_give_the_same_estimate(row: pd.Series) -> None:
    assert sw.TwoWayFixedEffects().fit(panel(row.dataset)).estimate == pytest.approx(row.estimate, abs=1e-12)
