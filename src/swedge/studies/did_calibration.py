"""How often each difference-in-differences analysis rejects a true null, and how often its interval holds its target: in one table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.validation import seed_number, whole
from swedge.errors import DesignError, FitError, listing
from swedge.estimate import LinearEstimator, WaldTest
from swedge.estimators import (
    CallawaySantAnna,
    ExtendedTwoWay,
    GeneralisedDiD,
    Imputation,
    StackedDiD,
    SunAbraham,
    SwitcherComparison,
    Switchers,
    TwoStage,
    TwoWayFixedEffects,
)
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD
from swedge.inference import PlaceboTest, RandomisationTest, WildBootstrapTest
from swedge.inference.few_treated import ConleyTaberTest, FermanPintoTest
from swedge.studies.facts import family_safeguarding
from swedge.studies.study import Study
from swedge.trial import Trial

Array = NDArray[np.float64]

COLUMNS = ("setting", "effect", "estimator", "inference", "default", "rejection", "mcse", "coverage", "bias", "n_ok", "n_failed")

#: Estimators by name, with their defaults; nobody drew the comparators by lot, so Roth and Sant'Anna's takes the whole baseline out.
ESTIMATORS: dict[str, LinearEstimator] = {
    "CallawaySantAnna, never treated": CallawaySantAnna(),
    "CallawaySantAnna, not yet treated": CallawaySantAnna(controls="not_yet"),
    "SunAbraham": SunAbraham(),
    "Imputation": Imputation(),
    "TwoStage": TwoStage(),
    "ExtendedTwoWay": ExtendedTwoWay(),
    "StackedDiD": StackedDiD(),
    "Switchers": Switchers(),
    "SwitcherComparison": SwitcherComparison(),
    "GeneralisedDiD": GeneralisedDiD(),
    "RothSantAnna, beta=1": RothSantAnna(beta=1),
    "SyntheticDiD": SyntheticDiD(),
    "SyntheticControl": SyntheticControl(),
    "TwoWayFixedEffects": TwoWayFixedEffects(),
}

#: Standard errors beside the default: a name, and what of `vcov` and `df` it is. An estimator that does not have one goes without.
STANDARD_ERRORS: dict[str, dict[str, str]] = {
    "default": {},
    "CR2, Satterthwaite df": {"vcov": "CR2", "df": "satterthwaite"},
    "CR3, clusters - 1 df": {"vcov": "CR3", "df": "clusters"},
    "CR1, clusters - 1 df": {"vcov": "CR1", "df": "clusters"},
    "influence, normal": {"vcov": "influence", "df": "normal"},
    "Neyman, clusters - 1 df": {"vcov": "neyman", "df": "clusters"},
}

#: Tests on a reference distribution: a name, and how to draw it.
TESTS: dict[str, Any] = {
    "randomisation test": RandomisationTest(interval=False),
    "placebo test": PlaceboTest(draws=199),
    "Conley-Taber": ConleyTaberTest(draws=999),
    "Ferman-Pinto": FermanPintoTest(draws=199),
    "wild bootstrap, Webb": WildBootstrapTest(weights="webb", draws=399),
}


@dataclass(frozen=True)
class Noise:
    """What disturbs cell means, whose own standard deviation is 1: by authority and period, comparators `beside` times as much.

    With `sizes` half of its variance is sampling error of the study's sizes, comparators being 2,000 to 11,000 children.
    """

    autocorrelation: float = 0.5
    beside: float = 1.0
    sizes: bool = False


#: The settings by name; defaults have to hold their size in the first.
SETTINGS: dict[str, Noise] = {
    "autocorrelation .5": Noise(),
    "independent": Noise(autocorrelation=0.0),
    "autocorrelation .9": Noise(autocorrelation=0.9),
    "sizes unlike": Noise(sizes=True),
    "comparators half as noisy": Noise(beside=0.5),
    "comparators twice as noisy": Noise(beside=2.0),
}

EFFECTS = ("none", "constant", "growing")

# Standard deviation of the authorities' own levels and their common trend a period, beside noise of 1; trials that are drawn together.
LEVEL, TREND = 2.0, 0.3
BLOCK = 250
ALPHA = 0.05


class _Block(NamedTuple):
    """Replicates that are drawn and analysed together."""

    study: Study
    comparators: int
    setting: str
    effect: str
    estimators: tuple[str, ...]
    size: int
    tests: int
    stream: tuple[int, int]


class _Drawn(NamedTuple):
    """Trials as a stack, and the true effect in each cell ``(R, I, T)``."""

    trials: Trial
    truth: Array


class _Counts(NamedTuple):
    """What some trials said of an analysis."""

    ok: int
    failed: int
    rejected: int
    covered: float
    error: float


def did_calibration_table(
    reps: int,
    *,
    seed: int,
    settings: Sequence[str] = tuple(SETTINGS),
    effects: Sequence[str] = ("none",),
    estimators: Sequence[str] = tuple(ESTIMATORS),
    tested: int | None = None,
    comparators: int = 10,
    study: Study | None = None,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Rejection rate at a nominal 5%, coverage of the 95% interval and bias, for every difference-in-differences analysis.

    Every replicate draws one of the study's permitted allocations, the comparison authorities staying untreated, and cell means with
    levels by authority (standard deviation 2), a trend, and noise by authority and period (standard deviation 1).

    Parameters
    ----------
    reps : int
        Replicates for each setting and effect.
    seed : int
        0 is a seed. Every setting and effect starts from it.
    settings : sequence of str
        Of `SETTINGS`: which noise.
    effects : sequence of {"none", "constant", "growing"}
        An effect of 1, or one that grows evenly with the periods under treatment, by half a period's noise in each.
    estimators : sequence of str
        Of `ESTIMATORS`.
    tested : int, optional
        How many of the replicates are put to the tests on a reference distribution, which take a trial at a time; a tenth by default.
    comparators : int
        Never-treated authorities.
    study : Study, optional
        Whose design and sizes are used; `family_safeguarding` by default.
    n_jobs : int
        Processes; the digits do not depend on it.

    Returns
    -------
    DataFrame
        One row a setting, effect, estimator and inference: ``setting, effect, estimator, inference, default, rejection, mcse, coverage,
        bias, n_ok, n_failed``. Coverage is of the estimator's own target, its weights times the true effects; bias is the mean estimate
        less the mean true effect in treated cells. A failed fit does not reject, and is counted.

    Raises
    ------
    DesignError
        If a setting, effect or estimator is not one that exists, or a count is no positive whole number.

    Examples
    --------
    >>> table = did_calibration_table(20, seed=1, settings=["independent"], estimators=["Imputation"], tested=1)
    >>> table.loc[table["default"], "inference"].tolist()
    ['default']
    """
    import joblib

    for what, given, known in (("settings", settings, SETTINGS), ("effects", effects, EFFECTS), ("estimators", estimators, ESTIMATORS)):
        _check(what, given, known)
    tests = max(whole(reps, "reps", least=1) // 10, 1) if tested is None else min(whole(tested, "tested"), reps)
    whole(comparators, "comparators", least=2)
    shown = family_safeguarding() if study is None else study
    blocks = [
        _Block(shown, comparators, setting, effect, tuple(estimators), size, min(max(tests - done, 0), size), (seed_number(seed), done))
        for effect in effects
        for setting in settings
        for done, size in _sizes_of_blocks(reps)
    ]
    found = joblib.Parallel(n_jobs=n_jobs)(joblib.delayed(_rows)(block) for block in blocks)
    return _summed(pd.DataFrame([row for rows in found for row in rows]))[list(COLUMNS)]


def _check(what: str, given: Sequence[str], known: Iterable[str]) -> None:
    unknown = [given] if isinstance(given, str) else [name for name in given if name not in known]
    if unknown or not given:
        raise DesignError(f"{what} holds {listing(unknown) if unknown else 'nothing'}; expected a list of: {', '.join(known)}.")


def _sizes_of_blocks(reps: int) -> list[tuple[int, int]]:
    """How many replicates came before each block, and how many are in it."""
    return [(done, min(BLOCK, reps - done)) for done in range(0, reps, BLOCK)]


def _rows(block: _Block) -> list[dict[str, Any]]:
    """Counts of every analysis over one block of replicates."""
    drawn = _draw(block)
    where = {"setting": block.setting, "effect": block.effect}
    return [
        {**where, "estimator": name, "inference": how, "default": default, **counts._asdict()}
        for name in block.estimators
        for how, default, counts in _analyses(ESTIMATORS[name], drawn, block.tests)
    ]


def _draw(block: _Block) -> _Drawn:
    design, noise, rng = block.study.design, SETTINGS[block.setting], np.random.default_rng(block.stream)
    n = _sizes(block.study, block.comparators) if noise.sizes else np.ones((design.n_clusters + block.comparators, design.n_periods))
    names = [f"comparator {k + 1}" for k in range(block.comparators)]
    shell = Trial.from_cells(n, np.zeros(n.shape), design.randomise(seed=0), comparators=names)
    stack = shell.reallocated(design.random_allocations(block.size, rng))
    truth = stack.arm * np.asarray({"none": 0.0, "constant": 1.0, "growing": 0.5 * stack.exposure}[block.effect])
    mean = _levels(n, block.size, rng) + _errors(n, noise, design.n_clusters, block.size, rng) + truth
    return _Drawn(replace(stack, cells=replace(stack.cells, mean=mean[..., None])), np.broadcast_to(truth, mean.shape))


def _sizes(study: Study, comparators: int) -> Array:
    """Children in each cell, ``(I, T)``."""
    beside = np.linspace(2_000, 11_000, comparators)[:, None] * study.day_share
    return np.concatenate([study.cell_sizes, np.rint(beside)])


def _levels(n: Array, size: int, rng: np.random.Generator) -> Array:
    """Levels of clusters, and a trend that all share."""
    return LEVEL * rng.standard_normal((size, len(n), 1)) + TREND * np.arange(n.shape[1])


def _errors(n: Array, noise: Noise, treated: int, size: int, rng: np.random.Generator) -> Array:
    """Errors of cell means ``(size, I, T)``: stationary noise, and sampling error where sizes count."""
    own, fresh = np.empty((size, *n.shape)), rng.standard_normal((size, *n.shape))
    own[..., 0] = fresh[..., 0]
    for t in range(1, n.shape[-1]):
        own[..., t] = noise.autocorrelation * own[..., t - 1] + np.sqrt(1 - noise.autocorrelation**2) * fresh[..., t]
    own[:, treated:] *= noise.beside
    sampled = rng.standard_normal(own.shape) * np.sqrt(1 / n / (1 / n).mean())
    return np.asarray((own + sampled) / np.sqrt(2) if noise.sizes else own)


def _analyses(estimator: LinearEstimator, drawn: _Drawn, tests: int) -> Iterator[tuple[str, bool, _Counts]]:
    """Every inference that goes with an estimator: its name, whether it is the default, and its counts."""
    target = (estimator.weights(drawn.trials) * drawn.truth).sum((-2, -1))
    mean = drawn.truth.sum((-2, -1)) / drawn.trials.arm.sum((-2, -1))
    for how, fitted in _variants(estimator):
        result = WaldTest().read(fitted.fit(drawn.trials))
        yield how, how == "default", _counted(result.p_value, result.conf_int, result.estimate, target, mean)
    for how, test in TESTS.items() if tests else ():
        if how != "wild bootstrap, Webb" or isinstance(estimator, TwoWayFixedEffects):
            yield how, False, _tested(test, estimator, drawn, target, mean, tests)


def _variants(estimator: LinearEstimator) -> Iterator[tuple[str, LinearEstimator]]:
    """The estimator with every standard error that it has, each once."""
    seen: list[LinearEstimator] = []
    for how, choice in STANDARD_ERRORS.items():
        try:
            variant = replace(estimator, **choice)  # type: ignore[type-var]
        except FitError:
            continue
        if variant not in seen:
            seen.append(variant)
            yield how, variant


def _tested(test: Any, estimator: LinearEstimator, drawn: _Drawn, target: Array, mean: Array, tests: int) -> _Counts:
    """A test of the first replicates, one at a time."""
    results = [test.run(drawn.trials.replicate(k), estimator) for k in range(tests)]
    p, limits, estimate = (np.array([np.asarray(getattr(r, name)) for r in results]) for name in ("p_value", "conf_int", "estimate"))
    return _counted(p, limits, estimate, target[:tests], mean[:tests])


def _counted(p: Array, limits: Array, estimate: Array, target: Array, mean: Array) -> _Counts:
    good = np.isfinite(p)
    covered = np.where(np.isnan(limits).any(-1), np.nan, (limits[..., 0] <= target) & (target <= limits[..., 1]))[good].sum()
    return _Counts(int(good.sum()), int((~good).sum()), int((p[good] < ALPHA).sum()), float(covered), float((estimate - mean)[good].sum()))


def _summed(found: pd.DataFrame) -> pd.DataFrame:
    """Blocks added up: rates over all replicates, coverage and bias over those that gave a number."""
    keys = ["setting", "effect", "estimator", "inference", "default"]
    total = found.groupby(keys, sort=False)[list(_Counts._fields)].sum(min_count=1)
    tried = total["ok"] + total["failed"]
    total["rejection"] = total["rejected"] / tried
    total["mcse"] = np.sqrt(total["rejection"] * (1 - total["rejection"]) / tried)
    total["coverage"], total["bias"] = total["covered"] / total["ok"], total["error"] / total["ok"]
    return total.rename(columns={"ok": "n_ok", "failed": "n_failed"}).reset_index()
