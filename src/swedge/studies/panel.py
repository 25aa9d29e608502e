"""The real panel of authorities: a study's clusters against their statistical neighbours, year by year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

import pandas as pd

from swedge.errors import DataError, listing
from swedge.studies.facts import family_safeguarding
from swedge.studies.neighbours import KEYS, NEIGHBOUR_KEYS, Path, authority_codes, controls_of, read_table
from swedge.studies.study import Study
from swedge.trial import Trial


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
        Reporting years. Left out: every year in which the outcome was published for at least one of the study's authorities, as early
        years show whether trends were parallel. The later a year, the likelier that comparison authorities have adopted the programme.
    balanced : bool
        Drop comparison authorities without the outcome in some year, and name them in the notes. False keeps them with what they have. The
        study's own authorities always stay.
    size : str, optional
        Column of weights, such as a denominator. Left out, every authority and year weighs the same.

    Raises
    ------
    DataError
        If a column, year or authority is missing, or no comparison authority is left.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from swedge.studies import simulate_panel
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = Path(folder, "panel.csv"), Path(folder, "neighbours.csv")
    ...     for frame, file in zip(simulate_panel(seed=1), files, strict=True):
    ...         frame.to_csv(file, index=False)
    ...     trial = authority_panel(*files, outcome="cla_rate_per_10k", years=range(2018, 2026))
    >>> len(trial.clusters) - trial.comparators, len(trial.periods)
    (5, 8)
    """
    programme = family_safeguarding() if study is None else study
    panel = read_table(panel_csv, (*KEYS, outcome, *([size] if size else [])))
    codes = authority_codes(panel, programme)
    controls, notes = controls_of(panel, read_table(neighbours_csv, NEIGHBOUR_KEYS), codes, neighbours, exclude_sisters)
    chosen = _years(panel, outcome, codes, years)
    rows = _rows(panel, {**codes, **controls}, chosen, outcome)
    kept, lost = _balanced(rows, outcome, list(controls), len(chosen)) if balanced else (rows, ())
    starts = first_treated_years(programme)
    table = kept.assign(first_treated=kept["authority"].map(starts).fillna(0))
    _check_controls(table, starts)
    trial = Trial.from_panel(table, cluster="authority", period="year", outcome=outcome, first_treated="first_treated", size=size)
    return replace(trial, notes=(*notes, *lost, *_calendar_notes(programme, starts, chosen), *trial.notes))


def first_treated_years(study: Study) -> dict[str, int]:
    """The reporting year (named by the 31 March on which it ends) that holds each cluster's go-live.

    Examples
    --------
    >>> first_treated_years(family_safeguarding())["Walsall"]
    2021
    """
    return {name: day.year + (day.month >= 4) for name, day in study.go_live.items()}


def _years(panel: pd.DataFrame, outcome: str, codes: dict[str, int], years: Iterable[int] | None) -> list[int]:
    published = panel[panel["la_code"].isin(codes.values()) & panel[outcome].notna()]
    available = sorted({int(year) for year in published["year"]})
    if not available:
        raise DataError(f"{outcome!r} is blank in every year for the study's authorities. Choose another outcome.")
    chosen = available if years is None else sorted(set(years))
    unknown = [year for year in chosen if year not in available]
    if unknown or not chosen:
        raise DataError(
            f"years holds {listing(unknown) or 'nothing'}; {outcome!r} has {available[0]} to {available[-1]}. Choose from these."
        )
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
    note = f"{len(short)} comparison authorities were dropped for years without {outcome}: {'; '.join(shown)}. balanced=False keeps them."
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
    first, after = dt.date(year - 1, 4, 1), dt.date(year, 4, 1)
    return (after - study.go_live[name]) / (after - first)
