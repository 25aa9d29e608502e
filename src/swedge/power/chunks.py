"""Chunks: the replicates that share one seed, drawn and analysed by every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swedge.design import Design
from swedge.errors import DesignError, FitError, Status, SwedgeError
from swedge.estimate import Estimator, TestResult, WaldTest
from swedge.power.scenario import Scenario
from swedge.trial import Trial

Array = NDArray[np.float64]

# Replicates that share one seed. A job may take many chunks; the digits depend on the chunks alone.
CHUNK = 250


class Test(Protocol):
    """Anything that tests an estimator on a trial."""

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial or a stack."""


Method = Estimator | tuple[Estimator, Test]
Pair = tuple[Estimator, Test]


class Draws(NamedTuple):
    """What one method gave, one entry a replicate."""

    estimate: Array
    std_error: Array
    p_value: Array
    conf_low: Array
    conf_high: Array
    status: NDArray[np.int8]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Which fits carry numbers."""
        return np.asarray(self.status <= Status.SINGULAR)

    def rejects(self, alpha: float) -> NDArray[np.bool_]:
        """Which replicates have p at most `alpha`; one without a p does not."""
        return np.asarray(np.nan_to_num(self.p_value, nan=1.0) <= alpha + 1e-12)


Piece = dict[str, Draws]


@dataclass(frozen=True, eq=False)
class Cell:
    """One truth on one design, analysed by every method.

    Attributes
    ----------
    pairs : dict of str to (Estimator, test)
    seed : int
    key : tuple of int
        Where in the tree of seeds the cell's chunks hang; empty for the root.
    """

    design: Design
    truth: Scenario
    pairs: dict[str, Pair]
    seed: int
    key: tuple[int, ...] = ()

    def seed_of(self, chunk: int) -> np.random.SeedSequence:
        """The chunk's own seed: the child that `SeedSequence.spawn` would give it."""
        return np.random.SeedSequence(int(self.seed), spawn_key=(*self.key, chunk))

    def draw(self, chunk: int, count: int) -> Trial:
        """The chunk's trials, the same for every method."""
        return self.truth.draw(self.design, count, np.random.default_rng(self.seed_of(chunk)))


def run_chunk(cell: Cell, chunk: int, count: int) -> Piece:
    """Draw one chunk and analyse it by every method.

    Raises
    ------
    SwedgeError
        If the scenario cannot be drawn or a method breaks down, naming which, and the chunk's seed. A fit that fails is no error: it is
        a status.
    """
    try:
        trial = cell.draw(chunk, count)
    except Exception as error:
        raise _located(error, "The scenario", cell, chunk) from error
    return {name: _analysed(cell, name, trial, chunk) for name in cell.pairs}


def _analysed(cell: Cell, name: str, trial: Trial, chunk: int) -> Draws:
    estimator, test = cell.pairs[name]
    try:
        return _draws(test.run(trial, estimator), trial.shape[0])
    except Exception as error:
        raise _located(error, f"Method {name!r}", cell, chunk) from error


def _located(error: Exception, what: str, cell: Cell, chunk: int) -> SwedgeError:
    """The same kind of error with the place; whatever is not swedge's own becomes a FitError."""
    kind = type(error) if isinstance(error, SwedgeError) else FitError
    said = str(error) if isinstance(error, SwedgeError) else f"{type(error).__name__}: {error}"
    seed = f"numpy.random.SeedSequence({int(cell.seed)}, spawn_key={(*cell.key, chunk)})"
    return kind(f"{what} failed in chunk {chunk}, whose seed is {seed}. {said}")


def _draws(result: TestResult, count: int) -> Draws:
    error = np.full(count, np.nan) if result.std_error is None else result.std_error
    return Draws(
        _column(result.estimate, count),
        _column(error, count),
        _column(result.p_value, count),
        _column(result.conf_int[..., 0], count),
        _column(result.conf_int[..., 1], count),
        _column(result.status, count).astype(np.int8),
    )


def _column(values: ArrayLike, count: int) -> Array:
    """A copy, so that a chunk does not keep the test's larger arrays alive."""
    column = np.array(values, dtype=float)
    if column.shape != (count,):
        raise FitError(f"The test gave an array of shape {column.shape} for a stack of {count} trials; expected one number a trial.")
    return column


def joined(pieces: Sequence[Piece]) -> Piece:
    """Chunks in order, as one."""
    return {name: Draws(*map(np.concatenate, zip(*(piece[name] for piece in pieces), strict=True))) for name in pieces[0]}


def pairs_of(methods: Mapping[str, Method]) -> dict[str, Pair]:
    """Estimators with their tests; a bare estimator gets `WaldTest`.

    Raises
    ------
    DesignError
        If there is none, or one is not an estimator.
    """
    if not isinstance(methods, Mapping):
        raise DesignError(f"methods is {methods!r}; expected a mapping from names to methods, such as {{'CR2': sw.FixedEffects()}}.")
    if not methods:
        raise DesignError("No methods were given. Pass for example {'CR2': sw.FixedEffects()}.")
    return {name: _pair(name, method) for name, method in methods.items()}


def _pair(name: str, method: Method) -> Pair:
    estimator, test = method if isinstance(method, tuple) and len(method) == 2 else (method, WaldTest())
    known: tuple[object, object] = (estimator, test)
    if not isinstance(known[0], Estimator) or not hasattr(known[1], "run"):
        raise DesignError(f"{name!r} is {method!r}; expected an estimator, or a pair (estimator, test).")
    return known[0], test
