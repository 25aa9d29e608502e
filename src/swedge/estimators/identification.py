"""Which cells identify each effect, which effects are not identified and why, and how near the others come to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.aliasing import identified, information_left, relations
from swedge.errors import FitError, SwedgeError, listing, nearest
from swedge.estimate import Estimator
from swedge.estimators.columns import cluster_columns
from swedge.estimators.linearised import check_one, linearise, term_place
from swedge.estimators.mean_model import MeanModel, in_words
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# A weight below this share of the largest is rounding.
NOTHING = 1e-9
# With less than this share of its information left, an effect is nearly aliased: its standard error is three times what it would be.
NEARLY = 1 / 9


@runtime_checkable
class Named(Protocol):
    """An estimator whose mean model has a name for each column."""

    def mean_model(self, trial: Trial) -> MeanModel:
        """Columns of one trial."""


@dataclass(frozen=True, eq=False, repr=False)
class Aliasing:
    """Where each effect comes from, K terms of one trial.

    Attributes
    ----------
    terms : tuple of str
    identified : ndarray (K,) of bool
    relations : tuple of str
        Every column of the model that repeats others, in words.
    aliased_with : tuple of str
        For each term the relations that it stands in; "" where it is identified.
    weights : ndarray (K, I, T)
        Of cells in the estimate; nan for a term that is not identified.
    at_work : ndarray (K, I, T) of bool
        Cells with data in which the term's effect is at work.
    share_left, share_within : ndarray (K,)
        The term's information (1 over its least-squares variance) as a share of what it would be if only the effects and a mean had to be
        estimated: given the model's other columns, and given those and the clusters. The reciprocal is a variance inflation factor.
    estimator : str
    weighed : str
        What the weights are those of.
    """

    terms: tuple[str, ...]
    identified: NDArray[np.bool_]
    relations: tuple[str, ...]
    aliased_with: tuple[str, ...]
    weights: Array
    at_work: NDArray[np.bool_]
    share_left: Array
    share_within: Array
    clusters: tuple[str, ...]
    periods: tuple[Any, ...]
    arm: Array
    estimator: str
    weighed: str

    def __repr__(self) -> str:
        """One line: how many effects are identified."""
        return f"<Aliasing: {int(self.identified.sum())} of {len(self.terms)} effects identified by {self.estimator}>"

    @property
    def used(self) -> NDArray[np.bool_]:
        """Cells that inform each term, ``(K, I, T)``."""
        size = np.abs(np.nan_to_num(self.weights))
        return np.asarray(size > NOTHING * size.max((-2, -1), keepdims=True))

    def tidy(self) -> pd.DataFrame:
        """One row a term.

        `cells`, `clusters` and `periods` count what informs it; `effective_cells` is ``(sum |w|)^2 / sum w^2``; `treated_clusters` counts
        the clusters in which it is at work.
        """
        used, size = self.used, np.abs(self.weights)
        return pd.DataFrame(
            {
                "term": self.terms,
                "identified": self.identified,
                "aliased_with": self.aliased_with,
                "cells": used.sum((-2, -1)),
                "clusters": used.any(-1).sum(-1),
                "periods": used.any(-2).sum(-1),
                "effective_cells": size.sum((-2, -1)) ** 2 / (size**2).sum((-2, -1)),
                "treated_clusters": self.at_work.any(-1).sum(-1),
                "share_left": self.share_left,
                "share_within": self.share_within,
                "estimator": self.estimator,
            }
        )

    def cells(self) -> pd.DataFrame:
        """One row a term and cell: term, cluster, period, treatment, weight."""
        index = pd.MultiIndex.from_product([self.terms, self.clusters, self.periods], names=["term", "cluster", "period"])
        arm = np.broadcast_to(self.arm, self.weights.shape)
        return index.to_frame(index=False).assign(treatment=arm.ravel(), weight=self.weights.ravel())

    def shares(self, by: str = "cluster") -> pd.DataFrame:
        """One row a term and cluster (or period) with its share of the term's absolute weight.

        Raises
        ------
        FitError
            If `by` is neither "cluster" nor "period".
        """
        if by not in ("cluster", "period"):
            raise FitError(f"by={by!r}; expected 'cluster' or 'period'.{nearest(by, ('cluster', 'period'))}")
        size = np.abs(self.weights)
        names, axis = (self.clusters, -1) if by == "cluster" else (self.periods, -2)
        share = size.sum(axis) / size.sum((-2, -1))[:, None]
        index = pd.MultiIndex.from_product([self.terms, names], names=["term", by])
        return index.to_frame(index=False).assign(share=share.ravel())

    def summary(self) -> str:
        """Each term, and what is not identified, nearly not, or rests on one cluster."""
        from swedge._present.tables import text_table

        shown = self.tidy().drop(columns=["aliased_with", "estimator"])
        lines = [f"{self.estimator}: what identifies each effect (weights of {self.weighed})", text_table(shown)]
        return "\n".join([*lines, *self._missing(), *self._others(), *self._weak()])

    def _missing(self) -> list[str]:
        lost = [k for k in range(len(self.terms)) if not self.identified[k]]
        return [f"Not identified: {self.terms[k]}, for {self.aliased_with[k]}." for k in lost]

    def _others(self) -> list[str]:
        """Relations in which no term stands: columns to drop, which leave the effects alone."""
        spare = [words for words in self.relations if not any(words in shown for shown in self.aliased_with)]
        return [f"Columns that repeat others: {listing(spare)}."] if spare else []

    def _weak(self) -> list[str]:
        lines = []
        for k, term in enumerate(self.terms):
            alone = np.flatnonzero(self.at_work[k].any(-1))
            if self.identified[k] and len(alone) == 1:
                lines.append(
                    f"{term} is seen in one cluster alone, {self.clusters[alone[0]]}: nothing tells it from that cluster's own course."
                )
            if self.identified[k] and self.share_left[k] < NEARLY:
                lines.append(f"{term} is nearly aliased: periods and the other columns leave {self.share_left[k]:.1%} of its information.")
        return lines

    def plot(self, term: str | None = None, ax: Axes | None = None) -> Axes:
        """Weights of the cells in one term, left out if there is only one.

        Raises
        ------
        FitError
            If there are several terms and none is named, the name is unknown, or the term is not identified.
        """
        from swedge._present.heatmap import draw_weights

        k = term_place(self.terms, term)
        if not self.identified[k]:
            raise FitError(f"{self.terms[k]} is not identified, so it has no weights ({self.aliased_with[k]}).")
        return draw_weights(self.weights[k], self.arm, self.clusters, self.periods, ax=ax, label=f"Weight of the cell in {self.terms[k]}")


def aliasing(trial: Trial, estimator: Estimator) -> Aliasing:
    """Which cells identify each effect, and which effects the model's other columns repeat.

    Works whether or not the estimator can be fitted: where it cannot, the weights of effects that are identified all the same are those of
    least squares on its columns.

    Parameters
    ----------
    trial : Trial
        One trial.
    estimator : FixedEffects, MixedModel, WithinPeriod or TwoWayFixedEffects

    Raises
    ------
    DataError
        If this is no single trial.
    FitError
        If the estimator has no columns to speak of.

    Notes
    -----
    A coefficient is identified when no combination of the model's columns vanishes on the observed cells with that coefficient in it.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.from_matrix([[0, 1]], clusters_per_sequence=[4]).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((4, 2), 50), np.random.default_rng(0).random((4, 2)), allocation)
    >>> aliasing(trial, sw.WithinPeriod()).aliased_with
    ('treatment = period 2 (no control cell in period 2)',)
    """
    check_one(trial, estimator)
    if not isinstance(estimator, Named):
        raise FitError(f"{type(estimator).__name__} is no regression on named columns. Use FixedEffects, MixedModel or TwoWayFixedEffects.")
    model = estimator.mean_model(trial)
    null = relations(model.rows)
    known = identified(null, model.contrasts)
    words = [in_words(model, row) for row in null]
    stands = np.abs(null @ model.contrasts.T) > 0
    weights, weighed = _weights(trial, estimator, model, known)
    left, within = _left(trial, model, known)
    effect = model.of("effect")
    columns = np.stack([_cells(trial, model, np.abs(column)) > 0 for column in model.rows[:, effect].T]).astype(float)
    return Aliasing(
        model.terms,
        known,
        tuple(words),
        tuple("; ".join(w for w, involved in zip(words, stands[:, k], strict=True) if involved) for k in range(len(known))),
        weights,
        np.einsum("kp,pit->kit", np.abs(model.contrasts[:, effect]), columns) > 0,
        left,
        within,
        trial.clusters,
        trial.periods,
        trial.arm,
        type(estimator).__name__,
        weighed,
    )


def _cells(trial: Trial, model: MeanModel, table: Array) -> Array:
    """A table over the model's rows added up to cells ``(I, T)``; rows inside cells belong to none."""
    if model.slotted and trial.patterns is not None:
        return trial.patterns.gather(table.reshape(trial.patterns.n.shape))
    return table[: trial.n.size].reshape(trial.n.shape)


def _weights(trial: Trial, estimator: Estimator, model: MeanModel, known: NDArray[np.bool_]) -> tuple[Array, str]:
    """Weights ``(K, I, T)`` of the estimator where it can be fitted, of least squares on its columns where it cannot; and which."""
    try:
        return linearise(trial, estimator).weights, "the estimator"
    except SwedgeError:
        table = (model.contrasts @ np.linalg.pinv(model.rows)) * model.root
        return np.where(known[:, None, None], np.stack([_cells(trial, model, row) for row in table]), np.nan), "least squares by counts"


def _left(trial: Trial, model: MeanModel, known: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Shares of information left to each term, ``(K,)`` twice; 0 where it is not identified."""
    effect = model.of("effect")
    rows, contrasts = model.rows[:, effect], model.contrasts[:, effect]
    others, mean = model.rows[:, ~effect], model.root[:, None]
    alone = information_left(rows, mean, contrasts)
    tables = others, np.concatenate([others, _clusters(trial, model)], 1)
    left, within = (information_left(rows, table, contrasts) for table in tables)
    shares = [np.divide(alone, spent, out=np.zeros_like(spent), where=known & (spent > 0)) for spent in (left, within)]
    return shares[0], shares[1]


def _clusters(trial: Trial, model: MeanModel) -> Array:
    """Cluster indicators on the model's rows, ``(m, i)``."""
    columns = cluster_columns(trial)
    slots = trial.patterns if model.slotted else None
    spread = columns if slots is None else np.stack([slots.spread(column) for column in columns])
    flat = spread.reshape((len(columns), -1)).T
    return np.pad(flat, ((0, len(model.root) - len(flat)), (0, 0))) * model.root[:, None]
