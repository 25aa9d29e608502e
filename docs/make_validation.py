"""Fill the tables of docs/validation.md: swedge against the numbers of other packages, and the size of common tests.

Run by hand (`python docs/make_validation.py`) when numbers change. It reads tests/golden and fits the same data again; the data sets that
are not this project's to copy lie in ../shared, and without them nothing is written. The size table is simulated, from a fixed seed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

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
CORRELATION = {"ri": sw.Exchangeable(), "nested": sw.NestedExchangeable()}
ESTIMAND = {"TATE": sw.TATE(), "LTE": sw.LTE()}
QUANTITIES = ("estimate", "std_error", "df", "log likelihood")


class Difference(NamedTuple):
    """One number of one package against ours, in the unit of its quantity."""

    what: str
    package: str
    run: str
    quantity: str
    size: float


@cache
def trial(dataset: str, door: str, family: str) -> sw.Trial:
    """A data set through one of the two doors."""
    make: Callable[..., sw.Trial] = getattr(trials, f"from_{door}")
    return make(data.trial_rows(dataset), OUTCOME[family], family)


def compare(
    what: str, package: str, run: str, fit: sw.Estimate, theirs: tuple[float, float, float], criterion: float = np.nan
) -> Iterator[Difference]:
    """Differences in estimate (in standard errors), standard error (relative), df and log likelihood, where they gave them."""
    estimate, std_error, df = theirs
    unit = std_error if np.isfinite(std_error) else float(fit.std_error)
    sizes = {
        "estimate": abs(fit.estimate - estimate) / unit,
        "std_error": abs(fit.std_error - std_error) / unit,
        "df": abs(fit.df - df) if np.isfinite(df) else np.nan,
        "log likelihood": abs(fit.details.get("criterion", np.nan) - criterion) / 2,
    }
    name = package.replace("stats ", "R ")
    yield from (Difference(what, name, run, quantity, float(size)) for quantity, size in sizes.items() if np.isfinite(size))


def run_of(row: Any) -> str:
    """How the package was run."""
    return (
        "restarted"
        if "restarted" in row.version and "numDeriv" not in row.version
        else "tightened"
        if "numDeriv" in row.version
        else "as recorded"
    )


def package(source: str, name: str) -> str:
    """The named package with its version, out of a list of sources."""
    return next(part for part in source.split(", ") if part.startswith(name))


def gaussian(row: Any, what: str, **model: Any) -> Iterator[Difference]:
    """One Gaussian fit of lme4, lmerTest and, where there is one, pbkrtest."""
    at, run, nothing = trial(row.dataset, "rows", "gaussian"), run_of(row), np.nan
    fit = sw.MixedModel(CORRELATION[row.model], df="satterthwaite", **model).fit(at)
    yield from compare(what, package(row.source, "lme4"), run, fit, (row.estimate, row.std_error, nothing), row.criterion)
    yield from compare(f"{what}, Satterthwaite", package(row.source, "lmerTest"), run, fit, (nothing, nothing, row.satterthwaite_df))
    if np.isfinite(row.kr_df):
        adjusted = sw.MixedModel(CORRELATION[row.model], **model).fit(at)
        yield from compare(f"{what}, Kenward-Roger", package(row.source, "pbkrtest"), run, adjusted, (nothing, row.kr_std_error, row.kr_df))


def mixed() -> Iterator[Difference]:
    """Gaussian mixed models: a constant effect, then effects by exposure."""
    for row in data.golden("mixed").itertuples():
        yield from gaussian(row, "Gaussian mixed model", reml=row.reml)
    for row in data.golden("effects").itertuples():
        yield from gaussian(row, "Effects by exposure", effect=sw.ByExposure(), estimand=ESTIMAND[row.estimand])


def glmm() -> Iterator[Difference]:
    """Binary and count outcomes with one random intercept."""
    for row in data.golden("glmm").itertuples():
        fit = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trial(row.dataset, "cells", row.family))
        yield from compare("GLMM, Laplace", row.source, run_of(row), fit, (row.estimate, row.std_error, np.nan), -2 * row.log_likelihood)


def fixed() -> Iterator[Difference]:
    """Cluster and period effects with robust, overdispersed and model variances."""
    for row in data.golden("fixed").itertuples():
        robust = row.vcov.startswith("CR")
        df = "normal" if np.isinf(row.df) else "satterthwaite" if robust else "residual"
        fit = sw.FixedEffects(vcov=row.vcov, df=df).fit(trial(row.dataset, row.unit, row.family))
        kind = "printed" if "README" in row.version else "CR0 to CR2" if row.family == "gaussian" else "CR0, CR1"
        what = f"Fixed effects, {row.family}, {kind if robust else 'model and overdispersed'}"
        yield from compare(what, row.source, "as recorded", fit, (row.estimate, row.std_error, row.df))


def two_way() -> Iterator[Difference]:
    """Two-way fixed effects on panels; most packages' variances follow another convention than ours."""
    for row in data.golden("golden_twfe").itertuples():
        rows = data.panel_rows(row.dataset)
        panel = sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y_cont", first_treated="first_treated")
        robust = row.vcov in ("CR0", "CR1", "CR2")
        fit = sw.TwoWayFixedEffects(vcov=row.vcov if robust else "CR2").fit(panel)
        theirs = (row.estimate, row.std_error, row.df) if robust else (row.estimate, np.nan, np.nan)
        yield from compare("Two-way fixed effects", row.source, "as recorded", fit, theirs)


def agreement() -> str:
    """One line a model and package: how many fits, and the largest difference in each quantity."""
    found = pd.DataFrame([*mixed(), *glmm(), *fixed(), *two_way()])
    grouped = found.groupby(["what", "package", "run", "quantity"], sort=False)["size"].agg(["count", "max"]).reset_index()
    keys = ["what", "package", "run"]
    order = pd.MultiIndex.from_frame(grouped[keys].drop_duplicates())
    largest = grouped.pivot(index=keys, columns="quantity", values="max").reindex(index=order, columns=list(QUANTITIES))
    counts = grouped.groupby(keys)["count"].max()
    head = ["model", "package", "its run", "fits", "estimate, in SE", "SE, relative", "df", "log likelihood"]
    return markdown(head, [[*key, str(counts[key]), *map(short, row)] for key, row in zip(largest.index, largest.to_numpy(), strict=True)])


def sizes() -> str:
    """Rejection rates under the null, one column a level of noise."""
    table = size_table(REPS, seed=1)
    table["rate"] = [f"{rate:.3f} ({error:.3f})" for rate, error in zip(table["rejection"], table["mcse"], strict=True)]
    rows = table.pivot(index=["estimator", "test"], columns="noise", values="rate")
    order = pd.MultiIndex.from_frame(table[["estimator", "test"]].drop_duplicates())
    head = ["analysis", "test", *(f"noise {level:g}" for level in rows.columns)]
    return markdown(head, [[*key, *rates] for key, rates in zip(order, rows.reindex(order).to_numpy(), strict=True)])


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def short(size: float) -> str:
    """A difference to one figure; rounding error is 0."""
    return "" if np.isnan(size) else "0" if size < 2e-14 else f"{size:.0e}".replace("e-0", "e-")


def filled(page: str, tables: dict[str, str]) -> str:
    """The page with each table between its two marks."""
    for name, table in tables.items():
        page, count = re.subn(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=table: f"{m[1]}{t}\n{m[2]}", page, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"validation.md has {count} places for the table {name!r}; expected one")
    return page


if __name__ == "__main__":
    if data.shared_folder() is None:
        sys.exit("../shared is not beside the repository, so most data sets cannot be fitted again: nothing is written")
    path = DOCS / "validation.md"
    path.write_text(filled(path.read_text("utf-8"), {"agreement": agreement(), "sizes": sizes()}), "utf-8")
