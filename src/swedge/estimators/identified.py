"""Structures that a trial cannot tell apart, refused before they are fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from swedge._kernels.covariance import entangled
from swedge.assumptions import Structure
from swedge.errors import DataError, FitError
from swedge.estimators.columns import Effects
from swedge.estimators.layout import Grid, covariance_of, grid_of, ratio_names, residual_of
from swedge.trial import Trial


def check_identified(trial: Trial, parts: Effects, structure: Structure) -> None:
    """Refuse a structure that no trial of the stack can carry.

    Raises
    ------
    DataError
        If cells hold one number each, and cells are to vary by more than their residual.
    FitError
        If no cluster is seen under both arms, periods are too few for a decay, exposure times for exposure effects, or effects vary the
        cells observed in the same way.
    """
    _check_cells(trial, structure)
    check_periods_and_arms(trial, structure)
    if "exposure" in structure.effects:
        _check_exposures(trial, parts, structure)
    check_told_apart(grid_of(trial), structure, _alone(trial))


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
    if independent and _alone(trial):
        raise DataError(
            "A cluster-by-period effect cannot be told from the residual: these cells hold one number each. Pass within= (the"
            " scatter inside cells), build the trial from rows, or use MixedModel(Exchangeable()) on the means."
        )


def _alone(trial: Trial) -> bool:
    """Whether cells hold one number each, so that their scatter does not tell the residual."""
    return bool(trial.cells.within is None or (trial.n.sum((-2, -1)) <= (trial.n > 0).sum((-2, -1))).all())


def check_told_apart(grid: Grid, structure: Structure, alone: bool) -> None:
    """Refuse effects that move the covariance of the cells observed in the same way, in every trial of the stack.

    Where cells hold one number each (`alone`), the residual has to be told from the effects by that covariance as well. A cohort's
    deviations tell what belongs to individuals, if they are seen twice.

    Raises
    ------
    FitError
        Naming the effects, and a structure that can be told.
    """
    if "individual" in structure.effects and (grid.seen.sum(-1) < 2).all():
        raise FitError("Individuals seen once cannot be told from the residual. Leave out individual= (iac=).")
    of_cells = replace(structure, effects=tuple(name for name in structure.effects if name != "individual"))
    names = [*(["residual"] if alone else []), *ratio_names(of_cells)]
    alike = entangled(covariance_of(grid, of_cells), residual_of(grid, of_cells) if alone else None)
    if alike is None:
        return
    told = [name.replace("cluster_treatment", "treatment_corr") for name, share in zip(names, alike, strict=True) if share]
    raise FitError(
        f"The cells observed cannot tell {_listed(told)} apart: they change the covariance of clusters' cells in the"
        f" same way, so their variances would be arbitrary. {_instead(structure, told)}"
    )


def _listed(names: list[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _instead(structure: Structure, told: list[str]) -> str:
    if "residual" in told:
        return "Pass within= (the scatter inside cells), or build the trial from rows."
    if structure.effects == ("cluster", "cluster_period") and structure.decay == "none":
        return "Clusters seen once have one variance between them: use MixedModel(Exchangeable())."
    return "Leave one of them out of the structure, or use MixedModel() or MixedModel(Exchangeable())."


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
