"""The `swedge` command."""

from __future__ import annotations

import typer

from swedge.cli import analysis, planning, studies
from swedge.cli.app import app
from swedge.errors import SwedgeError

__all__ = ["analysis", "app", "main", "planning", "studies"]


def main() -> None:
    """Run the command; an error that swedge raises on purpose is one message and exit code 2."""
    try:
        app(prog_name="swedge")
    except (SwedgeError, OSError) as error:
        typer.echo(f"swedge: {error}", err=True)
        raise SystemExit(2) from None
