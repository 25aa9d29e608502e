"""Efficient estimation under random timing against `staggered`, synthetic controls against `synthdid` and diff-diff.

Estimates, both Neyman standard errors and the synthetic weights are closed forms or follow the same steps: they agree to twelve digits. The
placebo standard errors of peers draw 200 placebos with a seed; ours tries all 38, and theirs lie within three of their Monte Carlo errors.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import reference_data as data
import swedge as sw
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD

NUMBERS = data.golden("did_random")
ROTH = NUMBERS[NUMBERS.estimator == "RothSantAnna"].groupby("id", sort=False)
SYNTHETIC = {"SyntheticDiD": SyntheticDiD, "SyntheticControl": SyntheticControl}
COLUMNS = {
    "mpdta": {"cluster": "countyreal", "period": "year", "first_treated": "first.treat"},
    "pj_sub12": {"cluster": "uid", "period": "period", "first_treated": "first_trained"},
    "california_prop99": {"cluster": "State", "period": "Year", "first_treated": "first"},
}


def read(name: str) -> pd.DataFrame:
    rows = pd.read_csv(data.needed_folder() / f"data/did/{name}.csv")
    if name == "pj_sub12":  # `staggered` drops cohorts of one officer
        alone = rows.groupby("first_trained").uid.nunique()
        return rows[~rows.first_trained.isin(alone[alone == 1].index)]
    return rows.assign(first=np.where(rows.State == "California", 1989, 0)) if name == "california_prop99" else rows


def officers(outcome: str) -> sw.Trial:
    """The whole panel: cells that are not listed are 0."""
    folder = data.needed_folder() / "data/did"
    who, events = pd.read_csv(folder / "pj_officers.csv"), pd.read_csv(folder / "pj_events_nonzero.csv")
    periods = np.arange(1, 73)
    rows = who[["uid", "first_trained"]].merge(pd.DataFrame({"period": periods}), how="cross")
    rows = rows.merge(events[["uid", "period", outcome]], how="left", on=["uid", "period"]).fillna({outcome: 0})
    return sw.Trial.from_panel(rows, outcome=outcome, **COLUMNS["pj_sub12"])


@cache
def panel(name: str, outcome: str) -> sw.Trial:
    return officers(outcome) if name == "pj_full" else sw.Trial.from_panel(read(name), outcome=outcome, **COLUMNS[name])


@pytest.mark.parametrize(("label", "rows"), list(ROTH), ids=[label for label, _ in ROTH])
def test_golden_random_timing_is_staggered(label: str, rows: pd.DataFrame) -> None:
    first = rows.iloc[0]
    beta = None if np.isnan(first["beta"]) else first["beta"]
    asked = {"aggregate": first["aggregate"], "controls": first["controls"], "beta": beta, "pool": "never", "df": "normal"}
    trial = panel(first["data"], first.outcome)
    for vcov, column in (("neyman", "se"), ("adjusted", "se_adjusted")):
        found = RothSantAnna(vcov=vcov, **asked).fit(trial).tidy().set_index("term").loc[rows.term]
        np.testing.assert_allclose(found.estimate, rows.estimate, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.std_error, rows[column], rtol=1e-9)


def test_golden_the_published_answers_on_the_officers() -> None:
    """Printed by the package's authors, to the digits printed: complaints, simple, cohort and calendar."""
    trial = panel("pj_full", "complaints")
    for aggregate, estimate in (("simple", -0.001126981), ("cohort", -0.001084689), ("calendar", -0.00187198)):
        assert float(RothSantAnna(aggregate=aggregate, pool="never").point(trial)) == pytest.approx(estimate, abs=6e-10)
    assert float(RothSantAnna(pool="never", vcov="adjusted", df="normal").fit(trial).std_error) == pytest.approx(0.002115194, abs=6e-10)


@pytest.mark.parametrize("label", ["synthdid_estimate_prop99", "sc_estimate_prop99", "dd_sdid_prop99"])
def test_golden_synthetic_controls_are_synthdid(label: str) -> None:
    row = NUMBERS.set_index("id").loc[label]
    trial, estimator = panel("california_prop99", "PacksPerCapita"), SYNTHETIC[row.estimator]
    assert float(estimator().point(trial)) == pytest.approx(row.estimate, abs=1e-9)
    weights = data.golden("did_random_weights")
    found = estimator().synthetic(trial)
    for kind, ours in (("omega", found.clusters[0, 1:]), ("lambda", found.periods[0, :19])):
        rows = weights[(weights.id == label) & (weights.kind == kind)]
        theirs = np.zeros(len(ours))
        theirs[rows.position] = rows.weight
        if len(weights[weights.id == label]):
            np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("label", ["synthdid_estimate_prop99", "sc_estimate_prop99", "dd_sdid_prop99"])
def test_golden_placebo_errors_lie_within_monte_carlo_error(label: str) -> None:
    row = NUMBERS.set_index("id").loc[label]
    trial = panel("california_prop99", "PacksPerCapita")
    ours = float(SYNTHETIC[row.estimator](vcov="placebo", df="normal").fit(trial).std_error)
    placebos = sw.PlaceboTest().run(trial, SYNTHETIC[row.estimator]()).reference
    about = placebos - placebos.mean()
    assert ours == pytest.approx(np.sqrt((about**2).mean()), rel=1e-9)  # all 38, once each
    error = np.sqrt(((about**4).mean() - ours**4) / 200) / (2 * ours)
    assert abs(row.se - ours) < 3 * error


def test_golden_the_studentised_fisher_test_of_staggered() -> None:
    """Records staggered_mpdta_fisher and staggered_mpdta_fisher_cs: 0 of 999 and of 499 permutations as extreme; there is no p of 0."""
    observed = panel("mpdta", "lemp")
    rows = np.array([[0, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]])
    which = [int(np.flatnonzero((rows == line).all(1))[0]) for line in observed.treatment]
    design = sw.Design.from_matrix(rows, clusters_per_sequence=np.bincount(which).tolist())
    allocation = design.allocate(dict(zip(design.clusters, which, strict=True)))
    trial = sw.Trial.from_cells(observed.n, observed.outcome, allocation)
    for beta in (None, 1):
        estimator = RothSantAnna(beta=beta, vcov="neyman", df="normal")
        result = sw.RandomisationTest(statistic="t", draws=999, interval=False).run(trial, estimator)
        assert float(result.p_value) == 1 / 1000
