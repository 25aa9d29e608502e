"""The reference distribution of a randomisation or placebo test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, BLUE, ORANGE, SKY
from swedge._present.tables import format_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

MOST_DOTS = 150
"""Most allocations that are drawn as one dot each; more make a histogram."""


def draw_reference(
    reference: Array,
    observed: float,
    p_value: float,
    name: str,
    ax: Axes | None = None,
    xlabel: str = "Statistic under each allocation",
    unit: str = "allocations",
) -> Axes:
    """Draw the statistics under the permitted allocations, with the observed one; both tails as extreme are shaded.

    Parameters
    ----------
    reference
        `(R,)` statistics, the observed one among them; nan (a fit that failed) is counted in the title.
    observed
        The statistic under the allocation carried out.
    p_value
        Two-sided.
    name
        Name of the test, for the title.
    ax
        Axes to draw on; new ones by default.
    xlabel
        What the statistic is, with its unit.
    unit
        What the reference holds one statistic each of.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    axes = plt.subplots(figsize=(7, 3.5), layout="constrained")[1] if ax is None else ax
    values = reference[np.isfinite(reference)]
    edges = _edges(np.append(values, observed))
    draw = _draw_dots if len(values) <= MOST_DOTS else _draw_histogram
    draw(axes, values, edges, observed)
    axes.axvline(observed, color=ORANGE, linewidth=2, label="observed", zorder=1)
    axes.axvspan(abs(observed), max(edges[-1], abs(observed)), color=SKY, alpha=0.2, linewidth=0, zorder=0, label="as extreme, or more")
    axes.axvspan(min(edges[0], -abs(observed)), -abs(observed), color=SKY, alpha=0.2, linewidth=0, zorder=0)
    failed = len(reference) - len(values)
    lost = f", {failed} without a statistic" if failed else ""
    shown = f"p = {format_p(p_value)}".replace("= <", "< ")
    axes.set_title(f"{name[:1].upper()}{name[1:]}: {shown}, {len(reference):,} {unit}{lost}", loc="left", fontsize="medium")
    axes.set(xlabel=xlabel, ylabel=f"Number of {unit}")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return axes


def _edges(values: Array) -> Array:
    """Bins that are alike on both sides of zero, so that the two tails can be compared."""
    most = float(np.abs(values).max(initial=0.0)) * 1.05 or 1.0
    return np.linspace(-most, most, 42)


def _draw_dots(axes: Axes, values: Array, edges: Array, observed: float) -> None:
    """One dot an allocation, stacked within bins; the observed one is black, where it is among them."""
    order = np.sort(values)
    bins = np.digitize(order, edges)
    height = np.arange(len(order)) - np.searchsorted(bins, bins) + 1
    own = np.flatnonzero(np.isclose(order, observed, rtol=1e-9, atol=0.0))[:1]
    colours = [BLACK if k in own else BLUE for k in range(len(order))]
    axes.scatter(order, height, c=colours, s=40, zorder=3)
    axes.set_ylim(0, max(height, default=1) + 1)


def _draw_histogram(axes: Axes, values: Array, edges: Array, observed: float) -> None:
    axes.hist(values, bins=list(edges), color=BLUE, zorder=2)
