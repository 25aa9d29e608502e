"""Where in a TOML text each key stands."""

from __future__ import annotations

import contextlib
import re
import tomllib
from bisect import bisect_right
from collections import Counter

Path = tuple[str, ...]

DEEPEST = 16
"""Keys under keys: more than any plan has, and few enough that no reader runs out of stack."""

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_KEY = re.compile(r"[A-Za-z0-9_-]+|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'")
_SCALAR = re.compile(
    r"\"{3}(?:\\.|[^\\])*?\"{3,5}|'{3}.*?'{3,5}|\"(?:\\.|[^\"\\\n])*\"|'[^'\n]*'|[^,\]}#\r\n\"'\[{]+",
    re.DOTALL,
)


class _Unreadable(Exception):
    """The text is no TOML from here on; tomllib says what is wrong."""


class Lines:
    r"""Lines of the keys of a TOML text, found in one pass that follows strings, arrays and inline tables.

    Entries of a list count from 1, as in ``outcomes.looked_after.where.2.column``.

    Parameters
    ----------
    text : str

    Attributes
    ----------
    deep : int or None
        Line at which keys stand under more than `DEEPEST` others; nothing is read from there on.

    Examples
    --------
    >>> lines = Lines("title = 'A'\n[outcomes.days]\nfamily = 'gaussian'\n")
    >>> lines.of(("outcomes", "days", "family")), lines.of(("outcomes", "days", "role")), lines.of(("design",))
    (3, 2, 1)
    """

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self.deep: int | None = None
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._found: dict[Path, int] = {}
        self._entries: Counter[Path] = Counter()
        with contextlib.suppress(_Unreadable):
            self._document()

    def of(self, path: Path) -> int:
        """The line of a key, or of the nearest table around it; 1 if there is none."""
        known = next((path[:k] for k in range(len(path), 0, -1) if path[:k] in self._found), None)
        return 1 if known is None else self._line(self._found[known])

    def _line(self, offset: int) -> int:
        return bisect_right(self._ends, offset - 1) + 1

    def _document(self) -> None:
        table: Path = ()
        while self._skip(_SPACE) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._entry(table)

    def _header(self) -> Path:
        start, several = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if several else 1
        path = self._inside_lists(self._key(()), several)
        self._expect("]" * (2 if several else 1))
        self._note(path, start)
        return path

    def _inside_lists(self, key: Path, several: bool) -> Path:
        """A header's key with the number of the entry that it means after each list of tables."""
        path: Path = ()
        for k, part in enumerate(key, 1):
            path = (*path, part)
            if several and k == len(key):
                self._entries[path] += 1
            if path in self._entries:
                path = (*path, str(self._entries[path]))
        return path

    def _entry(self, table: Path) -> None:
        start = self._skip(_BLANK)
        path = self._key(table)
        self._expect("=")
        self._note(path, start)
        self._value(path)

    def _note(self, path: Path, start: int) -> None:
        for k in range(1, len(path)):
            self._found.setdefault(path[:k], start)
        self._found[path] = start

    def _key(self, table: Path) -> Path:
        path = table
        while True:
            self._skip(_BLANK)
            path = self._under(path, _named(self._take(_KEY)))
            if not self._follows("."):
                return path

    def _under(self, path: Path, key: str) -> Path:
        if len(path) >= DEEPEST:
            self.deep = self._line(self._at)
            raise _Unreadable
        return (*path, key)

    def _value(self, path: Path) -> None:
        self._skip(_BLANK)
        if self._follows("["):
            self._list(path)
        elif self._follows("{"):
            self._inline(path)
        else:
            self._take(_SCALAR)

    def _list(self, path: Path) -> None:
        number = 0
        while self._skip(_SPACE) < len(self._text) and not self._follows("]"):
            number += 1
            entry = self._under(path, str(number))
            self._found[entry] = self._at
            self._value(entry)
            self._skip(_SPACE)
            if not self._follows(","):
                self._expect("]")
                return

    def _inline(self, path: Path) -> None:
        while self._skip(_SPACE) < len(self._text) and not self._follows("}"):
            self._entry(path)
            self._skip(_SPACE)
            if not self._follows(","):
                self._expect("}")
                return

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = self._at if found is None else found.end()
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise _Unreadable
        self._at = found.end()
        return found[0]

    def _follows(self, sign: str) -> bool:
        self._skip(_BLANK)
        there = self._text.startswith(sign, self._at)
        self._at += len(sign) if there else 0
        return there

    def _expect(self, sign: str) -> None:
        if not self._follows(sign):
            raise _Unreadable


def _named(key: str) -> str:
    """A key without its quotation marks."""
    if key[0] not in "\"'":
        return key
    try:
        return next(iter(tomllib.loads(f"{key}=0")))
    except tomllib.TOMLDecodeError:
        raise _Unreadable from None
