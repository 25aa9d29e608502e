"""Files that carry the plan's hash, in the way that each format has for it."""

from __future__ import annotations

import struct
import zlib

import pandas as pd

from swedge._present.spreadsheet import csv_text

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = len(SIGNATURE) + 25
"""Where the header chunk of a PNG ends."""


def with_description(png: bytes, text: str) -> bytes:
    """A PNG with a text under "Description", which viewers of pictures show.

    >>> len(with_description(SIGNATURE + bytes(25), "plan 0a1b")) - HEADER
    33
    """
    body = b"tEXt" + b"Description\x00" + text.encode("latin-1", "replace")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:HEADER] + chunk + png[HEADER:]


def csv_file(frame: pd.DataFrame, sha256: str) -> bytes:
    """A table as CSV in UTF-8, its last column the plan's hash."""
    return csv_text(frame.assign(plan_sha256=sha256)).encode()


def text_file(text: str, sha256: str) -> bytes:
    """A text, its last line the plan's hash."""
    return f"{text.rstrip()}\n\n{line(sha256)}\n".encode()


def line(sha256: str) -> str:
    """The line that says of which plan a document is."""
    return f"Plan SHA-256: {sha256}" if sha256 else "The plan is not locked."
