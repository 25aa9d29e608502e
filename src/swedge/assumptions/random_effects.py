"""Correlation of outcomes within a cluster, stated as standard deviations of random effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swedge.assumptions.correlation import Correlation, check_share, given, real
from swedge.assumptions.layout import Array, Layout, Part, autocorrelation, outer
from swedge.errors import DesignError


@dataclass(frozen=True)
class RandomEffects:
    """Standard deviations of the random effects themselves, on the scale of the linear predictor (a log odds under a logit link).

    Parameters
    ----------
    cluster, cluster_period : float
        Standard deviations of the cluster and the cluster-by-period effect.
    treatment : float
        Standard deviation of the treatment effect between clusters. A fractional treatment scales it.
    treatment_corr : float
        Correlation of a cluster's treatment effect with its own level, in [-1, 1].
    individual : float
        Standard deviation of an individual's own effect in a closed cohort.
    residual : float, optional
        Residual standard deviation of a Gaussian outcome. Left out, the variance of the outcome in its cell is the residual variance, as
        for binary and count outcomes.
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
    treatment: float = 0.0
    treatment_corr: float = 0.0
    individual: float = 0.0

    def __post_init__(self) -> None:
        check_share("autocorrelation", self.autocorrelation, closed=True)
        for name in ("cluster", "cluster_period", "treatment", "individual"):
            _check_sd(name, getattr(self, name))
        if self.residual is not None:
            _check_sd("residual", self.residual)
        if not -1 <= real(self.treatment_corr) <= 1:
            raise DesignError(f"treatment_corr is {self.treatment_corr}; expected a correlation in [-1, 1].")

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects with a standard deviation above zero."""
        return tuple(name for name in ("cluster", "cluster_period", "treatment", "individual") if getattr(self, name) > 0)

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster under control; `residual` plays no part."""
        return np.asarray(self.cluster**2 + self.cluster_period**2 * autocorrelation(midpoints, self.autocorrelation)[0])

    def parts(self, layout: Layout) -> list[Part]:
        """A part for each random effect that is there, and the residual."""
        periods = len(layout.midpoints)
        none, x = np.zeros((periods, periods)), layout.treatment
        ones = outer(layout.slope * np.ones(periods))
        decay = autocorrelation(layout.midpoints, self.autocorrelation)[0]
        candidates = {
            "cluster": Part(self.cluster**2, ones, none),
            "cluster_period": Part(self.cluster_period**2, ones * decay, none),
            "treatment": Part(self.treatment**2, ones * outer(x), none),
            "individual": Part(self.individual**2, none, ones),
        }
        parts = [candidates[name] for name in self.components]
        if self.treatment and self.cluster and self.treatment_corr:
            shared = ones * (x[..., :, None] + x[..., None, :])
            parts.append(Part(self.treatment_corr * self.treatment * self.cluster, shared, none))
        return [*parts, self._residual(layout)]

    def _residual(self, layout: Layout) -> Part:
        if self.residual is None:
            return layout.scaled(1.0, None, np.eye(len(layout.midpoints)))
        return Part(self.residual**2, np.zeros((len(layout.midpoints),) * 2), np.eye(len(layout.midpoints)))


def check_gaussian(correlation: Correlation, sd: float | None) -> None:
    """Refuse a Gaussian outcome whose standard deviation is not stated.

    Raises
    ------
    DesignError
        Saying which of ``sd=`` and ``residual=`` is to be given.
    """
    if isinstance(correlation, RandomEffects):
        if correlation.residual is None:
            raise DesignError("RandomEffects of a Gaussian outcome need residual= above 0; sd= is the total, and plays no part.")
    elif not 0 < real(sd) < np.inf:
        raise DesignError("A Gaussian outcome needs sd=, its total standard deviation in one period (or RandomEffects with residual=).")


def residual_variance(correlation: Correlation, sd: float | None) -> float:
    """Residual variance of a Gaussian outcome: ``sd^2 (1 - icc)(1 - iac)``, or the named residual of `RandomEffects`.

    Raises
    ------
    DesignError
        If `sd`, the icc or the residual is not given, or `sd` is no standard deviation.

    Examples
    --------
    >>> from swedge.assumptions import Exchangeable
    >>> residual_variance(Exchangeable(0.25), sd=2.0)
    3.0
    """
    if isinstance(correlation, RandomEffects):
        return given("residual", correlation.residual) ** 2
    _check_sd("sd", given("sd", sd))
    shares = given("icc", getattr(correlation, "icc", None)), getattr(correlation, "iac", 0.0)
    return given("sd", sd) ** 2 * (1 - shares[0]) * (1 - shares[1])


def _check_sd(name: str, value: float | None) -> None:
    if not 0 <= real(value) < np.inf:
        raise DesignError(f"{name} is {value!r}; expected a standard deviation, finite and not negative. Give a number.")
