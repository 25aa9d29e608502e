"""Whether tables can be made into every trial that a plan analyses, before anything is estimated."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from swedge.errors import DataError, SwedgeError, counted, listing
from swedge.plan.plan import Plan
from swedge.plan.trials import samples


def check_trials(plan: Plan, frames: Mapping[str, pd.DataFrame]) -> None:
    """Make the trial of every analysis, outcome and population, and fit none.

    Dates outside the window, a recorded treatment that contradicts the allocation, and outcomes that their family cannot have are found
    here; in a run they are analyses that failed.

    Parameters
    ----------
    plan : Plan
        With its allocation.
    frames : mapping
        Tables by source, as `swedge.plan.frames.check_frames` passed them.

    Raises
    ------
    DataError
        Naming the first reason, and the analyses that it stops.
    """
    stopped: dict[str, list[str]] = {}
    every = [sample for analysis in plan.analyses for sample in samples(plan, frames, analysis)]
    for sample in every:
        try:
            sample.trial  # noqa: B018  # made, not used
        except SwedgeError as error:
            stopped.setdefault(str(error), []).append(f"{sample.outcome.name} in {sample.analysis.name}")
    if stopped:
        count = sum(map(len, stopped.values()))
        reason, first = next(iter(stopped.items()))
        more = f" {counted(len(stopped) - 1, 'other reason stands', 'other reasons stand')} behind it." if len(stopped) > 1 else ""
        raise DataError(f"{count} of {len(every)} registered data sets cannot be made ({listing(first)}): {reason}{more}")
