"""An observational panel as a trial without a design."""

from __future__ import annotations

import numpy as np
import pandas as pd

from swedge.assumptions import family_named
from swedge.errors import DataError, listing
from swedge.trial.cells import Cells
from swedge.trial.formula import label
from swedge.trial.frame import check_cells, check_columns
from swedge.trial.trial import Trial


def read_panel(df: pd.DataFrame, cluster: str, period: str, outcome: str, first_treated: str, size: str | None, family: str) -> Trial:
    """Clusters in order of first treatment, the never-treated last; missing outcomes become cells of n = 0 and are counted."""
    columns = {"cluster": cluster, "period": period, "outcome": outcome, "first_treated": first_treated, "size": size}
    check_columns(df, {**columns, "date": None})
    rows = df.assign(_cluster=df[cluster].map(label), _first=_starts(df[first_treated]))
    _check_panel(rows, period)
    starts = rows.groupby("_cluster")["_first"].first()
    order = sorted(starts.index, key=lambda name: (starts[name], name))
    periods = sorted(rows[period].unique())
    table = rows.set_index(["_cluster", period])
    values = _table(table[outcome], order, periods)
    n = (~np.isnan(values)).astype(float) if size is None else np.nan_to_num(_table(table[size], order, periods)) * ~np.isnan(values)
    first = starts[order].to_numpy(dtype=float)
    exposure = np.maximum(np.arange(len(periods)) - np.searchsorted(periods, first)[:, None] + 1, 0)
    lost = int((n == 0).sum())
    notes = (f"{lost} of {n.size} cells have no outcome and weigh nothing.",) if lost else ()
    trial = Trial(
        Cells(n, np.nan_to_num(values)[..., None], np.zeros((len(order), 1, 1))),
        (exposure > 0).astype(float),
        exposure.astype(np.int64),
        family_named(family).name,
        tuple(order),
        None,
        int(np.isinf(first).sum()),
        tuple(periods),
        notes=notes,
    )
    return check_cells(trial)


def _starts(column: pd.Series) -> pd.Series:
    """First treated period as a float, infinite for never."""
    starts = pd.to_numeric(column, errors="coerce").astype(float)
    return starts.where((starts > 0) & starts.notna(), np.inf)


def _check_panel(rows: pd.DataFrame, period: str) -> None:
    twice = rows.duplicated(["_cluster", period], keep=False)
    if twice.any():
        cells = [f"{c}, {t}" for c, t in rows.loc[twice, ["_cluster", period]].drop_duplicates().itertuples(index=False)]
        raise DataError(f"{len(cells)} cluster-periods have more than one row: {listing(cells)}. Aggregate them first.")
    changing = rows.groupby("_cluster")["_first"].nunique()
    if (changing > 1).any():
        raise DataError(f"first_treated changes within {listing(list(changing.index[changing > 1]))}. A cluster is first treated once.")


def _table(values: pd.Series, order: list[str], periods: list[object]) -> np.ndarray:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return numbers.unstack().reindex(index=order, columns=periods).to_numpy()
