"""What an estimator is, what it returns, and the test that reads it as it stands."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from swedge.errors import DataError, FitError, Status
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

COLUMNS = ("term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "estimand", "estimator", "status")


def two_sided_p(statistic: ArrayLike, df: ArrayLike) -> Array:
    """Two-sided p of a t statistic; infinite df is the normal distribution.

    >>> float(two_sided_p(1.959963984540054, np.inf)).__round__(6)
    0.05
    """
    t, nu = np.broadcast_arrays(np.abs(np.asarray(statistic, dtype=float)), np.asarray(df, dtype=float))
    student = special.stdtr(np.where(np.isfinite(nu), nu, 1.0), -t)
    return np.asarray(2 * np.where(np.isinf(nu), special.ndtr(-t), np.where(np.isnan(nu), np.nan, student)))


def quantile(level: float, df: ArrayLike) -> Array:
    """Half-width of a two-sided interval in standard errors."""
    nu = np.asarray(df, dtype=float)
    student = special.stdtrit(np.where(np.isfinite(nu), nu, 1.0), (1 + level) / 2)
    return np.asarray(np.where(np.isinf(nu), special.ndtri((1 + level) / 2), np.where(np.isnan(nu), np.nan, student)))


@dataclass(frozen=True, eq=False)
class Estimate:
    """The result of one estimator on one trial, or on a stack.

    Arrays have the trial's leading shape, followed by K only when there are several terms. Failed fits in a stack hold nan.

    Attributes
    ----------
    terms : tuple of str
    estimate, std_error, df : ndarray (...) or (..., K)
        On the scale named by `scale`: differences (identity), log odds ratios (logit), log rate ratios (log). Infinite df means normal.
    status : ndarray (...) of Status codes
    estimand, estimator, scale : str
    methods : str
        One sentence fit for a paper.
    notes : tuple of str
        What has to be known before the numbers are used.
    details : dict
        Further arrays of the fit: its criterion, variances, dispersion.
    level : float
        Confidence level of `conf_int`.
    """

    terms: tuple[str, ...]
    estimate: Array
    std_error: Array
    df: Array
    status: NDArray[np.int8]
    estimand: str
    estimator: str
    scale: str
    methods: str
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    level: float = 0.95

    @property
    def statistic(self) -> Array:
        """The estimate over its standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.estimate / self.std_error)

    @property
    def p_value(self) -> Array:
        """Two-sided p."""
        return two_sided_p(self.statistic, self.df)

    @property
    def conf_int(self) -> Array:
        """Confidence limits ``(..., 2)`` at `level`."""
        half = quantile(self.level, self.df) * self.std_error
        return np.stack([self.estimate - half, self.estimate + half], -1)

    def at(self, level: float) -> Estimate:
        """The same fit with another confidence level."""
        if not 0 < level < 1:
            raise FitError(f"level is {level}; expected a number between 0 and 1, such as 0.9.")
        return replace(self, level=level)

    def tidy(self) -> pd.DataFrame:
        """One row a term (and, in a stack, a replicate), with the columns that every result has."""
        lead = np.shape(self.status)
        shape = (*lead, len(self.terms))
        limits = self.conf_int.reshape((*shape, 2))
        table = {name: np.broadcast_to(getattr(self, name).reshape(shape), shape).ravel() for name in ("estimate", "std_error", "statistic", "df", "p_value")}
        count = int(np.prod(lead))
        frame = pd.DataFrame({"term": list(self.terms) * count, **table, "conf_low": limits[..., 0].ravel(), "conf_high": limits[..., 1].ravel()})
        names = [Status(int(code)).name.lower() for code in np.repeat(np.ravel(self.status), len(self.terms))]
        frame = frame.assign(estimand=self.estimand, estimator=self.estimator, status=names)[list(COLUMNS)]
        return frame.assign(replicate=np.repeat(np.arange(count), len(self.terms))) if lead else frame

    def summary(self) -> str:
        """Estimates, what they rest on, and one sentence of methods."""
        from swedge._present.tables import text_table

        rows = self.tidy().drop(columns=["estimand", "estimator"])
        head = f"{self.estimator}: {self.estimand} ({SCALES[self.scale]}), {self.level:.1%} interval"
        return "\n".join([head, text_table(rows), *(f"Note: {note}" for note in self.notes), f"Methods: {self.methods}"])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Estimates with their intervals."""
        from swedge._present.forest import draw_forest

        _one(self)
        labels = list(self.terms) if len(self.terms) > 1 else [self.estimator]
        return draw_forest(labels, np.ravel(self.estimate), self.conf_int.reshape(-1, 2), SCALES[self.scale], ax=ax)


SCALES = {"identity": "difference", "logit": "log odds ratio", "log": "log rate ratio"}


def _one(estimate: Estimate) -> None:
    if np.ndim(estimate.status):
        raise DataError(f"This is a stack of {np.size(estimate.status)} fits; fit one trial to plot it.")


class Estimator(ABC):
    """Anything that turns a trial into an estimate. A new one implements `_fit`, and `scale` where it has a link."""

    def scale(self, trial: Trial) -> str:
        """The scale on which a constant effect is a shift."""
        return "identity"

    @abstractmethod
    def _fit(self, trial: Trial) -> Estimate:
        """Fit every replicate; failures are statuses."""

    def fit(self, trial: Trial) -> Estimate:
        """Fit one trial or a stack.

        Raises
        ------
        FitError
            If a single trial cannot be fitted. In a stack that is a `Status`, and its numbers are nan.
        """
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore", RuntimeWarning)
            estimate = self._fit(trial)
        if not np.ndim(estimate.status) and not Status(int(estimate.status)).usable:
            status = Status(int(estimate.status))
            raise FitError(f"{self!r} failed: {status.name.lower().replace('_', ' ')}. {status.advice}")
        return estimate

    def point(self, trial: Trial) -> Array:
        """Point estimates alone, nan where the fit failed."""
        return self.fit(trial).estimate

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with a constant effect taken out, on this estimator's scale."""
        return trial.without(effect, self.scale(trial))


class LinearEstimator(Estimator):
    """An estimator that is a weighted sum of cell means."""

    @abstractmethod
    def weights(self, trial: Trial) -> Array:
        """Weights ``(..., I, T)``: the estimate is their sum over cell means."""

    def point(self, trial: Trial) -> Array:
        """Point estimates ``(...)`` by the weights alone."""
        shown = np.where(trial.n > 0, trial.outcome, 0.0)
        return np.asarray((self.weights(trial) * shown).sum((-2, -1)))

    def reference(self, trial: Trial, sequences: NDArray[np.int64], outcome: Array | None = None) -> Array:
        """Estimates under allocations ``sequences (A, I)``, ``(A, ...)``: one matrix product where cell counts are shared.

        `outcome` stands in for the cell means, ``(..., I, T)``.
        """
        shown = np.where(trial.cells.n > 0, trial.outcome, 0.0) if outcome is None else outcome
        if trial.cells.n.ndim > 2:
            lead = (len(sequences), *(1,) * len(trial.shape))
            return np.asarray((self.weights(trial.reallocated(sequences.reshape((*lead, -1)))) * shown).sum((-2, -1)))
        weights = self.weights(trial.reallocated(sequences))
        return np.tensordot(weights, shown, axes=[(-2, -1), (-2, -1)])

    def variance(self, trial: Trial, covariance: ArrayLike) -> Array:
        """Variance of the estimate under an assumed truth: ``sum_i w_i' V_i w_i``.

        Parameters
        ----------
        covariance : array_like (T, T) or (..., I, T, T)
            Covariance of a cluster's cell means, sampling error included.
        """
        w = self.weights(trial)
        return np.asarray((w[..., None, :] @ np.asarray(covariance, dtype=float) @ w[..., None]).sum((-3, -2, -1)))

    def plot_weights(self, trial: Trial, ax: Axes | None = None) -> Axes:
        """Weight of every cell, negative ones in plain sight."""
        from swedge._present.heatmap import draw_weights

        return draw_weights(self.weights(trial), trial.arm, trial.clusters, trial.periods, ax=ax)


@dataclass(frozen=True, eq=False)
class TestResult:
    """What a test says of one trial or a stack.

    Attributes
    ----------
    p_value : ndarray (...)
        nan where the fit failed.
    conf_int : ndarray (..., 2)
    statistic : ndarray (...)
    min_p : float
        Smallest p that this test can give here; 0 for a continuous reference.
    reference : ndarray or None
        Statistics under the permitted allocations, ``(R, ...)``, the observed one among them.
    n_allocations : int
        How many allocations the reference holds; 0 for a test without one.
    """

    __test__ = False

    p_value: Array
    conf_int: Array
    statistic: Array
    status: NDArray[np.int8]
    estimate: Array
    test: str
    level: float = 0.95
    min_p: float = 0.0
    reference: Array | None = None
    n_allocations: int = 0
    exact: bool = False
    offered_level: float | None = None
    offered_conf_int: Array | None = None
    notes: tuple[str, ...] = ()
    std_error: Array | None = None

    def rejects(self, alpha: float = 0.05) -> NDArray[np.bool_]:
        """Whether each replicate has p at most `alpha`; a failed fit does not."""
        return np.asarray(np.nan_to_num(self.p_value, nan=1.0) <= alpha + 1e-12)

    def tidy(self) -> pd.DataFrame:
        """One row: estimate, statistic, p, interval, smallest attainable p."""
        shown = {f.name: getattr(self, f.name) for f in fields(self)}
        limits = self.conf_int.reshape(-1, 2)
        return pd.DataFrame(
            {
                "test": self.test,
                "estimate": np.ravel(shown["estimate"]),
                "statistic": np.ravel(shown["statistic"]),
                "p_value": np.ravel(shown["p_value"]),
                "min_p": self.min_p,
                "conf_low": limits[:, 0],
                "conf_high": limits[:, 1],
                "level": self.level,
                "n_allocations": self.n_allocations,
            }
        )

    def summary(self) -> str:
        """The test in words, with its notes."""
        from swedge._present.tables import text_table

        return "\n".join([text_table(self.tidy()), *(f"Note: {note}" for note in self.notes)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """The reference distribution with the observed statistic."""
        from swedge._present.reference import draw_reference

        if self.reference is None or self.reference.ndim != 1:
            raise DataError("Only the result of a randomisation or placebo test of one trial has a reference distribution to draw.")
        return draw_reference(self.reference, float(self.statistic), float(self.p_value), self.test, ax=ax)


@dataclass(frozen=True)
class WaldTest:
    """The estimator's own test: its statistic against t with its df.

    Examples
    --------
    >>> WaldTest()
    WaldTest(level=0.95)
    """

    level: float = 0.95

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Fit and read the first term's p and interval."""
        return self.read(estimator.fit(trial))

    def read(self, fit: Estimate) -> TestResult:
        """The test of a fit already made."""
        first = (lambda a: a[..., 0]) if len(fit.terms) > 1 else (lambda a: a)
        limits = fit.at(self.level).conf_int
        limits = limits[..., 0, :] if len(fit.terms) > 1 else limits
        return TestResult(
            first(fit.p_value),
            limits,
            first(fit.statistic),
            fit.status,
            first(fit.estimate),
            "wald",
            self.level,
            notes=fit.notes,
            std_error=first(fit.std_error),
        )
