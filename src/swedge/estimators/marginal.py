"""Marginal effects: risks with and without treatment, averaged over the people of the trial, and compared."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.linalg import stacked
from swedge._kernels.standardisation import Slots, World, compared, standardise
from swedge.assumptions import ByPeriod
from swedge.errors import FitError, nearest
from swedge.estimate import Estimate, Estimator, Wording, assemble
from swedge.estimators.columns import covariate_means, reached, separate_effects, slots, spread, stack_columns
from swedge.estimators.fitted_mean import FittedMean, Regression
from swedge.estimators.fixed import FixedEffects
from swedge.trial import Trial

Array = NDArray[np.float64]

# Measures, the link on which worlds are compared, and the families that have them.
LINKS = {"difference": "identity", "ratio": "log", "odds ratio": "logit"}
FAMILIES = {
    "difference": ("gaussian", "binomial", "poisson", "fractional"),
    "ratio": ("binomial", "poisson", "fractional"),
    "odds ratio": ("binomial", "fractional"),
}
MEANS = {"binomial": "risk", "poisson": "rate"}
# A log ratio beyond this is as good as infinite, and its exponential still a number.
LARGEST = 50.0
OVER = {"all": "all individuals", "treated": "treated individuals"}


class _Effect(NamedTuple):
    """Terms; worlds, the first without treatment, and names of the others; weights ``(K, M - 1)`` of comparisons; cells averaged over."""

    terms: tuple[str, ...]
    names: tuple[str, ...]
    worlds: list[World]
    average: Array
    among: Array


@dataclass(frozen=True)
class MarginalEffect(Estimator):
    """Difference or ratio of average predicted outcomes, had everyone been treated and had nobody (standardisation, g-computation).

    A regression predicts each individual's risk with and without treatment, at the individual's own cluster, period and covariates; the
    risks are averaged over individuals and compared. Differences and ratios of risks are collapsible, so that adjusting changes their
    precision and not their meaning; the odds ratio is not, and the marginal one is nearer to 1 than the regression's own. Standard errors
    are the regression's own, of the contrast of coefficients that the effect is to first order (the delta method), and so are its degrees
    of freedom; individuals, their cells and their covariates are taken as given.

    Parameters
    ----------
    estimator : FixedEffects, GEE or MixedModel
        Its variance and degrees of freedom are used. A mixed model's predictions are averages over its random effects (binary and count
        outcomes only), whose variances are taken as known; a linear mixed model's coefficient is its marginal difference already.
    measure : {"difference", "ratio", "odds ratio"}
        Of risks (binomial), rates (poisson) or means. Ratios are estimated on the log scale. Gaussian outcomes have differences only.
    over : {"all", "treated"}
        Who is averaged over. "all": everyone in the trial, the whole effect against none. With a curve that has several effects each is
        a term, as if everyone had that exposure, and an estimand averages the terms. "treated": those in treated cells, each at the
        exposure that the cell had, whatever the curve; this is the effect that treatment had on those who received it.

    Notes
    -----
    With fixed cluster effects the risks are those of these clusters, and a cluster-robust variance takes the clusters' levels as known: a
    part of a risk difference's error that is small unless the effect is large. A share above 1% is told in a note. The other regressions
    average over clusters that might have been, whose spread is in their standard errors.

    Under `RandomisationTest` an effect is taken out of the cells' means: subtracted, or divided out. There is no such arithmetic for a
    marginal odds ratio, which gives the p value of no effect and no interval.

    References
    ----------
    Lane PW, Nelder JA (1982). Analysis of covariance and standardization as instances of prediction. Biometrics 38, 613-621.
    Greenland S (2004). Model-based estimation of relative risks and other epidemiologic measures in studies of common outcomes and in
    case-control studies. American Journal of Epidemiology 160, 301-305.
    Localio AR, Margolis DJ, Berlin JA (2007). Relative risks and confidence intervals were easily computed indirectly from multivariable
    logistic regression. Journal of Clinical Epidemiology 60, 874-882.
    Muller CJ, MacLehose RF (2014). Estimating predicted probabilities from logistic regression: different methods correspond to different
    target populations. International Journal of Epidemiology 43, 962-970.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> risk = 0.1 + 0.01 * np.arange(5)[:, None] + 0.005 * np.arange(6) - 0.02 * allocation.treatment
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 200), risk, allocation, family="binomial")
    >>> float(MarginalEffect(sw.FixedEffects(), "difference").fit(trial).estimate)
    -0.02
    """

    estimator: Regression = FixedEffects()  # noqa: RUF009 - frozen, so shared safely
    measure: str = "difference"
    over: str = "all"

    def __post_init__(self) -> None:
        if isinstance(self.estimator, type) or not isinstance(self.estimator, Regression):
            raise FitError(f"{self.estimator!r} predicts no risks. Use a regression, such as FixedEffects().")
        if str(self.measure) not in LINKS:
            raise FitError(f"measure={self.measure!r}; expected one of {', '.join(LINKS)}.{nearest(self.measure, LINKS)}")
        if str(self.over) not in OVER:
            raise FitError(f"over={self.over!r}; expected 'all' or 'treated'.{nearest(self.over, OVER)}")
        if self.over == "treated" and self.estimator.estimand is not None:
            raise FitError(
                "over='treated' averages over the exposures that treated individuals had, and estimand= over others. Leave out one of them."
            )
        if self.over == "all" and isinstance(self.estimator.effect, ByPeriod):
            raise FitError("An effect by period belongs to its own period's individuals, not to all. Use over='treated'.")

    @property
    def effect(self) -> object:
        """The regression's effect curve."""
        return self.estimator.effect

    def scale(self, trial: Trial) -> str:
        """Identity, log, or the logit of marginal risks, on which a conditional odds ratio is no shift."""
        return {"odds ratio": "marginal logit"}.get(self.measure, LINKS[self.measure])

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others."""
        return self.estimator.aliases(trial)

    def point(self, trial: Trial) -> Array:
        """Point estimates without the work of a robust variance."""
        return replace(self, estimator=self.estimator.bare()).fit(trial).estimate

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with an effect taken out of the means of treated cells and patterns: subtracted, or divided out.

        Raises
        ------
        FitError
            For a marginal odds ratio.
        """
        if self.measure == "odds ratio":
            raise FitError(
                "A marginal odds ratio does not say what each cell's outcome would have been, so it cannot be taken out and has no"
                " randomisation interval. Use RandomisationTest(interval=False), measure='ratio', or the regression's own odds ratio."
            )
        shift = np.asarray(effect, dtype=float)[..., None, None] * self._reached(trial)
        patterns = trial.patterns
        if patterns is not None:
            patterns = replace(patterns, mean=_taken_out(patterns.mean, patterns.spread(shift), self.measure))
        lead = np.broadcast_shapes(trial.cells.mean.shape[:-1], shift.shape)
        whole = np.broadcast_to(trial.cells.mean, (*lead, trial.cells.mean.shape[-1])).copy()
        whole[..., 0] = _taken_out(whole[..., 0], shift, self.measure)
        return replace(trial, cells=replace(trial.cells, mean=whole), patterns=patterns)

    def _reached(self, trial: Trial) -> Array:
        """What an effect of 1 is in each cell: over the treated it is the average over their own exposures that is 1."""
        share = reached(trial, self.estimator.effect, self.estimator.estimand)
        if self.over == "all":
            return share
        treated = trial.n * (trial.arm > 0)
        return np.asarray(share * treated.sum((-2, -1), keepdims=True) / (treated * share).sum((-2, -1), keepdims=True))

    def _fit(self, trial: Trial) -> Estimate:
        self._check(trial)
        model = self.estimator.fitted_mean(trial)
        effect = self._effect(trial, model)
        means, gradients = self._standardised(trial, model, effect)
        apart, slopes = compared(means, gradients, LINKS[self.measure])
        covariance, df, alone = model.uncertainty(effect.average @ slopes)
        numbers = (apart @ effect.average.T, covariance, df)
        details = dict(zip(("untreated", *effect.names), means.T, strict=True))
        return assemble(trial, effect.terms, numbers, model.status, self._wording(trial, model, effect), details, alone)

    def _check(self, trial: Trial) -> None:
        if trial.family not in FAMILIES[self.measure]:
            raise FitError(
                f"measure={self.measure!r} is for {', '.join(FAMILIES[self.measure])} outcomes, and this one is {trial.family}."
                " Use measure='difference'" + (" or 'ratio'." if trial.family == "poisson" else ".")
            )

    def _effect(self, trial: Trial, model: FittedMean) -> _Effect:
        return self._among_treated(trial, model) if self.over == "treated" else self._for_all(trial, model)

    def _among_treated(self, trial: Trial, model: FittedMean) -> _Effect:
        treated = stacked(trial.arm, trial.shape, 2)
        own = stacked(model.parts.columns, trial.shape, 3)
        worlds = [_world(trial, model, 0 * own, 0 * treated), _world(trial, model, own, treated)]
        return _Effect(("treatment",), ("treated",), worlds, np.eye(1), np.asarray(treated > 0, dtype=float))

    def _for_all(self, trial: Trial, model: FittedMean) -> _Effect:
        estimand, one = self.estimator.estimand, np.ones((1, 1, 1))
        separate = separate_effects(trial, self.estimator.effect, estimand)
        rows = separate.contrasts[:, None, :, None, None]
        worlds = [_world(trial, model, 0 * rows[0], 0 * one), *(_world(trial, model, row, one) for row in rows)]
        average = np.eye(len(rows)) if estimand is None else estimand.contrast(separate.terms)[1][None]
        return _Effect(model.parts.terms, separate.terms, worlds, average, one)

    def _standardised(self, trial: Trial, model: FittedMean, effect: _Effect) -> tuple[Array, Array]:
        adjusted = trial.family == "gaussian" and trial.covariates
        table = slots(trial, stack_columns(model.before, covariate_means(trial)) if adjusted else model.before)
        weight = stacked(table.n, trial.shape, 2) * spread(trial, effect.among)
        known = Slots(stacked(table.x, trial.shape, 3), stacked(table.offset, trial.shape, 2), weight)
        return standardise(model.maths, known, model.beta, model.before.shape[-3], effect.worlds)

    def _wording(self, trial: Trial, model: FittedMean, effect: _Effect) -> Wording:
        noun = self.measure if self.measure == "odds ratio" else f"{MEANS.get(trial.family, 'mean')} {self.measure}"
        who = "" if self.over == "all" else " among the treated"
        read = f"{effect.terms[0]} of the " if self.estimator.estimand is not None else ""
        methods = (
            f"{model.wording.methods} Marginal {noun}: predictions standardised over {OVER[self.over]}, standard error by the delta"
            f" method{'' if self.measure == 'difference' else ' on the log scale'}."
        )
        return Wording(
            f"MarginalEffect {model.wording.estimator}", f"{read}marginal {noun}{who}", self.scale(trial), methods, model.wording.notes
        )


def _taken_out(mean: Array, shift: Array, measure: str) -> Array:
    return np.asarray(mean - shift if measure == "difference" else mean * np.exp(np.minimum(-shift, LARGEST)))


def _world(trial: Trial, model: FittedMean, columns: Array, treatment: Array) -> World:
    """A world in which cells receive `columns` ``(R or 1, k, I or 1, T or 1)``, at a treatment that random effects may multiply."""
    variance = np.zeros((1, 1, 1)) if model.variance is None else model.variance(treatment)
    return World(spread(trial, columns), spread(trial, variance))
