"""A profile likelihood with the interval it makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge._present.palette import BLACK, BLUE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def draw_profile(name: str, curve: Array, limits: Array, height: float, ax: Axes | None = None) -> Axes:
    """Draw by how much -2 log likelihood rises over a parameter.

    Parameters
    ----------
    name
        The parameter.
    curve
        `(2, P)`: its values, and the rise there.
    limits
        Ends of the interval.
    height
        Rise at which the interval ends.
    ax
        Axes to draw on; new ones by default.
    """
    import matplotlib.pyplot as plt

    axes = plt.subplots(layout="constrained")[1] if ax is None else ax
    axes.plot(curve[0], curve[1], color=BLUE)
    axes.axhline(height, color=BLACK, linestyle=":", linewidth=1)
    for end in limits:
        axes.axvline(float(end), color=VERMILION, linestyle="--", linewidth=1)
    axes.set_ylim(0, 1.6 * height)
    axes.set_xlabel(name)
    axes.set_ylabel("Rise of -2 log likelihood")
    return axes
