"""Between-within degrees of freedom at the level of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge.estimators.columns import Effects, informed, period_columns
from swedge.trial import Trial

Array = NDArray[np.float64]


def between_within(trial: Trial, parts: Effects) -> Array:
    """Between-within degrees of freedom of each term, ``(R, K)``.

    An effect whose treatment changes within some cluster has the cells' df within clusters: cells with data, minus clusters, minus period
    contrasts, minus the effects that change within clusters. One that never does has clusters minus 1 minus the number of such effects. A
    term that mixes both has the smaller. Counting cells, not individuals, keeps rows and cells of one trial on the same df: period and
    treatment are properties of cells.

    References
    ----------
    Schluchter MD, Elashoff JT (1990). Small-sample adjustments to tests with unbalanced repeated measures assuming several covariance
    structures. Journal of Statistical Computation and Simulation 37, 69-87. Li P, Redden DT (2015). Comparing denominator degrees of
    freedom approximations for the generalized linear mixed model in analyzing binary outcome in small sample cluster-randomized trials. BMC
    Medical Research Methodology 15, 38.
    """
    changes = _changes(trial, parts.columns)
    cells = np.broadcast_to((trial.n > 0).sum((-2, -1)), trial.shape).ravel().astype(float)
    clusters, inner = informed(trial), changes.sum(-1)
    within = cells - clusters - (len(period_columns(trial)) - 1) - inner
    between = clusters - 1 - (changes.shape[-1] - inner)
    own = np.where(changes, within[:, None], between[:, None])
    involved = parts.contrasts != 0
    return np.asarray(np.where(involved, own[:, None, :], np.inf).min(-1))


def _changes(trial: Trial, columns: Array) -> NDArray[np.bool_]:
    """Whether each column takes two values in some cluster's cells with data, ``(R, k)``."""
    seen = trial.n[..., None, :, :] > 0
    high, low = np.where(seen, columns, -np.inf).max(-1), np.where(seen, columns, np.inf).min(-1)
    table = (high > low).any(-1)
    return np.broadcast_to(table, (*trial.shape, table.shape[-1])).reshape(-1, table.shape[-1])
