"""Shares by quasi-binomial regression: R's glm and clubSandwich (tests/golden/fractional.R), and statsmodels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.genmod.families import Binomial

import swedge as sw

ALLOCATION = sw.Design.stepped_wedge(clusters=5, periods=6).allocate({str(k + 1): k for k in range(5)})


def made() -> pd.DataFrame:
    """The integer trial of fractional.R."""
    i = np.arange(240)
    cluster, period = i // 48 + 1, i // 8 % 6 + 1
    share = np.where(i % 11 == 0, 0.0, (37 * i**2 + 101 * i + 13) % 401 / 401 / (1 + cluster / 4))
    return pd.DataFrame(
        {"cluster": cluster, "period": period, "sex": i // 3 % 2, "share": share, "treated": (period > cluster).astype(float)}
    )


def trial(model: str = "plain") -> sw.Trial:
    covariates = "sex" if model == "sex" else None
    return sw.Trial.from_frame(
        made(), ALLOCATION, cluster="cluster", period="period", outcome="share", family="fractional", covariates=covariates
    )


@pytest.fixture(scope="module")
def golden(root: Path) -> pd.Series:
    return pd.read_csv(root / "tests/golden/fractional.csv").set_index(["model", "what"])["value"]


@pytest.mark.parametrize("model", ["plain", "sex"])
def test_golden_fractional_regression_by_r(golden: pd.Series, model: str) -> None:
    for vcov in ("CR0", "CR1"):
        fit = sw.FixedEffects(vcov=vcov).fit(trial(model))
        assert float(fit.estimate) == pytest.approx(golden[model, "estimate"], rel=1e-9)
        # R keeps the working weights of the step before the last: 1e-9.
        assert float(fit.std_error) == pytest.approx(golden[model, vcov], rel=1e-8)


def test_golden_the_overdispersed_variance_is_the_quasi_binomial_one_of_the_cells(golden: pd.Series) -> None:
    fit = sw.FixedEffects(vcov="overdispersed").fit(trial())
    assert float(fit.std_error) == pytest.approx(golden["cells", "overdispersed"], rel=1e-8)
    assert float(fit.df) == 30 - 11


@pytest.mark.parametrize("model", ["plain", "sex"])
def test_golden_fractional_regression_by_statsmodels(model: str) -> None:
    frame = made()
    formula = "share ~ treated + C(period) + C(cluster)" + (" + sex" if model == "sex" else "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that shares are no counts
        peer = smf.glm(formula, frame, family=Binomial()).fit(
            tol=1e-14, cov_type="cluster", cov_kwds={"groups": frame.cluster, "use_correction": False}
        )
    fit = sw.FixedEffects(vcov="CR0", df="normal").fit(trial(model))
    assert float(fit.estimate) == pytest.approx(peer.params["treated"], rel=1e-9)
    assert float(fit.std_error) == pytest.approx(peer.bse["treated"], rel=1e-9)
    assert float(fit.p_value) == pytest.approx(peer.pvalues["treated"], rel=1e-8)
