"""Where the data of the evidence tests come from: the shared folder, the golden tables, and trials that anyone can rebuild.

Files of ../shared are read where they lie, never copied; a test that needs one skips without it. The `made_*` trials travel as a few
lines of arithmetic, so the numbers that R gave for them are checked everywhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats


def shared_folder() -> Path | None:
    """The folder of data sets and peer records beside the repository, or None where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    return folder if (folder / "oracle" / "lmm_fits.json").exists() else None


def needed_folder() -> Path:
    """The same folder, or a skip that says what is missing."""
    folder = shared_folder()
    if folder is None:
        pytest.skip("../shared/oracle is not beside the repository, and its data sets are not ours to copy")
    return folder


def golden(name: str) -> pd.DataFrame:
    """One table of tests/golden."""
    return pd.read_csv(Path(__file__).parent / "golden" / f"{name}.csv", dtype={"version": str})


def trial_rows(name: str) -> pd.DataFrame:
    """Rows of a named data set with columns cluster, period, treatment, size, y_cont, y_bin; the test is skipped when the file is not here.

    `size` counts the individuals a row stands for; only aggregated sets have sizes above 1, and their `y_bin` is then a mean.
    """
    if name in MADE:
        return made_trial(name)
    folder = needed_folder()
    if name == "fs_null":
        cells = pd.read_csv(folder / "data/trial/fs_null_cells_simulated.csv")
        named = cells.rename(columns={"cl": "cluster", "per": "period", "x": "treatment", "n": "size"})
        return named.assign(y_bin=named.y / named["size"])
    if name == "sw_data_example":
        rows = pd.read_csv(folder / "data/trial/sw_data_example.csv")
        return rows.rename(columns={"trt": "treatment", "outcome_bin": "y_bin", "outcome_cont": "y_cont"}).assign(size=1)
    return pd.read_csv(folder / f"data/lmm/{name}.csv").drop(columns="n").assign(size=1)


def panel_rows(name: str) -> pd.DataFrame:
    """Rows of a difference-in-differences panel with cluster, period, treatment, y_cont and first_treated (0 = never)."""
    rows = pd.read_csv(needed_folder() / f"data/did/{name}.csv")
    first = rows.gvar.fillna(0)
    treated = ((first > 0) & (rows.year >= first)).astype(int)
    columns = {"cluster": rows.sid, "period": rows.year, "treatment": treated, "y_cont": rows.l_homicide, "first_treated": first}
    return pd.DataFrame(columns)


# name: seed, matrix of sequences x periods (None = not observed), clusters per sequence, rows in the smallest cell, step of the cell sizes,
# and the standard deviations of cluster and cluster-period
MADE: dict[str, tuple[int, list[list[float | None]], list[int], int, int, float, float]] = {
    "made_wedge": (11, [[0] * k + [1] * (6 - k) for k in range(1, 6)], [1] * 5, 8, 0, 0.3, 0.2),
    "made_unequal": (12, [[0] * k + [1] * (5 - k) for k in range(1, 5)], [2, 2, 2, 2], 3, 4, 0.4, 0.3),
    "made_singular": (30, [[0] * k + [1] * (5 - k) for k in range(1, 5)], [1, 2, 1, 2], 6, 3, 0.0, 0.0),
    "made_gaps": (17, [[0, None, 1, 1, 1], [0, 0, None, 1, 1], [0, 0, 0, None, 1]], [2, 3, 2], 4, 2, 0.5, 0.2),
}


def made_trial(name: str) -> pd.DataFrame:
    """A trial that anyone can rebuild: Park-Miller uniforms through the normal quantile, rounded to 6 places.

    Its numbers come from the same R packages as the project's data sets, and it travels with the repository.
    """
    seed, matrix, per_sequence, base, step, tau, gamma = MADE[name]
    state = seed

    def uniform() -> float:
        nonlocal state
        state = 16807 * state % 2147483647
        return state / 2147483647

    for _ in range(100):  # the first numbers after a small seed are small
        uniform()
    rows: list[dict[str, float]] = []
    for i, sequence in enumerate(np.repeat(np.arange(len(matrix)), per_sequence)):
        cluster_effect = tau * stats.norm.ppf(uniform())
        for t, treated in enumerate(matrix[sequence]):
            cell = cluster_effect + gamma * stats.norm.ppf(uniform()) + 0.1 * t
            for _ in range(base + step * ((3 * i + 2 * t) % 4) if treated is not None else 0):
                y = round(float(cell + 0.25 * treated + stats.norm.ppf(uniform())), 6)
                rows.append({"cluster": i + 1, "period": t + 1, "treatment": treated, "size": 1, "y_cont": y, "y_bin": int(y > 0.6)})
    return pd.DataFrame(rows).astype({"cluster": int, "period": int, "treatment": int, "size": int, "y_bin": int})


def cells_of(rows: pd.DataFrame) -> pd.DataFrame:
    """The cluster-period cells of a trial: size, y = the number with the outcome, y_bin and y_cont as means."""
    sums = rows.assign(y=rows.y_bin * rows["size"], y_cont=rows.get("y_cont", np.nan) * rows["size"])
    cells = sums.groupby(["cluster", "period"], as_index=False).agg({"treatment": "first", "size": "sum", "y": "sum", "y_cont": "sum"})
    return cells.assign(y=cells.y.round().astype(int), y_bin=cells.y / cells["size"], y_cont=cells.y_cont / cells["size"])


def model_matrix(rows: pd.DataFrame, cluster_effects: bool = False) -> NDArray[np.float64]:
    """Columns: treatment first, then one indicator a period and, if asked, one a cluster but the first."""
    periods = pd.get_dummies(rows.period).to_numpy(float)
    clusters = pd.get_dummies(rows.cluster).to_numpy(float)[:, 1:] if cluster_effects else np.empty((len(rows), 0))
    return np.column_stack([rows.treatment.to_numpy(float), periods, clusters])


def schedule(rows: pd.DataFrame) -> tuple[list[list[float | None]], dict[str, int]]:
    """The distinct treatment histories (None = not observed) in order of appearance, and the 0-based history of each cluster."""
    table = rows.pivot_table(index="cluster", columns="period", values="treatment", aggfunc="first")
    histories = {
        str(name): tuple(None if np.isnan(v) else float(v) for v in row) for name, row in zip(table.index, table.to_numpy(), strict=True)
    }
    matrix = list(dict.fromkeys(histories.values()))
    return [list(history) for history in matrix], {name: matrix.index(history) for name, history in histories.items()}


def exposed_rows(name: str) -> pd.DataFrame:
    """Rows of a `made_*` trial with exposure (periods since crossover) and person; `made_cohort` is made_wedge with individual effects."""
    rows = made_trial("made_wedge" if name == "made_cohort" else name)
    person = rows.groupby(["cluster", "period"]).cumcount()
    first = rows[rows.treatment > 0].groupby("cluster").period.min()
    exposure = (rows.period - rows.cluster.map(first) + 1).clip(lower=0)
    own = 0.7 * np.sin(5.0 * (8 * rows.cluster + person)) if name == "made_cohort" else 0.0
    return rows.assign(exposure=exposure, person=person, y_cont=(rows.y_cont + own).round(6))


def aged_rows(name: str) -> pd.DataFrame:
    """Rows of a `made_*` trial with an individual covariate that differs within and between cells."""
    rows = made_trial(name)
    age = (np.arange(len(rows)) * 7 % 11) / 10 + 0.1 * rows.period + 0.05 * rows.cluster
    return rows.assign(age=age.round(6))
