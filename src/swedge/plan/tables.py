"""Files of rows as they were written: text stays text, and only what a plan says is a number or a date becomes one."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from swedge.design.calendar import as_days
from swedge.errors import DataError, counted
from swedge.plan.uses import ANYTHING, CLUSTER, COVARIATE
from swedge.trial.columns import label

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d{1,18}")
CODE = re.compile(r"0\d")
"""How a code begins that only looks like a number."""

FLAGS = {"true": "1", "false": "0"}

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""What other software writes between values in place of a comma."""

SERIAL = re.compile(r"[2-6]\d{4}(?:\.0)?")
"""How spreadsheets number the days from 1954 to 2091."""

BLANK = ("NA", "NaN", "nan")
"""What other software writes into columns of numbers and dates in place of nothing. In text these are values."""


def read_table(path: Path, holds: Mapping[str, str]) -> pd.DataFrame:
    """A CSV (UTF-8, a comma between values, blank where a value is missing) or Parquet file.

    Parameters
    ----------
    path : Path
    holds : mapping
        What each column holds. Others are read as codes: numbers if every value is one as this library would write it, else text.

    Raises
    ------
    DataError
        If there is no such file, it cannot be read, or a column of dates holds something that is no date. No value is shown that five
        rows or fewer hold.
    """
    if path.is_dir():
        raise DataError(f"{str(path)!r} is a folder. Pass the path of a CSV or Parquet file.")
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path.name!r} is no CSV and no Parquet file. Save the table as CSV in UTF-8, under a name that ends in .csv.")
    if not path.is_file():
        raise DataError(f"There is no file {path.name!r}. Check the path, or pass the table as a DataFrame.")
    return READERS[path.suffix.lower()](path, holds)


def _parquet(path: Path, holds: Mapping[str, str]) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError:
        raise DataError(f"{path.name!r} needs pyarrow to be read. Install it (pip install pyarrow), or save the table as CSV.") from None
    except (OSError, ValueError):
        raise DataError(f"{path.name!r} cannot be read as Parquet. Write it again, or save the table as CSV.") from None


def _csv(path: Path, holds: Mapping[str, str]) -> pd.DataFrame:
    texts = _texts(path)
    parts = [_read(texts.iloc[1:, k], str(name), holds.get(str(name), ANYTHING)) for k, name in enumerate(texts.iloc[0])]
    frame = pd.concat(parts, axis=1)
    frame.columns = pd.Index([str(name) for name in texts.iloc[0]])
    return frame.reset_index(drop=True)


def _texts(path: Path) -> pd.DataFrame:
    """The head and the rows, nothing but text."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, strict=True) if row]
    except UnicodeDecodeError:
        raise DataError(f"{path.name!r} is not in UTF-8. Save it as 'CSV UTF-8'.") from None
    except csv.Error:
        raise DataError(f"{path.name!r} cannot be split into values: a quote is never closed, or stands alone. Write it again.") from None
    if not rows:
        raise DataError(f"{path.name!r} is empty. Pass a file with a first line of column names and one row an individual.")
    _check_separator(path, rows[0])
    _check_lengths(path, rows)
    return pd.DataFrame(rows, dtype=object)


def _check_separator(path: Path, head: list[str]) -> None:
    found = next((sign for sign in SEPARATORS if len(head) == 1 and sign in head[0]), None)
    if found is not None:
        raise DataError(
            f"The values of {path.name!r} are separated by {SEPARATORS[found]}. Save it with commas between values and points in decimals."
        )


def _check_lengths(path: Path, rows: list[list[str]]) -> None:
    wrong = sum(len(row) != len(rows[0]) for row in rows)
    if wrong:
        raise DataError(
            f"{counted(wrong, 'row', 'rows')} of {path.name!r} {'has' if wrong == 1 else 'have'} more or fewer values than the first line"
            " has column names. Quote text that holds a comma; if the file was cut short, write it again."
        )


READERS: dict[str, Callable[[Path, Mapping[str, str]], pd.DataFrame]] = {".csv": _csv, ".txt": _csv, ".parquet": _parquet}


def _read(texts: pd.Series, name: str, holds: str) -> pd.Series:
    if holds in ("text", CLUSTER):
        return _blanked(texts).astype("str")
    if holds == "date":
        return _dates(_blanked(texts, BLANK), name)
    if holds in ("number", "yes/no"):
        return _numbers(_unflagged(_blanked(texts, BLANK)), _is_number)
    if holds == COVARIATE:
        return _numbers(_blanked(texts, BLANK), _is_plain_number)
    return _numbers(_blanked(texts), _is_written)


def _blanked(texts: pd.Series, blank: tuple[str, ...] = ()) -> pd.Series:
    return texts.mask(texts.isin(["", *blank]))


def _unflagged(texts: pd.Series) -> pd.Series:
    """A column of true and false as 1 and 0; any other as it is."""
    plain = texts.str.lower()
    return plain.map(FLAGS) if plain.dropna().isin(FLAGS).all() else texts


def _dates(texts: pd.Series, name: str) -> pd.Series:
    try:
        days = as_days(texts)
    except DataError as error:
        raise DataError(f"Column {name!r} should hold dates without a time of day. {error}{_serial(texts)}") from None
    return pd.Series(days.astype("datetime64[s]"), index=texts.index)


def _serial(texts: pd.Series) -> str:
    if not all(map(SERIAL.fullmatch, texts.dropna())):
        return ""
    return " These are a spreadsheet's numbers of days: format the column there as yyyy-mm-dd, and save again."


def _numbers(texts: pd.Series, fits: Callable[[list[str]], bool]) -> pd.Series:
    """Numbers, whole ones as such where none is missing; the texts themselves where they do not fit."""
    codes, values = pd.factorize(texts)
    distinct = [str(value) for value in values]
    if not fits(distinct):
        return texts.astype("str")
    if distinct and (codes >= 0).all() and all(map(WHOLE.fullmatch, distinct)):
        return pd.Series(np.array([int(value) for value in distinct], dtype=np.int64)[codes], index=texts.index)
    read = np.array([*map(float, distinct), np.nan])  # code -1, of a missing value, is the last
    return pd.Series(read[codes], index=texts.index)


def _is_number(distinct: list[str]) -> bool:
    return all(map(NUMBER.fullmatch, distinct))


def _is_plain_number(distinct: list[str]) -> bool:
    return _is_number(distinct) and not any(map(CODE.match, distinct))


def _is_written(distinct: list[str]) -> bool:
    """Whether every text is a finite number in the one way that this library writes it, so that nothing is lost."""
    if not all(text[-1:].isdigit() and NUMBER.fullmatch(text) for text in distinct):
        return False
    return all(label(float(text)) == text for text in distinct) or all(repr(float(text)) == text for text in distinct)
