"""Structures of the linear mixed model against lme4, lmerTest, pbkrtest, nlme and glmmTMB.

Where a peer stopped `gap` above the minimum of -2 log likelihood, its estimate may be the square root of that away, in standard errors: the
tolerances are 1e-5 (1e-2 for df) plus what the gap allows. `STOPPED` names the peers' fits that are more than 1e-6 above the minimum; the
criterion there is the dense reference's too (test_reference_structures), and golden/README.md says what became of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.assumptions import Structure
from swedge.estimators.columns import effects
from swedge.estimators.mixed_gaussian import fit_gaussian

TABLE = data.golden("structures")
EFFECTS = sw.RandomEffects


@dataclass(frozen=True)
class TotalDecay:
    """One variance for everything, decaying: what nlme's gls fits to cell means. No structure for users: a cell has one number here."""

    def structure(self) -> Structure:
        return Structure((), decay="all")


STRUCTURES = {
    "ri": sw.Exchangeable(),
    "rt_uncorr": EFFECTS(cluster=None, treatment=None),
    "rt_corr": EFFECTS(cluster=None, treatment=None, treatment_corr=None),
    "nested_rt_uncorr": EFFECTS(cluster=None, treatment=None, cluster_period=None),
    "decay": sw.ExponentialDecay(),
    "exposure": EFFECTS(cluster=None, exposure=None),
    "nested_exposure": EFFECTS(cluster=None, exposure=None, cluster_period=None),
    "cohort": sw.Exchangeable(iac=None),
    "nested_cohort": sw.NestedExchangeable(iac=None),
}
# (data set, model, REML): how far above the minimum the peer stopped, at most
STOPPED = {
    ("d04", "rt_corr", False): 0.46,  # another minimum
    ("d02", "nested_rt_uncorr", False): 2e-6,
    ("d04", "decay", True): 1e-5,
    ("d05", "decay", False): 1e-4,
    ("d05", "decay", True): 1e-5,
    ("d13", "decay", False): 3e-5,
}


def each(table: pd.DataFrame) -> list[object]:
    columns = ("dataset", "unit", "model", "reml", "source")
    return [pytest.param(row, id="-".join(str(row[c]).split(" ")[0] for c in columns)) for _, row in table.iterrows()]


@cache
def trial(dataset: str, unit: str, model: str) -> sw.Trial:
    rows = data.exposed_rows(dataset) if dataset.startswith("made") else data.trial_rows(dataset)
    if unit == "cell means":
        cells = data.cells_of(rows)
        rows = cells.assign(size=1, person=0)
    named = rows.assign(cluster=rows.cluster.astype(str))
    individual = "person" if model in ("cohort", "nested_cohort", "total decay") else None
    return sw.Trial.from_frame(
        named, trials.allocation_of(rows), cluster="cluster", period="period", outcome="y_cont", individual=individual
    )


@cache
def fitted(dataset: str, unit: str, model: str, reml: bool, df: str) -> sw.Estimate:
    return sw.MixedModel(STRUCTURES[model], reml=reml, df=df).fit(trial(dataset, unit, model))


@pytest.mark.parametrize("row", each(TABLE[TABLE.model != "total decay"]))
def test_peers(row: pd.Series) -> None:
    fit = fitted(row.dataset, row.unit, row.model, row.reml, "satterthwaite")
    gap = row.criterion - float(fit.details["criterion"])
    assert -1e-8 < gap < STOPPED.get((row.dataset, row.model, row.reml), 1e-6), "ours is the minimum, and theirs is near it"
    if gap > 0.1:
        return
    off = np.sqrt(max(gap, 0.0))
    assert fit.estimate == pytest.approx(row.estimate, abs=(1e-5 + off) * row.std_error)
    if "glmmTMB" not in row.source:  # whose standard errors count the uncertainty of variances, by the joint Hessian
        assert fit.std_error == pytest.approx(row.std_error, rel=1e-5 + off)
    if not np.isnan(row.satterthwaite_df):
        assert fit.df == pytest.approx(row.satterthwaite_df, abs=1e-2, rel=3 * off)
    if isinstance(row.singular, bool):
        assert (fit.status == sw.Status.SINGULAR) == row.singular
    if not np.isnan(row.autocorrelation) and gap < 1e-6 and row.autocorrelation < 0.98:
        assert fit.details["variances"]["autocorrelation"] == pytest.approx(row.autocorrelation, abs=1e-4)


@pytest.mark.parametrize("row", each(TABLE[TABLE.kr_df.notna()]))
def test_pbkrtest(row: pd.Series) -> None:
    fit = fitted(row.dataset, row.unit, row.model, True, "kenward-roger")
    off = np.sqrt(max(row.criterion - float(fit.details["criterion"]), 0.0))
    assert fit.std_error == pytest.approx(row.kr_std_error, rel=1e-5 + off)
    assert fit.df == pytest.approx(row.kr_df, abs=1e-2, rel=3 * off)


@pytest.mark.parametrize("row", each(TABLE[TABLE.model == "total decay"]))
def test_gls_of_cell_means(row: pd.Series) -> None:
    cells = trial(row.dataset, row.unit, row.model)
    found = fit_gaussian(cells, effects(cells, sw.Constant(), None), TotalDecay(), row.reml, "normal")
    gap = row.criterion - float(found.criterion[0])
    assert -1e-8 < gap < 1e-6
    assert found.estimate[0, 0] == pytest.approx(row.estimate, abs=(1e-5 + np.sqrt(max(gap, 0.0))) * row.std_error)
    count = (cells.n > 0).sum()  # nlme's gls divides by the residual degrees of freedom for its standard errors, after ML too
    adjusted = 1.0 if row.reml else count / (count - cells.n.shape[-1] - 1)
    assert np.sqrt(adjusted * found.covariance[0, 0, 0]) == pytest.approx(row.std_error, rel=1e-5 + np.sqrt(max(gap, 0.0)))
    assert found.variances["autocorrelation"][0] == pytest.approx(row.autocorrelation, abs=1e-4)
