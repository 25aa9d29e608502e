"""Three answers to missing values: what they share, what each must be, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.inference.imputation import MultipleImputation
from swedge.inference.missing import METHODS, MissingDataAnalysis, missing_data_analysis
from swedge.inference.pooling import pool
from swedge.studies import family_safeguarding, simulate_children

STUDY = family_safeguarding()
SPEC = MultipleImputation(imputations=3, burn_in=2, seed=1)
COLUMNS = {"cluster": "la", "date": "referral_date", "outcome": "looked_after", "family": "binomial"}
COVARIATES = "C(age_group) + C(gender) + C(ethnicity)"


@cache
def children(missing: bool = True) -> pd.DataFrame:
    frame = simulate_children(STUDY, seed=3, missing=missing)
    return frame[frame["child_id"] % 5 == 0]


def analysed(df: pd.DataFrame, estimator: sw.Estimator | None = None, **changed: object) -> MissingDataAnalysis:
    given = {**COLUMNS, "covariates": COVARIATES, "imputation": SPEC, **changed}
    return missing_data_analysis(df, STUDY.allocation, estimator or sw.FixedEffects(), **given)


@cache
def example() -> MissingDataAnalysis:
    return analysed(children())


@pytest.mark.parametrize("estimator", [sw.FixedEffects(), sw.FixedEffects(vcov="overdispersed"), sw.WithinPeriod()])
def test_law_without_gaps_all_methods_are_the_complete_data_analysis(estimator: sw.Estimator) -> None:
    family = "gaussian" if isinstance(estimator, sw.WithinPeriod) else "binomial"
    covariates = None if family == "gaussian" else COVARIATES
    table = analysed(children(False), estimator, family=family, covariates=covariates).tidy()
    numbers = table[["estimate", "std_error", "df", "p_value", "conf_low", "conf_high"]].to_numpy()
    assert numbers == pytest.approx(np.repeat(numbers[1:2], 3, 0), rel=1e-12)
    assert table["method"].tolist() == list(METHODS)
    assert table["fmi"].iloc[0] == 0
    assert table["dropped"].tolist() == [0, 0, 0]


def test_the_simulated_trial_has_gaps_where_the_real_one_has_and_each_method_says_what_it_used() -> None:
    analysis = example()
    df, table = children(), example().tidy().set_index("method")
    used = df[["gender", "ethnicity"]]
    assert analysis.missing == used.isna().sum().to_dict()
    complete = int(used.notna().all(axis=1).sum())
    assert table["n"].to_dict() == {"multiple imputation": len(df), "complete case": complete, "missing indicator": len(df)}
    assert table.loc["complete case", "dropped"] == len(df) - complete
    assert 0 < table.loc["multiple imputation", "fmi"] < 0.2


def test_multiple_imputation_is_a_loop_over_the_completed_sets() -> None:
    """The sets made outside, by the columns that the analysis uses, handed over and fitted one by one."""
    df = children()
    treated = STUDY.design.period_of(df["referral_date"])
    where = df["la"].map({name: i for i, name in enumerate(STUDY.design.clusters)}).to_numpy()
    placed = df.assign(when=treated, arm=STUDY.allocation.treatment[where, treated])
    names = ["la", "when", "arm", "looked_after", "age_group", "gender", "ethnicity"]
    sets = [made.drop(columns=["when", "arm"]) for made in SPEC.completed(placed, names, {"when"})]
    fits = [sw.FixedEffects().fit(sw.Trial.from_frame(made, STUDY.allocation, **COLUMNS, covariates=COVARIATES)) for made in sets]
    expected = pool(fits)
    for imputation in (SPEC, sets, iter(sets)):
        found = analysed(df, methods=["multiple imputation"], imputation=imputation).estimates["multiple imputation"]
        assert (found.estimate, found.std_error, found.df) == (expected.estimate, expected.std_error, expected.df)


def test_the_same_seed_gives_the_same_digits() -> None:
    again, other = analysed(children()), analysed(children(), imputation=replace(SPEC, seed=2))
    pd.testing.assert_frame_equal(again.tidy(), example().tidy(), check_exact=True)
    assert again.tidy()["estimate"].iloc[0] != other.tidy()["estimate"].iloc[0]


def test_complete_case_is_the_trial_without_incomplete_rows() -> None:
    kept = children().dropna(subset=["gender", "ethnicity"])
    fit = sw.FixedEffects().fit(sw.Trial.from_frame(kept, STUDY.allocation, **COLUMNS, covariates=COVARIATES))
    found = example().estimates["complete case"]
    assert (found.estimate, found.std_error, found.df) == (fit.estimate, fit.std_error, fit.df)


def test_missing_indicator_is_a_level_for_categories_and_a_column_for_numbers() -> None:
    df = children()
    df = df.assign(score=df["white_british_share"].where(df["gender"].notna()))
    by_hand = df.assign(
        ethnicity=df["ethnicity"].fillna("unknown"), score=df["score"].fillna(df["score"].mean()), gap=df["score"].isna().astype(int)
    )
    trial = sw.Trial.from_frame(by_hand, STUDY.allocation, **COLUMNS, covariates="C(ethnicity) + score + gap")
    fit = sw.FixedEffects().fit(trial)
    found = analysed(df, methods=["missing indicator"], covariates="C(ethnicity) + score").estimates["missing indicator"]
    assert [found.estimate, found.std_error, found.df] == pytest.approx([float(v) for v in (fit.estimate, fit.std_error, fit.df)], rel=1e-9)


def test_missing_outcomes_are_imputed_or_dropped_and_counted() -> None:
    df = children()
    gone = np.random.default_rng(0).random(len(df)) < 0.1
    df, spec = df.assign(looked_after=df["looked_after"].mask(gone)), MultipleImputation(imputations=20, seed=1)
    table = analysed(df, covariates=None, imputation=spec).tidy().set_index("method")
    assert table["dropped"].to_dict() == {"multiple imputation": 0, "complete case": gone.sum(), "missing indicator": gone.sum()}
    same = ["estimate", "std_error", "df"]
    assert (table.loc["complete case", same] == table.loc["missing indicator", same]).all()
    assert 0.03 < table.loc["multiple imputation", "fmi"] < 0.3


@pytest.mark.parametrize(
    "estimator", [sw.MixedModel(sw.Exchangeable(), df="clusters"), sw.FixedEffects(effect=sw.ByExposure(), vcov="model")]
)
def test_every_estimator_and_several_terms_are_pooled(estimator: sw.Estimator) -> None:
    analysis = analysed(children(), estimator, covariates="C(gender)")
    terms = len(analysis.estimates["complete case"].terms)
    assert len(analysis.tidy()) == 3 * terms
    assert np.isfinite(analysis.tidy()[["estimate", "std_error", "p_value"]].to_numpy()).all()


def test_the_summary_says_what_was_missing_assumed_and_done() -> None:
    words = example().summary()
    for said in (
        "Missing among",
        "gender",
        "missing at random",
        "not an answer",
        repr(SPEC),
        "3 imputed data sets pooled by Rubin's rules",
        "(log odds ratio)",
    ):
        assert said in words
    assert repr(example()) == f"<MissingDataAnalysis: multiple imputation, complete case, missing indicator; {len(children())} rows>"


def test_the_plot_names_the_methods() -> None:
    axes = example().plot()
    assert [text.get_text() for text in axes.get_yticklabels()] == list(METHODS)
    assert axes.get_xlabel() == "log odds ratio"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"methods": ["imputation"]}, "methods='imputation'; expected one of"),
        ({"methods": []}, "Pass a list of some of"),
        ({"methods": "complete case"}, "Pass a list of some of"),
        ({"imputation": 20}, "By multiple imputation: imputation is a single int"),
        ({"imputation": []}, "By multiple imputation: 0 imputed sets"),
        ({"covariates": "C(gendre)"}, "Did you mean 'gender'"),
        ({"cluster": "ward"}, "cluster='ward' is not a column"),
        ({"date": None}, "Give either period="),
    ],
)
def test_bad_input(changed: dict[str, object], said: str) -> None:
    with pytest.raises(sw.DataError, match=said):
        analysed(children(), **changed)


def test_bad_input_estimator() -> None:
    with pytest.raises(sw.DataError, match="estimator is the class FixedEffects, not an Estimator"):
        missing_data_analysis(children(), STUDY.allocation, sw.FixedEffects, **COLUMNS)


@pytest.mark.parametrize(
    ("columns", "covariates", "said"),
    [
        ({"ethnicity": lambda f: f["ethnicity"].where(f["gender"].notna(), "missing")}, "C(ethnicity)", "level 'missing' besides"),
        ({"score_missing": 0, "score": lambda f: f["uasc"] + f["disability"]}, "score", "have a column 'score_missing' already"),
        ({"score": np.nan}, "score", "'score' has no value at all"),
    ],
)
def test_bad_input_missing_indicator(columns: dict[str, object], covariates: str, said: str) -> None:
    with pytest.raises(sw.DataError, match=f"By missing indicator: .*{said}"):
        analysed(children().assign(**columns), methods=["missing indicator"], covariates=covariates)


def test_bad_input_sets_that_cannot_be_fitted_are_counted() -> None:
    df = children()
    sets = list(SPEC.completed(df, ["looked_after", "gender", "ethnicity", "uasc"]))
    twice = [made.assign(double=2.0 * (made["gender"] == "male")) for made in sets]
    gaps = df.assign(double=2.0 * (df["gender"] == "male").where(df["gender"].notna()))
    with pytest.raises(
        sw.FitError, match=r"By multiple imputation: 3 of 3 imputed sets could not be fitted: 1; 2; 3. The first: .*rank deficient"
    ):
        analysed(gaps, methods=["multiple imputation"], covariates="C(gender) + double", imputation=twice)
