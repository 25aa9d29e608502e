"""Counts that may not leave: 1 to 5, and those that would give such a count away by a difference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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
MISSING = "\N{NULL}"
"""In the place of a level, the rows whose value is missing."""
Part = dict[str, float]
"""Rows of one variable under one condition, by level."""


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


def sizes_for_release(rows: pd.DataFrame, flow: pd.DataFrame, told: Mapping[str, Iterable[float]]) -> Array:
    """Sizes ``n`` of results, missing where they would give a small count of rows away.

    They do by a difference from the total of a step, from another number that is told of the outcome, or from the size of another analysis
    of it, and by taking every cluster but one from it.
    """
    sizes = pd.to_numeric(rows["n"]).to_numpy(dtype=float, copy=True)
    steps = flow.groupby(["outcome", "population", "stage"], sort=False)["rows"]
    lost = steps.apply(lambda counts: counts.isna().sum())
    shown = {outcome: {*totals, *told.get(str(outcome), ())} for outcome, totals in steps.sum()[lost == 0].groupby("outcome")}
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
        Of the report, with three more columns: ``small``, whether the cell itself holds a small count; ``events``, nan where there are
        none to be counted; and ``described``, whether a baseline table tells the individuals under control and under treatment.
    flow : DataFrame
        As `flow_for_release` gives it.

    Returns
    -------
    DataFrame
        A cell is suppressed where it is small; where individuals, events or those without one differ by 1 to 5 from the same cell of
        another population; and where it is the least of a cluster and without it a suppressed number could be worked out: the individuals
        of the cluster's only suppressed cell, from the cluster's total, or a total that the flow does not tell. Two more columns are for
        `baseline_beside_cells` alone: ``secret``, whether the individuals of the cell must not be known, and ``told``, all of them.
    """
    counts = np.column_stack([cells["n"], cells["events"], cells["n"] - cells["events"]]).astype(float)
    hidden = cells["small"].to_numpy(dtype=bool) | _apart(cells, counts)
    secret = ((counts[:, 0] >= 1) & (counts[:, 0] <= SMALL)) | _apart(cells, counts[:, :1])
    hidden |= _beside(cells, flow, hidden, secret)
    return cells.assign(n=cells["n"].mask(hidden), mean=cells["mean"].mask(hidden), suppressed=hidden, secret=secret, told=cells["n"])


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
    """The least cell shown of every cluster in which a number that must not be known could be worked out.

    It is one of the same condition, if there is one; and where a baseline table tells the individuals of each condition and the cluster's
    total is not told, there is one of both.
    """
    more = np.zeros(len(cells), dtype=bool)
    total = flow[flow["stage"] == ANALYSED].set_index(CLUSTER)["suppressed"].to_dict()
    arm, described = cells["treatment"].to_numpy(dtype=float), cells["described"].to_numpy(dtype=bool)
    for places in _places(cells, CLUSTER):
        if total.get(tuple(cells[CLUSTER].iloc[places[0]]), False):
            groups = [places[arm[places] == k] for k in (0.0, 1.0)] if described[places].any() else [places]
            found = [_least(cells, hidden, group) for group in groups if not hidden[group].any()]
        else:
            alone = hidden[places].sum() == 1 and secret[places].any()
            own = arm[places] == arm[places][hidden[places]][0] if alone else arm[places] == np.inf
            found = [_least(cells, hidden, places[own]) or _least(cells, hidden, places)] if alone else []
        more[[place for one in found for place in one]] = True
    return more


def _least(cells: pd.DataFrame, hidden: NDArray[np.bool_], places: NDArray[np.intp]) -> list[int]:
    """The least cell with individuals that is shown, if there is one."""
    n = cells["n"].to_numpy(dtype=float)
    return sorted((int(place) for place in places if not hidden[place] and n[place] > 0), key=lambda place: n[place])[:1]


def baseline_for_release(baseline: pd.DataFrame, totals: Mapping[str, float]) -> pd.DataFrame:
    """Covariates by condition without small counts: ``suppressed`` is set where ``n`` is left out.

    Parameters
    ----------
    baseline : DataFrame
        Of the report.
    totals : mapping
        Rows that the flow tells of each population, in the clusters described; no number where it does not tell all.

    Returns
    -------
    DataFrame
        A count is left out where it is 1 to 5, where it differs by so much from the same one of another population, and where it is the
        least of a variable and condition and without it the rest would tell such a count. So is the number of missing values. A mean is
        left out where its own count is small. Nothing but means of many is told of a population whose numbers of rows are small, or give
        a small one away.
    """
    earlier: list[dict[tuple[str, str], Part]] = []
    hidden, lost, unfit = np.zeros((3, len(baseline)), dtype=bool)
    for population, places in zip(baseline["population"].unique(), _places(baseline, ["population"]), strict=True):
        parts = _parts(baseline.iloc[places])
        whole = _gives_population_away(parts, totals.get(population, np.nan), earlier)
        secret = {key: set(part) if whole else _secret(part, [other.get(key, {}) for other in earlier]) for key, part in parts.items()}
        for place, row in zip(places, baseline.iloc[places].to_dict("records"), strict=True):
            key, level = (row["variable"], row["condition"]), row["level"]
            hidden[place], lost[place] = level in secret[key], MISSING in secret[key]
            unfit[place] = _gives_away(row["n"], (other[key][level] for other in earlier if level in other.get(key, {})))
        earlier.append(parts)
    left = {name: baseline[name].astype(float).mask(hidden) for name in ("n", "share")}
    means = {name: baseline[name].astype(float).mask(unfit) for name in ("mean", "sd")}
    return baseline.assign(**left, **means, missing=baseline["missing"].astype(float).mask(lost), suppressed=hidden)


def _parts(baseline: pd.DataFrame) -> dict[tuple[str, str], Part]:
    """Rows of each variable and condition of one population, by level; those with a missing value are one more."""
    found: dict[tuple[str, str], Part] = {}
    for row in baseline.to_dict("records"):
        missing = {MISSING: float(row["missing"])} if row["variable"] else {}
        found.setdefault((row["variable"], row["condition"]), missing)[row["level"]] = float(row["n"])
    return found


def _gives_population_away(parts: Mapping[tuple[str, str], Part], total: float, earlier: Sequence[Mapping[tuple[str, str], Part]]) -> bool:
    """Whether the rows of a condition are few, or too near to those of another population or to a total."""
    sizes = {key: part[""] for key, part in parts.items() if not key[0]}
    near = any(_gives_away(n, (other[key][""] for other in earlier)) for key, n in sizes.items())
    return near or np.isnan(total) or _gives_away(total - sum(sizes.values()), ())


def _secret(part: Part, earlier: Sequence[Part]) -> set[str]:
    """Levels whose counts are left out: those that are small or give a small one away, then the least until their sum does not."""
    found = {level for level, n in part.items() if _gives_away(n, (other[level] for other in earlier if level in other))}
    for level in sorted((level for level, n in part.items() if n and level not in found), key=lambda level: part[level]):
        if not _told(found, part, earlier):
            break
        found.add(level)
    return found


def _told(secret: set[str], part: Part, earlier: Sequence[Part]) -> bool:
    """Whether what is left out of a total tells a small count: alone, or by its sum."""
    rest = sum(part[level] for level in secret)
    return len(secret) == 1 or (bool(secret) and _gives_away(rest, (sum(other.get(level, 0.0) for level in secret) for other in earlier)))


def baseline_beside_cells(baseline: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Covariates without the counts of populations whose rows by condition give a small count away beside the cells of their outcome.

    Parameters
    ----------
    baseline : DataFrame
        As `baseline_for_release` gives it.
    cells : DataFrame
        As `cells_for_release` gives it, of the clusters and the outcome described.
    """
    sizes = baseline[(baseline["variable"] == "") & baseline["n"].notna()]
    lost = {row.population for row in sizes.itertuples(index=False) if _near(row, cells, set(sizes["population"]))}
    gone = baseline["population"].isin(lost)
    blank = {name: baseline[name].mask(gone) for name in ("n", "share", "missing")}
    return baseline.assign(**blank, suppressed=baseline["suppressed"].astype(bool) | gone)


def _near(size: Any, cells: pd.DataFrame, described: set[Any]) -> bool:
    """Whether the rows of a condition tell a small count beside the cells shown, or the individuals of a suppressed cell.

    Those of all suppressed cells together may not be near to the same cells of another population, where these are shown or told.
    """
    arm = cells[cells["treatment"] == float(size.condition == "treated")].set_index(["cluster", "period"])
    own = arm[arm["population"] == size.population]
    rest = own[own["suppressed"].astype(bool)]
    same = [arm[(arm["population"] == name) & arm.index.isin(rest.index)] for name in arm["population"].unique()]
    others = [float(c["told"].sum()) for c in same if not c["suppressed"].any() or c["population"].iloc[0] in described]
    alone = len(rest) == 1 and bool(rest["secret"].any())
    apart = bool(len(rest)) and _gives_away(float(rest["told"].sum()), others)
    return alone or apart or _gives_away(float(size.n) - float(own["n"].sum()), ())
