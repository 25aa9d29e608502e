"""The wild cluster bootstrap: the statistic when every cluster's residuals change sign, or size, as one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.permutation import Accepted
from swedge._kernels.wild_bootstrap import POINTS
from swedge.design.validation import seed_number, spell, whole
from swedge.errors import FitError, Status, nearest
from swedge.estimate import SCALES, Estimate, Estimator, TestResult, check_pair
from swedge.inference.cluster_scores import by_score, regression
from swedge.inference.inversion import searched, share, with_interval
from swedge.inference.randomisation import estimate_unit, one_effect
from swedge.inference.wild_samples import Vectors, WildSamples, weight_vectors
from swedge.trial import Trial

Array = NDArray[np.float64]

# Below this many clusters simulated sizes lie clearly above nominal ones: `tests/inference/test_calibration_few_clusters.py`.
FEW = 10
# The smallest p of five clusters with signs, the coarsest test whose size was simulated.
COARSE = 0.0625
ELSEWHERE = "RandomisationTest and JackknifeTest take any estimator."


@dataclass(frozen=True)
class WildBootstrapTest:
    """Wild cluster bootstrap test of no effect in a regression with fixed coefficients, with its interval.

    Every sample multiplies each cluster's residuals by one random weight, so that whatever depends on whatever else inside a cluster stays
    so. It takes `FixedEffects`, `TwoWayFixedEffects` and `WithinPeriod`; their `vcov` and `df` play no part.

    Parameters
    ----------
    weights : {"rademacher", "webb"}
        Signs, or six points, which give few clusters many more samples. With I clusters no p is below 2 / 2^I for signs: .0625 for five.
    restricted : bool
        Whether the residuals are those under the null hypothesis, as they should be with few clusters. Those at the estimate are small
        where a cluster pulls the fit to itself, and then reject too often.
    draws : int, optional
        Samples to draw; as many as there are different ones or more means all of them, once each. Left out, all are tried up to 65,536 (16
        clusters for signs, 6 for six points) and 9,999 are drawn beyond.
    seed : int
        Of the samples drawn.
    statistic : {"t", "estimate"}
        The estimate over its CR1 standard error, or the estimate itself.
    level : float
        Confidence level of the interval.

    Notes
    -----
    The p of all samples is ``b / m``, of drawn ones ``(b + 1) / (m + 1)``, `b` being those at least as extreme, ties included: a p of 0
    cannot occur. The interval holds the effects not rejected; if ``1 - level`` is below the smallest p it is the whole line, and the best
    attainable one is offered beside it. Sums of squares and products of clusters suffice, so cells, rows and covariates give the same
    digits. With a link the scores are perturbed instead of residuals, and the restricted statistic is that of a score test.

    The test is not exact. Under autocorrelated noise and two-way fixed effects it rejected a true null with five clusters in 9.6% of trials
    at p of at most 1/16 (Webb: 8.6% at 5%), with eight in 6.1% at 5%, with ten in 6.2%; `JackknifeTest` kept to 5.1%, and
    `RandomisationTest` is exact. Where few clusters are treated at any time the restricted bootstrap hardly ever rejects and the other
    rejects too often: use `PlaceboTest` or `RandomisationTest` there.

    References
    ----------
    Cameron AC, Gelbach JB, Miller DL (2008). Bootstrap-based improvements for inference with clustered errors. Review of Economics and
    Statistics 90, 414-427.
    Kline P, Santos A (2012). A score based approach to wild bootstrap inference. Journal of Econometric Methods 1, 23-41.
    MacKinnon JG, Webb MD (2018). The wild bootstrap for few (treated) clusters. Econometrics Journal 21, 114-135.
    Roodman D, MacKinnon JG, Nielsen MO, Webb MD (2019). Fast and wild: bootstrap inference in Stata using boottest. Stata Journal 19, 4-60.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.inference import WildBootstrapTest
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> y = np.arange(6) + 2.0 * allocation.treatment + np.sin(np.arange(30)).reshape(5, 6) / 10
    >>> trial = sw.Trial.from_cells(np.ones((5, 6)), y, allocation)
    >>> result = WildBootstrapTest().run(trial, sw.TwoWayFixedEffects())
    >>> result.n_allocations, float(result.p_value), result.min_p
    (32, 0.0625, 0.0625)
    """

    weights: str = "rademacher"
    restricted: bool = True
    draws: int | None = None
    seed: int = 0
    statistic: str = "t"
    level: float = 0.95

    def __post_init__(self) -> None:
        for name, allowed in (("weights", tuple(POINTS)), ("statistic", ("t", "estimate"))):
            value = getattr(self, name)
            if value not in allowed:
                raise FitError(f"{name}={value!r}; expected one of {', '.join(allowed)}.{nearest(value, allowed)}")
        if not isinstance(self.restricted, bool):
            raise FitError(f"restricted={self.restricted!r}; expected True or False.")
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")
        if self.draws is not None:
            whole(self.draws, "draws", least=1)
        seed_number(self.seed)

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial or a stack, which gets no intervals.

        Raises
        ------
        FitError
            If the estimator has no cluster scores, gives several effects, or fails on a single trial.
        """
        check_pair(trial, estimator)
        model = regression(estimator)
        fit = model.fit(trial)
        one_effect(fit.estimate, trial, estimator)
        vectors = weight_vectors(trial, self.weights, self.draws, self.seed)
        samples = WildSamples(trial, model, vectors.weights, self.restricted, self.statistic == "t")
        result = self._result(fit, samples, vectors)
        return result if trial.shape else with_interval(result, lambda alpha: self._accepted(result, samples, vectors, alpha))

    def _result(self, fit: Estimate, samples: WildSamples, vectors: Vectors) -> TestResult:
        """The test of no effect, without its interval."""
        trial = samples.trial
        reference, observed, sound = samples.under(np.zeros(trial.shape or (1,)))
        known = (np.isfinite(observed) & sound).reshape(trial.shape)
        if not (trial.shape or known):
            raise FitError(f"{samples.estimator!r} cannot be fitted without its effect, so this test of it does not exist. {ELSEWHERE}")
        usable = known & (fit.status <= Status.SINGULAR)

        def shown(rows: Array) -> Array:
            return np.where(usable, rows.reshape(trial.shape), np.nan)

        return TestResult(
            p_value=shown(share(reference, observed, self._unit(samples), vectors.exact)),
            conf_int=np.full((*trial.shape, 2), np.nan),
            statistic=shown(observed),
            status=np.where(fit.status <= Status.SINGULAR, np.where(known, fit.status, Status.NOT_CONVERGED), fit.status).astype(np.int8),
            estimate=fit.estimate,
            test=self._name(samples),
            level=self.level,
            min_p=self._smallest_p(vectors),
            reference=None if trial.shape else _mirrored(reference[:, 0], vectors.exact),
            n_allocations=vectors.count,
            notes=(*fit.notes, *self._notes(samples, vectors)),
            std_error=shown(samples.std_error),
            scale=fit.scale,
            estimator=type(samples.estimator).__name__,
            methods=self._methods(samples, vectors),
        )

    def _unit(self, samples: WildSamples) -> Array:
        return np.ones(1) if self.statistic == "t" else np.ravel(estimate_unit(samples.trial, samples.estimator))

    def _smallest_p(self, vectors: Vectors) -> float:
        """The data tie with their mirror image and, under a restriction, with their own multiples: 6 of Webb's, 4 of them no smaller."""
        if not vectors.exact:
            return 1 / (vectors.count + 1)
        tied = {"t": 6, "estimate": 4}[self.statistic] if self.weights == "webb" and self.restricted else 2
        return tied / vectors.total

    def _accepted(self, result: TestResult, samples: WildSamples, vectors: Vectors, alpha: float) -> Accepted:
        def accepts(effects: Array) -> NDArray[np.bool_]:
            reference, observed, _ = samples.under(effects)
            return share(reference, observed, self._unit(samples), vectors.exact) > alpha + 1e-12

        def accepts_soundly(effects: Array) -> NDArray[np.bool_]:
            _, observed, sound = samples.under(effects)
            return sound & np.isfinite(observed) & accepts(effects)

        return searched(accepts, accepts_soundly, float(result.estimate), float(samples.std_error[0]))

    def _name(self, samples: WildSamples) -> str:
        kind = "score" if by_score(samples.trial, samples.estimator) else "cluster"
        residuals = "restricted" if self.restricted else "unrestricted"
        return f"wild {kind} bootstrap ({self.weights.capitalize()}, {residuals}, {self.statistic})"

    def _methods(self, samples: WildSamples, vectors: Vectors) -> str:
        name = self._name(samples)
        scale = SCALES[samples.estimator.scale(samples.trial)]
        return (
            f"{name[0].upper()}{name[1:]} test of no effect in {type(samples.estimator).__name__} ({scale}):"
            f" {_counted(vectors)} vectors of weights over {vectors.clusters} clusters."
        )

    def _notes(self, samples: WildSamples, vectors: Vectors) -> tuple[str, ...]:
        weighed = f"{self.weights.capitalize()} weights over {vectors.clusters} clusters"
        counted = f"p is from {_counted(vectors)} vectors of {weighed}{'' if vectors.exact else ', sampled'}."
        often = "6% to 10%" if self.restricted else "up to 15%"
        few = (
            f"With {vectors.clusters} clusters this test rejects a true null too often: {often} of the time for a stated 5% or 6% in"
            " simulations of 5 to 10 clusters. Report RandomisationTest or JackknifeTest beside it."
        )
        if self._smallest_p(vectors) > COARSE:
            few = f"With {vectors.clusters} clusters this test cannot reject at 5%. Report JackknifeTest instead."
        statistic = ", and the statistic is that of a score test" * self.restricted
        score = f"The outcome has a link: clusters' scores are perturbed, not residuals (score bootstrap){statistic}."
        linked = by_score(samples.trial, samples.estimator)
        return (counted, *((few,) * (vectors.clusters < FEW)), *((score,) * linked))


def _counted(vectors: Vectors) -> str:
    """How many weight vectors p is from."""
    total = spell(vectors.total)
    return f"all {total}" if vectors.exact else f"{vectors.count:,} of {total}"


def _mirrored(reference: Array, exact: bool) -> Array:
    """The whole reference distribution: vectors of opposite sign give opposite statistics."""
    return np.concatenate([reference, -reference]) if exact else reference
