"""Callaway-Sant'Anna and Sun-Abraham against every package that has them: did, csdid, moderndid, differences, diff-diff, fixest.

Both sides are closed forms but for the logit propensity score, where the peers stop a little earlier: estimates agree to 1e-9 and
standard errors to 1e-8 where there is none. diff-diff stops its score at 3e-7 (`LOOSE`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.sun_abraham import SunAbraham

NUMBERS, RECORDS = data.golden("did_cs"), data.golden("did_cs_records").fillna({"covariates": "", "cluster": ""})
RECORDS = RECORDS[RECORDS.id.isin(NUMBERS.id)].set_index("id")
EXACT = RECORDS.index[RECORDS.bootstrap == 0]
SAMPLED = RECORDS.index[RECORDS.bootstrap == 1]
KINDS = {"simple": "att", "group": "cohort", "dynamic": "dynamic", None: None}
# The score of diff-diff: its own stopping rule, and a trim at .01.
LOOSE = {"diff-diff": (1e-6, 1e-5)}
Estimator = CallawaySantAnna | SunAbraham


@cache
def panel(name: str) -> sw.Trial:
    rows = pd.read_csv(data.needed_folder() / f"data/did/{name}.csv")
    if name != "mpdta":
        return sw.Trial.from_panel(rows, cluster="sid", period="year", outcome="l_homicide", first_treated="gvar")
    trial = sw.Trial.from_panel(rows, cluster="countyreal", period="year", outcome="lemp", first_treated="first.treat")
    return trial.with_cluster_covariates(rows.groupby("countyreal")[["lpop", "state"]].first())


def asked(record: pd.Series) -> Estimator:
    if record.estimator == "SunAbraham":
        return SunAbraham(vcov="saturated", df="clusters")
    return CallawaySantAnna(
        controls=record.controls,
        base=record.base,
        anticipation=int(record.anticipation),
        covariates=(record.covariates,) if record.covariates else (),
        adjust=record.adjust,
        cluster=record.cluster or None,
        vcov="influence",
        df="normal",
    )


def averaged(estimator: Estimator, aggregate: str | None, balance: float) -> Estimator:
    if isinstance(estimator, SunAbraham):
        return replace(estimator, aggregate=KINDS[aggregate])
    return replace(estimator, aggregate=aggregate, balance=int(balance) if balance >= 0 and aggregate == "dynamic" else None)


def compared(name: str) -> pd.DataFrame:
    """The peer's rows of one record, with ours in columns `estimate_ours` and `std_error`."""
    record, rows = RECORDS.loc[name], NUMBERS[NUMBERS.id == name].fillna({"aggregate": ""})
    found = []
    for aggregate, theirs in rows.groupby("aggregate"):
        fit = averaged(asked(record), aggregate or None, record.balance).fit(panel(record.data))
        ours = fit.tidy().set_index("term")[["estimate", "std_error"]]
        found.append(theirs.join(ours, on="term", rsuffix="_ours"))
    return pd.concat(found)


def comparable(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """diff-diff averages anticipation periods into groups and the overall effect; ours and did's begin at treatment."""
    early = RECORDS.loc[name].anticipation and table.source.iloc[0] == "diff-diff"
    return table[table["aggregate"].isin(["", "dynamic"])] if early else table


@pytest.mark.parametrize("name", EXACT)
def test_every_number_of_every_peer(name: str) -> None:
    table = comparable(name, compared(name))
    assert len(table) and table.estimate_ours.notna().all()
    estimate, error = LOOSE.get(table.source.iloc[0], (1e-9, 1e-8))
    np.testing.assert_allclose(table.estimate_ours, table.estimate, rtol=0, atol=estimate)
    np.testing.assert_allclose(table.std_error, table.se, rtol=error)
