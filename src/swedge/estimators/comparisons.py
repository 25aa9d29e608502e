"""Linear estimators: regressions of cell means on indicators, as cell weights."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.least_squares import fit_status
from swedge._kernels.linear_robust import LinearRobust, WorkingModel, linear_robust, unexplained
from swedge._kernels.two_way import connected
from swedge.assumptions import Constant
from swedge.errors import FitError, nearest
from swedge.estimate import Estimate, LinearEstimator, Wording, assemble
from swedge.estimators.columns import adjusted_for, cluster_columns, counted, informed, period_columns, stack_columns
from swedge.estimators.difference import about_centre
from swedge.estimators.mean_model import MeanModel, explained, mean_model
from swedge.estimators.pieces import full
from swedge.trial import Trial

Array = NDArray[np.float64]

DF_WORDS = {"satterthwaite": "Satterthwaite", "clusters": "clusters minus 1", "normal": "infinite (normal)"}
WEIGHINGS = ("size", "equal")


@dataclass(frozen=True)
class _IndicatorRegression(LinearEstimator):
    """Least squares of cell means on indicators and treatment: weights by the Frisch-Waugh-Lovell theorem.

    Rows are multiplied by the square roots of their weights. Cluster indicators are swept out of them, and never made.
    """

    weigh: str = "size"
    vcov: str = "CR2"
    df: str = "satterthwaite"

    absorbs: ClassVar[bool]  # Whether clusters have indicators

    def __post_init__(self) -> None:
        for name, allowed in (
            ("weigh", WEIGHINGS),
            ("vcov", ("CR0", "CR1", "CR2", "CR3")),
            ("df", ("satterthwaite", "clusters", "normal")),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise FitError(f"{name}={value!r}; expected one of {', '.join(allowed)}.{nearest(value, allowed)}")

    def indicators(self, trial: Trial) -> Array:
        """Columns to adjust for, ``(p, I, T)``; one a cluster, where clusters are among them."""
        periods = period_columns(trial)
        return stack_columns(periods, cluster_columns(trial)) if self.absorbs else periods

    def cell_weights(self, trial: Trial) -> Array:
        """How much each cell counts, ``(..., I, T)``."""
        return trial.n if self.weigh == "size" else (trial.n > 0).astype(float)

    def mean_model(self, trial: Trial) -> MeanModel:
        """Named columns of one trial."""
        return mean_model(trial, Constant(), clusters=self.absorbs, weight=self.cell_weights(trial))

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others."""
        return explained(self.mean_model(trial))

    def weights(self, trial: Trial) -> Array:
        """Weights ``(..., I, T)``: the treatment's residual on the indicators, over its own sum of squares."""
        scale = np.sqrt(self.cell_weights(trial))
        target = trial.arm * scale
        residual = unexplained(self._swept(period_columns(trial), scale), target)
        size = (residual**2).sum((-2, -1), keepdims=True)
        identified = size > 1e-10 * np.maximum((target**2).sum((-2, -1), keepdims=True), 1e-300)
        return np.where(identified, scale * residual / np.where(identified, size, 1.0), np.nan)

    def _swept(self, columns: Array, scale: Array) -> WorkingModel:
        """Columns ``(..., p, I, T)``, beside clusters if they have indicators, on rows multiplied by ``scale (..., I, T)``."""
        return WorkingModel(columns * scale[..., None, :, :], scale if self.absorbs else np.zeros(scale.shape))

    def _definite(self, trial: Trial, weights: Array) -> NDArray[np.bool_]:
        """Whether cells identify every coefficient, ``(...)``: with clusters among them, their periods have to hang together."""
        known = np.isfinite(weights).all((-2, -1))
        if not self.absorbs:
            return np.asarray(known)
        seen = (trial.n > 0).astype(float)
        periods = seen.any(-2).sum(-1)
        return np.asarray(known & (connected(seen).sum((-2, -1)) == periods**2))

    def _fit(self, trial: Trial) -> Estimate:
        weights, weight, y = self.weights(trial), self.cell_weights(trial), about_centre(trial)
        robust = self._robust(trial, weights, np.sqrt(weight), y)
        estimate = (weights * y).sum((-2, -1))[..., None]
        numbers = (full(estimate, trial, 1), full(robust.covariance, trial, 2), full(self._freedom(trial, robust.df), trial, 1))
        status = fit_status(weight, y, (robust.residual**2).sum((-2, -1)), self._definite(trial, weights))
        wording = Wording(
            type(self).__name__,
            "treatment effect",
            "identity",
            self._methods(trial),
            (*trial.notes, *_left_out(trial), *self._cautions(trial)),
        )
        return assemble(
            trial, ("treatment",), numbers, np.broadcast_to(status, trial.shape).ravel(), wording, alone=full(robust.alone, trial, 1)
        )

    def _robust(self, trial: Trial, weights: Array, scale: Array, y: Array) -> LinearRobust:
        columns = stack_columns(period_columns(trial), trial.arm[..., None, :, :])
        rows = (weights / np.where(scale > 0, scale, 1.0))[..., None, :, :]
        clusters = informed(trial).reshape(trial.shape)
        return linear_robust(self.vcov, rows, y * scale, self._swept(columns, scale), clusters)

    def _freedom(self, trial: Trial, natural: Array) -> Array:
        fixed = np.full(trial.shape, np.inf) if self.df == "normal" else informed(trial).reshape(trial.shape) - 1.0
        return natural if self.df == "satterthwaite" else fixed[..., None]

    def _weighed(self, trial: Trial) -> str:
        """How cells were weighed, in a word: sizes that are all the same are equal weights."""
        sizes = trial.n[trial.n > 0]
        return "equal" if self.weigh == "equal" or np.ptp(sizes) == 0 else self.weigh

    def _cautions(self, trial: Trial) -> tuple[str, ...]:
        """What else has to be known of this comparison."""
        return ()

    @abstractmethod
    def _methods(self, trial: Trial) -> str:
        """One sentence for a paper."""


@dataclass(frozen=True)
class WithinPeriod(_IndicatorRegression):
    """Treated against control clusters within each period, averaged over periods.

    With ``weigh="equal"`` (the default) every cluster counts alike and period `t`, with `a` treated and `b` control clusters, gets a weight
    proportional to ``ab / (a + b)``, which is least squares of cell means on periods and treatment. It never compares a cluster with
    itself, so cluster differences cost precision, not validity.

    Parameters
    ----------
    weigh : {"equal", "size"}
        Whether clusters count alike, or by their individuals.
    vcov : {"CR2", "CR3", "CR1", "CR0"}
    df : {"satterthwaite", "clusters", "normal"}
        "clusters" is their number minus 1.

    References
    ----------
    Thompson JA, Davey C, Fielding K, Hargreaves JR, Hayes RJ (2018). Robust analysis of stepped wedge trials using cluster-level summaries
    within periods. Statistics in Medicine 37, 2487-2500.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(sw.WithinPeriod().point(trial))
    2.0
    """

    weigh: str = "equal"

    absorbs: ClassVar[bool] = False

    def _cautions(self, trial: Trial) -> tuple[str, ...]:
        if trial.design is None or len(trial.design.strata) < 2:
            return ()
        return (
            "The strata of this design take different steps, so clusters are compared across strata: differences between strata are in the"
            " estimate, and its standard error does not know. FixedEffects compares each cluster with itself.",
        )

    def _methods(self, trial: Trial) -> str:
        return (
            f"Within-period comparison of treated and control clusters ({self._weighed(trial)} cluster weights), {self.vcov} cluster-robust"
            f" standard errors and {DF_WORDS[self.df]} degrees of freedom; {counted(trial)}."
        )


@dataclass(frozen=True)
class TwoWayFixedEffects(_IndicatorRegression):
    """Least squares of cell means on clusters, periods and treatment: on the risk scale for a binary outcome.

    ``weigh="size"`` (the default) is the regression on individuals; ``weigh="equal"`` counts every cell alike. With effects that change
    over time since treatment some cells weigh negatively: look at `plot_weights`.

    Parameters
    ----------
    weigh : {"equal", "size"}
        Whether cells count alike, or by their individuals.
    vcov : {"CR2", "CR3", "CR1", "CR0"}
    df : {"satterthwaite", "clusters", "normal"}
        "clusters" is their number minus 1.

    References
    ----------
    Goodman-Bacon A (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics 225, 254-277.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> float(sw.TwoWayFixedEffects().point(trial).round(12))
    3.0
    """

    weigh: str = "size"

    absorbs: ClassVar[bool] = True

    def _methods(self, trial: Trial) -> str:
        against = f" with {trial.comparators} never-treated comparison clusters" if trial.comparators else ""
        return (
            f"Two-way fixed effects regression of cell means{against} ({self._weighed(trial)} cell weights), {self.vcov} cluster-robust"
            f" standard errors and {DF_WORDS[self.df]} degrees of freedom; {counted(trial)}."
        )


def _left_out(trial: Trial) -> tuple[str, ...]:
    names = adjusted_for(trial).removeprefix(", adjusted for ")
    return (f"A comparison of cell means is not adjusted for individual covariates ({names}).",) if names else ()
