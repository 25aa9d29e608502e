"""Comparisons of two groups: what each says against how much it weighs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from swedge._present.palette import BLACK, GREY, MARKERS, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_decomposition(table: Any, kinds: Sequence[str], estimate: float, ax: Axes | None = None) -> Axes:
    """Draw one marker a comparison; the line is their weighted mean.

    Parameters
    ----------
    table
        Columns `kind`, `weight` and `estimate`, one row a comparison.
    kinds
        Every kind in order, so that one always has the same colour and marker.
    estimate
        The weighted mean.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(7, 4.5), layout="constrained")[1] if ax is None else ax
    axes.axhline(0, color=GREY, linestyle="--", linewidth=1, zorder=0)
    axes.axhline(estimate, color=BLACK, linewidth=1, zorder=0, label="two-way fixed effects")
    for k, kind in enumerate(kinds):
        rows = table[table["kind"] == kind]
        if len(rows):
            axes.scatter(rows["weight"], rows["estimate"], color=SERIES[k], marker=MARKERS[k], label=kind)
    axes.set(xlabel="Weight in the estimate", ylabel="Estimate (difference)", xlim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return axes
