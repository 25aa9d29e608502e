"""Weights by exposure of the constant-effect estimate: dense GLS in R, and the closed form of Kenny et al. (2022)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from reference_data import golden
from swedge.power.planned_weights import planned_exposure_weights

ROWS, COLUMNS = np.indices((6, 5))
UNEVEN = sw.Design.from_matrix([[0, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1]], clusters_per_sequence=[3, 1, 2])
CASES = {
    "five": (sw.Design.stepped_wedge(clusters=5, periods=6), 1.0),
    "uneven": (UNEVEN, 10 + (7 * ROWS + 5 * COLUMNS) % 23),
}
TABLES = list(golden("exposure_weights").groupby(["case", "icc", "cac"], sort=False))


@pytest.mark.parametrize(("key", "table"), TABLES, ids=[str(key) for key, _ in TABLES])
def test_golden_weights_are_those_of_dense_gls(key: tuple[str, float, float], table: pd.DataFrame) -> None:
    """R prints twelve decimals."""
    case, icc, cac = key
    design, size = CASES[case]
    weights = planned_exposure_weights(design, size=size, correlation=sw.NestedExchangeable(icc, cac))
    assert weights.times == tuple(table["exposure"])
    np.testing.assert_allclose(weights.weights, table["weight"], atol=2e-12)


@pytest.mark.parametrize(
    ("phi", "published"),
    [
        (0.5, [7 / 9, 0.355556, 0.066667, -0.088889, -1 / 9]),
        (0.9, [0.846154, 0.369231, 0.046154, -0.123077, -0.138462]),
        (0.0, [0.5, 0.3, 0.15, 0.05, 0.0]),
    ],
)
@pytest.mark.parametrize("n", [1, 37])
def test_golden_cluster_mean_correlation_alone_counts(phi: float, published: list[float], n: int) -> None:
    """Six decimals are known. phi is n icc / (1 + (n - 1) icc)."""
    icc = phi / (n - (n - 1) * phi)
    weights = planned_exposure_weights(CASES["five"][0], size=n, correlation=sw.Exchangeable(icc)).weights
    np.testing.assert_allclose(weights, published, atol=1e-6)


@pytest.mark.parametrize("sequences", [2, 3, 5, 9])
@pytest.mark.parametrize("phi", [0.0, 0.2, 0.95])
def test_reference_closed_form(sequences: int, phi: float) -> None:
    q, j = sequences, np.arange(1, sequences + 1)
    expected = 6 * (j - q - 1) * ((1 + 2 * phi * q) * j - (1 + phi + phi * q) * q) / (q * (q + 1) * (phi * q**2 + 2 * q - phi * q - 2))
    weights = planned_exposure_weights(sw.Design.stepped_wedge(q, q + 1), size=1, correlation=sw.Exchangeable(phi)).weights
    np.testing.assert_allclose(weights, expected, atol=1e-12)
