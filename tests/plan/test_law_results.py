"""What a report shows: every result or its failure, nothing that may not leave, no label that is obeyed."""

from __future__ import annotations

import csv
import html.parser
import io
import re
import zipfile
from collections import Counter
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from report_examples import HOSTILE, hostile_plan, rich_plan, run_of, short_plan, small_people
from swedge._present.page import report_html
from swedge._present.report import Caution, Picture, Points, Results, Section, Table
from swedge._present.tables import format_p
from swedge.plan import specs
from swedge.plan.documents.again import commands
from swedge.plan.documents.outputs import files_of, table_files
from swedge.plan.documents.results import report_sections, report_title, summary_text
from swedge.plan.documents.results_words import limits_in_words
from swedge.plan.report import Report

rich = cache(lambda: run_of(rich_plan()))
hostile = cache(lambda: run_of(hostile_plan()))
few = cache(lambda: run_of(rich_plan(), small_people(rich_plan())))


class Rows(html.parser.HTMLParser):
    """Cells of the rows of a page's tables, and every tag with its attributes."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@cache
def parts(report: Report) -> list[Section]:
    return report_sections(report)


@cache
def files(report: Report) -> dict[str, bytes]:
    return files_of(report)


@cache
def page(report: Report) -> str:
    return report_html(report_title(report), parts(report))


def blocks(report: Report, kind: type) -> list:
    return [block for section in parts(report) for block in section.blocks if isinstance(block, kind)]


def section(report: Report, heading: str) -> Section:
    return next(part for part in parts(report) if part.heading == heading)


def test_every_row_of_the_report_is_in_the_page_or_its_failure_is() -> None:
    report = rich()
    shown = pd.concat([block.frame for block in blocks(report, Results)])
    own = shown[~shown["test"].str.endswith("interval it offers")]
    assert len(own) == len(report.rows)
    assert Counter(format_p(p) for p in own["p_value"]) == Counter(format_p(p) for p in report.rows["p_value"])
    np.testing.assert_array_equal(np.sort(own["estimate"]), np.sort(report.rows["estimate"]))
    cells = [cell for row in Rows(page(report)).rows for cell in row]
    assert {format_p(p) for p in report.rows["p_value"].dropna()} <= set(cells)
    assert sum(cell.startswith("not estimated: failed") for cell in cells) == len(report.failures) == 4
    for message in report.failures["message"].unique():
        assert message in cells


def test_a_p_of_a_bounded_test_never_stands_without_the_smallest_that_it_can_be() -> None:
    for block in blocks(rich(), Results):
        bounded = block.frame["min_p"].astype(float) > 0
        heads = [head.name for head in block.shaped.heads]
        assert not bounded.any() or "Smallest p" in heads
    assert any("p cannot be below .0833" in block.text for block in blocks(rich(), Caution))
    assert all("smallest" in block.caption for block in blocks(rich(), Picture) if "reference distribution" in block.caption)


def test_infinite_intervals_are_words() -> None:
    text = " ".join(next(block for block in section(rich(), "In short").blocks if isinstance(block, Points)).texts)
    assert "unlimited on both sides" in text
    assert not re.search(r"\binf\b|\bnan\b", text)
    assert limits_in_words(0.1, np.inf) == "from 0.1, unlimited above"
    infinite = [any(isinstance(b, Results) and "-inf" in str(b.shaped.groups) for b in part.blocks) for part in parts(rich())]
    tables = [part for part, odd in zip(parts(rich()), infinite, strict=True) if odd]
    assert tables
    assert all(any(isinstance(b, str) and b.startswith("inf stands for no finite limit") for b in part.blocks) for part in tables)


def test_with_release_no_table_holds_a_count_of_one_to_five() -> None:
    report = few()
    assert report.cells["suppressed"].astype(bool).any()
    assert report.flow["suppressed"].astype(bool).any()
    flows = [block.frame for block in blocks(report, Table) if block.caption.endswith("rows left after each step.")]
    counts = [cell for frame in flows for column in frame.columns[1:] for cell in frame[column] if cell != "suppressed"]
    assert counts
    assert not any(1 <= float(str(count).replace(",", "")) <= 5 for count in counts)
    for name, column in (("flow", "rows"), ("cells", "n"), ("results", "n")):
        rows = list(csv.DictReader(io.StringIO(table_files(report)[f"tables/{name}.csv"].decode())))
        assert not any(row[column] and 1 <= float(row[column]) <= 5 for row in rows), name
    told = [text for text in (page(report), summary_text(report)) if re.search(r"(?<![\d,.])(?<!1 to )[1-5] (rows?|individuals?)\b", text)]
    assert not told


def test_a_suppressed_count_cannot_be_read_off_a_total_of_the_same_table_or_diagram() -> None:
    for frame in (block.frame for block in blocks(few(), Table) if block.caption.endswith("rows left after each step.")):
        for column in frame.columns[1:]:
            hidden = frame[column].iloc[:-1].eq("suppressed")
            assert hidden.any() == (frame[column].iloc[-1] == "suppressed")


def test_without_release_every_count_is_there_and_nothing_is_said_about_release() -> None:
    report = run_of(short_plan(), small_people(short_plan()), release=False)
    assert not report.cells["suppressed"].astype(bool).any()
    assert "suppressed" not in {str(cell) for block in blocks(report, Table) for cell in block.frame.to_numpy().ravel()}
    assert "Before release" not in [part.heading for part in parts(report)]


def test_a_run_with_failures_in_every_second_analysis_still_renders() -> None:
    report = rich()
    lost = {name: None for name in ("term", "estimand", "scale")} | {"status": "failed", "message": "FitError: 3 rows are too few."}
    names = ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "min_p", "offered_level", "n")
    numbers = dict.fromkeys(names, np.nan)
    odd = np.arange(len(report.rows)) % 2 == 1
    rows = report.rows.astype(object)
    for name, value in (lost | numbers).items():
        rows[name] = rows[name].mask(odd, value)
    broken = replace(report, rows=rows.infer_objects())
    assert len(broken.failures) > 10
    cells = [cell for row in Rows(page(broken)).rows for cell in row]
    assert sum(cell.startswith("not estimated: failed") for cell in cells) == len(broken.failures)
    assert "FitError: 1 to 5 rows are too few." in cells
    assert "14 of them failed" in summary_text(broken)


def test_a_run_in_which_everything_failed_renders() -> None:
    plan = rich_plan()
    alone = {"cluster": ["A"], "period": [1], "recovered": [np.nan], "never": [0], "score": [1.0], "kind": ["x"]}
    report = run_of(plan, pd.DataFrame(alone))
    assert (report.rows["status"] == "failed").all()
    cells = [cell for row in Rows(page(report)).rows for cell in row]
    assert sum(cell.startswith("not estimated: failed") for cell in cells) == len(report.rows)
    assert "failed" in summary_text(report)


def test_hostile_labels_are_inert_in_every_format() -> None:
    made = files(hostile())
    for name in (name for name in made if name.endswith(".html")):
        tags = Rows(made[name].decode()).tags
        assert not {"script", "iframe", "object", "link"} & {tag for tag, _ in tags}, name
        assert not [key for _, attrs in tags for key in attrs if key.startswith("on")], name
        assert all((attrs.get("href") or "#").startswith("#") for tag, attrs in tags if tag == "a"), name
    for name in (name for name in made if name.endswith(".md")):
        text = made[name].decode()
        assert "<script" not in text, name
        assert "](javascript" not in text.replace("\\]", "").replace("\\[", ""), name
    for name in (name for name in made if name.endswith(".csv")):
        cells = [cell for row in csv.reader(io.StringIO(made[name].decode())) for cell in row]
        texts = [cell for cell in cells if cell[:1] in "=+-@" and not re.fullmatch(r"-?(inf|[\d.e+-]+)", cell)]
        assert not [cell for cell in texts if cell], name
    tex = made["tables/outcome-recovered.tex"].decode()
    assert "\\input" not in tex
    assert "\\frac" not in tex
    for name in ("report.docx", "sap.docx"):
        with zipfile.ZipFile(io.BytesIO(made[name])) as document:
            body = ElementTree.fromstring(document.read("word/document.xml"))
        assert HOSTILE[0].split(" $")[0] in "".join(body.itertext())


def test_hostile_labels_are_printed_as_they_are() -> None:
    text = " ".join(cell for row in Rows(files(hostile())["report.html"].decode()).rows for cell in row)
    for label in HOSTILE:
        assert label in text


def test_a_rehearsal_says_so_in_title_and_captions_and_no_run_does() -> None:
    report = run_of(short_plan(), purpose="rehearsal on simulated data")
    assert report_title(report).startswith("Rehearsal on simulated data: ")
    assert isinstance(parts(report)[0].blocks[0], Caution)
    for kind in (Table, Results, Picture):
        assert all("no result" in block.caption for block in blocks(report, kind))
        assert not any("no result" in block.caption for block in blocks(rich(), kind))
    assert "None of its numbers is a result" in summary_text(report)
    assert "swedge rehearse" in str(section(report, "How to get these numbers again").blocks)
    assert "rehearsal" not in page(rich()).lower()


def test_deviations_and_amendments_are_told_or_their_absence_is() -> None:
    assert len(section(rich(), "Deviations from the plan").blocks[1].frame) == 4
    plan = rich_plan()
    main = replace(plan.analyses[0], estimators=("cr2",), tests=(), outcomes=("recovered",))
    calm = replace(plan, analyses=(main,), outcomes=plan.outcomes[:1], estimators=plan.estimators[:1], tests=(), multiplicity=None)
    report = run_of(calm)
    assert section(report, "Deviations from the plan").blocks[0].startswith("There are none")
    amended = report.locked.amend(replace(calm, alpha=0.1), reason="Too strict", unblinded=True, date="2026-02-01")
    history = section(replace(report, locked=amended), "Deviations from the plan").blocks[-1]
    assert history.frame[["amendment", "date", "unblinding", "reason"]].to_numpy().tolist() == [[1, "2026-02-01", "after", "Too strict"]]


def test_the_adjusted_family_stands_with_the_secondary_outcomes() -> None:
    blocks = section(rich(), "Secondary outcomes").blocks
    table = next(block for block in blocks if isinstance(block, Table) and block.caption.startswith("p of the registered"))
    assert table.frame["outcome"].tolist() == ["Score", "Never happens"]
    assert table.frame["note"].tolist() == ["", "It failed."]


def test_notes_are_told_once_with_whose_they_are() -> None:
    texts = section(rich(), "Notes of the analyses").blocks[0].texts
    assert len({text.rsplit(" [", 1)[0] for text in texts}) == len(texts)
    assert any("more]" in text for text in texts)


def test_commands_name_the_data_and_what_was_left_out() -> None:
    plan = replace(short_plan(), sources=(specs.Source("people", cluster="cluster", period="period", file="my people.csv"),))
    report = run_of(plan, only=("main",), release=False)
    steps = commands(report)
    assert steps[0] == f"swedge verify plan.lock.json --sha256 {report.sha256}"
    assert steps[1] == "swedge run plan.lock.json --data 'my people.csv' --only main --internal --out results"


@pytest.mark.parametrize("heading", ["In short", "The plan", "Flow of clusters and individuals", "Methods", "Versions", "Before release"])
def test_the_report_has_every_part(heading: str) -> None:
    assert section(rich(), heading).blocks


def test_the_summary_of_a_report_is_its_main_results_in_text() -> None:
    text = rich().summary()
    assert rich().sha256 in text
    assert format_p(rich().rows["p_value"].iloc[0]) in text
    assert text.isprintable() or all(char.isprintable() or char == "\n" for char in text)
    assert sw.__version__ in text
