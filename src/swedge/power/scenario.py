"""A truth to draw trials from: baseline, trend, effect, correlation and sizes, stated apart from any estimator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FAMILIES
from swedge.assumptions import (
    Constant,
    Correlation,
    EffectCurve,
    ProportionalDecay,
    RandomEffects,
    check_gaussian,
    given,
    residual_variance,
)
from swedge.design import Design
from swedge.errors import DesignError, nearest
from swedge.power.outcomes import (
    ANALYSED_AS,
    Drawn,
    draw_binomial,
    draw_duration,
    draw_fractional,
    draw_gaussian,
    draw_poisson,
)
from swedge.power.overlap import treated_share
from swedge.power.shock import Shock
from swedge.trial import Cells, Trial

Array = NDArray[np.float64]
Numbers = float | tuple[Any, ...]

SCALES = {
    "gaussian": ("identity",),
    "binomial": ("logit", "risk"),
    "poisson": ("log",),
    "fractional": ("logit", "risk"),
    "duration": ("log",),
}
_LINKS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda mean: mean,
    "risk": lambda risk: risk,
    "logit": lambda risk: np.log(risk / (1 - risk)),
    "log": np.log,
}
LOGISTIC_VARIANCE = np.pi**2 / 3
# Fields that hold numbers, alone or in tuples.
_NUMBERS = (
    *("baseline", "size", "effect", "trend", "sd", "cluster_trends", "noise_by_cluster", "effect_by_cluster", "size_cv", "late"),
    *("attrition", "attrition_treated", "window", "dispersion", "limit"),
)


@dataclass(frozen=True)
class Scenario:
    """What is assumed to be true of a trial, as plain numbers.

    Parameters
    ----------
    family : {"gaussian", "binomial", "poisson", "fractional", "duration"}
        "fractional" is a share in [0, 1], analysed as a quasi-binomial proportion; "duration" is an exponential time to event cut at
        `limit`, analysed by its (restricted) mean.
    scale : {"identity", "risk", "logit", "log"}, optional
        On which everything adds up. Left out: identity, logit or log by family. "risk" is the proportion scale; "log" is the log rate, for
        a duration the log hazard.
    baseline : float or tuple (I,)
        Control outcome in the first period: a mean, a risk, a rate, or the mean time to event before it is cut.
    effect : float
        Treated minus control on `scale` (a log odds ratio on "logit"), once the whole effect is there.
    curve : EffectCurve
        How the effect builds up or fades: `Constant`, `Delayed`, `Linear` or `Fading`.
    size : float or tuple (I,) or tuple of tuples (I, T)
        Individuals a cell.
    trend : float or tuple (T,)
        Change a period, or each period's shift, on `scale`, in every cluster.
    correlation : Correlation, optional
        Random effects of clusters and cluster-periods. ICCs are on the proportion scale for "risk" (total variance m(1-m) at the mean
        baseline m), on the logit scale for "logit" (residual pi^2/3), and need `RandomEffects` for "log".
    sd : float, optional
        Total standard deviation of a Gaussian outcome in one period.
    cluster_trends : float
        Standard deviation of cluster-specific linear trends: each cluster's line runs from minus to plus its draw over the periods'
        mid-points.
    noise_by_cluster, effect_by_cluster : tuple (I,), optional
        Factors on each cluster's random effects, and on its treatment effect.
    shocks : tuple of Shock
    size_cv : float
        Coefficient of variation of cluster sizes, drawn anew for every trial (gamma) around `size`.
    late : tuple (I,), optional
        Periods by which each cluster goes live after its allocated start; infinity for never. The analysis keeps the allocation.
    attrition, attrition_treated : float
        Share of individuals lost at random under control and, if it differs, under treatment.
    window : float, optional
        Length of the outcome window in days: controls whose window crosses go-live feel the effect by the treated share of it.
    dispersion : float
        Of a fractional outcome: its individual variance over ``m (1 - m)``, in (0, 1].
    limit : float, optional
        At which a duration is cut.

    Examples
    --------
    >>> Scenario(family="binomial", baseline=0.055, effect=-0.2, size=900).scale
    'logit'
    """

    family: str
    baseline: Numbers
    size: Numbers
    effect: float = 0.0
    scale: str = ""
    curve: EffectCurve = Constant()  # noqa: RUF009 - frozen, so shared safely
    trend: Numbers = 0.0
    correlation: Correlation = RandomEffects()  # noqa: RUF009 - frozen, so shared safely
    sd: float | None = None
    cluster_trends: float = 0.0
    noise_by_cluster: tuple[float, ...] | None = None
    shocks: tuple[Shock, ...] = ()
    effect_by_cluster: tuple[float, ...] | None = None
    size_cv: float = 0.0
    late: tuple[float, ...] | None = None
    attrition: float = 0.0
    attrition_treated: float | None = None
    window: float | None = None
    dispersion: float = 1.0
    limit: float | None = None

    def __post_init__(self) -> None:
        if self.family not in SCALES:
            raise DesignError(f"family={self.family!r}; expected one of {', '.join(SCALES)}.{nearest(self.family, SCALES)}")
        object.__setattr__(self, "scale", self.scale or SCALES[self.family][0])
        for name in _NUMBERS:
            object.__setattr__(self, name, _plain(name, getattr(self, name)))
        if self.scale not in SCALES[self.family]:
            raise DesignError(
                f"scale={self.scale!r} does not go with family={self.family!r}; expected {' or '.join(SCALES[self.family])}."
                f"{nearest(self.scale, SCALES[self.family])}"
            )
        self._check_numbers()
        self._check_spread()
        self._check_by_cluster()
        self._check_family()
        self._check_correlation()
        self._check_window()
        self._check_course()

    def _check_numbers(self) -> None:
        share = self.family in ("binomial", "fractional")
        low, high = (-np.inf if self.family == "gaussian" else 0.0), (1.0 if share else np.inf)
        wanted = "finite numbers" if self.family == "gaussian" else "risks strictly between 0 and 1" if share else "positive numbers"
        self._require("baseline", lambda base: (base > low) & (base < high), wanted)
        self._require("size", lambda size: (size >= 1) & (size < np.inf), "at least one individual in every cell")
        for name in ("effect", "trend", "effect_by_cluster"):
            self._require(name, np.isfinite, "finite numbers")

    def _check_spread(self) -> None:
        for name in ("cluster_trends", "size_cv", "noise_by_cluster"):
            self._require(name, lambda value: (value >= 0) & (value < np.inf), "a finite number, not negative")
        for name in ("attrition", "attrition_treated"):
            self._require(name, lambda share: (share >= 0) & (share < 1), "a share in [0, 1)")
        self._require("dispersion", lambda share: (share > 0) & (share <= 1), "a share of the Bernoulli variance, in (0, 1]")

    def _check_by_cluster(self) -> None:
        for name in ("noise_by_cluster", "effect_by_cluster", "late"):
            value = getattr(self, name)
            if value is not None and np.ndim(value) != 1:
                raise DesignError(f"{name}={value}; expected a tuple with one number for each cluster.")
        whole = "whole numbers of periods, not negative, or infinity for never"
        self._require("late", lambda late: (late >= 0) & (late == np.floor(late)), whole)
        self._require("window", lambda days: (days > 0) & (days < np.inf), "a positive number of days")

    def _check_family(self) -> None:
        if self.dispersion != 1 and self.family != "fractional":
            raise DesignError(
                f"dispersion={self.dispersion} is that of a fractional outcome; family={self.family!r} has none. Leave it out."
            )
        if (self.family == "duration") != (self.limit is not None and np.ndim(self.limit) == 0 and self.limit > 0):
            raise DesignError("A duration, and nothing else, needs limit=, the positive time at which follow-up is cut.")

    def _require(self, name: str, holds: Callable[[Array], NDArray[np.bool_]], wanted: str) -> None:
        value = getattr(self, name)
        if value is not None and not holds(np.asarray(value, dtype=float)).all():
            raise DesignError(f"{name}={value}; expected {wanted}.")

    def _check_course(self) -> None:
        """What happens over time: the curve of the effect, and the shocks."""
        curve: object = self.curve
        if not isinstance(curve, EffectCurve):
            raise DesignError(f"curve={curve!r}; expected Constant(), Delayed(k), Linear(k) or Fading(k).")
        known: object = self.shocks
        if not isinstance(known, tuple) or not all(isinstance(shock, Shock) for shock in known):
            raise DesignError(f"shocks={known!r}; expected a tuple of Shock(start, end, change).")

    def _check_window(self) -> None:
        if self.window is not None and not isinstance(self.curve, Constant):
            raise DesignError(
                f"window= spreads a constant effect over follow-up; with curve={self.curve!r} it is undefined. Use one of them."
            )

    def _check_correlation(self) -> None:
        known = self.correlation
        if self.family == "gaussian":
            check_gaussian(known, self.sd)
        if not hasattr(known, "components"):
            raise DesignError(f"correlation={known!r}; expected a structure with values, such as NestedExchangeable(icc=0.05, cac=0.8).")
        if getattr(known, "iac", 0.0) != 0 or getattr(known, "individual", 0.0) != 0 or isinstance(known, ProportionalDecay):
            raise DesignError(
                f"{known!r} describes a closed cohort; a scenario draws cross-sections. Leave out iac= and individual=; for a decay without"
                f" them, use ExponentialDecay."
            )
        if getattr(known, "exposure", 0.0) != 0:
            raise DesignError(f"{known!r} lets clusters share exposure effects, which a scenario does not draw. Leave out exposure=.")
        if self.scale == "log" and not isinstance(known, RandomEffects):
            raise DesignError(
                f"An ICC has no residual variance to refer to on the log scale. Give RandomEffects(cluster=...) for {known!r}."
            )

    @property
    def constant_effect(self) -> bool:
        """Whether every treated cell feels `effect`, and no control cell does: what a constant-effect estimator estimates."""
        plain = isinstance(self.curve, Constant) and self.late is None and self.window is None and self.effect_by_cluster is None
        return plain or self.effect == 0

    @property
    def residual(self) -> float:
        """Residual variance on `scale`: what an ICC is relative to."""
        if self.family == "gaussian":
            return residual_variance(self.correlation, self.sd)
        if self.scale == "risk":
            mean = float(np.mean(self.baseline))
            return mean * (1 - mean) * (1 - (getattr(self.correlation, "icc", None) or 0.0))
        return LOGISTIC_VARIANCE

    def sizes(self, design: Design) -> Array:
        """Individuals in each cell before variation and attrition, ``(I, T)``."""
        size = np.asarray(self.size, dtype=float)
        shape = (design.n_clusters, design.n_periods)
        return np.broadcast_to(_fitting(size[:, None] if size.ndim == 1 else size, shape, "size"), shape).round()

    def centre(self, design: Design) -> Array:
        """Linear predictor without effect and random parts, ``(I, T)``."""
        baseline = np.asarray(self.baseline, dtype=float)
        shape = (design.n_clusters, design.n_periods)
        column = baseline[:, None] if baseline.ndim == 1 else baseline
        level = _LINKS[self.scale](1 / column if self.family == "duration" else column)
        shifts = [shock.change * shock.share(design) for shock in self.shocks]
        return np.asarray(np.broadcast_to(_fitting(level, shape, "baseline"), shape) + self._trend(shape[1]) + np.sum(shifts, axis=0))

    def _trend(self, periods: int) -> Array:
        trend = np.asarray(self.trend, dtype=float)
        if trend.ndim == 0:
            return np.asarray(trend * np.arange(periods))
        return np.asarray(_fitting(trend[None, :], (1, periods), "trend")[0])

    def draw(self, design: Design, reps: int, rng: np.random.Generator, sequences: NDArray[np.int64] | None = None) -> Trial:
        """A stack of `reps` trials, each under an allocation drawn from the design (or under `sequences`, ``(reps, I)``)."""
        drawn = design.random_allocations(reps, rng) if sequences is None else sequences
        treatment, exposure = design.treatment_of(drawn), design.exposure_of(drawn)
        actual, since = self._carried_out(design, treatment, exposure)
        n = self._counts(design, actual, rng)
        predictor = self.centre(design) + self._random(design, actual, rng) + self._effects(design, actual, since)
        # Cells that an allocation leaves out are not collected: they hold nobody, under any other allocation too.
        n = np.where(np.isnan(treatment), 0.0, n) if np.isnan(treatment).any() else n
        outcome = self._outcomes(predictor, n, rng)
        cells = Cells(n, np.where(n > 0, outcome.mean, 0.0)[..., None], outcome.within)
        periods = tuple(range(1, design.n_periods + 1))
        return Trial(cells, treatment, exposure, ANALYSED_AS[self.family], design.clusters, design=design, periods=periods)

    def _counts(self, design: Design, treatment: Array, rng: np.random.Generator) -> Array:
        """Individuals ``(I, T)``, or ``(R, I, T)`` where sizes vary or individuals are lost."""
        n = self.sizes(design)
        if self.size_cv:
            factors = rng.gamma(self.size_cv**-2, self.size_cv**2, (len(treatment), design.n_clusters, 1))
            n = np.maximum((n * factors).round(), 1.0)
        if not (self.attrition or self.attrition_treated):
            return n
        treated = self.attrition if self.attrition_treated is None else self.attrition_treated
        lost = np.where(np.nan_to_num(treatment) > 0, treated, self.attrition)
        return rng.binomial(np.broadcast_to(n, treatment.shape).astype(np.int64), 1 - lost).astype(float)

    def _effects(self, design: Design, actual: Array, since: NDArray[np.int64]) -> Array:
        """Effect in each cell, ``(R, I, T)``, under the treatment carried out."""
        names, columns = self.curve.columns(np.nan_to_num(actual), since)
        if len(names) != 1:
            raise DesignError(
                f"curve={self.curve!r} has {len(names)} effects; a scenario needs one: Constant(), Delayed(k), Linear(k), Fading(k)."
            )
        share = columns[..., 0, :, :]
        if self.window is not None:
            share = np.where(np.nan_to_num(actual) > 0, share, treated_share(design, actual, since, self.window))
        factors = np.ones(1) if self.effect_by_cluster is None else _by_cluster(self.effect_by_cluster, design, "effect_by_cluster")
        return np.asarray(self.effect * share * factors)

    def _carried_out(self, design: Design, treatment: Array, exposure: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
        """Treatment and exposure after late or failed starts."""
        if self.late is None:
            return treatment, exposure
        if design.transition or ((treatment > 0) & (treatment < 1)).any():
            raise DesignError("late= needs a treatment that is wholly there at once: this design has transition periods or fractions.")
        since = np.maximum(exposure - _by_cluster(self.late, design, "late"), 0.0)
        return np.where(np.isnan(treatment), np.nan, treatment * (since > 0)), since.astype(np.int64)

    def _random(self, design: Design, treatment: Array, rng: np.random.Generator) -> Array:
        """Random effects of cluster-periods, treatments and cluster trends, ``(R, I, T)``."""
        shape = treatment.shape
        midpoints = np.asarray(design.midpoints(), dtype=float)
        root = _root(self.correlation.between(midpoints, self.residual))
        noise = rng.standard_normal(shape) @ root.T
        if isinstance(self.correlation, RandomEffects) and self.correlation.treatment:
            noise = _with_treatment(self.correlation, midpoints, treatment, rng)
        if self.noise_by_cluster is not None:
            noise = noise * _by_cluster(self.noise_by_cluster, design, "noise_by_cluster")
        if not self.cluster_trends:
            return np.asarray(noise)
        line = 2 * (midpoints - midpoints[0]) / (midpoints[-1] - midpoints[0]) - 1
        return np.asarray(noise + self.cluster_trends * rng.standard_normal((*shape[:2], 1)) * line)

    def _outcomes(self, predictor: Array, n: Array, rng: np.random.Generator) -> Drawn:
        if self.family == "gaussian":
            return draw_gaussian(predictor, n, self.residual, rng)
        expected = predictor if self.scale == "risk" else FAMILIES["binomial" if self.scale == "logit" else "poisson"].mean(predictor)
        if self.family == "binomial":
            return draw_binomial(expected, n, rng)
        if self.family == "fractional":
            return draw_fractional(expected, n, self.dispersion, rng)
        if self.family == "duration":
            return draw_duration(expected, n, float(self.limit or 0.0), rng)
        return draw_poisson(expected, n, rng)


def _with_treatment(correlation: RandomEffects, midpoints: Array, treatment: Array, rng: np.random.Generator) -> Array:
    """Cluster, cluster-by-period and correlated treatment effects, ``(R, I, T)``."""
    level, slope = rng.standard_normal((2, *treatment.shape[:2], 1))
    share = given("treatment_corr", correlation.treatment_corr)
    own = given("treatment", correlation.treatment) * (share * level + np.sqrt(1 - share**2) * slope)
    cells = RandomEffects(cluster_period=correlation.cluster_period, autocorrelation=correlation.autocorrelation)
    noise = rng.standard_normal(treatment.shape) @ _root(cells.between(midpoints, 1.0)).T
    return np.asarray(noise + given("cluster", correlation.cluster) * level + own * np.nan_to_num(treatment))


def _root(covariance: Array) -> Array:
    """A root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    if values.min() < -1e-9 * max(values.max(), 1e-300):
        raise DesignError("The covariance of a cluster's periods is not positive semidefinite. Check the correlation's parameters.")
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _fitting(array: Array, shape: tuple[int, int], name: str) -> Array:
    try:
        np.broadcast_to(array, shape)
    except ValueError:
        raise DesignError(f"{name} has shape {array.squeeze().shape}; the design has {shape[0]} clusters and {shape[1]} periods.") from None
    return array


def _by_cluster(values: tuple[float, ...], design: Design, name: str) -> Array:
    """One number a cluster as a column, ``(I, 1)``."""
    if len(values) != design.n_clusters:
        raise DesignError(f"{name} has {len(values)} numbers; the design has {design.n_clusters} clusters.")
    return np.asarray(values, dtype=float)[:, None]


def _plain(name: str, value: Any) -> Any:
    """Arrays and lists as nested tuples of floats, so that a scenario can be hashed, compared and registered."""
    if value is None or isinstance(value, int | float):
        return value
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise DesignError(f"{name}={value!r}; expected numbers.") from None
    return float(array) if array.ndim == 0 else tuple(_plain(name, row) for row in array.tolist())
