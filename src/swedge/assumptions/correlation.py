"""Correlation of outcomes within a cluster.

Definitions, stated once. `sd` is the total standard deviation of an individual's outcome in one period. With ``tau2`` the variance of the
cluster effect, ``gamma2`` of the cluster-by-period effect and ``sigma2`` the residual variance:
``ICC = (tau2 + gamma2) / (tau2 + gamma2 + sigma2)``, within one period; ``CAC = tau2 / (tau2 + gamma2)``. On the logit scale the residual
variance is ``pi^2 / 3``. Decay is counted in mean period lengths, so that unequal periods decay by the calendar.

References
----------
Hooper R, Teerenstra S, de Hoop E, Eldridge S (2016). Sample size calculation for stepped wedge and other longitudinal cluster randomised
trials. Statistics in Medicine 35, 4718-4728.
Kasza J, Hemming K, Hooper R, Matthews JNS, Forbes AB (2019). Impact of non-uniform correlation structure on sample size and power in
multiple-period cluster randomised trials. Statistical Methods in Medical Research 28, 703-716.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DesignError

Array = NDArray[np.float64]


@runtime_checkable
class Correlation(Protocol):
    """What every correlation structure offers."""

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the random effects that make the structure, when it is a sum of such."""

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of a cluster's period means, given period mid-points and the residual variance."""


@dataclass(frozen=True)
class Exchangeable:
    """One random intercept a cluster: two outcomes of a cluster correlate `icc`, whatever their periods.

    Parameters
    ----------
    icc : float, optional
        Intracluster correlation, in [0, 1). Left out, the structure is one to estimate.

    Examples
    --------
    >>> Exchangeable(0.2).between(np.arange(2.0), residual=4.0)
    array([[1., 1.],
           [1., 1.]])
    """

    icc: float | None = None

    def __post_init__(self) -> None:
        _check_share("icc", self.icc, closed=False)

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects to estimate."""
        return ("cluster",)

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster."""
        return np.full((len(midpoints),) * 2, _between_variance(self.icc, residual))


@dataclass(frozen=True)
class NestedExchangeable:
    """A random intercept a cluster and one a cluster-period.

    Parameters
    ----------
    icc : float, optional
        Correlation of two outcomes of the same cluster and period, in [0, 1).
    cac : float, optional
        Cluster autocorrelation, in [0, 1]: correlation across periods over correlation within one.

    Examples
    --------
    >>> NestedExchangeable(icc=0.2, cac=0.5).between(np.arange(2.0), residual=4.0)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """

    icc: float | None = None
    cac: float | None = None

    def __post_init__(self) -> None:
        _check_share("icc", self.icc, closed=False)
        _check_share("cac", self.cac, closed=True)

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects to estimate."""
        return ("cluster", "cluster_period")

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster."""
        cac = _given("cac", self.cac)
        same = np.eye(len(midpoints))
        return _between_variance(self.icc, residual) * (cac + (1 - cac) * same)


@dataclass(frozen=True)
class ExponentialDecay:
    """Correlation that decays by `cac` for every mean period length between two period mid-points.

    Examples
    --------
    >>> ExponentialDecay(icc=0.2, cac=0.5).between(np.arange(3.0), residual=4.0)[0]
    array([1.  , 0.5 , 0.25])
    """

    icc: float | None = None
    cac: float | None = None

    def __post_init__(self) -> None:
        _check_share("icc", self.icc, closed=False)
        _check_share("cac", self.cac, closed=True)

    @property
    def components(self) -> tuple[str, ...]:
        """Decay is no sum of random intercepts."""
        return ()

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster."""
        return _between_variance(self.icc, residual) * _decay(midpoints, _given("cac", self.cac))


@dataclass(frozen=True)
class RandomEffects:
    """Standard deviations of the random effects themselves, on the scale of the linear predictor.

    Parameters
    ----------
    cluster, cluster_period : float
        Standard deviations of the cluster and the cluster-by-period effect.
    residual : float, optional
        Residual standard deviation of a Gaussian outcome. Binary and count outcomes have none.
    autocorrelation : float
        Correlation of the cluster-by-period effects one mean period apart, in [0, 1]; 0 makes them independent.

    Examples
    --------
    >>> RandomEffects(cluster=1.0, cluster_period=0.5).between(np.arange(2.0), residual=1.0)
    array([[1.25, 1.  ],
           [1.  , 1.25]])
    """

    cluster: float = 0.0
    cluster_period: float = 0.0
    residual: float | None = None
    autocorrelation: float = 0.0

    def __post_init__(self) -> None:
        _check_share("autocorrelation", self.autocorrelation, closed=True)
        for name in ("cluster", "cluster_period", "residual"):
            _check_sd(name, getattr(self, name))

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects with a standard deviation above zero."""
        return tuple(name for name in ("cluster", "cluster_period") if getattr(self, name) > 0)

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster; `residual` plays no part."""
        return np.asarray(self.cluster**2 + self.cluster_period**2 * _decay(midpoints, self.autocorrelation))


def residual_variance(correlation: Correlation, sd: float | None) -> float:
    """Residual variance of a Gaussian outcome: ``sd^2 (1 - icc)``, or the named residual of `RandomEffects`.

    >>> residual_variance(Exchangeable(0.25), sd=2.0)
    3.0
    """
    if isinstance(correlation, RandomEffects):
        return _given("residual", correlation.residual) ** 2
    return _given("sd", sd) ** 2 * (1 - _given("icc", getattr(correlation, "icc", None)))


def _between_variance(icc: float | None, residual: float) -> float:
    share = _given("icc", icc)
    return residual * share / (1 - share)


def _decay(midpoints: Array, per_period: float) -> Array:
    """``per_period`` to the power of the distance between mid-points in mean period lengths, ``(T, T)``."""
    gap = float(np.mean(np.diff(midpoints))) if len(midpoints) > 1 else 1.0
    return np.asarray(per_period ** (np.abs(np.subtract.outer(midpoints, midpoints)) / gap))


def _given(name: str, value: float | None) -> float:
    if value is None:
        raise DesignError(f"{name} has no value, so this structure is one to estimate. Give {name}= where a truth is assumed.")
    return value


def _check_share(name: str, value: float | None, closed: bool) -> None:
    if value is not None and not (0 <= value < 1 or (closed and value == 1)):
        raise DesignError(f"{name} is {value}; expected a number in [0, 1{']' if closed else ')'}. Give a correlation, not a percentage.")


def _check_sd(name: str, value: float | None) -> None:
    if value is not None and not (0 <= value < np.inf):
        raise DesignError(f"{name} is {value}; expected a standard deviation, finite and not negative.")
