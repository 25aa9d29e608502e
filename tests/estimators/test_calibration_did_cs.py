"""Size of Callaway-Sant'Anna's tests of no effect: with few clusters the peers' standard errors reject too often, CR2 does not.

Null panels of the shape of the trial: five treated clusters at five dates, ten never treated, 12 periods, AR(1) errors of .5.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna

Array = np.ndarray
FEW = np.array([4, 5, 7, 8, 10, *[0] * 10])
MANY = np.repeat([4, 6, 8, 0], 60)


def stack(starts: Array, reps: int, seed: int) -> sw.Trial:
    """A stack of null panels."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(reps, len(starts), 12))
    for t in range(1, 12):
        y[..., t] = 0.5 * y[..., t - 1] + np.sqrt(0.75) * y[..., t]
    i, t = (index.ravel() for index in np.indices(y.shape[1:]))
    rows = pd.DataFrame({"c": [f"c{k:03d}" for k in i], "t": t + 1, "y": y[0].ravel(), "g": starts[i]})
    trial = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    order = [int(name[1:]) for name in trial.clusters]
    return replace(trial, cells=replace(trial.cells, mean=y[:, order, :, None]))


def rejected(estimator: CallawaySantAnna, trial: sw.Trial) -> float:
    return float((estimator.fit(trial).p_value < 0.05).mean())


OWN = CallawaySantAnna(controls="not_yet", vcov="influence", df="normal")


def test_size_with_many_clusters_and_its_failure_with_single_ones() -> None:
    # 400 draws: Monte Carlo SE .011 at .05.
    assert 0.02 < rejected(OWN, stack(MANY, 400, 1)) < 0.085
    assert rejected(OWN, stack(FEW, 400, 2)) > 0.10
    assert rejected(CallawaySantAnna(controls="not_yet"), stack(FEW, 400, 2)) < 0.085


@pytest.mark.calibration
@pytest.mark.parametrize("covered", ["overall", "parts"])
def test_calibration_of_influence_standard_errors(covered: str) -> None:
    fit = replace(OWN, aggregate="dynamic").fit(stack(MANY, 5_000, 3))
    reject = (fit.p_value < 0.05).mean(0)
    shown = reject[:1] if covered == "overall" else reject[1:]
    assert (np.abs(shown - 0.05) < 0.02).all(), shown  # 60 clusters a cohort: normal quantiles are a little short


@pytest.mark.calibration
def test_calibration_with_single_clusters() -> None:
    trial = stack(FEW, 4_000, 4)
    assert rejected(OWN, trial) > 0.12  # must fail: one cluster a cohort adds nothing to its own standard error
    assert rejected(CallawaySantAnna(controls="not_yet"), trial) < 0.07
