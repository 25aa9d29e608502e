"""Structures that a trial cannot tell apart, refused before they are fitted."""

from __future__ import annotations

import numpy as np

from swedge.assumptions import Structure
from swedge.errors import DataError, FitError
from swedge.estimators.columns import Effects
from swedge.trial import Trial


def check_identified(trial: Trial, parts: Effects, structure: Structure) -> None:
    """Refuse a structure that no trial of the stack can carry.

    Raises
    ------
    DataError
        If cells hold one number each, and cells are to vary by more than their residual.
    FitError
        If no cluster is seen under both arms, periods are too few for a decay, or exposure times for exposure effects.
    """
    _check_cells(trial, structure)
    check_periods_and_arms(trial, structure)
    if "exposure" in structure.effects:
        _check_exposures(trial, parts, structure)


def check_periods_and_arms(trial: Trial, structure: Structure) -> None:
    """Refuse random treatment effects that no cluster shows, and a decay over fewer than three periods.

    Raises
    ------
    FitError
        Saying what to leave out.
    """
    seen = trial.n > 0
    if "treatment" in structure.effects and not ((seen & (trial.arm > 0)).any(-1) & (seen & (trial.arm < 1)).any(-1)).any():
        raise FitError(
            "No cluster is seen both treated and untreated, so treatment effects of clusters cannot be told from their levels. Leave"
            " treatment= out of the structure."
        )
    if structure.decay != "none" and seen.reshape(-1, seen.shape[-1]).any(0).sum() < 3:
        raise FitError("A decay needs three periods with data: with two, any autocorrelation is one of a NestedExchangeable(). Use that.")


def _check_cells(trial: Trial, structure: Structure) -> None:
    independent = "cluster_period" in structure.effects and structure.decay == "none"
    alone = trial.cells.within is None or (trial.n.sum((-2, -1)) <= (trial.n > 0).sum((-2, -1))).all()
    if independent and alone:
        raise DataError(
            "A cluster-by-period effect cannot be told from the residual: these cells hold one number each. Pass within= (the"
            " scatter inside cells), build the trial from rows, or use MixedModel(Exchangeable()) on the means."
        )


def _check_exposures(trial: Trial, parts: Effects, structure: Structure) -> None:
    times = np.unique(np.where((trial.n > 0) & (trial.arm > 0), trial.exposure, 0))
    if (times > 0).sum() < 2:
        raise FitError("Exposure effects vary between exposure times, and these cells have fewer than two. Leave exposure= out.")
    if parts.columns.shape[-3] > 1:
        raise FitError(
            "A random effect of exposure time cannot be told from fixed effects of exposure time. Use effect=Constant() with"
            " RandomEffects(exposure=None), or effect=ByExposure() without it."
        )
    if "individual" in structure.effects:
        raise FitError("Exposure effects that clusters share are not available for closed cohorts. Leave out exposure= or individual=.")
