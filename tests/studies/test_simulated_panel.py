"""The simulated panel: what it promises of its form, its effect and its blanks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.studies import authority_panel, family_safeguarding, family_valued, simulate_panel
from swedge.studies.panel import first_treated_years
from swedge.studies.simulated_panel import LONG, RATES, SUPPRESSED

CLUSTERS = family_safeguarding().design.clusters
OUTCOMES = ("cla_rate_per_10k", "cla_started_count", "rereferral_percent", "care_applications_per_10k")


def as_trial(tables: tuple[pd.DataFrame, pd.DataFrame], folder: Path, outcome: str) -> sw.Trial:
    for table, name in zip(tables, ("panel.csv", "near.csv"), strict=True):
        table.to_csv(folder / name, index=False)
    return authority_panel(folder / "panel.csv", folder / "near.csv", outcome)


def test_the_seed_fixes_the_panel() -> None:
    for first, again in zip(simulate_panel(3), simulate_panel(3), strict=True):
        pd.testing.assert_frame_equal(first, again)
    assert not simulate_panel(3)[0].equals(simulate_panel(4)[0])


def test_the_effect_changes_treated_cells_alone() -> None:
    (with_effect, _), (without, _) = simulate_panel(3, ratio=0.5), simulate_panel(3, ratio=1.0)
    starts = with_effect["la_name"].map(first_treated_years(family_safeguarding())).fillna(np.inf)
    treated = with_effect["year"] >= starts
    pd.testing.assert_frame_equal(with_effect[~treated], without[~treated])
    for outcome in OUTCOMES:
        ratio = with_effect.loc[treated, outcome].sum() / without.loc[treated, outcome].sum()
        assert ratio == pytest.approx(0.5, abs=0.02), outcome
    assert with_effect["referral_count"].equals(without["referral_count"])


def test_rates_have_the_levels_that_are_stated() -> None:
    panel = pd.concat(simulate_panel(seed, ratio=1.0, comparators=100)[0] for seed in range(4))
    said = {
        "cla_rate_per_10k": RATES["looked_after"],
        "care_applications_per_10k": RATES["applications"],
    }
    for column, rate in said.items():
        spread = rate.between / np.sqrt(panel.groupby(["la_code"]).ngroups)
        assert np.log(panel[column].clip(lower=0.1)).median() == pytest.approx(np.log(rate.level), abs=4 * spread), column
    assert panel["rereferral_percent"].median() == pytest.approx(100 * RATES["rereferrals"].level, rel=0.1)


def test_small_counts_of_long_plans_are_blank() -> None:
    panel, _ = simulate_panel(5, ratio=1.0)
    shown = panel["cpp_ge_2y"].dropna()
    low, high = SUPPRESSED
    assert not shown.between(low, high).any()
    assert 0.2 < panel["cpp_ge_2y"].isna().mean() < 0.8
    least, most = (panel["cpp_ge_2y"].fillna(n).sum() / panel["cpp_at_31_march"].sum() for n in SUPPRESSED)
    assert least < 1.1 * LONG
    assert most > 0.9 * LONG


def test_it_goes_through_the_door_of_the_published_panel(tmp_path: Path) -> None:
    trial = as_trial(simulate_panel(1), tmp_path, "cla_rate_per_10k")
    assert set(trial.clusters[:5]) == set(CLUSTERS)
    assert "Luton" not in trial.clusters
    assert any("sister programme" in note for note in trial.notes)
    assert any("Authority 30 (4 of 10)" in note for note in trial.notes)


def test_the_effect_is_found(tmp_path: Path) -> None:
    """By 40 panels: estimates average what treatment took from the treated cells."""
    errors = []
    for seed in range(40):
        panel, near = simulate_panel(seed, ratio=0.8)
        same = simulate_panel(seed, ratio=1.0)[0]
        gone = (panel["cla_rate_per_10k"] - same["cla_rate_per_10k"])[panel["cla_rate_per_10k"] != same["cla_rate_per_10k"]].mean()
        errors.append(float(sw.CallawaySantAnna().point(as_trial((panel, near), tmp_path, "cla_rate_per_10k"))) - gone)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"ratio": 0.0}, "ratio=0.0"),
        ({"ratio": np.inf}, "ratio=inf"),
        ({"years": []}, "0 years"),
        ({"years": [2016.5]}, "years"),
        ({"comparators": 1}, "comparators"),
        ({"neighbours": 0}, "neighbours"),
        ({"study": replace(family_valued(), design=sw.Design.stepped_wedge(CLUSTERS))}, "no published go-live dates"),
    ],
)
def test_bad_input_is_refused_by_name(words: dict[str, object], said: str) -> None:
    with pytest.raises(sw.DesignError, match=said):
        simulate_panel(1, **words)


def test_bad_input_seed() -> None:
    with pytest.raises(sw.DesignError, match="seed"):
        simulate_panel(-1)
