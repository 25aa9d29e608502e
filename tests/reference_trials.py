"""The data sets of reference_data as swedge trials."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd

import reference_data as data
import swedge as sw


def allocation_of(rows: pd.DataFrame) -> sw.Allocation:
    """The allocation that was carried out, read off the treatment column."""
    matrix, sequence = data.schedule(rows)
    counts = Counter(sequence.values())
    design = sw.Design.from_matrix(matrix, clusters_per_sequence=[counts[s] for s in range(len(matrix))], clusters=list(sequence))
    return design.allocate(sequence)


def from_rows(rows: pd.DataFrame, outcome: str, family: str, covariates: str | None = None) -> sw.Trial:
    """A trial through the door for records; rows that stand for several individuals pass their number of events and their size."""
    named = rows.assign(cluster=rows.cluster.astype(str))
    grouped = (rows["size"] > 1).any()
    if grouped:
        named = named.assign(**{outcome: named.y})
    return sw.Trial.from_frame(
        named,
        allocation_of(rows),
        cluster="cluster",
        period="period",
        outcome=outcome,
        family=family,
        covariates=covariates,
        size="size" if grouped else None,
    )


def table(cells: pd.DataFrame, column: str) -> np.ndarray:
    """One column of a frame of cells as an (I, T) array, nan where nothing was observed."""
    return cells.pivot_table(index="cluster", columns="period", values=column, aggfunc="first").to_numpy(float)


def from_cells(rows: pd.DataFrame, outcome: str, family: str) -> sw.Trial:
    """The same trial through the door for cells: counts, means and the sum of squares about the cell means."""
    cells = data.cells_of(rows)
    n = np.nan_to_num(table(cells, "size"))
    within = None
    if family == "gaussian":
        centred = rows[outcome] - rows.groupby(["cluster", "period"])[outcome].transform("mean")
        within = np.array([[float(centred @ centred)]])
    return sw.Trial.from_cells(n, np.nan_to_num(table(cells, outcome)), allocation_of(rows), within=within, family=family)


def numbers(fit: sw.Estimate) -> list[float]:
    """Estimate, standard error and degrees of freedom of a single fit."""
    return [float(fit.estimate), float(fit.std_error), float(fit.df)]
