from __future__ import annotations

import html.parser
import re

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from hostile import HOSTILE
from swedge._present.escape import markdown_line, markdown_text, one_line
from swedge._present.markdown import picture_files, report_markdown
from swedge._present.report import Caution, Picture, Points, Results, Section, Table
from swedge.errors import DataError

PLANS = pd.DataFrame({"la": ["Walsall", "Telford"], "plans": [3, 10_000], "p_value": [1 / 12, 0.0004]})
RESULTS = pd.DataFrame(
    {"term": ["treatment"], "estimate": [0.0123], "conf_low": [-0.01], "conf_high": [0.03], "p_value": [0.2], "status": ["singular"]}
)
OURS = {"h1", "h2", "p", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "strong", "em", "blockquote", "img"}


class Shown(html.parser.HTMLParser):
    """Tags and text of what a reader of Markdown sees."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def sections(text: str = "Words.") -> list[Section]:
    picture = Picture(b"\x89PNG", f"{text}.", text)
    table = Table(pd.DataFrame({text: [text, "x"]}), text)
    results = Results(RESULTS.assign(term=text, reason=text), text)
    return [Section(text, (text, Caution(text), Points((text, "Two.")), table, results, picture)), Section("Power & size", ())]


def test_every_part_is_there_and_in_order() -> None:
    page = [Section("The plan", ("First.", Caution("Mind."), Points(("One.",)), Table(PLANS, "Plans."), Results(RESULTS, "Results.")))]
    text = report_markdown("Title", page, "In short.")
    parts = ("# Title", "In short.", "## 1. The plan", "First.", "> **Caution.** Mind.", "- One.", "**Plans.**", "| la |", "**Results.**")
    assert [text.index(part) for part in parts] == sorted(text.index(part) for part in parts)
    for digits in ("10,000", ".0833", "&lt;.001", "0.0123 (-0.0100 to 0.0300) \\[a\\]", ".2000"):
        assert digits in text
    assert text.endswith("\n")


def test_pictures_are_links_to_the_files_that_are_named() -> None:
    two = [
        Section(
            "S", (Picture(b"a", "A.", "The schedule: who starts when, and where?"), Picture(b"b", "B.", "ελ"), Picture(b"c", "C.", "ελ"))
        )
    ]
    files = picture_files(two)
    assert list(files) == ["01-the-schedule-who-starts-when-and-where.png", "02-picture.png", "03-picture.png"]
    assert [picture.png for picture in files.values()] == [b"a", b"b", b"c"]
    text = report_markdown("T", two, figures="out/figures")
    assert re.findall(r"!\[.*?\]\((.*?)\)", text) == [f"out/figures/{name}" for name in files]


def test_a_picture_shown_twice_is_one_file() -> None:
    picture = Picture(b"a", "A.", "Once.")
    assert report_markdown("T", [Section("S", (picture, picture))]).count("(figures/01-once.png)") == 2


@pytest.mark.parametrize("text", HOSTILE)
def test_a_stranger_text_is_shown_and_not_obeyed(text: str) -> None:
    shown = Shown(report_markdown(text, sections(text), lead=text))
    assert set(shown.tags) <= OURS
    assert shown.tags.count("table") == 2
    assert shown.tags.count("h2") == 2
    assert shown.tags.count("li") == 2
    assert shown.text.count(one_line(text)) >= 9


@given(st.text())
def test_law_any_text_reads_as_it_was_written(text: str) -> None:
    for write, before in ((markdown_line, ""), (markdown_text, "So: ")):
        shown = Shown(before + write(text))
        assert set(shown.tags) <= {"p"}
        assert shown.text.strip() == f"{before}{one_line(text)}".strip()


@pytest.mark.parametrize("text", ["http://a.b", "HTTPS://a.b", "www.a.b", "WWW.a.b", "$a$", "user@a.b"])
def test_links_and_formulas_of_github_do_not_form(text: str) -> None:
    written = markdown_text(text)
    assert not re.search(r"://|www\.|[$@]", written, flags=re.IGNORECASE)
    assert Shown(written).text.strip() == text


@pytest.mark.parametrize("folder", ["../out", "/tmp/x", "a b", "a)(javascript:1", "", "https://a", "a/../b"])
def test_bad_input_a_folder_that_is_not_beside_the_document_is_refused(folder: str) -> None:
    with pytest.raises(DataError, match="a folder beside the document"):
        report_markdown("T", [], figures=folder)


def test_the_same_sections_give_the_same_text_and_no_figure_is_made() -> None:
    assert report_markdown("T", sections()) == report_markdown("T", sections())
    assert not plt.get_fignums()
