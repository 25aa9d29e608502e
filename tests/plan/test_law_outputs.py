"""Files of a report and of a plan: the same bytes everywhere, each with the plan's hash, and all of them in the manifest."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

import swedge as sw
from plan_examples import safeguarding_plan
from report_examples import people, run_of, short_plan, small_people
from swedge.errors import SwedgeError
from swedge.plan.documents import outputs
from swedge.plan.documents.document import made
from swedge.plan.documents.outputs import MANIFEST, files_of, plan_files, table_files
from swedge.plan.lock import LockedPlan
from swedge.plan.power import plan_power
from swedge.plan.report import Report
from swedge.plan.verifying import verified
from swedge.plan.versions import versions_of

few = cache(lambda: run_of(short_plan(), small_people(short_plan()), purpose="rehearsal on simulated data"))
written = cache(lambda: files_of(few()))

RENDER = """
import hashlib, json, locale, sys
from swedge.plan.report import Report
from swedge.plan.documents.outputs import files_of, plan_files
report = Report.load(sys.argv[1])
try:
    locale.setlocale(locale.LC_ALL, "")
except locale.Error:
    pass
files = {**files_of(report), **{f"plan/{name}": data for name, data in plan_files(report.locked).items()}}
print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in files.items()}))
"""


def rendered(folder: Path, home: Path, **environment: str) -> dict[str, str]:
    """Digests of all files, made in a process of its own from a saved report."""
    home.mkdir()
    (home / "matplotlibrc").write_text("font.size: 20\nsavefig.facecolor: red\ntext.usetex: False\n" if "TZ" in environment else "")
    places = {"PATH": os.environ["PATH"], "HOME": str(home), "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1"}
    made = subprocess.run(
        [sys.executable, "-c", RENDER, str(folder)], cwd=home, env=places | environment, capture_output=True, text=True, check=True
    )
    return json.loads(made.stdout)


def test_two_processes_on_different_machines_give_the_same_bytes(tmp_path: Path) -> None:
    saved = few().save(tmp_path / "saved").parent
    first = rendered(saved, tmp_path / "one", PYTHONHASHSEED="1", LC_ALL="C")
    second = rendered(saved, tmp_path / "two", PYTHONHASHSEED="77", LC_ALL="C.UTF-8", TZ="Pacific/Auckland", PYTHONUTF8="1")
    assert first == second
    assert {name: hashlib.sha256(data).hexdigest() for name, data in written().items()}.items() <= first.items()


def test_a_report_saved_loaded_and_saved_again_has_the_same_bytes(tmp_path: Path) -> None:
    few().save(tmp_path / "first")
    Report.load(tmp_path / "first").save(tmp_path / "second")
    for path in (path for path in (tmp_path / "first").rglob("*") if path.is_file()):
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes(), path.name


def test_a_report_without_a_test_is_the_same_after_loading(tmp_path: Path) -> None:
    plan = short_plan()
    report = run_of(replace(plan, analyses=(replace(plan.analyses[0], tests=()),), tests=()), people(plan))
    report.save_results(tmp_path / "saved")
    assert table_files(Report.load(tmp_path / "saved")) == table_files(report)


def test_the_manifest_is_last_and_names_every_file_with_its_hash(tmp_path: Path) -> None:
    files = {**few().files(), **written()}
    assert list(written())[-1] == MANIFEST
    listed = json.loads(files[MANIFEST])
    assert listed["plan_sha256"] == few().sha256
    assert listed["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != MANIFEST}
    folder = few().save(tmp_path / "report").parent
    assert verified(folder)["sha256"] == few().sha256
    (folder / "figures" / next(path.name for path in (folder / "figures").glob("*.png"))).write_bytes(b"")
    with pytest.raises(SwedgeError, match="1 file is not as it was written"):
        verified(folder)


def test_every_file_that_was_asked_for_is_there() -> None:
    names = set(written())
    documents = {f"{name}.{kind}" for name in ("report", "sap") for kind in ("html", "md", "docx")}
    tables = {f"tables/{name}.csv" for name in ("results", "adjusted", "deviations", "flow", "baseline", "cells")}
    outcomes = {f"tables/outcome-recovered.{kind}" for kind in ("csv", "tex", "html", "md")}
    others = {"shells.md", "consort.md", "consort.csv", "methods.txt", "versions.txt", MANIFEST}
    assert documents | tables | outcomes | others == {name for name in names if not name.startswith("figures/")}
    assert len([name for name in names if name.startswith("figures/") and name.endswith(".png")]) > 7


def description(png: bytes) -> str:
    """The text that a picture carries."""
    place = 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        if kind == b"tEXt" and png[place + 8 :].startswith(b"Description\0"):
            return png[place + 8 + 12 : place + 8 + length].decode("latin-1")
        place += 12 + length
    return ""


def test_every_file_carries_the_plans_hash() -> None:
    sha256 = few().sha256
    for name, data in written().items():
        if name.endswith(".docx"):
            with zipfile.ZipFile(io.BytesIO(data)) as document:
                assert sha256 in "".join(document.read(part).decode() for part in document.namelist() if "footer" in part), name
        elif name.endswith(".png"):
            assert sha256 in description(data), name
        elif name.endswith(".csv"):
            rows = list(csv.DictReader(io.StringIO(data.decode())))
            assert {row["plan_sha256"] for row in rows} <= {sha256}, name
            assert b"plan_sha256" in data, name
        else:
            assert sha256 in data.decode(), name


def test_pictures_with_a_description_are_still_pictures() -> None:
    image = pytest.importorskip("PIL.Image")
    for name in (name for name in written() if name.endswith(".png")):
        with image.open(io.BytesIO(written()[name])) as picture:
            picture.load()
            assert few().sha256 in picture.text["Description"]


def test_links_of_the_markdown_lead_to_pictures_that_are_there() -> None:
    for name in ("report.md", "sap.md"):
        links = [part.split(")")[0] for part in written()[name].decode().split("](")[1:]]
        assert links
        assert set(links) <= set(written())


def test_the_csv_of_results_holds_every_digit() -> None:
    rows = list(csv.DictReader(io.StringIO(written()["tables/results.csv"].decode())))
    found = [float(row["estimate"]) for row in rows if row["estimate"]]
    assert found == few().rows["estimate"].dropna().tolist()
    assert {row["purpose"] for row in rows} == {"rehearsal on simulated data"}
    assert "purpose" not in table_files(run_of(short_plan(), only=("kind",)))["tables/results.csv"].decode().splitlines()[0]


def test_an_outcome_called_like_a_table_has_files_of_its_own() -> None:
    plan = short_plan()
    called = replace(plan.outcomes[0], name="flow", role="secondary")
    main = replace(plan.analyses[0], outcomes=("flow",), tests=())
    tables = table_files(run_of(replace(plan, outcomes=(*plan.outcomes, called), analyses=(main,), tests=())))
    assert tables["tables/flow.csv"] != tables["tables/outcome-flow.csv"]


def test_without_an_optional_package_the_rest_is_written_and_the_gap_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    report = run_of(short_plan(), only=("kind",))
    monkeypatch.setitem(sys.modules, "docx", None)
    monkeypatch.setitem(sys.modules, "great_tables", None)
    files = files_of(report)
    assert not [name for name in files if name.endswith(".docx") or (name.endswith(".html") and name.startswith("tables/"))]
    assert {"report.html", "report.md", "tables/outcome-recovered.tex", "sap.html"} <= set(files)
    told = files["versions.txt"].decode()
    for name in ("report.docx", "sap.docx", "tables/outcome-recovered.html"):
        assert f"{name} was not written." in told
    assert "pip install 'swedge[report]'" in told


def test_bad_input_of_a_document_is_not_taken_for_a_missing_package() -> None:
    def broken() -> bytes:
        raise SwedgeError("No rows.")

    with pytest.raises(SwedgeError, match="No rows"):
        made({"x.html": broken})


def test_before_data_a_plan_gives_what_its_protocol_needs() -> None:
    plan = safeguarding_plan()
    power = plan_power(plan, progress=False)
    locked = LockedPlan(plan, versions_of())
    files = plan_files(locked, power)
    assert {f"{name}.{kind}" for name in ("sap", "power") for kind in ("html", "md", "docx")} <= set(files)
    assert {"shells.md", "consort.md", "consort.csv", "methods.txt", "versions.txt"} <= set(files)
    assert all(locked.sha256 in files[name].decode() for name in files if name.endswith((".md", ".html", ".txt", ".csv", ".json")))
    assert any(name.startswith("figures/power/") for name in files)


def test_the_files_of_a_plan_that_is_not_locked_say_so() -> None:
    files = plan_files(short_plan())
    assert "power.html" not in files
    assert "The plan is not locked" in files["sap.md"].decode()
    assert "The plan is not locked" in files["versions.txt"].decode()
    assert json.loads(files[MANIFEST])["plan_sha256"] == ""


def test_versions_name_what_ran_and_what_drew() -> None:
    told = written()["versions.txt"].decode()
    for name in (*versions_of(), *outputs.DOCUMENTING):
        assert name in told
    assert sw.__version__ in told
