"""What a cluster-robust variance cannot see: the part of an effect that one cluster alone informs."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw


def lone(treated: int, control: int, reps: int = 400) -> sw.SimulatedPower:
    """A null trial in which `treated` clusters start treatment and `control` never do, analysed in several ways."""
    design = sw.Design.from_matrix([[0, 0, 1, 1], [0, 0, 0, 0]], clusters_per_sequence=[treated, control])
    truth = sw.Scenario(family="gaussian", baseline=0.0, sd=1.0, size=50, correlation=sw.NestedExchangeable(0.05, 0.7))
    robust = {kind: sw.FixedEffects(kind) for kind in ("CR0", "CR1", "CR2", "CR3")}
    methods = {**robust, "TWFE": sw.TwoWayFixedEffects(), "overdispersed": sw.FixedEffects("overdispersed"), "mixed": sw.MixedModel()}
    return sw.simulate_power(design, truth, methods, reps=reps, seed=1)


@pytest.mark.parametrize(("treated", "control"), [(1, 5), (5, 1), (1, 10)])
def test_one_cluster_alone_gets_no_robust_variance(treated: int, control: int) -> None:
    # The numbers that used to come out rejected 31 to 71% of true nulls; now every such fit is a counted failure.
    table = lone(treated, control).tidy().set_index("estimator")
    assert (table.loc[["CR0", "CR1", "CR2", "CR3", "TWFE"], "n_failed"] == 400).all()
    for name in ("overdispersed", "mixed"):
        assert abs(table.loc[name, "power"] - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)


def test_one_cluster_alone_is_said_and_what_to_do() -> None:
    design = sw.Design.from_matrix([[0, 0, 1, 1], [0, 0, 0, 0]], clusters_per_sequence=[1, 4])
    outcome = np.random.default_rng(1).normal(size=(5, 4))
    trial = sw.Trial.from_cells(np.ones((5, 4)), outcome, design.randomise(seed=1))
    with pytest.raises(sw.FitError, match=r"One cluster alone carries this effect.*PlaceboTest"):
        sw.TwoWayFixedEffects().fit(trial)
    assert np.isfinite(sw.TwoWayFixedEffects().point(trial))


def test_a_part_that_rests_on_one_cluster_is_noted() -> None:
    study = sw.studies.family_safeguarding()
    trial = study.scenario(noise=0.1).draw(study.design, 1, np.random.default_rng(1)).replicate(0)
    longest = sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.LTE()).fit(trial)
    assert any("rests on cells that one cluster alone informs" in note for note in longest.notes)
    assert sw.FixedEffects().fit(trial).notes == ()


def test_clusters_without_data_count_for_nothing() -> None:
    rng = np.random.default_rng(2)
    design = sw.Design.stepped_wedge(clusters=4, periods=5)
    allocation = design.randomise(seed=3)
    outcome = rng.normal(size=(7, 5))
    full = sw.Trial.from_cells(np.ones((6, 5)), outcome[:6], allocation, comparators=["a", "b"])
    padded = sw.Trial.from_cells(np.ones((7, 5)) * (np.arange(7) < 6)[:, None], outcome, allocation, comparators=["a", "b", "c"])
    for estimator in (
        sw.TwoWayFixedEffects(vcov="CR1", df="clusters"),
        sw.FixedEffects("CR1", df="clusters"),
        sw.MixedModel(sw.Exchangeable(), df="clusters"),
    ):
        one, other = estimator.fit(full), estimator.fit(padded)
        assert one.df == other.df
        np.testing.assert_allclose(other.std_error, one.std_error, rtol=1e-9)  # the same sums in another order
        assert "6 clusters" in other.methods
