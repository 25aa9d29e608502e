"""Residuals of cells: against normal quantiles, by group, and as trajectories beside the fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from swedge._present.palette import BLACK, BLUE, GREY
from swedge._present.trajectories import MOST_NAMED, draw_trajectories

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

LABEL = "Standardised residual"


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw_quantiles(values: Array, ax: Axes | None = None) -> Axes:
    """Draw ordered values `(m,)` against normal quantiles; on the dashed line they are standard normal."""
    axes = _axes(ax, (5, 5))
    expected = special.ndtri((np.arange(len(values)) + 0.5) / max(len(values), 1))
    reach = float(np.abs(np.concatenate([values, expected, [1.0]])).max()) * 1.1
    axes.plot([-reach, reach], [-reach, reach], color=GREY, linestyle="--", linewidth=1)
    axes.plot(expected, np.sort(values), "o", color=BLUE, markersize=5)
    axes.set(xlabel="Normal quantile", ylabel=LABEL)
    return axes


def draw_groups(values: Array, arm: Array, labels: Sequence[str], xlabel: str, ax: Axes | None = None) -> Axes:
    """Draw the values of each group ``(G, m)`` above its label, filled where ``arm (G, m)`` is treated; nan is left out."""
    axes = _axes(ax, (2 + 0.6 * len(labels), 4))
    place = np.broadcast_to(np.arange(len(labels))[:, None], values.shape)
    for treated, face, name in ((False, "white", "control"), (True, BLUE, "treated")):
        here = (arm > 0) == treated
        axes.plot(place[here], values[here], "o", color=BLUE, markerfacecolor=face, linestyle="none", label=name)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.set_xticks(range(len(labels)), list(labels))
    axes.set(xlabel=xlabel, ylabel=LABEL)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


def draw_fitted(
    observed: Array,
    fitted: Array,
    arm: Array,
    clusters: Sequence[str],
    periods: Sequence[Any],
    ax: Axes | None = None,
    comparators: int = 0,
) -> Axes:
    """Draw each cluster's fitted means ``(I, T)`` as a line, and observed ones as its markers, filled where treated."""
    axes = draw_trajectories(observed, arm, clusters, periods, ax=ax, comparators=comparators)
    lines = [line for line in axes.lines if line.get_linestyle() != "None"]
    for line, means in zip(lines, np.roll(fitted, comparators, 0), strict=True):  # comparators are drawn first
        line.set_ydata(means)
    axes.relim()
    axes.autoscale_view()
    axes.set_title(
        "Lines: fitted" + (f"; the first {MOST_NAMED} clusters are named" if len(clusters) > MOST_NAMED else ""), fontsize="medium"
    )
    return axes
