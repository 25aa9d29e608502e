from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import swedge as sw
from swedge.power import engine
from swedge.power.grid import SimulatedGrid, simulate_grid
from swedge.studies import family_safeguarding

pytest.importorskip("pyarrow", reason="a store is Parquet: pip install 'swedge[parquet]'")

STUDY = family_safeguarding()
TRUTH = STUDY.scenario(0.8, 0.1)
METHODS: dict[str, Any] = {"CR2": sw.FixedEffects(), "exact": (sw.WithinPeriod(), sw.RandomisationTest())}
LONG = 10_000
RUN = f"""
import sys
import swedge as sw
from swedge.studies import family_safeguarding

study = family_safeguarding()
methods = {{"CR2": sw.FixedEffects(), "exact": (sw.WithinPeriod(), sw.RandomisationTest())}}
sw.simulate_power(study.design, study.scenario(0.8, 0.1), methods, reps={LONG}, seed=3, store=sys.argv[1], n_jobs=int(sys.argv[2]))
"""


def power(store: Path | None, reps: int = 1100, **how: Any) -> sw.SimulatedPower:
    return sw.simulate_power(STUDY.design, TRUTH, METHODS, reps=reps, seed=3, store=store, **how)


def table(result: sw.SimulatedPower | SimulatedGrid) -> str:
    return result.tidy().to_csv(index=False)


def blocks(store: Path) -> list[Path]:
    return sorted(store.glob("block-*.parquet"))


@pytest.fixture(scope="module")
def whole() -> str:
    """The table of a run that nothing interrupted."""
    return table(power(None))


@pytest.fixture
def forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be computed."""

    def refuse(*_: object) -> None:
        raise AssertionError("A chunk was computed again.")

    monkeypatch.setattr(engine, "run_chunk", refuse)


def killed(store: Path, n_jobs: int) -> int:
    """Start the long run in another process, kill it without warning when three blocks are written, and count what it leaves."""
    run = subprocess.Popen([sys.executable, "-c", RUN, str(store), str(n_jobs)], stderr=subprocess.DEVNULL)
    while len(blocks(store)) < 3:
        assert run.poll() is None
        time.sleep(0.002)
    run.kill()
    assert run.wait() != 0
    return len(blocks(store))


@pytest.fixture(scope="module")
def straight() -> bytes:
    """The file that the long run comes to without interruption."""
    return table(power(None, reps=LONG)).encode()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_killed_run_resumes_to_a_table_identical_byte_for_byte(n_jobs: int, tmp_path: Path, straight: bytes) -> None:
    store, resumed = tmp_path / "store", tmp_path / "resumed.csv"
    assert 3 <= killed(store, n_jobs) < LONG // 250
    kept = {path: path.stat().st_mtime_ns for path in blocks(store)}
    power(store, reps=LONG).tidy().to_csv(resumed, index=False)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len(blocks(store)) == LONG // 250
    assert resumed.read_bytes() == straight


def test_a_finished_run_is_read_back_and_nothing_computed(tmp_path: Path, whole: str, request: pytest.FixtureRequest) -> None:
    assert table(power(tmp_path)) == whole
    request.getfixturevalue("forbidden")
    assert table(power(tmp_path)) == whole


@pytest.mark.parametrize(("before", "after"), [({"block": 2}, {"block": 1}), ({"block": 1}, {"block": 3, "n_jobs": 2})])
def test_a_run_resumes_with_other_blocks_and_other_workers(
    before: dict[str, int], after: dict[str, int], tmp_path: Path, whole: str
) -> None:
    power(tmp_path, **before)
    blocks(tmp_path)[1].unlink()
    assert table(power(tmp_path, **after)) == whole


def test_more_replicates_are_added_to_those_stored(tmp_path: Path, whole: str) -> None:
    power(tmp_path, reps=600)
    first = blocks(tmp_path)[0].stat().st_mtime_ns
    assert table(power(tmp_path)) == whole
    assert blocks(tmp_path)[0].stat().st_mtime_ns == first
    assert table(power(tmp_path, reps=600)) == table(power(None, reps=600))


def test_a_run_that_stopped_goes_on_to_a_smaller_error(tmp_path: Path) -> None:
    rough = power(tmp_path, reps=5_000, mcse=0.02)
    fine = power(tmp_path, reps=5_000, mcse=0.012)
    assert rough.reps < fine.reps < 5_000
    assert table(fine) == table(power(None, reps=fine.reps))
    assert table(power(tmp_path, reps=5_000, mcse=0.02, n_jobs=2)) == table(rough)


def test_a_half_written_file_is_ignored(tmp_path: Path, whole: str) -> None:
    power(tmp_path)
    written = blocks(tmp_path)[0]
    (tmp_path / f".{written.name}.123.part").write_bytes(written.read_bytes()[:500])
    written.unlink()
    assert table(power(tmp_path)) == whole


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "swapped"])
def test_a_damaged_block_is_told_and_computed_again(damage: str, tmp_path: Path, whole: str) -> None:
    power(tmp_path)
    first, second = blocks(tmp_path)[:2]
    data = first.read_bytes()
    middle = len(data) // 2
    changed = {
        "cut": data[:-1],
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "emptied": b"",
        "swapped": second.read_bytes(),
    }
    first.write_bytes(changed[damage])
    with pytest.warns(UserWarning, match=f"{first.name} was damaged"):
        assert table(power(tmp_path)) == whole
    assert table(power(tmp_path)) == whole


def test_a_block_of_another_study_does_not_pass(tmp_path: Path, whole: str) -> None:
    other = sw.simulate_power(STUDY.design, TRUTH, METHODS, reps=1100, seed=4, store=tmp_path / "other")
    assert table(other) != whole
    power(tmp_path / "mine")
    alien = blocks(tmp_path / "other")[0]
    blocks(tmp_path / "mine")[0].unlink()
    (tmp_path / "mine" / alien.name).write_bytes(alien.read_bytes())
    with pytest.warns(UserWarning, match="was damaged"):
        assert table(power(tmp_path / "mine")) == whole


def test_the_folder_is_one_parquet_data_set(tmp_path: Path) -> None:
    result = power(tmp_path, block=2)
    rows = pd.read_parquet(tmp_path).query("method == 'CR2'").sort_values("replicate")
    assert rows["replicate"].tolist() == list(range(1100))
    assert (rows["estimate"].to_numpy() == result.draws["CR2"].estimate).all()


def grid(store: Path | None, **how: Any) -> SimulatedGrid:
    scenarios = {"quiet": STUDY.scenario(0.8), "noisy": TRUTH}
    return simulate_grid({"FS": STUDY.design}, scenarios, METHODS, reps=600, seed=3, store=store, **how)


def test_a_grid_resumes_wherever_it_stopped(tmp_path: Path) -> None:
    expected = table(grid(None))
    assert table(grid(tmp_path, block=2)) == expected
    for path in blocks(tmp_path)[1:3]:
        path.unlink()
    assert table(grid(tmp_path, n_jobs=2)) == expected
    assert set(pd.read_parquet(tmp_path)["scenario"]) == {"quiet", "noisy"}


def test_a_grid_is_not_resumed_with_other_random_numbers(tmp_path: Path) -> None:
    grid(tmp_path)
    with pytest.raises(sw.PlanError, match="common is true there, false here"):
        grid(tmp_path, common=False)
