"""Every file that is made of a report, and those that a plan gives before there are data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from swedge._present.escape import one_line
from swedge._present.results import Shaped, shaped
from swedge._present.results_formats import results_latex, results_markdown
from swedge._present.results_table import results_table
from swedge._present.tables import text_table
from swedge.design import record
from swedge.plan.documents import results_tables as tables
from swedge.plan.documents.consort import Ran, consort_checklist, consort_sections
from swedge.plan.documents.document import Document, Files, Makers, made, plain_style
from swedge.plan.documents.methods import methods_paragraph
from swedge.plan.documents.naming import label_in, of
from swedge.plan.documents.power import power_sections
from swedge.plan.documents.results import methods_of, report_sections, report_title
from swedge.plan.documents.sap import sap_sections
from swedge.plan.documents.shells import shell_sections
from swedge.plan.documents.stamped import csv_file, line, text_file
from swedge.plan.lock import LockedPlan
from swedge.plan.plan import Plan
from swedge.plan.versions import ordered, versions_of

if TYPE_CHECKING:
    from swedge.plan.power import PlannedPower
    from swedge.plan.report import Report

MANIFEST = "manifest.json"
DOCUMENTING = ("matplotlib", "great-tables", "python-docx")
"""Packages that make documents, and take no part in a number."""


def files_of(report: Report) -> Files:
    """Documents, tables and figures of a report by their path; ``manifest.json`` is last, and has the SHA-256 of every other file.

    The same report gives the same bytes wherever it is rendered by the same packages. Word files and the HTML of single tables need
    ``pip install "swedge[report]"``; a file whose package is missing is not written, and ``versions.txt`` says so.

    Parameters
    ----------
    report : Report
    """
    locked = report.locked
    with plain_style():
        whole = Document("report", report_title(report), report_sections(report), report.sha256, locked.plan.date)
        sap = _sap(locked.plan, report.sha256, locked)
        files, lost = made({**whole.makers, **sap.makers, **_publications(report)})
    own = {
        **files,
        **whole.pictures,
        **sap.pictures,
        **table_files(report),
        **_checklists(locked.plan, report.sha256, report),
        "methods.txt": text_file(f"{report_title(report)}\n\n{methods_of(report)}", report.sha256),
        "versions.txt": text_file(_versions(tables.versions_table(report), lost), report.sha256),
    }
    return _with_manifest(own, report.sha256, report.files())


def table_files(report: Report) -> Files:
    """The report's tables as CSV with every digit: what can be written without any document."""
    results = _released(report, report.rows)
    results["n"] = [tables.shown_count(report, n) for n in results["n"]]
    others = ("adjusted", "deviations", "flow", "baseline", "cells")
    frames = {"results": results, **{name: _released(report, getattr(report, name)) for name in others}}
    frames |= {stem: of(results, outcome=outcome) for outcome, stem in _stems(report).items()}
    return {f"tables/{name}.csv": csv_file(_with_purpose(frame, report), report.sha256) for name, frame in frames.items()}


def _with_purpose(frame: pd.DataFrame, report: Report) -> pd.DataFrame:
    """A table of what is no result says so in a column."""
    return frame.assign(purpose=report.purpose) if report.purpose else frame


def _released(report: Report, frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it may leave, its numbers as floats: so they are after a report was saved and loaded."""
    told = tables.releasable(report, frame)
    numbers = [name for name, column in told.items() if is_numeric_dtype(column) and not is_bool_dtype(column)]
    return told.astype(dict.fromkeys(numbers, float))


def _stems(report: Report) -> dict[str, str]:
    """File names of outcomes, which are no other table's."""
    return {name: f"outcome-{name}" for name in report.rows["outcome"].unique()}


def _publications(report: Report) -> Makers:
    """Publication tables of every outcome: LaTeX, Markdown and HTML."""
    found: dict[str, Makers] = {}
    for outcome, stem in _stems(report).items():
        frame = tables.publication(report, of(report.rows, outcome=outcome))
        title = label_in(report.locked.plan, "outcomes", outcome) + (f" ({report.purpose}: no result)" if report.purpose else "")
        found[stem] = _publication(f"tables/{stem}", frame, shaped(frame), title, line(report.sha256))
    return {path: make for makers in found.values() for path, make in makers.items()}


def _publication(path: str, frame: pd.DataFrame, table: Shaped, title: str, note: str) -> Makers:
    return {
        f"{path}.tex": lambda: f"{results_latex(table, title, note)}\n".encode(),
        f"{path}.md": lambda: f"{results_markdown(table)}\n\n{note}\n".encode(),
        f"{path}.html": lambda: results_table(frame, title, note=note).as_raw_html(make_page=True).encode(),
    }


def plan_files(planned: LockedPlan | Plan, power: PlannedPower | None = None) -> Files:
    """What exists before data: analysis plan, power section (if its power is given), table shells, checklist, paragraph of methods.

    Parameters
    ----------
    planned : LockedPlan or Plan
        A plan that is not locked has no hash, and every file says so.
    power : PlannedPower, optional
    """
    locked = planned if isinstance(planned, LockedPlan) else None
    plan, sha256 = (planned.plan, planned.sha256) if isinstance(planned, LockedPlan) else (planned, "")
    versions, amendments = (ordered(locked.versions), locked.amendments) if locked else (versions_of(), ())
    with plain_style():
        documents = [_sap(plan, sha256, locked), *([] if power is None else [_power(plan, sha256, power)])]
        files, lost = made({path: make for document in documents for path, make in document.makers.items()})
    used = pd.DataFrame({"package": list(versions), "version": list(versions.values())})
    own = {
        **files,
        **{path: png for document in documents for path, png in document.pictures.items()},
        **_checklists(plan, sha256),
        "methods.txt": text_file(methods_paragraph(plan, sha256, versions=versions, amendments=amendments), sha256),
        "versions.txt": text_file(_versions(used, lost), sha256),
    }
    return _with_manifest(own, sha256, {})


def _sap(plan: Plan, sha256: str, locked: LockedPlan | None) -> Document:
    known = {} if locked is None else {"versions": ordered(locked.versions), "amendments": locked.amendments}
    title = f"Statistical analysis plan: {one_line(plan.title)}"
    return Document("sap", title, sap_sections(plan, sha256, **known), sha256, plan.date, "figures/sap")  # type: ignore[arg-type]


def _power(plan: Plan, sha256: str, power: PlannedPower) -> Document:
    title = f"Sample size and power: {one_line(plan.title)}"
    return Document("power", title, power_sections(plan, power), sha256, plan.date, "figures/power")


def _checklists(plan: Plan, sha256: str, report: Ran | None = None) -> Files:
    """Table shells and the CONSORT checklist."""
    checklist = Document("consort", f"CONSORT checklist: {one_line(plan.title)}", consort_sections(plan, report), sha256)
    shells = Document("shells", f"Table shells: {one_line(plan.title)}", shell_sections(plan), sha256)
    table = csv_file(consort_checklist(plan, report), sha256)
    return {"shells.md": shells.markdown, "consort.md": checklist.markdown, "consort.csv": table}


def _versions(used: pd.DataFrame, lost: Sequence[str]) -> str:
    """Versions of everything, and what was not written."""
    documents = versions_of(DOCUMENTING)
    drawn = pd.DataFrame({"package": list(documents), "version": list(documents.values())})
    parts = ["Packages that take part in the numbers", text_table(used), "Packages that make the documents", text_table(drawn)]
    return "\n\n".join([*parts, *(["Not written", *lost] if lost else [])])


def _with_manifest(files: Mapping[str, bytes], sha256: str, beside: Mapping[str, bytes]) -> Files:
    """The files, and the hash of each and of those beside them."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in {**beside, **files}.items()}
    return {**files, MANIFEST: record.text({"plan_sha256": sha256, "files": digests})}
