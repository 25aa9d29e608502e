"""A results table by great_tables, for notebooks and pages."""

from __future__ import annotations

import hashlib
import html
from types import ModuleType
from typing import TYPE_CHECKING

import pandas as pd

from swedge._present.escape import one_line
from swedge._present.results import Shaped, shaped
from swedge.errors import SwedgeError

if TYPE_CHECKING:
    from great_tables import GT


def results_table(frame: pd.DataFrame, title: str, subtitle: str = "", note: str = "") -> GT:
    """Tidy results as a publication table; its HTML holds no script, and the same results give the same bytes.

    Parameters
    ----------
    frame : DataFrame
        As in `swedge._present.results.shaped`.
    title, subtitle
        Above the table.
    note
        A last footnote.

    Raises
    ------
    DataError
        If the frame cannot be shaped.
    SwedgeError
        If great_tables is not installed.
    """
    return _table(shaped(frame), title, subtitle, note)


def table_shell(frame: pd.DataFrame, title: str, subtitle: str = "", note: str = "") -> GT:
    """The same table before there are data: blanks where numbers will be.

    Parameters
    ----------
    frame : DataFrame
        One row for each result to come, with the columns that name it; `min_p` as far as the design knows it.
    title, subtitle, note
        As in `results_table`.
    """
    return _table(shaped(frame, shell=True), title, subtitle, note)


def _table(table: Shaped, title: str, subtitle: str, note: str) -> GT:
    gt = _great_tables()
    names = [f"c{k}" for k in range(len(table.heads))]
    rows = [[group, *(_markup(*cell) for cell in row)] for group, body in table.groups for row in body]
    named = len(table.groups) > 1 or bool(table.groups[0][0])
    frame = pd.DataFrame(rows, columns=["group", *names]).drop(columns=[] if named else "group")
    shown: GT = gt.GT(frame, groupname_col="group" if named else None, auto_align=False, id=_identity(title))
    shown = shown.fmt(str, columns=names).cols_label({name: gt.html(_markup(h.name)) for name, h in zip(names, table.heads, strict=True)})
    numbers = [name for name, head in zip(names, table.heads, strict=True) if head.numeric]
    shown = (
        shown.cols_align("left").cols_align("right", numbers).tab_style(gt.style.css("white-space: nowrap;"), gt.loc.body(columns=numbers))
    )
    shown = shown.tab_header(gt.html(_markup(title)), gt.html(_markup(subtitle)) if subtitle else None)
    for mark, text in (*table.notes, *([("", note)] if note else [])):
        shown = shown.tab_source_note(gt.html(f"{f'<sup>{mark}</sup>' if mark else ''}{_markup(text)}"))
    shown = shown.tab_options(table_font_size="14px", heading_align="left", table_margin_left="0", row_group_font_weight="bold")
    return shown


def _markup(text: str, mark: str = "") -> str:
    """Escaped HTML; great_tables reads double braces in HTML as units."""
    return html.escape(one_line(text)).replace("{", "&#123;") + (f"<sup>{mark}</sup>" if mark else "")


def _identity(title: str) -> str:
    """What tells this table's style from that of others on the page: great_tables would draw it at random."""
    return f"results-{hashlib.sha256(title.encode()).hexdigest()[:12]}"


def _great_tables() -> ModuleType:
    try:
        import great_tables
    except ImportError:
        raise SwedgeError("Results tables need great_tables. Install it: pip install 'swedge[report]'.") from None
    return great_tables
