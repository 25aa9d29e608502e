"""Randomisation tests on designs that leave cells out, and intervals of statistics that are not linear."""

from __future__ import annotations

import numpy as np

import swedge as sw


def test_left_out_cells_hold_nobody_in_a_scenario() -> None:
    design = sw.Design.stepped_wedge(5, transition=1)
    for family, more in (("binomial", {"baseline": 0.3}), ("poisson", {"baseline": 0.3}), ("gaussian", {"baseline": 0.0, "sd": 1.0})):
        correlation = sw.RandomEffects(residual=1.0) if family == "gaussian" else sw.RandomEffects()
        more = {key: value for key, value in more.items() if key != "sd"}
        trial = sw.Scenario(family=family, size=50, correlation=correlation, **more).draw(design, 20, np.random.default_rng(1))
        left_out = np.isnan(trial.treatment)
        assert left_out.any()
        assert (trial.cells.n[left_out] == 0).all()
        assert (trial.outcome[left_out] == 0).all()


def test_the_exact_test_with_a_transition_is_that_of_cells_not_collected() -> None:
    design = sw.Design.stepped_wedge(5, transition=1)
    truth = sw.Scenario(family="binomial", baseline=0.3, effect=-0.1, scale="risk", size=50)
    trials = truth.draw(design, 12, np.random.default_rng(3))
    ours = sw.RandomisationTest().run(trials, sw.WithinPeriod()).p_value
    sequences = design.allocations()
    for i in range(12):
        trial = trials.replicate(i)
        n, y = trial.cells.n, trial.outcome
        statistics = [difference(n, y, design.treatment_of(s)) for s in sequences]
        observed = difference(n, y, trial.treatment)
        assert ours[i] == np.mean(np.abs(statistics) >= abs(observed) - 1e-12)


def difference(n: np.ndarray, y: np.ndarray, treatment: np.ndarray) -> float:
    """Within-period differences of arm means, periods weighted by ab/(a+b): written out."""
    top = bottom = 0.0
    for t in range(y.shape[1]):
        seen = (n[:, t] > 0) & ~np.isnan(treatment[:, t])
        one, none = y[seen & (treatment[:, t] == 1), t], y[seen & (treatment[:, t] == 0), t]
        if len(one) and len(none):
            weight = len(one) * len(none) / (len(one) + len(none))
            top, bottom = top + weight * (one.mean() - none.mean()), bottom + weight
    return top / bottom


def test_a_t_interval_holds_every_effect_that_a_grid_accepts() -> None:
    design = sw.Design.stepped_wedge(["A", "B", "C", "D", "E"], strata=[["A", "B"], ["C", "D", "E"]])
    rng = np.random.default_rng(1021)
    allocation = design.randomise(21)
    n = rng.integers(50, 400, (5, 1)) * np.ones((1, 6))
    eta = -1.5 + rng.normal(size=(5, 1)) * 0.4 + rng.normal(size=(5, 6)) * 0.2 + 0.3 * allocation.treatment
    events = rng.binomial(n.astype(int), 1 / (1 + np.exp(-eta)))
    trial = sw.Trial.from_cells(n, events / n, allocation, family="binomial")
    estimator, level = sw.FixedEffects(), 0.8
    result = sw.RandomisationTest("t", level=level).run(trial, estimator)
    silent = sw.RandomisationTest("t", interval=False)
    grid = np.linspace(-1.0, 1.6, 53)
    accepted = grid[[silent.run(estimator.null(trial, theta), estimator).p_value > 1 - level for theta in grid]]
    low, high = result.conf_int
    assert low < accepted.min()
    assert accepted.max() < high
    assert any("do not form one interval" in note for note in result.notes)


def test_min_p_is_what_the_estimand_allows() -> None:
    # Exposure columns have no mirror images, so 2/24 would be above the p that comes out.
    design = sw.Design.from_matrix([[0, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 0]])
    trial = sw.Trial.from_cells(np.full((4, 3), 10.0), np.random.default_rng(15).normal(size=(4, 3)), design.randomise(1), within=90.0)
    result = sw.RandomisationTest(interval=False).run(trial, sw.FixedEffects("model", effect=sw.ByExposure(), estimand=sw.PTE(1)))
    assert result.min_p == 1 / 24
    assert result.p_value >= result.min_p
