"""As many labels along an axis as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STEPS = (1, 2, 4, 5, 10, 20, 25, 50, 100)
# Widths in ems: of a character, of the gap between labels, and of a label that is turned; an axis next to a legend is narrower than drawn.
CHARACTER, GAP, TURNED, OWN = 0.62, 0.5, 1.8, 0.8
LONG, FEW = 4, 6


def label_periods(axes: Axes, periods: Sequence[Any], at: ArrayLike | None = None) -> None:
    """Label periods at positions 0, 1, ... (or `at`), every second or fifth one where all would overlap; long names are turned."""
    names = [str(period) for period in periods]
    place = np.arange(len(names)) if at is None else np.asarray(at)
    longest = max(map(len, names))
    turned = longest > LONG and len(names) > FEW
    step = _step(axes, len(names), TURNED if turned else CHARACTER * longest + GAP)
    axes.set_xticks(place[::step], names[::step])
    if turned:
        axes.tick_params(axis="x", rotation=45)


def label_times(axes: Axes, at: NDArray[Any]) -> None:
    """Label whole or broken times from a start, 0 among them where it is there."""
    times = np.unique(at)
    step = _step(axes, len(times), CHARACTER * max(len(f"{time:g}") for time in times) + GAP)
    first = int(np.abs(times).argmin()) % step
    axes.set_xticks(times[first::step])


def _step(axes: Axes, count: int, ems: float) -> int:
    """The least step of `STEPS` that leaves each label its width in ems."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    size = FontProperties(size=rcParams["xtick.labelsize"]).get_size_in_points() / 72
    room = OWN * axes.get_window_extent().width / axes.figure.dpi / (ems * size)
    return next((step for step in STEPS if count / step <= room), max(count, 1))
