"""Rubin's rules for scalar estimates from several imputed data sets.

References
----------
Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
Barnard J, Rubin DB (1999). Small-sample degrees of freedom with multiple imputation. Biometrika 86, 948-955.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Share of the variance between sets that rounding alone leaves when all sets give the same estimate.
ROUNDING = 1e-20


class Pooled(NamedTuple):
    """Arrays of one shape ``(...)``; `increase` is the relative increase in variance, `fmi` the fraction of missing information."""

    estimate: Array
    variance: Array
    df: Array
    within: Array
    between: Array
    increase: Array
    fmi: Array


def pool_sets(estimates: Array, variances: Array, complete_df: Array) -> Pooled:
    """Pool estimates and variances ``(M, ...)`` of M sets, given the degrees of freedom ``(...)`` that complete data would leave.

    Where the sets do not differ at all nothing was imputed, and the complete-data degrees of freedom stand as they are.
    """
    sets = len(estimates)
    within, between = variances.mean(0), estimates.var(0, ddof=1)
    added = (1 + 1 / sets) * between
    share = added / (within + added)
    unaltered = share <= ROUNDING
    share = np.where(unaltered, 0.0, share)
    with np.errstate(divide="ignore"):
        from_sets = (sets - 1) / share**2
    from_data = complete_df * (1 - 2 / (complete_df + 3)) * (1 - share)
    df = np.where(unaltered, complete_df, 1 / (1 / from_sets + 1 / from_data))
    increase = added / within
    fmi = np.where(unaltered, 0.0, (increase + 2 / (from_sets + 3)) / (increase + 1))
    return Pooled(*map(np.asarray, (estimates.mean(0), within + added, df, within, between, increase, fmi)))
