"""Imputation, two-stage, saturated, stacked and switching estimators and the decomposition against the packages that have them.

Both sides are closed forms: estimates agree to 1e-9, standard errors to 1e-8 of themselves, but for packages that iterate to their fixed
effects (`LOOSE`). What is not compared is not the same definition, and is written in the golden README.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import swedge as sw
from swedge.estimators.bacon import bacon_decomposition
from swedge.estimators.difference import DifferenceInDifferences
from swedge.estimators.extended_two_way import ExtendedTwoWay
from swedge.estimators.imputation import Imputation
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.switchers import Switchers
from swedge.estimators.two_stage import TwoStage

NUMBERS, PAIRS = data.golden("did_imputation"), data.golden("did_decomposition")
OWN = {"vcov": "influence", "df": "normal"}
# Packages that find cluster and period effects by iteration: how far they stop from the solution.
LOOSE = {"did2s": 1e-7, "didimputation": 1e-7, "did-imputation": 3e-7, "pyfixest": 1e-7}


def asked(name: str, leads: int) -> DifferenceInDifferences:
    word, _, rest = name.partition(" ")
    controls, aggregate = ("never", rest.removeprefix("never ")) if rest.startswith("never ") else ("not_yet", rest)
    if rest == "leads":
        return {"imputation": Imputation, "two-stage": TwoStage}[word](aggregate="dynamic", leads=leads, **OWN)
    if word in ("imputation", "two-stage"):
        return {"imputation": Imputation, "two-stage": TwoStage}[word](aggregate=aggregate, **OWN)
    if word == "extended":
        return ExtendedTwoWay(controls=controls, aggregate=None if aggregate == "None" else aggregate, **OWN)
    return {"stacked": StackedDiD(**OWN), "switchers": Switchers(effects=2 if rest else 3, placebos=2, **OWN)}[word]


@cache
def panel(name: str) -> sw.Trial:
    rows = pd.read_csv(data.needed_folder() / f"data/did/{name}.csv")
    if name == "mpdta":
        return sw.Trial.from_panel(rows, cluster="countyreal", period="year", outcome="lemp", first_treated="first.treat")
    return sw.Trial.from_panel(rows, cluster="sid", period="year", outcome="l_homicide", first_treated="gvar")


@pytest.mark.parametrize("id_", NUMBERS.id.unique())
def test_every_package(id_: str) -> None:
    for name, rows in NUMBERS[NUMBERS.id == id_].groupby("estimator"):
        leads = {"imputation": 2}.get(str(name).split()[0], 4 if rows.data.iloc[0] == "mpdta" else 9)
        ours = asked(str(name), leads).fit(panel(rows.data.iloc[0])).tidy().set_index("term").loc[rows.term]
        np.testing.assert_allclose(ours.estimate, rows.estimate, atol=LOOSE.get(rows.source.iloc[0], 1e-9))
        stated = rows.se.notna().to_numpy()
        near = max(1e-8, 10 * LOOSE.get(rows.source.iloc[0], 0.0))
        np.testing.assert_allclose(ours.std_error.to_numpy()[stated], rows.se[stated], rtol=near)


@pytest.mark.parametrize("id_", PAIRS.id.unique())
def test_bacondecomp(id_: str) -> None:
    rows = PAIRS[PAIRS.id == id_]
    trial = panel(rows.data.iloc[0])
    ours = bacon_decomposition(trial)
    table = ours.tidy().assign(treated=lambda t: t.treated.astype(int), control=lambda t: t.control.map(str))
    both = rows.assign(control=rows.control.map(str)).merge(table, on=["treated", "control", "kind"], suffixes=("", "_ours"))
    assert len(both) == len(rows) == len(table)
    np.testing.assert_allclose(both.estimate_ours, both.estimate, atol=1e-12)
    np.testing.assert_allclose(both.weight_ours, both.weight, atol=1e-12)
    np.testing.assert_allclose(ours.estimate, sw.TwoWayFixedEffects(weigh="equal").point(trial), atol=1e-12)


def test_diff_diff_by_kind() -> None:
    """Records dd_bacon_mpdta and dd_bacon_castle5_10 of diff-diff 3.13.0, exact weights: never-treated controls, later, earlier ones."""
    stated = {
        "mpdta": (
            (0.8627744180814885, 0.08330135372970399, 0.05392422818880759),
            (-0.04073969519404118, -0.019783817260641712, 0.004603661617040413),
        ),
        "castle5_plus10": (
            (0.8843537414965986, 0.07823129251700682, 0.037414965986394565),
            (0.06112372245925899, -0.009163419578388985, 0.03495069200341968),
        ),
    }
    for name, (weights, estimates) in stated.items():
        ours = bacon_decomposition(panel(name)).by_kind()
        np.testing.assert_allclose(ours.weight, weights, atol=1e-12)
        np.testing.assert_allclose(ours.estimate, estimates, atol=1e-12)


def test_the_cohort_that_one_package_loses_is_kept() -> None:
    """didimputation drops the first wave of mpdta, one period before treatment (record imputation_mpdta): without it ours says the same."""
    assert float(Imputation().point(panel("mpdta"))) == pytest.approx(-0.04770991828, abs=1e-10)
    rows = pd.read_csv(data.needed_folder() / "data/did/mpdta.csv").query("`first.treat` != 2004")
    fewer = sw.Trial.from_panel(rows, cluster="countyreal", period="year", outcome="lemp", first_treated="first.treat")
    fit, events = Imputation(**OWN).fit(fewer), Imputation(aggregate="dynamic", **OWN).fit(fewer)
    assert float(fit.estimate) == pytest.approx(-0.0337158527719911, abs=1e-7)
    assert float(fit.std_error) == pytest.approx(0.0146502723308801, rel=1e-6)
    np.testing.assert_allclose(events.estimate[1:], [-0.0324347110128843, -0.0391927337921727], atol=1e-7)
    np.testing.assert_allclose(events.std_error[1:], [0.0149486971927248, 0.0239318817758516], rtol=1e-6)


def test_diff_diff_centres_switchers_by_cohort() -> None:
    """Its standard errors of the overall effect come from influence about cohort means: 3 to 4 times smaller with one cluster in each."""
    stated = {"mpdta": (0.01201346577313322, 0.016792909207606538), "castle5_plus10": (0.012411966931757437, 0.027630289189160245)}
    for name, numbers in stated.items():
        trial = panel(name)
        built = Switchers(effects=2).build(trial)
        parts = (built.weights[1:] * (trial.outcome - trial.outcome.mean())).sum(-1)
        start = np.where(trial.arm.any(-1), trial.arm.argmax(-1), -1)
        centred = np.stack([parts[:, i] - parts[:, start == start[i]].mean(-1) for i in range(len(start))], -1)
        np.testing.assert_allclose(np.sqrt((centred**2).sum(-1)), numbers, rtol=1e-8)
