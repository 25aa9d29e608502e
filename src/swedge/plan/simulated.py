"""Tables for rehearsals: every column that a plan uses, of people who do not exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.validation import seed_number, whole
from swedge.errors import PlanError
from swedge.plan.frames import ORDER, alike
from swedge.plan.plan import Plan
from swedge.plan.simulated_outcomes import DIGITS, Places, draw_outcome
from swedge.plan.specs import Condition, Outcome, Source, Value
from swedge.plan.uses import COVARIATE, analysed, covariates_of, declared, rule_of, uses
from swedge.trial.trial import exposed

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

SIZE, MOST = 100, 300
SPREAD = 0.2
"""Rows a cell: where no power calculation gives them, the most that one may, and by what share cells differ."""

LACKING, GAPS = 0.3, 0.03
"""Shares of rows for which an outcome does not exist, where it asks for other columns, and of missing covariates."""

COMPLETE = 2
"""Rows of each cell, for each population, in which nothing is missing, so that even small tables can be analysed."""

LEVELS = ("a", "b", "c")
GROUP = (5, 31)


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
        columns = dict(self._structure())
        self._add_outcomes(columns)
        self._add_others(columns)
        for number, conditions in enumerate(self._populations):
            self._meet(columns, conditions, self._slot == number)
        for name, blank in self._gaps(columns):
            columns[name] = columns[name].mask(blank)
        return pd.DataFrame({use: columns[use] for use in self._names})

    @cached_property
    def _names(self) -> list[str]:
        return list(dict.fromkeys(use.column for use in uses(self.plan) if use.source == self.source.name))

    @cached_property
    def _outcomes(self) -> list[Outcome]:
        return [outcome for outcome in self.plan.outcomes if self.plan.source_of(outcome) == self.source]

    @cached_property
    def _clusters(self) -> tuple[str, ...]:
        beside = self.plan.comparators
        return (*self.plan.design.clusters, *(() if beside is None else beside.clusters))

    @property
    def _is_panel(self) -> bool:
        return self.source.first_treated is not None

    @property
    def _is_cohort(self) -> bool:
        return any(outcome.individual is not None for outcome in self._outcomes)

    # Where rows belong

    @cached_property
    def _counts(self) -> Index:
        """Rows of each cell ``(I, T)``."""
        shape = len(self._clusters), self.plan.design.n_periods
        if self._is_panel:
            return np.ones(shape, dtype=np.intp)
        low, high = max(2, round(self.people * (1 - SPREAD))), max(2, round(self.people * (1 + SPREAD)))
        least = len(self._populations) + 1
        drawn = np.maximum(self.rng.integers(low, high + 1, (shape[0], 1) if self._is_cohort else shape), least)
        return np.broadcast_to(drawn, shape).astype(np.intp)

    @cached_property
    def _places(self) -> Places:
        counts = self._counts
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        cluster, period = np.divmod(cell, counts.shape[1])
        unit = np.arange(len(cell))
        if self._is_panel:
            unit = cluster
        elif self._is_cohort:
            unit = np.concatenate([[0], np.cumsum(counts[:, 0])])[cluster] + self._number_in_cell(cell)
        size = np.full(len(cell), float(self.people if self._is_panel else 1))
        return Places(cluster, period, unit, size, self._is_panel, self._is_cohort)

    @staticmethod
    def _number_in_cell(cell: Index) -> Index:
        return np.arange(len(cell)) - np.searchsorted(cell, cell)

    @cached_property
    def _place(self) -> Index:
        """Number of a row in its cell, of an individual in its cluster."""
        places = self._places
        return self._number_in_cell(places.cluster * self.plan.design.n_periods + places.period)

    @cached_property
    def _slot(self) -> Index:
        """Which population's conditions a row is made to meet; the last number is none. Clusters of a panel take turns."""
        kinds = len(self._populations)
        return self._places.cluster % max(kinds, 1) if self._is_panel else self._place % (kinds + 1)

    @cached_property
    def _spared(self) -> Flags:
        """Rows in which nothing is missing."""
        return self._place < COMPLETE * (len(self._populations) + 1)

    def _structure(self) -> Iterator[tuple[str, pd.Series]]:
        """Columns of the source and of outcomes that say where, when, who and under which treatment."""
        yield self.source.cluster, pd.Series(np.array(self._clusters)[self._places.cluster], dtype="str")
        yield from self._times(self.source)
        if self.source.first_treated is not None:
            yield self.source.first_treated, pd.Series(self._first_treated[self._places.cluster])
        for outcome in self._outcomes:
            yield from self._times(outcome)
            if outcome.individual is not None:
                yield outcome.individual, pd.Series(self._place + 1)

    def _times(self, part: Source | Outcome) -> Iterator[tuple[str, pd.Series]]:
        if part.date is not None:
            yield part.date, self._dates()
        if part.period is not None:
            yield part.period, pd.Series(self._places.period + 1)
        if part.treatment is not None:
            yield part.treatment, pd.Series(self._treatment[self._places.cluster, self._places.period])

    def _dates(self) -> pd.Series:
        """A day of each row's period."""
        if not self.plan.design.boundaries:
            raise PlanError("An outcome is dated, and the design has no dates. Name a column of period numbers in its period.")
        edges = np.array(self.plan.design.boundaries, dtype="datetime64[D]")
        start, days = edges[:-1][self._places.period], np.diff(edges).astype(np.int64)[self._places.period]
        return pd.Series((start + self.rng.integers(0, days)).astype("datetime64[s]"))

    @cached_property
    def _exposed(self) -> tuple[Array, NDArray[np.int64]]:
        assert self.plan.allocation is not None
        return exposed(self.plan.allocation, len(self._clusters) - self.plan.design.n_clusters)

    @property
    def _treatment(self) -> Array:
        """As allocated ``(I, T)``; where the design leaves a cell out, whether the cluster has crossed over."""
        treatment, exposure = self._exposed
        return np.where(np.isnan(treatment), exposure > 0, treatment)

    @property
    def _first_treated(self) -> Array:
        """First treated period from 1 ``(I,)``; nan for never."""
        treated = self._exposed[1] > 0
        return np.where(treated.any(1), treated.argmax(1) + 1.0, np.nan)

    # Outcomes

    def _add_outcomes(self, columns: dict[str, pd.Series]) -> None:
        for outcome in self._outcomes:
            places = self._places if outcome.size is None else replace(self._places, size=self._size(columns, outcome.size))
            if outcome.column not in columns:
                drawn = draw_outcome(outcome, places, self.rng)
                columns.update({name: pd.Series(values) for name, values in drawn.items()})

    def _size(self, columns: dict[str, pd.Series], name: str) -> Array:
        """How many individuals each row stands for: about as many as a cell has, in a panel."""
        if name not in columns:
            low, high = (round(self.people * (1 - SPREAD)), round(self.people * (1 + SPREAD)) + 1) if self._is_panel else GROUP
            columns[name] = pd.Series(self.rng.integers(low, high, len(self._places.unit)))
        return columns[name].to_numpy(dtype=float)

    # What is known of people

    def _add_others(self, columns: dict[str, pd.Series]) -> None:
        kinds = {use.column: use.holds for use in sorted(self._uses, key=lambda use: ORDER.index(use.holds), reverse=True)}
        for name in self._names:
            if name not in columns:
                columns[name] = self._other(name, kinds[name])

    @property
    def _uses(self) -> list[Any]:
        return [use for use in uses(self.plan) if use.source == self.source.name]

    def _other(self, name: str, kind: str) -> pd.Series:
        """A column of people: the same for every row of one."""
        units, pool = int(self._places.unit.max()) + 1, self._pool(name, kind)
        if pool:
            drawn = _plain([pool[k] for k in self.rng.integers(len(pool), size=units)], kind)
        elif kind == "date":
            drawn = self._dates().iloc[:units]
        elif kind in ("number", COVARIATE):
            drawn = pd.Series(np.round(self.rng.standard_normal(units), DIGITS))
        else:
            drawn = pd.Series(["text"] * units, dtype="str")
        return drawn.iloc[self._places.unit].reset_index(drop=True)

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
            drawn = self.rng.integers(len(allowed), size=int(self._places.unit.max()) + 1)[self._places.unit]
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
        units = int(self._places.unit.max()) + 1
        return np.asarray((self.rng.random(units) < share)[self._places.unit] & ~self._spared)

    def _absent(self, outcome: Outcome, lacking: dict[str, Flags]) -> Flags:
        """Rows that an outcome does not exist for."""
        without = np.isin(np.array(self._clusters)[self._places.cluster], outcome.without)
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
