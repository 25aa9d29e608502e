"""What an estimate weighs: the sum of effects at each exposure, or in each period, that its expectation is.

References
----------
Kenny A, Voldal EC, Xia F, Heagerty PJ, Hughes JP (2022). Analysis of stepped wedge cluster randomized trials in the presence of a
time-varying treatment effect. Statistics in Medicine 41, 4311-4339.
Matthews JNS, Forbes AB (2017). Stepped wedge designs: insights from a design of experiments perspective. Statistics in Medicine 36,
3772-3790.
Maleyeff L, Li F, Haneuse S, Wang R (2023). Assessing exposure-time treatment effect heterogeneity in stepped-wedge cluster randomized
trials. Biometrics 79, 2551-2564.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from swedge.errors import FitError, listing, nearest
from swedge.estimate import Estimator
from swedge.estimators.linearised import linearise
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

TIMES = ("exposure", "period")
# Weights smaller than this are rounding.
NOTHING = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class ExposureWeights:
    """Weights with which effects at different times enter an estimate: its expectation is their weighted sum.

    Attributes
    ----------
    by : str
        "exposure" (periods since crossover, from 1) or "period".
    times : tuple
        Exposures, or labels of periods, with treated cells.
    weights : ndarray (S,)
        For effects on the estimator's scale. They add up to 1 where the model's effect is constant.
    cells, clusters : ndarray (S,) of int
        Treated cells, and clusters that they belong to, at each time.
    estimator : str
        What the weights belong to.
    """

    by: str
    times: tuple[Any, ...]
    weights: Array
    cells: NDArray[np.int64]
    clusters: NDArray[np.int64]
    estimator: str

    def __repr__(self) -> str:
        """One line: how many times, and how many of negative weight."""
        return f"<ExposureWeights: {len(self.times)} by {self.by}, {len(self.negative)} negative, of {self.estimator}>"

    @property
    def negative(self) -> tuple[Any, ...]:
        """Times whose effect is subtracted."""
        return tuple(time for time, weight in zip(self.times, self.weights, strict=True) if weight < -NOTHING)

    def expected(self, effects: ArrayLike) -> float:
        """What the estimate is expected to be under one effect for each time, ``(S,)``.

        Raises
        ------
        FitError
            If there is not one finite number for each time.
        """
        values = np.asarray(effects, dtype=float)
        if values.shape != self.weights.shape or not np.isfinite(values).all():
            raise FitError(f"effects has shape {values.shape}; expected one finite number for each {self.by}: {listing(self.times, 12)}.")
        return float(self.weights @ values)

    def tidy(self) -> pd.DataFrame:
        """One row a time: exposure (or period), weight, cells, clusters, estimator."""
        columns = {self.by: list(self.times), "weight": self.weights, "cells": self.cells, "clusters": self.clusters}
        return pd.DataFrame({**columns, "estimator": self.estimator})

    def summary(self) -> str:
        """The weights, and which are negative."""
        from swedge._present.tables import text_table

        head = f"{self.estimator}: weight of the effect at each {self.by} (sum {self.weights.sum():.3g})"
        return "\n".join([head, text_table(self.tidy().drop(columns="estimator")), self._verdict()])

    def _verdict(self) -> str:
        if not self.negative:
            return f"No {self.by} has a negative weight."
        shown = [f"{self.by} {t} ({w:.3f})" for t, w in zip(self.times, self.weights, strict=True) if w < -NOTHING]
        advice = {
            "exposure": " For an average over exposures, use effect=ByExposure() with estimand=TATE().",
            "period": " Effects that differ between periods are better estimated one by one.",
        }[self.by]
        return (
            f"Negative weights: {listing(shown, 12)}. A larger effect there makes the estimate smaller, so where effects differ by"
            f" {self.by} the estimate can lie outside their range.{advice}"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """A bar for each time, negative ones in another colour."""
        from swedge._present.bars import draw_bars

        xlabel = {"exposure": "Exposure (periods since crossover)", "period": "Period"}[self.by]
        return draw_bars([str(t) for t in self.times], self.weights, xlabel, "Weight in the estimate", ax=ax)


def exposure_weights(trial: Trial, estimator: Estimator, by: str = "exposure") -> ExposureWeights:
    """Weights of the effects at each exposure in an estimate of one effect.

    Exact for linear estimators and Gaussian `FixedEffects`. A Gaussian `MixedModel` is taken at its estimated variances; `FixedEffects` of
    a binary or count outcome at the working weights, where the sum is that of small effects on the link's scale.

    Parameters
    ----------
    trial : Trial
        One trial.
    estimator : Estimator
        Of one effect. The weights answer what it estimates when the effect is not what its `effect` curve says.
    by : {"exposure", "period"}

    Raises
    ------
    DataError
        If this is no single trial.
    FitError
        If the fit fails, gives several effects, or the estimator gives no cell weights.

    References
    ----------
    Kenny A, Voldal EC, Xia F, Heagerty PJ, Hughes JP (2022). Analysis of stepped wedge cluster randomized trials in the presence of a
    time-varying treatment effect. Statistics in Medicine 41, 4311-4339.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> exposure_weights(trial, sw.WithinPeriod()).weights.round(6) + 0.0
    array([0.5 , 0.3 , 0.15, 0.05, 0.  ])
    """
    fit = linearise(trial, estimator)
    if len(fit.terms) > 1:
        raise FitError(f"{estimator!r} gives {len(fit.terms)} effects; weights are those of one. Name an estimand=.")
    return gathered(fit.weights[0] * trial.arm, trial.n * trial.arm > 0, trial.exposure, trial.periods, by, type(estimator).__name__)


def gathered(
    contributions: Array, treated: NDArray[np.bool_], exposure: NDArray[np.int64], periods: Sequence[Any], by: str, estimator: str
) -> ExposureWeights:
    """Weights from what each treated cell contributes, ``(I, T)``."""
    if by not in TIMES:
        raise FitError(f"by={by!r}; expected 'exposure' or 'period'.{nearest(by, TIMES)}")
    at = exposure if by == "exposure" else np.broadcast_to(np.arange(treated.shape[1]), treated.shape)
    found = np.unique(at[treated])
    here = [treated & (at == time) for time in found]
    return ExposureWeights(
        by,
        tuple(int(t) if by == "exposure" else periods[t] for t in found),
        _rounded(np.array([contributions[cells].sum() for cells in here])),
        np.array([cells.sum() for cells in here]),
        np.array([cells.any(1).sum() for cells in here]),
        estimator,
    )


def _rounded(weights: Array) -> Array:
    """Zero in place of what rounding leaves of it."""
    return np.where(np.abs(weights) < NOTHING, 0.0, weights)
