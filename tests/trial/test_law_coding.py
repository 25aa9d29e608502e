"""Other codings of the same data are the same trial; what is left out is counted and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from trial.rows import ALLOCATION, DESIGN, GAPS, NUMBERED, at, read, rows, same

Frame = pd.DataFrame
AS_IS = lambda d: d  # noqa: E731 - one word in a table
BY_DATE = {"period": None, "date": "date"}

SAME: dict[str, tuple[Callable[[Frame], Frame], dict[str, Any]]] = {
    "boolean outcome": (lambda d: d.assign(y=d.y == 1), {}),
    "nullable boolean outcome": (lambda d: d.assign(y=(d.y == 1).astype("boolean")), {}),
    "boolean objects": (lambda d: d.assign(y=(d.y == 1).astype(object)), {}),
    "outcome as read from text": (lambda d: d.assign(y=d.y.astype(str)), {}),
    "categories of clusters": (lambda d: d.assign(la=pd.Categorical(d.la, ["Kent", "Swindon", "Walsall", "Lancashire"])), {}),
    "periods as text": (lambda d: d.assign(period=d.period.astype(str)), {}),
    "periods as floats": (lambda d: d.assign(period=d.period.astype(float)), {}),
    "periods as categories": (lambda d: d.assign(period=d.period.astype("category")), {}),
    "recorded treatment": (AS_IS, {"treatment": "treated"}),
    "boolean treatment": (lambda d: d.assign(treated=d.treated == 1), {"treatment": "treated"}),
    "an index of dates": (lambda d: d.set_index("date"), {}),
    "repeated index": (lambda d: d.set_index(np.zeros(len(d), dtype=int)), {}),
    "an unused column twice": (lambda d: pd.concat([d, d[["age"]]], axis=1), {}),
    "dates": (AS_IS, BY_DATE),
    "dates with a time": (lambda d: d.assign(date=d.date + pd.Timedelta(hours=23, minutes=59)), BY_DATE),
    "dates as ISO text": (lambda d: d.assign(date=d.date.dt.strftime("%Y-%m-%d")), BY_DATE),
    "dates of the standard library": (lambda d: d.assign(date=d.date.dt.date), BY_DATE),
    "dates and text mixed": (
        lambda d: d.assign(date=d.date.astype(object).mask(d.index % 2 == 0, d.date.dt.strftime("%Y-%m-%d"))),
        BY_DATE,
    ),
    "days as periods of a day": (lambda d: d.assign(date=d.date.dt.to_period("D")), BY_DATE),
}


@pytest.mark.parametrize("name", SAME)
def test_another_coding_of_the_same_data(name: str) -> None:
    change, arguments = SAME[name]
    same(read(change(rows()), **arguments), read())


@pytest.mark.parametrize("dtype", ["int64", "float64", "float32", "Int64", "Float64", "category", "str", object])
def test_numbered_clusters_whatever_their_dtype(dtype: Any) -> None:
    ids = rows().la.map({"Walsall": 1, "Lancashire": 2, "Swindon": 3}).astype(dtype)
    assert read(rows().assign(la=ids), NUMBERED).clusters == ("1", "2", "3")


def test_clusters_named_by_two_types_of_the_same_number_are_one() -> None:
    ids = rows().la.map({"Walsall": 1, "Lancashire": 2, "Swindon": 3})
    mixed = ids.astype(object).mask(ids.index % 2 == 0, ids.astype(str)).mask(ids.index % 3 == 0, ids.astype(float))
    assert read(rows().assign(la=mixed), NUMBERED).n.sum() == 48


@pytest.mark.parametrize("day", [0, 1, 2])
def test_the_day_of_go_live_is_treated_and_the_day_before_is_not(day: int) -> None:
    name = list(DESIGN.clusters)[day]
    go_live = pd.Timestamp(DESIGN.boundaries[ALLOCATION.sequence[day] + 1])
    eve = rows().assign(date=lambda d: d.date.mask((d.la == name) & (d.index % 4 == 0), go_live - pd.Timedelta(days=1)))
    morning = rows().assign(date=lambda d: d.date.mask((d.la == name) & (d.index % 4 == 0), go_live))
    before, after = (read(frame, period=None, date="date", empty="keep") for frame in (eve, morning))
    treated = [trial.n[day][trial.treatment[day] == 1].sum() for trial in (before, after)]
    assert treated[1] - treated[0] == 4


def test_dropped_rows_are_counted_and_told() -> None:
    frame = rows().assign(y=at(rows().y, np.nan, 1, 2), age=at(rows().age, np.nan, 2, 3).astype(float))
    trial = read(frame, missing="drop", covariates="age")
    assert (trial.dropped, trial.n.sum()) == (3, 45)
    assert trial.notes == ("3 rows with a missing outcome, size or covariate were dropped.",)
    assert "3 rows" in sw.FixedEffects(vcov="model").fit(trial).summary()


def test_nothing_is_dropped_without_being_asked_even_when_missing_is_allowed() -> None:
    trial = read(missing="drop")
    assert (trial.dropped, trial.notes) == (0, ())


def test_an_empty_cell_is_kept_when_asked() -> None:
    trial = read(rows()[lambda d: ~((d.la == "Walsall") & (d.period == 2))], empty="keep")
    assert trial.n[0].tolist() == [4, 0, 4, 4]
    assert trial.tidy().outcome.isna().sum() == 1


def test_people_in_cells_that_the_design_leaves_out_are_told_of() -> None:
    trial = read(allocation=GAPS)
    assert trial.n.sum() == 40
    assert trial.notes == ("8 individuals were seen in cells that the design leaves out (transition) and are not analysed.",)


def test_means_of_groups_tell_that_the_scatter_is_unknown() -> None:
    trial = read(outcome="g", family="gaussian", size="size")
    assert trial.cells.within is None
    assert "the scatter of individuals inside cells is not known" in trial.notes[0]
    with pytest.raises(sw.DataError, match=r"one number each. Pass within="):
        sw.MixedModel().fit(trial)


def test_comparators_are_read_and_never_treated() -> None:
    frame = pd.concat([rows(), rows().assign(la=rows().la.map({"Walsall": "Kent", "Lancashire": "Bury", "Swindon": "Hull"}))])
    trial = read(frame, comparators=["Kent", "Bury", "Hull"])
    assert trial.clusters[3:] == ("Kent", "Bury", "Hull")
    assert not trial.treatment[3:].any()
    assert trial.n.sum() == 96


def test_the_frame_is_left_as_it_was() -> None:
    frame = rows()
    read(frame, covariates="C(sex) + age", treatment="treated", missing="drop")
    pd.testing.assert_frame_equal(frame, rows())


def test_a_trial_does_not_change_with_the_arrays_it_was_made_of() -> None:
    n, mean = np.full((3, 4), 5.0), np.zeros((3, 4))
    trial = sw.Trial.from_cells(n, mean, NUMBERED)
    n[0, 0], mean[0, 0] = 99, 99
    assert (trial.cells.n[0, 0], trial.outcome[0, 0]) == (5, 0)
