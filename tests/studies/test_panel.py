"""The panel of authorities: a tiny one for the rules, the real one for its figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.studies import authority_panel, comparison_authorities, family_safeguarding, family_valued
from swedge.studies.panel import first_treated_years

CLUSTERS = family_safeguarding().design.clusters
OTHERS = ("Dudley", "St. Elsewhere", "Luton", "Rochdale", "Short")
CODES = {name: 100 + i for i, name in enumerate((*CLUSTERS, *OTHERS))}
YEARS = range(2018, 2025)


class Files:
    """A tiny panel and neighbour table on disk, remade as each test wants them."""

    def __init__(self, folder: Path) -> None:
        self.panel, self.neighbours = folder / "panel.csv", folder / "neighbours.csv"
        self.rows = pd.DataFrame(
            [(code, name, year, 10.0 + code % 7 + 0.1 * year) for name, code in CODES.items() for year in YEARS],
            columns=["la_code", "la_name", "year", "rate"],
        )
        near = [(CODES[c], c, r, CODES[o], "Close") for c in CLUSTERS for r, o in enumerate(("Walsall", *OTHERS), 1) if o != c]
        self.near = pd.DataFrame(near, columns=["la_code", "la_name", "rank", "neighbour_la_code", "closeness"])
        self.rows.loc[(self.rows["la_name"] == "Short") & (self.rows["year"] < 2021), "rate"] = np.nan

    def write(self) -> tuple[Path, Path]:
        self.rows.to_csv(self.panel, index=False)
        self.near.to_csv(self.neighbours, index=False)
        return self.panel, self.neighbours


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_year_of_go_live_is_the_first_treated_one() -> None:
    assert list(first_treated_years(family_safeguarding()).values()) == [2021, 2021, 2022, 2022, 2023]


def test_clusters_are_treated_and_the_other_neighbours_never(files: Files) -> None:
    trial = authority_panel(*files.write(), "rate")
    assert trial.clusters[-3:] == ("Dudley", "Rochdale", "St. Elsewhere")
    assert trial.comparators == 3
    rows = trial.tidy()
    first = rows[rows["treatment"] > 0].groupby("cluster")["period"].min()
    assert first.to_dict() == first_treated_years(family_safeguarding())


def test_known_adopters_and_own_clusters_are_left_out_and_named(files: Files) -> None:
    trial = authority_panel(*files.write(), "rate")
    assert "Luton" not in trial.clusters
    assert "Luton (known adopter of Family Safeguarding)" in trial.notes[0]
    assert "Walsall (a cluster of the study)" in trial.notes[0]
    assert any("unnamed adopters" in note for note in trial.notes)


def test_an_adopter_does_not_slip_in_by_its_spelling(files: Files) -> None:
    files.rows["la_name"] = files.rows["la_name"].replace("Luton", "LUTON.")
    assert "LUTON." not in authority_panel(*files.write(), "rate").clusters


def test_adopters_that_the_panel_does_not_name_are_listed(files: Files) -> None:
    notes = authority_panel(*files.write(), "rate").notes
    assert any("does not name: Hertfordshire" in note for note in notes)


def test_sister_adopters_are_a_stated_choice(files: Files) -> None:
    kept, left = (authority_panel(*files.write(), "rate", exclude_sisters=choice) for choice in (False, True))
    assert "Rochdale" in kept.clusters
    assert any("sister programme among the comparison authorities: Rochdale" in note for note in kept.notes)
    assert "Rochdale" not in left.clusters


def test_an_authority_without_some_year_is_dropped_and_named(files: Files) -> None:
    balanced = authority_panel(*files.write(), "rate")
    assert "Short" not in balanced.clusters
    assert any("Short (4 of 7)" in note for note in balanced.notes)
    kept = authority_panel(*files.write(), "rate", balanced=False)
    assert "Short" in kept.clusters
    assert kept.n[kept.clusters.index("Short")].tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_a_blank_is_missing_never_zero(files: Files) -> None:
    files.rows.loc[(files.rows["la_name"] == "Swindon") & (files.rows["year"] == 2019), "rate"] = np.nan
    trial = authority_panel(*files.write(), "rate")
    at = trial.clusters.index("Swindon")
    assert trial.n[at].tolist() == [1, 0, 1, 1, 1, 1, 1]
    assert any("1 of 56 cells have no outcome" in note for note in trial.notes)


def test_years_are_those_published_or_those_asked_for(files: Files) -> None:
    assert authority_panel(*files.write(), "rate").periods == tuple(YEARS)
    trial = authority_panel(*files.write(), "rate", years=[2020, 2021, 2022])
    assert trial.periods == (2020, 2021, 2022)
    assert any("Not observed both before and after go-live in 2020 to 2022: Swindon" in note for note in trial.notes)
    with pytest.raises(sw.DataError, match="2012"):
        authority_panel(*files.write(), "rate", years=[2012, 2020])


def test_fewer_neighbours_fewer_controls(files: Files) -> None:
    assert authority_panel(*files.write(), "rate", neighbours=2).clusters[5:] == ("Dudley",)
    with pytest.raises(sw.DataError, match="No comparison authority is left"):
        authority_panel(*files.write(), "rate", neighbours=1)
    with pytest.raises(sw.DesignError, match="neighbours"):
        authority_panel(*files.write(), "rate", neighbours=0)


def test_notes_say_how_much_of_the_first_year_was_treated(files: Files) -> None:
    notes = authority_panel(*files.write(), "rate").notes
    assert any("Walsall 2021 (58% of it)" in note for note in notes)


def test_the_effect_of_a_panel_without_noise_is_found(files: Files) -> None:
    starts = files.rows["la_name"].map(first_treated_years(family_safeguarding()))
    files.rows["rate"] += np.where(files.rows["year"] >= starts, -2.0, 0.0) + np.random.default_rng(0).normal(0, 1e-6, len(files.rows))
    fit = sw.TwoWayFixedEffects().fit(authority_panel(*files.write(), "rate"))
    assert float(fit.estimate) == pytest.approx(-2, abs=1e-5)


def test_refusals_name_the_nearest(files: Files) -> None:
    with pytest.raises(sw.DataError, match="Did you mean 'rate'"):
        authority_panel(*files.write(), "rte")
    files.rows["la_name"] = files.rows["la_name"].replace("Telford and Wrekin", "Telford & Wrekin")
    with pytest.raises(sw.DataError, match="Did you mean 'Telford & Wrekin'"):
        authority_panel(*files.write(), "rate")


def test_refusals_of_tables_that_do_not_fit(files: Files) -> None:
    files.near.loc[0, "neighbour_la_code"] = 999
    with pytest.raises(sw.DataError, match="codes 999"):
        authority_panel(*files.write(), "rate")
    files.near = files.near[files.near["la_name"] != "Swindon"]
    with pytest.raises(sw.DataError, match="no rows for Swindon"):
        authority_panel(*files.write(), "rate")
    files.rows["rate"] = files.rows["rate"].astype(object)
    files.rows.loc[0, "rate"] = "c"
    with pytest.raises(sw.DataError, match="1 values that are no numbers"):
        authority_panel(*Files.write(_with_all_neighbours(files)), "rate")


def _with_all_neighbours(files: Files) -> Files:
    files.near = Files(files.panel.parent).near
    return files


def test_an_outcome_that_is_blank_throughout_is_refused(files: Files) -> None:
    files.rows["empty"] = np.nan
    with pytest.raises(sw.DataError, match="blank in every year"):
        authority_panel(*files.write(), "empty")


def test_a_study_without_dates_has_no_first_year(files: Files) -> None:
    undated = replace(family_valued(), design=sw.Design.stepped_wedge(CLUSTERS))
    with pytest.raises(sw.DesignError, match="no published go-live dates"):
        authority_panel(*files.write(), "rate", study=undated)


def test_comparison_authorities_say_why_one_is_left_out(files: Files) -> None:
    table = comparison_authorities(*files.write(), exclude_sisters=True).drop_duplicates("neighbour").set_index("neighbour")["excluded"]
    assert table["Luton"] == "known adopter of Family Safeguarding"
    assert table["Rochdale"] == "known adopter of No Wrong Door"
    assert table["Dudley"] == ""


@pytest.fixture(scope="module")
def real(shared: Path) -> tuple[Path, Path]:
    folder = shared / "data" / "dfe"
    if not folder.is_dir():
        pytest.skip(f"no panel of official statistics: {folder} does not exist")
    return folder / "la_year_panel.csv", folder / "statistical_neighbours_2025.csv"


def test_real_panel_has_the_five_clusters_and_their_neighbours(real: tuple[Path, Path]) -> None:
    trial = authority_panel(*real, "cla_rate_per_10k")
    assert set(trial.clusters[:5]) == set(CLUSTERS)
    assert trial.comparators == 40
    assert trial.periods == tuple(range(2016, 2026))
    assert (trial.n == 1).all()
    assert any("North Northamptonshire (4 of 10); West Northamptonshire (4 of 10)" in note for note in trial.notes)
    assert any("Rochdale" in note for note in trial.notes)


def test_real_panel_names_every_known_adopter(real: tuple[Path, Path]) -> None:
    notes = authority_panel(*real, "cla_rate_per_10k", exclude_sisters=True).notes
    assert not any("does not name" in note for note in notes)


def test_a_reporting_year_ends_on_31_march(real: tuple[Path, Path]) -> None:
    """England had 80,080 looked-after children on 31 March 2020: the published total identifies the year."""
    panel = pd.read_csv(real[0])
    assert panel.loc[panel["year"] == 2020, "cla_count"].sum() == pytest.approx(80_080, rel=0.002)


def test_referrals_moved_apart_between_the_authorities(real: tuple[Path, Path]) -> None:
    """Referrals 2020 to 2022 fell 40% in Lancashire and rose 25% in Swindon."""
    rows = authority_panel(*real, "referral_count").tidy().pivot(index="cluster", columns="period", values="outcome")
    change = rows[2022] / rows[2020] - 1
    assert change["Lancashire"] == pytest.approx(-0.40, abs=0.01)
    assert change["Swindon"] == pytest.approx(0.25, abs=0.01)
