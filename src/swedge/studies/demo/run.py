"""The whole demo: parts in order, one report, the same facts as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from swedge._present.page import save_report
from swedge._present.plain import report_text
from swedge._present.report import Points, Section, Table
from swedge.design import Allocation
from swedge.errors import DataError, DesignError
from swedge.studies.demo import prose
from swedge.studies.demo.analysis import children_part, duration_part, make_children, primary_part
from swedge.studies.demo.comparison import comparison_part, panel_part
from swedge.studies.demo.planning import allocation_part, power_part, schedule_part
from swedge.studies.demo.prose import say
from swedge.studies.demo.words import Part
from swedge.studies.facts import family_safeguarding
from swedge.studies.study import Study


@dataclass(frozen=True, eq=False)
class Demo:
    """What the demo made.

    Attributes
    ----------
    sections : tuple of Section
        The report's sections in order.
    folder : Path
        Holds the files named below.
    """

    sections: tuple[Section, ...]
    folder: Path

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def record(self) -> Path:
        """The audit record of the draw."""
        return self.folder / "allocation.json"

    @property
    def children(self) -> Path:
        """The file of simulated children."""
        return self.folder / "children.csv"

    def text(self, width: int = 100) -> str:
        """The report's facts for a terminal."""
        return report_text(self.sections, width)


def run_demo(
    out: str | PathLike[str],
    *,
    panel: str | PathLike[str] | None = None,
    neighbours: str | PathLike[str] | None = None,
    reps: int = 2000,
    seed: int = 1,
    progress: bool | None = None,
) -> Demo:
    """Draw, power, simulate, analyse and report the Family Safeguarding trial.

    Parameters
    ----------
    out : path
        Folder for report.html, allocation.json and children.csv; made if it does not exist, and files of these names are replaced.
    panel : path, optional
        A panel of authorities by year; adds difference-in-differences on real data.
    neighbours : path, optional
        The table of statistical neighbours. Left out, it is looked for beside the panel.
    reps : int
        Simulated trials for each odds ratio and noise.
    seed : int
        Of everything that is drawn; 0 is a seed.
    progress : bool, optional
        A progress bar; left out, only when standard error is a terminal.

    Raises
    ------
    DesignError, DataError
        If an argument makes no sense, or a file does not hold what it should.
    """
    if neighbours is not None and panel is None:
        raise DataError(
            "neighbours= names the neighbours of a panel, and no panel was given. Add panel= (on the command line --panel FILE)."
        )
    study, made = family_safeguarding(), Demo((), _folder(out))
    real = [] if panel is None else [panel_part(study, Path(panel), None if neighbours is None else Path(neighbours), seed)]
    parts = [*_planning(study, made, reps, seed, progress), *_analysis(study, made, seed), *real]  # a bad panel is refused first
    sections = (_in_short(parts, bool(real)), *(part.section for part in parts), _again(study, made, seed, reps))
    save_report(made.report, prose.TITLE, sections, say(prose.LEAD))
    return Demo(sections, made.folder)


def _folder(out: str | PathLike[str]) -> Path:
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be made ({error.strerror}). Name another.") from None
    return folder


def _carried_out(study: Study) -> Allocation:
    if study.allocation is None:
        raise DesignError(f"No allocation is published for {study.name}.")
    return study.allocation


def _planning(study: Study, made: Demo, reps: int, seed: int, progress: bool | None) -> Iterator[Part]:
    yield schedule_part(study, _carried_out(study))
    yield allocation_part(study, made.record, seed)
    yield power_part(study, reps, seed, progress)


def _analysis(study: Study, made: Demo, seed: int) -> Iterator[Part]:
    allocation, rows = _carried_out(study), make_children(study, made.children, seed)
    yield children_part(study, rows, made.children)
    yield primary_part(study, allocation, rows)
    yield duration_part(study, allocation, rows)
    yield comparison_part(allocation, rows, seed)


def _in_short(parts: list[Part], real: bool) -> Section:
    return Section("In short", (Points((*(part.headline for part in parts), *(() if real else (prose.NOT_REAL,)))),))


def _again(study: Study, made: Demo, seed: int, reps: int) -> Section:
    """How to get the same numbers again, and where the facts come from."""
    draw = Allocation.load(made.record).draw
    versions = "swedge" if draw is None else f"swedge {draw.swedge} and NumPy {draw.numpy}"
    text = say(prose.AGAIN, seed=seed, reps=reps, versions=versions, record=made.record.name, children=made.children.name)
    sources = pd.DataFrame(study.sources, columns=["fact", "source"])
    return Section("How to get these numbers again", (text, Table(sources, say(prose.AGAIN_TABLE, name=study.name)), Points(study.notes)))
