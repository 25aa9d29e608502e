"""What cannot be a design: each refusal says what, where and what to do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from swedge.design import Constraint, Covariate, Design, Stratum
from swedge.errors import DataError, DesignError

DATES = {"Walsall": "2020-09-01", "Lancashire": "2021-02-01", "Swindon": "2022-05-24"}
LAS = tuple(DATES)
WEDGE = Design.stepped_wedge(LAS)
DATED = Design.from_dates(DATES, start="2020-03-01", end="2022-11-24")
TWO = [[0, 1, 1], [0, 0, 1]]


def dated(**changes: Any) -> Design:
    return Design.from_dates(**{"go_live": DATES, "start": "2020-03-01", "end": "2022-11-24", **changes})


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    # clusters
    "name twice": (
        lambda: Design.stepped_wedge(["Walsall", "Swindon", "Walsall"]),
        r"more than once: 'Walsall'\. Give each cluster one name",
    ),
    "name in two spellings": (lambda: Design.stepped_wedge(["Telford and  Wrekin", "Telford and wrekin"]), "more than capitals and spaces"),
    "name with a space": (lambda: Design.stepped_wedge(["Walsall ", "Swindon"]), r"'Walsall ' begins or ends with a space\. Strip it"),
    "no name": (lambda: Design.stepped_wedge(["Walsall", ""]), "A cluster is named ''"),
    "missing name": (lambda: Design.stepped_wedge(["Walsall", None]), "A cluster is named None"),  # type: ignore[list-item]
    "text for names": (lambda: Design.stepped_wedge("Walsall"), r"clusters is the text 'Walsall'\. Pass a number of clusters or a list"),
    "no clusters": (lambda: Design.stepped_wedge([]), "clusters is empty"),
    "half a cluster": (lambda: Design.stepped_wedge(2.5), r"clusters is 2\.5, not a whole number"),  # type: ignore[arg-type]
    "zero clusters": (lambda: Design.stepped_wedge(0), "clusters is 0, and must be at least 1"),
    # rows
    "ragged": (
        lambda: Design.from_matrix([[0, 1, 1], [0, 1], [1, 1, 1, 1]]),
        "sequence 0, which has 3: sequence 1 has 2; sequence 2 has 4",
    ),
    "entry above 1": (lambda: Design.from_matrix([[0, 1], [0, 2]]), r"sequence 1, period 2 is 2\. Use 0 \(control\)"),
    "entry below 0": (lambda: Design.from_matrix([[0, -0.1], [0, 1]]), r"sequence 0, period 2 is -0\.1"),
    "entry is text": (lambda: Design.from_matrix([["0", "1"], [0, 1]]), "sequence 0, period 1 is '0'"),  # type: ignore[list-item]
    "flat list": (lambda: Design.from_matrix([0, 1, 1]), r"Sequence 0 is 0, not a list of cells"),  # type: ignore[list-item]
    "not a table": (lambda: Design.from_matrix("0111"), "rows is '0111', not a table"),
    "no cells": (lambda: Design.from_matrix([[], []]), "The design has no cells"),
    "equal rows": (
        lambda: Design.from_matrix([[0, 1], [0, 0], [0, 1]]),
        r"Sequences 0 and 2 are the same\. Give the row once, with clusters_per_sequence=2",
    ),
    "never observed": (lambda: Design.from_matrix([[0, 1], [None, np.nan]]), r"sequence 1 never is\. Drop the row"),
    "nothing treated": (lambda: Design.from_matrix([[0, None], [None, 0]]), "compares nothing"),
    "nothing untreated": (lambda: Design.from_matrix([[1, None], [None, 1]]), "compares nothing"),
    "transition longer than treatment": (lambda: Design.parallel(2, periods=3, baseline=1, transition=2), "compares nothing"),
    "gap of another length": (
        lambda: Design.from_matrix([[0, None, None, 1], [0, 0, 0, 1]], transition=1),
        "Sequence 0 has 2 unobserved .* transition=1",
    ),
    # counts
    "uneven": (
        lambda: Design.stepped_wedge(12, periods=6),
        r"12 clusters do not divide over 5 sequences.*\[3, 3, 2, 2, 2\], use 10 or 15 clusters",
    ),
    "too few": (lambda: Design.stepped_wedge(3, periods=6), "3 clusters are too few for 5 sequences"),
    "counts do not add up": (lambda: Design.from_matrix(TWO, [1, 2], list("ab")), "adds up to 3, but there are 2 clusters"),
    "one count too many": (lambda: Design.from_matrix(TWO, [1, 1, 1]), "has 3 counts for 2 sequences"),
    "a count of zero": (lambda: Design.from_matrix(TWO, [2, 0]), r"clusters_per_sequence\[1\] is 0, and must be at least 1"),
    "a count of true": (lambda: Design.from_matrix(TWO, [True, 1]), "is True, not a whole number"),
    # periods
    "no room": (lambda: Design.stepped_wedge(3, periods=2, baseline=2), "periods=2 leaves no room for a crossover after baseline=2"),
    "periods are text": (lambda: Design.stepped_wedge(3, periods="6"), "periods is '6'"),  # type: ignore[arg-type]
    "all baseline": (lambda: Design.parallel(4, periods=2, baseline=2), r"periods counts the baseline too: add periods"),
    "no switch": (lambda: Design.crossover(4, periods=2, hold=2), "ends before the first switch"),
    "negative transition": (lambda: Design.stepped_wedge(3, transition=-1), "transition is -1, and must be at least 0"),
    # strata
    "cluster in no stratum": (lambda: Design.stepped_wedge(LAS, strata=[["Walsall", "Swindon"]]), "'Lancashire' is in none"),
    "cluster in two strata": (lambda: dated(strata=[["Walsall", "Swindon"], ["Lancashire", "Walsall"]]), "'Walsall' is in 2 strata"),
    "stranger in a stratum": (lambda: Design.parallel(list("abcd"), strata=[["a", "b"], ["c", "e"]]), "'e' is not a cluster"),
    "misspelt stratum": (
        lambda: dated(strata=[["Walsal", "Swindon"], ["Lancashire"]]),
        "'Walsal' is not a cluster. Did you mean 'Walsall'?",
    ),
    "strata are names": (lambda: Design.stepped_wedge(LAS, strata=list(LAS)), "Make every stratum a list of cluster names"),
    "strata are text": (lambda: Design.stepped_wedge(LAS, strata="readiness"), "Pass a list of lists of cluster names"),
    "stratum with too few sequences": (lambda: Stratum(["a", "b"], [0]), "2 clusters for 1 sequences"),
    "stratum with a name twice": (lambda: Stratum(["a", "a"], [0, 1]), "more than once: 'a'"),
    "sequences used twice": (
        lambda: replace(WEDGE, strata=(Stratum(LAS[:2], (0, 0)), Stratum(LAS[2:], (2,)))),
        "sequence 0 has 1 and the strata use 2; sequence 1 has 1 and the strata use 0",
    ),
    "sequence that does not exist": (lambda: replace(WEDGE, strata=(Stratum(LAS, (0, 1, 7)),)), "sequence 7 has 0 and the strata use 1"),
    "strata of another kind": (lambda: replace(WEDGE, strata=(LAS,)), "Pass Stratum"),
    "arms cannot be split": (
        lambda: Design.parallel(list("abcd"), strata=[list("abc"), ["d"]]),
        r"\{a; b; c\} of 3 clusters cannot be split in the ratio 2:2",
    ),
    # dates
    "go-live after the window": (
        lambda: dated(end="2022-05-23"),
        "Go-live outside the window 2020-03-01 to 2022-05-23: Swindon on 2022-05-24",
    ),
    "go-live before the window": (lambda: dated(start="2020-09-02"), "Walsall on 2020-09-01"),
    "window backwards": (lambda: dated(start="2022-11-25"), "ends on 2022-11-24, before it starts on 2022-11-25. Swap"),
    "British date": (
        lambda: dated(go_live={**DATES, "Swindon": "24/05/2022"}),
        r"go_live\['Swindon'\] is '24/05/2022', which is not a date.*'2020-09-01'",
    ),
    "impossible date": (lambda: dated(start="2020-02-30"), "start is '2020-02-30', which is not a date"),
    "compact date": (lambda: dated(end="20221124"), "end is '20221124'"),
    "serial date": (lambda: dated(go_live={**DATES, "Swindon": 44705}), "is 44705, which is not a date"),
    "time of day": (lambda: dated(start=dt.datetime(2020, 3, 1, 9)), "start is datetime.datetime"),
    "missing date": (lambda: dated(go_live={**DATES, "Swindon": pd.NaT}), "is NaT, which is not a date"),
    "sentinel date": (lambda: dated(end="9999-12-31"), "end is '9999-12-31'"),
    "dates without names": (lambda: dated(go_live=list(DATES.values())), "go_live is a list. Pass a mapping"),
    "one go-live for all": (lambda: dated(go_live=dict.fromkeys(LAS, "2020-03-01")), "compares nothing"),
    "boundaries out of order": (
        lambda: Design.from_matrix(TWO, boundaries=["2020-01-01", "2020-03-01", "2020-02-01", "2020-04-01"]),
        "2020-02-01 follows 2020-03-01",
    ),
    "boundaries too few": (
        lambda: Design.from_matrix(TWO, boundaries=["2020-01-01", "2020-03-01", "2020-02-01"]),
        "3 dates for 3 periods. Give 4",
    ),
    "periods of an undated design": (lambda: WEDGE.period_of(["2020-01-01"]), "The design has no dates"),
    # seeds and draws
    **{
        f"seed {seed!r}": (lambda seed=seed: WEDGE.randomise(seed=seed), "not a whole number. Pass an int")  # type: ignore[misc]
        for seed in (None, True, 1.0, "1", np.float64(1), np.bool_(True))
    },
    "negative seed": (lambda: WEDGE.randomise(seed=-1), "seed is -1, and must be 0 or more"),
    "draws of no generator": (lambda: WEDGE.random_allocations(3, None), "seed is None"),  # type: ignore[arg-type]
    "a list too long": (
        lambda: Design.stepped_wedge(20).allocations(),
        r"2,432,902,\d*.*iter_allocations\(block=\)|about 10\^18 .*iter_allocations",
    ),
    "a number beyond the list": (lambda: WEDGE.numbered(6), "index is 6, but the allocations are numbered 0 to 5"),
    "blocks of none": (lambda: next(WEDGE.iter_allocations(0)), "block is 0, and must be at least 1"),
    # allocations
    "unknown cluster": (
        lambda: WEDGE.allocate({"Walsal": 0, "Lancashire": 1, "Swindon": 2}),
        "'Walsal' is not a cluster. Did you mean 'Walsall'.*'Walsall' has none",
    ),
    "cluster left out": (lambda: WEDGE.allocate({"Walsall": 0, "Lancashire": 1}), "'Swindon' has none"),
    "sequence taken twice": (lambda: WEDGE.allocate(dict.fromkeys(LAS, 0)), "does not permit .* 1 of sequence 0 and would use 3"),
    "sequence counted from 1": (
        lambda: WEDGE.allocate(dict(zip(LAS, (1, 2, 3), strict=True))),
        "Swindon takes sequence 3, and they count from 0 to 2",
    ),
    "dates for sequences": (
        lambda: WEDGE.allocate(dict.fromkeys(LAS, "2020-04-01")),  # type: ignore[arg-type]
        r"'Walsall' is '2020-04-01'.*sequences count from 0 to 2; for go-live dates use allocate_dates",
    ),
    "a day for a sequence": (lambda: WEDGE.allocate(dict.fromkeys(LAS, dt.date(2020, 4, 1))), "use allocate_dates"),  # type: ignore[arg-type]
    "a list of sequences": (lambda: WEDGE.allocate([0, 1, 2]), r"is a list, which does not say who goes when.*allocate_dates"),  # type: ignore[arg-type]
    "no sequences": (lambda: WEDGE.allocate(None), r"is a NoneType, .*'Walsall': 0"),  # type: ignore[arg-type]
    "a list of dates": (lambda: DATED.allocate_dates(["2020-04-01"]), "is a list"),  # type: ignore[arg-type]
    "negative sequence": (lambda: WEDGE.allocate(dict(zip(LAS, (0, 1, -1), strict=True))), "The sequence of 'Swindon' is -1"),
    "sequence is a fraction": (lambda: WEDGE.allocate(dict(zip(LAS, (0, 1, 2.0), strict=True))), r"is 2\.0, not a whole number"),  # type: ignore[arg-type]
    "across strata": (
        lambda: dated(strata=[LAS[:2], LAS[2:]]).allocate(dict(zip(LAS, (0, 2, 1), strict=True))),
        r"strata do not permit .*\{Walsall; Lancashire\} has 1 of sequence 1 and would use 0",
    ),
    "vector too short": (lambda: WEDGE.permits([0, 1]), "An allocation is 3 whole numbers"),
    "vector of floats": (lambda: WEDGE.permits([0.0, 1.0, 2.0]), "An allocation is 3 whole numbers"),
    "stack of another width": (lambda: WEDGE.treatment_of(np.zeros((4, 2), dtype=int)), "one entry for each of 3 clusters"),
    "stack with a negative": (lambda: WEDGE.exposure_of([[0, 1, -1]]), "numbered 0 to 2, but an allocation holds -1 to 1"),
    "date of no sequence": (
        lambda: DATED.allocate_dates({**DATES, "Swindon": "2022-05-25"}),
        "No sequence goes live on that day: Swindon on 2022-05-25",
    ),
    "date that is none": (lambda: DATED.allocate_dates({**DATES, "Swindon": "May"}), r"go_live\['Swindon'\] is 'May'"),
    "dates for an undated design": (lambda: WEDGE.allocate_dates(DATES), "The design has no dates. Use allocate"),
    "dates that two sequences share": (
        lambda: Design.from_matrix(
            [[0, 1, 1], [0, 1, 0]], boundaries=["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"]
        ).allocate_dates({"1": "2020-02-01", "2": "2020-02-01"}),
        "Several sequences go live on the same day",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_directions(name: str) -> None:
    attempt, says = REFUSALS[name]
    with pytest.raises(DesignError, match=says):
        attempt()


@pytest.mark.parametrize(
    ("dates", "says"),
    [
        (
            pd.Series([43891.0, 43892.0, np.nan]),
            r"2 of 3 dates are numbers \(2 different values, not shown: each may be one person's\)\. .*origin='1899-12-30'",
        ),
        (["2020-09-01", "01/09/2020", "soon", None], r"2 of 4 dates cannot be read \(2 different values, not shown: .*\)\. Write"),
        ([dt.date(2020, 9, 1), 43891], r"1 of 2 dates is a number \(1 value, not shown: "),
        (["01/09/2020"] * 6, r"6 of 6 dates cannot be read \(1 value, such as '01/09/2020' in 6 rows\).*dayfirst=True"),
    ],
)
def test_columns_that_are_not_dates_are_refused(dates: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        DATED.period_of(dates)


SIZES = pd.DataFrame({"size": [1.0, 2.0, 4.0], "rural": [True, False, False]}, index=list(LAS))
CONSTRAINTS: dict[str, tuple[Callable[[], object], str]] = {
    "not a frame": (lambda: WEDGE.constrained(SIZES["size"]), "covariates is a Series. Pass a DataFrame"),  # type: ignore[arg-type]
    "cluster without a row": (lambda: WEDGE.constrained(SIZES.iloc[:2]), "'Swindon' has no row"),
    "misspelt row": (
        lambda: WEDGE.constrained(SIZES.rename({"Walsall": "Walsal"})),
        r"1 row is named after no cluster \(1 value, not shown: .*\) Did you mean 'Walsall'",
    ),
    "two rows": (lambda: WEDGE.constrained(pd.concat([SIZES, SIZES.iloc[:1]])), "'Walsall' has 2 rows"),
    "text": (lambda: WEDGE.constrained(SIZES.assign(region=["W", "N", "S"])), "must be numbers: 'region'. Code a category as 0/1"),
    "missing value": (lambda: WEDGE.constrained(SIZES.assign(size=[1, None, 2])), "missing: 'size' in Lancashire"),
    "infinite value": (lambda: WEDGE.constrained(SIZES.assign(size=[1, np.inf, 2])), "not finite"),
    "constant": (lambda: WEDGE.constrained(SIZES.assign(size=3)), "'size' is the same in every cluster"),
    "named twice": (lambda: WEDGE.constrained(SIZES.set_axis(["x", "x"], axis=1)), "more than once: 'x'"),
    "no column": (lambda: WEDGE.constrained(SIZES[[]]), "has no covariates"),
    "unknown weight": (lambda: WEDGE.constrained(SIZES, weights={"sise": 2}), "'sise'. Did you mean 'size'"),
    "weights too few": (lambda: WEDGE.constrained(SIZES, weights=[1]), "one weight for each of 2 covariates"),
    "zero weight": (lambda: WEDGE.constrained(SIZES, weights=[1, 0]), "The weight of covariate 'rural' is 0.0"),
    "share above 1": (lambda: WEDGE.constrained(SIZES, keep=1.5), "keep is 1.5. Give a share between 0 and 1"),
    "keep one": (lambda: WEDGE.constrained(SIZES, keep=1), "keep is 1, and must be at least 2"),
    "share that keeps one": (lambda: WEDGE.constrained(SIZES, keep=0.1), "keep=0.1 of 6 allocations is 1. Keep between 2 and 6"),
    "keep more than there are": (lambda: WEDGE.constrained(SIZES, keep=7), "keep=7 of 6 allocations is 7"),
    "sample without a seed": (lambda: WEDGE.constrained(SIZES, keep=2, sample=4), "sample and seed belong together"),
    "sample with a bad seed": (lambda: WEDGE.constrained(SIZES, keep=2, sample=4, seed=True), "seed is True"),
    "sample of everything": (lambda: WEDGE.constrained(SIZES, keep=2, sample=6, seed=0), "sample=6 of 6 allocations samples nothing"),
    "too many to score": (
        lambda: Design.stepped_wedge(11).constrained(pd.DataFrame({"x": range(11)}, index=range(1, 12))),
        r"39,916,800 allocations, too many to score .* Pass sample= and seed=",
    ),
    "sample too large": (
        lambda: Design.stepped_wedge(11).constrained(pd.DataFrame({"x": range(11)}, index=range(1, 12)), sample=3_000_000, seed=0),
        "sample=3,000,000 is more than can be scored",
    ),
    "values for other clusters": (
        lambda: replace(WEDGE, constraint=Constraint((Covariate("x", (1, 2)),), 2)),
        "needs 3 values, one a cluster: 'x' has 2",
    ),
    "no arms": (lambda: Design.from_matrix([[0, 1, 0], [0, 1, None], [None, 1, 0]], clusters=LAS).constrained(SIZES), "no arms to balance"),
    "score without a constraint": (lambda: WEDGE.balance(), "The design has no constraint"),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_refused_with_directions(name: str) -> None:
    attempt, says = CONSTRAINTS[name]
    with pytest.raises(DesignError, match=says):
        attempt()


def test_an_allocation_outside_the_constraint_is_refused() -> None:
    design = WEDGE.constrained(SIZES[["size"]], keep=2)
    worst = design.balance().sort_values("score")["allocation"].iloc[-1]
    sequence = WEDGE.numbered(worst)
    assert not design.permits(sequence)
    with pytest.raises(DesignError, match="not among the 2 kept"):
        design.allocate(dict(zip(LAS, sequence, strict=True)))


def test_fields_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        WEDGE.transition = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        WEDGE.matrix[0, 0] = 1


def test_numpy_integers_are_seeds_and_so_is_zero() -> None:
    assert WEDGE.randomise(seed=np.int64(0)) == WEDGE.randomise(seed=0)
    assert WEDGE.randomise(seed=0).record()["draw"]["seed"] == 0
