"""Callaway-Sant'Anna against loops over clusters, and its influence functions against what a little more weight on a cluster does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import optimize

import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.sun_abraham import SunAbraham

Array = np.ndarray
PERIODS, NEVER = 6, 99
STARTS = np.repeat([2, 4, 5, NEVER], [4, 5, 6, 9])


def table(seed: int, gaps: bool = False) -> tuple[Array, Array]:
    """Outcomes ``(I, T)``, nan where a cell is not observed, and a covariate that tells cohorts apart a little."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=len(STARTS)) + 0.05 * (STARTS < NEVER)
    y = rng.normal(size=(len(STARTS), 1)) + rng.normal(size=(len(STARTS), PERIODS)) + 0.3 * x[:, None] * np.arange(PERIODS)
    y += 0.5 * (np.arange(1, PERIODS + 1) >= STARTS[:, None])
    if gaps:
        y[rng.random(y.shape) < 0.08] = np.nan
    return y, x


def trial_of(y: Array, x: Array) -> sw.Trial:
    i, t = (index.ravel() for index in np.indices(y.shape))
    rows = pd.DataFrame({"c": i + 100, "t": t + 1, "y": y.ravel(), "g": np.where(STARTS == NEVER, 0, STARTS)[i]})
    trial = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    return trial.with_cluster_covariates(pd.DataFrame({"x": x}, index=np.arange(len(x)) + 100))


def chance(treated: Array, design: Array, w: Array) -> Array:
    def score(b: Array) -> Array:
        return design.T @ (w * (treated - 1 / (1 + np.exp(-design @ b))))

    return 1 / (1 + np.exp(-design @ optimize.root(score, np.zeros(2), tol=1e-14).x))


def change_of(d: Array, treated: Array, x: Array, w: Array, adjust: str) -> float:
    """Sant'Anna and Zhao's estimators of one comparison, clusters weighed by `w`; "" is the difference of means."""
    if not adjust:
        return float(np.average(d, weights=w * treated) - np.average(d, weights=w * (1 - treated)))
    design, ours, theirs = np.column_stack([np.ones(len(x)), x]), w * treated, w * (1 - treated)
    if adjust != "ipw":
        d = d - design @ np.linalg.solve((design.T * theirs) @ design, design.T @ (theirs * d))
    if adjust == "outcome regression":
        return float(np.average(d, weights=ours))
    p = chance(treated, design, w)
    return float(np.average(d, weights=ours) - np.average(d, weights=theirs * p / (1 - p)))


def base_of(row: Array, g: int, t: int, est: CallawaySantAnna) -> int:
    """The period that one cluster's period t is compared with, 0 where there is none."""
    seen = [s for s in range(1, PERIODS + 1) if np.isfinite(row[s - 1])]
    clean = [s for s in seen if s < g]
    clean = clean[: max(len(clean) - est.anticipation, 0)]
    if t not in seen or not clean:
        return 0
    b = max([s for s in seen if s < t], default=0) if est.base == "varying" and t < g else clean[-1]
    return 0 if b == t else b


def free_until(row: Array, start: int, est: CallawaySantAnna) -> int:
    """The last period in which one cluster is a control."""
    clean = [s for s in range(1, min(start, PERIODS + 1)) if np.isfinite(row[s - 1])]
    return PERIODS if start == NEVER else max(clean[: max(len(clean) - est.anticipation, 0)], default=0)


def effects(y: Array, x: Array, w: Array, est: CallawaySantAnna) -> dict[tuple[int, int], tuple[float, Array]]:
    """Every group and time, by loops, and which clusters join it; clusters with different base periods are averaged."""
    found = {}
    until = np.array([free_until(row, start, est) for row, start in zip(y, STARTS, strict=True)])
    for g in (2, 4, 5):
        for t in range(1, PERIODS + 1):
            bases, parts = np.array([base_of(row, g, t, est) for row in y]) * (g == STARTS), []
            for b in sorted(set(bases) - {0}):
                later = (max(t, b) <= until) & (g != STARTS) if est.controls == "not_yet" else STARTS == NEVER
                d, treated = y[:, t - 1] - y[:, b - 1], bases == b
                kept = treated | (np.isfinite(d) & later)
                value = change_of(d[kept], treated[kept] * 1.0, x[kept], w[kept], est.adjust if est.covariates else "")
                parts.append((value, treated))
            if parts:
                joined = np.any([treated for _, treated in parts], 0)
                found[g, t] = float(np.average([v for v, _ in parts], weights=[w[own].sum() for _, own in parts])), joined
    return found


def overall(found: dict[tuple[int, int], tuple[float, Array]], w: Array, aggregate: str) -> dict[str, float]:
    """Averages, clusters weighed by `w`."""
    after = {key: value for key, value in found.items() if key[1] >= key[0]}
    size = {g: w[np.any([own for key, (_, own) in after.items() if key[0] == g], 0)].sum() for g in (2, 4, 5)}

    def mean(kept: dict[tuple[int, int], tuple[float, Array]]) -> float:
        return float(np.average([value for value, _ in kept.values()], weights=[w[own].sum() for _, own in kept.values()]))

    of = {"group": lambda g, t: g, "calendar": lambda g, t: t, "dynamic": lambda g, t: t - g}.get(aggregate)
    if of is None:
        return {"overall": mean(after)}
    shown = found if aggregate == "dynamic" else after
    parts = {v: mean({key: e for key, e in shown.items() if of(*key) == v}) for v in sorted({of(*key) for key in shown})}
    name = "event" if aggregate == "dynamic" else aggregate
    counted = {v: e for v, e in parts.items() if aggregate != "dynamic" or v >= 0}
    weights = [size[g] for g in counted] if aggregate == "group" else None
    return {"overall": float(np.average(list(counted.values()), weights=weights)), **{f"{name} {v}": e for v, e in parts.items()}}


CASES = [
    CallawaySantAnna(),
    CallawaySantAnna(controls="not_yet"),
    CallawaySantAnna(base="universal"),
    CallawaySantAnna(controls="not_yet", anticipation=1),
    *[CallawaySantAnna(covariates=("x",), adjust=how) for how in ("doubly robust", "outcome regression", "ipw")],
    CallawaySantAnna(controls="not_yet", covariates=("x",)),
]


@pytest.mark.parametrize("est", CASES, ids=repr)
@pytest.mark.parametrize("gaps", [False, True])
def test_effects_and_averages_are_those_of_loops(est: CallawaySantAnna, gaps: bool) -> None:
    y, x = table(3, gaps)
    trial, ones = trial_of(y, x), np.ones(len(x))
    found = effects(y, x, ones, est)
    alone = replace(est, aggregate=None).build(trial)
    shown = (alone.weights * np.nan_to_num(trial.outcome)).sum((-2, -1))
    assert alone.terms == tuple(f"group {g}, time {t}" for g, t in found)
    np.testing.assert_allclose(shown, [value for value, _ in found.values()], atol=1e-10)
    for aggregate in ("simple", "group", "calendar", "dynamic"):
        built = replace(est, aggregate=aggregate).build(trial)
        expected = overall(found, ones, aggregate)
        assert built.terms == tuple(expected)
        shown = (built.weights * np.nan_to_num(trial.outcome)).sum((-2, -1))
        np.testing.assert_allclose(shown, list(expected.values()), atol=1e-10)


@pytest.mark.parametrize("est", CASES, ids=repr)
@pytest.mark.parametrize("aggregate", ["simple", "group", "calendar", "dynamic", None])
def test_influence_is_the_derivative_in_a_clusters_weight(est: CallawaySantAnna, aggregate: str | None) -> None:
    y, x = table(4, gaps=True)
    est = replace(est, aggregate=aggregate, vcov="influence", df="normal")

    def numbers(w: Array) -> Array:
        found = effects(y, x, w, est)
        return np.array([e for e, _ in found.values()] if aggregate is None else list(overall(found, w, aggregate).values()))

    step, trial = 1e-5, trial_of(y, x)
    slopes = np.stack([(numbers(1 + step * e) - numbers(1 - step * e)) / (2 * step) for e in np.eye(len(x))], -1)
    order = [int(name) - 100 for name in trial.clusters]
    np.testing.assert_allclose(est.influence(trial), slopes[:, order], atol=1e-8)
    np.testing.assert_allclose(est.fit(trial).covariance, slopes @ slopes.T, atol=1e-8)


def saturated(y: Array) -> tuple[list[tuple[int, int]], Array, Array, Array]:
    """Least squares on clusters, periods and cohort x period indicators: keys, coefficients, and each cluster's part in their error."""
    keys = [(g, t) for g in (2, 4, 5) for t in range(1, PERIODS + 1) if t != g - 1]
    i, t = (index.ravel() for index in np.indices(y.shape))
    columns = [STARTS[i] == g for g, _ in keys]
    marks = np.column_stack([c & (t + 1 == key[1]) for c, key in zip(columns, keys, strict=True)]).astype(float)
    design = np.column_stack([marks, np.eye(len(y))[i], np.eye(PERIODS)[t][:, 1:]])
    inverse = np.linalg.pinv(design)
    left = y.ravel() - design @ (inverse @ y.ravel())
    parts = np.stack([(inverse[:, i == c] @ left[i == c])[: len(keys)] for c in range(len(y))], -1)
    return keys, (inverse @ y.ravel())[: len(keys)], parts, np.array(len(design) - 1) / (len(design) - len(keys) - PERIODS)


def test_sun_and_abraham_is_the_saturated_regression() -> None:
    y, x = table(5)
    trial, (keys, beta, parts, factor) = trial_of(y, x), saturated(y)
    fit = SunAbraham(aggregate=None, vcov="saturated", df="clusters").fit(trial)
    assert fit.terms == tuple(f"group {g}, time {t}" for g, t in keys)
    np.testing.assert_allclose(fit.estimate, beta, atol=1e-10)
    np.testing.assert_allclose(fit.covariance, parts @ parts.T * factor * 24 / 23, atol=1e-10)
    assert (fit.df == 23).all()


def test_sun_and_abraham_without_never_treated_takes_the_last_cohort() -> None:
    y, _ = table(6)
    kept = STARTS < NEVER
    i, t = (index.ravel() for index in np.indices(y[kept].shape))
    rows = pd.DataFrame({"c": i, "t": t + 1, "y": y[kept].ravel(), "g": STARTS[kept][i]})
    columns = {"cluster": "c", "period": "t", "outcome": "y", "first_treated": "g"}
    ours = SunAbraham(aggregate="dynamic", vcov="saturated", df="clusters").fit(sw.Trial.from_panel(rows, **columns))
    early = rows[rows.t < 5].assign(g=lambda r: r.g.where(r.g < 5, 0))
    theirs = SunAbraham(aggregate="dynamic", vcov="saturated", df="clusters").fit(sw.Trial.from_panel(early, **columns))
    assert ours.terms == theirs.terms
    np.testing.assert_allclose(ours.estimate, theirs.estimate, atol=1e-12)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, atol=1e-12)
    assert any("first treated in 5" in note for note in ours.notes)
