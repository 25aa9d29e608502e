"""The real panel of authorities: a study's clusters against their statistical neighbours, year by year."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike

import numpy as np
import pandas as pd

from swedge.errors import DataError, listing, nearest
from swedge.studies.facts import NO_WRONG_DOOR_ADOPTERS, SAFEGUARDING_ADOPTERS, VALUED_ADOPTERS, family_safeguarding
from swedge.studies.study import Study
from swedge.trial import Trial

Path = str | PathLike[str]

KEYS = ("la_code", "la_name", "year")
NEIGHBOUR_KEYS = ("la_code", "la_name", "rank", "neighbour_la_code")
SISTERS = (VALUED_ADOPTERS, NO_WRONG_DOOR_ADOPTERS)


def authority_panel(
    panel_csv: Path,
    neighbours_csv: Path,
    outcome: str,
    *,
    study: Study | None = None,
    neighbours: int = 10,
    exclude_sisters: bool = False,
    years: Iterable[int] | None = None,
    balanced: bool = True,
    size: str | None = None,
) -> Trial:
    """An observational trial: a study's authorities against their statistical neighbours, by reporting year.

    A reporting year is named by the 31 March on which it ends, and the year that holds go-live is the first treated one: authorities that
    went live late in it were treated for part of it only, as the notes say. Comparison authorities are the union of each cluster's nearest
    neighbours, without the study's own clusters and without known adopters of Family Safeguarding.

    Parameters
    ----------
    panel_csv : path
        One row an authority and year: ``la_code, la_name, year`` and outcomes. A blank is a missing value, never zero.
    neighbours_csv : path
        ``la_code, la_name, rank, neighbour_la_code``. Neighbours are found by code, as tables spell names in different ways.
    outcome : str
        A column of the panel.
    study : Study, optional
        `family_safeguarding` by default.
    neighbours : int
        How many of the nearest neighbours of each cluster.
    exclude_sisters : bool
        Also leave out known adopters of the sister programmes, Family Valued and No Wrong Door.
    years : iterable of int, optional
        Reporting years. Left out: every year in which the outcome was published for at least one of the study's authorities. Years long after the
        trial add comparison authorities that may have adopted the programme meanwhile.
    balanced : bool
        Drop comparison authorities without the outcome in some year, and name them in the notes. False keeps them with what they have. The
        study's own authorities always stay.
    size : str, optional
        Column of weights, such as a denominator. Left out, every authority and year weighs the same.

    Raises
    ------
    DataError
        If a column, year or authority is missing, or no comparison authority is left.
    """
    programme = family_safeguarding() if study is None else study
    panel = _read(panel_csv, (*KEYS, outcome, *([size] if size else [])))
    codes = _codes(panel, programme)
    controls, notes = _controls(panel, _read(neighbours_csv, NEIGHBOUR_KEYS), codes, neighbours, exclude_sisters)
    chosen = _years(panel, outcome, codes, years)
    rows = _rows(panel, {**codes, **controls}, chosen, outcome)
    kept, lost = _balanced(rows, outcome, list(controls), len(chosen)) if balanced else (rows, ())
    starts = first_treated_years(programme)
    table = kept.assign(first_treated=kept["authority"].map(starts).fillna(0))
    _check_controls(table, starts)
    trial = Trial.from_panel(table, cluster="authority", period="year", outcome=outcome, first_treated="first_treated", size=size)
    return replace(trial, notes=(*notes, *lost, *_calendar_notes(programme, starts, chosen), *trial.notes))


def comparison_authorities(
    panel_csv: Path, neighbours_csv: Path, *, study: Study | None = None, neighbours: int = 10, exclude_sisters: bool = False
) -> pd.DataFrame:
    """Who the comparison authorities are: one row a cluster and neighbour, with ``authority, rank, neighbour, excluded`` (why, or blank)."""
    programme = family_safeguarding() if study is None else study
    panel, table = _read(panel_csv, KEYS), _read(neighbours_csv, NEIGHBOUR_KEYS)
    return _candidates(panel, table, _codes(panel, programme), neighbours, exclude_sisters)


def first_treated_years(study: Study) -> dict[str, int]:
    """The reporting year (named by the 31 March on which it ends) that holds each cluster's go-live.

    Examples
    --------
    >>> first_treated_years(family_safeguarding())["Walsall"]
    2021
    """
    if study.allocation is None or not study.design.boundaries:
        raise DataError(f"{study.name} has no published go-live dates, so no year is the first treated one.")
    live = study.allocation.calendar().set_index("cluster")["go_live"]
    return {name: int(day.year + (day.month >= 4)) for name, day in live.items()}


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.read_csv(path)
    lacking = [f"{name!r}.{nearest(name, frame.columns)}" for name in columns if name not in frame.columns]
    if lacking:
        raise DataError(f"{path} lacks {listing(lacking)} Columns are {listing(list(frame.columns), 8)}.")
    return frame


def _names(panel: pd.DataFrame) -> pd.Series:
    """Each code's name in its latest year: names change, codes do not."""
    return panel.sort_values("year").groupby("la_code")["la_name"].last()


def _codes(panel: pd.DataFrame, study: Study) -> dict[str, int]:
    """The code of each of the study's authorities, whose names must match exactly."""
    known = {name: int(code) for code, name in _names(panel).items()}
    absent = [f"{name!r}.{nearest(name, known)}" for name in study.design.clusters if name not in known]
    if absent:
        raise DataError(f"The panel has no authority called {listing(absent)} Names must match exactly; correct the study's or the panel's.")
    return {name: known[name] for name in study.design.clusters}


def _candidates(panel: pd.DataFrame, table: pd.DataFrame, codes: dict[str, int], count: int, sisters: bool) -> pd.DataFrame:
    """Every cluster's nearest neighbours, with the reason why one is no comparison authority."""
    names = _names(panel)
    lacking = [name for name, code in codes.items() if code not in set(table["la_code"])]
    if lacking:
        raise DataError(f"The neighbour table has no rows for {listing(lacking)}. Complete it, or leave the authority out of the study.")
    near = table[table["la_code"].isin(codes.values()) & (table["rank"] <= count)].sort_values(["la_code", "rank"], ignore_index=True)
    unknown = sorted(set(near["neighbour_la_code"]) - set(names.index))
    if unknown:
        raise DataError(f"{len(unknown)} neighbours are not in the panel: codes {listing(unknown)}. Use tables of the same year.")
    found = near["neighbour_la_code"].map(names)
    own = near["la_code"].map({code: name for name, code in codes.items()})
    rows = pd.DataFrame({"authority": own, "rank": near["rank"], "neighbour": found, "code": near["neighbour_la_code"]})
    return rows.assign(excluded=found.map(_reasons(codes, sisters)).fillna(""))


def _reasons(codes: dict[str, int], sisters: bool) -> dict[str, str]:
    groups = (*SISTERS, SAFEGUARDING_ADOPTERS) if sisters else (SAFEGUARDING_ADOPTERS,)
    adopters = {name: f"known adopter of {group.programme}" for group in groups for name in group.authorities}
    return {**adopters, **dict.fromkeys(codes, "a cluster of the study")}


def _controls(
    panel: pd.DataFrame, table: pd.DataFrame, codes: dict[str, int], count: int, sisters: bool
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Names and codes of the comparison authorities, and what a reader must know of them."""
    rows = _candidates(panel, table, codes, count, sisters)
    kept, out = rows[rows["excluded"] == ""], rows[rows["excluded"] != ""]
    controls = {name: int(code) for name, code in zip(kept["neighbour"], kept["code"], strict=True)}
    removed = [f"{name} ({why})" for name, why in sorted(set(zip(out["neighbour"], out["excluded"], strict=True)))]
    notes = [
        f"Comparison authorities: the {count} nearest statistical neighbours of each of {len(codes)} authorities, {len(controls)} in all."
        f" Excluded: {listing(removed, 20) or 'none'}. Known adopters of Family Safeguarding are {', '.join(SAFEGUARDING_ADOPTERS.authorities)}.",
        SAFEGUARDING_ADOPTERS.note,
    ]
    still = sorted(name for group in SISTERS for name in group.authorities if name in controls)
    if still:
        notes.append(f"Adopters of a sister programme among the controls: {', '.join(still)}. exclude_sisters=True leaves them out.")
    return controls, tuple(notes)


def _years(panel: pd.DataFrame, outcome: str, codes: dict[str, int], years: Iterable[int] | None) -> list[int]:
    published = panel[panel["la_code"].isin(codes.values()) & panel[outcome].notna()]
    available = sorted({int(year) for year in published["year"]})
    if not available:
        raise DataError(f"{outcome!r} is blank in every year for the study's authorities. Choose another outcome.")
    chosen = available if years is None else sorted(set(years))
    unknown = [year for year in chosen if year not in available]
    if unknown or not chosen:
        raise DataError(f"{outcome!r} was not published for {listing(unknown) or 'no year'}; it has {available[0]} to {available[-1]}. Choose years among these.")
    return chosen


def _rows(panel: pd.DataFrame, authorities: dict[str, int], years: list[int], outcome: str) -> pd.DataFrame:
    """The chosen authorities and years, one name an authority; rows of an authority that did not exist yet are simply absent."""
    names = {code: name for name, code in authorities.items()}
    rows = panel[panel["la_code"].isin(names) & panel["year"].isin(years)]
    numbers = pd.to_numeric(rows[outcome], errors="coerce")
    wrong = int((numbers.isna() & rows[outcome].notna()).sum())
    if wrong:
        raise DataError(f"{outcome!r} holds {wrong} values that are no numbers. Leave suppressed cells blank.")
    return rows.assign(authority=rows["la_code"].map(names))


def _balanced(rows: pd.DataFrame, outcome: str, controls: list[str], years: int) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows without the comparison authorities that lack the outcome in some year."""
    seen = rows.groupby("authority")[outcome].count().reindex(controls, fill_value=0)
    short = sorted(seen.index[seen < years])
    if not short:
        return rows, ()
    shown = [f"{name} ({int(seen[name])} of {years})" for name in short]
    note = f"{len(short)} comparison authorities were dropped for years without {outcome}: {listing(shown, 20)}. balanced=False keeps them."
    return rows[~rows["authority"].isin(short)], (note,)


def _check_controls(table: pd.DataFrame, starts: dict[str, int]) -> None:
    if set(table["authority"]) <= set(starts):
        raise DataError("No comparison authority is left. Use more neighbours, fewer years, or balanced=False.")


def _calendar_notes(study: Study, starts: dict[str, int], years: list[int]) -> tuple[str, ...]:
    shown = [f"{name} {starts[name]} ({_share_treated(study, name, starts[name]):.0%} of it)" for name in study.design.clusters]
    notes = [f"First treated year, to 31 March, and how much of it came after go-live: {'; '.join(shown)}."]
    late = [name for name, year in starts.items() if not years[0] < year <= years[-1]]
    if late:
        notes.append(f"Not observed both before and after go-live in {years[0]} to {years[-1]}: {', '.join(late)}.")
    return tuple(notes)


def _share_treated(study: Study, name: str, year: int) -> float:
    """Share of the reporting year's days that came on or after go-live."""
    assert study.allocation is not None
    live = study.allocation.calendar().set_index("cluster")["go_live"][name]
    end, start = pd.Timestamp(year, 4, 1), pd.Timestamp(year - 1, 4, 1)
    return float(np.clip((end - live) / (end - start), 0, 1))
