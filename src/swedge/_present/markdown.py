"""A report as GitHub Markdown, its pictures in a folder beside it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from swedge._present.escape import markdown_line, markdown_text
from swedge._present.report import Block, Caution, Picture, Points, Results, Section, Table
from swedge._present.results_formats import results_markdown
from swedge._present.tables import markdown_table
from swedge.errors import DataError

LONGEST = 40
"""Characters of a caption that go into a file name."""


def report_markdown(title: str, sections: Sequence[Section], lead: str = "", figures: str = "figures") -> str:
    """The report as Markdown; no text in it is markup.

    Parameters
    ----------
    title
        Title of the document.
    sections
        In reading order.
    lead
        A first paragraph under the title.
    figures
        Folder of the pictures, relative to the document; `picture_files` says which belong in it.

    Raises
    ------
    DataError
        If `figures` is not a relative folder of letters, digits, dots, dashes, underscores and slashes.
    """
    if not re.fullmatch(r"(?!.*\.\.)[\w][\w.\-]*(/[\w][\w.\-]*)*", figures, flags=re.ASCII):
        raise DataError(f"figures is {figures!r}; expected a folder beside the document, such as 'figures'.")
    links = {id(picture): f"{figures}/{name}" for name, picture in picture_files(sections).items()}
    head = [f"# {markdown_text(title)}", *([markdown_line(lead)] if lead else [])]
    return "\n\n".join([*head, *(part for k, section in enumerate(sections, 1) for part in _section(k, section, links))]) + "\n"


def picture_files(sections: Sequence[Section]) -> dict[str, Picture]:
    """File names of the pictures, in reading order: their number and what their captions begin with.

    Examples
    --------
    >>> list(picture_files([Section("The plan", (Picture(b"", "A wedge.", "The schedule."),))]))
    ['01-the-schedule.png']
    """
    unique = {id(block): block for section in sections for block in section.blocks if isinstance(block, Picture)}
    return {f"{k:02d}-{_slug(picture.caption)}.png": picture for k, picture in enumerate(unique.values(), 1)}


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST].strip("-") or "picture"


def _section(number: int, section: Section, links: Mapping[int, str]) -> Iterator[str]:
    yield f"## {number}. {markdown_text(section.heading)}"
    for block in section.blocks:
        yield from _block(block, links)


def _block(block: Block, links: Mapping[int, str]) -> Iterator[str]:
    if isinstance(block, Table):
        yield from (f"**{markdown_text(block.caption)}**", markdown_table(block.frame))
    elif isinstance(block, Results):
        yield from (f"**{markdown_text(block.caption)}**", results_markdown(block.shaped))
    elif isinstance(block, Picture):
        yield from (f"![{markdown_text(block.alt)}]({links[id(block)]})", f"*{markdown_text(block.caption)}*")
    elif isinstance(block, Points):
        yield "\n".join(f"- {markdown_line(text)}" for text in block.texts)
    else:
        yield f"> **Caution.** {markdown_text(block.text)}" if isinstance(block, Caution) else markdown_line(block)
