"""How often each analysis rejects a true null, and how often its interval holds the truth, at a study's sizes: in one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from swedge.assumptions import Exchangeable, RandomEffects
from swedge.errors import DesignError, listing
from swedge.estimate import Estimator, WaldTest
from swedge.estimators import GEE, FixedEffects, MixedModel, TwoWayFixedEffects, WithinPeriod
from swedge.inference import JackknifeTest, LikelihoodRatioTest, RandomisationTest, WildBootstrapTest
from swedge.power import Scenario, simulate_power
from swedge.studies.facts import family_safeguarding
from swedge.studies.study import Study

COLUMNS = ("outcome", "noise", "analysis", "default", "rejection", "mcse", "coverage", "n_ok", "n_singular", "n_failed")

Analyses = Mapping[str, tuple[Estimator, Any]]

#: Analyses of a binary outcome. Those of `WARNED` are not defaults: they are here to be seen failing.
BINARY: Analyses = {
    "FixedEffects CR2, Satterthwaite df": (FixedEffects(), WaldTest()),
    "FixedEffects overdispersed, residual df": (FixedEffects(vcov="overdispersed"), WaldTest()),
    "GEE, default": (GEE(), WaldTest()),
    "TwoWayFixedEffects CR2 on risks": (TwoWayFixedEffects(), WaldTest()),
    "WithinPeriod CR2 on risks": (WithinPeriod(), WaldTest()),
    "FixedEffects, jackknife": (FixedEffects(), JackknifeTest()),
    "FixedEffects, wild (score) bootstrap, Webb": (FixedEffects(), WildBootstrapTest(weights="webb", draws=399)),
    "WithinPeriod, randomisation test": (WithinPeriod(), RandomisationTest()),
    "GLMM random intercept, likelihood ratio, between-within df": (MixedModel(Exchangeable(), df="normal"), LikelihoodRatioTest()),
    "GLMM random intercept, z": (MixedModel(Exchangeable(), df="normal"), WaldTest()),
    "FixedEffects CR0, z": (FixedEffects(vcov="CR0", df="normal"), WaldTest()),
}

#: The same for a continuous outcome.
CONTINUOUS: Analyses = {
    "MixedModel, Kenward-Roger": (MixedModel(), WaldTest()),
    "MixedModel, Satterthwaite": (MixedModel(df="satterthwaite"), WaldTest()),
    "FixedEffects CR2, Satterthwaite df": (FixedEffects(), WaldTest()),
    "FixedEffects overdispersed, residual df": (FixedEffects(vcov="overdispersed"), WaldTest()),
    "GEE, default": (GEE(), WaldTest()),
    "FixedEffects, wild bootstrap, Webb": (FixedEffects(), WildBootstrapTest(weights="webb", draws=399)),
    "WithinPeriod CR2": (WithinPeriod(), WaldTest()),
    "WithinPeriod, randomisation test": (WithinPeriod(), RandomisationTest()),
    "MixedModel without cluster-by-period, Satterthwaite": (MixedModel(Exchangeable(), df="satterthwaite"), WaldTest()),
}

OUTCOMES = ("binary", "continuous")

#: Analyses that are no default, or whose summary warns of what they leave out: comparing across strata, noise, few clusters.
WARNED = frozenset(
    {
        "WithinPeriod CR2 on risks",
        "FixedEffects, wild (score) bootstrap, Webb",
        "FixedEffects, wild bootstrap, Webb",
        "MixedModel, Satterthwaite",
        "GLMM random intercept, z",
        "GLMM random intercept, likelihood ratio, between-within df",
        "FixedEffects CR0, z",
        "FixedEffects overdispersed, residual df",
        "MixedModel without cluster-by-period, Satterthwaite",
    }
)

#: Standard deviation of authorities' means of the continuous outcome, whose individuals have standard deviation 1.
AUTHORITY = 0.1

#: Noise of the continuous outcome that disturbs cell means, beside their sampling error, about as much as noise 1 on the logit scale.
AS_STRONG = 0.22


def calibration_table(
    reps: int,
    *,
    seed: int,
    noise: Iterable[float] = (0.0, 0.1, 0.2),
    outcomes: Sequence[str] = ("binary", "continuous"),
    odds_ratio: float = 1.0,
    study: Study | None = None,
    n_jobs: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Rejection rate at a nominal 5% and coverage of the 95% interval, for every default analysis and some that fail.

    Every replicate draws one of the permitted allocations and then outcomes at the study's sizes, with noise by cluster and period.

    Parameters
    ----------
    reps : int
        Replicates for each outcome and level of noise.
    seed : int
        0 is a seed.
    noise : iterable of float
        Standard deviation of the cluster-by-period noise on the logit scale; for the continuous outcome, as strong beside sampling error.
    outcomes : sequence of {"binary", "continuous"}
    odds_ratio : float
        Of treated against control; 1 shows size, anything else power. The continuous effect is as strong beside sampling error.
    study : Study, optional
        `family_safeguarding` by default.
    n_jobs : int
        Processes; the digits do not depend on it.
    progress : bool

    Returns
    -------
    DataFrame
        One row an outcome, level and analysis: ``outcome, noise, analysis, default, rejection, mcse, coverage, n_ok, n_singular,
        n_failed``. A failed fit does not reject, and is counted.

    Raises
    ------
    DesignError
        If an outcome is not one that is simulated.

    Examples
    --------
    >>> table = calibration_table(reps=20, seed=1, noise=[0.1], outcomes=["continuous"])
    >>> table["analysis"].iloc[0]
    'MixedModel, Kenward-Roger'
    """
    unknown = [name for name in outcomes if name not in OUTCOMES]
    if unknown:
        raise DesignError(f"outcomes holds {listing(unknown)}; expected {' or '.join(OUTCOMES)}.")
    trial = family_safeguarding() if study is None else study
    parts = [
        _rows(trial, outcome, level, reps, odds_ratio, seed=seed, n_jobs=n_jobs, progress=progress)
        for outcome in outcomes
        for level in noise
    ]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _rows(study: Study, outcome: str, noise: float, reps: int, odds_ratio: float, **how: Any) -> pd.DataFrame:
    binary = outcome == "binary"
    truth = study.scenario(odds_ratio, noise) if binary else _continuous(study, noise, odds_ratio)
    methods = dict(BINARY if binary else CONTINUOUS)
    table = simulate_power(study.design, truth, methods, reps=reps, **how).tidy()
    names = np.array(list(methods))
    shown = table.rename(columns={"power": "rejection"})
    return shown.assign(outcome=outcome, noise=noise, analysis=names, default=[name not in WARNED for name in names])


def _continuous(study: Study, noise: float, odds_ratio: float) -> Scenario:
    effects = RandomEffects(cluster=AUTHORITY, cluster_period=AS_STRONG * noise, residual=1.0)
    effect = AS_STRONG * float(np.log(odds_ratio))
    size = tuple(map(tuple, study.cell_sizes))
    return Scenario(family="gaussian", baseline=0.0, effect=effect, correlation=effects, size=size)
