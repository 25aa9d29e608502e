"""A trial's own data under an allocation that was not carried out, for rehearsals before unblinding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design import Allocation
from swedge.design.enumeration import uniform_ranks
from swedge.design.validation import seed_number
from swedge.errors import PlanError
from swedge.plan.plan import Plan
from swedge.plan.specs import Outcome, Source
from swedge.plan.uses import analysed, kinds_of, outcomes_of
from swedge.trial.columns import as_numbers, label
from swedge.trial.trial import exposed

Array = NDArray[np.float64]

TRIES = 10_000
"""Draws before it is said that no other allocation will do."""

ROUNDING = 1e-9


def blinded(plan: Plan, frames: Mapping[str, pd.DataFrame], seed: int) -> tuple[Plan, dict[str, pd.DataFrame]]:
    """The plan and its data as if another allocation had been carried out.

    It is drawn evenly from those that the design permits and that, in the clusters and periods of every analysis, are neither the real one
    nor its mirror image: beside effects of clusters and periods these would give the real estimate, or the same with the other sign.

    Recorded treatments are written anew to agree with it, and columns that the plan does not use are left out, as one of them might tell.
    In a panel without a design, first treated periods change places: between the treated clusters, or between all of them where the
    treated ones all began together.

    What this hides is the real contrast between treatment and control, and whether the recorded treatment agrees with the allocation.
    What it does not hide: outcomes by cluster and period, from which whoever knows the real allocation can compute the contrast; and in
    part the effect itself, as an allocation drawn may agree with the real one in many cells. A randomisation test of every permitted
    allocation has the real estimate among its reference statistics; `carry_out` gives them in order of size, so that their place does not
    tell which it is. Columns that the plan uses as covariates or conditions stay as they are.

    Parameters
    ----------
    plan : Plan
        With the allocation carried out.
    frames : mapping
        By source, as `gather` gives them; checked by `check_frames`.
    seed : int
        The same seed draws the same allocation.

    Returns
    -------
    Plan
        The plan with the allocation drawn, which differs from the one carried out.
    dict of DataFrame
        By source.

    Raises
    ------
    PlanError
        If the plan has no allocation, or no other one is possible.
    """
    if plan.allocation is None:
        raise PlanError("The plan has no allocation, so there is none to hide. Give the one carried out.")
    seeds = np.random.SeedSequence(seed_number(seed)).spawn(1 + len(plan.sources))
    designed = any(source.first_treated is None for source in plan.sources)
    drawn = _another(plan, plan.allocation, seeds[0]) if designed else plan.allocation
    pairs = zip(plan.sources, seeds[1:], strict=True)
    return plan.with_allocation(drawn), {source.name: _hidden(plan, source, frames[source.name], drawn, child) for source, child in pairs}


def _another(plan: Plan, real: Allocation, seed: np.random.SeedSequence) -> Allocation:
    """Uniform over the permitted allocations that differ from the real one wherever an analysis looks."""
    design, count, source = real.design, real.design.count(), np.random.PCG64(seed)
    looked_at = _looked_at(plan)
    for _ in range(TRIES if count > 1 else 0):
        found = design.numbered(int(uniform_ranks(source, count, 1)[0]))
        if all(_differ(real.treatment[at], design.treatment_of(found)[at]) for at in looked_at):
            return design.allocate(dict(zip(design.clusters, found, strict=True)))
    only = "one allocation only" if count < 2 else "no other allocation that tells something else in every analysis"
    raise PlanError(f"The design permits {only}, so the real contrast cannot be hidden. Rehearse on simulated data.")


def _looked_at(plan: Plan) -> list[tuple[NDArray[np.intp], ...]]:
    """Clusters and periods that are analysed together: each set once."""
    periods, found = range(1, plan.design.n_periods + 1), []
    for analysis in plan.analyses:
        for outcome in analysed(plan, analysis):
            left_out = (*outcome.without, *analysis.without_clusters)
            rows = tuple(i for i, name in enumerate(plan.design.clusters) if name not in left_out)
            found.append((rows, tuple(t - 1 for t in periods if t not in analysis.without_periods)))
    return [np.ix_(rows, columns) for rows, columns in dict.fromkeys(found)]


def _differ(real: Array, drawn: Array) -> bool:
    """Whether an allocation tells something else than the real one, with and without effects of clusters beside those of periods."""
    known = ~(np.isnan(real) | np.isnan(drawn))
    cluster, period = (np.eye(size)[place] for size, place in zip(real.shape, np.nonzero(known), strict=True))
    both = np.column_stack([real[known], drawn[known]])
    same = any(_collinear(both, effects) for effects in (period, np.hstack([period, cluster])))
    return not same and not np.array_equal(real, drawn, equal_nan=True)


def _collinear(both: Array, effects: Array) -> bool:
    """Whether of two columns the same is left beside these effects, signs apart; False where of the first nothing is."""
    one, other = (both - effects @ np.linalg.lstsq(effects, both, rcond=None)[0]).T
    norms = np.linalg.norm(one), np.linalg.norm(other)
    return bool(norms[0] > ROUNDING and abs(one @ other) > (1 - ROUNDING) * norms[0] * norms[1])


def _hidden(plan: Plan, source: Source, frame: pd.DataFrame, drawn: Allocation, seed: np.random.SeedSequence) -> pd.DataFrame:
    used = kinds_of(plan, source.name)
    kept = frame[[name for name in frame.columns if name in used]]
    if source.first_treated is not None:
        return _exchanged(kept, source, np.random.default_rng(seed))
    parts: list[Source | Outcome] = [source, *outcomes_of(plan, source)]
    written = {part.treatment: _treatment(plan, source, part, frame, drawn) for part in reversed(parts) if part.treatment is not None}
    return kept.assign(**written)


def _treatment(plan: Plan, source: Source, part: Source | Outcome, frame: pd.DataFrame, drawn: Allocation) -> Array:
    """The treatment that each row would have had; nan where none was recorded. Clusters that the plan does not analyse keep theirs."""
    recorded = as_numbers(frame[str(part.treatment)])
    beside = () if plan.comparators is None else plan.comparators.clusters
    treatment, exposure = exposed(drawn, len(beside))
    table = np.where(np.isnan(treatment), exposure > 0, treatment)
    numbers = {name: i for i, name in enumerate((*drawn.design.clusters, *beside))}
    cluster = frame[source.cluster].map(label).map(numbers).to_numpy(dtype=float)
    period = _period(source, part, frame, drawn)
    inside = ~np.isnan(cluster) & (period >= 0) & (period < table.shape[1])
    at = np.where(inside, cluster, 0).astype(np.intp), np.where(inside, period, 0).astype(np.intp)
    return np.where(np.isnan(recorded) | ~(inside | np.isnan(cluster)), np.nan, np.where(inside, table[at], recorded))


def _period(source: Source, part: Source | Outcome, frame: pd.DataFrame, drawn: Allocation) -> Array:
    """0-based period of each row by the part's own column, if it has one."""
    at = part if part.date is not None or part.period is not None else source
    if at.date is not None:
        return np.asarray(drawn.design.period_of(frame[at.date]), dtype=float)
    return np.nan_to_num(as_numbers(frame[str(at.period)]) - 1, nan=-1)


def _exchanged(frame: pd.DataFrame, source: Source, rng: np.random.Generator) -> pd.DataFrame:
    """First treated periods that have changed places, so that some cluster has another's."""
    name = str(source.first_treated)
    cluster = frame[source.cluster].map(label)
    starts = frame[name].groupby(cluster, sort=True).first()
    treated = ~(starts.isna() | np.isin(as_numbers(starts), (0, np.inf)))
    chosen = treated.to_numpy() if starts[treated].nunique() > 1 else np.ones(len(starts), dtype=bool)
    values = np.nan_to_num(as_numbers(starts[chosen]), nan=np.inf)
    if len(set(values)) < 2:
        raise PlanError(f"Every cluster of {source.name!r} has the same first treated period, so nothing can be hidden.")
    order = rng.permutation(len(values))
    while (values[order] == values).all():
        order = rng.permutation(len(values))
    moved = starts.copy()
    moved[chosen] = starts[chosen].to_numpy()[order]
    written = {name: moved.reindex(cluster).to_numpy()}
    if source.treatment is not None:
        periods = as_numbers(frame[str(source.period)])
        began = np.nan_to_num(as_numbers(pd.Series(written[name])), nan=np.inf)
        written[source.treatment] = (periods >= np.where(began == 0, np.inf, began)).astype(float)
    return frame.assign(**written)
