"""What results say of themselves: one line, a summary fit for a paper, and directions where the wrong thing was passed."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimate import TestResult
from swedge.estimators.profile import profile_intervals
from swedge.inference import (
    ConleyTaberTest,
    FermanPintoTest,
    JackknifeTest,
    LikelihoodRatioTest,
    MaxT,
    ParametricBootstrapTest,
    PlaceboTest,
    RandomisationTest,
    WildBootstrapTest,
    leave_one_cluster_out,
    missing_data_analysis,
    multiplicity,
)

WEDGE = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)


def risks(seed: int = 0) -> sw.Trial:
    rng = np.random.default_rng(seed)
    mean = rng.binomial(400, 0.2 + 0.05 * rng.random((5, 6))) / 400
    return sw.Trial.from_cells(np.full((5, 6), 400), mean, WEDGE, family="binomial")


def levels(clusters: int = 5, comparators: int = 0, seed: int = 0) -> sw.Trial:
    allocation = sw.Design.stepped_wedge(clusters=clusters, periods=clusters + 1).randomise(seed=0)
    y = np.random.default_rng(seed).standard_normal((clusters + comparators, clusters + 1))
    return sw.Trial.from_cells(np.ones(y.shape), y, allocation, comparators=[f"other {k}" for k in range(comparators)])


LOGIT, MIXED = sw.FixedEffects(), sw.MixedModel(sw.Exchangeable(), df="between-within")
TESTS: dict[str, tuple[Callable[[], TestResult], str]] = {
    "randomisation": (lambda: RandomisationTest().run(levels(), sw.WithinPeriod()), "against all 120 allocations permitted"),
    "sampled": (lambda: RandomisationTest(draws=50).run(levels(), sw.WithinPeriod()), "a random 50 of the 120 allocations"),
    "placebo": (lambda: PlaceboTest(draws=99).run(levels(5, 9), sw.TwoWayFixedEffects()), "with the 5 treated clusters left out"),
    "wild": (lambda: WildBootstrapTest().run(risks(), LOGIT), r"all 32 vectors of weights over 5 clusters"),
    "jackknife": (lambda: JackknifeTest().run(levels(), sw.TwoWayFixedEffects()), r"from 5 clusters; t with 4 degrees of freedom"),
    "likelihood ratio": (lambda: LikelihoodRatioTest().run(risks(), MIXED), r"referred to F with 1 and 19 \(between-within\)"),
    "bootstrap": (lambda: ParametricBootstrapTest(draws=39).run(risks(), MIXED), "39 trials drawn from the model"),
    "conley-taber": (lambda: ConleyTaberTest(draws=99).run(levels(5, 9), sw.TwoWayFixedEffects()), "errors of 9 never-treated"),
    "ferman-pinto": (lambda: FermanPintoTest(draws=99).run(levels(5, 9), sw.TwoWayFixedEffects()), "errors of all 14 clusters"),
    "wald": (lambda: sw.WaldTest().run(risks(), LOGIT), "Logistic regression with fixed cluster and period effects"),
}


@pytest.mark.parametrize("name", TESTS)
def test_law_a_summary_names_estimator_scale_level_and_method(name: str) -> None:
    make, said = TESTS[name]
    result = make()
    words, (last,) = result.summary(), [line for line in result.summary().splitlines() if line.startswith("Methods: ")]
    assert said.replace("\\", "") in last
    assert last.endswith(".")
    assert last.count(". ") == 0
    assert result.estimator in words.splitlines()[0]
    assert "95% interval" in words.splitlines()[0]
    assert "0.9500" not in words
    assert "95.0%" not in words
    assert ("n_allocations" in words) == (result.n_allocations > 0)
    assert ("min_p" in words) == (result.min_p > 0)
    assert ("As odds ratio: " in words) == (result.scale == "logit")
    assert {"n_allocations", "min_p", "level"} <= set(result.tidy().columns)


@pytest.mark.parametrize("name", TESTS)
def test_law_rows_of_tests_say_what_was_tested_and_on_which_scale(name: str) -> None:
    table = TESTS[name][0]().tidy()
    assert list(table.columns)[:4] == ["test", "estimator", "scale", "estimate"]
    kind = {"wild": "FixedEffects", "wald": "FixedEffects CR2", "likelihood ratio": "MixedModel", "bootstrap": "MixedModel"}
    kind |= {"randomisation": "WithinPeriod", "sampled": "WithinPeriod"}
    assert table["estimator"].item() == kind.get(name, "TwoWayFixedEffects")
    assert table["scale"].item() == ("logit" if name in ("wild", "wald", "likelihood ratio", "bootstrap") else "identity")


def test_law_tests_of_several_estimators_can_be_told_apart() -> None:
    trial = levels(5, 9)
    results = [sw.PlaceboTest(draws=49).run(trial, estimator) for estimator in (sw.TwoWayFixedEffects(), sw.CallawaySantAnna())]
    table = pd.concat([result.tidy() for result in results])
    assert table["estimator"].tolist() == ["TwoWayFixedEffects", "CallawaySantAnna"]
    stack = trial.reallocated(WEDGE.design.allocations()[:3])
    assert sw.WaldTest().run(stack, sw.TwoWayFixedEffects()).tidy()["estimator"].tolist() == ["TwoWayFixedEffects"] * 3


@pytest.mark.parametrize("name", TESTS)
def test_law_a_result_is_one_line(name: str) -> None:
    result = TESTS[name][0]()
    assert "\n" not in repr(result)
    assert len(repr(result)) < 200
    assert "array" not in repr(result)
    assert f"{float(result.estimate):.4g}" in repr(result)


def test_law_the_ratio_of_a_test_is_that_of_its_estimate() -> None:
    result = JackknifeTest().run(risks(), LOGIT)
    value, (low, high) = np.exp(result.estimate), np.exp(result.conf_int)
    assert f"As odds ratio: {value:.3g} ({low:.3g} to {high:.3g})" in result.summary()


def test_law_stacks_and_several_outcomes_are_one_line_too() -> None:
    stack = sw.Trial.from_cells(np.ones((5, 6)), np.random.default_rng(0).standard_normal((3, 5, 6)), WEDGE)
    assert repr(RandomisationTest().run(stack, sw.WithinPeriod())) == "<TestResult: 3 trials, randomisation (estimate) by WithinPeriod>"
    several = MaxT().run({"a": (levels(), sw.WithinPeriod()), "b": (levels(seed=1), sw.WithinPeriod())})
    assert repr(several).startswith("<MaxTResult: maxT (t) of a; b; smallest adjusted p ")
    curve = sw.FixedEffects(vcov="model", effect=sw.ByExposure()).fit(risks())
    assert ", ... (log odds ratio)" in repr(curve)
    assert "..." not in repr(LOGIT.fit(risks()))


# nothing can be tested -----------------------------------------------------------------------------------------------------------------


def test_law_a_least_p_of_1_says_that_nothing_can_be_tested() -> None:
    result = RandomisationTest().run(levels(2), sw.WithinPeriod())
    assert result.min_p == 1
    assert result.offered_conf_int is None
    assert np.isinf(result.conf_int).all()
    assert "nothing can be tested" in result.summary()
    assert "nan" not in result.summary()


@pytest.mark.parametrize("clusters", [3, 4])
def test_law_a_bootstrap_of_three_clusters_quotes_no_rate_of_rejection(clusters: int) -> None:
    result = WildBootstrapTest().run(levels(clusters), sw.WithinPeriod())
    assert result.min_p > 0.05
    assert "cannot reject at 5%" in result.summary()
    assert "6% to 10%" not in result.summary()


def test_law_a_share_of_no_variance_is_not_defined() -> None:
    y = np.arange(30).reshape(5, 6)[:, ::-1] % 7 / 10
    trial = sw.Trial.from_cells(np.full((5, 6), 20), 0 * y + 0.001 * y, WEDGE, within=600.0)
    found = profile_intervals(trial, sw.MixedModel(sw.NestedExchangeable(), df="clusters"), terms=["cluster", "cluster_period", "cac"])
    assert found.estimate[:2].tolist() == [0.0, 0.0]
    assert np.isnan(found.estimate[2])
    assert "cac is not defined" in found.summary()


# a class, a text, or the other way round -----------------------------------------------------------------------------------------------

RUNS: dict[str, Callable[[object, object], object]] = {
    "randomisation": lambda trial, estimator: RandomisationTest().run(trial, estimator),
    "jackknife": lambda trial, estimator: JackknifeTest().run(trial, estimator),
    "wald": lambda trial, estimator: sw.WaldTest().run(trial, estimator),
    "wild": lambda trial, estimator: WildBootstrapTest().run(trial, estimator),
    "placebo": lambda trial, estimator: PlaceboTest().run(trial, estimator),
    "likelihood": lambda trial, estimator: LikelihoodRatioTest().run(trial, estimator),
    "bootstrap": lambda trial, estimator: ParametricBootstrapTest().run(trial, estimator),
    "conley-taber": lambda trial, estimator: ConleyTaberTest().run(trial, estimator),
    "maxT": lambda trial, estimator: MaxT().run({"y": (trial, estimator)}),
    "profile": lambda trial, estimator: profile_intervals(trial, estimator),
    "leave out": lambda trial, estimator: leave_one_cluster_out(trial, estimator),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (sw.MixedModel, r"the class MixedModel, not an Estimator that can fit. Pass for example MixedModel\(\)"),
        ("FixedEffects", r"the text 'FixedEffects', not an Estimator"),
        (None, "a NoneType, not an Estimator"),
    ],
)
def test_bad_input_no_estimator(run: str, estimator: object, said: str) -> None:
    with pytest.raises(sw.DataError, match=said):
        RUNS[run](levels(), estimator)


@pytest.mark.parametrize("run", RUNS)
def test_bad_input_swapped(run: str) -> None:
    with pytest.raises(sw.DataError, match=r"A trial comes first.*Swap them"):
        RUNS[run](MIXED, levels())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"effect": sw.ByExposure}, r"effect is the class ByExposure, not an effect curve"),
        ({"effect": "ByExposure"}, r"effect is the text 'ByExposure'"),
        ({"effect": sw.ByExposure(), "estimand": sw.TATE}, r"estimand is the class TATE, not an estimand. Pass for example TATE\(\)"),
        ({"effect": sw.ByExposure(), "estimand": "TATE"}, "estimand is the text 'TATE'"),
        (
            {"effect": sw.ByPeriod(empty="leave out"), "estimand": sw.TATE()},
            r"averages effects over exposures; this model has 4 effects by period",
        ),
    ],
)
@pytest.mark.parametrize("kind", [sw.FixedEffects, sw.GEE])
def test_bad_input_effects(kind: type, given: dict[str, object], said: str) -> None:
    with pytest.raises(sw.DesignError, match=said):
        kind(**given).fit(risks())


# one cluster a sequence ---------------------------------------------------------------------------------------------------------------


def test_law_effects_that_one_cluster_carries_are_named() -> None:
    curve = sw.ByPeriod(empty="leave out")
    with pytest.raises(
        sw.FitError, match=r"Of 4 effects this concerns period 2; period 5\. FixedEffects\(vcov='overdispersed'\) gives the rest"
    ):
        sw.FixedEffects(effect=curve).fit(risks())
    with pytest.raises(sw.FitError, match=r"Of 5 effects this concerns exposure 5\."):
        sw.GEE(effect=sw.ByExposure()).fit(risks())
    assert np.isfinite(sw.FixedEffects(effect=curve, vcov="overdispersed").fit(risks()).std_error).all()


def test_law_a_share_below_the_limit_is_noted_by_term() -> None:
    (note,) = sw.FixedEffects(effect=sw.ByExposure()).fit(risks()).notes
    assert "32% of the effect 'exposure 5' rests on cells that one cluster alone informs" in note


# p values of results -------------------------------------------------------------------------------------------------------------------


def test_law_results_and_series_are_read_as_their_p() -> None:
    fit, test = LOGIT.fit(risks()), RandomisationTest().run(levels(), sw.WithinPeriod())
    p = {"fit": float(fit.p_value), "test": float(test.p_value)}
    expected = multiplicity(p)
    pd.testing.assert_frame_equal(multiplicity({"fit": fit, "test": test}), expected)
    pd.testing.assert_frame_equal(multiplicity(pd.Series(p)), expected)


def test_bad_input_a_fit_of_several_effects_has_no_one_p() -> None:
    fit = sw.FixedEffects(vcov="model", effect=sw.ByExposure()).fit(risks())
    with pytest.raises(sw.DataError, match=r"'curve' holds 5 p values \(5 effects\); expected one"):
        multiplicity({"curve": fit})


# pictures and words --------------------------------------------------------------------------------------------------------------------


def test_law_a_curve_of_log_ratios_has_its_ratios_on_the_right() -> None:
    axes = sw.FixedEffects(vcov="model", effect=sw.ByExposure()).fit(risks()).plot()
    (right,) = axes.child_axes
    assert right.get_ylabel() == "Odds ratio"
    shown = [float(label.get_text()) for label in right.get_yticklabels()]
    assert np.log(shown) == pytest.approx(right.get_yticks())


def test_law_a_gee_says_what_it_adjusts_for_last() -> None:
    rng = np.random.default_rng(0)
    df = pd.DataFrame([(c, t + 1) for c in WEDGE.design.clusters for t in range(6) for _ in range(9)], columns=["c", "t"])
    df = df.assign(y=rng.binomial(1, 0.4, len(df)), sex=rng.binomial(1, 0.5, len(df)), age=rng.binomial(3, 0.5, len(df)))
    trial = sw.Trial.from_frame(df, WEDGE, cluster="c", period="t", outcome="y", family="binomial", covariates="sex + age")
    for estimator in (sw.GEE(sw.Exchangeable(0.0)), sw.FixedEffects()):
        assert "degrees of freedom, adjusted for sex, age; 5 clusters" in estimator.fit(trial).methods


def test_bad_input_a_gee_of_shares_points_to_what_works() -> None:
    trial = sw.Trial.from_cells(np.full((5, 6), 400), risks().outcome, WEDGE, family="fractional")
    with pytest.raises(sw.DataError, match=r"What works: state the correlation, as in GEE\(Exchangeable\(0.05\)\)") as told:
        sw.GEE().fit(trial)
    assert "gaussian" not in str(told.value)
    assert np.isfinite(sw.GEE(sw.Exchangeable(0.05)).fit(trial).std_error)


# one of several ways to deal with gaps fails ------------------------------------------------------------------------------------------


def test_law_a_method_that_fails_is_a_row_and_a_note() -> None:
    rng = np.random.default_rng(0)
    names = WEDGE.design.clusters
    df = pd.DataFrame([(c, t + 1) for c in names for t in range(6) for _ in range(4)], columns=["c", "t"])
    df = df.assign(y=rng.standard_normal(len(df)), z=rng.standard_normal(len(df)))
    df.loc[(df["c"] == names[0]) & (df["t"] == 1), "z"] = np.nan
    given = {"cluster": "c", "period": "t", "outcome": "y", "covariates": "z", "methods": ["complete case", "missing indicator"]}
    analysis = missing_data_analysis(df, WEDGE, sw.FixedEffects(), **given)
    table = analysis.tidy().set_index("method")
    assert list(analysis.failures) == ["complete case"]
    assert table["status"].to_dict() == {"missing indicator": "ok", "complete case": "failed"}
    assert table.loc["complete case", ["estimate", "std_error", "p_value", "n"]].isna().all()
    assert "Note: failed. By complete case: 1 cell" in analysis.summary()
    kept = missing_data_analysis(df, WEDGE, sw.FixedEffects(), **given, empty="keep")
    assert not kept.failures
    with pytest.raises(sw.DataError, match="By complete case"):
        missing_data_analysis(df, WEDGE, sw.FixedEffects(), **(given | {"methods": ["complete case"]}))
