"""Effect curves: how the effect depends on time since crossover, or on the period.

References
----------
Kenny A, Voldal EC, Xia F, Heagerty PJ, Hughes JP (2022). Analysis of stepped wedge cluster randomized trials in the presence of a
time-varying treatment effect. Statistics in Medicine 41, 4311-4339.
Hastie T, Tibshirani R, Friedman J (2009). The Elements of Statistical Learning, 2nd edition, section 5.2.1. Springer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DesignError, listing, nearest

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@runtime_checkable
class EffectCurve(Protocol):
    """Columns of the treatment part of a model."""

    def columns(self, treatment: Array, exposure: Counts) -> tuple[tuple[str, ...], Array]:
        """Names ``(K,)`` and columns ``(..., K, I, T)``; a treatment of nan is a cell that is not observed, and its columns are 0."""


@runtime_checkable
class ExposureCurve(EffectCurve, Protocol):
    """An effect curve over time since crossover."""

    def reached(self, exposure: Counts, longest: int) -> Array:
        """What each coefficient contributes at exposures ``(...)``, ``(..., K)``; `longest` is the longest that some cell has."""


def longest_exposure(exposure: Counts) -> int:
    """Periods since crossover of the cell treated for longest, observed or not, so that all allocations of a design share it."""
    return int(np.max(exposure, initial=0))


class _OneEffect(ABC):
    """What curves with one coefficient share."""

    def reached(self, exposure: Counts, longest: int) -> Array:
        """The share of the effect reached at exposures ``(...)``, ``(..., 1)``."""
        return np.asarray(self._share(exposure), dtype=float)[..., None]

    def columns(self, treatment: Array, exposure: Counts) -> tuple[tuple[str, ...], Array]:
        """Treatment times the share of the effect reached, ``(..., 1, I, T)``."""
        return ("treatment",), (np.nan_to_num(treatment) * self._share(exposure))[..., None, :, :]

    @abstractmethod
    def _share(self, exposure: Counts) -> Array:
        """The share of the effect reached at exposures ``(...)``."""


@dataclass(frozen=True)
class Constant(_OneEffect):
    """The whole effect from the first treated period on.

    Examples
    --------
    >>> names, columns = Constant().columns(np.array([[0.0, 1.0]]), np.array([[0, 1]]))
    >>> names, columns.shape
    (('treatment',), (1, 1, 2))
    """

    def _share(self, exposure: Counts) -> Array:
        return np.ones(np.shape(exposure))


@dataclass(frozen=True)
class Delayed(_OneEffect):
    """No effect for `periods` periods after crossover, the whole effect afterwards.

    Parameters
    ----------
    periods : int

    Examples
    --------
    >>> Delayed(1).reached(np.array([1, 2, 3]), longest=3).ravel()
    array([0., 1., 1.])
    """

    periods: int = 1

    def __post_init__(self) -> None:
        check_periods("Delayed", self.periods)

    def _share(self, exposure: Counts) -> Array:
        return np.asarray(exposure > self.periods, dtype=float)


@dataclass(frozen=True)
class Linear(_OneEffect):
    """An effect that grows in equal parts over `periods` periods and then stays.

    Parameters
    ----------
    periods : int

    Examples
    --------
    >>> Linear(2).reached(np.array([1, 2, 3]), longest=3).ravel()
    array([0.5, 1. , 1. ])
    """

    periods: int = 2

    def __post_init__(self) -> None:
        check_periods("Linear", self.periods)

    def _share(self, exposure: Counts) -> Array:
        return np.minimum(exposure / self.periods, 1.0)


@dataclass(frozen=True)
class Fading(_OneEffect):
    """The whole effect at once, then fading in equal parts until it is gone after `periods` periods.

    Parameters
    ----------
    periods : int

    Examples
    --------
    >>> Fading(2).columns(np.array([[0.0, 1.0, 1.0, 1.0]]), np.array([[0, 1, 2, 3]]))[1].ravel()
    array([0. , 1. , 0.5, 0. ])
    """

    periods: int = 2

    def __post_init__(self) -> None:
        check_periods("Fading", self.periods)

    def _share(self, exposure: Counts) -> Array:
        return np.maximum(1 - (exposure - 1) / self.periods, 0.0)


@dataclass(frozen=True)
class ByExposure:
    """An effect of its own for each number of periods since crossover.

    Examples
    --------
    >>> ByExposure().columns(np.array([[0.0, 1.0, 1.0]]), np.array([[0, 1, 2]]))[0]
    ('exposure 1', 'exposure 2')
    """

    def columns(self, treatment: Array, exposure: Counts) -> tuple[tuple[str, ...], Array]:
        """One column for each exposure that some cell has, ``(..., K, I, T)``.

        Raises
        ------
        DesignError
            If no cell is treated.
        """
        seen = treated_exposures(treatment, exposure)
        columns = [np.nan_to_num(treatment) * (exposure == s) for s in seen]
        return exposure_terms(seen), np.stack(columns, axis=-3)


@dataclass(frozen=True)
class Washout:
    """A lasting effect after `periods` periods of washout, each of which has an effect of its own.

    The first term, "treatment", is the lasting effect; "washout 1" and so on are those on the way to it. `Delayed` says that these are 0,
    and is biased where they are not. An estimand averages over all exposures that it names, those of the washout among them.

    Parameters
    ----------
    periods : int

    References
    ----------
    Kenny A, Voldal EC, Xia F, Heagerty PJ, Hughes JP (2022). Analysis of stepped wedge cluster randomized trials in the presence of a
    time-varying treatment effect. Statistics in Medicine 41, 4311-4339.

    Examples
    --------
    >>> names, columns = Washout(1).columns(np.array([[0.0, 1.0, 1.0, 1.0]]), np.array([[0, 1, 2, 3]]))
    >>> names
    ('treatment', 'washout 1')
    >>> columns[:, 0]
    array([[0., 0., 1., 1.],
           [0., 1., 0., 0.]])
    """

    periods: int = 1

    def __post_init__(self) -> None:
        check_periods("Washout", self.periods)

    def reached(self, exposure: Counts, longest: int) -> Array:
        """Which of the effects is at work at exposures ``(...)``, ``(..., 1 + periods)``."""
        at = np.asarray(exposure)
        return np.stack([at > self.periods, *(at == s + 1 for s in range(self.periods))], -1).astype(float)

    def columns(self, treatment: Array, exposure: Counts) -> tuple[tuple[str, ...], Array]:
        """Treatment times each effect's share, ``(..., 1 + periods, I, T)``.

        Raises
        ------
        DesignError
            If no cell has one of the exposures of the washout, or none is treated for longer.
        """
        seen = treated_exposures(treatment, exposure)
        if missing := sorted(set(range(1, self.periods + 1)) - set(seen)):
            raise DesignError(
                f"No treated cell has exposure {listing(missing)}, and {self!r} gives each an effect. Use Constant(), or Delayed(k)."
            )
        if max(seen) <= self.periods:
            raise DesignError(
                f"No cell is treated for longer than {self.periods} periods, so {self!r} leaves no lasting effect to estimate."
            )
        share = np.moveaxis(self.reached(exposure, max(seen)), -1, -3)
        return ("treatment", *(f"washout {s + 1}" for s in range(self.periods))), np.nan_to_num(treatment)[..., None, :, :] * share


@dataclass(frozen=True)
class Spline:
    """A smooth effect of exposure: a natural cubic spline with `knots` equally spaced knots from 0 to the longest exposure.

    Between `Constant` and `ByExposure`: as many coefficients as knots, and neighbouring exposures lend each other strength. The effects by
    exposure that it implies are the terms of a fit.

    Parameters
    ----------
    knots : int
        At least 2.

    Examples
    --------
    >>> Spline(3).reached(np.array([1, 2, 3]), longest=4).shape
    (3, 3)
    """

    knots: int = 4

    def __post_init__(self) -> None:
        knots: object = self.knots
        if isinstance(knots, bool) or not (isinstance(knots, int | np.integer) and knots >= 2):
            raise DesignError(f"Spline({knots!r}): expected a whole number of knots, at least 2.")

    def reached(self, exposure: Counts, longest: int) -> Array:
        """The spline's basis at exposures ``(...)``, ``(..., knots)``: 1, the exposure, and truncated cubes that end as straight lines."""
        knots, at = np.linspace(0, longest, self.knots), np.asarray(exposure, dtype=float)
        bends = [(np.maximum(at - k, 0) ** 3 - np.maximum(at - knots[-1], 0) ** 3) / (knots[-1] - k) for k in knots[:-1]]
        cubes = [(bend - bends[-1]) / longest**2 for bend in bends[:-1]]
        return np.stack([np.ones_like(at), at / longest, *cubes], -1)

    def columns(self, treatment: Array, exposure: Counts) -> tuple[tuple[str, ...], Array]:
        """Treatment times the basis, ``(..., knots, I, T)``.

        Raises
        ------
        DesignError
            If fewer exposures are observed than the spline has knots.
        """
        seen = treated_exposures(treatment, exposure)
        if len(seen) < self.knots:
            raise DesignError(f"{len(seen)} exposures are observed, too few for {self!r}. Use fewer knots, or ByExposure().")
        basis = self.reached(exposure, longest_exposure(exposure))
        columns = np.moveaxis(np.nan_to_num(treatment)[..., None] * basis, -1, -3)
        return tuple(f"spline {k + 1}" for k in range(self.knots)), columns


EMPTY = ("refuse", "leave out")


@dataclass(frozen=True)
class ByPeriod:
    """An effect of its own in each period: treatment by period.

    Only periods with treated and control cells identify theirs. A stepped wedge has no treated cell in its first period and no control cell
    in its last: the last period's effect cannot be told from the period itself.

    Parameters
    ----------
    empty : {"refuse", "leave out"}
        What to do with a treated period that has no control cell: refuse, or estimate the other periods' effects and let the period's own
        effect absorb its treatment.

    Examples
    --------
    >>> treatment = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 1.0]])
    >>> ByPeriod(empty="leave out").columns(treatment, np.cumsum(treatment, 1).astype(int))[0]
    ('period 2',)
    """

    empty: str = "refuse"

    def __post_init__(self) -> None:
        if self.empty not in EMPTY:
            raise DesignError(f"empty={self.empty!r}; expected one of {', '.join(EMPTY)}.{nearest(str(self.empty), EMPTY)}")

    def columns(self, treatment: Array, exposure: Counts) -> tuple[tuple[str, ...], Array]:
        """One column for each period with both arms, ``(..., K, I, T)``.

        Raises
        ------
        DesignError
            If a period with treated cells has no control cell and `empty` says to refuse, or no period has both arms.
        """
        treated, control = ((arm.reshape((-1, *arm.shape[-2:]))).any(-2) for arm in (treatment > 0, treatment < 1))
        whole = np.flatnonzero((treated & control).all(0))
        self._check(np.flatnonzero((treated & ~control).any(0)), whole)
        columns = np.nan_to_num(treatment)[..., None, :, :] * np.eye(treatment.shape[-1])[whole][:, None, :]
        return tuple(f"period {t + 1}" for t in whole), columns

    def _check(self, alone: Counts, whole: Counts) -> None:
        if len(alone) and self.empty == "refuse":
            raise DesignError(
                f"No control cell in {_periods(alone)}, so treatment by period cannot be told from the period there. Write"
                " ByPeriod(empty='leave out') to estimate the effects of the periods that have both arms, or drop that period."
            )
        if not len(whole):
            raise DesignError("No period has both treated and control cells: no effect by period can be estimated.")


def _periods(which: Counts) -> str:
    return f"period {which[0] + 1}" if len(which) == 1 else f"periods {listing([int(t) + 1 for t in which])}"


def treated_exposures(treatment: Array, exposure: Counts) -> list[int]:
    """Every exposure that some treated cell has, in order.

    Raises
    ------
    DesignError
        If no cell is treated.
    """
    seen = np.unique(exposure[(exposure > 0) & np.broadcast_to(treatment > 0, exposure.shape)])
    if not len(seen):
        raise DesignError("No cell is treated, so no exposure has an effect to estimate. Check first_treated or the allocation.")
    return [int(s) for s in seen]


def exposure_terms(exposures: list[int]) -> tuple[str, ...]:
    """Names of the effects at these exposures."""
    return tuple(f"exposure {s}" for s in exposures)


def check_periods(name: str, periods: object) -> None:
    """Refuse anything but a whole number of at least 1."""
    if isinstance(periods, bool) or not (isinstance(periods, int | np.integer) and periods >= 1):
        raise DesignError(f"{name}({periods!r}): expected a whole number of periods, at least 1.")
