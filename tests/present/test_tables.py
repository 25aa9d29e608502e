from __future__ import annotations

import datetime as dt
import html.parser

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swedge._present.tables import format_p, html_table, latex_table, markdown_table, text_table

WRITERS = (text_table, markdown_table, html_table, latex_table)
FRAME = pd.DataFrame(
    {
        "test": ["CR2", "exact"],
        "estimate": [-0.123456, 0.5],
        "p_value": [0.0004, 1 / 12],
        "conf_low": [-0.3, -np.inf],
        "conf_high": [0.1, np.inf],
        "n": [27406, 12],
    }
)


def texts(markup: str) -> list[str]:
    found: list[str] = []
    parser = html.parser.HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]  # a parser of one line
    parser.feed(markup)
    return found


@pytest.mark.parametrize("write", WRITERS)
def test_every_writer_shows_the_same_digits(write) -> None:
    shown = write(FRAME).replace("$<$", "<").replace("&lt;", "<")
    for digits in ("-0.1235", "0.5000", "<.001", ".0833", "-0.3000 to 0.1000", "-inf to inf", "27,406"):
        assert digits in shown


def test_text_is_aligned_numbers_right_and_words_left() -> None:
    lines = text_table(FRAME).splitlines()
    assert lines[0].startswith("test   estimate")
    assert lines[2].startswith("CR2     -0.1235")
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("p", "shown"), [(1 / 12, ".0833"), (0.00099, "<.001"), (0.001, ".0010"), (0.99999, "1"), (1.0, "1"), (np.nan, "–")]
)
def test_p_values_have_no_leading_zero_and_never_read_as_zero(p: float, shown: str) -> None:
    assert format_p(p) == shown


@given(st.floats(min_value=0, max_value=1))
def test_law_a_written_p_is_the_p(p: float) -> None:
    shown = format_p(p)
    assert p < 0.001 if shown == "<.001" else float(shown) == pytest.approx(p, abs=5.1e-5)


@pytest.mark.parametrize("absent", [None, np.nan, pd.NA, pd.NaT])
def test_what_is_missing_is_a_dash(absent: object) -> None:
    assert text_table(pd.DataFrame({"a": [1.5, absent]}, dtype=object)).splitlines()[-1].strip() == "–"


def test_an_interval_that_does_not_exist_is_a_dash() -> None:
    lines = text_table(pd.DataFrame({"conf_low": [np.nan, 1.0], "conf_high": [np.nan, 2.0]})).splitlines()
    assert lines[0] == "conf_low to conf_high"
    assert [line.strip() for line in lines[2:]] == ["–", "1 to 2"]


def test_a_small_number_beside_a_large_one_keeps_its_digits() -> None:
    shown = text_table(pd.DataFrame({"a": [0.35, 27406.2], "b": [1e-9, 1.5]}))
    assert "0.35" in shown
    assert "27,406.20" in shown
    assert "1.0e-09" in shown


def test_dates_truths_and_whole_floats_read_as_words() -> None:
    frame = pd.DataFrame({"day": [dt.date(2020, 9, 1)], "at": [pd.Timestamp("2020-09-01")], "live": [True], "n": [911.0]})
    assert text_table(frame).splitlines()[2].split() == ["2020-09-01", "2020-09-01", "yes", "911"]


def test_line_breaks_in_the_text_do_not_break_a_row() -> None:
    assert len(markdown_table(pd.DataFrame({"a": ["one\ntwo"]})).splitlines()) == 3


@given(st.text(min_size=1), st.text(min_size=1))
def test_law_html_shows_any_text_and_obeys_none(name: str, text: str) -> None:
    markup = html_table(pd.DataFrame({name: [text]}), caption=text)
    assert markup.count("<table>") == markup.count("<td") == 1
    assert "<script" not in markup.lower()


def test_html_escapes_names_cells_and_caption() -> None:
    markup = html_table(pd.DataFrame({"<a>": ["<script>alert('x')</script> & more"]}), caption="<i>")
    assert texts(markup) == ["<i>", "<a>", "<script>alert('x')</script> & more"]


def test_latex_escapes_what_latex_would_run() -> None:
    assert r"\textbackslash{}input\{x\} 50\% \& \$1\_\#\textasciitilde{}\textasciicircum{}" in latex_table(
        pd.DataFrame({"a": [r"\input{x} 50% & $1_#~^"]})
    )


@pytest.mark.parametrize("write", WRITERS)
def test_no_rows_leave_the_head(write) -> None:
    assert "estimate" in write(FRAME.iloc[:0])


def test_law_a_column_has_commas_everywhere_or_nowhere() -> None:
    frame = pd.DataFrame({"rows": [2200, 13_200], "year": [2019, 2020]})
    assert text_table(frame).splitlines()[2:] == [" 2,200  2019", "13,200  2020"]
