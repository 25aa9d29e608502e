"""All populations, outcomes, estimators and tests of a plan in one go; what fails is reported in its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from swedge.errors import DataError, SwedgeError, listing, nearest
from swedge.estimate import COLUMNS, Estimate, TestResult
from swedge.inference import MaxT, multiplicity
from swedge.inference.release import small
from swedge.plan.baseline import EXISTS, baseline_of
from swedge.plan.deviations import deviations_of
from swedge.plan.documents.naming import primary_of
from swedge.plan.frames import Frames, check_frames, fingerprint, gather
from swedge.plan.lock import LockedPlan
from swedge.plan.plan import Plan
from swedge.plan.report import ADJUSTED, BASELINE, CELLS, FLOW, KEY, NOTES, REFERENCE, ROWS, Report
from swedge.plan.specs import Multiplicity, PlannedEstimator
from swedge.plan.suppression import baseline_beside_cells, baseline_for_release, cells_for_release, flow_for_release
from swedge.plan.trials import IMPUTED, Sample, samples
from swedge.plan.versions import versions_of
from swedge.trial import Trial

FAILED = "failed"
MOST_REFERENCE = 20_000
"""Longest reference distribution that a report keeps."""


@dataclass
class _Found:
    """What has been found so far, by table."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)
    reference: list[dict[str, Any]] = field(default_factory=list)
    cells: list[pd.DataFrame] = field(default_factory=list)
    flow: list[pd.DataFrame] = field(default_factory=list)
    baseline: list[dict[str, Any]] = field(default_factory=list)


def run_plan(
    locked: LockedPlan,
    frames: Frames,
    *,
    progress: bool | None = None,
    release: bool = True,
    only: Sequence[str] = (),
) -> Report:
    """Run a locked plan.

    Parameters
    ----------
    locked : LockedPlan
    frames : DataFrame, path, or mapping from source names to them
    progress : bool, optional
        A progress bar; None shows one only when standard error is a terminal.
    release : bool
        Whether counts of 1 to 5 are suppressed.
    only : sequence of str
        Analyses to run; the others are listed as deviations. None means all.

    Raises
    ------
    DataError
        If the data are not those of the plan. Anything later is reported in its place.
    """
    _check_only(locked.plan, only)
    tables = gather(locked.plan, frames)
    check_frames(locked.plan, tables)
    return carry_out(locked, locked.plan, tables, progress=progress, release=release, only=only)


def carry_out(
    locked: LockedPlan,
    plan: Plan,
    tables: Mapping[str, pd.DataFrame],
    *,
    progress: bool | None,
    release: bool,
    only: Sequence[str] = (),
    purpose: str = "",
) -> Report:
    """Run a plan, which may be the locked one under another allocation, on tables that were checked.

    Parameters
    ----------
    purpose : str
        What the run is, if it is not the analysis itself.
    """
    found = _Found()
    with threadpool_limits(1, user_api="blas"):  # how a product is split over threads changes its last digits
        for sample, planned in _with_progress(_tasks(plan, tables, only), progress):
            _analyse(sample, planned, found)
        _describe(plan, tables, found)
        return _report(locked, found, plan, tables, only, purpose, release)


def _check_only(plan: Plan, only: Sequence[str]) -> None:
    unknown = [f"{name!r}.{nearest(name, plan.names['analyses'])}" for name in only if name not in plan.names["analyses"]]
    if unknown:
        raise DataError(f"only= names no analysis of the plan: {listing(unknown)} They are: {listing(plan.names['analyses'], 8)}.")


Task = tuple[Sample, PlannedEstimator]


def _tasks(plan: Plan, tables: Mapping[str, pd.DataFrame], only: Sequence[str]) -> list[Task]:
    chosen = [analysis for analysis in plan.analyses if not only or analysis.name in only]
    found = [sample for analysis in chosen for sample in samples(plan, tables, analysis)]
    return [(sample, plan.estimator(name)) for sample in found for name in sample.analysis.estimators]


def _with_progress(tasks: list[Task], progress: bool | None) -> Iterator[Task]:
    hidden = None if progress is None else not progress
    yield from tqdm(tasks, desc="Analyses", unit="fit", disable=hidden)


def _analyse(sample: Sample, planned: PlannedEstimator, found: _Found) -> None:
    """One estimator and its tests."""
    key = _key(sample, planned.name)
    try:
        fit = sample.fit(planned.estimator).at(sample.plan.level)
    except Exception as error:  # a registered analysis is never lost to the failure of another
        found.rows.append(_lost(key, error))
    else:
        found.rows += _fit_rows(key, sample, fit)
        found.notes += _notes(key, fit.notes, fit.methods)
    for name in sample.analysis.tests:
        _test({**key, "test": name}, sample, planned, found)


def _test(key: dict[str, str], sample: Sample, planned: PlannedEstimator, found: _Found) -> None:
    test: Any = sample.plan.test(key["test"]).test
    try:
        result: TestResult = test.run(sample.trial, planned.estimator)
    except Exception as error:
        found.rows.append(_lost(key, error))
        return
    found.rows.append(_test_row(key, sample, result))
    found.notes += _notes(key, result.notes, result.methods)
    if result.reference is not None and result.reference.ndim == 1 and len(result.reference) <= MOST_REFERENCE:
        found.reference += [{**key, "statistic": value} for value in result.reference.tolist()]


def _key(sample: Sample, method: str) -> dict[str, str]:
    names = (sample.analysis.name, sample.analysis.part, sample.outcome.name, sample.population.name, method, "")
    return dict(zip(("analysis", "part", "outcome", "population", "method", "test"), names, strict=True))


def _lost(key: dict[str, str], error: Exception) -> dict[str, Any]:
    """A failure in its place. The words of an error that is not our own may hold a row's values, so they are not kept."""
    own = isinstance(error, SwedgeError)
    return {**key, "status": FAILED, "message": str(error) if own else f"An unexpected {type(error).__name__}; nothing was estimated."}


def _fit_rows(key: dict[str, str], sample: Sample, fit: Estimate) -> list[dict[str, Any]]:
    size = {"n": _size(sample), "clusters": float(len(sample.clusters))}
    rows = fit.tidy()[list(COLUMNS)].to_dict("records")
    return [{**key, **{str(name): value for name, value in row.items()}, "scale": fit.scale, "level": fit.level, **size} for row in rows]


def _size(sample: Sample) -> float:
    """Individuals analysed: those whose outcome exists, where values are imputed."""
    return float(len(sample.rows)) if sample.rule == IMPUTED else float(sample.trial.n.sum())


def _test_row(key: dict[str, str], sample: Sample, result: TestResult) -> dict[str, Any]:
    row = result.tidy().iloc[0].to_dict()
    kept = {name: row[name] for name in ("estimate", "statistic", "p_value", "min_p", "conf_low", "conf_high", "level", "n_allocations")}
    offered = (np.nan, np.nan) if result.offered_conf_int is None else tuple(np.ravel(result.offered_conf_int).tolist())
    extra = {"offered_level": result.offered_level, "offered_low": offered[0], "offered_high": offered[1], "scale": result.scale}
    status = "ok" if np.isfinite(row["p_value"]) else FAILED
    return {**key, **kept, **extra, "estimator": result.estimator, "status": status, "n": _size(sample)}


def _notes(key: dict[str, str], notes: Sequence[str], methods: str) -> list[dict[str, Any]]:
    texts = [("note", note) for note in notes] + ([("methods", methods)] if methods else [])
    return [{**key, "kind": kind, "text": text} for kind, text in texts]


def _describe(plan: Plan, tables: Mapping[str, pd.DataFrame], found: _Found) -> None:
    """Flow of rows, and cells, of every outcome and population that an analysis reads: by the first that does.

    Covariates by condition are those of the primary outcome.
    """
    seen: set[tuple[str, str]] = set()
    for analysis in plan.analyses:
        for sample in samples(plan, tables, analysis):
            key = (sample.outcome.name, sample.population.name)
            if key not in seen:
                seen.add(key)
                found.flow.append(_named(sample, _flow(sample)))
                found.cells.append(_named(sample, _cells(sample)))
                if sample.outcome == primary_of(plan):
                    found.baseline += [{"population": sample.population.name, **record} for record in baseline_of(sample)]


def _flow(sample: Sample) -> pd.DataFrame:
    """Rows left after each step; none where the rows cannot be cut to the population, whose analyses have failed then."""
    try:
        return sample.flow()
    except SwedgeError:
        return pd.DataFrame(columns=list(FLOW)[2:])


def _named(sample: Sample, frame: pd.DataFrame) -> pd.DataFrame:
    frame.insert(0, "outcome", sample.outcome.name)
    frame.insert(1, "population", sample.population.name)
    return frame


def _cells(sample: Sample) -> pd.DataFrame:
    """Individuals, mean and events of each cell, and whether a count of people is small: rows of a panel without sizes are none."""
    try:
        trial = sample.trial
    except SwedgeError:
        return pd.DataFrame(columns=list(CELLS)[2:])
    mean = np.where(trial.n > 0, trial.outcome, np.nan)
    people = sample.source.first_treated is None or sample.outcome.size is not None
    columns = {
        "cluster": np.repeat(trial.clusters, len(trial.periods)),
        "period": [str(period) for period in trial.periods] * len(trial.clusters),
        "treatment": trial.treatment.ravel(),
        "n": trial.n.ravel(),
        "mean": mean.ravel(),
        "suppressed": False,
        "small": (small(trial) & people).ravel(),
        "described": sample.outcome == primary_of(sample.plan),
        "events": (trial.n * mean if trial.family in ("binomial", "poisson") else np.full_like(mean, np.nan)).ravel(),
    }
    return pd.DataFrame(columns)


def _report(
    locked: LockedPlan,
    found: _Found,
    plan: Plan,
    tables: Mapping[str, pd.DataFrame],
    only: Sequence[str],
    purpose: str,
    release: bool,
) -> Report:
    rows = pd.DataFrame(found.rows).reindex(columns=list(ROWS))
    versions = versions_of()
    flow, cells = _together(found.flow, FLOW), _together(found.cells, (*CELLS, "small", "events", "described"))
    baseline = pd.DataFrame(found.baseline, columns=list(BASELINE)).astype({"n": float, "missing": float})
    if release:
        cells = cells_for_release(cells, flow_for_release(flow))
        baseline = _baseline_for_release(plan, baseline, flow, cells)
    return Report(
        locked=locked,
        rows=rows,
        adjusted=_adjusted(plan, tables, rows),
        deviations=deviations_of(locked, rows, versions, only),
        flow=flow,
        cells=cells[list(CELLS)],
        baseline=baseline,
        notes=pd.DataFrame(found.notes, columns=list(NOTES)),
        reference=_reference(found, purpose),
        versions=versions,
        data={name: fingerprint(table) for name, table in tables.items()},
        purpose=purpose,
        release=release,
    ).released()


def _baseline_for_release(plan: Plan, baseline: pd.DataFrame, flow: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Covariates by condition beside the flow and the cells of the same rows, none of which may give a small count away."""
    name, clusters = primary_of(plan).name, plan.design.clusters
    steps, cells = (frame[(frame["outcome"] == name) & frame["cluster"].isin(clusters)] for frame in (flow_for_release(flow), cells))
    totals = steps[steps["stage"] == EXISTS].groupby("population")["rows"].sum(min_count=1, skipna=False)
    told = {str(population): float(total) for population, total in totals.items()}
    return baseline_beside_cells(baseline_for_release(baseline, told), cells)


def _reference(found: _Found, purpose: str) -> pd.DataFrame:
    """Reference statistics; in a rehearsal by size, since a place in the list of allocations would tell which one is the real estimate."""
    frame = pd.DataFrame(found.reference, columns=list(REFERENCE))
    if purpose and len(frame):
        frame["statistic"] = frame.groupby(list(KEY), sort=False)["statistic"].transform(np.sort)
    return frame


def _together(frames: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    full = [frame for frame in frames if len(frame)]
    return pd.concat(full, ignore_index=True).reindex(columns=list(columns)) if full else pd.DataFrame(columns=list(columns))


def _adjusted(plan: Plan, tables: Mapping[str, pd.DataFrame], rows: pd.DataFrame) -> pd.DataFrame:
    """P of the registered family of outcomes, adjusted."""
    rule = plan.multiplicity
    if rule is None or rule.analysis not in set(rows["analysis"]):
        return pd.DataFrame(columns=list(ADJUSTED))
    names = rule.outcomes or _secondary(plan, rule)
    if rule.method == "maxT":
        return _largest(plan, tables, rule, names).reindex(columns=list(ADJUSTED))
    found = {name: _p(plan, rows, rule, name) for name in names}
    table = multiplicity({name: p for name, (p, _) in found.items()}, rule.method)
    told = pd.Series([found[name][1] for name in table["outcome"]], index=table.index, dtype="object")
    return table.assign(message=told).reindex(columns=list(ADJUSTED))


def _secondary(plan: Plan, rule: Multiplicity) -> tuple[str, ...]:
    analysed = plan.analysis(rule.analysis).outcomes or plan.names["outcomes"]
    return tuple(outcome.name for outcome in plan.outcomes if outcome.role == "secondary" and outcome.name in analysed)


def _p(plan: Plan, rows: pd.DataFrame, rule: Multiplicity, outcome: str) -> tuple[float, str | None]:
    """The p of one outcome in the analysis's first population, of the overall effect where there is one; nan, and why, without one."""
    population = (plan.analysis(rule.analysis).populations or plan.names["populations"])[0]
    names = ("analysis", "outcome", "population", "method", "test")
    wanted = (rule.analysis, outcome, population, rule.estimator, rule.test or "")
    found = rows[np.logical_and.reduce([rows[name] == value for name, value in zip(names, wanted, strict=True)])]
    if len(found) > 1 and found["term"].iloc[0] != "overall":
        return np.nan, f"Failed: {len(found)} effects were estimated, and a family takes one p of each outcome. Name an estimand."
    return float(found["p_value"].iloc[0]) if len(found) else np.nan, None


def _largest(plan: Plan, tables: Mapping[str, pd.DataFrame], rule: Multiplicity, names: Sequence[str]) -> pd.DataFrame:
    """Step-down p of the largest statistic; nan for all where the outcomes cannot be permuted together."""
    chosen = {s.outcome.name: s for s in reversed(samples(plan, tables, plan.analysis(rule.analysis))) if s.outcome.name in names}
    estimator = plan.estimator(rule.estimator).estimator
    try:
        pairs: dict[str, tuple[Trial, Any]] = {name: (chosen[name].trial, estimator) for name in names}
        table = MaxT(seed=plan.seed).run(pairs).tidy()
    except SwedgeError as error:
        return pd.DataFrame({"outcome": list(names), "method": "maxT", "message": f"Failed: {error}"})
    return table.rename(columns={"step_down": "p_adjusted"}).assign(method="maxT")
