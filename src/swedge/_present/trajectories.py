"""The outcome of every cluster over the periods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, GREY, series
from swedge._present.ticks import label_periods

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

MOST_NAMED = 12
"""Most clusters that the legend names."""


def draw_trajectories(
    outcome: Array,
    arm: Array,
    clusters: Sequence[str],
    periods: Sequence[Any],
    ax: Axes | None = None,
    comparators: int = 0,
    ylabel: str = "Mean outcome of the cell",
) -> Axes:
    """Draw a line a cluster; markers are filled where treated, half filled where treated in part.

    Parameters
    ----------
    outcome
        `(I, T)`; nan leaves a gap.
    arm
        `(I, T)` treatment: 0, 1 or a fraction.
    clusters, periods
        Names of the I rows and the T columns.
    ax
        Axes to draw on; new ones by default.
    comparators
        How many of the last rows are never-treated comparison clusters; they are grey.
    ylabel
        The outcome, with its unit.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(8, 4.5), layout="constrained")[1] if ax is None else ax
    trial = len(clusters) - comparators
    for i in range(trial, len(clusters)):
        axes.plot(outcome[i], color=GREY, linewidth=0.8, alpha=0.7, zorder=1)
    for i in range(trial):
        _draw_cluster(axes, outcome[i], arm[i], series(i))
    label_periods(axes, periods)
    axes.set(xlabel="Period", ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(handles=_legend(clusters[:trial], comparators), loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


def _draw_cluster(axes: Axes, outcome: Array, arm: Array, style: dict[str, Any]) -> None:
    marker = {"linestyle": "none", "marker": style["marker"], "color": style["color"], "markersize": 7}
    axes.plot(outcome, color=style["color"], linestyle=style["linestyle"], linewidth=1.5, zorder=2)
    for fill, cells in (("none", arm == 0), ("left", (arm > 0) & (arm < 1)), ("full", arm == 1)):
        axes.plot(np.flatnonzero(cells), outcome[cells], fillstyle=fill, markerfacecoloralt="white", zorder=4, **marker)
        if fill == "none":  # the line must not be seen through an open marker
            axes.plot(np.flatnonzero(cells), outcome[cells], zorder=3, **{**marker, "color": "white"})


def _legend(clusters: Sequence[str], comparators: int) -> list[Any]:
    from matplotlib.lines import Line2D

    state: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLACK, "markersize": 7}
    named = [Line2D([], [], label=name, markersize=7, **series(i)) for i, name in enumerate(clusters[:MOST_NAMED])]
    more = [Line2D([], [], linestyle="none", label=f"and {len(clusters) - MOST_NAMED} more")] if len(clusters) > MOST_NAMED else []
    grey = [Line2D([], [], color=GREY, label=f"{comparators} comparison clusters")] if comparators else []
    states = [Line2D([], [], label="open: control", fillstyle="none", **state), Line2D([], [], label="filled: treated", **state)]
    return named + more + grey + states
