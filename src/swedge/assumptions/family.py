"""Outcome families with their links."""

from __future__ import annotations

from swedge._kernels.families import BY_LINK, FAMILIES, FamilyMaths
from swedge.errors import DataError, FitError, nearest

__all__ = ["family_named"]


def family_named(name: str, link: str | None = None) -> FamilyMaths:
    """The family called `name`, with its canonical link unless another is named.

    Raises
    ------
    DataError
        For any name but gaussian, binomial, poisson and fractional.
    FitError
        For a link that the family does not have.

    Examples
    --------
    >>> family_named("binomial").link
    'logit'
    >>> family_named("binomial", "cloglog").canonical
    False
    """
    if str(name) not in FAMILIES:
        raise DataError(f"family is {name!r}; expected one of {', '.join(FAMILIES)}.{nearest(name, FAMILIES)}")
    if link is None:
        return FAMILIES[str(name)]
    links = [known for family, known in BY_LINK if family == name]
    if link not in links:
        raise FitError(f"link={link!r} with family {name!r}; expected one of {', '.join(links)}.{nearest(str(link), links)}")
    return BY_LINK[str(name), link]
