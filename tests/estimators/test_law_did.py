"""What every difference-in-differences estimator promises, from one table. Add an estimator to CASES and it is held to every law."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.difference import DifferenceInDifferences
from swedge.estimators.extended_two_way import ExtendedTwoWay
from swedge.estimators.generalised import GeneralisedDiD
from swedge.estimators.imputation import Imputation
from swedge.estimators.roth_santanna import RothSantAnna
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.sun_abraham import SunAbraham
from swedge.estimators.switcher_comparison import SwitcherComparison
from swedge.estimators.switchers import Switchers
from swedge.estimators.synthetic import SyntheticControl, SyntheticDiD
from swedge.estimators.two_stage import TwoStage

Array = np.ndarray


@dataclass(frozen=True)
class Case:
    """An estimator, and the laws that it is excused from with the reason."""

    name: str
    estimator: DifferenceInDifferences
    exempt: tuple[tuple[str, str], ...] = ()


OWN = {"vcov": "influence", "df": "normal"}
STACKED_POOLS = "the stacked regression has no effect of each experiment's periods: its variance counts their differences as noise"
CR2 = {"vcov": "CR2", "df": "satterthwaite"}
NO_PAIR = ("randomisation", "groups of one cluster leave none")
LEARNT = ("weights", "outcomes before treatment make the weights")
NOISE = ("constants", "the noise that scales the penalty counts the periods' own changes, as the authors' package does")
LEVELS = tuple((law, "clusters' own levels stay in the estimate") for law in ("constants", "sums", "two by two"))
CASES = [
    *[Case(f"callaway-santanna {a}", CallawaySantAnna(aggregate=a)) for a in ("simple", "group", "calendar", "dynamic", None)],
    Case("callaway-santanna not yet", CallawaySantAnna(controls="not_yet", aggregate="group", **OWN)),
    Case("callaway-santanna universal", CallawaySantAnna(base="universal", aggregate="dynamic", **OWN)),
    Case("callaway-santanna doubly robust", CallawaySantAnna(covariates=("x",), aggregate="calendar", **OWN)),
    Case("callaway-santanna regression", CallawaySantAnna(covariates=("x",), adjust="outcome regression")),
    Case("callaway-santanna ipw", CallawaySantAnna(covariates=("x",), adjust="ipw", controls="not_yet")),
    *[Case(f"sun-abraham {a}", SunAbraham(aggregate=a)) for a in ("att", "dynamic", "cohort", None)],
    Case("sun-abraham saturated", SunAbraham(aggregate="dynamic", vcov="saturated", df="clusters")),
    *[Case(f"imputation {a}", Imputation(aggregate=a)) for a in ("simple", "group", "calendar", "dynamic", None)],
    Case("imputation leads", Imputation(aggregate="dynamic", leads=2, **OWN), (("two by two", "there is one period before treatment"),)),
    Case("imputation leave one out", Imputation(leave_one_out=True, **OWN), (NO_PAIR,)),
    *[Case(f"two-stage {a}", TwoStage(aggregate=a, **OWN)) for a in ("simple", "group", "calendar", "dynamic", None)],
    Case("two-stage leads", TwoStage(aggregate="dynamic", leads=2), (("two by two", "there is one period before treatment"),)),
    *[Case(f"extended two-way {a}", ExtendedTwoWay(aggregate=a)) for a in ("simple", "group", "calendar", "dynamic", None)],
    Case("extended two-way own", ExtendedTwoWay(aggregate="dynamic", vcov="influence", df="clusters")),
    Case("extended two-way never", ExtendedTwoWay(controls="never", vcov="influence", df="clusters")),
    Case("stacked treated", StackedDiD(after=0)),
    Case("stacked treated own", StackedDiD(after=0, **OWN), (("constants", STACKED_POOLS),)),
    Case("stacked variance", StackedDiD(after=0, weigh="variance", **OWN)),
    Case("stacked wide", StackedDiD(before=2, controls="strict"), (("two by two", "the window is longer than two periods"),)),
    Case("stacked never", StackedDiD(controls="never", weigh="variance"), (("two by two", "the window is longer than two periods"),)),
    Case("switchers", Switchers()),
    Case("switchers placebos", Switchers(effects=2, placebos=2, **OWN)),
    *[Case(f"switcher comparison {c}", SwitcherComparison(controls=c, **OWN)) for c in ("control", "both")],
    Case("switcher comparison always", SwitcherComparison(controls="always"), (("two by two", "nobody is treated throughout"),)),
    *[Case(f"switcher comparison {w}", SwitcherComparison(weigh=w)) for w in ("harmonic", "switchers")],
    *[Case(f"generalised {a}", GeneralisedDiD(alike=a)) for a in ("constant", "calendar", "exposure", "group-time", "cell")],
    *[Case(f"roth-santanna did {a}", RothSantAnna(beta=1, aggregate=a)) for a in ("simple", "cohort", "calendar", "event")],
    Case("roth-santanna last", RothSantAnna(beta=1, controls="last", aggregate="cohort", **CR2)),
    Case("roth-santanna means", RothSantAnna(beta=0, aggregate="calendar"), LEVELS),
    *[Case(f"roth-santanna {a}", RothSantAnna(aggregate=a), (*LEVELS, LEARNT)) for a in ("simple", "cohort", "calendar", "event")],
    Case("roth-santanna cr2", RothSantAnna(**CR2), (*LEVELS, LEARNT)),
    Case("roth-santanna adjusted", RothSantAnna(vcov="adjusted", df="clusters", pool="cohorts"), (*LEVELS, LEARNT, NO_PAIR)),
    Case("synthetic did", SyntheticDiD(), (LEARNT, NOISE)),
    Case("synthetic did cohort", SyntheticDiD(aggregate="cohort"), (LEARNT, NOISE)),
    Case("synthetic did jackknife", SyntheticDiD(vcov="jackknife", df="clusters"), (LEARNT, NOISE)),
    Case("synthetic control", SyntheticControl(), (*LEVELS, LEARNT)),
    Case("generalised decay", GeneralisedDiD(alike="exposure", correlation=sw.ExponentialDecay(0.3, 0.7))),
]

# Trials ---------------------------------------------------------------------------------------------------------------------------------

STARTS = np.repeat([2, 4, 5, 0], [7, 8, 7, 9])
PERIODS = np.arange(1, 7)


def outcomes(seed: int) -> Array:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(STARTS), len(PERIODS))) + rng.normal(size=(len(STARTS), 1))


def trial_of(y: Array, starts: Array = STARTS, names: list[str] | None = None) -> sw.Trial:
    """A panel; the first wave has ONE period before treatment."""
    names = names or [f"c{i:02d}" for i in range(len(starts))]
    i, t = (index.ravel() for index in np.indices(y.shape))
    rows = pd.DataFrame({"c": np.array(names)[i], "t": PERIODS[t], "y": y.ravel(), "g": starts[i]})
    trial = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    x = np.random.default_rng(99).normal(size=len(starts))
    return trial.with_cluster_covariates(pd.DataFrame({"x": x}, index=names))


def shifted(trial: sw.Trial, by: Array) -> sw.Trial:
    return replace(trial, cells=replace(trial.cells, mean=trial.cells.mean + by[..., None]))


def numbers(fit: sw.Estimate) -> Array:
    return np.concatenate([np.ravel(part) for part in (fit.estimate, fit.std_error, fit.df)])


def excused(case: Case, law: str) -> None:
    for name, reason in case.exempt:
        if name == law:
            pytest.skip(reason)


each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


# Laws -----------------------------------------------------------------------------------------------------------------------------------


@each
def test_law_cluster_and_period_constants_change_nothing(case: Case) -> None:
    excused(case, "constants")
    trial, rng = trial_of(outcomes(1)), np.random.default_rng(2)
    moved = shifted(trial, 5 * rng.normal(size=(len(STARTS), 1)) + 5 * rng.normal(size=len(PERIODS)))
    np.testing.assert_allclose(numbers(case.estimator.fit(moved)), numbers(case.estimator.fit(trial)), rtol=1e-8, atol=1e-10)


@each
def test_law_an_effect_in_treated_cells_is_found(case: Case) -> None:
    excused(case, "effect")
    trial = trial_of(outcomes(3))
    built = case.estimator.build(trial)
    moved = case.estimator.fit(shifted(trial, 0.7 * trial.arm)).estimate - case.estimator.fit(trial).estimate
    rests_on = (built.weights * trial.arm).sum((-2, -1))
    assert np.isclose(rests_on, 0).any() or np.isclose(rests_on, 1).all()
    np.testing.assert_allclose(np.ravel(moved), 0.7 * np.round(rests_on), atol=1e-10)


@each
def test_law_weights_compare_clusters_with_themselves_within_periods(case: Case) -> None:
    excused(case, "sums")
    weights = case.estimator.build(trial_of(outcomes(4))).weights
    np.testing.assert_allclose(weights.sum(-1), 0, atol=1e-12)
    np.testing.assert_allclose(weights.sum(-2), 0, atol=1e-12)


@each
def test_law_weights_do_not_depend_on_outcomes_and_give_the_estimate(case: Case) -> None:
    excused(case, "weights")
    first, second = trial_of(outcomes(5)), trial_of(outcomes(6))
    built = case.estimator.build(first)
    np.testing.assert_allclose(built.weights, case.estimator.build(second).weights, atol=1e-12)
    fit = case.estimator.fit(first)
    np.testing.assert_allclose((built.weights * first.outcome).sum((-2, -1)), np.ravel(fit.estimate), atol=1e-10)
    leading = np.ravel(fit.estimate)[: 1 if built.summed_up else None]
    np.testing.assert_allclose(np.ravel(case.estimator.point(first)), leading, atol=1e-10)
    np.testing.assert_allclose(case.estimator.weights(first), built.weights[0] if built.summed_up else built.weights, atol=1e-12)


@each
def test_law_labels_do_not_matter(case: Case) -> None:
    excused(case, "labels")
    if getattr(case.estimator, "covariates", ()):
        pytest.skip("the covariate goes with the label here")
    y, order = outcomes(7), np.random.default_rng(8).permutation(len(STARTS))
    moved = trial_of(y[order], STARTS[order], [f"d{i:02d}" for i in range(len(order))])
    np.testing.assert_allclose(numbers(case.estimator.fit(moved)), numbers(case.estimator.fit(trial_of(y))), rtol=1e-8, atol=1e-10)


@each
def test_law_a_stack_of_outcomes_is_a_loop(case: Case) -> None:
    excused(case, "stack")
    trials = [trial_of(outcomes(seed)) for seed in (10, 11, 12)]
    stack = replace(trials[0], cells=replace(trials[0].cells, mean=np.stack([trial.cells.mean for trial in trials])))
    together = case.estimator.fit(stack)
    for r, trial in enumerate(trials):
        alone = case.estimator.fit(trial)
        np.testing.assert_allclose(np.ravel(together.estimate[r]), np.ravel(alone.estimate), atol=1e-10)
        np.testing.assert_allclose(np.ravel(together.std_error[r]), np.ravel(alone.std_error), rtol=1e-8)


@each
def test_law_a_stack_of_treatments_is_a_loop(case: Case) -> None:
    excused(case, "stack")
    trial, rng = trial_of(outcomes(13)), np.random.default_rng(14)
    orders = [rng.permutation(len(STARTS)) for _ in range(3)]
    stack = trial.under(np.stack([trial.treatment[o] for o in orders]), np.stack([trial.exposure[o] for o in orders]))
    together, points = case.estimator.fit(stack), case.estimator.point(stack)
    for r, order in enumerate(orders):
        single = trial.under(trial.treatment[order], trial.exposure[order])
        alone = case.estimator.fit(single)
        np.testing.assert_allclose(np.ravel(together.estimate[r]), np.ravel(alone.estimate), atol=1e-10)
        np.testing.assert_allclose(np.ravel(together.std_error[r]), np.ravel(alone.std_error), rtol=1e-8)
        np.testing.assert_allclose(points[r], case.estimator.point(single), atol=1e-10)


@each
def test_law_two_by_two_is_the_textbook_difference(case: Case) -> None:
    excused(case, "two by two")
    if getattr(case.estimator, "covariates", ()):
        pytest.skip("adjusted for a covariate")
    rows = pd.DataFrame({"c": list("aabbccdd"), "t": [1, 2] * 4, "y": [1.0, 5.0, 3.0, 4.0, 2.0, 3.0, 0.0, 2.5], "g": [2] * 4 + [0] * 4})
    trial = sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")
    expected = (4.0 + 1.0) / 2 - (1.0 + 2.5) / 2
    np.testing.assert_allclose(np.ravel(case.estimator.fit(trial).estimate), expected, atol=1e-12)


@each
def test_law_the_randomisation_test_reads_the_leading_effect(case: Case) -> None:
    excused(case, "randomisation")
    if getattr(case.estimator, "covariates", ()) or not case.estimator.leading(trial_of(outcomes(15))).summed_up:
        pytest.skip("several effects side by side, or a covariate that single clusters cannot carry")
    design = sw.Design.stepped_wedge(clusters=4, periods=5)
    allocation = design.randomise(seed=1)
    names = [] if isinstance(case.estimator, RothSantAnna) and case.estimator.beta != 1 else ["x", "y", "z"]  # not drawn by lot
    y = np.random.default_rng(16).normal(size=(7, 5))[: 4 + len(names)]
    trial = sw.Trial.from_cells(np.ones(y.shape), y, allocation, comparators=names)
    result = sw.RandomisationTest().run(trial, case.estimator)
    assert len(result.reference) == 24
    assert np.isclose(result.reference, case.estimator.point(trial)).any()
