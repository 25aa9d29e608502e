"""What a plan's TOML means does not hang on how it is laid out, and every key is found at its line."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Iterator
from dataclasses import fields

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from plan.small_toml import SMALL, line_of, written
from swedge.plan.codec import decode, encode
from swedge.plan.lines import Lines
from swedge.plan.plan import Plan
from swedge.plan.reading import read_plan
from swedge.plan.templates import TEMPLATES, template
from swedge.studies import family_safeguarding, simulate_children

# --- Lines ----------------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b-1", "_c", "1", '"d e"', "'f.g'", '"h\\"i"', '"[j]"', '"k = 1"', '"#"'])
VALUES = st.sampled_from(
    [
        "1",
        "-2.5e3",
        "true",
        "2020-01-02",
        "2020-01-02 03:04:05",
        "inf",
        '"text # no comment"',
        '"a = 1"',
        "'[table]'",
        '"""\n[x]\na = 1 # "quoted" \\""" \\\\\n""""',
        "'''\n[y]\n'b' = '2'\n''''",
        '""',
        "[]",
        "[1, [2, 3], # comment ] \n [4],\n]",
        '["a", "]", # "\n\'b\']',
        "{}",
        '{ x = 1, "y z" = [1, { q.r = "}" }] }',
    ]
)


def entries() -> st.SearchStrategy[list[tuple[list[str], str]]]:
    return st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), VALUES), max_size=4)


@given(
    tables=st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=3), st.booleans(), entries()), max_size=4),
    gap=st.sampled_from(["", "\n", "# [no.table]\n\n", "  # a = 1\n"]),
)
def test_every_key_of_a_random_document_is_found_where_it_was_written(tables, gap):
    text, expected = "", []
    count: dict[tuple[str, ...], int] = {}
    for k, (name, several, lines) in enumerate(tables):
        head = (f"list{k % 2}" if several and len(name) == 1 else f"t{k}", *name[1:])  # tables of their own, and two lists of tables
        key = tuple(map(plain, head))
        count[key] = count.get(key, 0) + 1
        path = (*key, str(count[key])) if several else key
        expected.append((path, text.count("\n") + 1))
        text += f"[[{'.'.join(head)}]]\n" if several else f"[ {' . '.join(head)} ] # header\n"
        for number, (parts, value) in enumerate(lines):
            own = (f"e{number}", *parts[1:])
            text += gap
            expected.append(((*path, *map(plain, own)), text.count("\n") + 1))
            text += f"{' . '.join(own)} = {value}\n"
    assert tomllib.loads(text) or not tables
    found = Lines(text)
    assert [(path, found.of(path)) for path, _ in expected] == expected


def test_lists_of_tables_in_lists_of_tables_are_numbered_each_for_itself():
    found = Lines("[[a]]\n[[a.b]]\nx = 1\n[[a.b]]\n[a.c]\n[[a]]\n[[a.b]]\n[a.b.d]\ny = 2\n")
    paths = [("a", "1"), ("a", "1", "b", "1"), ("a", "1", "b", "1", "x"), ("a", "1", "b", "2"), ("a", "1", "c"), ("a", "2")]
    paths += [("a", "2", "b", "1"), ("a", "2", "b", "1", "d"), ("a", "2", "b", "1", "d", "y")]
    assert [found.of(path) for path in paths] == list(range(1, 10))


def plain(key: str) -> str:
    return next(iter(tomllib.loads(f"{key} = 1")))


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_key_of_a_template_stands_in_the_line_found_for_it(name):
    text = template(name)
    lines, found = text.splitlines(), Lines(text)

    def keys(content: object, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if isinstance(content, list):
            for number, value in enumerate(content, 1):
                yield from keys(value, (*path, str(number)))
        elif isinstance(content, dict):
            for key, value in content.items():
                yield (*path, key)
                yield from keys(value, (*path, key))

    paths = list(keys(tomllib.loads(text), ()))
    assert len(paths) > 100
    assert [path for path in paths if path[-1] not in lines[found.of(path) - 1]] == []


def test_a_key_that_is_absent_is_looked_for_at_its_table():
    found = Lines(SMALL)
    assert found.of(("outcomes", "recovered", "window")) == line_of("[outcomes.recovered]")
    assert found.of(("populations", "trio", "where", "1", "column")) == line_of("where =")
    assert found.of(("outcomes", "other", "family")) == line_of("[outcomes.recovered]")
    assert found.of(("comparators",)) == found.of(()) == 1


def test_a_header_counts_more_than_the_first_table_below_it():
    assert Lines("[a.b]\nx = 1\n[a]\ny = 2\n").of(("a",)) == 3


@given(st.text(alphabet="ab.=[]{}\"'\\#,\n 1", max_size=60))
def test_no_text_stops_the_search_for_lines(text):
    found = Lines(text)
    assert 1 <= found.of(("a", "b")) <= text.count("\n") + 1
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = text.split("\n")
    assert all(found.deep or key == "" or key[0] in lines[found.of((key,)) - 1] for key in content)


# --- Reading --------------------------------------------------------------------------------------------------------------


def blocks(text: str) -> list[str]:
    """Top tables with their subtables, after the scalars."""
    parts: dict[str, str] = {}
    current = ""
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            current = line.strip("[]\n").split(".")[0]
        parts[current] = parts.get(current, "") + line
    return list(parts.values())


@given(seed=st.integers(0, 10**6))
def test_the_order_of_parts_means_nothing(tmp_path_factory, seed):
    head, *rest = blocks(SMALL)
    random.Random(seed).shuffle(rest)
    folder = tmp_path_factory.mktemp("plan")
    assert Plan.from_toml(written(folder, "\n".join([head, *rest]))) == Plan.from_toml(written(folder, SMALL, "other.toml"))


def test_a_plan_read_twice_or_under_windows_is_the_same_plan(tmp_path):
    first, again = Plan.from_toml(written(tmp_path)), Plan.from_toml(written(tmp_path))
    windows = Plan.from_toml(written(tmp_path, SMALL.replace("\n", "\r\n"), "windows.toml"))
    assert first == again == windows
    assert read_plan(tmp_path / "plan.toml") == {
        f.name: getattr(first, f.name) for f in fields(first) if f.name in read_plan(tmp_path / "plan.toml")
    }


def test_inline_tables_dotted_keys_and_lists_of_tables_are_one_language(tmp_path):
    other = SMALL.replace('where = [{ column = "trio", among = [1] }]', '[[populations.trio.where]]\ncolumn = "trio"\namong = [1]')
    other = other.replace('correlation = { kind = "NestedExchangeable" }', 'correlation.kind = "NestedExchangeable"')
    other = other.replace("imputations = 5", 'imputations = 5\nkind = "MultipleImputation"')
    assert other != SMALL
    assert Plan.from_toml(written(tmp_path, other)) == Plan.from_toml(written(tmp_path, SMALL, "small.toml"))


def test_what_is_left_out_is_filled_from_the_plan(tmp_path):
    plan = Plan.from_toml(written(tmp_path, SMALL.replace("seed = 3", "seed = 3\nalpha = 0.1\ndate = 2026-11-22")))
    assert plan.test("exact").test == sw.RandomisationTest(level=0.9, seed=3, interval=False)
    assert plan.missing.imputation == sw.MultipleImputation(imputations=5, seed=3)
    assert (plan.date, plan.alpha, plan.version) == ("2026-11-22", 0.1, "1")
    assert plan.estimator("cr2").label == "Cr2"
    assert plan.outcome("recovered").label == "Recovered"
    assert plan.power[0].truth.correlation == sw.Exchangeable(icc=0.01)
    assert plan.allocation is None


def test_what_is_written_counts_more_than_what_is_filled(tmp_path):
    text = SMALL.replace("interval = false", 'interval = false\nseed = 9\nlabel = "By the draw"').replace(
        "imputations = 5", "imputations = 5\nseed = 8"
    )
    plan = Plan.from_toml(written(tmp_path, text))
    assert (plan.test("exact").test.seed, plan.test("exact").label, plan.missing.imputation.seed) == (9, "By the draw", 8)


DATES = """[design]
kind = "dates"
start = 2020-03-01
end = "2022-11-24"
strata = [["Lancashire", "Walsall"], ["Swindon", "Wandsworth", "Telford and Wrekin"]]
[design.go_live]
Walsall = 2020-09-01
Lancashire = 2021-02-01
"Telford and Wrekin" = "2021-06-28"
Wandsworth = 2022-01-24
Swindon = 2022-05-24
"""
DESIGNS = {
    DATES: family_safeguarding().design,
    '[design]\nkind = "stepped_wedge"\nclusters = 12\nperiods = 5\ntransition = 0\n': sw.Design.stepped_wedge(12, 5),
    '[design]\nkind = "matrix"\nrows = [[0, 1, 1], [0, 0.5, 1], [0, nan, 1], ["", 0, 1]]\nclusters_per_sequence = [1, 1, 2, 1]\n': (
        sw.Design.from_matrix([[0, 1, 1], [0, 0.5, 1], [0, None, 1], [None, 0, 1]], clusters_per_sequence=[1, 1, 2, 1])
    ),
    '[design]\nkind = "staircase"\nclusters = 4\ncontrol = 2\n': sw.Design.staircase(4, control=2),
    '[design]\nkind = "parallel"\nclusters = ["A", "B"]\nperiods = 3\nbaseline = 1\n': sw.Design.parallel(["A", "B"], 3, baseline=1),
    '[design]\nkind = "crossover"\nclusters = 4\nwashout = 1\n': sw.Design.crossover(4, washout=1),
    '[design]\nkind = "stepped_wedge"\nclusters = 2\nboundaries = [2020-01-01, 2020-02-01, 2020-03-01, 2020-04-01]\n': (
        sw.Design.stepped_wedge(2, boundaries=["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"])
    ),
}


def with_design(design: str, allocation: str = "") -> str:
    start, end = SMALL.index("[design]"), SMALL.index("[sources")
    return SMALL[:start] + design + allocation + SMALL[end:]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda text: text.split('"')[1])
def test_every_kind_of_design_is_its_constructor(tmp_path, design):
    assert Plan.from_toml(written(tmp_path, with_design(design))).design == DESIGNS[design]


def test_a_constraint_is_read_by_cluster_whatever_the_order(tmp_path):
    balance = "[design.balance]\nkeep = 0.25\nweights = { size = 2.0 }\n"
    balance += "[design.balance.covariates]\nsize = { E = 5, A = 1, B = 2, C = 3, D = 9 }\n"
    text = SMALL.replace("[sources.people]", f"{balance}[sources.people]")
    sizes = pd.DataFrame({"size": [1, 2, 3, 9, 5]}, index=list("ABCDE"))
    expected = sw.Design.stepped_wedge(list("ABCDE"), 6).constrained(sizes, keep=0.25, weights={"size": 2.0})
    assert Plan.from_toml(written(tmp_path, text)).design == expected


# --- Allocation -----------------------------------------------------------------------------------------------------------


def test_the_record_in_the_folder_is_the_plans_allocation(tmp_path):
    path = written(tmp_path)
    allocation = Plan.from_toml(path).design.randomise(seed=4)
    allocation.save(tmp_path / "allocation.json")
    assert Plan.from_toml(path).allocation == allocation


def test_dates_that_were_carried_out_say_which_sequence_each_cluster_has(tmp_path):
    swapped = DATES.replace("Walsall = 2020-09-01", "Walsall = 2021-02-01").replace("Lancashire = 2021-02-01", "Lancashire = 2020-09-01")
    rule = Plan.from_toml(written(tmp_path, with_design(swapped, "[allocation]\ncarried_out = true\n"))).allocation_rule
    assert (rule.carried_out, dict(rule.sequences)["Lancashire"], dict(rule.sequences)["Walsall"]) == (True, 0, 1)


def test_sequences_are_settled_in_the_order_of_the_design(tmp_path):
    given_backwards = "[allocation.sequences]\nE = 0\nD = 1\nC = 2\nB = 3\nA = 4\n"
    text = SMALL.replace("[sources.people]", f"{given_backwards}[sources.people]")
    assert Plan.from_toml(written(tmp_path, text)).allocation_rule.sequences == (("A", 4), ("B", 3), ("C", 2), ("D", 1), ("E", 0))


# --- Templates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_a_plan_and_survives_as_json(tmp_path, name):
    plan = Plan.from_toml(written(tmp_path, template(name)))
    names = [field.name for field in fields(plan) if field.name not in ("design", "allocation")]
    back = {field: decode(json.loads(json.dumps(encode(getattr(plan, field)), allow_nan=False)), (), complete=True) for field in names}
    assert Plan(**back, design=type(plan.design).from_record(plan.design.record())) == plan


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_can_be_locked_and_loaded(tmp_path, name):
    path = written(tmp_path, template(name))
    plan = Plan.from_toml(path)
    rule = plan.allocation_rule
    drawn = plan.design.allocate(dict(rule.sequences)) if rule.sequences else plan.design.randomise(seed=1)
    drawn.save(tmp_path / rule.record)
    plan = Plan.from_toml(path)
    assert plan.lock(tmp_path / "lock.json") == Plan.load(tmp_path / "lock.json").sha256
    assert Plan.load(tmp_path / "lock.json").plan == plan


def test_family_safeguarding_names_columns_that_its_file_has(tmp_path):
    plan = Plan.from_toml(written(tmp_path, template("family_safeguarding")))
    study = family_safeguarding()
    assert plan.design == study.design
    assert plan.design.allocate(dict(plan.allocation_rule.sequences)) == study.allocation
    frame = simulate_children(study, 1)
    assert {column.name for column in plan.columns} <= set(frame.columns)
    assert {outcome.column for outcome in plan.outcomes} <= set(frame.columns)
    for column in plan.columns:
        if column.levels:
            assert set(frame[column.name].dropna()) <= set(column.levels), column.name


def test_family_safeguarding_registers_what_the_trial_did(tmp_path):
    plan = Plan.from_toml(written(tmp_path, template("family_safeguarding")))
    assert [outcome.role for outcome in plan.outcomes] == ["primary", *["secondary"] * 6]
    assert plan.analysis("main").estimators[0] == "cr2"
    assert plan.estimator("registered").estimator == sw.MixedModel(sw.Exchangeable(), df="normal")
    assert plan.outcome("proceedings").without == ("Swindon",)
    assert not set(plan.comparators.clusters) & set(plan.comparators.adopters)


def test_every_key_of_a_plan_is_explained_in_the_blank_template():
    from swedge.plan import specs
    from swedge.plan.reading import KEYS

    text = template("blank")
    assert all(key in text for key in KEYS)
    for kind in (
        specs.Source,
        specs.Column,
        specs.Population,
        specs.Outcome,
        specs.Analysis,
        specs.Missing,
        specs.Multiplicity,
        specs.Comparators,
    ):
        lacking = [field.name for field in fields(kind) if field.name not in ("name", "imputation") and f"{field.name} = " not in text]
        assert not set(lacking) - {"event", "censored", "first_treated", "sd"}, (kind, lacking)


def test_a_template_of_another_name_is_refused():
    with pytest.raises(sw.PlanError, match=r"'blnk' is no template. Did you mean 'blank'\?"):
        template("blnk")
