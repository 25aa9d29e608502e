"""The size table: its shape, its reproducibility, and its main message at a small number of replicates."""

from __future__ import annotations

import pandas as pd
import pytest

import swedge as sw
from swedge.studies import family_valued, no_wrong_door, size_table
from swedge.studies.sizes import ANALYSES, COLUMNS

GLMM, MODEL, CR0, CR2, CR3, OVERDISPERSED = (name for name, _ in ANALYSES)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return size_table(reps=1500, seed=20200901, noise=[0.0, 0.2])


def test_one_row_an_analysis_and_level(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 2 * len(ANALYSES)
    assert (table["n_failed"] == 0).all()
    assert table["noise"].tolist() == [0.0] * 6 + [0.2] * 6


def test_the_monte_carlo_error_is_binomial(table: pd.DataFrame) -> None:
    p = table["rejection"]
    assert table["mcse"].to_numpy() == pytest.approx((p * (1 - p) / 1500) ** 0.5)


def test_the_message_of_the_table(table: pd.DataFrame) -> None:
    """With noise the GLMM rejects a true null in about a quarter of trials; CR2 with Satterthwaite holds; CR0 never does."""
    at = table.set_index(["noise", "estimator"])["rejection"]
    assert at[0.0, GLMM] == pytest.approx(0.051, abs=0.02)
    assert at[0.2, GLMM] == pytest.approx(0.270, abs=0.04)
    assert at[0.2, MODEL] == pytest.approx(0.244, abs=0.045)
    for noise in (0.0, 0.2):
        assert at[noise, CR2] == pytest.approx(0.05, abs=0.02)
        assert at[noise, CR0] > 0.15
        assert at[noise, CR3] < at[noise, CR2]
        assert at[noise, OVERDISPERSED] < 0.09


def test_the_same_seed_gives_the_same_digits_for_any_number_of_jobs() -> None:
    one, two = (size_table(reps=600, seed=0, noise=[0.1], n_jobs=jobs) for jobs in (1, 2))
    pd.testing.assert_frame_equal(one, two)


def test_an_odds_ratio_turns_sizes_into_power() -> None:
    null, strong = (size_table(reps=250, seed=1, noise=[0.0], odds_ratio=ratio) for ratio in (1.0, 0.6))
    assert (strong["rejection"] > null["rejection"] + 0.3).all()


def test_another_study_and_other_assumptions() -> None:
    table = size_table(reps=250, seed=1, noise=[0.1], study=no_wrong_door(), autocorrelation=0.7, cluster_trends=0.1)
    assert len(table) == len(ANALYSES)
    with pytest.raises(sw.DesignError, match="baseline"):
        size_table(reps=250, seed=1, study=family_valued())
