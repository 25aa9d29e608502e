"""Laws of pseudo-observations, of the trial made of them, of the Cox regression beside it and of the picture."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from estimators.durations import ALLOCATION, COLUMNS, DESIGN, drawn, greenwood, made, slow_mean, trial
from swedge._kernels.survival import followed_until, kaplan_meier, pseudo_observations, restricted_mean
from swedge.estimators import Duration

Array = np.ndarray


@st.composite
def followed(draw: st.DrawFn) -> tuple[Array, Array, Array, float]:
    """Groups, times with ties and zeros, events, and a horizon."""
    n = draw(st.integers(2, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    time = rng.integers(0, draw(st.integers(2, 30)), n).astype(float)
    group = np.concatenate([[0, 1], rng.integers(0, 2, n - 2)])
    return group, time, (rng.random(n) < draw(st.sampled_from([0.3, 0.8, 1.0]))).astype(float), draw(st.sampled_from([1.0, 7.5, 20.0]))


@given(followed())
def test_law_without_censoring_a_pseudo_observation_is_the_time_cut_at_the_horizon(data: tuple[Array, Array, Array, float]) -> None:
    group, time, event, horizon = data
    curves = kaplan_meier(group, time, np.ones_like(event), 2)
    np.testing.assert_allclose(pseudo_observations(curves, horizon), np.minimum(time, horizon), atol=1e-11)


@given(followed())
def test_law_pseudo_observations_average_to_the_restricted_mean_and_vary_by_greenwood(data: tuple[Array, Array, Array, float]) -> None:
    group, time, event, horizon = data
    values = pseudo_observations(curves := kaplan_meier(group, time, event, 2), horizon)
    for g in (0, 1):
        own = values[group == g]
        assert own.mean() == pytest.approx(slow_mean(time[group == g], event[group == g], horizon), abs=1e-11)
        assert restricted_mean(curves, horizon)[g] == pytest.approx(own.mean(), abs=1e-11)
        squares = ((own - own.mean()) ** 2).sum() / len(own) ** 2
        assert squares == pytest.approx(greenwood(time[group == g], event[group == g], horizon), abs=1e-10)


@given(followed(), st.permutations(range(40)))
def test_law_neither_the_order_of_rows_nor_the_other_groups_matter(data: tuple[Array, Array, Array, float], order: list[int]) -> None:
    group, time, event, horizon = data
    values = pseudo_observations(kaplan_meier(group, time, event, 2), horizon)
    new = np.array([k for k in order if k < len(time)])
    shuffled = pseudo_observations(kaplan_meier(group[new], time[new], event[new], 2), horizon)
    np.testing.assert_allclose(shuffled, values[new], atol=1e-12)
    own = group == 1
    alone = pseudo_observations(kaplan_meier(np.zeros(own.sum(), dtype=np.int64), time[own], event[own], 1), horizon)
    np.testing.assert_allclose(alone, values[own], atol=1e-12)


def test_law_follow_up_reaches_the_last_time_or_forever_once_all_have_had_the_event() -> None:
    group, time = np.array([0, 0, 1, 1, 2]), np.array([3.0, 5.0, 3.0, 5.0, 5.0])
    until = followed_until(kaplan_meier(group, time, np.array([1.0, 0.0, 0.0, 1.0, 0.0]), 3))
    np.testing.assert_array_equal(until, [5.0, np.inf, 5.0])


def test_law_a_trial_without_censoring_is_the_trial_of_cut_times() -> None:
    frame = drawn(censored=False)
    plain = sw.Trial.from_frame(frame.assign(cut=frame.days.clip(upper=365)), ALLOCATION, cluster="la", period="period", outcome="cut")
    for within in ("cell", "period", "all"):
        ours = trial(frame, within=within)
        np.testing.assert_allclose(ours.cells.mean, plain.cells.mean, atol=1e-9)
        np.testing.assert_allclose(ours.cells.within, plain.cells.within, rtol=1e-9)


def test_law_cells_hold_their_own_restricted_mean_and_greenwood_scatter() -> None:
    frame, cells = drawn(3), trial(drawn(3)).cells
    assert cells.within is not None
    for i, name in enumerate(DESIGN.clusters):
        own = [frame[(frame.la == name) & (frame.period == t)] for t in range(1, 7)]
        pairs = [(part.days.to_numpy(), part.ended.to_numpy()) for part in own]
        np.testing.assert_allclose(cells.mean[i, :, 0], [slow_mean(*pair, 365.0) for pair in pairs], rtol=1e-12)
        squares = sum(len(pair[0]) ** 2 * greenwood(*pair, 365.0) for pair in pairs)
        assert cells.within[i, 0, 0] == pytest.approx(squares, rel=1e-10)


@pytest.mark.parametrize(("within", "column"), [("period", "period"), ("all", None)])
def test_law_pooled_groups_average_to_their_pooled_restricted_mean(within: str, column: str | None) -> None:
    frame, read = drawn(4), trial(drawn(4), within=within)
    groups = [frame] if column is None else [part for _, part in frame.groupby(column)]
    means = [slow_mean(part.days.to_numpy(), part.ended.to_numpy(), 365.0) for part in groups]
    np.testing.assert_allclose(read.outcome.mean(0) if column else [read.outcome.mean()], means, rtol=1e-12)


@pytest.mark.parametrize("within", ["cell", "period", "all"])
def test_law_the_treatment_is_never_looked_at(within: str) -> None:
    frame, other = drawn(1), DESIGN.randomise(seed=5)
    moved, read = trial(frame, within=within, allocation=other), trial(frame, within=within)
    assert not np.array_equal(moved.treatment, read.treatment)
    np.testing.assert_array_equal(moved.cells.mean, read.cells.mean)
    np.testing.assert_array_equal(moved.cells.within, read.cells.within)
    again = sw.WithinPeriod().point(read.reallocated(other.sequence))
    assert again == pytest.approx(float(sw.WithinPeriod().point(moved)), abs=1e-12)


def test_law_time_may_be_in_any_unit() -> None:
    frame = drawn(2)
    days, weeks = trial(frame), trial(frame.assign(days=frame.days / 7), horizon=365.0 / 7)
    one, other = sw.FixedEffects().fit(days), sw.FixedEffects().fit(weeks)
    assert float(other.estimate) == pytest.approx(float(one.estimate) / 7, rel=1e-10)
    assert float(other.p_value) == pytest.approx(float(one.p_value), rel=1e-9)


def test_law_every_kind_of_analysis_takes_the_trial() -> None:
    read = trial(drawn(2), covariates="C(sex) + age")
    for estimator in (sw.FixedEffects(), sw.MixedModel(), sw.WithinPeriod(), sw.TwoWayFixedEffects()):
        fit = estimator.fit(read)
        assert fit.scale == "identity"
        assert np.isfinite(fit.std_error)
        assert "pseudo-observation of mean days" in fit.summary()
    exact = sw.RandomisationTest().run(read, sw.WithinPeriod())
    assert 0 < float(exact.p_value) <= 1


def test_law_a_specification_is_plain_and_says_itself() -> None:
    spec = Duration(horizon=365, within="period", unit="weeks")
    assert eval(repr(spec), {"Duration": Duration}) == spec
    assert spec == Duration(365.0, "period", "weeks")
    assert len({spec, Duration(365.0, "period", "weeks"), Duration(730.0)}) == 2
    assert "weeks" in trial(drawn()).notes[0] or "days" in trial(drawn()).notes[0]


def test_law_dropped_rows_are_counted_and_leave_the_curves() -> None:
    frame = drawn(5)
    holes = frame.assign(days=frame.days.mask(frame.index % 50 == 0), age=frame.age.mask(frame.index % 50 == 1))
    kept = trial(frame[frame.index % 50 > 0])
    dropped = trial(holes, missing="drop")
    assert dropped.dropped == len(frame) - kept.n.sum()
    np.testing.assert_allclose(dropped.cells.mean, kept.cells.mean, rtol=1e-12)
    with_age = trial(holes, missing="drop", covariates="age")
    assert with_age.dropped == (frame.index % 50 < 2).sum()


def test_law_comparators_share_the_curves_of_their_own_cells() -> None:
    frame = drawn(6)
    more = pd.concat([frame, frame[frame.la == "Ash"].assign(la="Kent")])
    read, plain = trial(more, comparators=["Kent"]), trial(frame)
    np.testing.assert_allclose(read.outcome[:5], plain.outcome, rtol=1e-12)
    np.testing.assert_allclose(read.outcome[5], plain.outcome[0], rtol=1e-12)
    assert (read.treatment[5] == 0).all()


# Cox ------------------------------------------------------------------------------------------------------------------------------------


def cox(frame: pd.DataFrame, horizon: float = 365.0, **more: object) -> sw.Estimate:
    return Duration(horizon).cox(frame, ALLOCATION, **{**COLUMNS, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize("vcov", ["CR2", "CR0"])
def test_law_a_hazard_ratio_only_knows_the_order_of_times(vcov: str) -> None:
    frame = drawn(7)
    one, other = cox(frame, vcov=vcov), cox(frame.assign(days=np.sqrt(frame.days) + 3), horizon=np.sqrt(365.0) + 3, vcov=vcov)
    for name in ("estimate", "std_error", "df"):
        assert float(getattr(other, name)) == pytest.approx(float(getattr(one, name)), rel=1e-8)
    assert one.scale == "log hazard"
    assert "log hazard ratio" in one.summary()
    assert "sensitivity" in one.summary() if vcov == "CR2" else "too small" in one.summary()


def test_law_follow_up_is_cut_at_the_horizon() -> None:
    frame = drawn(8)
    late = frame.days > 365
    cut = frame.assign(days=frame.days.clip(upper=365), ended=frame.ended.mask(late, 0))
    assert float(cox(cut, horizon=9000).estimate) == pytest.approx(float(cox(frame).estimate), abs=1e-12)


def test_law_a_cluster_with_its_own_pace_changes_nothing() -> None:
    frame = drawn(9)
    slower = frame.assign(days=frame.days.mask(frame.la == "Cedar", frame.days * 3))
    assert float(cox(slower, horizon=9000).estimate) == pytest.approx(float(cox(frame, horizon=9000).estimate), rel=1e-9)


def test_law_larger_hazards_under_treatment_are_positive_and_mean_shorter_times() -> None:
    frame = drawn(10, per=200, effect=0.8, noise=0.0)
    hazard, mean = cox(frame), sw.FixedEffects().fit(trial(frame))
    assert float(hazard.estimate) == pytest.approx(0.8, abs=0.15)
    assert float(mean.estimate) < -50


def test_law_the_sandwich_of_few_clusters_is_the_smaller_one() -> None:
    errors = [float(cox(drawn(seed), vcov=vcov).std_error) for seed in range(4) for vcov in ("CR0", "CR2")]
    assert (np.array(errors[::2]) < np.array(errors[1::2])).all()


# The picture ----------------------------------------------------------------------------------------------------------------------------


def words(frame: pd.DataFrame, **more: bool) -> list[str]:
    axes = Duration(300.0).plot(frame, ALLOCATION, **COLUMNS, **more)  # type: ignore[arg-type]
    assert "days" in axes.get_xlabel()
    return [text.get_text() for text in axes.texts]


def test_law_numbers_at_risk_add_up_to_the_rows_and_small_ones_are_hidden_for_release() -> None:
    frame = made()
    shown = words(frame)
    start = [int(shown[shown.index(arm) + 1]) for arm in ("control", "treated")]
    assert sum(start) == len(frame)
    few = frame[(frame.days > 150) | (frame.index % 12 == 0)].groupby(["la", "period"]).head(1)
    small = [text for text in words(few) if text in list("12345")]
    assert small
    hidden = words(few, release=True)
    assert not [text for text in hidden if text in list("12345")]
    assert hidden.count("1–5") == len(small)


def test_law_the_picture_is_drawn_where_asked_and_arms_are_those_of_the_allocation() -> None:
    import matplotlib.pyplot as plt

    given_axes = plt.subplots()[1]
    axes = Duration(300.0).plot(drawn(), ALLOCATION, **COLUMNS, ax=given_axes)
    assert axes is given_axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert {"control", "treated"} <= set(lines)
    frame = drawn()
    arm = frame[[ALLOCATION.treatment[DESIGN.clusters.index(la), t - 1] == 1 for la, t in zip(frame.la, frame.period, strict=True)]]
    heights = np.asarray(lines["treated"].get_ydata())
    at = np.searchsorted(np.asarray(lines["treated"].get_xdata()), 100.0, side="right") - 1
    expected = slow_mean(arm.days.to_numpy(), arm.ended.to_numpy(), 101.0) - slow_mean(arm.days.to_numpy(), arm.ended.to_numpy(), 100.0)
    assert heights[at] == pytest.approx(expected, abs=1e-9)
