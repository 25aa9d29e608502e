"""Estimates with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# Ratios to write along an axis of their logarithms, which is short or long.
SHORT, LONG = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0), (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)


def draw_forest(labels: Sequence[str], estimates: Array, limits: Array, xlabel: str, ax: Axes | None = None, null: float = 0.0) -> Axes:
    """Draw one row an estimate, from the top; the dashed line is `null`, no effect.

    Parameters
    ----------
    labels
        Names of the n rows.
    estimates
        `(n,)` on the scale that `xlabel` names; nan is written out as not estimated.
    limits
        `(n, 2)`; an infinite limit is an arrow to the edge of the picture.
    xlabel
        What the estimates are, with their unit.
    ax
        Axes to draw on; new ones by default.
    null
        Where there is no effect.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 1.3 + 0.4 * len(labels)), layout="constrained")[1] if ax is None else ax
    left, right = _extent(np.concatenate([np.ravel(estimates), np.ravel(limits), [null]]))
    axes.axvline(null, color=GREY, linestyle="--", linewidth=1, zorder=0)
    for row, (estimate, (low, high)) in enumerate(zip(estimates, limits, strict=True)):
        _draw_row(axes, row, float(estimate), (float(low), float(high)), (left, right))
    axes.set(xlim=(left, right), ylim=(len(labels) - 0.5, -0.5), xlabel=xlabel)
    axes.set_yticks(range(len(labels)), labels)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def add_ratios(axes: Axes, label: str, side: Literal["top", "right"] = "top") -> Axes:
    """Write ratios along the top, or on the right, of axes whose values are their logarithms."""
    low, high = axes.get_xlim() if side == "top" else axes.get_ylim()
    ratios = [ratio for ratio in (SHORT if high - low < np.log(10) else LONG) if low < np.log(ratio) < high]
    at, shown = [float(np.log(ratio)) for ratio in ratios], [f"{ratio:g}" for ratio in ratios]
    along = axes.secondary_xaxis("top").xaxis if side == "top" else axes.secondary_yaxis("right").yaxis
    along.set_ticks(at, shown)
    along.set_label_text(label)
    return axes


def _extent(values: Array) -> tuple[float, float]:
    """What the x axis has to show: every finite value, with room for the arrows."""
    shown = values[np.isfinite(values)]
    room = 0.15 * (np.ptp(shown) or 1.0)
    return float(shown.min() - room), float(shown.max() + room)


def _draw_row(axes: Axes, row: int, estimate: float, limits: tuple[float, float], edges: tuple[float, float]) -> None:
    if np.isnan(estimate):
        axes.text(0, row, " not estimated", va="center", color=BLACK)
        return
    for limit, edge in zip(limits, edges, strict=True):
        end, style = (limit, "|-|, widthA=0, widthB=0.3") if np.isfinite(limit) else (edge, "->")
        if not np.isnan(limit):
            arrow = {"arrowstyle": style, "color": BLUE, "linewidth": 1.8, "shrinkA": 0, "shrinkB": 0}
            axes.annotate("", xy=(end, row), xytext=(estimate, row), arrowprops=arrow)
    axes.plot(estimate, row, "o", color=BLUE, markersize=7)
