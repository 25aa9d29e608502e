"""Fill the calibration table of docs/validation.md: size and coverage of every default analysis with five clusters.

Run by `make calibrate`, or by hand (`python docs/make_calibration.py [REPS] [JOBS]`). The seed is fixed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

from swedge.studies import calibration_table

PAGE = Path(__file__).resolve().parent / "validation.md"
REPS = 10_000


def cell(row: pd.Series) -> str:
    """A rejection rate with its Monte Carlo standard error, coverage where there is an interval, failures where there are any."""
    covered = "" if pd.isna(row["coverage"]) else f"; {row['coverage']:.3f}"
    failed = f"; {row['n_failed']:,} failed" if row["n_failed"] else ""
    return f"{row['rejection']:.3f} ({row['mcse']:.3f}){covered}{failed}"


def lines(table: pd.DataFrame) -> list[str]:
    """One row an outcome and analysis, one column a level of noise; analyses that are no default come last and in italics."""
    shown = table.assign(cell=table.apply(cell, axis=1))
    wide = shown.pivot_table(index=["outcome", "default", "analysis"], columns="noise", values="cell", aggfunc="first", sort=False)
    ordered = wide.sort_index(level=["outcome", "default"], ascending=[True, False], sort_remaining=False, kind="stable")
    head = ["outcome", "analysis", *(f"noise {level:g}" for level in ordered.columns)]
    names = [[outcome, name if default else f"*{name}*"] for outcome, default, name in ordered.index]
    rows = [[*name, *row] for name, row in zip(names, ordered.to_numpy(), strict=True)]
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def fill(mark: str, rows: list[str]) -> None:
    """Write rows between `mark` and the next end."""
    block = "\n".join([f"<!-- {mark} -->", *rows, "<!-- end -->"])
    PAGE.write_text(re.sub(rf"<!-- {mark} -->.*?<!-- end -->", lambda _: block, PAGE.read_text(), count=1, flags=re.DOTALL))


def main(reps: int = REPS, jobs: int = 2) -> None:
    """Simulate without and with an effect, and write both tables."""
    for mark, odds_ratio in (("calibration", 1.0), ("effect", 0.8)):
        table = calibration_table(reps, seed=1, odds_ratio=odds_ratio, n_jobs=jobs, progress=True)
        fill(mark, lines(table))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
