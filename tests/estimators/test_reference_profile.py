"""Profile intervals: where they end, the dense likelihood with everything else at its best is a chi-square quantile above its minimum.

lme4's confint() reads its ends off a spline through few points: its upper ends agree to 5e-5, and so do its lower ends away from 0. Near 0
they are not where lme4's own deviance says they should be (`SPLINES`): the dense likelihood decides, and agrees with swedge.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import reference
import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.estimators.profile import ProfileIntervals, profile_intervals

PROFILE = data.golden("profile")
MODELS = {"ri": sw.Exchangeable(), "nested": sw.NestedExchangeable(), "rt_uncorr": sw.RandomEffects(cluster=None, treatment=None)}
NAMES = {"sd_(Intercept)|cl": "cluster", "sd_(Intercept)|cp": "cluster_period", "sd_trt|cl": "treatment", "sigma": "residual"}
CUT = 3.841458820694124
# lower ends (and one upper end of a variance estimated as 0) that lme4's splines miss, by how much
SPLINES = {
    ("made_wedge", "rt_uncorr", "treatment"): 0.12,
    ("made_gaps", "nested", "cluster_period"): 0.02,
    ("made_gaps", "nested", "cluster"): 2e-4,
    ("made_gaps", "rt_uncorr", "treatment"): 0.02,
    ("made_unequal", "rt_uncorr", "treatment"): 3e-3,
    ("made_unequal", "rt_uncorr", "cluster"): 3e-3,
}


@cache
def trial(dataset: str) -> sw.Trial:
    return trials.from_rows(data.made_trial(dataset), "y_cont", "gaussian")


@cache
def intervals(dataset: str, model: str, reml: bool) -> ProfileIntervals:
    return profile_intervals(trial(dataset), sw.MixedModel(MODELS[model], reml=reml, df="normal"))


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{row.dataset}-{row.model}-{NAMES[row.parameter]}") for _, row in PROFILE.iterrows()]
)
def test_golden_lme4(row: pd.Series) -> None:
    ours, term = intervals(row.dataset, row.model, False), NAMES[row.parameter]
    found = np.sqrt(ours.conf_int[ours.terms.index(term)])
    allowed = SPLINES.get((row.dataset, row.model, term), 5e-5)
    assert found == pytest.approx([row.low, row.high], abs=allowed)


def blocks_of(rows: pd.DataFrame, model: str) -> tuple[tuple[str, ...], list[reference.Block]]:
    cluster, period, treated = rows.cluster.to_numpy(), rows.period.to_numpy(), rows.treatment.to_numpy(float)
    x, y = data.model_matrix(rows), rows.y_cont.to_numpy()
    shapes = {
        "residual": lambda o: np.eye(len(o)),
        "cluster": lambda o: np.ones((len(o), len(o))),
        "cluster_period": lambda o: (period[o][:, None] == period[o]).astype(float),
        "treatment": lambda o: np.outer(treated[o], treated[o]),
    }
    names = {"nested": ("residual", "cluster", "cluster_period"), "rt_uncorr": ("residual", "cluster", "treatment")}[model]
    own = [np.flatnonzero(cluster == c) for c in np.unique(cluster)]
    return names, [(y[o], x[o], [shapes[name](o) for name in names]) for o in own]


def least(blocks: list[reference.Block], variances_of: object, starts: np.ndarray, reml: bool) -> float:
    def objective(point: np.ndarray) -> float:
        return reference.gls(blocks, variances_of(point), reml).criterion  # type: ignore[operator]

    options = {"xatol": 1e-6, "fatol": 1e-9, "maxiter": 2000}
    return min(float(optimize.minimize(objective, start, method="Nelder-Mead", options=options).fun) for start in starts)


CASES = [("made_wedge", "rt_uncorr", "treatment"), ("made_gaps", "nested", "cluster_period"), ("made_gaps", "rt_uncorr", "treatment"),
         ("made_unequal", "rt_uncorr", "cluster"), ("made_gaps", "nested", "residual"), ("made_gaps", "nested", "icc"),
         ("made_gaps", "nested", "cac"), ("made_unequal", "nested", "cac")]  # fmt: skip


@pytest.mark.parametrize(("dataset", "model", "term"), CASES)
def test_the_dense_likelihood_is_a_quantile_lower_at_the_ends(dataset: str, model: str, term: str) -> None:
    reml = model == "nested"
    ours = intervals(dataset, model, reml)
    minimum = float(sw.MixedModel(MODELS[model], reml=reml, df="normal").fit(trial(dataset)).details["criterion"])
    names, blocks = blocks_of(data.made_trial(dataset), model)
    for end, side in zip(ours.conf_int[ours.terms.index(term)], (-1, 1), strict=True):

        def variances(point: np.ndarray, end: float = float(end)) -> np.ndarray:
            if term == "icc":  # residual and the share that lasts are free
                between = end / (1 - end) * point[0] ** 2
                share = np.sin(point[1]) ** 2
                return np.array([point[0] ** 2, share * between, (1 - share) * between])
            if term == "cac":
                return np.array([point[0] ** 2, end * point[1] ** 2, (1 - end) * point[1] ** 2])
            others = iter(point**2)
            return np.array([end if name == term else next(others) for name in names])

        rise = least(blocks, variances, np.array([[1.0, 0.3], [0.9, 0.8]]), reml) - minimum
        edge = end in (0.0, 1.0)
        assert rise < CUT + 1e-5 if edge else rise == pytest.approx(CUT, abs=1e-4), side


def test_the_estimate_is_inside_and_the_curve_is_drawn() -> None:
    ours = intervals("made_gaps", "nested", True)
    tidy = ours.tidy()
    assert ((tidy.conf_low <= tidy.estimate) & (tidy.estimate <= tidy.conf_high)).all()
    assert list(tidy.columns) == list(sw.MixedModel().fit(trial("made_gaps")).tidy().columns)
    assert "Methods: " in ours.summary()
    axes = ours.plot("icc")
    assert axes.get_xlabel() == "icc"
    assert (ours.curves["icc"][1] > -1e-6).all()


def test_other_correlations_have_intervals_too() -> None:
    rows = data.exposed_rows("made_cohort")
    named = rows.assign(cluster=rows.cluster.astype(str))
    columns = {"cluster": "cluster", "period": "period", "outcome": "y_cont", "individual": "person"}
    cohort = sw.Trial.from_frame(named, trials.allocation_of(rows), **columns)
    found = profile_intervals(cohort, sw.MixedModel(sw.Exchangeable(iac=None)), terms=["iac", "icc"])
    assert found.terms == ("iac", "icc")
    decay = profile_intervals(trial("made_gaps"), sw.MixedModel(sw.ExponentialDecay()), terms=["autocorrelation"])
    corr = profile_intervals(trial("made_gaps"), sw.MixedModel(sw.RandomEffects(cluster=None, treatment=None, treatment_corr=None)),
                             terms=["treatment_corr", "treatment"])  # fmt: skip
    for each in (found, decay, corr):
        assert (each.conf_int[:, 0] < each.estimate).all()
        assert (each.estimate < each.conf_int[:, 1]).all()
