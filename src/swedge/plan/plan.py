"""`Plan`: everything that is decided before the data are looked at, as one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Self

from swedge.design import Allocation, Design
from swedge.plan.checks import check_plan
from swedge.plan.specs import (
    AllocationRule,
    Analysis,
    Column,
    Comparators,
    Missing,
    Multiplicity,
    Outcome,
    PlannedEstimator,
    PlannedTest,
    Population,
    PowerByFormula,
    PowerBySimulation,
    Source,
    Text,
)

if TYPE_CHECKING:
    from swedge.plan.lock import LockedPlan

EVERYBODY = Population("all", "All rows")


@dataclass(frozen=True)
class Plan:
    """A statistical analysis plan whose every choice is a specification of this library.

    Written by a person as TOML (`swedge new` gives a commented template), read by `from_toml`, registered by `lock`.

    Parameters
    ----------
    title : str
    design : Design
    sources : tuple of Source
        The tables that the trial receives; the first is the one that outcomes come from unless they say otherwise.
    outcomes : tuple of plan.Outcome
    estimators : tuple of PlannedEstimator
    analyses : tuple of Analysis
    tests : tuple of PlannedTest
    populations : tuple of Population
        The first is the main one.
    columns : tuple of Column
    version, date : str
        Of the plan, as its authors give them; the date as year-month-day.
    alpha : float
        Two-sided significance level; intervals have level 1 - alpha.
    seed : int
        Of every test or imputation that draws and has no seed of its own.
    allocation_rule : AllocationRule
    missing : Missing
    multiplicity : Multiplicity, optional
    comparators : Comparators, optional
    power : tuple of PowerByFormula or PowerBySimulation
    texts : tuple of Text
        What only a person can write, item by item.
    allocation : Allocation, optional
        The one carried out, from its audit record.

    Raises
    ------
    PlanError
        If the parts contradict each other.

    Examples
    --------
    >>> import swedge as sw
    >>> from swedge.plan import Analysis, Outcome, PlannedEstimator, Source
    >>> plan = Plan(
    ...     title="Five clinics",
    ...     design=sw.Design.stepped_wedge(clusters=["A", "B", "C", "D", "E"], periods=6),
    ...     sources=(Source("people", cluster="clinic", period="period"),),
    ...     outcomes=(Outcome("recovered", "Recovered", column="recovered", family="binomial", role="primary"),),
    ...     estimators=(PlannedEstimator("cr2", "CR2", sw.FixedEffects(vcov="CR2")),),
    ...     analyses=(Analysis("main", "Main", estimators=("cr2",)),),
    ... )
    >>> plan.names["outcomes"], plan.level
    (('recovered',), 0.95)
    """

    title: str
    design: Design
    sources: tuple[Source, ...]
    outcomes: tuple[Outcome, ...]
    estimators: tuple[PlannedEstimator, ...]
    analyses: tuple[Analysis, ...]
    tests: tuple[PlannedTest, ...] = ()
    populations: tuple[Population, ...] = (EVERYBODY,)
    columns: tuple[Column, ...] = ()
    version: str = "1"
    date: str = ""
    alpha: float = 0.05
    seed: int = 0
    allocation_rule: AllocationRule = AllocationRule()  # noqa: RUF009 - frozen, so shared safely
    missing: Missing = Missing()  # noqa: RUF009 - frozen, so shared safely
    multiplicity: Multiplicity | None = None
    comparators: Comparators | None = None
    power: tuple[PowerByFormula | PowerBySimulation, ...] = ()
    texts: tuple[Text, ...] = ()
    allocation: Allocation | None = None

    def __post_init__(self) -> None:
        check_plan(self)

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Self:
        """Read a plan, and the allocation's audit record if it lies in the plan's folder.

        Raises
        ------
        PlanError
            With the line of what is wrong. Nothing in the file is evaluated, and no file outside its folder is read.
        """
        from swedge.plan.reading import Document

        document = Document(path)
        with document.located():
            return cls(**document.fields())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> LockedPlan:
        """Read a locked plan and verify every byte of it.

        Raises
        ------
        PlanError
            If there is no such file, or it was edited after it was locked, naming what differs.
        """
        from swedge.plan.lock import load_lock

        return load_lock(path)

    def lock(self, path: str | PathLike[str]) -> str:
        """Write the lock: canonical JSON of the plan, the allocation's record and the versions of the packages, and its SHA-256.

        Returns
        -------
        str
            The SHA-256 to register, which is printed too.

        Raises
        ------
        PlanError
            If the plan has no allocation, or the file holds a lock of something else.
        """
        from swedge.plan.lock import lock_plan

        sha256 = lock_plan(self, path).sha256
        print(sha256)
        return sha256

    @property
    def level(self) -> float:
        """Confidence level of every interval."""
        return 1 - self.alpha

    @cached_property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Names in use, by what they name."""
        parts = ("sources", "outcomes", "estimators", "tests", "populations", "analyses", "columns")
        return {part: tuple(entry.name for entry in getattr(self, part)) for part in parts}

    def outcome(self, name: str) -> Outcome:
        """The outcome of a name."""
        return next(entry for entry in self.outcomes if entry.name == name)

    def population(self, name: str) -> Population:
        """The population of a name."""
        return next(entry for entry in self.populations if entry.name == name)

    def estimator(self, name: str) -> PlannedEstimator:
        """The estimator of a name."""
        return next(entry for entry in self.estimators if entry.name == name)

    def test(self, name: str) -> PlannedTest:
        """The test of a name."""
        return next(entry for entry in self.tests if entry.name == name)

    def analysis(self, name: str) -> Analysis:
        """The analysis of a name."""
        return next(entry for entry in self.analyses if entry.name == name)

    def source_of(self, outcome: Outcome) -> Source:
        """The table that holds an outcome."""
        return next((entry for entry in self.sources if entry.name == outcome.source), self.sources[0])

    def text(self, item: str) -> str:
        """What a person wrote under an item; empty if nothing."""
        return next((entry.words for entry in self.texts if entry.item == item), "")

    def with_allocation(self, allocation: Allocation) -> Plan:
        """The same plan under an allocation of its design."""
        return replace(self, allocation=allocation)
