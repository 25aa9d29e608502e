"""Carrying a simulation out: blocks of chunks on any number of workers, stopped in chunk order, written as they come."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from swedge.errors import DesignError
from swedge.power.chunks import CHUNK, Cell, Piece, joined, run_chunk
from swedge.power.store import Store

Job = tuple[int, Cell, list[tuple[int, int]]]


@dataclass(frozen=True)
class Run:
    """How a simulation is carried out. Of these only `reps` and `mcse` say what is computed; the rest says where and how fast.

    Attributes
    ----------
    reps : int
        Replicates of each cell; with `mcse`, the most.
    mcse : float or None
        Monte Carlo standard error at which a cell stops.
    block : int
        Chunks that a job takes and a file holds.
    """

    reps: int
    seed: int
    alpha: float
    mcse: float | None = None
    block: int = 1
    n_jobs: int | None = 1
    progress: bool | None = None
    client: Any = None

    def __post_init__(self) -> None:
        if not (_whole(self.reps) and self.reps >= 1):
            raise DesignError(f"reps={self.reps!r}; expected a whole number of replicates, at least 1.")
        if not (_whole(self.seed) and self.seed >= 0):
            raise DesignError(f"seed={self.seed!r}; expected a whole number, not negative.")
        if not 0 < self.alpha < 1:
            raise DesignError(f"alpha={self.alpha!r}; expected a number between 0 and 1, such as 0.05.")
        if self.mcse is not None and not 0 < self.mcse < 1:
            raise DesignError(f"mcse={self.mcse!r}; expected the Monte Carlo standard error to stop at, such as 0.005.")
        if not (_whole(self.block) and self.block >= 1):
            raise DesignError(f"block={self.block!r}; expected a whole number of chunks of {CHUNK} replicates, at least 1.")
        if self.n_jobs is not None and (not _whole(self.n_jobs) or self.n_jobs == 0):
            raise DesignError(f"n_jobs={self.n_jobs!r}; expected a number of processes, or -1 for one a core.")

    @property
    def chunks(self) -> int:
        """How many chunks hold `reps` replicates."""
        return -(-self.reps // CHUNK)

    def count(self, chunk: int) -> int:
        """Replicates in a chunk; the last may be short."""
        return min(CHUNK, self.reps - chunk * CHUNK)


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


class Tally:
    """The chunks of one cell as they come in, in whatever order, and how many of them are enough.

    A cell is decided by going through its chunks in order, so that the answer does not depend on who was quick.
    """

    def __init__(self, run: Run, saved: dict[int, Piece]) -> None:
        self.run = run
        self.pieces: dict[int, Piece] = {}
        self.used: int | None = None
        self.failures = 0
        self._passed = 0
        self._rejections: Any = 0
        self.add({chunk: piece for chunk, piece in saved.items() if self._fits(chunk, piece)})

    def _fits(self, chunk: int, piece: Piece) -> bool:
        """Whether a stored chunk is one of this run: the last chunk of a shorter run is not."""
        return chunk < self.run.chunks and all(len(draws.status) == self.run.count(chunk) for draws in piece.values())

    def add(self, pieces: dict[int, Piece]) -> None:
        """Take chunks in, and decide as far as they go."""
        self.pieces.update(pieces)
        self.failures += sum(int((~draws.usable).sum()) for piece in pieces.values() for draws in piece.values())
        while self.used is None and self._passed in self.pieces:
            self._pass(self.pieces[self._passed])

    def _pass(self, piece: Piece) -> None:
        alpha = self.run.alpha
        self._rejections = self._rejections + np.array([(draws.rejects(alpha) & draws.usable).sum() for draws in piece.values()])
        self._passed += 1
        if self._passed == self.run.chunks or self._precise():
            self.used = self._passed

    def _precise(self) -> bool:
        """Whether every method's error is small enough, judged at a rate drawn a little to one half: 0 of 250 is not yet certainty."""
        trials = self._passed * CHUNK
        rate = (self._rejections + 2) / (trials + 4)
        return self.run.mcse is not None and bool((rate * (1 - rate) <= trials * self.run.mcse**2).all())

    def pending(self, most: int | None) -> list[list[int]]:
        """The next blocks of chunks to run, at most `most` of them."""
        if self.used is not None:
            return []
        missing = (chunk for chunk in range(self._passed, self.run.chunks) if chunk not in self.pieces)
        return _blocks(list(islice(missing, most and most * self.run.block)), self.run.block)

    def draws(self) -> Piece:
        """What every method gave, in order."""
        return joined([self.pieces[chunk] for chunk in range(self.used or 0)])


def _blocks(chunks: Sequence[int], size: int) -> list[list[int]]:
    """Split into runs of neighbours, no longer than `size`.

    >>> _blocks([0, 1, 2, 4], 2)
    [[0, 1], [2], [4]]
    """
    blocks: list[list[int]] = []
    for chunk in chunks:
        if blocks and blocks[-1][-1] == chunk - 1 and len(blocks[-1]) < size:
            blocks[-1].append(chunk)
        else:
            blocks.append([chunk])
    return blocks


def simulate_cells(cells: Sequence[Cell], run: Run, store: Store | None) -> list[Piece]:
    """Every method's draws in every cell: those stored, and the rest computed."""
    saved = store.read() if store else {}
    tallies = [Tally(run, saved.get(i, {})) for i in range(len(cells))]
    with _placed(run), _bar(run, tallies) as bar:
        while wave := _wave(cells, tallies, run):
            for i, pieces in _carried_out(wave, run):
                if store:
                    store.write(i, pieces)
                tallies[i].add(pieces)
                bar.set_postfix(failed=sum(tally.failures for tally in tallies), refresh=False)
                bar.update(sum(run.count(chunk) for chunk in pieces))
    return [tally.draws() for tally in tallies]


def _wave(cells: Sequence[Cell], tallies: Sequence[Tally], run: Run) -> list[Job]:
    """Everything that is missing; or, where the end is not known, a block or so for each worker."""
    undecided = [i for i, tally in enumerate(tallies) if tally.used is None]
    most = None if run.mcse is None or not undecided else -(-_workers(run) // len(undecided))
    return [(i, cells[i], [(chunk, run.count(chunk)) for chunk in block]) for i in undecided for block in tallies[i].pending(most)]


def _carried_out(jobs: Sequence[Job], run: Run) -> Iterator[tuple[int, dict[int, Piece]]]:
    """Results as they are finished."""
    import joblib

    parallel = joblib.Parallel(n_jobs=run.n_jobs, return_as="generator_unordered")
    yield from parallel(joblib.delayed(run_block)(*job) for job in jobs)


def run_block(index: int, cell: Cell, chunks: list[tuple[int, int]]) -> tuple[int, dict[int, Piece]]:
    """One job: the cell's number, and its chunks by number."""
    return index, {chunk: run_chunk(cell, chunk, count) for chunk, count in chunks}


def _workers(run: Run) -> int:
    import joblib

    return int(joblib.effective_n_jobs(run.n_jobs))


@contextlib.contextmanager
def _placed(run: Run) -> Iterator[None]:
    """On the Dask client, if one was given; else wherever joblib is set to run."""
    import joblib

    if run.client is None:
        yield
        return
    with joblib.parallel_config(backend="dask", client=run.client):
        yield


@contextlib.contextmanager
def _bar(run: Run, tallies: Sequence[Tally]) -> Iterator[Any]:
    """A progress bar over replicates, with the time left; stored ones count as done but not towards the pace."""
    from tqdm import tqdm

    shown = sys.stderr.isatty() if run.progress is None else run.progress
    done = sum(run.count(chunk) for tally in tallies for chunk in tally.pieces)
    with tqdm(total=run.reps * len(tallies), initial=done, disable=not shown, unit="trial") as bar:
        yield bar
