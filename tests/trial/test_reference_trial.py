"""Trials against slow loops over rows that anyone can check."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from reference_trials import numbers
from swedge.trial.formula import covariate_columns
from trial.rows import ALLOCATION, DATES, DESIGN, GAPS, read, rows

SEEDS = st.integers(0, 10_000)


def members(frame: pd.DataFrame, name: str, period: int) -> list[int]:
    """Positions of the rows of one cell."""
    return [k for k, (la, t) in enumerate(zip(frame.la, frame.period, strict=True)) if la == name and t == period]


def slow_cells(frame: pd.DataFrame, values: np.ndarray, size: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, means and each cluster's scatter about its cell means, row by row."""
    q = values.shape[1]
    n, mean, within = np.zeros((3, 4)), np.zeros((3, 4, q)), np.zeros((3, q, q))
    for (i, name), t in product(enumerate(DATES), range(4)):
        cell = members(frame, name, t + 1)
        n[i, t] = sum(size[k] for k in cell)
        for a in range(q):
            mean[i, t, a] = sum(size[k] * values[k, a] for k in cell) / n[i, t] if cell else 0.0
        for k, a, b in product(cell, range(q), range(q)):
            within[i, a, b] += size[k] * (values[k, a] - mean[i, t, a]) * (values[k, b] - mean[i, t, b])
    return n, mean, within


@given(seed=SEEDS, covariates=st.sampled_from([None, "age", "C(sex) + age", "C(sex) * age"]))
def test_gaussian_cells_are_a_slow_groupby(seed: int, covariates: str | None) -> None:
    frame = rows(3, seed).sample(frac=0.8, random_state=seed)
    trial = read(frame, outcome="g", family="gaussian", covariates=covariates, empty="keep")
    columns = np.zeros((len(frame), 0)) if covariates is None else covariate_columns(covariates, frame)[1]
    n, mean, within = slow_cells(frame, np.column_stack([frame.g, columns]), np.ones(len(frame)))
    np.testing.assert_array_equal(trial.cells.n, n)
    np.testing.assert_allclose(trial.cells.mean, mean, atol=1e-12)
    np.testing.assert_allclose(trial.cells.within, within, atol=1e-10)


@given(seed=SEEDS, family=st.sampled_from(["binomial", "poisson"]), sized=st.booleans())
def test_events_are_counted(seed: int, family: str, sized: bool) -> None:
    frame = rows(3, seed)
    outcome = "events" if sized or family == "poisson" else "y"
    size = frame["size"].to_numpy(float) if sized else np.ones(len(frame))
    trial = read(frame, outcome=outcome, family=family, size="size" if sized else None)
    n, mean, _ = slow_cells(frame, (frame[outcome].to_numpy() / size)[:, None], size)
    np.testing.assert_array_equal(trial.cells.n, n)
    np.testing.assert_allclose(trial.cells.mean, mean, atol=1e-14)
    if family == "binomial":
        risk = mean[..., 0]
        np.testing.assert_allclose(trial.cells.within, (n * risk * (1 - risk)).sum(1)[:, None, None], atol=1e-12)
    else:
        assert (trial.cells.within is None) == sized


@given(seed=SEEDS)
def test_weighted_numbers(seed: int) -> None:
    frame = rows(3, seed)
    trial = read(frame, outcome="g", family="gaussian", covariates="age", size="size")
    n, mean, _ = slow_cells(frame, np.column_stack([frame.g, frame.age]), frame["size"].to_numpy(float))
    np.testing.assert_array_equal(trial.cells.n, n)
    np.testing.assert_allclose(trial.cells.mean, mean, atol=1e-12)


@given(seed=SEEDS, covariates=st.sampled_from(["C(sex)", "C(sex) + age", "C(sex):age"]), sized=st.booleans())
def test_patterns_are_the_distinct_rows(seed: int, covariates: str, sized: bool) -> None:
    frame = rows(4, seed)
    trial = read(frame, outcome="events" if sized else "y", covariates=covariates, size="size" if sized else None)
    columns, slots = covariate_columns(covariates, frame)[1], trial.patterns
    assert slots is not None
    events = frame["events" if sized else "y"].to_numpy()
    people = frame["size"].to_numpy() if sized else np.ones(len(frame))
    for i, name in enumerate(DATES):
        found: dict[tuple[float, ...], list[float]] = {}
        for k in range(len(frame)):
            if frame.la.iloc[k] == name:
                entry = found.setdefault((frame.period.iloc[k] - 1, *columns[k]), [0.0, 0.0])
                entry[0], entry[1] = entry[0] + people[k], entry[1] + events[k]
        held = {
            (slots.period[i, j], *slots.covariates[i, j]): [slots.n[i, j], slots.n[i, j] * slots.mean[i, j]]
            for j in range(slots.n.shape[1])
            if slots.n[i, j] > 0
        }
        assert held.keys() == found.keys()
        for key, entry in found.items():
            assert held[key] == pytest.approx(entry)


@given(seed=SEEDS)
def test_dates_fall_into_periods_by_comparison(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = (DESIGN.boundaries[-1] - DESIGN.boundaries[0]).days
    frame = rows(6, seed).assign(
        date=lambda d: pd.Timestamp(DESIGN.boundaries[0]) + pd.to_timedelta(rng.integers(0, days, len(d)), unit="D")
    )
    trial = read(frame, period=None, date="date", empty="keep")
    expected = np.zeros((3, 4))
    for la, date in zip(frame.la, frame.date, strict=True):
        expected[list(DATES).index(la), sum(date.date() >= edge for edge in DESIGN.boundaries[1:-1])] += 1
    np.testing.assert_array_equal(trial.cells.n, expected)


def test_treatment_is_the_go_live_date_compared_with_the_first_day_of_the_period() -> None:
    trial = read()
    for (i, name), t in product(enumerate(DATES), range(4)):
        assert trial.treatment[i, t] == (str(DESIGN.boundaries[t]) >= DATES[name])
        assert trial.exposure[i, t] == sum(DATES[name] <= str(DESIGN.boundaries[s]) for s in range(t + 1))


@given(seed=SEEDS)
def test_scatter_counts_only_cells_that_the_design_observes(seed: int) -> None:
    frame = rows(3, seed)
    trial = read(frame, GAPS, outcome="g", family="gaussian")
    kept = frame[[not np.isnan(GAPS.treatment[list(DATES).index(la), t - 1]) for la, t in zip(frame.la, frame.period, strict=True)]]
    np.testing.assert_allclose(trial.cells.within, slow_cells(kept, kept[["g"]].to_numpy(), np.ones(len(kept)))[2], atol=1e-10)
    assert trial.n.sum() == len(kept)


def test_a_mixed_model_of_a_trial_with_gaps_is_that_of_its_observed_rows() -> None:
    frame = rows(8, 5).assign(g=lambda d: d.g + 20 * ((d.la == "Walsall") & (d.period == 2) & (d.index % 2)))
    kept = frame[~(((frame.la == "Walsall") & (frame.period == 2)) | ((frame.la == "Lancashire") & (frame.period == 3)))]
    with_rows, without = (read(data, GAPS, outcome="g", family="gaussian") for data in (frame, kept))
    for estimator in (sw.MixedModel(), sw.FixedEffects(vcov="model"), sw.FixedEffects(vcov="overdispersed")):
        one, other = estimator.fit(with_rows), estimator.fit(without)
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-9)


@given(seed=SEEDS, clusters=st.integers(2, 6), periods=st.integers(1, 6))
def test_panel_exposure_counts_years_since_the_first_treated(seed: int, clusters: int, periods: int) -> None:
    rng = np.random.default_rng(seed)
    first = {f"c{i}": int(rng.integers(2005, 2025)) if rng.random() < 0.7 else 0 for i in range(clusters)}
    frame = pd.DataFrame([(c, 2010 + t, g, rng.normal()) for c, g in first.items() for t in range(periods)], columns=list("ctgy"))
    frame = frame.sample(frac=1, random_state=seed)
    trial = sw.Trial.from_panel(frame, cluster="c", period="t", outcome="y", first_treated="g")
    starts = [first[c] or np.inf for c in trial.clusters]
    assert starts == sorted(starts)
    for (i, name), t in product(enumerate(trial.clusters), range(periods)):
        year = 2010 + t
        assert trial.exposure[i, t] == (max(year - first[name] + 1, 0) if first[name] else 0)
        assert trial.treatment[i, t] == (0 < first[name] <= year)
        assert trial.outcome[i, t] == frame[(frame.c == name) & (frame.t == year)].y.item()


def test_tidy_is_one_row_a_cell() -> None:
    trial = read(rows()[lambda d: ~((d.la == "Swindon") & (d.period == 1))], empty="keep")
    table = trial.tidy().set_index(["cluster", "period"])
    for name, t in product(DATES, range(1, 5)):
        own = rows()[lambda d, name=name, t=t: (d.la == name) & (d.period == t)]
        row = table.loc[(name, t)]
        if (name, t) == ("Swindon", 1):
            assert row.n == 0
            assert np.isnan(row.outcome)
        else:
            assert [row.n, row.outcome, row.treatment] == pytest.approx([len(own), own.y.mean(), own.treated.iloc[0]])
    assert ALLOCATION.exposure.ravel().tolist() == table.exposure.tolist()
