"""Okabe-Ito colours, ordered so that neighbours differ in lightness as well as in hue."""

from __future__ import annotations

from typing import Any

BLACK = "#000000"
BLUE = "#0072B2"
VERMILION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
ORANGE = "#E69F00"
YELLOW = "#F0E442"
GREY = "#999999"

# CIE lightness 46, 71, 0, 58 and 70; a marker and a dash go with each, so that no series rests on colour alone
SERIES = (BLUE, ORANGE, BLACK, GREEN, SKY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)), (0, (8, 2)))


def series(k: int) -> dict[str, Any]:
    """Line style of the k-th series: colour, marker and dash repeat after 5, 7 and 7, so 35 series differ.

    >>> series(1)
    {'color': '#E69F00', 'marker': 's', 'linestyle': '--'}
    """
    return {"color": SERIES[k % len(SERIES)], "marker": MARKERS[k % len(MARKERS)], "linestyle": DASHES[k % len(DASHES)]}
