"""Design effects against a published formula and by hand."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw


def woertman(steps: int, size: int, icc: float) -> float:
    """Woertman et al. (2013), one baseline and one period a step: correction factor times measurements a cluster."""
    top = 1 + icc * (steps * size + size - 1)
    bottom = 1 + icc * (steps * size / 2 + size - 1)
    return top / bottom * 3 * (1 - icc) / (2 * (steps - 1 / steps)) * (steps + 1)


def test_the_recorded_example() -> None:
    # SWSamp 0.3.21, DE.woert(K=20, J=5, B=1, T=1, rho=.2): 2.51351351351351
    table = sw.design_effect(sw.Design.stepped_wedge(5, 6), size=20, correlation=sw.Exchangeable(0.2)).set_index("compared_with")
    assert table.loc["individual randomisation", "design_effect"] == pytest.approx(2.51351351351351, rel=1e-12)


@pytest.mark.parametrize(("steps", "size", "icc"), [(3, 10, 0.05), (5, 50, 0.01), (8, 100, 0.1)])
def test_woertman(steps: int, size: int, icc: float) -> None:
    table = sw.design_effect(sw.Design.stepped_wedge(steps, steps + 1), size=size, correlation=sw.Exchangeable(icc))
    # An algebraic identity of two closed forms: only rounding differs.
    assert table["design_effect"].iloc[0] == pytest.approx(woertman(steps, size, icc), rel=1e-10)


def test_parallel_by_hand() -> None:
    table = sw.design_effect(sw.Design.stepped_wedge(4, 5), size=25, sd=2.0, correlation=sw.NestedExchangeable(0.1, 0.6))
    individuals = 25 * 5
    by_hand = 4 * (4 / 4) * (0.1 + 0.9 / individuals)  # 4/I times the variance of a cluster mean, I = 4 and sd^2 = 4
    assert table["variance"].iloc[1] == pytest.approx(by_hand, rel=1e-12)


def test_unequal_sizes_have_arms_of_equal_precision() -> None:
    size = np.array([10.0, 20.0, 30.0, 40.0])
    table = sw.design_effect(sw.Design.parallel(4), size=size, correlation=sw.Exchangeable(0.05))
    assert table["variance"].iloc[1] == pytest.approx(4 / (1 / (0.05 + 0.95 / size)).sum(), rel=1e-12)
