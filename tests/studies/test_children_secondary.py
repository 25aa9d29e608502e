"""Secondary outcomes of simulated children: who has one, from which day on, and what an odds ratio does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.studies import family_safeguarding, simulate_children
from swedge.studies.secondary import BELOW_SCHOOL, HORIZON

STUDY = family_safeguarding()


@pytest.fixture(scope="module")
def children() -> pd.DataFrame:
    return simulate_children(STUDY, seed=11, secondary_odds_ratio=0.5)


def test_a_return_needs_a_plan_that_ended(children: pd.DataFrame) -> None:
    assert children["returned"].notna().equals(children["plan_open"].eq(0))


def test_all_plans_last_at_least_as_long_as_the_first(children: pd.DataFrame) -> None:
    planned = children.dropna(subset=["plan_days"])
    assert (planned["plan_days_total"] >= planned["plan_days"]).all()
    assert planned["plan_days_total"].max() <= HORIZON
    assert children["plan_days_total"].isna().equals(children["plan_days"].isna())


def test_the_trio_has_its_own_index_day_and_its_own_treatment(children: pd.DataFrame) -> None:
    first = children["trio"].eq(1)
    assert children.loc[first, "trio_date"].equals(children.loc[first, "referral_date"])
    later = children[~first].dropna(subset=["trio_date"])
    assert (later["trio_date"] > later["referral_date"]).all()
    live = later["la"].map(STUDY.go_live).astype("datetime64[s]")
    assert later["trio_treated"].eq((later["trio_date"] >= live).astype(float)).all()
    assert (later["trio_treated"] > later["treated"]).any()
    assert children["trio_rereferred"].isna().equals(children["trio_date"].isna())


def test_absence_is_a_share_of_children_at_school(children: pd.DataFrame) -> None:
    assert children["absence"].isna().equals(children["age_group"].isin(BELOW_SCHOOL))
    assert children["absence"].dropna().between(0, 1).all()


def test_the_odds_ratio_reaches_every_secondary_outcome(children: pd.DataFrame) -> None:
    for outcome, date, treated in (("returned", "referral_date", "treated"), ("trio_rereferred", "trio_date", "trio_treated")):
        held = children.dropna(subset=[outcome])
        trial = sw.Trial.from_frame(held, STUDY.allocation, cluster="la", date=date, outcome=outcome, family="binomial", treatment=treated)
        fit = sw.FixedEffects(vcov="model").fit(trial)
        assert abs(float(fit.estimate) - np.log(0.5)) < 4 * float(fit.std_error)


def test_earlier_outcomes_kept_their_digits() -> None:
    """New outcomes have their own streams: those of the first release have the values they had."""
    frame = simulate_children(STUDY, seed=0)
    assert [int(frame[name].sum()) for name in ("looked_after", "rereferred", "treated")] == [1354, 5811, 15097]
