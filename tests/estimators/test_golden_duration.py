"""Restricted means, pseudo-observations, limits and Cox regression against R's survival (tests/golden/durations.R)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from estimators.durations import ALLOCATION, COLUMNS, NAMES, made
from swedge._kernels.survival import KaplanMeier, kaplan_meier, log_log_band, pseudo_observations, restricted_mean
from swedge.estimators import Duration

WHATS = ["survival", "conf_low", "conf_high", "at_risk"]


@pytest.fixture(scope="module")
def pseudo(root) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    return pd.read_csv(root / "tests/golden/pseudo.csv")


@pytest.fixture(scope="module")
def figures(root) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    return pd.read_csv(root / "tests/golden/durations.csv", dtype={"group": str})


def test_golden_the_integer_trial_is_the_one_that_r_saw(pseudo: pd.DataFrame) -> None:
    theirs, ours = pseudo[pseudo.dataset == "made"], made()
    np.testing.assert_array_equal(theirs.cluster - 1, [NAMES.index(la) for la in ours.la])
    np.testing.assert_array_equal(theirs[["period", "time", "event"]], ours[["period", "days", "ended"]])


@pytest.mark.parametrize("dataset", ["veteran", "made"])
def test_golden_pseudo_observations(pseudo: pd.DataFrame, dataset: str) -> None:
    rows = pseudo[pseudo.dataset == dataset]
    group = rows.groupby(["cluster", "period"]).ngroup().to_numpy()
    curves = kaplan_meier(group, rows.time.to_numpy(float), rows.event.to_numpy(float), group.max() + 1)
    np.testing.assert_allclose(pseudo_observations(curves, float(rows.horizon.iloc[0])), rows.pseudo, rtol=1e-12, atol=1e-10)


def test_golden_restricted_means_with_their_errors(pseudo: pd.DataFrame, figures: pd.DataFrame) -> None:
    for (dataset, group, horizon), table in figures[figures.what.isin(["restricted mean", "std_error"])].groupby(
        ["dataset", "group", "at"]
    ):
        rows = pseudo[(pseudo.dataset == dataset) & (pseudo.cluster == int(str(group)[-1]))]
        curves = curves_of(rows)
        values = pseudo_observations(curves, float(horizon))
        error = np.sqrt(((values - values.mean()) ** 2).sum()) / len(values)
        found = {"restricted mean": restricted_mean(curves, float(horizon))[0], "std_error": error}
        for what, value in zip(table.what, table.value, strict=True):
            assert found[what] == pytest.approx(value, rel=1e-12), (dataset, group, what)


def curves_of(rows: pd.DataFrame) -> KaplanMeier:
    return kaplan_meier(np.zeros(len(rows), dtype=np.int64), rows.time.to_numpy(float), rows.event.to_numpy(float), 1)


def test_golden_curves_and_log_log_limits(pseudo: pd.DataFrame, figures: pd.DataFrame) -> None:
    compared = 0
    for arm in (1, 2):
        curves = curves_of(pseudo[(pseudo.dataset == "veteran") & (pseudo.cluster == arm)])
        limits = log_log_band(curves, 0.95)[0]
        theirs = figures[(figures.dataset == "veteran") & (figures.group == str(arm)) & figures.what.isin(WHATS)]
        for at, row in theirs.pivot_table(index="at", columns="what", values="value").iterrows():
            k, risk = np.searchsorted(curves.time[0], at, side="right") - 1, np.searchsorted(curves.time[0], at)
            found = [curves.survival[0, k], *limits[k], curves.at_risk[0, risk]]
            np.testing.assert_allclose(found, row[WHATS].to_numpy(float), rtol=1e-12)
            compared += 1
    assert compared == 6


@pytest.mark.parametrize("covariate", ["none", "level"])
def test_golden_cox_regression(figures: pd.DataFrame, covariate: str) -> None:
    theirs = figures[(figures.dataset == "made") & (figures.group == covariate)].set_index("what")["value"]
    formula = None if covariate == "none" else "C(level)"
    fit = Duration(250.0).cox(made(), ALLOCATION, **COLUMNS, covariates=formula, vcov="CR0")
    # R stops at a relative change of 1e-13 of the likelihood, which leaves the coefficient 1e-8 loose.
    assert float(fit.estimate) == pytest.approx(theirs["log hazard ratio"], abs=1e-7)
    assert float(fit.std_error) == pytest.approx(theirs["CR0 std_error"], rel=1e-7)
