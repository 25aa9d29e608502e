"""A report for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from swedge._present.report import Block, Caution, Picture, Points, Results, Section, Table
from swedge._present.results_formats import results_text
from swedge._present.tables import text_table


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
    elif isinstance(block, Results):
        yield _wrapped(block.caption, width) + "\n" + textwrap.indent(results_text(block.shaped), "  ")
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
