"""The mean model of a regression with a name for each column, and what its columns repeat, in words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.aliasing import relations
from swedge.assumptions import EffectCurve, Estimand
from swedge.errors import listing
from swedge.estimators.columns import cluster_columns, effects, padded, period_columns, slots, stack_columns
from swedge.trial import Trial

Array = NDArray[np.float64]

# Kinds of columns, in their order, with the word for several of a kind.
KINDS = {"period": "periods", "cluster": "clusters", "effect": "", "covariate": ""}
SHOWN = 12


class MeanModel(NamedTuple):
    """Columns as ``rows (m, p)`` multiplied by ``root (m,)``, the square roots of counts; a `kind` and a `name` for each column.

    Rows are cells, then what individuals add inside them; or, if `slotted`, covariate patterns. `contrasts` ``(K, p)`` give the `terms`;
    `first` is the cluster without a column, "" in a model without clusters.
    """

    rows: Array
    root: Array
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    terms: tuple[str, ...]
    contrasts: Array
    first: str
    slotted: bool

    def of(self, kind: str) -> NDArray[np.bool_]:
        """Which columns are of this kind, ``(p,)``."""
        return np.array([k == kind for k in self.kinds])


def mean_model(
    trial: Trial, curve: EffectCurve, estimand: Estimand | None = None, *, clusters: bool, weight: Array | None = None
) -> MeanModel:
    """Periods, clusters if wanted, effects and covariates of one trial; given cells' ``weight (I, T)``, cell means without covariates."""
    parts = effects(trial, curve, estimand)
    covariates = trial.covariates if weight is None else ()
    periods = period_columns(trial)
    own = cluster_columns(trial) if clusters else np.zeros((0, *trial.n.shape))
    columns = stack_columns(periods, own, parts.columns)
    slotted = trial.patterns is not None and weight is None
    rows, root = _slot_rows(trial, columns) if slotted else _cell_rows(trial, columns, trial.n if weight is None else weight, covariates)
    named = [_period_names(trial), _cluster_names(trial)[1:] if clusters else (), _effect_names(trial, curve), covariates]
    kinds = tuple(kind for kind, names in zip(KINDS, named, strict=True) for _ in names)
    contrasts = padded(parts.contrasts, len(periods) + len(own), len(covariates))
    first = _cluster_names(trial)[0] if clusters else ""
    names = tuple(name for names in named for name in names)
    return MeanModel(rows, root, kinds, names, parts.terms, contrasts, first, slotted)


def _period_names(trial: Trial) -> tuple[str, ...]:
    return tuple(str(trial.periods[t]) for t in np.flatnonzero((trial.n > 0).any(0)))


def _cluster_names(trial: Trial) -> tuple[str, ...]:
    return tuple(trial.clusters[i] for i in np.flatnonzero((trial.n > 0).any(1)))


def _effect_names(trial: Trial, curve: EffectCurve) -> tuple[str, ...]:
    """Names of the curve's columns; those of periods would be taken for the periods' own."""
    names = curve.columns(np.where(trial.n > 0, trial.treatment, np.nan), trial.exposure)[0]
    return tuple(f"treatment x {name}" if name.startswith("period ") else name for name in names)


def _cell_rows(trial: Trial, columns: Array, weight: Array, covariates: tuple[str, ...]) -> tuple[Array, Array]:
    q, root = len(covariates), np.sqrt(weight).ravel()
    means = np.where(trial.n[..., None] > 0, trial.cells.mean[..., 1:], 0.0)
    x = stack_columns(columns, np.moveaxis(means, -1, -3)) if q else columns
    between = x.reshape((len(x), -1)).T * root[:, None]
    if not q or trial.cells.within is None:
        return between, root
    values, vectors = np.linalg.eigh(trial.cells.within.sum(-3)[1:, 1:])
    inside = np.pad(np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T, ((0, 0), (len(x) - q, 0)))
    return np.concatenate([between, inside]), np.concatenate([root, np.zeros(q)])


def _slot_rows(trial: Trial, columns: Array) -> tuple[Array, Array]:
    table = slots(trial, columns)
    root = np.sqrt(table.n).ravel()
    return table.x.reshape((len(table.x), -1)).T * root[:, None], root


def aliases(model: MeanModel) -> tuple[str, ...]:
    """Each column that repeats others, in words."""
    return tuple(in_words(model, row) for row in relations(model.rows))


def explained(model: MeanModel) -> str:
    """The aliases as a sentence that follows an error, or nothing.

    `swedge.aliasing` says the same at length.
    """
    found = aliases(model)
    return f" Columns that repeat others: {listing(found)}." if found else ""


def in_words(model: MeanModel, null: Array) -> str:
    """A null vector ``(p,)`` as an equation for the last column in it."""
    target = int(np.flatnonzero(null)[-1])
    made = _fewest(model, np.where(np.arange(len(null)) == target, 0.0, null / -null[target]))
    name = _called(model.kinds[target], [model.names[target]])
    if not any(made.values()):
        return f"{name}: no cell observed has any"
    right = " ".join(_term(kind, coefficient, names) for (kind, coefficient), names in made.items()).removeprefix("+ ")
    return f"{name} = {right}{_reason(model.kinds[target], made)}"


def _reason(kind: str, made: dict[tuple[str, float], list[str]]) -> str:
    if kind == "effect" and list(made) == [("period", 1.0)]:
        return f" (no control cell in {_called('period', made['period', 1.0])})"
    return ""


def _fewest(model: MeanModel, made: Array) -> dict[tuple[str, float], list[str]]:
    """Names by kind and coefficient. All periods together are all clusters together: the shorter way to write it is taken."""
    period, cluster = model.of("period"), model.of("cluster")
    names = [model.first, *model.names]
    kinds = ["cluster", *model.kinds]
    shifts = {0.0, *made[period], *(-made[cluster])} if model.first else {0.0}
    choices = [np.concatenate([[a], made - a * period + a * cluster]) for a in sorted(shifts, key=abs)]
    best = min(choices, key=lambda choice: int((np.abs(choice) > 0).sum()))
    found: dict[tuple[str, float], list[str]] = {}
    for j in np.flatnonzero(best):
        key = kinds[j] if KINDS[kinds[j]] else f"{kinds[j]} {names[j]}"
        found.setdefault((key, float(best[j])), []).append(names[j])
    return found


def _term(kind: str, coefficient: float, names: list[str]) -> str:
    size = "" if abs(coefficient) == 1 else f"{abs(coefficient):.3g} x "
    return f"{'-' if coefficient < 0 else '+'} {size}{_called(kind.split()[0], names)}"


def _called(kind: str, names: list[str]) -> str:
    if not KINDS[kind]:
        return names[0]
    if len(names) == 1:
        return f"{kind} {names[0]}"
    shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    return f"{KINDS[kind]} {shown}"
