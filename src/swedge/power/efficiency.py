"""Design effects: the variance of a design over that of simpler trials with as many individuals.

References
----------
Woertman W, de Hoop E, Moerbeek M, Zuidema SU, Gerritsen DL, Teerenstra S (2013). Stepped wedge designs could reduce the required sample
size in cluster randomized trials. Journal of Clinical Epidemiology 66, 752-758.
Hooper R, Bourke L (2015). Cluster randomised trials with repeated cross sections: alternatives to parallel group designs. BMJ 350, h2925.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.assumptions import ProportionalDecay
from swedge.design import Allocation, Design
from swedge.errors import DesignError
from swedge.power.analytic import evaluate, placed
from swedge.power.assumed import Assumed
from swedge.power.content import with_defaults

Array = NDArray[np.float64]


def design_effect(design: Design, *, size: Any, correlation: Any, allocation: Allocation | None = None, **assumed: Any) -> pd.DataFrame:
    """Variance of the effect over that of an individually randomised and of a parallel cluster trial with the same individuals.

    The parallel trial observes every cluster in one period, with all the individuals that the design observes in it; both comparisons have
    arms of equal precision.

    Parameters
    ----------
    size, correlation
        As for `analytic_power`, as are further keyword arguments; a Gaussian outcome with ``sd=1`` is assumed when none is named.

    Raises
    ------
    DesignError
        For a closed cohort, a link other than the identity, or a random treatment effect.

    Returns
    -------
    DataFrame
        ``compared_with, variance, design_effect``: above 1, the design needs more individuals than the simpler trial for the same
        precision.

    References
    ----------
    Woertman W, de Hoop E, Moerbeek M, Zuidema SU, Gerritsen DL, Teerenstra S (2013). Stepped wedge designs could reduce the required
    sample size in cluster randomized trials. Journal of Clinical Epidemiology 66, 752-758.
    Hooper R, Bourke L (2015). Cluster randomised trials with repeated cross sections: alternatives to parallel group designs. BMJ 350,
    h2925.

    Examples
    --------
    >>> import swedge as sw
    >>> table = sw.design_effect(sw.Design.parallel(20), size=30, correlation=sw.Exchangeable(0.05))
    >>> table["design_effect"].round(6).tolist()  # 1 + (30 - 1) 0.05, and itself
    [2.45, 1.0]
    """
    base = with_defaults(size, correlation, assumed)
    _check(base)
    chosen = placed(design, allocation)
    variance = float(evaluate(design, base, chosen.treatment, chosen.exposure).variance)
    n = np.where(np.isnan(chosen.treatment), 0.0, base.sizes(design)).sum(1)
    between, within = _one_period(design, base, chosen)
    alone = 4 / (n / (between + within)).sum()
    parallel = 4 / (1 / (between + within / n)).sum()
    others = {"individual randomisation": alone, "parallel clusters": parallel}
    return pd.DataFrame([{"compared_with": name, "variance": other, "design_effect": variance / other} for name, other in others.items()])


def _check(base: Assumed) -> None:
    """Refuse what the simpler trials have no counterpart of."""
    cohort = (
        getattr(base.correlation, "iac", 0.0)
        or getattr(base.correlation, "individual", 0.0)
        or isinstance(base.correlation, ProportionalDecay)
    )
    if base.link != "identity" or cohort or getattr(base.correlation, "treatment", 0.0):
        raise DesignError(
            "A design effect is for cross-sections on the identity link without a random treatment effect: elsewhere measurements are not"
            " individuals, or variances are on another scale. Compare analytic_power of the two designs instead."
        )


def _one_period(design: Design, base: Assumed, allocation: Allocation) -> tuple[Array, Array]:
    """Variance of an individual's outcome between clusters and within them, in the first period under control, ``(I,)``."""
    control = np.zeros_like(allocation.treatment)
    parts = base.correlation.parts(base.layout(design, control, base.cell_means(design, control)))
    shape = (design.n_clusters,)
    between = np.sum([np.broadcast_to(part.value * part.between[..., 0, 0], shape) for part in parts], axis=0)
    within = np.sum([np.broadcast_to(part.value * part.individual[..., 0, 0], shape) for part in parts], axis=0)
    return between, within
