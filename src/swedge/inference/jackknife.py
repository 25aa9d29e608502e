"""The cluster jackknife: how the estimate moves when each cluster is left out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from swedge.assumptions import LTE, TATE
from swedge.errors import DataError, FitError, Status, listing, nearest
from swedge.estimate import SCALES, Estimate, Estimator, TestResult, WaldTest, check_pair
from swedge.estimators.columns import informed
from swedge.inference.leave_out import without
from swedge.inference.placebo import check_scatter
from swedge.inference.randomisation import one_effect
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
CENTRES = ("estimate", "mean")


@dataclass(frozen=True, eq=False, repr=False)
class JackknifeResult(TestResult):
    """What a jackknife says, with the estimates it rests on.

    Attributes
    ----------
    left_out : ndarray (I, ...)
        The estimate without each cluster; nan for a cluster without data.
    clusters : tuple of str
    """

    left_out: Array | None = None
    clusters: tuple[str, ...] = ()

    def plot(self, ax: Axes | None = None) -> Axes:
        """The estimate of one trial with its interval, and the estimates without each cluster."""
        from swedge._present.forest import draw_forest

        if self.left_out is None or self.left_out.ndim != 1:
            raise DataError("Estimates without each cluster are drawn for one trial, not for a stack; test trial.replicate(0).")
        labels = ["all clusters", *(f"without {cluster}" for cluster in self.clusters)]
        none = np.full((len(self.clusters), 2), np.nan)
        limits, estimates = np.vstack([self.conf_int, none]), np.append(self.estimate, self.left_out)
        return draw_forest(labels, estimates, limits, SCALES[self.scale], ax=ax)


@dataclass(frozen=True)
class JackknifeTest:
    """Leave-one-cluster-out standard error of any estimator, with t on clusters minus 1 degrees of freedom.

    Parameters
    ----------
    level : float
        Confidence level of the interval.
    centre : {"estimate", "mean"}
        What the estimates without each cluster are measured from: the estimate of the whole trial, or their own mean, which gives a
        smaller standard error.

    Notes
    -----
    ``SE^2 = (I - 1) / I sum_i (theta_(i) - centre)^2`` over the I clusters with data, on the estimator's scale. For least squares, centred
    at the estimate, this is ``(I - 1) / I`` times CR3 (the CV3 of the paper; CV3J is centred at the mean). Every leave-out has to work:
    dropping one that fails would drop the cluster that matters most.

    References
    ----------
    MacKinnon JG, Nielsen MO, Webb MD (2023). Fast and reliable jackknife and bootstrap methods for cluster-robust inference. Journal of
    Applied Econometrics 38, 671-694.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.inference import JackknifeTest
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> y = np.arange(6) + 2.0 * allocation.treatment + np.sin(np.arange(30)).reshape(5, 6) / 10
    >>> result = JackknifeTest().run(sw.Trial.from_cells(np.ones((5, 6)), y, allocation), sw.TwoWayFixedEffects())
    >>> result.left_out.shape, bool(result.p_value < 0.001)
    ((5,), True)
    """

    level: float = 0.95
    centre: str = "estimate"

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise FitError(f"level={self.level}; expected a number between 0 and 1, such as 0.95.")
        if self.centre not in CENTRES:
            raise FitError(f"centre={self.centre!r}; expected 'estimate' or 'mean'.{nearest(self.centre, CENTRES)}")

    def run(self, trial: Trial, estimator: Estimator) -> JackknifeResult:
        """Fit one trial or a stack as often as there are clusters, and once more.

        Raises
        ------
        DataError
            If the scatter of individuals is known only for all clusters together, and the estimator uses it.
        FitError
            If a single trial cannot be fitted, or not without each of its clusters; in a stack that is a `Status`.
        """
        check_pair(trial, estimator)
        fit = estimator.fit(trial)
        one_effect(fit.estimate, trial, estimator)
        _check_estimand(trial, estimator)
        check_scatter(trial, estimator, "A jackknife leaves out one cluster at a time")
        stack = trial if trial.shape else _as_stack(trial)
        left_out = np.stack([estimator.point(_left_out(stack, i)) for i in range(len(trial.clusters))])
        seen = np.moveaxis(np.broadcast_to((stack.n > 0).any(-1), (*stack.shape, len(trial.clusters))), -1, 0)
        failed = seen & np.isnan(left_out)
        if not trial.shape and failed.any():
            raise FitError(_failures(stack, estimator, np.flatnonzero(failed[:, 0]), int(seen.sum())))
        status = np.where(failed.any(0).reshape(trial.shape) & (fit.status <= Status.SINGULAR), Status.NOT_CONVERGED, fit.status)
        moved = np.where(seen, left_out, np.nan).reshape((-1, *trial.shape))
        return self._result(trial, estimator, replace(fit, status=status.astype(np.int8)), moved)

    def _result(self, trial: Trial, estimator: Estimator, fit: Estimate, left_out: Array) -> JackknifeResult:
        usable = fit.status <= Status.SINGULAR
        clusters = informed(trial).reshape(trial.shape)
        error = np.where(usable, _standard_error(left_out, fit.estimate if self.centre == "estimate" else None, clusters), np.nan)
        read = WaldTest(self.level).read(replace(fit, std_error=error, df=np.where(usable, clusters - 1, np.nan)))
        known = {f.name: getattr(read, f.name) for f in fields(TestResult)} | {
            "test": "jackknife" if self.centre == "estimate" else "jackknife (about the mean)",
            "estimator": type(estimator).__name__,
            "methods": self._methods(estimator, fit, float(clusters.max())),
            "notes": (*fit.notes, f"Standard error from {clusters.max():.0f} fits without one cluster each, t with clusters minus 1 df."),
        }
        return JackknifeResult(**known, left_out=left_out, clusters=trial.clusters)

    def _methods(self, estimator: Estimator, fit: Estimate, clusters: float) -> str:
        centre = "the estimate of the whole trial" if self.centre == "estimate" else "their mean"
        return (
            f"{type(estimator).__name__} ({SCALES[fit.scale]}) with a leave-one-cluster-out jackknife standard error about {centre},"
            f" from {clusters:.0f} clusters; t with {clusters - 1:.0f} degrees of freedom for p and the interval."
        )


def _check_estimand(trial: Trial, estimator: Estimator) -> None:
    """Refuse an average over the exposures observed where one cluster alone has the longest: without it the estimand is another."""
    estimand = getattr(estimator, "estimand", None)
    if not isinstance(estimand, LTE | TATE) or getattr(estimand, "last", None) is not None:
        return
    seen = (trial.exposure * (trial.n > 0)).reshape((-1, *trial.n.shape[-2:])).max(-1)
    holds = seen == seen.max(-1, keepdims=True)
    alone = holds[holds.sum(-1) == 1]
    if len(alone):
        raise FitError(
            f"{estimand!r} reads the longest exposure observed, which {trial.clusters[int(alone[0].argmax())]} alone has:"
            " without it the estimand is another. Write TATE(first, last) or PTE(at) with exposures that several clusters have."
        )


def _standard_error(left_out: Array, centre: Array | None, clusters: Array) -> Array:
    """From estimates without each cluster ``(I, ...)``, nan for a cluster without data; about their mean where no centre is given."""
    middle = np.nansum(left_out, 0) / clusters if centre is None else centre
    return np.asarray(np.sqrt((clusters - 1) / clusters * np.nansum((left_out - middle) ** 2, 0)))


def _as_stack(trial: Trial) -> Trial:
    """One trial as a stack of one, in which a fit that fails is a status."""
    return replace(trial, cells=replace(trial.cells, n=trial.cells.n[None]))


def _left_out(trial: Trial, cluster: int) -> Trial:
    rows = np.arange(len(trial.clusters))[:, None] == cluster
    return without(trial, np.broadcast_to(rows, trial.n.shape[-2:]))


def _failures(stack: Trial, estimator: Estimator, failed: NDArray[np.int64], fits: int) -> str:
    """Which clusters cannot be left out, and why."""
    codes = [Status(int(estimator.fit(_left_out(stack, i)).status[0])) for i in failed]
    named = [f"without {stack.clusters[i]}: {code.name.lower().replace('_', ' ')}" for i, code in zip(failed, codes, strict=True)]
    return (
        f"{len(failed)} of {fits} fits that leave out a cluster failed, so the jackknife does not exist: {listing(named)}."
        f" {codes[0].advice} RandomisationTest needs no such fits."
    )
