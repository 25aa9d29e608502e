"""Correlation of outcomes within a cluster, stated as standard deviations of random effects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from swedge.assumptions.correlation import Correlation, check_share, given, real
from swedge.assumptions.layout import Array, Layout, Part, autocorrelation, outer
from swedge.assumptions.structure import Structure, refuse_values
from swedge.errors import DesignError

EFFECTS = ("cluster", "treatment", "exposure", "cluster_period", "individual")


@dataclass(frozen=True)
class RandomEffects:
    """Standard deviations of the random effects themselves, on the scale of the linear predictor (a log odds under a logit link).

    0 (the default) means that there is no such effect, None that a model is to estimate it.

    Parameters
    ----------
    cluster, cluster_period : float or None
        Standard deviations of the cluster and the cluster-by-period effect.
    treatment : float or None
        Standard deviation of the treatment effect between clusters. A fractional treatment scales it.
    treatment_corr : float or None
        Correlation of a cluster's treatment effect with its own level, in [-1, 1].
    individual : float or None
        Standard deviation of an individual's own effect in a closed cohort.
    residual : float, optional
        Residual standard deviation of a Gaussian outcome. Left out, the variance of the outcome in its cell is the residual variance, as
        for binary and count outcomes.
    autocorrelation : float or None
        Correlation of the cluster-by-period effects one mean period apart, in [0, 1]; 0 makes them independent.
    exposure : float or None
        Standard deviation of the effect between exposure times, shared by all clusters (Maleyeff et al. 2023): the effect after s periods
        is the treatment effect plus one draw for each s. It can only be estimated, not assumed for power.

    References
    ----------
    Maleyeff L, Li F, Haneuse S, Wang R (2023). Assessing exposure-time treatment effect heterogeneity in stepped-wedge cluster randomized
    trials. Biometrics 79, 2551-2564.

    Examples
    --------
    >>> RandomEffects(cluster=1.0, cluster_period=0.5).between(np.arange(2.0), residual=1.0)
    array([[1.25, 1.  ],
           [1.  , 1.25]])
    """

    cluster: float | None = 0.0
    cluster_period: float | None = 0.0
    residual: float | None = None
    autocorrelation: float | None = 0.0
    treatment: float | None = 0.0
    treatment_corr: float | None = 0.0
    individual: float | None = 0.0
    exposure: float | None = 0.0

    def __post_init__(self) -> None:
        check_share("autocorrelation", self.autocorrelation, closed=True)
        for name in (*EFFECTS, "residual"):
            if getattr(self, name) is not None:
                _check_sd(name, getattr(self, name))
        if self.treatment_corr is not None and not -1 <= real(self.treatment_corr) <= 1:
            raise DesignError(f"treatment_corr is {self.treatment_corr}; expected a correlation in [-1, 1].")

    @property
    def components(self) -> tuple[str, ...]:
        """The random effects that are there: with a standard deviation above zero, or to be estimated."""
        return tuple(name for name in EFFECTS if getattr(self, name) != 0)

    def structure(self) -> Structure:
        """The effects that are None, the correlation and the decay that go with them."""
        values = {name: getattr(self, name) or None for name in (*EFFECTS, "autocorrelation", "treatment_corr")}
        refuse_values(self, {**values, "residual": self.residual})
        present, corr = self.components, self.treatment_corr is None
        if not present or (corr and not {"cluster", "treatment"} <= set(present)):
            raise DesignError(
                f"{self!r} names no effect to estimate, or a correlation of effects that are not there. Give None to each random effect to"
                " be estimated, such as RandomEffects(cluster=None, treatment=None, treatment_corr=None)."
            )
        if self.autocorrelation is None and "cluster_period" not in present:
            raise DesignError("autocorrelation=None is the decay of cluster-by-period effects. Give cluster_period=None beside it.")
        return Structure(present, corr, "cluster_period" if self.autocorrelation is None else "none")

    def between(self, midpoints: Array, residual: float) -> Array:
        """Covariance ``(T, T)`` of the true cell means of one cluster under control; `residual` plays no part."""
        decay = autocorrelation(midpoints, given("autocorrelation", self.autocorrelation))[0]
        return np.asarray(self._variance("cluster") + self._variance("cluster_period") * decay)

    def parts(self, layout: Layout) -> list[Part]:
        """A part for each random effect that is there, and the residual."""
        if self.exposure != 0:
            raise DesignError(
                f"{self!r} lets clusters share exposure effects, and power takes clusters as independent. Leave out exposure=."
            )
        periods = len(layout.midpoints)
        none, x = np.zeros((periods, periods)), layout.treatment
        ones = outer(layout.slope * np.ones(periods))
        decay = autocorrelation(layout.midpoints, given("autocorrelation", self.autocorrelation))[0]
        shapes = {"cluster": ones, "cluster_period": ones * decay, "treatment": ones * outer(x)}
        parts = [Part(self._variance(name), shapes.get(name, none), ones if name == "individual" else none) for name in self.components]
        covariance = given("treatment_corr", self.treatment_corr) * np.sqrt(self._variance("treatment") * self._variance("cluster"))
        if covariance:
            parts.append(Part(float(covariance), ones * (x[..., :, None] + x[..., None, :]), none))
        return [*parts, self._residual(layout)]

    def _variance(self, name: str) -> float:
        return given(name, getattr(self, name)) ** 2

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
    shares = given("icc", getattr(correlation, "icc", None)), given("iac", getattr(correlation, "iac", 0.0))
    return given("sd", sd) ** 2 * (1 - shares[0]) * (1 - shares[1])


def _check_sd(name: str, value: float | None) -> None:
    if not 0 <= real(value) < np.inf:
        raise DesignError(f"{name} is {value!r}; expected a standard deviation, finite and not negative. Give a number.")
