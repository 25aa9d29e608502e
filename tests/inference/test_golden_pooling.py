"""Rubin's rules against R's mice, on its own example data and on the means and standard errors that the SAS manual prints."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import swedge as sw
from swedge.inference.pooling import PooledEstimate, pool

TABLE = data.golden("pooling")
POOLED = TABLE[TABLE.part == "pooled"]


def fit(estimate: object, std_error: object, df: object, **changed: object) -> sw.Estimate:
    """A fit with these numbers, whatever made them."""
    words = {
        "terms": ("treatment",),
        "estimand": "treatment effect",
        "estimator": "FixedEffects CR2",
        "scale": "logit",
        "methods": "A model.",
    }
    numbers = {"estimate": estimate, "std_error": std_error, "df": df}
    shape = np.shape(changed.pop("status_shape", ()))
    return sw.Estimate(
        **{**words, "status": np.zeros(shape, dtype=np.int8), **{k: np.asarray(v, dtype=float) for k, v in numbers.items()}, **changed}
    )


def of_sets(row: pd.Series) -> PooledEstimate:
    sets = TABLE[(TABLE.part == "set") & (TABLE.example == row.example) & (TABLE.term == row.term)]
    return pool([fit(one.estimate, one.std_error, one.df) for one in sets.itertuples()])


def test_the_table_holds_three_examples_and_both_kinds_of_degrees_of_freedom() -> None:
    assert len(POOLED) == 12
    assert np.isinf(TABLE[TABLE.part == "set"].df).any()
    assert np.isfinite(TABLE[TABLE.part == "set"].df).any()


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.example}-{row.term}") for _, row in POOLED.iterrows()])
def test_mice(row: pd.Series) -> None:
    pooled = of_sets(row)
    assert pooled.imputations == row.set
    assert pooled.estimate == pytest.approx(row.estimate, rel=1e-12)
    assert pooled.std_error == pytest.approx(row.std_error, rel=1e-12)
    assert pooled.df == pytest.approx(row.df, rel=1e-10)
    assert pooled.details["within"] == pytest.approx(row.within, rel=1e-12)
    assert pooled.details["between"] == pytest.approx(row["between"], rel=1e-12)
    assert pooled.details["relative_increase"] == pytest.approx(row.riv, rel=1e-12)


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.example}-{row.term}") for _, row in POOLED.iterrows()])
def test_the_fraction_of_missing_information_differs_from_mice_by_its_degrees_of_freedom_alone(row: pd.Series) -> None:
    pooled = of_sets(row)
    increase = float(pooled.details["relative_increase"])
    assert (increase + 2 / (row.df + 3)) / (increase + 1) == pytest.approx(row.fmi, rel=1e-10)
    if np.isinf(pooled.details["complete_df"]):
        assert pooled.details["fmi"] == pytest.approx(row.fmi, rel=1e-10)
    else:
        assert pooled.details["fmi"] < row.fmi
