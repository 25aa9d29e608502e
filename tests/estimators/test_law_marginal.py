"""What a marginal effect has to be, whatever the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import special

import reference_trials as trials
import swedge as sw
from estimators.marginal_rows import banded
from swedge.estimators import MarginalEffect

DESIGN = sw.Design.stepped_wedge(clusters=["Avon", "Bute", "Cork", "Down", "Eden"], periods=6)
MEASURES = ("difference", "ratio", "odds ratio")
ESTIMATORS = (sw.FixedEffects(), sw.FixedEffects(vcov="overdispersed"), sw.FixedEffects(vcov="CR0", df="clusters"))


def children(seed: int, effect: float = -0.6, size: int = 120) -> tuple[pd.DataFrame, sw.Allocation]:
    """Rows with a strong covariate of three levels."""
    rng = np.random.default_rng([seed, 7])
    allocation = DESIGN.randomise(seed=seed)
    la, period = (np.repeat(index.ravel(), size) for index in np.indices((5, 6)))
    age = rng.integers(0, 3, len(la))
    predictor = -1.5 + 1.5 * age + 0.3 * la - 0.1 * period + effect * allocation.treatment[la, period]
    y = rng.binomial(1, 1 / (1 + np.exp(-predictor)))
    return pd.DataFrame({"la": np.array(DESIGN.clusters)[la], "period": period + 1, "age": age, "y": y}), allocation


def read(rows: pd.DataFrame, allocation: sw.Allocation, family: str = "binomial", covariates: str | None = "C(age)") -> sw.Trial:
    return sw.Trial.from_frame(rows, allocation, cluster="la", period="period", outcome="y", family=family, covariates=covariates)


def numbers(fit: sw.Estimate) -> np.ndarray:
    return np.stack([fit.estimate, fit.std_error, fit.df], -1)


def stack(reps: int, family: str = "binomial") -> sw.Trial:
    """Trials that differ in outcomes, counts and allocations."""
    rng = np.random.default_rng(5)
    n = rng.integers(40, 120, (reps, 5, 6)).astype(float)
    mean = rng.binomial(n.astype(int), 0.3) / n
    drawn = [DESIGN.randomise(seed=seed) for seed in range(reps)]
    trial = sw.Trial.from_cells(n, mean, drawn[0], family=family)
    return trial.under(np.stack([a.treatment for a in drawn]), np.stack([a.exposure for a in drawn]))


@pytest.mark.parametrize("over", ["all", "treated"])
@pytest.mark.parametrize("covariates", [None, "C(age)", "age"])
def test_a_difference_of_gaussian_means_is_the_coefficient(covariates: str | None, over: str) -> None:
    trial = read(*children(1), family="gaussian", covariates=covariates)
    for estimator in (sw.FixedEffects(), sw.FixedEffects(vcov="model")):
        assert numbers(MarginalEffect(estimator, over=over).fit(trial)) == pytest.approx(numbers(estimator.fit(trial)), rel=1e-10)


@pytest.mark.parametrize("over", ["all", "treated"])
def test_a_ratio_of_poisson_rates_is_the_coefficient(over: str) -> None:
    trial = read(*children(1), family="poisson")
    for estimator in ESTIMATORS:
        assert numbers(MarginalEffect(estimator, "ratio", over).fit(trial)) == pytest.approx(numbers(estimator.fit(trial)), rel=1e-9)


def test_a_gaussian_curve_among_the_treated_is_its_average_over_them() -> None:
    rows, allocation = children(1)
    trial = read(rows, allocation, "gaussian")
    curve = sw.FixedEffects(effect=sw.ByExposure()).fit(trial)
    exposure = allocation.exposure[allocation.exposure > 0]  # cells are of one size
    share = np.bincount(exposure)[1:] / len(exposure)
    fit = MarginalEffect(sw.FixedEffects(effect=sw.ByExposure()), over="treated").fit(trial)
    assert fit.estimate == pytest.approx(float(share @ curve.estimate), rel=1e-10)
    assert fit.std_error == pytest.approx(float(np.sqrt(share @ curve.covariance @ share)), rel=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
def test_terms_of_a_curve_are_its_effects_at_a_point(measure: str) -> None:
    trial = read(*children(2))
    curve = sw.FixedEffects(effect=sw.ByExposure())
    whole = MarginalEffect(curve, measure).fit(trial)
    assert whole.terms == tuple(f"exposure {s}" for s in range(1, 6))
    for k in range(5):
        point = MarginalEffect(replace(curve, estimand=sw.PTE(k + 1)), measure).fit(trial)
        assert numbers(point) == pytest.approx(numbers(whole)[k], rel=1e-10)
    average = MarginalEffect(replace(curve, estimand=sw.TATE()), measure).fit(trial)
    assert average.estimate == pytest.approx(whole.estimate.mean(), rel=1e-10)
    assert average.std_error == pytest.approx(np.sqrt(whole.covariance.mean()), rel=1e-10)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: e.vcov)
def test_a_stack_is_a_loop(estimator: sw.FixedEffects, measure: str) -> None:
    many = stack(6)
    for over in ("all", "treated"):
        wrapped = MarginalEffect(estimator, measure, over)
        whole = wrapped.fit(many)
        alone = [wrapped.fit(many.replicate(k)) for k in range(6)]
        np.testing.assert_allclose(numbers(whole), np.stack([numbers(fit) for fit in alone]), rtol=1e-9)
        np.testing.assert_allclose(whole.details["untreated"], [fit.details["untreated"] for fit in alone], rtol=1e-11)
        np.testing.assert_allclose(wrapped.point(many), whole.estimate, rtol=1e-12)


def test_a_stack_of_several_terms_and_of_patterns_is_a_loop() -> None:
    trial = read(*children(3))
    sequences = DESIGN.random_allocations(3, 1)
    under = trial.reallocated(sequences)
    for over, effect in (("all", sw.ByExposure()), ("treated", sw.ByExposure()), ("treated", sw.Constant())):
        wrapped = MarginalEffect(sw.FixedEffects(effect=effect), "ratio", over)
        alone = [wrapped.fit(trial.reallocated(row)) for row in sequences]
        np.testing.assert_allclose(numbers(wrapped.fit(under)), np.stack([numbers(fit) for fit in alone]), rtol=1e-9)


def test_labels_do_not_matter() -> None:
    """Clusters, levels of the covariate and the order of rows."""
    rows, allocation = children(4)
    names = list(DESIGN.clusters)
    other = dict(zip(names, names[::-1], strict=True))
    moved = rows.assign(la=rows.la.map(other), age=2 - rows.age).sample(frac=1.0, random_state=1)
    back = DESIGN.allocate({other[name]: s for name, s in zip(names, allocation.sequence, strict=True)})
    for measure in MEASURES:
        plain, turned = (MarginalEffect(measure=measure).fit(read(*pair)) for pair in ((rows, allocation), (moved, back)))
        assert numbers(turned) == pytest.approx(numbers(plain), rel=1e-9)


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("dataset", ["made_wedge", "made_gaps"])
def test_rows_and_cells_agree(dataset: str, family: str) -> None:
    rows = banded(dataset).assign(y_bin=lambda d: d.y)
    for measure in MEASURES[: 3 if family == "binomial" else 2]:
        wrapped = MarginalEffect(sw.FixedEffects(vcov="CR0"), measure)
        from_rows, from_cells = (wrapped.fit(t) for t in (trials.from_rows(rows, "y", family), trials.from_cells(rows, "y_bin", family)))
        assert numbers(from_cells) == pytest.approx(numbers(from_rows), rel=1e-10)


def test_risk_differences_and_ratios_collapse_and_odds_ratios_do_not() -> None:
    """Over patterns the marginal difference is the average one; the marginal odds ratio is nearer to 1 than that of every pattern."""
    rows, allocation = children(5, size=400)
    trial = read(rows, allocation)
    conditional = float(sw.FixedEffects().fit(trial).estimate)
    fits = {measure: MarginalEffect(measure=measure).fit(trial) for measure in MEASURES}
    inside = {age: _untreated_and_treated(trial, age) for age in range(3)}
    share = np.bincount(rows.age) / len(rows)
    untreated, treated = sum(share[age] * inside[age] for age in range(3))
    assert fits["difference"].estimate == pytest.approx(treated - untreated, rel=1e-9)
    assert fits["ratio"].estimate == pytest.approx(np.log(treated / untreated), rel=1e-9)
    ratios = [np.log(risks[1] / risks[0]) for risks in inside.values()]
    assert min(ratios) < float(fits["ratio"].estimate) < max(ratios)
    assert abs(float(fits["odds ratio"].estimate)) < 0.9 * abs(conditional)
    assert np.sign(fits["odds ratio"].estimate) == np.sign(conditional)


def _untreated_and_treated(trial: sw.Trial, age: int) -> np.ndarray:
    """Marginal risks of the children of one age, from predictions of the whole model for them alone."""
    patterns = trial.patterns
    level = patterns.covariates @ [1, 2]  # indicators of ages 1 and 2
    n = np.where(level == age, patterns.n, 0.0)
    assert n.sum() > 0
    fit = sm_fit(trial)
    eta = patterns.spread(fit["period"] + fit["cluster"][:, None]) + patterns.covariates @ fit["age"]
    return np.array([(n / n.sum() * special.expit(eta + arm * fit["treatment"])).sum() for arm in (0, 1)])


def sm_fit(trial: sw.Trial) -> dict[str, np.ndarray]:
    """Coefficients of statsmodels' logit on the patterns."""
    patterns = trial.patterns
    used = patterns.n > 0
    cluster = np.broadcast_to(np.arange(5)[:, None], used.shape)[used]
    period, age = patterns.period[used], patterns.covariates[used]
    x = np.column_stack([np.eye(6)[period], np.eye(5)[cluster][:, 1:], trial.arm[cluster, period], age])
    events = (patterns.n * patterns.mean)[used]
    beta = sm.GLM(np.column_stack([events, patterns.n[used] - events]), x, sm.families.Binomial()).fit(tol=1e-14).params
    return {"period": beta[:6], "cluster": np.append(0, beta[6:10]), "treatment": beta[10], "age": beta[11:]}


@pytest.mark.parametrize("measure", ["difference", "ratio"])
def test_an_effect_taken_out_is_gone(measure: str) -> None:
    """Cells whose risks differ by exactly this effect have none left; patterns move with their cells."""
    allocation = DESIGN.randomise(seed=2)
    base = 0.2 + 0.02 * np.arange(5)[:, None] + 0.01 * np.arange(6)
    effect = -0.05 if measure == "difference" else np.log(0.8)
    treated = base + effect * allocation.treatment if measure == "difference" else base * np.exp(effect * allocation.treatment)
    trial = sw.Trial.from_cells(np.full((5, 6), 500), treated, allocation, family="binomial")
    estimator = MarginalEffect(measure=measure)
    np.testing.assert_allclose(estimator.null(trial, effect).outcome, base, rtol=1e-12)
    rows = read(*children(1))
    moved = estimator.null(rows, np.array([0.01, 0.02]))
    assert moved.shape == (2,)
    gathered = moved.patterns.gather(moved.patterns.n * moved.patterns.mean) / moved.n
    np.testing.assert_allclose(gathered, moved.outcome, rtol=1e-12)


@pytest.mark.parametrize(("measure", "adjusted"), [("difference", True), ("ratio", False)])
def test_the_randomisation_interval_holds_what_the_test_does_not_reject(measure: str, adjusted: bool) -> None:
    rows, allocation = children(6, size=60)
    trial, estimator = read(rows, allocation, covariates="C(age)" if adjusted else None), MarginalEffect(measure=measure)
    test = sw.RandomisationTest(level=0.8)
    result = test.run(trial, estimator)
    low, high = result.conf_int
    assert low < result.estimate < high
    bare = replace(test, interval=False)
    for inside, outside in ((low + 1e-4, low - 1e-3), (high - 1e-4, high + 1e-3)):
        assert bare.run(estimator.null(trial, inside), estimator).p_value > 0.2
        assert bare.run(estimator.null(trial, outside), estimator).p_value <= 0.2


def test_a_marginal_odds_ratio_has_a_p_value_and_no_randomisation_interval() -> None:
    trial, estimator = read(*children(6, size=60), covariates=None), MarginalEffect(measure="odds ratio")
    assert 0 < sw.RandomisationTest(interval=False).run(trial, estimator).p_value <= 1
    with pytest.raises(sw.FitError, match=r"no randomisation interval.*interval=False"):
        sw.RandomisationTest(level=0.8).run(trial, estimator)


def test_mirror_images_tie_over_all_and_not_over_the_treated() -> None:
    """Where every allocation's mirror image is permitted, treated and untreated worlds change places; the treated do not."""
    design = sw.Design.from_matrix([[0, 1], [1, 0]], clusters_per_sequence=[3, 3])
    mean = np.random.default_rng(2).integers(20, 60, (6, 2)) / 100
    trial = sw.Trial.from_cells(np.full((6, 2), 100.0), mean, design.randomise(seed=1), family="binomial")
    test = sw.RandomisationTest(interval=False)
    everyone, treated = (test.run(trial, MarginalEffect(over=over)) for over in ("all", "treated"))
    assert (everyone.min_p, treated.min_p) == (2 / 20, 1 / 20)
    size = np.sort(np.abs(everyone.reference))
    np.testing.assert_allclose(size[::2], size[1::2], rtol=1e-9)
    size = np.sort(np.abs(treated.reference))
    assert (np.diff(size) > 1e-6).sum() > 15


def test_power_holds_a_difference_to_a_scenario_on_the_risk_scale_and_no_marginal_odds_ratio_to_a_conditional_one() -> None:
    methods = {measure: MarginalEffect(measure=measure) for measure in MEASURES}
    risk = sw.Scenario(family="binomial", scale="risk", baseline=0.3, effect=-0.05, size=400)
    table = sw.simulate_power(DESIGN, risk, methods, reps=300, seed=1).tidy().set_index("estimator")
    row = table.loc["difference"]
    assert abs(row["bias"]) < 4 * row["empirical_se"] / np.sqrt(300)
    assert abs(row["coverage"] - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 300)
    logit = replace(risk, scale="logit", effect=-0.3)
    table = sw.simulate_power(DESIGN, logit, methods, reps=20, seed=1).tidy().set_index("estimator")
    assert table["bias"].isna().all()


def test_the_choice_is_plain_data() -> None:
    estimator = MarginalEffect(sw.FixedEffects(vcov="CR0"), "ratio", "treated")
    assert eval(repr(estimator), {**vars(sw), "MarginalEffect": MarginalEffect}) == estimator
    assert hash(estimator) == hash(MarginalEffect(sw.FixedEffects(vcov="CR0"), "ratio", "treated"))


def test_the_summary_says_what_was_averaged_and_the_ratio_itself() -> None:
    trial = read(*children(1))
    shown = MarginalEffect(measure="ratio").fit(trial).summary()
    assert "MarginalEffect FixedEffects CR2: marginal risk ratio (log ratio)" in shown
    fit = MarginalEffect(measure="ratio").fit(trial)
    assert f"As ratio: treatment {np.exp(fit.estimate):.3g} ({np.exp(fit.conf_int[0]):.3g} to {np.exp(fit.conf_int[1]):.3g})" in shown
    assert "predictions standardised over all individuals" in shown
    among = MarginalEffect(sw.FixedEffects(effect=sw.ByExposure()), over="treated").fit(trial)
    assert among.estimand == "marginal risk difference among the treated"
    assert "As " not in among.summary()
    tate = MarginalEffect(sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.TATE(1, 3)), "odds ratio").fit(trial)
    assert (tate.estimand, tate.terms) == ("TATE(1, 3) of the marginal odds ratio", ("TATE(1, 3)",))
    assert MarginalEffect().fit(read(*children(1), family="poisson")).estimand == "marginal rate difference"


def test_what_a_robust_variance_does_not_see_is_said() -> None:
    """With cluster effects a large effect on the risk rests on the clusters' own levels, which their own residuals do not show."""
    rows, allocation = children(1, effect=-3.0)
    fit = MarginalEffect(sw.FixedEffects()).fit(read(rows, allocation))
    assert any("one cluster alone" in note for note in fit.notes)
