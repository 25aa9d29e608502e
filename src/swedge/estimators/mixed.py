"""Mixed models: random cluster and cluster-by-period effects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.glm import fit_slots, slot_model
from swedge._kernels.laplace import fit_laplace
from swedge._kernels.least_squares import varies
from swedge._kernels.reml import CellModel, cell_model
from swedge._kernels.reml_inference import MixedFit, fit_mixed
from swedge.assumptions import Constant, Correlation, EffectCurve, Estimand, NestedExchangeable
from swedge.errors import DataError, FitError, Status, nearest
from swedge.estimate import Estimate, Estimator, Wording, assemble
from swedge.estimators.columns import (
    Effects,
    adjusted_for,
    counted,
    covariate_means,
    effects,
    estimated,
    informed,
    padded,
    period_columns,
    slots,
    stack_columns,
    without_effect,
)
from swedge.estimators.pieces import cell_freedom, full, no_variation
from swedge.trial import Trial

Array = NDArray[np.float64]

DF_WORDS = {
    "kenward-roger": "Kenward-Roger",
    "satterthwaite": "Satterthwaite",
    "clusters": "clusters minus 2",
    "normal": "infinite (normal)",
}
VANISHED = 1e-10
DFS = ("kenward-roger", "satterthwaite", "clusters", "normal")


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
        1 is Laplace's approximation.
    df : {"kenward-roger", "satterthwaite", "clusters", "normal"}
        The first two are for Gaussian outcomes. "clusters" is the number of clusters minus 2. "normal" has to be asked for.

    References
    ----------
    Hussey MA, Hughes JP (2007). Design and analysis of stepped wedge cluster randomized trials. Contemporary Clinical Trials 28, 182-191.
    Hooper R, Teerenstra S, de Hoop E, Eldridge S (2016). Sample size calculation for stepped wedge and other longitudinal cluster
    randomised trials. Statistics in Medicine 35, 4718-4728.
    Kenward MG, Roger JH (1997). Small sample inference for fixed effects from restricted maximum likelihood. Biometrics 53, 983-997.

    Examples
    --------
    >>> MixedModel()
    MixedModel(correlation=NestedExchangeable(icc=None, cac=None, iac=0.0), effect=Constant(), estimand=None, reml=True, quadrature=1,
    df='kenward-roger')
    """

    correlation: Correlation = NestedExchangeable()  # noqa: RUF009 - frozen, so shared safely
    effect: EffectCurve = Constant()  # noqa: RUF009 - frozen, so shared safely
    estimand: Estimand | None = None
    reml: bool = True
    quadrature: int = 1
    df: str = "kenward-roger"

    def __post_init__(self) -> None:
        if self.df not in DFS:
            raise FitError(f"df={self.df!r}; expected one of {', '.join(DFS)}.{nearest(self.df, DFS)}")
        if self.quadrature != 1:
            raise FitError(f"quadrature={self.quadrature}: only Laplace's approximation (1) is available.")
        if self.df == "kenward-roger" and not self.reml:
            raise FitError("Kenward-Roger is defined for restricted maximum likelihood. Use reml=True, or df='satterthwaite'.")
        if self.correlation.components not in (("cluster",), ("cluster", "cluster_period")):
            raise FitError(f"{self.correlation!r} cannot be estimated here. Use Exchangeable() or NestedExchangeable().")

    def scale(self, trial: Trial) -> str:
        """The family's link."""
        return trial.maths.link

    def null(self, trial: Trial, effect: ArrayLike) -> Trial:
        """The trial with an effect that follows `effect` (the curve) taken out, on the family's link."""
        return without_effect(trial, self.effect, effect, self.scale(trial))

    def point(self, trial: Trial) -> Array:
        """Point estimates without the work of degrees of freedom."""
        return replace(self, df="normal").fit(trial).estimate

    @property
    def nested(self) -> bool:
        """Whether the model has a cluster-by-period term."""
        return "cluster_period" in self.correlation.components

    def _fit(self, trial: Trial) -> Estimate:
        return self._fit_gaussian(trial) if trial.family == "gaussian" else self._fit_glmm(trial)

    def _fit_gaussian(self, trial: Trial) -> Estimate:
        parts = effects(trial, self.effect, self.estimand)
        model, before = self._cell_model(trial, parts)
        fit = fit_mixed(model, padded(parts.contrasts, before, len(trial.covariates)), self.df)
        names = ("residual", "cluster", "cluster_period")
        variances = dict(zip(names, fit.variances.T, strict=False))
        numbers = (fit.estimate, fit.std_error**2, self._freedom(trial, fit.df))
        moves = varies(full(trial.n, trial, 2), full(trial.outcome, trial, 2), model.syy)
        left = cell_freedom(trial, model.x) + len(trial.covariates)
        return self._assemble(trial, parts, numbers, _status(model, fit, moves, left), fit.criterion, variances)

    def _cell_model(self, trial: Trial, parts: Effects) -> tuple[CellModel, int]:
        periods = period_columns(trial)
        x = stack_columns(periods, parts.columns)
        if trial.covariates:
            x = stack_columns(x, covariate_means(trial))
        scatter, total = self._scatter(trial, x.shape[-3])
        return cell_model(trial.outcome, x, trial.n, scatter, total, trial.shape, self.nested, self.reml), len(periods)

    def _scatter(self, trial: Trial, p: int) -> tuple[tuple[Array, Array, Array], Array]:
        """Pooled scatter padded to the coefficients, and the number of individuals (of cells, where only means are known)."""
        within, q = trial.cells.within, len(trial.covariates)
        cells = (trial.n > 0).sum((-2, -1)).astype(float)
        total = trial.n.sum((-2, -1))
        if self.nested and (within is None or (total <= cells).all()):
            raise DataError(
                "A cluster-by-period effect cannot be told from the residual: these cells hold one number each. Pass within= (the"
                " scatter inside cells), build the trial from rows, or use MixedModel(Exchangeable()) on the means."
            )
        if within is None:
            return (np.zeros(()), np.zeros(p), np.zeros((p, p))), cells
        pooled = within.sum(-3)
        sxy, sxx = np.zeros((*pooled.shape[:-2], p)), np.zeros((*pooled.shape[:-2], p, p))
        if q:
            sxy[..., p - q :], sxx[..., p - q :, p - q :] = pooled[..., 1:, 0], pooled[..., 1:, 1:]
        return (pooled[..., 0, 0], sxy, sxx), total

    def _fit_glmm(self, trial: Trial) -> Estimate:
        self._check_glmm()
        parts = effects(trial, self.effect, self.estimand)
        periods = period_columns(trial)
        table = slots(trial, stack_columns(periods, parts.columns))
        contrasts = padded(parts.contrasts, len(periods), len(trial.covariates))
        model = slot_model(table.y, table.x, table.n, table.offset, trial.maths, trial.shape)
        fits = [fit_laplace(block, fit_slots(block)) for block in model.blocks()]
        beta, tau, covariance, criterion, _, status = (np.concatenate([f[j] for f in fits]) for j in range(6))
        variance = np.einsum("kp,rpq,kq->rk", contrasts, covariance, contrasts)
        numbers = (beta @ contrasts.T, variance, self._freedom(trial, np.full_like(variance, np.inf)))
        status = np.where(no_variation(model), Status.NO_VARIATION, status).astype(np.int8)
        return self._assemble(trial, parts, numbers, status, criterion, {"cluster": tau**2})

    def _check_glmm(self) -> None:
        if self.nested or self.df in ("kenward-roger", "satterthwaite"):
            raise FitError(
                "A binary or count outcome has a generalised linear mixed model with one random intercept a cluster and no Kenward-Roger or"
                " Satterthwaite df. FixedEffects() leads with few clusters; to run the mixed model all the same, write"
                " MixedModel(Exchangeable(), df='clusters') or df='normal', and read its note."
            )

    def _freedom(self, trial: Trial, natural: Array) -> Array:
        return np.broadcast_to(informed(trial)[:, None] - 2.0, natural.shape) if self.df == "clusters" else natural

    def _assemble(
        self,
        trial: Trial,
        parts: Effects,
        numbers: tuple[Array, Array, Array],
        status: NDArray[np.int8],
        criterion: Array,
        variances: dict[str, Array],
    ) -> Estimate:
        notes = (*trial.notes, *self._warnings(trial))
        wording = Wording(f"MixedModel {self.df}", parts.estimand, trial.maths.link, self._methods(trial, parts), notes)
        fit = assemble(trial, parts.terms, numbers, status, wording, {"criterion": criterion, **variances})
        if not trial.shape and fit.status == Status.SINGULAR:
            fit = replace(fit, notes=(*fit.notes, Status.SINGULAR.advice))
        return replace(fit, details={"criterion": fit.details["criterion"], "variances": {name: fit.details[name] for name in variances}})

    def _warnings(self, trial: Trial) -> tuple[str, ...]:
        notes = []
        if trial.family != "gaussian" and len(trial.clusters) < 40:
            notes.append(
                f"With {len(trial.clusters)} clusters this test holds its size only if all clusters share one secular trend exactly: see"
                " swedge.studies.size_table, where it rejects a true null in 9 to 27% of Family Safeguarding trials with"
                " cluster-by-period noise."
            )
        if trial.family == "gaussian" and not self.nested:
            notes.append("Without a cluster-by-period effect the standard error assumes that all clusters share one secular trend exactly.")
        if trial.cells.within is None and trial.family == "gaussian":
            notes.append("Only cell means were given: each is taken as one observation weighted by its count.")
        return tuple(notes)

    def _methods(self, trial: Trial, parts: Effects) -> str:
        kind = (
            "Linear mixed model"
            if trial.family == "gaussian"
            else f"{trial.family.capitalize()} mixed model ({trial.maths.link} link, Laplace)"
        )
        criterion = ("restricted " if self.reml else "") + "maximum likelihood" if trial.family == "gaussian" else "maximum likelihood"
        terms = "cluster and cluster-by-period" if self.nested else "cluster"
        return (
            f"{kind} with fixed period effects{estimated(parts)} and random {terms} effects{adjusted_for(trial)}, fitted by {criterion},"
            f" {DF_WORDS[self.df]} degrees of freedom; {counted(trial)}."
        )


def _status(model: CellModel, fit: MixedFit, moves: NDArray[np.bool_], left: Array) -> NDArray[np.int8]:
    """Status of each replicate, the gravest last; without cells `left` over, nothing tells the variance of clusters."""
    status = np.where(fit.singular, Status.SINGULAR, Status.OK)
    status = np.where(fit.converged, status, Status.NOT_CONVERGED)
    # A residual that vanishes beside the random effects leaves the likelihood without a maximum.
    vanished = fit.variances[:, 0] < VANISHED * fit.variances.sum(-1)
    status = np.where(vanished, Status.NO_RESIDUAL, status)
    status = np.where((model.freedom > 0) & (left > 0), status, Status.NO_DEGREES_OF_FREEDOM)
    status = np.where(fit.definite, status, Status.RANK_DEFICIENT)
    return np.where(moves, status, Status.NO_VARIATION).astype(np.int8)
