"""Fill the tables of size and coverage in docs/validation.md and docs/validation-did.md.

The first has every default analysis with five clusters, the second difference-in-differences with comparison authorities beside them. Run
by `make calibrate`, or by hand (`python docs/make_calibration.py [REPS] [JOBS]`). The seed is fixed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

from swedge.studies import calibration_table
from swedge.studies.did_calibration import ESTIMATORS, SETTINGS, STANDARD_ERRORS, TESTS, did_calibration_table

DOCS = Path(__file__).resolve().parent
PAGE, DID_PAGE = DOCS / "validation.md", DOCS / "validation-did.md"
REPS = 10_000
# Synthetic controls search for their weights in every replicate: a quarter of the replicates, a tenth of a quarter for the tests.
LEARNT = ("SyntheticDiD", "SyntheticControl")


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
    return markdown(head, [[*name, *row] for name, row in zip(names, ordered.to_numpy(), strict=True)])


def markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table."""
    return ["| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows)]


def fill(page: Path, mark: str, rows: list[str]) -> None:
    """Write rows between `mark` and the next end."""
    block = "\n".join([f"<!-- {mark} -->", *rows, "<!-- end -->"])
    page.write_text(re.sub(rf"<!-- {mark} -->.*?<!-- end -->", lambda _: block, page.read_text(), count=1, flags=re.DOTALL))


def did_simulated(reps: int, jobs: int) -> pd.DataFrame:
    """Every analysis under a true null in the first setting; defaults in the others, and with effects."""
    base, *others = SETTINGS
    parts = []
    for names, count in (([name for name in ESTIMATORS if name not in LEARNT], reps), (LEARNT, reps // 4)):
        how = {"seed": 1, "estimators": names, "n_jobs": jobs}
        tested = count // 4 if count == reps else count // 10
        parts.append(did_calibration_table(count, settings=[base], tested=tested, **how))
        parts.append(did_calibration_table(count, settings=others, tested=0, **how))
        parts.append(did_calibration_table(count, settings=[base], effects=["constant", "growing"], tested=0, **how))
    return pd.concat(parts, ignore_index=True)


def did_lines(table: pd.DataFrame) -> dict[str, list[str]]:
    """The three tables of docs/validation-did.md: inferences, settings, effects."""
    null, base = table["effect"] == "none", table["setting"] == next(iter(SETTINGS))
    rate = [f"{rate:.3f} ({error:.3f})" for rate, error in zip(table["rejection"], table["mcse"], strict=True)]
    table = table.assign(rate=rate)
    return {
        "did-size": spread(table[null & base], "inference", [*STANDARD_ERRORS, *TESTS]),
        "did-settings": spread(table[null & table["default"]], "setting", list(SETTINGS)),
        "did-effects": with_effects(table[~null & table["default"]]),
    }


def spread(table: pd.DataFrame, column: str, order: list[str]) -> list[str]:
    """Rejection rates, one row an estimator, one column a value of `column`, in that order as far as they occur."""
    wide = table.pivot_table(index="estimator", columns=column, values="rate", aggfunc="first", sort=False)
    wide = wide.reindex(index=list(ESTIMATORS), columns=[name for name in order if name in wide]).fillna("")
    return markdown(["estimator", *wide.columns], [[name, *row] for name, row in zip(wide.index, wide.to_numpy(), strict=True)])


def with_effects(table: pd.DataFrame) -> list[str]:
    """Power, coverage of the estimator's own target, and bias for the mean effect in treated cells."""
    shown = table.assign(
        power=[f"{value:.3f}" for value in table["rejection"]],
        covered=[f"{value:.3f}" for value in table["coverage"]],
        off=[f"{value:+.2f}" for value in table["bias"]],
    ).set_index(["effect", "estimator"])
    columns = [("constant", "power"), ("constant", "covered"), ("growing", "power"), ("growing", "covered"), ("growing", "off")]
    rows = [[name, *(shown.loc[(effect, name), column] for effect, column in columns)] for name in ESTIMATORS]
    head = ["estimator", "constant: power", "coverage", "growing: power", "coverage", "bias"]
    return markdown(head, rows)


def main(reps: int = REPS, jobs: int = 2) -> None:
    """Simulate without and with an effect, and write every table."""
    for mark, odds_ratio in (("calibration", 1.0), ("effect", 0.8)):
        table = calibration_table(reps, seed=1, odds_ratio=odds_ratio, n_jobs=jobs, progress=True)
        fill(PAGE, mark, lines(table))
    for mark, rows in did_lines(did_simulated(2 * reps // 5, jobs)).items():
        fill(DID_PAGE, mark, rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
