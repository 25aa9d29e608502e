"""Tables of a Word document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swedge._present.escape import one_line
from swedge._present.results import Head, Shaped
from swedge._present.results_cells import Cell
from swedge._present.tables import Frame, columns_of

if TYPE_CHECKING:
    from docx.document import Document
    from docx.table import Table, _Cell, _Row

NARROW, WIDE, PADDING = 3, 24, 2
"""Fewest and most characters that decide how wide a column is, and how many its margins take."""
SMALL, LARGE, DIGIT = 6.0, 9.0, 0.18
"""Font sizes in points, and the width of a digit in mm for a point of size."""
EDGES = (("top", 8, "1B1B1B"), ("bottom", 8, "1B1B1B"), ("insideH", 4, "D4D4D4"))
MARGIN = 57
"""Left and right of a cell, in twentieths of a point: 1 mm."""

Line = str | Sequence[Cell]
"""A row, or the name of the group that begins."""


def add_columns(document: Document, frame: Frame, width: float) -> None:
    """Add a data frame, `width` mm wide."""
    columns = columns_of(frame)
    rows: list[Line] = [[Cell(text) for text in row] for row in zip(*(c.cells for c in columns), strict=True)]
    _add(document, [Head(c.name, c.numeric) for c in columns], rows, width)


def add_results(document: Document, shaped: Shaped, width: float) -> None:
    """Add a results table, `width` mm wide, its footnotes below."""
    lines: list[Line] = []
    for name, rows in shaped.groups:
        lines += [name, *rows] if name else rows
    _add(document, shaped.heads, lines, width)
    for mark, text in shaped.notes:
        note = document.add_paragraph(style="Caption")
        for words, raised in ((mark, True), (one_line(text), False)):
            run = note.add_run(words)
            run.bold, run.font.superscript = False, raised or None


def _add(document: Document, heads: Sequence[Head], lines: Sequence[Line], width: float) -> None:
    rows = [line for line in lines if not isinstance(line, str)]
    sizes = [_size(head.name, *(row[k].text for row in rows)) for k, head in enumerate(heads)]
    font = min(max(width / sum(sizes) / DIGIT, SMALL), LARGE)
    table: Table = document.add_table(rows=0, cols=len(heads))
    _write_row(table, [Cell(head.name) for head in heads], heads, font, bold=True)
    _repeat_first_row(table)
    for line in lines:
        if isinstance(line, str):
            _write_group(table, line, font)
        else:
            _write_row(table, line, heads, font)
    _shape(table, [width * size / sum(sizes) for size in sizes])
    document.add_paragraph().paragraph_format.space_after = 0


def _size(head: str, *cells: str) -> int:
    """Characters that a column needs: its longest word at least."""
    word = max(len(part) for text in (head, *cells) for part in [*text.split(), ""])
    return PADDING + max(NARROW, word, min(WIDE, max(map(len, cells), default=0)))


def _repeat_first_row(table: Table) -> None:
    from docx.oxml import OxmlElement

    table.rows[0]._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))


def _write_row(table: Table, row: Sequence[Cell], heads: Sequence[Head], font: float, bold: bool = False) -> None:
    for place, cell, head in zip(_new_row(table), row, heads, strict=True):
        _write(place, cell, head.numeric, font, bold)


def _write_group(table: Table, name: str, font: float) -> None:
    cells = _new_row(table)
    place = cells[0].merge(cells[-1])
    _write(place, Cell(name), False, font, bold=True)
    place.paragraphs[0].paragraph_format.keep_with_next = True


def _new_row(table: Table) -> Sequence[_Cell]:
    """The cells of a new row that no page break divides."""
    from docx.oxml import OxmlElement

    row: _Row = table.add_row()  # type: ignore[no-untyped-call]  # python-docx leaves it so
    row._tr.get_or_add_trPr().append(OxmlElement("w:cantSplit"))
    return row.cells


def _write(place: _Cell, cell: Cell, right: bool, font: float, bold: bool) -> None:
    from docx.enum.text import WD_ALIGN_PARAGRAPH
    from docx.shared import Pt

    paragraph = place.paragraphs[0]
    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT if right else WD_ALIGN_PARAGRAPH.LEFT
    paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(2)
    for text, raised in ((one_line(cell.text), False), (cell.mark, True)):
        run = paragraph.add_run(text)
        run.bold, run.font.size, run.font.superscript = bold, Pt(font), raised or None


def _shape(table: Table, widths: Sequence[float]) -> None:
    """Column widths in mm, narrow margins; rules above, below and between rows."""
    from docx.oxml import parse_xml
    from docx.oxml.ns import nsdecls, qn
    from docx.shared import Mm

    table.autofit = False
    for column, width in zip(table.columns, widths, strict=True):
        column.width = Mm(width)
    for row in table.rows:
        for cell in row._tr.tc_lst:
            cell.width = Mm(sum(widths[cell.grid_offset : cell.grid_offset + cell.grid_span]))
    edges = "".join(f'<w:{side} w:val="single" w:sz="{size}" w:color="{colour}"/>' for side, size, colour in EDGES)
    margins = "".join(f'<w:{side} w:w="{MARGIN}" w:type="dxa"/>' for side in ("left", "right"))
    for name, inside, later in (("tblBorders", edges, "tblLayout"), ("tblCellMar", margins, "tblLook")):  # the schema's order
        table._tbl.tblPr.find(qn(f"w:{later}")).addprevious(parse_xml(f"<w:{name} {nsdecls('w')}>{inside}</w:{name}>"))
