"""Write docs/validation.md: what swedge gives where other packages have given numbers, and the conventions where they disagree.

Run by hand (`python docs/make_validation.py`) after a change of numbers. It reads tests/golden and fits the same data again; the data sets
that are not this project's to copy lie in ../shared, and without them nothing is written. The size table is simulated, from a fixed seed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

import swedge as sw
from swedge.studies import size_table

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

import reference_data as data  # noqa: E402 - the tests' own reading of the data
import reference_trials as trials  # noqa: E402

REPS = 10_000
OUTCOME = {"gaussian": "y_cont", "binomial": "y_bin", "poisson": "y_bin"}


class Difference(NamedTuple):
    """One number of one peer against ours, in the unit that `quantity` names."""

    table: str
    peer: str
    run: str
    quantity: str
    size: float


@cache
def trial(dataset: str, door: str, family: str) -> sw.Trial:
    """A data set through one of the two doors."""
    make: Callable[..., sw.Trial] = getattr(trials, f"from_{door}")
    return make(data.trial_rows(dataset), OUTCOME[family], family)


def run_of(version: str) -> str:
    """How far the peer's own optimiser was pushed."""
    return "restarted until nothing moves" if "restarted" in version else "as recorded"


def compare(table: str, peer: str, run: str, pairs: dict[str, tuple[float, float, float]]) -> Iterator[Difference]:
    """Differences of pairs (ours, theirs, unit), without those that the peer did not give."""
    for quantity, (ours, theirs, unit) in pairs.items():
        if np.isfinite(theirs):
            yield Difference(table, peer, run, quantity, abs(float(ours) - theirs) / unit)


def package(source: str, name: str) -> str:
    """The named package with its version, out of a list of sources."""
    return next((part for part in source.split(", ") if part.startswith(name)), name)


def mixed() -> Iterator[Difference]:
    """Gaussian mixed models."""
    for row in data.golden("mixed").itertuples():
        correlation = sw.Exchangeable() if row.model == "ri" else sw.NestedExchangeable()
        at = trial(row.dataset, "rows", "gaussian")
        fit = sw.MixedModel(correlation, reml=row.reml, df="satterthwaite").fit(at)
        pairs = {
            "-2 log likelihood": (fit.details["criterion"], row.criterion, 1.0),
            "estimate, in standard errors": (fit.estimate, row.estimate, row.std_error),
            "standard error, relative": (fit.std_error, row.std_error, row.std_error),
        }
        run = run_of(row.version)
        yield from compare("Gaussian mixed models", package(row.source, "lme4"), run, pairs)
        df = {"df": (fit.df, row.satterthwaite_df, 1.0)}
        yield from compare("Satterthwaite", package(row.source, "lmerTest"), run, df)
        if np.isfinite(row.kr_df):
            fit = sw.MixedModel(correlation).fit(at)
            adjusted = {
                "standard error, relative": (fit.std_error, row.kr_std_error, row.kr_std_error),
                "df": (fit.df, row.kr_df, 1.0),
            }
            yield from compare("Kenward-Roger", package(row.source, "pbkrtest"), run, adjusted)


def glmm() -> Iterator[Difference]:
    """Binary and count outcomes with one random intercept."""
    for row in data.golden("glmm").itertuples():
        fit = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trial(row.dataset, "cells", row.family))
        pairs = {
            "log likelihood": (-fit.details["criterion"] / 2, row.log_likelihood, 1.0),
            "estimate, in standard errors": (fit.estimate, row.estimate, row.std_error),
            "standard error, relative": (fit.std_error, row.std_error, row.std_error),
        }
        run = "inner tolerance 1e-10 or less" if "numDeriv" in row.version else "as recorded"
        yield from compare("GLMM, Laplace", row.source, run, pairs)


def fixed() -> Iterator[Difference]:
    """Cluster and period effects with robust, overdispersed and model variances."""
    for row in data.golden("fixed").itertuples():
        df = "normal" if np.isinf(row.df) else "satterthwaite" if row.vcov.startswith("CR") else "residual"
        fit = sw.FixedEffects(vcov=row.vcov, df=df).fit(trial(row.dataset, row.unit, row.family))
        pairs = {
            "estimate, in standard errors": (fit.estimate, row.estimate, row.std_error),
            "standard error, relative": (fit.std_error, row.std_error, row.std_error),
            "df": (fit.df if np.isfinite(row.df) else 0.0, row.df, 1.0),
        }
        kind = row.vcov if row.vcov.startswith("CR") else f"{row.vcov} variance"
        yield from compare(f"Fixed effects, {row.family}, {kind}", row.source, "as recorded", pairs)


def twfe() -> Iterator[Difference]:
    """Two-way fixed effects on panels."""
    for row in data.golden("golden_twfe").itertuples():
        rows = data.panel_rows(row.dataset)
        panel = sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y_cont", first_treated="first_treated")
        robust = row.vcov in ("CR0", "CR1", "CR2")
        fit = sw.TwoWayFixedEffects(vcov=row.vcov if robust else "CR2").fit(panel)
        pairs = {"estimate, in standard errors": (fit.estimate, row.estimate, row.std_error)}
        if robust:
            pairs |= {"standard error, relative": (fit.std_error, row.std_error, row.std_error), "df": (fit.df, row.df, 1.0)}
        yield from compare("Two-way fixed effects", row.source, "as recorded", pairs)


def agreement() -> pd.DataFrame:
    """One row a table, peer and quantity: how many numbers, and the largest difference."""
    found = pd.DataFrame([*mixed(), *glmm(), *fixed(), *twfe()])
    grouped = found.groupby(["table", "peer", "run", "quantity"], sort=False)["size"]
    return grouped.agg(numbers="count", largest="max").reset_index()


def sizes() -> pd.DataFrame:
    """Rejection rates under the null, one column a level of noise."""
    table = size_table(REPS, seed=1)
    table["rate"] = [f"{rate:.3f} ({error:.3f})" for rate, error in zip(table["rejection"], table["mcse"], strict=True)]
    return table.pivot(index=["estimator", "test"], columns="noise", values="rate").reindex(
        pd.MultiIndex.from_frame(table[["estimator", "test"]].drop_duplicates())
    )


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def short(size: float) -> str:
    """A difference with one figure; below 1e-15 it is rounding."""
    return "0" if size < 1e-15 else f"{size:.0e}".replace("e-0", "e-")


def page() -> str:
    """The whole page."""
    rows = [[r.table, r.peer, r.run, r.quantity, str(r.numbers), short(r.largest)] for r in agreement().itertuples()]
    rates = sizes()
    shown = [[*index, *values] for index, values in zip(rates.index, rates.to_numpy().tolist(), strict=True)]
    parts = {
        "agreement": markdown(["what", "package", "its run", "quantity", "numbers", "largest difference"], rows),
        "sizes": markdown(["analysis", "test", *(f"noise {level:g}" for level in rates.columns)], shown),
        "reps": f"{REPS:,}",
    }
    text = (DOCS / "validation.in").read_text("utf-8")
    for name, part in parts.items():
        text = text.replace(f"@{name}@", part)
    return text


if __name__ == "__main__":
    if data.shared_folder() is None:
        sys.exit("../shared is not beside the repository, so most data sets cannot be fitted again: nothing is written")
    (DOCS / "validation.md").write_text(page(), "utf-8")
