"""Cox regression stratified by cluster, with a variance from the clusters' scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.linalg import inverse_factor
from swedge._kernels.sandwich import cluster_robust
from swedge.errors import FitError, Status, nearest
from swedge.estimate import Estimate, Wording, assemble, refuse_failed
from swedge.estimators.columns import adjusted_for, counted, informed
from swedge.estimators.followed import Followed
from swedge.trial import Trial
from swedge.trial.formula import covariate_columns

Array = NDArray[np.float64]

VCOVS = ("CR2", "CR0")
# Newton's steps, the squared decrement at which they end, and the log hazard ratio of one standard deviation that only separation reaches.
STEPS, DECREMENT, ENDLESS = 50, 1e-16, 15.0


class CoxRows(NamedTuple):
    """Rows in cells that the design observes: cluster, time, event ``(n,)`` and columns ``(n, p)``, the treatment first."""

    cluster: NDArray[np.int64]
    time: Array
    event: Array
    columns: Array


class CoxFit(NamedTuple):
    """Coefficients ``(p,)``, each cluster's information ``(I, p, p)`` and score ``(I, p)`` there, and what became of the fit."""

    beta: Array
    information: Array
    scores: Array
    status: Status


def check_vcov(vcov: str) -> None:
    """Refuse a variance that is not offered."""
    if vcov not in VCOVS:
        raise FitError(f"vcov={vcov!r}; expected one of {', '.join(VCOVS)}.{nearest(str(vcov), VCOVS)}")


def cox_rows(trial: Trial, rows: Followed, frame: pd.DataFrame, covariates: str | None) -> CoxRows:
    """Treatment, an indicator of each period but the first that has rows, and covariates; each about its mean."""
    treatment = trial.treatment[rows.cluster, rows.period]
    seen = ~np.isnan(treatment)
    period = rows.period[seen]
    periods = (period[:, None] == np.unique(period)[1:]).astype(float)
    own = np.zeros((len(frame), 0)) if covariates is None else covariate_columns(covariates, frame)[1]
    columns = np.column_stack([treatment[seen], periods, own[seen]])
    return CoxRows(rows.cluster[seen], rows.time[seen], rows.event[seen], columns - columns.mean(0))


def cox_estimate(trial: Trial, rows: CoxRows, vcov: str, horizon: str) -> Estimate:
    """The log hazard ratio of treatment."""
    fit = _fit(rows)
    root = inverse_factor(fit.information.sum(0)[None])[0]
    contrasts = np.eye(len(fit.beta))[:1]
    with np.errstate(all="ignore"):  # a failed fit is a status
        robust = cluster_robust(vcov, root, fit.information[None], fit.scores[None], contrasts)
    df = robust.df if vcov == "CR2" else np.full_like(robust.df, np.inf)
    wording = Wording(
        f"Cox {vcov}", "treatment effect", "log hazard", _methods(trial, rows, vcov, horizon), (*trial.notes, _warning(trial, vcov))
    )
    numbers = ((fit.beta @ contrasts.T)[None], robust.covariance, df)
    return refuse_failed(
        assemble(trial, ("treatment",), numbers, np.array([fit.status], dtype=np.int8), wording, alone=robust.alone), "Cox regression"
    )


def _fit(rows: CoxRows) -> CoxFit:
    """Newton's method on the sum of the clusters' partial likelihoods; clusters without events add nothing."""
    models = _models(rows)
    fit = _at(models, np.zeros(rows.columns.shape[1]), _outlook(rows))
    for _ in range(STEPS):
        root, definite = inverse_factor(fit.information.sum(0)[None])
        if fit.status != Status.NOT_CONVERGED or not definite[0]:
            return fit if definite[0] else fit._replace(status=max(fit.status, Status.RANK_DEFICIENT))
        pulls = root[0] @ fit.scores.sum(0)
        done = pulls @ pulls < DECREMENT
        fit = _at(models, _uphill(models, fit.beta, root[0].T @ pulls), Status.OK if done else Status.NOT_CONVERGED)
        if np.abs(fit.beta * rows.columns.std(0)).max() > ENDLESS:
            fit = fit._replace(status=Status.SEPARATED)
    return fit


def _outlook(rows: CoxRows) -> Status:
    """What can be said before the first step."""
    treated = rows.columns[rows.event == 1, 0]
    if not treated.size:
        return Status.NO_VARIATION
    return Status.SEPARATED if np.ptp(treated) == 0 < np.ptp(rows.columns[:, 0]) else Status.NOT_CONVERGED


def _models(rows: CoxRows) -> list[Any]:
    """One partial likelihood a cluster with events."""
    from statsmodels.duration.hazard_regression import PHReg  # imported where used: it would slow down `import swedge`

    inside = [rows.cluster == i for i in np.unique(rows.cluster[rows.event == 1])]
    return [PHReg(rows.time[at], rows.columns[at], status=rows.event[at], ties="efron") for at in inside]


def _at(models: list[Any], beta: Array, status: Status) -> CoxFit:
    p = len(beta)
    scores = np.array([model.score(beta) for model in models]).reshape(-1, p)
    information = np.array([-model.hessian(beta) for model in models]).reshape(-1, p, p)
    return CoxFit(beta, information, scores, status)


def _uphill(models: list[Any], beta: Array, step: Array) -> Array:
    """The step, halved until the likelihood does not fall by more than rounding."""

    def height(at: Array) -> float:
        return float(sum(model.loglike(at) for model in models))

    now = height(beta)
    for share in 0.5 ** np.arange(30):
        if height(beta + share * step) >= now - 1e-12 * abs(now):
            return np.asarray(beta + share * step)
    return beta


def _warning(trial: Trial, vcov: str) -> str:
    clusters = int(informed(trial).max())
    if vcov == "CR0":
        return (
            f"With {clusters} clusters the variance CR0 with a normal distribution is too small, so p values are too small and intervals"
            " too short. Report CR2 beside it, or a randomisation test of the restricted mean."
        )
    return "A sensitivity analysis: CR2 and its df are carried over from linear models to the partial likelihood, and are approximations."


def _methods(trial: Trial, rows: CoxRows, vcov: str, horizon: str) -> str:
    freedom = "Satterthwaite degrees of freedom" if vcov == "CR2" else "a normal distribution"
    return (
        f"Cox proportional hazards regression stratified by cluster with period effects{adjusted_for(trial)}, follow-up up to {horizon},"
        f" Efron ties, {vcov} cluster-robust standard errors and {freedom}; {rows.event.sum():,.0f} events, {counted(trial)}."
    )
