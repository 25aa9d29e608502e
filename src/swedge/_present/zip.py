"""Zip plots: simulated intervals in order of their distance from the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, GREY, SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_zip(
    estimate: Array, low: Array, high: Array, truth: float, xlabel: str, level: float | None = None, ax: Axes | None = None
) -> Axes:
    """Draw one line an interval, the furthest from the truth on top, those that miss it in black.

    Parameters
    ----------
    estimate, low, high
        `(n,)` estimates and limits, which may be infinite.
    truth
        The true effect, drawn as a vertical line.
    xlabel
        What the estimates are, with their unit.
    level
        The level that the intervals claim: a dashed line at its height, with a band of 1.96 Monte Carlo standard errors either side.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(6, 6), layout="constrained")[1] if ax is None else ax
    order = np.argsort(_distance(estimate, low, high, truth), kind="stable")
    covers = ((low <= truth) & (truth <= high))[order]
    left, right = _extent(low, high, truth)
    height = 100 * (np.arange(len(order)) + 0.5) / len(order)
    for which, colour, label in ((covers, SKY, "covers the truth"), (~covers, BLACK, "misses it")):
        lines = np.clip(low[order][which], left, right), np.clip(high[order][which], left, right)
        axes.hlines(height[which], *lines, colors=colour, linewidth=0.6, label=f"{label}: {which.mean():.1%}", rasterized=True)
    axes.axvline(truth, color=GREY, linewidth=1)
    _draw_level(axes, level, len(order))
    axes.set(xlim=(left, right), ylim=(0, 100), xlabel=xlabel, ylabel="Intervals, nearest to the truth first (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2, frameon=False)
    return axes


def _distance(estimate: Array, low: Array, high: Array, truth: float) -> Array:
    """From estimate to truth, in units of the way from the estimate to the limit on that side: above 1 the interval misses."""
    above = truth >= estimate
    reach = np.where(above, high - estimate, estimate - low)
    gap = np.abs(truth - estimate)
    return np.divide(gap, reach, out=np.where(gap > 0, np.inf, 0.0), where=reach > 0)


def _extent(low: Array, high: Array, truth: float) -> tuple[float, float]:
    """Room for all but the widest limits, symmetric about the truth."""
    away = np.abs(np.concatenate([low, high]) - truth)
    away = away[np.isfinite(away)]
    half = 1.05 * float(np.quantile(away, 0.995)) if away.size else 1.0
    return truth - (half or 1.0), truth + (half or 1.0)


def _draw_level(axes: Axes, level: float | None, count: int) -> None:
    if level is None:
        return
    margin = 1.96 * np.sqrt(level * (1 - level) / count)
    axes.axhspan(100 * (level - margin), 100 * min(level + margin, 1.0), color=GREY, alpha=0.3, linewidth=0)
    axes.axhline(100 * level, color=BLACK, linestyle="--", linewidth=1, label=f"claimed: {level:.1%} (band: ±1.96 MCSE)")
