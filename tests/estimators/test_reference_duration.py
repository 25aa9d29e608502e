"""Pseudo-observations and Cox regression against slow and obvious re-implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize

from estimators.durations import ALLOCATION, COLUMNS, NAMES, drawn, made, slow_mean
from swedge._kernels.survival import kaplan_meier, pseudo_observations
from swedge.estimators import Duration

Array = np.ndarray


def pseudo(time: Array, event: Array, horizon: float) -> Array:
    return pseudo_observations(kaplan_meier(np.zeros(len(time), dtype=np.int64), time, event, 1), horizon)


def test_reference_pseudo_observations_are_derivatives_by_the_weights() -> None:
    frame = made()
    for la in NAMES[:3]:
        time, event = (frame.loc[frame.la == la, name].to_numpy(dtype=float) for name in ("days", "ended"))
        step, mean = 1e-5, slow_mean(time, event, 250.0)
        slopes = [
            (slow_mean(time, event, 250.0, 1 + step * row) - slow_mean(time, event, 250.0, 1 - step * row)) / (2 * step)
            for row in np.eye(len(time))
        ]
        # Central differences of step 1e-5: rounding of 1e-14 * 200 / 1e-5.
        np.testing.assert_allclose(pseudo(time, event, 250.0), mean + len(time) * np.array(slopes), atol=1e-4)


def test_reference_the_jackknife_that_leaves_one_out_is_near_and_nears_with_n() -> None:
    gaps = []
    for per in (40, 160):
        frame = drawn(1, per)
        own = frame[(frame.la == "Ash") & (frame.period == 2)]
        time, event = own.days.to_numpy(), own.ended.to_numpy()
        n, mean = len(time), slow_mean(time, event, 365.0)
        left_out = [n * mean - (n - 1) * slow_mean(np.delete(time, i), np.delete(event, i), 365.0) for i in range(n)]
        gaps.append(float(np.abs(pseudo(time, event, 365.0) - left_out).max()))
    assert gaps[1] < gaps[0] / 2 < 5


def efron(beta: Array, time: Array, event: Array, x: Array) -> float:
    """Log partial likelihood of one stratum."""
    total, risk = 0.0, np.exp(x @ beta)
    for at in np.unique(time[event == 1]):
        dead = (time == at) & (event == 1)
        d = int(dead.sum())
        left = risk[time >= at].sum() - np.arange(d) / d * risk[dead].sum()
        total += float((x[dead] @ beta).sum() - np.log(left).sum())
    return total


def slopes(beta: Array, strata: list[tuple[Array, Array, Array]], step: float = 1e-5) -> Array:
    """Each stratum's score by central differences."""
    rows = np.eye(len(beta)) * step
    return np.array([[(efron(beta + row, *s) - efron(beta - row, *s)) / (2 * step) for row in rows] for s in strata])


def test_reference_cox_regression_by_direct_maximisation_and_a_sandwich_of_cluster_scores() -> None:
    frame = drawn(2, per=8)
    treated = np.array([ALLOCATION.treatment[NAMES.index(la), t - 1] for la, t in zip(frame.la, frame.period, strict=True)])
    x = np.column_stack([treated, *((frame.period == t).astype(float) for t in range(2, 7))])
    time, event = np.minimum(frame.days, 300.0).to_numpy(), np.where(frame.days > 300, 0, frame.ended)
    strata = [(time[at], event[at], x[at]) for at in (frame.la == la for la in NAMES)]
    found = optimize.minimize(
        lambda b: -sum(efron(b, *s) for s in strata), np.zeros(6), jac=lambda b: -slopes(b, strata).sum(0), options={"gtol": 1e-7}
    )
    scores = slopes(found.x, strata)
    information = -np.array(
        [(slopes(found.x + row, strata).sum(0) - slopes(found.x - row, strata).sum(0)) / 2e-4 for row in np.eye(6) * 1e-4]
    )
    bread = np.linalg.inv((information + information.T) / 2)
    fit = Duration(300.0).cox(frame, ALLOCATION, **COLUMNS, vcov="CR0")
    # Numerical second derivatives: five digits.
    assert float(fit.estimate) == pytest.approx(found.x[0], abs=1e-5)
    assert float(fit.std_error) == pytest.approx(float(np.sqrt((bread @ scores.T @ scores @ bread)[0, 0])), rel=1e-4)
