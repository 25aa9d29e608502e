"""Power by simulation: any estimators and tests on one scenario, with Monte Carlo errors and failures counted."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design import Design
from swedge.errors import DesignError, Status
from swedge.estimate import Estimator, TestResult, WaldTest
from swedge.power.scenario import Scenario
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

# Replicates that share one seed. A job may take many chunks; the digits depend on the chunks alone.
CHUNK = 250


class Test(Protocol):
    """Anything that tests an estimator on a trial."""

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Test one trial or a stack."""


Method = Estimator | tuple[Estimator, Test]


class Draws(NamedTuple):
    """What one method gave, one entry a replicate."""

    estimate: Array
    std_error: Array
    p_value: Array
    conf_low: Array
    conf_high: Array
    status: NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class SimulatedPower:
    """Simulated operating characteristics of each method.

    Attributes
    ----------
    draws : dict of str to Draws
        Every replicate's results, by method.
    methods : dict of str to (estimator, test, scale)
        What each name stands for.
    """

    design: Design
    truth: Scenario
    draws: dict[str, Draws]
    methods: dict[str, tuple[str, str, str]]
    reps: int
    seed: int
    alpha: float

    def tidy(self) -> pd.DataFrame:
        """One row a method.

        Columns: ``estimator`` (its name here), ``test``, ``power`` (rejections over all replicates, a failed fit not rejecting), ``mcse``,
        ``type_1`` (whether the effect is zero, so that power is the size), ``bias``, ``empirical_se``, ``model_se``, ``coverage`` (all
        over fits that worked, nan when the method estimates on another scale than the scenario's), ``n_ok``, ``n_singular``, ``n_failed``,
        ``power_if_failures_reject``.
        """
        return pd.DataFrame([{"estimator": name, "test": self.methods[name][1], **self._row(name)} for name in self.draws])

    def _row(self, name: str) -> dict[str, Any]:
        draws = self.draws[name]
        ok = draws.status <= Status.SINGULAR
        rejects = np.nan_to_num(draws.p_value, nan=1.0) <= self.alpha + 1e-12
        power = float((rejects & ok).mean())
        return {
            "power": power,
            "mcse": float(np.sqrt(power * (1 - power) / self.reps)),
            "type_1": self.truth.effect == 0,
            **self._accuracy(name, draws, ok),
            "n_ok": int((draws.status == Status.OK).sum()),
            "n_singular": int((draws.status == Status.SINGULAR).sum()),
            "n_failed": int((~ok).sum()),
            "power_if_failures_reject": float((rejects | ~ok).mean()),
        }

    def _accuracy(self, name: str, draws: Draws, ok: NDArray[np.bool_]) -> dict[str, float]:
        same = self.methods[name][2] == {"risk": "identity"}.get(self.truth.scale, self.truth.scale)
        target = self.truth.effect if same and ok.any() else np.nan
        estimate, error = draws.estimate[ok], draws.std_error[ok]
        known = ~np.isnan(draws.conf_low[ok]).any() and ok.any()
        covered = (draws.conf_low[ok] <= target) & (target <= draws.conf_high[ok])
        return {
            "bias": float(estimate.mean() - target) if ok.any() else np.nan,
            "empirical_se": float(estimate.std(ddof=1)) if ok.sum() > 1 else np.nan,
            "model_se": float(np.sqrt((error**2).mean())) if ok.any() else np.nan,
            "coverage": float(covered.mean()) if known and not np.isnan(target) else np.nan,
        }

    def summary(self) -> str:
        """Each method's power with its Monte Carlo error and failures."""
        kind = "size" if self.truth.effect == 0 else "power"
        rows = [
            f"{row.estimator}: {kind} {row.power:.3f} (MCSE {row.mcse:.3f}, {self.reps:,} trials, {row.n_failed} failed)"
            for row in self.tidy().itertuples()
        ]
        return "\n".join(rows)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Power of each method with its 95% Monte Carlo interval."""
        from swedge._present.forest import draw_forest

        table = self.tidy()
        half = 1.96 * table["mcse"].to_numpy()
        power = table["power"].to_numpy()
        label = f"{'size' if self.truth.effect == 0 else 'power'} at two-sided {self.alpha:.0%}, with 95% Monte Carlo interval"
        return draw_forest(list(table["estimator"]), power, np.stack([power - half, power + half], -1), label, ax=ax)


def simulate_power(
    design: Design,
    truth: Scenario,
    methods: Mapping[str, Method],
    *,
    reps: int = 10_000,
    seed: int,
    alpha: float = 0.05,
    n_jobs: int = 1,
    progress: bool | None = None,
) -> SimulatedPower:
    """Simulate trials from a scenario, each under an allocation drawn from the design, and analyse them by every method.

    All methods see the same trials. Replicates are drawn in chunks of 250, each with its own child of the seed, so the digits are the same
    for any number of jobs.

    Parameters
    ----------
    design : Design
    truth : Scenario
    methods : mapping of str to Estimator or (Estimator, test)
        A bare estimator is tested by `WaldTest`.
    reps : int
    seed : int
        0 is a seed.
    alpha : float
        Two-sided level.
    n_jobs : int
        Processes, as joblib counts them.
    progress : bool, optional
        A progress bar; left out, only when standard error is a terminal.

    Raises
    ------
    DesignError
        If the scenario does not fit the design, or an argument makes no sense.

    Examples
    --------
    >>> import swedge as sw
    >>> truth = sw.Scenario(family="gaussian", baseline=0.0, effect=0.5, size=20, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8))
    >>> power = sw.simulate_power(sw.Design.stepped_wedge(5, 6), truth, {"mixed": sw.MixedModel()}, reps=250, seed=1)
    >>> power.tidy()["n_failed"].item()
    0
    """
    pairs = _pairs(methods)
    _check(reps, seed, alpha)
    seeds = np.random.SeedSequence(seed).spawn(-(-reps // CHUNK))
    counts = [min(CHUNK, reps - i * CHUNK) for i in range(len(seeds))]
    pieces = list(_run(design, truth, pairs, list(zip(seeds, counts, strict=True)), n_jobs, progress))
    draws = {name: Draws(*(np.concatenate(parts) for parts in zip(*(piece[name] for piece in pieces), strict=True))) for name in pairs}
    probe = truth.draw(design, 1, np.random.default_rng(0))
    named = {name: (repr(estimator), repr(test), estimator.scale(probe)) for name, (estimator, test) in pairs.items()}
    return SimulatedPower(design, truth, draws, named, reps, seed, alpha)


def _pairs(methods: Mapping[str, Method]) -> dict[str, tuple[Estimator, Test]]:
    if not methods:
        raise DesignError("No methods were given. Pass for example {'CR2': sw.FixedEffects()}.")
    pairs: dict[str, tuple[Estimator, Test]] = {}
    for name, method in methods.items():
        estimator, test = method if isinstance(method, tuple) else (method, WaldTest())
        known: object = estimator
        if not isinstance(known, Estimator):
            raise DesignError(f"{name!r} is {method!r}; expected an estimator, or a pair (estimator, test).")
        pairs[name] = (estimator, test)
    return pairs


def _check(reps: int, seed: int, alpha: float) -> None:
    if not (_whole(reps) and reps >= 1):
        raise DesignError(f"reps={reps!r}; expected a whole number of replicates, at least 1.")
    if not (_whole(seed) and seed >= 0):
        raise DesignError(f"seed={seed!r}; expected a whole number, not negative.")
    if not 0 < alpha < 1:
        raise DesignError(f"alpha={alpha!r}; expected a number between 0 and 1, such as 0.05.")


def _whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


Chunk = tuple[np.random.SeedSequence, int]


def _run(
    design: Design, truth: Scenario, pairs: dict[str, tuple[Estimator, Test]], chunks: list[Chunk], n_jobs: int, progress: bool | None
) -> Iterator[dict[str, Draws]]:
    import joblib
    from tqdm import tqdm

    shown = sys.stderr.isatty() if progress is None else progress
    jobs = (joblib.delayed(run_chunk)(design, truth, pairs, *chunk) for chunk in chunks)
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(jobs) if n_jobs != 1 else (f(*a, **k) for f, a, k in jobs)
    with tqdm(total=sum(count for _, count in chunks), disable=not shown, unit="trial") as bar:
        for (_, count), result in zip(chunks, results, strict=True):
            bar.update(count)
            yield result


def run_chunk(
    design: Design, truth: Scenario, pairs: dict[str, tuple[Estimator, Test]], seed: np.random.SeedSequence, count: int
) -> dict[str, Draws]:
    """Draw one chunk and analyse it by every method."""
    trial = truth.draw(design, count, np.random.default_rng(seed))
    return {name: _draws(test.run(trial, estimator), count) for name, (estimator, test) in pairs.items()}


def _draws(result: TestResult, count: int) -> Draws:
    unknown = np.full(count, np.nan)
    error = unknown if result.std_error is None else result.std_error
    return Draws(result.estimate, error, result.p_value, result.conf_int[..., 0], result.conf_int[..., 1], result.status)
