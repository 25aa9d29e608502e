"""The published facts, each against the number that was published."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

import swedge as sw
from swedge.studies import family_safeguarding, family_valued, no_wrong_door
from swedge.studies.facts import LOCKDOWNS, SAFEGUARDING_ADOPTERS


def test_family_safeguarding_has_six_unequal_periods_and_twelve_allocations() -> None:
    design = family_safeguarding().design
    assert design.periods["days"].tolist() == [184, 153, 147, 210, 120, 185]
    assert (design.count(), design.min_p()) == (12, 1 / 12)
    assert (design.boundaries[0], design.boundaries[-1]) == (dt.date(2020, 3, 1), dt.date(2022, 11, 25))


def test_family_safeguarding_was_carried_out_as_published() -> None:
    study = family_safeguarding()
    assert {name: str(day) for name, day in study.go_live.items()} == {
        "Walsall": "2020-09-01",
        "Lancashire": "2021-02-01",
        "Telford and Wrekin": "2021-06-28",
        "Wandsworth": "2022-01-24",
        "Swindon": "2022-05-24",
    }
    assert study.allocation is not None
    assert study.allocation.sequence == (0, 1, 2, 3, 4)


def test_strata_are_readiness() -> None:
    first = family_safeguarding().design.allocations()[:, :2]
    assert sorted(set(first.ravel().tolist())) == [0, 1]


def test_sizes_and_risks_belong_to_their_authorities() -> None:
    rows = family_safeguarding().tidy().set_index("cluster")
    assert rows["children"].to_dict() == {
        "Walsall": 5468,
        "Lancashire": 10947,
        "Telford and Wrekin": 2829,
        "Wandsworth": 3836,
        "Swindon": 4345,
    }
    assert rows.loc["Telford and Wrekin", "baseline_risk"] == 0.0833
    assert rows.loc["Wandsworth", "baseline_risk"] == 0.0321


def test_nineteen_exclusions_lead_from_the_sizes_to_the_number_analysed() -> None:
    study = family_safeguarding()
    assert sum(study.sizes) - 19 == study.analysed == 27_406


def test_cell_sizes_split_totals_by_day_share() -> None:
    study = family_safeguarding()
    assert study.cell_sizes.shape == (5, 6)
    assert (study.cell_sizes == np.rint(study.cell_sizes)).all()
    assert np.abs(study.cell_sizes.sum(1) - study.sizes).max() <= 3
    assert study.cell_sizes[1, 0] == round(10947 * 184 / 999)


def test_outcomes_name_one_primary_and_six_secondary_ones() -> None:
    outcomes = family_safeguarding().outcomes
    assert [o.name for o in outcomes if o.primary] == ["looked_after"]
    assert len(outcomes) == 7
    assert len({o.name for o in outcomes}) == 7


def test_no_wrong_door_has_four_clusters_four_allocations_and_its_power_call() -> None:
    study = no_wrong_door()
    assert (study.design.count(), study.design.min_p()) == (4, 0.25)
    assert [str(day) for day in study.go_live.values()] == ["2020-04-01", "2021-04-01", "2021-06-01", "2021-09-01"]
    assert (study.cell_sizes == 600).all()
    assert study.power_call is not None
    assert study.power_call[:3] == (0.07, 0.0185, 0.00268)
    assert not study.sizes


def test_family_valued_says_what_is_not_published() -> None:
    study = family_valued()
    assert (study.design.n_clusters, study.design.boundaries, study.allocation) == (5, (), None)
    assert study.tidy()["go_live"].isna().all()
    with pytest.raises(sw.DesignError, match="no published go-live dates"):
        _ = study.go_live
    with pytest.raises(sw.DesignError, match="Pass size="):
        _ = study.cell_sizes
    with pytest.raises(sw.DesignError, match="Pass baseline="):
        study.scenario(size=2600)
    assert study.scenario(size=2600, baseline=0.05).baseline == 0.05


@pytest.mark.parametrize("study", [family_safeguarding(), no_wrong_door(), family_valued()], ids=lambda s: s.name)
def test_every_study_cites_its_sources_in_words(study: sw.studies.Study) -> None:
    assert study.sources
    assert all("published" in source or "computed" in source for _, source in study.sources)
    assert study.notes


def test_the_pilot_is_an_adopter_not_a_cluster() -> None:
    assert "Cambridgeshire" in SAFEGUARDING_ADOPTERS.authorities
    assert not set(SAFEGUARDING_ADOPTERS.authorities) & set(family_safeguarding().design.clusters)


def test_the_first_lockdown_lies_in_the_baseline_period() -> None:
    first, last = LOCKDOWNS[0]
    assert family_safeguarding().design.period_of([first, last]).tolist() == [0, 0]


def test_scenario_is_on_the_logit_scale_with_the_published_baselines() -> None:
    study = family_safeguarding()
    truth = study.scenario(odds_ratio=0.8, noise=0.1)
    assert (truth.family, truth.scale, truth.correlation) == ("binomial", "logit", sw.RandomEffects(cluster_period=0.1))
    assert truth.effect == pytest.approx(np.log(0.8))
    assert truth.baseline == study.baseline_risk
    assert np.array_equal(truth.sizes(study.design), study.cell_sizes)


def test_noise_has_the_standard_deviation_asked_for() -> None:
    study = family_safeguarding()
    middles = study.design.midpoints()
    for autocorrelation in (0.0, 0.7):
        truth = study.scenario(noise=0.2, autocorrelation=autocorrelation)
        assert np.diag(truth.correlation.between(middles, truth.residual)) == pytest.approx(0.04)


def test_scenario_takes_every_other_assumption() -> None:
    truth = family_safeguarding().scenario(cluster_trends=0.1, noise_by_cluster=(4, 1, 1, 1, 1), trend=0.02)
    assert (truth.cluster_trends, truth.noise_by_cluster, truth.trend) == (0.1, (4.0, 1.0, 1.0, 1.0, 1.0), 0.02)


@pytest.mark.parametrize("ratio", [0.0, -1.0, np.inf, np.nan])
def test_an_odds_ratio_must_be_positive(ratio: float) -> None:
    with pytest.raises(sw.DesignError, match="odds_ratio"):
        family_safeguarding().scenario(odds_ratio=ratio)


def test_noise_and_correlation_contradict_each_other() -> None:
    with pytest.raises(sw.DesignError, match="one of them"):
        family_safeguarding().scenario(noise=0.1, correlation=sw.Exchangeable(0.01))
