"""What a test says, and the test that reads an estimate as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._present.tables import format_p, percent
from swedge.errors import DataError
from swedge.estimate.estimator import Estimator, check_pair
from swedge.estimate.result import RATIOS, SCALES, TERM_STATUS, Estimate, as_ratios
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class TestResult:
    """What a test says of one trial or a stack.

    Attributes
    ----------
    p_value : ndarray (...)
        nan where the fit failed.
    conf_int : ndarray (..., 2)
    statistic : ndarray (...)
    min_p : float
        Smallest p that this test can give here; 0 for a continuous reference.
    reference : ndarray or None
        Statistics under the permitted allocations, ``(R, ...)``, the observed one among them.
    n_allocations : int
        How many allocations the reference holds; 0 for a test without one.
    scale : str
        Scale of the estimate and the interval, as in `Estimate`.
    estimator : str
        What was tested.
    methods : str
        One sentence fit for a paper.
    """

    __test__ = False

    p_value: Array
    conf_int: Array
    statistic: Array
    status: NDArray[np.int8]
    estimate: Array
    test: str
    level: float = 0.95
    min_p: float = 0.0
    reference: Array | None = None
    n_allocations: int = 0
    exact: bool = False
    offered_level: float | None = None
    offered_conf_int: Array | None = None
    notes: tuple[str, ...] = ()
    std_error: Array | None = None
    scale: str = "identity"
    estimator: str = ""
    methods: str = ""

    def __repr__(self) -> str:
        """One line: the test, of what, and its p."""
        kind = type(self).__name__
        if np.ndim(self.p_value):
            return f"<{kind}: {np.size(self.p_value)} trials, {self._named}>"
        return f"<{kind}: {self._named}: {float(self.estimate):.4g} ({SCALES[self.scale]}), p {format_p(float(self.p_value))}>"

    @property
    def _named(self) -> str:
        return f"{self.test} by {self.estimator}" if self.estimator else self.test

    def rejects(self, alpha: float = 0.05) -> NDArray[np.bool_]:
        """Whether each replicate has p at most `alpha`; a failed fit does not."""
        return np.asarray(np.nan_to_num(self.p_value, nan=1.0) <= alpha + 1e-12)

    def tidy(self) -> pd.DataFrame:
        """One row: the test, of what and on which scale, estimate, statistic, p, interval, smallest attainable p."""
        limits = self.conf_int.reshape(-1, 2)
        return pd.DataFrame(
            {
                "test": self.test,
                "estimator": self.estimator,
                "scale": self.scale,
                "estimate": np.ravel(self.estimate),
                "statistic": np.ravel(self.statistic),
                "p_value": np.ravel(self.p_value),
                "min_p": self.min_p,
                "conf_low": limits[:, 0],
                "conf_high": limits[:, 1],
                "level": self.level,
                "n_allocations": self.n_allocations,
            }
        )

    def summary(self) -> str:
        """The test in words: its numbers, the ratio on a log scale, its notes, and one sentence of methods."""
        from swedge._present.tables import text_table

        idle = [name for name in ("min_p", "n_allocations") if not getattr(self, name)]
        head = f"{self._named}: {SCALES[self.scale]}, {percent(self.level)} interval"
        methods = [f"Methods: {self.methods}"] if self.methods else []
        rows = text_table(self.tidy().drop(columns=["test", "estimator", "scale", "level", *idle]))
        return "\n".join([head, rows, *self._ratio(), *(f"Note: {note}" for note in self.notes), *methods])

    def _ratio(self) -> list[str]:
        """The estimate of a single test on a log scale as the ratio that it is."""
        if np.ndim(self.p_value) or self.scale not in RATIOS:
            return []
        return [f"As {RATIOS[self.scale]}: {as_ratios(self.estimate, self.conf_int)[0]}"]

    def plot(self, ax: Axes | None = None) -> Axes:
        """The reference distribution with the observed statistic."""
        from swedge._present.reference import draw_reference

        if self.reference is None or self.reference.ndim != 1:
            raise DataError("Only a randomisation, placebo or bootstrap test of one trial has a reference distribution to draw.")
        units = {"placebo": "placebo draws", "wild": "bootstrap samples", "conley-taber": "draws", "ferman-pinto": "draws"}
        unit = units.get(self.test.split()[0], "allocations")
        return draw_reference(self.reference, float(self.statistic), float(self.p_value), self.test, unit=unit, ax=ax)


@dataclass(frozen=True)
class WaldTest:
    """The estimator's own test: its statistic against t with its df, two-sided.

    Parameters
    ----------
    level : float
        Of the interval.

    Examples
    --------
    >>> WaldTest()
    WaldTest(level=0.95)
    """

    level: float = 0.95

    def run(self, trial: Trial, estimator: Estimator) -> TestResult:
        """Fit and read the first term's p and interval."""
        check_pair(trial, estimator)
        return self.read(estimator.fit(trial))

    def read(self, fit: Estimate) -> TestResult:
        """The test of a fit already made."""
        several = len(fit.terms) > 1

        def first(array: Array) -> Array:
            return np.asarray(array[..., 0]) if several else array

        limits = fit.at(self.level).conf_int
        limits = limits[..., 0, :] if several else limits
        return TestResult(
            first(fit.p_value),
            limits,
            first(fit.statistic),
            np.asarray(fit.details[TERM_STATUS][..., 0]) if TERM_STATUS in fit.details else fit.status,
            first(fit.estimate),
            "wald",
            self.level,
            notes=fit.notes,
            std_error=first(fit.std_error),
            scale=fit.scale,
            estimator=fit.estimator,
            methods=fit.methods,
        )
