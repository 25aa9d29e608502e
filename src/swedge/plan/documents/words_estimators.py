"""Estimators in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from swedge import estimators as e
from swedge._present.words import joined
from swedge.assumptions import Constant
from swedge.plan.documents.prose import number
from swedge.plan.documents.words_assumptions import ASSUMPTIONS, periods

ERRORS = {
    "model": "model-based standard errors",
    "overdispersed": (
        "model-based standard errors scaled by the Pearson chi-square of the cells over its degrees of freedom"
        " (never reduced, but for shares)"
    ),
    "auto": (
        "Neyman's conservative standard errors where a design drew the dates and no comparators are analysed, else CR2 cluster-robust ones,"
    ),
    "influence": "the published standard errors from influence functions",
    "saturated": "the saturated regression's clustered standard errors",
    "neyman": "conservative standard errors over random timing (Neyman)",
    "adjusted": "covariate-adjusted conservative standard errors over random timing",
    "placebo": "standard errors from placebos",
    "jackknife": "jackknife standard errors with weights held fixed",
    "KC": "Kauermann-Carroll corrected robust standard errors",
    "MD": "Mancl-DeRouen corrected robust standard errors",
    "FG": "Fay-Graubard corrected robust standard errors",
    "AVG": "robust standard errors averaged over the corrections of Kauermann-Carroll and Mancl-DeRouen",
    "MBN": "Morel-Bokossa-Neerchal corrected robust standard errors",
    "robust": "uncorrected robust standard errors",
    **{name: f"{name} cluster-robust standard errors" for name in ("CR0", "CR1", "CR2", "CR3")},
}
FREEDOM = {
    "kenward-roger": "t with Kenward-Roger degrees of freedom",
    "satterthwaite": "t with Satterthwaite degrees of freedom",
    "between-within": "t with between-within degrees of freedom",
    "clusters": "t with clusters minus 1 degrees of freedom",
    "auto": "the degrees of freedom that go with them",
    "residual": "t with residual degrees of freedom",
    "coefficients": "t with clusters minus coefficients degrees of freedom",
    "normal": "the normal distribution (infinite degrees of freedom)",
}
CONTROLS = {
    "never": "never-treated clusters",
    "not_yet": "clusters not treated yet",
    "strict": "clusters not treated until well after the window",
    "last": "the cohort treated last or never",
    "control": "clusters under control in both periods",
    "always": "clusters treated in both periods",
    "both": "clusters that do not switch, treated or not",
}
AVERAGES = {
    "simple": "averaged over treated cluster-periods",
    "att": "averaged over treated cluster-periods",
    "dynamic": "averaged, and shown by periods since treatment",
    "event": "averaged, and shown by periods since treatment",
    "group": "averaged, and shown by first treated period",
    "cohort": "averaged, and shown by cohort",
    "calendar": "averaged, and shown by calendar period",
    None: "one for each group and period",
}
FEWER = "t with clusters minus 2 degrees of freedom"
"""What "clusters" means in `MixedModel` and `GEE`."""


def about(spec: Any) -> str:
    """An assumption in words."""
    return ASSUMPTIONS[type(spec)](spec)


def uncertainty(spec: Any) -> str:
    """Standard errors and reference distribution, of any estimator."""
    df = getattr(spec, "df_method", None) or spec.df
    fewer = df == "clusters" and isinstance(spec, e.MixedModel | e.GEE)
    return f"{ERRORS[spec.vcov]} and {FEWER if fewer else FREEDOM[df]}"


def effect(spec: Any) -> str:
    """The effect curve, and what is read off it."""
    read = f", of which {about(spec.estimand)} is read off" if spec.estimand is not None else ""
    return f"{about(spec.effect)}{read}"


def _link(link: str | None) -> str:
    return "the canonical link of the outcome's family" if link is None else f"a {link} link for binary and count outcomes"


def fixed(spec: e.FixedEffects) -> str:
    """Regression with fixed effects."""
    return (
        "Regression of individual outcomes on fixed effects of clusters and periods and on treatment, with"
        " the canonical link of the outcome's"
        f" family; treatment has {effect(spec)}; {uncertainty(spec)}."
    )


def mixed(spec: e.MixedModel) -> str:
    """A mixed model."""
    likelihood = "restricted maximum likelihood" if spec.reml else "full maximum likelihood"
    points = "Laplace's approximation" if spec.quadrature == 1 else f"adaptive Gauss-Hermite quadrature with {spec.quadrature} points"
    return (
        f"Mixed model with fixed effects of periods, {effect(spec)}, and {about(spec.correlation)}; {_link(spec.link)};"
        f" fitted by {likelihood}"
        f" (Gaussian outcomes) or by {points} (binary and count outcomes); {uncertainty(spec)}."
    )


def gee(spec: e.GEE) -> str:
    """A marginal model."""
    moments = {
        "MAEE": "products of cell residuals adjusted for their leverage",
        "cells": "products of cell residuals",
        "pairs": "pairs of individuals' residuals",
    }[spec.moments]
    return (
        f"Marginal regression (GEE) on fixed effects of periods and {effect(spec)}, with {_link(spec.link)}"
        " and as working correlation that of"
        f" {about(spec.correlation)}, what is estimated of it coming from {moments}; {uncertainty(spec)}."
    )


def marginal(spec: e.MarginalEffect) -> str:
    """Standardisation."""
    over = {"all": "everybody in the trial", "treated": "those in treated cells"}[spec.over]
    return (
        f"Marginal {spec.measure} of average predicted outcomes over {over}, had all been treated and had none, with standard errors by the"
        f" delta method, from: {ESTIMATORS[type(spec.estimator)](spec.estimator)}"
    )


def two_way(spec: e.TwoWayFixedEffects) -> str:
    """Two-way fixed effects."""
    weigh = {"size": "cells weighed by their size", "equal": "every cell counting alike"}[spec.weigh]
    return f"Least squares of cell means on clusters, periods and treatment, {weigh}; {uncertainty(spec)}."


def within(spec: e.WithinPeriod) -> str:
    """Comparisons within periods."""
    weigh = {"equal": "every cluster counting alike", "size": "clusters counting by their size"}[spec.weigh]
    return f"Treated against control clusters within each period, averaged over periods, {weigh}; {uncertainty(spec)}."


def callaway(spec: e.CallawaySantAnna) -> str:
    """Group-time effects."""
    base = {
        "varying": "the period before (before treatment) or the last one before treatment (after it)",
        "universal": "the last period before treatment",
    }
    parts = [
        f"Effects of each group in each period against {CONTROLS[spec.controls]} (Callaway and Sant'Anna),"
        f" changes being from {base[spec.base]}",
        AVERAGES[spec.aggregate],
        f"anticipation of {periods(spec.anticipation)} allowed" if spec.anticipation else "",
        f"groups observed for at least {periods(spec.balance)} after their first treated one" if spec.balance is not None else "",
        f"adjusted for {joined(spec.covariates)} ({spec.adjust})" if spec.covariates else "",
        f"errors gathered by {spec.cluster}" if spec.cluster else "",
        uncertainty(spec),
    ]
    return _clauses(parts)


def _clauses(parts: list[str]) -> str:
    return f"{'; '.join(part for part in parts if part)}."


def extended(spec: e.ExtendedTwoWay) -> str:
    """A saturated regression."""
    return _clauses(
        [
            f"Two-way fixed effects with an effect for every group and period, controls being {CONTROLS[spec.controls]} (Wooldridge)",
            AVERAGES[spec.aggregate],
            uncertainty(spec),
        ]
    )


def generalised(spec: e.GeneralisedDiD) -> str:
    """The best comparison under assumed likeness."""
    alike = {
        "constant": "all treated cells share one effect",
        "calendar": "treated cells of a period share an effect",
        "exposure": "treated cells as long after the start share an effect",
        "group-time": "treated cells of a group and period share an effect",
        "cell": "no two treated cells share an effect",
    }[spec.alike]
    return (
        f"Generalised difference-in-differences: the unbiased average of two-by-two comparisons with the least variance when {alike}, under"
        f" {about(spec.correlation)}; {uncertainty(spec)}."
    )


def _leads(spec: Any) -> str:
    return f"with effects of {periods(spec.leads)} before treatment as a check of parallel trends" if spec.leads else ""


def imputation(spec: e.Imputation) -> str:
    """Imputed untreated outcomes."""
    loo = "treated cells compared with the mean effect of their group's other clusters" if spec.leave_one_out else ""
    opening = "Treated cells against what cluster and period effects fitted to untreated cells predict (imputation)"
    return _clauses([opening, AVERAGES[spec.aggregate], _leads(spec), loo, uncertainty(spec)])


def two_stage(spec: e.TwoStage) -> str:
    """Two regressions."""
    opening = "Two-stage difference-in-differences: residuals from untreated cells' cluster and period effects regressed on treatment"
    return _clauses([opening, AVERAGES[spec.aggregate], _leads(spec), uncertainty(spec)])


def roth(spec: e.RothSantAnna) -> str:
    """Random timing."""
    beta = "the efficient multiple, estimated," if spec.beta is None else f"{number(spec.beta)} times"
    pool = {
        None: "covariances pooled as far as cohorts are small",
        "never": "covariances of each cohort alone",
        "cohorts": "covariances pooled over cohorts",
        "trial": "covariances pooled over all clusters",
    }[spec.pool]
    opening = (
        f"Difference in means after treatment minus {beta} the difference before, against {CONTROLS[spec.controls]}, for random timing"
    )
    return _clauses([f"{opening} (Roth and Sant'Anna)", AVERAGES[spec.aggregate], pool, uncertainty(spec)])


def stacked(spec: e.StackedDiD) -> str:
    """Experiments put on top of each other."""
    weigh = {"treated": "by treated clusters", "variance": "as least squares does"}[spec.weigh]
    opening = f"Each group's change from {periods(spec.before)} before to {spec.after} after treatment against {CONTROLS[spec.controls]}"
    return _clauses([f"{opening}, untreated throughout that window (stacked)", f"groups weighed {weigh}", uncertainty(spec)])


def sun(spec: e.SunAbraham) -> str:
    """Cohort by event time."""
    opening = "Effects of each cohort by periods since treatment from one saturated regression (Sun and Abraham)"
    return _clauses([opening, AVERAGES[spec.aggregate], uncertainty(spec)])


def switcher_comparison(spec: e.SwitcherComparison) -> str:
    """Changes from period to period."""
    weigh = {"equal": "alike", "harmonic": "by the harmonic mean of both sides", "switchers": "by the clusters that switch"}[spec.weigh]
    opening = f"Change from one period to the next of clusters that switch, against {CONTROLS[spec.controls]}"
    return _clauses([opening, f"pairs of periods weighed {weigh}", uncertainty(spec)])


def switchers(spec: e.Switchers) -> str:
    """Changes since the last untreated period."""
    effects = (
        "all periods since the switch that have controls" if spec.effects is None else f"the first {periods(spec.effects)} since the switch"
    )
    before = f"with {periods(spec.placebos)} before it as placebos" if spec.placebos else ""
    opening = f"Change of clusters since their last untreated period against clusters not treated by then, over {effects}"
    return _clauses([f"{opening} (de Chaisemartin and D'Haultfoeuille)", before, uncertainty(spec)])


def _synthetic(what: str) -> Callable[[Any], str]:
    def words(spec: Any) -> str:
        penalty = "the default ridge penalty" if spec.penalty is None else f"a ridge penalty of {number(spec.penalty)}"
        placebos = f"{spec.draws} placebos with seed {spec.seed} where they are used"
        return _clauses([what, AVERAGES[spec.aggregate], penalty, placebos, uncertainty(spec)])

    return words


ESTIMATORS: dict[type, Callable[[Any], str]] = {
    e.FixedEffects: fixed,
    e.MixedModel: mixed,
    e.GEE: gee,
    e.MarginalEffect: marginal,
    e.TwoWayFixedEffects: two_way,
    e.WithinPeriod: within,
    e.CallawaySantAnna: callaway,
    e.ExtendedTwoWay: extended,
    e.GeneralisedDiD: generalised,
    e.Imputation: imputation,
    e.TwoStage: two_stage,
    e.RothSantAnna: roth,
    e.StackedDiD: stacked,
    e.SunAbraham: sun,
    e.SwitcherComparison: switcher_comparison,
    e.Switchers: switchers,
    e.SyntheticControl: _synthetic(
        "Treated clusters against a weighted average of never-treated ones that coincided with them before (synthetic control)"
    ),
    e.SyntheticDiD: _synthetic(
        "Difference-in-differences against a weighted average of never-treated clusters and earlier periods (synthetic DiD)"
    ),
}
"""A function for each class of estimator that a plan may name."""


def formula(spec: Any) -> str:
    """The model in the notation of the field, for classes that have one; i cluster, j period, k individual."""
    if isinstance(spec, e.MarginalEffect):
        return formula(spec.estimator)
    return FORMULAS[type(spec)](spec) if type(spec) in FORMULAS else ""


def _treated(spec: Any) -> str:
    return "θ X_ij" if isinstance(spec.effect, Constant) else "θ(i, j) X_ij"


RANDOM = {"cluster": "u_i", "cluster_period": "v_ij", "treatment": "w_i X_ij", "exposure": "z_s(i,j) X_ij", "individual": "a_ik"}


def _mixed_formula(spec: e.MixedModel) -> str:
    random = " + ".join(RANDOM[name] for name in spec.correlation.structure().effects)
    return f"g(E[Y_ijk | random effects]) = β_j + {_treated(spec)} + covariates + {random}"


FORMULAS: dict[type, Callable[[Any], str]] = {
    e.FixedEffects: lambda spec: f"g(E[Y_ijk]) = α_i + β_j + {_treated(spec)} + covariates",
    e.MixedModel: _mixed_formula,
    e.GEE: lambda spec: f"g(E[Y_ijk]) = β_j + {_treated(spec)} + covariates",
    e.TwoWayFixedEffects: lambda spec: "E[mean Y_ij] = α_i + β_j + θ X_ij",
}
