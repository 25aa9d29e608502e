"""Estimates without one cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import Status, SwedgeError, listing
from swedge.estimate import SCALES, Estimate, Estimator
from swedge.estimators.linearised import check_one, term_place
from swedge.inference.placebo import check_scatter
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


def without(trial: Trial, gone: NDArray[np.bool_]) -> Trial:
    """The trial with the cells ``gone (I, T)`` not observed. Scatter within clusters goes with whole clusters."""
    part = trial.under(np.where(gone, np.nan, trial.treatment), np.where(gone, 0, trial.exposure))
    within = part.cells.within
    if within is None or part.cells.scatter is not None or within.shape[-3] != len(trial.clusters):
        return part
    return replace(part, cells=replace(part.cells, within=within * np.asarray(~gone.all(1))[:, None, None]))


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut:
    """Refits without each cluster in turn.

    Attributes
    ----------
    whole : Estimate
        With all clusters.
    clusters : tuple of str
        Clusters with data.
    fits : tuple of Estimate or None
        Without each of them; None where there is no estimate.
    failures : dict
        Why not, by cluster.
    changed : dict
        The estimand by cluster, where it is another one without the cluster.
    """

    whole: Estimate
    clusters: tuple[str, ...]
    fits: tuple[Estimate | None, ...]
    failures: dict[str, str]
    changed: dict[str, str]

    def __repr__(self) -> str:
        """One line: how many refits, and how many failed."""
        return f"<LeaveOneOut: {len(self.clusters)} refits by {self.whole.estimator}, {len(self.failures)} failed>"

    def tidy(self) -> pd.DataFrame:
        """One row a cluster left out and term: the columns of every result, `change` and `change_in_se`.

        `change` is the estimate without the cluster minus that with it, `change_in_se` the same over the latter's standard error; both are
        nan where the fit failed or the estimand is another one.
        """
        base = self.whole.tidy().set_index("term")
        tables = [self._rows(cluster, fit, base) for cluster, fit in zip(self.clusters, self.fits, strict=True)]
        return pd.concat(tables, ignore_index=True)

    def _rows(self, cluster: str, fit: Estimate | None, base: pd.DataFrame) -> pd.DataFrame:
        own = self._failed(base) if fit is None else fit.tidy()
        like = np.nan if fit is None or cluster in self.changed else 1.0
        change = like * (own["estimate"] - own["term"].map(base["estimate"]))
        return own.assign(left_out=cluster, change=change, change_in_se=change / own["term"].map(base["std_error"]))

    def _failed(self, base: pd.DataFrame) -> pd.DataFrame:
        numbers = [name for name in base.columns if name not in ("estimand", "estimator", "status")]
        return base.assign(**dict.fromkeys(numbers, np.nan), status="failed").reset_index()

    def summary(self) -> str:
        """The largest change of each term, and what failed."""
        table = self.tidy()
        lines = [self._largest(term, rows) for term, rows in table.groupby("term", sort=False)]
        lines += [f"Without {name} there is no estimate: {why}" for name, why in list(self.failures.items())[:3]]
        more = len(self.failures) - 3
        lines += [f"Nor without {more} further clusters."] if more > 0 else []
        if self.changed:
            lines.append(f"Without some clusters the estimand is another one: {listing([f'{c}: {e}' for c, e in self.changed.items()])}.")
        return "\n".join([f"{self.whole.estimator}: {len(self.clusters)} refits, each without one cluster", *lines])

    def _largest(self, term: Any, rows: pd.DataFrame) -> str:
        known = rows.dropna(subset=["change"])
        if not len(known):
            return f"{term}: no refit gives a number to compare."
        worst = known.iloc[int(known["change"].abs().to_numpy().argmax())]
        start = worst["estimate"] - worst["change"]
        spread = f"between {known['estimate'].min():.4g} and {known['estimate'].max():.4g}"
        turned = int((np.sign(known["estimate"]) != np.sign(start)).sum())
        sign = f" Without {turned} of the clusters, taken one by one, it changes its sign." if turned else ""
        return (
            f"{term}: {start:.4g} with all clusters, {spread} without one; without {worst['left_out']} it moves most, by"
            f" {worst['change']:+.4g} ({worst['change_in_se']:+.2f} standard errors).{sign}"
        )

    def plot(self, term: str | None = None, ax: Axes | None = None) -> Axes:
        """Estimate and interval with all clusters, and without each.

        Raises
        ------
        FitError
            If there are several terms and none is named, or the name is unknown.
        """
        from swedge._present.forest import draw_forest

        name = self.whole.terms[term_place(self.whole.terms, term)]
        table = pd.concat([self.whole.tidy().assign(left_out=None), self.tidy()])
        table = table[table["term"] == name]
        labels = ["all clusters" if cluster is None else f"without {cluster}" for cluster in table["left_out"]]
        limits = table[["conf_low", "conf_high"]].to_numpy()
        return draw_forest(labels, table["estimate"].to_numpy(), limits, SCALES[self.whole.scale], ax=ax)


def leave_one_cluster_out(trial: Trial, estimator: Estimator) -> LeaveOneOut:
    """Refit without each cluster in turn.

    Parameters
    ----------
    trial : Trial
        One trial.
    estimator : Estimator

    Raises
    ------
    DataError
        If this is no single trial, or a Gaussian model needs each cluster's scatter and only the pooled one is known.
    FitError
        If the estimator fails with all clusters. Failures without one are counted and named in the result.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=5, periods=6).randomise(seed=0)
    >>> trial = sw.Trial.from_cells(np.full((5, 6), 20), np.random.default_rng(0).standard_normal((5, 6)), allocation)
    >>> leave_one_cluster_out(trial, sw.WithinPeriod()).tidy()["left_out"].tolist()
    ['1', '2', '3', '4', '5']
    """
    check_one(trial, estimator)
    check_scatter(trial, estimator, "Leaving each cluster out in turn needs its scatter")
    whole = estimator.fit(trial)
    present = np.flatnonzero((trial.n > 0).any(1))
    fits: list[Estimate | None] = []
    failures, changed = {}, {}
    for i in present:
        name, part = trial.clusters[i], without(trial, np.arange(len(trial.clusters))[:, None] * np.ones(trial.n.shape) == i)
        fit = refit(part, estimator)
        fits.append(fit if isinstance(fit, Estimate) else None)
        if not isinstance(fit, Estimate):
            failures[name] = fit
        elif other := another(whole, fit, trial, part):
            changed[name] = other
    return LeaveOneOut(whole, tuple(trial.clusters[i] for i in present), tuple(fits), failures, changed)


def refit(trial: Trial, estimator: Estimator) -> Estimate | str:
    """The estimate, or why there is none."""
    try:
        fit = estimator.fit(trial)
    except SwedgeError as error:
        return str(error)
    return fit if Status(int(fit.status)).usable else Status(int(fit.status)).advice


def another(whole: Estimate, fit: Estimate, trial: Trial, part: Trial) -> str:
    """The estimand of a fit where it is not that of the whole: it says so itself, but for the longest exposure observed."""
    longest = [int((t.exposure * (t.n > 0)).max()) for t in (trial, part)]
    if whole.estimand == "LTE" and longest[1] != longest[0]:
        return f"LTE at exposure {longest[1]}"
    return fit.estimand if fit.estimand != whole.estimand else ""
