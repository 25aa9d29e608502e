"""The `swedge` command: what all its parts share."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="swedge",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="""Design, power and analyse stepped-wedge cluster trials with few clusters, and prove that the trial analysed is the one planned.

    In a stepped-wedge trial every cluster starts under control and crosses over to treatment at a date drawn by lot. With few
    clusters the usual tests reject too often; these commands show by how much, and what to do instead.

    \b
    Start here:
      swedge demo --out demo     a whole trial, from schedule to report, in under a minute
      swedge size-table          how often common tests reject when nothing happened

    \b
    From plan to report, in an empty folder:
      swedge new --study family-safeguarding    a commented plan.toml, and simulated children to practise on
      swedge check                              reads the plan: errors come with their line
      swedge randomise                          the allocation and its audit record
      swedge lock                               the plan's SHA-256, to be registered
      swedge run --data children.csv            every registered analysis
      swedge report results                     tables, figures and documents

    \b
    Exit codes: 0 done; 2 something has to be corrected, and the message says what; 3 done, but registered analyses failed.

    In Python: import swedge as sw. A trial in a dozen lines stands in the README.
    """,
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress bar, and print the result only.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same numbers; 0 is a seed.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def _version(wanted: bool) -> None:
    if wanted:
        from swedge import __version__

        typer.echo(f"swedge {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")] = False,
) -> None:
    """Options that come before a command."""


def say(facts: dict[str, Any], text: str, as_json: bool) -> None:
    """One JSON object, or words for a person."""
    typer.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else text)
