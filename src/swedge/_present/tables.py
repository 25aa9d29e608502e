"""Rows as text, Markdown, HTML or LaTeX, with the same digits in each."""

from __future__ import annotations

import datetime as dt
import html
import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from swedge._present.escape import latex_text, markdown_text, one_line


class Frame(Protocol):
    """What a table must offer: column names and rows. A pandas DataFrame does."""

    @property
    def columns(self) -> Any:
        """Names of the columns, in order."""

    @property
    def itertuples(self) -> Callable[..., Iterable[tuple[Any, ...]]]:
        """The rows, as tuples."""


class Column(NamedTuple):
    """A column ready to print."""

    name: str
    cells: list[str]
    numeric: bool


P_VALUES = ("p", "p_value", "min_p")
LIMITS = ("conf_low", "conf_high")
DASH = "–"
WRITTEN = re.compile(r"suppressed|–|[\d,.]+%?( \(.*\))?")
LONG = 40
"""Longest cell, in characters, of a column that need not wrap."""


def format_p(p: float) -> str:
    """A p value to four decimals without the leading zero.

    Examples
    --------
    >>> [format_p(p) for p in (1 / 12, 0.0004, 1.0, float("nan"))]
    ['.0833', '<.001', '1', '–']
    """
    if math.isnan(p):
        return DASH
    return "<.001" if p < 0.001 else "1" if p >= 0.99995 else f"{p:.4f}".lstrip("0") or "0"


def percent(level: float) -> str:
    """A confidence level without idle decimals.

    Examples
    --------
    >>> percent(0.95), percent(1 - 1 / 12), percent(0.999)
    ('95%', '91.7%', '99.9%')
    """
    return f"{100 * level:.1f}".removesuffix(".0") + "%"


def text_table(frame: Frame) -> str:
    """Aligned columns for a terminal; numbers to the right, words to the left.

    Parameters
    ----------
    frame
        Anything with `columns` and `itertuples`. Columns `conf_low` and `conf_high` are joined to one interval, so that an infinite one
        reads ``-inf to inf``; p values (``p``, ``p_value``, ``min_p``, ``p, ...``) are
        written .0833 or <.001; any other column has as many decimals as its numbers need, and
        commas if one of them is 10,000 or more.

    Examples
    --------
    >>> import pandas as pd
    >>> print(text_table(pd.DataFrame({"test": ["exact"], "p_value": [1 / 12], "conf_low": [-float("inf")], "conf_high": [float("inf")]})))
    test   p_value  conf_low to conf_high
    -----  -------  ---------------------
    exact    .0833            -inf to inf
    """
    return text_columns(columns_of(frame))


def text_columns(columns: Sequence[Column]) -> str:
    """Columns for a terminal."""
    widths = [max(map(len, (c.name, *c.cells))) for c in columns]
    head = "  ".join(_align(c.name, w, c.numeric) for c, w in zip(columns, widths, strict=True))
    rows = ["  ".join(_align(cell, w, c.numeric) for cell, c, w in zip(row, columns, widths, strict=True)) for row in _rows(columns)]
    return "\n".join(line.rstrip() for line in (head, "  ".join("-" * w for w in widths), *rows))


def markdown_table(frame: Frame) -> str:
    r"""A pipe table; no text in it is markup.

    Examples
    --------
    >>> import pandas as pd
    >>> print(markdown_table(pd.DataFrame({"a|b": [1, 2]})))
    | a&#124;b |
    | ---: |
    | 1 |
    | 2 |
    """
    return markdown_columns(columns_of(frame))


def markdown_columns(columns: Sequence[Column]) -> str:
    """Columns as a pipe table."""
    rule = ["---:" if c.numeric else "---" for c in columns]
    lines = [[markdown_text(c.name) for c in columns], rule, *([markdown_text(cell) for cell in row] for row in _rows(columns))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html_table(frame: Frame, caption: str = "") -> str:
    """A ``<table>`` without style; every text is escaped.

    Numeric columns have the class ``number``, columns of long texts ``words``.

    Examples
    --------
    >>> import pandas as pd
    >>> html_table(pd.DataFrame({"<b>": ["&"]}))
    '<table><thead><tr><th scope="col">&lt;b&gt;</th></tr></thead><tbody><tr><td>&amp;</td></tr></tbody></table>'
    """
    columns = columns_of(frame)
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col"{_class(c)}>{html.escape(c.name)}</th>' for c in columns)
    lines = ("".join(f"<td{_class(c)}>{html.escape(x)}</td>" for x, c in zip(row, columns, strict=True)) for row in _rows(columns))
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def latex_table(frame: Frame) -> str:
    r"""A ``tabular`` with the rules of the booktabs package; special characters are escaped.

    Examples
    --------
    >>> import pandas as pd
    >>> print(latex_table(pd.DataFrame({"p_value": [0.0004]})))
    \begin{tabular}{r}
    \toprule
    p\_value \\
    \midrule
    $<$.001 \\
    \bottomrule
    \end{tabular}
    """
    columns = columns_of(frame)
    lines = [" & ".join(map(latex_text, row)) + r" \\" for row in ([c.name for c in columns], *_rows(columns))]
    spec = "".join("r" if c.numeric else "l" for c in columns)
    return "\n".join([rf"\begin{{tabular}}{{{spec}}}", r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule", r"\end{tabular}"])


def columns_of(frame: Frame) -> list[Column]:
    """The columns with their cells as text, ready for any format; two limits are one interval."""
    names = [str(name) for name in frame.columns]
    rows = list(frame.itertuples(index=False, name=None))
    columns = [_column(name, [row[k] for row in rows]) for k, name in enumerate(names)]
    return _with_intervals(columns) if set(LIMITS) <= set(names) else columns


def _column(name: str, values: Sequence[Any]) -> Column:
    known = [v for v in values if not is_missing(v)]
    numeric = bool(known) and all(is_number(v) for v in known)
    write = _writer(name, known) if numeric else _word
    return Column(name, [DASH if is_missing(v) else write(v) for v in values], numeric or _written(known))


def _written(values: Sequence[Any]) -> bool:
    """Whether cells are counts that were written out, some of them left out: they stand below each other like numbers."""
    texts = [str(value) for value in values]
    return any("," in text or "%" in text for text in texts) and all(WRITTEN.fullmatch(text) for text in texts)


def _with_intervals(columns: Sequence[Column]) -> list[Column]:
    low, high = (next(c for c in columns if c.name == name) for name in LIMITS)
    both = [DASH if DASH in pair else " to ".join(pair) for pair in zip(low.cells, high.cells, strict=True)]
    joined = Column(" to ".join(LIMITS), both, True)
    return [joined if c is low else c for c in columns if c is not high]


def _rows(columns: Sequence[Column]) -> list[tuple[str, ...]]:
    return list(zip(*(c.cells for c in columns), strict=True))


def _writer(name: str, values: Sequence[Any]) -> Callable[[Any], str]:
    """How to write the numbers of one column."""
    if name in P_VALUES or name.startswith("p, "):
        return lambda v: format_p(float(v))
    decimals = _decimals([float(v) for v in values])
    comma = "," * any(abs(float(v)) >= 10_000 for v in values if math.isfinite(v))
    return lambda v: _number(float(v), decimals, comma)


def _decimals(values: Sequence[float]) -> int:
    """Decimals that show four digits of the largest number and two of the smallest; none for whole numbers."""
    size = np.abs([v for v in values if math.isfinite(v) and v != 0])
    if not size.size or np.all(size == np.round(size)):
        return 0
    return int(np.clip(max(3 - math.floor(math.log10(size.max())), 1 - math.floor(math.log10(size.min()))), 0, 6))


def _number(value: float, decimals: int, comma: str) -> str:
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value != 0 and round(value, decimals) == 0:
        return f"{value:.1e}"
    return f"{value:{comma}.{decimals}f}"


def _word(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        return value.date().isoformat()
    return f"{value:.4g}" if isinstance(value, float) else one_line(value)


def is_number(value: Any) -> bool:
    """Whether a cell is a number, which a truth is not."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def is_missing(value: Any) -> bool:
    """None, nan, and the missing values of pandas, without importing it."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float | np.floating) and math.isnan(value))


def _align(text: str, width: int, numeric: bool) -> str:
    return text.rjust(width) if numeric else text.ljust(width)


def _class(column: Column) -> str:
    long = max(map(len, column.cells), default=0) > LONG
    return ' class="number"' if column.numeric else ' class="words"' if long else ""
