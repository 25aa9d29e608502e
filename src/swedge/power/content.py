"""What each cell, period or sequence adds: variance ratios on leaving it out, optimal shares, and incomplete designs.

References
----------
Kasza J, Forbes AB (2019). Information content of cluster-period cells in stepped wedge trials. Biometrics 75, 144-152.
Lawrie J, Carlin JB, Forbes AB (2015). Optimal stepped wedge designs. Statistics and Probability Letters 99, 210-214.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.assumptions import Constant
from swedge.design import Allocation, Design
from swedge.errors import DesignError
from swedge.power.analytic import evaluate, in_order, model_of, placed
from swedge.power.assumed import Assumed
from swedge.power.search import gather

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InformationContent:
    """Variance without a cell, a period or a sequence over the variance with it; ``numpy.asarray`` of it is `cells`.

    Attributes
    ----------
    cells : ndarray (I, T)
        1 for a cell that adds nothing, infinity for one without which the effect is not identified, nan for one not observed.
    periods : ndarray (T,)
    sequences : ndarray (S,)
        Without all clusters of the sequence.
    """

    cells: Array
    periods: Array
    sequences: Array
    clusters: tuple[str, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The cells."""
        return np.array(self.cells, dtype=dtype)

    def tidy(self) -> pd.DataFrame:
        """One row a cell: cluster, period, variance_ratio."""
        grid = pd.MultiIndex.from_product([self.clusters, range(1, self.cells.shape[1] + 1)], names=["cluster", "period"])
        return grid.to_frame(index=False).assign(variance_ratio=self.cells.ravel())

    def plot(self, ax: Axes | None = None) -> Axes:
        """Variance ratio minus 1 of every cell, as a heat map."""
        from swedge._present.heatmap import draw_weights

        shown = np.where(np.isfinite(self.cells), self.cells - 1, np.nan)
        label = "Variance ratio without the cell, minus 1"
        return draw_weights(shown, np.zeros_like(shown), self.clusters, tuple(range(1, shown.shape[1] + 1)), ax=ax, label=label)


def information_content(
    design: Design, *, size: Any, correlation: Any, allocation: Allocation | None = None, **assumed: Any
) -> InformationContent:
    """Variance ratio on leaving out each cell, each period and each sequence.

    Parameters
    ----------
    size, correlation
        As for `analytic_power`, as are further keyword arguments; a Gaussian outcome with ``sd=1`` is assumed when none is named.

    References
    ----------
    Kasza J, Forbes AB (2019). Information content of cluster-period cells in stepped wedge trials. Biometrics 75, 144-152.

    Examples
    --------
    >>> import swedge as sw
    >>> content = sw.information_content(sw.Design.stepped_wedge(5, 6), size=50, correlation=sw.Exchangeable(0.05))
    >>> content.cells.shape
    (5, 6)
    """
    base = with_defaults(size, correlation, assumed)
    chosen = placed(design, allocation)
    sizes = np.where(np.isnan(chosen.treatment), 0.0, base.sizes(design))
    clusters, periods = sizes.shape
    keep_cells = 1 - np.eye(clusters * periods).reshape((-1, clusters, periods))
    keep_periods = np.broadcast_to(1 - np.eye(periods)[:, None, :], (periods, clusters, periods))
    member = np.asarray(chosen.sequence)[None, :] != np.arange(design.n_sequences)[:, None]
    keep_sequences = np.broadcast_to(member[:, :, None], (design.n_sequences, clusters, periods))
    whole = _variance(design, base, chosen, sizes[None])[0]
    ratios = [_variance(design, base, chosen, sizes * keep) / whole for keep in (keep_cells, keep_periods, keep_sequences)]
    cells = np.where(sizes > 0, ratios[0].reshape(sizes.shape), np.nan)
    return InformationContent(cells, ratios[1], ratios[2], design.clusters)


def with_defaults(size: Any, correlation: Any, assumed: dict[str, Any]) -> Assumed:
    """Assumptions for comparisons of variances, in which effect, scale and df play no part unless named."""
    named = {"sd": 1.0, "effect": 0.0, "df": "normal", **assumed}
    return gather({**named, "size": size, "correlation": correlation})


def _variance(design: Design, base: Assumed, allocation: Allocation, sizes: Array) -> Array:
    """Variance under stacked sizes ``(R, I, T)``; infinite where the effect is not identified."""
    treatment = np.broadcast_to(allocation.treatment, sizes.shape)
    exposure = np.broadcast_to(allocation.exposure, sizes.shape)
    pieces = [_one(design, base, treatment[i], exposure[i], sizes[i]) for i in range(len(sizes))]
    return np.array(pieces)


def _one(design: Design, base: Assumed, treatment: Array, exposure: NDArray[np.int64], n: Array) -> float:
    if not (n > 0).any():
        return np.inf
    variance = float(evaluate(design, base, treatment, exposure, n).variance)
    return variance if np.isfinite(variance) else np.inf


def optimal_shares(design: Design, *, size: float, correlation: Any, **assumed: Any) -> pd.DataFrame:
    """Shares of clusters by sequence that minimise the variance, the number of clusters being held.

    Parameters
    ----------
    design : Design
    size, correlation
        As in `information_content`, as are further keyword arguments.

    Returns
    -------
    DataFrame
        ``sequence, share, equal_share``, with the variance of optimal over that of equal shares in ``attrs["efficiency"]``.

    References
    ----------
    Lawrie J, Carlin JB, Forbes AB (2015). Optimal stepped wedge designs. Statistics and Probability Letters 99, 210-214.

    Examples
    --------
    >>> import swedge as sw
    >>> table = sw.optimal_shares(sw.Design.stepped_wedge(4, 5), size=50, correlation=sw.Exchangeable(0.05))
    >>> bool(table["share"].iloc[0] > table["share"].iloc[1])
    True
    """
    base = with_defaults(size, correlation, assumed)
    single = Design.from_matrix(
        [list(row) for row in design.rows],
        clusters_per_sequence=[1] * design.n_sequences,
        transition=design.transition,
        boundaries=design.boundaries,
    )
    blocks, contrast = _information_blocks(single, base)

    def variance(logits: Array) -> float:
        share = np.exp(logits - logits.max())
        total = np.tensordot(share / share.sum(), blocks, axes=1)
        return float(contrast @ np.linalg.pinv(total, hermitian=True) @ contrast)

    start = np.zeros(design.n_sequences)
    from scipy import optimize  # imported where used: it would slow down `import swedge`

    found = optimize.minimize(variance, start, method="BFGS", options={"gtol": 1e-10})
    share = np.exp(found.x - found.x.max())
    frame = pd.DataFrame(
        {"sequence": np.arange(1, design.n_sequences + 1), "share": share / share.sum(), "equal_share": 1 / design.n_sequences}
    )
    frame.attrs["efficiency"] = float(found.fun / variance(start))
    return frame


def _information_blocks(design: Design, base: Assumed) -> tuple[Array, Array]:
    """Information from one cluster of each sequence, ``(S, p, p)``, and the contrast that is asked, ``(p,)``."""
    allocation = in_order(design)
    model = model_of(design, base, allocation.treatment, allocation.exposure)
    covariance = np.broadcast_to(model.covariance, (design.n_clusters, *model.covariance.shape[-2:]))
    blocks = []
    for i, held in enumerate(model.seen):
        x = model.columns[:, i, held].T
        blocks.append(x.T @ np.linalg.solve(covariance[i][np.ix_(held, held)], x))
    return np.stack(blocks), model.contrast


def best_incomplete(design: Design, *, cells: int, size: float, correlation: Any, **assumed: Any) -> Design:
    """Thin a design to `cells` cluster-period cells, leaving out the least informative cell of a sequence in turn.

    Cells are left out for all clusters of a sequence together. The search is greedy: it never puts a cell back. Under a curve of the effect
    over exposure no first treated cell goes, because exposure is counted from it.

    Parameters
    ----------
    design : Design
    cells : int
        Cluster-periods to keep.
    size, correlation
        As in `information_content`, which says which cell tells least; as are further keyword arguments.

    Raises
    ------
    DesignError
        If so few cells cannot identify the effect, or cannot be reached in whole sequences.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> thin = sw.best_incomplete(sw.Design.stepped_wedge(5, 6), cells=24, size=50, correlation=sw.Exchangeable(0.05))
    >>> int((~np.isnan(thin.matrix)).sum())
    24
    """
    base = with_defaults(size, correlation, assumed)
    table, counts = design.matrix.copy(), np.array(design.clusters_per_sequence)
    while (now := int((counts @ ~np.isnan(table)).sum())) > cells:
        options = _removals(design, base, table, now - cells)
        if not options:
            raise DesignError(
                f"{cells} cells cannot be reached: with {now} left, every further cell is needed to identify the effect or to tell"
                f" sequences apart, or belongs to a sequence of more than {now - cells} clusters, which lose it together."
            )
        _, s, t = min(options)
        table[s, t] = np.nan
    gone = np.isnan(table) & ~np.isnan(design.matrix)
    rows = tuple(tuple(None if gone[s, t] else value for t, value in enumerate(row)) for s, row in enumerate(design.rows))
    return replace(design, rows=rows)


def _removals(design: Design, base: Assumed, table: Array, most: int) -> list[tuple[float, int, int]]:
    """Variance after each permissible removal, with its sequence and period."""
    chosen = in_order(design)
    sequence = np.asarray(chosen.sequence)
    options = []
    for s, t in np.argwhere(~np.isnan(table)).tolist():
        if design.clusters_per_sequence[s] > most or _is_crossover(base, chosen.exposure[sequence == s][0], t):
            continue
        trial = table.copy()
        trial[s, t] = np.nan
        if np.isnan(trial[s]).all() or len(np.unique(np.nan_to_num(trial, nan=-1.0), axis=0)) < len(trial):
            continue
        variance = _one(design, base, trial[sequence], chosen.exposure, base.sizes(design))
        if np.isfinite(variance):
            options.append((variance, s, t))
    return options


def _is_crossover(base: Assumed, exposure: NDArray[np.int64], period: int) -> bool:
    return not isinstance(base.curve, Constant) and bool(exposure[period] == 1)
