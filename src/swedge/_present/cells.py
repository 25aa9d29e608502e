"""Trajectories from a table of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from swedge._present.trajectories import draw_trajectories
from swedge.errors import DataError, listing, nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("cluster", "period", "treatment", "mean")


def draw_cells(frame: pd.DataFrame, ax: Axes | None = None, ylabel: str = "Mean outcome of the cell", comparators: int = 0) -> Axes:
    """Draw a line a cluster from a plain table of cells, with a gap where a mean is missing, as it is where its count is suppressed.

    Parameters
    ----------
    frame : DataFrame
        One row a cell, with columns `cluster`, `period`, `treatment` (0, 1 or a fraction) and `mean`; clusters and periods stand in the
        order of their first rows.
    ax
        Axes to draw on; new ones by default.
    ylabel
        The outcome, with its unit.
    comparators
        How many of the last clusters are never-treated comparison clusters.

    Raises
    ------
    DataError
        If a column is missing, a cell occurs twice, or a mean is not a number.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        known = nearest(missing[0], frame.columns)
        raise DataError(f"The table of cells has no column {missing[0]!r}.{known} It needs {', '.join(COLUMNS)}.")
    twice = frame[frame.duplicated(["cluster", "period"])]
    if len(twice):
        named = [f"{row.cluster}, period {row.period}" for row in twice.itertuples()]
        raise DataError(f"The table of cells has two rows for {listing(named)}. Pass one row a cluster and period.")
    outcome, arm = (_square(frame, name) for name in ("mean", "treatment"))
    names = [str(name) for name in frame["cluster"].unique()]
    return draw_trajectories(outcome, arm, names, list(frame["period"].unique()), ax, comparators, ylabel)


def _square(frame: pd.DataFrame, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """One column as clusters x periods, nan where there is no row."""
    values = pd.to_numeric(frame[name], errors="coerce")
    if (values.isna() & frame[name].notna()).any():
        raise DataError(f"{name!r} of the table of cells is not a number everywhere. Leave out what is suppressed: None or nan.")
    table = frame.assign(**{name: values}).pivot(index="cluster", columns="period", values=name)
    return table.reindex(index=frame["cluster"].unique(), columns=frame["period"].unique()).to_numpy(dtype=float)
