"""Callaway-Sant'Anna and Sun-Abraham against every package that has them: did, csdid, moderndid, differences, diff-diff, fixest.

Both sides are closed forms but for the logit propensity score: estimates agree to 1e-9, standard errors to 1e-8, and to 2e-7 where
differences stops its score (weighting and doubly robust with covariates). What is not compared is not the same definition:

* diff-diff averages anticipation periods into groups and the overall effect; ours and did's begin at treatment;
* diff-diff keeps event times beyond balance_e, did and ours stop there;
* diff-diff's clustered variance has a factor G / (G - 1), did's and ours has none;
* diff-diff's doubly robust estimate divides the controls' weighted residuals by the number of treated clusters, not by the sum of their
  weights: `test_the_doubly_robust_estimate_of_diff_diff_is_not_normalised`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import reference_data as data
import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.sun_abraham import SunAbraham

NUMBERS, RECORDS = data.golden("did_cs"), data.golden("did_cs_records").fillna({"covariates": "", "cluster": ""})
RECORDS = RECORDS[RECORDS.id.isin(NUMBERS.id)].set_index("id")
EXACT = RECORDS.index[RECORDS.bootstrap == 0]
SAMPLED = RECORDS.index[RECORDS.bootstrap == 1]
KINDS = {"simple": "att", "group": "cohort", "dynamic": "dynamic", None: None}
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
        found.append(theirs.assign(ours=theirs.term.map(ours.estimate), error=theirs.term.map(ours.std_error)))
    return pd.concat(found)


def comparable(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Without the rows of diff-diff that are defined otherwise."""
    record = RECORDS.loc[name]
    if not name.startswith("dd_cs"):
        return table
    if record.anticipation:
        return table[table["aggregate"].isin(["", "dynamic"])]
    return table[~table.term.isin(["event 2", "event 3"])] if record.balance >= 0 else table


@pytest.mark.parametrize("name", [name for name in EXACT if not name.startswith("dd_cs_mpdta_dr_") or name.endswith("nox")])
def test_every_number_of_every_peer(name: str) -> None:
    table = comparable(name, compared(name))
    assert len(table)
    assert table.ours.notna().all()
    factor = np.sqrt(29 / 28) if name == "dd_cs_mpdta_clstate" else 1.0
    loose = name.startswith("diffs_") and name.endswith("_x")
    np.testing.assert_allclose(table.ours, table.estimate, rtol=0, atol=1e-9)
    np.testing.assert_allclose(factor * table.error, table.se, rtol=2e-7 if loose else 1e-8)


@pytest.mark.parametrize("name", SAMPLED)
def test_the_multiplier_bootstrap_of_did(name: str) -> None:
    table = compared(name)
    np.testing.assert_allclose(table.ours, table.estimate, rtol=0, atol=1e-9)
    # 1,000 draws and an interquartile range: a Monte Carlo SE of 3.7% of a standard error, and three of them. Single clusters of
    # castle5_plus10 are multiplied alone, so their bootstrap is not normal.
    steady = table if name == "did_mpdta_boot" else table[table.term == "overall"]
    assert np.abs(np.log(steady.error / steady.se)).max() < 0.11


def test_the_doubly_robust_estimate_of_diff_diff_is_not_normalised() -> None:
    rows = pd.read_csv(data.needed_folder() / "data/did/mpdta.csv")
    wide, units = rows.pivot(index="countyreal", columns="year", values="lemp"), rows.groupby("countyreal").first()
    table = compared("dd_cs_mpdta_dr_never_treated_x")
    table = table[table["aggregate"] == ""]
    assert np.abs(table.ours - table.estimate).max() > 1e-6
    for row in table.itertuples():
        g, t = (int(word.split()[1]) for word in row.term.split(", "))
        group = units["first.treat"]
        kept = group.isin([0, g])
        treated, x = (group[kept] == g).to_numpy(float), sm.add_constant(units.lpop[kept].to_numpy())
        change = (wide[t] - wide[min(g, t) - 1])[kept].to_numpy()
        p = sm.GLM(treated, x, family=sm.families.Binomial()).fit(tol=1e-14).predict()
        left = change - x @ np.linalg.lstsq(x[treated == 0], change[treated == 0], rcond=None)[0]
        assert (treated * left - (1 - treated) * p / (1 - p) * left).sum() / treated.sum() == pytest.approx(row.estimate, abs=1e-9)


def test_drdid_on_two_periods() -> None:
    rows = pd.read_csv(data.needed_folder() / "data/did/mpdta.csv")
    rows = rows[rows["first.treat"].isin([0, 2007]) & (rows.year >= 2006)]
    trial = sw.Trial.from_panel(rows, cluster="countyreal", period="year", outcome="lemp", first_treated="first.treat")
    trial = trial.with_cluster_covariates(rows.groupby("countyreal")[["lpop"]].first())
    # DRDID 1.2.3 (R), record drdid_2x2: drdid(estMethod="trad"), ordid().
    for adjust, estimate, error in (
        ("doubly robust", -0.0287813610394866, 0.016238952966185),
        ("outcome regression", -0.0287894881938243, 0.0161678672536918),
    ):
        fit = CallawaySantAnna(covariates=("lpop",), adjust=adjust, vcov="influence", df="normal").fit(trial)
        assert fit.estimate == pytest.approx(estimate, abs=1e-9)
        assert fit.std_error == pytest.approx(error, rel=1e-8)
