"""The wild cluster bootstrap written out: a regression on rows refitted for every vector of weights."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.inference import WildBootstrapTest

Array = np.ndarray
WEBB = [-np.sqrt(1.5), -1.0, -np.sqrt(0.5), np.sqrt(0.5), 1.0, np.sqrt(1.5)]


def vectors(kind: str, clusters: int) -> Array:
    """Every vector of weights, mirror images too."""
    return np.array(list(itertools.product([-1.0, 1.0] if kind == "rademacher" else WEBB, repeat=clusters)))


def t_statistic(x: Array, w: Array, y: Array, cluster: Array, theta: float) -> tuple[float, float]:
    """Estimate less theta, and that over its CR1 standard error, of the first column's coefficient, row by row."""
    inverse = np.linalg.inv((x.T * w) @ x)
    beta = inverse @ ((x.T * w) @ y)
    names = np.unique(cluster)
    pulls = [inverse[0] @ ((x[cluster == g].T * w[cluster == g]) @ (y - x @ beta)[cluster == g]) for g in names]
    error = np.sqrt(np.sum(np.square(pulls)) * len(names) / (len(names) - 1))
    return beta[0] - theta, (beta[0] - theta) / error if error > 1e-9 else np.nan  # a fit without residuals, but for rounding


def brute(x: Array, w: Array, y: Array, cluster: Array, kind: str, restricted: bool, theta: float = 0.0) -> tuple[Array, Array]:
    """Samples ``(B, 2)`` of estimate and t, and those of the data."""
    fit = np.linalg.lstsq(x * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)[0]
    centre = theta if restricted else fit[0]
    if restricted:
        fit = np.append(theta, np.linalg.lstsq(x[:, 1:] * np.sqrt(w)[:, None], (y - theta * x[:, 0]) * np.sqrt(w), rcond=None)[0])
    fitted, names = x @ fit, np.unique(cluster)
    out = []
    for g in vectors(kind, len(names)):
        each = dict(zip(names, g, strict=True))
        sample = fitted + np.array([each[c] for c in cluster]) * (y - fitted)
        out.append(t_statistic(x, w, sample, cluster, centre))
    return np.array(out), np.array(t_statistic(x, w, y, cluster, theta))


def share(samples: Array, observed: float, unit: float) -> float:
    """Share at least as extreme, ties and samples without a statistic included; never 0."""
    return max((~(np.abs(samples) < abs(observed) * (1 - 1e-9) - 1e-9 * unit)).sum(), 1) / len(samples)


def rows(name: str) -> pd.DataFrame:
    """A made trial of five clusters, with an individual covariate."""
    frame = data.trial_rows(name)
    frame = frame[frame.cluster <= 5] if name != "made_wedge" else frame
    return frame.assign(age=np.arange(len(frame)) * 7 % 11 / 4.0)


def columns(frame: pd.DataFrame, clusters: bool = True, age: bool = False) -> Array:
    parts = [frame[["treatment"]].to_numpy(float), pd.get_dummies(frame.period).to_numpy(float)]
    if clusters:
        parts.append(pd.get_dummies(frame.cluster).to_numpy(float)[:, 1:])
    return np.hstack([*parts, frame[["age"]].to_numpy()] if age else parts)


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize(("statistic", "place"), [("estimate", 0), ("t", 1)])
@pytest.mark.parametrize("name", ["made_wedge", "made_unequal"])
def test_rows_with_a_covariate(name: str, statistic: str, place: int, restricted: bool) -> None:
    frame = rows(name)
    trial = trials.from_rows(frame, "y_cont", "gaussian", "age")
    samples, observed = brute(
        columns(frame, age=True), np.ones(len(frame)), frame.y_cont.to_numpy(), frame.cluster, "rademacher", restricted
    )
    result = WildBootstrapTest(restricted=restricted, statistic=statistic).run(trial, sw.FixedEffects())
    assert np.sort(result.reference) == pytest.approx(np.sort(samples[:, place]), abs=1e-8)
    assert result.statistic == pytest.approx(observed[place], abs=1e-8)
    assert result.p_value == pytest.approx(share(samples[:, place], observed[place], 1.0), abs=1e-12)
    assert result.n_allocations == 32


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize(("estimator", "weigh"), [(sw.TwoWayFixedEffects, "equal"), (sw.WithinPeriod, "size")])
def test_cell_means_under_six_points(estimator: type, weigh: str, restricted: bool) -> None:
    frame = rows("made_unequal")
    frame = frame[frame.cluster <= 4]
    cells = frame.groupby(["cluster", "period"], as_index=False).agg(
        treatment=("treatment", "first"), size=("size", "sum"), y_cont=("y_cont", "mean")
    )
    w = cells["size"].to_numpy(float) if weigh == "size" else np.ones(len(cells))
    x = columns(cells, clusters=estimator is sw.TwoWayFixedEffects)
    samples, observed = brute(x, w, cells.y_cont.to_numpy(), cells.cluster, "webb", restricted)
    result = WildBootstrapTest(weights="webb", restricted=restricted).run(
        trials.from_rows(frame, "y_cont", "gaussian"), estimator(weigh=weigh)
    )
    assert result.n_allocations == 6**4
    assert result.p_value == pytest.approx(share(samples[:, 1], observed[1], 1.0), abs=1e-12)
    assert np.sort(result.reference) == pytest.approx(np.sort(samples[:, 1]), rel=1e-6, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("restricted", [True, False])
def test_limits_are_where_the_written_out_p_crosses_alpha(restricted: bool) -> None:
    frame = rows("made_wedge")
    trial = trials.from_rows(frame, "y_cont", "gaussian")
    result = WildBootstrapTest(restricted=restricted, level=0.8).run(trial, sw.FixedEffects())
    x, w, y = columns(frame), np.ones(len(frame)), frame.y_cont.to_numpy()

    def p(theta: float) -> float:
        samples, observed = brute(x, w, y, frame.cluster, "rademacher", restricted, theta)
        return share(samples[:, 1], observed[1], 1.0)

    low, high = result.conf_int
    slack = 1e-5 * (high - low)
    assert p(low - slack) <= 0.2 < p(low + slack)
    assert p(high + slack) <= 0.2 < p(high - slack)


# Score bootstrap ----------------------------------------------------------------------------------------------------------------------


def score_brute(x: Array, n: Array, y: Array, cluster: Array, family: str, theta: float) -> tuple[Array, float]:
    """One Newton step from the fit at theta, for every vector of signs; CR1 from the scores after the step."""
    maths = {"binomial": sm.families.Binomial(), "poisson": sm.families.Poisson()}[family]
    weight = {"var_weights": n}
    fit = sm.GLM(y, x[:, 1:], family=maths, offset=theta * x[:, 0], **weight).fit(tol=1e-14, maxiter=200)
    mu = fit.fittedvalues
    w = n * (mu * (1 - mu) if family == "binomial" else mu)
    inverse, names = np.linalg.inv((x.T * w) @ x), np.unique(cluster)
    scores = np.array([x[cluster == g].T @ (n * (y - mu))[cluster == g] for g in names])
    crossed = np.array([(x[cluster == g].T * w[cluster == g]) @ x[cluster == g] for g in names])
    out = []
    for g in [np.ones(len(names)), *vectors("rademacher", len(names))]:
        step = inverse @ (g[:, None] * scores).sum(0)
        left = g[:, None] * scores - crossed @ step
        variance = ((left @ inverse[0]) ** 2).sum() * len(names) / (len(names) - 1)
        out.append(step[0] / np.sqrt(variance))
    return np.array(out[1:]), out[0]


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("theta", [0.0, 0.4])
def test_score_bootstrap(family: str, theta: float) -> None:
    frame = rows("made_unequal").assign(treatment=lambda f: f.treatment.astype(float))
    trial = trials.from_rows(frame, "y_bin", family, "age")
    x = columns(frame, age=True)
    samples, observed = score_brute(x, np.ones(len(frame)), frame.y_bin.to_numpy(float), frame.cluster.to_numpy(), family, theta)
    shifted = sw.FixedEffects().null(trial, theta)
    result = WildBootstrapTest().run(shifted, sw.FixedEffects())
    assert np.sort(result.reference) == pytest.approx(np.sort(samples), abs=1e-6)
    assert result.statistic == pytest.approx(observed, abs=1e-6)
    assert result.p_value == pytest.approx(share(samples, observed, 1.0), abs=1e-12)
    assert "score" in result.test
    assert any("score bootstrap" in note for note in result.notes)


def test_score_bootstrap_of_a_mean_over_exposures_holds_only_that() -> None:
    """TATE = sum of effects over their number: the effects are free to differ under the null, as their mean is held."""
    frame = rows("made_wedge")
    trial = trials.from_rows(frame, "y_bin", "binomial")
    estimator = sw.FixedEffects(effect=sw.ByExposure(), estimand=sw.TATE())
    exposure = trial.exposure[frame.cluster - 1, frame.period - 1]
    kinds = np.unique(exposure[exposure > 0])
    shown = (exposure[:, None] == kinds).astype(float)
    # b_1 = k m - b_2 - ... - b_k, so the coefficient of k times the first indicator is the mean m
    mean = np.column_stack([len(kinds) * shown[:, 0], shown[:, 1:] - shown[:, :1]])
    x = np.hstack([mean, columns(frame)[:, 1:]])
    samples, observed = score_brute(x, np.ones(len(frame)), frame.y_bin.to_numpy(float), frame.cluster.to_numpy(), "binomial", 0.0)
    result = WildBootstrapTest().run(trial, estimator)
    assert result.statistic == pytest.approx(observed, abs=1e-6)
    assert result.p_value == pytest.approx(share(samples, observed, 1.0), abs=1e-12)
