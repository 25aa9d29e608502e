"""The washout curve: a lasting effect after periods that have effects of their own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from swedge.assumptions import Washout

ALLOCATION = sw.Design.stepped_wedge(clusters=6, periods=7).randomise(seed=2)


def arms(design: sw.Design, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    allocation = design.randomise(seed=seed)
    return np.nan_to_num(allocation.treatment), allocation.exposure


def trial(effects: list[float], family: str = "gaussian") -> sw.Trial:
    """Cells whose treated means are shifted by the effect at their exposure, without noise between them but a pattern."""
    rng = np.random.default_rng(0)
    shift = np.array([0.0, *effects])[np.minimum(ALLOCATION.exposure, len(effects))]
    y = 0.2 * rng.standard_normal((6, 7)) + shift
    return sw.Trial.from_cells(np.full((6, 7), 20.0), y, ALLOCATION, within=np.array([[6 * 7 * 19.0]]), family=family)


@given(clusters=st.integers(3, 6), periods=st.integers(1, 2), seed=st.integers(0, 99))
def test_columns_join_effects_by_exposure(clusters: int, periods: int, seed: int) -> None:
    treatment, exposure = arms(sw.Design.stepped_wedge(clusters), seed)
    names, columns = Washout(periods).columns(treatment, exposure)
    _, each = sw.ByExposure().columns(treatment, exposure)
    assert names == ("treatment", *(f"washout {s + 1}" for s in range(periods)))
    np.testing.assert_array_equal(columns[0], each[periods:].sum(0))
    np.testing.assert_array_equal(columns[1:], each[:periods])
    np.testing.assert_array_equal(columns.sum(0), treatment)


@pytest.mark.parametrize("model", [sw.FixedEffects(effect=Washout(2)), sw.MixedModel(effect=Washout(2))], ids=["fixed", "mixed"])
def test_finds_what_was_put_in(model: sw.FixedEffects) -> None:
    """Shifting the treated means by these effects shifts the terms by them, to rounding."""
    base, moved = model.fit(trial([0.0])), model.fit(trial([0.3, -0.2, 1.0]))
    assert moved.terms == ("treatment", "washout 1", "washout 2")
    np.testing.assert_allclose(moved.estimate - base.estimate, [1.0, 0.3, -0.2], atol=1e-6)
    assert moved.estimand == "lasting and washout effects"
    assert "3 effects by time since crossover" in moved.methods
    assert list(moved.tidy().term) == list(moved.terms)


def test_estimands_average_over_exposures() -> None:
    data = trial([0.3, 0.8])
    whole = sw.MixedModel(effect=Washout(1)).fit(data)
    last = sw.MixedModel(effect=Washout(1), estimand=sw.LTE()).fit(data)
    after = sw.MixedModel(effect=Washout(1), estimand=sw.TATE(2, 6)).fit(data)
    both = sw.MixedModel(effect=Washout(1), estimand=sw.TATE()).fit(data)
    assert float(last.estimate) == pytest.approx(whole.estimate[0])
    assert float(after.estimate) == pytest.approx(whole.estimate[0])
    assert float(after.std_error) == pytest.approx(whole.std_error[0])
    assert float(both.estimate) == pytest.approx((whole.estimate[1] + 5 * whole.estimate[0]) / 6)


def test_is_by_exposure_when_one_exposure_is_left() -> None:
    data = trial([0.1, 0.2, 0.3])
    saturated = sw.MixedModel(effect=sw.ByExposure()).fit(data)
    washed = sw.MixedModel(effect=Washout(5)).fit(data)
    np.testing.assert_allclose(washed.estimate, np.roll(saturated.estimate, 1), atol=1e-6)


def test_plots_one_line_a_term() -> None:
    axes = sw.MixedModel(effect=Washout(1)).fit(trial([0.3, 0.8])).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["treatment", "washout 1"]


def test_spec() -> None:
    assert repr(Washout(2)) == "Washout(periods=2)"
    assert Washout(2) == Washout(2) != Washout(1)


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "none": (lambda: Washout(0), r"Washout\(0\): expected a whole number of periods, at least 1"),
    "half": (lambda: Washout(0.5), r"Washout\(0\.5\)"),  # type: ignore[arg-type]
    "truth": (lambda: Washout(True), r"Washout\(True\)"),
    "nothing left": (lambda: Washout(4).columns(*arms(sw.Design.stepped_wedge(4))), r"No cell is treated for longer than 4 periods"),
    "an exposure that is not there": (
        lambda: Washout(6).columns(*arms(sw.Design.stepped_wedge(4))),
        r"No treated cell has exposure 5; 6, and",
    ),
    "nobody treated": (lambda: Washout().columns(np.zeros((2, 3)), np.zeros((2, 3), dtype=int)), "No cell is treated"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_washout(name: str) -> None:
    build, message = BAD[name]
    with pytest.raises(sw.DesignError, match=message):
        build()
