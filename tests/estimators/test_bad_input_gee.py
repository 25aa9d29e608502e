"""Wrong arguments of GEE and data it cannot carry: refused, with directions."""

from __future__ import annotations

import numpy as np
import pytest

import swedge as sw
from swedge.estimators.gee import GEE

DESIGN = sw.Design.stepped_wedge(clusters=5, periods=6)


def trial(family: str = "binomial", within: float | None = None) -> sw.Trial:
    rng = np.random.default_rng(1)
    return sw.Trial.from_cells(
        np.full((5, 6), 50), rng.integers(5, 25, (5, 6)) / 50, DESIGN.randomise(seed=1), family=family, within=within
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vcov": "kc"}, r"vcov='kc'; expected one of KC, MD.*Did you mean 'KC'\?"),
        ({"vcov": None}, "vcov=None; expected one of"),
        ({"df": "cluster"}, r"df='cluster'; expected one of clusters.*Did you mean 'clusters'\?"),
        ({"df": None}, "df=None; expected one of"),
        ({"moments": "maee"}, r"moments='maee'; expected one of MAEE.*Did you mean 'MAEE'\?"),
        ({"vcov": "AVG", "df": "satterthwaite"}, "Satterthwaite df belong to KC, MD.*Use df='clusters'"),
        ({"correlation": "exchangeable"}, r"'exchangeable' is no working correlation of a GEE; expected one of Exchangeable\(\)"),
        ({"correlation": sw.RandomEffects(cluster=0.1, residual=1.0)}, "is no working correlation of a GEE"),
        ({"correlation": sw.Exchangeable(iac=0.2)}, "cells do not tell who is who"),
        ({"correlation": sw.NestedExchangeable(icc=0.05)}, "states some of its values"),
    ],
)
def test_arguments(options: dict[str, object], message: str) -> None:
    with pytest.raises(sw.FitError, match=message):
        GEE(**options)


def test_a_link_that_the_family_lacks() -> None:
    with pytest.raises(sw.FitError, match=r"link='probits'.*Did you mean 'probit'"):
        GEE(link="probits").fit(trial())
    with pytest.raises(sw.FitError, match="link='logit' with family 'gaussian'"):
        GEE(link="logit").fit(trial("gaussian", 1.0))


def test_not_a_trial() -> None:
    with pytest.raises(sw.DataError, match="An estimator fits a Trial"):
        GEE().fit(np.zeros((5, 6)))


def test_means_alone_do_not_tell_a_correlation() -> None:
    with pytest.raises(sw.DataError, match=r"means of gaussian cells.*pass within=.*GEE\(Exchangeable\(0.05\)\)"):
        GEE().fit(trial("gaussian"))
    assert GEE(sw.Exchangeable(0.05)).fit(trial("gaussian")).status == sw.Status.OK
    with pytest.raises(sw.DataError, match="with a robust vcov"):
        GEE(sw.Exchangeable(0.05), "model").fit(trial("gaussian"))


def test_sums_do_not_tell_individuals_counts() -> None:
    with pytest.raises(sw.DataError, match=r"cells hold their sum. Use moments='MAEE'"):
        GEE(moments="pairs").fit(trial("poisson"))


def test_shares_need_a_stated_correlation() -> None:
    with pytest.raises(sw.DataError, match="means of fractional cells"):
        GEE().fit(trial("fractional"))
    assert GEE(sw.Exchangeable(0.0)).fit(trial("fractional")).status == sw.Status.OK


def test_more_coefficients_than_clusters() -> None:
    with pytest.raises(
        sw.FitError, match=r"5 clusters leave no df='coefficients' \(clusters minus coefficients, 7 coefficients\). Use df='clusters'"
    ):
        GEE(df="coefficients").fit(trial())


def test_pooled_scatter_with_covariates() -> None:
    rng = np.random.default_rng(0)
    mean = np.stack([rng.standard_normal((5, 6)), rng.standard_normal((5, 6))], -1)
    pooled = sw.Trial.from_cells(np.full((5, 6), 9), mean, DESIGN.randomise(seed=0), within=np.eye(2) * 200, covariates=["age"])
    with pytest.raises(sw.DataError, match="needs each cluster's scatter"):
        GEE().fit(pooled)
