"""Searching analytic power: the smallest effect, size or number of clusters for a wanted power; its spread and its sensitivity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge._kernels.noncentral import two_sided_power
from swedge.assumptions import Constant
from swedge.design import Allocation, Design
from swedge.errors import DesignError, nearest
from swedge.power.analytic import AnalyticPower, evaluate, power_of
from swedge.power.assumed import LINKS, Assumed

Array = NDArray[np.float64]

# Beyond these a search has no solution of practical meaning.
LARGEST_SIZE = 10_000_000
LARGEST_MULTIPLE = 100_000
# How far the search for a detectable effect steps at a time: on a link, power may fall again as risks near 0 or 1.
STEP = 1.25
# The largest linear predictor considered, a risk of 1e-13.
FARTHEST = 30.0
ALLOCATIONS = 5_000


def detectable_effect(design: Design, *, power: float = 0.8, allocation: Allocation | None = None, **assumed: Any) -> AnalyticPower:
    """The smallest effect detected with the wanted power; arguments otherwise as for `analytic_power`.

    Give ``effect=-1`` (any negative number) to search among protective effects of a binary or count outcome, whose variance depends on the
    effect; the default searches among positive ones.

    Parameters
    ----------
    design : Design
    power : float
    allocation : Allocation, optional
    **assumed
        As for `analytic_power`.

    Returns
    -------
    AnalyticPower
        At that effect: `.effect` and `.power`.

    Raises
    ------
    DesignError
        If no effect within the outcome's range reaches the power.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=5, periods=6)
    >>> found = sw.detectable_effect(design, size=100, sd=1.0, correlation=sw.Exchangeable(0.05), df="normal")
    >>> round(found.effect, 4), round(found.power, 4)
    (0.1768, 0.8)
    """
    sign = -1.0 if assumed.get("effect", 1.0) < 0 else 1.0
    base = gather({**assumed, "effect": 0.0})
    _check_power(power, base.alpha)
    reach = _reach(design, base, sign)

    def missing(effect: float) -> float:
        return power_of(design, replace(base, effect=sign * effect), allocation).power - power

    low, high = 0.0, min(float(np.sqrt(_variance(design, base, allocation))), reach)
    gaps = [missing(high)]
    while gaps[-1] < 0 and high < reach:
        low, high = high, min(STEP * high, reach)
        gaps.append(missing(high))
    if gaps[-1] < 0:
        raise DesignError(
            f"No effect within the outcome's range (up to {sign * reach:.4g}) has power {power:g}: the most is {max(gaps) + power:.3f}. Use"
            " more clusters, periods or individuals."
        )
    from scipy import optimize  # imported where used: it would slow down `import swedge`

    found = optimize.brentq(missing, low, high, xtol=1e-14 * max(high, 1e-300), rtol=1e-13)
    return power_of(design, replace(base, effect=sign * float(found)), allocation)


def required_size(design: Design, *, power: float = 0.8, allocation: Allocation | None = None, **assumed: Any) -> AnalyticPower:
    """The smallest number of individuals a cell with the wanted power; arguments otherwise as for `analytic_power` without `size`.

    With ``size=`` an array, the smallest multiple of that pattern is sought instead, in steps of one individual in its largest cell.

    Parameters
    ----------
    design : Design
    power : float
    allocation : Allocation, optional
    **assumed
        As for `analytic_power`.

    Returns
    -------
    AnalyticPower
        At that size: `.assumed.size`.

    Raises
    ------
    DesignError
        If even infinitely many individuals do not suffice, naming the ceiling and why.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=20, periods=6)
    >>> found = sw.required_size(design, effect=0.2, sd=1.0, correlation=sw.NestedExchangeable(0.05, 0.8), df="normal")
    >>> found.assumed.size
    22.0
    """
    base = gather({"size": 1.0, **assumed})
    base.sizes(design)
    pattern = np.asarray(base.size, dtype=float)
    _check_power(power, base.alpha)
    _check_effect(base)

    def at(count: int) -> AnalyticPower:
        scaled = pattern / pattern.max() * count
        return power_of(design, replace(base, size=float(scaled) if scaled.ndim == 0 else scaled), allocation)

    found = at(_smallest(lambda count: at(count).power >= power, LARGEST_SIZE))
    if found.power < power:
        raise DesignError(
            f"No number of individuals gives power {power:g}: with infinitely many it is {at(LARGEST_SIZE).power:.3f}, because what varies"
            " between clusters and periods does not average out within them. Add clusters or periods, or reconsider icc and cac."
        )
    return found


def required_clusters(design: Design, *, power: float = 0.8, **assumed: Any) -> AnalyticPower:
    """The smallest number of clusters with the wanted power that keeps the design's shares of clusters by sequence.

    Parameters
    ----------
    design : Design
    power : float
    **assumed
        As for `analytic_power`, with one number for `size`.

    Returns
    -------
    AnalyticPower
        Of the multiplied design: `.design.n_clusters`.

    Raises
    ------
    DesignError
        If sizes are given cluster by cluster (a multiple of them has no meaning), or no multiple suffices.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=5, periods=6)
    >>> found = sw.required_clusters(design, effect=0.1, size=50, sd=1.0, correlation=sw.Exchangeable(0.05))
    >>> found.design.n_clusters
    35
    """
    base = gather(assumed)
    _check_power(power, base.alpha)
    _check_effect(base)
    if np.asarray(base.size).ndim:
        raise DesignError("required_clusters needs one size= for all cells: with sizes cluster by cluster it is unknown which are added.")

    def at(times: int) -> AnalyticPower:
        return power_of(multiplied(design, times), base)

    def enough(times: int) -> bool:
        try:
            return at(times).power >= power
        except DesignError:
            return False

    bound = _bound(base, at, power)
    return at(_smallest(enough, bound))


def _bound(base: Assumed, at: Callable[[int], AnalyticPower], power: float) -> int:
    """A multiple that surely suffices: the variance falls as one over the number of clusters."""
    first = at(4)
    times, limit = 8, LARGEST_MULTIPLE
    while two_sided_power(base.effect, first.std_error / np.sqrt(times / 4), np.inf, base.alpha) < power:
        times *= 2
        if times > limit:
            raise DesignError(
                f"No reasonable number of clusters gives power {power:g} for an effect of {base.effect:g}: {limit:,} times as many do not."
            )
    return 4 * times


def multiplied(design: Design, times: int) -> Design:
    """The design with its shares of clusters by sequence kept, at `times` the smallest whole numbers; numbered, without strata."""
    rows = [list(row) for row in design.rows]
    smallest = math.gcd(*design.clusters_per_sequence)
    counts = [count // smallest * times for count in design.clusters_per_sequence]
    return Design.from_matrix(rows, clusters_per_sequence=counts, transition=design.transition, boundaries=design.boundaries)


def _smallest(enough: Callable[[int], bool], limit: int) -> int:
    """The smallest whole number that is enough, `limit` being so."""
    high = 1
    while high < limit and not enough(high):
        high *= 2
    low, high = high // 2, min(high, limit)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def power_over_allocations(design: Design, *, draws: int = ALLOCATIONS, seed: int = 0, **assumed: Any) -> pd.DataFrame:
    """Power under every permitted allocation (or `draws` sampled ones, where there are more).

    Parameters
    ----------
    design : Design
    draws : int
        The most allocations to try.
    seed : int
        Of the sample.
    **assumed
        As for `analytic_power`.

    Returns
    -------
    DataFrame
        One row an allocation: ``allocation`` (its number), ``std_error``, ``df``, ``power``. An allocation
        that does not identify the effect has power 0. The mean is the power before randomising.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=3, periods=4)
    >>> table = sw.power_over_allocations(design, effect=0.5, size=[10, 20, 60], sd=1.0, correlation=sw.Exchangeable(0.05), df="normal")
    >>> len(table)
    6
    """
    base = gather(assumed)
    if draws < 1:
        raise DesignError(f"draws={draws}; expected at least one allocation.")
    everything = design.count() <= draws
    sequences = design.allocations() if everything else design.random_allocations(draws, np.random.default_rng(seed))
    at = evaluate(design, base, design.treatment_of(sequences), design.exposure_of(sequences))
    errors = np.sqrt(at.variance)
    known = np.isfinite(errors)
    powers = np.zeros(len(errors))
    powers[known] = two_sided_power(base.effect, errors[known], at.df[known], base.alpha)
    errors = np.where(known, errors, np.inf)
    return pd.DataFrame({"allocation": np.arange(len(sequences)), "std_error": errors, "df": at.df, "power": powers})


def power_surface(
    design: Design, *, icc: Sequence[float], cac: Sequence[float] | None = None, allocation: Allocation | None = None, **assumed: Any
) -> pd.DataFrame:
    """Power over a grid of ICC and CAC, `correlation` giving the kind of structure, and the CAC where none is given here.

    Parameters
    ----------
    design : Design
    icc, cac : sequence of float
    allocation : Allocation, optional
    **assumed
        As for `analytic_power`.

    Returns
    -------
    DataFrame
        Columns ``icc, cac, std_error, df, power``.

    Raises
    ------
    DesignError
        If the structure has no icc, or no cac to be other than 1.

    Examples
    --------
    >>> import swedge as sw
    >>> design = sw.Design.stepped_wedge(clusters=10, periods=6)
    >>> table = sw.power_surface(design, icc=[0.01, 0.05], effect=0.2, size=50, sd=1.0, correlation=sw.NestedExchangeable(0.01, 0.8))
    >>> table["icc"].tolist(), table["cac"].tolist()
    ([0.01, 0.05], [0.8, 0.8])
    """
    base = gather(assumed)
    rows = []
    for first in icc:
        for second in [getattr(base.correlation, "cac", 1.0)] if cac is None else cac:
            at = power_of(design, replace(base, correlation=_with(base.correlation, first, second)), allocation)
            rows.append({"icc": first, "cac": second, "std_error": at.std_error, "df": at.df, "power": at.power})
    return pd.DataFrame(rows)


def _with(correlation: Any, icc: float, cac: float | None) -> Any:
    names = {f.name for f in fields(correlation)}
    if "icc" not in names:
        raise DesignError(f"{correlation!r} has no icc to vary. Use Exchangeable, NestedExchangeable or ExponentialDecay.")
    if "cac" not in names and cac != 1:
        raise DesignError(f"{correlation!r} has no cac: it is 1. Use NestedExchangeable or ExponentialDecay to vary it.")
    return replace(correlation, icc=icc, **({"cac": cac} if "cac" in names else {}))


def gather(assumed: dict[str, Any]) -> Assumed:
    """Keyword arguments as assumptions.

    Raises
    ------
    DesignError
        For an unknown or missing one, naming the nearest.
    """
    known = [f.name for f in fields(Assumed)]
    unknown = [name for name in assumed if name not in known]
    if unknown:
        raise DesignError(f"{unknown[0]!r} is no assumption of analytic power.{nearest(unknown[0], known)} Known: {', '.join(known)}.")
    missing = [name for name in ("effect", "size", "correlation") if name not in assumed]
    if missing:
        raise DesignError(f"Missing: {', '.join(missing)}.")
    curve = assumed.get("curve") or Constant()
    return Assumed(**{**assumed, "curve": curve})


def _check_power(power: float, alpha: float) -> None:
    if not alpha < power < 1:
        raise DesignError(f"power={power}; expected a number above alpha ({alpha:g}) and below 1, such as 0.8.")


def _check_effect(base: Assumed) -> None:
    if base.effect == 0:
        raise DesignError(f"effect=0 is the null hypothesis: its power is alpha ({base.alpha:g}) however large the trial. Give the effect.")


def _reach(design: Design, base: Assumed, sign: float) -> float:
    """The largest effect that keeps every mean in its range, or the linear predictor within sense."""
    if base.family == "gaussian":
        return np.inf
    levels = LINKS[base.link][1](base.control_means(design))
    bottom = 0.0 if base.link == "identity" else -FARTHEST
    top = {("binomial", "identity"): 1.0, ("binomial", "log"): 0.0, ("poisson", "identity"): np.inf}.get((base.family, base.link), FARTHEST)
    return float((levels.min() - bottom if sign < 0 else top - levels.max()) * (1 - 1e-9))


def _variance(design: Design, base: Assumed, allocation: Allocation | None) -> float:
    return power_of(design, base, allocation).std_error ** 2
