"""Fill two tables of docs/validation-did.md: swedge against the packages for difference-in-differences, and what is not reproduced.

Run by hand (`python docs/make_did_validation.py`) when numbers change. It compares as the tests do, in their own words, and like them needs
the data sets in ../shared; without them nothing is written.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from make_validation import filled, markdown, short

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests" / "estimators"))

import test_golden_did_cs as group_time  # noqa: E402
import test_golden_did_efficient as efficient  # noqa: E402
import test_golden_did_imputation as imputation  # noqa: E402
import test_golden_did_random as random_timing  # noqa: E402
import test_golden_did_remaining as remaining  # noqa: E402
import test_golden_did_two_way as two_way  # noqa: E402

import reference_data as data  # noqa: E402 - make_validation has put the tests' folder on the path

OURS = {
    "extended": "ExtendedTwoWay",
    "imputation": "Imputation",
    "stacked": "StackedDiD",
    "switchers": "Switchers",
    "two-stage": "TwoStage",
}


class Compared(NamedTuple):
    """One number of a package: the difference in the estimate, and in the standard error as a share of it."""

    ours: str
    package: str
    estimate: float
    error: float


def by_group_and_time() -> Iterator[Compared]:
    """Callaway-Sant'Anna and Sun-Abraham; rows that a package defines otherwise left out, as in the tests."""
    for name in group_time.EXACT:
        if name.startswith("dd_cs_mpdta_dr_") and not name.endswith("nox"):
            continue
        table = group_time.comparable(name, group_time.compared(name))
        factor = np.sqrt(29 / 28) if name == "dd_cs_mpdta_clstate" else 1.0
        for row in table.itertuples():
            yield compared(group_time.RECORDS.loc[name].estimator, row, row.ours, factor * row.error)


def by_imputation() -> Iterator[Compared]:
    """Imputation, two-stage, saturated, stacked and switching estimators."""
    of_packages = imputation.NUMBERS[imputation.NUMBERS.source != "numpy"]
    for (_, name), rows in of_packages.groupby(["id", "estimator"]):
        first = rows.iloc[0]
        leads = {"imputation": 2}.get(name.split()[0], 4 if first["data"] == "mpdta" else 9)
        fit = imputation.asked(name, leads).fit(imputation.panel(first["data"])).tidy().set_index("term")
        for row in rows.itertuples():
            yield compared(OURS[name.split()[0]], row, fit.estimate[row.term], fit.std_error[row.term])


def by_random_timing() -> Iterator[Compared]:
    """The efficient estimator with the conservative variance, and synthetic controls' estimates."""
    for row in random_timing.NUMBERS.itertuples():
        trial = random_timing.panel(row.data, row.outcome)
        if row.estimator in random_timing.SYNTHETIC:
            yield compared(row.estimator, row, float(random_timing.SYNTHETIC[row.estimator]().point(trial)), np.nan)
            continue
        beta = None if np.isnan(row.beta) else row.beta
        asked = random_timing.RothSantAnna(
            aggregate=row.aggregate, controls=row.controls, beta=beta, pool="never", vcov="neyman", df="normal"
        )
        fit = asked.fit(trial).tidy().set_index("term")
        yield compared(row.estimator, row, fit.estimate[row.term], fit.std_error[row.term])


def by_two_way() -> Iterator[Compared]:
    """Two-way fixed effects, their standard errors with each package's factor."""
    for row in two_way.CONSTANT.itertuples():
        error = two_way.standard_error(row.data, row.variance)
        yield compared("TwoWayFixedEffects", row, two_way.scores(row.data).estimate, error)
    for model, rows in two_way.NUMBERS[two_way.NUMBERS.model.isin(list(two_way.CURVES))].groupby("model"):
        ours = two_way.with_columns(model)
        for row in rows.itertuples():
            yield compared("FixedEffects", row, *ours.loc[row.term, ["estimate", "error"]])
    for row in two_way.NUMBERS[two_way.NUMBERS.model == "poisson"].itertuples():
        fit = two_way.sw.FixedEffects(vcov="model").fit(two_way.complaints("first_trained"))
        yield compared("FixedEffects", row, float(fit.estimate), np.nan)


def by_long_differences() -> Iterator[Compared]:
    """Packages' estimators that are sums of ours."""
    for name in ("dd_lwdid_mpdta", "dd_lwdid_castle5_10"):
        rows = remaining.NUMBERS.loc[name]
        ours = remaining.LongDifferences(remaining.panel(rows["data"].iloc[0]))
        for row in rows.itertuples():
            yield compared("CallawaySantAnna, long differences", row, *ours.averaged(ours.asked(row.term)))
    for name in ("dd_eff_mpdta", "dd_eff_castle5_10"):
        rows = efficient.NUMBERS.loc[name]
        weighed = efficient.Efficient(efficient.panel(rows["data"].iloc[0]))
        for row in rows.itertuples():
            yield compared("CallawaySantAnna, efficient weights", row, *weighed.averaged(row.term))
    for row in remaining.NUMBERS.loc["pf_lpdid_mpdta_es"].itertuples():
        yield compared("WithinPeriod, long differences", row, *remaining.projected(int(row.term.split()[1])))


def compared(ours: str, row: object, estimate: float, error: float) -> Compared:
    """A package's row against our numbers."""
    return Compared(ours, f"{row.source} {row.version}", abs(estimate - row.estimate), abs(error / row.se - 1))


def agreement() -> str:
    """One line an estimator and package: how many numbers, and the largest differences."""
    found = pd.DataFrame([*by_group_and_time(), *by_imputation(), *by_random_timing(), *by_two_way(), *by_long_differences()])
    largest = found.groupby(["ours", "package"], sort=False).agg(
        count=("estimate", "size"), estimate=("estimate", "max"), error=("error", "max")
    )
    largest = largest.sort_index(level="ours", sort_remaining=False, kind="stable")
    rows = [[*key, f"{row['count']:,.0f}", short(row["estimate"]), short(row["error"])] for key, row in largest.iterrows()]
    return markdown(["estimator", "package", "numbers", "estimate", "SE, relative"], rows)


def not_fitted() -> str:
    """One line a record of which something has no counterpart."""
    return markdown(["record", "package", "what", "why not"], data.golden("did_not_fitted").to_numpy().tolist())


if __name__ == "__main__":
    if data.shared_folder() is None:
        sys.exit("../shared is not beside the repository, so its data sets cannot be fitted again: nothing is written")
    path = DOCS / "validation-did.md"
    path.write_text(filled(path.read_text("utf-8"), {"did-agreement": agreement(), "did-not-fitted": not_fitted()}), "utf-8")
