"""One trial analysed under several answers to its missing values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._present.tables import percent
from swedge.design import Allocation
from swedge.errors import DataError, FitError, SwedgeError, listing
from swedge.estimate import COLUMNS, SCALES, Estimate, Estimator, check_estimator
from swedge.inference.imputation import MultipleImputation, checked_sets
from swedge.inference.pooling import pool
from swedge.trial import Trial
from swedge.trial.columns import as_numbers, check_choice, label, numbers
from swedge.trial.formula import names_in, parse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

METHODS = ("multiple imputation", "complete case", "missing indicator")

# Names that no column of the user's can have by accident.
PERIOD, TREATMENT = "(period)", "(treatment)"


@dataclass(frozen=True, eq=False, repr=False)
class MissingDataAnalysis:
    """One estimator's answer under each way to deal with missing values.

    Attributes
    ----------
    estimates : dict of Estimate
        By method.
    analysed, dropped : dict of int
        Rows used and left out, by method.
    missing : dict of int
        Rows without a value, by column; complete columns are not listed.
    rows : int
        Rows of the data.
    imputation : str
        How values were imputed: the specification, from which the sets can be made again, or that they were made elsewhere.
    failures : dict of str
        By method, why it gave nothing.
    """

    estimates: dict[str, Estimate]
    analysed: dict[str, int]
    dropped: dict[str, int]
    missing: dict[str, int]
    rows: int
    imputation: str
    failures: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        """One line: what was compared, on how much data."""
        failed = f"; failed: {', '.join(self.failures)}" if self.failures else ""
        return f"<MissingDataAnalysis: {', '.join(self.estimates)}{failed}; {self.rows} rows>"

    def tidy(self) -> pd.DataFrame:
        """One row a method and term: the columns that every result has, then ``n, dropped, fmi`` (fraction of missing information).

        A method that failed has nan, and the status "failed".
        """
        kept = [self._rows(method) for method in self.estimates]
        return pd.concat([*kept, *(self._lost(kept[0], method) for method in self.failures)], ignore_index=True)

    def _lost(self, rows: pd.DataFrame, method: str) -> pd.DataFrame:
        """The rows of another method, without its numbers."""
        numbers = dict.fromkeys(rows.select_dtypes("number").columns, np.nan)
        return rows.assign(**numbers).assign(method=method, status="failed")

    def _rows(self, method: str) -> pd.DataFrame:
        estimate = self.estimates[method]
        fmi = np.ravel(estimate.details.get("fmi", np.full(len(estimate.terms), np.nan)))
        frame = estimate.tidy()[list(COLUMNS)].assign(n=self.analysed[method], dropped=self.dropped[method], fmi=fmi)
        frame.insert(0, "method", method)
        return frame

    def summary(self) -> str:
        """The methods beside each other, what was missing, what each assumes, and one sentence of methods for each."""
        from swedge._present.tables import text_table

        one = next(iter(self.estimates.values()))
        gaps = [f"{name} {count:,} ({count / self.rows:.1%})" for name, count in self.missing.items()]
        notes = dict.fromkeys(note for estimate in self.estimates.values() for note in estimate.notes)
        lines = [
            f"{one.estimator}: {one.estimand} ({SCALES[one.scale]}), {percent(one.level)} interval",
            f"Missing among {self.rows:,} rows: {', '.join(gaps) or 'nothing'}.",
            text_table(self.tidy().drop(columns=["estimand", "estimator"])),
            *([f"Imputation: {self.imputation}."] if METHODS[0] in self.estimates else []),
            *(f"Assumption, {method}: {ASSUMPTIONS[method]}" for method in self.estimates),
            *(f"Note: {note}" for note in notes),
            *(f"Note: failed. {why}" for why in self.failures.values()),
            *(f"Methods, {method}: {estimate.methods}" for method, estimate in self.estimates.items()),
        ]
        return "\n".join(lines)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Estimates of every method with their intervals."""
        from swedge._present.forest import draw_forest

        table, one = self.tidy(), next(iter(self.estimates.values()))
        labels = table["method"] if len(one.terms) == 1 else table["method"] + ", " + table["term"]
        limits = table[["conf_low", "conf_high"]].to_numpy()
        return draw_forest(list(labels), table["estimate"].to_numpy(), limits, SCALES[one.scale], ax=ax)


ASSUMPTIONS = {
    "multiple imputation": "values are missing at random given the columns of the imputation model.",
    "complete case": "given treatment, cluster, period and covariates, whether a row is complete does not depend on the outcome.",
    "missing indicator": "rows without a covariate's value are alike in it. Biased where they are not, or where gaps depend on the"
    " treatment: a check, not an answer.",
}


@dataclass(frozen=True)
class _Source:
    """The data, and how to make a trial of them."""

    df: pd.DataFrame
    allocation: Allocation
    cluster: str
    outcome: str
    period: str | None
    date: str | None
    family: str
    covariates: str | None
    treatment: str | None
    comparators: Sequence[str]
    empty: str

    def trial(self, missing: str) -> Trial:
        return Trial.from_frame(
            self.df,
            self.allocation,
            cluster=self.cluster,
            outcome=self.outcome,
            period=self.period,
            date=self.date,
            family=self.family,
            covariates=self.covariates,
            treatment=self.treatment,
            comparators=self.comparators,
            missing=missing,
            empty=self.empty,
        )

    @property
    def names(self) -> list[str]:
        """The covariates' columns."""
        return [] if self.covariates is None else names_in(self.covariates, self.df)

    @property
    def columns(self) -> list[str]:
        """Every column that the analysis reads."""
        given = (self.cluster, self.period, self.date, self.treatment, self.outcome, *self.names)
        return list(dict.fromkeys(name for name in given if name is not None))

    @property
    def categories(self) -> set[str]:
        """Covariates that the formula, or their own type, makes categories."""
        return set() if self.covariates is None else _categories(self.df, self.covariates)


def missing_data_analysis(
    df: pd.DataFrame,
    allocation: Allocation,
    estimator: Estimator,
    *,
    cluster: str,
    outcome: str,
    period: str | None = None,
    date: str | None = None,
    family: str = "gaussian",
    covariates: str | None = None,
    treatment: str | None = None,
    comparators: Sequence[str] = (),
    empty: str = "raise",
    methods: Sequence[str] = METHODS,
    imputation: MultipleImputation | Iterable[pd.DataFrame] = MultipleImputation(),  # noqa: B008 - frozen, so shared safely
    progress: bool | None = False,
) -> MissingDataAnalysis:
    """Fit one estimator under several answers to missing outcomes and covariates.

    Parameters
    ----------
    df, allocation, cluster, outcome, period, date, family, covariates, treatment, comparators, empty
        As for `Trial.from_frame`: one row an individual.
    estimator : Estimator
    methods : sequence of {"multiple imputation", "complete case", "missing indicator"}
        Complete case leaves rows with a gap out. The missing indicator gives a category the further level "missing", fills a number with
        its mean and adds an indicator column; rows without an outcome are left out.
    imputation : MultipleImputation or iterable of DataFrame
        How to impute, or the completed sets made elsewhere: each with the rows and index of `df`. The imputation model holds outcome,
        treatment, cluster and period as well as the covariates.
    progress : bool, optional
        A progress bar for the imputation; None shows one only when standard error is a terminal.

    Raises
    ------
    DataError
        If the data cannot be the trial's (see `Trial.from_frame`), a method is unknown, or an imputed set is not of these data.
    FitError
        If every method fails; of imputed sets the number is given. If some do, the result's `failures` say why, and their rows hold nan.

    Examples
    --------
    >>> import swedge as sw
    >>> from swedge.inference.missing import missing_data_analysis
    >>> from swedge.inference.imputation import MultipleImputation
    >>> from swedge.studies import family_safeguarding, simulate_children
    >>> study = family_safeguarding()
    >>> children = simulate_children(study, seed=0, missing=True)
    >>> analysis = missing_data_analysis(children, study.allocation, sw.FixedEffects(), cluster="la", date="referral_date",
    ...     outcome="looked_after", family="binomial", covariates="C(gender)", imputation=MultipleImputation(imputations=3, seed=1))
    >>> analysis.tidy()[["method", "n", "dropped"]].values.tolist()
    [['multiple imputation', 27425, 0], ['complete case', 26420, 1005], ['missing indicator', 27425, 0]]
    """
    _check_request(estimator, methods)
    source = _Source(df, allocation, cluster, outcome, period, date, family, covariates, treatment, comparators, empty)
    anyone = replace(source, covariates=None).trial("drop")
    ways: dict[str, Callable[[], _Answer]] = {
        "multiple imputation": lambda: _imputed(source, anyone, estimator, imputation, progress),
        "complete case": lambda: _answered(source, estimator),
        "missing indicator": lambda: _answered(_with_indicators(source), estimator),
    }
    answers, failures = _each(methods, ways)
    gaps = {name: int(df[name].isna().sum()) for name in source.columns}
    return MissingDataAnalysis(
        {method: answer.estimate for method, answer in answers.items()},
        {method: answer.analysed for method, answer in answers.items()},
        {method: answer.dropped for method, answer in answers.items()},
        {name: count for name, count in gaps.items() if count},
        len(df),
        repr(imputation) if isinstance(imputation, MultipleImputation) else "completed sets made elsewhere",
        {method: str(error) for method, error in failures.items()},
    )


class _Answer(NamedTuple):
    """What one method gives."""

    estimate: Estimate
    analysed: int
    dropped: int


def _check_request(estimator: object, methods: Sequence[str]) -> None:
    check_estimator(estimator)
    if isinstance(methods, str) or not methods:
        raise DataError(f"methods is {methods!r}. Pass a list of some of {', '.join(map(repr, METHODS))}.")
    for method in methods:
        check_choice("methods", method, METHODS)


def _each(methods: Sequence[str], ways: dict[str, Callable[[], _Answer]]) -> tuple[dict[str, _Answer], dict[str, SwedgeError]]:
    """Answers and failures by method; an error if there is no answer at all, or the imputation itself cannot be done."""
    answers: dict[str, _Answer] = {}
    failures: dict[str, SwedgeError] = {}
    for method in methods:
        try:
            answers[method] = _named(method, ways[method])
        except (DataError, FitError) as error:
            if method == METHODS[0] and isinstance(error, DataError):
                raise
            failures[method] = error
    if not answers:
        raise next(iter(failures.values()))
    return answers, failures


def _named(method: str, way: Callable[[], _Answer]) -> _Answer:
    """One method's answer; what goes wrong says in which."""
    try:
        return way()
    except (DataError, FitError) as error:
        raise type(error)(f"By {method}: {error}") from error


def _answered(source: _Source, estimator: Estimator) -> _Answer:
    trial = source.trial("drop")
    return _Answer(estimator.fit(trial), int(trial.n.sum()), trial.dropped)


def _imputed(
    source: _Source, anyone: Trial, estimator: Estimator, imputation: MultipleImputation | Iterable[pd.DataFrame], progress: bool | None
) -> _Answer:
    """Set by set, so that one completed frame is held at a time."""
    fits: list[Estimate] = []
    failed: dict[int, FitError] = {}
    for k, frame in enumerate(_sets(source, anyone, imputation, progress), 1):
        trial = replace(source, df=frame).trial("raise")
        try:
            fits.append(estimator.fit(trial))
        except FitError as error:
            failed[k] = error
    if failed:
        first = next(iter(failed.values()))
        raise FitError(f"{len(failed)} of {k} imputed sets could not be fitted: {listing(list(failed))}. The first: {first}")
    return _Answer(pool(fits), int(trial.n.sum()), 0)


def _sets(
    source: _Source, anyone: Trial, imputation: MultipleImputation | Iterable[pd.DataFrame], progress: bool | None
) -> Iterator[pd.DataFrame]:
    if not isinstance(imputation, MultipleImputation):
        return checked_sets(imputation, source.df, source.columns)
    columns = [source.cluster, PERIOD, TREATMENT, source.outcome, *source.names]
    frame = source.df.assign(**_place(source, anyone))
    return imputation.completed(frame, columns, {source.cluster, PERIOD, *source.categories}, progress)


def _place(source: _Source, anyone: Trial) -> dict[str, NDArray[Any]]:
    """Period and allocated treatment of each row; cells that the design leaves out count as control."""
    df, design = source.df, source.allocation.design
    period = as_numbers(df[source.period]).astype(int) - 1 if source.date is None else design.period_of(df[source.date])
    names = df[source.cluster].map(label).astype(object)
    cluster = names.map({name: i for i, name in enumerate(anyone.clusters)}).to_numpy(dtype=int)
    return {PERIOD: period, TREATMENT: anyone.arm[cluster, period]}


def with_indicators(df: pd.DataFrame, outcome: str, covariates: str) -> tuple[pd.DataFrame, str]:
    """The missing-indicator method: gaps of categories as a level "missing", of numbers as the mean and an indicator column.

    Parameters
    ----------
    df : DataFrame
        One row an individual; rows without the outcome do not count as gaps.
    outcome : str
    covariates : str
        As for `Trial.from_frame`.

    Returns
    -------
    tuple of DataFrame and str
        The data, and the formula with the indicator columns added.

    Raises
    ------
    DataError
        If a category has a level "missing" already, a number no value at all, or a column the name that an indicator needs.

    Examples
    --------
    >>> import pandas as pd
    >>> df = pd.DataFrame({"y": [0, 1, 1], "age": [1.0, 3.0, None], "sex": ["m", None, "f"]})
    >>> filled, formula = with_indicators(df, "y", "age + sex")
    >>> formula, filled["sex"].tolist(), filled["age"].tolist()
    ('age + sex + age_missing', ['m', 'missing', 'f'], [1.0, 3.0, 2.0])
    """
    names, known = names_in(covariates, df), _categories(df, covariates)
    columns: dict[str, Any] = {}
    for name in names:
        gap = df[name].isna() & df[outcome].notna()
        if gap.any():
            columns.update(_level(df, name) if name in known else _indicator(df, name, gap))
    flags = [name for name in columns if name not in names]
    return df.assign(**columns), " + ".join([covariates, *flags])


def _categories(df: pd.DataFrame, covariates: str) -> set[str]:
    """Covariates that the formula, or their own type, makes categories."""
    written = {text for kind, text in parse(covariates) if kind == "category"}
    return written | {name for name in names_in(covariates, df) if not pd.api.types.is_numeric_dtype(df[name].infer_objects())}


def _with_indicators(source: _Source) -> _Source:
    if source.covariates is None:
        return source
    df, formula = with_indicators(source.df, source.outcome, source.covariates)
    return replace(source, df=df, covariates=formula)


def _level(df: pd.DataFrame, name: str) -> dict[str, Any]:
    if (df[name].astype(object) == "missing").any():
        raise DataError(f"Covariate {name!r} has a level 'missing' besides missing values. Rename it, or make these values missing too.")
    return {name: df[name].astype(object).where(df[name].notna(), "missing")}


def _indicator(df: pd.DataFrame, name: str, gap: pd.Series) -> dict[str, Any]:
    flag = f"{name}_missing"
    if flag in df.columns:
        raise DataError(f"The data have a column {flag!r} already, and the indicator of {name!r} needs that name. Rename it.")
    if df[name].isna().all():
        raise DataError(f"Covariate {name!r} has no value at all. Leave it out.")
    values = numbers(df, name, "covariates", missing=True)
    return {name: np.where(np.isnan(values), np.nanmean(values), values), flag: gap.astype(float)}
