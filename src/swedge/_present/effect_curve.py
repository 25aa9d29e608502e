"""Effects along time since crossover, or along periods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLUE, GREY, SKY
from swedge._present.ticks import label_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_effect_curve(
    at: Array,
    estimate: Array,
    limits: Array,
    bands: Array | None,
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
    onset: float | None = None,
) -> Axes:
    """Draw effects with pointwise intervals (bars) and simultaneous bands (shaded).

    Parameters
    ----------
    at
        `(K,)` exposures or periods.
    estimate
        `(K,)` effects.
    limits, bands
        `(K, 2)` pointwise and simultaneous limits; no bands where they are not known.
    xlabel, ylabel
        What is along the axes, with units.
    ax
        Axes to draw on; new ones by default.
    onset
        Where along the axis treatment begins: a vertical line.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 4), layout="constrained")[1] if ax is None else ax
    axes.axhline(0, color=GREY, linestyle="--", linewidth=1, zorder=0)
    if onset is not None:
        axes.axvline(onset, color=GREY, linestyle=":", linewidth=1, zorder=0)
    if bands is not None:
        axes.fill_between(at, bands[:, 0], bands[:, 1], color=SKY, alpha=0.25, linewidth=0, label="simultaneous band")
    error = np.abs(limits - estimate[:, None]).T
    axes.errorbar(at, estimate, yerr=error, color=BLUE, marker="o", linewidth=1.6, capsize=3, label="estimate, pointwise interval")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    label_times(axes, at)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return axes
