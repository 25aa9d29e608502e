"""Power over a grid: scenarios x designs x estimators x tests in one call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swedge.design import Design
from swedge.errors import DesignError, SwedgeError
from swedge.estimate import SCALES
from swedge.power.chunks import Cell, Method, Pair, Test, pairs_of
from swedge.power.engine import Run, simulate_cells
from swedge.power.scenario import Scenario
from swedge.power.simulated import SimulatedPower, read_off, scales_of
from swedge.power.store import Store, described, manifest_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Name = str | float


@dataclass(frozen=True, eq=False)
class SimulatedGrid:
    """Simulated operating characteristics of each method, in every scenario on every design.

    Attributes
    ----------
    cells : dict of tuple to SimulatedPower
        By the names given, in the order of `tidy`.
    seed : int
    alpha : float
    common : bool
        Whether all cells were drawn from the same random numbers.
    """

    cells: dict[tuple[Name, Name], SimulatedPower]
    seed: int
    alpha: float
    common: bool

    def tidy(self) -> pd.DataFrame:
        """One row a design, scenario and method: ``design``, ``scenario``, and the columns of `SimulatedPower.tidy`."""
        parts = []
        for (design, scenario), power in self.cells.items():
            table = power.tidy()
            table.insert(0, "design", design)
            table.insert(1, "scenario", scenario)
            parts.append(table)
        return pd.concat(parts, ignore_index=True)

    def summary(self) -> str:
        """Each cell's power with its Monte Carlo error and failures, and one sentence of methods."""
        rows = [f"{_heading(*key)}\n{_indented(power.summary())}" for key, power in self.cells.items()]
        return "\n".join([*rows, self._methods()])

    def _methods(self) -> str:
        fewest, most = (pick(power.reps for power in self.cells.values()) for pick in (min, max))
        count = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
        return (
            f"Methods: power by simulation at a two-sided level of {self.alpha:g}; {count} trials in each of {len(self.cells)} cells, each"
            f" trial under an allocation drawn from its design; {'the same' if self.common else 'separate'} random numbers in all cells,"
            f" seed {self.seed}."
        )

    def plot(self, ax: Axes | None = None, xlabel: str | None = None) -> Axes:
        """Power curves with Monte Carlo bands where the scenarios are a range of effects; else every rate with its interval.

        The scenarios are a range when their names are numbers, or when they differ in nothing but their effect.
        """
        axis = self._axis()
        return self._rates(ax) if axis is None else self._curves(*axis, xlabel, ax)

    def _scenarios(self) -> dict[Name, Scenario]:
        return {scenario: power.truth for (_, scenario), power in self.cells.items()}

    def _axis(self) -> tuple[dict[Name, float], str] | None:
        """A number for each scenario, and what it is."""
        truths = self._scenarios()
        if len(truths) > 1 and all(isinstance(name, int | float) for name in truths):
            return {name: float(name) for name in truths}, "Scenario"
        return _effects(truths)

    def _curves(self, at: dict[Name, float], label: str, xlabel: str | None, ax: Axes | None) -> Axes:
        from swedge._present.power import draw_power_curves

        rates, errors = ({name: np.array(column) for name, column in self._series(which).items()} for which in ("power", "mcse"))
        return draw_power_curves(np.array(list(at.values())), rates, errors, xlabel or label, ax=ax, alpha=self.alpha)

    def _series(self, column: str) -> dict[str, list[float]]:
        """One column of `tidy` for each design and method, by scenario."""
        several, found = len({design for design, _ in self.cells}) > 1, defaultdict[str, list[float]](list)
        for (design, _), power in self.cells.items():
            table = power.tidy()
            for name, value in zip(table["estimator"], table[column], strict=True):
                found[f"{design}: {name}" if several else name].append(value)
        return found

    def _rates(self, ax: Axes | None) -> Axes:
        from swedge._present.forest import draw_forest

        table = self.tidy()
        power, half = table["power"].to_numpy(), 1.96 * table["mcse"].to_numpy()
        labels = [f"{_heading(*key)}: {name}" for key, cell in self.cells.items() for name in cell.draws]
        label = f"rejection rate at two-sided {self.alpha:.0%}, with 95% Monte Carlo interval"
        return draw_forest(labels, power, np.stack([power - half, power + half], -1), label, ax=ax, null=self.alpha)


def _heading(design: Name, scenario: Name) -> str:
    return f"{design}, {scenario}"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


def _effects(truths: Mapping[Name, Scenario]) -> tuple[dict[Name, float], str] | None:
    """The scenarios' effects, if these are all that differs."""
    first, *others = [replace(truth, effect=0.0) for truth in truths.values()]
    effects = {name: truth.effect for name, truth in truths.items()}
    if not others or any(other != first for other in others):
        return None
    scale = SCALES.get({"risk": "identity"}.get(first.scale, first.scale), first.scale)
    return effects, f"Effect ({scale})"


def simulate_grid(
    designs: Mapping[Name, Design],
    scenarios: Mapping[Name, Scenario],
    methods: Mapping[str, Method],
    *,
    tests: Mapping[str, Test] | None = None,
    reps: int = 10_000,
    seed: int,
    alpha: float = 0.05,
    common: bool = True,
    n_jobs: int | None = 1,
    progress: bool | None = None,
    mcse: float | None = None,
    block: int = 1,
    store: str | PathLike[str] | None = None,
    client: Any = None,
) -> SimulatedGrid:
    """Simulate every scenario on every design, and analyse it by every method.

    Parameters
    ----------
    designs : mapping of name to Design
    scenarios : mapping of name to Scenario
        Names may be numbers, such as the odds ratio assumed; they are then the x axis of `SimulatedGrid.plot`.
    methods : mapping of str to Estimator or (Estimator, test)
    tests : mapping of str to test, optional
        Apply each of these to each of `methods`, which must then be bare estimators; a method is called "estimator, test".
    reps : int
        Replicates in each cell; with `mcse`, the most.
    seed : int
        0 is a seed.
    alpha : float
        Two-sided level.
    common : bool
        Whether all cells are drawn from the same random numbers: allocations and random effects are then shared, which sharpens
        differences between scenarios, and every cell has the digits of `simulate_power` with this seed. (Counts drawn with other risks
        may use other numbers.) If not, each cell has its own child of the seed, by its place.
    n_jobs, progress, mcse, block, store, client
        As in `simulate_power`; all cells share the workers and the folder, and each stops by itself.

    Raises
    ------
    DesignError
        If a scenario does not fit a design, naming both, or an argument makes no sense.
    PlanError
        If `store` holds another study, naming what differs.
    SwedgeError
        If a method breaks down, naming it and the seed of the chunk.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import numpy as np, swedge as sw
    >>> null = sw.Scenario(family="binomial", baseline=0.06, size=200)
    >>> scenarios = {ratio: replace(null, effect=np.log(ratio)) for ratio in (1.0, 0.8)}
    >>> grid = sw.simulate_grid({"5 x 6": sw.Design.stepped_wedge(5, 6)}, scenarios, {"CR2": sw.FixedEffects()}, reps=250, seed=1)
    >>> grid.tidy()["scenario"].tolist()
    [1.0, 0.8]
    """
    run = Run(reps, seed, alpha, mcse, block, n_jobs, progress, client)
    _require(designs, Design, "designs")
    _require(scenarios, Scenario, "scenarios")
    pairs = pairs_of(methods if tests is None else _crossed(methods, tests))
    keys = list(product(designs, scenarios))
    cells = [Cell(designs[d], scenarios[s], pairs, seed, () if common else (k,)) for k, (d, s) in enumerate(keys)]
    scales = [_scales(cell, run.count(0), key) for cell, key in zip(cells, keys, strict=True)]
    opened = None if store is None else Store.opened(store, _manifest(designs, scenarios, pairs, run, common), _labels(keys))
    results = simulate_cells(cells, run, opened)
    powers = [read_off(*found, alpha) for found in zip(cells, scales, results, strict=True)]
    return SimulatedGrid(dict(zip(keys, powers, strict=True)), seed, alpha, common)


def _require(given: object, kind: type, what: str) -> None:
    if not isinstance(given, Mapping) or not given:
        raise DesignError(f"{what} is {given!r}; expected a mapping of names to {kind.__name__}s, with at least one.")
    for name, value in given.items():
        if not isinstance(value, kind):
            raise DesignError(f"{what}[{name!r}] is {value!r}; expected a {kind.__name__}.")


def _crossed(methods: Mapping[str, Method], tests: Mapping[str, Test]) -> dict[str, Method]:
    paired = [name for name, method in methods.items() if isinstance(method, tuple)]
    if paired:
        raise DesignError(
            f"{paired[0]!r} already has a test, and tests= would give it others. Pass the bare estimator, or leave tests= out."
        )
    if not tests:
        raise DesignError("tests= is empty. Pass for example {'exact': sw.RandomisationTest()}, or leave it out.")
    return {f"{one}, {other}": (method, test) for (one, method), (other, test) in product(methods.items(), tests.items())}  # type: ignore[misc]  # no pairs are left


def _scales(cell: Cell, count: int, key: tuple[Name, Name]) -> dict[str, str]:
    try:
        return scales_of(cell, count)
    except SwedgeError as error:
        raise type(error)(f"Scenario {key[1]!r} on design {key[0]!r}: {error}") from error


def _manifest(
    designs: Mapping[Name, Design], scenarios: Mapping[Name, Scenario], pairs: Mapping[str, Pair], run: Run, common: bool
) -> dict[str, Any]:
    """The study, its designs and scenarios as lists: where a cell stands decides which file and, unless `common`, which seed is its own."""
    return manifest_of(
        pairs,
        run.seed,
        run.alpha,
        common=common,
        designs=[[described(name), design.record()] for name, design in designs.items()],
        scenarios=[[described(name), described(truth)] for name, truth in scenarios.items()],
    )


def _labels(keys: Sequence[tuple[Name, Name]]) -> list[dict[str, Any]]:
    return [{"design": str(design), "scenario": str(scenario)} for design, scenario in keys]
