"""Sun and Abraham's interaction-weighted estimator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError, FitError, nearest
from swedge.estimators.aggregation import ESTIMANDS, Average, Averages, averages
from swedge.estimators.by_group_time import ByGroupTime, Influenced, identified
from swedge.estimators.cohorts import Cohorts, cohorts
from swedge.estimators.difference import VCOVS
from swedge.estimators.group_times import GroupTimes, Pairs, classes_of, pairs_of
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

KINDS: dict[str | None, str | None] = {"att": "simple", "cohort": "group", "dynamic": "dynamic", None: None}


@dataclass(frozen=True)
class SunAbraham(ByGroupTime):
    """Effects of each cohort by periods since treatment from one saturated regression, averaged by cohort size.

    With every cluster observed in every period the coefficients of cohort x period indicators, beside cluster and period effects and with
    the last period before treatment left out, are differences of mean changes since then against the never-treated clusters; without any
    such clusters the last cohort to be treated stands in, before its treatment. "att" is Callaway and Sant'Anna's simple effect.

    Parameters
    ----------
    aggregate : {"att", "dynamic", "cohort"} or None
        The overall effect over treated cluster-periods; beside it one by periods since treatment or by cohort. None: every cohort and time.
    vcov : {"CR0", "CR1", "CR2", "CR3", "influence", "saturated"}
        "saturated" is the regression's own clustered variance with fixest's factor ``G / (G - 1) (n - 1) / (n - k)``, the cohorts' shares
        taken as known; "influence" has no factor and takes them as estimated.
    df : {"satterthwaite", "clusters", "normal"}
        "clusters" is fixest's with "saturated".

    Raises
    ------
    DataError
        If a cluster is not observed in every period, or no clean comparison is left.

    References
    ----------
    Sun L, Abraham S (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment effects. Journal of
    Econometrics 225, 175-199.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.sun_abraham import SunAbraham
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(SunAbraham().point(trial).round(12))
    3.0
    """

    aggregate: str | None = "att"

    vcovs: ClassVar[tuple[str, ...]] = (*VCOVS, "saturated")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregate not in KINDS:
            known = ", ".join(map(str, KINDS))
            raise FitError(f"aggregate={self.aggregate!r}; expected one of {known}.{nearest(str(self.aggregate), KINDS)}")

    def _comparisons(self, trial: Trial) -> tuple[GroupTimes, Flags, Flags]:
        found = cohorts(trial)
        _check_balanced(trial, found)
        controls = "never" if found.never.any(-1).all() else "last"
        classes = classes_of(found)
        return identified(found, pairs_of(classes), classes, controls)

    def _averages(self, pairs: Pairs, trial: Trial) -> Averages | None:
        kind = KINDS[self.aggregate]
        return None if kind is None else averages(kind, pairs, trial.periods)._replace(overall="cells")

    def _sizes_move(self) -> bool:
        return self.vcov != "saturated"

    def _estimand(self) -> str:
        return ESTIMANDS[KINDS[self.aggregate]]

    def _spread(self, trial: Trial, known: Influenced, average: Average) -> Array:
        spread = super()._spread(trial, known, average)
        return spread * _factor(known.found)[..., None, None] if self.vcov == "saturated" else spread

    def _named(self) -> str:
        return "Sun and Abraham's interaction-weighted difference-in-differences"


def _factor(found: GroupTimes) -> Array:
    """``G / (G - 1) (n - 1) / (n - k)``: coefficients and periods counted, clusters' own effects not."""
    periods = len(np.unique([found.pairs.time, found.pairs.base]))
    clusters = (found.classes.clusters * (found.classes.start > 0)).sum(-1)
    rows, coefficients = clusters * periods, found.usable.sum(-1) + periods
    return np.asarray(clusters / (clusters - 1) * (rows - 1) / (rows - coefficients))


def _check_balanced(trial: Trial, found: Cohorts) -> None:
    part = (found.seen.any(-1) & ~found.throughout).reshape((-1, found.seen.shape[-2])).any(0)
    if part.any():
        raise DataError(
            f"{int(part.sum())} of {len(trial.clusters)} clusters {'is' if part.sum() == 1 else 'are'} not observed in every period, where"
            " the saturated regression is no set of comparisons. Use CallawaySantAnna(base='universal'), or leave these clusters out."
        )
