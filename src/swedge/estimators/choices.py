"""Checks of what an estimator was asked for."""

from __future__ import annotations

from collections.abc import Collection

from swedge.errors import FitError, nearest


def check_choice(name: str, value: object, allowed: Collection[str]) -> None:
    """Refuse what is not among the choices.

    Raises
    ------
    FitError
        Naming the nearest one.

    Examples
    --------
    >>> check_choice("controls", "never", ("never", "not_yet"))
    """
    if value not in allowed:
        raise FitError(f"{name}={value!r}; expected one of {', '.join(allowed)}.{nearest(str(value), allowed)}")


def check_periods(name: str, value: object, least: int) -> None:
    """Refuse what is not a whole number of periods.

    Raises
    ------
    FitError
        If it is no whole number, or below `least`.

    Examples
    --------
    >>> check_periods("leads", 2, least=0)
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise FitError(f"{name}={value!r}; expected a whole number of periods from {least}.")
