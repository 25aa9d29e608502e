"""Weighted averages of all two-by-two comparisons with the least variance under an assumed correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from swedge.assumptions import Correlation, Exchangeable, Layout, covariance_of
from swedge.errors import DataError, FitError, listing
from swedge.estimators.changes import proportional
from swedge.estimators.choices import check_choice
from swedge.estimators.cohorts import Cohorts, cohorts
from swedge.estimators.columns import cluster_columns, period_columns, stack_columns
from swedge.estimators.difference import ROBUST, CellEffects, DifferenceInDifferences
from swedge.estimators.layout import midpoints
from swedge.estimators.treated_cells import pair_name
from swedge.trial import Trial

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Index = NDArray[np.int64]

ALIKE = {
    "constant": "one constant effect",
    "calendar": "effects by calendar period",
    "exposure": "effects by periods since treatment",
    "group-time": "effects by group and time",
    "cell": "an effect of its own in every cell",
}
INDEPENDENT = Exchangeable(0.0)
# Directions with less than this share of the largest information are not identified; a contrast they touch by more than `APART` is not.
RANK, APART = 1e-10, 1e-6


class Classes(NamedTuple):
    """Treated cells that share an effect: ``terms (P,)`` and ``member (..., P, I, T)``."""

    terms: tuple[str, ...]
    member: Array


@dataclass(frozen=True)
class GeneralisedDiD(DifferenceInDifferences):
    """The weighted average of two-by-two comparisons that is unbiased under assumed likeness of effects, with the least variance.

    All two-by-two comparisons of clusters and periods together span the weights that add up to 0 in every cluster and period, so that the
    least variance is that of generalised least squares with effects of clusters, of periods and of treatment, at the assumed correlation.

    Parameters
    ----------
    alike : {"constant", "calendar", "exposure", "group-time", "cell"}
        Which treated cells are assumed to share an effect: all, those of a period, those as long after the start, those of both, or none
        (settings S5, S4, S3, S2 and S1 of the paper). The less is assumed alike, the fewer comparisons serve.
    correlation : Correlation
        Working correlation of outcomes in a cluster, with values, such as ``ExponentialDecay(0.1, 0.8)``; the sizes of cells count. A wrong
        one costs precision and no bias.

    Notes
    -----
    The overall effect averages the treated cells whose effect is identified, each alike; a note names what is left out. Independence, which
    is the default, and exchangeable correlation give the same weights where cells are of one size: those of `TwoWayFixedEffects` under
    "constant", of `ExtendedTwoWay` under "group-time".

    References
    ----------
    Kennedy-Shaffer L (2024). A generalized difference-in-differences estimator for randomized stepped-wedge and observational staggered
    adoption settings. arXiv 2405.08730.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.estimators.generalised import GeneralisedDiD
    >>> allocation = sw.Design.from_matrix([[0, 1], [0, 0]], clusters_per_sequence=[1, 1]).allocate({"1": 0, "2": 1})
    >>> trial = sw.Trial.from_cells(np.ones((2, 2)), [[1.0, 5.0], [2.0, 3.0]], allocation)
    >>> round(float(GeneralisedDiD(correlation=sw.NestedExchangeable(0.1, 0.8)).point(trial)), 12)
    3.0
    """

    alike: str = "constant"
    correlation: Correlation = INDEPENDENT

    vcovs: ClassVar[tuple[str, ...]] = ROBUST

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("alike", self.alike, ALIKE)
        if not isinstance(self.correlation, Correlation):
            raise FitError(f"correlation={self.correlation!r}; expected a structure with values, such as ExponentialDecay(0.1, 0.8).")

    def build(self, trial: Trial) -> CellEffects:
        """Effects and the weights of cells in them."""
        found = cohorts(trial)
        classes = _classes(trial, found, self.alike)
        coefficients, known = _generalised(trial, classes, self._precision(trial))
        if not known.any():
            raise DataError(
                f"No clean comparison is left: with {ALIKE[self.alike]}, none is identified by the others' changes. Assume more alike, or"
                " add comparators=."
            )
        overall = proportional(np.ones((1, known.shape[-1])), classes.member.sum((-2, -1)) * known)
        weights = np.einsum("...jp,...pit->...jit", overall, coefficients)
        notes = _unidentified(classes, known)
        estimand = f"average effect on the treated, with {ALIKE[self.alike]}"
        if self.alike in ("constant", "cell"):
            return CellEffects(("overall",), weights, estimand, notes)
        kept = np.asarray(known.reshape((-1, known.shape[-1])).any(0))
        parts = np.where(known[..., None, None], coefficients, np.nan)[..., kept, :, :]
        terms = ("overall", *(term for term, keep in zip(classes.terms, kept, strict=True) if keep))
        return CellEffects(terms, np.concatenate([weights, parts], -3), estimand, notes)

    def _precision(self, trial: Trial) -> Array:
        """Inverse covariance of cell means ``(..., I, T, T)``, 0 where a cell is not observed."""
        seen = trial.n > 0
        layout = Layout(midpoints(trial), trial.arm, np.ones((1, trial.n.shape[-1])))
        covariance = covariance_of(self.correlation.parts(layout), np.where(seen, trial.n, 1.0))
        both = seen[..., :, None] & seen[..., None, :]
        masked = np.where(both, covariance, np.eye(seen.shape[-1]))
        return np.asarray(np.linalg.inv(masked) * both)

    def _named(self) -> str:
        return f"Generalised difference-in-differences with {ALIKE[self.alike]}, weights of least variance under {self.correlation!r}"


def _classes(trial: Trial, found: Cohorts, alike: str) -> Classes:
    time = np.arange(found.periods)
    treated = found.seen & (time >= found.start[..., None])
    label = np.where(treated, _label(found, alike), -1)
    values = np.unique(label[label >= 0])
    if not len(values):
        raise DataError("No clean comparison is left: no treated cell is observed. Check first_treated, or which outcomes are missing.")
    terms = tuple(_term(trial, int(value), alike) for value in values)
    return Classes(terms, np.asarray(label[..., None, :, :] == values[:, None, None], dtype=np.float64))


def _label(found: Cohorts, alike: str) -> Index:
    """A number for each cell ``(..., I, T)``; treated cells of one number share an effect."""
    time, start = np.arange(found.periods), found.start[..., None]
    cluster = np.arange(found.start.shape[-1])[:, None]
    tables = {"constant": 0 * time, "calendar": time, "exposure": time - start, "group-time": start * found.periods + time}
    return np.asarray(tables.get(alike, cluster * found.periods + time))


def _term(trial: Trial, value: int, alike: str) -> str:
    periods = trial.n.shape[-1]
    if alike == "group-time":
        return pair_name(trial, value // periods, value % periods)
    if alike == "cell":
        return f"{trial.clusters[value // periods]} in {trial.periods[value % periods]}"
    return {"constant": "treatment", "calendar": f"calendar {trial.periods[value % periods]}"}.get(alike, f"event {value}")


def _generalised(trial: Trial, classes: Classes, precision: Array) -> tuple[Array, Flags]:
    """Weights of cells in each class's effect ``(..., P, I, T)``, and which effects are identified ``(..., P)``."""
    columns = stack_columns(period_columns(trial), cluster_columns(trial), classes.member)
    bent = np.einsum("...its,...pis->...pit", precision, columns)
    flat = bent.reshape((*bent.shape[:-2], -1))
    information = flat @ columns.reshape((*columns.shape[:-2], -1)).swapaxes(-1, -2)
    inverse = np.linalg.pinv(information, rcond=RANK, hermitian=True)
    count = len(classes.terms)
    reproduced = (inverse @ information)[..., -count:, :] - np.eye(information.shape[-1])[-count:]
    weights = (inverse[..., -count:, :] @ flat).reshape((*flat.shape[:-2], count, *columns.shape[-2:]))
    return weights, np.asarray((np.abs(reproduced) < APART).all(-1))


def _unidentified(classes: Classes, known: Flags) -> tuple[str, ...]:
    lost = (classes.member.sum((-2, -1)) > 0) & ~known
    which = np.flatnonzero(lost.reshape((-1, lost.shape[-1])).any(0))
    if not len(which):
        return ()
    share = f"{len(which)} of {len(classes.terms)} effects"
    return (f"{share} are identified by no comparison and left out of the overall one: {listing([classes.terms[k] for k in which])}.",)
