"""`Report`: what a run of a locked plan found, as plain tables that carry the lock's hash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from swedge.design import record
from swedge.errors import PlanError
from swedge.estimate import COLUMNS
from swedge.plan.folder import write_folder
from swedge.plan.lock import LockedPlan, load_lock
from swedge.plan.suppression import flow_for_release, in_sentences, notes_for_release, sizes_for_release

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMAT = "swedge results 1"
RESULTS, LOCK = "results.json", "plan.lock.json"

KEY = ("analysis", "part", "outcome", "population", "method", "test")
ROWS = (
    *KEY,
    *COLUMNS,
    "scale",
    "level",
    "min_p",
    "n_allocations",
    "offered_level",
    "offered_low",
    "offered_high",
    "n",
    "clusters",
    "message",
)
FLOW = ("outcome", "population", "cluster", "stage", "rows", "suppressed")
CELLS = ("outcome", "population", "cluster", "period", "treatment", "n", "mean", "suppressed")
BASELINE = ("population", "variable", "level", "condition", "n", "share", "mean", "sd", "missing", "suppressed")
NOTES = (*KEY, "kind", "text")
REFERENCE = (*KEY, "statistic")
ADJUSTED = ("outcome", "p_value", "p_adjusted", "method", "message")
DEVIATIONS = ("kind", "where", "registered", "run")
TABLES = {
    "rows": ROWS,
    "adjusted": ADJUSTED,
    "deviations": DEVIATIONS,
    "flow": FLOW,
    "cells": CELLS,
    "baseline": BASELINE,
    "notes": NOTES,
    "reference": REFERENCE,
}
"""Columns of each table, in order, which JSON does not keep."""

OWN = ("versions", "purpose", "release", "data")
"""What a report holds beside its tables."""


@dataclass(frozen=True, eq=False, repr=False)
class Report:
    """The results of a locked plan.

    Attributes
    ----------
    locked : LockedPlan
    rows : DataFrame
        One row a fit's term or a test: ``analysis, part, outcome, population, method, test`` (empty for the fit itself), the columns that
        every result has, then ``scale, level, min_p, n_allocations, offered_level, offered_low, offered_high, n, clusters, message``.
        What failed has the status "failed" and its reason as message.
    adjusted : DataFrame
        p of the registered family: ``outcome, p_value, p_adjusted, method, message``.
    deviations : DataFrame
        ``kind, where, registered, run``.
    flow : DataFrame
        Rows left after each step: ``outcome, population, cluster, stage, rows, suppressed``.
    cells : DataFrame
        ``outcome, population, cluster, period, treatment, n, mean, suppressed``.
    baseline : DataFrame
        Covariates of the primary outcome's rows, by population and condition: ``population, variable, level, condition, n, share, mean, sd,
        missing, suppressed``. The variable of the rows themselves is empty, and so is the level of a number.
    notes : DataFrame
        Notes and sentences of methods of each fit and test: the key of `rows`, then ``kind, text``.
    reference : DataFrame
        Reference distributions of tests: the key of `rows`, then ``statistic``.
    versions : dict of str
        Of the packages that ran.
    purpose : str
        Empty for the analysis itself; otherwise what this is, such as a rehearsal.
    release : bool
        Whether counts of 1 to 5 are suppressed.
    data : dict of str
        SHA-256 of each table that was read, by source, as `swedge.plan.frames.csv_of` writes it.
    """

    locked: LockedPlan
    rows: pd.DataFrame
    adjusted: pd.DataFrame
    deviations: pd.DataFrame
    flow: pd.DataFrame
    cells: pd.DataFrame
    baseline: pd.DataFrame
    notes: pd.DataFrame
    reference: pd.DataFrame
    versions: dict[str, str]
    purpose: str = ""
    release: bool = True
    data: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line: how many results, how many failed, of which plan."""
        kind = f" ({self.purpose})" if self.purpose else ""
        return f"<Report{kind}: {len(self.rows)} rows, {len(self.failures)} failed, plan {self.sha256[:12]}>"

    @property
    def sha256(self) -> str:
        """Of the lock."""
        return self.locked.sha256

    @property
    def failures(self) -> pd.DataFrame:
        """Rows of what failed."""
        return self.rows[self.rows["status"] == "failed"]

    def tidy(self) -> pd.DataFrame:
        """One row a fit's term or a test, with the columns that every result has among them, and the lock's hash."""
        return self.rows.assign(plan_sha256=self.sha256)

    def summary(self) -> str:
        """Estimates of the main analyses, adjusted p, failures, deviations, and one paragraph of methods."""
        from swedge.plan.documents.results import summary_text

        return summary_text(self)

    def plot(self, outcome: str | None = None, ax: Axes | None = None) -> Axes:
        """Forest of every estimate of one outcome; of the primary one if none is named."""
        from swedge.plan.documents.figures import forest_of

        return forest_of(self, outcome, ax)

    def released(self) -> Report:
        """The same report; in one that is meant for release without small counts of rows, in numbers or in sentences.

        A count is also left out where it differs by 1 to 5 from another one shown: the difference is a count of rows too.
        """
        if not self.release:
            return replace(self, flow=self.flow.assign(rows=pd.to_numeric(self.flow["rows"]).astype(float), suppressed=False))
        flow = flow_for_release(self.flow)
        rows = in_sentences(self.rows, "message").assign(n=sizes_for_release(self.rows, flow, self._described()))
        return replace(
            self,
            flow=flow,
            rows=rows,
            adjusted=in_sentences(self.adjusted, "message"),
            deviations=in_sentences(self.deviations, "run"),
            notes=notes_for_release(self.notes, rows, KEY),
        )

    def _described(self) -> dict[str, list[float]]:
        """Rows that the baseline table tells of the primary outcome, in each population."""
        from swedge.plan.documents.naming import primary_of

        sizes = self.baseline[self.baseline["variable"] == ""].groupby("population", sort=False)["n"]
        told = [float(n.sum()) for _, n in sizes if n.notna().all()]
        return {primary_of(self.locked.plan).name: told}

    def save(self, folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write results, tables, figures and documents into a folder: all of it, or nothing.

        Parameters
        ----------
        folder : path
        overwrite : bool
            Whether a folder that holds another report may be replaced.

        Returns
        -------
        Path
            Of ``report.html``.

        Raises
        ------
        PlanError
            If the folder holds something else and `overwrite` is not set.
        """
        from swedge.plan.documents.outputs import files_of

        write_folder(Path(folder), {**self.files(), **files_of(self)}, overwrite, known=RESULTS)
        return Path(folder) / "report.html"

    def save_results(self, folder: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write the results and their tables as CSV, without the documents, which `save` makes of them at any time.

        Returns
        -------
        Path
            The folder.

        Raises
        ------
        PlanError
            As `save`.
        """
        from swedge.plan.documents.outputs import table_files

        write_folder(Path(folder), {**self.files(), **table_files(self)}, overwrite, known=RESULTS)
        return Path(folder)

    def files(self) -> dict[str, bytes]:
        """The lock and the results, from which everything else can be made again."""
        return {LOCK: record.text(self.locked.content), RESULTS: record.text(self.content())}

    def content(self) -> dict[str, Any]:
        """The results as JSON values, with the SHA-256 of all the rest; numbers keep every digit."""
        tables = {name: _columns(getattr(self, name)) for name in TABLES}
        own = {name: getattr(self, name) for name in OWN}
        body = {"format": FORMAT, "plan_sha256": self.sha256, **tables, **own}
        return {**body, "sha256": record.digest(body)}

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> Self:
        """Read a saved report.

        Raises
        ------
        PlanError
            If the results are not those of the lock beside them, are of another version, or were edited.
        """
        home = Path(folder)
        if not (home / RESULTS).is_file():
            raise PlanError(f"{home} holds no {RESULTS}. Name the folder that `swedge run` wrote.")
        locked = load_lock(home / LOCK)
        path = home / RESULTS
        names = [field.name for field in fields(cls) if field.name != "locked"]
        content = record.only(record.parse(path.read_bytes(), path), ("format", "plan_sha256", *names, "sha256"), f"top level ({RESULTS})")
        if content["format"] != FORMAT:
            raise PlanError(f"{path} has format {content['format']!r:.60}; this version of swedge reads {FORMAT!r}. Run the plan again.")
        if content["plan_sha256"] != locked.sha256:
            raise PlanError(f"{path} is of plan {content['plan_sha256']}, and {LOCK} beside it of {locked.sha256}. Run the plan again.")
        if content["sha256"] != record.digest({name: value for name, value in content.items() if name != "sha256"}):
            raise PlanError(f"{path} was edited after it was written. Run the plan again, or go back to the file as it was.")
        with record.reading(RESULTS):
            tables: dict[str, Any] = {name: _frame(content[name]).reindex(columns=list(columns)) for name, columns in TABLES.items()}
        return cls(locked, **tables, **{name: content[name] for name in OWN})


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A table as columns of JSON values; infinite numbers as text, missing ones as null."""
    return {str(name): [_plain(value) for value in frame[name].tolist()] for name in frame.columns}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if np.isnan(value) else value if np.isfinite(value) else {"number": str(value)}
    return None if value is pd.NA or value is pd.NaT else value


def _frame(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([_value(entry) for entry in entries], dtype=_dtype(entries)) for name, entries in columns.items()})


def _value(entry: Any) -> Any:
    return float(entry["number"]) if isinstance(entry, dict) else entry


def _dtype(entries: list[Any]) -> str | None:
    known = [entry for entry in entries if entry is not None]
    if known and all(isinstance(entry, bool) for entry in known):
        return "object" if len(known) < len(entries) else "bool"
    numbers = all(isinstance(entry, int | float | dict) for entry in known)
    return "float64" if known and numbers else "object"
