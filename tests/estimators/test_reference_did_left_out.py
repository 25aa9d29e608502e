"""Periods that nobody has data in are no gaps; groups of clusters are counted as groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators import CallawaySantAnna, SunAbraham
from swedge.estimators.bacon import bacon_decomposition
from swedge.inference.robustness import robustness, without_periods

Array = np.ndarray
OWN = {"vcov": "influence", "df": "clusters"}
STARTS = [4, 4, 5, 7, 7, *[0] * 7]


def panel(seed: int = 0) -> sw.Trial:
    rows = pd.DataFrame([(f"c{i:02d}", t, g) for i, g in enumerate(STARTS) for t in range(1, 9)], columns=["c", "t", "g"])
    y = np.random.default_rng(seed).standard_normal(len(rows))
    return sw.Trial.from_panel(rows.assign(y=y), cluster="c", period="t", outcome="y", first_treated="g")


def saturated(trial: sw.Trial) -> float:
    """Mean of the treated cells' coefficients in the regression on clusters, periods and every treated group's other periods."""
    seen = trial.n.any(0)
    start = np.where(trial.arm.any(-1), trial.arm.argmax(-1), 99)
    cells = [(i, t) for i in range(len(start)) for t in np.flatnonzero(seen)]
    last = {g: max(t for t in np.flatnonzero(seen) if t < g) for g in set(start.tolist()) - {99}}
    names = sorted({(start[i], t) for i, t in cells if start[i] < 99 and t != last[start[i]]})
    x = np.array(
        [[*(i == np.arange(len(start))), *(t == np.flatnonzero(seen)), *((start[i], t) == n for n in names)] for i, t in cells], float
    )
    found = np.linalg.lstsq(x, np.array([trial.outcome[i, t] for i, t in cells]), rcond=None)[0][-len(names) :]
    size = np.array([(start == g).sum() * (t >= g) for g, t in names])
    return float(found @ size / size.sum())


@pytest.mark.parametrize("gone", [[2], [3], [6], [4, 8], [4, 5, 6]], ids=str)
def test_a_period_left_out_for_all_is_the_panel_without_it(gone: list[int]) -> None:
    """Saturated regression and decomposition alike; a base period left out gives way to the one before."""
    trial = without_periods(panel(), gone)
    assert float(SunAbraham().point(trial)) == pytest.approx(saturated(trial), abs=1e-10)
    assert np.isfinite(SunAbraham().fit(trial).std_error)
    assert not any("not observed in every period" in note for note in CallawaySantAnna().fit(trial).notes)
    split = bacon_decomposition(trial)
    assert split.estimate == pytest.approx(float(sw.TwoWayFixedEffects(weigh="equal").point(trial)), abs=1e-10)
    assert split.table["weight"].sum() == pytest.approx(1)


def test_groups_start_in_the_first_period_that_is_left_of_their_treatment() -> None:
    split = bacon_decomposition(without_periods(panel(), [4, 5, 6]))
    assert set(split.table["treated"]) == {7}
    assert set(bacon_decomposition(without_periods(panel(), [1, 2, 3])).table["control"]) == {"never", "always", 5, 7}


def test_robustness_fits_what_has_a_period_less() -> None:
    table = robustness(panel(), SunAbraham(), exclude={"without 2": [2]}).tidy()
    assert table["status"].tolist() == ["ok", "ok"]


def test_influences_added_up_by_group_have_the_degrees_of_freedom_of_groups() -> None:
    trial = panel()
    region = np.array(["n", "s", "m"])[np.arange(12) % 3]
    by = trial.with_cluster_covariates(pd.DataFrame({"region": region}, index=trial.clusters))
    fit = CallawaySantAnna(cluster="region", **OWN).fit(by)
    parts = CallawaySantAnna(**OWN).influence(trial)[0]
    assert float(fit.df) == 2
    assert float(fit.std_error) == pytest.approx(np.sqrt(sum(parts[region == name].sum() ** 2 for name in "nsm")), rel=1e-10)
    assert "influences added up by region" in fit.methods
    assert float(CallawaySantAnna(**OWN).fit(trial).df) == 11
    assert np.isinf(CallawaySantAnna(cluster="region", vcov="influence", df="normal").fit(by).df)


def test_bad_input_a_balance_that_no_group_has() -> None:
    with pytest.raises(sw.DataError, match="balance=6: no group has so many periods after its first treated one; the longest has 4"):
        CallawaySantAnna(aggregate="dynamic", balance=6).fit(panel())


def test_a_placebo_test_says_what_was_left_out() -> None:
    result = sw.PlaceboTest(draws=19).run(without_periods(panel(), [2]), CallawaySantAnna())
    assert result.notes[0] == "Left out by choice: period 2."
