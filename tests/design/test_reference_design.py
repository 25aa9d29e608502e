"""Slow and obvious re-implementations: permutations one by one, loops over cells and days."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from swedge.design import Constraint, Covariate, Design, Stratum

Grid = NDArray[np.float64]

DESIGNS = {
    "free": Design.stepped_wedge(clusters=4),
    "two a sequence": Design.stepped_wedge(clusters=6, periods=4),
    "interleaved strata": Design.from_matrix(
        [[0, 1, 1], [0, 0, 1], [0, 0.5, 1]],
        [2, 2, 1],
        ["a", "b", "c", "d", "e"],
        strata=[Stratum(["a", "d"], [0, 1]), Stratum(["e", "b", "c"], [2, 0, 1])],
    ),
    "parallel": Design.parallel(clusters=5, periods=3, baseline=1, clusters_per_sequence=[3, 2]),
    "crossover": Design.crossover(clusters=4, periods=3, washout=1),
    "staircase": Design.staircase(clusters=4, sequences=2, transition=1),
    "two sequences": Design.stepped_wedge(clusters=4, periods=3),
    "two arms in strata": Design.parallel(list("abcdef"), strata=[["a", "f"], ["b", "d"], ["c", "e"]]),
}


def every(design: Design) -> list[tuple[int, ...]]:
    """Every arrangement of the places, kept when each stratum gets its own sequences."""
    places = [s for s, count in enumerate(design.clusters_per_sequence) for _ in range(count)]
    strata = design.strata or (Stratum(design.clusters, tuple(places)),)

    def fits(sequence: Sequence[int]) -> bool:
        held = dict(zip(design.clusters, sequence, strict=True))
        return all(sorted(held[name] for name in group.clusters) == sorted(group.sequences) for group in strata)

    return sorted({p for p in itertools.permutations(places) if fits(p)})


@pytest.mark.parametrize("name", DESIGNS)
def test_allocations_are_the_permutations_that_fit(name: str) -> None:
    design, expected = DESIGNS[name], every(DESIGNS[name])
    assert [tuple(row) for row in design.allocations().tolist()] == expected
    assert design.count() == len(expected)
    assert [design.number_of(row) for row in expected] == list(range(len(expected)))


@pytest.mark.parametrize("name", DESIGNS)
def test_smallest_p_is_the_smallest_share_of_allocations_that_must_tie(name: str) -> None:
    assert DESIGNS[name].min_p() == pytest.approx(smallest_p(DESIGNS[name]))


def smallest_p(design: Design) -> float:
    treatment = design.treatment_of(design.allocations())
    ties = [1 + any(mirrored(x, y) for j, y in enumerate(treatment) if j != i) for i, x in enumerate(treatment)]
    return min(ties) / len(ties)


def mirrored(x: Grid, y: Grid) -> bool:
    same_cells = np.array_equal(np.isnan(x), np.isnan(y))
    return same_cells and all(np.ptp(total[~np.isnan(total)]) < 1e-9 for total in (x + y).T if not np.isnan(total).all())


@pytest.mark.parametrize("name", DESIGNS)
def test_pairs_are_counted_allocation_by_allocation(name: str) -> None:
    design = DESIGNS[name]
    expected = pairs_by_hand(design, design.allocations())
    pd.testing.assert_frame_equal(design.pairs().drop(columns="flag"), expected, check_dtype=False)


def pairs_by_hand(design: Design, allocations: NDArray[np.intp]) -> pd.DataFrame:
    starts = [next((t for t, cell in enumerate(row) if cell), design.n_periods) for row in design.rows]
    steps = [sorted(set(starts)).index(start) for start in starts]
    rows = []
    for i, j in itertools.combinations(range(design.n_clusters), 2):
        seen = [(a[i], a[j], steps[a[i]], steps[a[j]]) for a in allocations]
        same, near = np.mean([s == u for s, u, _, _ in seen]), np.mean([abs(p - q) == 1 for _, _, p, q in seen])
        rows.append((design.clusters[i], design.clusters[j], same, near, np.mean([p < q for _, _, p, q in seen])))
    return pd.DataFrame(rows, columns=["a", "b", "same", "adjacent", "a_first"])


@pytest.fixture
def sizes() -> pd.DataFrame:
    return pd.DataFrame({"referrals": [10947.0, 5468, 4345, 3836, 2829, 5000], "rural": [1, 0, 0, 0, 1, 1]}, index=list("abcdef"))


def scores_by_hand(design: Design, table: pd.DataFrame, weights: Sequence[float]) -> list[float]:
    z = (table - table.mean()) / table.std()
    scores = []
    for a in replace(design, constraint=None).allocations():
        x = design.matrix[a]
        score = 0.0
        for t, (name, weight) in itertools.product(range(design.n_periods), zip(table.columns, weights, strict=True)):
            seen = ~np.isnan(x[:, t])
            on, off, value = x[seen, t], 1 - x[seen, t], z.loc[list(design.clusters), name].to_numpy()[seen]
            if on.sum() > 0 and off.sum() > 0:
                score += weight * (np.average(value, weights=on) - np.average(value, weights=off)) ** 2
        scores.append(score)
    return scores


@pytest.mark.parametrize(
    "design",
    [
        Design.stepped_wedge(list("fedcba"), periods=4),
        Design.staircase(list("abcdef"), sequences=3),
        Design.from_matrix([[0, 0.25, 1], [0, None, 0.5], [0, 0, 0]], 2, list("abcdef")),
        Design.parallel(list("abcdef"), strata=[["a", "b"], ["c", "d"], ["e", "f"]]),
    ],
    ids=["wedge", "staircase", "fractions", "strata"],
)
def test_balance_scores_are_the_loops_of_the_definition(design: Design, sizes: pd.DataFrame) -> None:
    constrained = design.constrained(sizes, keep=0.2, weights={"rural": 2.0})
    frame = constrained.balance()
    expected = np.array(scores_by_hand(design, sizes, [1, 2]))
    np.testing.assert_allclose(frame["score"], expected, atol=1e-12)
    cut = np.sort(expected)[int(np.ceil(0.2 * len(expected))) - 1]
    assert frame["kept"].tolist() == (expected <= cut + 1e-9).tolist()
    assert constrained.allocations().tolist() == design.allocations()[expected <= cut + 1e-9].tolist()
    assert constrained.min_p() == pytest.approx(smallest_p(constrained))


def test_pairs_under_a_constraint_are_counted(sizes: pd.DataFrame) -> None:
    design = Design.stepped_wedge(list("abcdef"), periods=4).constrained(sizes, keep=0.05)
    expected = pairs_by_hand(design, design.allocations())
    pd.testing.assert_frame_equal(design.pairs().drop(columns="flag"), expected, check_dtype=False)
    flags = design.pairs()["flag"]
    assert (flags == "never together").tolist() == (expected["same"] == 0).tolist()
    assert (flags == "always first").any() == (expected["a_first"] == 1).any()


def test_pairs_name_what_is_always_and_what_is_never() -> None:
    strata = [Stratum(["a", "b"], [0, 0]), Stratum(["c", "d"], [1, 2])]
    design = Design.from_matrix([[0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1]], [2, 1, 1], list("dabc"), strata=strata)
    flags = design.pairs().set_index(["a", "b"])["flag"]
    assert flags.to_dict() == {
        ("d", "a"): "always second",
        ("d", "b"): "always second",
        ("d", "c"): "",
        ("a", "b"): "always together",
        ("a", "c"): "always first",
        ("b", "c"): "always first",
    }


def test_exposure_is_counted_cell_by_cell() -> None:
    rows = [[0, 1, 1, 0, 1], [None, 0.5, None, 1, None], [0, None, None, 1, 1], [1, None, 0, None, 1]]
    expected = [[0, 1, 2, 0, 1], [0, 1, 2, 3, 4], [0, 0, 0, 1, 2], [1, 2, 0, 0, 1]]
    assert Design.from_matrix(rows).exposure_of([0, 1, 2, 3]).tolist() == expected


def test_periods_of_dates_are_found_day_by_day() -> None:
    design = Design.stepped_wedge(clusters=2, boundaries=["2020-02-27", "2020-02-29", "2020-03-01", "2020-03-10"])
    days = pd.date_range("2020-02-20", "2020-03-15")
    periods = design.periods
    expected = [next((t for t, p in periods.iterrows() if p["start"] <= day <= p["end"]), -1) for day in days]
    for column in (days, pd.Series(days), days.to_numpy(), days.tz_localize("Europe/London"), days.strftime("%Y-%m-%d"), list(days.date)):
        assert design.period_of(column).tolist() == expected
    assert design.period_of(pd.Series(days + pd.Timedelta(hours=23)).dt.as_unit("s")).tolist() == expected
    assert design.period_of([None, "2020-02-27", pd.NaT]).tolist() == [-1, 0, -1]
    assert design.period_of(days.to_series().astype("category")).tolist() == expected


def test_the_index_of_a_seed_is_the_first_raw_draw_that_fits() -> None:
    design = Design.stepped_wedge(clusters=5)
    for seed in range(50):
        source = np.random.PCG64(seed)
        candidates = (int(source.random_raw()) >> (64 - 7) for _ in itertools.count())
        draw = design.randomise(seed).draw
        assert draw is not None
        assert draw.index == next(k for k in candidates if k < 120)


def test_an_index_beyond_64_bits_is_put_together_from_raw_words() -> None:
    design = Design.stepped_wedge(clusters=30)
    bits = (design.count() - 1).bit_length()
    for seed in range(20):
        source = np.random.PCG64(seed)
        words = (int(source.random_raw()) << 64 | int(source.random_raw()) for _ in itertools.count())
        draw = design.randomise(seed).draw
        assert draw is not None
        assert draw.index == next(k for k in (word >> (128 - bits) for word in words) if k < design.count())


def test_a_long_list_is_numbered_like_permutations() -> None:
    design = Design.stepped_wedge(clusters=25)
    first = np.concatenate(list(itertools.islice(design.iter_allocations(block=50), 3)))
    assert first.tolist() == [list(p) for p in itertools.islice(itertools.permutations(range(25)), 150)]
    assert design.numbered(design.count() - 1) == tuple(range(24, -1, -1))


def test_sampled_candidates_are_scored_like_the_full_list(sizes: pd.DataFrame) -> None:
    design = Design.stepped_wedge(list("abcdef"), periods=4)
    full = design.constrained(sizes, keep=0.5).balance().set_index("allocation")["score"]
    sampled = design.constrained(sizes, keep=5, sample=40, seed=0).balance()
    assert len(set(sampled["allocation"])) == 40
    np.testing.assert_allclose(sampled["score"], full[sampled["allocation"]])
    assert sampled["score"][sampled["kept"]].max() <= sampled["score"][~sampled["kept"]].min()


def test_a_design_too_long_to_count_in_64_bits_can_be_constrained() -> None:
    names = [f"c{i}" for i in range(25)]
    sizes = pd.DataFrame({"size": np.arange(25.0) ** 2}, index=names)
    design = Design.stepped_wedge(names).constrained(sizes, keep=10, sample=200, seed=3)
    frame = design.balance()
    best = [replace(design, constraint=None).numbered(number) for number in frame.loc[frame["kept"], "allocation"]]
    assert [tuple(row) for row in design.allocations().tolist()] == best
    assert [design.number_of(row) for row in best] == list(range(10))


def test_a_constraint_keeps_mirror_images_together_and_so_doubles_the_smallest_p(sizes: pd.DataFrame) -> None:
    design = Design.parallel(list("abcdef"))
    both = design.constrained(sizes, keep=6)
    assert both.min_p() == pytest.approx(smallest_p(both))
    assert both.min_p() == 2 / both.count()
    lone = replace(design, constraint=Constraint((Covariate("x", (1, 2, 3, 4, 5, 7)),), keep=4, sample=7, seed=1))
    assert lone.min_p() == pytest.approx(smallest_p(lone))
    assert lone.min_p() == 1 / lone.count()
