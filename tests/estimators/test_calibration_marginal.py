"""Size and coverage of marginal effects with five clusters; the interval that trusts CR0 and a normal distribution has to fail."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw
from swedge.estimators import MarginalEffect
from swedge.studies import family_safeguarding

STUDY = family_safeguarding()
METHODS = {measure: MarginalEffect(measure=measure) for measure in ("difference", "ratio", "odds ratio")} | {
    "treated": MarginalEffect(over="treated"),
    "CR0": MarginalEffect(sw.FixedEffects(vcov="CR0", df="normal")),
}


def within(rate: float, nominal: float, reps: int) -> bool:
    return abs(rate - nominal) < 3 * np.sqrt(nominal * (1 - nominal) / reps)


def check_size(reps: int, noise: float) -> None:
    table = sw.simulate_power(STUDY.design, STUDY.scenario(1.0, noise), METHODS, reps=reps, seed=1).tidy().set_index("estimator")
    assert (table["n_failed"] == 0).all()
    for name in METHODS:
        assert (table.loc[name, "power"] > 0.15) if name == "CR0" else within(table.loc[name, "power"], 0.05, reps), table


def check_coverage(reps: int) -> None:
    """A large constant risk difference, so that what its error owes to the clusters' own levels would show."""
    noise = sw.RandomEffects(cluster_period=0.01)
    truth = sw.Scenario(family="binomial", scale="risk", baseline=0.2, effect=-0.08, size=STUDY.cell_sizes, correlation=noise)
    table = sw.simulate_power(STUDY.design, truth, METHODS, reps=reps, seed=2).tidy().set_index("estimator")
    for name in ("difference", "treated"):
        assert within(table.loc[name, "coverage"], 0.95, reps), table
        assert abs(table.loc[name, "bias"]) < 4 * table.loc[name, "empirical_se"] / np.sqrt(reps)
    assert table.loc["CR0", "coverage"] < 0.85


def test_size_in_a_few_trials() -> None:
    check_size(300, 0.1)


def test_coverage_in_a_few_trials() -> None:
    check_coverage(300)


@pytest.mark.calibration
@pytest.mark.parametrize("noise", [0.1, 0.2])
def test_calibration_size(noise: float) -> None:
    check_size(4_000, noise)


@pytest.mark.calibration
def test_calibration_coverage() -> None:
    check_coverage(4_000)
