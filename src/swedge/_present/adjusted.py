"""p values of several outcomes, alone and adjusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import GREY, MARKERS, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_adjusted(outcomes: Sequence[str], series: Mapping[str, Array], smallest: float, ax: Axes | None = None) -> Axes:
    """Draw one row an outcome, one marker a kind of p, on a logarithmic axis; p values below the dashed line cannot occur.

    Parameters
    ----------
    outcomes
        Names of the K outcomes.
    series
        `(K,)` p values by the name of their kind; nan is left out.
    smallest
        Smallest attainable p.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 1.5 + 0.5 * len(outcomes)), layout="constrained")[1] if ax is None else ax
    rows = np.arange(len(outcomes))
    for k, (name, p) in enumerate(series.items()):
        shift = 0.2 * (k - (len(series) - 1) / 2)
        axes.plot(p, rows + shift, MARKERS[k], color=SERIES[k], markersize=7, linestyle="none", label=name)
    axes.axvline(smallest, color=GREY, linestyle="--", linewidth=1, zorder=0, label="smallest attainable")
    axes.set_xscale("log")
    axes.set_yticks(rows, outcomes)
    axes.set(ylim=(len(outcomes) - 0.5, -0.5), xlim=(smallest / 1.5, 1.5), xlabel="Two-sided p value")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes
