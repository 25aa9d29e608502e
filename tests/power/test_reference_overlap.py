"""The overlap of outcome windows with treatment against the published table, and against a loop over every day."""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import swedge as sw
from swedge.power.overlap import treated_share
from swedge.studies import family_safeguarding

Array = NDArray[np.float64]

STUDY = family_safeguarding()
DESIGN, CARRIED_OUT = STUDY.design, STUDY.allocation
EDGES = DESIGN.boundaries


def in_months(day: dt.date, months: int) -> dt.date:
    """The same day of the month so many months later, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return day.replace(year=year, month=month + 1, day=min(day.day, calendar.monthrange(year, month + 1)[1]))


def days_of(first: dt.date, end: dt.date) -> list[dt.date]:
    return [first + dt.timedelta(days=k) for k in range((end - first).days)]


def spent(hazard: list[float], fraction: float) -> float:
    """Share of the hazard in the first `fraction` of the window."""
    parts = len(hazard)
    return sum(h * min(max(fraction * parts - k, 0.0), 1.0) for k, h in enumerate(hazard)) / sum(hazard)


def by_day(
    allocation: sw.Allocation, size: Array, window: Callable[[dt.date], int], hazard: list[float]
) -> tuple[Array, Array, float, float]:
    """Treated share and share never exposed of each cluster's controls, and pooled, one day of entry after another."""
    edges = allocation.design.boundaries
    shares, never, counts = np.zeros((3, len(size)))
    for i, row in enumerate(allocation.treatment):
        live = edges[int(row.argmax())]
        for t, (first, end) in enumerate(pairwise(edges)):
            for day in days_of(first, end) if row[t] == 0 else []:
                people = size[i, t] / (end - first).days
                until = ((live - day).days - 0.5) / window(day)  # entry at noon
                shares[i] += people * (1 - spent(hazard, min(until, 1.0)))
                never[i] += people * (until >= 1)
                counts[i] += people
    return shares / counts, never / counts, shares.sum() / counts.sum(), never.sum() / counts.sum()


def test_family_safeguarding_as_published() -> None:
    overlap = sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, days=548)
    np.testing.assert_array_equal(np.round(100 * overlap.share, 1), [83.2, 69.3, 55.8, 39.5, 33.7])
    assert round(100 * overlap.pooled, 1) == 52.2
    assert round(100 * overlap.never_exposed, 1) == 14.0


def test_family_safeguarding_by_calendar_months_day_by_day() -> None:
    size = np.array(STUDY.sizes, dtype=float)[:, None] * STUDY.day_share
    shares, never, pooled, pooled_never = by_day(CARRIED_OUT, size, lambda day: (in_months(day, 18) - day).days, [1.0])
    overlap = sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, months=18)
    np.testing.assert_allclose(overlap.share, shares, rtol=1e-12)
    np.testing.assert_allclose(overlap.unexposed, never, rtol=1e-12)
    assert (overlap.pooled, overlap.never_exposed) == pytest.approx((pooled, pooled_never), rel=1e-12)


@pytest.mark.parametrize(
    ("opens", "days"), [("2020-08-31", 546), ("2020-02-29", 547), ("2021-08-31", 546), ("2022-08-31", 547), ("2020-09-01", 546)]
)
def test_months_end_on_the_same_day_or_the_last_of_the_month(opens: str, days: int) -> None:
    day = dt.date.fromisoformat(opens)
    assert (in_months(day, 18) - day).days == days
    design = sw.Design.from_dates({"A": day + dt.timedelta(days=1), "B": day + dt.timedelta(days=2)}, day, day + dt.timedelta(days=3))
    overlap = sw.exposure_overlap(
        design.allocate_dates({"A": day + dt.timedelta(days=1), "B": day + dt.timedelta(days=2)}), size=[9, 9], months=18
    )
    assert overlap.share[0] == pytest.approx(1 - 0.5 / days, rel=1e-14)


@given(
    gaps=st.lists(st.integers(1, 90), min_size=5, max_size=5),
    days=st.integers(1, 400),
    sizes=st.lists(st.floats(1, 100), min_size=20, max_size=20),
    hazard=st.lists(st.floats(0, 5), min_size=1, max_size=4).filter(lambda parts: sum(parts) > 0.1),
)
def test_any_schedule_size_and_hazard_day_by_day(gaps: list[int], days: int, sizes: list[float], hazard: list[float]) -> None:
    edges = [dt.date(2021, 1, 1) + dt.timedelta(days=int(gap)) for gap in np.cumsum([0, *gaps])]
    go_live = {f"C{k + 1}": edges[k + 1] for k in range(4)}
    allocation = sw.Design.from_dates(go_live, edges[0], edges[-1]).allocate_dates(go_live)
    size = np.resize(sizes, (4, 5))
    shares, never, pooled, pooled_never = by_day(allocation, size, lambda day: days, hazard)
    overlap = sw.exposure_overlap(allocation, size=size, days=days, hazard=hazard)
    np.testing.assert_allclose(overlap.share, shares, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(overlap.unexposed, never, rtol=1e-9, atol=1e-12)
    assert (overlap.pooled, overlap.never_exposed) == pytest.approx((pooled, pooled_never), rel=1e-9, abs=1e-12)


def test_an_even_hazard_is_the_default_however_it_is_written() -> None:
    plain = sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, days=548)
    for hazard in ([1.0], [2.0, 2.0, 2.0], np.ones(18)):
        np.testing.assert_allclose(
            sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, days=548, hazard=hazard).share, plain.share, rtol=1e-12
        )


def test_a_late_hazard_is_more_under_treatment_than_an_early_one() -> None:
    early, late = (sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, days=548, hazard=parts).pooled for parts in ([3, 2, 1], [1, 2, 3]))
    assert early < 0.522 < late


def test_only_proportions_of_sizes_matter() -> None:
    one, many = (sw.exposure_overlap(CARRIED_OUT, size=times * STUDY.cell_sizes, days=548) for times in (1.0, 7.0))
    np.testing.assert_allclose(one.share, many.share, rtol=1e-12)
    assert one.pooled == pytest.approx(many.pooled, rel=1e-12)


def test_the_table_has_a_row_a_cluster_and_one_for_all() -> None:
    overlap = sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, months=18)
    table = overlap.tidy()
    assert table.columns.tolist() == ["cluster", "controls", "treated_share", "never_exposed"]
    assert table["cluster"].tolist() == [*DESIGN.clusters, "all"]
    assert table["controls"].iloc[-1] == pytest.approx(table["controls"].iloc[:-1].sum())
    assert table["treated_share"].iloc[-1] == overlap.pooled


def test_a_scenario_takes_the_shares_of_the_overlap_table_under_every_allocation() -> None:
    for sequence in DESIGN.allocations():
        allocation = sw.Allocation(DESIGN, tuple(int(s) for s in sequence))
        shares = treated_share(DESIGN, allocation.treatment[None], allocation.exposure[None], 548.0)[0]
        assert (shares[allocation.treatment > 0] == 1).all()
        controls = np.where(allocation.treatment == 0, STUDY.cell_sizes, 0.0)
        pooled = sw.exposure_overlap(allocation, size=STUDY.cell_sizes, days=548).share
        np.testing.assert_allclose((shares * controls).sum(1) / controls.sum(1), pooled, rtol=1e-12)


def test_a_plot_has_a_mark_for_each_row() -> None:
    ax = sw.exposure_overlap(CARRIED_OUT, size=STUDY.sizes, months=18).plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == [*DESIGN.clusters, "all"]
    assert ax.get_xlabel()
