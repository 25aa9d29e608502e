"""Analytic power: the generalised-least-squares variance of the effect for any design, any cell sizes and any correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.gls import GLS, generalised_least_squares, satterthwaite
from swedge._kernels.noncentral import two_sided_power
from swedge.assumptions import Constant, Correlation, EffectCurve, Estimand, Part, ProportionalDecay, covariance_of, read_off
from swedge.design import Allocation, Design
from swedge.errors import DesignError
from swedge.power.assumed import LINKS, Assumed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class Evaluated(NamedTuple):
    """Variance, df and cell weights of the effect under one allocation or a stack of them, ``(...)``."""

    variance: Array
    df: Array
    weights: Array


@dataclass(frozen=True, eq=False)
class AnalyticPower:
    """Power of a two-sided Wald test, and what it rests on.

    Attributes
    ----------
    power, std_error, df : float
        df may be infinite.
    weights : ndarray (I, T)
        The estimate is this weighted sum of cell means (of working residuals, under a link).
    design, allocation, assumed
        What was powered.
    notes : tuple of str
    """

    power: float
    std_error: float
    df: float
    weights: Array
    design: Design
    allocation: Allocation
    assumed: Assumed
    notes: tuple[str, ...] = ()

    @property
    def effect(self) -> float:
        """The effect powered, on the link's scale."""
        return self.assumed.effect

    def tidy(self) -> pd.DataFrame:
        """One row: power, std_error, df, effect, alpha, estimand, variance convention, correlation."""
        a = self.assumed
        convention = a.variance if a.family != "gaussian" else "sd"
        row = {"power": self.power, "std_error": self.std_error, "df": self.df, "effect": a.effect, "alpha": a.alpha}
        words = {
            "estimand": _estimand(a),
            "link": a.link,
            "variance": convention,
            "df_method": str(a.df),
            "correlation": repr(a.correlation),
        }
        return pd.DataFrame([{**row, **words, "clusters": self.design.n_clusters, "periods": self.design.n_periods}])

    def summary(self) -> str:
        """One sentence fit for a protocol, with its notes."""
        a = self.assumed
        df = "the normal distribution" if np.isinf(self.df) else f"{self.df:.1f} degrees of freedom ({a.df})"
        count = self.design.count()
        lines = [
            f"With {self.design.n_clusters} clusters and {self.design.n_periods} periods, {float(a.sizes(self.design).mean()):.4g}"
            f" individuals a cell on average{_outcome(a)} and {a.correlation!r}, the standard error of the {_estimand(a)} is"
            f" {self.std_error:.6g} and the power to detect {a.effect:g} ({_scale(a)}) at two-sided {a.alpha:g} is {self.power:.3f}"
            f" ({df}).",
            f"The design permits {count:,} allocations: its randomisation test cannot give a p below {self.design.min_p():.3g}.",
        ]
        if a.family != "gaussian":
            lines.append(
                "No analysis of a binary or count outcome has quite this power when clusters are few: simulate the one that will be run."
            )
        elif a.df == "satterthwaite":
            lines.append("This is the power of a Satterthwaite analysis; a Kenward-Roger one has less when clusters are few: simulate it.")
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Power against the effect, with this effect marked."""
        from swedge._present.power import draw_power_curves

        reach = max(2 * abs(self.effect), 4 * self.std_error)
        effects = np.linspace(0, reach, 60)
        powers = two_sided_power(effects, self.std_error, self.df, self.assumed.alpha)
        axes = draw_power_curves(effects, {"analytic": powers}, {"analytic": np.zeros(60)}, f"effect ({self.assumed.link} scale)", ax=ax)
        axes.plot([abs(self.effect)], [self.power], "o", color="black")
        return axes


def analytic_power(
    design: Design,
    *,
    effect: float,
    size: Any,
    correlation: Correlation,
    sd: float | None = None,
    baseline: Any = None,
    family: str = "gaussian",
    variance: str = "cell",
    link: str = "identity",
    alpha: float = 0.05,
    df: str | float = "satterthwaite",
    allocation: Allocation | None = None,
    trend: Any = 0.0,
    curve: EffectCurve | None = None,
    estimand: Estimand | None = None,
    period_effects: bool = True,
) -> AnalyticPower:
    """Power of the Wald test of a treatment effect estimated by generalised least squares at the assumed correlation.

    Parameters
    ----------
    design : Design
    effect : float
        Treated minus control on the link's scale; for an `estimand`, its value.
    size : float or array_like (I,) or (I, T)
        Individuals a cell, 0 for a cell without data.
    correlation : Correlation
        `Exchangeable`, `NestedExchangeable`, `ExponentialDecay`, `ProportionalDecay` or `RandomEffects`, with values.
    sd : float, optional
        Total standard deviation of a Gaussian outcome in one period.
    baseline : float or array_like (I,), optional
        Mean under control in the first period of a binary or count outcome.
    variance : {"cell", "control", "pooled", "average"}
        Which mean `m` gives the total variance of a binary outcome, ``m (1 - m)``: each cell's own, the control mean, the mean of both
        arms' means, or the average of the two arms' variances.
    link : {"identity", "logit", "log"}
        Of a binary or count outcome's marginal model (GEE), whose correlations are those of the outcomes. `RandomEffects` are on the link's
        scale instead, and the model is the GLMM linearised at its typical cluster; give the mean of that cluster as `baseline`.
    df : {"satterthwaite", "normal", "clusters", "between-within", "containment"} or float
        "satterthwaite" uses the expected information of the correlation's parameters; "clusters" is clusters minus 2; "between-within" is
        observed cells minus clusters minus the remaining period and effect columns; "containment" is the same when the correlation has a
        cluster-by-period part, and counts individuals instead of cells when it has none.
    allocation : Allocation, optional
        Left out: the clusters take the sequences in the order in which the design lists them. It matters when sizes differ.
    trend : float or array_like (T,)
        Secular change a period (or each period's shift) on the link's scale.
    curve, estimand : EffectCurve, Estimand
        Model of the effect over exposure, and what is read off `ByExposure`.
    period_effects : bool
        False leaves out the period effects, which confounds the effect with any trend; noted in the result.

    Notes
    -----
    The test is two-sided, both tails count, and t is noncentral. With ``V_i`` the covariance of cluster i's cell means and ``D`` the
    derivative of the mean in the linear predictor, ``Var = L' (sum_i X_i' D V_i^-1 D X_i)^-1 L``.

    References
    ----------
    Hussey MA, Hughes JP (2007). Design and analysis of stepped wedge cluster randomized trials. Contemporary Clinical Trials 28, 182-191.
    Li F, Hughes JP, Hemming K, Taljaard M, Melnick ER, Heagerty PJ (2021). Mixed-effects models for the design and analysis of stepped
    wedge cluster randomized trials: an overview. Statistical Methods in Medical Research 30, 612-639.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=5, periods=6)
    >>> power = sw.analytic_power(design, effect=4.2, size=20, sd=9, correlation=sw.Exchangeable(0.013), df="normal")
    >>> round(power.power, 4)
    0.9521
    """
    assumed = Assumed(
        effect, size, correlation, sd, baseline, family, variance, link, alpha, df, trend, curve or Constant(), estimand, period_effects
    )
    return power_of(design, assumed, allocation)


def power_of(design: Design, assumed: Assumed, allocation: Allocation | None = None) -> AnalyticPower:
    """`analytic_power` of assumptions already gathered."""
    known: object = design
    if not isinstance(known, Design):
        raise DesignError(f"analytic power is that of a Design, and this is a {type(known).__name__}. Of an allocation, pass its .design.")
    chosen = placed(design, allocation)
    at = evaluate(design, assumed, chosen.treatment, chosen.exposure)
    variance, df = float(at.variance), float(at.df)
    if not np.isfinite(variance):
        raise DesignError(
            f"This design does not identify the {_estimand(assumed)}: no period holds both treated and control cells that are observed,"
            " or an exposure is always seen in the same periods. Add controls, or assume a simpler effect curve."
        )
    power = float(two_sided_power(assumed.effect, np.sqrt(variance), df, assumed.alpha))
    return AnalyticPower(power, float(np.sqrt(variance)), df, at.weights, design, chosen, assumed, _notes(design, assumed, allocation))


def placed(design: Design, allocation: Allocation | None) -> Allocation:
    """The allocation given, checked to be one of these clusters and periods, or the one in order."""
    if allocation is None:
        return in_order(design)
    known: object = allocation
    if not isinstance(known, Allocation):
        raise DesignError(
            f"allocation is a {type(known).__name__}; expected one drawn or carried out: design.randomise() or design.allocate()."
        )
    if allocation.design.clusters != design.clusters or allocation.design.n_periods != design.n_periods:
        raise DesignError("The allocation is one of other clusters or periods than the design's. Use design.allocate or design.randomise.")
    return allocation


def in_order(design: Design) -> Allocation:
    """The permitted allocation in which clusters take sequences in the order in which the design lists them, or the first permitted."""
    sequence = np.repeat(np.arange(design.n_sequences), design.clusters_per_sequence)
    if not design.permits(tuple(int(s) for s in sequence)):
        sequence = np.asarray(next(iter(design.iter_allocations(block=1))))[0]
    return Allocation(design, tuple(int(s) for s in sequence))


class Model(NamedTuple):
    """Columns ``(..., p, I, T)`` times the slope of the link, the covariance of cell means and its parts, what is observed and asked."""

    columns: Array
    covariance: Array
    parts: list[Part]
    seen: NDArray[np.bool_]
    sizes: Array
    contrast: Array


def model_of(design: Design, assumed: Assumed, treatment: Array, exposure: NDArray[np.int64], n: Array | None = None) -> Model:
    """The linear model of cell means under ``treatment (..., I, T)``; `n` overrides the sizes."""
    sizes = assumed.sizes(design) if n is None else n
    seen = ~np.isnan(treatment) & (sizes > 0)
    names, columns = assumed.curve.columns(treatment, exposure)
    terms, contrasts = read_off(assumed.curve, assumed.estimand, names, treatment, exposure)
    if len(terms) > 1:
        raise DesignError(f"curve={assumed.curve!r} has {len(terms)} effects. Name what is powered: estimand=TATE(), LTE() or PTE(s).")
    shape = np.nan_to_num(treatment) if len(names) > 1 else columns[..., 0, :, :]
    cells = assumed.cell_means(design, assumed.effect * shape)
    x, before = _columns(assumed, columns, seen)
    slope = np.broadcast_to(LINKS[assumed.link][2](cells), seen.shape)
    parts = assumed.correlation.parts(assumed.layout(design, treatment, cells))
    covariance = covariance_of(parts, np.where(seen, sizes, 1.0))
    return Model(x * slope[..., None, :, :], covariance, parts, seen, sizes, np.concatenate([np.zeros(before), contrasts[0]]))


def evaluate(design: Design, assumed: Assumed, treatment: Array, exposure: NDArray[np.int64], n: Array | None = None) -> Evaluated:
    """Variance and df of the effect under ``treatment (..., I, T)``, and cell weights; `n` overrides the sizes."""
    model = model_of(design, assumed, treatment, exposure, n)
    fit = generalised_least_squares(model.columns, model.covariance, model.seen, model.contrast)
    _check_definite(assumed, fit)
    return Evaluated(fit.variance, _freedom(assumed, fit, model), fit.weights)


def _columns(assumed: Assumed, effects: Array, seen: NDArray[np.bool_]) -> tuple[Array, int]:
    """Period indicators (or one constant) and effect columns, ``(..., p, I, T)``; a period nobody observes has no column."""
    clusters, periods = seen.shape[-2:]
    held = seen.reshape((-1, clusters, periods)).any((0, 1))
    rows = np.eye(periods)[held] if assumed.period_effects else np.ones((1, periods))
    base = np.broadcast_to(rows[:, None, :], (*effects.shape[:-3], len(rows), clusters, periods))
    return np.concatenate([base, effects], axis=-3), len(rows)


def _freedom(assumed: Assumed, fit: GLS, model: Model) -> Array:
    seen, n, parts = model.seen, model.sizes, model.parts
    if not isinstance(assumed.df, str):
        return np.full_like(fit.variance, assumed.df)
    if assumed.df == "satterthwaite":
        return _checked_df(assumed, _satterthwaite(fit, parts, seen, n))
    clusters = seen.any(-1).sum(-1)
    cells = seen.sum((-2, -1)) if assumed.df == "between-within" or _by_period(parts) else np.where(seen, n, 0.0).sum((-2, -1))
    count = {"normal": np.inf, "clusters": clusters - 2.0}.get(assumed.df, cells - clusters - len(model.contrast) + 1.0)
    return np.broadcast_to(_checked_df(assumed, np.asarray(count, dtype=float)), fit.variance.shape)


def _checked_df(assumed: Assumed, count: Array) -> Array:
    if not (count <= 0).any():
        return count
    if assumed.df == "satterthwaite":
        raise DesignError(
            f"No degrees of freedom: this design cannot estimate every variance in {assumed.correlation!r}, for want of clusters that"
            " differ only by chance. Put more clusters on a sequence, or assume a simpler correlation."
        )
    raise DesignError(f"df={assumed.df!r} leaves {float(np.min(count)):g} degrees of freedom. Use df='satterthwaite', or a larger design.")


def _check_definite(assumed: Assumed, fit: GLS) -> None:
    if not fit.sound.all():
        raise DesignError(
            f"The covariance of a cluster's cell means under {assumed.correlation!r} is not positive definite. Give residual= above 0, and"
            " correlations that can hold together."
        )


def _by_period(parts: list[Part]) -> bool:
    """Whether a cluster has an effect in each period that its other effects do not determine."""
    return any(part.value > 0 and np.linalg.eigvalsh(part.between).min() > 1e-9 * np.abs(part.between).max() for part in parts)


def _satterthwaite(fit: GLS, parts: list[Part], seen: NDArray[np.bool_], n: Array) -> Array:
    safe = np.where(seen, n, 1.0)
    both = seen[..., :, None] & seen[..., None, :]
    directions = [np.where(both, covariance_of([part._replace(value=1.0)], safe), 0.0) for part in parts]
    own = np.asarray(sum((part.value * part.individual for part in parts), np.zeros(())))
    inverse = np.linalg.inv(np.where(both, own, np.eye(own.shape[-1])))
    within = [inverse @ np.where(both, part.individual, 0.0) for part in parts]
    extra = np.maximum(np.where(seen, n, 0.0) - 1, 0.0)
    deviations = np.minimum(extra[..., :, None], extra[..., None, :])
    return satterthwaite(fit, directions, within, deviations)


def _estimand(assumed: Assumed) -> str:
    return repr(assumed.estimand) if assumed.estimand is not None else "treatment effect"


def _outcome(assumed: Assumed) -> str:
    """What a binary or count outcome is assumed to be, in words."""
    if assumed.family == "gaussian":
        return ""
    return f", a baseline of {assumed.baseline} ({assumed.family}, variance of each {assumed.variance} mean)"


def _scale(assumed: Assumed) -> str:
    """The effect's scale in words."""
    plain = {"binomial": "risk difference", "poisson": "rate difference"}.get(assumed.family, "difference")
    return {"identity": plain, "logit": "log odds ratio", "log": "log ratio"}[assumed.link]


def _notes(design: Design, assumed: Assumed, allocation: Allocation | None) -> tuple[str, ...]:
    notes = []
    if not assumed.period_effects:
        notes.append("Without period effects any secular trend is taken for an effect of treatment.")
    if assumed.df == "normal" and design.n_clusters < 40:
        notes.append(
            f"The normal distribution overstates power with {design.n_clusters} clusters; df='satterthwaite' is the default for that"
            f" reason."
        )
    if _follows(assumed.correlation) and _uneven(assumed.sizes(design)):
        notes.append("The cohort's cells differ in size: whoever is in a smaller one is taken to be in the larger ones too.")
    if allocation is None and np.ptp(assumed.sizes(design), axis=0).any():
        notes.append("Cluster sizes differ: this is the power of one allocation. power_over_allocations() gives the spread.")
    return tuple(notes)


def _follows(correlation: Correlation) -> bool:
    """Whether individuals are seen more than once."""
    return isinstance(correlation, ProportionalDecay) or any(getattr(correlation, name, 0) > 0 for name in ("iac", "individual"))


def _uneven(sizes: Array) -> bool:
    """Whether some cluster's cells that hold anybody differ in size."""
    return bool((np.where(sizes > 0, sizes, sizes.max(1, keepdims=True)) < sizes.max(1, keepdims=True)).any())
