"""Marginal models by generalised estimating equations, with variances for few clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.gee import GEEFit, fit_gee
from swedge._kernels.gee_variance import QUADRATIC, gee_variance
from swedge.assumptions import Constant, Correlation, EffectCurve, Estimand, NestedExchangeable, family_named
from swedge.errors import FitError, Status, nearest
from swedge.estimate import Estimate, Estimator, Wording, assemble
from swedge.estimators.columns import (
    Effects,
    adjusted_for,
    counted,
    effects,
    estimated,
    informed,
    padded,
    period_columns,
    stack_columns,
    without_effect,
)
from swedge.estimators.fitted_mean import FittedMean, Uncertainty
from swedge.estimators.gee_pieces import KINDS, SECOND, check_individuals, gee_model, no_information, stated
from swedge.estimators.mean_model import MeanModel, explained, mean_model
from swedge.trial import Trial

Array = NDArray[np.float64]

VCOVS = (*QUADRATIC, "MBN", "AVG", "model")
# Variances that rest on the dispersion of individuals.
DISPERSED = ("MBN", "model")
DF_WORDS = {
    "clusters": "clusters minus 2",
    "coefficients": "clusters minus coefficients",
    "satterthwaite": "Satterthwaite",
    "normal": "infinite (normal)",
}
DFS = tuple(DF_WORDS)
MOMENTS = {"MAEE": "matrix-adjusted estimating equations", "cells": "products of cell residuals", "pairs": "products of Pearson residuals"}
# A cluster that holds more than this share of a coefficient's information is worth a note beside MD.
LEVERAGE = 0.5


@dataclass(frozen=True)
class GEE(Estimator):
    """Marginal regression on period and treatment, individuals of a cluster being correlated.

    The correlation is a working one: it decides how cells are weighed, not whether the estimate is right. Cells (or covariate patterns) are
    all that is needed: with a true correlation of individuals, the equations of individuals and those of cluster-period means are the same.

    Parameters
    ----------
    correlation : Exchangeable, NestedExchangeable or ExponentialDecay
        Without values it is estimated; with values it is kept to, and ``Exchangeable(0.0)`` is independence. Decay runs on the calendar.
    vcov : {"KC", "MD", "FG", "CR2", "AVG", "MBN", "robust", "model"}
        Kauermann and Carroll in the form of Preisser, Lu and Qaqish, which corrects one of two residuals and may turn out negative
        (the fit then fails); Mancl and DeRouen; Fay and Graubard, bound .75, which depends on how columns are coded (here: one indicator
        a period, Gaussian covariates about their means); "CR2", Kauermann and Carroll's own square root, never negative; "AVG", the
        average of the standard errors KC and MD; Morel, Bokossa and Neerchal with SAS's defaults; Liang and Zeger's robust variance, too
        small with few clusters; the model's.
    df : {"clusters", "coefficients", "satterthwaite", "normal"}
        Clusters minus 2; clusters minus coefficients, which a small wedge does not have; Satterthwaite's of KC, MD, FG, CR2 and robust
        variances; infinity, which understates with few clusters.
    effect : EffectCurve
    estimand : Estimand, optional
        What to read off `ByExposure` effects.
    moments : {"MAEE", "cells", "pairs"}
        How the correlation is estimated: from products of cell residuals adjusted for their leverage (of two periods, the earlier one's);
        from the same without adjustment; or, with the dispersion, from all pairs of individuals' Pearson residuals (Liang and Zeger). The
        first two take the dispersion of a binary outcome to be 1, and counts to be Poisson within a cell, so that their dispersion is
        ``1 / (1 - icc)``. Correlations may be negative. Where they would leave a
        combination of a cluster's cells less than 1% of its variance under independence, they are shrunk towards 0, and the status is
        ``SINGULAR``.
    link : {"logit", "probit", "cloglog", "log", "identity"}, optional
        Of a binary or count outcome; the family's canonical link if left out.

    Notes
    -----
    Rejection rates at a nominal 5% of true nulls, Family Safeguarding sizes (5 clusters, one a sequence), 5,000 trials each, Monte Carlo SE
    .003, nested working correlation, cluster-by-period noise of standard deviation 0, .1, .2 on the logit scale:

    ======  ==================  ==================
    vcov    clusters minus 2    Satterthwaite
    ======  ==================  ==================
    KC      .039, .039, .043    .051, .053, .058
    CR2     .037, .038, .043    .050, .053, .058
    FG      .035, .040, .050    .052, .055, .067
    AVG     .019, .020, .027    (none)
    MD      .009, .013, .019    .014, .016, .025
    MBN     .003, .006, .005    (none)
    robust  .084, .084, .087    .105, .110, .117
    model   .004, .007, .004    (none)
    ======  ==================  ==================

    References
    ----------
    Liang KY, Zeger SL (1986). Longitudinal data analysis using generalized linear models. Biometrika 73, 13-22.
    Kauermann G, Carroll RJ (2001). A note on the efficiency of sandwich covariance matrix estimation. JASA 96, 1387-1396.
    Mancl LA, DeRouen TA (2001). A covariance estimator for GEE with improved small-sample properties. Biometrics 57, 126-134.
    Fay MP, Graubard BI (2001). Small-sample adjustments for Wald-type tests using sandwich estimators. Biometrics 57, 1198-1206.
    Morel JG, Bokossa MC, Neerchal NK (2003). Small sample correction for the variance of GEE estimators. Biometrical Journal 45, 395-409.
    Preisser JS, Lu B, Qaqish BF (2008). Finite sample adjustments in estimating equations and covariance estimators for intracluster
    correlations. Statistics in Medicine 27, 5764-5785.
    Ford WP, Westgate PM (2017). Improved standard error estimator for maintaining the validity of inference in cluster randomized trials
    with a small number of clusters. Biometrical Journal 59, 478-495.
    Li F, Yu H, Rathouz PJ, Turner EL, Preisser JS (2022). Marginal modeling of cluster-period means and intraclass correlations in stepped
    wedge designs with binary outcomes. Biostatistics 23, 772-788.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> risk = 0.1 + 0.01 * np.arange(5)[:, None] + 0.005 * np.arange(6) - 0.02 * allocation.treatment
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 200), risk, allocation, family="binomial")
    >>> GEE(sw.Exchangeable()).fit(trial).tidy()["status"].item()
    'ok'
    """

    correlation: Correlation = NestedExchangeable()  # noqa: RUF009 - frozen, so shared safely
    vcov: str = "KC"
    df: str = "clusters"
    effect: EffectCurve = Constant()  # noqa: RUF009 - frozen, so shared safely
    estimand: Estimand | None = None
    moments: str = "MAEE"
    link: str | None = None

    def __post_init__(self) -> None:
        for name, known in (("vcov", VCOVS), ("df", DFS), ("moments", tuple(MOMENTS))):
            value = getattr(self, name)
            if value not in known:
                raise FitError(f"{name}={value!r}; expected one of {', '.join(known)}.{nearest(str(value), known)}")
        if self.df == "satterthwaite" and self.vcov not in QUADRATIC:
            raise FitError(f"Satterthwaite df belong to {', '.join(QUADRATIC)}, not to vcov={self.vcov!r}. Use df='clusters'.")
        stated(self.correlation)

    def scale(self, trial: Trial) -> str:
        """The link."""
        return family_named(trial.family, self.link).link

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with an effect that follows `effect` (the curve) taken out, on the link's scale."""
        return without_effect(trial, self.effect, self.estimand, effect, self.scale(trial))

    def mean_model(self, trial: Trial) -> MeanModel:
        """Named columns of one trial."""
        return mean_model(trial, self.effect, self.estimand, clusters=False)

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others."""
        return explained(self.mean_model(trial))

    def bare(self) -> GEE:
        """The same estimate with the plainest standard error."""
        return replace(self, vcov="robust", df="normal")

    def point(self, trial: Trial) -> Array:
        """Point estimates without a correction of their variance."""
        return self.bare().fit(trial).estimate

    def _fit(self, trial: Trial) -> Estimate:
        model = self.fitted_mean(trial)
        contrasts = padded(model.parts.contrasts, model.before.shape[-3], len(trial.covariates))
        covariance, df, alone = model.uncertainty(contrasts)
        if not trial.shape and (np.einsum("...kk->...k", covariance) < 0).any():
            raise FitError(f"The {self.vcov} variance came out negative, as its product form may. Use vcov='CR2', its square root.")
        numbers = (model.beta @ contrasts.T, covariance, df)
        fit = assemble(trial, model.parts.terms, numbers, model.status, model.wording, model.details, alone)
        return fit if trial.shape else replace(fit, notes=(*fit.notes, *self._findings(fit)))

    def fitted_mean(self, trial: Trial) -> FittedMean:
        """The regression itself, which effects and predictions are read off."""
        check_individuals(trial, self.correlation, self.moments, self.vcov in DISPERSED)
        parts, before, family = effects(trial, self.effect, self.estimand), period_columns(trial), family_named(trial.family, self.link)
        model = gee_model(trial, stack_columns(before, parts.columns), family, self.correlation, self.moments)
        found = fit_gee(model)
        status = np.where(no_information(trial, model), Status.NO_VARIATION, found.status).astype(np.int8)
        notes = (*trial.notes, *self._warnings(trial))
        wording = Wording(f"GEE {self.vcov}", parts.estimand, family.link, self._methods(trial, parts), notes)
        uncertainty = partial(self._uncertainty, trial, found)
        return FittedMean(parts, before, family, found.beta, uncertainty, status, wording, self._details(found))

    def _uncertainty(self, trial: Trial, found: GEEFit, contrasts: Array) -> Uncertainty:
        people = np.broadcast_to(trial.n.sum((-2, -1)), trial.shape).ravel()
        pieces = (found.root, found.crossed, found.scores)
        covariance, df, alone = gee_variance(self.vcov, *pieces, contrasts, found.dispersion, people)
        return Uncertainty(covariance, self._freedom(trial, df, found.beta.shape[-1]), alone)

    def _freedom(self, trial: Trial, natural: Array, coefficients: int) -> Array:
        if self.df == "satterthwaite":
            return natural
        if self.df == "normal":
            return np.full_like(natural, np.inf)
        left = informed(trial) - (coefficients if self.df == "coefficients" else 2)
        if (left <= 0).all():
            raise FitError(
                f"{informed(trial).max():.0f} clusters leave no df='{self.df}' ({DF_WORDS[self.df]}, {coefficients} coefficients). Use"
                " df='clusters' with at least 3 clusters, or a RandomisationTest of this estimator."
            )
        return np.broadcast_to(left[:, None], natural.shape)

    def _details(self, found: GEEFit) -> dict[str, Array]:
        """Estimated correlations, dispersion, and the largest share of a direction's information that one cluster holds."""
        kind = KINDS[type(self.correlation)]
        second = {SECOND[kind]: found.theta[:, 1]} if kind in SECOND else {}
        correlation = {} if stated(self.correlation) else {"icc": found.theta[:, 0], **second}
        return {**correlation, "dispersion": found.dispersion, "leverage": found.leverage}

    def _findings(self, fit: Estimate) -> tuple[str, ...]:
        """What one fit turned out to be."""
        notes = []
        if fit.status == Status.SINGULAR:
            notes.append(
                "The correlation estimate is at or beyond the edge of what is possible and was held there: weights are poor, but robust"
                " variances stand."
            )
        if self.vcov in ("MD", "AVG") and fit.details["leverage"] > LEVERAGE:
            notes.append(
                f"One cluster holds {float(fit.details['leverage']):.0%} of the information on some combination of coefficients, and"
                f" {self.vcov} divides residuals by what others hold: it errs on the large side here."
            )
        return tuple(notes)

    def _warnings(self, trial: Trial) -> tuple[str, ...]:
        clusters = int(informed(trial).max())
        if clusters < 40 and (self.vcov in ("robust", "model") or self.df == "normal"):
            return (
                f"{self.vcov} with {DF_WORDS[self.df]} df is not safe with {clusters} clusters: see the rejection rates in GEE's notes."
                " Report KC with df='clusters' beside it.",
            )
        return ()

    def _methods(self, trial: Trial, parts: Effects) -> str:
        how = f"kept to {self.correlation!r}" if stated(self.correlation) else f"estimated by {MOMENTS[self.moments]}"
        kind = {"exchangeable": "exchangeable", "nested": "nested exchangeable", "decay": "exponentially decaying"}
        return (
            f"Generalised estimating equations ({trial.family}, {self.scale(trial)} link) with fixed period effects{estimated(parts)}"
            f" and an {kind[KINDS[type(self.correlation)]]} working correlation {how}, {self.vcov} standard errors and"
            f" {DF_WORDS[self.df]} degrees of freedom{adjusted_for(trial)}; {counted(trial)}."
        ).replace("an nested", "a nested")
