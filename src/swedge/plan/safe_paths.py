"""Names of files in a plan: plain, relative, and inside its folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from swedge.errors import PlanError

LONGEST = 200

# What Windows opens in place of a file, whatever the extension.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?:\..*)?", re.IGNORECASE)
_EXPECTED = "Name a file in the plan's folder, such as children.csv or data/children.csv."


def inside(folder: Path, name: str) -> Path:
    """The file of a name in a folder.

    Parameters
    ----------
    folder : Path
    name : str
        Relative, with ``/`` between its parts.

    Raises
    ------
    PlanError
        If it is absolute, leaves the folder (also by a symbolic link), or is no plain name.

    Examples
    --------
    >>> inside(Path("trial"), "data/children.csv").as_posix()
    'trial/data/children.csv'
    >>> inside(Path("trial"), "../children.csv")
    Traceback (most recent call last):
    swedge.errors.PlanError: The file '../children.csv' leaves the plan's folder. Name a file ...
    """
    check_name(name)
    path = folder / name
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        raise PlanError(f"The file {name!r} cannot be found: its links lead round in a circle. {_EXPECTED}") from None
    if not real.is_relative_to(folder.resolve()):
        raise PlanError(f"The file {name!r} leaves the plan's folder by a symbolic link. Copy it into the folder.")
    return path


def check_name(name: str) -> None:
    """Refuse a name that could mean a file elsewhere on any system.

    Raises
    ------
    PlanError
    """
    parts = name.split("/")
    if not name or len(name) > LONGEST or not name.isprintable() or any(sign in name for sign in '\\:*?"<>|'):
        raise PlanError(f"The file {name!r:.60} is no plain name: it is empty, too long, or holds a drive, \\ or another sign. {_EXPECTED}")
    if PurePosixPath(name).is_absolute() or ".." in parts or name.startswith("~"):
        raise PlanError(f"The file {name!r:.60} leaves the plan's folder. {_EXPECTED}")
    if any(is_device(part) or not part or part != part.rstrip(". ") for part in parts):
        raise PlanError(f"The file {name!r:.60} is a device, or has a part that is empty or ends in a dot or space. {_EXPECTED}")


def is_device(name: str) -> bool:
    """Whether Windows takes a name for a device, so that no file can have it.

    >>> is_device("nul"), is_device("con.csv"), is_device("control")
    (True, True, False)
    """
    return _DEVICES.fullmatch(name.strip()) is not None
