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

from swedge.design import Allocation, Design
from swedge.power.analytic import evaluate, in_order
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

    Returns
    -------
    DataFrame
        ``compared_with, variance, design_effect``: above 1, the design needs more individuals than the simpler trial for the same
        precision.

    Examples
    --------
    >>> import swedge as sw
    >>> table = sw.design_effect(sw.Design.parallel(20), size=30, correlation=sw.Exchangeable(0.05))
    >>> table["design_effect"].round(6).tolist()  # 1 + (30 - 1) 0.05, and itself
    [2.45, 1.0]
    """
    base = with_defaults(size, correlation, assumed)
    chosen = allocation or in_order(design)
    variance = float(evaluate(design, base, chosen.treatment, chosen.exposure).variance)
    n = np.where(np.isnan(chosen.treatment), 0.0, base.sizes(design)).sum(1)
    between, within = _one_period(design, base, chosen)
    others = {"individual randomisation": 4 * (between + within) / n.sum(), "parallel clusters": 4 / (1 / (between + within / n)).sum()}
    return pd.DataFrame([{"compared_with": name, "variance": other, "design_effect": variance / other} for name, other in others.items()])


def _one_period(design: Design, base: Assumed, allocation: Allocation) -> tuple[float, float]:
    """Variance of an individual's outcome between clusters and within them, in one period under control."""
    control = np.zeros_like(allocation.treatment)
    parts = base.correlation.parts(base.layout(design, control, base.cell_means(design, control)))
    sums = [sum(part.value * np.mean(getattr(part, name)[..., 0, 0]) for part in parts) for name in ("between", "individual")]
    return float(sums[0]), float(sums[1])
