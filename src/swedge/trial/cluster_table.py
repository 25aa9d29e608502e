"""What is known of each cluster beside its outcomes: one row a cluster."""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, listing, nearest
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
    _refuse("has several rows", [name for name in clusters if name in repeated], "Give each cluster one row.")
    _refuse("is the name of several columns", [str(c) for c in named.columns[named.columns.duplicated()].unique()], "Rename all but one.")
    lost = [name for name in clusters if name not in named.index]
    _refuse("has no row", lost, f"Index the frame by cluster name, such as {clusters[0]!r}.{nearest(lost[0], named.index) if lost else ''}")
    rows = named.loc[list(clusters)]
    gaps = [f"{c} ({int(rows[c].isna().sum())} clusters)" for c in rows.columns if rows[c].isna().any()]
    _refuse("has missing values", gaps, "Complete them, or leave the column out.")
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


def _refuse(what: str, offenders: list[str], advice: str) -> None:
    if offenders:
        raise DataError(f"{listing(offenders)} {what} ({len(offenders)} in all). {advice}")
