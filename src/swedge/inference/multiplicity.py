"""Multiplicity: p values adjusted for how many outcomes were tested."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DataError, FitError, counted, described, listing, nearest
from swedge.estimate import Estimate, TestResult

Array = NDArray[np.float64]

METHODS = {
    "holm": "holm",
    "hochberg": "simes-hochberg",
    "hommel": "hommel",
    "bonferroni": "bonferroni",
    "sidak": "sidak",
    "benjamini-hochberg": "fdr_bh",
    "benjamini-yekutieli": "fdr_by",
}


def multiplicity(p_values: Mapping[str, float | Estimate | TestResult] | pd.Series | pd.DataFrame, method: str = "holm") -> pd.DataFrame:
    """Adjust a family of p values.

    Parameters
    ----------
    p_values : mapping of str to float, Estimate or TestResult, or Series, or DataFrame
        p by outcome, or fits and tests of one effect each, whose p is read; a series of p by outcome; or a tidy frame with a column
        ``p_value``, all of whose rows are one family.
    method : {"holm", "hochberg", "hommel", "bonferroni", "sidak", "benjamini-hochberg", "benjamini-yekutieli"}
        The first five hold the chance of any false rejection: Holm and Bonferroni under any dependence, Hochberg, Hommel and Sidak under
        independence or positive dependence. The last two hold the expected share of false ones among the rejections, the second of them
        under any dependence.

    Returns
    -------
    DataFrame
        Columns ``outcome, p_value, p_adjusted, method``; of a frame the frame itself with the last two added. The order is kept. An
        outcome whose p is nan, as after a failed fit, keeps nan and still counts in the family.

    Raises
    ------
    DataError
        If there is no p value, or one is no number between 0 and 1.
    FitError
        If the method is not known.

    References
    ----------
    Holm S (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 65-70.
    Hochberg Y (1988). A sharper Bonferroni procedure for multiple tests of significance. Biometrika 75, 800-802.

    Examples
    --------
    >>> from swedge.inference import multiplicity
    >>> multiplicity({"looked after": 0.012, "re-referral": 0.03, "proceedings": 0.4})["p_adjusted"].round(3).tolist()
    [0.036, 0.06, 0.4]
    """
    from statsmodels.stats.multitest import multipletests  # half a second of imports that most work does without

    if method not in METHODS:
        raise FitError(f"method={method!r}; expected one of {', '.join(METHODS)}.{nearest(method, METHODS)}")
    frame = _frame(p_values)
    p = _numbers(frame)
    with np.errstate(divide="ignore"):  # Sidak of a p of 1
        adjusted = multipletests(np.where(np.isnan(p), 1.0, p), method=METHODS[method])[1]
    return frame.assign(p_adjusted=np.where(np.isnan(p), np.nan, adjusted), method=method)


def _frame(p_values: object) -> pd.DataFrame:
    if isinstance(p_values, pd.DataFrame):
        if "p_value" not in p_values.columns:
            raise DataError(f"The frame has no column p_value; it has {listing(list(p_values.columns))}. Pass what .tidy() gives.")
        return p_values
    if not isinstance(p_values, Mapping | pd.Series):
        raise DataError(f"p_values is {described(p_values)}; expected a mapping or a series from outcomes to p, or a frame with p_value.")
    known = dict(p_values.items())
    return pd.DataFrame({"outcome": list(known), "p_value": [_read(name, value) for name, value in known.items()]})


def _read(name: object, value: object) -> object:
    """The p of a result, or what was given for one."""
    if not isinstance(value, Estimate | TestResult):
        return value
    if value.p_value.ndim:
        what = f"{len(value.terms)} effects" if isinstance(value, Estimate) and not np.ndim(value.status) else "a stack"
        raise DataError(
            f"{name!r} holds {value.p_value.size} p values ({what}); expected one. Pass what .tidy() gives, or name an estimand."
        )
    return float(value.p_value)


def _numbers(frame: pd.DataFrame) -> Array:
    """The p values, each a number between 0 and 1 or nan."""
    if not len(frame):
        raise DataError("There is no p value to adjust. Pass at least one outcome.")
    p = np.asarray(pd.to_numeric(frame["p_value"], errors="coerce"), dtype=float)
    wrong = (np.isnan(p) & frame["p_value"].notna().to_numpy()) | (p < 0) | (p > 1)
    if wrong.any():
        names = frame["outcome" if "outcome" in frame else frame.columns[0]]
        shown = [f"{name}: {value!r}" for name, value in zip(names[wrong], frame["p_value"][wrong], strict=True)]
        count = counted(len(shown), "p value is no number", "p values are no numbers")
        raise DataError(f"{count} between 0 and 1: {listing(shown)}. Give nan where a fit failed.")
    return p
