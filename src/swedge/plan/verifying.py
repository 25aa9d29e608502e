"""Whether files are as they were written, and the documents of a plan that has no results yet."""

from __future__ import annotations

import hashlib
from pathlib import Path

from swedge.design import Allocation, record
from swedge.design.allocation import FORMAT as ALLOCATION
from swedge.errors import PlanError, counted, listing
from swedge.plan.folder import write_folder
from swedge.plan.lock import FORMAT as LOCKED
from swedge.plan.lock import LockedPlan, load_lock
from swedge.plan.report import Report

MANIFEST = "manifest.json"
TAKEN = "a lock (plan.lock.json), the record of an allocation (allocation.json) or a folder of results"


def verified(path: Path, sha256: str | None = None) -> dict[str, str]:
    """What a file or folder is, once nothing in it was found edited: ``file, says, sha256``.

    Parameters
    ----------
    path : Path
        An allocation's record, a lock, or a folder of results.
    sha256 : str, optional
        The registered hash, which a lock or the lock of the results must have.

    Raises
    ------
    PlanError
        Naming what differs.
    """
    if path.is_dir():
        return _folder(path, sha256)
    if path.suffix != ".json":
        raise PlanError(f"{path} is nothing that can be verified. Name {TAKEN}.")
    content = record.parse(path.read_bytes(), path)
    kind = content.get("format") if isinstance(content, dict) else None
    if kind == ALLOCATION:
        return _allocation(path)
    if kind == LOCKED:
        return _lock(load_lock(path), path, sha256)
    raise PlanError(f"{path} is nothing that can be verified (format {kind!r:.60}). Name {TAKEN}.")


def _allocation(path: Path) -> dict[str, str]:
    allocation = Allocation.load(path)
    seed = None if allocation.draw is None else allocation.draw.seed
    how = "as carried out; nothing was drawn" if seed is None else f"seed {seed} draws it again"
    return {"file": str(path), "says": f"allocation verified, {how}", "sha256": str(allocation.record()["sha256"])}


def _lock(locked: LockedPlan, path: Path, sha256: str | None) -> dict[str, str]:
    if sha256 is not None and sha256.strip().lower() != locked.sha256:
        raise PlanError(f"{path} has the SHA-256 {locked.sha256}, and {sha256} was registered. It is another plan, or an amended one.")
    amended = f", {counted(len(locked.amendments), 'amendment', 'amendments')}" if locked.amendments else ""
    return {"file": str(path), "says": f"lock verified{amended}, SHA-256 {locked.sha256}", "sha256": locked.sha256}


def _folder(path: Path, sha256: str | None) -> dict[str, str]:
    from swedge.plan.documents.outputs import table_files

    report = Report.load(path)
    _lock(report.locked, path, sha256)
    listed, again = _listed(path), f"swedge report {path}"
    if listed is None:
        made = {**report.files(), **table_files(report)}
        listed, again = {name: hashlib.sha256(data).hexdigest() for name, data in made.items()}, "swedge run"
    wrong = [name for name, kept in listed.items() if not (path / name).is_file() or _digest(path / name) != kept]
    if wrong:
        told = counted(len(wrong), "file is not as it was", "files are not as they were")
        raise PlanError(f"{path}: {told} written: {listing(wrong)}. Make them again with `{again}`.")
    return {"file": str(path), "says": f"{len(listed)} files verified, of plan {report.sha256}", "sha256": report.sha256}


def _listed(path: Path) -> dict[str, str] | None:
    """The hash of each file; None before there are documents, when results and tables can be held against each other."""
    if not (path / MANIFEST).is_file():
        return None
    content = record.parse((path / MANIFEST).read_bytes(), path / MANIFEST)
    files: dict[str, str] = record.only(content, ("plan_sha256", "files"), MANIFEST)["files"]
    return files


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save_protocol(locked: LockedPlan, folder: Path, progress: bool | None = None) -> Path:
    """Write what a protocol needs of a locked plan: the analysis plan, its power, table shells and the checklist.

    Raises
    ------
    PlanError
        If the folder holds other files.
    """
    from swedge.plan.documents.outputs import plan_files

    files = {"plan.lock.json": record.text(locked.content), **plan_files(locked, locked.power(progress))}
    write_folder(folder, files, overwrite=True, known="plan.lock.json")
    return folder / "sap.html"
