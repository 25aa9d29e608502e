"""The protocol's power section: what is assumed, what follows, and what few clusters do to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from swedge._present.escape import one_line
from swedge._present.report import Block, Caution, Picture, Points, Section, Table
from swedge._present.tables import format_p, percent, text_table
from swedge.plan.documents.naming import OWN_TEST, drawn, label_in
from swedge.plan.documents.prose import BY_FORMULA, number, with_method
from swedge.plan.documents.sap_design import design_in_words, lot_in_words, offer, power_case
from swedge.plan.documents.words import smallest_p
from swedge.plan.plan import Plan
from swedge.plan.power import WANTED, FormulaPower, PlannedPower, SimulationPower

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMULAS = (
    "The formula gives the power of the Wald test of an effect estimated by generalised least squares at"
    " the assumed correlation. No analysis with"
    " few clusters has quite this power: compare the simulation of the analyses that will be run."
)
SHOWN = ("case", "estimator", "test", "effect", "power", "mcse", "n_failed", "detectable")
"""Columns that a terminal has room for."""

NONE = "[To be written: no power calculation is registered; add one under power.<name>, or say in text.sample_size how the size came about]"


def power_sections(plan: Plan, power: PlannedPower) -> list[Section]:
    """The power section of a protocol.

    Parameters
    ----------
    plan : Plan
    power : PlannedPower
        Of this plan, as `swedge.plan.power.plan_power` gives.
    """
    text = plan.text("sample_size")
    opening = [f"{design_in_words(plan.design)} {lot_in_words(plan.design)}", *([text] if text else [])]
    if not power.cases:
        return [Section("Sample size and power", (*opening, *([] if text else [NONE])))]
    assumed = Section(
        "Sample size and power: what is assumed", (*opening, Points(tuple(power_case(plan, case.case) for case in power.cases)))
    )
    return [assumed, Section("Sample size and power: what follows", tuple(_results(plan, power)))]


def _results(plan: Plan, power: PlannedPower) -> Iterator[Block]:
    yield Points(tuple(text for case in power.cases for text in result_in_words(plan, case)))
    yield Table(power_table(plan, power), f"Power of two-sided tests at the {percent(plan.alpha)} level. A failed fit does not reject.")
    yield Picture.of(power.plot(), _alt(power), "Power by case and analysis; whiskers are 1.96 Monte Carlo standard errors.")
    if any(isinstance(case, FormulaPower) for case in power.cases):
        yield Caution(FORMULAS)
    yield from _bounded(plan, power)


def _alt(power: PlannedPower) -> str:
    rates = power.tidy()["power"]
    return f"Dot plot of {len(rates)} powers between {rates.min():.3f} and {rates.max():.3f}, with the level of the tests as a dotted line."


def _bounded(plan: Plan, power: PlannedPower) -> Iterator[Caution]:
    """Simulated tests that cannot reject, whatever the effect."""
    names = dict.fromkeys(name for case in power.cases if isinstance(case, SimulationPower) for name in case.case.tests)
    for name in names:
        smallest = smallest_p(plan.test(name).test, plan.design.count(), plan.design.min_p())
        if smallest > plan.alpha:
            words = f"{plan.test(name).label} cannot give a p below {format_p(smallest)}, so its power is 0 at {percent(plan.alpha)}"
            yield Caution(f"{words}, whatever the effect: {offer(smallest, plan.alpha)}")


def result_in_words(plan: Plan, case: FormulaPower | SimulationPower) -> Iterator[str]:
    """What a case found, a sentence for each method."""
    if isinstance(case, FormulaPower):
        yield _formula_in_words(plan, case)
        return
    size = "rejection rate without any effect (type I error)" if case.case.truth.effect == 0 else "power"
    for row in case.rows():
        failed = f"{row['n_failed']:,} failed fits, counted as not rejecting" if row["n_failed"] else "no failed fit"
        yield (
            f"{case.case.label}, {_method(plan, row['estimator'], row['test'])}: {size} {row['power']:.3f} (Monte Carlo standard error"
            f" {row['mcse']:.3f}, {row['reps']:,} trials, {failed})."
        )


def _formula_in_words(plan: Plan, case: FormulaPower) -> str:
    power = case.power
    df = "the normal distribution" if np.isinf(power.df) else f"{power.df:.1f} degrees of freedom"
    found = f"an effect of {case.detectable:.4g} would have a power of {percent(WANTED)}"
    found = f"no effect within the outcome's range has a power of {percent(WANTED)}" if np.isnan(case.detectable) else found
    where = "under the allocation on record" if plan.allocation is not None else "with sequences in the design's order"
    return (
        f"{with_method(case.case.label)}: power {power.power:.3f} for an effect of {number(power.effect)} (standard"
        f" error {power.std_error:.4g}, {df},"
        f" {where}); {found}."
    )


def _method(plan: Plan, estimator: str, test: str) -> str:
    label = label_in(plan, "estimators", estimator)
    return f"{label}, {label_in(plan, 'tests', test)}" if test else f"{label}, own test"


def power_table(plan: Plan, power: PlannedPower) -> pd.DataFrame:
    """Power, its Monte Carlo error and failed fits, with the plan's labels."""
    labels = {case.case.name: case.case.label for case in power.cases}
    rows = power.tidy()
    methods = [BY_FORMULA if pd.isna(e) else _method(plan, e, t) for e, t in zip(rows["estimator"], rows["test"], strict=True)]
    columns = {
        "power": "power",
        "mcse": "Monte Carlo SE",
        "detectable": f"effect with {percent(WANTED)} power",
        "reps": "trials",
        "n_failed": "failed fits",
    }
    shown = rows[list(columns)].rename(columns=columns).dropna(axis=1, how="all")
    shown.insert(0, "effect", rows["effect"])
    shown.insert(0, "analysis", methods)
    shown.insert(0, "case", rows["case"].map(labels))
    return shown


def power_text(power: PlannedPower) -> str:
    """Power in a terminal: the main columns, and below them what the plan's names stand for."""
    if not power.cases:
        return "No power case is registered. Add one under [power.NAME] in the plan."
    rows = power.tidy()[list(SHOWN)].dropna(axis=1, how="all")
    rows = rows.assign(test=rows["test"].replace("", OWN_TEST)) if "test" in rows else rows
    named = _labels_in(power)
    width = max(map(len, named))
    return "\n".join([text_table(rows), "", *(f"{name.ljust(width)}  {label}" for name, label in named.items())])


def _labels_in(power: PlannedPower) -> dict[str, str]:
    """Names of the cases, and of the estimators and tests that they simulate, with their labels."""
    found = {case.case.name: one_line(case.case.label) for case in power.cases}
    simulated = [case.case for case in power.cases if isinstance(case, SimulationPower)]
    for part in ("estimators", "tests"):
        found |= {name: label_in(power.plan, part, name) for case in simulated for name in getattr(case, part)}
    return found


def draw_power(power: PlannedPower, ax: Axes | None = None) -> Axes:
    """Dots with whiskers, a row a case and method."""
    from swedge._present.power import draw_power_dots

    rows = power_table(power.plan, power)
    pairs = zip(rows["case"], rows["analysis"], strict=True)
    names = [drawn(with_method(case, ": ") if analysis == BY_FORMULA else f"{case}: {analysis}", 44) for case, analysis in pairs]
    tidy = power.tidy()
    return draw_power_dots(names, tidy["power"].to_numpy(), tidy["mcse"].fillna(0.0).to_numpy(), power.plan.alpha, ax)
