"""Who the comparison authorities are: statistical neighbours, without clusters of the study and known adopters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike

import pandas as pd

from swedge.design.validation import whole
from swedge.errors import DataError, listing, nearest
from swedge.studies.facts import NO_WRONG_DOOR_ADOPTERS, SAFEGUARDING_ADOPTERS, VALUED_ADOPTERS, Adopters, family_safeguarding
from swedge.studies.study import Study

Path = str | PathLike[str]

KEYS = ("la_code", "la_name", "year")
NEIGHBOUR_KEYS = ("la_code", "la_name", "rank", "neighbour_la_code")
SISTERS = (VALUED_ADOPTERS, NO_WRONG_DOOR_ADOPTERS)


def comparison_authorities(
    panel_csv: Path, neighbours_csv: Path, *, study: Study | None = None, neighbours: int = 10, exclude_sisters: bool = False
) -> pd.DataFrame:
    """One row a cluster and neighbour: ``authority, rank, neighbour, code, excluded`` (the reason, or blank for a comparison authority).

    Parameters
    ----------
    panel_csv, neighbours_csv, study, neighbours, exclude_sisters
        As in `authority_panel`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from swedge.studies import simulate_panel
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = Path(folder, "panel.csv"), Path(folder, "neighbours.csv")
    ...     for frame, file in zip(simulate_panel(seed=1), files, strict=True):
    ...         frame.to_csv(file, index=False)
    ...     table = comparison_authorities(*files, neighbours=2)
    >>> list(table.columns)
    ['authority', 'rank', 'neighbour', 'code', 'excluded']
    """
    programme = family_safeguarding() if study is None else study
    panel, table = read_table(panel_csv, KEYS), read_table(neighbours_csv, NEIGHBOUR_KEYS)
    return _candidates(panel, table, authority_codes(panel, programme), neighbours, exclude_sisters)


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """A CSV file that must have these columns."""
    frame = pd.read_csv(path)
    lacking = [f"{name!r}.{nearest(name, frame.columns)}" for name in columns if name not in frame.columns]
    if lacking:
        raise DataError(f"{path} lacks {listing(lacking)} Columns are {listing(list(frame.columns), 8)}.")
    return frame


def _names(panel: pd.DataFrame) -> dict[int, str]:
    """Each code's name in its latest year: names change, codes do not."""
    last = panel.sort_values("year").drop_duplicates("la_code", keep="last")
    return dict(zip(last["la_code"].astype(int), last["la_name"].astype(str), strict=True))


def authority_codes(panel: pd.DataFrame, study: Study) -> dict[str, int]:
    """The code of each of the study's authorities, whose names must match exactly."""
    known = {name: code for code, name in _names(panel).items()}
    absent = [f"{name!r}.{nearest(name, known)}" for name in study.design.clusters if name not in known]
    if absent:
        raise DataError(f"The panel has no authority called {listing(absent)} Names must match exactly: correct the study or the panel.")
    return {name: known[name] for name in study.design.clusters}


def _candidates(panel: pd.DataFrame, table: pd.DataFrame, codes: dict[str, int], count: int, sisters: bool) -> pd.DataFrame:
    """Every cluster's nearest neighbours, with the reason why one is no comparison authority."""
    names = _names(panel)
    lacking = [name for name, code in codes.items() if code not in set(table["la_code"])]
    if lacking:
        raise DataError(f"The neighbour table has no rows for {listing(lacking)}. Complete it, or leave the authority out of the study.")
    chosen = table["la_code"].isin(list(codes.values())) & (table["rank"] <= whole(count, "neighbours", least=1))
    near = table[chosen].sort_values(["la_code", "rank"], ignore_index=True)
    unknown = sorted(set(near["neighbour_la_code"]) - set(names))
    if unknown:
        raise DataError(f"{len(unknown)} neighbours are not in the panel: codes {listing(unknown)}. Use tables of the same year.")
    found = near["neighbour_la_code"].map(names)
    own = near["la_code"].map({code: name for name, code in codes.items()})
    rows = pd.DataFrame({"authority": own, "rank": near["rank"], "neighbour": found, "code": near["neighbour_la_code"]})
    return rows.assign(excluded=found.map(_spelling).map(_reasons(codes, sisters)).fillna(""))


def _spelling(name: str) -> str:
    """A name by its letters alone, so that no adopter slips in by a full stop or a capital."""
    return "".join(letter for letter in name.casefold() if letter.isalpha())


def _excluded_groups(sisters: bool) -> tuple[Adopters, ...]:
    return (*SISTERS, SAFEGUARDING_ADOPTERS) if sisters else (SAFEGUARDING_ADOPTERS,)


def _reasons(codes: dict[str, int], sisters: bool) -> dict[str, str]:
    """Why an authority, by the letters of its name, is no comparison authority."""
    adopters = {_spelling(name): f"known adopter of {group.programme}" for group in _excluded_groups(sisters) for name in group.authorities}
    return {**adopters, **{_spelling(name): "a cluster of the study" for name in codes}}


def controls_of(
    panel: pd.DataFrame, table: pd.DataFrame, codes: dict[str, int], count: int, sisters: bool
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Names and codes of the comparison authorities, and what a reader must know of them."""
    rows = _candidates(panel, table, codes, count, sisters)
    kept, out = rows[rows["excluded"] == ""], rows[rows["excluded"] != ""]
    controls = dict(zip(kept["neighbour"], kept["code"].astype(int), strict=True))
    removed = [f"{name} ({why})" for name, why in sorted(set(zip(out["neighbour"], out["excluded"], strict=True)))]
    choice = (
        f"Comparison authorities: the {count} nearest statistical neighbours of each of {len(codes)} authorities, {len(controls)} in all."
        f" Left out: {listing(removed, 20) or 'none was a cluster of the study or a known adopter'}."
    )
    return controls, (choice, *_adopter_notes(set(_names(panel).values()), controls, sisters))


def _adopter_notes(known: set[str], controls: dict[str, int], sisters: bool) -> Iterator[str]:
    named = [name for group in _excluded_groups(sisters) for name in group.authorities]
    yield f"Known adopters, never comparison authorities: {', '.join(named)}. {SAFEGUARDING_ADOPTERS.note}"
    spelt = {_spelling(name) for name in known}
    if unseen := [name for name in named if _spelling(name) not in spelt]:
        yield f"Known adopters that the panel does not name: {', '.join(unseen)}. Check that it does not hold them under another name."
    still = {_spelling(name) for group in SISTERS for name in group.authorities}
    if among := sorted(name for name in controls if _spelling(name) in still):
        yield f"Adopters of a sister programme among the comparison authorities: {', '.join(among)}. exclude_sisters=True leaves them out."
