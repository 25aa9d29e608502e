"""A report as one page of HTML.

Style and pictures are inside, and it runs no script; every text that comes in is escaped.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from swedge._present.report import Block, Caution, Picture, Points, Results, Section, Table
from swedge._present.results_formats import notes_html, results_html
from swedge._present.tables import html_table


def save_report(path: str | PathLike[str], title: str, sections: Sequence[Section], lead: str = "") -> None:
    """Write the HTML report to one file.

    Parameters
    ----------
    path
        The file; its folder must exist.
    title
        Title of the page.
    sections
        In reading order.
    lead
        A first paragraph under the title.
    """
    Path(path).write_text(report_html(title, sections, lead), encoding="utf-8", newline="\n")


def report_html(title: str, sections: Sequence[Section], lead: str = "") -> str:
    """The report as one page of HTML."""
    shown = html.escape(title)
    contents = "".join(f'<li><a href="#s{k}">{html.escape(section.heading)}</a></li>' for k, section in enumerate(sections, 1))
    body = "\n".join(_section(k, section) for k, section in enumerate(sections, 1))
    head = f"<header>\n<h1>{shown}</h1>\n{_paragraph(lead, 'lead')}</header>"
    nav = f'<nav aria-label="Contents"><ol>{contents}</ol></nav>'
    return "\n".join([HEAD, f"<title>{shown}</title>", f"<style>{STYLE}</style>", head, nav, f"<main>\n{body}\n</main>", "</html>", ""])


def _section(number: int, section: Section) -> str:
    blocks = "\n".join(_block(block) for block in section.blocks)
    return f'<section id="s{number}">\n<h2>{number}. {html.escape(section.heading)}</h2>\n{blocks}\n</section>'


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _figure(html_table(block.frame), block.caption, "above")
    if isinstance(block, Results):
        return _figure(results_html(block.shaped), block.caption, "above", notes_html(block.shaped))
    if isinstance(block, Picture):
        source = base64.b64encode(block.png).decode("ascii")
        return _figure(f'<img alt="{html.escape(block.alt)}" src="data:image/png;base64,{source}">', block.caption, "below")
    if isinstance(block, Points):
        return f"<ul>{''.join(f'<li>{_text(text)}</li>' for text in block.texts)}</ul>"
    return _paragraph(block.text, "caution") if isinstance(block, Caution) else _paragraph(block)


def _figure(content: str, caption: str, where: str, notes: str = "") -> str:
    """A table or picture that scrolls by itself when it is wider than the screen, with its caption and footnotes."""
    shown = f'<figcaption class="{where}">{_text(caption)}</figcaption>'
    inside = f'<div class="scroll" tabindex="0">{content}</div>'
    return f"<figure>{shown + inside if where == 'above' else inside + shown}{notes}</figure>"


def _paragraph(text: str, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f"<p{name}>{_text(text)}</p>\n" if text else ""


def _text(text: str) -> str:
    """Escaped, with the parts of a p value kept on one line."""
    return re.sub(r"\bp (=|&lt;) (?=[.\d])", r"p&nbsp;\1&nbsp;", html.escape(text))


HEAD = """<!DOCTYPE html>
<html lang="en-GB">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">"""

STYLE = """
:root { --ink: #1b1b1b; --soft: #595959; --rule: #d4d4d4; --blue: #0072b2; --amber: #e69f00; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 64rem; color: var(--ink); background: #fff;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
header { border-top: .4rem solid var(--blue); padding-top: 1.25rem; }
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); line-height: 1.2; margin: 0 0 .75rem; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
p { margin: 0 0 1rem; max-width: 46rem; overflow-wrap: break-word; }
.lead { font-size: 1.1rem; color: var(--soft); }
.caution { border-left: .3rem solid var(--amber); background: #fdf6e7; padding: .75rem 1rem; }
nav ol { margin: 1.5rem 0 0; padding: 1rem 1.25rem 1rem 2.5rem; background: #f4f7f9; columns: 18rem auto; column-gap: 2.5rem; }
nav li { break-inside: avoid; margin: 0; padding: .1rem 0; }
a { color: #005a8d; }
ul { margin: 0 0 1rem; padding-left: 1.25rem; max-width: 46rem; }
li { margin-bottom: .4rem; overflow-wrap: break-word; }
figure { margin: 1.25rem 0 1.75rem; }
figcaption { max-width: 46rem; font-size: .92rem; }
.above { font-weight: 600; margin-bottom: .3rem; }
.below { color: var(--soft); margin-top: .4rem; }
.scroll { overflow-x: auto; background: linear-gradient(to left, #fff 2rem, transparent) right / 4rem 100% no-repeat local,
  linear-gradient(to left, #d9dde0, transparent) right / .8rem 100% no-repeat scroll; }
img { display: block; width: 100%; max-width: 42rem; height: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .95rem .35rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid var(--ink); vertical-align: bottom; }
td { border-bottom: 1px solid var(--rule); white-space: nowrap; }
td.words { white-space: normal; min-width: 15rem; }
.number { text-align: right; }
.results td:not(.number) { white-space: normal; }
.results th.number { min-width: 4rem; }
th[scope=rowgroup] { padding-top: .9rem; border-bottom: 1px solid var(--rule); }
sup { line-height: 0; }
.note { margin: .4rem 0 0; font-size: .85rem; color: var(--soft); }
th:last-child, td:last-child { padding-right: 0; }
@media (max-width: 40rem) {
  body { padding: 1rem 1rem 3rem; }
  .results td:first-child, .results th:first-child:not([scope=rowgroup]) { position: sticky; left: 0; max-width: 8.5rem; background: #fff; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2 { break-after: avoid; margin-top: 1.5rem; }
  figure, tr, .caution { break-inside: avoid; }
  .scroll { overflow: visible; }
  img { max-width: 14cm; }
  a { color: inherit; text-decoration: none; }
}
"""
