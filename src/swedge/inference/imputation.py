"""Multiple imputation by chained equations, one chain a completed set; and completed sets from elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from swedge._kernels.imputation import draw_levels, draw_numbers
from swedge.design.validation import seed_number, whole
from swedge.errors import DataError, listing
from swedge.trial.columns import check_columns, numbers
from swedge.trial.formula import FEW_LEVELS, MOST_LEVELS

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

# Observed numbers that were written to a file and read back may differ by this share.
SAME = 1e-9


@dataclass(frozen=True)
class MultipleImputation:
    """How to complete a data set several times, by chained equations.

    Every incomplete column is drawn in turn given all the others, `burn_in` times round. A column with two values, or of categories, is
    drawn from logistic regressions: its commonest level against the rest, then the next one against what remains, so that nominal levels
    need no order and none is put between two others. A column of numbers takes the value of one of `donors` rows whose predictions are
    nearest (predictive mean matching), so only values that occur are imputed. Coefficients are drawn from their posterior first. A weak
    prior (log odds: normal, standard deviation 2.5 a level or a standard deviation) keeps levels with one outcome alone finite.

    Parameters
    ----------
    imputations : int
        Sets to make, at least 2.
    burn_in : int
        Times that a chain goes round the incomplete columns before its set is kept; each set has its own chain. One round is enough, and
        all that is done, where a single column is incomplete.
    donors : int
        Rows from which a number is drawn.
    auxiliary : tuple of str
        Further columns of the data that foretell missing values, or which values are missing; they are not analysed.
    seed : int
        Set k is the same however many sets are made.

    Notes
    -----
    This assumes that values are missing at random given the columns used. Columns enter by themselves: interactions with the treatment,
    or cluster-by-period noise beyond the outcome's own, are not in the imputation model.

    References
    ----------
    van Buuren S (2018). Flexible Imputation of Missing Data, 2nd edition. Chapman and Hall.
    White IR, Royston P, Wood AM (2011). Multiple imputation using chained equations: issues and guidance for practice. Statistics in
    Medicine 30, 377-399.

    Examples
    --------
    >>> import pandas as pd
    >>> from swedge.inference.imputation import MultipleImputation
    >>> df = pd.DataFrame({"age": [1.0, 2, 3, None, 5, 6], "sex": ["m", None, "f", "f", "m", "f"]})
    >>> sets = list(MultipleImputation(imputations=2, seed=1).completed(df, ["age", "sex"]))
    >>> len(sets), int(sets[0].isna().sum().sum())
    (2, 0)
    """

    imputations: int = 20
    burn_in: int = 10
    donors: int = 5
    auxiliary: Sequence[str] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        whole(self.imputations, "imputations", least=2)
        whole(self.burn_in, "burn_in", least=1)
        whole(self.donors, "donors", least=1)
        seed_number(self.seed)
        if isinstance(self.auxiliary, str):
            raise DataError(f"auxiliary is the text {self.auxiliary!r}. Pass a tuple of column names, such as ({self.auxiliary!r},).")
        object.__setattr__(self, "auxiliary", tuple(self.auxiliary))

    def completed(
        self, df: pd.DataFrame, columns: Sequence[str], categories: Collection[str] = (), progress: bool | None = False
    ) -> Iterator[pd.DataFrame]:
        """Completed copies of a frame, one at a time.

        Parameters
        ----------
        df : DataFrame
        columns : sequence of str
            Columns that predict each other; those with missing values are completed. Include everything that the analysis uses: the
            outcome, treatment, cluster and period too.
        categories : collection of str
            Those of `columns` that hold numbers which are only codes. Text columns, and columns with two values, are categories anyway.
        progress : bool, optional
            A progress bar; None shows one only when standard error is a terminal.

        Raises
        ------
        DataError
            If a column is absent, empty, a date, or a category with too many levels.
        """
        from tqdm import tqdm

        used = list(dict.fromkeys([*columns, *self.auxiliary]))
        check_columns(df, {f"columns {name}": name for name in used})
        variables = [_variable(df, name, name in categories) for name in used]
        seeds = np.random.SeedSequence(self.seed).spawn(self.imputations)
        hidden = None if progress is None else not progress
        return (
            _filled(df, variables, self._chain(variables, np.random.default_rng(seed)))
            for seed in tqdm(seeds, desc="Imputation", unit="set", leave=False, disable=hidden)
        )

    def _chain(self, variables: Sequence[_Variable], rng: np.random.Generator) -> dict[str, Array | Index]:
        """Imputed values (or codes of levels) by column."""
        chain = _Chain(variables, self.donors, rng)
        for _ in range(self.burn_in if len(chain.incomplete) > 1 else 1):
            chain.turn()
        return {variable.name: variable.values[~variable.seen] for variable in chain.incomplete}


@dataclass(frozen=True)
class _Variable:
    """A column of the imputation model: numbers, or codes of `levels` (commonest first); `values` are complete after the first draw."""

    name: str
    values: NDArray[Any]
    seen: Flags
    levels: NDArray[Any] | None

    def columns(self) -> Array:
        """Its part of the predictors: standardised numbers, or an indicator a level but the commonest."""
        if self.levels is not None:
            return np.asarray(self.values[:, None] == np.arange(1, len(self.levels)), dtype=float)
        known = self.values[self.seen]
        return np.asarray((self.values - known.mean()) / known.std())[:, None]


def _variable(df: pd.DataFrame, name: str, category: bool) -> _Variable:
    seen = df[name].notna().to_numpy()
    if not seen.any():
        raise DataError(f"Column {name!r} has no value at all, so nothing tells what the missing ones are. Leave it out.")
    codes, levels = pd.factorize(df[name])
    if not category and len(levels) > 2 and types.is_numeric_dtype(df[name].infer_objects()):
        return _Variable(name, numbers(df, name, "columns", missing=True), seen, None)
    _check_levels(df, name, len(levels))
    order = np.argsort(-np.bincount(codes[seen]), kind="stable")
    return _Variable(name, np.where(seen, np.argsort(order)[codes], -1), seen, np.asarray(levels)[order])


def _check_levels(df: pd.DataFrame, name: str, levels: int) -> None:
    most = max(FEW_LEVELS, min(MOST_LEVELS, len(df) // 2))
    if levels > most:
        raise DataError(
            f"Column {name!r} has {levels} levels in {len(df)} rows, more than {most}, so it cannot serve to impute. Group them, or turn"
            " dates and the like into numbers."
        )


class _Chain:
    """One chain: the predictors ``(N, p)`` as they stand, and where each column has its part."""

    def __init__(self, variables: Sequence[_Variable], donors: int, rng: np.random.Generator) -> None:
        self.donors, self.rng = donors, rng
        started = [self._start(variable) for variable in variables]
        self.incomplete = sorted((v for v in started if not v.seen.all()), key=lambda v: int((~v.seen).sum()))
        parts = [variable.columns() for variable in started]
        edges = 1 + np.cumsum([0, *(part.shape[1] for part in parts)])
        self.part = {v.name: slice(int(a), int(b)) for v, a, b in zip(started, edges[:-1], edges[1:], strict=True)}
        self.x = np.column_stack([np.ones(len(started[0].seen)), *parts])
        self.modes = {v.name: np.zeros((len(v.levels) - 1, self._others(v).sum())) for v in self.incomplete if v.levels is not None}

    def turn(self) -> None:
        """Draw every incomplete column once, those with the fewest gaps first."""
        for variable in self.incomplete:
            variable.values[~variable.seen] = self._drawn(variable, self.x[:, self._others(variable)])
            self.x[:, self.part[variable.name]] = variable.columns()

    def _start(self, variable: _Variable) -> _Variable:
        """Gaps filled at random from the observed values."""
        values = variable.values.copy()
        values[~variable.seen] = self.rng.choice(values[variable.seen], int((~variable.seen).sum()))
        return _Variable(variable.name, values, variable.seen, variable.levels)

    def _others(self, variable: _Variable) -> Flags:
        keep = np.ones(self.x.shape[1], dtype=bool)
        keep[self.part[variable.name]] = False
        return keep

    def _drawn(self, variable: _Variable, x: Array) -> NDArray[Any]:
        if variable.levels is None:
            return draw_numbers(x, variable.values, variable.seen, self.donors, self.rng)
        order = np.arange(len(variable.levels))
        return draw_levels(x, variable.values, variable.seen, order, self.modes[variable.name], self.rng)


def _filled(df: pd.DataFrame, variables: Sequence[_Variable], drawn: dict[str, NDArray[Any]]) -> pd.DataFrame:
    """A copy with the gaps of each column filled; its dtype stays."""
    columns = {}
    for variable in variables:
        if variable.name in drawn:
            values = drawn[variable.name]
            columns[variable.name] = df[variable.name].copy()
            columns[variable.name][~variable.seen] = values if variable.levels is None else variable.levels[values]
    return df.assign(**columns)


def checked_sets(frames: object, df: pd.DataFrame, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Completed frames from elsewhere, each checked against the data as it comes.

    Raises
    ------
    DataError
        If a set has other rows, lacks a column, holds missing values or changes observed ones; or all sets are one.
    """
    if isinstance(frames, pd.DataFrame) or not isinstance(frames, Iterable):
        raise DataError(
            f"imputation is a single {type(frames).__name__}. Pass a list with one completed DataFrame a set (a long table: one a set by"
            " groupby), or MultipleImputation(...)."
        )
    first, k, differ = None, 0, not df[list(columns)].isna().to_numpy().any()
    for k, frame in enumerate(frames, 1):
        _check_rows(frame, df, k)
        _check_values(frame, df, columns, k)
        first = frame if first is None else first
        differ = differ or any((_texts(frame[name]) != _texts(first[name])).any() for name in columns)
        yield frame
    if k > 1 and not differ:
        raise DataError("All imputed sets hold the same values: one set copied says nothing about what is missing. Pass different ones.")


def _check_rows(frame: object, df: pd.DataFrame, k: int) -> None:
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"Imputed set {k} is a {type(frame).__name__}, not a pandas DataFrame. Pass a list of DataFrames.")
    if len(frame) != len(df):
        raise DataError(f"Imputed set {k} has {len(frame)} rows and the data {len(df)}. Impute the very rows that are analysed.")
    if not frame.index.equals(df.index):
        apart = int((np.asarray(frame.index) != np.asarray(df.index)).sum())
        raise DataError(
            f"Imputed set {k} labels {apart} of {len(df)} rows otherwise than the data. Keep the order of the rows, and set the index of"
            " each set to that of the data."
        )


def _check_values(frame: pd.DataFrame, df: pd.DataFrame, columns: Sequence[str], k: int) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise DataError(f"Imputed set {k} lacks {len(absent)} columns: {listing(list(map(repr, absent)))}. Keep every column of the data.")
    empty = [f"{name}: {count}" for name in columns if (count := int(frame[name].isna().sum()))]
    if empty:
        raise DataError(f"Imputed set {k} still has missing values in {listing(empty)} rows. Complete them.")
    changed = [f"{name}: {count}" for name in columns if (count := _changed(frame[name], df[name]))]
    if changed:
        raise DataError(f"Imputed set {k} changes observed values, in {listing(changed)} rows. Impute missing values alone, row by row.")


def _changed(now: pd.Series, before: pd.Series) -> int:
    """How many observed values are not what they were."""
    seen = before.notna().to_numpy()
    if types.is_numeric_dtype(before) and types.is_numeric_dtype(now):
        new, old = (np.asarray(series[seen], dtype=float) for series in (now, before))
        return int((np.abs(new - old) > SAME * np.abs(old)).sum())
    return int((_texts(now)[seen] != _texts(before)[seen]).sum())


def _texts(values: pd.Series) -> NDArray[Any]:
    return values.astype(object).map(str).to_numpy()
