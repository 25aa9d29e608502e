"""Laws that hold for any design."""

from __future__ import annotations

import copy
import datetime
import itertools
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swedge.design import Allocation, Constraint, Covariate, Design, Stratum

CELLS = st.sampled_from([0.0, 1.0, 0.5, None])


def comparable(rows: list[tuple[float | None, ...]]) -> bool:
    seen = [cell for row in rows for cell in row if cell is not None]
    return all(any(cell is not None for cell in row) for row in rows) and any(c > 0 for c in seen) and any(c < 1 for c in seen)


def comparable_in(column: tuple[float | None, ...]) -> bool:
    seen = [cell for cell in column if cell is not None]
    return any(cell > 0 for cell in seen) and any(cell < 1 for cell in seen)


@st.composite
def designs(draw: st.DrawFn) -> Design:
    n_periods = draw(st.integers(2, 4))
    rows = draw(st.lists(st.tuples(*[CELLS] * n_periods), min_size=2, max_size=4, unique=True).filter(comparable))
    counts = [draw(st.integers(1, 2)) for _ in rows]
    names = draw(st.permutations([f"cluster {i}" for i in range(sum(counts))]))
    places = draw(st.permutations([s for s, count in enumerate(counts) for _ in range(count)]))
    cuts = sorted(draw(st.sets(st.integers(1, len(names) - 1), max_size=2))) if draw(st.booleans()) else []
    groups = [slice(a, b) for a, b in itertools.pairwise([0, *cuts, len(names)])]
    strata = tuple(Stratum(tuple(names[g]), tuple(places[g])) for g in groups) if cuts else ()
    order = draw(st.permutations(names))
    first = draw(st.dates(datetime.date(1990, 1, 1), datetime.date(2090, 1, 1)))
    days = itertools.accumulate(draw(st.lists(st.integers(1, 400), min_size=n_periods, max_size=n_periods)), initial=0)
    boundaries = tuple(first + datetime.timedelta(days=d) for d in days) if draw(st.booleans()) else ()
    return Design(tuple(rows), tuple(order), tuple(counts), strata, boundaries)


@st.composite
def constrained_designs(draw: st.DrawFn) -> Design:
    design = draw(designs().filter(lambda d: d.count() >= 4 and any(comparable_in(column) for column in zip(*d.rows, strict=True))))
    values = draw(st.lists(st.integers(-5, 5), min_size=design.n_clusters, max_size=design.n_clusters).filter(lambda v: len(set(v)) > 1))
    return replace(design, constraint=Constraint((Covariate("x", tuple(values)),), keep=2))


@given(designs() | constrained_designs())
def test_the_list_is_complete_distinct_and_in_order(design: Design) -> None:
    listed = [tuple(row) for row in design.allocations().tolist()]
    assert len(listed) == design.count()
    assert listed == sorted(set(listed))
    assert all(design.permits(row) for row in listed)
    assert [design.number_of(row) for row in listed] == list(range(len(listed)))
    assert design.numbered(len(listed) - 1) == listed[-1]


@given(designs() | constrained_designs(), st.integers(1, 7))
def test_blocks_join_up_to_the_list(design: Design, block: int) -> None:
    blocks = list(design.iter_allocations(block))
    assert {len(part) for part in blocks[:-1]} <= {block}
    np.testing.assert_array_equal(np.concatenate(blocks), design.allocations())


@given(designs() | constrained_designs(), st.integers(0, 2**70))
def test_what_is_drawn_is_permitted_and_can_be_drawn_again(design: Design, seed: int) -> None:
    allocation = design.randomise(seed)
    assert allocation.draw is not None
    assert allocation.draw.seed == seed
    assert design.number_of(allocation.sequence) == allocation.draw.index
    assert design.randomise(seed) == allocation
    allocation.verify()
    assert all(design.permits(row) for row in design.random_allocations(20, np.random.default_rng(seed)))


@given(designs())
def test_every_allocation_treats_as_many_clusters_in_each_period(design: Design) -> None:
    treatment = design.treatment_of(design.allocations())
    assert (np.nansum(treatment, axis=1) == np.nansum(treatment[0], axis=0)).all()
    assert (np.isnan(treatment).sum(axis=1) == np.isnan(treatment[0]).sum(axis=0)).all()


@given(designs(), st.integers(0, 2))
def test_exposure_runs_exactly_while_treated(design: Design, transition: int) -> None:
    rolled = np.array(design.rows, dtype=float)
    exposure = design.exposure_of(design.allocations()[0])
    x = rolled[list(design.numbered(0))]
    assert (exposure[x > 0] > 0).all()
    assert (exposure[x == 0] == 0).all()
    steps = np.diff(exposure, axis=1)
    assert ((steps == 1) | (exposure[:, 1:] == 0)).all()
    masked = np.where((exposure <= transition) & (exposure > 0) & ~np.isnan(x), np.nan, x)
    rows = {tuple(None if np.isnan(cell) else cell for cell in row) for row in masked}
    if comparable(list(rows)) and len(rows) == design.n_sequences:
        np.testing.assert_array_equal(replace(design, transition=transition).treatment_of(design.numbered(0)), masked)


@given(designs())
def test_a_stack_is_its_loop(design: Design) -> None:
    stack = design.random_allocations(6, 0).reshape(2, 3, design.n_clusters)
    loop = [[design.treatment_of(row) for row in part] for part in stack]
    np.testing.assert_array_equal(design.treatment_of(stack), loop)
    np.testing.assert_array_equal(design.exposure_of(stack), [[design.exposure_of(row) for row in part] for part in stack])


@given(designs() | constrained_designs())
def test_repr_is_a_constructor_call_and_equality_is_meaning(design: Design) -> None:
    names: dict[str, Any] = {"Design": Design, "Stratum": Stratum, "Constraint": Constraint, "Covariate": Covariate, "datetime": datetime}
    assert eval(repr(design), names) == design
    assert hash(replace(design)) == hash(design)
    design.count()
    assert copy.deepcopy(design) == pickle.loads(pickle.dumps(design)) == design
    assert Design.from_record(design.record()).sha256() == design.sha256()


@given(designs(), st.randoms())
def test_the_order_in_which_strata_are_written_means_nothing(design: Design, random: Any) -> None:
    shuffled = [
        Stratum(tuple(random.sample(g.clusters, len(g.clusters))), tuple(random.sample(g.sequences, len(g.sequences))))
        for g in design.strata
    ]
    random.shuffle(shuffled)
    assert replace(design, strata=tuple(shuffled)) == design


@given(designs(), st.randoms())
def test_relabelling_clusters_relabels_allocations(design: Design, random: Any) -> None:
    order = random.sample(range(design.n_clusters), design.n_clusters)
    moved = replace(design, clusters=tuple(design.clusters[i] for i in order))
    assert moved.count() == design.count()
    assert moved.min_p() == design.min_p()
    assert {tuple(row) for row in moved.allocations()} == {tuple(row[order]) for row in design.allocations()}


@given(designs() | constrained_designs(), st.integers(0, 1000))
def test_records_come_back(tmp_path_factory: pytest.TempPathFactory, design: Design, seed: int) -> None:
    path = tmp_path_factory.mktemp("record") / "allocation.json"
    drawn = design.randomise(seed)
    carried_out = design.allocate(dict(zip(design.clusters, drawn.sequence, strict=True)))
    for allocation in (drawn, carried_out, Allocation(design, drawn.sequence)):
        allocation.save(path, overwrite=True)
        loaded = Allocation.load(path)
        assert loaded == allocation
        assert loaded.record() == allocation.record()
        loaded.save(path)
    assert carried_out.record()["draw"]["seed"] is None
    assert [file.name for file in Path(path).parent.iterdir()] == ["allocation.json"]


@given(st.integers(21, 60), st.integers(0, 2**32))
def test_numbers_beyond_64_bits_go_both_ways(n_clusters: int, seed: int) -> None:
    design = Design.stepped_wedge(clusters=n_clusters)
    for row in design.random_allocations(2, seed):
        number = design.number_of(row)
        assert number is not None
        assert design.numbered(number) == tuple(row)


dates = st.dates(datetime.date(2020, 1, 1), datetime.date(2022, 12, 31))


@given(st.dictionaries(st.sampled_from("abcdefg"), dates, min_size=2).filter(lambda d: len(set(d.values())) > 1), st.data())
def test_a_cluster_is_treated_from_its_go_live_on(go_live: dict[str, datetime.date], data: st.DataObject) -> None:
    design = Design.from_dates(go_live, start="2020-01-01", end="2022-12-31")
    assert design.periods["days"].sum() == 1096
    allocation = design.allocate_dates(go_live)
    days = data.draw(st.lists(dates, min_size=1, max_size=20))
    treatment = allocation.treatment[:, design.period_of(days)]
    assert treatment.tolist() == [[float(day >= live) for day in days] for live in go_live.values()]
    frame = allocation.calendar().set_index("cluster")["go_live"]
    assert {name: day.date() for name, day in frame.items()} == go_live


@given(constrained_designs(), st.integers(-3, 3).filter(bool), st.integers(-9, 9), st.integers(2, 4))
def test_balance_ignores_the_unit_of_a_covariate_and_keeps_the_best(design: Design, scale: int, shift: int, keep: int) -> None:
    assert design.constraint is not None
    x = pd.Series(design.constraint.covariates[0].values, index=design.clusters).sample(frac=1, random_state=0)
    free = replace(design, constraint=None)
    plain, moved = free.constrained(x.to_frame("x"), keep=keep), free.constrained((scale * x + shift).to_frame("y"), keep=keep)
    scores = plain.balance()
    np.testing.assert_allclose(scores["score"], moved.balance()["score"], atol=1e-12)
    np.testing.assert_array_equal(plain.allocations(), moved.allocations())
    assert keep <= plain.count() == scores["kept"].sum()
    assert scores["score"][scores["kept"]].max() <= scores["score"][~scores["kept"]].min() or scores["kept"].all()
    ties = np.isclose(scores["score"].to_numpy()[:, None], scores["score"].to_numpy(), rtol=0, atol=1e-12)
    assert (scores["kept"].to_numpy()[:, None] == scores["kept"].to_numpy())[ties].all()
