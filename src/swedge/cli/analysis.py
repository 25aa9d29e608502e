"""Commands with data: rehearse, run, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from swedge.cli.app import Json, Quiet, Seed, app, say
from swedge.cli.planning import LOCK, LockFile, files_of, locked_beside
from swedge.errors import counted

if TYPE_CHECKING:
    from swedge.plan import Report

LOST = 3
"""Exit code of a run in which registered analyses failed."""

Data = Annotated[
    list[str] | None,
    typer.Option(help="A file of data: FILE, or SOURCE=FILE; repeat for several. Left out, the files that the plan names.", metavar="FILE"),
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a folder that holds another report.")]
Internal = Annotated[bool, typer.Option("--internal", help="Keep counts of 1 to 5. Not for release.")]


@app.command()
def rehearse(
    lock: LockFile = Path(LOCK),
    data: Data = None,
    out: Annotated[Path, typer.Option(help="Folder to write.", file_okay=False)] = Path("rehearsal"),
    seed: Seed = 1,
    replace: Replace = False,
    internal: Internal = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run every registered analysis before anybody sees the treatment effect.

    Without --data the data are simulated from the plan, without any effect. With --data they are the trial's own under another permitted
    allocation. Tables and figures come out as they will in the end, and every page says that it is a rehearsal.

    \b
    Examples:
      swedge rehearse
      swedge rehearse --data children.csv --seed 7
    """  # noqa: D301  # \b keeps line breaks in the help
    locked = locked_beside(lock)
    frames = None if data is None else files_of(data)
    report = locked.rehearse(frames, seed=seed, progress=None if not (quiet or json) else False, release=not internal)
    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files, never to a window
    _tell(report, report.save(out, overwrite=replace), json)


@app.command()
def run(
    lock: LockFile = Path(LOCK),
    data: Data = None,
    out: Annotated[Path, typer.Option(help="Folder to write.", file_okay=False)] = Path("results"),
    only: Annotated[list[str] | None, typer.Option(help="An analysis to run; repeat for several. What is left out is a deviation.")] = None,
    replace: Replace = False,
    internal: Internal = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run every registered analysis on the data: all populations, outcomes, estimators and tests.

    A plan that is not locked is refused, and so is a lock whose plan.toml was changed since. What fails is reported in its place, and the
    exit code is then 3.

    \b
    Writes into the folder:
      results.json     everything that was found, with every digit
      plan.lock.json   the plan that was run
      tables/          the results as CSV
    The documents are made from these by swedge report.

    \b
    Examples:
      swedge run --data children.csv
      swedge run plan.lock.json --data children=children.csv --data panel=panel.csv --out results
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan.frames import gather

    locked = locked_beside(lock)
    tables = gather(locked.plan, {} if data is None else files_of(data), lock.parent)
    progress = None if not (quiet or json) else False
    report = locked.run(tables, progress=progress, release=not internal, only=tuple(only or ()))
    _tell(report, report.save_results(out, overwrite=replace), json)


def _tell(report: Report, path: Path, json: bool) -> None:
    failed = len(report.failures)
    counts = {"rows": len(report.rows), "failed": failed, "deviations": len(report.deviations)}
    rows, odd = counted(len(report.rows), "row", "rows"), counted(len(report.deviations), "deviation", "deviations")
    text = [report.summary(), "", f"{rows}, {failed:,} failed, {odd}. Written: {path}"]
    say({"written": str(path), "plan_sha256": report.sha256, **counts}, "\n".join(text), json)
    if failed:
        raise typer.Exit(LOST)


@app.command()
def report(
    source: Annotated[Path, typer.Argument(help="A folder that swedge run wrote, or a lock.", metavar="FOLDER")] = Path("results"),
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; left out, FOLDER itself, or `protocol` for a lock.", file_okay=False)
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make the documents: of results, the report with its tables and figures; of a lock, what a protocol needs before there are data.

    \b
    Of results:  report.html, report.docx, report.md; tables as CSV, LaTeX, HTML; figures; CONSORT checklist; methods paragraph
    Of a lock:   statistical analysis plan, power section, table shells, CONSORT checklist

    \b
    Examples:
      swedge report results
      swedge report plan.lock.json --out protocol
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.plan.report import Report
    from swedge.plan.verifying import save_protocol

    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to files, never to a window
    if source.is_dir():
        found = Report.load(source)
        path = found.save(source if out is None else out, overwrite=out is None)
    else:
        path = save_protocol(locked_beside(source), Path("protocol") if out is None else out, progress=False if quiet else None)
    typer.echo(str(path) if quiet else f"Written: {path}")
