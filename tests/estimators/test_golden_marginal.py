"""Marginal effects against base R's glm, clubSandwich's variances and a delta method written out by hand (marginal.R)."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from estimators.marginal_rows import banded
from swedge.estimators import MarginalEffect

TABLE = data.golden("marginal")


@cache
def trial(dataset: str, family: str, adjusted: bool) -> sw.Trial:
    return trials.from_rows(banded(dataset), "y", family, "C(band)" if adjusted else None)


def each(table: pd.DataFrame) -> list[object]:
    names = ["dataset", "family", "adjusted", "over", "measure", "vcov"]
    return [pytest.param(row, id="-".join(str(row[name]) for name in names)) for _, row in table.iterrows()]


@pytest.mark.parametrize("row", each(TABLE))
def test_base_r_and_clubsandwich(row: pd.Series) -> None:
    # Closed forms on both sides, once glm has been started again at its own optimum: what is left is rounding.
    estimator = MarginalEffect(sw.FixedEffects(vcov=row.vcov, df="normal"), row.measure, row.over)
    fit = estimator.fit(trial(row.dataset, row.family, row.adjusted))
    assert fit.estimate == pytest.approx(row.estimate, abs=1e-9 * row.std_error)
    assert fit.std_error == pytest.approx(row.std_error, rel=1e-9)
    means = [float(value) for value in fit.details.values()]
    assert means == pytest.approx([row.untreated, row.treated], rel=1e-10)


def test_the_adjusted_rows_are_another_model() -> None:
    """A covariate that did nothing would make half of the table a copy of the other."""
    table = TABLE.set_index(["dataset", "family", "over", "measure", "vcov"])
    change = (table[table.adjusted].estimate - table[~table.adjusted].estimate) / table[table.adjusted].std_error
    assert (np.abs(change) > 0.01).all()
