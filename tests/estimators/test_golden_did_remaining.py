"""Records of packages whose estimators swedge has under another name, and those that are errors: what swedge says instead.

* diff-diff's LWDiD (Lee and Wooldridge: each cohort's outcomes less their mean before treatment, against the never-treated) is a sum of
  Callaway and Sant'Anna's effects with one base period, each less their mean before treatment; its standard errors are ours times
  ``m / (m - 2)`` under the root, m being the clusters of a cohort and the never-treated, cohort by cohort.
* pyfixest's lpdid (Dube, Girardi, Jorda and Taylor) is `WithinPeriod` on long differences of those who switch and those not treated yet;
  its factor is ``G / (G - 1) (n - 1) / (n - 1 - T)`` with T dates. The cell weights are those of effects by group and time, averaged with
  weights ``ab / (a + b)`` for `a` that switch and `b` controls.
* pyfixest's saturated regression is `SunAbraham`.
* did with panel=FALSE takes every row for another county. With a balanced panel and covariates that do not change its estimates are those
  of the panel; its standard errors, 2.6 to 5.4 times ours, are not, and are not offered: clusters are followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import reference_data as data
import swedge as sw
from swedge.errors import DataError, FitError

Array = NDArray[np.float64]

NUMBERS = data.golden("did_local").fillna({"aggregate": ""}).set_index("id")
OWN = {"vcov": "influence", "df": "normal"}
COLUMNS = {
    "mpdta": {"cluster": "countyreal", "period": "year", "outcome": "lemp", "first_treated": "first.treat"},
    "california_prop99": {"cluster": "State", "period": "Year", "outcome": "PacksPerCapita", "first_treated": "first"},
    "castle": {"cluster": "sid", "period": "year", "outcome": "l_homicide", "first_treated": "gvar"},
}


@cache
def panel(name: str) -> sw.Trial:
    rows = pd.read_csv(data.needed_folder() / f"data/did/{name}.csv")
    if name == "california_prop99":
        rows = rows.assign(first=np.where(rows.State == "California", 1989, 0))
    trial = sw.Trial.from_panel(rows, **COLUMNS[name if name in COLUMNS else "castle"])
    return trial.with_cluster_covariates(rows.groupby("countyreal")[["lpop", "state"]].first()) if name == "mpdta" else trial


def starts(trial: sw.Trial) -> Array:
    """First treated period of each cluster, infinite for never."""
    return np.where(trial.arm.any(-1), np.array(trial.periods)[trial.arm.argmax(-1)], np.inf)


def split(term: str) -> tuple[int, int]:
    """Group and time of a term."""
    return int(term.split(",")[0].split()[1]), int(term.split()[-1])


class LongDifferences:
    """Effects by group and time with one base period less their mean before treatment, with weights and influence."""

    def __init__(self, trial: sw.Trial) -> None:
        effects = sw.CallawaySantAnna(aggregate=None, base="universal", **OWN)
        built = effects.build(trial)
        self.pairs = [split(term) for term in built.terms]
        self.effect, self.influence = (built.weights * trial.outcome).sum((-2, -1)), effects.influence(trial)
        self.start, self.years = starts(trial), trial.periods
        self.size = {group: int((self.start == group).sum()) for group, _ in self.pairs}

    def row(self, group: int, year: int) -> Array:
        """Which effects make the group's long difference in a year, ``(K,)``."""
        before = [t for t in self.years if t < group]
        one = np.array([pair == (group, year) for pair in self.pairs], dtype=float)
        return one - np.array([(g == group) * (t in before) for g, t in self.pairs]) / len(before)

    def averaged(self, cells: dict[int, list[int]]) -> tuple[float, float]:
        """Estimate and standard error of years averaged within groups, and groups averaged by size."""
        total = sum(self.size[group] for group in cells)
        estimate, errors = 0.0, np.zeros(len(self.start))
        for group, years in cells.items():
            row = np.mean([self.row(group, year) for year in years], 0) * self.size[group] / total
            compared = self.size[group] + int(np.isinf(self.start).sum())
            estimate += row @ self.effect
            errors += np.sqrt(compared / (compared - 2)) * (row @ self.influence)
        return float(estimate), float(np.linalg.norm(errors))

    def asked(self, term: str) -> dict[int, list[int]]:
        """The years of each group that a term averages."""
        if term.startswith("event"):
            return {group: [group + int(term.split()[1])] for group in self.size if group + int(term.split()[1]) in self.years}
        groups = self.size if term == "overall" else [int(term.split()[1])]
        return {group: [year for year in self.years if year >= group] for group in groups}


@pytest.mark.parametrize("name", ["dd_lwdid_mpdta", "dd_lwdid_castle5_10"])
def test_long_differences_of_diff_diff(name: str) -> None:
    rows = NUMBERS.loc[name]
    ours = LongDifferences(panel(rows["data"].iloc[0]))
    found = np.array([ours.averaged(ours.asked(term)) for term in rows.term])
    np.testing.assert_allclose(found[:, 0], rows.estimate, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found[:, 1], rows.se, rtol=1e-9)


def switching(trial: sw.Trial, event: int) -> sw.Trial:
    """Changes from the last period before `event` 0 to `event`, of who switches in a period and who is not treated in either yet."""
    start, years, y = starts(trial)[:, None], np.array(trial.periods), trial.outcome
    at = np.arange(len(years))
    inside = (at > 0) & (at + event >= 0) & (at + event < len(years))
    kept = inside & ((start == years) | (start > years + max(event, 0)))
    change = y[:, np.clip(at + event, 0, len(years) - 1)] - y[:, np.maximum(at - 1, 0)]
    switch = (start == years).astype(float)
    cells = sw.Cells(kept.astype(float), np.where(kept, change, 0.0)[..., None])
    return replace(trial, cells=cells, treatment=np.where(kept, switch, np.nan), exposure=switch.astype(int), cluster_covariates=None)


def projected(event: int) -> tuple[float, float]:
    """Our estimate, and our standard error with their factor."""
    changes = switching(panel("mpdta"), event)
    fit = sw.WithinPeriod(vcov="CR1", df="clusters").fit(changes)
    n, dates = changes.n.sum(), (changes.n > 0).any(0).sum()
    return float(fit.estimate), float(fit.std_error * np.sqrt((n - 1) / (n - 1 - dates)))


@pytest.mark.parametrize("row", [pytest.param(row, id=row.term) for row in NUMBERS.loc["pf_lpdid_mpdta_es"].itertuples()])
def test_local_projections_of_pyfixest(row: object) -> None:
    trial, event = panel("mpdta"), int(row.term.split()[1])
    estimate, error = projected(event)
    assert estimate == pytest.approx(row.estimate, abs=1e-10)
    assert error == pytest.approx(row.se, rel=1e-9)

    start, effects = starts(trial), sw.CallawaySantAnna(aggregate=None, base="universal", controls="not_yet", **OWN).fit(trial)
    chosen = [(k, group) for k, (group, year) in enumerate(map(split, effects.terms)) if year - group == event]
    counts = np.array([((start == group).sum(), (start > group + max(event, 0)).sum()) for _, group in chosen])
    weight = counts.prod(1) / counts.sum(1)
    assert weight @ effects.estimate[[k for k, _ in chosen]] / weight.sum() == pytest.approx(row.estimate, abs=1e-10)


def test_pooled_local_projection_of_pyfixest() -> None:
    """Mean over four periods, so of the first cohort alone: 20 counties and 309 never treated."""
    row = NUMBERS.loc["pf_lpdid_mpdta"]
    fit = sw.CallawaySantAnna(aggregate="group", **OWN).fit(panel("mpdta")).tidy().set_index("term").loc[row.term]
    assert fit.estimate == pytest.approx(row.estimate, abs=1e-10)
    assert fit.std_error * np.sqrt(329 / 327) == pytest.approx(row.se, rel=1e-9)


@pytest.mark.parametrize("name", ["pf_saturated_mpdta_attTrue", "pf_saturated_mpdta_attFalse"])
def test_saturated_regression_of_pyfixest(name: str) -> None:
    for aggregate, rows in NUMBERS.loc[name].groupby("aggregate"):
        fit = sw.SunAbraham(aggregate=aggregate or None, vcov="saturated", df="clusters").fit(panel("mpdta")).tidy().set_index("term")
        np.testing.assert_allclose(fit.estimate[rows.term], rows.estimate, rtol=0, atol=1e-10)
        np.testing.assert_allclose(fit.std_error[rows.term], rows.se, rtol=1e-9)


def test_repeated_cross_sections_of_did() -> None:
    for aggregate, rows in NUMBERS.loc["did_mpdta_rc"].groupby("aggregate"):
        asked = sw.CallawaySantAnna(aggregate=aggregate or None, covariates=("lpop",), **OWN)
        fit = asked.fit(panel("mpdta")).tidy().set_index("term")
        np.testing.assert_allclose(fit.estimate[rows.term], rows.estimate, rtol=0, atol=1e-10)
        ratio = rows.se.to_numpy() / fit.std_error[rows.term].to_numpy()
        assert 2.6 < ratio.min() <= ratio.max() < 5.5


def test_plain_difference_in_differences_of_synthdid() -> None:
    """Record did_estimate_prop99: cluster weights 1/38, period weights 1/19, and 200 placebos of the 38 there are."""
    trial, estimator = panel("california_prop99"), sw.TwoWayFixedEffects()
    weights = estimator.weights(trial)
    assert estimator.point(trial) == pytest.approx(-27.3491110836149, abs=1e-10)
    expected = np.outer(np.r_[1, np.full(38, -1 / 38)], np.r_[np.full(19, -1 / 19), np.full(12, 1 / 12)])
    np.testing.assert_allclose(weights, expected, atol=1e-14)
    placebos = sw.PlaceboTest().run(trial, estimator).reference
    about = placebos - placebos.mean()
    spread = np.sqrt((about**2).mean())
    error = np.sqrt(((about**4).mean() - spread**4) / 200) / (2 * spread)
    assert abs(spread - 18.4998057624868) < 3 * error


def ordered(name: str) -> sw.Trial:
    """The states of a castle panel as a trial whose order was drawn by lot."""
    observed = panel(name)
    treated = len(observed.clusters) - observed.comparators
    names = [f"state {k}" for k in range(treated)]
    design = sw.Design.from_matrix(observed.treatment[:treated], clusters_per_sequence=[1] * treated, clusters=names)
    allocation = design.allocate({name: k for k, name in enumerate(names)})
    beside = [f"comparator {k}" for k in range(observed.comparators)]
    return sw.Trial.from_cells(observed.n, observed.outcome, allocation, comparators=beside)


def test_every_order_of_ritest() -> None:
    """Record ritest_castle5_sw: 109 of 120 orders are at least as extreme. It misses the observed one by a rounding error, so 110 are."""
    result = sw.RandomisationTest().run(ordered("castle5_only_treated"), sw.TwoWayFixedEffects())
    assert result.statistic == pytest.approx(0.005108792992192669, abs=1e-12)
    assert (np.abs(result.reference) > abs(result.statistic) * (1 + 1e-9)).sum() == 109
    assert result.p_value == pytest.approx(110 / 120, abs=1e-12)


def test_orders_of_randomizr() -> None:
    """Record randomizr_declare: five clusters, one a sequence, 120 rollouts."""
    design = sw.Design.stepped_wedge(clusters=5, periods=6)
    assert design.count() == 120
    assert design.allocations().shape == (120, 5)
    assert len(np.unique(design.allocations(), axis=0)) == 120


def test_interval_of_honestdid_under_parallel_trends() -> None:
    """Record hd_orig, constructOriginalCS of honestdid 0.1.1: the first effect, -.02 with variance .0004, as it stands."""
    rows = data.golden("did_inference_inputs").query("data == 'explicit'")
    estimate, covariance = rows.estimate.to_numpy(float), rows[[f"c{k}" for k in range(5)]].to_numpy(float)
    table = [(f"{i}", t, 4.0 * (i < 3), (i * t) % 5) for i in range(9) for t in range(1, 7)]
    frame = pd.DataFrame(table, columns=["la", "year", "first", "y"])
    made = sw.Trial.from_panel(frame, cluster="la", period="year", outcome="y", first_treated="first")
    fit = sw.CallawaySantAnna(aggregate="dynamic", base="universal", **OWN).fit(made)
    assert fit.terms == ("overall", *(f"event {time}" for time in rows.event))
    whole = np.eye(6)
    whole[1:, 1:] = covariance
    known = replace(fit, estimate=np.append(0.0, estimate), covariance=whole)
    first = sw.honest_effect(known, "smoothness", [0.0], term="event 0").tidy().iloc[0]
    assert first[["conf_low", "conf_high"]].tolist() == pytest.approx([-0.05919927969080108, 0.01919927969080108], abs=1e-12)


ALONE = {
    "staggered_castle5_10": {},
    "staggered_cs_castle5_10": {"beta": 1},
    "staggered_sa_castle5_10": {"beta": 1, "controls": "last"},
}


@pytest.mark.parametrize("name", list(ALONE))
def test_cohorts_of_one_are_pooled_or_refused_in_words(name: str) -> None:
    """staggered 1.2.3 drops cohorts of one state, all five of castle5_plus10, and then says "argument is of length zero"."""
    trial, asked = panel("castle5_plus10"), ALONE[name] | {"vcov": "neyman", "df": "clusters"}
    with pytest.raises(FitError, match="two clusters in every cohort"):
        sw.RothSantAnna(pool="never", **asked).fit(trial)
    fit = sw.RothSantAnna(**asked).fit(trial)
    assert fit.status == sw.Status.OK
    assert any("cohorts are small" in note for note in fit.notes)
    same = {"staggered_cs_castle5_10": sw.CallawaySantAnna(controls="not_yet"), "staggered_sa_castle5_10": sw.SunAbraham()}
    if name in same:
        assert fit.estimate == pytest.approx(float(same[name].point(trial)), abs=1e-12)


def test_nothing_is_permuted_that_was_not_drawn() -> None:
    """Records staggered_castle5_fisher_10, pf_ritest_castle5_10 and pf_ritest_cl_castle5_10, errors of these packages on a panel.

    An observational panel is refused; where the order was drawn, its 120 orders are tried, and the comparators stay untreated.
    """
    estimators = (sw.RothSantAnna(beta=1), sw.TwoWayFixedEffects())
    for estimator in estimators:
        with pytest.raises(DataError, match="no randomisation test exists"):
            sw.RandomisationTest().run(panel("castle5_plus10"), estimator)
        result = sw.RandomisationTest().run(ordered("castle5_plus10"), estimator)
        assert result.n_allocations == 120
        assert float(result.p_value) * 120 == pytest.approx(round(float(result.p_value) * 120), abs=1e-9)


def test_no_baseline_taken_out() -> None:
    """Record staggered_mpdta_beta0, where ``beta=0`` gives "non-conformable arguments": ours is the difference of means under treatment."""
    trial = panel("mpdta")
    start, total, weight = starts(trial), 0.0, 0
    for group in (2004, 2006, 2007):
        for t, year in enumerate(trial.periods):
            if year >= group:
                own = start == group
                total += own.sum() * (trial.outcome[own, t].mean() - trial.outcome[start > year, t].mean())
                weight += own.sum()
    assert sw.RothSantAnna(beta=0, pool="never").point(trial) == pytest.approx(total / weight, abs=1e-12)


@pytest.mark.parametrize(
    ("event", "estimate", "error"), [(-3, 0.0164020960184856, 0.0368618388837732), (-2, 0.0119836793884228, 0.0358642692891974)]
)
def test_baselines_without_an_event_of_staggered(event: int, estimate: float, error: float) -> None:
    """Record staggered_mpdta_es_pre. The 20 counties of 2004 have no such event, and it divides by all 191 and keeps their baseline.

    Ours divides by 171 and leaves them out. Its event -1 is the baseline itself, so 0; ours has no such row.
    """
    trial, name = panel("mpdta"), f"event {event}"
    plain, differenced = (sw.RothSantAnna(aggregate="event", beta=beta, pool="never").build(trial) for beta in (0, 1))
    assert "event -1" not in plain.terms
    later = 171 / 191 * plain.weights[plain.terms.index(name)]
    earlier = (plain.weights - differenced.weights)[plain.terms.index("event 0")]
    scores = pd.DataFrame({"later": (later * trial.outcome).sum(-1), "earlier": (earlier * trial.outcome).sum(-1)})
    group = scores.groupby(starts(trial))
    covariance = sum(len(rows) * rows.cov().to_numpy() for _, rows in group)
    beta = covariance[0, 1] / covariance[1, 1]
    assert scores.later.sum() - beta * scores.earlier.sum() == pytest.approx(estimate, abs=1e-12)
    assert np.sqrt(covariance[0, 0] - beta * covariance[0, 1]) == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize(("name", "same"), [("pf_did2s_mpdta_attTrue", "did2s_mpdta"), ("pf_did2s_mpdta_attFalse", "did2s_es_mpdta")])
def test_a_first_wave_with_one_period_before_it(name: str, same: str) -> None:
    """pyfixest loses the 20 counties of the first wave on the way and ends with arrays of two lengths; ours is did2s of R."""
    rows = data.golden("did_imputation").query("id == @same")
    asked = {"aggregate": "dynamic", "leads": 4} if name.endswith("False") else {"aggregate": "simple"}
    fit = sw.TwoStage(**asked, **OWN).fit(panel("mpdta")).tidy().set_index("term").loc[rows.term]
    np.testing.assert_allclose(fit.estimate, rows.estimate, rtol=0, atol=1e-7)
    np.testing.assert_allclose(fit.std_error, rows.se, rtol=1e-6)


def test_errors_by_state() -> None:
    """Record diffs_mpdta_clstate, an AttributeError there; diff-diff's number has the factor ``G / (G - 1)`` of 29 states."""
    fit = sw.CallawaySantAnna(aggregate="simple", cluster="state", **OWN).fit(panel("mpdta"))
    row = data.golden("did_cs").query("id == 'dd_cs_mpdta_clstate' and aggregate == 'simple'").iloc[0]
    assert float(fit.std_error) * np.sqrt(29 / 28) == pytest.approx(row.se, rel=1e-8)


def test_leave_one_out_errors_of_imputation() -> None:
    """Records dimp_loo_mpdta and dimp_loo_castle5_10, where did-imputation 0.1.0 says that it lacks them. They need two in a cohort."""
    asked = sw.Imputation(leave_one_out=True, **OWN)
    assert asked.fit(panel("mpdta")).std_error > sw.Imputation(**OWN).fit(panel("mpdta")).std_error
    with pytest.raises(FitError, match="Use leave_one_out=False, or vcov='CR2'"):
        asked.fit(panel("castle5_plus10"))
    assert sw.Imputation(vcov="CR3").fit(panel("castle5_plus10")).status == sw.Status.OK


TESTS = Path(__file__).resolve().parents[1]
NOT_FITTED = data.golden("did_not_fitted")
# Tables of what packages were asked or given, not of what they answered.
QUESTIONS = ("did_not_fitted", "did_cs_records", "did_inference_inputs")


def answered() -> set[str]:
    """Every word of the golden tables of panels, and of every test."""
    tables = [path for path in (TESTS / "golden").glob("*.csv") if path.stem not in QUESTIONS]
    files = [*tables, *TESTS.rglob("test_*.py")]
    return {word.strip(".") for path in files for word in re.findall(r"[\w.-]+", path.read_text("utf-8"))}


def silent(records: Iterable[str], words: set[str]) -> list[str]:
    """Records that no test reproduces and no reason covers."""
    return sorted(set(records) - words - set(NOT_FITTED.id))


def recorded(shared: Path) -> list[str]:
    files = sorted((shared / "oracle").glob("did_*.json"))
    return [record["id"] for path in files for record in json.loads(path.read_text("utf-8"))["records"]]


def test_every_record_is_reproduced_or_explained(shared: Path) -> None:
    records, words = recorded(shared), answered()
    assert len(records) >= 274
    assert not silent(records, words), f"neither in a golden table, a test nor did_not_fitted.csv: {', '.join(silent(records, words))}"


def test_a_record_that_nobody_answers_is_found(shared: Path) -> None:
    """The check itself: a record of another name is listed, and one with a reason alone is not."""
    first, reasoned = recorded(shared)[0], NOT_FITTED.id.iloc[0]
    assert silent([first, reasoned, first + "_again"], {first}) == [first + "_again"]
    assert silent([first + "_again"], answered()) == [first + "_again"]


def test_the_page_gives_every_reason(root: Path) -> None:
    page = (root / "docs" / "validation-did.md").read_text("utf-8")
    for row in NOT_FITTED.itertuples(index=False):
        assert f"| {' | '.join(row)} |" in page


def test_reasons_are_given_for_records_that_exist(shared: Path) -> None:
    assert set(NOT_FITTED.id) <= set(recorded(shared))
    assert not NOT_FITTED.id.duplicated().any()
    assert (NOT_FITTED.reason.str.len() > 60).all()
