"""What the wedge shows."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.colors import to_rgb

from swedge._present.wedge import COLOURS, STATES
from swedge.design import Design

DATED = Design.from_dates({"a": "2020-02-01", "b": "2020-04-01"}, start="2020-01-01", end="2020-12-31")
MIXED = Design.from_matrix([[0, None, 0.5, 1], [0, 0, 1, 1]], transition=0)


def mesh(ax: plt.Axes) -> QuadMesh:
    return next(child for child in ax.collections if isinstance(child, QuadMesh))


def test_widths_are_days_and_rows_are_clusters_by_go_live() -> None:
    ax = DATED.allocate({"a": 1, "b": 0}).plot()
    edges = mesh(ax).get_coordinates()[0, :, 0]
    assert np.diff(edges).tolist() == [31, 60, 275]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2020-01-01", "2020-02-01", "2020-04-01", "2020-12-31"]
    assert mesh(ax).get_array().reshape(2, 3).tolist() == [[0, 1, 1], [0, 0, 1]]


def test_every_state_has_its_colour_and_its_legend() -> None:
    ax = MIXED.plot()
    drawn = mesh(ax).get_array().reshape(2, 4)
    assert [[STATES[k] for k in row] for row in drawn] == [
        ["Control", "Not observed", "Treated in part", "Treated"],
        ["Control", "Control", "Treated", "Treated"],
    ]
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["Control", "Treated", "Treated in part", "Not observed"]
    assert [text.get_text() for text in ax.texts] == ["0.5"]


def test_transition_is_a_state_of_its_own() -> None:
    drawn = mesh(Design.stepped_wedge(clusters=2, transition=1).plot()).get_array().reshape(2, 4)
    assert [[STATES[k] for k in row] for row in drawn] == [
        ["Control", "Transition", "Treated", "Treated"],
        ["Control", "Control", "Transition", "Treated"],
    ]


def test_it_draws_on_the_axes_given_and_changes_no_setting() -> None:
    before = mpl.rcParams.copy()
    ax = plt.subplots()[1]
    assert DATED.plot(ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel() == "Sequence"
    assert mpl.rcParams == before


def test_sequences_of_several_clusters_say_so() -> None:
    labels = [label.get_text() for label in Design.stepped_wedge(clusters=4, periods=3).plot().get_yticklabels()]
    assert labels == ["0  (2 clusters)", "1  (2 clusters)"]


def lightness(colour: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    luminance = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116 * luminance ** (1 / 3) - 16


def test_colours_differ_in_lightness() -> None:
    levels = [lightness(colour) for colour in COLOURS]
    assert levels == pytest.approx([70, 46, 58, 90, 100], abs=2)
    assert np.diff(sorted(levels)).min() > 8
