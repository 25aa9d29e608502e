"""The flow of clusters and rows through the trial, as a diagram and as a table."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swedge._present.flow import Arm, Flow, Stage, draw_flow
from swedge._present.report import Picture
from swedge._present.tables import is_missing
from swedge._present.wedge import STATES
from swedge.errors import PlanError, counted
from swedge.plan.documents.figures import grid
from swedge.plan.documents.naming import label_in, of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from swedge.plan.report import Report

HIDDEN = "*"
"""In the place of a count that is suppressed."""
SUPPRESSED = "suppressed"
TRANSITION, UNSEEN = STATES.index("Transition"), STATES.index("Not observed")

POPULATION = "in the population"
KEPT = {
    "rows read": "read",
    "in the clusters of this outcome": "in clusters with this outcome",
    POPULATION: "in the population",
    "the outcome exists": "for which the outcome exists",
    "the outcome is known": "with a known outcome",
    "analysed": "analysed",
}
LEFT = {
    "in the clusters of this outcome": "in other clusters",
    POPULATION: "outside the population, or in a period left out",
    "the outcome exists": "for which it does not exist",
    "the outcome is known": "with a missing outcome",
    "analysed": "with a missing covariate",
}
"""What became of rows at a step, in words."""


def flow_of(report: Report, outcome: str, population: str, ax: Axes | None = None) -> Axes:
    """The flow diagram of an outcome in a population: steps from the rows read, then individuals of every cluster and period.

    Parameters
    ----------
    report : Report
    outcome, population : str
        Names.
    ax : Axes, optional
        Axes to draw on; new ones by default.

    Raises
    ------
    PlanError
        If the report has no flow of them.
    """
    return draw_flow(_diagram(report, outcome, population), ax)


def flow_picture(report: Report, outcome: str, population: str) -> Picture:
    """The flow diagram, with what is left out said."""
    made, plan = _diagram(report, outcome, population), report.locked.plan
    hidden = any(HIDDEN in arm.counts for arm in made.arms)
    told = f" {HIDDEN} stands for a cell with a small count, which is suppressed." if hidden else ""
    who = f"{plan.outcome(outcome).label}, {label_in(plan, 'populations', population)}"
    steps = "; ".join(stage.text for stage in made.stages)
    alt = f"Flow diagram: {steps}. Below, {len(made.arms)} clusters over {len(made.periods)} periods with the individuals of each cell."
    return Picture.of(
        draw_flow(made),
        alt,
        f"{who}: flow of rows, and individuals of each cluster and period in the first analysis that reads them.{told}",
    )


def _diagram(report: Report, outcome: str, population: str) -> Flow:
    flow = of(report.flow, outcome=outcome, population=population)
    if not len(flow):
        raise PlanError(f"The report has no flow of {outcome!r:.60} in population {population!r:.60}.")
    cells = of(report.cells, outcome=outcome, population=population)
    own = [name for name in flow["cluster"].unique() if name in report.locked.plan.design.clusters]
    if not own:
        raise PlanError(f"No cluster of the design holds {outcome!r:.60}, so it has no flow diagram. Its table of flow is in the report.")
    secret = set(flow.loc[flow["suppressed"].astype(bool), "cluster"])
    arms = _arms(report, cells, own, secret) if len(cells) else _planned_arms(report, own)
    periods = [str(period) for period in cells["period"].unique()] or [str(k) for k in range(1, report.locked.plan.design.n_periods + 1)]
    return Flow((_randomised(flow, own), *_stages(report, flow, population)), tuple(arms), tuple(periods))


def _randomised(flow: pd.DataFrame, own: list[str]) -> Stage:
    beside = flow["cluster"].nunique() - len(own)
    others = f", {counted(beside, 'comparator', 'comparators')} beside them" if beside else ""
    return Stage(f"{counted(len(own), 'cluster', 'clusters')} randomised{others}")


def _stages(report: Report, flow: pd.DataFrame, population: str) -> list[Stage]:
    """Boxes of the steps at which rows were lost, after that of the rows read."""
    totals = _totals(flow)
    steps = [(str(stage), *totals[stage]) for stage in totals]
    who = label_in(report.locked.plan, "populations", population)
    first = Stage(f"{_rows(*steps[0][1:])} {KEPT.get(steps[0][0], steps[0][0])}")
    return [first, *(_stage(was, now, who) for was, now in pairwise(steps) if was[1:] != now[1:] or not now[2])]


def _totals(flow: pd.DataFrame) -> dict[Any, tuple[float, bool]]:
    """Rows of all clusters after each step, as far as they are shown, and whether all are."""
    groups = flow.groupby("stage", sort=False)
    return {stage: (float(rows["rows"].sum()), not rows["suppressed"].astype(bool).any()) for stage, rows in groups}


def _rows(total: float, whole: bool) -> str:
    return ("" if whole else "at least ") + counted(int(total), "row", "rows")


def _stage(was: tuple[str, float, bool], now: tuple[str, float, bool], population: str) -> Stage:
    where = f" ({population})" if now[0] == POPULATION else ""
    lost = counted(int(was[1] - now[1]), "row", "rows") if was[2] and now[2] else "a suppressed number of rows"
    return Stage(f"{_rows(*now[1:])} {KEPT.get(now[0], now[0])}{where}", (f"{lost} {LEFT.get(now[0], 'left out')}",))


def _arms(report: Report, cells: pd.DataFrame, own: list[str], secret: set[str]) -> list[Arm]:
    wide = {name: grid(cells, name) for name in ("treatment", "n", "suppressed")}
    order = [str(name) for name in report.locked.allocation.calendar()["cluster"] if name in own and name in wide["n"].index]
    return [_arm(report, name, name not in secret, *(list(wide[part].loc[name]) for part in wide)) for name in order]


def _arm(report: Report, name: str, told: bool, treatment: list[Any], n: list[Any], hidden: list[Any]) -> Arm:
    counts = [_count(*cell) for cell in zip(n, hidden, strict=True)]
    analysed = "" if HIDDEN in counts or not told else f"{np.nansum(np.asarray(n, dtype=float)):,.0f}"
    return Arm(name, "", _states(report, name, treatment), tuple(counts), analysed=analysed)


def _count(n: Any, hidden: Any) -> str:
    return HIDDEN if not is_missing(hidden) and hidden else "0" if is_missing(n) else f"{n:,.0f}"


def _states(report: Report, name: str, treatment: list[Any]) -> tuple[str, ...]:
    """States of a cluster's periods by the treatment that was analysed; what is not observed may be a transition."""
    design, allocation = report.locked.plan.design, report.locked.allocation
    planned = design._states[allocation.sequence[design.clusters.index(name)]].tolist()
    planned = planned if len(planned) == len(treatment) else [UNSEEN] * len(treatment)
    known = {0.0: "Control", 1.0: "Treated"}
    unseen = [STATES[TRANSITION if state == TRANSITION else UNSEEN] for state in planned]
    return tuple(gap if is_missing(value) else known.get(value, "Treated in part") for value, gap in zip(treatment, unseen, strict=True))


def _planned_arms(report: Report, own: list[str]) -> list[Arm]:
    """The registered schedule without counts, where the data could not be made a trial."""
    design, allocation = report.locked.plan.design, report.locked.allocation
    order = [str(name) for name in allocation.calendar()["cluster"] if name in own]
    states = {name: design._states[allocation.sequence[design.clusters.index(name)]] for name in order}
    return [Arm(name, "", tuple(STATES[k] for k in states[name]), ("–",) * design.n_periods) for name in order]


def flow_table(report: Report, outcome: str, population: str) -> pd.DataFrame:
    """Rows of each cluster after each step, one column a step; a total is suppressed with any of its parts."""
    flow = of(report.flow, outcome=outcome, population=population)
    clusters, steps, totals = flow["cluster"].unique(), flow["stage"].unique(), _totals(flow)
    rows, hidden = (flow.pivot(index="cluster", columns="stage", values=name) for name in ("rows", "suppressed"))
    columns = {
        step: [*(SUPPRESSED if hidden.loc[name, step] else rows.loc[name, step] for name in clusters), _total(*totals[step])]
        for step in steps
    }
    return pd.DataFrame({"cluster": [*clusters, "All clusters"]} | {step: _as_one(cells) for step, cells in columns.items()})


def _total(total: float, whole: bool) -> float | str:
    return total if whole else SUPPRESSED


def _as_one(cells: list[float | str]) -> list[str]:
    """Numbers as words, which are alike in all columns of the table."""
    return [cell if isinstance(cell, str) else f"{cell:,.0f}" for cell in cells]


def counted_rows(report: Report) -> str:
    """Which rows of the file the flow counts, in a sentence."""
    beside = report.locked.plan.comparators
    held = set(report.flow["cluster"]) & set(beside.clusters if beside is not None else ())
    others = f" of {counted(len(beside.clusters), 'comparator', 'comparators')} and" if beside is not None and not held else ""
    with_them = " and of the comparators that stand beside them" if held else ""
    return (
        f"The flow counts rows of the randomised clusters that hold the outcome{with_them}. Other rows of the file, those{others} of"
        " clusters left out, are not counted at any step."
    )
