"""The one-random-intercept GLMM against a direct maximisation of its Laplace likelihood.

The reference differentiates numerically: its log-likelihood is good to 1e-9, its optimum to about 1e-6 of a standard error, its Hessian to
1e-5.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import reference
import reference_data as data
import reference_trials as trials
import swedge as sw


def cells(seed: int, family: str) -> pd.DataFrame:
    """Counts in 6 clusters and 4 periods, from nearly none to many a cell."""
    generator = np.random.default_rng(seed)
    cluster, period = (a.ravel() for a in np.indices((6, 4)))
    size = generator.integers(3, 200 if seed % 2 else 20, size=24)
    treatment = (period > cluster % 3).astype(int)
    eta = [-2.0, -1.0, 0.5][seed % 3] + 0.1 * period + 0.3 * treatment + [0.0, 0.3, 1.5][seed % 3] * generator.standard_normal(6)[cluster]
    y = generator.binomial(size, 1 / (1 + np.exp(-eta))) if family == "binomial" else generator.poisson(size * np.exp(eta))
    rows = pd.DataFrame({"cluster": cluster + 1, "period": period + 1, "treatment": treatment, "size": size, "y": y, "y_bin": y / size})
    return rows


@pytest.mark.parametrize("family", ["binomial", "poisson"])
@pytest.mark.parametrize("seed", range(3))
def test_laplace(seed: int, family: str) -> None:
    rows = cells(seed, family)
    columns = rows.y.to_numpy(float), rows["size"].to_numpy(float), data.model_matrix(rows), rows.cluster.to_numpy()
    beta, sd, log_likelihood, std_error = reference.fit_laplace(*columns, family)
    for trial in (trials.from_cells(rows, "y_bin", family), trials.from_rows(rows, "y_bin", family)):
        fit = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trial)
        assert -fit.details["criterion"] / 2 == pytest.approx(log_likelihood, abs=1e-7)
        assert fit.estimate == pytest.approx(beta[0], abs=1e-5 * std_error)
        assert fit.std_error == pytest.approx(std_error, rel=1e-4)
        assert fit.details["variances"]["cluster"] == pytest.approx(sd**2, rel=1e-4, abs=1e-9)
        assert (fit.status == sw.Status.SINGULAR) == (sd < 1e-6)


def test_patterns_give_the_estimate_of_individual_rows() -> None:
    generator = np.random.default_rng(8)
    rows = data.made_trial("made_wedge").assign(group=lambda d: generator.choice(["a", "b"], size=len(d)))
    rows = rows.assign(y_bin=(rows.y_cont + 0.5 * (rows.group == "b") > 0.8).astype(int))
    x = np.column_stack([data.model_matrix(rows), rows.group == "b"])
    beta, sd, _, std_error = reference.fit_laplace(rows.y_bin.to_numpy(float), np.ones(len(rows)), x, rows.cluster.to_numpy(), "binomial")
    fit = sw.MixedModel(sw.Exchangeable(), df="normal").fit(trials.from_rows(rows, "y_bin", "binomial", "C(group)"))
    assert fit.estimate == pytest.approx(beta[0], abs=1e-5 * std_error)
    assert fit.std_error == pytest.approx(std_error, rel=1e-4)
    assert fit.details["variances"]["cluster"] == pytest.approx(sd**2, rel=1e-4, abs=1e-9)
