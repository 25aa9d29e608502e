"""Time and memory of one regression on the rows of a whole trial: lines for the table of run.py; alone, they are printed.

The file is simulated at the sizes of Family Safeguarding, 30 columns: periods, authorities, treatment, ten covariates and a number that no
two children share, so that no two rows are one pattern. Each job runs in a process of its own, whose largest memory is that of everything
it did: import, simulation, reading, fitting. statsmodels fits the same columns; its cluster-robust variance is CR0, without df.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import swedge as sw
from swedge.studies import family_safeguarding, simulate_children

STUDY = family_safeguarding()
CATEGORIES, NUMBERS = ("age_group", "gender", "ethnicity", "previous_plans"), ("disability", "uasc", "white_british_share", "score")
FACTORS = ("factor_1B", "factor_2B", "factor_3A")
SECONDS, MEGABYTES = 3.0, 500.0
PASSES = 3
FAMILIES = {"binomial": "Logit", "gaussian": "Least squares"}


def children() -> pd.DataFrame:
    """One row a child, with a number of its own."""
    rows = simulate_children(STUDY, seed=1)
    return rows.assign(score=np.random.default_rng(1).standard_normal(len(rows)))


def read(rows: pd.DataFrame, family: str) -> sw.Trial:
    """The trial of these rows."""
    formula = " + ".join([*(f"C({name})" for name in CATEGORIES), *NUMBERS, *FACTORS])
    place = {"cluster": "la", "date": "referral_date", "outcome": "looked_after"}
    return sw.Trial.from_frame(rows, STUDY.allocation, family=family, covariates=formula, **place)


def matrix(rows: pd.DataFrame) -> pd.DataFrame:
    """The same columns, treatment first, for statsmodels."""
    starts = pd.to_datetime([str(day) for day in STUDY.design.boundaries])
    period = pd.Series(np.searchsorted(starts, pd.to_datetime(rows["referral_date"]), side="right"), name="period")
    parts = [pd.get_dummies(part, prefix=str(part.name), drop_first=part.name != "period") for part in (period, rows["la"])]
    parts += [pd.get_dummies(rows[name], prefix=name, drop_first=True) for name in CATEGORIES]
    return pd.concat([rows[["treated"]], *parts, rows[[*NUMBERS, *FACTORS]]], axis=1).astype(float)


def peak() -> float:
    """Most memory of this process so far, in megabytes."""
    known = Path("/proc/self/status")  # getrusage counts what the parent held when it started this process
    if known.exists():
        return float(re.findall(r"VmHWM:\s+(\d+) kB", known.read_text())[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def best(work: Callable[[], object]) -> tuple[float, object]:
    """Least elapsed seconds of a few passes, and what was found."""
    passes = []
    for _ in range(PASSES):
        before = time.perf_counter()
        found = work()
        passes.append(time.perf_counter() - before)
    return min(passes), found


def swedge(family: str) -> dict[str, float]:
    """CR2 with Satterthwaite df, and the seconds that reading took; CR0 to be compared."""
    rows = children()
    before = time.perf_counter()
    trial = read(rows, family)
    door = time.perf_counter() - before
    seconds, fit = best(lambda: sw.FixedEffects().fit(trial))
    plain = sw.FixedEffects(vcov="CR0", df="clusters").fit(trial)
    assert isinstance(fit, sw.Estimate)
    columns = len(trial.covariates) + sum(trial.n.shape)
    return {
        "rows": len(rows),
        "columns": columns,
        "door": door,
        "seconds": seconds,
        "estimate": plain.estimate,
        "std_error": plain.std_error,
    }


def statsmodels(family: str) -> dict[str, float]:
    """A generalised linear model and its cluster-robust variance from a ready-made matrix."""
    import statsmodels.api as sm

    rows = children()
    x, groups = matrix(rows), pd.factorize(rows["la"])[0]
    kind = {"binomial": sm.families.Binomial(), "gaussian": sm.families.Gaussian()}[family]
    model = sm.GLM(rows["looked_after"].to_numpy(float), x.to_numpy(), kind)
    robust = {"cov_type": "cluster", "cov_kwds": {"groups": groups, "use_correction": False}}
    seconds, fit = best(lambda: model.fit(tol=1e-12, **robust))
    return {"seconds": seconds, "estimate": fit.params[0], "std_error": fit.bse[0]}


JOBS = {"swedge": swedge, "statsmodels": statsmodels}


def alone(job: str, family: str) -> dict[str, float]:
    """A job in a process of its own, with the most memory it held."""
    done = subprocess.run([sys.executable, __file__, job, family], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def target(met: bool, what: str) -> str:
    """What was asked, and whether it was met."""
    return f"under {what} {'met' if met else 'MISSED'}"


def lines() -> list[tuple[str, ...]]:
    """Lines for the table: job, ours, peer, peer's, ratio, target."""
    found = []
    for family, name in FAMILIES.items():
        ours, peer = alone("swedge", family), alone("statsmodels", family)
        shown, where = "statsmodels GLM, CR0", f"{ours['rows']:,.0f} rows x {ours['columns']:.0f} columns"
        seconds = (f"{ours['seconds']:.3g} s", shown, f"{peer['seconds']:.3g} s", f"{peer['seconds'] / ours['seconds']:.3g}")
        memory = (f"{ours['peak']:.0f} MB", shown, f"{peer['peak']:.0f} MB", f"{peer['peak'] / ours['peak']:.3g}")
        found.append((f"{name}, CR2, Satterthwaite df, {where}", *seconds, target(ours["seconds"] < SECONDS, f"{SECONDS:g} s")))
        found.append(("  most memory of the whole process", *memory, target(ours["peak"] < MEGABYTES, f"{MEGABYTES:g} MB")))
        apart = abs(ours["estimate"] - peer["estimate"]) / peer["std_error"], abs(ours["std_error"] / peer["std_error"] - 1)
        same = f"{apart[0]:.0e} SE, CR0 {apart[1]:.0e}"
        found.append(("  reading the rows; difference from the peer", f"{ours['door']:.3g} s", shown, same, "", ""))
    return found


if __name__ == "__main__":
    if len(sys.argv) == 3:
        result = {name: float(value) for name, value in JOBS[sys.argv[1]](sys.argv[2]).items()}
        print(json.dumps(result | {"peak": peak()}))
    else:
        print("\n".join("  ".join(cells) for cells in lines()))
