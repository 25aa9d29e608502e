"""Lists in sentences."""

from __future__ import annotations

from collections.abc import Iterable


def joined(items: Iterable[object], last: str = "and") -> str:
    """A list in words.

    >>> joined(["Walsall", "Lancashire", "Swindon"]), joined([1, 2], "or")
    ('Walsall, Lancashire and Swindon', '1 or 2')
    """
    words = [str(item) for item in items]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
