"""Two-way fixed effects against fixest, pyfixest and linearmodels, with every variance that they give them.

Estimates are closed forms and agree to 1e-10. Packages multiply a sum of squared scores by factors of their own, which `standard_error`
writes down: with them all agree to 1e-8. Variances that are not offered (of cells as if independent, by period, by state, with a kernel)
are rebuilt from our weights: a cell's score is its weight times its residual. With G clusters, T periods, n cells:

* fixest and pyfixest: ``G / (G - 1) (n - 1) / (n - k)`` times CR0, clusters' own effects not counted in k: ``T + 1`` on mpdta and the
  officers. On castle5_plus10 pyfixest has ``k = 2``, which leaves the periods out too; why was not traced.
* linearmodels: ``n / (n - k)`` with all ``I + T`` coefficients counted; with group_debias ``G / (G - 1) (n - 1) / (n - k)``.
* fixest, clusters and periods: by cluster plus by period minus by cell, with the smaller G's factor and ``k = 2``: both effects are nested.
* linearmodels' kernel: Bartlett weights over lags up to ``4 (T / 100)^(2/9)``, scores added up within periods (Driscoll and Kraay).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import reference_data as data
import swedge as sw

Array = NDArray[np.float64]

NUMBERS = data.golden("did_two_way")
CONSTANT = NUMBERS[NUMBERS.model == "constant"]
COLUMNS = {
    "mpdta": {"cluster": "countyreal", "period": "year", "outcome": "lemp", "first_treated": "first.treat"},
    "pj_sub12": {"cluster": "uid", "period": "period", "outcome": "complaints", "first_treated": "first_trained"},
    "castle": {"cluster": "sid", "period": "year", "outcome": "l_homicide", "first_treated": "gvar"},
}
# The older table's words for variances of packages on the panels with five treated states; test_golden_fixed asks for their estimates.
OLDER = {
    "clustered, effects nested in clusters not counted": "clusters",
    "clustered, all coefficients counted": "clusters, all coefficients counted",
    "clustered, only the treatment counted": "clusters, k = 2",
    "clustered, rows / (rows - coefficients), no G / (G - 1)": "clusters, rows / (rows - coefficients)",
    "model": "model",
}


def rows_of(name: str) -> pd.DataFrame:
    return pd.read_csv(data.needed_folder() / f"data/did/{name}.csv")


@cache
def panel(name: str) -> sw.Trial:
    rows = rows_of(name)
    trial = sw.Trial.from_panel(rows, **COLUMNS[name if name in COLUMNS else "castle"])
    return trial.with_cluster_covariates(rows.groupby("countyreal")[["lpop", "state"]].first()) if name == "mpdta" else trial


def within(table: Array) -> Array:
    """What is left of tables ``(..., I, T)`` without effects of clusters and periods."""
    return table - table.mean(-1, keepdims=True) - table.mean(-2, keepdims=True) + table.mean((-2, -1), keepdims=True)


class Scores(NamedTuple):
    """Our estimate and weights, the residuals ``(I, T)`` and what each cell adds to the error."""

    estimate: float
    weights: Array
    residual: Array

    @property
    def cells(self) -> Array:
        return np.asarray(self.weights * self.residual)

    def by(self, label: Array | None = None) -> float:
        """Root of the sum of squares by cluster, or by what clusters have in common."""
        sums = self.cells.sum(-1)
        return float(np.linalg.norm(sums if label is None else pd.Series(sums).groupby(label).sum()))


@cache
def scores(name: str) -> Scores:
    trial, estimator = panel(name), sw.TwoWayFixedEffects()
    estimate = float(estimator.point(trial))
    return Scores(estimate, estimator.weights(trial), within(trial.outcome) - estimate * within(trial.arm))


def factor(groups: int, n: int, k: int) -> float:
    """Root of ``G / (G - 1) (n - 1) / (n - k)``."""
    return float(np.sqrt(groups / (groups - 1) * (n - 1) / (n - k)))


def clusters_and_periods(s: Scores) -> float:
    cells, (clusters, periods) = s.cells, s.cells.shape
    sum_of_squares = s.by() ** 2 + (cells.sum(0) ** 2).sum() - (cells**2).sum()
    return float(np.sqrt(sum_of_squares)) * factor(min(clusters, periods), cells.size, 2)


def periods_with_a_kernel(s: Scores) -> float:
    clusters, periods = s.cells.shape
    total, lags = s.cells.sum(0), int(4 * (periods / 100) ** (2 / 9))
    products = [(total[lag:] * total[: periods - lag]).sum() for lag in range(lags + 1)]
    variance = products[0] + 2 * sum((1 - lag / (lags + 1)) * products[lag] for lag in range(1, lags + 1))
    return float(np.sqrt(variance * s.cells.size / (s.cells.size - clusters - periods)))


def states_left_out() -> float:
    """The estimate without each state in turn, about the whole."""
    rows, estimator = rows_of("mpdta"), sw.TwoWayFixedEffects()
    states = rows.state.unique()
    moved = [float(estimator.point(sw.Trial.from_panel(rows[rows.state != state], **COLUMNS["mpdta"]))) for state in states]
    return float(np.linalg.norm(np.array(moved) - scores("mpdta").estimate)) * factor(len(states), len(rows), 6)


def clusters_left_out(name: str) -> float:
    """JackknifeTest has ``(G - 1) / G`` times the sum of squares, pyfixest ``G / (G - 1) (n - 1) / (n - 2)``."""
    clusters, periods = panel(name).n.shape
    ours = sw.JackknifeTest().run(panel(name), sw.TwoWayFixedEffects()).std_error
    return float(ours) * np.sqrt(clusters / (clusters - 1)) * factor(clusters, clusters * periods, 2)


def standard_error(name: str, variance: str) -> float:
    """A package's standard error, out of our weights and residuals."""
    s = scores(name)
    clusters, periods = s.cells.shape
    n, k = s.cells.size, clusters + periods
    if variance == "states":
        states = panel(name).cluster_column("state")
        return s.by(states) * factor(len(np.unique(states)), n, periods + 1)
    return {
        "clusters": lambda: s.by() * factor(clusters, n, periods + 1),
        "clusters, k = 2": lambda: s.by() * factor(clusters, n, 2),
        "clusters, rows / (rows - coefficients)": lambda: s.by() * np.sqrt(n / (n - k)),
        "clusters, all coefficients counted": lambda: s.by() * factor(clusters, n, k),
        "clusters left out": lambda: clusters_left_out(name),
        "states left out": states_left_out,
        "clusters and periods": lambda: clusters_and_periods(s),
        "cells": lambda: np.linalg.norm(s.cells) * np.sqrt(n / (n - k)),
        "model": lambda: np.linalg.norm(s.residual) * np.linalg.norm(s.weights) / np.sqrt(n - k),
        "periods with a kernel": lambda: periods_with_a_kernel(s),
    }[variance]()


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in CONSTANT.itertuples()])
def test_every_variance_of_every_package(row: object) -> None:
    assert scores(row.data).estimate == pytest.approx(row.estimate, abs=1e-10)
    assert standard_error(row.data, row.variance) == pytest.approx(row.se, rel=1e-8)


TWFE = data.golden("golden_twfe").query("not vcov.str.startswith('CR')")


@pytest.mark.parametrize("row", [pytest.param(row, id=row.version) for row in TWFE.itertuples()])
def test_standard_errors_of_the_older_table(row: object) -> None:
    assert standard_error(row.dataset, OLDER[row.vcov]) == pytest.approx(row.std_error, rel=1e-9)


@pytest.mark.parametrize("name", ["mpdta", "castle5_plus10"])
def test_our_own_clustered_variances_are_these_scores(name: str) -> None:
    """CR0 is the sum of squares that every clustered variance above starts from, CR1 that with ``G / (G - 1)``."""
    fits = [sw.TwoWayFixedEffects(vcov=vcov).fit(panel(name)).std_error for vcov in ("CR0", "CR1")]
    groups = len(panel(name).clusters)
    assert fits == pytest.approx([scores(name).by(), scores(name).by() * np.sqrt(groups / (groups - 1))], rel=1e-9)


class LpopByYear:
    """A constant effect, and the counties' population times a year's indicator as further columns."""

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        lpop, years = panel("mpdta").cluster_column("lpop"), np.eye(treatment.shape[-1])[1:]
        by_year = lpop[:, None] * years[:, None, :]
        return ("treatment", *(f"lpop {year}" for year in range(2004, 2008))), np.concatenate([treatment[None], by_year])


class EventTimes:
    """An effect for each time before and after treatment but the last one before."""

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        periods, last = treatment.shape[-1], exposure[:, -1:]
        event = np.where(last > 0, np.arange(periods) - (periods - last), -1)
        times = [time for time in np.unique(event) if time != -1]
        return tuple(f"event {time}" for time in times), np.stack([event == time for time in times]).astype(float)


CURVES = {"lpop by year": LpopByYear(), "event times": EventTimes()}


def fitted(model: str, vcov: str) -> pd.DataFrame:
    fit = sw.FixedEffects(vcov=vcov, df="normal", effect=CURVES[model]).fit(panel("mpdta"))
    return fit.tidy().set_index("term")


def with_columns(model: str) -> pd.DataFrame:
    """Our estimates, and standard errors from scores at them, as CR0 of 500 counties takes 3 GB."""
    trial, ours = panel("mpdta"), fitted(model, "model").estimate
    terms, columns = CURVES[model].columns(trial.arm, trial.exposure)
    x = within(columns)
    residual = within(trial.outcome) - np.tensordot(ours[list(terms)].to_numpy(), x, 1)
    flat = x.reshape((len(terms), -1))
    pulled = np.linalg.solve(flat @ flat.T, (x * residual).sum(-1))
    errors = pd.Series(np.linalg.norm(pulled, axis=-1), terms) * factor(500, 2500, 5 + len(terms))
    return pd.DataFrame({"estimate": ours, "error": errors})


@pytest.mark.parametrize("model", list(CURVES))
def test_regressions_with_more_columns(model: str) -> None:
    """FixedEffects with curves of the test's own."""
    rows = NUMBERS[NUMBERS.model == model]
    ours = with_columns(model).loc[rows.term]
    assert ours.estimate.tolist() == pytest.approx(rows.estimate.tolist(), abs=1e-10)
    assert ours.error.tolist() == pytest.approx(rows.se.tolist(), rel=1e-8)


@pytest.mark.calibration  # 12 seconds and 3 GB each
@pytest.mark.parametrize("model", list(CURVES))
def test_their_standard_errors_are_cr0(model: str) -> None:
    rows, ours = NUMBERS[NUMBERS.model == model], fitted(model, "CR0")
    errors = ours.std_error * factor(500, 2500, 5 + len(ours))
    assert errors[rows.term].tolist() == pytest.approx(rows.se.tolist(), rel=1e-8)


def complaints(by: str) -> sw.Trial:
    """Officers with a complaint, each for itself (by uid) or together with those first trained in the same month.

    An officer without any says nothing of the effect; fixest drops them too.
    """
    rows = rows_of("pj_sub12")
    rows = rows[rows.groupby("uid").complaints.transform("sum") > 0]
    cells = rows.groupby([by, "period"], as_index=False).agg(
        complaints=("complaints", "mean"), size=("complaints", "size"), first_trained=("first_trained", "first")
    )
    words = {"cluster": "cluster", "period": "period", "outcome": "complaints", "first_treated": "first_trained", "size": "size"}
    return sw.Trial.from_panel(cells.assign(cluster=cells[by]), **words, family="poisson")


def test_poisson() -> None:
    """Officers' own levels cancel in the Poisson likelihood, so months of training as clusters give the same estimate."""
    (row,) = NUMBERS[NUMBERS.model == "poisson"].itertuples()
    months = sw.FixedEffects(vcov="model").fit(complaints("first_trained"))
    officers = sw.FixedEffects(vcov="model").fit(complaints("uid"))
    assert [months.estimate, officers.estimate] == pytest.approx([row.estimate] * 2, abs=1e-9)


@pytest.mark.calibration  # 18 seconds and 4 GB
def test_poisson_standard_error() -> None:
    """fepois leaves its weights at the step before the last: 4e-6 of the standard error."""
    (row,) = NUMBERS[NUMBERS.model == "poisson"].itertuples()
    fit = sw.FixedEffects(vcov="CR0", df="normal").fit(complaints("uid"))
    assert fit.std_error * factor(475, 475 * 72, 72) == pytest.approx(row.se, rel=1e-5)
