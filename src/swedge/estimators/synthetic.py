"""Synthetic controls and synthetic difference-in-differences, cohort by cohort against never-treated clusters."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.linear_robust import WorkingModel
from swedge._kernels.synthetic import LEAST, Panels, cluster_weights, noise, period_weights
from swedge.design.validation import seed_number, whole
from swedge.errors import DataError, FitError, counted, nearest
from swedge.estimators.aggregation import ESTIMANDS
from swedge.estimators.cohorts import Cohorts, cohorts
from swedge.estimators.difference import ROBUST, CellEffects, DifferenceInDifferences, TermNumbers, about_centre, with_levels
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]

KINDS = {"simple": "simple", "cohort": "group"}
# Numbers that the forms of one block of replicates may hold.
BLOCK = 4_000_000


class SyntheticWeights(NamedTuple):
    """Of each cohort that starts in ``start (G,)``, counted from 0: weights of clusters ``(..., G, I)`` and of periods ``(..., G, T)``.

    Control clusters weigh 1 together, and so do earlier periods; what is treated, and a cohort that a replicate lacks, has 0.
    """

    start: Index
    clusters: Array
    periods: Array


class _Contrasts(NamedTuple):
    """Weights with the treated side: treated clusters and later periods positive; ``share (..., G)`` of each cohort in the whole."""

    found: SyntheticWeights
    treated: Flags
    periods: Array
    share: Array

    @property
    def clusters(self) -> Array:
        """``(..., G, I)``."""
        mean = self.treated / np.maximum(self.treated.sum(-1, keepdims=True), 1)
        return np.asarray(mean - self.found.clusters)


@dataclass(frozen=True)
class _Synthetic(DifferenceInDifferences):
    """Weights of never-treated clusters and of earlier periods, learnt from outcomes, one cohort at a time.

    Cohorts are averaged by their number of treated cells, as Clarke and others do.
    """

    aggregate: str = "simple"
    penalty: float | None = None
    draws: int = 200
    seed: int = 0

    vcovs: ClassVar[tuple[str, ...]] = (*ROBUST, "placebo", "jackknife")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.aggregate not in KINDS:
            raise FitError(f"aggregate={self.aggregate!r}; expected one of {', '.join(KINDS)}.{nearest(self.aggregate, KINDS)}")
        whole(self.draws, "draws", least=1)
        seed_number(self.seed)
        number = isinstance(self.penalty, int | float) and not isinstance(self.penalty, bool) and math.isfinite(self.penalty)
        if self.penalty is not None and (not number or self.penalty < 0):
            raise FitError(f"penalty={self.penalty!r}; expected a number of 0 or more (multiples of the noise), or None for the usual one.")

    @property
    def fixed_weights(self) -> bool:
        """False: the outcomes before treatment make the weights."""
        return False

    @abstractmethod
    def _learnt(self, panels: Panels) -> tuple[Array, Array]:
        """Weights of controls ``(R, I)`` and of earlier periods ``(R, T)``."""

    def synthetic(self, trial: Trial) -> SyntheticWeights:
        """The weights of control clusters and of earlier periods, cohort by cohort."""
        return self._contrasts(trial).found

    def build(self, trial: Trial) -> CellEffects:
        """Terms and their weights over cell means."""
        found = self._contrasts(trial)
        each = found.clusters[..., None] * found.periods[..., None, :]
        overall = (found.share[..., None, None] * each).sum(-3, keepdims=True)
        terms = tuple(f"group {trial.periods[g]}" for g in found.found.start) if self.aggregate == "cohort" else ()
        # A cohort that a replicate lacks has no effect there.
        parts = np.where(found.share[..., None, None] > 0, each, np.nan) if terms else each[..., :0, :, :]
        return CellEffects(("overall", *terms), np.concatenate([overall, parts], -3), ESTIMANDS[KINDS[self.aggregate]])

    def _contrasts(self, trial: Trial) -> _Contrasts:
        known = cohorts(trial)
        dates = _dates(known)
        panels = Panels(*(np.concatenate(sides) for sides in zip(*(_panels(trial, known, g) for g in dates), strict=True)))
        usable = np.asarray(np.stack([side.any(-1) for side in (panels.treated, panels.control, panels.before)]).all(0))
        learnt = (np.where(usable[:, None], rows, 0.0) for rows in self._in_blocks(panels))
        clusters, lambdas, treated, after = (
            np.moveaxis(rows.reshape((len(dates), *trial.shape, -1)), 0, -2)
            for rows in (*learnt, panels.treated & usable[:, None], panels.after)
        )
        cells = np.moveaxis((panels.treated_cells * usable).reshape((len(dates), *trial.shape)), 0, -1)
        total = cells.sum(-1, keepdims=True)
        periods = after / np.maximum(after.sum(-1, keepdims=True), 1) - lambdas
        return _Contrasts(
            SyntheticWeights(np.array(dates), clusters, lambdas), treated, periods, cells / np.where(total > 0, total, np.nan)
        )

    def _in_blocks(self, panels: Panels) -> tuple[Array, Array]:
        step = max(1, BLOCK // max(panels.y.shape[-2:]) ** 2)
        blocks = [self._learnt(panels.part(slice(k, k + step))) for k in range(0, len(panels.y), step)]
        clusters, periods = (np.concatenate(part) for part in zip(*blocks, strict=True))
        return clusters, periods

    def _numbers(self, trial: Trial) -> TermNumbers:
        built, y = self.build(trial), about_centre(trial)
        estimate = (built.weights * y[..., None, :, :]).sum((-2, -1))
        if self.vcov in ROBUST:
            covariance, df, alone = self._covariance(trial, built.weights, y)
        else:
            spread = self._placebo if self.vcov == "placebo" else self._jackknife
            covariance, df, alone = spread(trial), self._fixed(trial, np.empty(estimate.shape)), None
        return TermNumbers(built.terms, estimate, covariance, df, built.estimand, self._told(trial), alone, built.weights)

    def _jackknife(self, trial: Trial) -> Array:
        """Every cluster left out in turn, the others' weights scaled up and otherwise as they are."""
        found, y = self._contrasts(trial), about_centre(trial)
        if not trial.shape and (found.treated.sum(-1) < 2).any():
            raise FitError("A jackknife needs two treated clusters in every cohort, and some have one. Use vcov='placebo' or PlaceboTest.")
        known = cohorts(trial)
        here = found.treated.any(-2) | (known.never & known.throughout)
        values = _left_out(found, self.aggregate == "cohort", (found.periods[..., None, :] * y[..., None, :, :]).sum(-1))
        count = here.sum(-1)[..., None, None]
        about = np.where(here[..., None], values - (np.where(here[..., None], values, 0.0).sum(-2, keepdims=True) / count), 0.0)
        return np.asarray((count - 1) / count * (np.swapaxes(about, -1, -2) @ about))

    def _placebo(self, trial: Trial) -> Array:
        """The spread of the estimates when never-treated clusters are given the treated clusters' dates, and these are left out."""
        if trial.shape:
            flat = [self._placebo(trial.replicate(i)) for i in range(trial.shape[0])]
            return np.stack(flat)
        placebos = _placebos(trial, self.draws, self.seed)
        built = self.build(placebos)
        estimates = (built.weights * about_centre(placebos)[..., None, :, :]).sum((-2, -1))
        about = estimates - estimates.mean(0)
        return np.asarray(about.T @ about / len(about))

    def _told(self, trial: Trial) -> tuple[str, ...]:
        known = cohorts(trial)
        lost = int((~known.throughout & known.seen.any(-1)).sum(-1).max())
        early = int((known.start == 0).sum(-1).max())
        told = {
            f"{counted(lost, 'cluster is', 'clusters are')} not observed in every period and left out.": lost > 0,
            f"{counted(early, 'cluster is', 'clusters are')} treated from the first period on and left out.": early > 0,
            "The standard error takes the weights of clusters and periods as known.": self.vcov in (*ROBUST, "jackknife"),
        }
        return tuple(note for note, holds in told.items() if holds)


@dataclass(frozen=True)
class SyntheticDiD(_Synthetic):
    """Difference-in-differences between treated clusters and a weighted average of never-treated ones that moved in parallel before.

    Earlier periods are weighted too, so that each control's weighted past is its later mean less a constant. Each cohort has weights of
    its own; the overall effect averages cohorts by treated cells.

    Parameters
    ----------
    aggregate : {"simple", "cohort"}
        The overall effect over treated cluster-periods; or one by cohort beside it.
    penalty : float, optional
        Ridge penalty on the weights of clusters, in multiples of the noise. Left out: the fourth root of the number of treated cells.
    draws : int
        Placebos for ``vcov="placebo"``; all different ones where there are no more than that.
    seed : int
    vcov : {"CR0", "CR1", "CR2", "CR3", "placebo", "jackknife"}
        Cluster-robust with the weights taken as known; the spread of estimates when never-treated clusters are given the treated ones'
        dates; or the jackknife with weights held fixed, which needs two treated clusters in every cohort.
    df : {"satterthwaite", "clusters", "normal"}

    Raises
    ------
    FitError
        For a choice that does not exist, or a variance that these clusters cannot give.
    DataError
        If no cluster is never treated, or no cohort has a period before treatment.

    Notes
    -----
    Weights are found by Frank and Wolfe's steps with the stopping rule of the authors' package, whose answers they are. A cohort with one
    period before treatment has equal weights, and is plain difference-in-differences. Clusters that are not observed in every period are
    left out. The noise and the penalty are those of each fit: of every placebo too.

    References
    ----------
    Arkhangelsky D, Athey S, Hirshberg DA, Imbens GW, Wager S (2021). Synthetic difference-in-differences. American Economic Review 111,
    4088-4118.
    Clarke D, Pailanir D, Athey S, Imbens G (2024). On synthetic difference-in-differences and related estimation methods in Stata. Stata
    Journal 24, 557-598.

    Examples
    --------
    >>> import numpy as np, pandas as pd, swedge as sw
    >>> from swedge.estimators.synthetic import SyntheticDiD
    >>> rng = np.random.default_rng(0)
    >>> df = pd.DataFrame([(i, t, 4 if i == 1 else 0) for i in range(9) for t in range(6)], columns=["i", "t", "first"])
    >>> df["y"] = df.i * df.t / 10 + rng.normal(0, 0.1, len(df)) + 3 * ((df.i == 1) & (df.t >= 4))
    >>> trial = sw.Trial.from_panel(df, cluster="i", period="t", outcome="y", first_treated="first")
    >>> bool(abs(SyntheticDiD().point(trial) - 3) < 0.3)
    True
    """

    def _learnt(self, panels: Panels) -> tuple[Array, Array]:
        times = panels.treated_cells**0.25 if self.penalty is None else self.penalty
        return cluster_weights(panels, times * noise(panels), intercept=True), period_weights(panels)

    def _named(self) -> str:
        return "Synthetic difference-in-differences by cohort against never-treated clusters"


@dataclass(frozen=True)
class SyntheticControl(_Synthetic):
    """Difference after treatment between treated clusters and a weighted average of never-treated ones that coincided with them before.

    There is no intercept and no earlier period is taken out: a level that the weights do not meet stays in the estimate. Each cohort has
    weights of its own; the overall effect averages cohorts by treated cells.

    Parameters
    ----------
    aggregate : {"simple", "cohort"}
        The overall effect over treated cluster-periods; or one by cohort beside it.
    penalty : float, optional
        Ridge penalty on the weights of clusters, in multiples of the noise. Left out: 1e-6, which only settles ties.
    draws : int
        Placebos for ``vcov="placebo"``; all different ones where there are no more than that.
    seed : int
    vcov : {"CR0", "CR1", "CR2", "CR3", "placebo", "jackknife"}
        As for `SyntheticDiD`. The cluster-robust ones count clusters' levels as error, although the weights have met them in part: with
        several treated clusters they are too large rather than too small, and with one they are refused, as nothing would measure its
        error. Placebos are the usual way.
    df : {"satterthwaite", "clusters", "normal"}

    Raises
    ------
    FitError
        For a choice that does not exist, or a variance that these clusters cannot give.
    DataError
        If no cluster is never treated, or no cohort has a period before treatment.

    References
    ----------
    Abadie A, Diamond A, Hainmueller J (2010). Synthetic control methods for comparative case studies. Journal of the American Statistical
    Association 105, 493-505.

    Examples
    --------
    >>> import numpy as np, pandas as pd, swedge as sw
    >>> from swedge.estimators.synthetic import SyntheticControl
    >>> df = pd.DataFrame([(i, t, 4 if i == 1 else 0) for i in range(5) for t in range(1, 7)], columns=["i", "t", "first"])
    >>> df["y"] = df.i * (df.t + df.t**2 % 3) + 3.0 * ((df.i == 1) & (df.t >= 4))
    >>> trial = sw.Trial.from_panel(df, cluster="i", period="t", outcome="y", first_treated="first")
    >>> bool(abs(SyntheticControl().point(trial) - 3) < 0.01)
    True
    """

    def _learnt(self, panels: Panels) -> tuple[Array, Array]:
        times = LEAST if self.penalty is None else self.penalty
        return cluster_weights(panels, times * noise(panels), intercept=False), np.zeros(panels.before.shape)

    def working_model(self, trial: Trial) -> WorkingModel:
        """Whose residuals make the variance: without effects of clusters, whose levels stay in the estimate."""
        return with_levels(trial)

    def _named(self) -> str:
        return "Synthetic controls by cohort from never-treated clusters"


def _dates(known: Cohorts) -> list[int]:
    """First treated periods of cohorts with a period before, clusters observed throughout and controls in some replicate."""
    controls = (known.never & known.throughout).any(-1)
    if not controls.any():
        raise DataError(
            "Synthetic controls are made of never-treated clusters that are observed in every period, and there are none. Add comparators="
            " to the trial, or use CallawaySantAnna(controls='not_yet') or RothSantAnna()."
        )
    before = np.asarray(known.seen.any(-2))
    ours = {g: (known.start == g) & known.throughout for g in known.dates}
    dates = [g for g in known.dates if np.any(ours[g].any(-1) & controls & before[..., :g].any(-1))]
    if not dates:
        raise DataError(
            "No clean comparison is left: no treated cluster is observed in every period and has a period before treatment. Synthetic"
            " weights need whole rows; use CallawaySantAnna() or Imputation() where some cells are missing."
        )
    return dates


def _panels(trial: Trial, known: Cohorts, start: int) -> Panels:
    """One cohort and the never-treated clusters, a row a replicate."""
    y, used = about_centre(trial), known.seen.any(-2)
    early = np.arange(known.periods) < start
    tables = (
        (y, 2),
        ((known.start == start) & known.throughout, 1),
        (known.never & known.throughout, 1),
        (used & early, 1),
        (used & ~early, 1),
    )
    count = math.prod(trial.shape)
    rows = [np.broadcast_to(t, (*trial.shape, *t.shape[t.ndim - tail :])).reshape((count, *t.shape[t.ndim - tail :])) for t, tail in tables]
    return Panels(*rows)


def _left_out(found: _Contrasts, apart: bool, change: Array) -> Array:
    """The terms without each cluster ``(..., I, J)``, of clusters' weighted changes ``(..., G, I)``; cohorts too if wanted `apart`."""
    omega, treated = found.found.clusters, found.treated.astype(float)
    ours, theirs = (treated * change).sum(-1, keepdims=True), (omega * change).sum(-1, keepdims=True)
    many = treated.sum(-1, keepdims=True)
    mean = (ours - treated * change) / np.where(many - treated > 0, many - treated, np.nan)
    synthetic = (theirs - omega * change) / np.where(1 - omega > 0, 1 - omega, np.nan)
    each = np.where(many > 0, mean - synthetic, 0.0)
    size = (many - treated) * (found.periods > 0).sum(-1, keepdims=True)
    overall = (size * each).sum(-2, keepdims=True) / size.sum(-2, keepdims=True)
    parts = each if apart else each[..., :0, :]
    return np.swapaxes(np.concatenate([overall, parts], -2), -1, -2)


def _placebos(trial: Trial, draws: int, seed: int) -> Trial:
    """The never-treated clusters alone, some of them under the treated clusters' dates."""
    known = cohorts(trial)
    rows = known.throughout
    treated, others = np.flatnonzero(rows & ~known.never & (known.start > 0)), np.flatnonzero(rows & known.never)
    if len(others) <= len(treated):
        raise FitError(
            f"{len(others)} never-treated clusters cannot stand in for {len(treated)} treated ones and leave controls. Use vcov='CR2', or"
            " add comparators."
        )
    chosen = _choices(others, len(treated), draws, seed)
    treatment = np.where(np.isin(np.arange(len(rows)), others)[:, None], 0.0, np.nan) + np.zeros((len(chosen), *trial.treatment.shape))
    exposure = np.zeros(treatment.shape, dtype=np.int64)
    at = np.arange(len(chosen))[:, None]
    treatment[at, chosen], exposure[at, chosen] = trial.treatment[treated], trial.exposure[treated]
    return trial.under(treatment, exposure)


def _choices(others: Index, count: int, draws: int, seed: int) -> Index:
    """Ordered choices of `count` clusters ``(draws, count)``: every one where there are no more than `draws`, else random ones."""
    if math.perm(len(others), count) <= draws:
        return np.array(list(itertools.permutations(others.tolist(), count)), dtype=np.int64)
    rng = np.random.default_rng(seed)
    return np.asarray(rng.permuted(np.tile(others, (draws, 1)), axis=1)[:, :count])
