"""Effects about the start of treatment, with trends; and averages of groups of clusters over the periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLUE, GREY, series
from swedge._present.ticks import label_periods, label_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_pretrends(
    at: NDArray[np.int64], reference: int, estimate: Array, limits: Array, slopes: Mapping[str, float], ylabel: str, ax: Axes | None = None
) -> Axes:
    """Draw effects with intervals and straight lines through the reference period.

    Parameters
    ----------
    at
        `(K,)` periods from the reference period.
    reference
        Its event time.
    estimate, limits
        `(K,)` and `(K, 2)`.
    slopes
        Slope a period of each line, by its name.
    ylabel
        What is up the axis, with its unit.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 4), layout="constrained")[1] if ax is None else ax
    axes.axhline(0, color=GREY, linestyle="--", linewidth=1, zorder=0)
    axes.axvline(-0.5, color=GREY, linestyle=":", linewidth=1, zorder=0)
    event = at + reference
    error = np.abs(limits - estimate[:, None]).T
    axes.errorbar(event, estimate, yerr=error, color=BLUE, marker="o", linestyle="none", capsize=3, label="estimate, interval")
    axes.plot([reference], [0], marker="o", fillstyle="none", color=BLUE, linestyle="none", label="reference period")
    ends = np.array([at.min(), at.max()])
    for k, (name, slope) in enumerate(slopes.items()):
        axes.plot(ends + reference, slope * ends, linewidth=1.4, label=name, **{**series(k + 1), "marker": ""})
    axes.set(xlabel="Periods since treatment", ylabel=ylabel)
    label_times(axes, np.append(event, reference))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


def draw_group_means(means: Mapping[str, Array], periods: Sequence[Any], onset: float, ax: Axes | None = None) -> Axes:
    """Draw one line a group of clusters.

    Parameters
    ----------
    means
        `(T,)` mean outcomes by the group's name; nan leaves a gap.
    periods
        Names of the T columns.
    onset
        Position of the first treated period: a vertical line before it.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 4), layout="constrained")[1] if ax is None else ax
    for k, (name, values) in enumerate(means.items()):
        axes.plot(np.arange(len(values)), values, linewidth=1.6, markersize=5, label=name, **series(k))
    axes.axvline(onset - 0.5, color=GREY, linestyle=":", linewidth=1, zorder=0)
    label_periods(axes, periods)
    axes.set(xlabel="Period", ylabel="Mean outcome")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return axes
