"""Where no honest standard error exists, there is an error with directions, or a status in a stack: never a number."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw

ROBUST = [
    *(sw.FixedEffects(vcov=vcov) for vcov in ("CR0", "CR1", "CR2", "CR3")),
    sw.FixedEffects(vcov="CR2", df="normal"),
    sw.WithinPeriod(),
    sw.TwoWayFixedEffects(),
    sw.TwoWayFixedEffects(df="clusters"),
    sw.TwoWayFixedEffects(df="normal"),
]
TWO = sw.Design.stepped_wedge(clusters=2, periods=3).randomise(seed=0)
FIVE = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
SIZE = np.full((5, 6), 10.0)
ADDITIVE = np.arange(6) / 7 + np.arange(5)[:, None] ** 2 / 3


def refused(estimator: sw.Estimator, trial: sw.Trial, says: str) -> None:
    """Refused alone; a status and nan in a stack of three."""
    with pytest.raises(sw.FitError, match=says):
        estimator.fit(trial)
    stack = trial.under(np.stack([trial.treatment] * 3), np.stack([trial.exposure] * 3))
    fit = estimator.fit(stack)
    assert (fit.status > sw.Status.SINGULAR).all()
    assert np.isnan([fit.estimate, fit.std_error, fit.df, fit.p_value]).all()


@pytest.mark.parametrize("estimator", ROBUST)
@pytest.mark.parametrize("mean", [[[1, 5, 2], [2, 3, 7]], [[0.3, 0.1, 0.9], [0.8, 0.2, 0.4]]])
def test_the_residuals_of_two_clusters_mirror_each_other(estimator: sw.Estimator, mean: list[list[float]]) -> None:
    """Period effects make the second cluster's residuals those of the first with the sign turned: a robust variance is 0 by rounding."""
    refused(estimator, sw.Trial.from_cells(np.full((2, 3), 10), mean, TWO), "one cluster|no degrees of freedom")


@pytest.mark.parametrize("effect", [0.0, 2.0])
@pytest.mark.parametrize("estimator", [e for e in ROBUST if not isinstance(e, sw.WithinPeriod)])
def test_cells_without_noise_have_no_robust_variance(estimator: sw.Estimator, effect: float) -> None:
    refused(estimator, sw.Trial.from_cells(SIZE, ADDITIVE + effect * FIVE.treatment, FIVE), "no degrees of freedom")


@pytest.mark.parametrize("vcov", ["overdispersed", "model"])
def test_as_many_coefficients_as_cells(vcov: str) -> None:
    square = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).randomise(seed=0)
    for family in ("gaussian", "binomial"):
        trial = sw.Trial.from_cells(np.full((2, 2), 100), [[0.1, 0.5], [0.2, 0.3]], square, family=family)
        refused(sw.FixedEffects(vcov=vcov), trial, "no degrees of freedom")


@pytest.mark.parametrize("correlation", [sw.Exchangeable(), sw.NestedExchangeable()])
def test_a_mixed_model_without_cells_to_spare(correlation: sw.Exchangeable) -> None:
    """Three cells and three coefficients: nothing tells how clusters vary, however many individuals there are."""
    stairs = sw.Design.from_matrix([[0, 1], [None, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    trial = sw.Trial.from_cells([[50, 50], [0, 50]], [[0.1, 0.5], [0.2, 0.3]], stairs, within=180.0)
    refused(sw.MixedModel(correlation, df="satterthwaite"), trial, "no degrees of freedom")


@pytest.mark.parametrize("constant", [0.0, 0.1, -123456.7, 1e9 + 0.1])
@pytest.mark.parametrize(
    "estimator", [sw.FixedEffects(), sw.FixedEffects(vcov="model"), sw.MixedModel(), sw.WithinPeriod(), sw.TwoWayFixedEffects()]
)
def test_one_outcome_for_everybody(estimator: sw.Estimator, constant: float) -> None:
    """Also where the mean of equal numbers is not that number to the last digit."""
    refused(estimator, sw.Trial.from_cells(SIZE, np.full((5, 6), constant), FIVE, within=0.0), "no variation")


@pytest.mark.parametrize("estimator", [sw.FixedEffects(), sw.MixedModel(), sw.WithinPeriod(), sw.TwoWayFixedEffects()])
def test_little_variation_on_a_high_level_is_variation(estimator: sw.Estimator) -> None:
    """A millionth on a level of a thousand: ten digits below the level leave six of the outcome, and its standard error no fewer."""
    noise = np.random.default_rng(0).standard_normal((5, 6))
    high = estimator.fit(sw.Trial.from_cells(SIZE, 1e3 + 1e-6 * noise, FIVE, within=270e-12))
    plain = estimator.fit(sw.Trial.from_cells(SIZE, noise, FIVE, within=270.0))
    assert high.estimate / 1e-6 == pytest.approx(float(plain.estimate), abs=1e-5)
    assert high.std_error / 1e-6 == pytest.approx(float(plain.std_error), rel=1e-5)


BUILT_ONCE = pytest.mark.xfail(
    strict=True, reason="columns of periods and clusters are built once for a stack, so a replicate without one is refused"
)


PERIOD, CLUSTER = (slice(None), 0), (3, slice(None))


@pytest.mark.parametrize(
    ("estimator", "lacks"),
    [
        pytest.param(sw.FixedEffects(), PERIOD, marks=BUILT_ONCE),
        pytest.param(sw.FixedEffects(), CLUSTER, marks=BUILT_ONCE),
        pytest.param(sw.MixedModel(), PERIOD, marks=BUILT_ONCE),
        (sw.MixedModel(), CLUSTER),
        *((estimator, lacks) for estimator in (sw.WithinPeriod(), sw.TwoWayFixedEffects()) for lacks in (PERIOD, CLUSTER)),
    ],
)
def test_a_replicate_that_lacks_a_period_or_a_cluster_is_fitted_as_it_is_alone(
    estimator: sw.Estimator, lacks: tuple[int | slice, int | slice]
) -> None:
    n = np.stack([SIZE, SIZE])
    n[(0, *lacks)] = 0
    means = np.random.default_rng(0).standard_normal((2, 5, 6))
    stack = sw.Trial.from_cells(n, means, FIVE, within=np.full((2, 1, 1, 1), 270.0))
    together, alone = estimator.fit(stack), estimator.fit(stack.replicate(0))
    found = [together.estimate[0], together.std_error[0], together.df[0]]
    assert found == pytest.approx([float(alone.estimate), float(alone.std_error), float(alone.df)], rel=1e-6)
