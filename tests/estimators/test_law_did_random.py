"""What holds of estimators whose weights the outcomes make: they shift with a constant effect, and their tests are still exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import swedge as sw
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD

Array = np.ndarray
CR2 = {"vcov": "CR2", "df": "satterthwaite"}
DESIGN = sw.Design.stepped_wedge(clusters=4, periods=5)
ADAPTIVE = [RothSantAnna(), RothSantAnna(aggregate="event", pool="trial"), SyntheticDiD(), SyntheticControl()]
each = pytest.mark.parametrize("estimator", ADAPTIVE, ids=repr)


def trial_of(seed: int, effect: float = 0.0, comparators: int = 4) -> sw.Trial:
    rng, names = np.random.default_rng(seed), [f"x{k}" for k in range(comparators)]
    allocation = DESIGN.randomise(seed=seed)
    y = rng.normal(size=(4 + comparators, 5)).cumsum(1)
    y[:4] += effect * allocation.treatment
    return sw.Trial.from_cells(np.ones(y.shape), y, allocation, comparators=names)


def trial_for(estimator: sw.LinearEstimator, seed: int, effect: float = 0.0) -> sw.Trial:
    """Without comparators where these would have to be drawn by lot."""
    return trial_of(seed, effect, comparators=0 if isinstance(estimator, RothSantAnna) else 4)


def of_outcomes(trial: sw.Trial, y: Array) -> sw.Trial:
    return replace(trial, cells=replace(trial.cells, n=np.broadcast_to(trial.cells.n, y.shape), mean=y[..., None]))


@each
def test_law_the_randomisation_test_is_a_loop_over_allocations(estimator: sw.LinearEstimator) -> None:
    trial = trial_for(estimator, 1)
    result = sw.RandomisationTest(interval=False).run(trial, estimator)
    loop = np.array([float(estimator.point(trial.reallocated(row))) for row in DESIGN.allocations()])
    np.testing.assert_allclose(result.reference, loop, atol=1e-8)
    extreme = np.abs(loop) >= abs(float(estimator.point(trial))) * (1 - 1e-9)
    assert float(result.p_value) == pytest.approx(extreme.mean(), abs=1e-12)


@pytest.mark.parametrize("estimator", ADAPTIVE[:3], ids=repr)
def test_law_the_interval_moves_with_a_constant_effect(estimator: sw.LinearEstimator) -> None:
    """Its ends are searched, not swept: weights of one null's outcomes do not serve another's."""
    test = sw.RandomisationTest(level=0.8)
    plain, moved = (test.run(trial_for(estimator, 2, effect), estimator) for effect in (0.0, 3.0))
    np.testing.assert_allclose(moved.conf_int - plain.conf_int, 3.0, atol=2e-2)
    assert plain.conf_int[0] < float(estimator.point(trial_for(estimator, 2))) < plain.conf_int[1]


@pytest.mark.parametrize("estimator", [RothSantAnna(), RothSantAnna(beta=0.4), SyntheticControl(), SyntheticDiD(penalty=0.3)], ids=repr)
def test_law_weights_add_up(estimator: sw.LinearEstimator) -> None:
    trial = trial_for(estimator, 3)
    weights = estimator.weights(trial)
    np.testing.assert_allclose(weights.sum(0), 0, atol=1e-12)
    assert (weights * trial.arm).sum() == pytest.approx(1)


def test_law_synthetic_weights_lie_on_the_simplex() -> None:
    found = SyntheticDiD().synthetic(trial_of(4))
    assert found.start.tolist() == [1, 2, 3, 4]
    assert (found.clusters >= 0).all()
    assert not found.clusters[:, :4].any()
    np.testing.assert_allclose(found.clusters.sum(-1), 1)
    np.testing.assert_allclose(found.periods.sum(-1), 1)
    assert not (found.periods * (np.arange(5) >= found.start[:, None])).any()
    np.testing.assert_allclose(found.clusters[0, 4:], 0.25)  # one period before: plain difference-in-differences


def test_law_cluster_constants_change_nothing_with_an_intercept() -> None:
    trial = trial_of(5)
    moved = of_outcomes(trial, trial.outcome + 7 * np.random.default_rng(6).normal(size=(8, 1)))
    assert float(SyntheticDiD().point(moved)) == pytest.approx(float(SyntheticDiD().point(trial)), abs=1e-8)
    assert float(RothSantAnna(beta=1).point(moved)) == pytest.approx(float(RothSantAnna(beta=1).point(trial)), abs=1e-10)
    lottery, other = replace(trial, design=None), replace(moved, design=None)
    assert abs(float(RothSantAnna(beta=0).point(other)) - float(RothSantAnna(beta=0).point(lottery))) > 0.1


def test_law_a_heavy_penalty_weighs_controls_alike() -> None:
    """Then only earlier periods are chosen."""
    weights = SyntheticDiD(penalty=1e6).synthetic(trial_of(7)).clusters
    np.testing.assert_allclose(weights[:, 4:], 0.25, atol=1e-6)


def test_law_estimates_are_unbiased_over_allocations_for_any_multiple() -> None:
    """Outcomes fixed, timing drawn: the mean over all allocations is the effect, whatever multiple is taken out."""
    base = np.random.default_rng(8).normal(size=(4, 5)).cumsum(1)
    allocations = DESIGN.allocations()
    treatment = DESIGN.treatment_of(allocations)
    shell = sw.Trial.from_cells(np.ones((4, 5)), base, DESIGN.randomise(seed=0))
    trials = of_outcomes(shell, base + 2.0 * treatment).under(treatment, DESIGN.exposure_of(allocations))
    for beta in (0, 0.5, 1):
        for aggregate in ("simple", "cohort", "calendar", "event"):
            assert RothSantAnna(beta=beta, aggregate=aggregate).point(trials).mean() == pytest.approx(2, abs=1e-10)


def test_law_results_read_and_draw_like_all_others() -> None:
    for estimator in (RothSantAnna(aggregate="cohort"), SyntheticDiD(), SyntheticControl(vcov="CR3")):
        trial = trial_for(estimator, 9)
        fit = estimator.fit(trial)
        assert fit.tidy()["term"].tolist()[0] == "overall"
        assert any("as known" in note for note in fit.notes)
        assert ("comparison clusters" in fit.methods) == bool(trial.comparators)
        assert fit.plot().get_xlabel()
        assert estimator.plot_weights(trial).get_title() is not None
        assert eval(repr(estimator)) == estimator
    text = RothSantAnna().fit(trial_of(9, comparators=0)).summary()
    assert "The estimated multiple of the baseline difference is" in text
    assert "a constant effect taken out: cohorts are small" in text
    assert "No design stands behind this panel" not in text
    twelve = sw.Design.stepped_wedge(clusters=12, periods=3)
    y = np.random.default_rng(0).normal(size=(12, 3))
    paired = sw.Trial.from_cells(np.ones(y.shape), y, twelve.randomise(seed=0))
    assert "Cohorts share one covariance" in RothSantAnna().fit(paired).summary()


def test_law_never_treated_clusters_alone_are_not_pooled_for_the_treated() -> None:
    """Four clusters with a date each and twelve comparators: whose covariance is pooled over cohorts is that of the comparators alone."""
    fit = RothSantAnna(beta=1, vcov="neyman").fit(trial_of(9, comparators=12))
    assert "a constant effect taken out: cohorts are small" in fit.summary()
    assert "Cohorts share one covariance" in RothSantAnna(beta=1, vcov="neyman", pool="cohorts").fit(trial_of(9, comparators=12)).summary()


def lottery_without_a_design(seed: int, comparators: int = 6) -> sw.Trial:
    return replace(trial_of(seed, comparators=comparators), design=None)


@pytest.mark.parametrize(
    ("trial", "beta", "stands_for"),
    [
        (trial_of(12, comparators=0), None, {"vcov": "neyman", "df": "clusters"}),
        (trial_of(12, comparators=6), 1, {"vcov": "CR2", "df": "satterthwaite"}),
        (lottery_without_a_design(12), None, {"vcov": "CR2", "df": "satterthwaite"}),
        (lottery_without_a_design(12), 1, {"vcov": "CR2", "df": "satterthwaite"}),
        (lottery_without_a_design(12, comparators=0), None, {"vcov": "CR2", "df": "satterthwaite"}),
    ],
    ids=["drawn", "comparators beside a design", "panel", "panel, differences", "panel, all treated"],
)
def test_law_the_variance_left_out_is_neymans_where_a_design_drew_all_dates(
    trial: sw.Trial, beta: float | None, stands_for: dict[str, str]
) -> None:
    auto, named = RothSantAnna(beta=beta), RothSantAnna(beta=beta, **stands_for)
    assert auto.settled(trial) == named
    fit, same = auto.fit(trial), named.fit(trial)
    assert [fit.estimate, fit.std_error, fit.df, fit.methods] == [same.estimate, same.std_error, same.df, same.methods]
    told = any("so the variance is CR2 unless vcov says otherwise" in note for note in fit.notes)
    assert told == (stands_for["vcov"] == "CR2")
    assert not any("vcov says otherwise" in note for note in same.notes)
    assert float(RothSantAnna(beta=beta, vcov="CR2").fit(trial).df) == float(RothSantAnna(beta=beta, **CR2).fit(trial).df)


def test_law_neymans_variance_says_whom_it_takes_to_be_as_noisy() -> None:
    """Where it is pooled with clusters that nobody drew: asked for by name, it is given, and the note counts them."""
    said = "takes the 6 never-treated clusters to be as noisy as treated ones"
    for vcov in ("neyman", "adjusted"):
        assert said in RothSantAnna(vcov=vcov).fit(lottery_without_a_design(13)).summary()
    assert said in RothSantAnna(beta=1, vcov="neyman").fit(trial_of(13, comparators=6)).summary()
    for fit in (RothSantAnna().fit(lottery_without_a_design(13)), RothSantAnna().fit(trial_of(13, comparators=0))):
        assert "to be as noisy" not in fit.summary()


def test_law_levels_of_clusters_do_not_swell_the_cluster_robust_error() -> None:
    """As they grow, the estimated multiple nears 1 and takes them out; cells taken to be uncorrelated made CR2 four times as large."""
    trial = lottery_without_a_design(14, comparators=12)
    levels = np.random.default_rng(15).normal(size=(16, 1))
    plain, apart = (RothSantAnna().fit(of_outcomes(trial, trial.outcome + by * levels)) for by in (0, 100))
    did = RothSantAnna(beta=1).fit(trial)
    assert 0.5 < float(apart.std_error / did.std_error) < 1.5
    assert float(plain.std_error) < 1.5 * float(did.std_error)


def test_law_a_panel_without_a_design_is_told_what_is_assumed() -> None:
    panel = replace(trial_of(11), design=None)
    assert "No design stands behind this panel" in RothSantAnna().fit(panel).summary()
    assert "No design stands behind this panel" not in RothSantAnna(beta=1).fit(panel).summary()


def test_law_leave_one_out_and_jackknife_work_through_the_point_estimate() -> None:
    trial = replace(trial_of(10), design=None)
    for estimator in (RothSantAnna(), SyntheticDiD()):
        result = sw.JackknifeTest().run(trial, estimator)
        assert np.isfinite(result.left_out).all()
        assert result.left_out.shape == (8,)


def test_law_power_simulates_it_like_any_estimator() -> None:
    truth = sw.Scenario(family="gaussian", baseline=0.0, effect=1.0, correlation=sw.Exchangeable(0.1), size=20, sd=1.0)
    analyses = {"efficient": RothSantAnna(), "exact": (RothSantAnna(), sw.RandomisationTest(interval=False))}
    table = sw.simulate_power(DESIGN, truth, analyses, reps=100, seed=1).tidy()
    assert (table["n_failed"] == 0).all()
    assert abs(table["bias"].iloc[0]) < 4 * table["empirical_se"].iloc[0] / 10
