"""Pictures of a report: from its plain tables only, which hold nobody's row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swedge._present.report import Picture
from swedge._present.tables import format_p, is_missing, percent
from swedge.errors import PlanError, counted, nearest
from swedge.estimate import RATIOS
from swedge.estimate.result import ALONG
from swedge.inference.randomisation import RandomisationTest
from swedge.plan.documents.naming import drawn, label_in, mean_of, measure, named, of, primary_of, shown_p
from swedge.plan.report import KEY
from swedge.plan.specs import Outcome

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from swedge.plan.report import Report

LABEL, LINE = 36, 0.19
"""Characters on a line of a row's label, and the height of a line in inches."""
INFINITE = "An arrow is an interval without a finite limit on that side."


def forest_of(report: Report, outcome: str | None = None, ax: Axes | None = None, scale: str | None = None) -> Axes:
    """Every estimate of one outcome, main, sensitivity and supplementary, and every test that gives an interval.

    Parameters
    ----------
    report : Report
    outcome : str, optional
        Its name; the first primary one if left out.
    ax : Axes, optional
        Axes to draw on; new ones by default.
    scale : str, optional
        Scale of the estimates to draw; left out, that of the first. What failed has none, and is written out beside the first scale's.

    Raises
    ------
    PlanError
        If the plan has no such outcome, or the report no row of it on that scale.
    """
    from swedge._present.forest import add_ratios, draw_forest

    registered = _outcome(report, outcome)
    lines = forest_lines(report, registered.name, scale)
    shown = next((line.scale for line in lines if not is_missing(line.scale)), "identity")
    texts = [drawn(line.label, LABEL) for line in lines]
    axes = _rows_of_text(texts) if ax is None else ax
    xlabel = drawn((measure(registered, shown) or "").capitalize())
    draw_forest(texts, np.array([line.estimate for line in lines]), np.array([(line.low, line.high) for line in lines]), xlabel, ax=axes)
    axes.tick_params(axis="y", labelsize=9)
    return add_ratios(axes, RATIOS[shown].capitalize()) if shown in RATIOS else axes


def _rows_of_text(texts: Sequence[str]) -> Axes:
    """Axes with room for labels of several lines."""
    import matplotlib.pyplot as plt

    row = max(0.4, LINE * max(text.count("\n") + 1 for text in texts) + 0.08)
    axes: Axes = plt.subplots(figsize=(7, 1.3 + row * len(texts)), layout="constrained")[1]
    return axes


def _outcome(report: Report, name: str | None) -> Outcome:
    plan = report.locked.plan
    if name is None:
        return primary_of(plan)
    if name not in plan.names["outcomes"]:
        raise PlanError(
            f"The plan has no outcome {name!r:.60}.{nearest(name, plan.names['outcomes'])} It has {', '.join(plan.names['outcomes'])}."
        )
    return plan.outcome(name)


def forest_lines(report: Report, outcome: str, scale: str | None = None) -> list[Any]:
    """Rows of a forest: ``label, estimate, low, high, scale``; an offered interval is a row of its own.

    Raises
    ------
    PlanError
        If there is none.
    """
    rows = of(report.rows, outcome=outcome)
    first = next(iter(rows["scale"].dropna()), None)
    wanted = first if scale is None else scale
    kept = rows[(rows["scale"] == wanted) | (rows["scale"].isna() & (wanted == first)) | (wanted is None)]
    lines = [line for row in kept.itertuples(index=False) for line in _forest_lines(report, row)]
    if not lines:
        raise PlanError(
            f"The report has no estimate of {outcome!r} to draw. Its outcomes are {', '.join(report.rows['outcome'].unique())}."
        )
    return list(pd.DataFrame(lines, columns=["label", "estimate", "low", "high", "scale"]).itertuples(index=False))


def _forest_lines(report: Report, row: Any) -> Iterator[tuple[str, float, float, float, Any]]:
    failed, offered = row.status == "failed", not is_missing(row.offered_level)
    if row.test and not (failed or offered) and is_missing(row.conf_low):
        return  # a test without an interval has nothing of its own to draw
    level = "" if is_missing(row.level) or np.isclose(row.level, report.locked.plan.level) else f" ({percent(row.level)})"
    label = (f"{row.term}: " if _of_several(report, row) else "") + named(report.locked.plan, row)
    yield f"{label}{level}", row.estimate, row.conf_low, row.conf_high, row.scale
    if offered and not failed:
        yield f"{label} ({percent(row.offered_level)}, offered)", row.estimate, row.offered_low, row.offered_high, row.scale


def _of_several(report: Report, row: Any) -> bool:
    """Whether a row is one of several effects of its fit."""
    return not is_missing(row.term) and len(of(report.rows, **{name: getattr(row, name) for name in KEY})) > 1


def forest_pictures(report: Report, outcome: str) -> list[Picture]:
    """A forest for each scale on which an outcome was estimated."""
    scales = list(of(report.rows, outcome=outcome)["scale"].dropna().unique()) or [None]
    return [_forest_picture(report, outcome, scale) for scale in scales]


def _forest_picture(report: Report, outcome: str, scale: str | None) -> Picture:
    registered, lines = report.locked.plan.outcome(outcome), forest_lines(report, outcome, scale)
    what = measure(registered, scale) or "effect"
    finite = sum(np.isfinite([line.estimate, line.low, line.high]).all() for line in lines)
    infinite = any(np.isinf([line.low, line.high]).any() for line in lines)
    lost = sum(bool(np.isnan(line.estimate)) for line in lines)
    told = f" {counted(lost, 'result was', 'results were')} not estimated." if lost else ""
    alt = f"Forest of {counted(len(lines), 'result', 'results')} of {registered.label}, {finite} with an estimate and a finite interval."
    ratios = f" ({RATIOS[scale]} along the top)" if scale in RATIOS else ""
    level = percent(report.locked.plan.level)
    where = f"{registered.label}: {what}{ratios}, every estimate with its {level} interval unless its label says otherwise."
    return Picture.of(forest_of(report, outcome, scale=scale), f"{alt}{told}", f"{where}{f' {INFINITE}' if infinite else ''}{told}")


def trajectories_of(report: Report, outcome: str, population: str, ax: Axes | None = None) -> Axes:
    """Mean outcome of every cluster over the periods; a suppressed cell, and one in which nobody was observed, is a gap.

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
        If the report has no cells of them.
    """
    from swedge._present.trajectories import draw_trajectories

    cells, plan = cells_of(report, outcome, population), report.locked.plan
    mean, arm = grid(cells, "mean"), grid(cells, "treatment")
    beside = sum(name not in plan.design.clusters for name in mean.index)
    order = sorted(mean.index, key=lambda name: name not in plan.design.clusters)  # comparators last, else as they are
    names, periods = [drawn(name) for name in order], [drawn(period) for period in mean.columns]
    values = [frame.loc[order].to_numpy(dtype=float) for frame in (mean, arm)]
    return draw_trajectories(
        values[0], values[1], names, periods, ax=ax, comparators=beside, ylabel=drawn(mean_of(plan.outcome(outcome)), 42)
    )


def cells_of(report: Report, outcome: str, population: str) -> pd.DataFrame:
    """Cells of an outcome in a population.

    Raises
    ------
    PlanError
        If there are none.
    """
    cells = of(report.cells, outcome=outcome, population=population)
    if not len(cells):
        raise PlanError(f"The report has no cells of {outcome!r:.60} in population {population!r:.60}: its data could not be made a trial.")
    return cells


def grid(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column of cells as clusters by periods, in the order of the trial."""
    wide = cells.pivot(index="cluster", columns="period", values=column)
    return wide.reindex(index=cells["cluster"].unique(), columns=cells["period"].unique())


def trajectories_picture(report: Report, outcome: str, population: str) -> Picture:
    """The trajectories, with what is left out said."""
    cells, plan = cells_of(report, outcome, population), report.locked.plan
    hidden = int(cells["suppressed"].astype(bool).sum())
    gaps = f" {counted(hidden, 'cell is a gap', 'cells are gaps')}: small counts are suppressed." if hidden else ""
    who = f"{plan.outcome(outcome).label}, {label_in(plan, 'populations', population)}"
    clusters, periods = cells["cluster"].nunique(), cells["period"].nunique()
    alt = f"Lines of {clusters} clusters over {periods} periods: the mean outcome of each cell. Markers are filled under treatment.{gaps}"
    return Picture.of(trajectories_of(report, outcome, population), alt, f"{who}: mean of every cluster in every period.{gaps}")


def reference_of(report: Report, key: Sequence[str], ax: Axes | None = None) -> Axes:
    """The reference distribution of a test.

    Parameters
    ----------
    report : Report
    key : sequence of str
        ``analysis, part, outcome, population, method, test`` of the test.
    ax : Axes, optional
        Axes to draw on; new ones by default.

    Raises
    ------
    PlanError
        If the report holds no reference distribution under this key.
    """
    from swedge._present.reference import draw_reference

    values, row, plan = *_reference(report, key), report.locked.plan
    registered, test = plan.outcome(row.outcome), plan.test(row.test)
    randomised = isinstance(test.test, RandomisationTest)
    plain = getattr(test.test, "statistic", "estimate") == "estimate"
    what = measure(registered, row.scale) if plain else "t statistic"
    xlabel = f"{(what or 'statistic').capitalize()}{' under each allocation' if randomised else ''}"
    unit = "allocations" if randomised else "draws"
    return draw_reference(values, float(row.statistic), float(row.p_value), drawn(test.label), ax=ax, xlabel=drawn(xlabel), unit=unit)


def _reference(report: Report, key: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.float64]], Any]:
    wanted = dict(zip(KEY, key, strict=True))
    values, rows = of(report.reference, **wanted)["statistic"], of(report.rows, **wanted)
    if not len(values) or not len(rows):
        raise PlanError(
            f"The report holds no reference distribution of {', '.join(filter(None, key))}. Only tests with a list or sample have one."
        )
    return values.to_numpy(dtype=float), next(rows.itertuples(index=False))


def reference_picture(report: Report, key: Sequence[str]) -> Picture:
    """The reference distribution, with its p and the smallest that it can give."""
    values, row = _reference(report, key)
    least = "" if is_missing(row.min_p) or not row.min_p else f" The smallest p that this test can give is {format_p(row.min_p)}."
    said = shown_p(row.p_value)
    alt = f"Reference distribution of {len(values):,} statistics with the observed one at {row.statistic:.4g}; {said}."
    caption = f"{named(report.locked.plan, row)}: reference distribution. Shaded: as extreme as observed, or more; {said}.{least}"
    return Picture.of(reference_of(report, key), alt, caption)


def reference_keys(report: Report, outcome: str) -> list[tuple[str, ...]]:
    """Keys of an outcome's tests whose reference distributions the report holds."""
    found = of(report.reference, outcome=outcome)[list(KEY)].drop_duplicates()
    return [tuple(row) for row in found.itertuples(index=False, name=None)]


def effects_of(report: Report, key: Sequence[str], ax: Axes | None = None) -> Axes:
    """Effects of one fit along exposures, periods or event times, with pointwise intervals.

    Raises
    ------
    PlanError
        If the fit has no such effects.
    """
    from swedge._present.effect_curve import draw_effect_curve
    from swedge._present.forest import add_ratios

    kind, rows = _effects(report, key)
    at = np.array([float(term.split()[1]) for term in rows["term"]])
    onset = -0.5 if kind == "event" and at.min() < 0 else None
    scale, registered = rows["scale"].iloc[0], report.locked.plan.outcome(key[2])
    limits, ylabel = rows[["conf_low", "conf_high"]].to_numpy(dtype=float), drawn((measure(registered, scale) or "").capitalize(), 42)
    axes = draw_effect_curve(at, rows["estimate"].to_numpy(dtype=float), limits, None, ALONG[kind], ylabel, ax, onset)
    return add_ratios(axes, RATIOS[scale].capitalize(), "right") if scale in RATIOS else axes


def _effects(report: Report, key: Sequence[str]) -> tuple[str, pd.DataFrame]:
    rows = of(report.rows, **dict(zip(KEY, key, strict=True)))
    terms = ["" if is_missing(term) else str(term) for term in rows["term"]]
    for kind in ALONG:
        along = rows[[re.fullmatch(rf"{kind} -?\d+", term) is not None for term in terms]]
        if len(along) > 1 and np.isfinite(along["estimate"].to_numpy(dtype=float)).any():
            return kind, along
    raise PlanError(f"{', '.join(filter(None, key))} has no effects along exposures, periods or event times to draw.")


def effect_pictures(report: Report, outcome: str) -> list[Picture]:
    """A curve for each fit of an outcome that has several effects along time."""
    rows = of(report.rows, outcome=outcome, test="")[list(KEY)]
    keys = [key for key, _ in groupby(rows.itertuples(index=False, name=None))]
    return [_effect_picture(report, key) for key in dict.fromkeys(keys) if _has_effects(report, key)]


def _has_effects(report: Report, key: Sequence[str]) -> bool:
    try:
        return bool(_effects(report, key))
    except PlanError:
        return False


def _effect_picture(report: Report, key: Sequence[str]) -> Picture:
    kind, rows = _effects(report, key)
    alt = f"Curve of {len(rows)} effects along {ALONG[kind].lower()}, with pointwise intervals."
    who = named(report.locked.plan, next(rows.itertuples(index=False)))
    return Picture.of(effects_of(report, key), alt, f"{who}: effects along {ALONG[kind].lower()}, each with its own interval.")


def wedge_picture(report: Report) -> Picture:
    """The allocation carried out."""
    allocation = report.locked.allocation
    design = allocation.design
    alt = f"Grid of {design.n_clusters} clusters by {design.n_periods} periods, coloured by treatment."
    return Picture.of(allocation.plot(), alt, "The registered allocation. Periods are as wide as they are long where the design has dates.")
