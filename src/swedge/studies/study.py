"""`Study`: the published facts of one trial, and the scenario they make."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.assumptions import ExponentialDecay, RandomEffects
from swedge.design import Allocation, Design
from swedge.errors import DesignError
from swedge.power import Scenario

Array = NDArray[np.float64]

LOGISTIC_VARIANCE = np.pi**2 / 3


class Outcome(NamedTuple):
    """An outcome as registered.

    Parameters
    ----------
    name : str
        Its column.
    definition, family : str
    months : int, optional
        Of follow-up that it needs.
    primary : bool

    Examples
    --------
    >>> from swedge.studies import family_safeguarding
    >>> family_safeguarding().outcomes[0].name
    'looked_after'
    """

    name: str
    definition: str
    family: str
    months: int | None = None
    primary: bool = False


class PowerCall(NamedTuple):
    """What the planned power rested on.

    Parameters
    ----------
    baseline : float
        Risk under control.
    effect : float
        Difference in risk, treated minus control.
    icc : float
        On the proportion scale.
    cell_size : int
        Individuals in a cluster and period.

    Examples
    --------
    >>> from swedge.studies import no_wrong_door
    >>> no_wrong_door().power_call.icc
    0.00268
    """

    baseline: float
    effect: float
    icc: float
    cell_size: int


@dataclass(frozen=True)
class Study:
    """Published facts of a trial. What was not published is empty or None, never filled.

    Attributes
    ----------
    name : str
    design : Design
    allocation : Allocation or None
        The one carried out.
    sizes : tuple of int
        Children by cluster, in the design's order.
    baseline_risk : tuple of float
        Risk of the primary outcome by cluster, in the first period.
    outcomes : tuple of Outcome
    planned, analysed : int or None
        Children in all.
    ages : str
    power_call : PowerCall or None
    notes : tuple of str
        What a reader of a result has to know.
    sources : tuple of (str, str)
        A fact and where it was published.
    """

    name: str
    design: Design
    allocation: Allocation | None
    sizes: tuple[int, ...] = ()
    baseline_risk: tuple[float, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    planned: int | None = None
    analysed: int | None = None
    ages: str = ""
    power_call: PowerCall | None = None
    notes: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()

    @property
    def cell_sizes(self) -> Array:
        """Children in each cell ``(I, T)``: totals split over periods by their share of days, rounded; or the power call's number.

        Raises
        ------
        DesignError
            If neither was published.
        """
        if self.sizes:
            return np.rint(np.array(self.sizes, dtype=float)[:, None] * self.day_share)
        if self.power_call is None:
            raise DesignError(f"No sizes by cluster are published for {self.name}. Pass size= to scenario.")
        return np.full((self.design.n_clusters, self.design.n_periods), float(self.power_call.cell_size))

    @property
    def day_share(self) -> Array:
        """Each period's share of the window ``(T,)``; equal shares without dates."""
        days = self.design.periods["days"].fillna(1).to_numpy(dtype=float)
        return np.asarray(days / days.sum())

    @property
    def go_live(self) -> dict[str, dt.date]:
        """First day of treatment by cluster.

        Raises
        ------
        DesignError
            If no dates or no allocation were published.

        Examples
        --------
        >>> from swedge.studies import family_safeguarding
        >>> family_safeguarding().go_live["Walsall"]
        datetime.date(2020, 9, 1)
        """
        if self.allocation is None or not self.design.boundaries:
            raise DesignError(
                f"{self.name} has no published go-live dates. Build a Study with a dated design and the allocation carried out."
            )
        calendar = self.allocation.calendar()
        days = dict(zip(calendar["cluster"], calendar["go_live"].dt.date, strict=True))
        return {name: days[name] for name in self.design.clusters}

    def scenario(self, odds_ratio: float = 1.0, noise: float = 0.0, *, autocorrelation: float = 0.0, **assumptions: Any) -> Scenario:
        """A truth on the logit scale with the clusters' baseline risks and cell sizes.

        Parameters
        ----------
        odds_ratio : float
            Of treated against control; 1 is the null.
        noise : float
            Standard deviation of the cluster-by-period effect on the logit scale.
        autocorrelation : float
            Of that effect from one mean period to the next; 0 is independent noise.
        **assumptions
            Anything else that `swedge.Scenario` takes, such as ``trend``, ``cluster_trends``, ``noise_by_cluster``; or ``baseline`` and
            ``size`` in place of the published ones, or ``correlation`` in place of `noise`.

        Raises
        ------
        DesignError
            If the odds ratio is not positive, the baseline or size is neither published nor given, or both `noise` and ``correlation`` are.

        Examples
        --------
        >>> from swedge.studies import family_safeguarding
        >>> truth = family_safeguarding().scenario(odds_ratio=0.8, noise=0.1)
        """
        if not 0 < odds_ratio < np.inf:
            raise DesignError(f"odds_ratio is {odds_ratio}; expected a positive number, such as 0.8. 1 means no effect.")
        if noise and "correlation" in assumptions:
            raise DesignError("Both noise= and correlation= say how cluster-periods vary. Pass one of them.")
        published: dict[str, Callable[[], Any]] = {
            "baseline": self._baseline,
            "size": lambda: self.cell_sizes,
            "correlation": lambda: _noise(noise, autocorrelation),
        }
        filled: dict[str, Any] = {name: value() for name, value in published.items() if name not in assumptions}
        return Scenario(family="binomial", scale="logit", effect=float(np.log(odds_ratio)), **filled, **assumptions)

    def _baseline(self) -> tuple[float, ...]:
        if not self.baseline_risk:
            raise DesignError(f"No baseline risk is published for {self.name}. Pass baseline= (one risk, or one a cluster) to scenario.")
        return self.baseline_risk

    def tidy(self) -> pd.DataFrame:
        """One row a cluster: cluster, go_live, children, baseline_risk; missing where not published."""
        count = self.design.n_clusters
        dated = self.allocation is not None and bool(self.design.boundaries)
        live = pd.Series(list(self.go_live.values()) if dated else [None] * count, dtype="object")
        return pd.DataFrame(
            {
                "cluster": self.design.clusters,
                "go_live": pd.to_datetime(live).astype("datetime64[s]"),
                "children": pd.array(self.sizes or [pd.NA] * count, dtype="Int64"),
                "baseline_risk": self.baseline_risk or [np.nan] * count,
            }
        )


def _noise(sd: float, autocorrelation: float) -> RandomEffects | ExponentialDecay:
    """Independent noise, or noise that decays with calendar time."""
    if not autocorrelation:
        return RandomEffects(cluster_period=sd)
    return ExponentialDecay(icc=sd**2 / (sd**2 + LOGISTIC_VARIANCE), cac=autocorrelation)
