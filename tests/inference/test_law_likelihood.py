"""The likelihood-ratio test and the parametric bootstrap: what they are made of, and what they refuse.

Ratios and profile limits are compared with lme4 in tests/estimators/test_golden_glmm.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.assumptions import RandomEffects
from swedge.estimators.mixed_null import draw_null, null_fit
from swedge.inference import LikelihoodRatioTest, ParametricBootstrapTest

Array = np.ndarray
BINARY = sw.MixedModel(sw.Exchangeable(), df="normal")
NESTED = sw.MixedModel(df="between-within")


def made(name: str, family: str) -> sw.Trial:
    if family == "gaussian":
        return trials.from_rows(data.made_trial(name), "y_cont", "gaussian")
    return trials.from_cells(data.made_trial(name), "y_bin", family)


@pytest.mark.parametrize(("df", "freedom"), [("between-within", 19), ("clusters", 3), ("normal", np.inf)])
def test_reference_p_is_that_of_f(df: str, freedom: float) -> None:
    trial = made("made_wedge", "binomial")
    result = LikelihoodRatioTest(df=df, interval=False).run(trial, BINARY)
    full = BINARY.fit(trial)
    assert (result.estimate, result.std_error) == (full.estimate, full.std_error)
    assert result.p_value == pytest.approx(stats.f.sf(result.statistic, 1, freedom if np.isfinite(freedom) else 1e9), rel=1e-6)
    shown = "infinite" if df == "normal" else str(freedom)
    assert any(f"F with 1 and {shown} ({df}) degrees of freedom" in note for note in result.notes)


@pytest.mark.parametrize(
    ("family", "model"),
    [("binomial", BINARY), ("poisson", NESTED), ("gaussian", sw.MixedModel()), ("gaussian", sw.MixedModel(sw.Exchangeable()))],
)
def test_law_limits_are_where_the_test_turns(family: str, model: sw.MixedModel) -> None:
    trial, test = made("made_unequal", family), LikelihoodRatioTest(level=0.9)
    result = test.run(trial, model)
    low, high = result.conf_int
    assert low < result.estimate < high
    for effect in (low, high):
        at = LikelihoodRatioTest(interval=False).run(model.null(trial, effect), replace(model, reml=False, df="normal"))
        assert at.p_value == pytest.approx(0.1, abs=1e-4)
    assert (result.p_value < 0.1) == (not low < 0 < high)


def test_law_reml_plays_no_part() -> None:
    trial = made("made_unequal", "gaussian")
    reml, full = (LikelihoodRatioTest(interval=False).run(trial, sw.MixedModel(reml=reml, df="satterthwaite")) for reml in (True, False))
    assert reml.statistic == full.statistic


@pytest.mark.parametrize("family", ["binomial", "gaussian"])
def test_law_a_stack_is_a_loop(family: str) -> None:
    trial = made("made_wedge", family)
    stack = trial.reallocated(np.asarray(trial.design.allocations())[:2])
    model = BINARY if family == "binomial" else sw.MixedModel()
    whole = LikelihoodRatioTest(interval=True).run(stack, model)
    for i in range(2):
        single = LikelihoodRatioTest().run(stack.replicate(i), model)
        assert whole.statistic[i] == pytest.approx(single.statistic, abs=1e-7)
        assert whole.p_value[i] == pytest.approx(single.p_value, rel=1e-5)
        assert whole.conf_int[i] == pytest.approx(single.conf_int, abs=1e-4)


def test_law_a_failed_replicate_has_a_status_and_no_p() -> None:
    trial = made("made_wedge", "binomial")
    mean = np.stack([trial.outcome, np.zeros_like(trial.outcome)])
    stack = replace(trial, cells=replace(trial.cells, mean=mean[..., None]))
    for test in (LikelihoodRatioTest(), ParametricBootstrapTest(draws=19)):
        result = test.run(stack, BINARY)
        assert result.status.tolist() == [sw.Status.OK, sw.Status.NO_VARIATION]
        assert np.isnan(result.p_value).tolist() == [False, True]


# The bootstrap --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["binomial", "gaussian", "poisson"])
def test_reference_p_counts_draws(family: str) -> None:
    trial = made("made_unequal", family)
    model = sw.MixedModel(sw.Exchangeable(), df="normal")
    result = ParametricBootstrapTest(draws=99, seed=4).run(trial, model)
    assert np.shape(result.reference) == (99,)
    assert result.p_value == pytest.approx(((result.reference >= result.statistic).sum() + 1) / 100)
    assert result.min_p == 0.01
    assert result.statistic == LikelihoodRatioTest(interval=False).run(trial, model).statistic
    again = ParametricBootstrapTest(draws=99, seed=4, interval=False).run(trial, model)
    assert (again.reference == result.reference).all()
    assert np.isnan(again.conf_int).all()
    other = ParametricBootstrapTest(draws=99, seed=5, interval=False).run(trial, model)
    assert not (other.reference == result.reference).all()


def test_law_the_bootstrap_interval_is_the_test_turned_round() -> None:
    trial = made("made_unequal", "binomial")
    test = ParametricBootstrapTest(draws=99, level=0.9)
    result = test.run(trial, BINARY)
    critical = np.sort(result.reference)[-10]
    for effect in result.conf_int:
        at = LikelihoodRatioTest(interval=False).run(BINARY.null(trial, effect), BINARY)
        assert at.statistic == pytest.approx(critical, abs=1e-4)
    assert (result.p_value <= 0.1) == (not result.conf_int[0] < 0 < result.conf_int[1])


def test_law_too_few_draws_leave_the_whole_line() -> None:
    result = ParametricBootstrapTest(draws=9).run(made("made_unequal", "binomial"), BINARY)
    assert result.conf_int.tolist() == [-np.inf, np.inf]


@pytest.mark.parametrize(
    "model",
    [
        sw.MixedModel(),
        sw.MixedModel(sw.ExponentialDecay()),
        sw.MixedModel(RandomEffects(cluster=None, treatment=None, treatment_corr=None)),
    ],
    ids=repr,
)
def test_law_gaussian_draws_have_the_fitted_variances(model: sw.MixedModel) -> None:
    """Covariance of the drawn cell means against the model's, each entry to 4.5 standard errors of 4,000 draws; scatter likewise."""
    trial, draws = made("made_unequal", "gaussian"), 4000
    found = {name: float(value) for name, value in null_fit(model, trial).details["variances"].items()}
    drawn = draw_null(model, trial, draws, np.random.default_rng(1))
    i = 5
    lag = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    x = trial.treatment[i]
    cells = found.get("autocorrelation", 0.0) ** lag if "autocorrelation" in found else np.eye(5)
    wanted = found.get("cluster", 0.0) + found.get("cluster_period", 0.0) * cells + np.diag(found["residual"] / trial.n[i])
    wanted = wanted + found.get("cluster_treatment", 0.0) * np.add.outer(x, x) + found.get("treatment", 0.0) * np.outer(x, x)
    error = np.sqrt((wanted**2 + np.outer(np.diag(wanted), np.diag(wanted))) / draws)
    seen = np.cov(drawn.outcome[:, i].T)
    assert (np.abs(seen - wanted) < 4.5 * error).all()
    freedom = trial.n.sum() - trial.n.size
    assert drawn.cells.within.mean() / (found["residual"] * freedom) == pytest.approx(1, abs=4.5 * np.sqrt(2 / freedom / draws))


def test_law_generalised_draws_have_the_fitted_mean_and_covariance() -> None:
    """On made_unequal, by simulation of the same model with other random numbers and other code."""
    trial, draws = made("made_unequal", "poisson"), 4000
    model = sw.MixedModel(df="normal")
    fit = null_fit(model, trial)
    between, within = (float(fit.details["variances"][name]) for name in ("cluster", "cluster_period"))
    drawn = draw_null(model, trial, draws, np.random.default_rng(1)).outcome
    mean = drawn.mean(0)
    assert np.ptp(np.log(mean), axis=0) == pytest.approx(0, abs=0.2)  # one rate a period under no effect
    share = np.cov(drawn[:, 7].T) / np.outer(mean[7], mean[7])
    off = share[~np.eye(5, dtype=bool)]
    assert off.mean() == pytest.approx(np.expm1(between), abs=0.02)
    own = np.diag(share) - 1 / (trial.n[7] * mean[7])
    assert own.mean() == pytest.approx(np.expm1(between + within), abs=0.03)


def test_law_draws_with_individual_covariates() -> None:
    """Patterns are redrawn slot by slot; Gaussian scatter keeps the covariates' own and stays positive definite."""
    rows = data.made_trial("made_unequal")
    rows = rows.assign(age=np.random.default_rng(2).standard_normal(len(rows)), group=np.arange(len(rows)) % 3)
    gaussian = trials.from_rows(rows, "y_cont", "gaussian", "age")
    drawn = draw_null(sw.MixedModel(), gaussian, 50, np.random.default_rng(0))
    assert drawn.cells.within[:, 0, 1, 1] == pytest.approx(gaussian.cells.within.sum(-3)[1, 1])
    assert (np.linalg.eigvalsh(drawn.cells.within[:, 0]) > 0).all()
    assert (sw.MixedModel().fit(drawn).status <= sw.Status.SINGULAR).all()
    binary = trials.from_rows(rows, "y_bin", "binomial", "C(group)")
    redrawn = draw_null(BINARY, binary, 20, np.random.default_rng(0))
    assert redrawn.patterns.mean.shape == (20, *binary.patterns.n.shape)
    counts = redrawn.patterns.gather(redrawn.patterns.n * redrawn.patterns.mean)
    assert redrawn.outcome == pytest.approx(counts / np.maximum(binary.n, 1))
    result = ParametricBootstrapTest(draws=39, interval=False).run(binary, BINARY)
    assert 1 / 40 <= result.p_value <= 1


# Power and bad input --------------------------------------------------------------------------------------------------------------------


def test_law_both_tests_work_in_power() -> None:
    truth = sw.Scenario(family="binomial", baseline=0.2, effect=0.0, size=50, scale="logit", correlation=RandomEffects(cluster=0.3))
    methods = {"ratio": (NESTED, LikelihoodRatioTest()), "bootstrap": (BINARY, ParametricBootstrapTest(draws=19))}
    power = sw.simulate_power(sw.Design.stepped_wedge(5, 6), truth, methods, reps=20, seed=1, progress=False).tidy()
    assert power.n_failed.tolist() == [0, 0]
    assert power.power.between(0, 1).all()


@pytest.mark.parametrize("test", [LikelihoodRatioTest(), ParametricBootstrapTest(draws=9)], ids=repr)
@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (sw.FixedEffects(), r"has no likelihood to compare. Use a MixedModel"),
        (sw.MixedModel(sw.Exchangeable(), effect=sw.ByExposure(), df="normal"), r"effects, and a likelihood ratio leaves out one"),
        (sw.MixedModel(sw.Exchangeable(), effect=sw.ByExposure(), estimand=sw.TATE(), df="normal"), "leaves out one"),
    ],
    ids=["fixed", "several", "estimand"],
)
def test_bad_input_estimator(test: LikelihoodRatioTest | ParametricBootstrapTest, estimator: sw.Estimator, match: str) -> None:
    with pytest.raises(sw.FitError, match=match):
        test.run(made("made_wedge", "binomial"), estimator)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: LikelihoodRatioTest(df="between"), r"expected one of between-within, clusters, normal.*Did you mean 'between-within'"),
        (lambda: LikelihoodRatioTest(level=95), "level=95; expected a number between 0 and 1"),
        (lambda: ParametricBootstrapTest(level=0.0), "expected a number between 0 and 1"),
        (lambda: ParametricBootstrapTest(draws=0), "draws"),
        (lambda: ParametricBootstrapTest(draws=9.5), "draws"),
        (lambda: ParametricBootstrapTest(seed=-1), "seed"),
    ],
)
def test_bad_input_arguments(make: object, match: str) -> None:
    with pytest.raises(sw.SwedgeError, match=match):
        make()


def test_bad_input_a_single_trial_that_cannot_be_fitted() -> None:
    trial = made("made_wedge", "binomial")
    constant = replace(trial, cells=replace(trial.cells, mean=np.zeros_like(trial.cells.mean)))
    for test in (LikelihoodRatioTest(), ParametricBootstrapTest(draws=9)):
        with pytest.raises(sw.FitError, match="no variation"):
            test.run(constant, BINARY)
    with pytest.raises(sw.DataError, match="Trials are drawn like a single one"):
        draw_null(BINARY, trial.reallocated(np.asarray(trial.design.allocations())[:2]), 5, np.random.default_rng(0))
