"""Shares from 0 to 1: through every door, laws of their analysis, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import swedge as sw

NAMES = ("Ash", "Birch", "Cedar", "Dale", "Elm")
DESIGN = sw.Design.stepped_wedge(clusters=NAMES, periods=6)
ALLOCATION = DESIGN.allocate({name: k for k, name in enumerate(NAMES)})


def rows(seed: int = 0, per: int = 8) -> pd.DataFrame:
    """Shares of school sessions missed, many of them 0."""
    rng = np.random.default_rng([seed, 7])
    cluster, period = np.repeat(np.arange(5), 6 * per), np.tile(np.repeat(np.arange(6), per), 5)
    level = -1.5 + 0.3 * rng.standard_normal(5)[cluster] + 0.1 * period - 0.4 * ALLOCATION.treatment[cluster, period]
    mean = 1 / (1 + np.exp(-level))
    share = np.where(rng.random(len(cluster)) < 0.2, 0.0, rng.beta(2 * mean, 2 * (1 - mean)).round(4))
    return pd.DataFrame({"la": np.array(NAMES)[cluster], "period": period + 1, "missed": share, "sex": rng.integers(0, 2, len(cluster))})


def read(frame: pd.DataFrame, **more: Any) -> sw.Trial:
    given = {"cluster": "la", "period": "period", "outcome": "missed", "family": "fractional", **more}
    return sw.Trial.from_frame(frame, ALLOCATION, **given)


@pytest.mark.parametrize("vcov", ["CR0", "CR1", "CR2", "CR3"])
def test_law_shares_of_0_and_1_are_a_binary_outcome(vcov: str) -> None:
    frame = rows(per=20).assign(missed=lambda d: (d.missed > 0.25).astype(float))
    one, other = (sw.FixedEffects(vcov=vcov).fit(read(frame, family=family)) for family in ("fractional", "binomial"))
    for name in ("estimate", "std_error", "df"):
        assert float(getattr(one, name)) == pytest.approx(float(getattr(other, name)), rel=1e-9)
    assert one.scale == "logit"
    assert "Fractional logistic regression" in one.summary()


def test_law_rows_cells_panel_and_grouped_rows_agree() -> None:
    frame = rows()
    whole = read(frame)
    assert whole.cells.within is not None
    grouped = frame.groupby(["la", "period"], as_index=False).agg(missed=("missed", "mean"), children=("missed", "size"))
    first = dict(zip(NAMES, range(2, 7), strict=True))
    doors = [
        read(grouped, size="children"),
        sw.Trial.from_cells(whole.n, whole.outcome, ALLOCATION, family="fractional"),
        sw.Trial.from_panel(
            grouped.assign(first=grouped.la.map(first)),
            cluster="la",
            period="period",
            outcome="missed",
            first_treated="first",
            size="children",
            family="fractional",
        ),
    ]
    expected = sw.FixedEffects().fit(whole)
    for trial in doors:
        fit = sw.FixedEffects().fit(trial)
        assert float(fit.estimate) == pytest.approx(float(expected.estimate), rel=1e-9)
        assert float(fit.std_error) == pytest.approx(float(expected.std_error), rel=1e-9)
    assert any("not known" in note for note in doors[0].notes)


def test_law_scatter_is_that_of_the_shares_and_not_of_zeros_and_ones() -> None:
    frame, within = rows(), read(rows()).cells.within
    assert within is not None
    cells = frame.groupby(["la", "period"]).missed
    assert within.sum() == pytest.approx(float(((frame.missed - cells.transform("mean")) ** 2).sum()))


def test_law_an_overdispersed_variance_may_be_less_than_that_of_a_binary_outcome() -> None:
    trial = read(rows(per=40))
    fits = {vcov: sw.FixedEffects(vcov=vcov).fit(trial) for vcov in ("overdispersed", "model")}
    binary = sw.FixedEffects(vcov="overdispersed").fit(
        sw.Trial.from_cells(trial.n, (trial.n * trial.outcome).round() / trial.n, ALLOCATION, family="binomial")
    )
    assert float(fits["model"].std_error) == pytest.approx(float(fits["overdispersed"].std_error), rel=1e-12)
    assert float(fits["model"].std_error) < 0.8 * float(binary.std_error)


def test_law_a_stack_is_its_parts_and_a_randomisation_test_runs() -> None:
    trial = read(rows())
    sequences = np.stack([DESIGN.randomise(seed=seed).sequence for seed in range(3)])
    stack = sw.FixedEffects().fit(trial.reallocated(sequences))
    for row, sequence in enumerate(sequences):
        assert float(sw.FixedEffects().fit(trial.reallocated(sequence)).estimate) == pytest.approx(float(stack.estimate[row]), rel=1e-9)
    test = sw.RandomisationTest().run(trial, sw.FixedEffects())
    assert 1 / 120 <= float(test.p_value) <= 1


def test_law_covariates_make_patterns() -> None:
    trial = read(rows(), covariates="sex")
    assert trial.patterns is not None
    assert np.isfinite(sw.FixedEffects().fit(trial).std_error)


Change = Callable[[pd.DataFrame], pd.DataFrame]
ROWS: dict[str, tuple[Change, dict[str, Any], str]] = {
    "percentages": (
        lambda d: d.assign(missed=100 * d.missed),
        {},
        r"outcome='missed' must be a share from 0 to 1 for family='fractional'; \d+ of 240 rows are not\. Divide percentages by 100",
    ),
    "negative": (lambda d: d.assign(missed=d.missed - 0.5), {}, r"\d+ of 240 rows are not\. Divide counts by what they are a share of"),
    "counts": (lambda d: d.assign(missed=(380 * d.missed).round()), {}, "Divide counts by what they are a share of"),
    "missing": (lambda d: d.assign(missed=d.missed.mask(d.index < 3)), {}, "Missing values in missed: 3 of 240"),
    "text": (lambda d: d.assign(missed=d.missed.map("{:.0%}".format)), {}, "no finite numbers"),
    "fractions of individuals": (lambda d: d.assign(children=1.5), {"size": "children"}, "240 rows have a size that is no whole number"),
    "misspelt family": (
        lambda d: d,
        {"family": "fraction"},
        "family is 'fraction'; expected one of .*fractional. Did you mean 'fractional'?",
    ),
}


@pytest.mark.parametrize(("change", "arguments", "message"), ROWS.values(), ids=ROWS)
def test_bad_input_rows(change: Change, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sw.DataError, match=message):
        read(change(rows()), **arguments)


def test_bad_input_cells_outside_0_and_1() -> None:
    with pytest.raises(sw.DataError, match=r"30 cells have a fractional mean outside \[0, 1\]"):
        sw.Trial.from_cells(np.full((5, 6), 20), np.full((5, 6), 5.0), ALLOCATION, family="fractional")


@pytest.mark.parametrize("model", [sw.MixedModel(), sw.MixedModel(sw.Exchangeable(), df="normal")])
def test_bad_input_a_mixed_model_of_shares(model: sw.MixedModel) -> None:
    with pytest.raises(sw.FitError, match=r"A fractional outcome has a mean and no likelihood.* Use FixedEffects\(\) or GEE\(\)"):
        model.fit(read(rows()))


def test_bad_input_shares_that_are_all_alike() -> None:
    with pytest.raises(sw.FitError, match="no variation"):
        sw.FixedEffects().fit(read(rows().assign(missed=1.0)))
