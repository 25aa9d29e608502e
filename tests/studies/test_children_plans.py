"""Plans are simulated as a flow; their snapshot must be the published stock."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from swedge.studies import family_safeguarding, simulate_children
from swedge.studies.plans import BANDS, HAZARD, MEAN_MONTHS, MONTH, STOCK, plan_lengths, stock_shares


def survival(month: np.ndarray) -> np.ndarray:
    """Share of plans that last longer, by summing the hazard day by day."""
    return np.exp(-np.interp(month, [0, *BANDS, 400], np.cumsum([0, *np.diff([0, *BANDS, 400]) * HAZARD])))


def test_hazards_turn_the_published_stock_into_the_published_mean() -> None:
    grid = np.linspace(0, 400, 400_001)
    alive = survival(grid)
    assert np.trapezoid(alive, grid) == pytest.approx(MEAN_MONTHS, abs=0.02)
    for low, high, share in zip([0, *BANDS], [*BANDS, 400], STOCK, strict=True):
        inside = (grid >= low) & (grid <= high)
        assert np.trapezoid(alive[inside], grid[inside]) / MEAN_MONTHS == pytest.approx(share, abs=0.002)


def test_the_snapshot_of_a_steady_flow_is_the_published_stock() -> None:
    rng = np.random.default_rng(1)
    start = rng.uniform(0, 4000, 60_000)
    shares = stock_shares(start, plan_lengths(len(start), rng), on=3600)
    assert shares == pytest.approx(STOCK, abs=0.015)


def test_flow_and_stock_are_not_the_same_thing() -> None:
    lengths = plan_lengths(60_000, np.random.default_rng(2)) / MONTH
    flow = np.bincount(np.searchsorted(BANDS, lengths)) / len(lengths)
    assert np.abs(flow - STOCK).max() > 0.15


def test_the_child_file_gives_the_published_stock_on_31_march_2022() -> None:
    frame = simulate_children(family_safeguarding(), seed=1, comparators=[f"Elsewhere {i}" for i in range(20)])
    plans = frame.dropna(subset=["plan_days"])
    start = (plans["plan_start"] - pd.Timestamp("2020-03-01")).dt.days
    length = plans["plan_days"].where(plans["plan_open"] == 0, np.inf)
    shares = stock_shares(start, length, on=(pd.Timestamp("2022-03-31") - pd.Timestamp("2020-03-01")).days)
    assert shares[:4] == pytest.approx(STOCK[:4], abs=0.035)


def test_a_ratio_multiplies_lengths() -> None:
    lengths = [plan_lengths(100, np.random.default_rng(3), ratio) for ratio in (1.0, 0.5)]
    assert lengths[1] == pytest.approx(lengths[0] / 2)
