"""Tables that cannot be cells of the allocation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from trial.rows import NUMBERED

N = np.full((3, 4), 10.0)
MEAN = np.linspace(0.05, 0.6, 12).reshape(3, 4)
TWO = np.stack([MEAN, 2 * MEAN], -1)
NAMES = ["1", "2", "3"]


def made(n: Any = N, mean: Any = MEAN, allocation: Any = NUMBERED, **more: Any) -> sw.Trial:
    return sw.Trial.from_cells(n, mean, allocation, **more)


def labelled(values: Any, index: Any = NAMES, columns: Any = (1, 2, 3, 4)) -> pd.DataFrame:
    return pd.DataFrame(values, index=list(index), columns=list(columns))


REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    # shapes
    "transposed": (lambda: made(N.T, MEAN.T), "Cells are 4 clusters x 3 periods; the allocation has 3 x 4"),
    "one count for all": (lambda: made(10), r"Cell means of shape \(3, 4\) do not fit counts of shape \(\); expected"),
    "a row of counts": (lambda: made(N[0]), r"counts of shape \(4,\)"),
    "a cluster short": (lambda: made(N[:2]), r"do not fit counts of shape \(2, 4\)"),
    "stacks of two lengths": (
        lambda: made(np.broadcast_to(N, (3, 3, 4)), np.broadcast_to(MEAN, (5, 3, 4))),
        r"Stacks do not fit: counts have shape \(3, 3, 4\), means \(5, 3, 4, 1\)",
    ),
    "ragged": (lambda: made([[1, 2], [3]]), "n holds something else than numbers, or rows of unequal length. Pass an array of clusters x"),
    "text": (lambda: made(mean=[["a"] * 4] * 3), "mean holds something else than numbers"),
    "complex": (lambda: made(mean=MEAN + 1j), "mean holds something else than numbers"),
    "a design": (lambda: made(allocation=NUMBERED.design), r"allocation is a Design\. Pass the Allocation"),
    "nothing for an allocation": (lambda: made(allocation=None), "allocation is a NoneType"),
    # counts and means
    "negative counts": (lambda: made(-N), "Cell counts must be finite and not negative. Give 0"),
    "nan counts": (lambda: made(N * np.nan), "Cell counts must be finite"),
    "infinite counts": (lambda: made(N * np.inf), "Cell counts must be finite"),
    "nobody": (lambda: made(0 * N), "No cell has any individuals"),
    "nobody in one of a stack": (lambda: made(np.stack([N, 0 * N]), np.stack([MEAN, MEAN])), "A trial of the stack has no individuals"),
    "nan mean": (lambda: made(mean=np.where(MEAN > 0.5, np.nan, MEAN)), "has a mean that is not a finite number. Give n = 0"),
    "infinite mean": (lambda: made(mean=np.where(MEAN > 0.5, np.inf, MEAN)), "not a finite number"),
    "nan covariate": (lambda: made(mean=TWO * [1, np.nan]), "not a finite number"),
    "risk above 1": (lambda: made(mean=MEAN * 10, family="binomial"), r"10 cells have a binomial mean outside \[0, 1\]\. Give means \(ev"),
    "risk below 0": (lambda: made(mean=-MEAN, family="binomial"), "12 cells have a binomial mean outside"),
    "counts for risks": (lambda: made(N, np.round(N * MEAN), family="binomial"), "Give means \\(events / n\\), not counts"),
    "one bad trial of a stack": (lambda: made(N, np.stack([MEAN, MEAN + 0.7]), family="binomial"), "cells have a binomial mean outside"),
    "negative rate": (lambda: made(mean=-MEAN, family="poisson"), "12 cells have a poisson mean below 0"),
    "family": (lambda: made(family="normal"), "family is 'normal'; expected one of gaussian, binomial, poisson"),
    # scatter
    "negative scatter": (lambda: made(within=-1.0), "within is no matrix of sums of squares .*positive semi-definite. Add up"),
    "nan scatter": (lambda: made(within=np.nan), "must be finite"),
    "infinite scatter": (lambda: made(within=np.inf), "must be finite"),
    "text scatter": (lambda: made(within="much"), "within holds something else than numbers"),
    "scatter by cell": (lambda: made(within=np.ones((3, 4))), r"within has shape \(3, 4\); expected \(\.\.\., 1, 1\)"),
    "a scatter a cluster, flat": (lambda: made(within=np.ones(3)), r"within has shape \(3,\)"),
    "scatter of other clusters": (lambda: made(within=np.ones((7, 1, 1))), r"within has shape \(7, 1, 1\); expected .* with C 1 or 3"),
    "scatter of other variables": (lambda: made(within=np.eye(2)), r"within has shape \(2, 2\); expected \(\.\.\., 1, 1\)"),
    "a number for two variables": (lambda: made(mean=TWO, within=3.0), r"within has shape \(\); expected \(\.\.\., 2, 2\)"),
    "not symmetric": (lambda: made(mean=TWO, within=[[2, 1], [0, 2]]), "symmetric"),
    "not definite": (lambda: made(mean=TWO, within=[[1, 5], [5, 1]]), "positive semi-definite"),
    "bare cells, wrong scatter": (lambda: sw.Cells(N, MEAN[..., None], np.ones((2, 1, 1))), "with C 1 or 3"),
    "bare cells, negative scatter": (lambda: sw.Cells(N, MEAN[..., None], -np.ones((1, 1, 1))), "not negative on the diagonal"),
    # covariates
    "covariates of risks": (
        lambda: made(mean=TWO / 2, family="binomial"),
        "Means of covariates do not suffice for family='binomial'. Build the",
    ),
    "names of other covariates": (
        lambda: made(mean=TWO, covariates=["age", "sex"]),
        "covariates names 2 covariates; mean holds 1 beside the out",
    ),
    # stacks
    "a scatter that multiplies the stack": (
        lambda: made(N, np.stack([MEAN, MEAN]), within=np.ones((2, 1, 1, 1, 1))),
        r"within has shape \(2, 1, 1, 1, 1\), which does not fit trials of shape \(2,\); expected \(\.\.\., C, 1, 1\) with C 1 or 3",
    ),
    "a stack of scatters alone": (lambda: made(within=np.ones((5, 1, 1, 1))), r"does not fit trials of shape \(\)"),
    # comparators
    "comparator of the design": (
        lambda: made(np.vstack([N, N[:1]]), np.vstack([MEAN, MEAN[:1]]), comparators=["1"]),
        "'1' is a cluster of",
    ),
    "comparators as text": (lambda: made(comparators="Kent"), "comparators is the text 'Kent'"),
    "comparator without a row": (lambda: made(comparators=["Kent"]), "Cells are 3 clusters x 4 periods; the allocation has 4 x 4"),
    "row without a comparator": (lambda: made(np.vstack([N, N[:1]]), np.vstack([MEAN, MEAN[:1]])), "Cells are 4 clusters x 4 periods"),
    # frames
    "unlabelled frame": (
        lambda: made(pd.DataFrame(N)),
        r"n is a frame with 3 rows, 2 of them named as a cluster and 4 columns, 3 of them named as a period; expected .*1 to 4, each once",
    ),
    "frame of other clusters": (
        lambda: made(labelled(N, ["1", "2", "4"])),
        "n is a frame with 3 rows, 2 of them named as a cluster and 4 columns, 4 of them",
    ),
    "frame of other periods": (
        lambda: made(mean=labelled(MEAN, columns=[2, 3, 4, 5])),
        "mean is a frame .*4 columns, 3 of them named as a period",
    ),
    "frame with a cluster twice": (lambda: made(labelled(N, ["1", "2", "2"])), "3 rows, 2 of them named as a cluster"),
    # what is done to a trial
    "exposure of another shape": (
        lambda: made().under(np.zeros((4, 3)), np.zeros((4, 3), int)),
        r"Treatment has shape \(4, 3\).*\(\.\.\., 3, 4\)",
    ),
    "part of no stack": (lambda: made().replicate(0), r"part of a stack with one leading axis; this trial has shape \(\)"),
    "a stack's tidy": (
        lambda: made(N, np.stack([MEAN, MEAN])).tidy(),
        r"stack of trials of shape \(2,\); take one with trial\.replicate\(0\)",
    ),
    "beyond the stack": (lambda: made(N, np.stack([MEAN, MEAN])).replicate(2), r"replicate\(2\) of a stack of 2 trials; .* 0 to 1"),
    "a shared stack's second": (lambda: made(N[None], MEAN[None]).replicate(1), "of a stack of 1 trials"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_directions(name: str) -> None:
    attempt, says = REFUSALS[name]
    with pytest.raises(sw.DataError, match=says):
        attempt()


def test_a_frame_is_put_in_the_order_of_the_design() -> None:
    shuffled = labelled(MEAN).iloc[[2, 0, 1], [3, 0, 2, 1]]
    np.testing.assert_array_equal(made(labelled(N), shuffled).outcome, MEAN)
    numbers = labelled(MEAN, index=[1.0, 2.0, 3.0], columns=["1", "2", "3", "4"]).sort_index(ascending=False)
    np.testing.assert_array_equal(made(N, numbers).outcome, MEAN)


def test_a_pivot_table_of_named_clusters_goes_to_the_right_rows() -> None:
    design = sw.Design.stepped_wedge(["Walsall", "Lancashire", "Swindon"], periods=4)
    allocation = design.allocate({"Walsall": 0, "Lancashire": 1, "Swindon": 2})
    long = pd.DataFrame(
        [(name, t + 1, MEAN[i, t]) for i, name in enumerate(design.clusters) for t in range(4)], columns=["la", "period", "risk"]
    )
    table = long.pivot(index="la", columns="period", values="risk")
    assert list(table.index) == sorted(design.clusters)
    np.testing.assert_array_equal(made(N, table, allocation).outcome, MEAN)


def test_a_mean_is_not_asked_for_where_nobody_was_observed() -> None:
    nobody = np.where(np.arange(4) == 1, 0.0, N)
    trial = made(nobody, np.where(nobody > 0, MEAN, np.nan), family="binomial")
    assert trial.n.sum() == 90
    assert trial.tidy().outcome.isna().sum() == 3
    assert np.isfinite(sw.WithinPeriod().point(trial))


def test_a_nan_covariate_where_nobody_was_observed_does_not_spread() -> None:
    nobody = np.where(np.arange(4) == 1, 0.0, N)
    means = np.stack([MEAN, np.random.default_rng(1).normal(size=(3, 4))], -1)
    fits = [
        sw.FixedEffects(vcov="model").fit(made(nobody, np.where(nobody[..., None] > 0, means, blank), within=np.eye(2)))
        for blank in (0.0, np.nan)
    ]
    assert fits[0].estimate == fits[1].estimate
    blank = made(nobody, np.where(nobody[..., None] > 0, means, np.nan), within=np.eye(2))
    assert np.isfinite(blank.cells.mean).all()


def test_covariates_are_named_or_numbered() -> None:
    assert made(mean=TWO, covariates=["age"]).covariates == ("age",)
    assert made(mean=TWO).covariates == ("covariate 1",)


def test_a_trial_prints_as_one_line() -> None:
    assert repr(made()) == f"<Trial: 3 clusters x 4 periods, gaussian, n = {N.sum():,.0f}>"
    kent = made(np.vstack([N, N[:1]]), np.vstack([MEAN, MEAN[:1]]), comparators=["Kent"])
    assert repr(kent.without(np.zeros(5))) == "<Trial: 5 trials of 4 clusters (1 never treated) x 4 periods, gaussian>"


@pytest.mark.parametrize("within", [3.0, [[3.0]], np.ones((1, 1, 1)), np.ones((3, 1, 1)), np.zeros((1, 1))])
def test_scatter_in_every_documented_shape(within: Any) -> None:
    assert made(within=within).cells.within.shape[-2:] == (1, 1)  # type: ignore[union-attr]
