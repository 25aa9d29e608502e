"""The jackknife beside R: fits of lm, glm and lmer without each cluster, and clubSandwich's CR3."""

from __future__ import annotations

import pandas as pd
import pytest

import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.inference import JackknifeTest

TABLE = data.golden("jackknife")
ESTIMATORS: dict[str, sw.Estimator] = {
    "two-way": sw.TwoWayFixedEffects(),
    "within": sw.WithinPeriod(),
    "exchangeable": sw.MixedModel(sw.Exchangeable()),
    "nested": sw.MixedModel(),
    "logit": sw.FixedEffects(),
}
# lmer stops within 1e-7 of the optimum's estimate, and every leave-out does so on its own; the others are exact but for rounding.
TOLERANCE = {"exchangeable": 1e-5, "nested": 1e-5, "logit": 1e-8}


def trial(dataset: str, estimator: str) -> sw.Trial:
    if dataset.startswith("castle5"):
        rows = data.panel_rows(dataset)
        return sw.Trial.from_panel(rows, cluster="cluster", period="period", outcome="y_cont", first_treated="first_treated")
    outcome, family = ("y_bin", "binomial") if estimator == "logit" else ("y_cont", "gaussian")
    return trials.from_rows(data.trial_rows(dataset), outcome, family)


@pytest.mark.parametrize("row", [pytest.param(row, id=f"{row.dataset} {row.estimator} {row.source}") for _, row in TABLE.iterrows()])
def test_r_without_each_cluster(row: pd.Series) -> None:
    tolerance = TOLERANCE.get(row.estimator, 1e-9)
    fitted, estimator = trial(row.dataset, row.estimator), ESTIMATORS[row.estimator]
    result = JackknifeTest().run(fitted, estimator)
    assert result.estimate == pytest.approx(row.estimate, rel=tolerance)
    assert result.std_error == pytest.approx(row.about_estimate, rel=tolerance)
    if not pd.isna(row.about_mean):
        assert JackknifeTest(centre="mean").run(fitted, estimator).std_error == pytest.approx(row.about_mean, rel=tolerance)
