"""What few clusters do to a test: the rejection rates of common analyses at a study's sizes, in one call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from swedge.assumptions import Exchangeable
from swedge.estimate import Estimator
from swedge.estimators import FixedEffects, MixedModel
from swedge.power import simulate_power
from swedge.studies.facts import family_safeguarding
from swedge.studies.study import Study

COLUMNS = ("noise", "estimator", "test", "rejection", "mcse", "n_failed")

#: The analyses compared, by name and test. The first is the one the trial pre-specified.
ANALYSES: dict[tuple[str, str], Estimator] = {
    ("random-intercept GLMM", "z"): MixedModel(Exchangeable(), df="normal"),
    ("cluster fixed effects, model variance", "z"): FixedEffects(vcov="model", df="normal"),
    ("cluster fixed effects, CR0", "z"): FixedEffects(vcov="CR0", df="normal"),
    ("cluster fixed effects, CR2", "t, Satterthwaite df"): FixedEffects(vcov="CR2"),
    ("cluster fixed effects, CR3", "t, clusters - 1 df"): FixedEffects(vcov="CR3", df="clusters"),
    ("cluster fixed effects, overdispersed", "t, residual df"): FixedEffects(vcov="overdispersed"),
}


def size_table(
    reps: int = 10_000,
    *,
    seed: int,
    noise: Iterable[float] = (0.0, 0.1, 0.2),
    odds_ratio: float = 1.0,
    study: Study | None = None,
    n_jobs: int = 1,
    progress: bool = False,
    **assumptions: Any,
) -> pd.DataFrame:
    """Rejection rates at a two-sided 5% level: the size of each analysis, or its power when the odds ratio is not 1.

    Every replicate draws one of the permitted allocations, then binomial counts with the study's baseline risks and cell sizes, and noise
    by cluster and period on the logit scale. Each level of noise starts from the same seed.

    Parameters
    ----------
    reps : int
        Replicates for each level of noise.
    seed : int
        0 is a seed.
    noise : iterable of float
        Standard deviations of the cluster-by-period noise on the logit scale.
    odds_ratio : float
        Of treated against control.
    study : Study, optional
        `family_safeguarding` by default.
    n_jobs : int
        Processes; the digits do not depend on it.
    progress : bool
    **assumptions
        Further arguments of `Study.scenario`: ``autocorrelation=0.7``, ``cluster_trends=0.1``, ``noise_by_cluster=(4, 1, 1, 1, 1)``.

    Returns
    -------
    DataFrame
        One row an analysis and level: ``noise, estimator, test, rejection, mcse, n_failed``. A failed fit does not reject, and is counted.

    Examples
    --------
    >>> table = size_table(reps=100, seed=1, noise=[0.2])
    >>> table["estimator"].head(2).tolist()
    ['random-intercept GLMM', 'cluster fixed effects, model variance']
    """
    trial = family_safeguarding() if study is None else study
    parts = [_rows(trial, level, reps, seed, odds_ratio, n_jobs, progress, assumptions) for level in noise]
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _rows(
    study: Study, noise: float, reps: int, seed: int, odds_ratio: float, n_jobs: int, progress: bool, assumptions: dict[str, Any]
) -> pd.DataFrame:
    truth = study.scenario(odds_ratio, noise, **assumptions)
    methods = {name: estimator for (name, _), estimator in ANALYSES.items()}
    power = simulate_power(study.design, truth, methods, reps=reps, seed=seed, n_jobs=n_jobs, progress=progress).tidy()
    tests = np.array([test for _, test in ANALYSES])
    return power.rename(columns={"power": "rejection"}).assign(noise=noise, test=tests)
