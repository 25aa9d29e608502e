"""Rows and specifications that cannot be a duration: each refusal says what, where, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from estimators.durations import ALLOCATION, COLUMNS, drawn
from swedge.estimators import Duration

Frame = pd.DataFrame
AS_IS = lambda d: d  # noqa: E731 - one word in a table
SECRET = 9876.5


def short(d: Frame, *cells: tuple[str, int]) -> Frame:
    """Everybody in these cells is censored by day 100."""
    for la, t in cells:
        at = (d.la == la) & (d.period == t)
        d = d.assign(ended=d.ended.mask(at & (d.days >= 100), 0), days=d.days.mask(at, d.days.clip(upper=100)))
    return d


SPECS: dict[str, tuple[dict[str, Any], str]] = {
    "horizon zero": ({"horizon": 0}, "horizon=0; expected a finite, positive number of days, such as 730"),
    "horizon negative": ({"horizon": -5.0}, r"horizon=-5\.0; expected"),
    "horizon nan": ({"horizon": np.nan}, "horizon=nan; expected"),
    "horizon infinite": ({"horizon": np.inf, "unit": "weeks"}, "horizon=inf; expected a finite, positive number of weeks"),
    "horizon text": ({"horizon": "18 months"}, "horizon='18 months'; expected"),
    "horizon boolean": ({"horizon": True}, "horizon=True; expected"),
    "within": ({"horizon": 9, "within": "cells"}, "within='cells'; expected one of 'cell', 'period', 'all'. Did you mean 'cell'?"),
    "unit empty": ({"horizon": 9, "unit": " "}, "unit=' '; expected the name of a unit of time, such as 'days'"),
    "unit number": ({"horizon": 9, "unit": 1}, "unit=1; expected"),
}

ROWS: dict[str, tuple[Callable[[Frame], Any], dict[str, Any], str]] = {
    "no frame": (lambda d: d.to_dict(), {}, "The data are a dict, not a pandas DataFrame"),
    "time misspelt": (AS_IS, {"time": "dys"}, "time='dys' is not a column of the data. Did you mean 'days'?"),
    "event misspelt": (AS_IS, {"event": "end"}, "event='end' is not a column of the data. Did you mean 'ended'?"),
    "one column twice": (AS_IS, {"event": "days"}, "time and event are the same column, 'days'"),
    "time negative": (lambda d: d.assign(days=d.days - 30), {}, r"time='days' is negative in \d+ of 900 rows. Count from entry"),
    "time infinite": (
        lambda d: d.assign(days=d.days.mask(d.index < 2, np.inf)),
        {},
        "time='days' holds values that are no finite numbers, in 2",
    ),
    "time text": (lambda d: d.assign(days=d.days.astype(object).mask(d.index < 1, "two years")), {}, "no finite numbers, in 1 of 900"),
    "time dates": (lambda d: d.assign(days=pd.Timestamp("2020-03-01")), {}, "time='days' holds dates, not numbers"),
    "time durations": (lambda d: d.assign(days=pd.to_timedelta(d.days, unit="D")), {}, r"time='days' holds durations.*\.dt\.days"),
    "time missing": (
        lambda d: d.assign(days=d.days.mask(d.index < 7)),
        {},
        "Missing values in days: 7 of 900 rows. Impute them, or pass missing='drop'",
    ),
    "event missing": (lambda d: d.assign(ended=d.ended.mask(d.index < 7)), {}, "Missing values in ended: 7 of 900"),
    "time all missing": (lambda d: d.assign(days=np.nan), {"missing": "drop"}, "Every row has a missing value in days; ended"),
    "event 1 and 2": (
        lambda d: d.assign(ended=d.ended + 1),
        {},
        "event='ended' must be 1 .* It holds 1 and 2: if 2 means the event, subtract 1",
    ),
    "event text": (lambda d: d.assign(ended=d.ended.map({0: "no", 1: "yes"})), {}, "event='ended' holds values that are no finite numbers"),
    "event a secret": (
        lambda d: d.assign(ended=d.ended.mask(d.index < 3, SECRET)),
        {},
        r"event='ended' must be .*; 3 of 900 rows are not\. Recode",
    ),
    "missing": (AS_IS, {"missing": "ignore"}, "missing='ignore'; expected one of 'raise', 'drop'"),
    "covariate is the time": (AS_IS, {"covariates": "age + days"}, "covariates name 'days', which is part of the outcome"),
    "covariate is the event": (AS_IS, {"covariates": "C(ended)"}, "covariates name 'ended', which is part of the outcome"),
    "covariate misspelt": (AS_IS, {"covariates": "ages"}, "covariates name 'ages', which the data lack. Did you mean 'age'?"),
    "covariate evaluated": (AS_IS, {"covariates": "np.log(age)"}, "cannot be read at character"),
    "cluster unknown": (lambda d: d.assign(la=d.la.replace("Elm", "Elms")), {}, "'Elms' .* Did you mean 'Elm'?"),
    "both times": (AS_IS, {"date": "days"}, "not both or neither"),
    "period outside": (lambda d: d.assign(period=d.period + 1), {}, "rows lie outside 1 to 6"),
    "no allocation": (AS_IS, {"allocation": None}, "allocation is a NoneType"),
}

TRIALS: dict[str, tuple[Callable[[Frame], Any], dict[str, Any], str]] = {
    "one cell too short": (
        lambda d: short(d, ("Ash", 6)),
        {},
        r"before the horizon of 365 days in 1 of 30 groups that share a curve \(Ash, period 6\), .* Use a horizon of 100 days or less\."
        r" Or pool by within='period' or 'all'",
    ),
    "four cells too short": (
        lambda d: short(d, ("Ash", 6), ("Birch", 6), ("Cedar", 1), ("Elm", 2)),
        {},
        r"in 4 of 30 groups that share a curve \(Ash, period 6; Birch, period 6; Cedar, period 1; and 1 more\)",
    ),
    "a period too short": (
        lambda d: short(d, *((la, 6) for la in d.la.unique())),
        {"within": "period"},
        r"in 1 of 6 groups .*\(period 6\)",
    ),
    "all too short": (
        lambda d: d.assign(ended=0, days=90.0),
        {"within": "all"},
        r"in 1 of 1 groups that share a curve \(all rows\).* Use a horizon of 90 days or less\.$",
    ),
    "an empty cell": (lambda d: d[(d.la != "Elm") | (d.period != 3)], {}, "1 cell that the design observes has no rows: Elm, period 3"),
    "another treatment": (lambda d: d.assign(arm=0), {"treatment": "arm"}, "15 cluster-periods contradict the allocation"),
}


@pytest.mark.parametrize(("arguments", "message"), SPECS.values(), ids=SPECS)
def test_bad_input_specification(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sw.DataError, match=message):
        Duration(**arguments)


@pytest.mark.parametrize("method", ["trial", "cox", "plot"])
@pytest.mark.parametrize(("change", "arguments", "message"), ROWS.values(), ids=ROWS)
def test_bad_input_rows(method: str, change: Callable[[Frame], Any], arguments: dict[str, Any], message: str) -> None:
    if method == "plot" and "covariates" in arguments:
        return
    with pytest.raises(sw.DataError, match=message) as refusal:
        call(method, change(drawn()), **arguments)
    assert str(SECRET) not in str(refusal.value)


@pytest.mark.parametrize(("change", "arguments", "message"), TRIALS.values(), ids=TRIALS)
def test_bad_input_trial(change: Callable[[Frame], Any], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sw.DataError, match=message):
        call("trial", change(drawn()), **arguments)


def call(method: str, frame: Any, within: str = "cell", **arguments: Any) -> Any:
    given = {"allocation": ALLOCATION, **COLUMNS, **arguments}
    return getattr(Duration(365.0, within), method)(frame, given.pop("allocation"), **given)


def test_bad_input_the_horizon_that_the_refusal_names_works() -> None:
    frame = short(drawn(), ("Ash", 6))
    assert Duration(100.0).trial(frame, ALLOCATION, **COLUMNS).n.sum() == len(frame)
    assert Duration(365.0, "period").trial(frame, ALLOCATION, **COLUMNS).n.sum() == len(frame)


def test_bad_input_the_refusal_names_no_single_follow_up() -> None:
    """The last time of one child is rounded down; the day on which many are censored is named."""
    frame = drawn().assign(ended=0, days=lambda d: 180.0 + 0.25 * np.arange(len(d)) / len(d))
    with pytest.raises(sw.DataError, match=r"Use a horizon of 100 days or less\."):
        call("trial", frame, "all")
    with pytest.raises(sw.DataError, match=r"Use a horizon of 180 days or less\."):
        call("trial", frame.assign(days=180.0), "all")


def test_bad_input_the_horizon_is_the_estimand_and_has_no_default() -> None:
    with pytest.raises(TypeError, match="horizon"):
        Duration()  # type: ignore[call-arg]


COX: dict[str, tuple[Callable[[Frame], Frame], dict[str, Any], str]] = {
    "vcov": (AS_IS, {"vcov": "CR1"}, "vcov='CR1'; expected one of CR2, CR0"),
    "no events": (lambda d: d.assign(ended=0), {}, "Cox regression failed: no variation"),
    "no events when treated": (lambda d: d.assign(ended=d.ended.where(d.period == 1, 0)), {}, "Cox regression failed: separated"),
    "a covariate twice": (lambda d: d.assign(old=2 * d.age), {"covariates": "age + old"}, "Cox regression failed: rank deficient"),
    "a covariate that separates": (
        lambda d: d.assign(sick=((d.ended == 1) & (d.days <= 365)).astype(int)),
        {"covariates": "sick"},
        "Cox regression failed: separated",
    ),
    "events in one cluster": (
        lambda d: d.assign(ended=d.ended.where(d.la == "Ash", 0)),
        {},
        "Cox regression failed: rank deficient",
    ),
}


@pytest.mark.parametrize(("change", "arguments", "message"), COX.values(), ids=COX)
def test_bad_input_cox(change: Callable[[Frame], Frame], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sw.FitError, match=message):
        call("cox", change(drawn()), **arguments)
