"""Laws of correlation structures: what an ICC, a CAC and an IAC are, whatever the structure and the calendar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.assumptions import Correlation, Layout, RandomEffects, residual_variance

ICCS = st.floats(0.001, 0.95)
SHARES = st.floats(0.0, 1.0)
IACS = st.floats(0.0, 0.95)
SDS = st.floats(0.1, 10.0)
CALENDARS = st.lists(st.integers(1, 300), min_size=1, max_size=8).map(lambda lengths: np.cumsum(np.array(lengths, dtype=float)))
STRUCTURES = st.one_of(
    st.builds(sw.Exchangeable, ICCS, IACS),
    st.builds(sw.NestedExchangeable, ICCS, SHARES, IACS),
    st.builds(sw.ExponentialDecay, ICCS, SHARES, IACS),
    st.builds(sw.ProportionalDecay, ICCS, st.floats(0.0, 0.99)),
)
EFFECTS = st.builds(RandomEffects, cluster=SDS, cluster_period=SDS, residual=SDS, autocorrelation=SHARES, individual=SDS)
BY_PERIOD = (sw.NestedExchangeable, sw.ExponentialDecay)


def layout(midpoints: np.ndarray, total: float) -> Layout:
    """One control cluster with the same total variance in every cell."""
    cells = (1, len(midpoints))
    return Layout(midpoints, np.zeros(cells), np.full(cells, total))


def least(matrix: np.ndarray) -> float:
    """The smallest eigenvalue relative to the largest entry."""
    return float(np.linalg.eigvalsh(matrix).min() / np.abs(matrix).max())


@given(structure=STRUCTURES, midpoints=CALENDARS, sd=SDS)
def test_between_is_a_covariance_with_the_icc_on_its_diagonal(structure: Correlation, midpoints: np.ndarray, sd: float) -> None:
    between = structure.between(midpoints, residual_variance(structure, sd))
    np.testing.assert_allclose(between, between.T)
    assert least(between) > -1e-10
    np.testing.assert_allclose(np.diag(between), structure.icc * sd**2)  # type: ignore[attr-defined]


@given(structure=STRUCTURES, midpoints=CALENDARS, sd=SDS, n=st.integers(1, 500))
def test_parts_add_up_to_the_total_variance_and_to_between(structure: Correlation, midpoints: np.ndarray, sd: float, n: int) -> None:
    parts = structure.parts(layout(midpoints, sd**2))
    between, individual = (np.sum([p.value * getattr(p, name)[0] for p in parts], axis=0) for name in ("between", "individual"))
    np.testing.assert_allclose(np.diag(between + individual), sd**2)
    np.testing.assert_allclose(between, structure.between(midpoints, residual_variance(structure, sd)), atol=1e-12 * sd**2)
    assert least(between + individual / n) > -1e-10
    assert least(individual) > -1e-10


@given(effects=EFFECTS, midpoints=CALENDARS, n=st.integers(1, 500))
def test_parts_of_random_effects_add_up(effects: RandomEffects, midpoints: np.ndarray, n: int) -> None:
    parts = effects.parts(layout(midpoints, 1.0))
    between = np.sum([p.value * np.broadcast_to(p.between, (1, len(midpoints), len(midpoints)))[0] for p in parts], axis=0)
    individual = np.sum([p.value * np.broadcast_to(p.individual, (1, len(midpoints), len(midpoints)))[0] for p in parts], axis=0)
    np.testing.assert_allclose(between, effects.between(midpoints, 1.0))
    np.testing.assert_allclose(np.diag(individual), effects.individual**2 + residual_variance(effects, None))
    assert least(between + individual / n) > -1e-10


@given(icc=ICCS, cac=SHARES, kind=st.sampled_from(BY_PERIOD), periods=st.integers(2, 8), length=st.floats(0.1, 400))
def test_cac_is_the_correlation_one_period_apart_over_that_within_one(
    icc: float, cac: float, kind: type, periods: int, length: float
) -> None:
    between = kind(icc, cac).between(np.arange(periods) * length, 1.0)
    np.testing.assert_allclose(np.diag(between, 1) / np.diag(between)[1:], cac, atol=1e-12)


@given(structure=STRUCTURES, midpoints=CALENDARS, unit=st.floats(0.01, 100), origin=st.floats(-1e4, 1e4))
def test_neither_the_unit_nor_the_origin_of_time_matters(structure: Correlation, midpoints: np.ndarray, unit: float, origin: float) -> None:
    moved = structure.between(midpoints * unit + origin, 1.0)
    np.testing.assert_allclose(moved, structure.between(midpoints, 1.0), rtol=1e-6, atol=1e-6 * moved.max())


@given(icc=ICCS, midpoints=CALENDARS, iac=IACS)
def test_structures_meet_at_their_edges(icc: float, midpoints: np.ndarray, iac: float) -> None:
    one, diagonal = sw.Exchangeable(icc, iac).between(midpoints, 1.0), np.eye(len(midpoints))
    for kind in BY_PERIOD:
        np.testing.assert_allclose(kind(icc, 1.0, iac).between(midpoints, 1.0), one)
        np.testing.assert_allclose(kind(icc, 0.0, iac).between(midpoints, 1.0), one * diagonal)


@given(icc=ICCS, cac=SHARES)
def test_two_periods_cannot_tell_decay_from_nesting(icc: float, cac: float) -> None:
    nested, decay = (kind(icc, cac).between(np.array([0.0, 200.0]), 1.0) for kind in BY_PERIOD)
    np.testing.assert_allclose(nested, decay)


@given(cluster=SDS, cluster_period=SDS, residual=SDS, midpoints=CALENDARS)
def test_random_effects_are_a_nested_structure_by_another_name(
    cluster: float, cluster_period: float, residual: float, midpoints: np.ndarray
) -> None:
    shared, own = cluster**2, cluster_period**2
    structure = sw.NestedExchangeable((shared + own) / (shared + own + residual**2), shared / (shared + own))
    effects = RandomEffects(cluster=cluster, cluster_period=cluster_period, residual=residual)
    np.testing.assert_allclose(effects.between(midpoints, np.nan), structure.between(midpoints, residual_variance(effects, None)))
    total = np.sqrt(shared + own + residual**2)
    assert residual_variance(structure, total) == pytest.approx(residual_variance(effects, None))


@given(alpha0=st.floats(0.01, 0.9), share=SHARES, extra=st.floats(0.01, 0.95))
def test_alphas_are_correlations_of_two_outcomes(alpha0: float, share: float, extra: float) -> None:
    """Within one period, between periods, and of one individual between periods."""
    alpha1 = share * alpha0
    alpha2 = alpha1 + extra * (1 - alpha0)
    parts = sw.NestedExchangeable.from_alphas(alpha0, alpha1, alpha2).parts(layout(np.arange(3.0), 4.0))
    between, individual = (np.sum([p.value * getattr(p, name)[0] for p in parts], axis=0) / 4 for name in ("between", "individual"))
    assert between[0, 0] == pytest.approx(alpha0)
    assert between[0, 1] == pytest.approx(alpha1)
    assert (between + individual)[0, 1] == pytest.approx(alpha2)


@given(structure=st.one_of(STRUCTURES, EFFECTS))
def test_a_structure_is_its_repr(structure: object) -> None:
    again = eval(repr(structure), {name: getattr(sw, name) for name in sw.__all__})
    assert again == structure
    assert hash(again) == hash(structure)


def test_structures_to_estimate_name_their_components() -> None:
    assert sw.Exchangeable().components == ("cluster",)
    assert sw.NestedExchangeable().components == ("cluster", "cluster_period")
    assert sw.ExponentialDecay().components == sw.ProportionalDecay().components == ()
    assert RandomEffects(cluster=1.0, residual=1.0).components == ("cluster",)
    for structure in (sw.Exchangeable(), sw.NestedExchangeable(), sw.ExponentialDecay(), RandomEffects()):
        assert isinstance(structure, Correlation)
