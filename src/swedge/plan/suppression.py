"""Counts that may not leave: 1 to 5, and those that would give such a count away by a difference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import SMALL

Array = NDArray[np.float64]

COUNT = re.compile(
    rf"(?<![\d.,])(?<!1 to )[1-{SMALL}](?= (?:of [\d,]+ )?(?:rows?|individuals?|people|persons?|child|children|events?|dates?)\b)"
)
"""A small count of people in a sentence."""

SIZE, UNTOLD = re.compile(r"(?<![\d.,])\d[\d,]* individuals\b"), "a number of individuals that is not told"

ANALYSED = "analysed"
"""The last step of a flow."""

CLUSTER = ["outcome", "population", "cluster"]


def without_small_counts(text: str) -> str:
    """A sentence in which no count of people is 1 to 5.

    >>> without_small_counts("3 rows were dropped; 3 of 60 rows had no date; 12 rows are left, and 3 clusters.")
    '1 to 5 rows were dropped; 1 to 5 of 60 rows had no date; 12 rows are left, and 3 clusters.'
    """
    return COUNT.sub(f"1 to {SMALL}", text)


def in_sentences(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """A table without small counts in the sentences of some columns."""
    told = {name: [without_small_counts(text) if isinstance(text, str) else text for text in frame[name]] for name in columns}
    return frame.assign(**told)


def _gives_away(count: float, shown: Iterable[float]) -> bool:
    """Whether a count is 1 to 5, or differs by so much from one that is shown."""
    return any(1 <= round(abs(count - other), 6) <= SMALL for other in (0.0, *shown))


def flow_for_release(flow: pd.DataFrame) -> pd.DataFrame:
    """Steps with ``rows`` missing and ``suppressed`` set where a count is small or gives a small one away.

    It does where it differs by 1 to 5 from one shown of the same cluster and outcome, at an earlier step or in another population.
    """
    counts = pd.to_numeric(flow["rows"]).to_numpy(dtype=float)
    hidden = np.isnan(counts)
    for places in _places(flow, ["outcome", "cluster"]):
        shown: list[float] = []
        for place in places[~hidden[places]]:
            hidden[place] = _gives_away(counts[place], shown)
            shown += [] if hidden[place] else [counts[place]]
    return flow.assign(rows=np.where(hidden, np.nan, counts), suppressed=hidden)


def _places(frame: pd.DataFrame, by: list[str]) -> list[NDArray[np.intp]]:
    """Positions of the rows of each group, in order."""
    return [np.sort(places) for places in frame.groupby(by, sort=False).indices.values()]


def sizes_for_release(rows: pd.DataFrame, flow: pd.DataFrame) -> Array:
    """Sizes ``n`` of results, missing where they would give a small count of rows away.

    They do by a difference from the total of a step or from the size of another analysis of the same outcome, and by taking every cluster
    but one from it.
    """
    sizes = pd.to_numeric(rows["n"]).to_numpy(dtype=float, copy=True)
    steps = flow.groupby(["outcome", "population", "stage"], sort=False)["rows"]
    lost = steps.apply(lambda counts: counts.isna().sum())
    shown = {outcome: set(totals) for outcome, totals in steps.sum()[lost == 0].groupby("outcome")}
    for place, (outcome, population) in enumerate(zip(rows["outcome"], rows["population"], strict=True)):
        known, size = shown.setdefault(outcome, set()), float(sizes[place])
        alone = lost.get((outcome, population, ANALYSED), 0) == 1
        if alone or (size not in known and _gives_away(size, known)):
            sizes[place] = np.nan
        elif size == size:
            known.add(size)
    return sizes


def notes_for_release(notes: pd.DataFrame, rows: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Sentences without small counts, and without the number of individuals of results whose size is left out."""
    told = set(rows.loc[rows["n"].notna(), list(key)].itertuples(index=False, name=None))
    secret = [place not in told for place in notes[list(key)].itertuples(index=False, name=None)]
    texts = [SIZE.sub(UNTOLD, text) if lost else text for text, lost in zip(notes["text"], secret, strict=True)]
    return in_sentences(notes.assign(text=texts), "text")


def cells_for_release(cells: pd.DataFrame, flow: pd.DataFrame) -> pd.DataFrame:
    """Cells with ``n`` and ``mean`` missing and ``suppressed`` set where a count is small or can be worked out.

    Parameters
    ----------
    cells : DataFrame
        Of the report, with two more columns: ``small``, whether the cell itself holds a small count, and ``events``, nan where there are
        none to be counted.
    flow : DataFrame
        As `flow_for_release` gives it.

    Returns
    -------
    DataFrame
        A cell is suppressed where it is small; where individuals, events or those without one differ by 1 to 5 from the same cell of
        another population; and where it is the least of a cluster and without it a suppressed number could be worked out: the individuals
        of the cluster's only suppressed cell, from the cluster's total, or a total that the flow does not tell.
    """
    counts = np.column_stack([cells["n"], cells["events"], cells["n"] - cells["events"]]).astype(float)
    hidden = cells["small"].to_numpy(dtype=bool) | _apart(cells, counts)
    secret = ((counts[:, 0] >= 1) & (counts[:, 0] <= SMALL)) | _apart(cells, counts[:, :1])
    hidden |= _beside(cells, flow, hidden, secret)
    return cells.assign(n=cells["n"].mask(hidden), mean=cells["mean"].mask(hidden), suppressed=hidden)


def _apart(cells: pd.DataFrame, counts: Array) -> NDArray[np.bool_]:
    """Cells that differ by a small count from the same one of another population."""
    hidden = np.zeros(len(cells), dtype=bool)
    for places in _places(cells, ["outcome", "cluster", "period"]):
        shown: list[Array] = []
        for place in places:
            hidden[place] = any(_gives_away(abs(a - b), ()) for other in shown for a, b in zip(counts[place], other, strict=True))
            shown += [] if hidden[place] or cells["small"].iloc[place] else [counts[place]]
    return hidden


def _beside(cells: pd.DataFrame, flow: pd.DataFrame, hidden: NDArray[np.bool_], secret: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The least cell shown of every cluster in which a number that must not be known could be worked out."""
    more, n = np.zeros(len(cells), dtype=bool), cells["n"].to_numpy(dtype=float)
    total = flow[flow["stage"] == ANALYSED].set_index(CLUSTER)["suppressed"].to_dict()
    for places in _places(cells, CLUSTER):
        key = tuple(cells[CLUSTER].iloc[places[0]])
        others = [place for place in places if not hidden[place] and n[place] > 0]
        alone = not hidden[places].any() if total.get(key, False) else hidden[places].sum() == 1 and secret[places].any()
        if alone and others:
            more[others[int(np.argmin(n[others]))]] = True
    return more
