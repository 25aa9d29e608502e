"""Estimands: which average over effects by exposure is read off a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from swedge.assumptions.effect import (
    Constant,
    EffectCurve,
    ExposureCurve,
    Spline,
    check_periods,
    exposure_terms,
    longest_exposure,
    treated_exposures,
)
from swedge.errors import DesignError, listing

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PTE:
    """The effect at exposure `at` (a point), on the scale of the estimator.

    Parameters
    ----------
    at : int
        Periods since crossover, from 1.

    Examples
    --------
    >>> PTE(2).contrast(["exposure 1", "exposure 2"])
    ('PTE(2)', array([0., 1.]))
    """

    at: int

    def __post_init__(self) -> None:
        check_periods("PTE", self.at)

    def contrast(self, terms: Sequence[str]) -> tuple[str, Array]:
        """Weights over the exposure effects."""
        return f"PTE({self.at})", _average(terms, [self.at])


@dataclass(frozen=True)
class LTE:
    """The effect at the longest exposure observed, on the scale of the estimator.

    Examples
    --------
    >>> LTE().contrast(["exposure 1", "exposure 2"])
    ('LTE', array([0., 1.]))
    """

    def contrast(self, terms: Sequence[str]) -> tuple[str, Array]:
        """Weights over the exposure effects."""
        return "LTE", _average(terms, [max(_exposures(terms))])


@dataclass(frozen=True)
class TATE:
    """The time-averaged effect over exposures `first` to `last`, on the scale of the estimator; each exposure counts alike.

    Parameters
    ----------
    first, last : int, optional
        Periods since crossover, from 1, both counted; left out: all observed.

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
                check_periods("TATE", bound)
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
        has = f"{len(terms)} effects by {terms[0].split()[0]}" if len(terms) > 1 else "one treatment effect"
        raise DesignError(f"An estimand averages effects over exposures; this model has {has}. Write effect=ByExposure(), or no estimand.")
    return known


def _average(terms: Sequence[str], wanted: list[int]) -> Array:
    known = _exposures(terms)
    missing = sorted(set(wanted) - set(known))
    if missing or not wanted:
        asked = listing(missing) or "in the range asked for"
        raise DesignError(f"No cell has exposure {asked}; observed exposures are {listing(known, 12)}. Choose an estimand within them.")
    return np.isin(known, wanted) / len(wanted)


def terms_of(
    curve: EffectCurve, estimand: Estimand | None, terms: Sequence[str], treatment: Array, exposure: NDArray[np.int64]
) -> tuple[tuple[str, ...], Array]:
    """Names and contrasts ``(K, k)`` over the columns of a curve of the effects that `estimand` averages, or of every term it has.

    A spline's terms are the effects at the exposures observed.
    """
    if isinstance(curve, Spline) or (isinstance(curve, ExposureCurve) and estimand is not None and not isinstance(curve, Constant)):
        seen = treated_exposures(treatment, exposure)
        return exposure_terms(seen), curve.reached(np.array(seen), longest_exposure(exposure))
    return tuple(terms), np.eye(len(terms))


def read_off(
    curve: EffectCurve, estimand: Estimand | None, terms: Sequence[str], treatment: Array, exposure: NDArray[np.int64]
) -> tuple[tuple[str, ...], Array]:
    """Names and contrasts ``(K, k)`` over the columns of a curve: the estimand, or every term it has.

    Raises
    ------
    DesignError
        If the estimand asks for an exposure that no cell has, the curve is constant or by period, or says that there is no effect then.
    """
    names, basis = terms_of(curve, estimand, terms, treatment, exposure)
    if estimand is None:
        return names, basis
    name, weights = estimand.contrast(names)
    contrast = (weights @ basis)[None, :]
    if not contrast.any():
        raise DesignError(f"{name} is 0 under {curve!r}, whatever the data: that curve has no effect at those exposures.")
    return (name,), contrast
