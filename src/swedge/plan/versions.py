"""Which software gave a number."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

#: Packages whose code takes part in an estimate.
PACKAGES = ("swedge", "numpy", "scipy", "pandas", "patsy", "statsmodels", "linearmodels")


def versions_of(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of the packages that are running, by name.

    >>> sorted(versions_of(("numpy", "pandas")))
    ['numpy', 'pandas']
    """
    return {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
