"""Laws of effects by exposure and by period: what is read off, what is refused, and bands that hold for all terms together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import swedge as sw
from swedge._kernels.bands import largest_t_quantile


def trial(seed: int = 3, clusters: int = 8, periods: int = 5) -> sw.Trial:
    design = sw.Design.stepped_wedge(clusters=clusters, periods=periods)
    allocation = design.randomise(seed=seed)
    rng = np.random.default_rng(seed)
    shape = (clusters, periods)
    mean = rng.normal(0, 0.3, (clusters, 1)) + rng.normal(0, 0.1, shape) + 0.2 * allocation.exposure
    return sw.Trial.from_cells(rng.integers(20, 60, shape), mean, allocation, within=2000.0)


@pytest.mark.parametrize(("count", "df"), [(1, 5.0), (2, np.inf), (4, np.inf)])
def test_independent_statistics_multiply(count: int, df: float) -> None:
    level = 0.95 ** (1 / count) if np.isinf(df) else 0.95
    expected = stats.t.ppf((1 + level) / 2, df)
    assert largest_t_quantile(np.eye(count), df, 0.95) == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize(("df", "printed"), [(10.0, 2.57), (20.0, 2.38), (60.0, 2.27), (np.inf, 2.21)])
def test_two_comparisons_with_one_control_are_dunnetts_table(df: float, printed: float) -> None:
    """Two-sided 5% points for two treatments and a correlation of one half, as Dunnett (1964) prints them."""
    assert largest_t_quantile(np.array([[1, 0.5], [0.5, 1]]), df, 0.95) == pytest.approx(printed, abs=0.006)


def test_statistics_that_are_one_need_no_more_than_one() -> None:
    assert largest_t_quantile(4 * np.ones((3, 3)), 7.0, 0.9) == pytest.approx(stats.t.ppf(0.95, 7), rel=2e-4)


@pytest.mark.parametrize("estimator", [sw.FixedEffects(effect=sw.ByExposure()), sw.MixedModel(effect=sw.ByExposure())], ids=repr)
def test_bands_contain_the_intervals(estimator: sw.Estimator) -> None:
    fit = estimator.fit(trial())
    assert fit.covariance is not None
    np.testing.assert_allclose(np.sqrt(np.diagonal(fit.covariance)), fit.std_error, rtol=1e-12)
    width = fit.bands[:, 1] - fit.bands[:, 0]
    bonferroni = 2 * stats.t.ppf(1 - 0.025 / len(fit.terms), fit.df) * fit.std_error
    assert (width > 2 * stats.t.ppf(0.975, fit.df) * fit.std_error * 0.999).all()
    assert (width < bonferroni * 1.001).all()


@pytest.mark.parametrize("maker", [sw.FixedEffects, sw.MixedModel])
def test_a_contrast_is_read_off_the_covariance(maker: type[sw.FixedEffects]) -> None:
    data = trial()
    whole, average = maker(effect=sw.ByExposure()).fit(data), maker(effect=sw.ByExposure(), estimand=sw.TATE(1, 3)).fit(data)
    weights = np.array([1, 1, 1, 0]) / 3
    assert whole.covariance is not None
    assert weights @ whole.estimate == pytest.approx(float(average.estimate), rel=1e-10)
    assert weights @ whole.covariance @ weights == pytest.approx(float(average.std_error) ** 2, rel=1e-8)


def test_a_spline_with_a_knot_an_exposure_is_every_effect_by_itself() -> None:
    data = trial()
    smooth, free = (sw.FixedEffects(effect=curve).fit(data) for curve in (sw.Spline(4), sw.ByExposure()))
    assert smooth.terms == free.terms
    np.testing.assert_allclose(smooth.estimate, free.estimate, rtol=1e-8)
    np.testing.assert_allclose(smooth.std_error, free.std_error, rtol=1e-8)


def test_a_spline_of_two_knots_is_a_straight_line() -> None:
    effect = sw.FixedEffects(effect=sw.Spline(2)).fit(trial()).estimate
    np.testing.assert_allclose(np.diff(effect, 2), 0, atol=1e-10)


@pytest.mark.parametrize("curve", [sw.Delayed(1), sw.Linear(3), sw.Spline(3)], ids=repr)
def test_an_estimand_averages_what_the_curve_says(curve: sw.Spline) -> None:
    data = trial()
    average = sw.FixedEffects(effect=curve, estimand=sw.TATE()).fit(data)
    shares = curve.reached(np.arange(1, 5), 4)
    if isinstance(curve, sw.Spline):
        expected = sw.FixedEffects(effect=curve).fit(data).estimate.mean()
    else:
        expected = float(sw.FixedEffects(effect=curve).fit(data).estimate) * shares.mean()
    assert float(average.estimate) == pytest.approx(float(expected), rel=1e-10)
    assert average.estimand == "TATE(1, 4)"


def test_effects_by_period_are_those_of_each_period_alone() -> None:
    """Without cluster effects each period's coefficient is its own difference of means, treated minus control."""
    data = trial()
    fit = sw.GEE(sw.Exchangeable(0.0), vcov="robust", effect=sw.ByPeriod(empty="leave out")).fit(data)
    weight, arm = data.n[:, 1:4], data.arm[:, 1:4]
    treated, control = ((w * data.outcome[:, 1:4]).sum(0) / w.sum(0) for w in (weight * arm, weight * (1 - arm)))
    assert fit.terms == ("period 2", "period 3", "period 4")
    np.testing.assert_allclose(fit.estimate, treated - control, rtol=1e-8)
    assert "3 effects by period" in sw.FixedEffects(effect=sw.ByPeriod(empty="leave out")).fit(data).methods


def test_a_treated_period_without_controls_is_refused_by_name() -> None:
    with pytest.raises(sw.DesignError, match="No control cell in period 5"):
        sw.FixedEffects(effect=sw.ByPeriod()).fit(trial())
    with pytest.raises(sw.DesignError, match="empty='keep'; expected one of refuse, leave out"):
        sw.ByPeriod(empty="keep")


def test_an_effect_of_every_period_alike_leaves_effects_by_period_alike() -> None:
    data = trial()
    shifted = data.without(-0.5)
    fits = [sw.FixedEffects(effect=sw.ByPeriod(empty="leave out")).fit(each).estimate for each in (data, shifted)]
    np.testing.assert_allclose(fits[1] - fits[0], 0.5, rtol=1e-9)


@pytest.mark.parametrize("effect", [sw.ByExposure(), sw.ByPeriod(empty="leave out")], ids=repr)
def test_several_effects_are_drawn_as_a_curve(effect: sw.ByExposure) -> None:
    axes = sw.FixedEffects(effect=effect).fit(trial()).plot()
    assert axes.get_xlabel() in ("Periods since crossover", "Period")
    assert axes.get_legend() is not None


def test_too_many_knots_are_refused() -> None:
    with pytest.raises(sw.DesignError, match="4 exposures are observed, too few for Spline"):
        sw.FixedEffects(effect=sw.Spline(6)).fit(trial())
    with pytest.raises(sw.DesignError, match="at least 2"):
        sw.Spline(1)
    with pytest.raises(sw.FitError, match="several terms"):
        _ = sw.FixedEffects().fit(trial()).bands


GROUPS = sw.ByGroup((("1", "2", "3"), ("4", "5", "6", "7", "8")))


def test_effects_by_group_move_with_their_group_alone() -> None:
    data = trial()
    fit = sw.FixedEffects(effect=GROUPS).fit(data)
    assert fit.terms == ("group 1", "group 2")
    shift = data.arm * np.array([1, 1, 1, 0, 0, 0, 0, 0])[:, None]
    moved = sw.FixedEffects(effect=GROUPS).fit(sw.Trial.from_cells(data.n, data.outcome + shift, data.allocation, within=2000.0))
    np.testing.assert_allclose(moved.estimate - fit.estimate, [1, 0], atol=1e-9)


def test_groups_are_checked_against_the_trial() -> None:
    with pytest.raises(sw.DesignError, match="leaves out 8, which is treated"):
        sw.FixedEffects(effect=sw.ByGroup((("1", "2", "3"), ("4", "5", "6", "7")))).fit(trial())
    with pytest.raises(sw.DesignError, match="does not have: '9'"):
        sw.FixedEffects(effect=sw.ByGroup((("1", "2"), ("9",)))).fit(trial())
    with pytest.raises(sw.DesignError, match="twice"):
        sw.ByGroup((("1",), ("1", "2")))
    with pytest.raises(sw.DesignError, match="at least two groups"):
        sw.ByGroup((("1",),))


@pytest.mark.parametrize(("shared", "least"), [(True, 0.945), (False, 0.93)], ids=["one denominator", "a denominator each"])
def test_bands_hold_all_effects_together(shared: bool, least: float) -> None:
    """Correlated t statistics of unequal df: exact or cautious where they share their denominators, two points low at worst."""
    fit = sw.FixedEffects(effect=sw.ByExposure()).fit(trial())
    assert fit.covariance is not None
    rng = np.random.default_rng(8)
    size = np.sqrt(np.diagonal(fit.covariance))
    normal = rng.multivariate_normal(np.zeros(len(size)), fit.covariance / np.outer(size, size), 20_000)
    uniform = rng.random((20_000, 1 if shared else len(size)))
    drawn = normal / np.sqrt(stats.chi2.ppf(uniform, fit.df) / fit.df)
    inside = (np.abs(drawn) <= (fit.bands[:, 1] - fit.estimate) / size).all(-1).mean()
    assert least < inside < 0.98
