"""Groups of clusters: what is refused with directions, and what becomes tuples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import swedge as sw

REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a dictionary": ({"groups": {"north": ["A", "B"], "south": ["C"]}}, r"is a dictionary\. Pass its groups of names, .*labels=\("),
    "a text": ({"groups": "AB"}, r"holds 'AB'\. Pass groups of names, such as \(\('A', 'B'\), \('C',\)\)"),
    "texts for groups": ({"groups": ("Ayr", "Bute")}, r"holds 'Ayr'\. Pass groups of names"),
    "sets, which have no order": ({"groups": [{"A"}, {"B"}]}, r"holds {'A'}\. Pass"),
    "a number": ({"groups": 3}, r"holds 3\. Pass"),
    "numbers that are no names": ({"groups": [[1.5], [None]]}, r"holds 1\.5, no name of clusters"),
    "one group": ({"groups": [["A"]]}, "expected at least two groups"),
    "an empty group": ({"groups": [["A"], []]}, "expected at least two groups"),
    "no groups": ({}, "expected at least two groups"),
    "a name twice": ({"groups": [["A"], ["A", "B"]]}, "A stands in groups= twice"),
    "two names twice": ({"groups": [["A", "B"], ["A", "B"]]}, "A; B stand in groups= twice"),
    "a label as text": ({"labels": "ns"}, "labels='ns'; expected a different text for each of 2 groups"),
    "one label": ({"labels": ["n"]}, "each of 2 groups"),
    "labels alike": ({"labels": ["n", "n"]}, "a different text"),
    "a blank label": ({"labels": ["n", " "]}, "a different text"),
    "numbers for labels": ({"labels": [1, 2]}, "a different text"),
    "labels by name": ({"labels": {"A": "n", "B": "s"}}, "a different text"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bad_input_groups(name: str) -> None:
    change, says = REFUSALS[name]
    with pytest.raises(sw.DesignError, match=says):
        sw.ByGroup(**({"groups": (("A",), ("B",))} if "labels" in change else {}) | change)


def test_law_lists_mean_the_same_as_tuples() -> None:
    tuples = sw.ByGroup((("1", "2"), ("3",)), ("north", "south"))
    assert sw.ByGroup([["1", "2"], ["3"]], ["north", "south"]) == tuples  # type: ignore[arg-type]
    assert sw.ByGroup([[1, np.int64(2)], [3]], labels=("north", "south")) == tuples  # type: ignore[arg-type, list-item]
    assert eval(repr(tuples), {"ByGroup": sw.ByGroup}) == tuples
    assert len({tuples, sw.ByGroup((("1", "2"), ("3",)))}) == 2


def test_law_labels_name_the_effects_and_change_none() -> None:
    allocation = sw.Design.stepped_wedge(8, periods=5).randomise(seed=1)
    trial = sw.Trial.from_cells(np.full((8, 5), 20), np.random.default_rng(2).normal(size=(8, 5)), allocation, within=500.0)
    groups = (("1", "2", "3"), ("4", "5", "6", "7", "8"))
    named, plain = (sw.FixedEffects(effect=sw.ByGroup(groups, labels)).fit(trial) for labels in (("north", "south west"), ()))
    assert named.terms == ("group north", "group south west")
    assert plain.terms == ("group 1", "group 2")
    np.testing.assert_array_equal(named.estimate, plain.estimate)
    assert named.tidy()["term"].tolist() == list(named.terms)
    assert "group south west" in named.summary()
    assert [text.get_text() for text in named.plot().get_yticklabels()] == list(named.terms)
