"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from swedge.design.record import write_whole
from swedge.errors import PlanError


def write_folder(folder: Path, files: Mapping[str, bytes], overwrite: bool, known: str) -> None:
    """Write files, by path inside the folder; on any failure the folder is as it was.

    Parameters
    ----------
    folder : Path
    files : mapping of str to bytes
    overwrite : bool
        Whether a folder that has the file `known` may be replaced; it is then replaced as a whole.
    known : str
        A file that tells one of ours: a folder without it is never replaced.

    Raises
    ------
    PlanError
        If the folder holds other files.
    """
    _check(folder, files, overwrite, known)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    try:
        for name, data in files.items():
            target = part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        _swap(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _check(folder: Path, files: Mapping[str, bytes], overwrite: bool, known: str) -> None:
    if folder.is_file() or folder.is_symlink():
        raise PlanError(f"{folder} is no folder. Name another place.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / known).is_file():
        raise PlanError(f"{folder} holds other files, and they are kept. Name an empty or a new folder.")
    if not overwrite and (folder / known).read_bytes() != files.get(known):
        raise PlanError(
            f"{folder} holds the results of another run, and they are kept. Name another folder, or ask for them to be replaced."
        )


def _swap(part: Path, folder: Path) -> None:
    """Put the new folder in place of the old one, which is moved aside first and put back if that fails."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    if folder.exists():
        folder.replace(aside)
    try:
        part.replace(folder)
    except OSError:
        if aside.exists():
            aside.replace(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def write_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Add files to a folder, none of which may be there yet.

    Raises
    ------
    PlanError
        If one is; then none is written.
    """
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise PlanError(f"{folder / there[0]} is there already, and is kept. Name another folder, or move it away.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data, overwrite=False)
