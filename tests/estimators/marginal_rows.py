"""Rows behind the marginal effects of tests/golden/marginal.csv; run as a script, it writes them for marginal.R."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

import reference_data as data

DATASETS = ("made_unequal", "made_wedge", "sw_data_example")


def banded(name: str) -> pd.DataFrame:
    """Rows of a data set with outcome y and a made covariate of three bands, which goes with the outcome."""
    rows = data.trial_rows(name)
    place, y = np.arange(len(rows)), rows.y_bin.to_numpy()
    return rows.assign(y=y, band=np.where(place % 5 < 3, place % 3, 2 * y))


if __name__ == "__main__":
    for dataset in DATASETS:
        columns = ["cluster", "period", "treatment", "band", "y"]
        banded(dataset)[columns].to_csv(Path(sys.argv[1]) / f"{dataset}.csv", index=False)
