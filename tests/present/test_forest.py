"""Several results in one picture: which rows, on which scale, and what is refused."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

import swedge as sw
from swedge.estimate import RATIOS, forest
from swedge.inference import LikelihoodRatioTest

ALLOCATION = sw.Design.stepped_wedge(clusters=5, periods=6, strata=[["1", "2"], ["3", "4", "5"]]).randomise(seed=0)
RISK = (30 + 4 * np.arange(5)[:, None] + np.arange(30).reshape(5, 6) % 7 - 8 * ALLOCATION.treatment) / 200
BINARY = sw.Trial.from_cells(np.full((5, 6), 200), RISK, ALLOCATION, family="binomial")
DAYS = sw.Trial.from_cells(np.full((5, 6), 200), 500 * RISK, ALLOCATION)
CR2 = sw.FixedEffects().fit(BINARY)
EXACT = sw.RandomisationTest().run(BINARY, sw.FixedEffects())


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def ratio_labels(axes: Axes) -> list[float]:
    return [float(label.get_text()) for label in axes.child_axes[0].get_xticklabels()]


def points(axes: Axes) -> list[float]:
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"]  # type: ignore[index]  # one point a line


def ends(axes: Axes, row: int) -> list[float]:
    return sorted(mark.xy[0] for mark in axes.texts if mark.xy[1] == row)  # type: ignore[attr-defined]  # they are annotations


def test_law_a_row_shows_its_estimate_and_its_own_interval() -> None:
    other = sw.FixedEffects(vcov="overdispersed").fit(BINARY).at(0.9)
    axes = forest({"CR2": CR2, "other": other})
    assert labels(axes) == ["CR2", "other, 90% interval"]
    assert points(axes) == [float(CR2.estimate), float(other.estimate)]
    for row, fit in enumerate((CR2, other)):
        np.testing.assert_array_equal(ends(axes, row), fit.conf_int)


def test_law_terms_are_rows() -> None:
    fit = sw.FixedEffects(vcov="overdispersed", effect=sw.ByExposure()).fit(BINARY)
    assert labels(forest({"curve": fit})) == [f"curve, exposure {s}" for s in range(1, 6)]


def test_law_a_whole_line_is_followed_by_the_interval_that_the_test_offers() -> None:
    assert EXACT.offered_conf_int is not None
    axes = forest({"CR2": CR2, "draw": EXACT})
    assert labels(axes) == ["CR2", "draw", "draw, 91.7% interval"]
    assert ends(axes, 1) == list(axes.get_xlim())
    np.testing.assert_array_equal(ends(axes, 2), EXACT.offered_conf_int)


def test_law_ratios_stand_where_their_logarithms_are() -> None:
    axes = forest({"CR2": CR2})
    top = axes.child_axes[0]
    np.testing.assert_allclose(np.exp(top.get_xticks()), ratio_labels(axes), rtol=1e-12)
    assert top.get_xlabel() == "Odds ratio"
    assert 1.0 in ratio_labels(axes)
    assert not forest({"days": sw.WithinPeriod().fit(DAYS)}).child_axes
    assert set(RATIOS) == {"logit", "log", "log hazard", "marginal logit"}


def test_law_wide_axes_have_fewer_ratios() -> None:
    wide = forest({"CR2": CR2.at(0.99999)})
    assert np.ptp(wide.get_xlim()) > np.log(10)
    assert set(ratio_labels(wide)) <= {0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20}


def test_law_given_axes_are_drawn_on() -> None:
    given = plt.subplots()[1]
    assert forest({"CR2": CR2}, ax=given) is given


TESTS: dict[str, tuple[Any, sw.Estimator]] = {
    "wald": (sw.WaldTest(), sw.FixedEffects()),
    "randomisation": (sw.RandomisationTest(), sw.FixedEffects()),
    "jackknife": (sw.JackknifeTest(), sw.FixedEffects()),
    "bootstrap": (sw.WildBootstrapTest(), sw.FixedEffects()),
    "likelihood ratio": (LikelihoodRatioTest(), sw.MixedModel(df="between-within")),
    "ratio of risks": (sw.RandomisationTest(), sw.MarginalEffect(sw.FixedEffects(), "ratio")),
}


@pytest.mark.parametrize(("test", "estimator"), TESTS.values(), ids=TESTS)
def test_law_a_test_has_the_scale_of_its_estimator(test: Any, estimator: sw.Estimator) -> None:
    assert test.run(BINARY, estimator).scale == estimator.fit(BINARY).scale != "identity"


BAD: dict[str, tuple[Any, str]] = {
    "no mapping": ([CR2], "takes a mapping"),
    "nothing": ({}, "takes a mapping"),
    "no result": ({"CR2": sw.FixedEffects()}, "'CR2' is a FixedEffects; expected what fit or run returns"),
    "a stack": ({"all": sw.FixedEffects().fit(BINARY.reallocated(np.asarray(ALLOCATION.design.allocations())))}, "stack of 12 results"),
    "two scales": ({"a": CR2, "b": sw.WithinPeriod().fit(DAYS)}, r"2 scales .*log odds ratio \('a'\); difference \('b'\)"),
}


@pytest.mark.parametrize(("results", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_with_directions(results: Any, message: str) -> None:
    with pytest.raises(sw.DataError, match=message):
        forest(results)
