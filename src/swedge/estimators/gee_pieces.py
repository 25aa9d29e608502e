"""A trial and a working correlation as the arrays that the estimating equations need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FamilyMaths
from swedge._kernels.gee import GEEModel
from swedge._kernels.gee_correlation import Working
from swedge._kernels.glm import slot_model
from swedge._kernels.least_squares import varies
from swedge.assumptions import Correlation, Exchangeable, ExponentialDecay, NestedExchangeable
from swedge.errors import DataError, FitError
from swedge.estimators.columns import Slots, covariate_means, slots, stack_columns
from swedge.estimators.layout import midpoints
from swedge.estimators.pieces import cluster_scatter, no_variation
from swedge.trial import Trial

Array = NDArray[np.float64]

KINDS: dict[type, str] = {Exchangeable: "exchangeable", NestedExchangeable: "nested", ExponentialDecay: "decay"}
# What the second parameter of a structure is called in a fit's details.
SECOND = {"nested": "icc_between", "decay": "decay"}


def stated(correlation: Any) -> bool:
    """Whether a working correlation has values, so that nothing is estimated.

    Raises
    ------
    FitError
        If it is no working correlation of a cross-section, or states only some of its values.
    """
    if type(correlation) not in KINDS:
        known = ", ".join(f"{kind.__name__}()" for kind in KINDS)
        raise FitError(f"correlation={correlation!r} is no working correlation of a GEE; expected one of {known}.")
    if correlation.iac != 0:
        raise FitError(f"iac={correlation.iac!r}: cells do not tell who is who, so a GEE has no individual autocorrelation. Leave iac out.")
    given = [getattr(correlation, name) is not None for name in ("icc", "cac") if hasattr(correlation, name)]
    if any(given) and not all(given):
        raise FitError(f"{correlation!r} states some of its values. State all to keep to them, or none to have them estimated.")
    return all(given)


def working(trial: Trial, correlation: Any) -> Working:
    """The structure on the trial's calendar."""
    middle = midpoints(trial)
    lag = np.abs(np.subtract.outer(middle, middle)) / (np.mean(np.diff(middle)) if len(middle) > 1 else 1.0)
    fixed = correlation.between(middle, 1 - correlation.icc) if stated(correlation) else None
    return Working(KINDS[type(correlation)], lag, fixed)


def gee_model(trial: Trial, columns: Array, family: FamilyMaths, correlation: Correlation, moments: str) -> GEEModel:
    """The whole problem; a Gaussian outcome is centred, as the periods' columns span a constant."""
    gaussian = family.name == "gaussian"
    parts = slots(trial, stack_columns(columns, covariate_means(trial)) if gaussian and trial.covariates else columns)
    y = _centred(parts) if gaussian else parts.y
    model = slot_model(y, parts.x, parts.n, parts.offset, family, trial.shape)
    period = None if trial.patterns is None else (trial.patterns.period[..., None] == np.arange(trial.n.shape[-1])).astype(float)
    p = model.x.shape[1]
    none = np.zeros((1, 1, p, p)), np.zeros((1, 1, p)), np.zeros(1)
    scatter = cluster_scatter(trial, p, True) if gaussian else none
    return GEEModel(model, period, *scatter, working(trial, correlation), moments, gaussian or moments == "pairs")


def _centred(parts: Slots) -> Array:
    seen = np.where(parts.n > 0, parts.y, 0.0)
    return np.asarray(seen - (parts.n * seen).sum((-2, -1), keepdims=True) / parts.n.sum((-2, -1), keepdims=True))


def check_individuals(trial: Trial, correlation: Correlation, moments: str, dispersed: bool) -> None:
    """Refuse what cells do not tell of individuals; `dispersed` says that the variance rests on their dispersion.

    Raises
    ------
    DataError
        Saying what to pass instead.
    """
    if trial.family == "poisson" and moments == "pairs":
        raise DataError("moments='pairs' needs every individual's count, and cells hold their sum. Use moments='MAEE' or 'cells'.")
    scattered = trial.cells.within is not None or bool((trial.n <= 1).all())
    known = {"gaussian": scattered, "fractional": False}.get(trial.family, True)
    if not known and (dispersed or not stated(correlation)):
        stating = "state the correlation, as in GEE(Exchangeable(0.05)), with a robust vcov such as 'KC'"
        rows = "build the trial from rows, pass within= (the scatter inside cells), or "
        raise DataError(
            f"How individuals vary and correlate cannot be told from the means of {trial.family} cells. What works:"
            f" {'' if trial.family == 'fractional' else rows}{stating}."
        )


def no_information(trial: Trial, model: GEEModel) -> NDArray[np.bool_]:
    """Whether every outcome of a replicate is the same, or the least or greatest possible."""
    if trial.family == "gaussian":
        return ~varies(model.slots.n, model.slots.y, model.inner_yy)
    return no_variation(model.slots)
