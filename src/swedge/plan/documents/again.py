"""How to get a report's numbers again."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swedge.plan.report import Report

FILE = "FILE"


def commands(report: Report) -> tuple[str, ...]:
    """Commands that give this report again, one a step."""
    internal = "" if report.release else " --internal"
    verb, folder = ("rehearse", "rehearsal") if report.purpose else ("run", "results")
    seed = " --seed SEED" if report.purpose else ""
    return (
        f"swedge verify plan.lock.json --sha256 {report.sha256}",
        f"swedge {verb} plan.lock.json{_data(report)}{_only(report)}{seed}{internal} --out {folder}",
        f"swedge report {folder}",
        f"swedge verify {folder}",
    )


def _data(report: Report) -> str:
    """Where the data lie; none where they are simulated."""
    if "simulated" in report.purpose:
        return ""
    sources = report.locked.plan.sources
    files = [source.file or FILE for source in sources]
    named = files if len(sources) == 1 else [f"{source.name}={file}" for source, file in zip(sources, files, strict=True)]
    return "".join(f" --data {shlex.quote(name)}" for name in named)


def _only(report: Report) -> str:
    """The analyses that were run, if they are not all."""
    names, run = report.locked.plan.names["analyses"], set(report.rows["analysis"])
    kept = [] if run >= set(names) else [name for name in names if name in run]
    return "".join(f" --only {shlex.quote(name)}" for name in kept)
