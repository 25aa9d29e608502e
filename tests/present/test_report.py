from __future__ import annotations

import base64
import html.parser
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swedge._present.page import report_html, save_report
from swedge._present.plain import report_text
from swedge._present.report import CAUTION, Caution, Picture, Points, Results, Section, Table, suppress_small
from swedge.errors import DataError

TABLE = pd.DataFrame({"la": ["A", "B", "C"], "plans": [3, 0, 40], "risk": [0.03, 0.0, 0.4]})
VOID = {"meta", "img"}


class Page(html.parser.HTMLParser):
    """Checks nesting and keeps what a test asks about."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


RESULTS = pd.DataFrame(
    {"term": ["<b>"], "estimate": [0.0123], "conf_low": [-0.01], "conf_high": [0.03], "p_value": [0.2], "status": ["singular"]}
)


def picture() -> Picture:
    axes = plt.subplots(figsize=(2, 1))[1]
    axes.plot([0, 1])
    return Picture.of(axes, "A line that rises.", "The line.", dpi=50)


@pytest.fixture
def sections() -> list[Section]:
    blocks = ("First words.", Caution("Mind this."), Points(("One.", "Two.")), Table(TABLE, "Plans by authority."), picture())
    return [Section("The schedule", blocks), Section("Power & size", ("<script>alert(1)</script>",))]


def test_the_page_is_well_formed_and_has_every_part(sections: list[Section]) -> None:
    page = Page(report_html("A <report>", sections, lead="In short."))
    assert not page.open
    assert [len(page.all(tag)) for tag in ("h1", "h2", "table", "figure", "img", "section")] == [1, 2, 1, 2, 1, 2]
    for words in ("A <report>", "In short.", "First words.", "Mind this.", "Two.", "Plans by authority.", "The line.", "Power & size"):
        assert words in page.text


def test_the_contents_lead_to_the_sections(sections: list[Section]) -> None:
    page = Page(report_html("Title", sections))
    assert [link["href"] for link in page.all("a")] == [f"#{section['id']}" for section in page.all("section")]


def test_the_page_needs_nothing_from_outside_and_runs_nothing(sections: list[Section]) -> None:
    markup = report_html("Title", sections)
    page = Page(markup)
    assert not page.all("script")
    assert not page.all("link")
    assert not re.search(r"(src|href)=\"(?!data:|#)", markup)
    assert "url(" not in markup
    assert "@import" not in markup


def test_every_picture_is_inside_as_png_with_its_words(sections: list[Section]) -> None:
    image = Page(report_html("Title", sections)).all("img")[0]
    kind, data = str(image["src"]).split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")
    assert image["alt"] == "A line that rises."


def test_a_picture_without_words_is_refused() -> None:
    with pytest.raises(DataError, match="'The line' has no alternative text"):
        Picture(b"", " ", "The line")


def test_a_picture_closes_its_figure_and_is_the_same_twice() -> None:
    assert picture().png == picture().png
    assert not plt.get_fignums()


@given(st.text())
def test_law_any_text_is_shown_and_none_obeyed(text: str) -> None:
    blocks = (text, Caution(text), Points((text,)), Table(pd.DataFrame({text: [text]}), text), Picture(b"x", f"{text}.", text))
    page = Page(report_html(text, [Section(text, blocks)], lead=text))
    assert not page.open
    assert {name for name, _ in page.tags} <= {
        *("html", "meta", "title", "style", "header", "h1", "p", "nav", "ol", "li", "a", "main", "section", "h2", "div", "ul"),
        *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img"),
    }


def test_narrow_screens_and_paper_are_provided_for(sections: list[Section]) -> None:
    markup = report_html("Title", sections)
    assert "@media print" in markup
    assert "@media (max-width" in markup
    assert 'name="viewport"' in markup


def test_text_holds_the_same_facts_as_the_page(sections: list[Section]) -> None:
    shown = report_text(sections)
    for words in (
        "1. The schedule",
        "First words.",
        "! Caution: Mind this.",
        "* One.",
        "Plans by authority.",
        "The line. A line that rises.",
        "0.40",
    ):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_the_report_is_written_as_utf8(tmp_path: Path, sections: list[Section]) -> None:
    save_report(tmp_path / "r.html", "Sgiliau – β", sections)
    assert "Sgiliau – β" in (tmp_path / "r.html").read_text("utf-8")


def test_counts_of_one_to_five_are_suppressed_and_zero_stays() -> None:
    frame = pd.DataFrame({"n": [0, 1, 5, 6, 100]})
    assert suppress_small(frame, ["n"])["n"].tolist() == [0, "1 to 5", "1 to 5", 6, 100]
    assert frame["n"].tolist() == [0, 1, 5, 6, 100]


def test_what_gives_a_count_away_is_blanked_with_it() -> None:
    shown = suppress_small(TABLE, ["plans"], also=["risk"])
    assert shown["risk"].isna().tolist() == [True, False, False]
    assert shown["la"].tolist() == ["A", "B", "C"]


def test_missing_counts_stay_missing_and_an_index_with_repeats_is_no_obstacle() -> None:
    frame = pd.DataFrame({"n": [2.0, np.nan, 8.0]}, index=[0, 0, 1])
    shown = suppress_small(frame, ["n"])["n"]
    assert shown.iloc[0] == "1 to 5"
    assert pd.isna(shown.iloc[1])
    assert shown.iloc[2] == 8.0


@pytest.mark.parametrize(
    ("columns", "words"), [(["plan"], "Did you mean 'plans'"), (["la"], "not a column of counts"), (["risk"], "whole numbers")]
)
def test_what_cannot_be_suppressed_is_refused_with_directions(columns: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        suppress_small(TABLE, columns)


@given(st.lists(st.integers(0, 60), min_size=1))
def test_law_no_small_count_survives(counts: list[int]) -> None:
    shown = suppress_small(pd.DataFrame({"n": counts}), ["n"])["n"]
    assert all(new == (old if not 1 <= old <= 5 else "1 to 5") for old, new in zip(counts, shown, strict=True))


def test_the_caution_says_what_is_left_to_do() -> None:
    for words in ("total", "percentage", "another table", "second count"):
        assert words in CAUTION


def test_results_are_a_table_with_notes_below_in_page_and_text() -> None:
    block = [Section("Results", (Results(RESULTS, "Primary."),))]
    page = Page(report_html("Title", block))
    assert [len(page.all(tag)) for tag in ("table", "sup")] == [1, 2]
    for shown in (page.text, report_text(block)):
        for words in ("Primary.", "<b>", "0.0123 (-0.0100 to 0.0300)", ".2000", "Singular. A variance component"):
            assert words in shown


def test_a_shell_of_results_has_no_numbers() -> None:
    page = Page(report_html("Title", [Section("Results", (Results(RESULTS[["term"]], "Primary.", shell=True),))]))
    assert "0.0123" not in page.text
    assert "Estimate (interval)" in page.text


def test_bad_input_results_that_cannot_be_shaped_are_refused_where_they_are_made() -> None:
    with pytest.raises(DataError, match="no column 'p_value'"):
        Results(RESULTS.drop(columns="p_value"), "Primary.")
