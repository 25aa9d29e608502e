"""A truth to draw trials from: baseline, trend, effect, correlation and sizes, stated apart from any estimator."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FAMILIES
from swedge.assumptions import Constant, Correlation, EffectCurve, RandomEffects, family_named, residual_variance
from swedge.design import Design
from swedge.errors import DesignError, nearest
from swedge.trial import Cells, Trial

Array = NDArray[np.float64]
Numbers = float | tuple[Any, ...]

SCALES = {"gaussian": ("identity",), "binomial": ("risk", "logit"), "poisson": ("log",)}
_LINKS: dict[str, Callable[[Array], Array]] = {
    "identity": lambda mean: mean,
    "risk": lambda risk: risk,
    "logit": lambda risk: np.log(risk / (1 - risk)),
    "log": np.log,
}
LOGISTIC_VARIANCE = np.pi**2 / 3


@dataclass(frozen=True)
class Shock:
    """A dated change that hits every cluster: periods feel it by the share of their days that it covers.

    Parameters
    ----------
    start, end : date or str
        First day, and first day after; ISO strings are read as dates.
    change : float
        On the scenario's scale.

    Examples
    --------
    >>> Shock("2020-03-23", "2020-06-01", change=-0.3).days
    70
    """

    start: dt.date | str
    end: dt.date | str
    change: float

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, _as_date(getattr(self, name)))
        if self.days <= 0:
            raise DesignError(f"A shock from {self.start} to {self.end} has no days. `end` is the first day after it.")

    @property
    def days(self) -> int:
        """Its length."""
        return (_as_date(self.end) - _as_date(self.start)).days

    def share(self, design: Design) -> Array:
        """Share of each period's days that the shock covers, ``(T,)``."""
        if not design.boundaries:
            raise DesignError("A shock has dates, but this design has none. Build it with Design.from_dates.")
        edges = np.array([b.toordinal() for b in design.boundaries], dtype=float)
        start, end = _as_date(self.start).toordinal(), _as_date(self.end).toordinal()
        overlap = np.minimum(edges[1:], end) - np.maximum(edges[:-1], start)
        return np.asarray(np.maximum(overlap, 0) / np.diff(edges))


@dataclass(frozen=True)
class Scenario:
    """What is assumed to be true of a trial, as plain numbers.

    Parameters
    ----------
    family : {"gaussian", "binomial", "poisson"}
    scale : {"identity", "risk", "logit", "log"}, optional
        On which everything adds up. Left out: identity, logit or log by family. "risk" is the proportion scale of a binary outcome.
    baseline : float or tuple (I,)
        Control outcome in the first period: a mean, a risk or a rate, whatever the scale.
    effect : float
        Treated minus control on `scale` (a log odds ratio on "logit"), once the whole effect is there.
    curve : EffectCurve
        How the effect builds up: `Constant`, `Delayed` or `Linear`.
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
    noise_by_cluster : tuple (I,), optional
        Factors on each cluster's random effects.
    shocks : tuple of Shock

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

    def __post_init__(self) -> None:
        family_named(self.family)
        object.__setattr__(self, "scale", self.scale or {"gaussian": "identity", "binomial": "logit", "poisson": "log"}[self.family])
        for name in ("baseline", "size", "trend", "noise_by_cluster"):
            object.__setattr__(self, name, _plain(getattr(self, name)))
        if self.scale not in SCALES[self.family]:
            raise DesignError(
                f"scale={self.scale!r} does not go with family={self.family!r}; expected {' or '.join(SCALES[self.family])}."
                f"{nearest(self.scale, SCALES[self.family])}"
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        baseline = np.asarray(self.baseline, dtype=float)
        top = {"binomial": 1.0, "poisson": np.inf}.get(self.family)
        if top is not None and not ((baseline > 0) & (baseline < top)).all():
            raise DesignError(f"baseline={self.baseline}; expected {'risks strictly between 0 and 1' if top == 1 else 'positive rates'}.")
        if not (np.asarray(self.size, dtype=float) >= 1).all():
            raise DesignError(f"size={self.size}; expected at least one individual in every cell.")
        if self.cluster_trends < 0:
            raise DesignError(f"cluster_trends={self.cluster_trends}; expected a standard deviation, not negative.")

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
        """Individuals in each cell, ``(I, T)``."""
        size = np.asarray(self.size, dtype=float)
        size = size[:, None] if size.ndim == 1 else size
        return np.broadcast_to(
            _fitting(size, (len(design.clusters), design.n_periods), "size"), (len(design.clusters), design.n_periods)
        ).round()

    def centre(self, design: Design) -> Array:
        """Linear predictor without effect and random parts, ``(I, T)``."""
        baseline = np.asarray(self.baseline, dtype=float)
        shape = (len(design.clusters), design.n_periods)
        level = _LINKS[self.scale](baseline[:, None] if baseline.ndim == 1 else baseline)
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
        n = self.sizes(design)
        predictor = self.centre(design) + self._random(design, reps, rng) + self.effect * self._shape(treatment, exposure)
        mean, within = self._outcomes(predictor, n, rng)
        cells = Cells(n, mean[..., None], within)
        return Trial(cells, treatment, exposure, self.family, design.clusters, design=design, periods=tuple(range(1, design.n_periods + 1)))

    def _shape(self, treatment: Array, exposure: NDArray[np.int64]) -> Array:
        """Share of the whole effect in each cell."""
        names, columns = self.curve.columns(np.nan_to_num(treatment), exposure)
        if len(names) != 1:
            raise DesignError(f"curve={self.curve!r} has {len(names)} effects; a scenario needs one: Constant(), Delayed(k) or Linear(k).")
        return columns[..., 0, :, :]

    def _random(self, design: Design, reps: int, rng: np.random.Generator) -> Array:
        """Random effects of cluster-periods and cluster trends, ``(reps, I, T)``."""
        shape = (reps, len(design.clusters), design.n_periods)
        midpoints = np.asarray(design.midpoints(), dtype=float)
        root = _root(self.correlation.between(midpoints, self.residual))
        noise = rng.standard_normal(shape) @ root.T
        if self.noise_by_cluster is not None:
            factors = np.asarray(self.noise_by_cluster, dtype=float)[:, None]
            noise = noise * _fitting(factors, (shape[1], 1), "noise_by_cluster")
        if not self.cluster_trends:
            return np.asarray(noise)
        line = 2 * (midpoints - midpoints[0]) / (midpoints[-1] - midpoints[0]) - 1
        return np.asarray(noise + self.cluster_trends * rng.standard_normal((*shape[:2], 1)) * line)

    def _outcomes(self, predictor: Array, n: Array, rng: np.random.Generator) -> tuple[Array, Array | None]:
        """Cell means ``(reps, I, T)`` and, for a Gaussian outcome, the scatter within cells."""
        if self.family == "gaussian":
            mean = predictor + rng.standard_normal(predictor.shape) * np.sqrt(self.residual / n)
            squares = self.residual * rng.chisquare(max(n.sum() - n.size, 1e-300), len(predictor))
            return mean, squares[:, None, None, None]
        expected = predictor if self.scale == "risk" else FAMILIES[self.family].mean(predictor)
        if self.family == "poisson":
            return rng.poisson(n * expected) / n, None
        return rng.binomial(n.astype(np.int64), self._risks(expected)) / n, None

    def _risks(self, expected: Array) -> Array:
        """Risks, refused when the scenario pushes more than one cell in a thousand out of range."""
        outside = float(((expected < 0) | (expected > 1)).mean())
        if outside > 1e-3:
            raise DesignError(
                f"{outside:.1%} of the cells drawn have a risk outside 0 to 1 on scale='risk'. Use scale='logit', or a smaller effect,"
                f" trend or ICC."
            )
        return np.clip(expected, 0.0, 1.0)


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


def _plain(value: Any) -> Any:
    """Arrays and lists as nested tuples of floats, so that a scenario can be hashed, compared and registered."""
    if value is None or isinstance(value, int | float):
        return value
    array = np.asarray(value, dtype=float)
    return float(array) if array.ndim == 0 else tuple(_plain(row) for row in array.tolist())


def _as_date(value: dt.date | str) -> dt.date:
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DesignError(f"{value!r} is not a date; expected an ISO date such as '2020-03-23'.") from None
