"""Survival curves by arm, with the numbers still at risk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, GREY, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

SMALL = 5
"""Largest count that is hidden in a picture for release."""
ROOM = 1.08
"""The time axis ends at the horizon times this."""
UNDER = -0.19
"""Where the numbers at risk begin, in heights of the axes."""


class Curve(NamedTuple):
    """One arm: distinct times ``(m,)`` in order, number at risk just before each, survival from each on and its limits ``(m, 2)``."""

    label: str
    time: Array
    at_risk: Array
    survival: Array
    limits: Array


def draw_survival(curves: Sequence[Curve], horizon: float, unit: str, ax: Axes | None = None, release: bool = False) -> Axes:
    """Draw a step curve with its band for each arm, the horizon, and below the axis the numbers at risk.

    Parameters
    ----------
    curves
        The arms.
    horizon
        Drawn as a dashed line.
    unit
        Of time.
    ax
        Axes to draw on; new ones by default.
    release
        Write 1 to 5 at risk as "1–5", and end each curve where fewer than 6 are at risk.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    axes = plt.subplots(figsize=(8, 5), layout="constrained")[1] if ax is None else ax
    ticks = [tick for tick in MaxNLocator(6).tick_values(0, horizon) if 0 <= tick <= horizon]
    for k, curve in enumerate(curves):
        _draw_curve(axes, k, curve, SMALL + 1 if release else 1)
        _write_row(axes, k, curve, ticks, release)
    axes.axvline(horizon, color=GREY, linestyle="--", linewidth=1, label=f"horizon ({horizon:g} {unit})")
    axes.text(-0.06, UNDER, "At risk", transform=axes.transAxes, ha="right", fontsize="small", color=BLACK)
    axes.set(xlim=(0, horizon * ROOM), ylim=(0, 1.02), xlabel=f"Time from entry ({unit})", ylabel="Share without the event")
    axes.set_xticks(ticks)
    axes.spines[["top", "right"]].set_visible(False)
    title = "Band: pointwise 95%, individuals\ntaken as independent"
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, title=title, alignment="left")
    return axes


def _draw_curve(axes: Axes, k: int, curve: Curve, least: int) -> None:
    """The curve from time 0 until fewer than `least` are at risk."""
    shown = curve.at_risk >= least
    time, survival = np.append(0.0, curve.time[shown]), np.append(1.0, curve.survival[shown])
    style = series(k)
    axes.step(time, survival, where="post", color=style["color"], linestyle=style["linestyle"], linewidth=1.6, label=curve.label)
    low, high = curve.limits[shown].T
    axes.fill_between(curve.time[shown], low, high, step="post", color=style["color"], alpha=0.2, linewidth=0)


def _write_row(axes: Axes, k: int, curve: Curve, ticks: Sequence[float], release: bool) -> None:
    """The arm's name, and under each tick how many are at risk just before it."""
    height = UNDER - 0.06 * (k + 1)
    axes.text(-0.06, height, curve.label, transform=axes.transAxes, ha="right", fontsize="small", color=BLACK)
    for tick in ticks:
        text = _at_risk(curve, tick, release)
        axes.text(tick, height, text, transform=axes.get_xaxis_transform(), ha="center", fontsize="small")


def _at_risk(curve: Curve, tick: float, release: bool) -> str:
    at = int(np.searchsorted(curve.time, tick))
    count = int(curve.at_risk[at]) if at < len(curve.time) else 0
    return f"1–{SMALL}" if release and 0 < count <= SMALL else f"{count:,}"
