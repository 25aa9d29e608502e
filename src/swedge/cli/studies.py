"""Commands that need no plan: a published trial from schedule to report, and what few clusters do to a test."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from swedge.cli.app import Json, Quiet, Seed, app

Out = Annotated[Path, typer.Option(help="Folder for the report and its files; made if it does not exist.", file_okay=False)]
Panel = Annotated[Path | None, typer.Option(help="CSV of authorities by year: adds an analysis of real data.", exists=True, dir_okay=False)]
Neighbours = Annotated[
    Path | None,
    typer.Option(help="CSV of statistical neighbours; left out, it is looked for beside the panel.", exists=True, dir_okay=False),
]
Reps = Annotated[int, typer.Option(min=1, help="Simulated trials for each setting; more make the Monte Carlo error smaller.")]
Noise = Annotated[
    list[float] | None,
    typer.Option(
        min=0,
        metavar="SD",
        help="Standard deviation of authority-by-period noise, logit scale; repeat for several.  [default: 0 0.1 0.2]",
    ),
]


@app.command()
def demo(
    out: Out = Path("demo"), panel: Panel = None, neighbours: Neighbours = None, reps: Reps = 2000, seed: Seed = 1, quiet: Quiet = False
) -> None:
    """Run the Family Safeguarding trial from schedule to report.

    Draws an allocation and keeps the record, says what the randomisation test can and cannot show, powers the trial, simulates its
    children, analyses them, and writes one HTML file with pictures. The same facts are printed as text.

    \b
    Writes into the folder:
      report.html       everything, in one file that opens anywhere
      allocation.json   the audit record of the draw
      children.csv      simulated children; none of them exists

    \b
    Examples:
      swedge demo --out demo
      swedge demo --out demo --panel la_year_panel.csv --reps 10000
    """  # noqa: D301  # \b keeps line breaks in the help
    os.environ.setdefault("MPLBACKEND", "Agg")  # pictures go to a file, never to a window
    from swedge.studies.demo import run_demo

    made = run_demo(out, panel=panel, neighbours=neighbours, reps=reps, seed=seed, progress=False if quiet else None)
    if not quiet:
        typer.echo(made.text(min(100, max(60, shutil.get_terminal_size((100, 24)).columns))) + "\n")
    typer.echo(str(made.report) if quiet else f"Report: {made.report}")


@app.command("size-table")
def size_table(
    reps: Reps = 10_000,
    noise: Noise = None,
    seed: Seed = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """How often common tests reject when there is no effect, at the sizes of the Family Safeguarding trial.

    A test at 5% should reject 5% of such trials. With five clusters most do not keep to that as soon as authorities drift by themselves
    (noise above 0); a rejection rate of 0.27 means that more than one trial in four would announce an effect that does not exist. Every
    rate comes with its Monte Carlo standard error (mcse) and the number of fits that failed.

    \b
    Examples:
      swedge size-table --reps 1000
      swedge size-table --noise 0 --noise 0.1 --json > sizes.json
    """  # noqa: D301  # \b keeps line breaks in the help
    from swedge.studies import size_table as rates

    shown = sys.stderr.isatty() and not quiet
    table = rates(reps, seed=seed, noise=[0.0, 0.1, 0.2] if noise is None else noise, progress=shown)
    if json:
        typer.echo(table.to_json(orient="records", indent=2))
        return
    from swedge._present.tables import text_table

    typer.echo(text_table(table))
