"""Bars above and below zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, BLUE, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_bars(labels: Sequence[str], values: Array, xlabel: str, ylabel: str, ax: Axes | None = None) -> Axes:
    """Draw a bar a label: blue above zero, hatched orange below, the number written at its end.

    Parameters
    ----------
    labels
        Names of the n bars.
    values
        `(n,)`.
    xlabel, ylabel
        What the labels and the values are.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(1.5 + 0.8 * len(labels), 4), layout="constrained")[1] if ax is None else ax
    for sign, colour, hatch in ((1, BLUE, None), (-1, ORANGE, "///")):
        at = np.flatnonzero(np.sign(values) == sign)
        axes.bar(at, values[at], color=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.8)
    for place, value in enumerate(values):
        _write(axes, place, float(value))
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.margins(y=0.12)
    axes.set_xticks(range(len(labels)), list(labels))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _write(axes: Axes, place: int, value: float) -> None:
    side, gap = ("bottom", 3) if value >= 0 else ("top", -3)
    axes.annotate(f"{value:.3f}", (place, value), (0, gap), textcoords="offset points", ha="center", va=side, fontsize="small")
