"""Size of the likelihood-ratio test and the parametric bootstrap with five clusters, and of the z test that must fail.

Null trials of Family Safeguarding: its allocations, sizes and baseline risks, with noise of standard deviation 0, .1 or .2 between
cluster-periods. The bounds are 3.3 Monte Carlo errors about what 2,000 replicates (500 for the bootstrap) gave once: they hold the words of
`swedge.estimators.mixed_glmm.few_clusters` and of the documentation to the numbers.
"""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw
from swedge.inference import LikelihoodRatioTest, ParametricBootstrapTest
from swedge.studies import family_safeguarding

PLAIN = sw.MixedModel(sw.Exchangeable(), df="normal")
NESTED = sw.MixedModel(df="normal")
METHODS = {
    "z, cluster alone": PLAIN,
    "z": NESTED,
    "between-within": sw.MixedModel(df="between-within"),
    "ratio, between-within": (NESTED, LikelihoodRatioTest()),
    "ratio, clusters": (NESTED, LikelihoodRatioTest(df="clusters")),
}
# rejections at 5% for noise 0, .1, .2
SIZE = {
    "z, cluster alone": (0.058, 0.111, 0.250),
    "z": (0.057, 0.086, 0.111),
    "between-within": (0.040, 0.069, 0.087),
    "ratio, between-within": (0.038, 0.064, 0.078),
    "ratio, clusters": (0.001, 0.004, 0.009),
}
BOOTSTRAP = (0.050, 0.048, 0.056)
NOISE = (0.0, 0.1, 0.2)


def rates(methods: dict[str, object], noise: float, reps: int) -> dict[str, float]:
    study = family_safeguarding()
    table = sw.simulate_power(study.design, study.scenario(1.0, noise), methods, reps=reps, seed=23, progress=False).tidy()
    assert (table.n_failed == 0).all()
    return dict(zip(table.estimator, table.power, strict=True))


def allowed(rate: float, reps: int, known: int) -> float:
    """Of the difference between a rate seen in `reps` replicates and one seen in `known`."""
    middle = max(rate, 0.003)
    return 3.3 * float(np.sqrt(middle * (1 - middle) * (1 / reps + 1 / known)))


@pytest.mark.parametrize("reps", [250, pytest.param(10_000, marks=pytest.mark.calibration)])
@pytest.mark.parametrize("place", range(3))
def test_calibration_size(place: int, reps: int) -> None:
    found = rates(METHODS, NOISE[place], reps)
    for name, sizes in SIZE.items():
        assert found[name] == pytest.approx(sizes[place], abs=allowed(sizes[place], reps, 2_000)), name


@pytest.mark.parametrize("reps", [500, pytest.param(10_000, marks=pytest.mark.calibration)])
def test_calibration_the_z_test_of_the_pre_specified_model_fails(reps: int) -> None:
    """With noise of .2 it rejects a true null in a quarter of the trials, and its likelihood ratio is no better."""
    found = rates({"z": PLAIN, "ratio": (PLAIN, LikelihoodRatioTest())}, 0.2, reps)
    assert min(found.values()) > 0.05 + allowed(0.05, reps, reps)


@pytest.mark.parametrize("draws", [19, pytest.param(199, marks=pytest.mark.calibration)])
@pytest.mark.parametrize("place", range(3))
def test_calibration_bootstrap(place: int, draws: int) -> None:
    reps = 40 if draws == 19 else 2_000
    found = rates({"bootstrap": (NESTED, ParametricBootstrapTest(draws=draws))}, NOISE[place], reps)
    assert found["bootstrap"] == pytest.approx(BOOTSTRAP[place], abs=allowed(BOOTSTRAP[place], reps, 500))
