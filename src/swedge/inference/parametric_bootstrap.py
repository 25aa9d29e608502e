"""The parametric bootstrap of the likelihood ratio: its distribution in trials drawn from the model without an effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from swedge.design.validation import seed_number, whole
from swedge.errors import FitError
from swedge.estimate import SCALES, Estimator, TestResult
from swedge.estimators.mixed_null import draw_null
from swedge.inference.inversion import share, told_interval
from swedge.inference.ratio import Ratio, accepted, likelihood_ratio
from swedge.trial import Trial

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ParametricBootstrapTest:
    """Test of no effect in a `MixedModel` by the distribution of its likelihood ratio under the fitted model without an effect.

    The model without an effect is fitted by maximum likelihood, trials of the same cells are drawn from it, and both models are fitted to
    each of them. The p value then allows for variances that a few clusters leave uncertain and for those estimated as zero; it rests on
    the model's random effects being the right ones and normal.

    Parameters
    ----------
    draws : int
        Trials to draw.
    seed : int
        Of the draws; 0 is a seed.
    level : float
        Confidence level of the interval.
    interval : bool, optional
        Whether to give the effects not rejected. Left out: for a single trial, not for a stack.

    Notes
    -----
    ``p = (b + 1) / (m + 1)``, `b` the drawn ratios at least as large as the observed one. A draw that cannot be fitted counts as larger.
    The interval holds the effects whose ratio is at most the matching order statistic of the drawn ones: the ratio's distribution at
    other effects is taken to be that at none.

    References
    ----------
    Davison AC, Hinkley DV (1997). Bootstrap Methods and their Application, section 4.4. Cambridge University Press.
    Halekoh U, Hojsgaard S (2014). A Kenward-Roger approximation and parametric bootstrap methods for tests in linear mixed models: the R
    package pbkrtest. Journal of Statistical Software 59(9).

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.inference import ParametricBootstrapTest
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> risk = (30 + 4 * np.arange(5)[:, None] + np.arange(30).reshape(5, 6) % 7 - 8 * allocation.treatment) / 200
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 200), risk, allocation, family="binomial")
    >>> result = ParametricBootstrapTest(draws=199, interval=False).run(trial, sw.MixedModel(df="between-within"))
    >>> bool(1 / 200 <= result.p_value <= 1)
    True
    """

    draws: int = 999
    seed: int = 0
    level: float = 0.95
    interval: bool | None = None

    def __post_init__(self) -> None:
        whole(self.draws, "draws", least=1)
        seed_number(self.seed)
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial, or every trial of a stack with draws of its own.

        Raises
        ------
        FitError
            If the estimator is no `MixedModel` with one effect, a single trial cannot be fitted, or the model cannot be drawn from.
        """
        ratio = likelihood_ratio(trial, estimator)
        if trial.shape:
            return self._stacked(trial, ratio)
        reference = self._drawn(trial, ratio, np.random.SeedSequence(self.seed))
        wanted = self.interval if self.interval is not None else True
        limits = self._limits(trial, ratio, reference) if wanted else np.full(2, np.nan)
        shown = self._result(ratio, _p(reference, ratio.statistic), limits, _notes(reference))
        return replace(shown, reference=reference)

    def _result(self, ratio: Ratio, p: Array, limits: Array, notes: tuple[str, ...]) -> TestResult:
        return TestResult(
            p,
            limits,
            ratio.statistic,
            ratio.status,
            ratio.fit.estimate,
            "parametric bootstrap",
            self.level,
            1 / (self.draws + 1),
            notes=(*ratio.fit.notes, *notes),
            std_error=ratio.fit.std_error,
            scale=ratio.fit.scale,
            estimator=type(ratio.model).__name__,
            methods=self._methods(ratio, bool(np.isnan(limits).all())),
        )

    def _methods(self, ratio: Ratio, bare: bool) -> str:
        sentence = (
            f"Parametric bootstrap of the likelihood ratio of no effect in {type(ratio.model).__name__} ({SCALES[ratio.fit.scale]}):"
            f" {self.draws:,} trials drawn from the model fitted without an effect, by maximum likelihood."
        )
        return sentence if bare else told_interval(sentence, self.level, "holds the effects whose ratio those draws do not reject")

    def _stacked(self, trial: Trial, ratio: Ratio) -> TestResult:
        """Each replicate's draws hang on its place in the stack alone."""
        p, limits = np.full(trial.shape, np.nan), np.full((*trial.shape, 2), np.nan)
        for i in np.flatnonzero(np.isfinite(ratio.statistic)):
            single = trial.replicate(int(i))
            own = likelihood_ratio(single, ratio.model)
            reference = self._drawn(single, own, np.random.SeedSequence(self.seed, spawn_key=(int(i),)))
            p[i] = _p(reference, own.statistic)
            if self.interval:
                limits[i] = self._limits(single, own, reference)
        return self._result(ratio, p, limits, ())

    def _drawn(self, trial: Trial, ratio: Ratio, seed: np.random.SeedSequence) -> Array:
        """Likelihood ratios of the draws; infinite where a fit failed."""
        drawn = draw_null(ratio.model, trial, self.draws, np.random.default_rng(seed))
        return np.asarray(np.nan_to_num(likelihood_ratio(drawn, ratio.model).statistic, nan=np.inf))

    def _limits(self, trial: Trial, ratio: Ratio, reference: Array) -> Array:
        rank = int((1 - self.level) * (self.draws + 1) + 1e-9)
        critical = np.sort(reference)[-rank] if rank else np.inf
        return np.array(accepted(trial, ratio, float(critical))[:2]) if np.isfinite(critical) else np.array([-np.inf, np.inf])


def _p(reference: Array, observed: Array) -> Array:
    return share(reference, observed, np.asarray(1.0), exact=False)


def _notes(reference: Array) -> tuple[str, ...]:
    failed = int(np.isinf(reference).sum())
    return (f"{failed} of {len(reference)} draws could not be fitted and count as more extreme.",) if failed else ()
