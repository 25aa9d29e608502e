"""Correlation of outcomes within a cluster, stated as correlations.

Definitions, stated once. `sd` is the total standard deviation of an individual's outcome in one period. With ``tau2`` the variance of the
cluster effect, ``gamma2`` of the cluster-by-period effect, ``pi2`` of the individual's own effect (closed cohorts) and ``sigma2`` the
residual variance: ``ICC = (tau2 + gamma2) / total``, within one period; ``CAC = tau2 / (tau2 + gamma2)``; ``IAC = pi2 / (pi2 + sigma2)``.
The residual variance is ``sd^2 (1 - icc)(1 - iac)``. On the logit scale the residual variance is ``pi^2 / 3``. Decay is counted in mean
period lengths, so that unequal periods decay by the calendar.

References
----------
Hooper R, Teerenstra S, de Hoop E, Eldridge S (2016). Sample size calculation for stepped wedge and other longitudinal cluster randomised
trials. Statistics in Medicine 35, 4718-4728.
Kasza J, Hemming K, Hooper R, Matthews JNS, Forbes AB (2019). Impact of non-uniform correlation structure on sample size and power in
multiple-period cluster randomised trials. Statistical Methods in Medical Research 28, 703-716.
Li F (2020). Design and analysis considerations for cohort stepped wedge cluster randomized trials with a decay correlation structure.
Statistics in Medicine 39, 438-455.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Protocol, runtime_checkable

import numpy as np

from swedge.assumptions.layout import Array, Layout, Part, autocorrelation
from swedge.assumptions.structure import Structure, refuse_values
from swedge.errors import DesignError


@runtime_checkable
class Correlation(Protocol):
    """What every correlation structure offers."""

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the random effects that make the structure, when it is a sum of random intercepts."""

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of a cluster's true period means, given period mid-points and the residual variance."""

    def parts(self, layout: Layout) -> list[Part]:
        """The covariance of cells and individuals as a sum of parts, one a parameter."""

    def structure(self) -> Structure:
        """What a model has to estimate; refused where values are given."""


class _Correlated:
    """What structures stated as correlations share."""

    icc: float | None

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster, given the residual variance."""
        share, own = given("icc", self.icc), given("iac", getattr(self, "iac", 0.0))
        return np.asarray(residual * share / ((1 - share) * (1 - own)) * self._shape(midpoints))

    def _shape(self, midpoints: Array) -> Array:
        """Correlation ``(T, T)`` of the true cell means."""
        raise DesignError(f"{self!r} states no correlation of cell means.")

    def _to_estimate(self, effects: tuple[str, ...], decay: str = "none") -> Structure:
        """The structure of these effects, with individual ones where `iac` is left open."""
        own = getattr(self, "iac", 0.0)
        refuse_values(self, {"icc": self.icc, "cac": getattr(self, "cac", None), "iac": own or None})
        return Structure((*effects, "individual") if own is None else effects, decay=decay)


@dataclass(frozen=True)
class Exchangeable(_Correlated):
    """One random intercept a cluster: two outcomes of a cluster correlate `icc`, whatever their periods.

    Parameters
    ----------
    icc : float, optional
        Intracluster correlation, in [0, 1). Left out, the structure is one to estimate.
    iac : float or None
        Individual autocorrelation of a closed cohort, in [0, 1); 0 for cross-sections, None to have it estimated. For an open cohort in
        which a share c of individuals is replaced between any two periods, give ``iac (1 - c)``.

    Examples
    --------
    >>> Exchangeable(0.2).between(np.arange(2.0), residual=4.0)
    array([[1., 1.],
           [1., 1.]])
    """

    icc: float | None = None
    iac: float | None = 0.0

    def __post_init__(self) -> None:
        check_share("icc", self.icc, closed=False)
        check_share("iac", self.iac, closed=False)

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects to estimate."""
        return ("cluster",)

    def structure(self) -> Structure:
        """One variance a cluster, and the individuals' where `iac` is None."""
        return self._to_estimate(("cluster",))

    def _shape(self, midpoints: Array) -> Array:
        return np.ones((len(midpoints),) * 2)

    def parts(self, layout: Layout) -> list[Part]:
        """Cluster, individual (closed cohorts) and residual."""
        icc = given("icc", self.icc)
        return [layout.scaled(icc, self._shape(layout.midpoints)), *_individuals(layout, icc, self.iac)]


@dataclass(frozen=True)
class NestedExchangeable(_Correlated):
    """A random intercept a cluster and one a cluster-period; with `iac`, the block-exchangeable structure of a closed cohort.

    Parameters
    ----------
    icc : float, optional
        Correlation of two outcomes of the same cluster and period, in [0, 1).
    cac : float, optional
        Cluster autocorrelation, in [0, 1]: correlation across periods over correlation within one.
    iac : float or None
        Individual autocorrelation of a closed cohort, in [0, 1); 0 for cross-sections, None to have it estimated. For an open cohort in
        which a share c of individuals is replaced between any two periods, give ``iac (1 - c)``.

    Examples
    --------
    >>> NestedExchangeable(icc=0.2, cac=0.5).between(np.arange(2.0), residual=4.0)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """

    icc: float | None = None
    cac: float | None = None
    iac: float | None = 0.0

    def __post_init__(self) -> None:
        check_share("icc", self.icc, closed=False)
        check_share("cac", self.cac, closed=True)
        check_share("iac", self.iac, closed=False)

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects to estimate."""
        return ("cluster", "cluster_period")

    def structure(self) -> Structure:
        """Variances of clusters and cluster-periods, and the individuals' where `iac` is None."""
        return self._to_estimate(("cluster", "cluster_period"))

    def _shape(self, midpoints: Array) -> Array:
        cac = given("cac", self.cac)
        return np.asarray(cac + (1 - cac) * np.eye(len(midpoints)))

    def parts(self, layout: Layout) -> list[Part]:
        """Cluster, cluster-period, individual (closed cohorts) and residual."""
        icc, cac = given("icc", self.icc), given("cac", self.cac)
        periods = len(layout.midpoints)
        own = [layout.scaled(icc * cac, np.ones((periods, periods))), layout.scaled(icc * (1 - cac), np.eye(periods))]
        return [*own, *_individuals(layout, icc, self.iac)]

    @classmethod
    def from_alphas(cls, alpha0: float, alpha1: float, alpha2: float = 0.0) -> NestedExchangeable:
        """The structure with within-period, between-period and within-individual correlations.

        ``alpha2`` is the correlation of one individual's outcomes in two periods; leave it out for cross-sections.

        Examples
        --------
        >>> NestedExchangeable.from_alphas(0.05, 0.04)
        NestedExchangeable(icc=0.05, cac=0.8, iac=0.0)
        """
        if not 0 < alpha0 < 1:
            raise DesignError(f"alpha0 is {alpha0}; expected a correlation above 0 and below 1.")
        if alpha2 and alpha2 < alpha1:
            raise DesignError(
                f"alpha2 is {alpha2}, below alpha1 ({alpha1}): nobody resembles others more than themselves. Correct one of them."
            )
        return cls(alpha0, alpha1 / alpha0, (alpha2 - alpha1) / (1 - alpha0) if alpha2 else 0.0)


@dataclass(frozen=True)
class ExponentialDecay(_Correlated):
    """Correlation that decays by `cac` for every mean distance of neighbouring periods' mid-points.

    Parameters
    ----------
    icc : float, optional
        Of two individuals of one cluster and period: share of the total variance, in [0, 1). Left out: to be estimated.
    cac : float, optional
        Correlation of a cluster's effects one mean distance apart, in [0, 1].
    iac : float, optional
        Of a closed cohort: share of an individual's variance that lasts, in [0, 1).

    Examples
    --------
    >>> ExponentialDecay(icc=0.2, cac=0.5).between(np.arange(3.0), residual=4.0)[0]
    array([1.  , 0.5 , 0.25])
    """

    icc: float | None = None
    cac: float | None = None
    iac: float | None = 0.0

    def __post_init__(self) -> None:
        check_share("icc", self.icc, closed=False)
        check_share("cac", self.cac, closed=True)
        check_share("iac", self.iac, closed=False)

    @property
    def components(self) -> tuple[str, ...]:
        """Decay is no sum of random intercepts."""
        return ()

    def structure(self) -> Structure:
        """The variance of cluster-periods, their decay, and the individuals' variance where `iac` is None."""
        return self._to_estimate(("cluster_period",), "cluster_period")

    def _shape(self, midpoints: Array) -> Array:
        return autocorrelation(midpoints, given("cac", self.cac))[0]

    def parts(self, layout: Layout) -> list[Part]:
        """Decaying cluster-period effects, the direction of their decay, individual (closed cohorts) and residual."""
        icc = given("icc", self.icc)
        shape, slope = autocorrelation(layout.midpoints, given("cac", self.cac))
        return [layout.scaled(icc, shape), layout.scaled(0.0, icc * slope), *_individuals(layout, icc, self.iac)]


@dataclass(frozen=True)
class ProportionalDecay(_Correlated):
    """A closed cohort in which cluster and individual correlations both decay by `cac` a mean distance of neighbouring mid-points.

    Two outcomes of one individual correlate ``cac^lag``, of two individuals ``icc cac^lag``.

    Parameters
    ----------
    icc : float, optional
        Of two individuals of one cluster and period: share of the total variance, in [0, 1). Left out: to be estimated.
    cac : float, optional
        In [0, 1).

    References
    ----------
    Li F (2020). Design and analysis considerations for cohort stepped wedge cluster randomized trials with a decay correlation structure.
    Statistics in Medicine 39, 438-455.

    Examples
    --------
    >>> ProportionalDecay(icc=0.05, cac=0.8)
    ProportionalDecay(icc=0.05, cac=0.8)
    """

    icc: float | None = None
    cac: float | None = None

    def __post_init__(self) -> None:
        check_share("icc", self.icc, closed=False)
        check_share("cac", self.cac, closed=False)

    @property
    def components(self) -> tuple[str, ...]:
        """Decay is no sum of random intercepts."""
        return ()

    def structure(self) -> Structure:
        """The variance of cluster-periods, and the decay that they share with individuals."""
        return self._to_estimate(("cluster_period",), "all")

    def _shape(self, midpoints: Array) -> Array:
        return autocorrelation(midpoints, given("cac", self.cac))[0]

    def parts(self, layout: Layout) -> list[Part]:
        """Decaying cluster-period effects, decaying individual effects, and the direction of their common decay."""
        icc = given("icc", self.icc)
        shape, slope = autocorrelation(layout.midpoints, given("cac", self.cac))
        own = [layout.scaled(icc, shape), layout.scaled(1 - icc, None, shape)]
        return [*own, layout.scaled(0.0, icc * slope, (1 - icc) * slope)]


def _individuals(layout: Layout, icc: float, iac: float | None) -> list[Part]:
    """The individual's own effect, if its outcomes correlate, and the residual."""
    periods, own = len(layout.midpoints), given("iac", iac)
    residual = layout.scaled((1 - icc) * (1 - own), None, np.eye(periods))
    return [layout.scaled((1 - icc) * own, None, np.ones((periods, periods))), residual] if own else [residual]


def given(name: str, value: float | None) -> float:
    """The value of a parameter that a truth must state."""
    if value is None:
        raise DesignError(f"{name} has no value, so this structure is one to estimate. Give {name}= where a truth is assumed.")
    return value


def real(value: object) -> float:
    """A number as a float; nan for text, booleans and all else that no comparison should see."""
    return np.nan if isinstance(value, bool) or not isinstance(value, Real) else float(value)


def check_share(name: str, value: float | None, closed: bool) -> None:
    """Refuse what is no correlation; `closed` admits 1."""
    share = real(value)
    if value is not None and not (0 <= share < 1 or (closed and share == 1)):
        raise DesignError(f"{name} is {value!r}; expected a number in [0, 1{']' if closed else ')'}. Give a correlation, not a percentage.")
