"""A table as comma-separated values, with every digit."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

from swedge._present.escape import spreadsheet_text
from swedge._present.tables import Frame, is_missing, is_number


def csv_text(frame: Frame) -> str:
    r"""The frame as CSV after RFC 4180: a head, lines that end in CR LF, quotes where they are needed.

    Numbers have the digits that read back as the same number, what is missing is empty, and no text can run as a formula.

    Parameters
    ----------
    frame
        Anything with `columns` and `itertuples`.

    Examples
    --------
    >>> import pandas as pd
    >>> csv_text(pd.DataFrame({"p": [1 / 12], "la": ["=1+1"], "n": [None]}))
    "p,la,n\r\n0.08333333333333333,'=1+1,\r\n"
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\r\n")
    write.writerow([spreadsheet_text(str(name)) for name in frame.columns])
    write.writerows([_cell(value) for value in row] for row in frame.itertuples(index=False, name=None))
    return text.getvalue()


def _cell(value: Any) -> str:
    if is_missing(value):
        return ""
    if is_number(value):
        return repr(value.item() if hasattr(value, "item") else value)
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    return value.isoformat() if isinstance(value, dt.date) else spreadsheet_text(str(value))
