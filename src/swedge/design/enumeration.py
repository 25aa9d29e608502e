"""Counting, numbering and drawing the ways to hand out sequences to clusters, within strata.

Allocations are numbered from 0 in lexicographic order. Everything rests on one identity: when a stratum has `n` clusters left and
`r[s]` places left in sequence `s`, and the trial can still be completed in `W` ways, exactly `W r[s] / n` of them give the next
cluster sequence `s`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.intp]
Ranks = NDArray[Any]  # int64, or Python integers when the list is longer than int64 can count

CELLS = 2**22  # working cells in one block of unranking


@dataclass(frozen=True, eq=False)
class Layout:
    """Who draws from what: `member (I,)` is each cluster's stratum, `supply (H, S)` each stratum's places in each sequence."""

    member: Ints
    supply: Ints

    @cached_property
    def count(self) -> int:
        """Number of allocations: a multinomial coefficient for each stratum, multiplied."""
        return prod(factorial(sum(places)) // prod(map(factorial, places)) for places in self.supply.tolist())

    @property
    def dtype(self) -> type[np.int64] | type[object]:
        """Type that holds every rank and every product that unranking forms."""
        return np.int64 if self.count * int(self.supply.max()) < 2**63 else object

    @property
    def block(self) -> int:
        """Allocations to unrank at once so that the working arrays stay small."""
        return max(1, CELLS // self.supply.size)


def all_ranks(layout: Layout, start: int, stop: int) -> Ranks:
    """Ranks `start` to `stop - 1`, in the layout's type."""
    return np.arange(stop - start).astype(layout.dtype) + start


def unrank(layout: Layout, ranks: Ranks) -> Ints:
    """Allocations `(R, I)` with the given ranks `(R,)`."""
    out = np.empty((len(ranks), len(layout.member)), dtype=np.intp)
    for start in range(0, len(ranks), layout.block):
        block = slice(start, start + layout.block)
        _unrank_block(layout, ranks[block].astype(layout.dtype), out[block])
    return out


def _unrank_block(layout: Layout, rest: Ranks, out: Ints) -> None:
    row, ways = np.arange(len(rest)), np.full(len(rest), layout.count, dtype=layout.dtype)
    left = np.repeat(layout.supply[None], len(rest), axis=0).astype(layout.dtype)
    clusters_left = layout.supply.sum(axis=1).tolist()
    for i, h in enumerate(layout.member):
        width = ways[:, None] * left[:, h] // clusters_left[h]
        ends = width.cumsum(axis=1)
        out[:, i] = chosen = (rest[:, None] >= ends).sum(axis=1)
        ways = width[row, chosen]
        rest = rest - ends[row, chosen] + ways
        left[row, h, chosen] -= 1
        clusters_left[h] -= 1


def rank(layout: Layout, sequence: Ints) -> int:
    """Rank of one allocation that the layout permits."""
    left, ways, below = layout.supply.tolist(), layout.count, 0
    for h, s in zip(layout.member.tolist(), sequence.tolist(), strict=True):
        clusters_left = sum(left[h])
        below += ways * sum(left[h][:s]) // clusters_left
        ways = ways * left[h][s] // clusters_left
        left[h][s] -= 1
    return below


def shuffle(layout: Layout, draws: int, rng: np.random.Generator) -> Ints:
    """Uniform allocations `(draws, I)`: each stratum's places, shuffled independently."""
    out = np.empty((draws, len(layout.member)), dtype=np.intp)
    for h, places in enumerate(layout.supply):
        deck = np.repeat(np.arange(len(places)), places)
        out[:, layout.member == h] = rng.permuted(np.broadcast_to(deck, (draws, len(deck))), axis=1)
    return out


def uniform_ranks(source: np.random.BitGenerator, count: int, draws: int) -> Ranks:
    """`draws` numbers, each exactly uniform on 0 to `count - 1`, by rejection from raw bits.

    Raw output is what NumPy keeps stable between versions; how its generators turn raw bits into integers may change.
    """
    bits = (count - 1).bit_length()
    kept = np.empty(0, dtype=np.int64 if bits < 63 else object)
    while len(kept) < draws:
        tried = _random_bits(source, bits, draws - len(kept))
        kept = np.concatenate([kept, tried[tried < count]])
    return kept


def _random_bits(source: np.random.BitGenerator, bits: int, draws: int) -> Ranks:
    words = max(1, -(-bits // 64))
    raw = np.asarray(source.random_raw(words * draws), dtype=np.uint64).reshape(draws, words)
    if bits < 63:
        return (raw[:, 0] >> np.uint64(1) >> np.uint64(63 - bits)).astype(np.int64)
    number: Ranks = np.zeros(draws, dtype=object)
    for word in raw.astype(object).T:
        number = number * 2**64 + word
    return np.asarray(number // 2 ** (64 * words - bits))


def distinct_ranks(source: np.random.BitGenerator, count: int, draws: int) -> Ranks:
    """`draws` different ranks below `count`, increasing: a simple random sample of the list."""
    found = np.empty(0, dtype=np.int64 if count < 2**62 else object)
    while len(found) < draws:
        fresh = uniform_ranks(source, count, draws - len(found))
        found = np.unique(np.concatenate([found, fresh]))
    return found
