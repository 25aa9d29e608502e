"""Texts that a format could obey instead of showing."""

from __future__ import annotations

HOSTILE = (
    "<script>alert(1)</script>",
    "a | b",
    "$x$ and $$y$$",
    r"\input{/etc/passwd}",
    "=cmd()",
    "@SUM(1)",
    "[x](javascript:alert(1))",
    "![x](http://127.0.0.1/x.png)",
    "# heading",
    "1. list",
    "- list",
    ":::{raw} html",
    "`code` {py:obj}`x` {{ x }}",
    "*b* _i_ ~~s~~",
    "&lt;b&gt; &#60;",
    "[a]: http://127.0.0.1",
    'HYPERLINK "http://127.0.0.1" <w:t>',
    "one\ntwo\t\x00\x1b[31m\r\n\n    code",
    "% comment ^^M # & ~",
    "* star",
)
