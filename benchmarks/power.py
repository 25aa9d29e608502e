"""Timings of power, by formula and by simulation, as lines for the table of run.py; alone, `python benchmarks/power.py` prints them.

Designs are allocations of ten clusters to five steps, all of them different. The peers in R evaluate one design a call, from R itself and
without reading or writing; those that are not installed are shown as absent. Both of them take the normal distribution for granted, so the
rate beside theirs is without degrees of freedom.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import shutil
import subprocess
import time
from collections.abc import Callable
from typing import NamedTuple

import swedge as sw
from swedge.studies import family_safeguarding

DESIGNS = TRIALS = 10_000
STUDY = family_safeguarding()
WEDGE = sw.Design.stepped_wedge(clusters=10, periods=6)
ASSUMED = {
    "effect": -0.0105,
    "family": "binomial",
    "baseline": 0.055,
    "size": [1900, 1700, 1500, 1300, 1100, 900, 700, 500, 300, 100],
    "correlation": sw.NestedExchangeable(icc=0.00268, cac=0.9),
}
ESTIMATORS = {"CR2": sw.FixedEffects(vcov="CR2"), "overdispersed": sw.FixedEffects(vcov="overdispersed"), "within": sw.WithinPeriod()}
TESTS = {"Wald": sw.WaldTest(), "exact": sw.RandomisationTest()}

PEERS = {
    "swCRTdesign": "swPwr(swDsn(rep(2, 5)), distn = 'binomial', n = 900, mu0 = .055, mu1 = .0445, icc = .00268, cac = .9)",
    "SteppedPower": "glsPower(Cl = rep(2, 5), mu0 = .055, mu1 = .0445, tau = .0112, gamma = .0037, N = 900, family = 'binomial')",
}
ABSENT = 3  # how R leaves when it does not find the package
SCRIPT = """
if (!suppressWarnings(suppressMessages(require({package}, quietly = TRUE)))) quit(status = {absent})
ask <- function() suppressWarnings(suppressMessages({call}))
invisible(ask()); calls <- 0; start <- sum(proc.time()[1:2])
while (sum(proc.time()[1:2]) - start < {seconds}) {{ for (i in 1:10) ask(); calls <- calls + 10 }}
cat(calls / (sum(proc.time()[1:2]) - start))
"""


class Spent(NamedTuple):
    """Least elapsed and least processor seconds of several passes."""

    elapsed: float
    processor: float


def spent(work: Callable[[], object], passes: int) -> Spent:
    """Time some work."""
    found = []
    for _ in range(passes):
        before = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - before[0], time.process_time() - before[1]))
    return Spent(*(min(column) for column in zip(*found, strict=True)))


def by_formula(df: str) -> object:
    """Power of ten thousand allocations."""
    return sw.power_over_allocations(WEDGE, draws=DESIGNS, seed=1, df=df, **ASSUMED)


def by_simulation() -> object:
    """Ten thousand trials of the Family Safeguarding design, analysed by three estimators with two tests each."""
    return sw.simulate_grid({"FS": STUDY.design}, {"0.8": STUDY.scenario(0.8, 0.1)}, ESTIMATORS, tests=TESTS, reps=TRIALS, seed=1)


def peer(package: str, seconds: float) -> float | None:
    """Designs a second of processor time of a peer in R; None where it is absent, nan where its call stopped."""
    if shutil.which("Rscript") is None:
        return None
    script = SCRIPT.format(package=package, call=PEERS[package], seconds=seconds, absent=ABSENT)
    done = subprocess.run(["Rscript", "--vanilla", "-e", script], capture_output=True, text=True, check=False)
    return None if done.returncode == ABSENT else float((done.stdout.split() or ["nan"])[-1])


def timed(job: str, took: Spent, most: float) -> tuple[str, ...]:
    """A line for a job with a time to keep; elapsed, because that is what a user waits."""
    verdict = f"under {most:g} s {'met' if took.elapsed < most else 'MISSED'}"
    return f"{job} (processor: {took.processor:.2f} s)", f"{took.elapsed:.2f} s", "", "", "", verdict


def compared(job: str, ours: float, package: str, seconds: float) -> tuple[str, ...]:
    """A line for a rate beside a peer's."""
    theirs, name = peer(package, seconds), f"{package} {PEERS[package].split('(')[0]}"
    return job, f"{ours:,.0f}", name, "absent" if theirs is None else f"{theirs:,.0f}", "" if theirs is None else f"{ours / theirs:.3g}", ""


def lines(quick: bool = False) -> list[tuple[str, ...]]:
    """Lines for the table: job, ours, peer, the peer's, ratio, target."""
    passes, seconds = (1, 0.5) if quick else (5, 3.0)
    formula, normal = (spent(lambda df=df: by_formula(df), passes) for df in ("satterthwaite", "normal"))
    rate = DESIGNS / normal.processor
    return [
        timed(f"{DESIGNS:,} designs by formula, Satterthwaite df", formula, 2),
        compared("Designs a second by formula, normal", rate, "swCRTdesign", seconds),
        compared("", rate, "SteppedPower", seconds),
        timed(f"{TRIALS:,} FS trials, 3 estimators x 2 tests, one exact", spent(by_simulation, 1 if quick else 2), 30),
    ]


if __name__ == "__main__":
    for line in lines():
        print("  ".join(part for part in line if part))
