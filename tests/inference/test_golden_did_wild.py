"""Wild bootstraps that the older table leaves out: Mammen's weights, jackknifed scores, and diff-diff's samples.

* Mammen's two points are not offered (signs and Webb's points do better with few clusters); given to our samples as weights they say
  what fwildclusterboot says, to three Monte Carlo errors.
* fwildclusterboot's type "31" perturbs restricted scores without each cluster. In a balanced panel with cluster effects a cluster's
  residual from a fit without it is ``G / (G - 1)`` times its own, which cancels in a studentised statistic: it is `WildBootstrapTest`.
* diff-diff was called with the calendar year for the period, and fits treatment times the year. It perturbs residuals of data without
  cluster and period effects, and does not take these effects out of its samples again: p is .02 to .04 lower than ours, which does, as
  fwildclusterboot does.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

import reference_data as data
import swedge as sw
from swedge._kernels.wild_bootstrap import every_weight
from swedge.inference.cluster_scores import regression
from swedge.inference.wild_samples import WildSamples

Array = NDArray[np.float64]

TABLE = data.golden("did_wild")
ESTIMATOR = sw.TwoWayFixedEffects()
GOLDEN_RATIO = (1 + np.sqrt(5)) / 2
DRAWS = 40_000


def each(kind: str) -> list[object]:
    return [pytest.param(row, id=row.id) for row in TABLE[TABLE.id.str.contains(kind)].itertuples()]


@cache
def panel(name: str) -> sw.Trial:
    rows = data.panel_rows(name)
    return sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y_cont", first_treated="first_treated")


def mammen(clusters: int) -> Array:
    """Draws of 1 minus the golden ratio and of the ratio itself: mean 0, variance and third moment 1 (Mammen 1993)."""
    first = np.random.default_rng(1).random((DRAWS, clusters)) < GOLDEN_RATIO / np.sqrt(5)
    return np.where(first, 1 - GOLDEN_RATIO, GOLDEN_RATIO)


def within_draws(ours: float, theirs: float) -> bool:
    """Two p values of samples, three Monte Carlo errors of both apart at most."""
    return bool(abs(ours - theirs) <= 3 * np.sqrt(theirs * (1 - theirs) * (1 / 9_999 + 1 / DRAWS)))


@pytest.mark.parametrize("row", each("^wcb.*mammen"))
def test_mammen_weights_in_our_samples(row: object) -> None:
    """p with ties, which have a fifth of the mass with five clusters; limits, found without, to a hundredth of the interval."""
    trial = panel(row.data)
    samples = WildSamples(trial, regression(ESTIMATOR), mammen(len(trial.clusters)), True, True)
    reference, observed, _ = samples.under(np.zeros(1))
    assert within_draws(float((np.abs(reference) > np.abs(observed) * (1 - 1e-9)).mean()), row.p_value)
    slack, error = (row.conf_high - row.conf_low) / 100, 3 * np.sqrt(0.05 * 0.95 * (1 / 9_999 + 1 / DRAWS))
    reference, observed, _ = samples.under(np.add.outer([row.conf_low, row.conf_high], [-slack, slack]).ravel())
    low_outside, low_inside, high_inside, high_outside = (np.abs(reference) > np.abs(observed) * (1 + 1e-9)).mean(0)
    assert max(low_outside, high_outside) < 0.05 + error
    assert min(low_inside, high_inside) > 0.05 - error


@pytest.mark.parametrize("row", each("CRV3_31"))
def test_jackknifed_scores_change_nothing(row: object) -> None:
    """Where all 32 samples of five clusters are tried p is ours, ties counted; 9,999 of 32,768 are within Monte Carlo error."""
    ours = float(sw.WildBootstrapTest().run(panel(row.data), ESTIMATOR).p_value)
    assert ours == row.p_value if row.samples == 32 else within_draws(ours, row.p_value)


def times_the_year(trial: sw.Trial) -> sw.Trial:
    """Treatment times the year, as a share of the last one."""
    years = np.array(trial.periods)
    return trial.under(trial.arm * years / years.max(), trial.exposure)


def left_in(trial: sw.Trial, weights: Array) -> tuple[Array, float]:
    """Statistics of samples whose cluster and period effects are not taken out again, and the observed one."""
    x, y = (table - table.mean(-1, keepdims=True) - table.mean(-2) + table.mean() for table in (trial.arm, trial.outcome))
    pulled, size = (x * y).sum(-1), (x**2).sum(-1)

    def statistic(g: Array) -> Array:
        sums = g @ pulled
        return np.asarray(sums / np.linalg.norm(g * pulled - sums[:, None] * size / size.sum(), axis=-1))

    return statistic(weights), float(statistic(np.ones((1, len(size))))[0])


@pytest.mark.parametrize("row", each("^dd_wcb"))
def test_samples_of_diff_diff(row: object) -> None:
    """Estimate, standard error (CR1 with ``(n - 1) / (n - T - 1)``) and p are rebuilt; our p of that regression is .02 to .04 higher."""
    trial = times_the_year(panel(row.data))
    fit, year = sw.TwoWayFixedEffects(vcov="CR1").fit(trial), max(trial.periods)
    assert float(fit.estimate) / year == pytest.approx(row.estimate, rel=1e-10)
    assert float(fit.std_error) / year * np.sqrt(164 / 153) == pytest.approx(row.se, rel=1e-9)
    rng = np.random.default_rng(2)
    points = np.sqrt([0.5, 1, 1.5])
    weights = {
        "rademacher": every_weight("rademacher", 15),
        "webb": rng.choice([*points, *-points], (DRAWS, 15)),
        "mammen": mammen(15),
    }[row.weights]
    reference, observed = left_in(trial, weights)
    assert within_draws(float((np.abs(reference) > abs(observed)).mean()), row.p_value)
    samples, seen, _ = WildSamples(trial, regression(ESTIMATOR), weights, True, True).under(np.zeros(1))
    assert 0.01 < float((np.abs(samples) > np.abs(seen)).mean()) - row.p_value < 0.06
