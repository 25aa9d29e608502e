"""Mixed models: random cluster, cluster-by-period and treatment effects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.families import FamilyMaths
from swedge._kernels.sandwich import CORRECTIONS
from swedge.assumptions import Constant, Correlation, EffectCurve, Estimand, NestedExchangeable, family_named
from swedge.errors import FitError, Status, nearest
from swedge.estimate import Estimate, Estimator, Wording, assemble
from swedge.estimators.closed_cohort import in_cohort
from swedge.estimators.columns import Effects, adjusted_for, counted, effects, estimated, informed, without_effect
from swedge.estimators.fitted_mean import FittedMean
from swedge.estimators.found import Found
from swedge.estimators.freedom import between_within
from swedge.estimators.mean_model import MeanModel, explained, mean_model
from swedge.estimators.mixed_gaussian import fit_gaussian
from swedge.estimators.mixed_glmm import ENOUGH_CLUSTERS, approximation, check_generalised, few_clusters, fit_generalised, fit_glmm
from swedge.estimators.population_average import population_average
from swedge.estimators.structure_words import random_terms
from swedge.trial import Trial

Array = NDArray[np.float64]

DF_WORDS = {
    "kenward-roger": "Kenward-Roger",
    "satterthwaite": "Satterthwaite",
    "between-within": "between-within",
    "clusters": "clusters minus 2",
    "normal": "infinite (normal)",
}
DFS = tuple(DF_WORDS)
MODEL_DFS = ("kenward-roger", "between-within")
ROBUST = tuple(CORRECTIONS)
VCOVS = ("model", *ROBUST)
MOST_NODES = 99


@dataclass(frozen=True)
class MixedModel(Estimator):
    """Period effects, treatment, and random effects for clusters (and cluster-periods).

    Gaussian outcomes are fitted exactly from cells, whatever the cell sizes and individual covariates. Binary and count outcomes are
    fitted by Laplace's approximation with one random intercept a cluster.

    Parameters
    ----------
    correlation : Exchangeable or NestedExchangeable
        The random effects to estimate. The cluster-by-period term is the default, and leaving it out is a claim that all clusters share one
        secular trend exactly.
    effect : EffectCurve
    estimand : Estimand, optional
        What to read off `ByExposure` effects.
    reml : bool
        Restricted (default) or full maximum likelihood; Gaussian only.
    quadrature : int
        1 is Laplace's approximation; more points integrate over one random effect by adaptive Gauss-Hermite quadrature.
    df : {"kenward-roger", "satterthwaite", "clusters", "normal"}
        The first two are for Gaussian outcomes. Kenward-Roger is of first order where a decay is estimated: the term in second derivatives
        of the covariance, which diverges as a decay comes to 0, is left out, as with KR(FIRSTORDER) in SAS. "clusters" is the number of
        clusters minus 2. "normal" has to be asked for.
    link : {"logit", "probit", "cloglog", "log"}, optional
        Of a binary or count outcome; the family's canonical link if left out.
    vcov : {"model", "CR0", "CR1", "CR2", "CR3"}
        "model" (default) trusts the random effects. The others are cluster-robust variances of the same estimate, which hold whatever the
        correlation inside clusters truly is; Gaussian only. They need df= to be written: "satterthwaite" is then the sandwich's own.
        CR2 and CR3 correct the whitened residuals, so that rows and cells give the same answer.

    References
    ----------
    Hussey MA, Hughes JP (2007). Design and analysis of stepped wedge cluster randomized trials. Contemporary Clinical Trials 28, 182-191.
    Hooper R, Teerenstra S, de Hoop E, Eldridge S (2016). Sample size calculation for stepped wedge and other longitudinal cluster
    randomised trials. Statistics in Medicine 35, 4718-4728.
    Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum likelihood. Biometrics 53, 983-997.
    Kenward MG, Roger JH (2009). An improved approximation to the precision of fixed effects from restricted maximum likelihood.
    Computational Statistics and Data Analysis 53, 2583-2595.
    Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects
    models. Journal of Business and Economic Statistics 36, 672-683.

    Examples
    --------
    >>> MixedModel()
    MixedModel(correlation=NestedExchangeable(icc=None, cac=None, iac=0.0), effect=Constant(), estimand=None, reml=True, quadrature=1,
    df='kenward-roger', link=None, vcov='model')
    """

    correlation: Correlation = NestedExchangeable()  # noqa: RUF009 - frozen, so shared safely
    effect: EffectCurve = Constant()  # noqa: RUF009 - frozen, so shared safely
    estimand: Estimand | None = None
    reml: bool = True
    quadrature: int = 1
    df: str = "kenward-roger"
    link: str | None = None
    vcov: str = "model"

    def __post_init__(self) -> None:
        if self.df not in DFS:
            raise FitError(f"df={self.df!r}; expected one of {', '.join(DFS)}.{nearest(self.df, DFS)}")
        nodes: object = self.quadrature
        if isinstance(nodes, bool) or not isinstance(nodes, int) or not 1 <= nodes <= MOST_NODES:
            raise FitError(f"quadrature={self.quadrature!r}; expected a number of nodes, 1 (Laplace) to {MOST_NODES}.")
        if self.df == "kenward-roger" and not self.reml:
            raise FitError("Kenward-Roger is defined for restricted maximum likelihood. Use reml=True, or df='satterthwaite'.")
        if not hasattr(self.correlation, "structure"):
            raise FitError(f"correlation={self.correlation!r}; expected a structure to estimate, such as NestedExchangeable().")
        self.correlation.structure()
        self._check_vcov()

    def _check_vcov(self) -> None:
        if self.vcov not in VCOVS:
            raise FitError(f"vcov={self.vcov!r}; expected one of {', '.join(VCOVS)}.{nearest(str(self.vcov), VCOVS)}")
        if self.robust and self.df in MODEL_DFS:
            raise FitError(
                f"df={self.df!r} (kenward-roger is the default) belongs to the model's variance, not to vcov={self.vcov!r}. Write"
                " df='satterthwaite' for the degrees of freedom of the cluster-robust variance, or leave vcov= out."
            )

    def scale(self, trial: Trial) -> str:
        """The link."""
        return family_named(trial.family, self.link).link

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with an effect that follows `effect` (the curve) taken out, on the family's link."""
        return without_effect(trial, self.effect, self.estimand, effect, self.scale(trial))

    def mean_model(self, trial: Trial) -> MeanModel:
        """Named columns of one trial."""
        return mean_model(trial, self.effect, self.estimand, clusters=False)

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others."""
        return explained(self.mean_model(trial))

    def bare(self) -> MixedModel:
        """The same estimate without the work of degrees of freedom."""
        return replace(self, df="normal", vcov="model")

    def point(self, trial: Trial) -> Array:
        """Point estimates without the work of degrees of freedom."""
        return self.bare().fit(trial).estimate

    def fitted_mean(self, trial: Trial) -> FittedMean:
        """The regression of a binary or count outcome, whose predictions are averages over its random effects.

        Raises
        ------
        FitError
            For a Gaussian outcome, whose coefficient is the marginal difference itself.
        """
        if trial.family == "gaussian":
            raise FitError(f"The coefficient of {self!r} is the marginal difference of means itself. Fit the mixed model as it is.")
        parts, maths = effects(trial, self.effect, self.estimand), family_named(trial.family, self.link)
        self._check_generalised(trial, maths)
        found = fit_generalised(trial, parts, self.correlation, maths, self.quadrature)
        return population_average(trial, parts, found, partial(self._freedom, trial, parts), self._wording(trial, parts))

    @property
    def nested(self) -> bool:
        """Whether the model has a cluster-by-period term."""
        return "cluster_period" in self.correlation.structure().effects

    @property
    def robust(self) -> bool:
        """Whether the variance is cluster-robust."""
        return self.vcov in ROBUST

    def _fit(self, trial: Trial) -> Estimate:
        parts = effects(trial, self.effect, self.estimand)
        if trial.family == "gaussian":
            self._check_gaussian()
            found = fit_gaussian(trial, parts, self.correlation, self.reml, self.df, self.vcov)
        else:
            maths = family_named(trial.family, self.link)
            self._check_generalised(trial, maths)
            found = fit_glmm(trial, parts, self.correlation, maths, self.quadrature)
        return self._assembled(trial, parts, found)

    def _check_gaussian(self) -> None:
        if self.quadrature != 1:
            raise FitError(f"quadrature={self.quadrature} with a Gaussian outcome, whose likelihood is exact. Leave it out.")
        if self.robust and "exposure" in self.correlation.structure().effects:
            raise FitError(
                f"vcov={self.vcov!r} needs clusters that are independent under the model, and random exposure effects are shared by all of"
                " them. Leave exposure= out of RandomEffects(), or use vcov='model'."
            )

    def _check_generalised(self, trial: Trial, maths: FamilyMaths) -> None:
        check_generalised(trial, self.correlation, self.df, maths, self.quadrature)
        if self.robust:
            raise FitError(
                f"vcov={self.vcov!r} is for Gaussian outcomes; this one is {trial.family}. Use FixedEffects(vcov={self.vcov!r}) or GEE(),"
                " whose cluster-robust variances are for every family, or vcov='model'."
            )

    def _freedom(self, trial: Trial, parts: Effects, natural: Array) -> Array:
        if self.df == "between-within":
            return np.broadcast_to(between_within(trial, parts), natural.shape)
        return np.broadcast_to(informed(trial)[:, None] - 2.0, natural.shape) if self.df == "clusters" else natural

    def _assembled(self, trial: Trial, parts: Effects, found: Found) -> Estimate:
        wording = self._wording(trial, parts)
        numbers = (found.estimate, found.covariance, self._freedom(trial, parts, found.df))
        details = {"criterion": found.criterion, **found.variances, **found.shares}
        fit = assemble(trial, parts.terms, numbers, found.status, wording, details, found.alone)
        if not trial.shape and fit.status == Status.SINGULAR and not self.robust:  # the advice is about model-based df
            fit = replace(fit, notes=(*fit.notes, Status.SINGULAR.advice))
        variances = {name: fit.details[name] for name in found.variances}
        shares = {name: fit.details[name] for name in found.shares}
        return replace(fit, details={"criterion": fit.details["criterion"], "variances": variances, **shares})

    def _wording(self, trial: Trial, parts: Effects) -> Wording:
        notes = (*trial.notes, *self._warnings(trial))
        name = f"MixedModel {self.vcov} {self.df}" if self.robust else f"MixedModel {self.df}"
        return Wording(name, parts.estimand, self.scale(trial), self._methods(trial, parts), notes)

    def _warnings(self, trial: Trial) -> tuple[str, ...]:
        clusters = int(informed(trial).max())
        notes = [] if trial.family == "gaussian" else few_clusters(trial, self.correlation)
        if trial.family == "gaussian" and not self.nested and not self.robust:
            notes.append("Without a cluster-by-period effect the standard error assumes that all clusters share one secular trend exactly.")
        if self.robust and clusters < ENOUGH_CLUSTERS and (self.vcov in ("CR0", "CR1") or self.df == "normal"):
            notes.append(
                f"{self.vcov} with {DF_WORDS[self.df]} degrees of freedom is not safe with {clusters} clusters. Report CR2 with"
                " Satterthwaite degrees of freedom beside it."
            )
        if trial.cells.cohort is not None and not in_cohort(self.correlation.structure()):
            notes.append(
                "The same individuals are in every period, and this model takes them for new ones. Estimate what they have in common:"
                " MixedModel(NestedExchangeable(iac=None))."
            )
        if trial.cells.within is None and trial.family == "gaussian":
            notes.append("Only cell means were given: each is taken as one observation weighted by its count.")
        return tuple(notes)

    def _named_df(self) -> str:
        decays = self.correlation.structure().decay != "none"
        return ("first-order " if self.df == "kenward-roger" and decays else "") + DF_WORDS[self.df]

    def _named_variance(self) -> str:
        return f" {self.vcov} cluster-robust variance and" if self.robust else ""

    def _methods(self, trial: Trial, parts: Effects) -> str:
        kind = (
            "Linear mixed model"
            if trial.family == "gaussian"
            else f"{trial.family.capitalize()} mixed model ({self.scale(trial)} link, {approximation(self.quadrature)})"
        )
        criterion = ("restricted " if self.reml else "") + "maximum likelihood" if trial.family == "gaussian" else "maximum likelihood"
        return (
            f"{kind} with fixed period effects{estimated(parts)} and random"
            f" {random_terms(self.correlation.structure())}{adjusted_for(trial)}, fitted by {criterion},{self._named_variance()}"
            f" {self._named_df()} degrees of freedom; {counted(trial)}."
        )
