"""A report in one file: sections written once, as HTML for readers and as text for the terminal.

The HTML has its style and pictures inside and runs no script; every text that comes in is escaped.
"""

from __future__ import annotations

import base64
import html
import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd

from swedge._present.tables import html_table, text_table
from swedge.errors import DataError, nearest, offending

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST, LARGEST = 1, 5
SUPPRESSED = "1 to 5"
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


Block = str | Points | Caution | Table | Picture


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
    small = pd.DataFrame({name: _counts(frame[name]).between(SMALLEST, LARGEST) for name in columns}, index=frame.index)
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


def save_report(path: str | PathLike[str], title: str, sections: Sequence[Section], lead: str = "") -> None:
    """Write the HTML report to one file.

    Parameters
    ----------
    path
        The file; its folder must exist.
    title
        Title of the page.
    sections
        In reading order.
    lead
        A first paragraph under the title.
    """
    Path(path).write_text(report_html(title, sections, lead), encoding="utf-8")


def report_html(title: str, sections: Sequence[Section], lead: str = "") -> str:
    """The report as one page of HTML."""
    shown = html.escape(title)
    contents = "".join(f'<li><a href="#s{k}">{html.escape(section.heading)}</a></li>' for k, section in enumerate(sections, 1))
    body = "\n".join(_section(k, section) for k, section in enumerate(sections, 1))
    head = f"<header>\n<h1>{shown}</h1>\n{_paragraph(lead, 'lead')}</header>"
    nav = f'<nav aria-label="Contents"><ol>{contents}</ol></nav>'
    return "\n".join([HEAD, f"<title>{shown}</title>", f"<style>{STYLE}</style>", head, nav, f"<main>\n{body}\n</main>", "</html>", ""])


def _section(number: int, section: Section) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f'<section id="s{number}">\n<h2>{number}. {html.escape(section.heading)}</h2>\n{blocks}\n</section>'


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _figure(html_table(block.frame), block.caption, "above")
    if isinstance(block, Picture):
        source = base64.b64encode(block.png).decode("ascii")
        return _figure(f'<img alt="{html.escape(block.alt)}" src="data:image/png;base64,{source}">', block.caption, "below")
    if isinstance(block, Points):
        return f"<ul>{''.join(f'<li>{_text(text)}</li>' for text in block.texts)}</ul>"
    return _paragraph(block.text, "caution") if isinstance(block, Caution) else _paragraph(block)


def _figure(content: str, caption: str, where: str) -> str:
    """A table or picture that scrolls by itself when it is wider than the screen, with its caption."""
    shown = f'<figcaption class="{where}">{_text(caption)}</figcaption>'
    inside = f'<div class="scroll" tabindex="0">{content}</div>'
    return f"<figure>{shown + inside if where == 'above' else inside + shown}</figure>"


def _paragraph(text: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f"<p{name}>{_text(text)}</p>\n" if text else ""


def _text(text: str) -> str:
    """Escaped, with the parts of a p value kept on one line."""
    return re.sub(r"\bp (=|&lt;) (?=[.\d])", r"p&nbsp;\1&nbsp;", html.escape(text))


def report_text(sections: Sequence[Section], width: int = 100) -> str:
    """The same sections for a terminal; of a picture, its caption and what it shows."""
    return "\n\n".join(section_text(k, section, width) for k, section in enumerate(sections, 1))


def section_text(number: int, section: Section, width: int = 100) -> str:
    """One numbered section for a terminal."""
    heading = f"{number}. {section.heading}"
    return "\n\n".join([f"{heading}\n{'=' * len(heading)}", *(part for block in section.blocks for part in _lines(block, width))])


def _lines(block: Block, width: int) -> Iterator[str]:
    if isinstance(block, Table):
        yield _wrapped(block.caption, width) + "\n" + textwrap.indent(text_table(block.frame), "  ")
    elif isinstance(block, Picture):
        yield _wrapped(f"[Picture in the report: {block.caption} {block.alt}]", width, later=" ")
    elif isinstance(block, Points):
        yield "\n".join(_wrapped(text, width, "* ", "  ") for text in block.texts)
    elif isinstance(block, Caution):
        yield _wrapped(f"Caution: {block.text}", width, "! ", "! ")
    else:
        yield _wrapped(block, width)


def _wrapped(text: str, width: int, first: str = "", later: str = "") -> str:
    return textwrap.fill(text, width, initial_indent=first, subsequent_indent=later, break_on_hyphens=False)


HEAD = """<!DOCTYPE html>
<html lang="en-GB">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">"""

STYLE = """
:root { --ink: #1b1b1b; --soft: #595959; --rule: #d4d4d4; --blue: #0072b2; --amber: #e69f00; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 64rem; color: var(--ink); background: #fff;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header { border-top: .4rem solid var(--blue); padding-top: 1.25rem; }
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); line-height: 1.2; margin: 0 0 .75rem; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
p { margin: 0 0 1rem; max-width: 46rem; overflow-wrap: break-word; }
.lead { font-size: 1.1rem; color: var(--soft); }
.caution { border-left: .3rem solid var(--amber); background: #fdf6e7; padding: .75rem 1rem; }
nav ol { margin: 1.5rem 0 0; padding: 1rem 1.25rem 1rem 2.5rem; background: #f4f7f9; columns: 18rem auto; column-gap: 2.5rem; }
nav li { break-inside: avoid; margin: 0; padding: .1rem 0; }
a { color: #005a8d; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; max-width: 46rem; }
li { margin-bottom: .4rem; overflow-wrap: break-word; }
figure { margin: 1.25rem 0 1.75rem; }
figcaption { max-width: 46rem; font-size: .92rem; }
.above { font-weight: 600; margin-bottom: .3rem; }
.below { color: var(--soft); margin-top: .4rem; }
.scroll { overflow-x: auto; }
img { display: block; width: 100%; max-width: 42rem; height: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .95rem .35rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid var(--ink); vertical-align: bottom; white-space: nowrap; }
td { border-bottom: 1px solid var(--rule); white-space: nowrap; }
td.words { white-space: normal; min-width: 15rem; }
.number { text-align: right; }
th:last-child, td:last-child { padding-right: 0; }
@media (max-width: 40rem) {
  body { padding: 1rem 1rem 3rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2 { break-after: avoid; margin-top: 1.5rem; }
  figure, tr, .caution { break-inside: avoid; }
  .scroll { overflow: visible; }
  img { max-width: 14cm; }
  a { color: inherit; text-decoration: none; }
}
"""
