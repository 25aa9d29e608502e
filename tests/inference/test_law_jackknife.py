"""Laws of the cluster jackknife."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.inference import JackknifeTest

Array = np.ndarray
WEDGE = sw.Design.stepped_wedge(clusters=6, periods=5, clusters_per_sequence=[2, 1, 2, 1])
REGRESSIONS = [sw.TwoWayFixedEffects, sw.WithinPeriod, sw.FixedEffects]


def made(name: str = "made_unequal", family: str = "gaussian") -> sw.Trial:
    return trials.from_rows(data.trial_rows(name), "y_cont" if family == "gaussian" else "y_bin", family)


@pytest.mark.parametrize("name", ["made_unequal", "made_wedge", "made_gaps"])
@pytest.mark.parametrize("estimator", REGRESSIONS)
def test_for_least_squares_it_is_cr3(estimator: type, name: str) -> None:
    """Also with cluster indicators, where CR3 takes the Moore-Penrose inverse: a cluster's own indicator leaves with it."""
    trial = made(name)
    clusters = len(trial.clusters)
    cr3 = estimator(vcov="CR3", df="clusters").fit(trial)
    result = JackknifeTest().run(trial, estimator())
    assert result.std_error == pytest.approx(cr3.std_error * np.sqrt((clusters - 1) / clusters), rel=1e-9)
    assert result.p_value == pytest.approx(replace(cr3, std_error=result.std_error).p_value, rel=1e-9)


@pytest.mark.parametrize(
    ("estimator", "family"), [(sw.MixedModel(), "gaussian"), (sw.FixedEffects(), "binomial"), (sw.WithinPeriod(), "binomial")]
)
def test_each_estimate_is_that_of_a_trial_without_the_cluster(estimator: sw.Estimator, family: str) -> None:
    rows = data.trial_rows("made_unequal")
    outcome = "y_cont" if family == "gaussian" else "y_bin"
    result = JackknifeTest().run(made(family=family), estimator)
    alone = [float(estimator.fit(trials.from_rows(rows[rows.cluster != k], outcome, family)).estimate) for k in rows.cluster.unique()]
    assert result.left_out == pytest.approx(alone, rel=1e-6)
    spread = np.sqrt(7 / 8 * ((np.array(alone) - result.estimate) ** 2).sum())
    assert result.std_error == pytest.approx(spread, rel=1e-6)
    assert result.p_value == pytest.approx(sw.estimate.two_sided_p(result.estimate / spread, 7), rel=1e-5)


def test_about_the_mean_it_is_smaller_and_differs_by_the_shift_of_the_mean() -> None:
    trial = made()
    about, mean = (JackknifeTest(centre=centre).run(trial, sw.FixedEffects()) for centre in ("estimate", "mean"))
    shift = np.sqrt(7 / 8 * 8) * (about.left_out.mean() - about.estimate)
    assert mean.std_error**2 + shift**2 == pytest.approx(about.std_error**2, rel=1e-12)
    assert mean.std_error < about.std_error
    assert mean.test == "jackknife (about the mean)"


@pytest.mark.parametrize(("estimator", "family"), [(sw.TwoWayFixedEffects(), "gaussian"), (sw.FixedEffects(), "binomial")])
def test_a_stack_is_a_loop(estimator: sw.Estimator, family: str) -> None:
    trial = made("made_wedge", family)
    orders = trial.design.allocations()[:4]
    whole = JackknifeTest().run(trial.reallocated(orders), estimator)
    parts = [JackknifeTest().run(trial.reallocated(order), estimator) for order in orders]
    for name in ("estimate", "std_error", "p_value"):
        assert getattr(whole, name) == pytest.approx([float(getattr(part, name)) for part in parts], rel=1e-7)
    assert whole.left_out == pytest.approx(np.stack([part.left_out for part in parts], -1), rel=1e-6)


def test_a_cluster_without_data_is_not_left_out() -> None:
    trial = made()
    n = np.vstack([trial.n, np.zeros((1, trial.n.shape[1]))])
    design = sw.Design.from_matrix(trial.design.matrix.tolist(), clusters_per_sequence=[2, 2, 2, 3])
    sequence = dict(zip(design.clusters, [*trial.allocation.sequence, 3], strict=True))
    wider = sw.Trial.from_cells(n, np.vstack([trial.outcome, np.zeros((1, trial.n.shape[1]))]), design.allocate(sequence))
    result = JackknifeTest().run(wider, sw.TwoWayFixedEffects())
    assert result.std_error == pytest.approx(JackknifeTest().run(trial, sw.TwoWayFixedEffects()).std_error, rel=1e-9)
    assert np.isnan(result.left_out).tolist() == [False] * 8 + [True]
    assert "8 fits" in result.summary()


def test_leave_outs_that_fail_are_named_and_counted() -> None:
    """No estimate exists without the one cluster that changes over."""
    design = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 3], clusters=["Avon", "Bute", "Cork", "Down"])
    estimator = sw.FixedEffects(vcov="model")
    rng = np.random.default_rng(0)
    trial = sw.Trial.from_cells(
        np.full((4, 2), 9), rng.standard_normal((4, 2)), design.allocate({"Avon": 0, "Bute": 1, "Cork": 1, "Down": 1})
    )
    with pytest.raises(sw.FitError, match=r"1 of 4 fits that leave out a cluster failed.*without Avon: rank deficient"):
        JackknifeTest().run(trial, estimator)
    stack = replace(trial, cells=replace(trial.cells, mean=np.stack([trial.cells.mean] * 2)))
    result = JackknifeTest().run(stack, estimator)
    assert result.status.tolist() == [sw.Status.NOT_CONVERGED] * 2
    assert np.isnan(result.p_value).all()
    assert np.isnan(result.std_error).all()


def test_power_takes_it_as_a_test() -> None:
    truth = sw.Scenario(family="gaussian", baseline=0.0, effect=1.0, size=30, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8))
    table = sw.simulate_power(WEDGE, truth, {"jackknife": (sw.TwoWayFixedEffects(), JackknifeTest())}, reps=250, seed=1).tidy()
    assert table["coverage"].item() > 0.9
    assert table["n_failed"].item() == 0


def test_plot_has_a_row_a_cluster_and_one_for_all() -> None:
    axes = JackknifeTest().run(made(), sw.FixedEffects()).plot()
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["all clusters", *(f"without {k}" for k in range(1, 9))]
    assert axes.get_xlabel() == "difference"
    trial = made("made_wedge")
    with pytest.raises(sw.DataError, match="one trial, not for a stack"):
        JackknifeTest().run(trial.reallocated(trial.design.allocations()[:2]), sw.FixedEffects()).plot()
