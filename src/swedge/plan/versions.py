"""Which software gave a number."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

#: Packages whose code takes part in an estimate.
PACKAGES = ("swedge", "numpy", "scipy", "pandas", "patsy", "statsmodels", "linearmodels")


def ordered(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions in one order, which files of results do not keep: our own packages, then others by name.

    >>> list(ordered({"scipy": "1", "another": "2", "swedge": "3"}))
    ['swedge', 'scipy', 'another']
    """
    return {name: versions[name] for name in (*(name for name in PACKAGES if name in versions), *sorted({*versions} - {*PACKAGES}))}


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
