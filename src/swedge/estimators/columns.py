"""Columns of the mean model, built once for every estimator: periods, clusters, effect, covariates."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge.assumptions import ByGroup, EffectCurve, Estimand, read_off, terms_of
from swedge.errors import DesignError, described
from swedge.trial import Trial

Array = NDArray[np.float64]


class Effects(NamedTuple):
    """Terms ``(K,)``, columns ``(..., k, I, T)``, contrasts ``(K, k)`` over those columns, and the estimand's name."""

    terms: tuple[str, ...]
    columns: Array
    contrasts: Array
    estimand: str


def effects(trial: Trial, curve: EffectCurve, estimand: Estimand | None) -> Effects:
    """The treatment part of a model and what is read off it.

    Raises
    ------
    DesignError
        If the curve or the estimand is a class, a text or something else.
    """
    _check_asked(curve, estimand)
    treatment, curve = _observed(trial), _placed(trial, curve)
    names, columns = curve.columns(treatment, trial.exposure)
    terms, contrasts = read_off(curve, estimand, names, treatment, trial.exposure)
    return Effects(terms, columns, contrasts, terms[0] if estimand is not None else _label(terms, len(names)))


def _label(terms: tuple[str, ...], columns: int) -> str:
    if columns <= 1:
        return "treatment effect"
    return "lasting and washout effects" if terms[0] == "treatment" else f"effects by {terms[0].split()[0]}"


def separate_effects(trial: Trial, curve: EffectCurve, estimand: Estimand | None) -> Effects:
    """The treatment part of a model and each of the effects that `estimand` averages."""
    _check_asked(curve, estimand)
    treatment, curve = _observed(trial), _placed(trial, curve)
    names, columns = curve.columns(treatment, trial.exposure)
    terms, contrasts = terms_of(curve, estimand, names, treatment, trial.exposure)
    return Effects(terms, columns, contrasts, "")


def _check_asked(curve: object, estimand: object) -> None:
    """Refuse classes and texts: a class has the methods that it gives, so the protocol alone lets it pass."""
    if isinstance(curve, type) or not isinstance(curve, EffectCurve):
        raise DesignError(f"effect is {described(curve)}, not an effect curve. Pass for example Constant() or ByExposure().")
    if isinstance(estimand, type) or not (estimand is None or isinstance(estimand, Estimand)):
        raise DesignError(f"estimand is {described(estimand)}, not an estimand. Pass for example TATE() or LTE(), or None.")


def _placed(trial: Trial, curve: EffectCurve) -> EffectCurve:
    """The curve, with names of clusters turned into positions."""
    return curve.placed(trial.clusters) if isinstance(curve, ByGroup) else curve


def _observed(trial: Trial) -> Array:
    """Treatment ``(..., I, T)``, nan in cells that hold data in no replicate."""
    n = trial.cells.n
    seen = (n > 0).reshape((-1, *n.shape[-2:])).any(0)
    return np.where(seen, trial.treatment, np.nan)


def reached(trial: Trial, curve: EffectCurve, estimand: Estimand | None = None) -> Array:
    """What an effect of 1 is in each cell ``(..., I, T)``: as read by the estimand, if there is one.

    A curve that has several terms is taken to be constant.
    """
    parts = effects(trial, curve, estimand)
    if parts.columns.shape[-3] != 1:
        return trial.arm
    return np.asarray(parts.columns[..., 0, :, :] / parts.contrasts[0, 0])


def without_effect(trial: Trial, curve: EffectCurve, estimand: Estimand | None, effect: ArrayLike, scale: str) -> Trial:
    """The trial with an effect that follows the curve, and is what the estimand reads off it, taken out."""
    return replace(replace(trial, treatment=reached(trial, curve, estimand)).without(effect, scale), treatment=trial.treatment)


def period_columns(trial: Trial) -> Array:
    """One indicator a period with data, ``(t, I, T)``."""
    clusters, periods = trial.n.shape[-2:]
    seen = (trial.n > 0).reshape((-1, clusters, periods)).any((0, 1))
    return np.stack([np.broadcast_to(row, (clusters, periods)) for row in np.eye(periods)[seen]])


def cluster_columns(trial: Trial) -> Array:
    """One indicator a cluster with data but the first, ``(i, I, T)``."""
    clusters, periods = trial.n.shape[-2:]
    seen = (trial.n > 0).reshape((-1, clusters, periods)).any((0, 2))
    rows = np.eye(clusters)[seen][1:]
    return np.broadcast_to(rows[:, :, None], (len(rows), clusters, periods)).copy()


def stack_columns(*parts: Array) -> Array:
    """Join column blocks ``(..., p, I, T)`` along p, broadcasting their leading axes."""
    lead = np.broadcast_shapes(*(part.shape[:-3] for part in parts))
    return np.concatenate([np.broadcast_to(part, (*lead, *part.shape[-3:])) for part in parts], axis=-3)


def covariate_means(trial: Trial) -> Array:
    """Cell means of individual covariates about their overall mean, ``(..., q, I, T)``; centring only guards the arithmetic."""
    means = np.moveaxis(trial.cells.mean[..., 1:], -1, -3)
    weight = trial.n[..., None, :, :]
    means = np.where(weight > 0, means, 0.0)
    centre = (weight * means).sum((-2, -1), keepdims=True) / weight.sum((-2, -1), keepdims=True)
    return np.asarray((means - centre) * (weight > 0))


def informed(trial: Trial) -> Array:
    """How many clusters have data, ``(R,)``."""
    counts = (trial.n > 0).any(-1).sum(-1)
    return np.broadcast_to(counts, trial.shape).ravel().astype(float)


def estimated(parts: Effects) -> str:
    """What the sentence says of an effect that is no single constant."""
    if parts.estimand == "treatment effect":
        return ""
    if parts.estimand in ("effects by period", "effects by group"):
        return f" and {len(parts.terms)} {parts.estimand}"
    return f" and {parts.columns.shape[-3]} effects by time since crossover" + (
        f" (read as {parts.estimand})" if len(parts.terms) == 1 else ""
    )


def counted(trial: Trial) -> str:
    """Clusters, periods and, where cells count individuals, individuals of one trial or a stack, for a sentence."""
    people = trial.n.sum((-2, -1))
    shown = "" if trial.shape or float(people) == (trial.n > 0).sum() else f", {float(people):,.0f} individuals"
    if trial.cells.cohort is not None and shown:
        shown = f", {trial.n.max(-1).sum():,.0f} individuals measured {float(people):,.0f} times"
    return f"{informed(trial).max():.0f} clusters, {trial.n.shape[-1]} periods{shown}"


def adjusted_for(trial: Trial) -> str:
    """The covariates' names for a sentence, each once: ``C(gender)``'s many columns are one name."""
    names = dict.fromkeys(re.sub(r"\[[^]]*\]", "", column) for column in trial.covariates)
    return f", adjusted for {', '.join(names)}" if names else ""


def padded(contrasts: Array, before: int, after: int) -> Array:
    """Contrasts over all coefficients, the effect's columns standing after `before` others."""
    return np.pad(contrasts, ((0, 0), (before, after)))


class Slots(NamedTuple):
    """The trial as slots for a generalised linear model: ``y, n, offset (..., I, J)``, ``x (..., p, I, J)``."""

    y: Array
    n: Array
    offset: Array
    x: Array


def slots(trial: Trial, cell_columns: Array) -> Slots:
    """Cells as they are, or covariate patterns with the covariates' columns added last."""
    offset = np.zeros((1, 1)) if trial.offset is None else trial.offset
    patterns = trial.patterns
    if patterns is None:
        return Slots(trial.outcome, trial.n, offset, cell_columns)
    n = np.where(patterns.spread(trial.n) > 0, patterns.n, 0.0)
    covariates = np.moveaxis(patterns.covariates, -1, 0)
    offset = np.zeros((1, 1)) if trial.offset is None else spread(trial, trial.offset)
    return Slots(patterns.mean, n, offset, stack_columns(spread(trial, cell_columns), covariates))


def spread(trial: Trial, table: Array) -> Array:
    """A cell table ``(..., I or 1, T)`` looked up for every slot; one that is the same in all periods broadcasts as it is."""
    return table if trial.patterns is None or table.shape[-1] == 1 else trial.patterns.spread(table)
