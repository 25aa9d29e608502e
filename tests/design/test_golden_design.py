"""Published facts of three trials, and numbers that follow from them by hand."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from swedge.design import Design, Stratum

FS_DATES = {
    "Walsall": "2020-09-01",
    "Lancashire": "2021-02-01",
    "Telford and Wrekin": "2021-06-28",
    "Wandsworth": "2022-01-24",
    "Swindon": "2022-05-24",
}
FS_STRATA = [["Walsall", "Lancashire"], ["Telford and Wrekin", "Wandsworth", "Swindon"]]


@pytest.fixture
def fs() -> Design:
    return Design.from_dates(FS_DATES, start="2020-03-01", end="2022-11-24", strata=FS_STRATA)


@pytest.fixture
def nwd() -> Design:
    dates = {"A": "2020-04-01", "B": "2021-04-01", "C": "2021-06-01", "D": "2021-09-01"}
    return Design.from_dates(dates, start="2019-10-01", end="2022-03-31", strata=[["A", "B"], ["C", "D"]])


def test_family_safeguarding_has_six_unequal_periods(fs: Design) -> None:
    assert fs.periods["days"].tolist() == [184, 153, 147, 210, 120, 185]
    assert fs.periods["days"].sum() == 999
    assert fs.periods["period"].tolist() == [1, 2, 3, 4, 5, 6]
    assert fs.periods["start"].tolist()[1:] == [pd.Timestamp(day) for day in FS_DATES.values()]
    assert fs.periods["end"].iloc[-1] == pd.Timestamp("2022-11-24")
    assert fs.boundaries[-1] == dt.date(2022, 11, 25)


def test_counts_and_smallest_p(fs: Design, nwd: Design) -> None:
    free = Design.stepped_wedge(clusters=5, periods=6)
    assert [fs.count(), free.count(), nwd.count()] == [12, 120, 4]
    assert [fs.min_p(), free.min_p(), nwd.min_p()] == [1 / 12, 1 / 120, 1 / 4]


def test_the_twelve_allocations_of_family_safeguarding(fs: Design) -> None:
    later = [[2, 3, 4], [2, 4, 3], [3, 2, 4], [3, 4, 2], [4, 2, 3], [4, 3, 2]]
    assert fs.allocations().tolist() == [[*first, *rest] for first in ([0, 1], [1, 0]) for rest in later]


def test_family_safeguarding_as_carried_out(fs: Design) -> None:
    allocation = fs.allocate_dates(FS_DATES)
    assert allocation.sequence == (0, 1, 2, 3, 4)
    assert allocation == fs.allocate({name: i for i, name in enumerate(FS_DATES)})
    assert allocation.treatment.tolist() == [[float(t > i) for t in range(6)] for i in range(5)]
    assert allocation.exposure.tolist() == [[max(0, t - i) for t in range(6)] for i in range(5)]
    assert allocation.calendar()["go_live"].tolist() == [pd.Timestamp(day) for day in FS_DATES.values()]


def test_a_date_is_treated_from_the_go_live_day_on(fs: Design) -> None:
    days = [
        pd.Timestamp(day)
        for day in ("2020-02-29", "2020-03-01", "2020-08-31", "2020-09-01", "2022-05-23 23:59", "2022-11-24 12:00", "2022-11-25")
    ]
    assert fs.period_of(days).tolist() == [-1, 0, 0, 1, 4, 5, -1]


def test_large_counts_are_exact() -> None:
    assert Design.stepped_wedge(clusters=7).count() == 5040
    assert Design.stepped_wedge(clusters=14, periods=8).count() == 681_080_400
    assert Design.stepped_wedge(clusters=10, periods=6, clusters_per_sequence=2).count() == 113_400
    assert str(Design.stepped_wedge(clusters=30).count()) == "265252859812191058636308480000000"


def test_stepped_wedge_by_hand() -> None:
    nan = np.nan
    wedge = Design.stepped_wedge(clusters=2, baseline=2, follow_up=3, transition=1)
    np.testing.assert_array_equal(wedge.matrix, [[0, 0, nan, 1, 1, 1], [0, 0, 0, nan, 1, 1]])
    np.testing.assert_array_equal(wedge.exposure_of([0, 1]), [[0, 0, 1, 2, 3, 4], [0, 0, 0, 1, 2, 3]])
    assert Design.stepped_wedge(clusters=12, periods=5).clusters_per_sequence == (3, 3, 3, 3)
    assert Design.stepped_wedge(clusters=5, periods=4, clusters_per_sequence=[2, 1, 2]).n_sequences == 3
    np.testing.assert_array_equal(Design.stepped_wedge(clusters=2, follow_up=0).matrix, [[0, 1], [0, 0]])


def test_staircase_by_hand() -> None:
    nan = np.nan
    stairs = Design.staircase(clusters=6, sequences=3, control=2, transition=1)
    np.testing.assert_array_equal(stairs.matrix, [[0, 0, nan, 1, nan, nan], [nan, 0, 0, nan, 1, nan], [nan, nan, 0, 0, nan, 1]])
    np.testing.assert_array_equal(stairs._exposure[1], [0, 0, 0, 1, 2, 3])
    assert stairs.clusters_per_sequence == (2, 2, 2)


def test_parallel_and_crossover_by_hand() -> None:
    nan = np.nan
    parallel = Design.parallel(clusters=["a", "b", "c"], periods=3, baseline=1, clusters_per_sequence=[1, 2])
    np.testing.assert_array_equal(parallel.matrix, [[0, 0, 0], [0, 1, 1]])
    assert parallel.allocations().tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]
    cross = Design.crossover(clusters=2, periods=4, hold=2, washout=1, baseline=1)
    np.testing.assert_array_equal(cross.matrix, [[0, 0, 0, nan, 1, 1], [0, 1, 1, nan, 0, 0]])
    np.testing.assert_array_equal(cross._exposure, [[0, 0, 0, 0, 1, 2], [0, 1, 2, 3, 0, 0]])
    np.testing.assert_array_equal(Design.crossover(clusters=2, periods=4).matrix, [[0, 1, 0, 1], [1, 0, 1, 0]])


def test_smallest_p_doubles_when_mirrored_allocations_tie() -> None:
    assert Design.parallel(clusters=6).min_p() == 2 / 20
    assert Design.parallel(clusters=6, clusters_per_sequence=[2, 4]).min_p() == 1 / 15
    assert Design.crossover(clusters=6).min_p() == 2 / 20
    assert Design.stepped_wedge(clusters=4, periods=3).min_p() == 2 / 6
    split = Design.parallel(["a", "b", "c", "d"], strata=[["a", "b"], ["c", "d"]])
    assert (split.count(), split.min_p()) == (4, 2 / 4)
    lopsided = Design.parallel(["a", "b", "c", "d"], strata=[Stratum(["a", "b", "c"], [0, 0, 1]), Stratum(["d"], [1])])
    assert (lopsided.count(), lopsided.min_p()) == (3, 1 / 3)


def test_transition_may_be_drawn_as_treated_or_left_blank() -> None:
    shown = Design.from_matrix([[0, 1, 1, 1], [0, 0, 1, 1]], transition=1)
    blank = Design.from_matrix([[0, None, 1, 1], [0, 0, np.nan, 1]], transition=1)
    assert shown == blank
    assert blank.exposure_of([0, 1]).tolist() == [[0, 1, 2, 3], [0, 0, 1, 2]]
    taken_as_is = Design.from_matrix([[0, None, 1, 1], [0, 0, None, 1]])
    assert taken_as_is.exposure_of([0, 1]).tolist() == [[0, 0, 1, 2], [0, 0, 0, 1]]


def test_strata_take_consecutive_sequences_or_split_the_arms() -> None:
    wedge = Design.stepped_wedge(["a", "b", "c", "d"], periods=3, strata=[["d", "b"], ["c", "a"]])
    assert wedge.strata == (Stratum(["a", "c"], [1, 1]), Stratum(["b", "d"], [0, 0]))
    arms = Design.parallel(list("abcdef"), clusters_per_sequence=[2, 4], strata=[list("abc"), list("fed")])
    assert arms.strata == (Stratum(list("abc"), [0, 1, 1]), Stratum(list("def"), [0, 1, 1]))
    assert arms.count() == 9


def test_one_sequence_shared_by_clusters_that_go_live_together() -> None:
    dates = {"a": "2020-02-01", "b": "2020-03-01", "c": "2020-02-01"}
    design = Design.from_dates(pd.Series(dates), start="2020-01-01", end="2020-03-31")
    assert design.clusters_per_sequence == (2, 1)
    assert design.allocate_dates(dates).sequence == (0, 1, 0)
    assert design.periods["days"].tolist() == [31, 29, 31]


def test_schedules_are_tidy(fs: Design) -> None:
    schedule = fs.allocate_dates(FS_DATES).schedule()
    assert list(schedule.columns) == ["cluster", "sequence", "period", "start", "end", "treatment", "exposure"]
    assert schedule.shape == (30, 7)
    first = schedule[schedule["exposure"] == 1]
    assert first["cluster"].tolist() == list(FS_DATES)
    assert first["start"].dt.strftime("%Y-%m-%d").tolist() == list(FS_DATES.values())
    assert fs.schedule().groupby("sequence")["treatment"].sum().tolist() == [5, 4, 3, 2, 1]


def test_without_dates_times_are_missing_and_midpoints_count() -> None:
    design = Design.stepped_wedge(clusters=3)
    assert design.periods[["start", "end", "days"]].isna().all(axis=None)
    assert design.midpoints().tolist() == [0, 1, 2, 3]
    assert design.allocate({"1": 2, "2": 0, "3": 1}).calendar().values.tolist() == [["2", 0, 2], ["3", 1, 3], ["1", 2, 4]]


def test_midpoints_are_days_since_the_start(fs: Design) -> None:
    assert fs.midpoints().tolist() == [92.0, 260.5, 410.5, 589.0, 754.0, 906.5]


def test_the_draws_of_named_seeds_never_change(fs: Design) -> None:
    drawn = [fs.randomise(seed).draw for seed in (0, 1, 2, 20200901)]
    assert [draw and draw.index for draw in drawn] == [10, 8, 4, 10]
    assert Design.stepped_wedge(clusters=30).randomise(0).sequence[:8] == (23, 10, 29, 6, 3, 19, 25, 1)


def test_never_treated_clusters_have_no_go_live() -> None:
    calendar = Design.parallel(["a", "b"]).allocate({"a": 1, "b": 0}).calendar()
    assert calendar["cluster"].tolist() == ["a", "b"]
    assert calendar["go_live"].isna().tolist() == [False, True]


def test_what_is_said_in_numpy_and_pandas_is_understood() -> None:
    plain = Design.from_matrix(
        [[0, 1, 1], [0, 0, None]], [1, 2], ["1", "2", "3"], boundaries=["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
    )
    days = tuple(np.arange("2020-01", "2020-05", dtype="datetime64[M]").astype("datetime64[D]"))
    array = np.array([[0, 1, 1], [0, 0, np.nan]])
    assert Design.from_matrix(array, np.array([1, 2]), np.arange(1, 4), boundaries=days) == plain
    table = pd.DataFrame({"p1": [False, False], "p2": [True, False], "p3": [1, pd.NA]})
    assert Design.from_matrix(table, [1, 2], 3, boundaries=list(map(pd.Timestamp, days))) == plain
    assert Design.stepped_wedge(clusters=6, clusters_per_sequence=2) == Design.stepped_wedge(clusters=6, periods=4)
