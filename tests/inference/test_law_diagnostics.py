"""Leave-one-out, influence, residuals: each against a fit on data that really lack the cluster or the cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import swedge as sw
from swedge.inference.diagnostics import diagnose
from swedge.inference.influence import cell_influence
from swedge.inference.leave_out import leave_one_cluster_out
from swedge.inference.residuals import cell_residuals

NAMES = ("Avon", "Bute", "Cork", "Down", "Eden", "Fife")
ROWS = [[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]]
DESIGN = sw.Design.from_matrix(ROWS, clusters_per_sequence=[2, 2, 2], clusters=list(NAMES))
ALLOCATION = DESIGN.randomise(seed=1)
SEQUENCE = dict(zip(NAMES, ALLOCATION.sequence, strict=True))
GAUSSIAN = [
    sw.WithinPeriod(),
    sw.TwoWayFixedEffects(),
    sw.FixedEffects(),
    sw.FixedEffects(vcov="model", effect=sw.ByExposure()),
    sw.MixedModel(),
    sw.MixedModel(sw.Exchangeable(), df="normal"),
    sw.MixedModel(effect=sw.ByExposure(), estimand=sw.TATE()),
]
MIXED = [e for e in GAUSSIAN if isinstance(e, sw.MixedModel)]
BINARY = [sw.FixedEffects(), sw.WithinPeriod(), sw.MixedModel(sw.Exchangeable(), df="normal")]


def rows(seed: int = 0) -> pd.DataFrame:
    """Children of six authorities, unequal cells, with an age, a number `g` and an event `y`."""
    rng = np.random.default_rng(seed)
    cells = [(name, t) for name in NAMES for t in range(1, 5) for _ in range(rng.integers(15, 40))]
    frame = pd.DataFrame(cells, columns=["la", "period"])
    place = frame["la"].map({name: i for i, name in enumerate(NAMES)}).to_numpy()
    level = rng.standard_normal(6)[place] / 2 + 0.2 * rng.standard_normal((6, 4))[place, frame["period"] - 1]
    age = rng.integers(0, 4, len(frame))
    return frame.assign(
        age=age, g=level + 0.3 * age + rng.standard_normal(len(frame)), y=(rng.random(len(frame)) < 1 / (1 + np.exp(0.5 - level))) * 1
    )


def read(frame: pd.DataFrame, family: str = "gaussian", covariates: str | None = None, allocation: Any = ALLOCATION) -> sw.Trial:
    outcome = "g" if family == "gaussian" else "y"
    names: dict[str, Any] = {"cluster": "la", "period": "period", "outcome": outcome, "family": family, "covariates": covariates}
    return sw.Trial.from_frame(frame, allocation, empty="keep", **names)


def trimmed(frame: pd.DataFrame, gone: str) -> tuple[pd.DataFrame, sw.Allocation]:
    """The rows without a cluster, and a design that never had it."""
    kept = [name for name in NAMES if name != gone]
    counts = [sum(SEQUENCE[name] == s for name in kept) for s in range(3)]
    design = sw.Design.from_matrix(ROWS, clusters_per_sequence=counts, clusters=kept)
    return frame[frame["la"] != gone], design.allocate({name: int(SEQUENCE[name]) for name in kept})


CASES = [(e, "gaussian", c) for e in GAUSSIAN for c in (None, "age")] + [(e, "binomial", c) for e in BINARY for c in (None, "C(age)")]


@pytest.mark.parametrize(("estimator", "family", "covariates"), CASES, ids=[f"{e!r} {f} {c}" for e, f, c in CASES])
def test_reference_without_a_cluster_is_the_trimmed_frame(estimator: sw.Estimator, family: str, covariates: str | None) -> None:
    """Iterated fits stop within 1e-6 standard errors of each other."""
    frame = rows()
    found = leave_one_cluster_out(read(frame, family, covariates), estimator)
    for name in ("Avon", "Fife"):
        part, allocation = trimmed(frame, name)
        fit = estimator.fit(read(part, family, covariates, allocation))
        own = found.tidy().query("left_out == @name")
        np.testing.assert_allclose(own["estimate"], np.ravel(fit.estimate), atol=1e-6 * np.max(fit.std_error))
        np.testing.assert_allclose(own["std_error"], np.ravel(fit.std_error), rtol=1e-5)


@pytest.mark.parametrize("covariates", [None, "age"])
@pytest.mark.parametrize("estimator", GAUSSIAN[:3], ids=repr)
def test_reference_influence_without_a_cell_is_least_squares_without_its_mean(estimator: sw.Estimator, covariates: str | None) -> None:
    """By deviations from cell means and one row a cell mean, by hand. A comparison of cells ignores covariates."""
    trial = read(rows(), covariates=covariates)
    found = cell_influence(trial, estimator)
    i, t = (index.ravel() for index in np.indices(trial.n.shape))
    clusters = np.zeros((24, 0)) if isinstance(estimator, sw.WithinPeriod) else np.eye(6)[i][:, 1:]
    weight = np.ones(24) if isinstance(estimator, sw.WithinPeriod) else trial.n.ravel()
    base = np.column_stack([trial.treatment.ravel(), np.eye(4)[t], clusters])
    inner = np.zeros((0, base.shape[1] + 1))
    inner_y = np.zeros(0)
    if covariates and isinstance(estimator, sw.FixedEffects):
        base = np.column_stack([base, trial.cells.mean[..., 1].ravel()])
        frame = rows()
        own = frame[["age", "g"]] - frame.groupby(["la", "period"])[["age", "g"]].transform("mean")
        inner, inner_y = np.pad(own[["age"]].to_numpy(), ((0, 0), (base.shape[1] - 1, 0))), own["g"].to_numpy()
    inner = inner[:, : base.shape[1]]
    for c in range(24):
        kept = np.arange(24) != c
        root = np.sqrt(weight[kept])
        x = np.concatenate([base[kept] * root[:, None], inner])
        y = np.concatenate([trial.outcome.ravel()[kept] * root, inner_y])
        assert found.without[0].ravel()[c] == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0][0], abs=1e-10)


def dense(trial: sw.Trial, variances: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns, covariance and means of the 24 cells; the treatment's column is the last."""
    i, t = (index.ravel() for index in np.indices(trial.n.shape))
    x = np.column_stack([np.eye(4)[t], trial.treatment.ravel()])
    v = variances["cluster"] * (i[:, None] == i) + np.diag(variances.get("cluster_period", 0.0) + variances["residual"] / trial.n.ravel())
    return x, v, trial.outcome.ravel()


@pytest.mark.parametrize("estimator", MIXED[:2], ids=repr)
def test_reference_mixed_influence_and_residuals_are_dense_gls_without_the_cell(estimator: sw.MixedModel) -> None:
    trial = read(rows(3))
    variances = {name: float(v) for name, v in estimator.fit(trial).details["variances"].items()}
    x, v, y = dense(trial, variances)
    influence, residuals = cell_influence(trial, estimator), cell_residuals(trial, estimator)
    for c in range(24):
        kept = np.arange(24) != c
        inverse = np.linalg.inv(v[np.ix_(kept, kept)])
        covariance = np.linalg.inv(x[kept].T @ inverse @ x[kept])
        beta = covariance @ x[kept].T @ inverse @ y[kept]
        assert influence.without[0].ravel()[c] == pytest.approx(beta[-1], abs=1e-7)
        # Prediction of the cell from all others, and its variance.
        pull = v[c, kept] @ inverse
        left = x[c] - pull @ x[kept]
        predicted = x[c] @ beta + pull @ (y[kept] - x[kept] @ beta)
        spread = v[c, c] - pull @ v[kept, c] + left @ covariance @ left
        assert residuals.standardised.ravel()[c] == pytest.approx((y[c] - predicted) / np.sqrt(spread), abs=1e-6)


def test_reference_mixed_fit_holds_the_predicted_cluster_effect() -> None:
    trial, estimator = read(rows(3)), sw.MixedModel()
    variances = {name: float(v) for name, v in estimator.fit(trial).details["variances"].items()}
    x, v, y = dense(trial, variances)
    inverse = np.linalg.inv(v)
    beta = np.linalg.solve(x.T @ inverse @ x, x.T @ inverse @ y)
    same = np.indices(trial.n.shape)[0].ravel()
    predicted = x @ beta + variances["cluster"] * (same[:, None] == same) @ inverse @ (y - x @ beta)
    np.testing.assert_allclose(cell_residuals(trial, estimator).fitted.ravel(), predicted, atol=1e-8)


def test_reference_two_way_residuals_are_internally_studentised() -> None:
    trial = read(rows(4))
    i, t = (index.ravel() for index in np.indices(trial.n.shape))
    x = np.column_stack([np.eye(4)[t], np.eye(6)[i][:, 1:], trial.treatment.ravel()])
    root = np.sqrt(trial.n.ravel())
    influence = sm.OLS(trial.outcome.ravel() * root, x * root[:, None]).fit().get_influence()
    found = cell_residuals(trial, sw.TwoWayFixedEffects())
    np.testing.assert_allclose(found.standardised.ravel(), influence.resid_studentized_internal, atol=1e-10)
    np.testing.assert_allclose(cell_residuals(trial, sw.FixedEffects()).standardised, found.standardised, atol=1e-10)


def test_reference_logit_residuals_are_pearson_ones_and_influence_is_a_refit() -> None:
    frame = rows(5)
    trial = read(frame, "binomial")
    i, t = (index.ravel() for index in np.indices(trial.n.shape))
    x = np.column_stack([np.eye(4)[t], np.eye(6)[i][:, 1:], trial.treatment.ravel()])
    n, y = trial.n.ravel(), trial.outcome.ravel()
    counts = np.column_stack([n * y, n * (1 - y)])
    glm = sm.GLM(counts, x, family=sm.families.Binomial()).fit(tol=1e-13)
    root = np.sqrt(n * glm.fittedvalues * (1 - glm.fittedvalues))[:, None]
    hat = np.diag((root * x) @ np.linalg.inv((root * x).T @ (root * x)) @ (root * x).T)
    pearson = root.ravel() * (y - glm.fittedvalues) / (glm.fittedvalues * (1 - glm.fittedvalues))
    found = cell_residuals(trial, sw.FixedEffects())
    scale = (pearson**2).sum() / glm.df_resid
    np.testing.assert_allclose(found.fitted.ravel(), glm.fittedvalues, atol=1e-9)
    np.testing.assert_allclose(found.standardised.ravel(), pearson / np.sqrt(scale * (1 - hat)), atol=1e-7)
    influence = cell_influence(trial, sw.FixedEffects())
    assert influence.method == "each by a refit"
    for c in (0, 7, 23):
        kept = np.arange(24) != c
        refit = sm.GLM(counts[kept], x[kept], family=sm.families.Binomial()).fit(tol=1e-13)
        assert influence.without[0].ravel()[c] == pytest.approx(refit.params[-1], abs=1e-7)


def test_reference_logit_with_covariates_is_refitted_on_the_rows_left() -> None:
    frame = rows(6)
    found = cell_influence(read(frame, "binomial", "C(age)"), sw.FixedEffects(vcov="model"))
    part = frame[(frame["la"] != "Cork") | (frame["period"] != 3)]
    fit = sw.FixedEffects(vcov="model").fit(read(part, "binomial", "C(age)"))
    assert found.without[0, 2, 2] == pytest.approx(float(fit.estimate), abs=1e-8)
    assert found.change[0, 2, 2] == pytest.approx(float(fit.estimate) - float(found.estimate[0]), abs=1e-8)


def test_law_relabelling_moves_the_rows() -> None:
    frame = rows(7)
    plain = leave_one_cluster_out(read(frame), sw.FixedEffects()).tidy().set_index("left_out")["estimate"]
    order = list(reversed(NAMES))
    design = replace(DESIGN, clusters=tuple(order))
    allocation = design.allocate({name: int(SEQUENCE[name]) for name in order})
    moved = leave_one_cluster_out(read(frame, allocation=allocation), sw.FixedEffects()).tidy().set_index("left_out")["estimate"]
    np.testing.assert_allclose(moved[list(NAMES)], plain[list(NAMES)], atol=1e-10)


def test_law_a_failure_without_a_cluster_is_counted_and_named() -> None:
    """One cluster alone is treated."""
    design = sw.Design.from_matrix([[0, 1, 1], [0, 0, 0]], clusters_per_sequence=[1, 3])
    allocation = design.allocate({"1": 1, "2": 0, "3": 1, "4": 1})
    trial = sw.Trial.from_cells(np.full((4, 3), 20), np.random.default_rng(0).random((4, 3)), allocation)
    found = leave_one_cluster_out(trial, sw.FixedEffects(vcov="overdispersed"))
    assert list(found.failures) == ["2"]
    assert found.fits[1] is None
    assert "Without 2 there is no estimate:" in found.summary()
    assert "treatment: no cell observed has any" in found.failures["2"]
    assert repr(found) == "<LeaveOneOut: 4 refits by FixedEffects overdispersed, 1 failed>"
    row = found.tidy().set_index("left_out").loc["2"]
    assert row["status"] == "failed"
    assert np.isnan(row["change"])
    assert found.plot().get_yticklabels()[2].get_text() == "without 2"


def test_law_another_estimand_is_not_compared() -> None:
    design = sw.Design.stepped_wedge(clusters=list(NAMES[:5]), periods=6)
    rng = np.random.default_rng(0)
    trial = sw.Trial.from_cells(np.full((5, 6), 20), rng.standard_normal((5, 6)), design.randomise(seed=0), within=np.full((5, 1, 1), 99.0))
    first = NAMES[int(np.argmin(trial.allocation.sequence))]
    for estimand, words in ((sw.TATE(), "TATE(1, 4)"), (sw.LTE(), "LTE at exposure 4")):
        found = leave_one_cluster_out(trial, sw.FixedEffects(vcov="model", effect=sw.ByExposure(), estimand=estimand))
        assert found.changed == {first: words}
        assert found.tidy().set_index("left_out")["change"].isna().tolist() == [name == first for name in NAMES[:5]]
        assert f"{first}: {words}" in found.summary()
    fixed = leave_one_cluster_out(trial, sw.FixedEffects(vcov="model", effect=sw.ByExposure(), estimand=sw.TATE(1, 5)))
    assert list(fixed.failures) == [first]
    assert "No cell has exposure 5" in fixed.failures[first]


def binary() -> sw.Trial:
    """Two small cells: 3 events, and all but 4 with an event."""
    events = np.array([[10, 12, 14, 9], [3, 15, 12, 8], [11, 18, 36, 12], [9, 14, 15, 11], [12, 10, 9, 14], [15, 12, 11, 0]])
    n = np.full((6, 4), 40.0)
    return sw.Trial.from_cells(n, events / n, ALLOCATION, family="binomial")


def test_law_release_blanks_small_counts_everywhere() -> None:
    found = diagnose(binary(), sw.FixedEffects(), release=True)
    assert found.residuals is not None
    assert found.influence is not None
    small = [("Bute", 1), ("Cork", 3)]
    for table, columns in (
        (found.residuals.tidy(), ["n", "observed", "fitted", "residual", "standardised"]),
        (found.influence.tidy(), ["n", "estimate_without", "change", "change_in_se"]),
    ):
        cells = table.set_index(["cluster", "period"])
        assert cells.loc[small, columns].isna().all(axis=None)
        assert cells.drop(index=small)["n"].notna().all(), "0 events is no small count"
    assert "2 cells with counts of 1 to 5 are suppressed." in found.summary()
    open_ = diagnose(binary(), sw.FixedEffects())
    assert open_.residuals is not None
    assert open_.residuals.tidy()["observed"].notna().all()


@pytest.mark.parametrize("estimator", [*GAUSSIAN[:5]], ids=repr)
def test_law_diagnose_puts_the_parts_together(estimator: sw.Estimator) -> None:
    trial = read(rows())
    found = diagnose(trial, estimator)
    assert not found.notes
    for part in (found.left_out, found.influence, found.residuals):
        assert part is not None
        assert part.summary() in found.summary()
    assert {"change without a cluster, in SE", "change without a cell, in SE", "standardised residual"} <= set(found.tidy()["check"])
    assert found.plot().shape == (2, 2)
    assert "3 parts" in repr(found)


def test_law_a_variance_near_zero_is_flagged_and_a_large_one_is_not() -> None:
    frame = rows()
    flat = frame.assign(g=frame["g"] - frame.groupby(["la", "period"])["g"].transform("mean"))
    rng = np.random.default_rng(0)
    levels = {name: 5 * rng.standard_normal() for name in NAMES}
    trial = read(flat.assign(g=flat["g"] + flat["la"].map(levels) + 0.001 * rng.standard_normal(len(flat))))
    found = diagnose(trial, sw.MixedModel())
    assert found.components.set_index("component")["near_zero"].to_dict() == {"residual": False, "cluster": False, "cluster_period": True}
    assert "Variances near zero: cluster_period." in found.summary()
    assert "variance near zero" in found.tidy()["check"].tolist()
    assert diagnose(trial, sw.FixedEffects()).components.empty


def test_law_parts_that_do_not_exist_leave_a_note() -> None:
    found = diagnose(binary(), sw.MixedModel(sw.Exchangeable(), df="normal"))
    assert found.residuals is None
    assert found.influence is not None
    assert any("Use FixedEffects" in note for note in found.notes)
    assert "Note: " in found.summary()


def test_law_pictures_are_labelled() -> None:
    found = diagnose(read(rows()), sw.FixedEffects())
    assert found.residuals is not None
    assert found.influence is not None
    assert found.residuals.plot().get_xlabel() == "Normal quantile"
    assert found.residuals.plot_by("cluster").get_xlabel() == "Cluster"
    assert found.residuals.plot_by().get_xlabel() == "Period"
    assert found.residuals.plot_trajectories().get_title() == "Lines: fitted"
    lines = [line for line in found.residuals.plot_trajectories().lines if line.get_linestyle() != "None"]
    np.testing.assert_allclose([line.get_ydata() for line in lines], found.residuals.fitted)
    assert "24 cells" in repr(found.influence)
    assert "24 cells" in repr(found.residuals)


class Odd(sw.Estimator):
    """An estimator of which nothing is known."""

    def _fit(self, trial: sw.Trial) -> sw.Estimate:
        return sw.WithinPeriod()._fit(trial)


class BeforeAfter(sw.LinearEstimator):
    """Last period minus first, treated clusters minus none: weights and nothing else."""

    def weights(self, trial: sw.Trial) -> np.ndarray:
        first = np.broadcast_to(np.arange(4) == 0, trial.n.shape) * (trial.n > 0)
        return trial.arm / trial.arm.sum((-2, -1), keepdims=True) - first / first.sum((-2, -1), keepdims=True)

    def _fit(self, trial: sw.Trial) -> sw.Estimate:
        return replace(sw.WithinPeriod()._fit(trial), estimate=(self.weights(trial) * trial.outcome).sum((-2, -1)))


def test_law_any_linear_estimator_has_weights_and_influence_but_no_fit() -> None:
    trial = read(rows())
    weights = sw.estimators.exposure_weights(trial, BeforeAfter())
    np.testing.assert_allclose(weights.weights, weights.cells / weights.cells.sum())
    found = diagnose(trial, BeforeAfter())
    assert found.residuals is None
    assert found.notes == ("BeforeAfter is a comparison of cells, and fits none of them. Use TwoWayFixedEffects or MixedModel.",)
    assert found.influence is not None
    assert found.influence.method == "each by a refit"
    treated = trial.outcome[trial.arm > 0]
    kept = treated[1:].mean() - trial.outcome[:, 0].mean()
    at = tuple(np.argwhere(trial.arm > 0)[0])
    assert found.influence.without[0][at] == pytest.approx(kept)


def pooled() -> sw.Trial:
    return sw.Trial.from_cells(np.full((6, 4), 20), np.random.default_rng(0).random((6, 4)), ALLOCATION, within=99.0)


EVERY = [leave_one_cluster_out, cell_influence, cell_residuals, diagnose]


@pytest.mark.parametrize("function", EVERY)
def test_bad_input_no_trial_no_estimator_no_stack(function: Any) -> None:
    stack = pooled().reallocated(np.array([ALLOCATION.sequence] * 2))
    with pytest.raises(sw.DataError, match="fits a Trial, and this is a DataFrame"):
        function(rows(), sw.FixedEffects())
    with pytest.raises(sw.DataError, match=r"stack of trials of shape \(2,\); take one"):
        function(stack, sw.FixedEffects())
    with pytest.raises(sw.DataError, match="not an Estimator that can fit"):
        function(pooled(), sw.FixedEffects)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: leave_one_cluster_out(pooled(), sw.MixedModel()), sw.DataError, "needs its scatter, and within= holds one scatter"),
        (lambda: cell_influence(read(rows()), Odd()), sw.DataError, "cannot be refitted without a cell.*leave_one_cluster_out"),
        (lambda: cell_residuals(read(rows()), Odd()), sw.FitError, "Odd gives no weights of cells"),
        (lambda: cell_residuals(read(rows()), sw.FixedEffects()).plot_by("la"), sw.FitError, "by='la'; expected 'period' or 'cluster'"),
        (lambda: cell_influence(read(rows()), GAUSSIAN[3]).plot(), sw.FitError, "term=None; expected one of exposure 1"),
        (lambda: leave_one_cluster_out(read(rows()), GAUSSIAN[3]).plot("exposure 9"), sw.FitError, "term='exposure 9'; expected one of"),
    ],
)
def test_bad_input_diagnostics(call: Any, error: type[sw.SwedgeError], says: str) -> None:
    with pytest.raises(error, match=says):
        call()


def test_reference_without_a_cluster_where_the_design_leaves_cells_out() -> None:
    """The scatter of the cells left out goes with them."""
    gaps = [[0, None, 1, 1], [0, 0, None, 1], [0, 0, 0, 1]]
    design = sw.Design.from_matrix(gaps, clusters_per_sequence=[2, 2, 2], clusters=list(NAMES))
    allocation = design.allocate({name: int(SEQUENCE[name]) for name in NAMES})
    frame = rows(8)
    for estimator in (sw.MixedModel(), sw.FixedEffects()):
        found = leave_one_cluster_out(read(frame, allocation=allocation), estimator).tidy().set_index("left_out")
        kept = [name for name in NAMES if name != "Down"]
        counts = [sum(SEQUENCE[name] == s for name in kept) for s in range(3)]
        part = sw.Design.from_matrix(gaps, clusters_per_sequence=counts, clusters=kept).allocate({k: int(SEQUENCE[k]) for k in kept})
        fit = estimator.fit(read(frame[frame["la"] != "Down"], allocation=part))
        assert found.loc["Down", "estimate"] == pytest.approx(float(fit.estimate), abs=1e-6 * float(fit.std_error))
        assert found.loc["Down", "std_error"] == pytest.approx(float(fit.std_error), rel=1e-5)


def test_law_comparators_keep_their_own_fitted_lines() -> None:
    """The picture draws comparators first."""
    mean = np.random.default_rng(0).standard_normal((8, 4)) + 10 * np.arange(8)[:, None]
    trial = sw.Trial.from_cells(np.full((8, 4), 20), mean, ALLOCATION, comparators=["Gower", "Holy"])
    found = cell_residuals(trial, sw.TwoWayFixedEffects())
    lines = [line.get_ydata() for line in found.plot_trajectories().lines if line.get_linestyle() != "None"]
    np.testing.assert_allclose(np.array(lines), found.fitted[[6, 7, 0, 1, 2, 3, 4, 5]])
