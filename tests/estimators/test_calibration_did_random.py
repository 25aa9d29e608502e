"""Size of the efficient estimator and of synthetic controls on null panels with few clusters: AR(1) .5, levels of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators.difference import DifferenceInDifferences
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD

CR2 = {"vcov": "CR2", "df": "satterthwaite"}


def null_trials(clusters: int, periods: int, comparators: int, level: float, count: int, seed: int) -> sw.Trial:
    """Many trials without an effect, each under an allocation of its own."""
    design, rng = sw.Design.stepped_wedge(clusters=clusters, periods=periods), np.random.default_rng(seed)
    y = rng.normal(size=(count, clusters + comparators, periods))
    for t in range(1, periods):
        y[..., t] = 0.5 * y[..., t - 1] + np.sqrt(0.75) * y[..., t]
    y += level * rng.normal(size=(count, clusters + comparators, 1))
    names = [f"x{k}" for k in range(comparators)]
    shell = sw.Trial.from_cells(np.ones(y.shape[1:]), y[0], design.randomise(seed=0), comparators=names)
    stack = shell.reallocated(design.random_allocations(count, rng))
    return replace(stack, cells=replace(stack.cells, n=np.broadcast_to(stack.cells.n, y.shape), mean=y[..., None]))


def rejected(estimator: sw.LinearEstimator, trials: sw.Trial) -> float:
    fit = estimator.fit(trials)
    assert (fit.status == sw.Status.OK).all()
    return float((fit.p_value < 0.05).mean())


def highest(count: int) -> float:
    """What a test of size 5% exceeds once in a thousand runs."""
    return 0.05 + 3.1 * float(np.sqrt(0.05 * 0.95 / count))


SHAPES = [(5, 6, 0), (5, 6, 10), (12, 5, 0), (20, 5, 0)]


def multiples(comparators: int) -> tuple[float | None, ...]:
    """Of the baseline: comparators were not drawn by lot, and any other than 1 is refused."""
    return (1,) if comparators else (None, 0, 1)


@pytest.mark.parametrize(
    ("clusters", "periods", "comparators", "beta"), [(*shape, beta) for shape in SHAPES for beta in multiples(shape[-1])]
)
@pytest.mark.parametrize("level", [0.0, 5.0])
def test_calibration_a_true_null_is_rejected_as_stated(
    clusters: int, periods: int, comparators: int, beta: float | None, level: float
) -> None:
    trials = null_trials(clusters, periods, comparators, level, count=200, seed=1)
    fit = RothSantAnna(beta=beta).fit(trials)
    assert (fit.p_value < 0.05).mean() < highest(200)
    assert 0.8 < float(np.sqrt((fit.std_error**2).mean()) / fit.estimate.std()) < 1.25


def test_calibration_clusters_levels_are_seen_where_they_stay_in_the_estimate() -> None:
    """A working model that takes clusters' levels out would reject a third of true nulls; what it does not see is counted, and refused."""
    trials = replace(null_trials(5, 6, 10, level=1.0, count=200, seed=2), design=None)  # as if these were never treated by lot
    for estimator in (SyntheticControl(), RothSantAnna(beta=0, **CR2)):
        assert rejected(estimator, trials) < highest(200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RothSantAnna, "working_model", DifferenceInDifferences.working_model)
        assert (RothSantAnna(beta=0, **CR2).fit(trials).status == sw.Status.ONE_CLUSTER).all()


def panels(treated: list[int], never: int, noise: float, level: float, count: int, seed: int) -> sw.Trial:
    """Null panels without a design over 6 periods: first treated period of each treated cluster, which are `noise` times as noisy."""
    starts, rng = np.r_[treated, np.zeros(never)], np.random.default_rng(seed)
    i, t = (index.ravel() for index in np.indices((len(starts), 6)))
    rows = pd.DataFrame({"c": [f"{k:02d}" for k in i], "t": t + 1, "g": starts[i], "y": rng.normal(size=len(i))})
    shell = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    y = rng.normal(size=(count, len(starts), 6))
    for k in range(1, 6):
        y[..., k] = 0.5 * y[..., k - 1] + np.sqrt(0.75) * y[..., k]
    y = y * np.where(starts > 0, noise, 1.0)[:, None] + level * rng.normal(size=(count, len(starts), 1))
    return replace(shell, cells=replace(shell.cells, mean=y[..., None]))


FEW = {"5 alone, 12": ([2, 3, 4, 5, 6], 12), "5 alone, 5": ([2, 3, 4, 5, 6], 5), "2 pairs, 20": ([3, 3, 5, 5], 20)}
MORE = {"5 pairs, 12": ([2, 3, 4, 5, 6] * 2, 12), "3 fives, 15": ([3, 4, 5] * 5, 15), "3 tens, 10": ([3, 4, 5] * 10, 10)}


@pytest.mark.parametrize("beta", [None, 1])
def test_calibration_treated_clusters_noisier_than_those_never_treated(beta: float | None) -> None:
    """Neyman's variance pools the noise of all; the default does not, whatever the levels of clusters."""
    quiet = panels(*FEW["2 pairs, 20"], noise=2.0, level=0.0, count=400, seed=6)
    assert rejected(RothSantAnna(beta=beta, vcov="neyman"), quiet) > 0.12
    for level in (0.0, 3.0):
        trials = panels(*FEW["2 pairs, 20"], noise=2.0, level=level, count=400, seed=6)
        fit = RothSantAnna(beta=beta).fit(trials)
        assert (fit.p_value < 0.05).mean() < highest(400)
        assert 0.85 < float(np.sqrt((fit.std_error**2).mean()) / fit.estimate.std()) < 1.15


@pytest.mark.calibration
@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("level", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("shape", [*FEW, *MORE])
def test_calibration_panels_without_a_design(shape: str, level: float, noise: float) -> None:
    """Standard errors within a tenth of the truth. The multiple of the baseline is taken as known, and costs most where it is made of
    covariances of ten clusters each."""
    trials = panels(*{**FEW, **MORE}[shape], noise=noise, level=level, count=2000, seed=7)
    for beta in (None, 0, 1):
        fit = RothSantAnna(beta=beta).fit(trials)
        limit = 0.075 if beta is not None else 0.1 if shape == "3 tens, 10" else 0.085
        assert (fit.p_value < 0.05).mean() < limit, beta
        assert 0.9 < float(np.sqrt((fit.std_error**2).mean()) / fit.estimate.std()) < 1.1, beta


@pytest.mark.calibration
@pytest.mark.parametrize("beta", [None, 1])
@pytest.mark.parametrize("shape", ["5 alone, 12", "2 pairs, 20"])
def test_calibration_neymans_variance_is_too_small_beside_quieter_clusters(shape: str, beta: float | None) -> None:
    """What the default stays clear of."""
    trials = panels(*FEW[shape], noise=2.0, level=1.0, count=2000, seed=8)
    assert rejected(RothSantAnna(beta=beta, vcov="neyman"), trials) > 0.09


@pytest.mark.calibration
@pytest.mark.parametrize("level", [0.0, 1.0, 5.0])
@pytest.mark.parametrize(("clusters", "periods", "comparators"), SHAPES)
def test_calibration_random_timing(clusters: int, periods: int, comparators: int, level: float) -> None:
    trials = null_trials(clusters, periods, comparators, level, count=2000, seed=3)
    for beta in multiples(comparators):
        for estimator in (RothSantAnna(beta=beta), RothSantAnna(beta=beta, **CR2)):
            assert rejected(estimator, trials) < 0.075, estimator


@pytest.mark.calibration
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_calibration_synthetic_controls(level: float) -> None:
    trials = null_trials(5, 6, 10, level, count=2000, seed=4)
    for estimator in (SyntheticDiD(), SyntheticControl()):
        assert rejected(estimator, trials) < 0.065, estimator


@pytest.mark.calibration
def test_calibration_the_exact_test_of_learnt_weights_is_uniform() -> None:
    trials = null_trials(5, 6, 0, level=1.0, count=500, seed=5)
    p = sw.RandomisationTest(interval=False).run(trials, RothSantAnna()).p_value
    for alpha in (0.05, 0.1, 0.25, 0.5):
        assert abs((p <= alpha).mean() - np.floor(alpha * 120) / 120) < 4 * np.sqrt(alpha * (1 - alpha) / 500)
