"""The generalised linear mixed model on cells, covariate patterns or rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FamilyMaths
from swedge._kernels.glm import fit_slots, slot_model
from swedge._kernels.laplace import fit_laplace
from swedge.assumptions import Correlation
from swedge.errors import Status
from swedge.estimators.columns import Effects, padded, period_columns, slots, stack_columns
from swedge.estimators.found import Found
from swedge.estimators.pieces import no_variation
from swedge.trial import Trial

Array = NDArray[np.float64]


def fit_glmm(trial: Trial, parts: Effects, correlation: Correlation, maths: FamilyMaths, quadrature: int) -> Found:
    """Maximise the approximate likelihood of each replicate."""
    periods = period_columns(trial)
    table = slots(trial, stack_columns(periods, parts.columns))
    contrasts = padded(parts.contrasts, len(periods), len(trial.covariates))
    model = slot_model(table.y, table.x, table.n, table.offset, maths, trial.shape)
    fits = [fit_laplace(block, fit_slots(block)) for block in model.blocks()]
    beta, tau, covariance, criterion, _, status = (np.concatenate([f[j] for f in fits]) for j in range(6))
    shown = contrasts @ covariance @ contrasts.T
    status = np.where(no_variation(model), Status.NO_VARIATION, status).astype(np.int8)
    df = np.full((len(beta), len(contrasts)), np.inf)
    return Found(beta @ contrasts.T, shown, df, status, criterion, {"cluster": tau**2})
