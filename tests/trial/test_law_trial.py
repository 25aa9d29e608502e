"""Laws of trials: what must not matter does not, and what is done to a trial can be undone, added up and taken apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import swedge as sw
from trial.rows import DATES, GAPS, NUMBERED, read, rows, same

SEEDS = st.integers(0, 2**32 - 1)
FAMILIES = {"gaussian": "g", "binomial": "y", "poisson": "events"}
FORMULAS = (None, "age", "C(sex)", "C(sex) + C(band) + age", "C(sex) * C(band)")
WEDGE = sw.Design.stepped_wedge(list(DATES), periods=4)


def trial_rows(seed: int, per: int = 5) -> pd.DataFrame:
    """Rows of random cells, at least one in each, with two categories and a number."""
    rng = np.random.default_rng(seed)
    frame = rows(per, seed % 1000)
    first = ~frame.duplicated(["la", "period"])
    frame = frame[first | (rng.random(len(frame)) < 0.7)]
    return frame.assign(band=rng.choice(["0-4", "5-9", "10-12"], len(frame)), y=rng.integers(0, 2, len(frame)))


def trial_of(frame: pd.DataFrame, family: str, covariates: str | None, **more: object) -> sw.Trial:
    return read(frame, outcome=FAMILIES[family], family=family, covariates=covariates, **more)


cases = given(seed=SEEDS, family=st.sampled_from(list(FAMILIES)), covariates=st.sampled_from(FORMULAS))


# What must not matter ------------------------------------------------------------


@cases
def test_order_of_rows_and_columns_and_the_index_do_not_matter(seed: int, family: str, covariates: str | None) -> None:
    frame = trial_rows(seed)
    rng = np.random.default_rng(seed)
    shuffled = frame.iloc[rng.permutation(len(frame)), rng.permutation(frame.shape[1])]
    shuffled = shuffled.set_index(pd.Index(rng.integers(0, 3, len(frame)), name="la"))
    same(trial_of(shuffled, family, covariates), trial_of(frame, family, covariates))


DTYPES = {
    "la": ["str", "object", "category"],
    "period": ["int8", "float64", "Int64", "object", "str", "category"],
    "y": ["bool", "float32", "Int8", "boolean", "object"],
    "g": ["float64", "Float64", "object"],
    "events": ["uint8", "float64", "Int64", "object"],
    "age": ["int16", "float64", "Int64", "object"],
    "sex": ["str", "object", "category"],
    "band": ["str", "object", "category"],
}


@given(seed=SEEDS, family=st.sampled_from(list(FAMILIES)), dtypes=st.fixed_dictionaries({k: st.sampled_from(v) for k, v in DTYPES.items()}))
def test_dtypes_of_columns_do_not_matter(seed: int, family: str, dtypes: dict[str, str]) -> None:
    frame = trial_rows(seed)
    same(*(trial_of(data, family, "C(sex) + C(band) + age") for data in (frame.astype(dtypes), frame)))


@cases
def test_a_file_in_between_does_not_matter(seed: int, family: str, covariates: str | None) -> None:
    import io

    frame = trial_rows(seed, per=3)
    text = io.StringIO(frame.to_csv(index=False))
    by_date = {"period": None, "date": "date"}
    same(trial_of(pd.read_csv(text), family, covariates, **by_date), trial_of(frame, family, covariates, **by_date))


@given(seed=SEEDS, family=st.sampled_from(["binomial", "poisson"]), covariates=st.sampled_from(FORMULAS))
def test_grouped_rows_are_the_same_trial(seed: int, family: str, covariates: str | None) -> None:
    """Individuals added up to any groups that share cluster, period and covariates."""
    frame, outcome = trial_rows(seed), FAMILIES[family]
    part = np.random.default_rng(seed).integers(0, 2, len(frame))
    keys = [frame[c] for c in ("la", "period", "sex", "band", "age")]
    grouped = frame.assign(people=1).groupby([*keys, part])[[outcome, "people"]].sum().reset_index()
    one, other = trial_of(grouped, family, covariates, size="people"), trial_of(frame, family, covariates)
    if family == "poisson":  # the scatter of counts inside a group is lost, and no estimator of this family reads it
        one = replace(one, cells=replace(one.cells, within=other.cells.within))
    same(one, other)


@given(seed=SEEDS)
def test_grouped_numbers_keep_counts_and_means_and_claim_no_scatter(seed: int) -> None:
    frame = trial_rows(seed)
    grouped = frame.assign(people=1).groupby(["la", "period", "sex"]).agg(g=("g", "mean"), people=("people", "sum")).reset_index()
    one, other = trial_of(grouped, "gaussian", None, size="people"), trial_of(frame, "gaussian", None)
    np.testing.assert_allclose(one.n, other.n)
    np.testing.assert_allclose(one.outcome, other.outcome, atol=1e-12)
    assert one.cells.within is None
    same(trial_of(frame.assign(people=1), "gaussian", None, size="people"), other)


# Cells and patterns ------------------------------------------------------------


@given(seed=SEEDS, family=st.sampled_from(["binomial", "poisson"]), covariates=st.sampled_from(FORMULAS[1:]), last=st.booleans())
def test_patterns_add_up_to_cells_and_to_rows(seed: int, family: str, covariates: str, last: bool) -> None:
    frame = trial_rows(seed) if last else trial_rows(seed)[lambda d: d.period < 4]
    trial = trial_of(frame, family, covariates, empty="keep")
    slots = trial.patterns
    assert slots is not None
    np.testing.assert_allclose(slots.gather(slots.n), trial.cells.n)
    np.testing.assert_allclose(slots.gather(slots.n * slots.mean), trial.cells.n * trial.outcome, atol=1e-9)
    own = frame.la.map({name: i for i, name in enumerate(trial.clusters)}).to_numpy()
    columns = sw.trial.formula.covariate_columns(covariates, frame)[1]
    for j, column in enumerate(columns.T):
        expected = np.zeros(trial.n.shape)
        np.add.at(expected, (own, frame.period.to_numpy() - 1), column * frame[FAMILIES[family]].to_numpy())
        np.testing.assert_allclose(slots.gather(slots.n * slots.mean * slots.covariates[..., j]), expected, atol=1e-9)


@given(seed=SEEDS, lead=st.sampled_from([(), (3,), (2, 3)]))
def test_spread_and_gather_are_adjoint(seed: int, lead: tuple[int, ...]) -> None:
    trial = trial_of(trial_rows(seed)[lambda d: d.period < 4], "binomial", "C(sex) + age", empty="keep")
    slots, rng = trial.patterns, np.random.default_rng(seed)
    assert slots is not None
    cells, table = rng.normal(size=(*lead, *trial.n.shape)), rng.normal(size=(*lead, *slots.n.shape))
    assert slots.gather(table).shape == cells.shape
    np.testing.assert_allclose((slots.spread(cells) * table).sum((-2, -1)), (cells * slots.gather(table)).sum((-2, -1)))


def test_patterns_made_by_hand_gather_up_to_their_last_period() -> None:
    slots = sw.Patterns(np.ones((1, 2)), np.zeros((1, 2)), np.array([[0, 2]]), np.zeros((1, 2, 1)))
    assert slots.gather(np.array([[5.0, 7.0]])).tolist() == [[5, 0, 7]]


@cases
def test_cells_taken_out_and_put_back_are_the_same_trial(seed: int, family: str, covariates: str | None) -> None:
    trial = trial_of(trial_rows(seed), family, covariates if family == "gaussian" else None)
    assert trial.allocation is not None
    again = sw.Trial.from_cells(trial.cells.n, trial.cells.mean, trial.allocation, within=trial.cells.within, family=family)
    same(replace(again, covariates=trial.covariates), trial)


# Other allocations ------------------------------------------------------------


@given(seed=SEEDS)
def test_reallocation_to_the_allocation_carried_out_changes_nothing(seed: int) -> None:
    trial = trial_of(trial_rows(seed), "binomial", None)
    assert trial.allocation is not None
    same(trial.reallocated(np.array(trial.allocation.sequence)), trial)


@given(seed=SEEDS, family=st.sampled_from(list(FAMILIES)), gaps=st.booleans())
def test_reallocated_trials_are_the_trials_that_rows_would_have_given(seed: int, family: str, gaps: bool) -> None:
    """Scatter included: a cell that an allocation leaves out adds nothing to it."""
    frame, design = trial_rows(seed), GAPS.design if gaps else WEDGE
    sequences = design.allocations()
    stack = read(frame, sw.Allocation(design, tuple(sequences[0].tolist())), outcome=FAMILIES[family], family=family)
    stack = stack.reallocated(sequences)
    for r, sequence in enumerate(sequences.tolist()):
        alone = read(frame, sw.Allocation(design, tuple(sequence)), outcome=FAMILIES[family], family=family)
        same(replace(stack.replicate(r), allocation=None), replace(alone, allocation=None))
        np.testing.assert_array_equal(stack.replicate(r).n, alone.n)


@given(seed=SEEDS)
def test_cells_left_out_hold_nobody_under_any_allocation(seed: int) -> None:
    trial = read(trial_rows(seed), GAPS)
    stack = trial.reallocated(GAPS.design.allocations())
    assert (stack.n[np.isnan(stack.treatment)] == 0).all()
    np.testing.assert_array_equal(
        stack.n[~np.isnan(stack.treatment)], np.broadcast_to(trial.cells.n, stack.n.shape)[~np.isnan(stack.treatment)]
    )
    assert not np.isnan(stack.arm).any()


@given(seed=SEEDS, count=st.integers(1, 3))
def test_comparators_are_never_treated_under_any_allocation(seed: int, count: int) -> None:
    others = [f"Other {k}" for k in range(count)]
    frame = pd.concat([trial_rows(seed), *(trial_rows(seed)[lambda d: d.la == "Walsall"].assign(la=name) for name in others)])
    trial = read(frame, WEDGE.allocate(dict(zip(DATES, range(3), strict=True))), comparators=others)
    stack = trial.reallocated(WEDGE.allocations())
    assert stack.treatment.shape == (6, 3 + count, 4)
    assert not stack.treatment[:, 3:].any()
    assert not stack.exposure[:, 3:].any()
    np.testing.assert_array_equal(stack.treatment[:, :3], WEDGE.treatment_of(WEDGE.allocations()))


@given(seed=SEEDS)
def test_under_keeps_the_observations(seed: int) -> None:
    trial = trial_of(trial_rows(seed), "gaussian", "age")
    other = trial.under(1 - trial.treatment, trial.exposure)
    assert other.cells is trial.cells
    assert (other.treatment + trial.treatment == 1).all()


# Effects taken out, stacks taken apart ------------------------------------------------------------


@given(seed=SEEDS, a=st.floats(-5, 5), b=st.floats(-5, 5), scale=st.sampled_from(["identity", "logit", "log"]))
def test_effects_taken_out_add_up(seed: int, a: float, b: float, scale: str) -> None:
    trial = trial_of(trial_rows(seed), "gaussian", "age")
    one, both = trial.without(a, scale).without(b, scale), trial.without(a + b, scale)
    np.testing.assert_allclose(one.cells.mean, both.cells.mean, atol=1e-9)
    if scale == "identity":
        assert one.offset is None
        np.testing.assert_allclose(trial.outcome - both.outcome, (a + b) * trial.treatment, atol=1e-9)
        np.testing.assert_array_equal(both.cells.mean[..., 1:], trial.cells.mean[..., 1:])
    else:
        np.testing.assert_allclose(one.offset, (a + b) * trial.treatment, atol=1e-9)
        np.testing.assert_array_equal(both.cells.mean, trial.cells.mean)


@given(seed=SEEDS, scale=st.sampled_from(["identity", "logit"]))
def test_effects_stack_over_trials_and_over_allocations(seed: int, scale: str) -> None:
    trial, effects = trial_of(trial_rows(seed), "binomial", None), np.array([-1.0, 0.0, 2.0])
    stack = trial.without(effects, scale)
    assert stack.shape == (3,)
    for k, effect in enumerate(effects):
        alone = trial.without(effect, scale)
        np.testing.assert_allclose(stack.replicate(k).outcome, alone.outcome)
        np.testing.assert_array_equal(stack.replicate(k).arm, alone.arm)
    both = trial.reallocated(WEDGE.allocations()[:, None]).without(effects, scale)
    assert both.shape == (6, 3)


@given(seed=SEEDS, size=st.integers(1, 4), data=st.data())
def test_a_stack_taken_apart_is_what_it_was_made_of(seed: int, size: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    shared = data.draw(st.sampled_from([(), ("n",), ("mean",), ("within",), ("n", "within")]))
    full = {
        "n": rng.integers(1, 9, (size, 3, 4)).astype(float),
        "mean": rng.normal(size=(size, 3, 4)),
        "within": rng.random((size, 3, 1, 1)),
    }
    once = data.draw(st.sampled_from([0, slice(0, 1)]))  # shared without a leading axis, or with one of length 1
    parts = {name: table[once] if name in shared else table for name, table in full.items()}
    stack = sw.Trial.from_cells(parts["n"], parts["mean"], NUMBERED, within=parts["within"])
    for r in (*range(size), -1):
        single = {name: table[0] if name in shared else table[r] for name, table in full.items()}
        same(stack.replicate(r), sw.Trial.from_cells(single["n"], single["mean"], NUMBERED, within=single["within"]))
        assert stack.replicate(r).shape == ()
    half = stack.replicate(slice(0, max(size // 2, 1)))
    assert half.shape == (max(size // 2, 1),)
    same(half.replicate(0), stack.replicate(0))
    picked = stack.replicate(np.array([size - 1, 0, 0]))
    assert picked.shape == (3,)
    same(picked.replicate(0), stack.replicate(size - 1))


def test_a_stack_of_one_is_taken_apart_too() -> None:
    stack = sw.Trial.from_cells(np.full((1, 3, 4), 5), np.zeros((1, 3, 4)), NUMBERED)
    assert stack.shape == (1,)
    assert stack.replicate(0).shape == ()
    assert stack.replicate(np.int64(0)).tidy().shape == (12, 6)


def test_stacked_offsets_exposures_and_patterns_are_taken_apart() -> None:
    trial = trial_of(trial_rows(1), "binomial", "C(sex)")
    assert trial.patterns is not None
    slots = replace(trial.patterns, mean=np.stack([trial.patterns.mean, trial.patterns.mean / 2]))
    stack = replace(trial, patterns=slots).without(np.array([0.5, 1.0]), "logit")
    second = stack.replicate(1)
    assert second.shape == ()
    np.testing.assert_array_equal(second.patterns.mean, trial.patterns.mean / 2)  # type: ignore[union-attr]
    np.testing.assert_array_equal(second.offset, trial.treatment)


def test_no_trial_of_two_leading_axes_is_taken_apart_at_random() -> None:
    trial = trial_of(trial_rows(1), "binomial", None)
    both = trial.reallocated(WEDGE.allocations()[:, None]).without(np.zeros(6))
    with pytest.raises(sw.DataError, match=r"one leading axis; this trial has shape \(6, 6\)"):
        both.replicate(0)


# Panels ------------------------------------------------------------


@given(seed=SEEDS, clusters=st.integers(2, 6), periods=st.integers(2, 6), shift=st.integers(-3000, 3000))
def test_a_panel_does_not_care_for_order_or_for_the_origin_of_time(seed: int, clusters: int, periods: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    first = rng.integers(1, periods + 3, clusters).astype(float)
    frame = pd.DataFrame([(f"c{i}", t + 1, first[i], rng.normal()) for i in range(clusters) for t in range(periods)], columns=list("ctfy"))
    columns = {"cluster": "c", "period": "t", "outcome": "y", "first_treated": "f"}
    trial = sw.Trial.from_panel(frame, **columns)
    moved = frame.assign(t=frame.t + shift + 3001, f=frame.f + shift + 3001).sample(frac=1, random_state=seed)
    other = sw.Trial.from_panel(moved, **columns)
    same(replace(other, periods=trial.periods), trial)
    np.testing.assert_array_equal(trial.treatment, np.arange(1, periods + 1) >= np.sort(first)[:, None])
    np.testing.assert_array_equal(trial.exposure > 0, trial.treatment > 0)
