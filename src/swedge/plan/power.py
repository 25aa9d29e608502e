"""Power of a plan: every case that it registers, computed from the objects that will run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from swedge.errors import DesignError, SwedgeError, counted
from swedge.plan.plan import Plan
from swedge.plan.specs import PowerByFormula, PowerBySimulation
from swedge.power import AnalyticPower, SimulatedPower, analytic_power, detectable_effect, simulate_power
from swedge.power.simulate import Method

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WANTED = 0.8
"""Power for which the detectable effect is given."""

COLUMNS = (
    "case",
    "by",
    "estimator",
    "test",
    "effect",
    "scale",
    "alpha",
    "power",
    "mcse",
    "type_1",
    "std_error",
    "df",
    "detectable",
    "reps",
    "n_ok",
    "n_singular",
    "n_failed",
    "power_if_failures_reject",
)


FEW = 100
"""Fewer simulated trials than these give no power worth registering."""


@dataclass(frozen=True, eq=False)
class FormulaPower:
    """A case by formula: its power, and the effect that would have a power of 80%.

    Attributes
    ----------
    case : PowerByFormula
    power : AnalyticPower
    detectable : float
        On the scale of the effect, in its direction; nan where no effect within the outcome's range has that power.
    """

    case: PowerByFormula
    power: AnalyticPower
    detectable: float

    def rows(self) -> list[dict[str, Any]]:
        """One row."""
        power, assumed = self.power, self.power.assumed
        numbers = {"power": power.power, "std_error": power.std_error, "df": power.df, "detectable": self.detectable}
        words = {"case": self.case.name, "by": "formula", "effect": assumed.effect, "scale": assumed.link, "alpha": assumed.alpha}
        return [{**words, **numbers, "type_1": assumed.effect == 0}]


@dataclass(frozen=True, eq=False)
class SimulationPower:
    """A case by simulation.

    Attributes
    ----------
    case : PowerBySimulation
    power : SimulatedPower
    methods : tuple of (str, str)
        Names of estimator and test (empty for the estimator's own), in the order of the simulation.
    """

    case: PowerBySimulation
    power: SimulatedPower
    methods: tuple[tuple[str, str], ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row a method."""
        told = {"case": self.case.name, "by": "simulation", "effect": self.case.truth.effect, "scale": self.power.truth.scale}
        told |= {"alpha": self.power.alpha, "reps": self.power.reps}
        kept = ("power", "mcse", "type_1", "n_ok", "n_singular", "n_failed", "power_if_failures_reject")
        found = self.power.tidy().to_dict("records")
        pairs = zip(self.methods, found, strict=True)
        return [{**told, "estimator": e, "test": t, **{name: row[name] for name in kept}} for (e, t), row in pairs]


@dataclass(frozen=True, eq=False)
class PlannedPower:
    """Power of a plan, case by case.

    Attributes
    ----------
    plan : Plan
    cases : tuple of FormulaPower or SimulationPower
        In the plan's order.
    """

    plan: Plan
    cases: tuple[FormulaPower | SimulationPower, ...]

    def tidy(self) -> pd.DataFrame:
        """One row a case and method.

        Columns: ``case, by`` ("formula" or "simulation"), ``estimator, test`` (names in the plan, an empty test being the estimator's
        own), ``effect, scale, alpha, power, mcse, type_1`` (whether the effect is zero, so that power is the size), ``std_error, df,
        detectable`` (the effect with 80% power), ``reps, n_ok, n_singular, n_failed, power_if_failures_reject``. A failed fit does not
        reject.
        """
        return pd.DataFrame([row for case in self.cases for row in case.rows()]).reindex(columns=list(COLUMNS))

    def summary(self) -> str:
        """Every case in words."""
        from swedge.plan.documents.power import result_in_words

        return "\n".join(text for case in self.cases for text in result_in_words(self.plan, case))

    def plot(self, ax: Axes | None = None) -> Axes:
        """Power of every case and method, with 1.96 Monte Carlo standard errors either side, against the level of the tests."""
        from swedge.plan.documents.power import draw_power

        return draw_power(self, ax)


def few_reps(plan: Plan) -> list[str]:
    """Simulated cases with too few trials, each with the Monte Carlo standard error that its power would have."""
    few = [case for case in plan.power if isinstance(case, PowerBySimulation) and case.reps < FEW]
    return [
        f"power.{case.name} simulates {counted(case.reps, 'trial', 'trials')}: a power near 50% would have a Monte Carlo standard error of"
        f" {np.sqrt(0.25 / case.reps):.3f}; take reps = 2000"
        for case in few
    ]


def plan_power(plan: Plan, progress: bool | None = None) -> PlannedPower:
    """Power of a plan by every case that it registers.

    Formulas take the plan's allocation, if it has one; simulations draw the allocation anew in every trial, analyse it by the
    registered estimators and tests, and take the plan's seed.

    Parameters
    ----------
    plan : Plan
    progress : bool, optional
        A progress bar; None shows one only when standard error is a terminal.

    Raises
    ------
    SwedgeError
        If a case cannot be computed, naming it.
    """
    return PlannedPower(plan, tuple(_cases(plan, progress)))


def _cases(plan: Plan, progress: bool | None) -> Iterator[FormulaPower | SimulationPower]:
    for case in plan.power:
        try:
            yield by_formula(plan, case) if isinstance(case, PowerByFormula) else by_simulation(plan, case, progress)
        except SwedgeError as error:
            raise type(error)(f"Power of {case.name!r}: {error}") from None


def by_formula(plan: Plan, case: PowerByFormula) -> FormulaPower:
    """One case by formula."""
    names = ("size", "correlation", "baseline", "sd", "family", "variance", "link", "df")
    assumed = {name: getattr(case, name) for name in names} | {"alpha": plan.alpha, "allocation": plan.allocation}
    return FormulaPower(case, analytic_power(plan.design, effect=case.effect, **assumed), _detectable(plan, case.effect, assumed))


def _detectable(plan: Plan, effect: float, assumed: dict[str, Any]) -> float:
    try:
        return detectable_effect(plan.design, power=WANTED, effect=-1.0 if effect < 0 else 1.0, **assumed).effect
    except DesignError:
        return float(np.nan)


def by_simulation(plan: Plan, case: PowerBySimulation, progress: bool | None = None) -> SimulationPower:
    """One case by simulation."""
    pairs = tuple((estimator, test) for estimator in case.estimators for test in ("", *case.tests))
    methods = {_key(pair): _method(plan, *pair) for pair in pairs}
    power = simulate_power(plan.design, case.truth, methods, reps=case.reps, seed=plan.seed, alpha=plan.alpha, progress=progress)
    return SimulationPower(case, power, pairs)


def _key(pair: Sequence[str]) -> str:
    return ", ".join(name for name in pair if name)


def _method(plan: Plan, estimator: str, test: str) -> Method:
    chosen = plan.estimator(estimator).estimator
    return (chosen, plan.test(test).test) if test else chosen  # type: ignore[return-value]  # a plan's tests are checked when it is made
