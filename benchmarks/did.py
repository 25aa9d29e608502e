"""Timings of Callaway-Sant'Anna with every aggregation and influence-function standard errors: `python benchmarks/did.py [peer's python]`.

The peer is diff-diff, run by the interpreter given (it may live in an environment of its own); without it, or where it is not installed,
its column says absent. Both sides read the same data frame. Ours is timed with the reading of the frame and, in brackets, without it: a
panel is read once however many analyses follow. Seconds, best of five passes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna

SIZES = ((500, 5), (1_000, 20), (50_000, 10))
AGGREGATES = (None, "simple", "group", "calendar", "dynamic")
PASSES = 5
PEER = """
import json, sys, time, warnings
import pandas as pd
import diff_diff
warnings.simplefilter("ignore")
found = []
for path in sys.argv[1:]:
    df, best = pd.read_csv(path), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        columns = dict(outcome="y", unit="unit", time="time", first_treat="first")
        fit = diff_diff.CallawaySantAnna().fit(df, aggregate="all", **columns)
        best = min(best, time.perf_counter() - start)
    found.append((best, float(fit.overall_att), float(fit.overall_se)))
print(json.dumps(found))
"""


def panel(clusters: int, periods: int) -> pd.DataFrame:
    """A panel with five cohorts and never-treated clusters."""
    rng = np.random.default_rng(1)
    first = rng.choice([0, *np.linspace(2, periods - 1, 5).astype(int)], clusters)
    unit, when = (index.ravel() for index in np.indices((clusters, periods)))
    y = rng.normal(size=unit.size) + rng.normal(size=clusters)[unit] + 0.1 * when + 0.3 * ((first[unit] > 0) & (when + 1 >= first[unit]))
    return pd.DataFrame({"unit": unit, "time": when + 1, "first": first[unit], "y": y})


def read(df: pd.DataFrame) -> sw.Trial:
    """The frame as a trial."""
    return sw.Trial.from_panel(df, cluster="unit", period="time", outcome="y", first_treated="first")


def fits(trial: sw.Trial) -> list[sw.Estimate]:
    """Every aggregation."""
    return [CallawaySantAnna(aggregate=aggregate, vcov="influence", df="normal").fit(trial) for aggregate in AGGREGATES]


def best(job: Callable[[], object]) -> float:
    """Seconds of the fastest pass."""
    return min(_timed(job) for _ in range(PASSES))


def _timed(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def peers(python: str, frames: list[pd.DataFrame]) -> list[tuple[float, float, float]] | None:
    """The peer's seconds, overall effect and standard error for each frame; None where it is absent."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{i}.csv") for i in range(len(frames))]
        for path, frame in zip(paths, frames, strict=True):
            frame.to_csv(path, index=False)
        run = subprocess.run([python, "-c", PEER, *paths], capture_output=True, text=True, check=False)
    return json.loads(run.stdout) if run.returncode == 0 else None


def main() -> None:
    """Print one line a size."""
    frames = [panel(*size) for size in SIZES]
    theirs = peers(sys.argv[1] if len(sys.argv) > 1 else sys.executable, frames)
    print("clusters x periods   swedge (fits alone)   diff-diff   same numbers?")
    for i, (size, frame) in enumerate(zip(SIZES, frames, strict=True)):
        trial = read(frame)
        whole, alone = best(lambda f=frame: fits(read(f))), best(lambda t=trial: fits(t))
        ours = fits(trial)[1]
        same = "" if theirs is None else f"{abs(ours.estimate - theirs[i][1]):.0e}, {abs(ours.std_error / theirs[i][2] - 1):.0e}"
        peer = "absent" if theirs is None else f"{theirs[i][0]:.4f} s"
        print(f"{size[0]:>8,} x {size[1]:<7}   {whole:.4f} s ({alone:.4f} s)   {peer:>9}   {same}")


if __name__ == "__main__":
    main()
