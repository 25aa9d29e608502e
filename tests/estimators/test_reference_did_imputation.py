"""Imputation and its relatives against slow and obvious re-implementations: dummies, loops over pairs, all two-by-two comparisons."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import linalg

import swedge as sw
from swedge._kernels.two_way import foreseen
from swedge.estimators.bacon import bacon_decomposition
from swedge.estimators.extended_two_way import ExtendedTwoWay
from swedge.estimators.generalised import GeneralisedDiD
from swedge.estimators.imputation import Imputation
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.switcher_comparison import SwitcherComparison
from swedge.estimators.switchers import Switchers
from swedge.estimators.two_stage import TwoStage

Array = np.ndarray
OWN = {"vcov": "influence", "df": "normal"}


def rows_of(seed: int, starts: list[int], periods: int = 6, missing: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame([(i, t, g) for i, g in enumerate(starts) for t in range(1, periods + 1)], columns=["c", "t", "g"])
    frame["y"] = rng.normal(size=len(frame)) + 0.3 * frame.c + 0.5 * ((frame.g > 0) & (frame.t >= frame.g))
    return frame[rng.random(len(frame)) >= missing]


def trial_of(rows: pd.DataFrame) -> sw.Trial:
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")


STARTS = [2, 2, 3, 3, 3, 5, 5, 0, 0, 0, 0, 0]


def treated(rows: pd.DataFrame) -> pd.Series:
    return (rows.g > 0) & (rows.t >= rows.g)


def dummies(rows: pd.DataFrame, *names: str) -> pd.DataFrame:
    return pd.concat([pd.get_dummies(rows[name], prefix=name, dtype=float) for name in names], axis=1)


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_imputation_by_dummies(missing: float) -> None:
    rows = rows_of(1, STARTS, missing=missing)
    off, x = ~treated(rows), dummies(rows, "c", "t")
    beta = np.linalg.lstsq(x[off].to_numpy(), rows.y[off].to_numpy(), rcond=None)[0]
    usable = treated(rows) & (x.loc[:, (x[off] == 0).all()] == 0).all(axis=1)
    tau = (rows.y - x.to_numpy() @ beta)[usable]
    trial = trial_of(rows)
    assert float(Imputation().point(trial)) == pytest.approx(tau.mean(), abs=1e-10)
    by_event = tau.groupby((rows.t - rows.g)[usable]).mean()
    for estimator in (Imputation(aggregate="dynamic"), TwoStage(aggregate="dynamic")):
        np.testing.assert_allclose(estimator.fit(trial).estimate[1:], by_event, atol=1e-10)


def test_leads_are_a_regression_of_untreated_cells() -> None:
    rows = rows_of(2, STARTS, missing=0.1)
    off = rows[~treated(rows)]
    leads = np.column_stack([((off.g > 0) & (off.t - off.g == e)).astype(float) for e in (-2, -1)])
    x = np.column_stack([leads, dummies(off, "c", "t")])
    ours = Imputation(aggregate="dynamic", leads=2).fit(trial_of(rows))
    assert ours.terms[1:3] == ("event -2", "event -1")
    np.testing.assert_allclose(ours.estimate[1:3], np.linalg.pinv(x)[:2] @ off.y, atol=1e-9)


def test_leave_one_out_by_loop() -> None:
    trial = trial_of(rows_of(3, STARTS))
    y, start = trial.outcome, np.where(trial.arm.any(-1), trial.arm.argmax(-1), 99)
    weights = Imputation().weights(trial)
    off = trial.arm == 0
    x = np.array([[float(k == i) for k in range(12)] + [float(k == t) for k in range(6)] for i in range(12) for t in range(6)])
    beta = np.linalg.lstsq(x[off.ravel()], y[off], rcond=None)[0]
    tau = y - (x @ beta).reshape(y.shape)
    total = 0.0
    for i in range(12):
        error = 0.0
        for t in range(6):
            others = [j for j in range(12) if j != i and start[j] == start[i]]
            error += weights[i, t] * (tau[i, t] - (0 if off[i, t] else np.mean([tau[j, t] for j in others])))
        total += error**2
    assert float(Imputation(leave_one_out=True, **OWN).fit(trial).std_error) == pytest.approx(np.sqrt(total), rel=1e-9)


@pytest.mark.parametrize("controls", ["not_yet", "never"])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_extended_two_way_by_dummies(controls: str, missing: float) -> None:
    rows = rows_of(4, STARTS, missing=missing).reset_index(drop=True)
    own = treated(rows) if controls == "not_yet" else (rows.g > 0) & (rows.t != rows.g - 1)
    cells = pd.get_dummies((rows.g.astype(str) + "-" + rows.t.astype(str)).where(own), dtype=float)
    x = np.column_stack([cells, dummies(rows, "c"), dummies(rows, "t").iloc[:, 1:]])
    fit = sm.OLS(rows.y, x).fit(cov_type="cluster", cov_kwds={"groups": rows.c, "use_correction": False})
    counts = cells.sum() * [int(c.split("-")[1]) >= int(c.split("-")[0]) for c in cells.columns]
    contrast = np.r_[counts / counts.sum(), np.zeros(x.shape[1] - cells.shape[1])]
    n, k, g = len(rows), cells.shape[1] + rows.t.nunique(), rows.c.nunique()
    ours = ExtendedTwoWay(controls=controls, vcov="influence", df="clusters").fit(trial_of(rows))
    assert float(ours.estimate) == pytest.approx(float(contrast @ fit.params), abs=1e-9)
    variance = contrast @ fit.cov_params() @ contrast * g / (g - 1) * (n - 1) / (n - k)
    assert float(ours.std_error) == pytest.approx(float(np.sqrt(variance)), rel=1e-8)


@pytest.mark.parametrize("weigh", ["treated", "variance"])
def test_stacked_by_stacking(weigh: str) -> None:
    rows = rows_of(5, STARTS)
    parts = []
    for g in (3, 5):
        inside = rows[rows.t.between(g - 2, g + 1) & ((rows.g == g) | (rows.g == 0) | (rows.g > g + 1))]
        parts.append(inside.assign(a=g, e=inside.t - g, d=(inside.g == g).astype(float)))
    stack = pd.concat(parts, ignore_index=True)
    clusters = stack.groupby(["a", "d"]).c.nunique()
    shares = clusters.xs(1.0, level="d") / clusters.xs(1.0, level="d").sum()
    stack["w"] = np.where(stack.d == 1, 1.0, 0.0)
    for a in (3, 5):
        stack.loc[(stack.a == a) & (stack.d == 0), "w"] = shares[a] / clusters[a, 0.0]
    effects = np.column_stack([(stack.d * (stack.e == e)) for e in (-2, 0, 1)])
    if weigh == "treated":
        base = np.column_stack([np.ones(len(stack)), stack.d, *[(stack.e == e) for e in (-2, 0, 1)]]).astype(float)
        weight, nested = np.where(stack.d == 1, 1 / clusters.xs(1.0, level="d").sum(), stack.w), 0
    else:
        stack["unit"], stack["time"] = stack.a * 100 + stack.c, stack.a * 100 + stack.t
        base, weight = dummies(stack, "unit", "time").to_numpy(), np.ones(len(stack))
        nested = stack.unit.nunique() - 1
    x = np.column_stack([effects, base])
    root = np.sqrt(weight)[:, None]
    pinv = np.linalg.pinv(x * root) * root.T
    beta = pinv @ stack.y
    scores = pd.DataFrame((pinv * (stack.y - x @ beta).to_numpy()).T).groupby(stack.c).sum().to_numpy()
    n, g, k = len(stack), stack.c.nunique(), np.linalg.matrix_rank(x) - nested
    covariance = scores.T @ scores * g / (g - 1) * (n - 1) / (n - k)
    ours = StackedDiD(before=2, after=1, weigh=weigh, **OWN).fit(trial_of(rows))
    np.testing.assert_allclose(ours.estimate, [beta[1:3].mean(), *beta[:3]], atol=1e-9)
    np.testing.assert_allclose(ours.std_error[1:], np.sqrt(np.diag(covariance)[:3]), rtol=1e-8)
    assert "first treated in 2: 1 of 3 groups" in ours.notes[-1]


def changes(trial: sw.Trial, controls: str) -> list[tuple[float, int, int]]:
    """Estimate, switching clusters and controls of each pair of neighbouring periods that has both; stops with the sign turned."""
    found = []
    for t in range(1, trial.n.shape[1]):
        step, before = trial.arm[:, t] - trial.arm[:, t - 1], trial.arm[:, t - 1]
        change = trial.outcome[:, t] - trial.outcome[:, t - 1]
        stay = {"control": (step == 0) & (before == 0), "always": (step == 0) & (before == 1), "both": step == 0}[controls]
        for sign in (1, -1):
            if (step == sign).any() and stay.any():
                found.append((sign * (change[step == sign].mean() - change[stay].mean()), int((step == sign).sum()), int(stay.sum())))
    return found


@pytest.mark.parametrize("controls", ["control", "always", "both"])
@pytest.mark.parametrize("weigh", ["equal", "harmonic", "switchers"])
@pytest.mark.parametrize("stops", [False, True])
def test_crossover_estimators_by_loop(controls: str, weigh: str, stops: bool) -> None:
    arm = np.array([[0, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 0]], dtype=float)
    if not stops:
        arm = np.maximum.accumulate(arm, axis=1)
    base = trial_of(rows_of(6, [2, 2, 3, 4, 4, 0], periods=5))
    trial = base.under(arm, np.cumsum(arm, -1).astype(int) * (arm > 0))
    found = changes(trial, controls)
    size = [{"equal": 1.0, "harmonic": 1 / (1 / a + 1 / b), "switchers": a}[weigh] for _, a, b in found]
    expected = np.average([value for value, _, _ in found], weights=size)
    ours = SwitcherComparison(controls=controls, weigh=weigh, **OWN).fit(trial)
    assert float(ours.estimate) == pytest.approx(expected, abs=1e-12)


def test_switchers_by_loop() -> None:
    trial = trial_of(rows_of(7, STARTS))
    y, start = trial.outcome, np.where(trial.arm.any(-1), trial.arm.argmax(-1), 99)
    for event in (0, 1, 2):
        parts = []
        for g in (1, 2, 4):
            later = start > g + event
            if g + event < 6 and later.any():
                change = y[:, g + event] - y[:, g - 1]
                parts.append((change[start == g].mean() - change[later].mean(), (start == g).sum()))
        values, counts = zip(*parts, strict=True)
        ours = Switchers().fit(trial).tidy().set_index("term").estimate
        assert ours[f"event {event}"] == pytest.approx(np.average(values, weights=counts), abs=1e-12)


@pytest.mark.parametrize("alike", ["constant", "calendar", "exposure", "group-time", "cell"])
def test_least_variance_over_all_two_by_two_comparisons(alike: str) -> None:
    """The program that the paper states: of all weights of comparisons that give the estimand without bias, those of least variance."""
    trial = trial_of(rows_of(8, [2, 3, 3, 0, 4], periods=4))
    correlation = sw.ExponentialDecay(0.3, 0.6)
    clusters, periods = trial.n.shape
    pairs = [(i, j, s, t) for i, j in combinations(range(clusters), 2) for s, t in combinations(range(periods), 2)]
    a = np.zeros((len(pairs), clusters, periods))
    for k, (i, j, s, t) in enumerate(pairs):
        a[k, i, t], a[k, i, s], a[k, j, t], a[k, j, s] = 1, -1, -1, 1
    a = a.reshape(len(pairs), -1)
    start = np.where(trial.arm.any(-1), trial.arm.argmax(-1), 99)
    on = [(i, t) for i in range(clusters) for t in range(periods) if trial.arm[i, t]]
    key = {"constant": lambda i, t: 0, "calendar": lambda i, t: t, "exposure": lambda i, t: t - start[i]}
    key |= {"group-time": lambda i, t: (start[i], t), "cell": lambda i, t: (i, t)}
    names = sorted({key[alike](i, t) for i, t in on})
    theta = np.zeros((clusters * periods, len(names)))
    for i, t in on:
        theta[i * periods + t, names.index(key[alike](i, t))] = 1
    lag = np.abs(np.subtract.outer(np.arange(periods), np.arange(periods)))
    v = np.kron(np.eye(clusters), 0.3 * 0.6**lag + 0.7 * np.eye(periods))
    f = a @ theta
    identified = [k for k in range(len(names)) if np.linalg.lstsq(f.T, np.eye(len(names))[k], rcond=None)[0] @ f[:, k] > 1 - 1e-9]
    size = theta.sum(0)[identified]
    estimand = np.zeros(len(names))
    estimand[identified] = size / size.sum()
    # Weights w of comparisons with f'w = estimand: a particular solution and the null space; least squares in the metric a V a'.
    particular, free = np.linalg.lstsq(f.T, estimand, rcond=None)[0], linalg.null_space(f.T)
    half = np.linalg.cholesky(v).T @ a.T
    w = particular - free @ np.linalg.lstsq(half @ free, half @ particular, rcond=None)[0]
    ours = GeneralisedDiD(alike=alike, correlation=correlation)
    np.testing.assert_allclose(ours.weights(trial).ravel(), w @ a, atol=1e-8)


def test_equivalences() -> None:
    """Laws across estimators, on a panel without gaps."""
    trial = trial_of(rows_of(9, STARTS))
    for aggregate in ("simple", "group", "calendar", "dynamic", None):
        first = Imputation(aggregate=aggregate).build(trial)
        for estimator in (TwoStage(aggregate=aggregate), ExtendedTwoWay(aggregate=aggregate)):
            assert estimator.build(trial).terms == first.terms
            np.testing.assert_allclose(estimator.build(trial).weights, first.weights, atol=1e-10)
    np.testing.assert_allclose(GeneralisedDiD(alike="group-time").weights(trial), Imputation().weights(trial), atol=1e-9)
    np.testing.assert_allclose(GeneralisedDiD(alike="cell").weights(trial), Imputation().weights(trial), atol=1e-9)
    equal = sw.TwoWayFixedEffects(weigh="equal").weights(trial)
    np.testing.assert_allclose(GeneralisedDiD(correlation=sw.Exchangeable(0.4)).weights(trial), equal, atol=1e-9)
    switch = Switchers().fit(trial).tidy().set_index("term").estimate["event 0"]
    assert float(SwitcherComparison(weigh="switchers").point(trial)) == pytest.approx(switch, abs=1e-12)
    small = float(ExtendedTwoWay(**OWN).fit(trial).std_error / Imputation(**OWN).fit(trial).std_error)
    n, g, k = trial.n.size, 12, 6 + 5 + 4 + 2
    assert small == pytest.approx(np.sqrt(g / (g - 1) * (n - 1) / (n - k)), rel=1e-9)


@pytest.mark.parametrize("starts", [STARTS, [1, 1, 3, 4, 6, 0, 0], [1, 2, 3, 4, 5, 6], [2, 2, 4, 4]])
def test_the_decomposition_adds_up(starts: list[int]) -> None:
    trial = trial_of(rows_of(10, starts))
    found = bacon_decomposition(trial)
    assert found.estimate == pytest.approx(float(sw.TwoWayFixedEffects(weigh="equal").point(trial)), abs=1e-12)
    assert found.table.weight.sum() == pytest.approx(1)
    assert (found.table.weight > 0).all()
    for row in found.table.itertuples():
        groups = {"never": 0, "always": 1}
        g, h = int(row.treated), int(groups.get(str(row.control), row.control))
        window = {"earlier against later": (1, h - 1), "later against earlier": (h, 6), "treated against always treated": (1, 6)}
        low, high = window.get(row.kind, (1, 6))
        rows = rows_of(10, starts)
        part = rows[rows.g.isin([g, h]) & rows.t.between(low, high)]
        x = np.column_stack([(part.g == g) & (part.t >= g), dummies(part, "c", "t")]).astype(float)
        assert row.estimate == pytest.approx(float((np.linalg.pinv(x) @ part.y)[0]), abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_what_untreated_cells_foresee_by_rank(seed: int) -> None:
    """A cell is foreseen when its cluster and period effects together are in the span of the untreated cells' rows."""
    rng = np.random.default_rng(seed)
    mask = (rng.random((3, 6, 5)) < (0.2, 0.35, 0.6)[seed % 3]).astype(float)
    row = {(i, t): np.r_[np.eye(6)[i], np.eye(5)[t]] for i in range(6) for t in range(5)}
    for one, found in zip(mask, foreseen(mask), strict=True):
        x = np.array([row[i, t] for i, t in row if one[i, t]]).reshape(-1, 11)
        spanned = {cell: np.linalg.matrix_rank(np.vstack([x, row[cell]])) == np.linalg.matrix_rank(x) for cell in row}
        assert found.ravel().tolist() == list(spanned.values())
