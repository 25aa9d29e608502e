"""Records that were edited: each is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from swedge.design import Allocation, Design, Draw
from swedge.design.record import text
from swedge.errors import DesignError, PlanError

DESIGN = Design.from_dates(
    {"A": "2020-02-01", "B": "2020-03-01", "C": "2020-04-01"}, start="2020-01-01", end="2020-06-30", strata=[["A"], ["B", "C"]]
)
SIZES = pd.DataFrame({"size": [1.5, 2.25, 4.0, 8.0]}, index=["1", "2", "3", "4"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "allocation.json"


def write(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")
    return path


RECORDED = {
    "drawn": DESIGN.randomise(seed=1),
    "carried out": DESIGN.allocate({"A": 0, "B": 2, "C": 1}),
    "constrained": Design.stepped_wedge(clusters=4).constrained(SIZES, keep=4, sample=12, seed=5).randomise(seed=2),
}


def refused(path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(Path, "read_bytes", lambda _: data)
    try:
        Allocation.load(path)
    except PlanError:
        return True
    return False


@pytest.mark.parametrize("name", RECORDED)
def test_any_byte_that_changes_is_refused(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    good = text(RECORDED[name].record())
    assert not refused(path, good, monkeypatch)
    flipped = [good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :] for k in range(len(good))]
    assert [data for data in flipped if not refused(path, data, monkeypatch)] == []


@pytest.mark.parametrize("edit", [lambda b: b"", lambda b: b + b, lambda b: b" " + b, lambda b: bytes([b[0] ^ 0x20])])
def test_any_byte_lost_doubled_or_capitalised_is_refused(
    path: Path, edit: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = text(RECORDED["drawn"].record())
    edited = [good[:k] + edit(good[k : k + 1]) + good[k + 1 :] for k in range(len(good))]
    assert [data for data in edited if not refused(path, data, monkeypatch)] == []


def test_a_byte_edited_on_disk_is_refused(path: Path) -> None:
    RECORDED["drawn"].save(path)
    good = path.read_bytes()
    assert Allocation.load(path) == RECORDED["drawn"]
    for k in range(0, len(good), 50):
        path.write_bytes(good[:k] + bytes([good[k] ^ 1]) + good[k + 1 :])
        with pytest.raises(PlanError):
            Allocation.load(path)


@pytest.mark.parametrize(
    ("keys", "value", "says"),
    [
        (("allocation", "B"), 1, "allocation is"),
        (("draw", "seed"), 2, "draw is"),
        (("draw", "index"), 0, "draw is"),
        (("draw", "generator"), "MT19937", "draw is"),
        (("draw", "numpy"), "9.9", "sha256 is"),
        (("list", "count"), 3, "list is"),
        (("list", "sha256"), "0" * 64, "list is"),
        (("design_sha256",), "0" * 64, "design_sha256 is"),
        (("design", "clusters"), ["A", "B", "D"], r"design cannot be read .*'D'|design cannot be read"),
        (("design", "boundaries"), ["2020-01-01", "2020-02-02", "2020-03-01", "2020-04-01", "2020-07-01"], "design_sha256 is"),
        (("design", "rows"), "0111", "rows"),
        (("design", "strata"), {}, "strata is dict, not a list"),
        (("design", "transition"), True, "transition is True"),
        (("draw", "seed"), "0xzz", "seed cannot be read"),
        (("draw", "seed"), -1, "seed is -1"),
        (("draw", "swedge"), None, "text for swedge"),
        (("draw",), [], "draw is list, not an object"),
        (("format",), "swedge allocation 2", "this version of swedge reads 'swedge allocation 1'"),
    ],
)
def test_the_part_that_was_edited_is_named(path: Path, keys: tuple[str, ...], value: object, says: str) -> None:
    content = RECORDED["drawn"].record()
    part = content
    for key in keys[:-1]:
        part = part[key]
    assert part[keys[-1]] != value
    part[keys[-1]] = value
    with pytest.raises(PlanError, match=says):
        Allocation.load(write(path, content))


def test_an_unknown_key_is_answered_with_the_nearest(path: Path) -> None:
    content = RECORDED["drawn"].record()
    content["draw"]["seeds"] = content["draw"].pop("seed")
    with pytest.raises(PlanError, match=r"'seeds' is unknown. Did you mean 'seed'\?; 'seed' is missing"):
        Allocation.load(write(path, content))


def test_another_spelling_of_the_same_content_is_refused(path: Path) -> None:
    path.write_text(json.dumps(RECORDED["drawn"].record(), indent=1))
    with pytest.raises(PlanError, match="spelling is not canonical"):
        Allocation.load(path)


def test_what_json_does_not_have_is_refused(path: Path) -> None:
    for content in ('{"format": NaN}', "[" * 100_000, "", "[]", "é"):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(PlanError):
            Allocation.load(path)


def test_a_forged_allocation_with_a_right_hash_is_refused(path: Path) -> None:
    drawn = RECORDED["drawn"]
    other = next(row for row in DESIGN.allocations() if tuple(row) != drawn.sequence)
    forged = Allocation(DESIGN, tuple(other), drawn.draw)
    with pytest.raises(PlanError, match=r"Seed 1 draws \(0, . .\) from this design|Seed 1 draws"):
        forged.save(path)
    assert not path.exists()
    with pytest.raises(PlanError, match="allocation is"):
        Allocation.load(write(path, forged.record()))


def test_a_carried_out_allocation_that_is_not_permitted_is_refused(path: Path) -> None:
    content = RECORDED["carried out"].record()
    content["allocation"] = {"A": 1, "B": 0, "C": 2}
    with pytest.raises(PlanError, match="strata do not permit"):
        Allocation.load(write(path, content))


def test_another_record_is_not_overwritten_unnoticed(path: Path) -> None:
    RECORDED["drawn"].save(path)
    RECORDED["drawn"].save(path)
    with pytest.raises(PlanError, match="holds another record"):
        RECORDED["carried out"].save(path)
    assert Allocation.load(path) == RECORDED["drawn"]
    RECORDED["carried out"].save(path, overwrite=True)
    assert Allocation.load(path) == RECORDED["carried out"]


def test_a_long_list_is_hashed_through_its_design(path: Path) -> None:
    allocation = Design.stepped_wedge(clusters=30).randomise(seed=2**80)
    content = allocation.record()
    assert content["list"]["of"] == "design"
    assert content["draw"]["seed"] == hex(2**80)
    allocation.save(path)
    assert Allocation.load(path).draw == allocation.draw


def test_a_draw_without_its_number_does_not_verify() -> None:
    with pytest.raises(PlanError, match="Seed 1 draws"):
        Allocation(DESIGN, RECORDED["drawn"].sequence, Draw.now(1, None)).verify()


def test_a_design_record_with_a_foreign_key_is_refused() -> None:
    content = DESIGN.record()
    content["stratum"] = content.pop("strata")
    with pytest.raises(PlanError, match="Did you mean 'strata'"):
        Design.from_record(content)


def test_an_allocation_is_checked_when_it_is_made() -> None:
    with pytest.raises(DesignError, match="strata do not permit"):
        Allocation(DESIGN, (1, 0, 2))
