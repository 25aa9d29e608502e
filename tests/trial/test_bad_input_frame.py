"""Rows that cannot be the trial: each refusal says what, where, what was expected and what to do, and shows no child's value."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from trial.rows import DESIGN, NAME, NUMBERED, SECRET, at, read, rows

Frame = pd.DataFrame
Refusal = tuple[Callable[[Frame], Any], dict[str, Any], str]
AS_IS = lambda d: d  # noqa: E731 - one word in a table
BY_DATE = {"period": None, "date": "date"}

CLUSTERS: dict[str, Refusal] = {
    "without rows": (
        lambda d: d[d.la != "Swindon"],
        {},
        r"1 cluster of the allocation has no rows with an outcome: Swindon\. Add their data, or redesign without them",
    ),
    "misspelt": (
        lambda d: d.assign(la=d.la.mask(d.index % 5 == 0, "Walsal")),
        {},
        r"10 of 48 rows hold a value that is no cluster of the .* \(1 value, such as 'Walsal' in 10 rows\)\. Did you mean 'Walsall'\?",
    ),
    "spelt two ways": (
        lambda d: d.assign(la=d.la.mask((d.la == "Walsall") & (d.period > 2), "WALSALL ")),
        {},
        r"'WALSALL ' in 8 rows\)\. Did you mean 'Walsall'\? Is 'la' the cluster column\? The clusters are Walsall; .*\. Correct the",
    ),
    "with a space": (
        lambda d: d.assign(la=at(d.la, "Walsall ")),
        {},
        r"1 of 48 rows holds a value .* \(1 value, not shown: it may be one person's\)\. Is 'la'",
    ),
    "many unknown": (
        lambda d: d.assign(la=[f"child {i}" for i in range(len(d))]),
        {},
        r"48 of 48 rows hold .*\(48 different values, not shown: each may be one person's\)\. Is 'la' the cluster column\?",
    ),
    "missing": (
        lambda d: d.assign(la=at(d.la, None)),
        {},
        r"1 row has no cluster in column 'la', and so no cell\. Complete the data",
    ),
    "nan": (lambda d: d.assign(la=at(d.la, np.nan, 1, 2)), {}, "2 rows have no cluster"),
    "fractional ids": (
        lambda d: d.assign(la=d.la.map({"Walsall": 1.0, "Lancashire": 2.5, "Swindon": 3.0})),
        {"allocation": NUMBERED},
        r"'2\.5' in 16 rows\)",
    ),
    "comparator without rows": (AS_IS, {"comparators": ["Kent"]}, "1 cluster .* has no rows with an outcome: Kent"),
    "comparator not named": (
        lambda d: pd.concat([d, d[:6].assign(la="Kent")]),
        {},
        "'Kent' in 6 rows.* name never-treated clusters in comparators=",
    ),
    "comparator of the design": (AS_IS, {"comparators": ["Walsall"]}, "outside the design, but 'Walsall' is a cluster of the design"),
    "comparator twice": (AS_IS, {"comparators": ["Kent", "Kent"]}, "'Kent' is listed twice. Correct the list"),
    "comparator spelt otherwise": (
        AS_IS,
        {"comparators": ["WALSALL "]},
        "differ in nothing but capitals and spaces: 'Walsall' and 'WALSALL '. Give each cluster one name",
    ),
    "comparators as text": (AS_IS, {"comparators": "Kent"}, "comparators is the text 'Kent'. Pass a list of names"),
}

PERIODS: dict[str, Refusal] = {
    "zero": (lambda d: d.assign(period=at(d.period, 0)), {}, r"1 row lies outside 1 to 4, by column 'period' \(1 value, not"),
    "counted from 0": (
        lambda d: d.assign(period=d.period - 1),
        {},
        r"12 rows lie outside 1 to 4, by column 'period' .* Periods count from 1; column 'period' runs 0 to 3: add 1\.",
    ),
    "counted from 2": (lambda d: d.assign(period=d.period + 1), {}, r"column 'period' runs 2 to 5: subtract 1\."),
    "years": (lambda d: d.assign(period=d.period + 2019), {}, r"column 'period' runs 2020 to 2023: subtract 2019\."),
    "counted from 0 without the last": (lambda d: d[d.period < 4].assign(period=d.period - 1), {}, r"runs 0 to 2: add 1\."),
    "counted from 0 by few": (
        lambda d: d[(d.period > 1) | (d.index % 16 < 1)].assign(period=d.period - 1),
        {},
        r"\(1 value, not shown.*; column 'period' does not: add 1\.",
    ),
    "counted from -1, too many": (lambda d: d.assign(period=d.period - 2 + (d.period == 4)), {}, r"Remove them, or widen"),
    "beyond the last": (
        lambda d: d.assign(period=d.period + d.index % 5),
        {},
        r"21 rows lie outside 1 to 4, by column 'period' \(4 different values, such as 5 in 8 rows, 6 in 6 rows\)\. Remove them, or widen",
    ),
    "a fraction": (
        lambda d: d.assign(period=at(d.period, 1.5)),
        {},
        r"1 row has no whole number in period='period' \(1 value, not shown.*\)\. Periods count",
    ),
    "text": (lambda d: d.assign(period=at(d.period, "second")), {}, "1 row has no whole number in period='period'"),
    "text for all": (lambda d: d.assign(period="second"), {}, r"48 rows have no whole number .* \(1 value, such as 'second' in 48 rows\)"),
    "infinite": (lambda d: d.assign(period=at(d.period, np.inf)), {}, "1 row has no whole number"),
    "huge": (lambda d: d.assign(period=at(d.period, 1e300)), {}, "1 row lies outside 1 to 4"),
    "missing": (lambda d: d.assign(period=at(d.period, np.nan)), {}, "1 row has no period in column 'period'"),
    "dates": (lambda d: d.assign(period=d.date), {}, "period='period' holds dates, not numbers. Pass date='period', or number the periods"),
    "months": (lambda d: d.assign(period=d.date.dt.to_period("M")), {}, "period='period' holds dates"),
    "durations": (lambda d: d.assign(period=pd.to_timedelta(d.period, unit="D")), {}, "holds durations, not numbers"),
    "complex": (lambda d: d.assign(period=d.period + 1j), {}, "holds complex numbers"),
    "both columns": (AS_IS, {"date": "date"}, r"either period= .* or date= .*, not both or neither"),
    "neither column": (AS_IS, {"period": None}, "not both or neither"),
}

DATE: dict[str, Refusal] = {
    "British text": (
        lambda d: d.date.dt.strftime("%d/%m/%Y"),
        {},
        r"48 of 48 dates cannot be read \(45 different values, not shown.*year-month-day, such as '2020-09-01', or .* dayfirst=True",
    ),
    "no such day": (lambda d: at(d.date.dt.strftime("%Y-%m-%d"), "2021-02-30"), {}, "1 of 48 dates cannot be read .1 value, not shown"),
    "empty text": (lambda d: at(d.date.dt.strftime("%Y-%m-%d"), ""), {}, "1 of 48 dates cannot be read"),
    "serial numbers": (
        lambda d: (d.date - pd.Timestamp("1899-12-30")).dt.days,
        {},
        r"48 of 48 dates are numbers \(45 different values, not shown.*\)\. Convert spreadsheet serial dates first",
    ),
    "serial text": (lambda d: (d.date - pd.Timestamp("1899-12-30")).dt.days.astype(str), {}, "48 of 48 dates cannot be read"),
    "one serial number": (lambda d: at(d.date, 44000), {}, "1 of 48 dates is a number"),
    "booleans": (lambda d: d.period > 2, {}, "dates are numbers .2 different values, such as False in 24 rows"),
    "missing": (lambda d: at(d.date, pd.NaT), {}, "1 row has no date in column 'date'"),
    "after the window": (
        lambda d: at(d.date, pd.Timestamp("2022-11-25")),
        {},
        r"1 row lies outside the window 2020-03-01 to 2022-11-25 \(exclusive\), by column 'date' \(1 value, not.*Remove them, or widen",
    ),
    "before the window": (lambda d: at(d.date, pd.Timestamp("2020-02-29"), 1, 5), {}, "2 rows lie outside the window"),
    "sentinel": (lambda d: at(d.date, dt.date(9999, 12, 31)), {}, "1 row lies outside the window"),
    "a time zone": (lambda d: d.date.dt.tz_localize("UTC"), {}, "date='date' has a time zone, .*tz_convert"),
    "time zones in objects": (lambda d: d.date.dt.tz_localize("Europe/London").astype(object), {}, "has a time zone"),
    "some time zones": (lambda d: at(d.date, pd.Timestamp("2020-04-01", tz="UTC")), {}, "has a time zone"),
}

TREATMENT: dict[str, Refusal] = {
    "one cell": (
        lambda d: d.assign(treated=d.treated.mask((d.la == "Walsall") & (d.period == 1), 1)),
        {"treatment": "treated"},
        r"1 cluster-period contradicts the allocation\. Walsall, period 1: recorded treated, allocated control\. Pass the allocation that",
    ),
    "swapped": (
        lambda d: d.assign(treated=1 - d.treated),
        {"treatment": "treated"},
        "12 cluster-periods .*Walsall, period 3: recorded control, allocated treated; and 9 more. .*or drop treatment=",
    ),
    "both in one cell": (lambda d: d.assign(treated=at(d.treated, 1, 0)), {"treatment": "treated"}, "recorded control and treated"),
    "text": (lambda d: d.assign(treated="yes"), {"treatment": "treated"}, "treatment='treated' .* no finite numbers, in 48 of 48 rows"),
    "missing": (lambda d: d.assign(treated=at(d.treated, np.nan)), {"treatment": "treated"}, "in 1 of 48 rows"),
    "a wrong column": (
        lambda d: d.assign(treated=np.arange(len(d)) * 1000.0),
        {"treatment": "treated"},
        "treatment='treated' must be 0, 1 or a share between; 47 of 48 rows are not",
    ),
    "one child's share": (lambda d: d.assign(treated=at(d.treated, 0.37)), {"treatment": "treated"}, "recorded 2 different shares, alloc"),
    "many shares": (lambda d: d.assign(treated=d.index / 100), {"treatment": "treated"}, "period 1: recorded 4 different shares"),
}

OUTCOMES: dict[str, Refusal] = {
    "2 for binomial": (
        lambda d: d.assign(y=at(d.y, 2)),
        {},
        "outcome='y' must be 0 or 1 for family='binomial'; 1 of 48 rows are not. Recode it",
    ),
    "negative": (lambda d: d.assign(y=-d.y), {}, "must be 0 or 1 .* 16 of 48 rows"),
    "a share for binomial": (lambda d: d.assign(y=d.y / 2), {}, "must be 0 or 1"),
    "infinite": (lambda d: d.assign(y=at(d.y, np.inf)), {}, "outcome='y' holds values that are no finite numbers, in 1 of 48 rows"),
    "infinite number": (lambda d: d.assign(g=at(d.g, -np.inf)), {"outcome": "g", "family": "gaussian"}, "no finite numbers, in 1 of 48"),
    "text": (lambda d: d.assign(y=np.where(d.y, "yes", "no")), {}, "in 48 of 48 rows. Code it as numbers, with missing values as nan"),
    "some text": (lambda d: d.assign(y=at(d.y, "n/a")), {}, "in 1 of 48 rows"),
    "lists": (lambda d: d.assign(y=[[1]] * len(d)), {}, "no finite numbers"),
    "dates": (AS_IS, {"outcome": "date", "family": "gaussian"}, "outcome='date' holds dates, not numbers. Pass a column of numbers"),
    "durations": (lambda d: d.assign(g=d.date - d.date.min()), {"outcome": "g", "family": "gaussian"}, r"durations.*\.dt\.days"),
    "complex": (lambda d: d.assign(g=d.g + 1j), {"outcome": "g", "family": "gaussian"}, "complex numbers"),
    "missing": (lambda d: d.assign(y=at(d.y, np.nan)), {}, "Missing values in y: 1 of 48 rows. Impute them, or pass missing='drop'"),
    "NA": (lambda d: d.assign(y=at(d.y, pd.NA, 1, 2).astype("Int64")), {}, "Missing values in y: 2 of 48"),
    "all missing": (lambda d: d.assign(y=np.nan), {"missing": "drop"}, "Every row has a missing value in y"),
    "a cluster all missing": (
        lambda d: d.assign(y=d.y.where(d.la != "Swindon")),
        {"missing": "drop", "empty": "keep"},
        "1 cluster of the allocation has no rows with an outcome: Swindon",
    ),
    "negative count": (lambda d: d.assign(y=-d.y), {"family": "poisson"}, "must be a count: whole and not negative, .*16 of 48 rows"),
    "half a count": (lambda d: d.assign(y=d.y / 2), {"family": "poisson"}, "must be a count: whole"),
    "more events than people": (
        AS_IS,
        {"outcome": "size", "size": "events"},
        "size that is not positive|must be a whole number of events from 0 to 'events'",
    ),
    "events above size": (lambda d: d.assign(y=9), {"size": "size"}, "a whole number of events from 0 to 'size' .* 48 of 48"),
    "negative events": (lambda d: d.assign(y=-1), {"size": "size"}, "from 0 to 'size'"),
}

SIZES: dict[str, Refusal] = {
    "zero": (
        lambda d: d.assign(size=at(d["size"], 0)),
        {"size": "size"},
        r"1 row has a size that is not positive \('size'\)\. Remove empty",
    ),
    "negative": (lambda d: d.assign(size=-3), {"size": "size"}, "48 rows have a size that is not positive"),
    "a fraction": (lambda d: d.assign(size=1.5), {"size": "size"}, "48 rows have a size that is no whole number .*Give numbers of indiv"),
    "missing": (lambda d: d.assign(size=at(d["size"], np.nan)), {"size": "size"}, "Missing values in size: 1 of 48"),
    "infinite": (lambda d: d.assign(size=np.inf), {"size": "size"}, "size='size' holds values that are no finite numbers, in 48"),
    "text": (lambda d: d.assign(size="ten"), {"size": "size"}, "no finite numbers"),
}

COVARIATES: dict[str, Refusal] = {
    "missing": (lambda d: d.assign(age=at(d.age, np.nan)), {"covariates": "age"}, "Missing values in age: 1 of 48"),
    "missing level": (lambda d: d.assign(sex=at(d.sex, None, 1, 2)), {"covariates": "C(sex)"}, "Missing values in sex: 2 of 48"),
    "infinite": (
        lambda d: d.assign(age=d.age.astype(float).mask(d.index == 1, np.inf)),
        {"covariates": "age"},
        "covariates='age' holds values that are no finite numbers, in 1 of 48 rows",
    ),
    "absent": (
        AS_IS,
        {"covariates": "C(sx)"},
        r"covariates name 'sx', which the data lack. Did you mean 'sex'\? Columns are la; period; .*; and 2 more\.$",
    ),
    "cannot be read": (AS_IS, {"covariates": "age + log(sex)"}, r"cannot be read at character 10, '\('\. Use column names"),
    "the outcome": (AS_IS, {"covariates": "age + y"}, "covariates name 'y', which is the outcome. Take it out"),
    "a name a child": (
        lambda d: d.assign(sex=[f"{NAME} {i}" for i in range(48)]),
        {"covariates": "sex"},
        "Covariate 'sex' has 48 levels in 48 rows, more than 24",
    ),
    "one level": (lambda d: d.assign(sex="f"), {"covariates": "C(sex)"}, "Covariate 'sex' holds one value in all 48 rows. Take it out"),
    "constant": (lambda d: d.assign(age=3.0), {"covariates": "age"}, "Covariate 'age' holds one value"),
    "dates": (AS_IS, {"covariates": "date"}, "covariates='date' holds dates, not numbers. .*C\\(name\\)"),
    "durations": (lambda d: d.assign(age=d.date - d.date.min()), {"covariates": "age"}, "holds durations"),
    "an identifier": (
        lambda d: pd.concat([d] * 5, ignore_index=True).assign(child=[f"{NAME} {i}" for i in range(240)]),
        {"covariates": "C(child)"},
        "Covariate 'child' has 240 levels in 240 rows, more than 120. Group them; an identifier or a date is no category",
    ),
}

SHAPES: dict[str, Refusal] = {
    "empty cell": (
        lambda d: d[~((d.la == "Walsall") & (d.period == 2))],
        {},
        "1 cell that the design observes has no rows: Walsall, period 2. Check the dates and names; pass empty='keep'",
    ),
    "empty period": (
        lambda d: d[d.period != 2],
        {},
        "3 cells that .*; Swindon, period 2. Nobody at all was observed in period 2. Check",
    ),
    "two empty periods": (lambda d: d[d.period < 3], {}, r"6 cells .*and 3 more\. Nobody at all was observed in periods 3; 4\."),
    "no rows": (lambda d: d[:0], {}, "The data have no rows"),
    "not a frame": (lambda d: d.to_dict("list"), {}, "The data are a dict, not a pandas DataFrame. Convert them"),
    "no such column": (AS_IS, {"outcome": "yy"}, "outcome='yy' is not a column of the data. Did you mean 'y'. Columns are la; period; "),
    "outcome twice": (
        lambda d: pd.concat([d, d[["y"]]], axis=1),
        {},
        "outcome='y' names 2 columns of the data. Rename or drop all but one",
    ),
    "cluster twice": (lambda d: pd.concat([d, d[["la"]]], axis=1), {}, "cluster='la' names 2 columns"),
    "covariate twice": (lambda d: pd.concat([d, d[["age"]]], axis=1), {"covariates": "age"}, "covariates='age' names 2 columns"),
    "a design": (AS_IS, {"allocation": DESIGN}, r"allocation is a Design\. Pass the Allocation that was carried out: design\.allocate"),
    "a path": (
        AS_IS,
        {"allocation": "plan.json"},
        r"is a str\..*allocate\({cluster: sequence}\), design\.allocate_dates\(.*Allocation\.load",
    ),
    "a frame": (
        AS_IS,
        {"allocation": rows()},
        r"allocation is a DataFrame\..* treatment= of Trial\.from_frame has the data checked against it\.$",
    ),
    "family": (
        AS_IS,
        {"family": "binomal"},
        "family is 'binomal'; expected one of gaussian, binomial, poisson, fractional. Did you mean 'binomial'?",
    ),
    "family of another type": (AS_IS, {"family": ["binomial"]}, "expected one of gaussian"),
    "missing": (AS_IS, {"missing": "ignore"}, "missing='ignore'; expected one of 'raise', 'drop'"),
    "empty": (AS_IS, {"empty": "kep"}, "empty='kep'; expected one of 'raise', 'keep'. Did you mean 'keep'?"),
}

DATED = {
    f"date, {name}": (lambda d, f=change: d.assign(date=f(d)), {**BY_DATE, **more}, says) for name, (change, more, says) in DATE.items()
}
REFUSALS = {
    **{
        f"{part}, {name}": refusal
        for part, table in {
            "cluster": CLUSTERS,
            "period": PERIODS,
            "treatment": TREATMENT,
            "outcome": OUTCOMES,
            "size": SIZES,
            "covariate": COVARIATES,
            "shape": SHAPES,
        }.items()
        for name, refusal in table.items()
    },
    **DATED,
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_directions(name: str) -> None:
    change, arguments, says = REFUSALS[name]
    with pytest.raises(sw.DataError, match=says) as caught:
        read(change(rows()), **arguments)
    assert str(caught.value).endswith((".", "?", ")"))
    assert NAME not in str(caught.value)


def test_dates_of_a_design_without_dates() -> None:
    with pytest.raises(sw.DesignError, match="The design has no dates"):
        read(rows().assign(la=rows().la.map({"Walsall": 1, "Lancashire": 2, "Swindon": 3})), NUMBERED, period=None, date="date")


# No message shows a child's value ------------------------------------------------------------

LEAKS: dict[str, tuple[Callable[[Frame], Frame], dict[str, Any]]] = {
    "number as outcome": (lambda d: d.assign(y=at(d.y, SECRET)), {}),
    "text as outcome": (lambda d: d.assign(y=at(d.y, NAME)), {}),
    "count as outcome": (lambda d: d.assign(y=at(d.y, -SECRET)), {"family": "poisson"}),
    "events": (lambda d: d.assign(y=at(d.y, SECRET)), {"size": "size"}),
    "size": (lambda d: d.assign(size=at(d["size"], -SECRET)), {"size": "size"}),
    "fraction as size": (lambda d: d.assign(size=at(d["size"], SECRET)), {"size": "size"}),
    "text as size": (lambda d: d.assign(size=at(d["size"], NAME)), {"size": "size"}),
    "number as treatment": (lambda d: d.assign(treated=at(d.treated, SECRET)), {"treatment": "treated"}),
    "text as treatment": (lambda d: d.assign(treated=at(d.treated, NAME)), {"treatment": "treated"}),
    "missing beside it": (lambda d: d.assign(age=at(d.age, SECRET), y=at(d.y, np.nan)), {"covariates": "age"}),
    "constant covariate": (lambda d: d.assign(age=SECRET), {"covariates": "age"}),
    "constant text": (lambda d: d.assign(sex=NAME), {"covariates": "sex"}),
    "one name a child": (lambda d: pd.concat([d] * 5).assign(sex=[f"{NAME}{i}" for i in range(240)]), {"covariates": "C(sex)"}),
    "interactions of names": (
        lambda d: d.assign(sex=[f"{NAME}{i}" for i in range(48)], age=[f"{NAME}{i}" for i in range(48)]),
        {"covariates": "sex * age"},
    ),
    "infinite covariate": (
        lambda d: d.assign(age=d.age.astype(float).mask(d.index == 0, np.inf).mask(d.index == 1, SECRET)),
        {"covariates": "age"},
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_no_message_shows_the_value_of_a_child(name: str) -> None:
    change, arguments = LEAKS[name]
    with pytest.raises(sw.DataError) as caught:
        read(change(rows()), **arguments)
    assert NAME not in str(caught.value)
    assert not re.search(r"987654|987,654", str(caught.value))


PLACES: dict[str, dict[str, Any]] = {
    "names as clusters": {"cluster": "private"},
    "names as periods": {"period": "private"},
    "names as dates": {"period": None, "date": "private"},
    "births as periods": {"period": "born"},
    "births as dates": {"period": None, "date": "born"},
    "births outside the window": {"period": None, "date": "birthday"},
    "births as clusters": {"cluster": "born"},
    "numbers as periods": {"period": "number"},
    "numbers as clusters": {"cluster": "number"},
    "numbers as dates": {"period": None, "date": "number"},
}


@pytest.mark.parametrize("rows_a_child", [1, 3, 12])
@pytest.mark.parametrize("name", PLACES)
def test_a_wrong_column_shows_nobody(name: str, rows_a_child: int) -> None:
    """Names, dates of birth and numbers of children, with one row a child or several: none is in the message."""
    births = pd.Timestamp("2007-01-31") + pd.to_timedelta(37 * np.arange(48), unit="D")
    private = {"private": [f"{NAME} {i}" for i in range(48)], "born": births.strftime("%d/%m/%Y"), "birthday": births}
    frame = pd.concat([rows().assign(**private, number=987600 + np.arange(48))] * rows_a_child, ignore_index=True)
    with pytest.raises(sw.DataError, match="not shown: each may be one person's") as caught:
        read(frame, **PLACES[name])
    assert not re.search(r"Jane|4711|9876\d\d|/20|20(07|08|09|1\d)", str(caught.value))


def test_only_values_of_more_than_five_rows_are_shown() -> None:
    frame = rows().assign(la=lambda d: d.la.mask(d.index < 6, "Kent").mask(d.index.isin([20, 21, 22, 23, 24]), NAME))
    with pytest.raises(sw.DataError, match=r"2 different values, such as 'Kent' in 6 rows\)"):
        read(frame)


def test_a_wrong_cluster_column_of_a_large_file_is_refused_without_searching_every_name() -> None:
    many = pd.concat([rows()] * 100, ignore_index=True).assign(la=lambda d: [f"child {i}" for i in range(len(d))])
    with pytest.raises(sw.DataError, match=r"4,800 of 4,800 rows hold .*4,800 different values, not shown"):
        read(many)
