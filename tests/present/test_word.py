from __future__ import annotations

import datetime as dt
import io
import re
import struct
import sys
import zipfile

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from hostile import HOSTILE
from swedge._present.escape import one_line
from swedge._present.page import report_html
from swedge._present.report import Block, Caution, Picture, Points, Results, Section, Table
from swedge._present.results import shaped
from swedge._present.word import report_word
from swedge.errors import DataError, SwedgeError

docx = pytest.importorskip("docx", reason="python-docx comes with swedge[report]")

PLANS = pd.DataFrame({"la": ["Walsall", "Telford"], "plans": [3, 10_000], "p_value": [1 / 12, 0.0004]})
RESULTS = pd.DataFrame(
    {
        "outcome": ["Looked after", "Looked after", "Days"],
        "analysis": ["CR2", "mixed", "CR2"],
        "estimate": [0.0123, float("nan"), 3.0],
        "conf_low": [-0.01, float("nan"), 1.0],
        "conf_high": [0.03, float("nan"), 5.0],
        "p_value": [0.2, float("nan"), 0.01],
        "status": ["ok", "not_converged", "ok"],
    }
)


def picture() -> Picture:
    axes = plt.subplots(figsize=(9, 2))[1]
    axes.plot([0, 1])
    return Picture.of(axes, "A line that rises.", "The line.", width=9, dpi=40)


def blocks(text: str) -> tuple[Block, ...]:
    return (
        text,
        Caution(text),
        Points((text, "Two.")),
        Table(pd.DataFrame({text: [text]}), text),
        Results(RESULTS.assign(reason=text), text),
    )


def page() -> list[Section]:
    parts = ("First.", Caution("Mind."), Points(("One.",)), Table(PLANS, "Plans."), Results(RESULTS, "Results."), picture())
    return [Section("The plan", parts), Section("Power & size", ())]


def opened(data: bytes) -> docx.document.Document:
    return docx.Document(io.BytesIO(data))


def xml(data: bytes, part: str = "word/document.xml") -> str:
    return zipfile.ZipFile(io.BytesIO(data)).read(part).decode("utf-8")


def test_headings_paragraphs_points_and_cautions_are_what_they_are_in_word() -> None:
    document = opened(report_word("Title", page(), "In short.", "Plan 12ab"))
    found = [(p.style.name, p.text) for p in document.paragraphs if p.text]
    for part in (
        ("Title", "Title"),
        ("Subtitle", "In short."),
        ("Heading 1", "1. The plan"),
        ("Normal", "First."),
        ("List Bullet", "One."),
    ):
        assert part in found
    assert ("Normal", "Caution: Mind.") in found
    assert [text for style, text in found if style == "Caption"][:2] == ["Plans.", "Results."]


def test_tables_are_tables_whose_head_repeats_and_whose_numbers_stand_right() -> None:
    plain, results = opened(report_word("Title", page())).tables
    assert [[cell.text for cell in row.cells] for row in plain.rows] == [
        ["la", "plans", "p_value"],
        ["Walsall", "3", ".0833"],
        ["Telford", "10,000", "<.001"],
    ]
    assert [plain.cell(1, k).paragraphs[0].alignment.name for k in range(3)] == ["LEFT", "RIGHT", "RIGHT"]
    for table in (plain, results):
        assert "w:tblHeader" in table.rows[0]._tr.xml
        assert "w:tblHeader" not in table.rows[1]._tr.xml
    assert results.cell(1, 0).text == results.cell(1, 2).text == "Looked after"
    assert results.cell(3, 1).text == "not estimated: not converged" + "a"


def test_law_word_holds_the_digits_of_the_page() -> None:
    document = opened(report_word("Title", page()))
    text = "\n".join(
        [cell.text for table in document.tables for row in table.rows for cell in row.cells] + [p.text for p in document.paragraphs]
    )
    table = shaped(RESULTS)
    for wanted in (
        *(c.text for _, rows in table.groups for row in rows for c in row),
        *(note for _, note in table.notes),
        "10,000",
        ".0833",
    ):
        assert wanted in text
        assert wanted in report_html("Title", page())


def test_pictures_have_words_and_fit_the_page() -> None:
    document = opened(report_word("Title", page()))
    (drawn,) = document.inline_shapes
    assert drawn._inline.docPr.get("descr") == "A line that rises."
    assert drawn.width.mm == pytest.approx(160, abs=0.1)
    across, down = struct.unpack(">II", picture().png[16:24])
    assert drawn.width / drawn.height == pytest.approx(across / down, rel=1e-3)


def test_pages_are_a4_and_numbered_beside_the_footer() -> None:
    data = report_word("Title", [], footer="Plan 12ab")
    section = opened(data).sections[0]
    assert (round(section.page_width.mm), round(section.page_height.mm)) == (210, 297)
    assert section.footer.paragraphs[0].text.startswith("Plan 12ab\tPage")
    assert re.findall(r'w:instr="(\w+)"', xml(data, "word/footer1.xml")) == ["PAGE", "NUMPAGES"]


def test_properties_say_who_and_when_without_a_clock() -> None:
    core = opened(report_word("Title", [], date=dt.date(2024, 5, 1))).core_properties
    assert (core.title, core.author, core.last_modified_by, core.language) == ("Title", "swedge", "swedge", "en-GB")
    assert core.created == core.modified == dt.datetime(2024, 5, 1, tzinfo=core.created.tzinfo)


def test_the_same_sections_give_the_same_bytes_whatever_the_clock_says() -> None:
    data = report_word("Title", page(), "In short.", "Plan")
    assert data == report_word("Title", page(), "In short.", "Plan")
    entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    assert {(entry.date_time, entry.create_system, entry.compress_type) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0, zipfile.ZIP_STORED)
    }
    assert not [entry.filename for entry in entries if "thumbnail" in entry.filename]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_stranger_text_is_shown_and_not_obeyed(text: str) -> None:
    shown = one_line(text)
    data = report_word(text, [Section(text, blocks(text))], lead=text, footer=text)
    document = opened(data)
    texts = [paragraph.text for paragraph in document.paragraphs]
    assert texts.count(shown) >= 4
    assert document.tables[0].cell(1, 0).text == shown
    assert not re.findall(r"<w:(hyperlink|instrText|object|altChunk|fldSimple)\b", xml(data))
    assert 'TargetMode="External"' not in xml(data, "word/_rels/document.xml.rels")


def test_table_properties_are_in_the_order_of_the_schema() -> None:
    order = ["tblStyle", "tblW", "jc", "tblBorders", "tblLayout", "tblCellMar", "tblLook"]
    for properties in re.findall(r"<w:tblPr>(.*?)</w:tblPr>", xml(report_word("Title", page()))):
        names = [name for name in re.findall(r"<w:(\w+)", properties) if name in order]
        assert names == sorted(names, key=order.index)


def test_a_table_without_rows_and_a_report_without_sections_are_documents() -> None:
    assert opened(report_word("T", [Section("S", (Table(PLANS.iloc[:0], "None."),))])).tables[0].cell(0, 0).text == "la"


def test_bad_input_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(DataError, match=r"'The line\.' is not a PNG"):
        report_word("T", [Section("S", (Picture(b"x", "A.", "The line."),))])


def test_bad_input_without_python_docx_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "docx"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SwedgeError, match=r"pip install 'swedge\[report\]'"):
        report_word("T", [])
