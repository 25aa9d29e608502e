"""Pairs of clusters: how often the permitted allocations put them together or in one order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.enumeration import CELLS, Ints, Layout

Floats = NDArray[np.float64]

SAME, ADJACENT, FIRST, SECOND = range(4)


def relations(go_live: Ints) -> Floats:
    """Indicators `(4, S, S)` of two sequences: the same, one step apart, the first one earlier, the first one later."""
    step = np.unique(go_live, return_inverse=True)[1]
    ahead = step[None] - step[:, None]
    return np.stack([np.eye(len(step), dtype=bool), np.abs(ahead) == 1, ahead > 0, ahead < 0]).astype(np.float64)


def shares_by_stratum(layout: Layout, relation: Floats) -> Floats:
    """Exact shares `(4, I, I)` without a constraint: two places drawn from one stratum without replacement, or from two strata."""
    places = layout.supply.astype(np.float64)
    size = places.sum(axis=1)
    ordered = places @ relation @ places.T
    itself = places @ np.diagonal(relation, axis1=-2, axis2=-1).T
    within = (np.diagonal(ordered, axis1=-2, axis2=-1) - itself.T) / np.maximum(size * (size - 1), 1)
    shares = ordered / np.outer(size, size)
    shares[:, np.arange(len(size)), np.arange(len(size))] = within
    return shares[:, layout.member[:, None], layout.member[None]]


def shares_by_counting(blocks: Iterable[Ints], relation: Floats) -> Floats:
    """Shares `(4, I, I)` over a list of allocations `(R, I)` given in blocks."""
    counted = [(len(block), relation[:, block[:, :, None], block[:, None]].sum(axis=1)) for block in blocks]
    shares: Floats = np.sum([count for _, count in counted], axis=0) / sum(size for size, _ in counted)
    return shares


def block_size(n_clusters: int) -> int:
    """Allocations to count at once so that the working arrays stay small."""
    return max(1, CELLS // n_clusters**2)


def pair_frame(clusters: Sequence[str], shares: Floats, free: Floats) -> pd.DataFrame:
    """Shares and flags of every pair; `free` are the shares without the constraint, which tell whether two clusters have room together."""
    i, j = np.triu_indices(len(clusters), k=1)
    pair, always = shares[:, i, j], np.isclose(shares[:, i, j], 1)
    never_together = np.isclose(pair[SAME], 0) & (free[SAME, i, j] > 0)
    flags = np.select(
        [always[SAME], always[FIRST], always[SECOND], never_together],
        ["always together", "always first", "always second", "never together"],
        "",
    )
    a, b = [clusters[k] for k in i.tolist()], [clusters[k] for k in j.tolist()]
    return pd.DataFrame({"a": a, "b": b, "same": pair[SAME], "adjacent": pair[ADJACENT], "a_first": pair[FIRST], "flag": flags})
