"""Slow, obvious versions of the efficient estimator under random timing and of synthetic difference-in-differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import swedge as sw
from swedge._kernels.linear_robust import WorkingModel
from swedge._kernels.random_levels import decorrelated
from swedge._kernels.simplex import simplex_weights
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD

Array = np.ndarray


def panel(starts: Array, y: Array) -> sw.Trial:
    i, t = (index.ravel() for index in np.indices(y.shape))
    rows = pd.DataFrame({"c": [f"c{k:02d}" for k in i], "t": t + 1, "y": y.ravel(), "g": np.asarray(starts)[i]})
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")


def outcomes(starts: Array, periods: int, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(starts), periods)).cumsum(1) + rng.normal(size=(len(starts), 1))


# Random timing ---------------------------------------------------------------------------------------------------------------------------


def slow_random_timing(start: Array, y: Array, beta: float | None, covariance: dict[float, Array]) -> tuple[float, float, float]:
    """Estimate, multiple of the baseline and Neyman variance of the simple average, one cohort and period at a time."""
    groups = np.unique(start)
    size = {g: (start == g).sum() for g in groups}
    periods = np.arange(1, y.shape[1] + 1)
    pairs = [(g, t) for g in groups[:-1] for t in periods if g <= t < groups[-1]]
    later, earlier = ({g: np.zeros(y.shape[1]) for g in groups} for _ in range(2))
    for g, t in pairs:
        weight = size[g] / sum(size[h] for h, _ in pairs)
        controls = [h for h in groups if h > t]
        for table, at in ((later, t), (earlier, g - 1)):
            table[g][int(at) - 1] += weight
            for h in controls:
                table[h][int(at) - 1] -= weight * size[h] / sum(size[k] for k in controls)
    both = sum(earlier[g] @ covariance[g] @ later[g] / size[g] for g in groups)
    own = sum(earlier[g] @ covariance[g] @ earlier[g] / size[g] for g in groups)
    multiple = both / own if beta is None else beta
    slope = {g: later[g] - multiple * earlier[g] for g in groups}
    estimate = sum(slope[g] @ y[start == g].mean(0) for g in groups)
    return estimate, multiple, sum(slope[g] @ covariance[g] @ slope[g] / size[g] for g in groups)


def own_covariances(start: Array, y: Array) -> dict[float, Array]:
    return {g: np.cov(y[start == g].T) for g in np.unique(start)}


def pooled_covariances(start: Array, y: Array) -> dict[float, Array]:
    groups = np.unique(start)
    total = sum((y[start == g] - y[start == g].mean(0)).T @ (y[start == g] - y[start == g].mean(0)) for g in groups)
    return dict.fromkeys(groups, total / (len(start) - len(groups)))


def one_covariance(start: Array, y: Array) -> dict[float, Array]:
    """Of all clusters, the two-way constant effect taken out."""
    treated = (np.arange(1, y.shape[1] + 1) >= start[:, None]).astype(float)
    rows = np.column_stack([np.repeat(np.eye(len(y)), y.shape[1], 0), np.tile(np.eye(y.shape[1]), (len(y), 1)), treated.ravel()])
    effect = np.linalg.lstsq(rows, y.ravel(), rcond=None)[0][-1]
    return dict.fromkeys(np.unique(start), np.cov((y - effect * treated).T))


TWO_EACH = np.array([2, 2, 4, 4, 4, 5, 5, np.inf, np.inf, np.inf])
SOME_ALONE = np.array([2, 3, 5, 5, np.inf, np.inf, np.inf, np.inf])
TEN_EACH = np.repeat([2, 4, np.inf], 10)
TWELVE_NEVER = np.r_[2, 3, 5, [np.inf] * 12]
ALL_ALONE = np.array([2.0, 3, 4, 5, 6])


@pytest.mark.parametrize("beta", [None, 0.0, 1.0, 0.3])
@pytest.mark.parametrize(
    ("start", "pool", "covariances"),
    [
        (TEN_EACH, None, own_covariances),
        (TWO_EACH, "never", own_covariances),
        (TWO_EACH, "cohorts", pooled_covariances),
        (TWO_EACH, "trial", one_covariance),
        (TWELVE_NEVER, "cohorts", pooled_covariances),
        (TWELVE_NEVER, None, one_covariance),
        (SOME_ALONE, None, one_covariance),
        (ALL_ALONE, None, one_covariance),
    ],
)
def test_reference_random_timing(start: Array, pool: str | None, covariances: object, beta: float | None) -> None:
    y = outcomes(start, 6, 1)
    estimate, multiple, variance = slow_random_timing(start, y, beta, covariances(start, y))
    trial = panel(np.where(np.isinf(start), 0, start), y)
    estimator = RothSantAnna(beta=beta, pool=pool, vcov="neyman", df="normal")
    fit = estimator.fit(trial)
    assert float(fit.estimate) == pytest.approx(estimate, abs=1e-12)
    assert float(estimator.coefficients(trial)[..., 0]) == pytest.approx(multiple, rel=1e-10)
    assert float(fit.std_error) == pytest.approx(np.sqrt(variance), rel=1e-10)
    assert float(estimator.point(trial)) == pytest.approx(estimate, abs=1e-12)


def test_reference_a_stack_chooses_how_to_pool_for_each_replicate() -> None:
    y = outcomes(TEN_EACH, 6, 2)
    starts = (TEN_EACH, np.sort(np.r_[2, 3, 4, 5, [np.inf] * 26]), np.repeat([2.0, 3, 4, 5, 6, np.inf], 5)[:30])
    trials = [panel(np.where(np.isinf(s), 0, s), y) for s in starts]
    stack = trials[0].under(np.stack([t.treatment for t in trials]), np.stack([t.exposure for t in trials]))
    fit = RothSantAnna(vcov="adjusted", df="normal").fit(stack)
    alone = [RothSantAnna(vcov="adjusted", df="normal").fit(t) for t in trials]
    np.testing.assert_allclose(fit.estimate, [a.estimate for a in alone], atol=1e-12)
    np.testing.assert_allclose(fit.std_error, [a.std_error for a in alone], rtol=1e-10)
    assert sum(note.startswith("Cohorts share one covariance") for note in fit.notes) == 1


def test_reference_the_efficient_multiple_has_the_least_neyman_variance() -> None:
    trial = panel(np.where(np.isinf(TWO_EACH), 0, TWO_EACH), outcomes(TWO_EACH, 6, 3))
    own = {"vcov": "neyman", "df": "normal"}
    best = RothSantAnna(**own)
    around = float(best.coefficients(trial)[0]) + np.linspace(-0.5, 0.5, 11)
    errors = [float(RothSantAnna(beta=b, **own).fit(trial).std_error) for b in around]
    assert int(np.argmin(errors)) == 5
    assert errors[5] == pytest.approx(float(best.fit(trial).std_error), rel=1e-12)


def test_reference_beta_1_is_callaway_and_santanna() -> None:
    trial = panel(np.where(np.isinf(TWO_EACH), 0, TWO_EACH), outcomes(TWO_EACH, 6, 4))
    for ours, theirs in (("simple", "simple"), ("cohort", "group"), ("calendar", "calendar"), ("event", "dynamic")):
        other = CallawaySantAnna(controls="not_yet", aggregate=theirs, base="universal").build(trial)
        built = RothSantAnna(beta=1, aggregate=ours).build(trial)
        assert built.terms == other.terms
        np.testing.assert_allclose(built.weights, other.weights, atol=1e-12)


def test_reference_rows_that_levels_do_not_correlate() -> None:
    """With `r` the ratio of variances, ``1 + r 11'`` over the cells of a cluster that are seen; its roots by eigenvalues."""
    rng = np.random.default_rng(9)
    seen = rng.random((7, 4)) > 0.2
    seen[0] = [True, False, False, False]
    columns = np.stack([*np.broadcast_to(np.eye(4)[:, None], (4, 7, 4)), rng.normal(size=(7, 4))]) * seen
    y, weights = (rng.normal(size=(7, 4)) + 3 * rng.normal(size=(7, 1))) * seen, rng.normal(size=(2, 7, 4)) * seen
    model = WorkingModel(columns, np.zeros((7, 4)))
    x, at = columns.reshape((5, -1)).T, seen.ravel()
    residual = np.zeros(28)
    residual[at] = y[seen] - x[at] @ np.linalg.lstsq(x[at], y[seen], rcond=None)[0]
    residual = residual.reshape((7, 4))
    means = np.array([row[own].mean() for row, own in zip(residual, seen, strict=True)])
    count, cells = seen.sum(1), seen.sum()
    inside = sum(((row[own] - m) ** 2).sum() for row, own, m in zip(residual, seen, means, strict=True)) / (cells - 7 - 4)
    between = (count * means**2).sum() / 6
    ratio = (between / inside - 1) / ((cells - (count**2).sum() / cells) / 6)
    assert ratio > 1
    found = decorrelated(weights, y, model, seen)
    for i in range(7):
        values, vectors = np.linalg.eigh(np.eye(4) + ratio * np.outer(seen[i], seen[i]))
        root, inverse = (vectors * values**0.5) @ vectors.T, (vectors * values**-0.5) @ vectors.T
        np.testing.assert_allclose(found[0][:, i], weights[:, i] @ root, atol=1e-12)
        np.testing.assert_allclose(found[1][i], inverse @ y[i], atol=1e-12)
        np.testing.assert_allclose(found[2].columns[:, i], columns[:, i] @ inverse, atol=1e-12)
    np.testing.assert_allclose((found[0] * found[1]).sum((-2, -1)), (weights * y).sum((-2, -1)), rtol=1e-12)
    np.testing.assert_allclose(decorrelated(weights, np.stack([y, 2 * y]), model, seen)[1], [found[1], 2 * found[1]], atol=1e-12)


def test_reference_levels_that_do_not_vary_leave_cells_as_they_are() -> None:
    y = np.random.default_rng(10).normal(size=(7, 4))
    model = WorkingModel(np.broadcast_to(np.eye(4)[:, None], (4, 7, 4)), np.zeros((7, 4)))
    for kept, part in zip(
        decorrelated(y[None], y - y.mean(1, keepdims=True), model, y < 9)[:2], (y[None], y - y.mean(1, keepdims=True)), strict=True
    ):
        np.testing.assert_array_equal(kept, part)


# Synthetic controls ----------------------------------------------------------------------------------------------------------------------


def slow_steps(a: Array, b: Array, eta: float, x: Array, gain: float, most: int) -> Array:
    """Frank and Wolfe's steps for ``|ax - b|^2 + eta |x|^2`` as they are written, until the mean square falls by less than `gain`."""
    values: list[float] = []
    while len(values) < most and (len(values) < 2 or values[-2] - values[-1] > gain):
        slope = a.T @ (a @ x - b) + eta * x
        towards = np.eye(len(x))[int(np.argmin(slope))] - x
        bend = ((a @ towards) ** 2).sum() + eta * (towards**2).sum()
        x = x + (np.clip(-slope @ towards / bend, 0, 1) if bend > 0 else 0) * towards
        values.append((((a @ x - b) ** 2).sum() + eta * (x**2).sum()) / len(b))
    return x


def slow_weights(a: Array, b: Array, zeta: float, noise: float, intercept: bool) -> Array:
    if intercept:
        a, b = a - a.mean(0), b - b.mean()
    eta, gain = len(b) * zeta**2, (1e-5 * noise) ** 2
    x = slow_steps(a, b, eta, np.full(a.shape[1], 1 / a.shape[1]), gain, 100)
    x = np.where(x > x.max() / 4, x, 0)
    return slow_steps(a, b, eta, x / x.sum(), gain, 10_000)


def slow_synthetic(start: Array, y: Array, did: bool) -> float:
    """Cohort by cohort, averaged by treated cells."""
    controls, total, cells = y[np.isinf(start)], 0.0, 0
    for g in np.unique(start[np.isfinite(start)]):
        before = int(g) - 1
        ours, after = y[start == g], y.shape[1] - before
        noise = np.diff(controls[:, :before], axis=1).std(ddof=1)
        zeta = (len(ours) * after) ** 0.25 * noise if did else 1e-6 * noise
        w = slow_weights(controls[:, :before].T, ours[:, :before].mean(0), zeta, noise, did)
        m = slow_weights(controls[:, :before], controls[:, before:].mean(1), 1e-6 * noise, noise, True) if did else np.zeros(before)
        gap = ours.mean(0) - w @ controls
        total += len(ours) * after * (gap[before:].mean() - m @ gap[:before])
        cells += len(ours) * after
    return total / cells


STAGGERED = np.r_[4.0, 4, 6, [np.inf] * 9]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_reference_synthetic_cohorts(seed: int) -> None:
    y = outcomes(STAGGERED, 8, seed)
    trial = panel(np.where(np.isinf(STAGGERED), 0, STAGGERED), y)
    assert float(SyntheticDiD().point(trial)) == pytest.approx(slow_synthetic(STAGGERED, y, True), abs=1e-8)
    assert float(SyntheticControl().point(trial)) == pytest.approx(slow_synthetic(STAGGERED, y, False), abs=1e-6)


def test_reference_the_steps_come_near_the_smallest_value() -> None:
    """Another solver's minimum, from below: the steps stop within what their gains leave."""
    rng = np.random.default_rng(5)
    for _ in range(5):
        root = rng.normal(size=(9, 7))
        form = root.T @ root + 0.5 * np.eye(7)
        x = simplex_weights(form[None], np.ones((1, 7), dtype=bool), np.full(1, 1e-12))[0]
        best = optimize.minimize(
            lambda v, h=form: v @ h @ v,
            np.full(7, 1 / 7),
            jac=lambda v, h=form: 2 * h @ v,
            bounds=[(0, 1)] * 7,
            constraints={"type": "eq", "fun": lambda v: v.sum() - 1},
            options={"ftol": 1e-14},
        )
        assert x.sum() == pytest.approx(1, abs=1e-12)
        assert (x >= 0).all()
        assert best.fun - 1e-9 <= x @ form @ x <= best.fun * (1 + 1e-5)


def test_reference_the_jackknife_leaves_out_clusters_and_keeps_the_weights() -> None:
    start = np.r_[4.0, 4, 4, [np.inf] * 8]
    y = outcomes(start, 7, 6)
    trial = panel(np.where(np.isinf(start), 0, start), y)
    found = SyntheticDiD().synthetic(trial)
    w, m = found.clusters[0, 3:], found.periods[0]
    change = y[:, 3:].mean(1) - y @ m
    left = []
    for i in range(len(start)):
        ours, theirs = np.delete(np.arange(3), i if i < 3 else []), np.delete(np.arange(8), i - 3 if i >= 3 else [])
        left.append(change[ours].mean() - w[theirs] @ change[3:][theirs] / w[theirs].sum())
    n = len(left)
    expected = np.sqrt((n - 1) / n * ((left - np.mean(left)) ** 2).sum())
    assert float(SyntheticDiD(vcov="jackknife", df="normal").fit(trial).std_error) == pytest.approx(expected, rel=1e-10)


def test_reference_placebos_hand_every_date_to_every_control() -> None:
    start = np.r_[3.0, 5, [np.inf] * 5]
    y = outcomes(start, 6, 7)
    trial = panel(np.where(np.isinf(start), 0, start), y)
    estimates = [
        slow_synthetic(np.r_[3.0, 5, [np.inf] * 3], y[[2 + a, 2 + b, *(2 + k for k in range(5) if k not in (a, b))]], True)
        for a in range(5)
        for b in range(5)
        if a != b
    ]
    fit = SyntheticDiD(aggregate="cohort", vcov="placebo", df="normal").fit(trial)
    assert float(fit.std_error[0]) == pytest.approx(np.std(estimates), rel=1e-6)
    assert fit.terms == ("overall", "group 3", "group 5")


def test_reference_cluster_robust_errors_take_the_weights_as_known() -> None:
    """The same cells, weighed by hand in a model that does not know where the weights come from."""
    trial = panel(np.where(np.isinf(STAGGERED), 0, STAGGERED), outcomes(STAGGERED, 8, 8))
    weights = SyntheticDiD().weights(trial)
    treated, cells = trial.arm, weights.size
    columns = [np.repeat(np.eye(len(treated)), 8, 0), np.tile(np.eye(8), (len(treated), 1)), treated.reshape(cells, 1)]
    basis = np.linalg.qr(np.column_stack([columns[0], columns[1][:, 1:], columns[2]]))[0]
    left = np.eye(cells) - basis @ basis.T
    residual = left @ trial.outcome.ravel()
    pulls = []
    for i in range(len(treated)):
        own = slice(8 * i, 8 * i + 8)
        values, vectors = np.linalg.eigh(left[own, own])
        root = (vectors * np.where(values > 1e-8, 1 / np.sqrt(np.maximum(values, 1e-8)), 0)) @ vectors.T
        pulls.append(weights[i] @ root @ residual[own])
    assert float(SyntheticDiD().fit(trial).std_error) == pytest.approx(np.sqrt(np.sum(np.square(pulls))), rel=1e-8)
