"""Draws are uniform over the permitted allocations; seeds are fixed, so these tests are not subject to chance."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from swedge.design import Design, Stratum
from swedge.design.enumeration import distinct_ranks, uniform_ranks

STRATA = [Stratum(["Walsall", "Lancashire"], [0, 1]), Stratum(["Telford and Wrekin", "Wandsworth", "Swindon"], [2, 3, 4])]
FS = Design.stepped_wedge(["Walsall", "Lancashire", "Telford and Wrekin", "Wandsworth", "Swindon"], strata=STRATA)
SIZES = pd.DataFrame({"children": [5468, 10947, 2829, 3836, 4345]}, index=FS.clusters)


def frequencies(design: Design, draws: NDArray[np.intp]) -> list[int]:
    tally = Counter(map(tuple, draws.tolist()))
    listed = [tuple(row) for row in design.allocations().tolist()]
    assert set(tally) <= set(listed)
    return [tally[row] for row in listed]


def uniform(counts: list[int]) -> bool:
    return bool(stats.chisquare(counts).pvalue > 1e-3)


def test_120_000_draws_of_family_safeguarding() -> None:
    counts = frequencies(FS, FS.random_allocations(120_000, np.random.default_rng(2020)))
    assert max(abs(count - 10_000) for count in counts) <= 383
    assert uniform(counts)


@pytest.mark.parametrize(
    "design",
    [
        Design.stepped_wedge(clusters=4),
        Design.stepped_wedge(clusters=6, periods=4),
        Design.parallel(list("abcd"), clusters_per_sequence=[1, 3]),
        FS.constrained(SIZES, keep=5),
        Design.stepped_wedge(clusters=6).constrained(
            pd.DataFrame({"x": np.arange(6) ** 2}, index=list("123456")), keep=9, sample=60, seed=1
        ),
    ],
    ids=["free", "two a sequence", "parallel", "constrained", "sampled"],
)
def test_simulated_draws_are_uniform(design: Design) -> None:
    assert uniform(frequencies(design, design.random_allocations(300 * design.count(), 7)))


def test_drawing_sequences_in_turn_is_found_out() -> None:
    """The error of a published simulation: twelve allocations with probabilities 1/16 and 1/8 instead of 1/12."""
    probability = np.array([2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1]) / 16
    draws = np.random.default_rng(1).choice(FS.allocations(), size=1_200, p=probability)
    assert not uniform(frequencies(FS, draws))


def test_seeds_are_uniform_over_allocations() -> None:
    drawn = np.array([FS.randomise(seed).sequence for seed in range(2_400)])
    assert uniform(frequencies(FS, drawn))


@pytest.mark.parametrize("count", [2, 3, 5, 12, 64, 65, 97])
def test_ranks_are_uniform_for_any_count(count: int) -> None:
    ranks = uniform_ranks(np.random.PCG64(count), count, 200 * count)
    assert uniform(np.bincount(ranks.astype(int), minlength=count).tolist())


def test_a_list_of_one_is_always_drawn() -> None:
    assert uniform_ranks(np.random.PCG64(0), 1, 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize("bits", [62, 63, 64, 65, 200])
def test_ranks_are_uniform_around_and_beyond_the_machine_word(bits: int) -> None:
    count = 2**bits + 2**bits // 3
    ranks = uniform_ranks(np.random.PCG64(bits), count, 4_000)
    assert all(0 <= int(rank) < count for rank in ranks)
    assert stats.kstest([int(rank) / count for rank in ranks], "uniform").pvalue > 1e-3
    assert uniform(np.bincount([int(rank) % 7 for rank in ranks]).tolist())


def test_a_sample_of_the_list_takes_every_entry_equally_often() -> None:
    samples = [distinct_ranks(np.random.PCG64(seed), 20, 8) for seed in range(1_000)]
    assert all(len(set(sample.tolist())) == 8 for sample in samples)
    counts = np.bincount(np.concatenate(samples).astype(int), minlength=20)
    assert np.abs(counts - 400).max() < 4 * np.sqrt(1_000 * 0.4 * 0.6)
