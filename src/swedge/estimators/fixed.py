"""Cluster and period effects as fixed coefficients, with variances that hold with few clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.sandwich import cluster_robust
from swedge.assumptions import Constant, EffectCurve, Estimand
from swedge.errors import FitError, nearest
from swedge.estimate import Estimate, Estimator, Wording, assemble
from swedge.estimators.columns import (
    Effects,
    adjusted_for,
    cluster_columns,
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
from swedge.estimators.mean_model import MeanModel, explained, mean_model
from swedge.estimators.pieces import Pieces, gaussian_pieces, glm_pieces
from swedge.trial import Trial

Array = NDArray[np.float64]

ROBUST = ("CR0", "CR1", "CR2", "CR3")
VCOVS = (*ROBUST, "overdispersed", "model")
DF_WORDS = {"satterthwaite": "Satterthwaite", "residual": "residual", "clusters": "clusters minus 1", "normal": "infinite (normal)"}
DFS = ("satterthwaite", "residual", "clusters", "normal")


@dataclass(frozen=True)
class FixedEffects(Estimator):
    """Regression on cluster, period and treatment, with the family's canonical link.

    Parameters
    ----------
    vcov : {"CR2", "CR3", "CR1", "CR0", "overdispersed", "model"}
        Cluster-robust variances (CR2 by default, whitened, so that rows and cells agree); "overdispersed" multiplies the model's variance
        by the Pearson chi-square of the cells over its degrees of freedom, never by less than 1, and assumes cluster-by-period noise of
        the same size everywhere; "model" trusts the family. A share's variance is only known up to a factor, which cells tell: both are
        then quasi-binomial, and may be less than 1.
    df : {"satterthwaite", "residual", "clusters", "normal"}, optional
        Left out: Satterthwaite for the robust variances, residual for the others. "residual" is cells minus cell-level coefficients for
        "overdispersed" (and for "model" with a binary or count outcome), individuals minus coefficients for a Gaussian "model"; "clusters"
        is the number of clusters minus 1; "normal" is infinity, and understates with few clusters.
    effect : EffectCurve
        The effect curve; `Constant` by default.
    estimand : Estimand, optional
        What to read off `ByExposure` effects.

    References
    ----------
    Bell RM, McCaffrey DF (2002). Bias reduction in standard errors for linear regression with multi-stage samples. Survey Methodology 28,
    169-181.
    Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects
    models. Journal of Business and Economic Statistics 36, 672-683.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> risk = 0.1 + 0.01 * np.arange(5)[:, None] + 0.005 * np.arange(6) - 0.02 * allocation.treatment
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 200), risk, allocation, family="binomial")
    >>> sw.FixedEffects().fit(trial).tidy()["status"].item()
    'ok'
    """

    vcov: str = "CR2"
    df: str | None = None
    effect: EffectCurve = Constant()  # noqa: RUF009 - frozen, so shared safely
    estimand: Estimand | None = None

    def __post_init__(self) -> None:
        if self.vcov not in VCOVS:
            raise FitError(f"vcov={self.vcov!r}; expected one of {', '.join(VCOVS)}.{nearest(self.vcov, VCOVS)}")
        if self.df not in (None, *DFS):
            raise FitError(f"df={self.df!r}; expected one of {', '.join(DFS)}.{nearest(str(self.df), DFS)}")
        if self.df == "satterthwaite" and self.vcov not in ROBUST:
            raise FitError(f"Satterthwaite df belong to the cluster-robust variances, not to vcov={self.vcov!r}. Use df='residual'.")
        if self.df == "residual" and self.vcov in ROBUST:
            raise FitError(f"A cluster-robust variance ({self.vcov}) has no residual df. Use df='satterthwaite' or df='clusters'.")

    def scale(self, trial: Trial) -> str:
        """The family's link."""
        return trial.maths.link

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with an effect that follows `effect` (the curve) taken out, on the family's link."""
        return without_effect(trial, self.effect, self.estimand, effect, self.scale(trial))

    def mean_model(self, trial: Trial) -> MeanModel:
        """Named columns of one trial."""
        return mean_model(trial, self.effect, self.estimand, clusters=True)

    def aliases(self, trial: Trial) -> str:
        """Which columns of one trial's model repeat others."""
        return explained(self.mean_model(trial))

    def bare(self) -> FixedEffects:
        """The same estimate without the work of a robust variance."""
        return replace(self, vcov="model", df="normal")

    def point(self, trial: Trial) -> Array:
        """Point estimates without the work of a robust variance."""
        return self.bare().fit(trial).estimate

    @property
    def df_method(self) -> str:
        """The df in force."""
        return self.df or ("satterthwaite" if self.vcov in ROBUST else "residual")

    def _fit(self, trial: Trial) -> Estimate:
        model = self.fitted_mean(trial)
        contrasts = padded(model.parts.contrasts, model.before.shape[-3], len(trial.covariates))
        covariance, df, alone = model.uncertainty(contrasts)
        numbers = (model.beta @ contrasts.T, covariance, df)
        return assemble(trial, model.parts.terms, numbers, model.status, model.wording, model.details, alone)

    def fitted_mean(self, trial: Trial) -> FittedMean:
        """The regression itself, which effects and predictions are read off."""
        parts = effects(trial, self.effect, self.estimand)
        before = stack_columns(period_columns(trial), cluster_columns(trial))
        boil = gaussian_pieces if trial.family == "gaussian" else glm_pieces
        pieces = boil(trial, stack_columns(before, parts.columns), self.vcov in ROBUST)
        notes = (*trial.notes, *self._warnings(trial))
        wording = Wording(f"FixedEffects {self.vcov}", parts.estimand, trial.maths.link, self._methods(trial, parts), notes)
        details = {"dispersion": pieces.excess / pieces.dispersion}
        uncertainty = partial(self._uncertainty, trial, pieces)
        return FittedMean(parts, before, trial.maths, pieces.beta, uncertainty, pieces.status, wording, details)

    def _uncertainty(self, trial: Trial, pieces: Pieces, contrasts: Array) -> Uncertainty:
        covariance, natural, alone = self._covariance(pieces, contrasts)
        return Uncertainty(covariance, self._freedom(trial, natural), alone)

    def _covariance(self, pieces: Pieces, contrasts: Array) -> tuple[Array, Array, Array | None]:
        """Covariance ``(R, K, K)`` of contrasts ``(K, p)`` or ``(R, K, p)``, df, and what a robust variance does not see, ``(R, K)``."""
        if self.vcov in ROBUST:
            return cluster_robust(self.vcov, pieces.root, pieces.crossed, pieces.scores, contrasts)
        scale, freedom = pieces.dispersion, pieces.dispersion_df
        if self.vcov == "overdispersed":
            scale, freedom = np.maximum(pieces.excess, pieces.dispersion), pieces.excess_df
        half = pieces.root @ contrasts.swapaxes(-1, -2)
        covariance = scale[:, None, None] * (half.swapaxes(-1, -2) @ half)
        return covariance, np.broadcast_to(freedom[:, None], covariance.shape[:-1]), None

    def _freedom(self, trial: Trial, natural: Array) -> Array:
        if self.df_method == "normal":
            return np.full_like(natural, np.inf)
        return np.broadcast_to(informed(trial)[:, None] - 1.0, natural.shape) if self.df_method == "clusters" else natural

    def _warnings(self, trial: Trial) -> tuple[str, ...]:
        clusters = int(informed(trial).max())
        if self.vcov == "overdispersed":
            return ("The overdispersed variance assumes cluster-by-period noise of one size in all clusters, independent between periods.",)
        if clusters < 40 and (self.vcov in ("CR0", "CR1", "model") or self.df == "normal"):
            return (
                f"{self.vcov} with {DF_WORDS[self.df_method]} df is not safe with {clusters} clusters: swedge.studies.size_table shows the"
                " size of such analyses on Family Safeguarding trials. Report CR2 with Satterthwaite df beside it.",
            )
        return ()

    def _methods(self, trial: Trial, parts: Effects) -> str:
        model = {"gaussian": "Linear", "binomial": "Logistic", "poisson": "Poisson", "fractional": "Fractional logistic"}[trial.family]
        variance = (
            f"{self.vcov} cluster-robust" if self.vcov in ROBUST else {"model": "model-based", "overdispersed": "overdispersed"}[self.vcov]
        )
        terms = f"fixed cluster and period effects{estimated(parts)}"
        freedom = f"{DF_WORDS[self.df_method]} degrees of freedom{adjusted_for(trial)}"
        return f"{model} regression with {terms}, {variance} standard errors and {freedom}; {counted(trial)}."
