"""Correlation structures against loops over pairs of periods, and against random effects drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.assumptions import Layout, RandomEffects

FS = sw.Design.from_dates(
    {"Walsall": "2020-09-01", "Lancashire": "2021-02-01", "Telford": "2021-06-28", "Wandsworth": "2022-01-24", "Swindon": "2022-05-24"},
    start="2020-03-01",
    end="2022-11-24",
)


@given(icc=st.floats(0.01, 0.9), cac=st.floats(0.01, 1.0))
def test_decay_goes_by_the_calendar_of_unequal_periods(icc: float, cac: float) -> None:
    """The mean distance of neighbouring mid-points is the unit; periods of 184 to 120 days lie further apart than one of 120 and 185."""
    days = [184, 153, 147, 210, 120, 185]
    starts = np.concatenate([[0], np.cumsum(days)])[:-1]
    middle = [start + length / 2 for start, length in zip(starts, days, strict=True)]
    unit = (middle[-1] - middle[0]) / 5
    between = sw.ExponentialDecay(icc, cac).between(FS.midpoints(), 1.0)
    for s in range(6):
        for t in range(6):
            assert between[s, t] == pytest.approx(icc / (1 - icc) * cac ** (abs(middle[s] - middle[t]) / unit))


@given(cluster=st.floats(0.1, 3), period=st.floats(0.1, 3), decay=st.floats(0, 1))
def test_random_effects_are_a_sum_of_their_own_parts(cluster: float, period: float, decay: float) -> None:
    middle = FS.midpoints()
    unit = np.mean(np.diff(middle))
    effects = RandomEffects(cluster=cluster, cluster_period=period, residual=1.0, autocorrelation=decay)
    between = effects.between(middle, 1.0)
    for s in range(6):
        for t in range(6):
            shared = 1.0 if s == t else decay ** (abs(middle[s] - middle[t]) / unit)
            assert between[s, t] == pytest.approx(cluster**2 + period**2 * shared)


def test_treatment_effects_that_vary_between_clusters() -> None:
    """Cov of a + x b with sd 2 of a, 3 of b, correlation -0.5: periods 1 to 3 under control, treated, half treated."""
    x = np.array([0.0, 1.0, 0.5])
    effects = RandomEffects(cluster=2.0, treatment=3.0, treatment_corr=-0.5, residual=1.0)
    parts = effects.parts(Layout(np.arange(3.0), x[None], np.ones((1, 3))))
    total = np.sum([p.value * np.broadcast_to(p.between, (1, 3, 3))[0] for p in parts], axis=0)
    rows = np.column_stack([np.ones(3), x])
    np.testing.assert_allclose(total, rows @ np.array([[4.0, -3.0], [-3.0, 9.0]]) @ rows.T)


def test_drawn_effects_have_the_covariance() -> None:
    """200,000 clusters; the standard error of an entry is below .005."""
    rng = np.random.default_rng(20200901)
    own = rng.normal(size=(200_000, 3)) * 0.5 + rng.normal(size=(200_000, 1)) * 0.8
    structure = sw.NestedExchangeable(icc=(0.64 + 0.25) / (0.64 + 0.25 + 1), cac=0.64 / (0.64 + 0.25))
    np.testing.assert_allclose(np.cov(own.T), structure.between(np.arange(3.0), 1.0), atol=0.02)
