"""A small dated trial of three authorities in four periods, and the door it goes through."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

import swedge as sw

DATES = {"Walsall": "2020-09-01", "Lancashire": "2021-02-01", "Swindon": "2022-05-24"}
DESIGN = sw.Design.from_dates(DATES, start="2020-03-01", end="2022-11-24")
ALLOCATION = DESIGN.allocate_dates(DATES)
NUMBERED = sw.Design.stepped_wedge(3, periods=4).allocate({"1": 0, "2": 1, "3": 2})
_GAPS = sw.Design.from_matrix([[0, None, 1, 1], [0, 0, None, 1], [0, 0, 0, 1]], clusters_per_sequence=[1, 1, 1], clusters=list(DATES))
GAPS = _GAPS.allocate(dict(zip(DATES, range(3), strict=True)))
SECRET = 987654.25
NAME = "Jane Doe 4711"


def rows(per: int = 4, seed: int = 0) -> pd.DataFrame:
    """One row a child: la, period, date, y (0 or 1), g (a number), events out of size, age, sex, treated."""
    return _made(per, seed).copy()


@lru_cache(64)
def _made(per: int, seed: int) -> pd.DataFrame:
    cells = [(name, t) for name in DATES for t in range(4) for _ in range(per)]
    rng, count = np.random.default_rng(seed), len(cells)
    frame = pd.DataFrame(cells, columns=["la", "period"])
    start = pd.to_datetime(pd.Series([DESIGN.boundaries[t] for t in frame["period"]]))
    own = frame["la"].map({name: i for i, name in enumerate(DATES)}).to_numpy()
    return frame.assign(
        date=start + pd.to_timedelta(rng.integers(0, 100, count), unit="D"),
        period=frame["period"] + 1,
        y=(np.arange(count) % 3 == 0).astype(int),
        g=rng.normal(size=count).round(3),
        events=rng.integers(0, 4, count),
        size=rng.integers(4, 8, count),
        age=rng.integers(0, 13, count),
        sex=np.where(np.arange(count) % 2, "m", "f"),
        treated=ALLOCATION.treatment[own, frame["period"]].astype(int),
    )


def read(frame: Any = None, allocation: Any = ALLOCATION, **changes: Any) -> sw.Trial:
    """The rows through `Trial.from_frame`; a change of None leaves an argument out."""
    arguments: dict[str, Any] = {"cluster": "la", "period": "period", "outcome": "y", "family": "binomial", **changes}
    return sw.Trial.from_frame(rows() if frame is None else frame, allocation, **{k: v for k, v in arguments.items() if v is not None})


def at(column: pd.Series, value: object, *places: int) -> pd.Series:
    """The column as objects with another value at some rows (the second, left out)."""
    return column.astype(object).mask(column.index.isin(places or [1]), value)


def same(one: sw.Trial, other: sw.Trial) -> None:
    """Both trials hold the same cells and covariate patterns."""
    np.testing.assert_allclose(one.cells.n, other.cells.n)
    np.testing.assert_allclose(one.cells.mean, other.cells.mean, atol=1e-12)
    assert (one.cells.within is None) == (other.cells.within is None)
    if one.cells.within is not None and other.cells.within is not None:
        np.testing.assert_allclose(one.cells.within, other.cells.within, atol=1e-9)
    assert (one.clusters, one.periods, one.covariates) == (other.clusters, other.periods, other.covariates)
    np.testing.assert_array_equal(one.treatment, other.treatment)
    np.testing.assert_array_equal(one.exposure, other.exposure)
    assert (one.patterns is None) == (other.patterns is None)
    if one.patterns is not None and other.patterns is not None:
        for name in ("n", "mean", "period", "covariates"):
            np.testing.assert_allclose(getattr(one.patterns, name), getattr(other.patterns, name), atol=1e-12)
