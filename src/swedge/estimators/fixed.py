"""Cluster and period effects as fixed coefficients, with variances that hold with few clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.glm import SlotFit, SlotModel, fit_slots, flat, slot_model
from swedge._kernels.linalg import inverse_factor
from swedge._kernels.sandwich import cluster_robust
from swedge.assumptions import Constant, EffectCurve, Estimand
from swedge.errors import DataError, FitError, Status, nearest
from swedge.estimate import Estimate, Estimator
from swedge.estimators.columns import (
    Effects,
    cluster_columns,
    covariate_means,
    effects,
    padded,
    period_columns,
    slots,
    stack_columns,
)
from swedge.trial import Trial

Array = NDArray[np.float64]

ROBUST = ("CR0", "CR1", "CR2", "CR3")
VCOVS = (*ROBUST, "overdispersed", "model")
DFS = ("satterthwaite", "residual", "clusters", "normal")


class Fitted(NamedTuple):
    """What every variance is made of. ``dispersion`` and ``excess``: model and cell-level residual variance, with their df."""

    beta: Array
    root: Array
    crossed: Array
    scores: Array
    dispersion: Array
    dispersion_df: Array
    excess: Array
    excess_df: Array
    status: NDArray[np.int8]


@dataclass(frozen=True)
class FixedEffects(Estimator):
    """Regression on cluster, period and treatment, with the family's canonical link.

    Parameters
    ----------
    vcov : {"CR2", "CR3", "CR1", "CR0", "overdispersed", "model"}
        Cluster-robust variances (CR2 by default, whitened, so that rows and cells agree); "overdispersed" multiplies the model's variance by the
        Pearson chi-square of the cells over its degrees of freedom, never by less than 1, and assumes cluster-by-period noise of the same
        size everywhere; "model" trusts the family.
    df : {"satterthwaite", "residual", "clusters", "normal"}, optional
        Left out: Satterthwaite for the robust variances, residual for the others. "residual" is cells minus cell-level coefficients for
        "overdispersed" (and for "model" with a binary or count outcome), individuals minus coefficients for a Gaussian "model"; "clusters" is
        the number of clusters minus 1; "normal" is infinity, and understates with few clusters.
    effect : EffectCurve
        The effect curve; `Constant` by default.
    estimand : Estimand, optional
        What to read off `ByExposure` effects.

    References
    ----------
    Bell RM, McCaffrey DF (2002). Bias reduction in standard errors for linear regression with multi-stage samples. Survey Methodology 28,
    169-181.
    Pustejovsky JE, Tipton E (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects models.
    Journal of Business and Economic Statistics 36, 672-683.

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
    effect: EffectCurve = Constant()
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

    def point(self, trial: Trial) -> Array:
        """Point estimates without the work of a robust variance."""
        return replace(self, vcov="model", df="normal").fit(trial).estimate

    @property
    def df_method(self) -> str:
        """The df in force."""
        return self.df or ("satterthwaite" if self.vcov in ROBUST else "residual")

    def _fit(self, trial: Trial) -> Estimate:
        parts = effects(trial, self.effect, self.estimand)
        base = stack_columns(period_columns(trial), cluster_columns(trial))
        covariates = len(trial.covariates)
        contrasts = padded(parts.contrasts, base.shape[-3], covariates)
        columns = stack_columns(base, parts.columns)
        fitted = _gaussian(trial, columns, self.vcov) if trial.family == "gaussian" else _glm(trial, columns, self.vcov)
        estimate, variance, df = self._infer(trial, fitted, contrasts)
        return self._estimate(trial, parts, fitted, estimate, variance, df)

    def _infer(self, trial: Trial, fitted: Fitted, contrasts: Array) -> tuple[Array, Array, Array]:
        estimate = fitted.beta @ contrasts.T
        if self.vcov in ROBUST:
            robust = cluster_robust(self.vcov, fitted.root, fitted.crossed, fitted.scores, contrasts)
            return estimate, robust.variance, self._freedom(trial, robust.df, robust.df)
        scale, freedom = (fitted.dispersion, fitted.dispersion_df)
        if self.vcov == "overdispersed":
            scale, freedom = np.maximum(fitted.excess, fitted.dispersion), fitted.excess_df
        half = fitted.root @ contrasts.T
        variance = scale[:, None] * (half**2).sum(-2)
        return estimate, variance, self._freedom(trial, variance, np.broadcast_to(freedom[:, None], variance.shape))

    def _freedom(self, trial: Trial, like: Array, natural: Array) -> Array:
        fixed = {"clusters": len(trial.clusters) - 1.0, "normal": np.inf}
        return np.full_like(like, fixed[self.df_method]) if self.df_method in fixed else np.asarray(natural)

    def _estimate(self, trial: Trial, parts: Effects, fitted: Fitted, estimate: Array, variance: Array, df: Array) -> Estimate:
        status = np.where((df > 0).all(-1) | np.isnan(df).any(-1), fitted.status, Status.NO_DEGREES_OF_FREEDOM)
        status = np.where((status <= Status.SINGULAR) & ~np.isfinite(variance).all(-1), Status.RANK_DEFICIENT, status)
        good = (status <= Status.SINGULAR)[:, None]
        shaped = [_shape(np.where(good, a, np.nan), trial.shape, len(parts.terms)) for a in (estimate, np.sqrt(variance), df)]
        return Estimate(
            parts.terms,
            *shaped,
            status=np.broadcast_to(status, (int(np.prod(trial.shape)),)).reshape(trial.shape).astype(np.int8),
            estimand=parts.estimand,
            estimator=f"FixedEffects {self.vcov}",
            scale=trial.maths.link,
            methods=self._methods(trial),
            notes=(*trial.notes, *self._warnings(trial)),
            details={"dispersion": _shape(fitted.excess[:, None], trial.shape, 1)},
        )

    def _warnings(self, trial: Trial) -> tuple[str, ...]:
        if len(trial.clusters) < 40 and (self.vcov in ("CR0", "CR1", "model") or self.df == "normal"):
            return (
                f"{self.vcov} with {self.df_method} df rejects too often with {len(trial.clusters)} clusters: see swedge.studies.size_table, which"
                " reproduces its size on the Family Safeguarding trial. Report CR2 with Satterthwaite df beside it.",
            )
        return ()

    def _methods(self, trial: Trial) -> str:
        model = {"gaussian": "Linear", "binomial": "Logistic", "poisson": "Poisson"}[trial.family]
        adjusted = f", adjusted for {', '.join(trial.covariates)}" if trial.covariates else ""
        variance = f"{self.vcov} cluster-robust" if self.vcov in ROBUST else {"model": "model-based", "overdispersed": "overdispersed"}[self.vcov]
        return (
            f"{model} regression with fixed cluster and period effects{adjusted}, {variance} standard errors and {self.df_method} degrees of freedom;"
            f" {len(trial.clusters)} clusters, {trial.n.shape[-1]} periods."
        )


def _shape(rows: Array, lead: tuple[int, ...], terms: int) -> Array:
    """``(R or 1, K)`` to the leading shape, with K kept only when there are several terms."""
    full = np.broadcast_to(rows, (int(np.prod(lead)), terms))
    return full.reshape(lead if terms == 1 else (*lead, terms)).copy()


def _cell_freedom(trial: Trial, columns: Array) -> Array:
    """Cells with data minus coefficients that cells inform, ``(R,)``."""
    return np.atleast_1d((trial.n > 0).sum((-2, -1))).astype(float).ravel() - columns.shape[-3]


def _glm(trial: Trial, columns: Array, vcov: str) -> Fitted:
    """Every block of the stack fitted and boiled down, so that no block's columns outlive it."""
    parts = slots(trial, columns)
    model = slot_model(parts.y, parts.x, parts.n, parts.offset, trial.maths, trial.shape)
    pieces = [_glm_block(trial, block, vcov) for block in model.blocks()]
    joined = [np.concatenate([piece[j] for piece in pieces]) for j in range(6)]
    one = np.ones(len(joined[0]))
    freedom = _cell_freedom(trial, columns) * one
    still = _no_variation(model)
    status = np.where(still, Status.NO_VARIATION, joined[5]).astype(np.int8)
    return Fitted(*joined[:4], one, freedom, joined[4] / np.maximum(freedom, 1e-300), freedom, status)


def _no_variation(model: SlotModel) -> NDArray[np.bool_]:
    """Whether every outcome of a replicate is the least or the greatest possible."""
    seen = model.n > 0
    lowest = ((model.y == 0) | ~seen).all((-2, -1))
    highest = ((model.y == 1) | ~seen).all((-2, -1)) if model.family.name == "binomial" else np.zeros_like(lowest)
    return np.broadcast_to(lowest | highest, (model.size,))


def _glm_block(trial: Trial, model: SlotModel, vcov: str) -> tuple[Array, ...]:
    fit = fit_slots(model)
    crossed, scores = _cluster_sums(model, fit) if vcov in ROBUST else (np.zeros((model.size, 1, 1, 1)),) * 2
    return fit.beta, fit.root, crossed, scores, _pearson(trial, model, fit), fit.status


def _cluster_sums(model: SlotModel, fit: SlotFit) -> tuple[Array, Array]:
    """Each cluster's cross-product ``(R, I, p, p)`` and score ``(R, I, p)``; one cluster at a time, to stay small."""
    residual = model.n * (model.y - fit.mu)
    crossed, scores = [], []
    for i in range(model.n.shape[-2]):
        x = model.x[:, :, i]
        crossed.append((x * fit.w[:, None, i]) @ x.swapaxes(-1, -2))
        scores.append((x @ residual[:, i, :, None])[..., 0])
    return np.stack(crossed, -3), np.stack(scores, -2)


def _pearson(trial: Trial, model: SlotModel, fit: SlotFit) -> Array:
    """Pearson chi-square of the cells: slots are added up to cells first."""
    residual, expected = model.n * (model.y - fit.mu), fit.w
    if trial.patterns is not None:
        residual, expected = trial.patterns.gather(residual), trial.patterns.gather(expected)
    return np.asarray((np.divide(residual**2, expected, out=np.zeros_like(residual), where=expected > 0)).sum((-2, -1)))


def _gaussian(trial: Trial, columns: Array, vcov: str) -> Fitted:
    """Least squares from cells and scatter."""
    x = stack_columns(columns, covariate_means(trial)) if trial.covariates else columns
    lead, p = trial.shape, x.shape[-3]
    flatten = [np.broadcast_to(a, (*lead, *a.shape[a.ndim - k :])).reshape((-1, *a.shape[a.ndim - k :])) for a, k in ((x, 3), (trial.n, 2), (trial.outcome, 2))]
    x, n, y = flatten[0] * (flatten[1] > 0)[:, None], flatten[1], np.where(flatten[1] > 0, flatten[2], 0.0)
    inner, inner_y, inner_yy, total = _scatter(trial, p, vcov)
    crossed = np.stack([(x[:, :, i] * n[:, None, i]) @ x[:, :, i].swapaxes(-1, -2) for i in range(n.shape[-2])], -3) + inner
    root, definite = inverse_factor(crossed.sum(-3) if inner.shape[-3] > 1 else crossed.sum(-3) - (n.shape[-2] - 1) * inner[..., 0, :, :])
    moment = (flat(x * n[:, None]) @ flat(y)[..., None])[..., 0] + inner_y.sum(-2)
    beta = (root.swapaxes(-1, -2) @ (root @ moment[..., None]))[..., 0]
    residual = y - (beta[:, None, :] @ flat(x))[:, 0].reshape(y.shape)
    scores = np.stack([(x[:, :, i] @ (n * residual)[:, i, :, None])[..., 0] for i in range(n.shape[-2])], -2)
    scores = scores + inner_y - (inner @ beta[:, None, :, None])[..., 0]
    cell_squares = (n * residual**2).sum((-2, -1))
    pooled, pooled_y = inner.sum(-3), inner_y.sum(-2)
    inner_squares = inner_yy - 2 * (beta * pooled_y).sum(-1) + (beta * (pooled @ beta[..., None])[..., 0]).sum(-1)
    status = np.where(definite, Status.OK, Status.RANK_DEFICIENT)
    status = np.where(cell_squares + inner_squares > 1e-24 * (n * y**2).sum((-2, -1)) + 1e-300, status, Status.NO_VARIATION)
    excess_df = _cell_freedom(trial, columns) * np.ones(len(beta))
    dispersion, dispersion_df = _residual_variance(trial, cell_squares, inner_squares, total, p, excess_df)
    return Fitted(beta, root, crossed, scores, dispersion, dispersion_df, cell_squares / excess_df, excess_df, status.astype(np.int8))


def _residual_variance(trial: Trial, cell: Array, inner: Array, total: Array, p: int, cell_df: Array) -> tuple[Array, Array]:
    """Residual variance of individuals, or of cells where no scatter is known."""
    if trial.cells.within is None:
        return cell / cell_df, cell_df
    freedom = (total - p) * np.ones_like(cell)
    return (cell + inner) / freedom, freedom


def _scatter(trial: Trial, p: int, vcov: str) -> tuple[Array, Array, Array, Array]:
    """Scatter of covariates ``(R, C, p, p)``, with the outcome ``(R, C, p)``, of the outcome ``(R,)``, and individuals ``(R,)``."""
    within, q = trial.cells.within, len(trial.covariates)
    total = np.atleast_1d(trial.n.sum((-2, -1))).ravel()
    if within is None:
        within = np.zeros((1, q + 1, q + 1))
    if q and vcov in ROBUST and within.shape[-3] == 1 and len(trial.clusters) > 1:
        raise DataError("A cluster-robust variance with individual covariates needs each cluster's scatter; within= holds only the pooled one."
                        " Pass within with one matrix a cluster, or build the trial from rows.")
    within = within.reshape((-1, *within.shape[-3:]))
    inner = np.zeros((*within.shape[:2], p, p))
    inner_y = np.zeros((*within.shape[:2], p))
    if q:
        inner[..., p - q :, p - q :] = within[..., 1:, 1:]
        inner_y[..., p - q :] = within[..., 1:, 0]
    return inner, inner_y, within[..., 0, 0].sum(-1), total
