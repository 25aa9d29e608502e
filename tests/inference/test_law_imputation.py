"""What completed sets keep: observed values, dtypes, seeds; and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.inference.imputation import MultipleImputation, checked_sets

NAMES = ["la", "y", "ethnicity", "income", "plans", "flag", "rare"]


def frame(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    whole = pd.DataFrame(
        {
            "la": np.repeat(["A", "B"], rows // 2),
            "y": rng.integers(0, 2, rows),
            "ethnicity": rng.choice(["b", "w", "m"], rows, p=[0.2, 0.7, 0.1]),
            "income": rng.normal(30, 5, rows),
            "plans": rng.integers(0, 4, rows).astype(float),
            "flag": rng.choice([True, False], rows),
            "rare": pd.Categorical(rng.choice(["no", "yes"], rows, p=[0.95, 0.05])),
        },
        index=pd.Index(range(100, 100 + rows)),
    )
    gaps = {name: whole[name].mask(rng.random(rows) < 0.15) for name in NAMES[2:]}
    return whole.assign(**gaps)


DF = frame()
SPEC = MultipleImputation(imputations=3, burn_in=2, seed=5)


@pytest.fixture(scope="module")
def sets() -> list[pd.DataFrame]:
    return list(SPEC.completed(DF, NAMES, {"plans"}))


def test_law_observed_values_index_and_dtypes_stay(sets: list[pd.DataFrame]) -> None:
    before = DF.copy()
    for made in sets:
        assert made.index.equals(DF.index)
        assert (made.dtypes == DF.dtypes).all()
        assert not made.isna().to_numpy().any()
        for name in NAMES:
            seen = DF[name].notna()
            pd.testing.assert_series_equal(made[name][seen], DF[name][seen])
            assert set(made[name]) <= set(DF[name].dropna())
    pd.testing.assert_frame_equal(DF, before)


def test_law_the_same_seed_gives_the_same_sets_however_many(sets: list[pd.DataFrame]) -> None:
    more = list(MultipleImputation(imputations=5, burn_in=2, seed=5).completed(DF, NAMES, {"plans"}))
    for first, second in zip(sets, more[:3], strict=True):
        pd.testing.assert_frame_equal(first, second)
    other = next(MultipleImputation(imputations=3, burn_in=2, seed=6).completed(DF, NAMES, {"plans"}))
    assert not other.equals(sets[0])
    assert not sets[0].equals(sets[1])


def test_law_the_global_generator_is_left_alone() -> None:
    np.random.seed(1)  # noqa: NPY002 - the state to be left alone
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    list(SPEC.completed(DF, NAMES))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_law_units_of_numbers_and_names_of_levels_do_not_matter(sets: list[pd.DataFrame]) -> None:
    coded = DF.assign(income=DF["income"] * 1024, ethnicity=DF["ethnicity"].map({"b": 7.0, "w": 8.0, "m": 9.0}))
    made = next(SPEC.completed(coded, NAMES, {"plans", "ethnicity"}))
    assert made["income"].to_numpy() == pytest.approx(sets[0]["income"].to_numpy() * 1024)
    assert (made["ethnicity"].map({7.0: "b", 8.0: "w", 9.0: "m"}) == sets[0]["ethnicity"]).all()


def test_a_specification_is_its_own_record() -> None:
    spec = MultipleImputation(auxiliary=["income"], seed=3)
    assert spec == MultipleImputation(auxiliary=("income",), seed=3)
    assert hash(spec) == hash(MultipleImputation(auxiliary=("income",), seed=3))
    assert eval(repr(spec)) == spec


def test_auxiliary_columns_foretell_without_being_named_again() -> None:
    named = next(SPEC.completed(DF, NAMES))
    aside = next(MultipleImputation(imputations=3, burn_in=2, seed=5, auxiliary=("rare",)).completed(DF, NAMES[:-1]))
    pd.testing.assert_frame_equal(named, aside)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"imputations": 1}, "imputations is 1, and must be at least 2"),
        ({"imputations": 2.5}, "not a whole number"),
        ({"burn_in": 0}, "burn_in is 0"),
        ({"donors": 0}, "donors is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": None}, "seed is None"),
        ({"auxiliary": "income"}, r"Pass a tuple of column names, such as \('income',\)"),
    ],
)
def test_bad_input_specification(changed: dict[str, object], said: str) -> None:
    with pytest.raises(sw.SwedgeError, match=said):
        MultipleImputation(**changed)


@pytest.mark.parametrize(
    ("df", "names", "said"),
    [
        (DF, ["la", "incom"], "Did you mean 'income'"),
        (DF.assign(income=np.nan), NAMES, "'income' has no value at all"),
        (DF.assign(child=[f"c{k}" for k in range(200)]), [*NAMES, "child"], "'child' has 200 levels in 200 rows"),
        (DF.assign(income=DF["income"].replace(DF["income"].iloc[0], np.inf)), NAMES, "no finite numbers, in 1 of 200 rows"),
        ({"a": [1]}, ["a"], "are a dict"),
    ],
)
def test_bad_input_columns(df: pd.DataFrame, names: list[str], said: str) -> None:
    with pytest.raises(sw.DataError, match=said):
        list(SPEC.completed(df, names))


def test_sets_from_elsewhere_pass_as_they_are(sets: list[pd.DataFrame]) -> None:
    assert [made is given for made, given in zip(checked_sets(iter(sets), DF, NAMES), sets, strict=True)] == [True] * 3


def test_sets_from_elsewhere_may_have_passed_through_a_file(sets: list[pd.DataFrame], tmp_path: object) -> None:
    read = []
    for k, made in enumerate(sets):
        made.to_csv(f"{tmp_path}/{k}.csv", float_format="%.12g")
        read.append(pd.read_csv(f"{tmp_path}/{k}.csv", index_col=0))
    assert len(list(checked_sets(read, DF, NAMES))) == 3


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.iloc[1:], "Imputed set 2 has 199 rows and the data 200"),
        (lambda f: f.iloc[::-1], "Imputed set 2 labels 200 of 200 rows otherwise"),
        (lambda f: f.reset_index(drop=True), "labels 200 of 200 rows"),
        (lambda f: f.drop(columns=["income", "y"]), "Imputed set 2 lacks 2 columns: 'y'; 'income'"),
        (lambda f: f.assign(income=DF["income"]), r"still has missing values in income: \d+ rows"),
        (lambda f: f.assign(income=f["income"] + 0.01, y=1 - f["y"]), "changes observed values, in y: 200; income"),
        (lambda f: f.assign(ethnicity="w"), "changes observed values, in ethnicity"),
        (lambda f: f.to_numpy(), "Imputed set 2 is a ndarray"),
    ],
)
def test_bad_input_sets_of_other_data(sets: list[pd.DataFrame], spoil: object, said: str) -> None:
    with pytest.raises(sw.DataError, match=said) as error:
        list(checked_sets([sets[0], spoil(sets[1])], DF, NAMES))
    assert str(DF["income"].iloc[0])[:6] not in str(error.value)


def test_bad_input_one_set_copied(sets: list[pd.DataFrame]) -> None:
    with pytest.raises(sw.DataError, match="All imputed sets hold the same values"):
        list(checked_sets([sets[0]] * 3, DF, NAMES))
    for alone in (sets[0], 5):
        with pytest.raises(sw.DataError, match="imputation is a single"):
            list(checked_sets(alone, DF, NAMES))
