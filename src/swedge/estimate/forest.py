"""Several results in one picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge._present.tables import percent
from swedge.errors import DataError, described, listing
from swedge.estimate.result import RATIOS, SCALES, Estimate
from swedge.estimate.test import TestResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class _Row(NamedTuple):
    """One line of the picture."""

    label: str
    estimate: float
    limits: Array
    level: float


def forest(results: Mapping[str, Estimate | TestResult], ax: Axes | None = None) -> Axes:
    """Draw estimates and tests on one scale beside each other, one row a term, with their intervals.

    A logarithmic scale gets its ratios along the top. Where a test's interval is the whole line, the interval that it offers at a lower
    level is a row of its own. A row says its level where that is not the first one's.

    Parameters
    ----------
    results : mapping of str to Estimate or TestResult
        Single fits and tests by the name to be drawn, from the top.
    ax : Axes, optional
        Axes to draw on; new ones by default.

    Raises
    ------
    DataError
        If there is nothing to draw, something is no result or a stack, or scales differ. Units are not known here: what is in days and
        what is in points needs a picture each too.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimate.forest import forest
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> axes = forest({"within periods": sw.WithinPeriod().fit(trial), "two-way": sw.TwoWayFixedEffects().fit(trial)})
    >>> [label.get_text() for label in axes.get_yticklabels()]
    ['within periods', 'two-way']
    """
    from swedge._present.forest import add_ratios, draw_forest

    scale = _scale(_checked(results))
    rows = [row for label, result in results.items() for row in _rows(label, result)]
    labels = [row.label if row.level == rows[0].level else f"{row.label}, {percent(row.level)} interval" for row in rows]
    axes = draw_forest(labels, np.array([row.estimate for row in rows]), np.array([row.limits for row in rows]), SCALES[scale], ax=ax)
    return add_ratios(axes, RATIOS[scale].capitalize()) if scale in RATIOS else axes


def _checked(results: object) -> Mapping[str, Estimate | TestResult]:
    if not isinstance(results, Mapping) or not results:
        raise DataError("forest takes a mapping from names to results, such as {'CR2': sw.FixedEffects().fit(trial)}.")
    for name, result in results.items():
        if not isinstance(result, Estimate | TestResult):
            raise DataError(f"{name!r} is {described(result)}; expected what fit or run returns.")
        if np.ndim(result.status):
            raise DataError(f"{name!r} is a stack of {np.size(result.status)} results; fit or test one trial to draw it.")
    return results


def _scale(results: Mapping[str, Estimate | TestResult]) -> str:
    """The scale that all results share."""
    first: dict[str, str] = {}
    for name, result in results.items():
        first.setdefault(result.scale, name)
    if len(first) > 1:
        shown = [f"{SCALES[scale]} ({name!r})" for scale, name in first.items()]
        raise DataError(f"{len(first)} scales in one forest: {listing(shown)}. Draw one for each scale; ax= puts them side by side.")
    return next(iter(first))


def _rows(label: str, result: Estimate | TestResult) -> list[_Row]:
    if isinstance(result, Estimate):
        several = len(result.terms) > 1
        names = [f"{label}, {term}" if several else label for term in result.terms]
        found = zip(names, np.ravel(result.estimate), result.conf_int.reshape(-1, 2), strict=True)
        return [_Row(name, float(value), limits, result.level) for name, value, limits in found]
    rows = [_Row(label, float(result.estimate), result.conf_int, result.level)]
    if result.offered_conf_int is not None and result.offered_level is not None:
        rows.append(_Row(label, float(result.estimate), result.offered_conf_int, result.offered_level))
    return rows
