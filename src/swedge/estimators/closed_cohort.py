"""Deviations of a closed cohort's individuals as blocks: they have the covariance of one individual's outcomes, and no cluster effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.blocks import BlockModel
from swedge._kernels.covariance import Covariance
from swedge.assumptions import Structure
from swedge.errors import FitError
from swedge.estimators.layout import Grid, covariance_of, ratio_names
from swedge.trial import Trial

Array = NDArray[np.float64]


def in_cohort(structure: Structure) -> bool:
    """Whether outcomes of one individual correlate."""
    return "individual" in structure.effects or structure.decay == "all"


def with_cohort(model: BlockModel, trial: Trial, grid: Grid, structure: Structure, apart: bool) -> BlockModel:
    """The model with the cohort's deviations after its cells.

    A cluster's deviations come as a root of their scatter: vectors ``(r, T, Q)`` whose sums of products are those of its ``n - 1``
    independent deviations. Where all cells are observed, clusters share the covariance and are added up first, unless they are to be kept
    `apart`.

    Raises
    ------
    FitError
        If the trial holds no profiles of individuals.
    """
    if trial.cells.cohort is None:
        raise FitError(
            "Correlation of an individual's own outcomes needs to know whose they are. Build the trial with Trial.from_frame(...,"
            " individual='...'), or use the structure without iac= (individual=) for cross-sections."
        )
    profiles, free = trial.cells.cohort, np.maximum(grid.n.max(-1) - 1, 0.0)
    seen = grid.seen
    if seen.all() and not apart:
        profiles, free, seen = profiles.sum(0, keepdims=True), free.sum(-1, keepdims=True), seen[:, :1]
    root = _root(profiles)
    each = root.shape[1]
    seen = np.repeat(seen, each, axis=-2)
    vectors = root.reshape((-1, *root.shape[2:])) * seen[..., None]
    deviations = Grid(seen, np.zeros(seen.shape), np.ones(seen.shape), np.zeros(seen.shape), grid.lag)
    q = len(trial.covariates)
    x = np.zeros((len(vectors), model.columns, *seen.shape[-2:]))
    x[:, model.columns - q :] = np.moveaxis(vectors[..., 1:], -1, 1)
    return replace(
        model,
        y=_joined(model.y, vectors[..., 0], 1),
        x=_joined(model.x, x, 2),
        copies=_joined(model.copies, np.repeat(free / each, each, axis=-1), 1),
        covariance=_beside(model.covariance, covariance_of(deviations, structure), structure),
    )


def _root(profiles: Array) -> Array:
    """``(C, r, T, Q)`` whose products add up to profiles ``(C, T, Q, T, Q)``; `r` is as many as there are numbers in a profile."""
    clusters, periods, variables = profiles.shape[:3]
    values, vectors = np.linalg.eigh(profiles.reshape(clusters, periods * variables, -1))
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.asarray(root.swapaxes(-1, -2).reshape(clusters, -1, periods, variables))


def _joined(first: Array, second: Array, axis: int) -> Array:
    """Blocks of cells, then blocks of deviations, along `axis`; either may serve all replicates."""
    lead = max(len(first), len(second))
    return np.concatenate([np.broadcast_to(part, (lead, *part.shape[1:])) for part in (first, second)], axis)


def _beside(cells: Covariance, deviations: Covariance, structure: Structure) -> Covariance:
    """Covariance of both; the effects of clusters do not reach deviations."""
    own = [float(name == "individual") for name in ratio_names(structure)]
    shapes = [_joined(a, mine * b, 1) for a, b, mine in zip(cells.shapes, deviations.shapes, own, strict=False)]
    fading = None if cells.fading is None or deviations.fading is None else _joined(cells.fading, 0 * deviations.fading, 1)
    faded = cells.fading_base, deviations.fading_base
    fading_base = None if faded[0] is None or faded[1] is None else _joined(faded[0], faded[1], 1)
    return replace(cells, base=_joined(cells.base, deviations.base, 1), shapes=tuple(shapes), fading=fading, fading_base=fading_base)
