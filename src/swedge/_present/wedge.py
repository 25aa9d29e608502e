"""The stepped-wedge picture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from swedge._present.ticks import label_periods

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATES = ("Control", "Treated", "Treated in part", "Transition", "Not observed")
# Okabe-Ito hues, CIE lightness 70, 46, 58, 90 and 100: apart in grey as in colour
COLOURS = ("#56B4E9", "#0072B2", "#009E73", "#F0E442", "#FFFFFF")


def wedge(
    states: NDArray[np.intp],
    treatment: NDArray[np.float64],
    labels: Sequence[str],
    boundaries: Sequence[dt.date] = (),
    *,
    ylabel: str,
    ax: Axes | None = None,
) -> Axes:
    """Draw rows x periods as coloured cells.

    Parameters
    ----------
    states
        `(G, T)` positions in `STATES`.
    treatment
        `(G, T)`; written into the cells treated in part.
    labels
        Name of each of the G rows, from the top.
    boundaries
        T + 1 dates, which make widths proportional to days; empty for periods of equal width.
    ylabel
        What a row is.
    ax
        Axes to draw on; new ones by default.

    Returns
    -------
    Axes
        With axes labelled and a legend of the states that occur.
    """
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    axes = plt.subplots(figsize=(8, min(1.5 + 0.35 * len(labels), 12)), layout="constrained")[1] if ax is None else ax
    days = np.array(boundaries, dtype="datetime64[D]").astype(np.float64)
    edges = days if boundaries else np.arange(states.shape[1] + 1) + 0.5
    colours = ListedColormap(list(COLOURS))
    axes.pcolormesh(edges, np.arange(len(labels) + 1), states, cmap=colours, vmin=-0.5, vmax=4.5, edgecolors="#999999", linewidth=0.5)
    axes.invert_yaxis()
    axes.set_yticks(np.arange(len(labels)) + 0.5, labels, parse_math=False)
    axes.set_ylabel(ylabel)
    _label_time(axes, edges, boundaries)
    _write_fractions(axes, edges, states, treatment)
    _legend(axes, states)
    return axes


def _label_time(axes: Axes, edges: NDArray[np.float64], boundaries: Sequence[dt.date]) -> None:
    if boundaries:
        last_day = boundaries[-1] - dt.timedelta(days=1)
        axes.set_xticks(edges, [day.isoformat() for day in (*boundaries[:-1], last_day)], rotation=45, ha="right")
        axes.set_xlabel("First day of each period, and last day")
    else:
        label_periods(axes, range(1, len(edges)), (edges[1:] + edges[:-1]) / 2)
        axes.set_xlabel("Period")


def _write_fractions(axes: Axes, edges: NDArray[np.float64], states: NDArray[np.intp], treatment: NDArray[np.float64]) -> None:
    for g, t in np.argwhere(states == STATES.index("Treated in part")):
        axes.text((edges[t] + edges[t + 1]) / 2, g + 0.5, f"{treatment[g, t]:.2g}", ha="center", va="center")


def _legend(axes: Axes, states: NDArray[np.intp]) -> None:
    from matplotlib.patches import Patch

    style: dict[str, Any] = {"edgecolor": "#999999", "linewidth": 0.5}
    handles = [Patch(facecolor=COLOURS[k], label=STATES[k], **style) for k in np.unique(states)]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
