from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from swedge._present import palette
from swedge._present.cells import draw_cells
from swedge._present.effect_curve import draw_effect_curve
from swedge._present.forest import draw_forest
from swedge._present.heatmap import draw_weights
from swedge._present.power import draw_power_curves
from swedge._present.pretrends import draw_group_means, draw_pretrends
from swedge._present.reference import draw_reference
from swedge._present.trajectories import draw_trajectories
from swedge._present.wedge import wedge
from swedge.errors import DataError

RNG = np.random.default_rng(1)
ARM = np.triu(np.ones((5, 6)), 1)
NAMES = ("Ash", "Birch", "Cedar", "Dale", "Elm")
PERIODS = range(1, 7)
X = np.array([0.9, 0.7, 0.8])
CELLS = pd.DataFrame({"cluster": ["A", "A", "B", "B"], "period": [1, 2, 1, 2], "treatment": [0, 1, 0, 0], "mean": [0.1, 0.2, None, 0.3]})
PICTURES: dict[str, Callable[..., Axes]] = {
    "forest": lambda ax=None: draw_forest(
        ["a", "b"], np.array([0.1, np.nan]), np.array([[-np.inf, 0.3], [np.nan, np.nan]]), "log odds ratio", ax=ax
    ),
    "weights": lambda ax=None: draw_weights(RNG.normal(size=(5, 6)), ARM, NAMES, PERIODS, ax=ax),
    "power": lambda ax=None: draw_power_curves(X, {"CR2": X / 2}, {"CR2": X / 50}, "Odds ratio", ax=ax),
    "reference": lambda ax=None: draw_reference(RNG.normal(size=12), 1.0, 1 / 12, "randomisation", ax=ax),
    "reference of many": lambda ax=None: draw_reference(RNG.normal(size=2520), 1.0, 0.3, "randomisation", ax=ax),
    "cells": lambda ax=None: draw_cells(CELLS, ax=ax),
    "trajectories": lambda ax=None: draw_trajectories(RNG.normal(size=(5, 6)), ARM, NAMES, PERIODS, ax=ax, comparators=2),
}
pictures = pytest.mark.parametrize("draw", PICTURES.values(), ids=PICTURES)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


@pictures
def test_contract_axes_come_back_labelled_and_rc_params_are_left_alone(draw: Callable[..., Axes]) -> None:
    before = dict(mpl.rcParams)
    axes = draw()
    axes.figure.canvas.draw()
    assert axes.get_xlabel()
    assert [label.get_text() for label in axes.get_yticklabels()]
    assert dict(mpl.rcParams) == before


@pictures
def test_contract_given_axes_are_drawn_on_and_no_figure_is_made(draw: Callable[..., Axes]) -> None:
    given = plt.subplots()[1]
    assert draw(given) is given
    assert len(plt.get_fignums()) == 1


def test_importing_the_package_imports_neither_matplotlib_nor_what_is_optional() -> None:
    names = "cells, flow, forest, heatmap, page, palette, power, reference, tables, trajectories, wedge, word"
    heavy = "{'matplotlib', 'docx', 'great_tables'}"
    program = f"import sys; from swedge._present import {names}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


def lightness(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    y = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def test_the_first_four_series_differ_in_lightness_by_ten_and_neighbours_too() -> None:
    levels = [lightness(colour) for colour in palette.SERIES]
    assert min(abs(a - b) for k, a in enumerate(levels[:4]) for b in levels[:k]) > 10
    assert all(abs(a - b) > 10 for a, b in pairwise(levels))


def test_thirty_five_series_differ_in_more_than_colour() -> None:
    assert len({str(palette.series(k)) for k in range(35)}) == 35


def test_infinite_limits_are_arrows_to_the_edge() -> None:
    axes = draw_forest(["exact"], np.array([0.1]), np.array([[-np.inf, np.inf]]), "log odds ratio")
    ends = {annotation.xy[0] for annotation in axes.texts}  # type: ignore[attr-defined]  # they are annotations
    assert ends == set(axes.get_xlim())


def test_an_estimate_that_failed_says_so() -> None:
    axes = draw_forest(["a"], np.array([np.nan]), np.array([[np.nan, np.nan]]), "difference")
    assert [text.strip() for text in texts(axes)] == ["not estimated"]


def test_the_first_row_of_a_forest_is_at_the_top() -> None:
    axes = PICTURES["forest"]()
    low, high = axes.get_ylim()
    assert low > high
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_every_weight_is_written_and_colours_are_centred_at_zero() -> None:
    axes = draw_weights(np.array([[0.25, -1.0], [0.0, np.nan]]), np.zeros((2, 2)), ["a", "b"], [1, 2])
    assert texts(axes) == ["+0.250", "-1.000", "0"]
    assert axes.collections[0].get_clim() == (-1.0, 1.0)


def test_a_treated_cell_of_negative_weight_is_hatched_and_named() -> None:
    axes = draw_weights(np.array([[-0.2, 0.2], [0.5, -0.5]]), np.array([[1.0, 1.0], [0.0, 0.0]]), ["a", "b"], [1, 2])
    assert [bool(patch.get_hatch()) for patch in axes.patches] == [True, False]
    assert legend(axes) == ["treated cell", "treated cell, negative weight"]


def test_weights_of_a_stack_are_refused_with_directions() -> None:
    with pytest.raises(DataError, match=r"\(3, 5, 6\); expected \(5, 6\).*Pass one"):
        draw_weights(np.zeros((3, 5, 6)), ARM, NAMES, PERIODS)


def test_all_weights_zero_can_be_drawn() -> None:
    assert texts(draw_weights(np.zeros((1, 2)), np.zeros((1, 2)), ["a"], [1, 2])) == ["0", "0"]


def marked(axes: Axes, fill: str) -> list[list[float]]:
    lines = [line for line in axes.lines if line.get_fillstyle() == fill and line.get_linestyle() == "None" and line.get_color() != "white"]
    return [np.asarray(line.get_xdata()).tolist() for line in lines]


def test_markers_are_filled_where_treated_and_half_filled_where_treated_in_part() -> None:
    arm = np.array([[0.0, 0.5, 1.0]])
    axes = draw_trajectories(np.ones((1, 3)), arm, ["a"], [1, 2, 3])
    assert (marked(axes, "none"), marked(axes, "left"), marked(axes, "full")) == ([[0]], [[1]], [[2]])


def test_comparators_are_grey_and_one_line_of_the_legend() -> None:
    axes = PICTURES["trajectories"]()
    assert sum(line.get_color() == palette.GREY for line in axes.lines) == 2
    assert legend(axes) == ["Ash", "Birch", "Cedar", "2 comparison clusters", "open: control", "filled: treated"]


def test_forty_clusters_do_not_flood_the_legend() -> None:
    axes = draw_trajectories(np.zeros((40, 6)), np.zeros((40, 6)), [str(i) for i in range(40)], PERIODS)
    assert len(legend(axes)) == 15
    assert "and 28 more" in legend(axes)


def test_small_references_are_dots_with_the_observed_one_black() -> None:
    values = np.array([-0.2, 0.1, 0.1, 0.15])
    axes = draw_reference(values, -0.2, 0.25, "randomisation")
    points: Any = axes.collections[0]
    assert points.get_offsets()[:, 1].tolist() == [1, 1, 2, 1]
    assert (np.asarray(points.get_facecolors())[:, :3].sum(1) == 0).tolist() == [True, False, False, False]


def test_the_title_of_a_reference_tells_p_count_and_failures() -> None:
    axes = draw_reference(np.array([0.1, np.nan]), 0.1, 0.0001, "placebo")
    assert axes.get_title("left") == "Placebo: p < .001, 2 allocations, 1 without a statistic"


def test_curves_are_sorted_and_bands_are_two_monte_carlo_errors_inside_zero_and_one() -> None:
    axes = draw_power_curves(X, {"a": np.array([0.1, 1.0, 0.5])}, {"a": np.array([0.1, 0.1, 0.1])}, "Odds ratio")
    assert np.asarray(axes.lines[0].get_ydata()).tolist() == [1.0, 0.5, 0.1]
    corners = axes.collections[0].get_paths()[0].get_extents()
    assert (corners.ymin, corners.ymax) == (0.0, 1.0)
    heights = {round(float(y), 3) for y in np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]}
    assert {0.804, 0.304, 0.696} <= heights


def test_curves_that_were_not_simulated_claim_no_bands() -> None:
    x = np.linspace(0, 1, 60)
    axes = draw_power_curves(x, {"analytic": x}, {"analytic": np.zeros(60)}, "Effect")
    found = axes.get_legend()
    assert found is not None
    assert found.get_title().get_text() == ""
    assert axes.lines[0].get_marker() == ""


def test_without_treated_cells_there_is_no_legend_and_the_bar_names_the_numbers() -> None:
    axes = draw_weights(np.array([[0.1, 0.2]]), np.zeros((1, 2)), ["a"], [1, 2], label="Variance ratio")
    assert axes.get_legend() is None
    assert axes.figure.axes[-1].get_ylabel() == "Variance ratio"


def test_cells_are_drawn_as_the_frame_orders_them_with_a_gap_for_what_is_missing() -> None:
    frame = CELLS.iloc[[3, 2, 1, 0]]
    axes = draw_cells(frame)
    assert legend(axes)[:2] == ["B", "A"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "1"]
    first = axes.lines[0].get_ydata()
    np.testing.assert_array_equal(first, [0.3, np.nan])


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (CELLS.rename(columns={"mean": "means"}), "no column 'mean'. Did you mean 'means'"),
        (pd.concat([CELLS, CELLS.iloc[:1]]), "two rows for A, period 1"),
        (CELLS.assign(mean="1 to 5"), "not a number everywhere"),
    ],
)
def test_bad_input_cells_that_are_no_table_of_cells_are_refused(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError, match=words):
        draw_cells(frame)


YEARS = range(1995, 2021)
QUARTERS = [f"{year} Q{quarter}" for year in range(2015, 2022) for quarter in (1, 2, 3, 4)]
EVENTS = np.arange(-13, 13)
CROWDED: dict[str, Callable[[], Axes]] = {
    "trajectories of years": lambda: draw_trajectories(np.zeros((5, 26)), np.zeros((5, 26)), NAMES, YEARS, comparators=2),
    "trajectories of quarters": lambda: draw_trajectories(np.zeros((5, 28)), np.zeros((5, 28)), NAMES, QUARTERS),
    "groups": lambda: draw_group_means({"treated": np.zeros(26)}, YEARS, 12.0),
    "events": lambda: draw_effect_curve(EVENTS, np.zeros(26), np.zeros((26, 2)), None, "Periods since treatment", "Effect"),
    "events and trends": lambda: draw_pretrends(EVENTS[EVENTS != -1] + 1, -1, np.zeros(25), np.zeros((25, 2)), {}, "Effect"),
    "many periods of a design": lambda: wedge(np.zeros((2, 60), dtype=int), np.zeros((2, 60)), ["a", "b"], ylabel="Cluster"),
    "half a page": lambda: draw_group_means({"treated": np.zeros(26)}, YEARS, 12.0, ax=plt.subplots(1, 2)[1][0]),
}


@pytest.mark.parametrize("draw", CROWDED.values(), ids=CROWDED)
def test_law_labels_along_the_axis_never_touch(draw: Callable[[], Axes]) -> None:
    axes = draw()
    axes.figure.canvas.draw()
    labels = axes.get_xticklabels()
    turned = labels[0].get_rotation() != 0
    boxes = [label.get_window_extent() for label in labels]
    ends = [(box.x1 if not turned else box.x0 + label.get_fontsize() * 100 / 72) for box, label in zip(boxes, labels, strict=True)]
    assert all(end < after.x0 for end, after in zip(ends, boxes[1:], strict=False))
    assert len(labels) > 2


def test_law_events_are_labelled_from_the_start_of_treatment() -> None:
    shown = [round(float(tick)) for tick in CROWDED["events"]().get_xticks()]
    assert 0 in shown
    assert len({b - a for a, b in pairwise(shown)}) == 1
    few = draw_effect_curve(np.arange(-3, 4), np.zeros(7), np.zeros((7, 2)), None, "Periods since treatment", "Effect")
    assert few.get_xticks().tolist() == list(range(-3, 4))
