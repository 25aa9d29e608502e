"""Children on paper: sizes, dates, treatment, risks, gaps, and no row in any message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.studies import family_safeguarding, family_valued, no_wrong_door, read_children, simulate_children, write_children
from swedge.studies.covariates import FACTORS, MISSING

STUDY = family_safeguarding()
OTHERS = tuple(f"Elsewhere {i}" for i in range(10))


@pytest.fixture(scope="module")
def children() -> pd.DataFrame:
    return simulate_children(STUDY, seed=11, comparators=OTHERS)


def test_sizes_are_the_published_ones(children: pd.DataFrame) -> None:
    counts = children["la"].value_counts()
    assert [counts[name] for name in STUDY.design.clusters] == list(STUDY.sizes)
    assert all(counts[name] == round(np.mean(STUDY.sizes)) for name in OTHERS)


def test_the_same_seed_gives_the_same_children() -> None:
    pd.testing.assert_frame_equal(simulate_children(STUDY, seed=0), simulate_children(STUDY, seed=0))
    assert not simulate_children(STUDY, seed=0)["looked_after"].equals(simulate_children(STUDY, seed=1)["looked_after"])


def test_dates_are_uniform_over_the_window(children: pd.DataFrame) -> None:
    dates = children["referral_date"]
    assert (str(dates.min().date()), str(dates.max().date())) == ("2020-03-01", "2022-11-24")
    share = np.bincount(STUDY.design.period_of(dates)) / len(dates)
    assert share == pytest.approx(STUDY.day_share, abs=0.006)


def test_treatment_starts_on_the_day_of_go_live(children: pd.DataFrame) -> None:
    walsall = children[children["la"] == "Walsall"].set_index("referral_date")["treated"]
    assert set(walsall.loc["2020-08-31"]) == {0}
    assert set(walsall.loc["2020-09-01"]) == {1}
    assert not children.loc[children["la"].isin(OTHERS), "treated"].any()


def test_the_file_becomes_a_trial_whose_treatment_agrees_with_the_allocation(children: pd.DataFrame) -> None:
    trial = sw.Trial.from_frame(
        children,
        STUDY.allocation,
        cluster="la",
        date="referral_date",
        outcome="looked_after",
        family="binomial",
        treatment="treated",
        comparators=OTHERS,
    )
    assert trial.n.sum() == len(children)
    assert trial.comparators == len(OTHERS)


def test_risks_are_the_published_ones_without_effect() -> None:
    parts = [simulate_children(STUDY, seed=s, odds_ratio=1.0) for s in range(8)]
    risk = pd.concat(parts).groupby("la")["looked_after"].mean()[list(STUDY.design.clusters)]
    error = np.sqrt(risk * (1 - risk) / (8 * np.array(STUDY.sizes)))
    assert (np.abs(risk - np.array(STUDY.baseline_risk)) < 4 * error).all()


def test_the_effect_is_the_odds_ratio_asked_for() -> None:
    frame = pd.concat([simulate_children(STUDY, seed=s, odds_ratio=0.5, secondary_odds_ratio=2.0, prognosis=0.0) for s in range(6)])
    for outcome, truth in (("looked_after", 0.5), ("rereferred", 2.0), ("proceedings", 2.0)):
        trial = sw.Trial.from_frame(
            frame.dropna(subset=[outcome]), STUDY.allocation, cluster="la", date="referral_date", outcome=outcome, family="binomial"
        )
        fit = sw.FixedEffects(vcov="model").fit(trial)
        assert abs(fit.estimate - np.log(truth)) < 4 * fit.std_error


def test_shorter_plans_under_treatment() -> None:
    same = simulate_children(STUDY, seed=3)["plan_days"]
    shorter = simulate_children(STUDY, seed=3, plan_ratio=0.5)
    control = shorter["treated"] == 0
    assert shorter.loc[control, "plan_days"].equals(same[control])
    free = ~control & (same < 730) & same.notna()
    assert np.abs(shorter.loc[free, "plan_days"] - same[free] / 2).max() <= 1


def test_noise_spreads_the_cells() -> None:
    def spread(noise: float) -> float:
        frame = simulate_children(STUDY, seed=4, odds_ratio=1.0, noise=noise, prognosis=0.0)
        trial = sw.Trial.from_frame(frame, STUDY.allocation, cluster="la", date="referral_date", outcome="looked_after", family="binomial")
        return float(sw.FixedEffects(vcov="overdispersed").fit(trial).details["dispersion"])

    assert spread(0.5) > 4 > spread(0.0)


def test_published_shares_hold(children: pd.DataFrame) -> None:
    planned = children["plan_days"].notna()
    assert children["rereferred"].mean() == pytest.approx(0.22, abs=0.015)
    assert planned.mean() == pytest.approx(62 / 630, abs=0.005)
    assert (children.loc[planned, "previous_plans"] > 0).mean() == pytest.approx(0.245, abs=0.02)
    for code, share in FACTORS.items():
        assert children[f"factor_{code}"].mean() == pytest.approx(share, abs=0.006)


def test_the_trio_is_any_of_its_factors(children: pd.DataFrame) -> None:
    named = children[[f"factor_{code}" for code in FACTORS]].any(axis=1)
    assert children["trio"].eq(named).all()


def test_plans_are_censored_at_24_months_and_say_so(children: pd.DataFrame) -> None:
    plans = children.dropna(subset=["plan_days"])
    assert plans["plan_days"].between(1, 730).all()
    assert (plans.loc[plans["plan_open"] == 1, "plan_days"] == 730).all()
    assert (plans["plan_start"] > plans["referral_date"]).all()
    assert children["plan_start"].isna().equals(children["plan_days"].isna())


def test_proceedings_exist_only_after_a_meeting_and_where_they_are_recorded() -> None:
    frame = simulate_children(STUDY, seed=5, without_proceedings=["Swindon"])
    assert frame["proceedings"].isna().mean() > 0.9
    by_authority = frame.groupby("la")["proceedings"].count()
    assert by_authority["Swindon"] == 0
    assert (by_authority.drop("Swindon") > 50).all()


def test_gaps_have_the_trials_shares_and_change_nothing_else() -> None:
    whole, gappy = simulate_children(STUDY, seed=6), simulate_children(STUDY, seed=6, missing=True)
    assert not whole[list(MISSING)].isna().any(axis=None)
    for name, share in MISSING.items():
        assert gappy[name].isna().mean() == pytest.approx(share, abs=0.006)
        assert gappy[name].fillna(whole[name]).eq(whole[name]).all()
    pd.testing.assert_frame_equal(whole.drop(columns=list(MISSING)), gappy.drop(columns=list(MISSING)))


def test_covariates_do_what_they_are_said_to_do(children: pd.DataFrame) -> None:
    risk = children.groupby("age_group")["looked_after"].mean()
    assert risk["unborn"] > risk["5-9"]
    share = (
        children["ethnicity"].eq("White British").groupby([children["la"], children["referral_date"].dt.to_period("M")]).transform("mean")
    )
    assert np.abs(share - children["white_british_share"]).max() < 1e-4


@pytest.mark.parametrize("missing", [False, True])
def test_written_and_read_back_are_equal(tmp_path: Path, missing: bool) -> None:
    frame = simulate_children(STUDY, seed=7, missing=missing)
    write_children(frame, tmp_path / "children.csv")
    pd.testing.assert_frame_equal(read_children(tmp_path / "children.csv"), frame)
    second = (tmp_path / "children.csv").read_text().splitlines()[1].split(",")
    assert second[2].startswith("2020-03-")


def test_older_children_for_no_wrong_door() -> None:
    frame = simulate_children(no_wrong_door(), seed=8)
    assert len(frame) == 4 * 5 * 600
    assert set(frame["age_group"]) == {"12-13", "14-15", "16-17"}


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: simulate_children(family_valued(), seed=1), "no published go-live dates"),
        (lambda: simulate_children(STUDY, seed=1.5), "seed"),  # type: ignore[arg-type]  # the mistake under test
        (lambda: simulate_children(STUDY, seed=1, odds_ratio=0), "odds_ratio"),
        (lambda: simulate_children(STUDY, seed=1, plan_ratio=-1), "plan_ratio"),
        (lambda: simulate_children(STUDY, seed=1, comparators=["Walsall"]), "a cluster of the trial"),
        (lambda: simulate_children(STUDY, seed=1, comparators=["A", "A"]), "an authority twice"),
        (lambda: simulate_children(STUDY, seed=1, comparators=["A"], comparator_size=0), "comparator_size"),
        (lambda: simulate_children(STUDY, seed=1, without_proceedings=["Swindn"]), "Did you mean 'Swindon'"),
    ],
)
def test_refusals(call: Callable[[], object], says: str) -> None:
    with pytest.raises(sw.DesignError, match=says):
        call()


def test_a_bad_file_is_refused_without_showing_a_child(tmp_path: Path) -> None:
    path = tmp_path / "children.csv"
    path.write_text("child_id,referral_date,plan_start,trio_date\n1,44075,,\n2,2020-03-02,,\n")
    with pytest.raises(sw.DataError, match="1 of 2 values") as error:
        read_children(path)
    assert "44075" not in str(error.value)
    path.write_text("child_id\n1\n")
    with pytest.raises(sw.DataError, match="referral_date; plan_start; trio_date"):
        read_children(path)
