"""Outcome families with their canonical links."""

from __future__ import annotations

from swedge._kernels.families import FAMILIES, FamilyMaths
from swedge.errors import DataError, nearest

__all__ = ["family_named"]


def family_named(name: str) -> FamilyMaths:
    """The family called `name`.

    Raises
    ------
    DataError
        For any name but gaussian, binomial and poisson.

    Examples
    --------
    >>> family_named("binomial").link
    'logit'
    """
    if str(name) not in FAMILIES:
        raise DataError(f"family is {name!r}; expected one of {', '.join(FAMILIES)}.{nearest(name, FAMILIES)}")
    return FAMILIES[str(name)]
