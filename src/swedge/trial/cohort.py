"""Closed cohorts: the same individuals measured in every period, folded into the scatter of their profiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, counted, listing
from swedge.trial.columns import check_column
from swedge.trial.fold import Rows
from swedge.trial.trial import Trial

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def as_cohort(trial: Trial, rows: Rows, frame: pd.DataFrame, column: str | None) -> Trial:
    """The trial with the profiles of individuals, told apart by `column` within each cluster; without one, the trial as it is.

    Raises
    ------
    DataError
        If the outcome is not Gaussian, rows stand for groups, or some individual is not measured once in every period of its cluster.
    """
    if column is None:
        return trial
    if trial.family != "gaussian" or (rows.size != 1).any():
        raise DataError(
            "A cohort's profiles serve the linear mixed model: individual= needs family='gaussian' and one row an individual and period."
            " Leave out individual=; FixedEffects() and GEE() take repeated outcomes of a cluster as they come."
        )
    check_column(frame, "individual", column)
    if lost := int(frame[column].isna().sum()):
        raise DataError(f"{counted(lost, 'row has', 'rows have')} no individual in column {column!r}. Complete the data, or remove them.")
    codes = pd.factorize(pd.MultiIndex.from_arrays([rows.cluster, frame[column]]))[0].astype(np.int64)
    _check_complete(trial, rows, codes)
    return replace(trial, cells=replace(trial.cells, cohort=_profiles(trial, rows, codes)))


def _check_complete(trial: Trial, rows: Rows, codes: Index) -> None:
    """Every individual once in every period of its cluster; messages count and never name one."""
    periods = trial.cells.n.shape[-1]
    measured = np.bincount(codes * periods + rows.period, minlength=(codes.max() + 1) * periods).reshape(-1, periods)
    if (measured > 1).any():
        raise DataError(
            f"{counted(int((measured > 1).any(1).sum()), 'individual has', 'individuals have')} several rows in one period. Give each one"
            " row a period, or leave out individual= if these are different people."
        )
    cluster = np.zeros(len(measured), dtype=np.int64)
    cluster[codes] = rows.cluster
    lacking = ((trial.cells.n > 0)[cluster] & (measured == 0)).any(1)
    if lacking.any():
        counts = np.bincount(cluster[lacking], minlength=len(trial.clusters))
        where = [f"{name}: {count}" for name, count in zip(trial.clusters, counts, strict=True) if count]
        raise DataError(
            f"{int(lacking.sum())} of {len(measured)} individuals {'is' if lacking.sum() == 1 else 'are'} not measured in every period"
            f" of their cluster ({listing(where)}). A closed cohort has to be complete: impute, keep those with all"
            " measurements, or leave out individual= and take the rows as cross-sections."
        )


def _profiles(trial: Trial, rows: Rows, codes: Index) -> Array:
    """Sums of products of individuals' deviations from their cells' means, ``(I, T, Q, T, Q)``."""
    variables = rows.variables("gaussian")
    clusters, periods = trial.cells.n.shape[-2:]
    apart = np.zeros((int(codes.max()) + 1, periods, variables.shape[1]))
    apart[codes, rows.period] = variables - trial.cells.mean[rows.cluster, rows.period]
    cluster = np.zeros(len(apart), dtype=np.int64)
    cluster[codes] = rows.cluster
    own = [apart[cluster == i].reshape(-1, periods * variables.shape[1]) for i in range(clusters)]
    return np.stack([profile.T @ profile for profile in own]).reshape(clusters, periods, variables.shape[1], periods, -1)
