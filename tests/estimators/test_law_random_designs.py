"""Laws on designs nobody would draw up: withdrawn, partial and unobserved treatment, cells without data, outcomes on a coarse grid.

Either both sides of a law give the same numbers, or both refuse for the same reason. Outcomes are eighths, so that ties, perfect fits and
lost ranks occur; 1e-7 of a standard error is what is left of rounding when few cells carry a coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import swedge as sw

Array = np.ndarray
ESTIMATORS = [
    sw.FixedEffects(),
    sw.FixedEffects(vcov="CR0"),
    sw.FixedEffects(vcov="overdispersed"),
    sw.MixedModel(sw.Exchangeable()),
    sw.MixedModel(df="satterthwaite"),
    sw.WithinPeriod(),
    sw.TwoWayFixedEffects(weigh="equal", vcov="CR3"),
]


@dataclass(frozen=True)
class Data:
    matrix: tuple[tuple[float | None, ...], ...]
    n: Array
    mean: Array
    within: Array

    def trial(self) -> sw.Trial:
        names = [f"c{i}" for i in range(len(self.matrix))]
        design = sw.Design.from_matrix(self.matrix, clusters_per_sequence=[1] * len(names), clusters=names)
        allocation = design.allocate({name: i for i, name in enumerate(names)})
        return sw.Trial.from_cells(self.n, self.mean, allocation, within=self.within)


@st.composite
def data_sets(draw: st.DrawFn) -> Data:
    clusters, periods = draw(st.integers(3, 6)), draw(st.integers(2, 5))
    entry = st.sampled_from([0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.5, None])
    row = st.tuples(*[entry] * periods)
    matrix = tuple(draw(st.lists(row, min_size=clusters, max_size=clusters, unique=True)))
    n = draw(arrays(float, (clusters, periods), elements=st.integers(0, 6).map(float)))
    mean = draw(arrays(float, (clusters, periods), elements=st.integers(-40, 40).map(lambda k: k / 8)))
    within = draw(arrays(float, (clusters, 1, 1), elements=st.integers(1, 64).map(lambda k: k / 4)))
    left_out = np.array([[entry is None for entry in row] for row in matrix])
    data = Data(matrix, np.where(left_out, 0.0, n), mean, within)
    try:
        data.trial()
    except sw.SwedgeError:
        assume(False)
    return data


@st.composite
def cases(draw: st.DrawFn) -> tuple[Data, sw.Estimator]:
    """A data set and an estimator; a mixed model gets three cells more than coefficients, or its criterion may have two minima."""
    data, estimator = draw(data_sets()), draw(st.sampled_from(ESTIMATORS))
    seen = data.trial().n > 0
    assume(not isinstance(estimator, sw.MixedModel) or seen.sum() >= seen.any(0).sum() + 1 + 3)
    return data, estimator


def outcome(estimator: sw.Estimator, trial: sw.Trial) -> Array | str:
    """Estimate, standard error and df; or why there are none."""
    try:
        fit = estimator.fit(trial)
    except sw.FitError as error:
        return str(error).split("failed: ")[1].split(".")[0]
    except sw.DataError as error:
        return str(error)
    return np.array([fit.estimate, fit.std_error, fit.df], dtype=float)


def agree(one: Array | str, other: Array | str, shift: float = 0.0) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert str(one) == str(other)
        return
    assert one[0] + shift == pytest.approx(other[0], abs=1e-7 * max(other[1], abs(other[0])))
    assert one[1:] == pytest.approx(other[1:], rel=1e-7)


@given(cases())
def test_a_usable_fit_has_all_its_numbers(case: tuple[Data, sw.Estimator]) -> None:
    data, estimator = case
    found = outcome(estimator, data.trial())
    if not isinstance(found, str):
        assert np.isfinite(found[:2]).all()
        assert found[1] > 0
        assert found[2] > 0


@given(cases(), st.randoms(use_true_random=False))
def test_relabelling(case: tuple[Data, sw.Estimator], random: object) -> None:
    data, estimator = case
    order = list(range(len(data.matrix)))
    random.shuffle(order)  # type: ignore[attr-defined]
    matrix = tuple(data.matrix[i] for i in order)
    agree(outcome(estimator, Data(matrix, data.n[order], data.mean[order], data.within[order]).trial()), outcome(estimator, data.trial()))


@given(cases(), st.integers(-16, 16))
def test_what_was_not_observed_never_matters(case: tuple[Data, sw.Estimator], junk: int) -> None:
    data, estimator = case
    out = np.array([[entry is None for entry in row] for row in data.matrix])
    other = replace(data, mean=np.where(out | (data.n == 0), float(junk), data.mean))
    agree(outcome(estimator, other.trial()), outcome(estimator, data.trial()))


@given(cases(), st.integers(-16, 16))
def test_shift_of_the_treated(case: tuple[Data, sw.Estimator], eighths: int) -> None:
    data, estimator = case
    treated = np.array([[entry or 0.0 for entry in row] for row in data.matrix])
    before, after = (outcome(estimator, d.trial()) for d in (data, replace(data, mean=data.mean + eighths / 8 * treated)))
    assume(not (isinstance(before, str) and "variation" in before) and not (isinstance(after, str) and "variation" in after))
    # Whether a fit is perfect is judged by its residual beside what it explains, and REML may not settle on one: the shift can change that.
    assume(not any(word in f"{before}{after}" for word in ("freedom", "converged")))
    agree(before, after, eighths / 8)


@given(cases())
def test_a_replicate_in_a_stack_is_the_trial_alone(case: tuple[Data, sw.Estimator]) -> None:
    """Beside a replicate that is well-behaved. Both must observe the same periods and clusters: a column belongs to the whole stack."""
    data, estimator = case
    seen = data.n * np.array([[entry is not None for entry in row] for row in data.matrix]) > 0
    assume(seen.any(0).all() and seen.any(1).all())
    trial = data.trial()
    rng = np.random.default_rng(0)
    means = np.stack([data.mean, rng.standard_normal(data.mean.shape)])
    stack = replace(trial, cells=replace(trial.cells, mean=means[..., None]))
    alone = outcome(estimator, trial)
    assume(not (isinstance(alone, str) and "Pass within" in alone))
    fit = estimator.fit(stack)
    status = sw.Status(int(fit.status[0]))
    found = np.array([fit.estimate[0], fit.std_error[0], fit.df[0]]) if status.usable else status.name.lower().replace("_", " ")
    agree(found, alone)


@given(
    data_sets(),
    st.sampled_from([sw.WithinPeriod(), sw.WithinPeriod(weigh="size"), sw.TwoWayFixedEffects(), sw.TwoWayFixedEffects("equal")]),
)
def test_weights(data: Data, estimator: sw.LinearEstimator) -> None:
    trial = data.trial()
    assume((trial.n > 0).any())
    weights = estimator.weights(trial)
    if np.isnan(weights).any():
        assert np.isnan(weights).all()
        assert isinstance(outcome(estimator, trial), str)
        return
    size = np.abs(weights).max()
    assert weights[trial.n == 0] == pytest.approx(0, abs=1e-12 * size)
    assert np.abs(weights.sum(0)).max() <= 1e-10 * size
    assert (weights * trial.arm).sum() == pytest.approx(1, abs=1e-8)
    if isinstance(estimator, sw.TwoWayFixedEffects):
        assert np.abs(weights.sum(1)).max() <= 1e-10 * size
