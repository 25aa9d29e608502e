from __future__ import annotations

import csv
import html.parser
import io
import math
import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostile import HOSTILE
from swedge._present.results import Shaped, shaped
from swedge._present.results_formats import notes_html, results_html, results_latex, results_markdown, results_text
from swedge._present.results_table import results_table, table_shell
from swedge._present.spreadsheet import csv_text
from swedge.errors import DataError, Status, SwedgeError

INF, NAN = math.inf, math.nan
ROWS = [
    ("Looked after", "CR2", "Wald", -0.223, -0.523, 0.077, 3.75, 0.21, 0.0, "ok", "log odds ratio", 27406),
    ("Looked after", "exact", "randomisation", -0.2, -INF, INF, NAN, 1 / 12, 1 / 12, "ok", "log odds ratio", 27406),
    ("Days on plan", "CR2", "Wald", -12.24, -32.6, 8.21, INF, 0.0002, 0.0, "singular", "difference", 300),
    ("Days on plan", "mixed", "Wald", NAN, NAN, NAN, NAN, NAN, NAN, "rank_deficient", "difference", "1 to 5"),
]
NAMES = ("outcome", "analysis", "test", "estimate", "conf_low", "conf_high", "df", "p_value", "min_p", "status", "measure", "n")
FRAME = pd.DataFrame(ROWS, columns=NAMES).assign(term="treatment", level=0.95, std_error=0.1 + 0.2, population="all referred")


def texts(markup: str) -> str:
    found: list[str] = []
    parser = html.parser.HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]  # a parser of one line
    parser.feed(re.sub(r"<style>.*?</style>", "", markup, flags=re.DOTALL))
    return "\n".join(found)


def great(frame: pd.DataFrame, title: str = "Title") -> str:
    return str(results_table(frame, title, "Subtitle", "Note").as_raw_html())


FORMATS = {
    "text": lambda frame: results_text(shaped(frame)),
    "markdown": lambda frame: results_markdown(shaped(frame)).replace("&lt;", "<"),
    "html": lambda frame: texts(results_html(shaped(frame)) + notes_html(shaped(frame))),
    "latex": lambda frame: results_latex(shaped(frame)).replace("$<$", "<"),
    "great_tables": lambda frame: texts(great(frame)),
}


def cells(table: Shaped) -> list[list[str]]:
    return [[cell.text for cell in row] for _, rows in table.groups for row in rows]


def one(**changes: object) -> pd.DataFrame:
    return FRAME.iloc[:1].assign(**changes)


@pytest.mark.parametrize("name", FORMATS)
def test_law_every_format_holds_the_same_digits(name: str) -> None:
    shown = FORMATS[name](FRAME)
    table = shaped(FRAME)
    for text in {text for row in cells(table) for text in row} - {"–"}:
        assert text in shown
    for _, note in table.notes:
        assert note in shown
    for group, _ in table.groups:
        assert group in shown


def test_the_rows_read_as_published() -> None:
    table = shaped(FRAME)
    interval, ratio = "Estimate (95% interval)", "Odds ratio (95% interval)"
    assert [head.name for head in table.heads] == ["Analysis", "Test", interval, ratio, "df", "p", "Smallest p", "n"]
    assert [name for name, _ in table.groups] == ["Looked after: log odds ratio", "Days on plan: difference"]
    assert cells(table) == [
        ["CR2", "Wald", "-0.223 (-0.523 to 0.077)", "0.80 (0.59 to 1.08)", "3.8", ".2100", "–", "27,406"],
        ["exact", "randomisation", "-0.200 (-inf to inf)", "0.82 (0.00 to inf)", "–", ".0833", ".0833", "27,406"],
        ["CR2", "Wald", "-12.2 (-32.6 to 8.2)", "–", "normal", "<.001", "–", "300"],
        ["mixed", "Wald", "not estimated: rank deficient", "–", "–", "–", "–", "1 to 5"],
    ]


def test_what_failed_stands_in_its_place_with_the_reason_below() -> None:
    table = shaped(FRAME)
    marks = [row[2].mark for _, rows in table.groups for row in rows]
    assert marks == ["", "", "a", "b"]
    assert dict(table.notes)["a"].startswith("Singular. A variance component")
    assert Status.RANK_DEFICIENT.advice in dict(table.notes)["b"]
    assert dict(shaped(FRAME.assign(reason="the column is empty")).notes)["b"] == "Rank deficient. the column is empty"


def test_equal_reasons_share_a_footnote_and_there_are_letters_for_many() -> None:
    frame = pd.concat([one(status="refused", estimate=NAN, reason=f"reason {k}", analysis=f"a{k}") for k in [*range(30), 0]])
    notes = [mark for mark, _ in shaped(frame).notes if mark]
    assert notes[:2] == ["a", "b"]
    assert notes[25:] == ["z", "aa", "ab", "ac", "ad"]


def test_what_is_the_same_in_every_row_is_said_once() -> None:
    assert shaped(FRAME).notes[0] == ("", "Population: all referred; Term: treatment.")
    assert [head.name for head in shaped(FRAME.assign(population=["all", "trio"] * 2)).heads][:3] == ["Analysis", "Population", "Test"]


def test_levels_that_differ_are_in_the_cells() -> None:
    shown = shaped(FRAME.assign(level=[0.95, 11 / 12, 0.95, 0.95]))
    assert shown.heads[2].name == "Estimate (interval)"
    assert cells(shown)[0][2] == "-0.223 (95%: -0.523 to 0.077)"
    assert cells(shown)[1][2] == "-0.200 (91.7%: -inf to inf)"


def test_one_measure_names_the_column_and_no_measure_none() -> None:
    assert [head.name for head in shaped(one()).heads][1:3] == ["Log odds ratio (95% interval)", "Odds ratio (95% interval)"]
    assert "Ratio" not in str(shaped(one(measure="complementary log-log difference")).heads)
    assert shaped(FRAME.drop(columns="measure")).heads[2].name == "Estimate (95% interval)"


def test_without_outcomes_analyses_are_the_groups_and_without_both_there_are_none() -> None:
    plain = FRAME.drop(columns=["outcome", "measure"])
    assert [name for name, _ in shaped(plain).groups] == ["CR2", "exact", "mixed"]
    assert [name for name, _ in shaped(plain.drop(columns="analysis")).groups] == [""]


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e3), st.floats(0, 1))
def test_law_what_is_written_is_the_number_to_a_hundredth_of_its_half_interval(estimate: float, half: float, p: float) -> None:
    low, high = estimate - half, estimate + half
    text = cells(shaped(one(estimate=estimate, conf_low=low, conf_high=high, p_value=p, measure="difference")))[0][1]
    read = [float(part.replace(",", "")) for part in re.findall(r"-?[\d,.]+", text.replace("to", " "))]
    assert read == pytest.approx([estimate, low, high], abs=0.0051 * half + 5.1e-9)
    assert "-0.0 " not in f"{text} "


def test_a_number_rounded_to_zero_has_no_sign() -> None:
    assert cells(shaped(one(estimate=-0.0001, conf_low=-1.0, conf_high=1.0)))[0][1] == "0.00 (-1.00 to 1.00)"


def test_a_shell_has_blanks_where_numbers_will_be_and_the_smallest_p_that_the_design_knows() -> None:
    names = FRAME[["outcome", "analysis", "test", "measure", "min_p"]]
    table = shaped(names, shell=True)
    assert [head.name for head in table.heads] == [head.name.replace("(95% interval)", "(interval)") for head in shaped(FRAME).heads]
    assert cells(table)[1] == ["exact", "randomisation", "", "", "", "", ".0833", ""]
    assert not [mark for mark, _ in table.notes if mark]
    assert "randomisation" in table_shell(names, "Shell").as_raw_html()
    assert not re.search(r"\d", "".join(cell for row in cells(shaped(FRAME, shell=True)) for k, cell in enumerate(row) if k not in (0, 6)))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_stranger_text_is_shown_and_not_obeyed(text: str) -> None:
    names = ("outcome", "test", "n", "measure", "reason", "population")
    frame = FRAME.assign(analysis=[f"{text} {k}" for k in range(4)], **dict.fromkeys(names, text))
    shown = " ".join(text.split()).replace("\x00", "\ufffd").replace("\x1b", "\ufffd")
    for markup in (results_html(shaped(frame)), great(frame, text)):
        assert "<script" not in markup
        assert not re.search(r"<(?!/?(table|thead|tbody|tfoot|tr|th|td|sup|div|style|span)\b)[a-z]", markup)
        assert shown in texts(markup)
    markdown = results_markdown(shaped(frame))
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {lines[0].count("|")}
    latex = results_latex(shaped(frame), text, text)
    assert r"\input" not in latex
    assert not re.search(r"(?<!\\)[$](?![<>][$])(?<![$][<>][$])", latex)
    assert not re.search(r"\\\\\*?\s*[\[]", latex)


def test_latex_has_as_many_cells_in_every_row_and_repeats_its_head() -> None:
    lines = results_latex(shaped(FRAME), "A & B", "Plan 1%").splitlines()
    body = lines[lines.index(r"\endlastfoot") + 1 : -1]
    assert {line.count(" & ") for line in body if "multicolumn" not in line} == {7}
    assert lines[:2] == [r"\begin{longtable}{llrrrrrr}", r"\caption{A \& B} \\"]
    assert lines.index(r"\endhead") < lines.index(r"\endlastfoot")
    assert any(r"\textsuperscript{b}Rank deficient" in line for line in lines)
    assert any(r"Plan 1\%" in line for line in lines)


def test_great_tables_hold_no_script_and_are_the_same_twice() -> None:
    markup = great(FRAME)
    assert markup == great(FRAME)
    assert "<script" not in markup
    assert "http" not in markup
    for words in ("Title", "Subtitle", "Note"):
        assert words in texts(markup)


def test_tables_of_other_titles_have_styles_of_their_own() -> None:
    ids = [re.search(r'<div id="([^"]+)"', great(FRAME, title)).group(1) for title in ("A", "B")]  # type: ignore[union-attr]  # there is one
    assert ids[0] != ids[1]


def test_bad_input_without_great_tables_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "great_tables", None)
    with pytest.raises(SwedgeError, match=r"pip install 'swedge\[report\]'"):
        great(FRAME)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ([1], "are a list"),
        (FRAME.drop(columns="p_value"), "no column 'p_value'"),
        (FRAME.rename(columns={"estimate": "estimates"}), "Did you mean 'estimates'"),
        (FRAME.iloc[:0], "no rows"),
        (FRAME[["estimate", "conf_low", "conf_high", "p_value", "status"]], "no column that names"),
        (one(estimate="-0.2"), "estimate is not a number: \"'-0.2'\""),
        (one(p_value=1.2), "p_value is not between 0 and 1"),
        (one(min_p=-0.1), "min_p is not between 0 and 1"),
        (one(conf_low=3.0), "conf_low is above conf_high"),
        (pd.concat([FRAME, FRAME[["term"]]], axis=1), "two columns 'term'"),
    ],
)
def test_bad_input_frames_that_are_no_results_are_refused(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(DataError, match=words.replace('"', "")):
        shaped(frame)


def test_csv_has_every_digit_and_reads_back() -> None:
    text = csv_text(FRAME)
    assert text.count("\r\n") == len(FRAME) + 1
    assert "0.30000000000000004" in text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for name in ("estimate", "conf_low", "p_value", "std_error", "df"):
        np.testing.assert_array_equal([float(row[name] or "nan") for row in rows], FRAME[name])


@given(st.lists(st.floats(), min_size=1), st.text())
def test_law_csv_gives_back_any_number_and_no_text_that_runs(numbers: list[float], text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(pd.DataFrame({"x": numbers, "y": text})), newline="")))
    np.testing.assert_array_equal([float(row[0]) if row[0] else NAN for row in rows[1:]], numbers)
    assert {row[1].removeprefix("'") for row in rows[1:]} <= {text, text.removeprefix("'")}
    assert not any(row[1].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")) for row in rows)


@pytest.mark.parametrize("text", HOSTILE)
def test_csv_runs_no_name_and_no_cell(text: str) -> None:
    rows = list(csv.reader(io.StringIO(csv_text(pd.DataFrame({text: [text]})), newline="")))
    assert [[cell.removeprefix("'") for cell in row] for row in rows] == [[text], [text]]
    assert not rows[0][0].startswith(("=", "+", "-", "@"))


def test_csv_writes_dates_counts_and_what_is_missing_plainly() -> None:
    days, counts = [pd.Timestamp("2020-09-01"), pd.NaT], pd.array([3, None], dtype="Int64")
    frame = pd.DataFrame({"day": days, "n": counts, "low": [-0.5, -INF], "ok": [True, False]})
    assert csv_text(frame) == "day,n,low,ok\r\n2020-09-01,3,-0.5,True\r\n,,-inf,False\r\n"
