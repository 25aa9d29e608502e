"""The generalised linear mixed model on cells, covariate patterns or rows."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._kernels.families import FamilyMaths
from swedge._kernels.glm import fit_slots, linear, slot_model
from swedge._kernels.laplace import LatentModel
from swedge._kernels.latent import LatentFit, fit_latent
from swedge._kernels.linalg import stacked
from swedge._kernels.loadings import Loadings
from swedge.assumptions import Correlation, Structure, family_named, lags
from swedge.errors import FitError, Status
from swedge.estimators.columns import Effects, padded, period_columns, slots, stack_columns
from swedge.estimators.found import Found
from swedge.estimators.identified import check_periods_and_arms, check_told_apart
from swedge.estimators.layout import grid_of, midpoints
from swedge.estimators.pieces import no_variation
from swedge.trial import Trial

Array = NDArray[np.float64]

ENOUGH_CLUSTERS = 40
# Tables of the size of the columns that a fit holds at a time, for every node.
COPIES = 8
# Structures whose tests were simulated with few clusters: tests/inference/test_calibration_likelihood.py.
SIMULATED = (Structure(("cluster",)), Structure(("cluster", "cluster_period")))
# No cell starts with a higher fitted risk when the link is a logarithm.
HIGHEST_RISK = 0.95
LINKS = {"binomial": ("logit", "probit", "cloglog", "log"), "poisson": ("log",)}


class Generalised(NamedTuple):
    """A stack of trials as a latent model, its fit, and how many coefficients are periods'."""

    model: LatentModel
    fit: LatentFit
    periods: int

    @property
    def variances(self) -> dict[str, Array]:
        """Variances ``(R,)`` by name."""
        return self.model.loadings.variances(self.fit.theta)


def fit_glmm(trial: Trial, parts: Effects, correlation: Correlation, maths: FamilyMaths, quadrature: int) -> Found:
    """Maximise the approximate likelihood of each replicate."""
    found = fit_generalised(trial, parts, correlation, maths, quadrature)
    contrasts = padded(parts.contrasts, found.periods, len(trial.covariates))
    fit = found.fit
    df = np.full((len(fit.beta), len(contrasts)), np.inf)
    return Found(fit.beta @ contrasts.T, contrasts @ fit.covariance @ contrasts.T, df, fit.status, fit.criterion, found.variances)


def fit_generalised(trial: Trial, parts: Effects, correlation: Correlation, maths: FamilyMaths, quadrature: int) -> Generalised:
    """The fit itself, all coefficients of it."""
    periods = period_columns(trial)
    table = slots(trial, stack_columns(periods, parts.columns))
    model = slot_model(table.y, table.x, table.n, table.offset, maths, trial.shape)
    period = None if trial.patterns is None else trial.patterns.period
    latent = LatentModel(model, loadings_of(trial, correlation), period, quadrature)
    fits = [_fit(latent.take(part), len(periods)) for part in model.parts(COPIES * quadrature)]
    whole = LatentFit(*(np.concatenate(rows) for rows in zip(*fits, strict=True)))
    status = np.where(no_variation(model), Status.NO_VARIATION, whole.status).astype(np.int8)
    return Generalised(latent, whole._replace(status=status), len(periods))


def _fit(model: LatentModel, periods: int) -> LatentFit:
    """From a fit that ignores the clusters; risks on a log scale start from rates, all of them moved below 1."""
    slots = model.slots
    if (slots.family.name, slots.family.link) != ("binomial", "log"):
        start = fit_slots(slots)
        return fit_latent(model, start.beta, start.status)
    start = fit_slots(replace(slots, family=family_named("poisson")))
    highest = np.where(slots.n > 0, linear(slots, start.beta), -np.inf).max((-2, -1))
    beta = start.beta.copy()
    beta[:, :periods] -= np.maximum(highest - np.log(HIGHEST_RISK), 0.0)[:, None]
    return fit_latent(model, beta, start.status)


def loadings_of(trial: Trial, correlation: Correlation) -> Loadings:
    """The structure's random effects on the trial's cells.

    Raises
    ------
    FitError
        For effects that clusters share, or that individuals have.
    """
    structure = correlation.structure()
    unknown = [name for name in structure.effects if name not in ("cluster", "treatment", "cluster_period")]
    if unknown or structure.decay == "all":
        raise FitError(
            f"A binary or count outcome has no mixed model with {correlation!r}: random effects of clusters, their treatment effects and"
            " cluster-periods can be estimated. Leave out individual= (iac=) and exposure=, or use GEE()."
        )
    check_periods_and_arms(trial, structure)
    _check_cells(trial, structure)
    check_told_apart(grid_of(trial), structure, alone=False)
    cluster, treatment, cells = (name in structure.effects for name in ("cluster", "treatment", "cluster_period"))
    gaps = None if structure.decay == "none" else np.diag(lags(midpoints(trial)), 1)
    return Loadings(cluster, treatment, structure.correlated, cells, stacked(trial.arm, trial.shape, 2), gaps)


def _check_cells(trial: Trial, structure: Structure) -> None:
    if "cluster_period" in structure.effects and (trial.n <= 1).all():
        raise FitError(
            "Each cell holds one individual at most, so cluster-by-period effects cannot be told from chance. Use"
            " MixedModel(Exchangeable())."
        )


def check_generalised(trial: Trial, correlation: Correlation, df: str, maths: FamilyMaths, quadrature: int) -> None:
    """Refuse what no generalised linear mixed model has.

    Raises
    ------
    FitError
        For a df method, a link or a quadrature that does not go with the outcome or the random effects.
    """
    if trial.family == "fractional":
        raise FitError(
            "A fractional outcome has a mean and no likelihood, so it has no mixed model. Use FixedEffects() or GEE(), or read the shares"
            " as family='gaussian'."
        )
    if df in ("kenward-roger", "satterthwaite"):
        raise FitError(
            f"df={df!r} is for Gaussian outcomes. FixedEffects() leads with few clusters; to run the generalised linear mixed model all the"
            " same, write df='between-within', 'clusters' or 'normal', and read its note; LikelihoodRatioTest and ParametricBootstrapTest"
            " test its effect."
        )
    links = LINKS.get(trial.family, ())
    if maths.link not in links:
        raise FitError(
            f"A {trial.family} outcome has no mixed model with {maths.link} link here; expected one of {', '.join(links) or 'none'}. Use"
            " FixedEffects(), or GEE()."
        )
    if quadrature > 1 and correlation.structure().effects != ("cluster",):
        raise FitError(
            f"quadrature={quadrature} integrates over one random effect a cluster, and {correlation!r} has more. Use quadrature=1"
            " (Laplace), or Exchangeable()."
        )
    if quadrature > 1 and (trial.family, maths.link) == ("binomial", "log"):
        raise FitError(
            f"quadrature={quadrature} would reach random effects under which risks exceed 1 on a log link. Use quadrature=1 (Laplace),"
            " which stays at the mode, or link='logit'."
        )


def approximation(quadrature: int) -> str:
    """How the likelihood was integrated, for a sentence."""
    return "Laplace" if quadrature == 1 else f"adaptive Gauss-Hermite quadrature with {quadrature} nodes"


def few_clusters(trial: Trial, correlation: Correlation) -> list[str]:
    """What has to be known of a test with fewer than 40 clusters; figures only where that model was simulated."""
    count, structure = len(trial.clusters), correlation.structure()
    if count >= ENOUGH_CLUSTERS:
        return []
    if structure not in SIMULATED:
        return [
            f"With {count} clusters the variances of random effects come out too small, and this model's size has not been simulated: its"
            " z test may reject a true null far too often. Check it with ParametricBootstrapTest, or by simulate_power under the null."
        ]
    if "cluster_period" not in structure.effects:
        return [
            f"With {count} clusters this test holds its size only if all clusters share one secular trend exactly: see"
            " swedge.studies.size_table, where it rejects a true null in 9 to 27% of simulated trials like Family Safeguarding"
            " (5 clusters) with cluster-by-period noise."
        ]
    return [
        f"With {count} clusters the variances of random effects come out too small: in simulated trials like Family Safeguarding (5"
        " clusters, noise of 0, .1 and .2 between cluster-periods) this model's z test rejects a true null in 6, 9 and 11%, with"
        " between-within df in 4, 7 and 9% (its likelihood ratio in 4, 6 and 8%), with clusters minus 2 df in 0, 1 and 1%."
        " ParametricBootstrapTest holds 5%."
    ]
