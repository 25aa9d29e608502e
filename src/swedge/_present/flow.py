"""The flow of clusters and individuals through a stepped-wedge trial, after the CONSORT extension for this design."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from swedge._present.palette import BLACK
from swedge._present.wedge import COLOURS, STATES
from swedge.errors import DataError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER = "#F4F7F9"
RULE = "#999999"
LINE = 0.165
"""Height of a line of text, in inches."""
WRAP, ASIDE = 34, 38
"""Characters on a line of a box, and of what stands beside it."""


@dataclass(frozen=True)
class Stage:
    """A box above the schedule: what happened, how many are left, who left before it and why.

    Attributes
    ----------
    text : str
        Such as "5 local authorities randomised".
    excluded : tuple of str
        Ready sentences, such as "1 declined"; counts that may not be released are written "1 to 5".
    """

    text: str
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """A sequence, or a cluster: its row of the schedule.

    Attributes
    ----------
    name : str
        Such as "1: Walsall".
    go_live : str
        When treatment starts.
    states : tuple of str
        Of each period, one of "Control", "Treated", "Treated in part", "Transition", "Not observed".
    counts : tuple of str
        Individuals of each period, as text.
    excluded, analysed : str
        How many left and how many stayed, as text; empty where it is not known.
    """

    name: str
    go_live: str
    states: tuple[str, ...]
    counts: tuple[str, ...]
    excluded: str = ""
    analysed: str = ""


@dataclass(frozen=True)
class Flow:
    """The whole trial.

    Attributes
    ----------
    stages : tuple of Stage
        From the first to the last; they end where the schedule begins.
    arms : tuple of Arm
        In order of go-live.
    periods : tuple of str
        Names of the periods.
    unit : str
        What the counts count.

    Raises
    ------
    DataError
        If there is nothing to draw, a row is not as long as the periods, or a state is not one.
    """

    stages: tuple[Stage, ...]
    arms: tuple[Arm, ...]
    periods: tuple[str, ...]
    unit: str = "individuals"

    def __post_init__(self) -> None:
        if not (self.stages and self.arms and self.periods):
            raise DataError("A flow diagram needs at least one stage, one sequence and one period. Pass what the trial has.")
        for arm in self.arms:
            _check(arm, len(self.periods))


def _check(arm: Arm, periods: int) -> None:
    for name, texts in (("states", arm.states), ("counts", arm.counts)):
        if len(texts) != periods:
            raise DataError(f"{arm.name!r} has {len(texts)} {name} for {periods} periods. Give one a period.")
    unknown = [state for state in arm.states if state not in STATES]
    if unknown:
        raise DataError(f"{unknown[0]!r} is not a state of a cluster in a period. Use one of {', '.join(STATES)}.")


def draw_flow(flow: Flow, ax: Axes | None = None) -> Axes:
    """Draw the stages as boxes from the top, and below them the schedule with the number of individuals in every cell.

    Parameters
    ----------
    flow
        What to draw; all numbers are text that is ready to be released.
    ax
        Axes to draw on; new ones, 6 inches wide and as high as needed, by default.
    """
    import matplotlib.pyplot as plt

    heights = [_lines(stage) * LINE + 0.32 for stage in flow.stages]
    row = 0.42 if _two_lines(flow) else 0.3
    height = sum(heights) + row * len(flow.arms) + 0.95
    axes = plt.subplots(figsize=(6, height), layout="constrained")[1] if ax is None else ax
    axes.set(xlim=(0, 6), ylim=(height, 0))
    axes.set_axis_off()
    top = 0.05
    for stage, size in zip(flow.stages, heights, strict=True):
        _draw_stage(axes, stage, top, size)
        top += size
    _draw_schedule(axes, flow, top + 0.05, row)
    return axes


def _lines(stage: Stage) -> int:
    return max(len(_wrapped(stage.text, WRAP)), sum(len(_wrapped(text, ASIDE)) for text in stage.excluded))


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), width) or [""]


def _write(axes: Axes, x: float, y: float, text: str, **how: Any) -> None:
    """Text as it stands: a dollar sign begins no formula."""
    axes.text(x, y, text, parse_math=False, **{"fontsize": 8, "va": "center", "color": BLACK, **how})


def _draw_stage(axes: Axes, stage: Stage, top: float, size: float) -> None:
    """A box with an arrow down; beside it, who left."""
    from matplotlib.patches import Rectangle

    lines = _wrapped(stage.text, WRAP)
    high, middle = _lines(stage) * LINE + 0.1, top + _lines(stage) * LINE / 2 + 0.05
    axes.add_patch(Rectangle((0.6, top), 2.4, high, facecolor=PAPER, edgecolor=BLACK, linewidth=0.8))
    _write(axes, 1.8, middle, "\n".join(lines), ha="center", linespacing=1.3)
    _arrow(axes, (1.8, top + high), (1.8, top + size))
    if stage.excluded:
        axes.add_patch(Rectangle((3.4, top), 2.55, high, facecolor="white", edgecolor=RULE, linewidth=0.8))
        _arrow(axes, (3.0, middle), (3.4, middle))
        aside = [line for text in stage.excluded for line in _wrapped(text, ASIDE)]
        _write(axes, 3.5, middle, "\n".join(aside), fontsize=7.5, linespacing=1.35)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0})


LEFT, RIGHT, SIDE = 1.62, 5.98, 0.56
"""Where the schedule begins and ends, and how wide a column beside it is, in inches."""


def _draw_schedule(axes: Axes, flow: Flow, top: float, row: float) -> None:
    sides = [name for name in ("excluded", "analysed") if any(getattr(arm, name) for arm in flow.arms)]
    edges = np.linspace(LEFT, RIGHT - SIDE * len(sides), len(flow.periods) + 1)
    size = _fitting(edges[1] - edges[0], [*flow.periods, *(count for arm in flow.arms for count in arm.counts)])
    _write(axes, float(edges[[0, -1]].mean()), top + 0.1, f"{flow.unit} in each period".capitalize(), ha="center")
    for k, period in enumerate(flow.periods):
        _write(axes, float(edges[k : k + 2].mean()), top + 0.3, period, ha="center", fontsize=size, fontweight="bold")
    for k, name in enumerate(sides):
        _write(axes, RIGHT - SIDE * (len(sides) - k - 0.5), top + 0.3, name.capitalize(), ha="center", fontsize=7, fontweight="bold")
    for i, arm in enumerate(flow.arms):
        _draw_arm(axes, arm, top + 0.42 + row * i, row, edges, size)
        for k, name in enumerate(sides):
            middle = top + 0.42 + row * (i + 0.5)
            _write(axes, RIGHT - SIDE * (len(sides) - k - 0.5), middle, getattr(arm, name), ha="center", fontsize=7.5)
    _legend(axes, flow, top + 0.42 + row * len(flow.arms) + 0.12)


def _fitting(width: float, texts: Sequence[str]) -> float:
    """The font size, in points, at which the longest text fits a column; a digit is .6 of its size wide."""
    return float(np.clip(72 * width / (0.62 * max(map(len, texts)) + 0.6), 4.5, 8))


def _draw_arm(axes: Axes, arm: Arm, top: float, row: float, edges: np.ndarray[Any, np.dtype[np.float64]], size: float) -> None:
    from matplotlib.patches import Rectangle

    _write(axes, 0.02, top + row / 2, _named(arm), fontsize=7, linespacing=1.2)
    for k, (state, count) in enumerate(zip(arm.states, arm.counts, strict=True)):
        colour = COLOURS[STATES.index(state)]
        axes.add_patch(Rectangle((edges[k], top), edges[1] - edges[0], row, facecolor=colour, edgecolor=RULE, linewidth=0.6))
        ink = "white" if state in ("Treated", "Treated in part") else BLACK
        _write(axes, float(edges[k : k + 2].mean()), top + row / 2, count, ha="center", fontsize=size, color=ink)


def _named(arm: Arm) -> str:
    name = textwrap.shorten(arm.name, 27, placeholder="…")
    return f"{name}\nlive {arm.go_live}" if arm.go_live else name


def _two_lines(flow: Flow) -> bool:
    return any(arm.go_live for arm in flow.arms)


def _legend(axes: Axes, flow: Flow, top: float) -> None:
    from matplotlib.patches import Rectangle

    present = [state for state in STATES if any(state in arm.states for arm in flow.arms)]
    at = LEFT
    for state in present:
        axes.add_patch(Rectangle((at, top), 0.18, 0.13, facecolor=COLOURS[STATES.index(state)], edgecolor=RULE, linewidth=0.6))
        _write(axes, at + 0.24, top + 0.065, state, fontsize=7.5)
        at += 0.42 + 0.062 * len(state)
