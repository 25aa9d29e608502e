"""The wild cluster bootstrap beside fwildclusterboot and pyfixest; enumerated, theirs and ours are the same number of the same samples.

They count samples beyond the statistic, we count those at it too: restricted, the data and their mirror image. That is all between the p of
an enumeration, so it is asked for to 1e-12. A p of 9,999 random samples is asked for to 3.3 of its own Monte Carlo errors, of which ours,
enumerated or of as many samples, has at most the same again.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import swedge as sw
from swedge.inference import WildBootstrapTest
from swedge.inference.cluster_scores import regression
from swedge.inference.wild_samples import WildSamples, weight_vectors

TABLE = data.golden("wild_bootstrap")
ENUMERATED = TABLE[TABLE.samples.isin([32, 32768])]
SAMPLED = TABLE.drop(ENUMERATED.index)


def each(table: pd.DataFrame) -> list[object]:
    return [pytest.param(row, id=row.version) for _, row in table.iterrows()]


def panel(dataset: str) -> sw.Trial:
    rows = data.panel_rows(dataset)
    return sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y_cont", first_treated="first_treated")


def run(row: pd.Series) -> sw.TestResult:
    test = WildBootstrapTest(weights=row.weights, restricted=bool(row.restricted))
    return test.run(panel(row.dataset), sw.TwoWayFixedEffects())


def beyond(result: sw.TestResult) -> float:
    """Share of the samples strictly more extreme: ties are equal to 1e-9."""
    return float((np.abs(result.reference) > abs(result.statistic) * (1 + 1e-9)).mean())


@pytest.mark.parametrize("row", each(ENUMERATED))
def test_enumerated_p_is_theirs_but_for_ties(row: pd.Series) -> None:
    result = run(row)
    assert result.n_allocations == row.samples
    assert beyond(result) == pytest.approx(row.p_value, abs=1e-12)
    ties = 2 if row.restricted else 0
    assert result.p_value == pytest.approx(row.p_value + ties / row.samples, abs=1e-12)


@pytest.mark.parametrize("row", each(SAMPLED))
def test_sampled_p_is_theirs_within_monte_carlo_error(row: pd.Series) -> None:
    result = run(row)
    error = np.sqrt(row.p_value * (1 - row.p_value) * 2 / 9_999)
    assert abs(result.p_value - row.p_value) <= 3.3 * error


@pytest.mark.parametrize("row", each(TABLE))
def test_statistic_is_theirs_but_for_the_small_sample_factor(row: pd.Series) -> None:
    """Their variance counts all coefficients, (n - 1) / (n - k) times CR1: 139 and 39 residual df of 165 and 55 rows."""
    n, k = (165, 26) if row.dataset == "castle5_plus10" else (55, 16)
    assert run(row).statistic * np.sqrt((n - k) / (n - 1)) == pytest.approx(row.statistic, rel=1e-10)


@pytest.mark.parametrize("row", each(ENUMERATED[ENUMERATED.restricted]))
def test_restricted_interval_ends_where_their_p_crosses_5_percent(row: pd.Series) -> None:
    """Their limits come from a root finder on a step function; ours are the steps, counting ties. A thousandth of the interval apart."""
    trial = panel(row.dataset)
    vectors = weight_vectors(trial, "rademacher", None, 0)
    samples = WildSamples(trial, regression(sw.TwoWayFixedEffects()), vectors.weights, True, True)
    slack = 1e-3 * (row.conf_high - row.conf_low)
    ends = np.array([row.conf_low - slack, row.conf_low + slack, row.conf_high - slack, row.conf_high + slack])
    reference, observed, _ = samples.under(ends)
    p = (np.abs(reference) > np.abs(observed) * (1 + 1e-9)).mean(0)
    assert (p > 0.05).tolist() == [False, True, True, False]
    result = run(row)
    shown = result.conf_int if row.samples > 40 else result.offered_conf_int
    assert shown == pytest.approx([row.conf_low, row.conf_high], abs=slack)


def test_unrestricted_interval_reaches_as_far_as_the_samples() -> None:
    """Of 32 samples, theirs ends at the most extreme, to 1e-4 of its length; our 95% interval is the line, as no p is below 2/32."""
    (row,) = (row for _, row in ENUMERATED[~ENUMERATED.restricted].iterrows())
    result = run(row)
    assert result.conf_int.tolist() == [-np.inf, np.inf]
    reach = np.abs(result.reference).max() * result.std_error
    assert [result.estimate - reach, result.estimate + reach] == pytest.approx(
        [row.conf_low, row.conf_high], abs=1e-4 * (row.conf_high - row.conf_low)
    )
