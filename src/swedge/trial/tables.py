"""From cluster x period tables to cells, and the checks that every trial must pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from swedge.assumptions import family_named
from swedge.design import Allocation
from swedge.errors import DataError, counted, listing
from swedge.trial.cells import Cells
from swedge.trial.columns import cluster_names, label
from swedge.trial.trial import Trial, exposed

Array = NDArray[np.float64]


def read_cells(
    n: ArrayLike,
    mean: ArrayLike,
    allocation: Allocation,
    within: ArrayLike | None,
    family: str,
    covariates: Sequence[str],
    comparators: Sequence[str],
) -> Trial:
    """Check tables against the allocation; see `Trial.from_cells`."""
    family_named(family)
    names = cluster_names(allocation, comparators)
    counts, means = (_table(what, values, names, allocation.design.n_periods) for what, values in (("n", n), ("mean", mean)))
    means = means[..., None] if means.shape[-2:] == counts.shape[-2:] else means
    cells = Cells(counts, means, _scatter(within, means.shape[-1]))
    _check_stack(cells)
    if np.isnan(means).any():  # where n = 0: a nan there would spread through averages
        cells = replace(cells, mean=np.where(counts[..., None] > 0, means, 0.0))
    treatment, exposure = exposed(allocation, len(comparators))
    periods = tuple(range(1, counts.shape[-1] + 1))
    labels = _covariate_names(covariates, means.shape[-1] - 1, family)
    trial = Trial(
        cells, treatment, exposure, family, names, allocation, len(comparators), periods, covariates=labels, design=allocation.design
    )
    _check_left_out(trial)
    return check_cells(trial)


def _check_stack(cells: Cells) -> None:
    """A scatter with leading axes of its own would multiply the stack: R trials become R x R."""
    lead = np.broadcast_shapes(cells.n.shape[:-2], cells.mean.shape[:-3])
    if cells.within is not None and cells.lead != lead:
        clusters, variables = cells.n.shape[-2], cells.mean.shape[-1]
        raise DataError(
            f"within has shape {cells.within.shape}, which does not fit trials of shape {lead}; expected (..., C, {variables},"
            f" {variables}) with C 1 or {clusters} and, for a stack, the leading axes of n and mean before it."
        )


def _check_left_out(trial: Trial) -> None:
    """Refuse a scatter that may hold cells which the design leaves out: they are in its sum, and not among the cells analysed."""
    held = trial.cells.within is not None and bool(trial.cells.within.any())
    if held and bool((np.isnan(trial.treatment) & (trial.cells.n > 0)).any()):
        raise DataError(
            "The design leaves out cells that hold data here, and within= adds up the scatter of cells. Set n to 0 in those cells and leave"
            " their scatter out of within=, or build the trial from rows with Trial.from_frame."
        )


def _covariate_names(given: Sequence[str], count: int, family: str) -> tuple[str, ...]:
    """A name for each covariate mean that follows the outcome's."""
    if count and family != "gaussian":
        raise DataError(
            f"Means of covariates do not suffice for family={family!r}. Build the trial from rows: Trial.from_frame(covariates=...)."
        )
    if given and len(given) != count:
        raise DataError(
            f"covariates names {counted(len(given), 'covariate', 'covariates')}; mean holds {count} beside the outcome."
            " Name each, in their order."
        )
    return tuple(map(str, given)) or tuple(f"covariate {i + 1}" for i in range(count))


def _table(what: str, values: ArrayLike, names: tuple[str, ...], periods: int) -> Array:
    table = _aligned(what, values, names, periods) if isinstance(values, pd.DataFrame) else values
    return _floats(what, table, "Pass an array of clusters x periods.")


def _floats(what: str, values: object, advice: str) -> Array:
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array):
            raise TypeError
        return array.astype(float)
    except (TypeError, ValueError):
        raise DataError(f"{what} holds something else than numbers, or rows of unequal length. {advice}") from None


def _aligned(what: str, frame: pd.DataFrame, names: tuple[str, ...], periods: int) -> Array:
    """A frame put in order by its labels: taken by position, the rows of a pivot table would go to the wrong clusters."""
    rows, columns = [label(v) for v in frame.index], [label(v) for v in frame.columns]
    wanted = [str(t + 1) for t in range(periods)]
    if sorted(rows) != sorted(names) or sorted(columns) != sorted(wanted):
        raise DataError(
            f"{what} is a frame with {_labelled(rows, 'row', names)} a cluster and {_labelled(columns, 'column', wanted)} a period;"
            f" expected the clusters {listing(names)} and the periods 1 to {periods}, each once. Label them so, or pass the bare array"
            " (.to_numpy()) in that order."
        )
    return np.asarray(frame.iloc[[rows.index(name) for name in names], [columns.index(t) for t in wanted]])


def _labelled(labels: Sequence[str], one: str, known: Sequence[str]) -> str:
    """How many labels are right: what the others are may be people's."""
    return f"{counted(len(labels), one, one + 's')}, {len(set(labels) & set(known))} of them named as"


def _scatter(within: ArrayLike | None, variables: int) -> Array | None:
    if within is None:
        return None
    scatter = _floats("within", within, "Pass sums of squares and products.")
    if scatter.ndim == 0 and variables == 1:
        scatter = scatter.reshape(1, 1, 1)
    if scatter.shape[-2:] != (variables, variables):
        raise DataError(f"within has shape {scatter.shape}; expected (..., {variables}, {variables}) for the outcome and its covariates.")
    _check_definite(scatter)
    return scatter[None] if scatter.ndim == 2 else scatter


def _check_definite(scatter: Array) -> None:
    sizes = np.abs(np.diagonal(scatter, axis1=-2, axis2=-1)).max(-1)
    finite = np.isfinite(scatter).all()
    if not finite or not np.allclose(scatter, scatter.swapaxes(-1, -2)) or (np.linalg.eigvalsh(scatter)[..., 0] < -1e-9 * sizes).any():
        raise DataError(
            "within is no matrix of sums of squares and products: it must be finite, symmetric and positive semi-definite. Add up the"
            " products of deviations from cell means."
        )


def check_cells(trial: Trial, empty: str = "keep") -> Trial:
    """Refuse shapes that do not fit, risks outside [0, 1] and cells that the design observes but the data do not hold."""
    shape = trial.cells.n.shape[-2:]
    expected = (len(trial.clusters), trial.treatment.shape[-1])
    if shape != expected:
        raise DataError(f"Cells are {shape[0]} clusters x {shape[1]} periods; the allocation has {expected[0]} x {expected[1]}.")
    seen = trial.n > 0
    _check_means(trial, seen)
    _check_empty(trial, seen, empty)
    return trial


def _check_means(trial: Trial, seen: NDArray[np.bool_]) -> None:
    top = {"binomial": 1.0, "fractional": 1.0, "poisson": np.inf}.get(trial.family)
    if top is None:
        return
    wrong = seen & ((trial.outcome < 0) | (trial.outcome > top))
    if wrong.any():
        allowed = "outside [0, 1]" if top == 1 else "below 0"
        raise DataError(
            f"{counted(int(wrong.sum()), 'cell has', 'cells have')} a {trial.family} mean {allowed}. Give means (events / n), not counts."
        )


def _check_empty(trial: Trial, seen: NDArray[np.bool_], empty: str) -> None:
    lacking = ~np.isnan(trial.treatment) & ~seen
    if not seen.any((-2, -1)).all():
        raise DataError("No cell has any individuals." if seen.ndim == 2 else "A trial of the stack has no individuals in any cell.")
    if empty == "keep" or not lacking.any():
        return
    cells = [f"{trial.clusters[i]}, period {t + 1}" for i, t in np.argwhere(lacking)]
    whole = [t + 1 for t in range(seen.shape[1]) if lacking[:, t].any() and not seen[:, t].any()]
    periods = f" Nobody at all was observed in {'period' if len(whole) == 1 else 'periods'} {listing(whole)}." if whole else ""
    raise DataError(
        f"{counted(len(cells), 'cell that the design observes has', 'cells that the design observes have')} no rows:"
        f" {listing(cells)}.{periods} Check the dates and names; pass"
        f" empty='keep' if nobody was eligible there."
    )
