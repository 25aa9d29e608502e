"""maxT and adjusted p values written out as loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import swedge as sw
from swedge.inference import MaxT, multiplicity

Array = np.ndarray
FS = sw.Design.stepped_wedge(["Wal", "Lan", "Tel", "Wan", "Swi"], strata=[["Wal", "Lan"], ["Tel", "Wan", "Swi"]])
WEDGE = sw.Design.stepped_wedge(clusters=5, periods=6)


def outcomes(design: sw.Design, seed: int, effects: tuple[float, ...] = (0.0, 0.6, 1.5), shared: float = 0.8) -> dict[str, sw.Trial]:
    rng = np.random.default_rng([seed, 11])
    allocation = design.randomise(seed=seed)
    shape = (design.n_clusters, design.n_periods)
    common = rng.standard_normal(shape) + rng.standard_normal((shape[0], 1))
    made = [shared * common + rng.standard_normal(shape) + effect * allocation.treatment for effect in effects]
    return {f"y{k}": sw.Trial.from_cells(rng.integers(20, 60, shape), y, allocation) for k, y in enumerate(made)}


def statistics(trial: sw.Trial, estimator: sw.Estimator, statistic: str) -> Array:
    """One statistic an allocation, each by its own fit."""
    fits = [estimator.fit(trial.reallocated(np.asarray(order))) for order in trial.design.allocations()]
    return np.array([float(fit.estimate if statistic == "estimate" else fit.statistic) for fit in fits])


def written_out(reference: Array, observed: Array) -> tuple[list[float], list[float]]:
    """Single-step and step-down p, outcome by outcome and allocation by allocation."""
    far, near, count = np.abs(reference), np.abs(observed), len(observed)

    def p(k: int, among: list[int]) -> float:
        return float(np.mean([max(row[j] for j in among) >= near[k] * (1 - 1e-9) for row in far]))

    single = [p(k, list(range(count))) for k in range(count)]
    order = sorted(range(count), key=lambda k: -near[k])
    step, least = [0.0] * count, 0.0
    for place, k in enumerate(order):
        least = max(least, p(k, order[place:]))
        step[k] = least
    return single, step


@pytest.mark.parametrize("design", [FS, WEDGE])
@pytest.mark.parametrize("statistic", ["t", "estimate"])
@pytest.mark.parametrize("seed", [0, 1])
def test_maxt_is_the_loop_over_allocations(design: sw.Design, statistic: str, seed: int) -> None:
    trials = outcomes(design, seed)
    estimators = [sw.WithinPeriod(), sw.TwoWayFixedEffects(), sw.FixedEffects()]
    reference = np.column_stack([statistics(t, e, statistic) for t, e in zip(trials.values(), estimators, strict=True)])
    at = np.flatnonzero((np.asarray(design.allocations()) == trials["y0"].allocation.sequence).all(1)).item()
    if statistic == "estimate":
        reference = reference / np.sqrt((reference**2).mean(0))
    single, step = written_out(reference, reference[at])
    result = MaxT(statistic=statistic).run({name: (t, e) for (name, t), e in zip(trials.items(), estimators, strict=True)})
    assert result.statistic == pytest.approx(reference[at], rel=1e-8)
    assert result.single_step == pytest.approx(single, abs=1e-12)
    assert result.step_down == pytest.approx(step, abs=1e-12)
    assert result.exact
    assert result.n_allocations == design.count()


def test_holm_hochberg_and_bonferroni_by_their_definitions() -> None:
    rng = np.random.default_rng(0)
    for size in (1, 2, 5):
        p = np.round(rng.random(size), 2)
        rank = np.sort(p)
        defined = {
            "bonferroni": [min(1, size * value) for value in p],
            "holm": [min(1, max((size - j) * rank[j] for j in range(size) if rank[j] <= value)) for value in p],
            "hochberg": [min(1, min((size - j) * rank[j] for j in range(size) if rank[j] >= value)) for value in p],
        }
        for method, expected in defined.items():
            frame = multiplicity(dict(zip("abcde", p, strict=False)), method=method)
            assert frame["p_adjusted"].tolist() == pytest.approx(expected, abs=1e-12)
            assert frame["outcome"].tolist() == list("abcde"[:size])


def test_holm_is_the_closure_of_bonferroni() -> None:
    """The adjusted p is the largest Bonferroni p of any set of hypotheses that holds this one."""
    p = {"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.5}
    sets = [s for r in range(1, 5) for s in itertools.combinations(p, r)]
    closed = [max(min(1.0, len(s) * min(p[k] for k in s)) for s in sets if name in s) for name in p]
    assert multiplicity(p)["p_adjusted"].tolist() == pytest.approx(closed, abs=1e-12)
