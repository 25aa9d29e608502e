"""Covariate formulas from strangers: nothing is executed, and a column called like a function is only a column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.trial.formula import covariate_columns, names_in, parse
from trial.rows import read, rows

SENTINEL = Path(__file__).with_name("executed")
TOUCH = f"open({str(SENTINEL)!r}, 'w')"


@pytest.fixture(autouse=True)
def _nothing_was_executed() -> Iterator[None]:
    SENTINEL.unlink(missing_ok=True)
    yield
    executed = SENTINEL.exists()
    SENTINEL.unlink(missing_ok=True)
    assert not executed


MALICIOUS = {
    "a call": TOUCH,
    "a call in C": f"C({TOUCH})",
    "a call after a name": f"age + {TOUCH}",
    "an import": f"__import__('pathlib').Path({str(SENTINEL)!r}).touch()",
    "eval": f"eval({TOUCH!r})",
    "exec": f"exec({TOUCH!r})",
    "an attribute": "age.__class__",
    "a chain of attributes": "age.__class__.__mro__",
    "an attribute of C": "C.__init__",
    "an index": "age[0]",
    "backticks": f"`{TOUCH}`",
    "a lambda": f"lambda: {TOUCH}",
    "a semicolon": f"age; {TOUCH}",
    "a new line": f"age\n{TOUCH}",
    "a comment": f"age # {TOUCH}",
    "a walrus": f"(x := {TOUCH})",
    "an f-string": f"f'{{{TOUCH}}}'",
    "a comprehension": f"[{TOUCH} for _ in age]",
    "braces": f"{{{TOUCH}}}",
    "a conditional": f"age if {TOUCH} else sex",
    "Q": "Q('age')",
    "I": "I(age + 1)",
    "C with a contrast": "C(sex, Treatment)",
    "C with a reference": "C(sex, Treatment(reference='m'))",
    "C with a call": f"C(sex, {TOUCH})",
    "C of C": "C(C(sex))",
    "C called twice": "C(sex)(age)",
    "C of nothing": "C()",
    "C apart from its bracket": "C (sex)",
    "C not closed": "C(sex",
    "a function of patsy": "center(age)",
    "a spline": "bs(age, df=3)",
    "a function of numpy": "np.log(age)",
    "a called column": "age(sex)",
    "a called column, apart": "age (sex)",
    "powers": "(age + sex)**2",
    "no intercept": "age - 1",
    "nought": "0 + age",
    "a response": "y ~ age",
    "a bar": "age | sex",
    "a hat": "age ^ 2",
    "matrix product": "age @ sex",
    "an equation": "age == 1",
    "a comma": "age, sex",
    "quotes": "'age'",
    "a null": "age\x00",
    "Cyrillic C": "\u0421(sex)",  # looks like C(sex)
    "wide brackets": "C\uff08sex\uff09",
    "Cyrillic e": "ag\u0435",  # looks like age
    "a hidden joiner": "ag\u200de",
    "deep brackets": "(" * 20_000 + "age" + ")" * 20_000,
    "deep C": "C(" * 20_000 + "sex" + ")" * 20_000,
    "a long name": "a" * 100_000,
    "a long sum": "+".join(["age"] * 50_000),
    "a long product": "*".join(["age"] * 101),
    "a product of many": "*".join(["age"] * 60),
    "colons of many": ":".join(["age", "sex"] * 30),
    "nothing": "",
    "spaces": "   ",
    "an operator": "+",
    "ends in an operator": "age +",
    "begins with one": "+ age",
    "two operators": "age + + sex",
    "no operator": "age sex",
    "a dunder that is no column": "__builtins__",
    "a word of Python": "age + None",
    "a name with a space": "age group",
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_a_malicious_or_malformed_formula_is_refused_and_not_executed(name: str) -> None:
    with pytest.raises(sw.DataError, match="covariates") as caught:
        read(rows(), covariates=MALICIOUS[name])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("formula", [["age"], ("age", "sex"), 3, b"age", True, {"age": 1}])
def test_what_is_no_text_is_no_formula(formula: object) -> None:
    with pytest.raises(sw.DataError, match=r"covariates is a \w+, not a formula. Write for example"):
        parse(formula)  # type: ignore[arg-type]


BUILTINS = [
    "C",
    "Q",
    "I",
    "center",
    "bs",
    "te",
    "standardize",
    "Treatment",
    "Intercept",
    "np",
    "patsy",
    "data",
    "self",
    "name_0",
    "category_1",
]
PYTHON = [
    "open",
    "exec",
    "eval",
    "print",
    "__import__",
    "__builtins__",
    "__class__",
    "None",
    "True",
    "lambda",
    "class",
    "import",
    "_",
    "_x",
]


@pytest.mark.parametrize("name", [*BUILTINS, *PYTHON, "Größe", "größe_2"])
@pytest.mark.parametrize("formula", ["{0}", "C({0})", "sex + {0}", "{0}*C(sex)", "C({0}):age + C({0})"])
def test_a_plain_column_with_such_a_name_is_a_plain_column(name: str, formula: str) -> None:
    frame = rows()
    frame[name] = frame.g if formula == "{0}" else frame.age % 3
    labels, columns = covariate_columns(formula.format(name), frame)
    twin, expected = covariate_columns(formula.format("plain"), frame.rename(columns={name: "plain"}))
    np.testing.assert_array_equal(columns, expected)
    assert labels == tuple(label.replace("plain", name) for label in twin)


def test_names_come_in_order_and_once() -> None:
    assert names_in("C(sex) + age:sex + C(sex)", rows()) == ["sex", "age"]


@pytest.mark.parametrize("formula", ["C(child)", "child", "C(child)*C(child2)"])
def test_an_identifier_does_not_fill_the_memory(formula: str) -> None:
    many = pd.DataFrame({"child": [f"c{i}" for i in range(5000)], "child2": [f"d{i}" for i in range(5000)]})
    with pytest.raises(sw.DataError, match="5000 levels in 5000 rows, more than 200"):
        covariate_columns(formula, many)


def test_interactions_of_many_levels_are_counted_before_they_are_made() -> None:
    wide = pd.DataFrame({name: [f"{name}{i % 150}" for i in range(450)] for name in ("a", "b", "c")})
    with pytest.raises(sw.DataError, match=r"makes up to 22,650 columns, more than 500\. Use fewer interactions"):
        covariate_columns("a + b * c", wide)
    with pytest.raises(sw.DataError, match="makes up to 3,375,000 columns"):
        covariate_columns("a:b:c", wide)
    assert covariate_columns("a + b + c", wide)[1].shape[1] == 3 * 149


def test_levels_that_look_like_code_or_like_our_aliases_are_text() -> None:
    levels = [TOUCH, "name_0", "x:name_1", "[T.y]", "category_1[T.z]", "a + b"]
    frame = rows().assign(sex=[levels[i % 6] for i in range(48)])
    labels, columns = covariate_columns("age + C(sex)", frame)
    assert labels == (*(f"sex[{level}]" for level in sorted(levels)[1:]), "age")
    assert columns.sum(0)[:5].tolist() == [8.0] * 5


def test_levels_of_two_types_with_one_text_are_one_level() -> None:
    frame = rows().assign(sex=[(1, "1", 2, 1.0)[i % 4] for i in range(48)])
    labels, columns = covariate_columns("C(sex)", frame)
    assert labels == ("sex[2]",)
    assert columns.sum() == 12


def test_levels_stand_in_the_order_of_their_values_whatever_the_dtype() -> None:
    number = np.tile([10, 9, 100, 1], 12)
    for column in (number, number.astype(float), pd.Categorical(number), pd.Series(number, dtype="Int64"), number.astype(object)):
        assert covariate_columns("C(age)", rows().assign(age=column))[0] == ("age[9]", "age[10]", "age[100]")
    words = pd.Categorical(np.tile(["small", "large"], 24), categories=["small", "large"], ordered=True)
    assert covariate_columns("sex", rows().assign(sex=words))[0] == ("sex[small]",)


@pytest.mark.parametrize("dtype", ["int64", "float64", "Int64", "Float64", "boolean", "bool", object])
def test_a_number_is_a_number_whatever_its_dtype(dtype: str) -> None:
    frame = rows().assign(age=(rows().age % 2).astype(dtype))
    labels, columns = covariate_columns("age", frame)
    assert labels == ("age",)
    np.testing.assert_array_equal(columns[:, 0], rows().age % 2)
