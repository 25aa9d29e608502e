"""Weight of every cell in a linear estimate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, BLUE, ORANGE
from swedge.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

FRAME: dict[str, Any] = {"edgecolor": BLACK, "linewidth": 1.6}
HATCH = "///"
NOTHING = 1e-12
"""Weights smaller than this are rounding."""


def draw_weights(
    weights: Array,
    arm: Array,
    clusters: Sequence[str],
    periods: Sequence[Any],
    ax: Axes | None = None,
    label: str = "Weight of the cell mean",
) -> Axes:
    """Draw clusters x periods with the weight written in each cell: blue above zero, orange below.

    Treated cells have a black frame. A treated cell of negative weight is hatched: if its effect differs from the others', it counts the
    wrong way round.

    Parameters
    ----------
    weights
        `(I, T)`, in outcome units of the estimate for one unit of the cell mean; nan where the cell is left out.
    arm
        `(I, T)` treatment.
    clusters, periods
        Names of the I rows and the T columns.
    ax
        Axes to draw on; new ones by default.
    label
        What the numbers are.

    Raises
    ------
    DataError
        If the weights are not one table.
    """
    import matplotlib.pyplot as plt

    if np.ndim(weights) != 2 or np.shape(weights) != np.shape(arm):
        raise DataError(
            f"weights have shape {np.shape(weights)}; expected {np.shape(arm)[-2:]}, one effect of one trial. Pass one of the stack."
        )
    size = (2.5 + 0.75 * len(periods), 1.6 + 0.42 * len(clusters))
    axes = plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
    _colour(axes, weights, label)
    for i, t in np.argwhere(~np.isnan(weights)):
        _write(axes, int(i), int(t), float(weights[i, t]), bool(arm[i, t] > 0))
    axes.set_xticks(range(len(periods)), [str(p) for p in periods])
    axes.set_yticks(range(len(clusters)), list(clusters))
    axes.set(xlabel="Period", ylabel="Cluster")
    if (arm > 0).any():
        _legend(axes, bool(((weights < -NOTHING) & (arm > 0)).any()))
    return axes


def _colour(axes: Axes, weights: Array, label: str) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    most = float(np.nanmax(np.abs(weights), initial=0.0)) or 1.0
    diverging = LinearSegmentedColormap.from_list("weights", [ORANGE, "#FFFFFF", BLUE])
    edges = [np.arange(n + 1) - 0.5 for n in weights.shape[::-1]]
    mesh = axes.pcolormesh(edges[0], edges[1], weights, cmap=diverging, vmin=-most, vmax=most, edgecolors="#DDDDDD", linewidth=0.5)
    axes.invert_yaxis()
    axes.figure.colorbar(mesh, ax=axes, label=label, shrink=0.8)


def _write(axes: Axes, i: int, t: int, weight: float, treated: bool) -> None:
    from matplotlib.patches import Rectangle

    wrong_way = treated and weight < -NOTHING
    if treated:
        axes.add_patch(Rectangle((t - 0.47, i - 0.46), 0.94, 0.92, fill=False, hatch=HATCH if wrong_way else None, zorder=3, **FRAME))
    shown = f"{weight:+.3f}" if round(weight, 3) else "0"
    behind = {"facecolor": "white", "edgecolor": "none", "alpha": 1.0 if wrong_way else 0.75, "boxstyle": "round,pad=0.15"}
    axes.text(t, i, shown, ha="center", va="center", fontsize="small", color=BLACK, zorder=4, bbox=behind)


def _legend(axes: Axes, wrong_way: bool) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(label="treated cell", facecolor="white", **FRAME)]
    handles += [Patch(label="treated cell, negative weight", facecolor="white", hatch=HATCH, **FRAME)] if wrong_way else []
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)
