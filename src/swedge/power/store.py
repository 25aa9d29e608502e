"""A folder that a simulation is written to, block by block, and that a killed run is taken up from."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import importlib
import io
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from swedge.design.allocation import Draw
from swedge.design.record import canonical, parse, text, write_whole
from swedge.errors import DesignError, PlanError, listing
from swedge.power.chunks import CHUNK, Draws, Pair, Piece

FORMAT = "swedge simulation 1"
# The underscore hides it from readers that take the folder for one Parquet data set.
MANIFEST = "_manifest.json"
_NAME = re.compile(r"(block-(\d+)-\d+-\d+)-([0-9a-f]{16})\.parquet")


@dataclass(frozen=True)
class Store:
    """Blocks of chunks as Parquet files, each named by the cell, the chunks it spans, and the hash of study, name and bytes.

    A file is written under another name and moved into place, so a killed run leaves whole blocks and at most a part that nobody reads.
    Files are parsed as data only; nothing is unpickled.

    Attributes
    ----------
    folder : Path
    study : str
        SHA-256 of the manifest.
    labels : tuple of dict
        Columns that say which cell a row is of, one dict a cell; for readers of the files.
    """

    folder: Path
    study: str
    labels: tuple[dict[str, Any], ...] = ({},)

    @classmethod
    def opened(cls, folder: str | PathLike[str], manifest: Mapping[str, Any], labels: Sequence[dict[str, Any]] = ({},)) -> Store:
        """The folder of this study: made if there is none, refused if it is another's.

        Raises
        ------
        DesignError
            If pyarrow is not installed.
        PlanError
            If the folder holds another study, naming what differs, or other files.
        """
        _require_parquet()
        path = Path(folder) / MANIFEST
        _make(path.parent)
        if not path.exists():
            _require_empty(path.parent)
            write_whole(path, text(manifest), overwrite=True)
        data = path.read_bytes()
        _require_same(path, parse(data, path), json.loads(canonical(manifest)))
        return cls(path.parent, hashlib.sha256(data).hexdigest(), tuple(labels))

    def read(self) -> dict[int, dict[int, Piece]]:
        """Every whole block's chunks, by cell and number; a damaged block is removed with a warning, to be computed again."""
        found: dict[int, dict[int, Piece]] = {}
        for path in sorted(self.folder.glob("block-*.parquet")):
            if named := _NAME.fullmatch(path.name):
                data = path.read_bytes()
                whole = self._hash(named[1], data) == named[3]
                found.setdefault(int(named[2]), {}).update(_pieces(data) if whole else _discarded(path))
        return found

    def write(self, cell: int, pieces: Mapping[int, Piece]) -> None:
        """One block, written whole or not at all."""
        stem = f"block-{cell:04d}-{min(pieces):06d}-{max(pieces):06d}"
        data = _frame(pieces, self.labels[cell]).to_parquet(engine="pyarrow", index=False)
        target = self.folder / f"{stem}-{self._hash(stem, data)}.parquet"
        write_whole(target, data, overwrite=True)
        for other in self.folder.glob(f"block-{cell:04d}-*.parquet"):
            first, last = (int(part) for part in other.name.split("-")[2:4])
            if other != target and min(pieces) <= first and last <= max(pieces):
                other.unlink()  # its chunks stand in the block just written

    def _hash(self, stem: str, data: bytes) -> str:
        """Bound to the study and the place, so that a block moved here from elsewhere does not pass."""
        return hashlib.sha256(f"{self.study} {stem} ".encode() + data).hexdigest()[:16]


def _frame(pieces: Mapping[int, Piece], label: Mapping[str, Any]) -> pd.DataFrame:
    """One row a replicate and method."""
    parts = [
        pd.DataFrame(
            {**label, "chunk": chunk, "replicate": chunk * CHUNK + np.arange(len(draws.status)), "method": name, **draws._asdict()}
        )
        for chunk, piece in sorted(pieces.items())
        for name, draws in piece.items()
    ]
    return pd.concat(parts, ignore_index=True)


def _pieces(data: bytes) -> dict[int, Piece]:
    frame = pd.read_parquet(io.BytesIO(data), engine="pyarrow")
    pieces: dict[int, Piece] = {}
    for chunk in frame["chunk"].unique().tolist():
        rows = frame[frame["chunk"] == chunk]
        pieces[chunk] = {name: _draws(rows[rows["method"] == name]) for name in rows["method"].unique().tolist()}
    return pieces


def _draws(rows: pd.DataFrame) -> Draws:
    numbers = [rows[column].to_numpy(dtype=float, copy=True) for column in Draws._fields[:-1]]
    return Draws(*numbers, rows["status"].to_numpy(dtype=np.int8, copy=True))  # type: ignore[call-arg]  # five columns


def _discarded(path: Path) -> dict[int, Piece]:
    warnings.warn(f"{path} was damaged after it was written. It is removed, and its chunks are computed again.", stacklevel=2)
    path.unlink()
    return {}


def _require_parquet() -> None:
    try:
        importlib.import_module("pyarrow")
    except ImportError:
        raise DesignError("store= writes Parquet files, which needs pyarrow. Install it with: pip install 'swedge[parquet]'.") from None


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PlanError(
            f"store={str(folder)!r} cannot be a folder ({error.strerror}). Pass a folder, or a path where one can be made."
        ) from error


def _require_empty(folder: Path) -> None:
    others = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if others:
        raise PlanError(
            f"{folder} holds files that are no simulation: {listing(others)}. Pass an empty folder, or one that does not exist."
        )


def _require_same(path: Path, there: object, here: object) -> None:
    found = list(_differences(there, here))
    if found:
        raise PlanError(
            f"{path.parent} holds another study: {listing(found)}. Pass another folder, or repeat the call that this one was begun with."
        )


def _differences(there: object, here: object, at: str = "") -> Iterator[str]:
    """What differs between two JSON values, by place."""
    if isinstance(there, dict) and isinstance(here, dict):
        other_kind = there.get("type") != here.get("type")
        for key in ["type"] if other_kind else sorted(there.keys() | here.keys()):
            yield from _differences(there.get(key), here.get(key), f"{at}.{key}" if at else str(key))
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, (one, other) in enumerate(zip(there, here, strict=True)):
            yield from _differences(one, other, f"{at}[{i}]")
    elif there != here:
        yield f"{at or 'the manifest'} is {_short(there)} there, {_short(here)} here"


def _short(value: object, width: int = 80) -> str:
    shown = json.dumps(value, sort_keys=True)
    return shown if len(shown) <= width else shown[:width] + "..."


def manifest_of(pairs: Mapping[str, Pair], seed: int, alpha: float, **study: object) -> dict[str, Any]:
    """What decides every digit of a simulation, as plain JSON values; and the versions it was computed with.

    Raises
    ------
    DesignError
        If a method cannot be told from another by its fields or its `repr`.
    """
    made = Draw.now(None, None)
    return {
        "format": FORMAT,
        "methods": {name: {"estimator": described(estimator), "test": described(test)} for name, (estimator, test) in pairs.items()},
        "seed": int(seed),
        "alpha": float(alpha),
        "chunk": CHUNK,
        "numpy": made.numpy,
        "swedge": made.swedge,
        **study,
    }


def described(value: object) -> Any:
    """A value as JSON: a dataclass by its type and fields, numbers as numbers, the rest by `repr`.

    >>> from swedge.estimate import WaldTest
    >>> described(WaldTest(level=0.9))
    {'type': 'WaldTest', 'level': 0.9}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: described(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__qualname__, **fields}
    if isinstance(value, Mapping):
        return {str(key): described(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [described(entry) for entry in value]
    return _scalar(value)


def _scalar(value: object) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating) and np.isfinite(value):
        return float(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    return _spelt(value)


def _spelt(value: object) -> str:
    shown = repr(value)
    if " at 0x" in shown:
        raise DesignError(f"{shown} cannot be told from another of its kind, so no folder can be tied to it. Make it a frozen dataclass.")
    return shown
