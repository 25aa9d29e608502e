"""Tables for rehearsals: every column that a plan uses, of people who do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.validation import seed_number, whole
from swedge.errors import PlanError
from swedge.plan.frames import alike
from swedge.plan.plan import Plan
from swedge.plan.simulated_outcomes import DIGITS, draw_outcome
from swedge.plan.simulated_rows import Rows
from swedge.plan.specs import Condition, Outcome, Source, Value
from swedge.plan.uses import COVARIATE, analysed, covariates_of, declared, kinds_of, outcomes_of, rule_of

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SIZE, MOST = 100, 300
"""Rows a cell: where no power calculation gives them, and the most that one may."""

LACKING, GAPS = 0.3, 0.03
"""Shares of rows for which an outcome does not exist, where it asks for other columns, and of missing covariates."""

FIRST_DAY, DAYS = np.datetime64("2000-01-01"), 3652
"""Of dates by which nobody is placed, such as a date of birth."""

LEVELS = ("a", "b", "c")
"""Of a category whose levels were not agreed."""


def simulate_frames(plan: Plan, seed: int, size: int | None = None) -> dict[str, pd.DataFrame]:
    """Tables on which the whole plan can be rehearsed. Nobody in them exists, and the treatment does nothing.

    Every source has every column that the plan uses: clusters of the design and comparators, dates spread evenly over each period, the
    treatment as allocated, categories at their agreed levels, outcomes around what the plan expects that differ by cluster and period,
    and gaps where the plan says how it deals with them. A source whose outcome names individuals follows the same ones through all
    periods; a panel has one row a cluster and period.

    Parameters
    ----------
    plan : Plan
        With its allocation.
    seed : int
        The same seed gives the same digits. Every source has a stream of its own.
    size : int, optional
        Rows a cluster and period, give or take a fifth. Left out, what the plan's power calculation assumes, up to 300; else 100.

    Returns
    -------
    dict of DataFrame
        By source.

    Raises
    ------
    PlanError
        If the plan has no allocation, or asks for rows that cannot exist.
    DesignError
        If the seed or size is no whole number.
    """
    if plan.allocation is None:
        raise PlanError("The plan has no allocation, so nobody in a rehearsal could be treated. Draw one, or give the one carried out.")
    people = _planned_size(plan) if size is None else whole(size, "size", least=2)
    seeds = np.random.SeedSequence(seed_number(seed)).spawn(len(plan.sources))
    pairs = zip(plan.sources, seeds, strict=True)
    return {source.name: _Simulation(plan, source, people, np.random.default_rng(child)).frame() for source, child in pairs}


def _planned_size(plan: Plan) -> int:
    sizes = [getattr(case, "size", None) or getattr(getattr(case, "truth", None), "size", None) for case in plan.power]
    plain = [size for size in sizes if isinstance(size, int | float)]
    return max(2, min(round(plain[0]), MOST)) if plain else SIZE


@dataclass(frozen=True, eq=False)
class _Simulation:
    """One table in the making."""

    plan: Plan
    source: Source
    people: int
    rng: np.random.Generator

    def frame(self) -> pd.DataFrame:
        """The table: where rows belong, then what is known of people, then outcomes, then what is missing."""
        columns = dict(self._rows.structure())
        self._add_outcomes(columns)
        self._add_others(columns)
        for number, conditions in enumerate(self._populations):
            self._meet(columns, conditions, self._rows.slot == number)
        for name, blank in self._gaps(columns):
            columns[name] = columns[name].mask(blank)
        return pd.DataFrame({name: columns[name] for name in self._kinds})

    @cached_property
    def _kinds(self) -> dict[str, str]:
        return kinds_of(self.plan, self.source.name)

    @cached_property
    def _outcomes(self) -> list[Outcome]:
        return outcomes_of(self.plan, self.source)

    @cached_property
    def _rows(self) -> Rows:
        return Rows(self.plan, self.source, self.people, len(self._populations), self.rng)

    # Outcomes

    def _add_outcomes(self, columns: dict[str, pd.Series]) -> None:
        for outcome in self._outcomes:
            places = self._rows.places if outcome.size is None else replace(self._rows.places, size=self._size(columns, outcome.size))
            if outcome.column not in columns:
                drawn = draw_outcome(outcome, places, self.rng)
                columns.update({name: pd.Series(values) for name, values in drawn.items()})

    def _size(self, columns: dict[str, pd.Series], name: str) -> Array:
        if name not in columns:
            columns[name] = pd.Series(self._rows.group_sizes())
        return columns[name].to_numpy(dtype=float)

    # What is known of people

    def _add_others(self, columns: dict[str, pd.Series]) -> None:
        for name, kind in self._kinds.items():
            if name not in columns:
                columns[name] = self._other(name, kind)

    def _other(self, name: str, kind: str) -> pd.Series:
        """A column of people: the same for every row of one."""
        units, pool = self._rows.units, self._pool(name, kind)
        if pool:
            drawn = _plain([pool[k] for k in self.rng.integers(len(pool), size=units)], kind)
        elif kind == "date":
            drawn = pd.Series((FIRST_DAY + self.rng.integers(0, DAYS, units)).astype("datetime64[s]"))
        elif kind in ("number", COVARIATE):
            drawn = pd.Series(np.round(self.rng.standard_normal(units), DIGITS))
        else:
            drawn = pd.Series(["text"] * units, dtype="str")
        return drawn.iloc[self._rows.places.unit].reset_index(drop=True)

    def _pool(self, name: str, kind: str) -> tuple[Value, ...]:
        """Values to draw from; none where they are numbers, dates or text that nobody asks for by value."""
        agreed = declared(self.plan, self.source.name, name)
        if agreed is not None and agreed.levels:
            return agreed.levels
        asked = [value for condition in self._conditions if condition.column == name for value in condition.among]
        if kind == "date":
            return ()
        if kind == "yes/no" or (asked and alike(asked, (0, 1))):
            return 0, 1
        if asked:
            return (*dict.fromkeys(asked), _another(asked))
        return () if kind in ("number", COVARIATE, "text") else LEVELS

    @cached_property
    def _populations(self) -> list[tuple[Condition, ...]]:
        """Conditions that rows of one outcome in one population meet, where these can be simulated: each set once."""
        fixed = {name for name, _ in self._placing()}
        found = []
        for analysis in self.plan.analyses:
            for outcome in analysed(self.plan, analysis):
                for name in analysis.populations or self.plan.names["populations"][:1]:
                    together = (*self.plan.population(name).where, *outcome.where)
                    found.append((outcome, tuple(condition for condition in together if condition.column not in fixed)))
        return list(dict.fromkeys(conditions for outcome, conditions in found if conditions and outcome in self._outcomes))

    def _placing(self) -> Iterator[tuple[str | None, str]]:
        """Columns whose values follow from where a row belongs."""
        yield self.source.cluster, "cluster"
        yield self.source.first_treated, "first_treated"
        for part in (self.source, *self._outcomes):
            yield from ((getattr(part, key, None), key) for key in ("date", "period", "treatment", "individual", "size"))

    @property
    def _conditions(self) -> list[Condition]:
        return [condition for conditions in self._populations for condition in conditions]

    def _meet(self, columns: dict[str, pd.Series], conditions: Sequence[Condition], rows: Flags) -> None:
        """Give the rows of a population values that meet all its conditions."""
        for name in dict.fromkeys(condition.column for condition in conditions):
            lists = [condition.among for condition in conditions if condition.column == name]
            allowed = [value for value in lists[0] if all(alike([value], other) for other in lists[1:])]
            if not allowed:
                raise PlanError(
                    f"A population and an outcome ask {name!r} for values that exclude each other, so nobody meets both. Correct one."
                )
            allowed = [value for value in self._pool(name, "") if alike([value], allowed)] or allowed
            drawn = self.rng.integers(len(allowed), size=self._rows.units)[self._rows.places.unit]
            wanted = _plain([allowed[k] for k in drawn], "date" if columns[name].dtype.kind == "M" else "")
            same = columns[name].dtype == wanted.dtype
            columns[name] = wanted.where(rows, columns[name]) if same else wanted.astype(object).where(rows, columns[name]).infer_objects()

    # What is missing

    def _gaps(self, columns: dict[str, pd.Series]) -> Iterator[tuple[str, Flags]]:
        lacking = {name: self._some(LACKING) for name in self._requirable}
        absent = {outcome.name: self._absent(outcome, lacking) for outcome in self._outcomes}
        own = {outcome.name: _own_columns(outcome) for outcome in self._outcomes}
        for name in columns:
            users = [outcome for outcome in own if name in own[outcome]]
            if users and name not in self._shared:
                yield name, np.logical_and.reduce([absent[outcome] for outcome in users])
            elif name in lacking:
                yield name, lacking[name]
            elif name in self._incomplete:
                yield name, self._some(GAPS)

    def _some(self, share: float) -> Flags:
        """A share of people, none of those who are spared."""
        units = self._rows.units
        return np.asarray((self.rng.random(units) < share)[self._rows.places.unit] & ~self._rows.spared)

    def _absent(self, outcome: Outcome, lacking: dict[str, Flags]) -> Flags:
        """Rows that an outcome does not exist for."""
        without = np.isin(np.array(self._rows.clusters)[self._rows.places.cluster], outcome.without)
        return np.asarray(np.logical_or.reduce([without, *(lacking[name] for name in outcome.requires if name in lacking)]))

    @cached_property
    def _shared(self) -> set[str]:
        """Columns that serve more than the outcomes they belong to, so they have no gaps of an outcome's."""
        adjusted = {name for name, _ in self._adjusted}
        return {name for name, _ in _of_source(self.source)} | adjusted | {condition.column for condition in self._conditions}

    @property
    def _requirable(self) -> list[str]:
        """Required columns that may be blank without spoiling an outcome that does not require them."""
        asked = dict.fromkeys(name for outcome in self._outcomes for name in outcome.requires)
        owners = {name: [outcome for outcome in self._outcomes if name in _own_columns(outcome)] for name in asked}
        return [name for name in asked if name not in self._shared and all(name in owner.requires for owner in owners[name])]

    @cached_property
    def _adjusted(self) -> list[tuple[str, str]]:
        """Covariates, each with the rule for missing values of an analysis that uses it."""
        pairs = [(analysis, outcome) for analysis in self.plan.analyses for outcome in analysed(self.plan, analysis)]
        return [(name, rule_of(self.plan, a)) for a, o in pairs if o in self._outcomes for name in covariates_of(a, o)]

    @cached_property
    def _incomplete(self) -> set[str]:
        """Covariates that every analysis can do without in a row."""
        refused = {name for name, rule in self._adjusted if rule == "refuse"}
        measured = {name for outcome in self._outcomes for name in _own_columns(outcome)}
        placed = {name for name, _ in self._placing()}
        return {name for name, _ in self._adjusted} - refused - measured - placed - {condition.column for condition in self._conditions}


def _of_source(source: Source) -> Iterator[tuple[str, str]]:
    for key in ("cluster", "date", "period", "treatment", "first_treated"):
        name = getattr(source, key)
        if name is not None:
            yield name, key


def _own_columns(outcome: Outcome) -> list[str]:
    keys = ("column", "date", "period", "treatment", "size", "event", "censored")
    return [name for name in (getattr(outcome, key) for key in keys) if name is not None]


def _another(values: Sequence[Value]) -> Value:
    """A value that is none of these, of their kind."""
    numbers = [value for value in values if not isinstance(value, str)]
    return max(numbers) + 1 if len(numbers) == len(values) else "another"


def _plain(values: Sequence[Value], kind: str) -> pd.Series:
    """A column of values in the type that they have in common."""
    column = pd.Series(list(values), dtype=object).infer_objects()
    return pd.to_datetime(column, format="%Y-%m-%d").astype("datetime64[s]") if kind == "date" else column
