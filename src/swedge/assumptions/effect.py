"""Effect curves: how the effect depends on time since crossover; and estimands, which say what is averaged.

References
----------
Kenny A, Voldal EC, Xia F, Heagerty PJ, Hughes JP (2022). Analysis of stepped wedge cluster randomized trials in the presence of a
time-varying treatment effect. Statistics in Medicine 41, 4311-4339.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from swedge.errors import DesignError, listing

Array = NDArray[np.float64]


@runtime_checkable
class EffectCurve(Protocol):
    """Columns of the treatment part of a model."""

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Names ``(K,)`` and columns ``(..., K, I, T)``."""


@dataclass(frozen=True)
class Constant:
    """The whole effect from the first treated period on.

    Examples
    --------
    >>> names, columns = Constant().columns(np.array([[0.0, 1.0]]), np.array([[0, 1]]))
    >>> names, columns.shape
    (('treatment',), (1, 1, 2))
    """

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """The treatment itself, ``(..., 1, I, T)``."""
        return ("treatment",), treatment[..., None, :, :]


@dataclass(frozen=True)
class Delayed:
    """No effect for `periods` periods after crossover, the whole effect afterwards."""

    periods: int = 1

    def __post_init__(self) -> None:
        _check_periods("Delayed", self.periods)

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Treatment where exposure exceeds the delay, ``(..., 1, I, T)``."""
        return ("treatment",), (treatment * (exposure > self.periods))[..., None, :, :]


@dataclass(frozen=True)
class Linear:
    """An effect that grows in equal parts over `periods` periods and then stays."""

    periods: int = 2

    def __post_init__(self) -> None:
        _check_periods("Linear", self.periods)

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Treatment times the share of the effect reached, ``(..., 1, I, T)``."""
        return ("treatment",), (treatment * np.minimum(exposure / self.periods, 1.0))[..., None, :, :]


@dataclass(frozen=True)
class Fading:
    """The whole effect at once, then fading in equal parts until it is gone after `periods` periods.

    Examples
    --------
    >>> Fading(2).columns(np.array([[0.0, 1.0, 1.0, 1.0]]), np.array([[0, 1, 2, 3]]))[1].ravel()
    array([0. , 1. , 0.5, 0. ])
    """

    periods: int = 2

    def __post_init__(self) -> None:
        _check_periods("Fading", self.periods)

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """Treatment times the share of the effect left, ``(..., 1, I, T)``."""
        return ("treatment",), (treatment * np.maximum(1 - (exposure - 1) / self.periods, 0.0))[..., None, :, :]


@dataclass(frozen=True)
class ByExposure:
    """An effect of its own for each number of periods since crossover.

    Examples
    --------
    >>> ByExposure().columns(np.array([[0.0, 1.0, 1.0]]), np.array([[0, 1, 2]]))[0]
    ('exposure 1', 'exposure 2')
    """

    def columns(self, treatment: Array, exposure: NDArray[np.int64]) -> tuple[tuple[str, ...], Array]:
        """One column for each exposure that some cell has, ``(..., K, I, T)``.

        Raises
        ------
        DesignError
            If no cell is treated.
        """
        seen = np.unique(exposure[(exposure > 0) & (treatment > 0)])
        if not len(seen):
            raise DesignError("No cell is treated, so no exposure has an effect to estimate. Check first_treated or the allocation.")
        columns = [treatment * (exposure == s) for s in seen]
        return tuple(f"exposure {s}" for s in seen), np.stack(columns, axis=-3)


@dataclass(frozen=True)
class PTE:
    """The effect at exposure `at` (a point)."""

    at: int

    def __post_init__(self) -> None:
        _check_periods("PTE", self.at)

    def contrast(self, terms: Sequence[str]) -> tuple[str, Array]:
        """Weights over the exposure effects."""
        return f"PTE({self.at})", _average(terms, [self.at])


@dataclass(frozen=True)
class LTE:
    """The effect at the longest exposure observed."""

    def contrast(self, terms: Sequence[str]) -> tuple[str, Array]:
        """Weights over the exposure effects."""
        return "LTE", _average(terms, [max(_exposures(terms))])


@dataclass(frozen=True)
class TATE:
    """The time-averaged effect over exposures `first` to `last` (both counted; left out: all observed).

    Examples
    --------
    >>> TATE(1, 2).contrast(["exposure 1", "exposure 2", "exposure 3"])
    ('TATE(1, 2)', array([0.5, 0.5, 0. ]))
    """

    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        for bound in (self.first, self.last):
            if bound is not None:
                _check_periods("TATE", bound)
        if self.first is not None and self.last is not None and self.first > self.last:
            raise DesignError(f"TATE({self.first}, {self.last}): the first exposure comes after the last. Swap them.")

    def contrast(self, terms: Sequence[str]) -> tuple[str, Array]:
        """Weights over the exposure effects."""
        known = _exposures(terms)
        first, last = self.first or min(known), self.last or max(known)
        wanted = known if self.first is None and self.last is None else list(range(first, last + 1))
        return f"TATE({first}, {last})", _average(terms, wanted)


Estimand = PTE | LTE | TATE


def _exposures(terms: Sequence[str]) -> list[int]:
    known = [int(term.split()[1]) for term in terms if term.startswith("exposure ")]
    if not known:
        raise DesignError("An estimand over exposure times needs effect=ByExposure(); this model has one treatment effect.")
    return known


def _average(terms: Sequence[str], wanted: list[int]) -> Array:
    known = _exposures(terms)
    missing = sorted(set(wanted) - set(known))
    if missing or not wanted:
        asked = listing(missing) or "in the range asked for"
        raise DesignError(f"No cell has exposure {asked}; observed exposures are {listing(known, 12)}. Choose an estimand within them.")
    return np.isin(known, wanted) / len(wanted)


def _check_periods(name: str, periods: object) -> None:
    if isinstance(periods, bool) or not (isinstance(periods, int | np.integer) and periods >= 1):
        raise DesignError(f"{name}({periods!r}): expected a whole number of periods, at least 1.")
