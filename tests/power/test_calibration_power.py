"""Size and coverage of analyses in simulated trials. A small run is part of the tests, the full one of `make calibrate`.

Seeds are fixed; 3.5 Monte Carlo errors would fail one new seed in two thousand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.studies import family_safeguarding

FS = family_safeguarding()
GLMM = sw.MixedModel(sw.Exchangeable(), df="normal")


def sized(small: int, full: int) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("reps", [small, pytest.param(full, marks=pytest.mark.calibration)])


def error(rate: float, reps: int) -> float:
    return 3.5 * float(np.sqrt(rate * (1 - rate) / reps))


def table(truth: sw.Scenario, methods: dict[str, sw.Estimator], reps: int, design: sw.Design = FS.design) -> pd.DataFrame:
    return sw.simulate_power(design, truth, methods, reps=reps, seed=20200301).tidy().set_index("estimator")


@sized(1_000, 10_000)
def test_the_glmm_fails_its_nominal_size_where_cr2_holds_it(reps: int) -> None:
    """Must fail: the pre-specified z test under LA-by-period noise of .2. Published: .270 and .046, each from 2,000 trials."""
    found = table(FS.scenario(noise=0.2), {"glmm": GLMM, "CR2": sw.FixedEffects()}, reps)
    assert found.power["glmm"] - error(0.27, reps) > 0.05, "the size that must fail did not"
    assert abs(found.power["glmm"] - 0.270) < np.hypot(error(0.27, reps), error(0.27, 2_000))
    assert abs(found.power["CR2"] - 0.046) < np.hypot(error(0.05, reps), error(0.05, 2_000))
    assert (found.n_failed == 0).all()


@sized(1_000, 10_000)
def test_without_that_noise_the_glmm_holds_its_size(reps: int) -> None:
    """The same analysis under the one truth that it is made for: what failed above was the noise, not the code."""
    found = table(FS.scenario(noise=0.0), {"glmm": GLMM}, reps)
    assert abs(found.power["glmm"] - 0.051) < np.hypot(error(0.05, reps), error(0.05, 2_000))


@sized(2_000, 40_000)
def test_kenward_roger_holds_its_size_with_few_clusters(reps: int) -> None:
    """5 x 6 with cluster-by-period noise. Conservative where a variance is estimated as 0, so the lower bound is a point lower."""
    design = sw.Design.stepped_wedge(clusters=5, periods=6)
    truth = sw.Scenario("gaussian", baseline=0.0, size=50, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8))
    methods = {"nested": sw.MixedModel(), "exchangeable z": sw.MixedModel(sw.Exchangeable(), df="normal")}
    found = table(truth, methods, reps, design)
    assert 0.04 - error(0.05, reps) < found.power["nested"] < 0.05 + error(0.05, reps)
    assert abs(found.coverage["nested"] - (1 - found.power["nested"])) < 1e-12, "under the null, coverage is what is not rejected"
    assert found.power["exchangeable z"] > 0.05 + error(0.05, reps), "without the term this size must fail"


@sized(1_000, 20_000)
def test_coverage_of_a_log_odds_ratio(reps: int) -> None:
    """Intervals of CR2 at an odds ratio of .8; at FS's sizes the maximum likelihood estimate has no bias to speak of."""
    found = table(FS.scenario(odds_ratio=0.8, noise=0.1), {"CR2": sw.FixedEffects()}, reps)
    assert abs(found.coverage["CR2"] - 0.95) < error(0.05, reps) + 0.01
    assert abs(found.bias["CR2"]) < 3.5 * found.empirical_se["CR2"] / np.sqrt(reps) + 0.005
