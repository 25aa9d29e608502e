"""Effects by group and time against clusters that are not treated yet, and their averages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DataError, FitError, listing, nearest
from swedge.estimators.aggregation import ESTIMANDS, Average, Averages, averages
from swedge.estimators.by_group_time import ByGroupTime, Influenced, identified
from swedge.estimators.cohorts import cohorts
from swedge.estimators.difference import about_centre
from swedge.estimators.group_times import GroupTimes, Pairs, adjusted, classes_of, clusters_of, pairs_of
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHOICES: dict[str, tuple[str | None, ...]] = {
    "controls": ("never", "not_yet"),
    "aggregate": ("simple", "group", "calendar", "dynamic", None),
    "base": ("varying", "universal"),
    "adjust": ("doubly robust", "outcome regression", "ipw"),
}
CONTROLS = {"never": "never-treated", "not_yet": "not-yet-treated"}
AVERAGED = {"simple": "group size", "group": "group", "calendar": "calendar period", "dynamic": "periods since treatment"}


@dataclass(frozen=True)
class CallawaySantAnna(ByGroupTime):
    """Difference-in-differences of each group first treated together, in each period, and averages of them.

    The effect on group `g` in period `t` is its mean change since a period before treatment, minus the controls' mean change; every
    cluster counts alike. A cluster without data in period `t` does not join that comparison; each has the base period that it is observed
    in. In a stack of treatments the terms are those that some replicate identifies, nan in the others.

    Parameters
    ----------
    controls : {"never", "not_yet"}
        Never-treated clusters, or all that are not treated in either period yet: these include clusters treated later, so a stepped-wedge
        trial without comparators has them.
    aggregate : {"simple", "group", "calendar", "dynamic"} or None
        The overall effect, in "simple" over treated cluster-periods, comes first; then one by group (averaged over its periods), by
        calendar period or by periods since treatment ("event 0" is the first treated one). None: one row a group and time. The overall
        effect averages periods from the first treated one on, never anticipation periods.
    base : {"varying", "universal"}
        Before treatment, compare with the period before, or with the last period before treatment as after it. With "universal" the
        base period's own effect, 0 by definition, has no row.
    anticipation : int
        Observed periods before a cluster's first treated one in which an effect may already show; a transition that the design leaves out
        is not counted.
    balance : int, optional
        With aggregate="dynamic", only groups observed at least so many periods after their first treated one, and effects up to there.
    covariates : tuple of str
        Columns of `Trial.with_cluster_covariates` to adjust for.
    adjust : {"doubly robust", "outcome regression", "ipw"}
        How: a logit propensity score and a regression of changes among controls, or one of them. Controls with a score above .995 drop out.
    cluster : str, optional
        Column of `Trial.with_cluster_covariates` that says which clusters belong together; vcov="influence" adds up their influences, and
        df="clusters" counts these groups.
    vcov : {"CR0", "CR1", "CR2", "CR3", "influence"}
        "influence" is the variance of Callaway and Sant'Anna, without a factor for few clusters; a group of one cluster adds nothing to
        it. With covariates the others take the propensity score as known; the regression's error they count.
    df : {"satterthwaite", "clusters", "normal"}

    Raises
    ------
    FitError
        For a choice that does not exist, or where covariates tell treated from control clusters apart.
    DataError
        If no clean comparison is left, or the trial lacks a covariate.

    References
    ----------
    Callaway B, Sant'Anna PHC (2021). Difference-in-differences with multiple time periods. Journal of Econometrics 225, 200-230.
    Sant'Anna PHC, Zhao J (2020). Doubly robust difference-in-differences estimators. Journal of Econometrics 219, 101-122.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.callaway_santanna import CallawaySantAnna
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(CallawaySantAnna().point(trial).round(12))
    3.0
    """

    controls: str = "never"
    aggregate: str | None = "simple"
    base: str = "varying"
    anticipation: int = 0
    balance: int | None = None
    covariates: tuple[str, ...] = ()
    adjust: str = "doubly robust"
    cluster: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_words()
        _check_whole("anticipation", self.anticipation)
        if self.balance is not None:
            _check_whole("balance", self.balance)
            if self.aggregate != "dynamic":
                raise FitError(f"balance={self.balance} chooses event times, so it needs aggregate='dynamic', not {self.aggregate!r}.")

    def _check_words(self) -> None:
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise FitError(f"{name}={value!r}; expected one of {', '.join(map(str, allowed))}.{nearest(str(value), allowed)}")
        covariates: object = self.covariates
        if not isinstance(covariates, tuple) or not all(isinstance(name, str) for name in covariates):
            raise FitError(f"covariates={self.covariates!r}; expected a tuple of column names, such as ('size',).")
        cluster: object = self.cluster
        if not isinstance(cluster, str | None):
            raise FitError(f"cluster={self.cluster!r}; expected the name of a column, or None.")
        if self.cluster is not None and self.vcov != "influence":
            raise FitError(f"cluster={self.cluster!r} adds up influences, so it needs vcov='influence', not {self.vcov!r}.")

    def _comparisons(self, trial: Trial) -> tuple[GroupTimes, Flags, Flags]:
        found = cohorts(trial)
        classes = (clusters_of if self.covariates else classes_of)(found, self.base, self.anticipation)
        return identified(found, pairs_of(classes), classes, self.controls)

    def _averages(self, pairs: Pairs, trial: Trial) -> Averages | None:
        if self.aggregate is None:
            return None
        found = averages(self.aggregate, pairs, trial.periods, self.balance)
        if self.balance is not None and not found.counted.any():
            longest = len(trial.periods) - 1 - int(pairs.group.min())
            raise DataError(f"balance={self.balance}: no group has so many periods after its first treated one; the longest has {longest}.")
        return found

    def _sizes_move(self) -> bool:
        return True

    def _estimand(self) -> str:
        return ESTIMANDS[self.aggregate]

    def _weighed(self, trial: Trial) -> GroupTimes:
        return self._adjusted(trial)[0] if self.covariates else super()._weighed(trial)

    def _influenced(self, trial: Trial) -> Influenced:
        if not self.covariates:
            return super()._influenced(trial)
        found, influence = self._adjusted(trial)
        y = about_centre(trial)
        change = np.swapaxes(y[..., found.pairs.time] - y[..., found.pairs.base], -1, -2)
        return Influenced(found, (found.share * change).sum(-1), influence, None)

    def _adjusted(self, trial: Trial) -> tuple[GroupTimes, Array]:
        found, influence = adjusted(*self._comparisons(trial), _design(trial, self.covariates), about_centre(trial), self.adjust)
        lost = np.flatnonzero(np.isnan(found.share).any(-1)) if not trial.shape else ()
        if len(lost):
            named = [f"group {trial.periods[found.pairs.group[k]]}, time {trial.periods[found.pairs.time[k]]}" for k in lost]
            raise FitError(
                f"{', '.join(self.covariates)} cannot be adjusted for in {len(lost)} comparisons ({listing(named)}): the covariates tell"
                " treated and control clusters apart, or the controls are too few for the regression. Use fewer covariates, or"
                " adjust='outcome regression'. Treated clusters with gaps are compared apart, few at a time: leave these out."
            )
        return found, influence

    def _spread(self, trial: Trial, known: Influenced, average: Average) -> Array:
        if self.cluster is None:
            return super()._spread(trial, known, average)
        kinds = np.unique(trial.cluster_column(self.cluster), return_inverse=True)[1]
        parts = self.influence(trial) @ np.eye(kinds.max() + 1)[kinds]
        return np.asarray(parts @ np.swapaxes(parts, -1, -2))

    def _fixed(self, trial: Trial, natural: Array) -> Array:
        if self.cluster is None or self.df == "normal":
            return super()._fixed(trial, natural)
        kinds = np.unique(trial.cluster_column(self.cluster)[(trial.n > 0).any(-1).reshape((-1, len(trial.clusters))).any(0)])
        return np.full(natural.shape, len(kinds) - 1.0)

    def _methods(self, trial: Trial) -> str:
        told = super()._methods(trial)
        return told if self.cluster is None else told.replace("standard errors", f"standard errors (influences added up by {self.cluster})")

    def _named(self) -> str:
        averaged = f", averaged by {AVERAGED[self.aggregate]}" if self.aggregate else ""
        adjusted_for = f", {self.adjust} adjustment for {', '.join(self.covariates)}" if self.covariates else ""
        early = f", periods of anticipation: {self.anticipation}" if self.anticipation else ""
        return (
            f"Callaway and Sant'Anna's difference-in-differences by group and time against {CONTROLS[self.controls]} clusters"
            f" ({self.base} base period{early}){adjusted_for}{averaged}"
        )


def _check_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise FitError(f"{name}={value!r}; expected a whole number of periods, 0 or more.")


def _design(trial: Trial, names: tuple[str, ...]) -> Array:
    """A constant and the covariates on a common scale, ``(I, p)``."""
    columns = np.stack([_numeric(trial, name) for name in names], -1)
    spread = columns.std(0)
    if (spread == 0).any():
        alike = [name for name, size in zip(names, spread, strict=True) if size == 0]
        raise DataError(f"{listing(alike)} is the same for every cluster, so it cannot be adjusted for. Drop it.")
    return np.column_stack([np.ones(len(columns)), (columns - columns.mean(0)) / spread])


def _numeric(trial: Trial, name: str) -> Array:
    values = trial.cluster_column(name)
    if values.dtype.kind not in "fiub":
        raise DataError(f"The cluster covariate {name!r} holds text. Code it as numbers, one 0/1 column a category but the first.")
    return values.astype(float)
