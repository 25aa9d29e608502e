"""Power by simulation: any estimators and tests on one scenario, with Monte Carlo errors and failures counted."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from swedge.design import Design
from swedge.power.chunks import CHUNK, Cell, Draws, Method, Test, pairs_of
from swedge.power.engine import Run, simulate_cells
from swedge.power.scenario import Scenario
from swedge.power.simulated import SimulatedPower, read_off, scales_of
from swedge.power.store import Store, described, manifest_of

__all__ = ["CHUNK", "Draws", "Method", "SimulatedPower", "Test", "simulate_power"]


def simulate_power(
    design: Design,
    truth: Scenario,
    methods: Mapping[str, Method],
    *,
    reps: int = 10_000,
    seed: int,
    alpha: float = 0.05,
    n_jobs: int | None = 1,
    progress: bool | None = None,
    mcse: float | None = None,
    block: int = 1,
    store: str | PathLike[str] | None = None,
    client: Any = None,
) -> SimulatedPower:
    """Simulate trials from a scenario, each under an allocation drawn from the design, and analyse them by every method.

    All methods see the same trials. Replicates are drawn in chunks of 250, each with its own child of the seed, so the digits are the same
    for any number of jobs and any block.

    Parameters
    ----------
    design : Design
    truth : Scenario
    methods : mapping of str to Estimator or (Estimator, test)
        A bare estimator is tested by `WaldTest`.
    reps : int
        Replicates; with `mcse`, the most.
    seed : int
        0 is a seed.
    alpha : float
        Two-sided level.
    n_jobs : int or None
        Processes, as joblib counts them: -1 is one a core, None what `joblib.parallel_config` says. Under
        ``joblib.parallel_config(backend="dask")`` the cluster's workers are used, whatever `n_jobs` is.
    progress : bool, optional
        A progress bar with the time left; left out, only when standard error is a terminal.
    mcse : float, optional
        Stop when the Monte Carlo standard error of every method's power is at most this, looking after each chunk in order.
    block : int
        Chunks that a job takes and a file of `store` holds.
    store : path, optional
        Folder that finished blocks are written to as Parquet files. The same call again takes up what is there: after a crash, or with
        more `reps`, another `mcse`, `block` or number of workers. ``pandas.read_parquet(store)`` gives every replicate.
    client : distributed.Client, optional
        Dask cluster to run on.

    Raises
    ------
    DesignError
        If the scenario does not fit the design, or an argument makes no sense.
    PlanError
        If `store` holds another study, naming what differs.
    SwedgeError
        If a method breaks down, naming it and the seed of the chunk.

    Notes
    -----
    The digits are those of one kind of machine and one version of NumPy: a cluster of unlike processors may differ in the last of them.

    Examples
    --------
    >>> import swedge as sw
    >>> truth = sw.Scenario(family="gaussian", baseline=0.0, effect=0.5, size=20, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8))
    >>> power = sw.simulate_power(sw.Design.stepped_wedge(5, 6), truth, {"mixed": sw.MixedModel()}, reps=250, seed=1)
    >>> power.tidy()["n_failed"].item()
    0
    """
    run = Run(reps, seed, alpha, mcse, block, n_jobs, progress, client)
    cell = Cell(design, truth, pairs_of(methods), seed)
    scales = scales_of(cell, run.count(0))
    opened = None if store is None else Store.opened(store, _manifest(cell, alpha))
    (draws,) = simulate_cells([cell], run, opened)
    return read_off(cell, scales, draws, alpha)


def _manifest(cell: Cell, alpha: float) -> dict[str, Any]:
    return manifest_of(cell.pairs, cell.seed, alpha, design=cell.design.record(), truth=described(cell.truth))
