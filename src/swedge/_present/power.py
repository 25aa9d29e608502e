"""Power curves with their Monte Carlo error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import GREY, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

MOST_MARKED = 20
"""Most points of a curve that are marked."""


def draw_power_curves(
    x: Array,
    power: Mapping[str, Array],
    mcse: Mapping[str, Array],
    xlabel: str,
    ax: Axes | None = None,
    alpha: float = 0.05,
) -> Axes:
    """Draw simulated power against an assumption, with bands of 1.96 Monte Carlo standard errors either side.

    Parameters
    ----------
    x
        `(n,)` values of the assumption.
    power, mcse
        For each analysis `(n,)` rejection rates and their Monte Carlo standard errors; all 0 for curves that were not simulated.
    xlabel
        The assumption, with its unit.
    ax
        Axes to draw on; new ones by default.
    alpha
        The level of the tests, drawn as a dotted line.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(figsize=(8, 4.5), layout="constrained")[1] if ax is None else ax
    order = np.argsort(x)
    for k, (name, rate) in enumerate(power.items()):
        style, level, margin = series(k), np.asarray(rate)[order], 1.96 * np.asarray(mcse[name])[order]
        shown = style if len(x) <= MOST_MARKED else {**style, "marker": ""}
        axes.plot(x[order], level, label=name, linewidth=1.6, markersize=6, **shown)
        low, high = np.maximum(level - margin, 0), np.minimum(level + margin, 1)
        axes.fill_between(x[order], low, high, color=style["color"], alpha=0.2, linewidth=0)
    axes.axhline(alpha, color=GREY, linestyle=":", label=f"level of the tests ({alpha:g})")
    axes.set(xlabel=xlabel, ylabel="Probability of rejecting no effect", ylim=(-0.02, 1))
    axes.spines[["top", "right"]].set_visible(False)
    title = "Band: ±1.96 Monte Carlo\nstandard errors" if any(np.any(np.asarray(error) > 0) for error in mcse.values()) else None
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, title=title, alignment="left")
    return axes


def draw_power_dots(names: Sequence[str], power: Array, mcse: Array, alpha: float, ax: Axes | None = None) -> Axes:
    """Draw powers as dots with whiskers of 1.96 Monte Carlo standard errors, the first at the top.

    Parameters
    ----------
    names
        What each power is of.
    power, mcse
        `(n,)` rejection rates and their Monte Carlo standard errors; 0 for those that were not simulated.
    alpha
        The level of the tests, drawn as a dotted line.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    height = 1.2 + 0.2 * sum(2 + name.count("\n") for name in names)
    axes = plt.subplots(figsize=(7, height), layout="constrained")[1] if ax is None else ax
    rows, margin = np.arange(len(names)), 1.96 * mcse
    reach = np.array([power - np.maximum(power - margin, 0), np.minimum(power + margin, 1) - power])
    axes.errorbar(power, rows, xerr=reach, fmt="o", color=series(0)["color"], markersize=6, linewidth=1.6)
    axes.axvline(alpha, color=GREY, linestyle=":", label=f"level of the tests ({alpha:g})")
    axes.set(xlabel="Probability of rejecting no effect", xlim=(-0.02, 1.02), ylim=(len(names) - 0.5, -0.5))
    axes.set_yticks(rows, list(names))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return axes
