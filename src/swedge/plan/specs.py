"""What a plan is made of: small frozen specifications of plain values."""

from __future__ import annotations

from dataclasses import dataclass

from swedge.assumptions.correlation import Correlation
from swedge.errors import PlanError, nearest
from swedge.estimate import Estimator
from swedge.inference import MultipleImputation
from swedge.power import Scenario

Value = str | int | float | bool

ROLES = ("primary", "secondary", "exploratory")
PARTS = ("main", "sensitivity", "supplementary")
KINDS = ("category", "number", "yes/no", "date", "text")
FAMILIES = ("binomial", "gaussian", "poisson", "fractional", "duration")
RULES = ("refuse", "complete case", "missing indicator", "multiple imputation")


MEANT = {
    **dict.fromkeys(("normal", "continuous", "linear"), "gaussian"),
    **dict.fromkeys(("binary", "bernoulli", "logistic"), "binomial"),
    **dict.fromkeys(("count", "rate", "negbin"), "poisson"),
    **dict.fromkeys(("survival", "time to event", "time-to-event"), "duration"),
    **dict.fromkeys(("factor", "categorical", "string"), "category"),
    **dict.fromkeys(("numeric", "integer", "continuous variable"), "number"),
    **dict.fromkeys(("mi", "mice", "imputation"), "multiple imputation"),
}
"""What other software calls the words of a plan. Their letters would suggest another one: normal is no binomial."""


def one_of(value: object, known: tuple[str, ...], what: str) -> None:
    """Refuse a word that is not among those known, with the nearest."""
    if value not in known:
        meant = MEANT.get(str(value).casefold(), value)
        raise PlanError(f"{what} is {value!r}; expected one of {', '.join(map(repr, known))}.{nearest(meant, known)}")


@dataclass(frozen=True)
class Source:
    """A table that the trial will receive: its columns that say where and when a row belongs.

    Parameters
    ----------
    name : str
    cluster : str
        Column of cluster names.
    date, period : str, optional
        Exactly one of them: the column of dates, or of period numbers from 1.
    treatment : str, optional
        Column of the recorded treatment, which is checked against the allocation.
    file : str, optional
        CSV in the plan's folder.
    first_treated : str, optional
        Of an observational panel without a design: the column with each cluster's first treated period.
    words : str
        What the table is and where it comes from.
    """

    name: str
    cluster: str
    date: str | None = None
    period: str | None = None
    treatment: str | None = None
    file: str | None = None
    first_treated: str | None = None
    words: str = ""

    def __post_init__(self) -> None:
        if (self.date is None) == (self.period is None):
            raise PlanError(
                f"The source {self.name!r} needs exactly one of date (a column of dates) and period (a column of period numbers)."
            )
        if self.first_treated is not None and self.period is None:
            raise PlanError(f"The source {self.name!r} is a panel (first_treated is set), so it needs period, a column of period numbers.")


@dataclass(frozen=True)
class Column:
    """A column as agreed: what it holds.

    Parameters
    ----------
    name : str
    holds : {"category", "number", "yes/no", "date", "text"}
    levels : tuple
        The values that a category may take; empty when they were not agreed.
    words : str
    source : str, optional
        The source that holds it; left out, every source that has a column of this name.
    """

    name: str
    holds: str
    levels: tuple[Value, ...] = ()
    words: str = ""
    source: str | None = None

    def __post_init__(self) -> None:
        one_of(self.holds, KINDS, f"What column {self.name!r} holds")
        if self.levels and self.holds not in ("category", "yes/no"):
            raise PlanError(f"Column {self.name!r} has levels, and holds a {self.holds}. Make it a category, or take the levels out.")


@dataclass(frozen=True)
class Condition:
    """Rows whose value in a column is among those given."""

    column: str
    among: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.among:
            raise PlanError(f"The condition on {self.column!r} lists no value, so nobody meets it. Write for example among = [1].")


@dataclass(frozen=True)
class Population:
    """Who is analysed: rows that meet every condition, and the same in words."""

    name: str
    label: str
    words: str = ""
    where: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """An outcome as registered.

    Parameters
    ----------
    name : str
        A short name for files and tables.
    label : str
        What it is called in print.
    column : str
        Column of the outcome; of a duration, the time to the event or to the end of follow-up.
    family : {"binomial", "gaussian", "poisson", "fractional", "duration"}
        "duration" is analysed as a restricted mean up to `horizon`.
    role : {"primary", "secondary", "exploratory"}
    words : str
        The definition.
    window : str
        In which time it is observed, in words.
    unit : str
        Of a gaussian outcome or a duration.
    source : str
        Name of the table that holds it; left out in a plan with one table.
    covariates : str
        Formula of the adjusted analyses: column names, ``C(name)``, ``+``, ``:``, ``*``; empty for none.
    date, period, treatment, size, individual : str, optional
        Columns in place of the source's, as in `Trial.from_frame`.
    where : tuple of Condition
        Rows that the outcome exists for, beside those of the population.
    requires : tuple of str
        Columns without a value of which the outcome does not exist for a row (days on a plan, for a child without a plan). Such rows are
        counted, and are not missing: nothing is imputed for them.
    event, censored : str, optional
        Of a duration, exactly one of them: column of 1 (the event happened) and 0, or of 1 (censored) and 0.
    horizon : float, optional
        Of a duration.
    without : tuple of str
        Clusters that do not hold this outcome. Their rows are not read, and the design is the one of the others.
    expected, sd : float, optional
        Mean under control, and standard deviation, that rehearsals simulate.
    """

    name: str
    label: str
    column: str
    family: str
    role: str = "secondary"
    words: str = ""
    window: str = ""
    unit: str = ""
    source: str = ""
    covariates: str = ""
    date: str | None = None
    period: str | None = None
    treatment: str | None = None
    size: str | None = None
    individual: str | None = None
    where: tuple[Condition, ...] = ()
    requires: tuple[str, ...] = ()
    event: str | None = None
    censored: str | None = None
    horizon: float | None = None
    without: tuple[str, ...] = ()
    expected: float | None = None
    sd: float | None = None

    def __post_init__(self) -> None:
        one_of(self.family, FAMILIES, f"The family of outcome {self.name!r}")
        one_of(self.role, ROLES, f"The role of outcome {self.name!r}")
        self._check_survival()
        if self.date is not None and self.period is not None:
            raise PlanError(f"Outcome {self.name!r} has both date and period. Keep one.")

    def _check_survival(self) -> None:
        flags, horizon = sum(name is not None for name in (self.event, self.censored)), self.horizon is not None
        if self.family == "duration" and not (flags == 1 and horizon):
            raise PlanError(
                f"Outcome {self.name!r} is a duration: it needs event or censored (one of them, a column of 1 and 0) and a horizon."
            )
        if self.family != "duration" and (flags or horizon):
            raise PlanError(f'Outcome {self.name!r} has event, censored or horizon, and is {self.family}. Write family = "duration".')


@dataclass(frozen=True)
class PlannedEstimator:
    """An estimator under a name."""

    name: str
    label: str
    estimator: Estimator


@dataclass(frozen=True)
class PlannedTest:
    """A test under a name: any specification with ``run(trial, estimator)``."""

    name: str
    label: str
    test: object


@dataclass(frozen=True)
class Analysis:
    """Every combination of outcomes, populations and estimators named here is fitted, and every test run on each.

    Parameters
    ----------
    name, label : str
    part : {"main", "sensitivity", "supplementary"}
    outcomes, populations, estimators, tests : tuple of str
        Names. No outcomes means all of them, no populations the plan's first. The first estimator leads, and the others stand beside it.
    covariates : str, optional
        In place of each outcome's own formula; an empty text means unadjusted.
    missing : {"refuse", "complete case", "missing indicator", "multiple imputation"}, optional
        In place of the plan's rule.
    comparators : bool
        Whether never-treated comparators stand beside the trial's clusters.
    without_clusters : tuple of str
    without_periods : tuple of int
        From 1; left out of the data before the fit.
    words : str
        Why it is done.
    """

    name: str
    label: str
    part: str = "main"
    outcomes: tuple[str, ...] = ()
    populations: tuple[str, ...] = ()
    estimators: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    covariates: str | None = None
    missing: str | None = None
    comparators: bool = False
    without_clusters: tuple[str, ...] = ()
    without_periods: tuple[int, ...] = ()
    words: str = ""

    def __post_init__(self) -> None:
        one_of(self.part, PARTS, f"The part of analysis {self.name!r}")
        if self.missing is not None:
            one_of(self.missing, RULES, f"missing of analysis {self.name!r}")
        if not self.estimators:
            raise PlanError(f'Analysis {self.name!r} names no estimator. Write for example estimators = ["cr2"].')


@dataclass(frozen=True)
class Missing:
    """What is done about missing outcomes and covariates, unless an analysis says otherwise."""

    rule: str = "refuse"
    imputation: MultipleImputation | None = None
    words: str = ""

    def __post_init__(self) -> None:
        one_of(self.rule, RULES, "The rule for missing data")


@dataclass(frozen=True)
class Multiplicity:
    """Which p values are one family, and how they are adjusted.

    Parameters
    ----------
    method : str
        As in `swedge.multiplicity`, or "maxT": the randomisation test of all outcomes together.
    analysis, estimator : str
        Names; their p of every outcome is read.
    test : str, optional
        Name of the test whose p is read; left out, the estimator's own.
    outcomes : tuple of str
        Names; none means every secondary outcome.
    words : str
    """

    method: str
    analysis: str
    estimator: str
    test: str | None = None
    outcomes: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Comparators:
    """Never-treated clusters beside the trial's own: the list, how it came about, and who may have been missed."""

    clusters: tuple[str, ...]
    words: str = ""
    adopters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        both = [name for name in self.clusters if name in self.adopters]
        if both:
            raise PlanError(f"{both[0]!r} is among the comparators and among those who adopted the programme. Take it out of one list.")


@dataclass(frozen=True)
class PowerByFormula:
    """Power by formula, for the protocol: what `swedge.analytic_power` takes."""

    name: str
    label: str
    effect: float
    size: float | tuple[float, ...]
    correlation: Correlation
    baseline: float | tuple[float, ...] | None = None
    sd: float | None = None
    family: str = "gaussian"
    variance: str = "cell"
    link: str = "identity"
    df: str = "satterthwaite"
    words: str = ""


@dataclass(frozen=True)
class PowerBySimulation:
    """Power by simulation of the registered estimators and tests, for the protocol."""

    name: str
    label: str
    truth: Scenario
    estimators: tuple[str, ...]
    tests: tuple[str, ...] = ()
    reps: int = 2000
    words: str = ""


@dataclass(frozen=True)
class AllocationRule:
    """Where the audit record of the allocation lies, and how it came about.

    Parameters
    ----------
    record : str
        File in the plan's folder.
    carried_out : bool
        Whether the design's own dates of go-live were carried out, in which case nothing is drawn.
    sequences : tuple of (str, int)
        The sequence, from 0, that each cluster was given, where it was not drawn here and the design has no dates.
    """

    record: str = "allocation.json"
    carried_out: bool = False
    sequences: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Text:
    """A paragraph that a person wrote, under the name of the item that asks for it."""

    item: str
    words: str
