"""The permutation kernel against arithmetic in whole fractions, where a tie is a tie.

Statistics are eighths and slopes include 1 and -1, so that ties, double roots, half-lines and gaps all occur. The kernel counts statistics
within 1e-9 of each other as tied, so that is how far its ends may lie from the exact ones.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swedge._kernels.permutation import accepted_effects, exceedances

Pair = tuple[Fraction | None, Fraction]

EIGHTHS = st.integers(-32, 32).map(lambda k: Fraction(k, 8))
SLOPES = st.sampled_from([Fraction(k, 4) for k in (-8, -6, -5, -4, -3, -2, 0, 1, 2, 3, 4, 5, 6, 8)])
PAIRS = st.lists(st.tuples(st.one_of(EIGHTHS, EIGHTHS, EIGHTHS, st.none()), SLOPES), min_size=1, max_size=8)


def share(theta: Fraction, pairs: list[Pair], observed: Fraction, extra: int) -> Fraction:
    """p(theta) as its definition says: a - theta k against b - theta; what could not be computed counts."""
    count = sum(a is None or abs(a - theta * k) >= abs(observed - theta) for a, k in pairs)
    return Fraction(count + extra, len(pairs) + extra)


def roots(pairs: list[Pair], observed: Fraction) -> list[Fraction]:
    """Where a count can change."""
    found = {observed}
    for a, k in pairs:
        if a is not None:
            found |= {(observed - a) / (1 - k)} if k != 1 else set()
            found |= {(observed + a) / (1 + k)} if k != -1 else set()
    return sorted(found)


def accepted(pairs: list[Pair], observed: Fraction, alpha: Fraction, extra: int) -> tuple[float, float, bool]:
    """Hull of {theta: p > alpha} and whether it is one piece, by looking at every root and between all of them."""
    points = roots(pairs, observed)
    places = [points[0] - 1]
    for left, right in pairwise(points):
        places += [left, (left + right) / 2]
    places += [points[-1], points[-1] + 1]
    kept = [share(theta, pairs, observed, extra) > alpha for theta in places]
    first, last = kept.index(True), len(kept) - 1 - kept[::-1].index(True)
    low = -np.inf if first == 0 else float(places[first] if first % 2 else places[first - 1])
    high = np.inf if last == len(kept) - 1 else float(places[last] if last % 2 else places[last + 1])
    return low, high, all(kept[first : last + 1])


ALPHAS = st.sampled_from([Fraction(k, 100) for k in (1, 5, 10, 25, 33, 50, 75, 90)])


@given(PAIRS, EIGHTHS, ALPHAS, st.booleans(), st.booleans())
@example(
    [(Fraction(1), Fraction(1)), (Fraction(-1), Fraction(-1))], Fraction(1), Fraction(1, 2), True, False
)  # the mirror image ties everywhere
@example([(Fraction(2), Fraction(2))], Fraction(1), Fraction(1, 2), True, False)  # both roots meet at the estimate, with |k| > 1
@example([(Fraction(2), Fraction(1))], Fraction(1), Fraction(1, 2), True, False)  # a half-line from below
@example([(Fraction(0), Fraction(1))], Fraction(1), Fraction(1, 2), True, False)  # and from above
@example([(Fraction(5, 2), Fraction(3, 2))], Fraction(1), Fraction(1, 2), True, False)  # two pieces with a gap between
@example([(None, Fraction(0))], Fraction(1), Fraction(1, 2), True, False)
def test_interval_is_the_set_of_effects_not_rejected(
    pairs: list[Pair], observed: Fraction, alpha: Fraction, own: bool, sampled: bool
) -> None:
    pairs = [*pairs, (observed, Fraction(1))] if own else pairs
    expected = accepted(pairs, observed, alpha, int(sampled))
    reference = np.array([np.nan if a is None else float(a) for a, _ in pairs])
    slopes = np.array([np.nan if a is None else float(k) for a, k in pairs])
    found = accepted_effects(reference, slopes, float(observed), float(alpha), int(sampled))
    assert found[:2] == pytest.approx(expected[:2], abs=1e-7)
    assert found.connected == expected[2]


@given(PAIRS, EIGHTHS, st.integers(-3, 3).map(lambda k: 10.0 ** (4 * k)))
def test_count_is_the_plain_count_in_any_unit(pairs: list[Pair], observed: Fraction, unit: float) -> None:
    expected = sum(a is None or abs(a) >= abs(observed) for a, _ in pairs)
    reference = np.array([np.nan if a is None else float(a) for a, _ in pairs]) * unit
    assert exceedances(reference, np.asarray(float(observed) * unit)) == expected


@given(PAIRS, EIGHTHS)
def test_rounding_breaks_no_tie(pairs: list[Pair], observed: Fraction) -> None:
    """Neither does rounding of the size of the data when the statistics themselves are next to nothing."""
    expected = sum(a is None or abs(a) >= abs(observed) for a, _ in pairs)
    noise = 1 + 1e-13 * np.random.default_rng(0).standard_normal(len(pairs))
    reference = np.array([np.nan if a is None else float(a) for a, _ in pairs]) * noise
    assert exceedances(reference, np.asarray(float(observed))) == expected
    dust = 1e-16 * np.random.default_rng(1).standard_normal(len(pairs))
    assert exceedances(dust, np.asarray(3e-16), unit=1.0) == len(pairs)


@pytest.mark.parametrize("wild", [np.inf, 1e300, 1e12])
def test_one_wild_statistic_does_not_tie_the_others(wild: float) -> None:
    reference = np.array([wild, 1.0, 2.0, -5.0])
    assert exceedances(reference, np.asarray(5.0)) == 2
    assert exceedances(reference, np.asarray(wild)) == 1


def test_a_statistic_that_was_not_computed_is_never_evidence() -> None:
    assert exceedances(np.array([np.nan, 1.0]), np.asarray(2.0)) == 1
    assert exceedances(np.array([np.nan, np.nan]), np.asarray(np.nan)) == 2
    assert exceedances(np.array([0.1, 0.2]), np.asarray(np.nan)) == 2
    low, high, _ = accepted_effects(np.full(3, np.nan), np.full(3, np.nan), 1.0, 0.05)
    assert (low, high) == (-np.inf, np.inf)


def test_a_stack_is_counted_replicate_by_replicate() -> None:
    rng = np.random.default_rng(0)
    reference, observed = rng.integers(-3, 4, (7, 5)).astype(float), rng.integers(-3, 4, 5).astype(float)
    assert exceedances(reference, observed).tolist() == [int(exceedances(reference[:, r], observed[r])) for r in range(5)]
