"""What an analytic power calculation assumes, as one frozen object, and the arrays that follow from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from swedge._kernels.families import FAMILIES
from swedge.assumptions import Constant, Correlation, EffectCurve, Estimand, Layout, check_gaussian, family_named
from swedge.design import Design
from swedge.errors import DesignError, nearest

Array = NDArray[np.float64]

VARIANCES = ("cell", "control", "pooled", "average")
DFS = ("satterthwaite", "normal", "clusters", "between-within", "containment")

# mean(eta), eta(mean), dmean/deta(mean)
LINKS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (lambda eta: eta, lambda mean: mean, np.ones_like),
    "logit": (special.expit, special.logit, lambda mean: mean * (1 - mean)),
    "log": (np.exp, np.log, lambda mean: mean),
}


@dataclass(frozen=True)
class Assumed:
    """The assumptions of an analytic calculation; `analytic_power` explains each.

    Raises
    ------
    DesignError
        If they contradict each other.
    """

    effect: float
    size: Any
    correlation: Correlation
    sd: float | None = None
    baseline: Any = None
    family: str = "gaussian"
    variance: str = "cell"
    link: str = "identity"
    alpha: float = 0.05
    df: str | float = "satterthwaite"
    trend: Any = 0.0
    curve: EffectCurve = field(default_factory=Constant)
    estimand: Estimand | None = None
    period_effects: bool = True

    def __post_init__(self) -> None:
        family_named(self.family)
        if self.family == "fractional":
            raise DesignError("A share has no variance that its mean gives. Take family='gaussian' with sd=, the shares' own, or simulate.")
        for name, allowed in (("variance", VARIANCES), ("link", tuple(LINKS))):
            value = getattr(self, name)
            if value not in allowed:
                raise DesignError(f"{name}={value!r}; expected one of {', '.join(allowed)}.{nearest(value, allowed)}")
        if isinstance(self.df, str) and self.df not in DFS:
            raise DesignError(f"df={self.df!r}; expected a number or one of {', '.join(DFS)}.{nearest(self.df, DFS)}")
        if isinstance(self.correlation, type) or not isinstance(self.correlation, Correlation):
            raise DesignError(f"correlation={self.correlation!r}; expected a structure with values, such as Exchangeable(icc=0.05).")
        self._check_numbers()
        self._check_scale()

    def _check_numbers(self) -> None:
        df = 1.0 if isinstance(self.df, str) else self.df
        given: dict[str, Any] = {"effect": self.effect, "alpha": self.alpha, "sd": self.sd or 1.0, "df": df}
        for name, value in given.items():
            if not isinstance(value, Real):
                raise DesignError(f"{name}={value!r}; expected a number.")
        if not df > 0:
            raise DesignError(f"df={self.df}; expected a positive number of degrees of freedom.")
        if not 0 < self.alpha < 1:
            raise DesignError(f"alpha={self.alpha}; expected a number between 0 and 1, such as 0.05.")
        if not np.isfinite(self.effect):
            raise DesignError(f"effect={self.effect}; expected a finite number, treated minus control on the link's scale.")

    def _check_scale(self) -> None:
        gaussian = self.family == "gaussian"
        if gaussian:
            check_gaussian(self.correlation, self.sd)
            if getattr(self.correlation, "residual", None) == 0:
                raise DesignError("RandomEffects have residual=0: cell means would have no sampling error. Give the residual SD.")
        if not gaussian and self.baseline is None:
            raise DesignError(f"A {self.family} outcome needs baseline=, the mean under control in the first period.")
        if gaussian and self.link != "identity":
            raise DesignError(f"link={self.link!r} goes with a binary or count outcome; a Gaussian one has the identity link.")
        if self.family == "poisson" and self.link == "logit":
            raise DesignError("A Poisson outcome has link='log' or link='identity'.")

    def sizes(self, design: Design) -> Array:
        """Individuals a cell, ``(I, T)``."""
        shape = (design.n_clusters, design.n_periods)
        size = _array("size", self.size)
        size = size[:, None] if size.ndim == 1 else size
        if not np.isfinite(size).all() or (size < 0).any() or not (size > 0).any():
            raise DesignError("size must hold finite numbers, none negative and not all 0.")
        try:
            return np.broadcast_to(size, shape)
        except ValueError:
            raise DesignError(f"size has shape {np.shape(self.size)}; the design has {shape[0]} clusters and {shape[1]} periods.") from None

    def control_means(self, design: Design) -> Array:
        """Means under control, ``(I, T)`` or ``(1, T)``; zeros for a Gaussian outcome without a baseline."""
        mean, eta = LINKS[self.link][:2]
        base = _numbers("baseline", 0.0 if self.baseline is None else self.baseline, design.n_clusters, "cluster")
        self._check_means(base, "baseline")
        trend = _numbers("trend", self.trend, design.n_periods, "period")
        steps = trend * np.arange(design.n_periods) if trend.ndim == 0 else trend
        base = base[:, None] if base.ndim == 1 else base
        means = np.atleast_2d(mean(eta(base) + steps))
        self._check_means(means, "baseline with trend")
        return np.asarray(means)

    def cell_means(self, design: Design, effect: Array) -> Array:
        """Means where `effect` (on the link's scale, ``(..., I, T)``) is at work."""
        mean, eta = LINKS[self.link][:2]
        means = mean(eta(self.control_means(design)) + effect)
        self._check_means(means, "the mean under treatment")
        return np.asarray(means)

    def _check_means(self, means: Array, what: str) -> None:
        top = {"binomial": 1.0, "poisson": np.inf}.get(self.family)
        if top is not None and not ((means > 0) & (means < top)).all():
            worst = means[(means <= 0) | (means >= top)]
            raise DesignError(f"{what} reaches {np.ravel(worst)[0]:.4g}, outside 0 to {top:g}. Change baseline=, trend= or effect=.")

    def total_variance(self, design: Design, cells: Array) -> Array:
        """Variance of an outcome in one period, ``(..., I, T)``, by the convention that `variance` names."""
        if self.family == "gaussian":
            return np.full((1, design.n_periods), (self.sd or 1.0) ** 2)
        spread = FAMILIES[self.family].variance
        control = self.control_means(design)
        if self.variance == "cell":
            return np.asarray(spread(cells))
        if self.variance == "control":
            return np.asarray(spread(control))
        treated = self.cell_means(design, np.asarray(self.effect))
        return np.asarray(spread((control + treated) / 2) if self.variance == "pooled" else (spread(control) + spread(treated)) / 2)

    def layout(self, design: Design, treatment: Array, cells: Array) -> Layout:
        """Where the correlation is laid out."""
        slope = 1.0 if self.link == "identity" else LINKS[self.link][2](cells)
        return Layout(np.asarray(design.midpoints(), dtype=float), np.nan_to_num(treatment), self.total_variance(design, cells), slope)


def _numbers(name: str, value: Any, count: int, each: str) -> Array:
    """One finite number, or one for each of `count`."""
    numbers = _array(name, value)
    if numbers.shape not in ((), (count,)) or not np.isfinite(numbers).all():
        raise DesignError(f"{name} has shape {numbers.shape}; expected one finite number, or one a {each}: {count}.")
    return numbers


def _array(name: str, value: Any) -> Array:
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise DesignError(f"{name}={value!r}; expected a number or a table of numbers.") from None
