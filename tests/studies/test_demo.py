from __future__ import annotations

import html.parser
import re
from pathlib import Path

import pandas as pd
import pytest

from swedge._present.report import Caution, Points, Table
from swedge._present.words import joined
from swedge.design import Allocation
from swedge.errors import DataError, PlanError
from swedge.studies import family_safeguarding, read_children
from swedge.studies.demo import Demo, run_demo
from swedge.studies.demo.prose import say
from swedge.studies.demo.words import interval, p_in_words

PANEL = "data/dfe/la_year_panel.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return run_demo(tmp_path_factory.mktemp("demo"), reps=250, seed=0, progress=False)


@pytest.fixture(scope="module")
def page(made: Demo) -> str:
    return made.report.read_text("utf-8")


@pytest.fixture(scope="module")
def text(made: Demo) -> str:
    return plain(made)


def plain(made: Demo) -> str:
    """The text for a terminal as one line, without the marks of its blocks."""
    return " ".join(re.sub(r"^[!*] ", "", made.text(), flags=re.MULTILINE).split())


def table(made: Demo, caption: str) -> pd.DataFrame:
    """The table whose caption holds these words."""
    blocks = [block for section in made.sections for block in section.blocks]
    return next(block.frame for block in blocks if isinstance(block, Table) and caption in block.caption)


def shown(markup: str) -> str:
    """What a reader sees of a page."""
    found: list[str] = []
    parser = html.parser.HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]  # a parser of one line
    parser.feed(markup)
    return " ".join(" ".join(found).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_report_has_every_picture_with_its_words(page: str) -> None:
    alts = re.findall(r'<img alt="([^"]+)" src="data:image/png;base64,', page)
    assert len(alts) == 6
    for words in ("area grows", "rejection rate", "open markers", "intervals, one a row", "permitted allocations", "weight of each cell"):
        assert any(words in alt for alt in alts), words


def test_the_terminal_gets_the_facts_of_the_report(made: Demo, text: str, page: str) -> None:
    seen = shown(page)
    blocks = [block for section in made.sections for block in section.blocks]
    sentences = [sentence for block in blocks if isinstance(block, Points) for sentence in block.texts]
    sentences += [getattr(block, "text", block) for block in blocks if isinstance(block, str | Caution)]
    assert len(sentences) > 20
    assert not [sentence for sentence in sentences if sentence not in seen]
    assert not [sentence for sentence in sentences if sentence.removeprefix("Caution: ") not in text]
    for fact in ("p = 0.083", "2! x 3! = 12 allocations, not 5! = 120", "91.7%", "none of them exists"):
        assert fact in text


def test_the_twelve_allocations_are_listed_with_the_one_carried_out(made: Demo) -> None:
    rows = table(made, "permitted allocations")
    steps = rows.filter(like="step").apply(tuple, axis=1)
    assert len(set(steps)) == len(rows) == 12
    own = rows.loc[rows["remark"].str.contains("carried out")].filter(like="step")
    assert own.to_numpy().tolist() == [["Walsall", "Lancashire", "Telford and Wrekin", "Wandsworth", "Swindon"]]
    assert rows["remark"].str.contains("drawn here").sum() == 1


def test_the_record_verifies_and_one_changed_byte_is_refused(made: Demo, tmp_path: Path) -> None:
    assert Allocation.load(made.record).design == family_safeguarding().design
    forged = tmp_path / "forged.json"
    forged.write_bytes(made.record.read_bytes().replace(b'"seed":0', b'"seed":1'))
    with pytest.raises(PlanError):
        Allocation.load(forged)


def test_the_exact_test_is_said_to_be_unable_to_reject(text: str) -> None:
    assert "can never reach 5%" in text
    assert "The exact test never rejects at 5%" in text
    assert "Its 95% interval is infinite" in text
    assert "The 91.7% interval is an odds ratio of" in text


def test_the_model_z_is_shown_as_a_warning(text: str) -> None:
    assert re.search(r"The model's own z test rejects \d+\.\d% of trials in which there is no effect", text)
    assert "not power but the same excess" in text


def test_the_children_are_a_csv_with_covariates_and_no_small_count_is_printed(made: Demo) -> None:
    children = read_children(made.children)
    assert {"age_group", "gender", "ethnicity", "disability", "previous_plans", "uasc"} <= set(children.columns)
    counts = table(made, "how many had")
    numbers = pd.to_numeric(counts.drop(columns="authority").stack(), errors="coerce").dropna()
    assert not numbers.between(1, 5).any()
    assert "suppress a second count" in made.text().replace("\n", " ")


def test_every_analysis_of_the_issue_is_there(text: str) -> None:
    for words in (
        "CR2, adjusted",
        "overdispersed, adjusted",
        "exact test, 12 allocations",
        "Linear mixed model with fixed period effects and random cluster and cluster-by-period effects",
        "Kenward-Roger degrees of freedom",
        "re-referral within 12 months",
        "care proceedings within 16 weeks",
        "Two-way fixed effects regression",
    ):
        assert words in text, words


def test_the_report_opens_with_what_matters(made: Demo) -> None:
    assert made.sections[0].heading == "In short"
    assert "cannot reject at 5%" in made.text().split("2. The schedule")[0].replace("\n  ", " ")


def test_without_a_panel_the_demo_says_what_was_left_out(text: str) -> None:
    assert "give the panel with --panel FILE" in text


def test_same_seed_same_report_and_another_folder(made: Demo, tmp_path: Path) -> None:
    again = run_demo(tmp_path / "deep" / "folder", reps=250, seed=0, progress=False)
    assert again.report.read_bytes() == made.report.read_bytes()
    assert again.children.read_bytes() == made.children.read_bytes()


def test_the_real_panel_gives_three_estimates_with_both_kinds_of_inference(shared: Path, tmp_path: Path) -> None:
    made = run_demo(tmp_path, panel=shared / PANEL, reps=10, progress=False)
    rows = table(made, "Real panel")
    assert len(rows) == 3
    assert rows[["difference", "p, CR2", "p, placebo"]].notna().all(axis=None)
    text = plain(made)
    assert "may hold authorities that adopted the programme without being named" in text
    assert "Only the ORDER of the five was drawn by lot" in text
    assert made.report.read_text("utf-8").count("<img ") == 8


def test_neighbours_without_a_panel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--panel FILE"):
        run_demo(tmp_path, neighbours=tmp_path / "n.csv")


def test_a_panel_without_neighbours_is_refused_with_directions(tmp_path: Path) -> None:
    (tmp_path / "panel.csv").write_text("la_code,la_name,year\n")
    with pytest.raises(DataError, match=r"beside panel\.csv\. Name it with --neighbours"):
        run_demo(tmp_path, panel=tmp_path / "panel.csv", reps=1, progress=False)


def test_a_panel_that_is_no_table_is_refused(tmp_path: Path) -> None:
    for name in ("panel.csv", "statistical_neighbours.csv"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not a table in CSV"):
        run_demo(tmp_path, panel=tmp_path / "panel.csv", reps=1, progress=False)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be made"):
        run_demo(tmp_path / "file" / "folder")


def test_words() -> None:
    assert interval([0, float("inf")]) == "0 to inf"
    assert p_in_words(0.00002) == "p < .001"
    assert joined([]) == ""
    assert say("{n:,}\n  children", n=1234) == "1,234 children"
