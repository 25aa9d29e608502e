"""Power of the exact test of a linear estimator, and its variance, under a truth that it does not assume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.permutation import exceedances
from swedge.assumptions import covariance_of
from swedge.design import Allocation, Design
from swedge.errors import DesignError
from swedge.estimate import LinearEstimator
from swedge.power.analytic import placed
from swedge.power.search import gather
from swedge.trial import Cells, Trial

Array = NDArray[np.float64]

BLOCK = 20_000
ENUMERATE = 20_000


@dataclass(frozen=True, eq=False)
class ExactPower:
    """Power of a randomisation test with its Monte Carlo error.

    Attributes
    ----------
    power, mcse : float
    min_p : float
        Smallest p that the design allows: above alpha the power is 0 whatever the effect.
    count, draws : int
        Permitted allocations, and simulated trials.
    """

    power: float
    mcse: float
    min_p: float
    count: int
    draws: int
    alpha: float
    effect: float

    def tidy(self) -> pd.DataFrame:
        """One row."""
        return pd.DataFrame([self.__dict__])

    def summary(self) -> str:
        """The power in words."""
        chance = f"power {self.power:.3f} (MCSE {self.mcse:.3f}, {self.draws:,} trials)"
        text = f"Exact test over {self.count:,} allocations: {chance} for an effect of {self.effect:g} at {self.alpha:g}."
        return text if self.min_p <= self.alpha else f"{text} Its smallest p is {self.min_p:.3f}, so it can never reject at {self.alpha:g}."


def exact_power(design: Design, estimator: LinearEstimator, *, draws: int = 100_000, seed: int = 0, **assumed: Any) -> ExactPower:
    """Power of the exact test of a linear estimator on normal cell means.

    The statistics under all allocations are one matrix product ``W y`` of cell weights and cell means, so each simulated trial costs a row.

    Parameters
    ----------
    estimator : LinearEstimator
    draws : int
        Simulated trials, each under an allocation drawn from the design.
    **assumed
        As for `analytic_power`: the truth, with the identity link.

    Raises
    ------
    DesignError
        If the design permits more allocations than can be enumerated, if allocations leave out different cells (a staircase, a transition
        period), or if the link is not the identity.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=5, periods=6)
    >>> result = sw.exact_power(design, sw.WithinPeriod(), effect=0.5, size=50, sd=1.0, correlation=sw.Exchangeable(0.05), draws=2_000)
    >>> result.count
    120
    """
    base = gather(assumed)
    known: object = estimator
    if base.link != "identity" or not isinstance(known, LinearEstimator) or not known.fixed_weights:
        raise DesignError("exact_power needs a linear estimator and the identity link. For others, simulate_power with RandomisationTest.")
    if design.count() > ENUMERATE:
        raise DesignError(
            f"{design.count():,} allocations are too many to enumerate. Use simulate_power with RandomisationTest(draws=...)."
        )
    if draws < 1:
        raise DesignError(f"draws={draws}; expected at least one simulated trial.")
    sequences = design.allocations()
    treatment, exposure = design.treatment_of(sequences), design.exposure_of(sequences)
    _check_shared(np.isnan(treatment))
    shell = _shell(design, base.sizes(design), treatment, exposure)
    weights = estimator.weights(shell).reshape((len(sequences), -1))
    means = base.cell_means(design, base.effect * _shape(base, treatment, exposure))
    roots = np.asarray(np.linalg.cholesky(_covariances(design, base, treatment, exposure, means)), dtype=np.float64)
    rejected = _rejections(weights, means, roots, draws, np.random.default_rng(seed), base.alpha)
    power = rejected / draws
    return ExactPower(power, float(np.sqrt(power * (1 - power) / draws)), design.min_p(), len(sequences), draws, base.alpha, base.effect)


def _check_shared(left_out: NDArray[np.bool_]) -> None:
    """Every allocation must leave out the same cells."""
    if (left_out != left_out[:1]).any():
        raise DesignError(
            "Which cells this design leaves out depends on the allocation, so a trial lacks outcomes that other allocations would need and"
            " its randomisation test is not exact. Use analytic_power, or simulate_power with the analysis that will be run."
        )


def _rejections(weights: Array, means: Array, roots: Array, draws: int, rng: np.random.Generator, alpha: float) -> int:
    """How many of `draws` trials reject, in blocks."""
    total = 0
    step = max(1, min(BLOCK, 40_000_000 // len(weights)))
    for start in range(0, draws, step):
        count = min(step, draws - start)
        which = rng.integers(len(weights), size=count)
        noise = rng.standard_normal((count, *means.shape[-2:], 1))
        y = means[which] + (roots[which if len(roots) > 1 else np.zeros(count, dtype=int)] @ noise)[..., 0]
        reference = weights @ y.reshape((count, -1)).T
        p = exceedances(reference, reference[which, np.arange(count)]) / len(weights)
        total += int((p <= alpha + 1e-12).sum())
    return total


def variance_under(estimator: LinearEstimator, design: Design, *, allocation: Allocation | None = None, **assumed: Any) -> float:
    """Variance of a linear estimator under a truth that it need not assume: ``sum_i w_i' V_i w_i``.

    Parameters
    ----------
    estimator : LinearEstimator
        With weights ``w_i`` ``(T,)`` on the cell means of cluster i.
    design : Design
    allocation : Allocation, optional
    **assumed
        As for `analytic_power`: the truth, which gives the covariances ``V_i`` ``(T, T)``.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=5, periods=6)
    >>> truth = dict(effect=0.0, size=50, sd=1.0)
    >>> naive = sw.variance_under(sw.TwoWayFixedEffects(), design, correlation=sw.Exchangeable(0.05), **truth)
    >>> noisy = sw.variance_under(sw.TwoWayFixedEffects(), design, correlation=sw.NestedExchangeable(0.05, 0.8), **truth)
    >>> noisy > naive
    True
    """
    base = gather(assumed)
    known: object = estimator
    if not isinstance(known, LinearEstimator) or not known.fixed_weights:
        raise DesignError(f"variance_under needs a linear estimator, whose weights are known beforehand; {estimator!r} is none.")
    chosen = placed(design, allocation)
    treatment, exposure = chosen.treatment[None], chosen.exposure[None]
    means = base.cell_means(design, base.effect * _shape(base, treatment, exposure))
    shell = _shell(design, base.sizes(design), treatment, exposure)
    return float(estimator.variance(shell, _covariances(design, base, treatment, exposure, means))[0])


def _shell(design: Design, sizes: Array, treatment: Array, exposure: NDArray[np.int64]) -> Trial:
    """A trial with sizes and exposures and no outcomes, which is all that weights need."""
    cells = Cells(sizes, np.zeros((*sizes.shape, 1)))
    return Trial(cells, treatment, exposure, "gaussian", design.clusters, design=design, periods=tuple(range(1, design.n_periods + 1)))


def _shape(base: Any, treatment: Array, exposure: NDArray[np.int64]) -> Array:
    names, columns = base.curve.columns(treatment, exposure)
    return np.asarray(np.nan_to_num(treatment) if len(names) > 1 else columns[..., 0, :, :])


def _covariances(design: Design, base: Any, treatment: Array, exposure: NDArray[np.int64], means: Array) -> Array:
    """Covariance of cell means under each allocation, ``(A or 1, I, T, T)``."""
    parts = base.correlation.parts(base.layout(design, treatment, means))
    sizes = base.sizes(design)
    covariance = covariance_of(parts, np.where(sizes > 0, sizes, 1.0))
    shape = (design.n_clusters, design.n_periods, design.n_periods)
    full = np.broadcast_to(covariance, (*covariance.shape[:-3], *shape)) if covariance.ndim >= 3 else np.broadcast_to(covariance, shape)
    return np.asarray(full.reshape((-1, *shape)))
