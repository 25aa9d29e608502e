"""Timings of swedge and of its peers on the same trials, in one run and one table: `make bench`.

A rate is fits a second of processor time on one core, BLAS on one thread: what an idle core gives, however busy the machine. It is the
median of several passes. swedge fits a stack of trials in one call; a peer fits the first trials of the same stack one by one, from rows
whose cell means and scatter within cells are those of the stack, so that both give the same numbers, and the last lines say to how many
digits. Peers in R need Rscript on the path; what is absent is shown as absent. `--quick` makes short passes, to see that all of it runs.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import full_size
import numpy as np
import pandas as pd
import statsmodels
from statsmodels.regression.mixed_linear_model import MixedLM

import power
import swedge as sw
from swedge.studies import family_safeguarding

STUDY = family_safeguarding()
LARGE = STUDY.cell_sizes
SMALL = np.rint(LARGE / 50)
SHOWN_TO_PEERS = {"large": 5, "small": 12, "cells": 20}
PASSES = 5


class Row(NamedTuple):
    """One line of the table: rates (or seconds), and what was asked of them."""

    job: str
    ours: str
    peer: str = ""
    least: float | None = None
    least_ratio: float | None = None


SATTERTHWAITE, KENWARD_ROGER = sw.MixedModel(df="satterthwaite"), sw.MixedModel(df="kenward-roger")
JOBS: dict[str, tuple[sw.Estimator, str]] = {
    "satterthwaite, large": (SATTERTHWAITE, "large"),
    "kenward-roger, large": (KENWARD_ROGER, "large"),
    "satterthwaite, small": (SATTERTHWAITE, "small"),
    "kenward-roger, small": (KENWARD_ROGER, "small"),
    "CR2": (sw.FixedEffects(vcov="CR2"), "cells"),
    "overdispersed": (sw.FixedEffects(vcov="overdispersed"), "cells"),
    "laplace": (sw.MixedModel(sw.Exchangeable(), df="normal"), "cells"),
}
BIG, LITTLE = f"{LARGE.sum():,.0f} rows", f"{SMALL.sum():,.0f} rows"
ROWS = [
    Row(f"REML, Satterthwaite df, {BIG}", "satterthwaite, large", "lme4 refit(), large", 10_000, 300),
    Row("", "satterthwaite, large", "lmerTest, large"),
    Row("", "satterthwaite, large", "statsmodels, large"),
    Row(f"REML, Kenward-Roger df, {BIG}", "kenward-roger, large", "lme4 refit(), large", 2_000),
    Row(f"REML, Satterthwaite df, {LITTLE}", "satterthwaite, small", "lme4 refit(), small"),
    Row("", "satterthwaite, small", "lmerTest, small"),
    Row("", "satterthwaite, small", "statsmodels, small"),
    Row(f"REML, Kenward-Roger df, {LITTLE}", "kenward-roger, small", "pbkrtest, small"),
    Row("Logit, CR2, Satterthwaite df, 30 cells", "CR2", "glm() and clubSandwich"),
    Row("Logit, overdispersed, 30 cells", "overdispersed"),
    Row("Logit GLMM, Laplace, 30 cells", "laplace", "lme4 glmer()"),
]
WHAT = {
    "lme4 refit()": "one fitted model, new outcomes: estimate and variances, no standard error, no df",
    "lmerTest": "lmer() and summary() with Satterthwaite df",
    "pbkrtest": "lmer() and summary() with Kenward-Roger df; it makes matrices of rows x rows, so it is run on the small trial only",
    "statsmodels": "MixedLM from ready-made matrices: estimate and standard error, no df",
    "glm() and clubSandwich": "CR2 with Satterthwaite df of the treatment; under a logit its CR2 is not the whitened one",
    "lme4 glmer()": "Laplace, and the summary that holds the standard error",
}


def stacks(reps: int) -> dict[str, sw.Trial]:
    """Trials of the Family Safeguarding design under the allocation carried out: Gaussian with FS cell sizes, and a fiftieth; binary."""
    noise = sw.NestedExchangeable(icc=0.02, cac=0.8)
    gaussian = {
        name: sw.Scenario("gaussian", baseline=0.0, size=size, sd=1.0, correlation=noise)
        for name, size in (("large", LARGE), ("small", SMALL))
    }
    truths = {**gaussian, "cells": STUDY.scenario(noise=0.1)}
    return {name: _stack(truth, reps, seed) for seed, (name, truth) in enumerate(truths.items())}


def _stack(truth: sw.Scenario, reps: int, seed: int) -> sw.Trial:
    carried_out = np.tile(STUDY.allocation.sequence, (reps, 1))
    drawn = truth.draw(STUDY.design, reps, np.random.default_rng(seed), carried_out)
    return sw.Trial.from_cells(drawn.cells.n, drawn.outcome, STUDY.allocation, within=drawn.cells.within, family=truth.family)


def rows_of(stack: sw.Trial, count: int) -> pd.DataFrame:
    """Individuals whose cell means and pooled scatter are those of the first `count` trials, one outcome a column."""
    n = stack.cells.n.astype(int)
    cell = np.repeat(np.arange(n.size), n.ravel())
    table = pd.DataFrame({"cluster": cell // n.shape[1] + 1, "period": cell % n.shape[1] + 1, "treatment": stack.arm.ravel()[cell]})
    apart = np.random.default_rng(7).standard_normal(len(cell))
    apart -= (np.bincount(cell, apart) / n.ravel())[cell]
    apart /= np.sqrt((apart**2).sum())
    for k in range(count):
        table[f"y{k + 1}"] = stack.outcome[k].ravel()[cell] + apart * np.sqrt(stack.cells.within[k].item())
    return table


def cells_of(stack: sw.Trial, count: int) -> pd.DataFrame:
    """The 30 cells with the number of events of the first `count` trials, one a column."""
    grid = np.indices(stack.cells.n.shape).reshape(2, -1) + 1
    table = pd.DataFrame({"cluster": grid[0], "period": grid[1], "treatment": stack.arm.ravel(), "n": stack.cells.n.ravel().astype(int)})
    return table.assign(**{f"y{k + 1}": np.rint(stack.outcome[k] * stack.cells.n).ravel().astype(int) for k in range(count)})


def rates(count: int, work: Callable[[], object], passes: int) -> list[float]:
    """Fits a second of processor time, one a pass."""
    found = []
    for _ in range(passes):
        before = time.process_time()
        work()
        found.append(count / (time.process_time() - before))
    return found


def fastest(work: Callable[[], object], passes: int) -> float:
    """Least elapsed seconds of several passes."""
    found = []
    for _ in range(passes):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return min(found)


def in_r(tables: dict[str, pd.DataFrame], passes: int) -> tuple[dict[str, list[float]], pd.DataFrame, list[str]]:
    """Rates and fits of the peers in R, and their versions; empty without R."""
    empty = {}, pd.DataFrame(columns=["peer", "trial", "estimate", "std_error", "df"]), []
    if shutil.which("Rscript") is None:
        return empty
    with tempfile.TemporaryDirectory() as folder:
        for name, table in tables.items():
            table.to_csv(Path(folder) / f"{name}.csv", index=False, float_format="%.17g")
        script = Path(__file__).with_name("peers.R")
        done = subprocess.run(["Rscript", "--vanilla", str(script), folder, str(passes)], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"The peers in R stopped: {done.stderr[-600:]}", file=sys.stderr)
            return empty
        speed = pd.read_csv(Path(folder) / "speed.csv").groupby("peer")["rate"].apply(list)
        return speed.to_dict(), pd.read_csv(Path(folder) / "fits.csv"), (Path(folder) / "versions.txt").read_text().split("\n")[:-1]


def in_statsmodels(table: pd.DataFrame, passes: int) -> tuple[list[float], pd.DataFrame]:
    """Rates and fits of MixedLM with a cluster and a cluster-by-period effect."""
    columns = [name for name in table if name.startswith("y")]
    model = MixedLM.from_formula(
        f"{columns[0]} ~ treatment + C(period)", table, groups="cluster", re_formula="1", vc_formula={"cp": "0 + C(period)"}
    )
    at = model.exog_names.index("treatment")
    fits: list[tuple[float, float, bool]] = []

    def work() -> None:
        fits.clear()
        for column in columns:
            fit = MixedLM(table[column].to_numpy(), model.exog, model.groups, exog_re=model.exog_re, exog_vc=model.exog_vc).fit()
            fits.append((fit.params[at], fit.bse[at], fit.converged))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = rates(len(columns), work, passes)
    return found, pd.DataFrame(fits, columns=["estimate", "std_error", "converged"]).rename_axis("trial").reset_index()


def exact_test(passes: int) -> tuple[float, int]:
    """Seconds of the exact test with its interval: eight clusters, two a step."""
    allocation = sw.Design.stepped_wedge(clusters=8, periods=5).randomise(seed=1)
    outcome = np.random.default_rng(1).standard_normal((8, 5)) - 0.5 * allocation.treatment
    trial = sw.Trial.from_cells(np.full((8, 5), 100), outcome, allocation)
    test, estimator = sw.RandomisationTest(), sw.WithinPeriod()
    return fastest(lambda: test.run(trial, estimator), passes), test.run(trial, estimator).n_allocations


def import_seconds(passes: int) -> tuple[float, float]:
    """Least elapsed and least processor seconds of `import swedge` in a fresh process."""
    clocks = "time.perf_counter(), time.process_time()"
    code = f"import time; start = ({clocks}); import swedge; end = ({clocks}); print(end[0] - start[0], end[1] - start[1])"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() for _ in range(passes)]
    elapsed, processor = np.array(runs, dtype=float).min(axis=0)
    return float(elapsed), float(processor)


def number(value: float) -> str:
    """Three figures, with thousands."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def verdict(row: Row, rate: float, ratio: float | None) -> str:
    """The target, and whether it was met."""
    asked = [(f"{row.least:,.0f}", rate >= row.least)] if row.least else []
    asked += [(f"ratio {row.least_ratio:g}", ratio >= row.least_ratio)] if row.least_ratio and ratio else []
    return "; ".join(f"{what} {'met' if good else 'MISSED'}" for what, good in asked)


def line(row: Row, ours: dict[str, list[float]], peers: dict[str, list[float]]) -> tuple[str, ...]:
    """One line of the table."""
    rate = float(np.median(ours[row.ours]))
    theirs = float(np.median(peers[row.peer])) if row.peer in peers else None
    ratio = None if theirs is None else rate / theirs
    shown = ("absent" if row.peer else "") if theirs is None else number(theirs)
    name = row.peer.removesuffix(", large").removesuffix(", small")
    return row.job, number(rate), name, shown, "" if ratio is None else number(ratio), verdict(row, rate, ratio)


def timed(job: str, seconds: float, most: float) -> tuple[str, ...]:
    """A line for a job that is done once."""
    return job, f"{seconds:.3f} s", "", "", "", f"under {most:g} s {'met' if seconds < most else 'MISSED'}"


def layout(lines: list[tuple[str, ...]]) -> str:
    """Columns of text, numbers to the right."""
    wide = [max(len(cells[j]) for cells in lines) for j in range(len(lines[0]))]
    right = {1, 3, 4}
    return "\n".join(
        "  ".join(c.rjust(w) if j in right else c.ljust(w) for j, (c, w) in enumerate(zip(cells, wide, strict=True))).rstrip()
        for cells in lines
    )


def agreement(fits: dict[str, sw.Estimate], theirs: pd.DataFrame) -> list[str]:
    """How far the peers' numbers are from ours on the trials that both fitted."""
    pairs = {
        "lmerTest, large": "satterthwaite, large",
        "lmerTest, small": "satterthwaite, small",
        "pbkrtest, small": "kenward-roger, small",
    }
    pairs |= {"glm() and clubSandwich": "CR2", "lme4 glmer()": "laplace", "statsmodels, large": "satterthwaite, large"}
    return [_apart(peer, theirs[theirs["peer"] == peer], fits[ours]) for peer, ours in pairs.items() if (theirs["peer"] == peer).any()]


def _apart(peer: str, table: pd.DataFrame, fit: sw.Estimate) -> str:
    at = table["trial"].to_numpy(int)
    inside = fit.status[at] == sw.Status.OK
    at, table = at[inside], table[inside]
    if not len(at):
        return f"{peer}: every common fit is on the boundary"
    estimate = np.abs(table["estimate"] - fit.estimate[at]) / fit.std_error[at]
    error = np.abs(table["std_error"] / fit.std_error[at] - 1)
    parts = [f"estimates within {estimate.max():.0e} standard errors", f"standard errors within {error.max():.1%}"]
    if table["df"].notna().any():
        parts.append(f"df within {np.abs(table['df'] - fit.df[at]).max():.2g}")
    return f"{peer}, {len(at)} trials off the boundary: {', '.join(parts)}"


def main() -> None:
    """Time everything and print the table."""
    parser = argparse.ArgumentParser(description="Timings of swedge and of its peers on the same trials.")
    parser.add_argument("--quick", action="store_true", help="short passes, to see that all of it runs")
    quick = parser.parse_args().quick
    reps, passes = (500, 1) if quick else (5_000, PASSES)

    trials = stacks(reps)
    fits = {name: estimator.fit(trials[which]) for name, (estimator, which) in JOBS.items()}
    ours = {name: rates(reps, lambda e=estimator, t=trials[which]: e.fit(t), passes) for name, (estimator, which) in JOBS.items()}
    tables = {name: (cells_of if name == "cells" else rows_of)(trials[name], count) for name, count in SHOWN_TO_PEERS.items()}
    peers, theirs, versions = in_r(tables, min(passes, 3))
    notes = []
    for name in ("large", "small"):
        key = f"statsmodels, {name}"
        peers[key], found = in_statsmodels(tables[name], min(passes, 3))
        notes.append(f"statsmodels converged in {found['converged'].sum()} of {len(found)} fits of the {name} trial")
        theirs = pd.concat([theirs, found[found["converged"]].assign(peer=key, df=np.nan)[theirs.columns.tolist()]])
    test, count = exact_test(2 * passes)

    head = ("job", "fits a second", "peer", "peer's", "ratio", "target")
    lines = [head, tuple("-" * len(name) for name in head), *(line(row, ours, peers) for row in ROWS)]
    elapsed, processor = import_seconds(PASSES)
    lines.append(timed(f"Exact test, {count:,} allocations, with interval", test, 0.1))
    lines.append(timed(f"import swedge (processor: {processor:.3f} s)", elapsed, 0.6))
    lines += full_size.lines()
    lines += power.lines(quick)
    print(layout(lines))
    print(f"\nOne core, one BLAS thread. Fits a second of processor time: median of {passes} passes of {reps:,} fits.")
    print("Seconds: elapsed, best pass.")
    print("\n".join(f"{peer}: {what}." for peer, what in WHAT.items()))
    spread = {name: max(values) / min(values) - 1 for name, values in {**ours, **peers}.items()}
    widest = max(spread, key=lambda name: spread[name])
    print(f"Largest difference between passes: {spread[widest]:.0%} ({widest}).")
    print("\nThe same numbers? " + ".\n".join([*agreement(fits, theirs), *notes]) + ".")
    python = [
        f"Python {platform.python_version()}",
        f"swedge {sw.__version__}",
        f"numpy {np.__version__}",
        f"statsmodels {statsmodels.__version__}",
    ]
    print(f"{', '.join([*python, *versions])}; {platform.system()} {platform.machine()}.")


if __name__ == "__main__":
    main()
