"""A fit is called separated where a plane tells outcomes of 0 from outcomes of 1, by linear programming, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.optimize import linprog

import swedge as sw
from swedge._kernels.families import BY_LINK
from swedge._kernels.glm import EDGE, fit_slots, slot_model
from swedge.errors import Status

Array = np.ndarray


def separated(y: Array, x: Array) -> bool:
    """Whether some direction raises no predictor where all outcomes are 0, lowers none where all are 1, moves no other, and moves some."""
    side = np.where(y == 1, 1.0, -1.0)[:, None] * x
    bound, mixed = (y == 0) | (y == 1), (y > 0) & (y < 1)
    fixed = {"A_eq": x[mixed], "b_eq": np.zeros(mixed.sum())} if mixed.any() else {}
    found = linprog(-side[bound].sum(0), A_ub=-side[bound], b_ub=np.zeros(bound.sum()), bounds=[(-1, 1)] * x.shape[1], **fixed)
    return -found.fun > 1e-8


def individuals(seed: int) -> tuple[Array, Array]:
    """Outcomes of single people, and a constant, an arm and one or two covariates, of which the first says much."""
    rng = np.random.default_rng([seed, 5])
    count, width = int(rng.integers(15, 60)), int(rng.integers(1, 3))
    z = rng.normal(size=(count, width)) * (1 + 3 * (rng.random((count, 1)) < 0.1))
    arm = rng.integers(0, 2, count)
    y = (rng.logistic(size=count) < rng.choice([1, 3, 6]) * z[:, 0] - 0.5).astype(float)
    return y, np.column_stack([np.ones(count), arm, z])


def cells(seed: int) -> tuple[Array, Array]:
    """Cell means of rare outcomes, and columns of clusters, periods and a stepped treatment."""
    rng = np.random.default_rng([seed, 6])
    size = int(rng.integers(4, 25))
    y = rng.binomial(size, rng.choice([0.02, 0.05, 0.1]), size=(5, 6)) / size
    cluster, period = np.divmod(np.arange(30), 6)
    treated = (period > cluster).astype(float)
    return y.ravel(), np.column_stack([np.eye(6)[period], np.eye(5)[cluster][:, 1:], treated])


@pytest.mark.parametrize(("draw", "link"), [(individuals, "logit"), (cells, "logit"), (cells, "probit"), (cells, "cloglog")])
def test_reference_separated_is_what_a_plane_separates(draw: Callable[[int], tuple[Array, Array]], link: str) -> None:
    apart = far = 0
    for seed in range(150):
        y, x = draw(seed)
        if np.linalg.matrix_rank(x) < x.shape[1]:
            continue
        none = np.zeros((1, len(y)))
        fit = fit_slots(slot_model(y[None], x.T[:, None], none + 1, none, BY_LINK["binomial", link], ()))
        if separated(y, x):
            apart += 1
            assert fit.status[0] != Status.OK, seed
        else:
            assert fit.status[0] == Status.OK, seed
            far += bool((fit.mu * (1 - fit.mu) < EDGE).any())
    assert apart > 10
    # Fits that used to be refused for one person who is as good as certain.
    assert far > 2 or draw is cells


def test_reference_fixed_effects_of_a_covariate_that_reaches_far() -> None:
    rng = np.random.default_rng(3)
    design = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    frame = pd.DataFrame([(c, t + 1) for c in design.design.clusters for t in range(6) for _ in range(20)], columns=["la", "period"])
    frame["age"] = rng.normal(40, 3, len(frame)).round(1)
    frame.loc[0, "age"] = 95.0
    frame["y"] = (rng.random(len(frame)) < 1 / (1 + np.exp(0.4 * (frame["age"] - 40)))).astype(float)
    frame.loc[0, "y"] = 0.0
    trial = sw.Trial.from_frame(frame, design, cluster="la", period="period", outcome="y", family="binomial", covariates="age")
    fit = sw.FixedEffects(vcov="model").fit(trial)
    dummies = pd.get_dummies(frame[["la", "period"]].astype(str), drop_first=True).to_numpy(float)
    treated = trial.treatment[[trial.clusters.index(c) for c in frame["la"]], frame["period"] - 1]
    x = np.column_stack([treated, np.ones(len(frame)), dummies, frame["age"]])
    peer = sm.GLM(frame["y"], x, family=sm.families.Binomial()).fit(tol=1e-14)
    assert peer.mu[0] * (1 - peer.mu[0]) < EDGE
    np.testing.assert_allclose([float(fit.estimate), float(fit.std_error)], [peer.params.iloc[0], peer.bse.iloc[0]], rtol=1e-7)
