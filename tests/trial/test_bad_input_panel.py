"""Observational panels: what is refused, what is counted, and who was treated when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from trial.rows import NAME, at

YEARS = (2018, 2019, 2020, 2021)
FIRST: dict[str, object] = {"Ash": 2019, "Birch": 2021, "Cedar": 0, "Dale": 0}


def panel(**first: object) -> pd.DataFrame:
    """One row a place and year: place, year, rate, first, people."""
    cells = [(name, year, 10.0 + i + 0.1 * ((7 * i + 3 * year) % 11)) for i, name in enumerate(FIRST) for year in YEARS]
    rows = pd.DataFrame(cells, columns=["place", "year", "rate"])
    return rows.assign(first=rows.place.map({**FIRST, **first}), people=np.arange(len(rows)) + 50)


def read(frame: Any = None, **changes: Any) -> sw.Trial:
    arguments = {"cluster": "place", "period": "year", "outcome": "rate", "first_treated": "first", **changes}
    return sw.Trial.from_panel(panel() if frame is None else frame, **arguments)


Refusal = tuple[Callable[[pd.DataFrame], Any], dict[str, Any], str]
AS_IS = lambda d: d  # noqa: E731 - one word in a table

REFUSALS: dict[str, Refusal] = {
    "two rows": (
        lambda d: pd.concat([d, d[:1]]),
        {},
        "1 cluster-period has more than one row, in 1 cluster, whose names have too few rows to be shown. Aggregate them first",
    ),
    "child-level rows": (
        lambda d: pd.concat([d, d]),
        {},
        "16 cluster-periods have .* in 4 clusters: 'Ash'; 'Birch'; 'Cedar'; and 1 more. Aggregate",
    ),
    "one place in two spellings": (
        lambda d: d.assign(place=d.place.mask((d.place == "Dale") & (d.year > 2019), " dale")),
        {},
        "Names differ in nothing but capitals and spaces, of 2 clusters, whose names .*. Give each cluster one name",
    ),
    "changing start": (
        lambda d: d.assign(first=at(d["first"], 2020, 1).astype(int)),
        {},
        "first_treated changes within 1 cluster, whose names have too few rows to be shown. A cluster is",
    ),
    "start then never": (lambda d: d.assign(first=at(d["first"], np.nan, 1)), {}, "first_treated changes within 1 cluster"),
    "start in words": (
        lambda d: d.assign(first=at(d["first"], "never", 8, 9, 10, 11)),
        {},
        "4 rows have no period in first_treated='first' .1 value, not shown.*Give a number, or 0, nan or inf for never",
    ),
    "start left blank": (lambda d: d.assign(first=at(d["first"], "", 8)), {}, "1 row has no period in first_treated"),
    "start in words for all": (lambda d: d.assign(first="never"), {}, r"16 rows have no period .* \(1 value, such as 'never' in 16 rows\)"),
    "negative start": (lambda d: d.assign(first=at(d["first"], -1, 8)), {}, "1 row has no period in first_treated"),
    "minus infinity": (lambda d: d.assign(first=at(d["first"], -np.inf, 8)), {}, "1 row has no period in first_treated"),
    "start as a date": (lambda d: d.assign(first=pd.Timestamp("2020-01-01")), {}, "first_treated='first' holds dates, not numbers"),
    "period as a date": (
        lambda d: d.assign(year=pd.Timestamp("2020-01-01")),
        {},
        r"period='year' holds dates, .*Number the periods: years by \.dt\.year, quarters by 4 \* \.dt\.year \+ \.dt\.quarter",
    ),
    "quarters": (
        lambda d: d.assign(year=d.year.astype(str) + "Q1"),
        {},
        "period='year' holds values that are no finite numbers, in 16 of 16",
    ),
    "missing period": (lambda d: d.assign(year=at(d.year, np.nan)), {}, "1 row has no period in column"),
    "infinite period": (lambda d: d.assign(year=at(d.year, np.inf)), {}, "no finite numbers, in 1 of 16"),
    "missing place": (lambda d: d.assign(place=at(d.place, None)), {}, "1 row has no cluster in column"),
    "outcome in words": (lambda d: d.assign(rate="high"), {}, "outcome='rate' .*no finite numbers, in 16 of 16 rows. Code it"),
    "suppressed outcome": (lambda d: d.assign(rate=at(d.rate, "c")), {}, "no finite numbers, in 1 of 16 rows. .*missing values as nan"),
    "infinite outcome": (lambda d: d.assign(rate=at(d.rate, np.inf)), {}, "no finite numbers, in 1 of 16"),
    "dated outcome": (lambda d: d.assign(rate=pd.Timestamp("2020-01-01")), {}, "outcome='rate' holds dates"),
    "no outcome at all": (lambda d: d.assign(rate=np.nan), {}, "No cell has any individuals"),
    "negative weight": (lambda d: d.assign(people=-d.people), {"size": "people"}, "Cell counts must be finite and not negative"),
    "missing weight": (lambda d: d.assign(people=at(d.people, np.nan)), {"size": "people"}, "size='people' .* in 1 of 16"),
    "weight in words": (lambda d: d.assign(people="many"), {"size": "people"}, "size='people' holds values that are no finite numbers"),
    "counts for risks": (AS_IS, {"family": "binomial"}, "16 cells have a binomial mean outside"),
    "family": (AS_IS, {"family": "poison"}, "Did you mean 'poisson'?"),
    "absent column": (AS_IS, {"outcome": "rates"}, "outcome='rates' is not a column of the data. Did you mean 'rate'?"),
    "column twice": (lambda d: pd.concat([d, d[["year"]]], axis=1), {}, "period='year' names 2 columns"),
    "no rows": (lambda d: d[:0], {}, "The data have no rows"),
    "not a frame": (lambda d: d.to_numpy(), {}, "The data are a ndarray, not a pandas DataFrame"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_directions(name: str) -> None:
    change, arguments, says = REFUSALS[name]
    with pytest.raises(sw.DataError, match=says):
        read(change(panel()), **arguments)


def test_a_message_counts_outcomes_and_does_not_show_them() -> None:
    with pytest.raises(sw.DataError) as caught:
        read(panel().assign(rate=at(panel().rate, NAME)))
    assert NAME not in str(caught.value)


CHILDREN: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "two rows": lambda d: pd.concat([d, d]),
    "two spellings": lambda d: d.assign(place=d.place.mask(d.year > 2019, d.place.str.upper())),
    "changing start": lambda d: d.assign(first=d.year),
    "names as starts": lambda d: d.assign(first=d.place),
}


@pytest.mark.parametrize("name", CHILDREN)
def test_a_panel_of_children_shows_nobody(name: str) -> None:
    """Thirty children as clusters, four rows each: no name is in the message."""
    children = pd.concat([panel().assign(place=lambda d, i=i: f"{NAME} {i} " + d.place) for i in range(8)], ignore_index=True)
    with pytest.raises(sw.DataError) as caught:
        read(CHILDREN[name](children))
    assert "jane" not in str(caught.value).casefold()


@pytest.mark.parametrize("never", [0, 0.0, "0", np.nan, None, np.inf, "inf", pd.NA])
def test_every_code_for_never(never: object) -> None:
    trial = read(panel(Cedar=never, Dale=never))
    assert trial.comparators == 2
    assert trial.clusters == ("Ash", "Birch", "Cedar", "Dale")
    assert trial.exposure.tolist() == [[0, 1, 2, 3], [0, 0, 0, 1], [0] * 4, [0] * 4]


@pytest.mark.parametrize("change", [str, float, "category", "Int64"])
def test_years_whatever_their_dtype(change: Any) -> None:
    frame = panel().assign(year=panel().year.astype(change), first=panel()["first"].astype(change))
    trial = read(frame)
    assert trial.periods == YEARS
    assert trial.exposure[:2].tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]]


def test_years_as_text_sort_as_numbers() -> None:
    frame = panel().assign(year=(panel().year - 2010).astype(str), first=panel()["first"].map(lambda y: max(y - 2010, 0)))
    trial = read(frame)
    assert trial.periods == (8, 9, 10, 11)
    assert trial.exposure[0].tolist() == [0, 1, 2, 3]


def test_rows_in_any_order() -> None:
    np.testing.assert_array_equal(read(panel().sample(frac=1, random_state=3)).outcome, read().outcome)


def test_an_unbalanced_panel_leaves_cells_out_and_says_so() -> None:
    trial = read(panel().drop(index=[1, 5]).assign(rate=lambda d: d.rate.mask(d.index == 6)))
    assert trial.n.sum() == 13
    assert trial.notes == ("3 of 16 cells have no outcome and weigh nothing.",)
    assert trial.tidy().outcome.isna().sum() == 3
    assert "3 of 16 cells" in sw.TwoWayFixedEffects().fit(trial).summary()


def test_always_treated_places_are_told_of_and_keep_their_true_exposure() -> None:
    trial = read(panel(Birch=2014, Cedar=2018))
    assert trial.exposure[trial.clusters.index("Birch")].tolist() == [5, 6, 7, 8]
    assert trial.exposure[trial.clusters.index("Cedar")].tolist() == [1, 2, 3, 4]
    assert trial.notes == ("Treated in every period, so never a control: Birch; Cedar.",)


def test_places_treated_after_the_panel_are_controls_but_not_never_treated() -> None:
    trial = read(panel(Cedar=2030))
    assert not trial.treatment[trial.clusters.index("Cedar")].any()
    assert trial.comparators == 1


def test_uneven_years_are_told_of() -> None:
    trial = read(panel()[lambda d: d.year != 2020])
    assert trial.periods == (2018, 2019, 2021)
    assert trial.notes == ("The periods are unevenly spaced: exposure counts the periods of the panel.",)


def test_a_start_between_two_periods_counts_from_the_next() -> None:
    assert read(panel(Ash=2018.5)).exposure[0].tolist() == [0, 1, 2, 3]


def test_nobody_treated_is_no_estimate() -> None:
    trial = read(panel(Ash=0, Birch=0))
    for estimator in (sw.TwoWayFixedEffects(), sw.FixedEffects()):
        with pytest.raises(sw.FitError, match="rank deficient"):
            estimator.fit(trial)
    with pytest.raises(sw.DesignError, match="No cell is treated"):
        sw.FixedEffects(effect=sw.ByExposure()).fit(trial)


def test_weights_are_not_taken_for_numbers_of_individuals() -> None:
    """One mean a cell says nothing of the scatter inside it, whatever the cell weighs."""
    trial = read(size="people")
    assert trial.cells.within is None
    with pytest.raises(sw.DataError, match="one number each"):
        sw.MixedModel().fit(trial)
    light, heavy = (sw.FixedEffects(vcov="model").fit(read(panel().assign(people=panel().people * k), size="people")) for k in (1, 100))
    assert heavy.std_error == pytest.approx(light.std_error)
    assert heavy.df == light.df


def test_a_panel_has_no_design_to_reallocate() -> None:
    with pytest.raises(sw.DataError, match=r"no design says which other allocations were possible. Use PlaceboTest"):
        read().reallocated(np.array([0, 1, 2, 3]))
