"""Audit records: canonical JSON, hashes, and a loader that evaluates nothing and forgives nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swedge.design.calendar import as_date
from swedge.design.constraint import Constraint, Covariate
from swedge.design.strata import Stratum
from swedge.errors import PlanError, listing, nearest

if TYPE_CHECKING:
    from swedge.design.permitted import Permitted

LISTED = 100_000
"""Longest list of allocations whose every entry goes into a record's list hash."""

_SAFE = 2**53  # the integers that every JSON reader keeps exactly


def canonical(content: object) -> bytes:
    """JSON in one spelling only: sorted keys, no spaces, ASCII."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def digest(content: object) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(content)).hexdigest()


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn whatever a malformed value provokes into a PlanError that says where."""
    try:
        yield
    except PlanError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise PlanError(
            f"The record's {what} cannot be read ({str(error).rstrip('.')}). The record was edited, or is of another version."
        ) from error


def integer_out(number: int) -> int | str:
    """A whole number for JSON: hexadecimal text where a reader might round it."""
    return number if number < _SAFE else hex(number)


def integer_in(value: object, what: str) -> int:
    """Inverse of `integer_out`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    with reading(what):
        return int(str(value), 16)


def design_record(design: Permitted) -> dict[str, Any]:
    """A design as plain JSON values."""
    return {
        "rows": [list(row) for row in design.rows],
        "clusters": list(design.clusters),
        "clusters_per_sequence": list(design.clusters_per_sequence),
        "strata": [{"clusters": list(group.clusters), "sequences": list(group.sequences)} for group in design.strata],
        "boundaries": [day.isoformat() for day in design.boundaries],
        "constraint": None if design.constraint is None else _constraint_record(design.constraint),
        "transition": design.transition,
    }


def _constraint_record(constraint: Constraint) -> dict[str, Any]:
    return {
        "covariates": [{"name": c.name, "values": list(c.values), "weight": c.weight} for c in constraint.covariates],
        "keep": constraint.keep,
        "sample": constraint.sample,
        "seed": None if constraint.seed is None else integer_out(constraint.seed),
    }


def design_fields(content: object) -> dict[str, Any]:
    """Fields of a design from its record, to be checked by the design itself."""
    keys = ("rows", "clusters", "clusters_per_sequence", "strata", "boundaries", "constraint", "transition")
    fields = only(content, keys, "design")
    with_strata = [Stratum(**only(group, ("clusters", "sequences"), "stratum")) for group in _list(fields, "strata")]
    dates = [as_date(day, "boundaries") for day in _list(fields, "boundaries")]
    constraint = None if fields["constraint"] is None else _constraint(fields["constraint"])
    return {**fields, "strata": tuple(with_strata), "boundaries": tuple(dates), "constraint": constraint}


def _constraint(content: object) -> Constraint:
    fields = only(content, ("covariates", "keep", "sample", "seed"), "constraint")
    covariates = [Covariate(**only(c, ("name", "values", "weight"), "covariate")) for c in _list(fields, "covariates")]
    seed = None if fields["seed"] is None else integer_in(fields["seed"], "constraint seed")
    return Constraint(tuple(covariates), fields["keep"], fields["sample"], seed)


def only(content: object, keys: Collection[str], what: str) -> dict[str, Any]:
    """A JSON object that has exactly these keys; an unknown one is answered with the nearest."""
    if not isinstance(content, Mapping):
        raise PlanError(f"The record's {what} is {type(content).__name__}, not an object with keys. The record was edited.")
    unknown = [f"{key!r} is unknown.{nearest(key, keys)}" for key in content if key not in keys]
    missing = [f"{key!r} is missing" for key in keys if key not in content]
    if offences := unknown + missing:
        raise PlanError(f"The keys of the record's {what} are wrong: {listing(offences)}. The record was edited, or is of another version.")
    return dict(content)


def _list(fields: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(fields[key], list):
        raise PlanError(f"The record's {key} is {type(fields[key]).__name__}, not a list. The record was edited.")
    return list(fields[key])


def list_record(design: Permitted) -> dict[str, Any]:
    """Length and hash of the list that was drawn from: of its entries when it is short, else of the design that defines it."""
    count = design.count()
    if count > LISTED:
        return {"count": integer_out(count), "of": "design", "sha256": digest(design_record(design))}
    entries = np.ascontiguousarray(design.allocations(), dtype="<i4")
    return {"count": count, "of": "allocations", "sha256": hashlib.sha256(entries.tobytes()).hexdigest()}


def parse(data: bytes, path: Path) -> object:
    """JSON values of a file, refusing what JSON does not have."""
    with reading(f"text ({path.name})"):
        return json.loads(data.decode("ascii"), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number.")


def require_same(data: bytes, content: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    """Raise PlanError, naming the parts that differ, unless the file is byte for byte what the re-drawn record is."""
    if data == text(expected):
        return
    parts = [key for key in expected if canonical(content[key]) != canonical(expected[key])]
    derived = [part for part in parts if part != "sha256"] or parts
    shown = [f"{part} is {_short(content[part])}, and comes to {_short(expected[part])}" for part in derived]
    differing = listing(shown) or "its spelling is not canonical (spaces, order or repeated keys)"
    raise PlanError(
        f"{path.name} is not the record that its design and seed give: {differing}. It was edited after it was saved; go back to the"
        " registered copy."
    )


def _short(value: object, width: int = 120) -> str:
    shown = canonical(value).decode()
    return shown if len(shown) <= width else shown[:width] + "..."


def text(content: object) -> bytes:
    """The file that holds a record."""
    return canonical(content) + b"\n"


def _difference(path: Path, data: bytes) -> str:
    """Where the record on disk differs, if it is one."""
    try:
        there, here = json.loads(path.read_bytes()), json.loads(data)
        names = sorted(name for name in {*there, *here} if there.get(name) != here.get(name))
    except (ValueError, AttributeError, TypeError):
        return ""
    return f" (it differs in {', '.join(names)})" if names else ""


def write_whole(path: Path, data: bytes, overwrite: bool) -> None:
    """Write a file completely or not at all; another record in its place is kept unless `overwrite`."""
    if not overwrite and path.exists() and path.read_bytes() != data:
        raise PlanError(
            f"{path} holds another record{_difference(path, data)}, and a draw must not be replaced unnoticed. Choose another path, or pass"
            " overwrite=True."
        )
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
