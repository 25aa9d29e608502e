"""Outcome windows that cross go-live: how much of a control child's follow-up is already under treatment.

A child referred before go-live is a control by intention to treat, but a window of months runs on into the treated time. With referrals
uniform over a period the share is an average of ``max(0, r + W - g) / W`` over referral days `r` (taken at noon), for go-live `g` and
window `W`.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from swedge.design import Allocation, Design
from swedge.errors import DesignError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# The length of the outcome window that opens on each of some ordinal days.
Window = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class ExposureOverlap:
    """Share of control follow-up that is under treatment, by cluster and pooled.

    Attributes
    ----------
    clusters : tuple of str
    share : ndarray (I,)
        Mean share of the window that is treated, over controls; nan for a cluster without control time.
    unexposed : ndarray (I,)
        Share of controls whose window ends before go-live.
    controls : ndarray (I,)
        Controls, by the sizes given.
    """

    clusters: tuple[str, ...]
    share: Array
    unexposed: Array
    controls: Array

    @property
    def pooled(self) -> float:
        """The share over all controls."""
        return float(np.nansum(self.share * self.controls) / self.controls.sum())

    @property
    def never_exposed(self) -> float:
        """The share of all controls who are never exposed within the window."""
        return float(np.nansum(self.unexposed * self.controls) / self.controls.sum())

    def tidy(self) -> pd.DataFrame:
        """One row a cluster, and one for all."""
        names = [*self.clusters, "all"]
        shares = [*self.share, self.pooled]
        return pd.DataFrame(
            {
                "cluster": names,
                "controls": [*self.controls, self.controls.sum()],
                "treated_share": shares,
                "never_exposed": [*self.unexposed, self.never_exposed],
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Treated share of control follow-up by cluster."""
        from swedge._present.forest import draw_forest

        table = self.tidy()
        shares = table["treated_share"].to_numpy()
        return draw_forest(
            list(table["cluster"]), shares, np.stack([shares, shares], -1), "share of control follow-up under treatment", ax=ax
        )


def exposure_overlap(
    allocation: Allocation, *, size: ArrayLike, months: int | None = None, days: float | None = None, hazard: ArrayLike | None = None
) -> ExposureOverlap:
    """How far the outcome window of controls reaches into treated time.

    Parameters
    ----------
    allocation : Allocation
        Of a dated design.
    size : array_like (I,) or (I, T)
        Children by cluster (split over periods by days) or by cell; only their proportions matter.
    months : int, optional
    days : float, optional
        Length of the window; give one. Months are counted by the calendar from each day of entry.
    hazard : array_like (k,), optional
        Relative hazard over k equal parts of the window; left out, uniform.

    Examples
    --------
    >>> import swedge as sw
    >>> study = sw.studies.family_safeguarding()
    >>> round(sw.exposure_overlap(study.allocation, size=study.sizes, months=18).pooled, 3)
    0.522
    """
    design = allocation.design
    edges = _edges(design)
    window = _window(months, days)
    sizes = _by_cell(np.asarray(size, dtype=float), edges, design)
    _check_kept(allocation.treatment)
    share, unexposed = _cells(allocation.exposure, edges, window, _cumulative(hazard))
    control = np.where(allocation.treatment == 0, sizes, 0.0)
    count = control.sum(1)
    with np.errstate(invalid="ignore"):
        means = [np.asarray((table * control).sum(1) / count) for table in (share, unexposed)]
    return ExposureOverlap(design.clusters, means[0], means[1], count)


def treated_share(design: Design, treatment: Array, exposure: NDArray[np.int64], days: float) -> Array:
    """Share of the outcome window after go-live for those who enter in each cell under control, ``(..., I, T)``.

    Go-live is the first period of exposure, in transition or not.
    """
    edges = _edges(design)
    _check_kept(treatment.reshape((-1, treatment.shape[-1])))
    rows, where = np.unique(exposure.reshape((-1, exposure.shape[-1])), axis=0, return_inverse=True)
    shares = _cells(rows, edges, _window(None, days), _cumulative(None))[0]
    return np.asarray(shares[where.ravel()].reshape(exposure.shape))


def _cells(exposure: NDArray[np.int64], edges: Array, window: Window, cumulative: Array) -> tuple[Array, Array]:
    """Treated share of the window and share never exposed, ``(rows, T)``, averaged over the days of entry in each period."""
    started = exposure > 0
    live = np.where(started.any(1), edges[:-1][started.argmax(1)], np.inf)[:, None]
    shares, never = [], []
    for first, end in itertools.pairwise(edges):
        days = np.arange(first, end)
        before = np.clip((live - days - 0.5) / window(days), 0.0, 1.0)
        shares.append(1 - np.interp(before, np.linspace(0, 1, len(cumulative)), cumulative).mean(1))
        never.append((before >= 1).mean(1))
    return np.stack(shares, -1), np.stack(never, -1)


def _check_kept(treatment: Array) -> None:
    """Refuse a treatment ``(rows, T)`` that is taken away again."""
    treated = np.nan_to_num(treatment) > 0
    if (np.maximum.accumulate(treated, axis=1) & (treatment == 0)).any():
        raise DesignError("An outcome window needs a treatment that stays once begun, but this design takes it away again.")


def _cumulative(hazard: ArrayLike | None) -> Array:
    """Share of the hazard spent by each fraction of the window, starting at 0."""
    parts = np.ones(1) if hazard is None else np.asarray(hazard, dtype=float)
    if parts.ndim != 1 or not len(parts) or (parts < 0).any() or not 0 < parts.sum() < np.inf:
        raise DesignError("hazard must hold relative hazards over equal parts of the window: numbers, none negative, not all 0.")
    return np.concatenate([[0.0], np.cumsum(parts) / parts.sum()])


def _edges(design: Design) -> Array:
    if not design.boundaries:
        raise DesignError("An outcome window needs dates, but this design has none. Build it with Design.from_dates.")
    return np.array([dt.date.toordinal(b) for b in design.boundaries], dtype=float)


def _window(months: int | None, days: float | None) -> Window:
    """Length in days of the window that opens on each ordinal day."""
    if (months is None) == (days is None):
        raise DesignError("Give the outcome window either as months= or as days=.")
    if days is not None:
        _require_length(days, "number of days", 0 < days < np.inf)
        return lambda opening: np.full(len(opening), float(days))
    count = int(months or 0)
    _require_length(months, "whole number of months", count == months and count > 0)
    return lambda opening: _calendar_months(opening, count)


def _require_length(given: float | None, wanted: str, holds: bool) -> None:
    if not holds:
        raise DesignError(f"The outcome window is {given}; expected a positive {wanted}.")


def _calendar_months(opening: Array, months: int) -> Array:
    """Days until the same day of the month `months` later, or that month's last day: 2020-08-31 plus 18 months is 2022-02-28."""
    date = np.datetime64("0001-01-01", "D") + (opening.astype(np.int64) - 1)
    month = date.astype("datetime64[M]")
    target = month + months
    last = (target + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
    same = target.astype("datetime64[D]") + (date - month.astype("datetime64[D]"))
    return np.asarray((np.minimum(same, last) - date).astype(float))


def _by_cell(size: Array, edges: Array, design: Design) -> Array:
    shape = (design.n_clusters, design.n_periods)
    table = size[:, None] * np.diff(edges) / (edges[-1] - edges[0]) if size.ndim == 1 else size
    if table.shape != shape:
        raise DesignError(f"size has shape {size.shape}; expected ({shape[0]},) or {shape}.")
    if not np.isfinite(table).all() or (table < 0).any() or not (table > 0).any():
        raise DesignError("size must hold finite numbers, none negative and not all 0.")
    return table
