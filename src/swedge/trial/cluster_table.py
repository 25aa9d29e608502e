"""What is known of each cluster beside its outcomes: one row a cluster."""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, counted, listing, nearest
from swedge.trial.columns import label


def read_cluster_table(clusters: tuple[str, ...], frame: object) -> pd.DataFrame:
    """The rows of `clusters`, in their order.

    Raises
    ------
    DataError
        If this is no frame of one row a cluster, complete.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(
            f"The cluster covariates are a {type(frame).__name__}; pass a DataFrame with one row a cluster, indexed by its name."
        )
    named = frame.set_axis([label(name) for name in frame.index])
    repeated = set(named.index[named.index.duplicated()])
    _refuse("has several rows", "have several rows", [name for name in clusters if name in repeated], "Give each cluster one row.")
    twice = [str(c) for c in named.columns[named.columns.duplicated()].unique()]
    _refuse("is the name of several columns", "are names of several columns", twice, "Rename all but one.")
    lost = [name for name in clusters if name not in named.index]
    close = nearest(lost[0], named.index) if lost else ""
    _refuse("has no row", "have no row", lost, f"Index the frame by cluster name, such as {clusters[0]!r}.{close}")
    rows = named.loc[list(clusters)]
    gaps = [f"{c} ({counted(int(rows[c].isna().sum()), 'cluster', 'clusters')})" for c in rows.columns if rows[c].isna().any()]
    _refuse("has missing values", "have missing values", gaps, "Complete them, or leave the column out.")
    return rows


def column_of(table: pd.DataFrame | None, name: str) -> NDArray[Any]:
    """One column.

    Raises
    ------
    DataError
        If there is no such column.
    """
    if table is None:
        raise DataError(f"The trial has no cluster covariates, so no {name!r}. Add them by trial.with_cluster_covariates(frame).")
    if name not in table.columns:
        raise DataError(f"{name!r} is no cluster covariate.{nearest(name, table.columns)} They are {listing(list(table.columns), 8)}.")
    return table[name].to_numpy()


def _refuse(one: str, several: str, offenders: list[str], advice: str) -> None:
    if offenders:
        raise DataError(f"{listing(offenders)} {one if len(offenders) == 1 else several} ({len(offenders)} in all). {advice}")
