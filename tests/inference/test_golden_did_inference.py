"""Bounds on trends beside HonestDiD, honestdid, moderndid and diff-diff, and the randomised part of an estimate beside ri2.

What the tolerances are made of, each a property of the peer:

* HonestDiD, honestdid and moderndid take quantiles of the folded normal from a million draws: their error is 0.1% of a half-length (density
  .117 of a |Z| at 1.96), so three of them are 0.3%. HonestDiD also looks for the optimal weights along 100 steps, which moves the centre
  of an interval, and hardly its length. diff-diff does neither, and agrees to 2e-6.
* Conditional intervals are the accepted points of a grid, whose step (`step` in the table) a peer's end may lie inside of ours; and the
  first stage's cutoff is the 99.5% point of 1,000 draws, whose effect is measured here by giving our test such cutoffs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import reference_data as data
import swedge as sw
from swedge._kernels import bounded_trends
from swedge._kernels.bounded_trends import conditional_interval, fixed_length_interval, identified_set, relative_magnitudes, smoothness
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.inference.evidence import split_evidence
from swedge.inference.honest import honest_effect

TABLE = data.golden("did_inference")
INPUTS = data.golden("did_inference_inputs")
MAKE = {"smoothness": smoothness, "relative magnitudes": relative_magnitudes}


def each(table: pd.DataFrame) -> list[object]:
    return [pytest.param(row, id=f"{row.id} {row.bound}") for _, row in table.iterrows()]


def inputs(row: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Estimates, covariance, weights of the effects after treatment, and how many are before."""
    own = INPUTS[INPUTS.data == row.data]
    covariance = own[[f"c{k}" for k in range(len(own))]].to_numpy(float)
    after = int((own.event >= 0).sum())
    target = np.eye(after)[0] if row.target == "event 0" else np.full(after, 1 / after)
    return own.estimate.to_numpy(float), covariance, target, len(own) - after


@pytest.mark.parametrize("row", each(TABLE[(TABLE.method == "fixed length") & (TABLE.source == "diff-diff")]))
def test_fixed_length_is_theirs(row: pd.Series) -> None:
    estimate, covariance, target, _ = inputs(row)
    low, high, _ = fixed_length_interval(estimate, covariance, target, row.bound, 0.95)
    assert [low, high] == pytest.approx([row.low, row.high], abs=2e-6)
    assert high - low == pytest.approx(row.high - row.low, rel=1e-8)


@pytest.mark.parametrize("row", each(TABLE[(TABLE.method == "fixed length") & (TABLE.source != "diff-diff")]))
def test_fixed_length_is_theirs_but_for_their_draws(row: pd.Series) -> None:
    estimate, covariance, target, _ = inputs(row)
    low, high, _ = fixed_length_interval(estimate, covariance, target, row.bound, 0.95)
    half = (high - low) / 2
    assert (row.high - row.low) / 2 == pytest.approx(half, rel=0.003)
    assert (row.high + row.low) / 2 == pytest.approx((high + low) / 2, abs=0.01 * half)


@pytest.mark.parametrize("row", each(TABLE[TABLE.method == "conditional"]))
def test_conditional_is_theirs_but_for_grid_and_cutoff(row: pd.Series, monkeypatch: pytest.MonkeyPatch) -> None:
    estimate, covariance, target, before = inputs(row)
    bounds = MAKE[row.kind](before, len(target), row.bound)
    ours = conditional_interval(bounds, estimate, covariance, target, 0.95)[:2]
    noise = np.std([cutoff_of_a_thousand(bounds, estimate, covariance, target, seed, monkeypatch) for seed in range(12)], axis=0)
    assert row.low - ours[0] == pytest.approx(row.step / 2, abs=row.step / 2 + 3 * noise[0])
    assert ours[1] - row.high == pytest.approx(row.step / 2, abs=row.step / 2 + 3 * noise[1])


def cutoff_of_a_thousand(
    bounds: list[object], estimate: np.ndarray, covariance: np.ndarray, target: np.ndarray, seed: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[float, float]:
    """Our interval with the first stage's cutoff from 1,000 draws."""

    def simulated(moments: np.ndarray, level: float) -> float:
        drawn = multivariate_normal(np.zeros(len(moments)), moments, allow_singular=True, seed=seed).rvs(1000)
        return float(np.quantile(drawn.max(1), level))

    with monkeypatch.context() as patch:
        patch.setattr(bounded_trends, "_largest_quantile", simulated)
        return conditional_interval(bounds, estimate, covariance, target, 0.95)[:2]


@pytest.mark.parametrize("row", each(TABLE[TABLE.method == "identified set"]))
def test_identified_set_is_theirs(row: pd.Series) -> None:
    estimate, _, target, before = inputs(row)
    assert identified_set(MAKE[row.kind](before, len(target), row.bound), estimate, target) == pytest.approx((row.low, row.high), abs=1e-12)


def test_the_event_study_that_they_took_is_ours(shared: object) -> None:
    """From the rows to the bounds: our event study is the peers' input to 1e-10, so every line above holds for it."""
    frame = pd.read_csv(shared / "data" / "did" / "mpdta.csv")
    panel = sw.Trial.from_panel(frame, cluster="countyreal", period="year", outcome="lemp", first_treated="first.treat")
    fit = CallawaySantAnna(aggregate="dynamic", base="universal", vcov="influence", df="normal").fit(panel)
    own = INPUTS[INPUTS.data == "mpdta"]
    assert fit.estimate[1:] == pytest.approx(own.estimate.to_numpy(float), abs=1e-10)
    assert fit.covariance[1:, 1:] == pytest.approx(own[[f"c{k}" for k in range(7)]].to_numpy(float), abs=1e-9)
    table = honest_effect(fit, "smoothness", [0.0]).tidy()
    row = TABLE[TABLE.id == "dd_honest_smoothness_0.0"].iloc[0]
    assert table[["conf_low", "conf_high"]].iloc[1].tolist() == pytest.approx([row.low, row.high], abs=1e-8)


def castle(shared: object, file: str) -> sw.Trial:
    frame = pd.read_csv(shared / "data" / "did" / file)
    first = frame.groupby("sid").gvar.first().sort_values()
    treated, never = first[first > 0], first[first == 0]
    years = sorted(frame.year.unique())
    names = [f"state {sid}" for sid in treated.index]
    rows = [[int(year >= start) for year in years] for start in treated]
    design = sw.Design.from_matrix(rows, clusters_per_sequence=[1] * len(rows), clusters=names)
    table = frame.pivot(index="sid", columns="year", values="l_homicide").loc[[*treated.index, *never.index]].to_numpy()
    allocation = design.allocate({name: k for k, name in enumerate(names)})
    return sw.Trial.from_cells(np.ones(table.shape), table, allocation, comparators=[f"state {sid}" for sid in never.index])


def test_null_of_the_order_is_that_of_ri2(shared: object) -> None:
    """Record ri_castle5_10_cond: over the 120 orders the estimate .0546 has mean .0529 and standard deviation .0244."""
    split = split_evidence(castle(shared, "castle5_plus10.csv"), sw.TwoWayFixedEffects(), draws=99)
    assert split.n_allocations == 120
    assert split.centre == pytest.approx(0.0528733670610126, abs=1e-12)
    assert split.reference.std(ddof=1) == pytest.approx(0.0243825306775929, abs=1e-12)
    table = split.tidy().drop_duplicates("term").set_index("term")
    assert table.loc["together", "estimate"] == pytest.approx(0.0546458054460577, abs=1e-12)


@pytest.mark.parametrize("file", ["castle5_plus10.csv", "castle5_plus29.csv", "castle5_plus5.csv"])
def test_randomised_part_is_the_treated_states_alone(shared: object, file: str) -> None:
    """Record ri2_castle5_sw: the five states without comparators, .00510879 with p 110/120, whatever comparators stand beside them."""
    split = split_evidence(castle(shared, file), sw.TwoWayFixedEffects(), draws=99).tidy().set_index("term")
    assert split.loc["randomised order", "estimate"] == pytest.approx(0.00510879299219642, abs=1e-12)
    assert split.loc["randomised order", "p_value"] == pytest.approx(110 / 120, abs=1e-12)
    assert split.loc["randomised order", "min_p"] == 1 / 120
