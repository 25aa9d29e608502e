"""A stranger's text, made to be read and not obeyed, for every format that is not HTML."""

from __future__ import annotations

import re
from typing import Any

NOT_XML = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a cell begins with that a spreadsheet takes for a formula; the last four are the full-width forms."""

# Where a backslash would do, parsers disagree inside tables: entities are never structure.
_MARKDOWN = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "\\": "&#92;", "$": "&#36;", "@": "&#64;", **{c: "\\" + c for c in "`*_[]{}~"}}
)
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{c: "\\" + c for c in "&%$#_{}"},
        **{c: "{" + c + "}" for c in "[]*"},  # an argument of the line break before it
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": "$<$",
        ">": "$>$",
        "–": "--",
    }
)


def one_line(text: Any) -> str:
    """A text on one line, with what no XML file can hold as the replacement character.

    >>> one_line("two" + chr(10) + " words" + chr(0)) == "two words" + chr(0xFFFD)
    True
    """
    return NOT_XML.sub("\ufffd", " ".join(str(text).split()))


def markdown_text(text: Any) -> str:
    r"""A text within a line of GitHub Markdown or MyST: no markup, link, mathematics, mention or HTML in it is active.

    >>> print(markdown_text("[x](javascript:1) *b* $a$ <i> http://a.b, www.a.b"))
    \[x\](javascript:1) \*b\* &#36;a&#36; &lt;i&gt; http&#58;//a.b, www&#46;a.b
    """
    escaped = one_line(text).translate(_MARKDOWN).replace("://", "&#58;//")
    return re.sub(r"(www)\.", r"\1&#46;", escaped, flags=re.IGNORECASE)


def markdown_line(text: Any) -> str:
    r"""A text that begins a line: no heading, list, rule or directive either.

    >>> print(markdown_line("# a"), markdown_line("1. a"), markdown_line("1.5"))
    \# a 1\. a 1.5
    """
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", re.sub(r"^(?=[-#+=:(%!])", r"\\", markdown_text(text)))


def latex_text(text: Any) -> str:
    r"""A text for LaTeX: no command, argument or mathematics in it is active.

    >>> print(latex_text(r"\input{x} 50% [a] *"))
    \textbackslash{}input\{x\} 50\% {[}a{]} {*}
    """
    return one_line(text).translate(_LATEX)


def spreadsheet_text(text: str) -> str:
    """A text cell that no spreadsheet runs: one that begins like a formula is preceded by an apostrophe.

    >>> spreadsheet_text("=cmd()"), spreadsheet_text("Walsall")
    ("'=cmd()", 'Walsall')
    """
    return f"'{text}" if text.startswith(RUN_BY_SPREADSHEETS) else text
