"""The likelihood-ratio test of a mixed model's effect, with denominator degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.errors import FitError, nearest
from swedge.estimate import SCALES, Estimator, TestResult, quantile, two_sided_p
from swedge.estimators.columns import informed
from swedge.estimators.freedom import between_within
from swedge.inference.inversion import told_interval
from swedge.inference.ratio import Ratio, accepted, likelihood_ratio
from swedge.trial import Trial

Array = NDArray[np.float64]

DFS = ("between-within", "clusters", "normal")


@dataclass(frozen=True)
class LikelihoodRatioTest:
    """Likelihood-ratio test of no effect in a `MixedModel`, with the profile-likelihood interval that belongs to it.

    Both models are fitted by full maximum likelihood, whatever the estimator's `reml`, and the statistic is referred to F with 1 and `df`
    degrees of freedom. Unlike the Wald test it needs no standard error, which a flat likelihood makes too small.

    Parameters
    ----------
    df : {"between-within", "clusters", "normal"}
        Denominator degrees of freedom. "between-within" are those of cells: an effect that changes within clusters has cells with data
        minus clusters, minus periods, plus 1, minus the number of such effects (19 for one effect and 5 x 6 cells); one that does not has
        clusters minus 1 minus the number of such effects. "clusters" is the number of clusters minus 2. "normal" is infinite, the
        chi-square limit, and has to be asked for.
    level : float
        Confidence level of the interval.
    interval : bool, optional
        Whether to invert the test, by likelihoods at fixed effects. Left out: for a single trial, not for a stack.

    Notes
    -----
    The variances of the random effects are estimated by maximum likelihood, which makes them too small with few clusters; degrees of
    freedom repair part of that. `ParametricBootstrapTest` draws the statistic's own distribution instead.

    References
    ----------
    Li P, Redden DT (2015). Comparing denominator degrees of freedom approximations for the generalized linear mixed model in analyzing
    binary outcome in small sample cluster-randomized trials. BMC Medical Research Methodology 15, 38.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.inference import LikelihoodRatioTest
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> risk = (30 + 4 * np.arange(5)[:, None] + np.arange(30).reshape(5, 6) % 7 - 8 * allocation.treatment) / 200
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 200), risk, allocation, family="binomial")
    >>> result = LikelihoodRatioTest().run(trial, sw.MixedModel(df="between-within"))
    >>> bool(result.conf_int[0] < result.estimate < result.conf_int[1])
    True
    """

    df: str = "between-within"
    level: float = 0.95
    interval: bool | None = None

    def __post_init__(self) -> None:
        if self.df not in DFS:
            raise FitError(f"df={self.df!r}; expected one of {', '.join(DFS)}.{nearest(self.df, DFS)}")
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial or a stack.

        Raises
        ------
        FitError
            If the estimator is no `MixedModel` with one effect, or a single trial cannot be fitted.
        """
        ratio = likelihood_ratio(trial, estimator)
        df = self._freedom(trial, ratio)
        wanted = self.interval if self.interval is not None else not trial.shape
        return TestResult(
            two_sided_p(np.sqrt(ratio.statistic), df),
            self._limits(trial, ratio, df) if wanted else np.full((*trial.shape, 2), np.nan),
            ratio.statistic,
            ratio.status,
            ratio.fit.estimate,
            f"likelihood ratio ({self.df})",
            self.level,
            notes=(*ratio.fit.notes, *self._notes(df)),
            std_error=ratio.fit.std_error,
            scale=ratio.fit.scale,
            estimator=type(ratio.model).__name__,
            methods=told_interval(self._methods(ratio, df), self.level, "is the profile likelihood's")
            if wanted
            else self._methods(ratio, df),
        )

    def _methods(self, ratio: Ratio, df: Array) -> str:
        return (
            f"Likelihood-ratio test of no effect in {type(ratio.model).__name__} ({SCALES[ratio.fit.scale]}), both models by full maximum"
            f" likelihood, referred to F with 1 and {self._shown(df)} ({self.df}) degrees of freedom."
        )

    def _shown(self, df: Array) -> str:
        return "infinite" if self.df == "normal" else f"{np.min(df):g}"

    def _freedom(self, trial: Trial, ratio: Ratio) -> Array:
        if self.df == "normal":
            return np.full(trial.shape, np.inf)
        count = between_within(trial, ratio.parts)[:, 0] if self.df == "between-within" else informed(trial) - 2.0
        return np.asarray(np.where(count > 0, count, np.nan).reshape(trial.shape))

    def _limits(self, trial: Trial, ratio: Ratio, df: Array) -> Array:
        if trial.shape:
            limits = np.full((*trial.shape, 2), np.nan)
            for i in np.flatnonzero(np.isfinite(ratio.statistic)):
                limits[i] = self.run(trial.replicate(int(i)), ratio.model).conf_int
            return limits
        critical = float(quantile(self.level, df)) ** 2
        return np.array(accepted(trial, ratio, critical)[:2])

    def _notes(self, df: Array) -> tuple[str, ...]:
        return (f"The statistic is referred to F with 1 and {self._shown(df)} ({self.df}) degrees of freedom.",)
