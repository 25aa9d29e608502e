"""Documents of a plan: every item of the guidance, every field of the plan, nothing that a text can turn on."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import pandas as pd
import pytest

import swedge as sw
from plan_edits import edits
from plan_examples import safeguarding_plan, small_plan
from swedge._present.page import report_html
from swedge._present.plain import report_text
from swedge._present.report import Caution, Picture, Points, Table
from swedge.plan import specs
from swedge.plan.documents import sap_design
from swedge.plan.documents.consort import ITEMS, consort_checklist, consort_sections
from swedge.plan.documents.items import FURTHER, SAP_ITEMS, TEXT_KEYS, TEXT_WANTS
from swedge.plan.documents.methods import methods_paragraph
from swedge.plan.documents.sap import sap_coverage, sap_sections
from swedge.plan.documents.shells import shell_frame, shell_sections
from swedge.plan.lock import Amendment

SHA = "ab" * 32
PARTS = {1: "ab", 4: "abc", 6: "abc", 13: "abc", 19: "abcd", 24: "abc", 25: "ab", 26: "abc", 27: "abcdef", 32: "abcd"}
NUMBERS = [f"{number}{part}" for number in range(1, 33) for part in PARTS.get(number, ("",))]
MADE = (
    Amendment(1, "2021-03-01", "A column was renamed.", False, "cd" * 32),
    Amendment(2, "2021-09-01", "A test was added", True, "ef" * 32),
)


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(sap_design.Picture, "of", classmethod(lambda cls, axes, alt, caption: Picture(b"", alt, caption)))
    monkeypatch.setattr(sw.Allocation, "plot", lambda self: None)
    monkeypatch.setattr(sw.Design, "plot", lambda self: None)


def rich_plan(**changes):
    """A plan in which every part of the contract is used."""
    base = safeguarding_plan()
    first, *rest = base.outcomes
    first = replace(first, where=(specs.Condition("trio", (0, 1)),), period="own_period", sd=0.2, unit="share")
    main, models, *others = base.analyses
    models = replace(
        models, part="supplementary", comparators=True, without_clusters=("Swindon",), without_periods=(1, 2), words="Because."
    )
    fields = {
        "outcomes": (
            first,
            *rest,
            specs.Outcome("visits", "Visits", column="visits", family="gaussian", source="ward", size="n", words="Visits.", sd=1.0),
            specs.Outcome("calls", "Calls", column="calls", family="gaussian", role="exploratory", source="ward", individual="person"),
        ),
        "sources": (
            *base.sources,
            specs.Source("ward", cluster="la", period="month", treatment="on", file="ward.csv", first_treated="first", words="Wards."),
        ),
        "columns": (*base.columns, specs.Column("kind", "category", levels=("a", 1), words="The kind", source="ward")),
        "populations": (replace(base.populations[0], words="All of them."), *base.populations[1:]),
        "analyses": (main, models, *others),
        "comparators": specs.Comparators(("Kent", "Essex"), "Statistical neighbours.", ("Luton",)),
        "missing": replace(base.missing, words="At random."),
        "multiplicity": replace(base.multiplicity, test="exact", outcomes=("proceedings",), words="By role."),
        "allocation_rule": specs.AllocationRule(carried_out=True, sequences=(("Walsall", 0),)),
        "texts": (specs.Text("background", "Why."),),
        "power": (
            *base.power,
            specs.PowerBySimulation(
                "sim",
                "Simulated",
                truth=sw.Scenario(
                    family="gaussian", baseline=1.0, effect=0.2, size=20.0, sd=1.0, correlation=sw.NestedExchangeable(0.1, 0.5)
                ),
                estimators=("cr2",),
                tests=("exact",),
                words="Words.",
            ),
        ),
    }
    return replace(base, **(fields | changes))


def plain(plan, **rest):
    return report_text(sap_sections(plan, versions={}, **rest), 10_000)


def said(plan):
    """What the document holds, unlaid."""
    blocks = [block for section in sap_sections(plan, versions={}) for block in section.blocks]
    return [block.frame.to_numpy().tolist() if isinstance(block, Table) else block for block in blocks]


def test_law_the_55_items_of_the_guidance_are_there_once():
    assert [item.number for item in SAP_ITEMS] == NUMBERS
    assert len(NUMBERS) == len({item.key for item in SAP_ITEMS}) == len({item.title for item in SAP_ITEMS}) == 55
    assert all(len(item.wants.split()) <= 12 for item in SAP_ITEMS)


def test_law_text_keys_are_plain_and_closed():
    assert len(TEXT_KEYS) == len(set(TEXT_KEYS)) == 55 + len(FURTHER)
    assert all(key.replace("_", "").isalpha() and key.islower() for key in TEXT_KEYS)
    assert set(TEXT_KEYS) == set(TEXT_WANTS)
    assert {key for entry in ITEMS for key in entry.keys} <= set(TEXT_KEYS)


def test_law_the_document_holds_every_item_once_and_in_order(no_pictures):
    text = plain(safeguarding_plan())
    places = [text.index(f"\n{item.number}. {item.title}") for item in SAP_ITEMS]
    assert places == sorted(places)
    assert all(text.count(f"\n{item.number}. {item.title}") == 1 for item in SAP_ITEMS)


@pytest.mark.parametrize("make", [small_plan, safeguarding_plan, rich_plan])
def test_law_coverage_agrees_with_the_document(no_pictures, make):
    plan = make()
    coverage, text = sap_coverage(plan), plain(plan)
    assert coverage["item"].tolist() == NUMBERS
    for row in coverage[coverage["status"] == "to be written"].itertuples():
        assert all(f"({place})]" in text for place in row.where.split("; "))
    marks = coverage.loc[coverage["status"] == "to be written", "where"].str.split("; ").explode()
    assert text.count("[To be written") == len(marks) + len(FURTHER)


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_law_what_a_person_writes_is_printed_under_its_key(no_pictures, key):
    plan = safeguarding_plan(texts=(specs.Text(key, "Quite a peculiar sentence."),))
    text = plain(plan)
    assert text.count("Quite a peculiar sentence.") == 1
    assert f"(text.{key})]" not in text
    written = sap_coverage(plan).set_index("item")["status"].reindex([item.number for item in SAP_ITEMS if item.key == key])
    assert (written != "to be written").all()


STUCK = {
    "estimators.name": "a name is used throughout the plan, so that changing it in one place contradicts the rest",
    "tests.name": "the same",
    "multiplicity.analysis": "only the main analysis runs its test",
    "multiplicity.estimator": "only it is run there",
    "multiplicity.test": "only it is run there",
    "alpha": "the tests' level belongs to it: see the next test",
    "tests.test.level": "the same",
    "outcomes.event": "a duration has event or censored: see the next test",
    "estimators.estimator.correlation": "it holds nothing but that it is estimated",
    "estimators.estimator.correlation.icc": "the same",
    "estimators.estimator.correlation.iac": "the same",
    "power.truth.family": "another family needs other numbers",
    "power.truth.scale": "a Gaussian outcome has one scale",
    "power.truth.correlation.iac": "simulations draw cross-sections",
    "power.truth.dispersion": "belongs to a share",
    "power.truth.limit": "belongs to a duration",
    "missing.imputation.auxiliary": "only agreed columns: see the test of columns that must be agreed",
    "outcomes.where.0.column": "the same",
    "populations.where.0.column": "the same",
    "power.truth.shocks": "needs dates: the words of a scenario with one are tested by themselves",
}
"""Fields that hold nothing else while the rest of the plan stays as it is."""

LISTED = ("sources", "outcomes", "estimators", "tests", "populations", "analyses", "columns", "power", "texts")


def kind_of_path(path):
    """A path without the name of the entry."""
    first, *rest = path.split(".")
    return ".".join([first, *(rest[1:] if first in LISTED else rest)])


def test_law_every_field_of_a_plan_is_in_the_document(no_pictures):
    plan = rich_plan()
    text, mute, moved, stuck = said(plan), [], set(), set()
    for path, changed in edits(plan):
        if path.split(".")[0] in ("design", "allocation"):
            continue
        (moved if changed else stuck).add(kind_of_path(path))
        mute += [path for other in changed[:1] if said(other) == text]
    assert mute == []
    whole = {path for path in stuck - moved if any(other.startswith(f"{path}.") for other in moved)}
    assert stuck - moved - whole == set(STUCK)


def test_law_columns_that_must_be_agreed_are_in_the_document(no_pictures):
    plan = replace(rich_plan(), columns=())
    text, seen = said(plan), set()
    for path, changed in edits(plan):
        if kind_of_path(path).startswith(("missing.imputation.auxiliary", "outcomes.where.0.column", "populations.where.0.column")):
            seen.add(kind_of_path(path).split(".")[0])
            assert said(changed[0]) != text, path
    assert seen == {"missing", "outcomes", "populations"}


def test_law_sequences_count_from_one_in_documents(no_pictures):
    plan = safeguarding_plan()
    text = plain(plan)
    assert "Walsall and Lancashire share out sequences 1 and 2" in text
    assert "sequence 0" not in text
    assert "sequences 0" not in text
    assert sap_design.carried_out(plan.allocation)["sequence"].tolist() == [k + 1 for k in sorted(plan.allocation.sequence)]
    assert [plan.allocation.sequence[plan.design.clusters.index("Walsall")]] == [0]


def test_law_a_calculation_by_formula_is_called_one_once():
    case = specs.PowerByFormula("formula", "Recovered", effect=0.1, size=9.0, correlation=sw.Exchangeable(0.1), baseline=0.3)
    for label in ("Recovered", "Recovered, by formula"):
        told = sap_design.power_case(small_plan(), replace(case, label=label))
        assert told.startswith("Recovered, by formula: two-sided test, for an effect of 0.1 ")
        assert told.count("formula") == 1


def test_law_what_belongs_together_is_in_the_document_too(no_pictures):
    days = specs.Outcome("days", "Days", column="days", family="duration", role="primary", event="ended", horizon=730.0)
    base = small_plan(outcomes=(days,), tests=(), analyses=(specs.Analysis("main", "Main", estimators=("cr2",)),))
    plans = [
        base,
        replace(base, alpha=0.1),
        replace(base, outcomes=(replace(days, event=None, censored="ended"),)),
        replace(base, outcomes=(replace(days, event="over"),)),
        replace(base, outcomes=(replace(days, horizon=365.0),)),
    ]
    assert len({plain(plan) for plan in plans}) == len(plans)


NAMES = ("A", "B", "C", "D", "E")
PLAIN = sw.Design.stepped_wedge(NAMES, periods=6)
BALANCED = pd.DataFrame({"size": [1, 2, 3, 4, 6]}, index=list(NAMES))
DESIGNS = {
    "clusters": sw.Design.stepped_wedge(("A", "B", "C", "D", "F"), periods=6),
    "rows": replace(PLAIN, rows=((0.0, 0.5, 1.0, 1.0, 1.0, 1.0), *PLAIN.rows[1:])),
    "clusters_per_sequence": sw.Design.stepped_wedge(NAMES, periods=3, clusters_per_sequence=[3, 2]),
    "other counts": sw.Design.stepped_wedge(NAMES, periods=3, clusters_per_sequence=[2, 3]),
    "strata": sw.Design.stepped_wedge(NAMES, periods=6, strata=[["A", "B"], ["C", "D", "E"]]),
    "transition": sw.Design.stepped_wedge(NAMES, periods=7, transition=1),
    "covariate": PLAIN.constrained(BALANCED, keep=0.5),
    "values": PLAIN.constrained(BALANCED.assign(size=[1, 2, 3, 4, 7]), keep=0.5),
    "keep": PLAIN.constrained(BALANCED, keep=0.25),
    "number": PLAIN.constrained(BALANCED, keep=60),
    "weights": PLAIN.constrained(BALANCED.assign(other=[3, 1, 2, 5, 4]), keep=0.5, weights={"size": 1, "other": 2}),
    "other weights": PLAIN.constrained(BALANCED.assign(other=[3, 1, 2, 5, 4]), keep=0.5, weights={"size": 1, "other": 3}),
    "sample": PLAIN.constrained(BALANCED, keep=0.5, sample=50, seed=1),
    "seed": PLAIN.constrained(BALANCED, keep=0.5, sample=50, seed=2),
    "parallel": sw.Design.parallel(6),
    "dates": replace(PLAIN, boundaries=tuple(f"2020-0{k}-01" for k in range(1, 8))),
    "other dates": replace(PLAIN, boundaries=tuple(f"2020-0{k}-02" for k in range(1, 8))),
}


def test_law_every_part_of_a_design_is_in_the_document(no_pictures):
    texts = {name: plain(small_plan(allocation=None, design=design)) for name, design in ({"plain": PLAIN} | DESIGNS).items()}
    assert len(set(texts.values())) == len(texts)


def test_law_allocations_and_their_draws_are_in_the_document(no_pictures):
    made = [PLAIN.randomise(seed=1), PLAIN.randomise(seed=2), PLAIN.allocate(dict(zip(NAMES, (4, 3, 2, 1, 0), strict=True))), None]
    assert len({plain(small_plan(design=PLAIN, allocation=allocation)) for allocation in made}) == len(made)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen |= {tag, *(f"{tag} {name}" for name, value in attrs if name.startswith("on") or (value or "").startswith("javascript:"))}


HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(1)> **b** [x](javascript:alert(1)) {{7*7}} $\\frac{$ {0} %s <!-- "


def hostile_plan():
    base = safeguarding_plan()
    mark = HOSTILE.strip()
    first, *rest = base.outcomes
    return replace(
        base,
        title=mark,
        outcomes=(replace(first, label=mark, words=mark, window=mark), *rest),
        populations=(base.populations[0], replace(base.populations[1], label=mark, words=mark, where=(specs.Condition("trio", (mark,)),))),
        analyses=tuple(replace(entry, label=mark, words=mark) for entry in base.analyses),
        estimators=tuple(replace(entry, label=mark) for entry in base.estimators),
        texts=tuple(specs.Text(key, mark) for key in TEXT_KEYS),
    )


def test_bad_input_texts_are_shown_and_never_obeyed():
    plan = hostile_plan()
    sections = [*sap_sections(plan, SHA), *shell_sections(plan), *consort_sections(plan)]
    page, tags = report_html("t", sections), Tags()
    tags.feed(page)
    assert not {tag for tag in tags.seen if " " in tag}
    assert tags.seen <= {
        "html",
        "meta",
        "title",
        "style",
        "header",
        "h1",
        "h2",
        "nav",
        "ol",
        "ul",
        "li",
        "a",
        "main",
        "section",
        "p",
        "figure",
        "figcaption",
        "div",
        "img",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "caption",
    }
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") > len(TEXT_KEYS)
    assert HOSTILE.strip() in methods_paragraph(plan, SHA)


def test_bad_input_names_that_are_headings_are_names_all_the_same():
    names = ["number", "remark", "cluster", r"$\frac{$"]
    design = sw.Design.stepped_wedge(names, periods=5)
    balanced = design.constrained(pd.DataFrame({"cluster": [1, 2, 3, 5], "weight": [4, 2, 3, 1]}, index=names), keep=0.5)
    for drawn in (design, balanced):
        page = report_html("t", sap_sections(small_plan(design=drawn, allocation=drawn.randomise(seed=1)), SHA))
        assert all(page.count(name) > 2 for name in names)


def test_law_documents_are_the_same_every_time():
    plan = safeguarding_plan()
    assert report_html("t", sap_sections(plan, SHA)) == report_html("t", sap_sections(plan, SHA))
    assert consort_checklist(plan).equals(consort_checklist(plan))


def cautions_of(sections):
    return [block.text for section in sections for block in section.blocks if isinstance(block, Caution)]


def test_law_twelve_allocations_are_said_not_to_reject(no_pictures):
    told = cautions_of(sap_sections(safeguarding_plan(), SHA))
    assert any("cannot give a p below .0833" in text and "91.7%" in text for text in told)
    assert any("Care proceedings: p of this test cannot be below .2500" in text for text in told)
    assert any(text.startswith("Random intercept, z") and "must not be read alone" in text for text in told)
    assert not any("reject" in text for text in cautions_of(sap_sections(small_plan(), SHA)))


def test_law_comparators_are_cautioned(no_pictures):
    assert any("were not randomised" in text for text in cautions_of(sap_sections(rich_plan(), SHA)))


def test_law_observational_panels_are_cautioned_and_have_no_smallest_p(no_pictures):
    plan = rich_plan()
    assert any(text.startswith("ward: an observational panel") for text in cautions_of(sap_sections(plan, SHA)))
    frame = shell_frame(plan, plan.analysis("main")).query("test != 'own'").set_index("outcome")["min_p"]
    assert frame.isna().to_dict() == {outcome.label: outcome.source == "ward" for outcome in plan.outcomes}


def test_law_few_permitted_allocations_are_listed(no_pictures):
    tables = [b for s in sap_sections(safeguarding_plan()) for b in s.blocks if isinstance(b, Table) and "permitted" in b.caption]
    assert len(tables) == 1
    assert len(tables[0].frame) == 12
    assert (tables[0].frame["remark"] == "carried out").sum() == 1
    assert "permitted allocations: the" not in plain(small_plan())


def test_law_the_lock_and_its_amendments_are_told(no_pictures):
    plan = safeguarding_plan()
    assert "Not locked yet" in plain(plan)
    text = report_text(sap_sections(plan, SHA, versions={"numpy": "9.9"}, amendments=MADE), 10_000)
    assert "Not locked yet" not in text
    for told in (SHA, "9.9", "Amendment 1: A column was renamed.", "Amendment 2: after unblinding.", "ef" * 32):
        assert told in text


def fake_report(rows=2):
    statuses = ["ok", "failed"][:rows]
    return SimpleNamespace(
        rows=pd.DataFrame(
            {
                "analysis": ["main", "models"][:rows],
                "part": ["main", "sensitivity"][:rows],
                "outcome": ["looked_after"] * rows,
                "method": ["cr2", "glmm"][:rows],
                "test": [""] * rows,
                "scale": ["logit", None][:rows],
                "status": statuses,
            }
        ),
        baseline=pd.DataFrame({"population": ["all"] * 2, "variable": ["", "age_group"], "n": [10, 6]}).iloc[:rows],
        flow=pd.DataFrame({"cluster": ["A", "B"], "stage": ["rows read"] * 2, "rows": [10, 20]}).iloc[:rows],
        cells=pd.DataFrame({"cluster": ["A", "B"]}).iloc[:rows],
        deviations=pd.DataFrame({"kind": ["x"]}).iloc[:rows],
    )


def test_law_the_checklist_has_26_items_in_40_parts():
    checklist = consort_checklist(safeguarding_plan())
    assert list(checklist.columns) == ["item", "section", "topic", "status", "answer"]
    assert len(checklist) == checklist["item"].nunique() == 40
    assert checklist["item"].str.extract(r"(\d+)")[0].nunique() == 26
    assert checklist["answer"].str.contains("page: __").all()
    assert (checklist["answer"].str.startswith("[To be written") == (checklist["status"] == "to be written")).all()


def test_law_a_report_answers_what_the_plan_could_not():
    plan = safeguarding_plan()
    before, after = (consort_checklist(plan, report).set_index("item") for report in (None, fake_report()))
    changed = after.index[after["status"] == "from the report"].tolist()
    assert changed == ["3b", "13a", "15", "16", "17a", "18"]
    assert after.drop(changed).equals(before.drop(changed))
    assert "2 results" in after.loc["17a", "answer"]
    assert "1 failed" in after.loc["17a", "answer"]
    empty = consort_checklist(plan, fake_report(0)).set_index("item")["status"]
    assert (empty.loc[["13a", "15", "16", "17a", "18"]] == "to be written").all()


def test_law_a_lot_drawn_elsewhere_is_left_to_a_person(no_pictures):
    drawn, carried = small_plan(), safeguarding_plan()
    for plan, status in ((drawn, "from the plan"), (carried, "to be written")):
        assert sap_coverage(plan).set_index("item").loc["10", "status"] == status
        assert consort_checklist(plan).set_index("item").loc["8a", "status"] == status
    assert "seed 1" in consort_checklist(drawn).set_index("item").loc["8a", "answer"]


def test_law_shells_hold_a_row_for_every_result():
    plan = safeguarding_plan()
    main = plan.analysis("main")
    frame = shell_frame(plan, main)
    assert len(frame) == 4 * 2
    assert frame.loc[frame["test"] == "Randomisation test", "min_p"].round(4).tolist() == [0.0833, 0.0833, 0.25, 0.0833]
    assert frame.loc[frame["test"] == "own", "min_p"].isna().all()
    sections = shell_sections(plan)
    assert [section.heading for section in sections] == [f"Table shell: {a.label}" for a in plan.analyses]
    table = sections[0].blocks[0]
    assert isinstance(table, Table)
    assert set(table.frame["p"]) == {""}


def test_law_the_methods_paragraph_names_what_ran():
    plan = rich_plan()
    text = methods_paragraph(plan, SHA, fake_report(), versions={"numpy": "9.9"}, amendments=MADE)
    assert "\n" not in text
    for told in (
        SHA,
        "numpy 9.9",
        "12 allocations",
        "cannot reject at 5%",
        "number 2 on 2021-09-01, after unblinding (A test was added)",
        "Kent and Essex",
    ):
        assert told in text
    assert "Of 2 results 1 failed and is shown in place; 1 deviation from the plan is listed." in text
    assert "not locked" in methods_paragraph(small_plan())
    assert "p values were not adjusted" in methods_paragraph(small_plan(), SHA)


def test_law_a_plan_says_so_when_it_registers_nothing(no_pictures):
    text = plain(small_plan())
    for told in ("No sensitivity analysis is registered.", "No adjustment for several outcomes is registered", "No analysis of subgroups"):
        assert told in text
    assert "the plan's date (date)]" in text


def test_law_points_and_tables_hold_plain_values(no_pictures):
    for section in sap_sections(rich_plan(), SHA):
        for block in section.blocks:
            if isinstance(block, Points):
                assert all(isinstance(text, str) and text for text in block.texts)
            if isinstance(block, Table):
                assert len(block.frame)
                assert block.frame.columns.is_unique
