"""What is wrong with a plan's TOML is refused with its line, and what is malicious in it never runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import swedge as sw
from plan.small_toml import SMALL, line_of, written
from swedge.errors import PlanError
from swedge.plan.codec import decode, encode
from swedge.plan.plan import Plan
from swedge.plan.reading import read_plan
from swedge.plan.safe_paths import inside
from swedge.plan.templates import template

TRIO = SMALL[SMALL.index('holds = "category"') : SMALL.index("[outcomes.recovered]")]
MAIN = '[analyses.main]\nestimators = ["cr2"]'
DATED = '[design]\nkind = "dates"\nstart = 2020-01-01\nend = 2021-12-31\ngo_live = { A = 2020-06-01, B = 2020-09-01 }\n'
DESIGN = SMALL[SMALL.index("[design]") : SMALL.index("[sources")]
PEOPLE = "[sources.people]"
LASTING = 'family = "duration"\nrole = "primary"\nevent = "ended"'
SECOND = '[outcomes.days]\ncolumn = "days"\nfamily = "poisson"\n'
BY_FORMULA = (
    '[power.formula]\nkind = "PowerByFormula"\nfamily = "binomial"\neffect = 0.1\nsize = 10\n'
    'correlation = { kind = "Exchangeable", icc = 0.01 }'
)


def changed(*pairs: tuple[str, str]) -> str:
    text = SMALL
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(written(folder, text))
    assert type(caught.value) is PlanError
    return str(caught.value)


def rows_of(part: str, text: str) -> range:
    """Lines in which a part of a text stands."""
    first = line_of(part, text)
    return range(first, first + part.count("\n") + 1)


UNKNOWN = [
    ("seed = 3", "sede = 3", "sede", "Did you mean 'seed'?"),
    ("[sources.people]", "[source.people]", "source", "Did you mean 'sources'?"),
    ("periods = 6", "period = 6", "design.period", "Did you mean 'periods'?"),
    ('kind = "stepped_wedge"', 'kind = "stepwedge"', "design.kind", "Did you mean 'stepped_wedge'?"),
    ('cluster = "cluster"', 'clusters = "cluster"', "sources.people.clusters", "Did you mean 'cluster'?"),
    ('holds = "number"', 'hold = "number"', "columns.age.hold", "Did you mean 'holds'?"),
    ('holds = "number"', 'holds = "numbers"', "columns.age.holds", "Did you mean 'number'?"),
    ("where = [{ column", "where = [{ colum", "populations.trio.where.1.colum", "Did you mean 'column'?"),
    ("covariates =", "covariate =", "outcomes.recovered.covariate", "Did you mean 'covariates'?"),
    ('family = "binomial"\nrole', 'family = "binominal"\nrole', "outcomes.recovered.family", "Did you mean 'binomial'?"),
    ('role = "primary"', 'role = "primry"', "outcomes.recovered.role", "Did you mean 'primary'?"),
    ('kind = "FixedEffects"', 'kind = "FixedEffect"', "estimators.cr2.kind", "Did you mean 'FixedEffects'?"),
    ('kind = "FixedEffects"', 'kind = "FixedEffects"\nvcvo = "CR2"', "estimators.cr2.vcvo", "Did you mean 'vcov'?"),
    ('"NestedExchangeable"', '"NestedExchangable"', "estimators.mixed.correlation.kind", "Did you mean 'NestedExchangeable'?"),
    ('kind = "RandomisationTest"', 'kind = "RandomizationTest"', "tests.exact.kind", "Did you mean 'RandomisationTest'?"),
    ("interval = false", "intervall = false", "tests.exact.intervall", "Did you mean 'interval'?"),
    ('tests = ["exact"]', 'test = ["exact"]', "analyses.main.test", "Did you mean 'tests'?"),
    ('tests = ["exact"]', 'tests = ["exat"]', "analyses.main.tests", "Did you mean 'exact'?"),
    ('estimators = ["cr2"]\ntests', 'estimators = ["cr3"]\ntests', "analyses.main.estimators", "Did you mean 'cr2'?"),
    ("imputations = 5", "imputation = 5", "missing.imputation.imputation", "Did you mean 'imputations'?"),
    ("[missing.imputation]", "[missing.imputations]", "missing.imputations", "Did you mean 'imputation'?"),
    ('method = "holm"', 'method = "hochbrg"', "multiplicity.method", "Did you mean 'hochberg'?"),
    ('kind = "PowerBySimulation"', 'kind = "PowerBySimulaton"', "power.simulated.kind", "Did you mean 'PowerBySimulation'?"),
    ("baseline = 0.1", "baselin = 0.1", "power.simulated.truth.baselin", "Did you mean 'baseline'?"),
    ("icc = 0.01", "iccc = 0.01", "power.simulated.truth.correlation.iccc", "Did you mean 'icc'?"),
    ("background =", "backgruond =", "text.backgruond", "Did you mean 'background'?"),
    ('covariates = "age"', 'covariates = "aeg"', "outcomes.recovered.covariates", "Did you mean 'age'?"),
]


@pytest.mark.parametrize(("old", "new", "where", "said"), UNKNOWN, ids=[case[1] for case in UNKNOWN])
def test_an_unknown_name_is_refused_at_every_level_with_its_line_and_the_nearest(tmp_path, old, new, where, said):
    text = changed((old, new))
    found = refusal(tmp_path, text)
    key = where.split(".")[-1]
    line = max(number for number, row in enumerate(text.splitlines(), 1) if key in row and number in rows_of(new, text))
    assert found.startswith(f"plan.toml, line {line}, {where}: "), found
    assert said in found


WRONG = [
    ("seed = 3", 'seed = "3"', "seed", "expected a whole number"),
    ("seed = 3", "seed = -3", "seed", "must be 0 or more"),
    ("seed = 3", "seed = true", "seed", "expected a whole number"),
    ("seed = 3", "seed = 36893488147419103232", "seed", "more than 64 bits"),
    ("seed = 3", 'alpha = "5%"', "alpha", "expected a number"),
    ("seed = 3", "alpha = 0.95", "alpha", "such as 0.05"),
    ("seed = 3", "alpha = nan", "alpha", "nan is no number"),
    ("seed = 3", "version = 1.0", "version", "expected text"),
    ("seed = 3", "date = 2026-11-22T10:00:00", "date", "expected text"),
    ("seed = 3", 'date = "22.11.2026"', "date", "expected year-month-day"),
    ('title = "A small trial"', "title = 1", "title", "expected text"),
    ('title = "A small trial"', 'title = "=1+1"', "title", "run as a formula"),
    ("periods = 6", "periods = 6.5", "design.periods", "not a whole number"),
    ("periods = 6", "periods = 1000000000", "design.periods", "at most 1,000"),
    ('clusters = ["A", "B", "C", "D", "E"]', "clusters = 1000000000", "design.clusters", "at most 1,000"),
    ('clusters = ["A", "B", "C", "D", "E"]', 'clusters = ["A", "B", "C", "D", "d"]', "design", "more than capitals"),
    ("periods = 6", 'periods = 6\nstrata = [["A"], ["B", "C", "D", "X"]]', "design.strata", "'X' is not a cluster"),
    ("periods = 6", "periods = 6\nbalance = 1", "design.balance", "is no table"),
    ('file = "people.csv"', "file = 1", "sources.people.file", "expected text or nothing"),
    ('holds = "number"', 'holds = "number"\nlevels = [1]', "columns.age.levels", "has levels"),
    ("among = [1]", "among = 1", "populations.trio.where.1.among", "expected a list"),
    ("among = [1]", "among = []", "populations.trio.where.1", "lists no value"),
    ('where = [{ column = "trio", among = [1] }]', 'where = "trio == 1"', "populations.trio.where", "expected a list"),
    ('column = "recovered"', "column = 3", "outcomes.recovered.column", "expected text"),
    ('column = "recovered"', 'label = "R"', "outcomes.recovered", "needs column"),
    ('role = "primary"', 'role = "secondary"', "outcomes", 'role = "primary"'),
    ('role = "primary"', 'role = "primary"\nhorizon = 3', "outcomes.recovered.horizon", 'family = "duration"'),
    ('role = "primary"', 'role = "primary"\ndate = "d"\nperiod = "p"', "outcomes.recovered.date", "Keep one"),
    ('role = "primary"', 'role = "primary"\nsource = "peple"', "outcomes.recovered.source", "Did you mean 'people'?"),
    ('role = "primary"', 'role = "primary"\nwithout = ["F"]', "outcomes.recovered.without", "no cluster of the trial"),
    ('covariates = "age"', 'covariates = "recovered"', "outcomes.recovered.covariates", "agreed columns"),
    ('kind = "FixedEffects"', 'kind = "FixedEffects"\nvcov = 2', "estimators.cr2.vcov", "expected text"),
    ('kind = "FixedEffects"', "kind = 1", "estimators.cr2.kind", "no kind of estimators"),
    ('kind = "FixedEffects"', 'vcov = "CR2"', "estimators.cr2", "There is no kind"),
    ('kind = "FixedEffects"', 'kind = "FixedEffects"\nlabel = 3', "estimators.cr2.label", "expected text"),
    ('kind = "FixedEffects"', 'kind = "RandomisationTest"', "estimators.cr2.kind", "no kind of estimators"),
    ('kind = "RandomisationTest"', 'kind = "FixedEffects"', "tests.exact.kind", "no kind of tests"),
    ('{ kind = "NestedExchangeable" }', '{ kind = "Constant" }', "estimators.mixed.correlation", "expected a table with a kind"),
    ('{ kind = "NestedExchangeable" }', "{ icc = 0.1 }", "estimators.mixed.correlation", "no kind"),
    ('{ kind = "NestedExchangeable" }', '"NestedExchangeable"', "estimators.mixed.correlation", "expected a table with a kind"),
    ("interval = false", "level = 0.9", "tests.exact.level", "alpha = 0.05"),
    ("interval = false", "draws = 10000000", "tests.exact.draws", "at most 1,000,000"),
    ("interval = false", "draws = 9e99", "tests.exact.draws", "at most"),
    ("imputations = 5", "imputations = 5000000", "missing.imputation.imputations", "at most"),
    ("imputations = 5", "imputations = 1", "missing.imputation.imputations", "at least 2"),
    ("[missing.imputation]", '[missing]\nrule = "multiple imputation"\n[missing.imputation]', "analyses.main", "Tests have no pooled"),
    (MAIN, f'{MAIN}\nmissing = "impute"', "analyses.main.missing", "expected one of"),
    (MAIN, f"{MAIN}\ncomparators = true", "analyses.main.comparators", "No comparators are named"),
    (MAIN, f'{MAIN}\ncomparators = "yes"', "analyses.main.comparators", "expected true or false"),
    (MAIN, f"{MAIN}\nwithout_periods = [7]", "analyses.main.without_periods", "periods 1 to 6"),
    (MAIN, '[analyses.main]\nwords = "x"', "analyses.main", "names no estimator"),
    ('analysis = "main"', 'analysis = "man"', "multiplicity.analysis", "Did you mean 'main'?"),
    ('estimator = "cr2"', 'estimator = "mixed"', "multiplicity.estimator", "does not run"),
    ("[text]", '[comparators]\nclusters = ["A"]\n[text]', "comparators.clusters", "is a cluster of the trial"),
    ("[text]", '[comparators]\nclusters = ["F"]\nadopters = ["F"]\n[text]', "comparators", "one list"),
    ("size = 100", 'size = "many"', "power.simulated.truth.size", "expected a number"),
    ('estimators = ["cr2"]\n[power', 'estimators = ["cr2"]\nreps = 2000000\n[power', "power.simulated.reps", "at most 1,000,000"),
    ('estimators = ["cr2"]\n[power', 'estimators = ["x"]\n[power', "power.simulated.estimators", "none of the plan's estimators"),
    ('background = "Why."', "background = 1", "text.background", "expected text"),
    ("[text]", "[text.more]", "text.more", "no item"),
    (PEOPLE, f"[allocation]\ncarried_out = true\n{PEOPLE}", "allocation.carried_out", "Only a design of kind dates"),
    (PEOPLE, f"[allocation.sequences]\nA = 0\n{PEOPLE}", "allocation.sequences", "'B' has none"),
    (PEOPLE, f"[allocation]\nsequences = 3\n{PEOPLE}", "allocation.sequences", "is no table"),
    (PEOPLE, f"[allocation.sequences]\nA = 0.5\nB = 1\nC = 2\nD = 3\nE = 4\n{PEOPLE}", "allocation.sequences", "expected a list"),
    (PEOPLE, f"[allocation.sequences]\nA = 0\nB = 0\nC = 2\nD = 3\nE = 4\n{PEOPLE}", "allocation.sequences", "does not permit"),
    (PEOPLE, f"[allocation]\nrecords = 'a.json'\n{PEOPLE}", "allocation.records", "Did you mean 'record'?"),
    ('period = "period"', 'date = "day"', "sources.people.date", "no dates to sort"),
    ('period = "period"', 'date = "day"\nperiod = "period"', "sources.people.date", "exactly one of"),
    (DESIGN, DATED.replace("B = 2020-09-01", 'B = "soon"'), "design.go_live.B", "not a date"),
    (DESIGN, DATED.replace("B = 2020-09-01", "B = 2022-09-01"), "design.go_live.B", "outside the window"),
    (DESIGN, DATED.replace("end = 2021-12-31\n", ""), "design", "needs end"),
    (DESIGN, DATED.replace("end = 2021", "end = 2019"), "design.start", "before it starts"),
    (DESIGN, '[design]\nkind = "matrix"\nrows = [[0, 1], [0]]\n', "design", "as many periods"),
    (DESIGN, '[design]\nkind = "matrix"\nrows = "0 1"\n', "design.rows", "not a table"),
    (DESIGN, '[design]\nkind = "matrix"\nrows = [[0, "x"], [1, 1]]\n', "design", "period 2 is 'x'"),
    (DESIGN, DESIGN + "[design.balance]\nkeep = 0.5\n", "design.balance", "needs covariates"),
    (DESIGN, DESIGN + "[design.balance.covariates]\nsize = { A = 1 }\n", "design.balance", "'B' has no row"),
    (DESIGN, DESIGN + "[design.balance]\ncovariates = { size = 3 }\n", "design.balance.covariates", "table of numbers by cluster"),
    (DESIGN, DESIGN + "[design.balance]\nkeeps = 2\n", "design.balance.keeps", "Did you mean 'keep'?"),
    (DESIGN, "design = 3\n", "design", "is 3, no table"),
    (DESIGN, DESIGN + 'strata = [["A", "B"], ["C", "D"]]\n', "design.strata", "'E' is in none"),
    ('family = "binomial"\nrole', 'family = "normal"\nrole', "outcomes.recovered.family", "Did you mean 'gaussian'?"),
    ('role = "primary"', 'role = "primary"\nexpected = 30', "outcomes.recovered.expected", "between 0 and 1"),
    ('family = "binomial"\nrole = "primary"', f"{LASTING}\nhorizon = -2", "outcomes.recovered.horizon", "above 0"),
    ('role = "primary"', 'role = "primary"\nsd = 0', "outcomes.recovered.sd", "above 0"),
    (MAIN, f'{MAIN}\npart = "sensitivity"', "outcomes.recovered", 'No analysis of part "main" has the primary outcome'),
    (MAIN, f'{SECOND}{MAIN}\noutcomes = ["recovered"]', "outcomes.days", "No analysis has the secondary"),
    (TRIO, TRIO.replace('"category"', '"yes/no"').replace("[1]", '["yes"]'), "populations.trio.where.1.among", "1 for yes and 0 for no"),
    ('holds = "category"', 'holds = "category"\nlevels = ["a", "b"]', "populations.trio.where.1.among", "a; b"),
    ('column = "trio", among', 'column = "tri", among', "populations.trio.where.1.column", "Did you mean 'trio'? Add [columns.tri]"),
    ('role = "primary"', 'role = "primary"\nwhere = [{ column = "x", among = [1] }]', "outcomes.recovered.where.1.column", "agreed"),
    ("imputations = 5", 'imputations = 5\nauxiliary = ["ward"]', "missing.imputation.auxiliary", "none of the agreed columns"),
    ('covariates = "age"', 'covariates = "C(age)"', "outcomes.recovered.covariates", "'age' holds numbers"),
    (MAIN, f'{MAIN}\ncovariates = "C(age)"', "analyses.main.covariates", "Write age, or declare it"),
    ("[text]", f"{BY_FORMULA}\nbaseline = 25\n[text]", "power.formula.baseline", "0.25 for 25%"),
    ('covariates = "age"', 'covariates = "log(age)"', "outcomes.recovered.covariates", "a column of the data"),
    ('covariates = "age"', 'covariates = "y ~ age"', "outcomes.recovered.covariates", "right of ~"),
    ('estimators = ["cr2"]\ntests', 'estimators = "cr2"\ntests', "analyses.main.estimators", "in square brackets"),
    ("where = [{ column", 'where = "trio == 1" # [{ column', "populations.trio.where", "square brackets, of tables"),
]


@pytest.mark.parametrize(("old", "new", "where", "said"), WRONG, ids=[f"{case[2]}-{k}" for k, case in enumerate(WRONG)])
def test_a_wrong_value_is_refused_with_its_line(tmp_path, old, new, where, said):
    text = changed((old, new)) if not new.startswith("design = ") else new + changed((old, ""))
    found = refusal(tmp_path, text)
    head, _, message = found.partition(": ")
    assert head.startswith("plan.toml, line "), found
    assert head.split(", ", 2)[2].startswith(where), found
    assert said in message, found
    line = int(head.split()[2].rstrip(","))
    key = where.split(".")[-1]
    assert key in text.splitlines()[line - 1] or where in ("outcomes", "populations.trio.where.1"), found


MISSING = ["sources", "outcomes", "estimators", "analyses", "design", "title", "format"]


@pytest.mark.parametrize("part", MISSING)
def test_a_part_that_is_missing_is_named(tmp_path, part):
    head, *tables = SMALL.split("\n[")
    kept = [line for line in head.splitlines() if not line.startswith(part)]
    text = "\n".join(kept) + "".join(f"\n[{table}" for table in tables if not table.startswith(part))
    found = refusal(tmp_path, text)
    assert found.startswith(f"plan.toml, line 1, {part}: The plan has no {part}. Add "), found


def test_a_table_without_entries_is_no_outcome(tmp_path):
    text = changed((SMALL[SMALL.index("[outcomes.recovered]") : SMALL.index("[estimators.cr2]")], "[outcomes]\n"))
    assert f"line {line_of('[outcomes.')}, outcomes: The plan has no outcomes" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("swedge plan 2", "from a newer version of swedge; this one reads 'swedge plan 1'. Update swedge."),
        ("swedge plan 17", "from a newer version"),
        ("swedge plan 0", 'Begin the plan with the line format = "swedge plan 1".'),
        ("swedge allocation 1", "Begin the plan"),
        ("swedge plan 1.0", "Begin the plan"),
        ("swedge plan 9" + "9" * 5000, "line 1, format"),
    ],
)
def test_another_format_is_refused(tmp_path, said, expected):
    assert expected in refusal(tmp_path, changed(("swedge plan 1", said)))


def test_a_newer_plan_is_called_newer_whatever_else_it_holds(tmp_path):
    text = changed(("swedge plan 1", "swedge plan 2"), ("seed = 3", "sediment = 3"))
    assert "newer version" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seed = 3", "seed = ", "Invalid value"),
        ("seed = 3", "seed 3", "Expected '='"),
        ("seed = 3", "seed = 3\nseed = 4", "Cannot overwrite a value"),
        ("[estimators.mixed]", "[estimators.cr2]", "Cannot declare"),
        ("seed = 3", 'seed = "3', "Illegal character"),
        ("seed = 3", "seed = three", "Invalid value"),
        ("seed = 3", "seed = 1" + "0" * 5000, "line "),
        ('background = "Why."', 'background = """Why.', ""),
    ],
)
def test_what_is_no_toml_says_the_line_and_what_to_do(tmp_path, old, new, said):
    found = refusal(tmp_path, changed((old, new)))
    assert found.startswith("plan.toml, line ")
    assert "This is no TOML" in found
    assert "Correct it" in found
    assert said in found


def test_names_that_differ_by_capitals_are_one_file_name(tmp_path):
    assert "'CR2' names two estimators, capitals apart" in refusal(tmp_path, changed(("[estimators.mixed]", "[estimators.CR2]")))


ODD = ["1", "-1", "0.5", "inf", "-inf", "nan", '""', '"x"', "true", "[]", "[[]]", '["x"]', "[1, 2]", "{}", '{ kind = "Constant" }']
ODD += ["2020-01-01", "07:32:00", "1979-05-27T07:32:00Z", "9223372036854775807"]
ODD += ['{ kind = "number", value = "inf" }', '{ kind = "number", value = "nan" }']
ROWS = [row for row in template("blank").splitlines() if re.match(r"[a-z_]+ = ", row)]


@pytest.mark.parametrize("odd", ODD)
def test_any_value_at_any_key_is_a_plan_or_a_refusal_with_a_line(tmp_path, odd):
    text = template("blank")
    found = {row: outcome_of(tmp_path, text.replace(f"\n{row}\n", f"\n{row.partition(' = ')[0]} = {odd}\n", 1)) for row in ROWS}
    assert len(found) > 60
    assert {row: told for row, told in found.items() if not told.startswith(("a plan", "plan.toml, line "))} == {}
    assert sum(told != "a plan" for told in found.values()) > 20


def outcome_of(folder: Path, text: str) -> str:
    """What becomes of a text: a plan that survives as JSON, or a refusal."""
    try:
        plan = Plan.from_toml(written(folder, text))
    except PlanError as error:
        return str(error)
    assert decode(encode(plan.outcomes), (), complete=True) == plan.outcomes
    return "a plan"


# --- The file itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xef\xbb\xbf" + SMALL.encode(), "plan.toml, line 1: The file begins with a byte order mark"),
        (SMALL.encode("utf-16"), "plan.toml, line 1: The file is no UTF-8"),
        (SMALL.replace("Why", "Caf\xe9").encode("latin-1"), f"plan.toml, line {line_of('background')}: The file is no UTF-8"),
        (SMALL.encode() + b"#" * 1_000_001, "has more than 1,000,000 bytes"),
        (SMALL.encode() + b'x = "\x00"', "This is no TOML"),
        (b"\x80\x04\x95\x1a\x00.", "no UTF-8"),
        (b"", "plan.toml, line 1, format: The plan has no format"),
        (b"[" * 100_000, "line 1"),
        (SMALL.encode() + b"x = " + b"[" * 50_000 + b"]" * 50_000, "Make it flatter"),
        (SMALL.encode() + b"x = " + b"{a=" * 20_000 + b"1" + b"}" * 20_000, "Make it flatter"),
        (SMALL.encode() + b"a." * 200_000 + b"a = 1", "Make it flatter"),
        (SMALL.encode() + b"[" + b"a." * 200_000 + b"a]", "Make it flatter"),
        (SMALL.encode() + b'"a".' * 100_000 + b"a = 1", "Make it flatter"),
        (SMALL.encode() + b'x = """' + b"x" * 10_000_000 + b'"""', "more than 1,000,000 bytes"),
        (SMALL.replace("Why.", "x" * 900_000).encode(), "has 900,000 characters"),
        (SMALL.replace("[text]", "[text]\n" + "x" * 900_000 + " = 1").encode(), "has 900,000 characters"),
        (SMALL.replace('"trio", among = [1]', f'"trio", among = [{"1," * 20_000}]').encode(), "has 20,000 entries"),
    ],
    ids=range(17),
)
def test_a_file_that_is_none_is_refused_at_once(tmp_path, data, said):
    assert said in refusal(tmp_path, data)


def test_no_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(PlanError, match=r"There is no plan none.toml in that folder. Write one with `swedge new`"):
        Plan.from_toml(tmp_path / "none.toml")
    with pytest.raises(PlanError, match="There is no plan"):
        read_plan(tmp_path)


def test_messages_do_not_tell_where_the_file_lies(tmp_path):
    for text in (SMALL.replace("seed", "sede"), SMALL.replace("seed = 3", "seed ="), SMALL.replace("people.csv", "../people.csv")):
        assert str(tmp_path) not in refusal(tmp_path, text)


# --- Paths ----------------------------------------------------------------------------------------------------------------

OUTSIDE = [
    "../people.csv",
    "data/../../people.csv",
    "/etc/passwd",
    "~/people.csv",
    "C:/people.csv",
    "C:people.csv",
    "data\\\\people.csv",
    "\\\\\\\\server\\\\share\\\\people.csv",
    "//server/people.csv",
    "people.csv\\u0000.txt",
    "people\\n.csv",
    "nul",
    "CON.csv",
    "data/COM1",
    "",
    ".",
    "..",
    "data//people.csv",
    "data/",
    "people.csv ",
    "people.csv.",
    "people.csv:stream",
    "peop\\u202Ele.csv",
    "http://example.org/people.csv",
    "a" * 300,
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("where", ["sources.people.file", "allocation.record"])
def test_a_path_outside_the_folder_is_refused_with_its_line(tmp_path, name, where):
    key = '[allocation]\nrecord = "{}"\n[sources.people]' if where == "allocation.record" else '[sources.people]\nfile = "{}"'
    text = changed(('file = "people.csv"\n', ""), ("[sources.people]", key.format(name)))
    found = refusal(tmp_path, text)
    line = text[: text.index("record =" if "record" in where else "file =")].count("\n") + 1
    assert found.startswith(f"plan.toml, line {line}, {where}: The "), found


def test_a_symbolic_link_out_of_the_folder_is_refused(tmp_path):
    folder, other = tmp_path / "trial", tmp_path / "other"
    folder.mkdir(), other.mkdir()
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], 6)
    design.randomise(seed=1).save(other / "allocation.json")
    (folder / "allocation.json").symlink_to(other / "allocation.json")
    (folder / "data").symlink_to(other)
    assert "leaves the plan's folder by a symbolic link" in refusal(folder, SMALL)
    assert "leaves the plan's folder by a symbolic link" in refusal(
        folder, changed((PEOPLE, f'[allocation]\nrecord = "data/allocation.json"\n{PEOPLE}'))
    )
    with pytest.raises(PlanError, match="symbolic link"):
        inside(folder, "data/people.csv")


def test_links_in_a_circle_are_refused(tmp_path):
    (tmp_path / "allocation.json").symlink_to(tmp_path / "b.json")
    (tmp_path / "b.json").symlink_to(tmp_path / "allocation.json")
    assert "allocation.record" in refusal(tmp_path, SMALL)


def test_a_link_inside_the_folder_is_a_file_like_any_other(tmp_path):
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], 6)
    design.randomise(seed=1).save(tmp_path / "drawn.json")
    (tmp_path / "allocation.json").symlink_to(tmp_path / "drawn.json")
    assert Plan.from_toml(written(tmp_path)).allocation == design.randomise(seed=1)


# --- The allocation's record ----------------------------------------------------------------------------------------------


def test_a_record_of_another_design_is_refused_and_told_apart(tmp_path):
    sw.Design.stepped_wedge(["A", "B", "C", "D", "F"], 6).randomise(seed=1).save(tmp_path / "allocation.json")
    found = refusal(tmp_path, SMALL)
    assert "allocation.record: allocation.json is of another design: clusters.5 is 'E' in the plan and 'F' in the record" in found


def test_an_edited_record_is_refused(tmp_path):
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], 6)
    design.randomise(seed=1).save(tmp_path / "allocation.json")
    record = tmp_path / "allocation.json"
    record.write_text(record.read_text().replace('"seed":1', '"seed":2'))
    found = refusal(tmp_path, SMALL)
    assert "allocation.record: allocation.json is not the record that its design and seed give" in found


@pytest.mark.parametrize("content", [b"", b"[]", b"\x80\x04.", b"{}", b"[" * 10_000, b'{"format": "swedge allocation 1"}'])
def test_a_record_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "allocation.json").write_bytes(content)
    assert "allocation.record: " in refusal(tmp_path, SMALL)


def test_a_record_that_is_not_what_was_carried_out_is_refused(tmp_path):
    carried = "[allocation.sequences]\nA = 0\nB = 1\nC = 2\nD = 3\nE = 4\n"
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], 6)
    design.allocate(dict(zip("ABCDE", (1, 0, 2, 3, 4), strict=True))).save(tmp_path / "allocation.json")
    found = refusal(tmp_path, changed((PEOPLE, carried + PEOPLE)))
    assert "is not what was carried out: sequence of A has 1 in the record and 0 in the plan; B has 0" in found


def test_dates_carried_out_contradict_sequences_given(tmp_path):
    text = changed((DESIGN, DATED), (PEOPLE, f"[allocation]\ncarried_out = true\nsequences = {{ A = 0, B = 1 }}\n{PEOPLE}"))
    assert "allocation.sequences: carried_out says" in refusal(tmp_path, text)


# --- Malice ---------------------------------------------------------------------------------------------------------------

CODE = [
    "__import__('os').system('touch pwned')",
    "C(__import__('os').system('touch pwned'))",
    "I(open('pwned', 'w'))",
    'Q(\'__import__(\\"os\\").system(\\"touch pwned\\")\')',
    "np.fromfunction(lambda: 0)",
    "age + (lambda: open('pwned','w'))()",
    "exec(\\\"open('pwned','w')\\\")",
    "eval('open(\\\\'pwned\\\\',\\\\'w\\\\')')",
    "[open('pwned','w') for x in (1,)]",
    "{x.__class__}",
    "{0.__class__.__mro__}",
    "%(x)s%n",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "| touch pwned",
    "&& touch pwned",
    "!!python/object/apply:os.system ['touch pwned']",
    "cos\\nsystem\\n(S'touch pwned'\\ntR.",
    "\\u0080\\u0004\\u0095cposix\\nsystem",
    "../../pwned",
    "file:///etc/passwd",
    "<script>document.title='pwned'</script>",
    "{{ 7 * 7 }}",
    "{% import os %}",
    "=cmd|'/c touch pwned'!A1",
    "age\\u0000pwned",
    "\\u202Eegap",
    "\\u200Bage",
    "age:os.system",
    "age -1 + 0",
    "age ** 99999999999",
    "age.__class__.__bases__",
    "__class__",
    "__builtins__",
    "a" * 30_000,
    " + ".join(["age"] * 5_000),
    "(" * 5_000 + "age" + ")" * 5_000,
]
"""Strings as they stand between the quotation marks of TOML."""

SLOTS = {
    "formula": ('covariates = "age"', 'covariates = "{}"'),
    "analysis formula": (MAIN, MAIN + '\ncovariates = "{}"'),
    "title": ('title = "A small trial"', 'title = "{}"'),
    "format": ('format = "swedge plan 1"', 'format = "{}"'),
    "design kind": ('kind = "stepped_wedge"', 'kind = "{}"'),
    "cluster": ('"E"]', '"{}"]'),
    "source file": ('"people.csv"', '"{}"'),
    "source column": ('cluster = "cluster"', 'cluster = "{}"'),
    "column name": ("[columns.age]", '[columns."{}"]'),
    "outcome name": ("[outcomes.recovered]", '[outcomes."{}"]'),
    "outcome column": ('column = "recovered"', 'column = "{}"'),
    "family": ('family = "binomial"', 'family = "{}"'),
    "condition column": ('column = "trio"', 'column = "{}"'),
    "condition value": ("among = [1]", 'among = ["{}"]'),
    "estimator kind": ('kind = "FixedEffects"', 'kind = "{}"'),
    "estimator option": ('kind = "FixedEffects"', 'kind = "FixedEffects"\nvcov = "{}"'),
    "nested kind": ('kind = "NestedExchangeable"', 'kind = "{}"'),
    "unknown key": ("interval = false", '"{}" = false'),
    "test kind": ('kind = "RandomisationTest"', 'kind = "{}"'),
    "top key": ("seed = 3", '"{}" = 3'),
    "text item": ("background = ", '"{}" = '),
    "text": ('background = "Why."', 'background = "{}"'),
    "record": (PEOPLE, '[allocation]\nrecord = "{}"\n' + PEOPLE),
}
KINDS = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "Plan",
    "Design",
    "Trial",
    "Path",
    "object",
    "type",
    "__class__",
    "Estimator",
    "number",
]

CANARY = '''
import sys, os, json
from pathlib import Path

cases = json.loads(Path("cases.json").read_text())
from swedge.plan.plan import Plan
from swedge.plan.codec import decode, encode, kinds
from swedge.plan.hints import hints_of
from swedge.errors import PlanError
import patsy, difflib, encodings.idna, unicodedata

for kind in kinds().values():
    hints_of(kind)
folder = Path("trial").resolve()
folder.mkdir()
WATCHED = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn", "socket.", "ctypes.", "exec",
    "compile", "import", "pickle.find_class", "marshal.loads", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.putenv",
    "shutil.", "urllib.", "code.__new__", "function.__new__", "builtins.input", "webbrowser.open",
)
seen, watching = [], False

def hook(event, args):
    if not watching:
        return
    if event == "open":
        path, mode = args[0], args[1]
        mine = isinstance(path, (str, bytes, os.PathLike)) and Path(os.fsdecode(path)).resolve().is_relative_to(folder)
        if not mine or (mode or "r") not in ("r", "rb"):
            seen.append((event, repr(args)[:200]))
    elif event.startswith(WATCHED):
        seen.append((event, repr(args)[:200]))

def read(name, text):
    """What became of one case, the hook watching."""
    global watching
    path = folder / "plan.toml"
    path.write_bytes(text.encode())
    seen.clear()
    watching = True
    try:
        plan = Plan.from_toml(path)
        for part in (plan.outcomes, plan.populations, plan.estimators, plan.columns, plan.analyses):
            assert decode(encode(part), (), complete=True) == part
        repr(plan), hash(plan.outcomes)
        became = "inert"
    except PlanError as error:
        became = "refused" if str(error).startswith("plan.toml") else "unplaced: " + str(error)
    except BaseException as error:
        became = f"{type(error).__name__}: {error}"
    watching = False
    return name, became, list(seen)

sys.addaudithook(hook)
for name, text in cases[:3]:  # imports that are made when first needed
    read(name, text)
watching = True
eval("1 + 1")
watching = False
control = bool(seen)
results = [read(name, text) for name, text in cases]
print(json.dumps({"control": control, "results": results, "files": sorted(p.name for p in Path().rglob("*"))}))
'''


def malicious() -> list[tuple[str, str]]:
    benign = [("small", SMALL), ("unknown key", changed(("seed = 3", "sede = 3"))), ("no formula", changed(('"age"', '"age +"')))]
    by_slot = [(f"{slot}: {code[:40]}", changed((old, new.replace("{}", code)))) for slot, (old, new) in SLOTS.items() for code in CODE]
    by_kind = [
        (f"{slot}: {kind}", changed((SLOTS[slot][0], SLOTS[slot][1].replace("{}", kind))))
        for slot in ("design kind", "estimator kind", "nested kind", "test kind")
        for kind in KINDS
    ]
    return benign + by_slot + by_kind


def test_nothing_malicious_runs(tmp_path):
    import json

    cases = malicious()
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    (tmp_path / "canary.py").write_text(CANARY)
    done = subprocess.run(
        [sys.executable, "canary.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert told["control"], "The hook saw no eval, so it would see nothing."
    assert [(name, seen) for name, _, seen in told["results"] if seen] == []
    assert [(name, became) for name, became, _ in told["results"] if became not in ("inert", "refused")] == []
    assert told["files"] == ["canary.py", "cases.json", "plan.toml", "trial"]
    refused = {name for name, became, _ in told["results"] if became == "refused"}
    assert len(told["results"]) > 800
    must = (
        "formula",
        "analysis formula",
        "format",
        "design kind",
        "outcome name",
        "family",
        "estimator kind",
        "nested kind",
        "unknown key",
    )
    must += ("test kind", "top key", "text item")
    left = [name for name, became, _ in told["results"] if became == "inert" and name.split(": ")[0] in must]
    assert left == []
    assert "small" not in refused


@pytest.mark.parametrize("sign", ["\\u0000", "\\u0007", "\\u001b", "\\u202e", "\\u2066", "\\u200b", "\\ufeff", "\\u0085", "\\u007f"])
def test_a_sign_that_prints_nothing_or_turns_letters_is_refused_wherever_it_stands(tmp_path, sign):
    for slot in ("title", "cluster", "column name", "outcome column", "condition value", "text", "source column"):
        old, new = SLOTS[slot]
        found = refusal(tmp_path, changed((old, new.replace("{}", f"a{sign}b"))))
        assert f"U+{sign[2:].upper()}" in found, (slot, found)


def test_a_category_with_numbers_as_levels_is_no_line(tmp_path: Path) -> None:
    text = changed(('[columns.age]\nholds = "number"', '[columns.age]\nholds = "category"\nlevels = [0, 1, 2]'))
    said = refusal(tmp_path, text)
    assert f"line {line_of('covariates =', text)}, outcomes.recovered.covariates" in said
    assert "'age' is a category with numbers as levels. Write C(age)" in said
    assert Plan.from_toml(written(tmp_path, text.replace('covariates = "age"', 'covariates = "C(age)"')))
