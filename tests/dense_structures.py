"""Every structure as one dense covariance of all rows, and what follows from it: slow, and written down term by term."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from scipy import optimize

import reference
import reference_data as data
import reference_trials as trials
import swedge as sw
from swedge.assumptions import Correlation

Array = np.ndarray


EFFECTS = sw.RandomEffects
STRUCTURES: dict[str, tuple[Correlation, tuple[str, ...]]] = {
    "treatment": (EFFECTS(cluster=None, treatment=None), ("cluster", "treatment")),
    "correlated": (EFFECTS(cluster=None, treatment=None, treatment_corr=None), ("cluster", "cluster_treatment", "treatment")),
    "three": (EFFECTS(cluster=None, treatment=None, cluster_period=None), ("cluster", "treatment", "cluster_period")),
    "decay": (sw.ExponentialDecay(), ("cluster_period", "autocorrelation")),
    "cluster and decay": (
        EFFECTS(cluster=None, cluster_period=None, autocorrelation=None),
        ("cluster", "cluster_period", "autocorrelation"),
    ),
    "exposure": (EFFECTS(cluster=None, exposure=None), ("cluster", "exposure")),
    "exposure, nested": (EFFECTS(cluster=None, exposure=None, cluster_period=None), ("cluster", "exposure", "cluster_period")),
}
COHORTS: dict[str, tuple[Correlation, tuple[str, ...]]] = {
    "cohort": (sw.Exchangeable(iac=None), ("cluster", "individual")),
    "block exchangeable": (sw.NestedExchangeable(iac=None), ("cluster", "individual", "cluster_period")),
    "decay, individuals": (sw.ExponentialDecay(iac=None), ("individual", "cluster_period", "autocorrelation")),
    "proportional": (sw.ProportionalDecay(), ("cluster_period", "autocorrelation")),
    "treatment, individuals": (EFFECTS(cluster=None, treatment=None, individual=None), ("cluster", "treatment", "individual")),
}
EVERY = {**STRUCTURES, **COHORTS}


def awkward_rows(seed: int, name: str, gaps: bool = False) -> pd.DataFrame:
    """A small trial, rows of individuals: unequal cells (cohorts: unequal clusters), one covariate, random effects of every kind."""
    generator = np.random.default_rng(seed)
    clusters, periods = 6, 5
    first = np.array([1, 2, 3, 4, 1, 2])
    rows = []
    for i in range(clusters):
        level, slope = 0.9 * generator.standard_normal(), 0.6 * generator.standard_normal()
        course = np.cumsum(0.4 * generator.standard_normal(periods))
        people = generator.normal(0, 0.8, size=int(generator.integers(2, 5)))
        for t in range(periods):
            if gaps and t == first[i]:
                continue
            own = people if name in COHORTS else generator.normal(0, 0.8, size=int(generator.integers(1, 5)))
            exposure = max(t - first[i] + 1, 0)
            for j, person in enumerate(own):
                age = generator.normal(0.1 * t, 1)
                treated = float(exposure > 0)
                mean = 0.2 * t + 0.3 * age + level + course[t] + person + treated * (0.5 + slope + 0.4 * np.sin(9 * exposure))
                rows.append([i + 1, t + 1, treated, exposure, j, 1, age, mean + generator.standard_normal()])
    return pd.DataFrame(rows, columns=["cluster", "period", "treatment", "exposure", "person", "size", "age", "y"])


@dataclass(frozen=True)
class Dense:
    """Rows, design matrix with the treatment first, and the covariance by named variances."""

    rows: pd.DataFrame
    x: Array
    names: tuple[str, ...]
    fading: bool
    lag: Array

    def covariance(self, theta: Array) -> Array:
        """The covariance of all rows; `theta` may be complex, for derivatives without cancellation."""
        part = dict(zip(self.names, theta, strict=True))
        same = {name: np.equal.outer(c := self.rows[name].to_numpy(), c) for name in ("cluster", "period", "person", "exposure")}
        x, t = self.rows.treatment.to_numpy(), self.rows.period.to_numpy() - 1
        lag = self.lag[np.ix_(t, t)]
        one = same["cluster"] & same["person"]
        decay = part["autocorrelation"] ** lag if "autocorrelation" in part else same["period"]
        v = part["residual"] * (np.eye(len(x)) if not self.fading else one * decay)
        v = v + part.get("cluster", 0) * same["cluster"] + part.get("cluster_period", 0) * same["cluster"] * decay
        v = v + part.get("treatment", 0) * same["cluster"] * np.outer(x, x)
        v = v + part.get("cluster_treatment", 0) * same["cluster"] * np.add.outer(x, x)
        v = v + part.get("exposure", 0) * same["exposure"] * np.outer(x, x)
        return v + part.get("individual", 0) * one

    def blocks(self, theta: Array) -> list[reference.Block]:
        return [(self.rows.y.to_numpy(), self.x, [self.covariance(theta)])]

    def gls(self, theta: Array, reml: bool = True) -> reference.Gls:
        return reference.gls(self.blocks(theta), np.ones(1), reml)

    def satterthwaite(self, theta: Array, reml: bool) -> float:
        """``2 v^2 / (g' A g)``, A twice the inverse Hessian of the deviance over the variances."""

        def both(point: Array) -> Array:
            fit = self.gls(point, reml)
            return np.array([fit.criterion, fit.cov[0, 0]])

        gradient, hessian = reference.derivatives(both, theta, floor=1e-3)
        v = self.gls(theta, reml).cov[0, 0]
        return float(2 * v**2 / (gradient[1] @ np.linalg.solve(hessian[0] / 2, gradient[1])))

    def kenward_roger(self, theta: Array) -> tuple[float, float]:
        """The paper's formulas to first order in V, its derivatives taken numerically."""
        step, k = 1e-20, len(theta)
        unit = np.eye(k)

        def slope(i: int, at: Array) -> Array:
            return np.imag(self.covariance(at + 1j * step * unit[i])) / step

        first = [slope(i, theta) for i in range(k)]
        fit = self.gls(theta)
        v, x, phi = fit.inverse[0], self.x, fit.cov
        vx = v @ x
        project = v - vx @ phi @ vx.T
        information = np.array([[np.sum((project @ a) * (project @ b).T) / 2 for b in first] for a in first])
        w = np.linalg.inv(information)
        total = np.zeros_like(phi)
        for i, j in product(range(k), repeat=2):
            q = vx.T @ first[i] @ v @ first[j] @ vx
            p = (vx.T @ first[i] @ vx) @ phi @ (vx.T @ first[j] @ vx)
            total += w[i, j] * (q - p)
        adjusted = phi + 2 * phi @ total @ phi
        g = np.array([phi[0] @ vx.T @ a @ vx @ phi[0] for a in first])
        return float(np.sqrt(adjusted[0, 0])), float(2 * phi[0, 0] ** 2 / (g @ w @ g))

    def minimum(self, to_theta: Callable[[Array], Array], starts: Array, reml: bool) -> float:
        """The least criterion that Nelder-Mead finds from several starts."""

        def objective(point: Array) -> float:
            try:
                return self.gls(to_theta(point), reml).criterion
            except np.linalg.LinAlgError:
                return np.inf

        options = {"xatol": 1e-5, "fatol": 1e-7, "maxiter": 4000, "maxfev": 4000}
        return min(float(optimize.minimize(objective, start, method="Nelder-Mead", options=options).fun) for start in starts)


def trial_of(rows: pd.DataFrame, name: str, covariates: bool = False) -> sw.Trial:
    """The rows as a trial: a closed cohort where the structure is one of cohorts."""
    named = rows.assign(cluster=rows.cluster.astype(str))
    columns = {"cluster": "cluster", "period": "period", "outcome": "y", "covariates": "age" if covariates else None}
    individual = "person" if name in COHORTS else None
    return sw.Trial.from_frame(named, trials.allocation_of(rows), individual=individual, **columns)


def dense_of(rows: pd.DataFrame, name: str, covariates: bool = False) -> Dense:
    """The rows as one dense problem."""
    x = data.model_matrix(rows)
    x = np.column_stack([x, rows.age]) if covariates else x
    periods = np.arange(rows.period.max(), dtype=float)
    return Dense(rows, x, ("residual", *EVERY[name][1]), name == "proportional", np.abs(np.subtract.outer(periods, periods)))
