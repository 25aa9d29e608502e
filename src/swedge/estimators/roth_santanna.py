"""Efficient estimation under random timing: as much of a baseline difference is taken out as lowers the variance most."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.cohort_moments import moments
from swedge._kernels.linear_robust import WorkingModel
from swedge._kernels.neyman import apart, efficient_slope, neyman, pooled, predicted_spread
from swedge._kernels.random_levels import decorrelated
from swedge._kernels.two_way import freed
from swedge.errors import DataError, FitError, counted, listing, nearest
from swedge.estimate import Estimate
from swedge.estimators.aggregation import ESTIMANDS, averages, weigh
from swedge.estimators.by_group_time import identified
from swedge.estimators.cohorts import Cohorts, cohorts
from swedge.estimators.difference import (
    DF_WORDS,
    ROBUST,
    CellEffects,
    DifferenceInDifferences,
    TermNumbers,
    about_centre,
    with_levels,
)
from swedge.estimators.group_times import Classes, GroupTimes, classes_of, for_cells, for_clusters, pairs_of
from swedge.trial import Trial

Array = NDArray[np.float64]

# Clusters in every cohort for covariances of their own, and degrees of freedom for one pooled over cohorts: with 3 in each of 4 cohorts
# the multiple is so uncertain that Neyman tests with the cohorts' own covariances reject 13% of true nulls at 5%.
ENOUGH = 10
# A standard error below this share of an effect is rounding.
STILL = 1e-10
AUTO = "auto"
KINDS = {"simple": "simple", "cohort": "group", "calendar": "calendar", "event": "dynamic"}
CHOICES: dict[str, tuple[str | None, ...]] = {
    "aggregate": tuple(KINDS),
    "controls": ("not_yet", "last"),
    "pool": (None, "never", "cohorts", "trial"),
}
CONTROLS = {"not_yet": "not-yet-treated", "last": "last-treated"}
ASSUMED = (
    "No design stands behind this panel: dates, and who is never treated, are assumed to be drawn by lot among all clusters. Otherwise"
    " differences in level are taken for an effect; beta=1 needs parallel trends alone."
)
CHOSEN = "No design drew the dates of all clusters, so the variance is CR2 unless vcov says otherwise."
IDLE = "pool={!r} plays no part: beta= is given, and vcov={!r} does not rest on cohorts' covariances of outcomes."
QUIET = (
    "Neyman's variance, pooled over cohorts, takes the {} never-treated clusters to be as noisy as treated ones. Where these are twice as"
    " noisy it rejects up to 21% of true nulls at 5%; vcov='CR2' does not rest on that."
)
POOLED = {
    "cohorts": "Cohorts share one covariance of outcomes, pooled over their own means.",
    "trial": "The covariance of outcomes is that of all clusters, a constant effect taken out: cohorts are small.",
}


class _Compared(NamedTuple):
    """``terms (J,)`` with the weights of a cluster of each class in treated periods and, unscaled, in base periods, ``(..., J, C, T)``."""

    terms: tuple[str, ...]
    later: Array
    earlier: Array
    classes: Classes
    size: Array


class _Efficient(NamedTuple):
    """A comparison with the multiple ``beta (..., J)`` of its baseline taken out, the spread of outcomes and how it was pooled."""

    compared: _Compared
    beta: Array
    spread: Array
    pooled: frozenset[str]

    @property
    def slopes(self) -> Array:
        """Weights of a cluster of each class, ``(..., J, C, T)``."""
        return np.asarray(self.compared.later - self.beta[..., None, None] * self.compared.earlier)

    @property
    def cells(self) -> Array:
        """Weights on cell means, ``(..., J, I, T)``."""
        slopes, label = self.slopes, self.compared.classes.label
        return for_cells(slopes, np.broadcast_to(label, (*slopes.shape[:-3], label.shape[-1])))


@dataclass(frozen=True)
class RothSantAnna(DifferenceInDifferences):
    """Difference of means after treatment minus `beta` times the difference just before it, for random timing of treatment.

    Every cohort is compared with clusters not treated yet. Where dates are drawn at random, any `beta` gives an unbiased estimate: 1 is
    difference-in-differences, 0 compares means after treatment alone, and the efficient one is a regression coefficient that the data
    give. A cluster's own level stays in the estimate unless `beta` is 1, so timing has to be random: parallel trends are not enough.
    Comparators outside a trial's design were not randomised, and a difference in level between them and the trial would be taken for an
    effect: with any other `beta` they are refused. In a panel without a design random timing is assumed, of never-treated clusters too.

    Parameters
    ----------
    aggregate : {"simple", "cohort", "calendar", "event"}
        The overall effect over treated cluster-periods; or averages by cohort, by calendar period or by periods since treatment, with
        their own average first. Each term has its own efficient `beta`.
    beta : float, optional
        The multiple. Left out, the efficient one is estimated, and the weights of cells depend on the outcomes.
    controls : {"not_yet", "last"}
        All clusters not treated yet (Callaway and Sant'Anna's with ``beta=1``), or the cohort treated last or never (Sun and Abraham's).
    pool : {"never", "cohorts", "trial"}, optional
        Whose covariance of outcomes over periods `beta` and the Neyman variance are made of: each cohort's own, as published, which needs
        two clusters in each; one pooled over cohorts; or that of all clusters, a constant effect taken out. Left out: the first with 10
        clusters in every cohort, else the second with 10 degrees of freedom in treated cohorts, else the third; a note says which.
        With `beta` given and a cluster-robust variance nothing is pooled, and a note says so.
    vcov : {"auto", "neyman", "adjusted", "CR0", "CR1", "CR2", "CR3"}
        "neyman" is the conservative variance over random timing, "adjusted" the same less what early outcomes predict of the effects'
        spread. Pooled over cohorts they take never-treated clusters to be as noisy as treated ones: with four to ten of these, twice
        as noisy, beside 5 to 20 never treated, 6% to 21% of true nulls are rejected at 5%, and 3% to 8% by "CR2". So "auto" is "neyman"
        where a design drew the dates and no comparators stand beside it, and "CR2" elsewhere. Unless `beta` is 1 clusters' levels stay in
        the residuals, and the cluster-robust ones allow for the correlation that they bring. All take an estimated `beta` as known.
    df : {"auto", "clusters", "normal", "satterthwaite"}
        "normal" is as published; "satterthwaite" belongs to the cluster-robust variances, and is what "auto" gives them.

    Raises
    ------
    FitError
        For a choice that does not exist, or where ``pool="never"`` meets a cohort of one cluster.
    DataError
        If no clean comparison is left, or a trial has comparators and `beta` is not 1.

    Notes
    -----
    Clusters that are not observed in every period, or treated from the first one on, are left out.

    References
    ----------
    Roth J, Sant'Anna PHC (2023). Efficient estimation for staggered rollout designs. Journal of Political Economy Microeconomics 1,
    669-709.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.roth_santanna import RothSantAnna
    >>> allocation = sw.Design.stepped_wedge(clusters=8, periods=5).randomise(seed=0)
    >>> y = np.random.default_rng(0).standard_normal((8, 5)) + 2 * allocation.treatment
    >>> fit = RothSantAnna().fit(sw.Trial.from_cells(np.ones((8, 5)), y, allocation))
    >>> bool(abs(fit.estimate - 2) < 3 * fit.std_error)
    True
    """

    vcov: str = AUTO
    df: str = AUTO
    aggregate: str = "simple"
    beta: float | None = None
    controls: str = "not_yet"
    pool: str | None = None

    vcovs: ClassVar[tuple[str, ...]] = (AUTO, *ROBUST, "neyman", "adjusted")
    dfs: ClassVar[tuple[str, ...]] = (AUTO, *DF_WORDS)

    def __post_init__(self) -> None:
        if self.vcov == AUTO and self.df == "satterthwaite":
            raise FitError(
                "df='satterthwaite' belongs to the cluster-robust variances, and vcov='auto' may be Neyman's. Name vcov='CR2' too."
            )
        super().__post_init__()
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            if value not in allowed:
                raise FitError(f"{name}={value!r}; expected one of {', '.join(map(str, allowed))}.{nearest(str(value), allowed)}")
        number = isinstance(self.beta, int | float) and not isinstance(self.beta, bool) and math.isfinite(self.beta)
        if self.beta is not None and not number:
            raise FitError(f"beta={self.beta!r}; expected a number such as 1 (difference-in-differences), or None for the efficient one.")

    @property
    def fixed_weights(self) -> bool:
        """Whether `beta` is given, and not estimated."""
        return self.beta is not None

    def build(self, trial: Trial) -> CellEffects:
        """Terms and their weights over cell means."""
        return self._built(trial, _efficient(self, trial, self._compared(trial), spread=False))

    def leading(self, trial: Trial) -> CellEffects:
        """The overall effect alone."""
        compared = self._compared(trial)
        first = compared._replace(terms=("overall",), later=compared.later[..., :1, :, :], earlier=compared.earlier[..., :1, :, :])
        return self._built(trial, _efficient(self, trial, first, spread=False))

    def coefficients(self, trial: Trial) -> Array:
        """The multiple of the baseline difference that is taken out of each term, ``(..., J)``."""
        return _efficient(self, trial, self._compared(trial), spread=False).beta

    def settled(self, trial: Trial) -> RothSantAnna:
        """The estimator with the variance and degrees of freedom that "auto" stands for in a trial."""
        vcov = self.vcov if self.vcov != AUTO else "neyman" if _drawn(trial) else "CR2"
        return replace(self, vcov=vcov, df=self.df if self.df != AUTO else "satterthwaite" if vcov in ROBUST else "clusters")

    def working_model(self, trial: Trial) -> WorkingModel:
        """Whose residuals make the variance: clusters' levels stay in them unless `beta` is 1."""
        return super().working_model(trial) if self.beta == 1 else with_levels(trial)

    def rows(self, trial: Trial, weights: Array, y: Array) -> tuple[Array, Array, WorkingModel]:
        """Cells, or what is uncorrelated of them where levels stay in the residuals."""
        cells = super().rows(trial, weights, y)
        return cells if self.beta == 1 else decorrelated(*cells, trial.n > 0)

    def _fit(self, trial: Trial) -> Estimate:
        asked = self.settled(trial)
        if asked == self:
            return super()._fit(trial)
        fit = asked._fit(trial)
        return fit if self.vcov != AUTO or asked.vcov == "neyman" else replace(fit, notes=(*fit.notes, CHOSEN))

    def _built(self, trial: Trial, found: _Efficient) -> CellEffects:
        return CellEffects(found.compared.terms, found.cells, ESTIMANDS[KINDS[self.aggregate]])

    def _compared(self, trial: Trial) -> _Compared:
        if self.beta != 1:
            _check_randomised(trial)
        whole = _whole(cohorts(trial))
        classes = classes_of(whole)
        pairs = pairs_of(classes)
        pairs = pairs if self.aggregate == "event" else pairs.take(pairs.event >= 0)
        found, _, _ = identified(whole, pairs, classes, self.controls)
        average = weigh(averages(KINDS[self.aggregate], found.pairs, trial.periods), found.size * found.usable)
        later, earlier = (_placed(found, average.weights, at) for at in (found.pairs.time, found.pairs.base))
        held = found.classes.seen.any(-1) & (found.classes.start > 0)
        return _Compared(average.terms, later, earlier, found.classes, found.classes.clusters * held)

    def _numbers(self, trial: Trial) -> TermNumbers:
        found = _efficient(self, trial, self._compared(trial), spread=self.vcov not in ROBUST)
        y = about_centre(trial)
        cells = found.cells
        estimate = (cells * y[..., None, :, :]).sum((-2, -1))
        if self.vcov in ROBUST:
            covariance, df, alone = self._covariance(trial, cells, y)
        else:
            covariance, df, alone = self._neyman(found), self._fixed(trial, np.empty(estimate.shape)), None
        estimand, notes = ESTIMANDS[KINDS[self.aggregate]], self._told(trial, found)
        return _that_vary(TermNumbers(found.compared.terms, estimate, covariance, df, estimand, notes, alone, cells))

    def _neyman(self, found: _Efficient) -> Array:
        compared, count = found.compared, found.compared.size
        covariance = neyman(found.slopes, found.spread, count)
        if self.vcov == "neyman":
            return covariance
        first = np.where(count > 0, compared.classes.start, compared.later.shape[-1]).min(-1)
        early = np.arange(compared.later.shape[-1]) < first[..., None]
        return covariance - predicted_spread(compared.later, found.spread, count, early)

    def _told(self, trial: Trial, found: _Efficient) -> tuple[str, ...]:
        """Clusters left out, how covariances were pooled, and what the multiples of the baseline are."""
        whole = _whole(cohorts(trial))
        lost = int((~whole.seen.any(-1) & (trial.n > 0).any(-1)).sum(-1).max())
        never = int((found.compared.size * (found.compared.classes.start == trial.n.shape[-1])).sum(-1).max())
        early = int((whole.seen.any(-1) & (whole.start == 0)).sum(-1).max())
        told = {
            f"{counted(lost, 'cluster is', 'clusters are')} not observed in every period and left out.": lost > 0,
            f"{counted(early, 'cluster is', 'clusters are')} treated from the first period on and left out.": early > 0,
            IDLE.format(self.pool, self.vcov): self.pool is not None and self.beta is not None and self.vcov in ROBUST,
            ASSUMED: trial.design is None and self.beta != 1,
            QUIET.format(never): never > 0 and not _drawn(trial) and self.vcov not in ROBUST and bool(found.pooled),
        }
        estimated = () if self.beta is not None or trial.shape else (_multiples(found),)
        return (*(note for note, holds in told.items() if holds), *(POOLED[how] for how in sorted(found.pooled)), *estimated)

    def _named(self) -> str:
        how = "the efficient multiple" if self.beta is None else f"{self.beta:g} times"
        return (
            f"Roth and Sant'Anna's estimator for random timing against {CONTROLS[self.controls]} clusters, {how} of the difference in the"
            " last period before treatment taken out"
        )


def _that_vary(found: TermNumbers) -> TermNumbers:
    """Without parts whose clusters' outcomes never vary, in any replicate; the overall effect stays."""
    variance = np.einsum("...kk->...k", found.covariance)
    still = (variance <= (STILL * found.estimate) ** 2).reshape((-1, len(found.terms))).all(0)
    if not still[1:].any():
        return found
    kept = np.flatnonzero(~still | (np.arange(len(still)) == 0))
    lost = [found.terms[k] for k in np.flatnonzero(still[1:]) + 1]
    note = f"{len(lost)} effects rest on outcomes that never vary, and have no standard error: {listing(lost)}. They are left out."
    estimate, covariance, df = found.estimate[..., kept], found.covariance[..., kept[:, None], kept], found.df[..., kept]
    alone = None if found.alone is None else found.alone[..., kept]
    terms = tuple(found.terms[k] for k in kept)
    return found._replace(terms=terms, estimate=estimate, covariance=covariance, df=df, notes=(*found.notes, note), alone=alone)


def _multiples(found: _Efficient) -> str:
    value = float(np.ravel(found.beta)[0])
    shown = f"{value:.3f} (1 would be difference-in-differences, 0 none)"
    return f"The estimated multiple of the baseline difference is {shown}. The standard error takes it as known."


def _drawn(trial: Trial) -> bool:
    """Whether a design drew the dates of all clusters, and who is never treated."""
    return trial.design is not None and not trial.comparators


def _check_randomised(trial: Trial) -> None:
    """Refuse comparators beside clusters whose dates were drawn by lot."""
    if trial.comparators and trial.design is not None:
        raise DataError(
            f"Only the trial's clusters were randomised: a difference in level between them and the {trial.comparators} comparators would"
            " be taken for an effect. Leave the comparators out, or use beta=1 (difference-in-differences)."
        )


def _whole(found: Cohorts) -> Cohorts:
    """Clusters that are observed in every period that has data at all; others as not observed."""
    return Cohorts(found.start, found.seen & found.throughout[..., None])


def _placed(found: GroupTimes, weights: Array | None, at: NDArray[np.int64]) -> Array:
    """Averages ``weights (..., J, K)`` of effects as weights of classes in the periods ``at (K,)``, ``(..., J, C, T)``."""
    share, unit = np.swapaxes(found.share, -1, -2), np.eye(found.classes.seen.shape[-1])[at]
    rows = np.nan_to_num(weights) if weights is not None else np.eye(len(at))
    lost = 0.0 if weights is None else np.where(np.isnan(weights).any(-1), np.nan, 0.0)[..., None, None]
    return np.stack([(rows[..., j, None, :] * share) @ unit for j in range(rows.shape[-2])], -3) + lost


def _efficient(estimator: RothSantAnna, trial: Trial, compared: _Compared, spread: bool) -> _Efficient:
    """The multiple of the baseline that is given, or the one with the least variance; the spread of outcomes where it is asked for."""
    if estimator.beta is not None and not spread:
        beta = np.full((1,) * (compared.later.ndim - 2), float(estimator.beta))
        return _Efficient(compared, beta, np.zeros((1, 1, 1)), frozenset())
    covariance, how = _spread(estimator.pool, trial, compared)
    given = np.full(compared.later.shape[:-2], 0.0 if estimator.beta is None else float(estimator.beta))
    beta = efficient_slope(compared.later, compared.earlier, covariance, compared.size) if estimator.beta is None else given
    return _Efficient(compared, beta, covariance, how)


def _spread(pool: str | None, trial: Trial, compared: _Compared) -> tuple[Array, frozenset[str]]:
    """Covariance of outcomes over periods within each class, ``(..., C or 1, T, T)``, and how it was pooled."""
    count, y = compared.size, about_centre(trial)
    scatter = moments(compared.classes.label, count.shape[-1], y).scatter
    _check_pool(pool, count, bool(trial.shape))
    if pool == "trial":
        return _around_periods(trial, compared, y), frozenset({"trial"})
    if pool is not None:
        return (apart(scatter, count), frozenset()) if pool == "never" else (pooled(scatter, count), frozenset({"cohorts"}))
    own = np.asarray(((count == 0) | (count >= ENOUGH)).all(-1))
    # Never-treated clusters alone say nothing of how noisy treated ones are.
    timed = count * (compared.classes.start < trial.n.shape[-1])
    shared = np.asarray(~own & (np.maximum(timed - 1, 0).sum(-1) >= ENOUGH))
    rest = ~own & ~shared
    parts = [(own, apart(scatter, count))] if own.any() else []
    parts += [(shared, pooled(scatter, count))] if shared.any() else []
    parts += [(rest, _around_periods(trial, compared, y))] if rest.any() else []
    spread = sum((_only(*part) for part in parts[1:]), _only(*parts[0]))
    return np.asarray(spread), frozenset(how for how, way in (("cohorts", shared), ("trial", rest)) if way.any())


def _only(way: NDArray[np.bool_], part: Array) -> Array:
    return np.where(way[..., None, None, None], part, 0.0)


def _check_pool(pool: str | None, count: Array, stack: bool) -> None:
    """One trial whose cohorts are too small is refused; in a stack its numbers become nan."""
    if pool == "never" and not stack and (count == 1).any():
        raise FitError("pool='never' needs two clusters in every cohort, and some have one. Use pool=None, which pools where it must.")
    if pool == "cohorts" and not stack and not (count > 1).any():
        raise FitError("pool='cohorts' needs a cohort of two clusters, and each has one. Use pool='trial', or give beta=.")


def _around_periods(trial: Trial, compared: _Compared, y: Array) -> Array:
    """Covariance ``(..., 1, T, T)`` of all clusters about the period means, a constant effect by two-way least squares taken out."""
    held = for_clusters(compared.size[..., None, :], compared.classes.label)[..., 0, :] > 0
    mask = (held[..., None] & (trial.n > 0)).astype(float)
    own = freed(mask * trial.arm, mask)
    effect = (own * y).sum((-2, -1)) / (own**2).sum((-2, -1))
    scatter = moments(np.where(held, 0, 1), 2, y - effect[..., None, None] * trial.arm).scatter[..., :1, :, :]
    return np.asarray(scatter / np.maximum(held.sum(-1) - 1.0, 1.0)[..., None, None, None])
