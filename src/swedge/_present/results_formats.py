"""A results table as text, Markdown, HTML and LaTeX."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from swedge._present.escape import latex_text, markdown_text
from swedge._present.results import Shaped
from swedge._present.results_cells import Cell
from swedge._present.tables import markdown_columns, text_columns


def results_text(table: Shaped) -> str:
    """Aligned columns for a terminal, footnotes below."""
    return "\n".join([text_columns(table.columns), *(f"[{mark}] {text}" if mark else text for mark, text in table.notes)])


def results_markdown(table: Shaped) -> str:
    """A pipe table, footnotes below."""
    notes = (markdown_text(f"[{mark}] {text}" if mark else text) for mark, text in table.notes)
    return "\n\n".join([markdown_columns(table.columns), *notes])


def results_html(table: Shaped) -> str:
    """A ``<table>`` of class ``results``, a body for each group."""
    head = "".join(f'<th scope="col"{_class(h.numeric)}>{html.escape(h.name)}</th>' for h in table.heads)
    groups = "".join(f"<tbody>{''.join(_html_rows(table, name, rows))}</tbody>" for name, rows in table.groups)
    return f'<table class="results"><thead><tr>{head}</tr></thead>{groups}</table>'


def notes_html(table: Shaped) -> str:
    """The footnotes as paragraphs of class ``note``."""
    return "".join(f'<p class="note">{_sup(mark)}{html.escape(text)}</p>' for mark, text in table.notes)


def _html_rows(table: Shaped, name: str, rows: tuple[tuple[Cell, ...], ...]) -> Iterator[str]:
    if name:
        yield f'<tr><th colspan="{len(table.heads)}" scope="rowgroup">{html.escape(name)}</th></tr>'
    for row in rows:
        cells = (f"<td{_class(h.numeric)}>{html.escape(c.text)}{_sup(c.mark)}</td>" for c, h in zip(row, table.heads, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"


def _class(numeric: bool) -> str:
    return ' class="number"' if numeric else ""


def _sup(mark: str) -> str:
    return f"<sup>{mark}</sup>" if mark else ""


def results_latex(table: Shaped, title: str = "", note: str = "") -> str:
    r"""A ``longtable`` with the rules of booktabs, its head repeated on every page; both packages must be loaded.

    Examples
    --------
    >>> import pandas as pd
    >>> from swedge._present.results import shaped
    >>> row = {"term": "a_b", "estimate": 0.2, "conf_low": 0.1, "conf_high": 0.3, "p_value": 0.01, "status": "ok"}
    >>> print(results_latex(shaped(pd.DataFrame([row]))))
    \begin{longtable}{lrr}
    \toprule
    Term & Estimate (interval) & p \\
    \midrule
    \endhead
    \bottomrule
    \endlastfoot
    a\_b & 0.200 (0.100 to 0.300) & .0100 \\
    \end{longtable}
    """
    spec = "".join("r" if head.numeric else "l" for head in table.heads)
    head = _latex_row([latex_text(h.name) for h in table.heads])
    caption = [rf"\caption{{{latex_text(title)}}} \\"] if title else []
    body = [line for name, rows in table.groups for line in _latex_rows(table, name, rows)]
    opening = [rf"\begin{{longtable}}{{{spec}}}", *caption, r"\toprule", head, r"\midrule", r"\endhead"]
    notes = [_latex_note(table, mark, text) for mark, text in (*table.notes, *([("", note)] if note else []))]
    return "\n".join([*opening, r"\bottomrule", *notes, r"\endlastfoot", *body, r"\end{longtable}"])


def _latex_rows(table: Shaped, name: str, rows: tuple[tuple[Cell, ...], ...]) -> Iterator[str]:
    if name:
        yield rf"\multicolumn{{{len(table.heads)}}}{{l}}{{\textit{{{latex_text(name)}}}}} \\*"
    for row in rows:
        yield _latex_row([_latex_cell(cell) for cell in row])


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_cell(cell: Cell) -> str:
    return latex_text(cell.text) + (rf"\textsuperscript{{{cell.mark}}}" if cell.mark else "")


def _latex_note(table: Shaped, mark: str, text: str) -> str:
    sup = rf"\textsuperscript{{{mark}}}" if mark else ""
    return rf"\multicolumn{{{len(table.heads)}}}{{p{{0.95\linewidth}}}}{{\footnotesize {sup}{latex_text(text)}}} \\"
