"""What a report is made of: sections of paragraphs, points, cautions, tables and pictures, which every format renders alike."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Self

import pandas as pd

from swedge._present.results import Shaped, shaped
from swedge.errors import SMALL, DataError, nearest, offending

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUPPRESSED = f"1 to {SMALL}"
CAUTION = (
    "Counts of 1 to 5 are suppressed. Before release, check that no suppressed count can be worked out from a total, from a percentage or a"
    " mean, or from another table: where it can, suppress a second count of the same row and column as well."
)


@dataclass(frozen=True)
class Caution:
    """A paragraph that must not be missed."""

    text: str


@dataclass(frozen=True, eq=False)
class Table:
    """A data frame with its caption."""

    frame: pd.DataFrame
    caption: str


@dataclass(frozen=True, eq=False)
class Results:
    """Tidy results with their caption, as a publication table; a shell has blanks where numbers will be.

    Raises
    ------
    DataError
        If the frame cannot be shaped: see `swedge._present.results.shaped`.
    """

    frame: pd.DataFrame
    caption: str
    shell: bool = False

    def __post_init__(self) -> None:
        _ = self.shaped

    @cached_property
    def shaped(self) -> Shaped:
        """The table that every format prints."""
        return shaped(self.frame, self.shell)


@dataclass(frozen=True)
class Picture:
    """A PNG picture with its caption, and in words what it shows.

    Raises
    ------
    DataError
        If `alt` is empty: a reader who cannot see the picture needs it.
    """

    png: bytes = field(repr=False)
    alt: str
    caption: str

    def __post_init__(self) -> None:
        if not self.alt.strip():
            raise DataError(f"The picture {self.caption!r} has no alternative text. Say in alt= what it shows.")

    @classmethod
    def of(cls, axes: Axes, alt: str, caption: str, width: float = 6.0, dpi: int = 180) -> Self:
        """The figure that holds `axes`, drawn `width` inches wide with its legend below, as a PNG; the figure is closed."""
        import matplotlib.pyplot as plt

        figure, buffer = axes.figure.canvas.figure, io.BytesIO()
        lines = _legend_below(axes)
        figure.set_size_inches(width, figure.get_figheight() + 0.25 * lines)
        figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
        plt.close(figure)
        return cls(buffer.getvalue(), alt, caption)


def _legend_below(axes: Axes) -> int:
    """Move the legend from beside the axes to below them, where a narrow screen has room; how many lines it takes."""
    legend = axes.get_legend()
    if legend is None:
        return 0
    labels, title = [text.get_text() for text in legend.get_texts()], legend.get_title().get_text().replace("\n", " ")
    columns = max(1, min(4, 64 // (max(map(len, labels)) + 6)))
    handles = [handle for handle in legend.legend_handles if handle is not None]
    legend.remove()
    axes.figure.canvas.figure.legend(handles, labels, loc="outside lower center", title=title or None, ncols=columns, frameon=False)
    return -(-len(labels) // columns) + bool(title)


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    texts: tuple[str, ...]


Block = str | Points | Caution | Table | Results | Picture


@dataclass(frozen=True, eq=False)
class Section:
    """A heading and what stands under it, in order; a plain string is a paragraph."""

    heading: str
    blocks: tuple[Block, ...]


def suppress_small(frame: pd.DataFrame, columns: Sequence[str], also: Sequence[str] = ()) -> pd.DataFrame:
    """A count table fit for release: 1 to 5 becomes the text "1 to 5", and 0 stays.

    This is primary suppression only. `CAUTION` says, in words for the reader of the table, what is left to check.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str
        Columns of counts.
    also : sequence of str
        Columns that would give the count away (a risk, a percentage); they are blanked in the rows where any count is suppressed.

    Raises
    ------
    DataError
        If a column does not exist, or does not hold counts.

    Examples
    --------
    >>> table = pd.DataFrame({"la": ["A", "B"], "plans": [3, 40], "risk": [0.03, 0.4]})
    >>> print(suppress_small(table, ["plans"], also=["risk"]).to_string(index=False))
    la  plans risk
     A 1 to 5  NaN
     B     40  0.4
    """
    for name in (*columns, *also):
        if name not in frame.columns:
            raise DataError(f"{name!r} is not a column of the table.{nearest(name, frame.columns)}")
    small = pd.DataFrame({name: _counts(frame[name]).between(1, SMALL) for name in columns}, index=frame.index)
    hidden = {name: frame[name].astype(object).mask(small[name], SUPPRESSED) for name in columns}
    blanked = {name: frame[name].astype(object).mask(small.any(axis=1)) for name in also}
    return frame.assign(**hidden, **blanked)


def _counts(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = (numbers.isna() & column.notna()) | (numbers < 0) | (numbers % 1 > 0)
    if wrong.any():
        found = offending(column[wrong].tolist())
        raise DataError(f"{column.name!r} is not a column of counts ({found}). Name columns of whole numbers.")
    return numbers
