"""Profile-likelihood intervals of variances and of the correlations that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, stats

from swedge._present.tables import percent
from swedge.errors import DataError, FitError, listing, nearest
from swedge.estimate import COLUMNS, Estimator, check_pair
from swedge.estimators.columns import effects
from swedge.estimators.coordinates import Coordinates, coordinates_of
from swedge.estimators.mixed import MixedModel
from swedge.estimators.mixed_gaussian import gaussian_model
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

POINTS = 21


@dataclass(frozen=True, eq=False)
class ProfileIntervals:
    """Intervals of variances and correlations, from the likelihood with everything else at its best.

    Attributes
    ----------
    terms : tuple of str
        Variances by name ("residual", "cluster", ...), with "treatment_corr" and "autocorrelation", then "icc", "cac" and "iac".
    estimate : ndarray (K,)
    conf_int : ndarray (K, 2)
        An end that the data do not rule out is the end of the range itself: 0 for a variance, 0 or 1 (-1 or 1) for a correlation.
    level : float
    curves : dict of str to ndarray (2, P)
        Values of each parameter, and by how much -2 log likelihood rises there.
    estimator, methods : str
    notes : tuple of str
    """

    terms: tuple[str, ...]
    estimate: Array
    conf_int: Array
    level: float
    curves: dict[str, Array]
    estimator: str
    methods: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line: what was profiled."""
        return f"<ProfileIntervals: {', '.join(self.terms)} at {percent(self.level)}>"

    def tidy(self) -> pd.DataFrame:
        """One row a parameter, with the columns that every result has; a profile has no standard error."""
        frame = pd.DataFrame({"term": self.terms, "estimate": self.estimate, "estimator": self.estimator, "status": "ok"})
        limits = {"conf_low": self.conf_int[:, 0], "conf_high": self.conf_int[:, 1]}
        kinds = ["correlation" if term in CORRELATIONS else "variance" for term in self.terms]
        return frame.assign(**limits, estimand=kinds).reindex(columns=list(COLUMNS))

    def summary(self) -> str:
        """The intervals, and one sentence of methods."""
        from swedge._present.tables import text_table

        rows = self.tidy()[["term", "estimate", "conf_low", "conf_high"]]
        notes = (f"Note: {note}" for note in self.notes)
        return "\n".join([f"Profile likelihood, {percent(self.level)} interval", text_table(rows), *notes, f"Methods: {self.methods}"])

    def plot(self, term: str | None = None, ax: Axes | None = None) -> Axes:
        """The rise of -2 log likelihood over one parameter, the first if none is named.

        Raises
        ------
        FitError
            If no parameter has that name.
        """
        from swedge._present.profile import draw_profile

        chosen = self.terms[0] if term is None else term
        _check_terms([chosen], self.terms)
        limits = self.conf_int[self.terms.index(chosen)]
        return draw_profile(chosen, self.curves[chosen], limits, float(stats.chi2.ppf(self.level, 1)), ax=ax)


CORRELATIONS = ("treatment_corr", "autocorrelation", "icc", "cac", "iac")


def profile_intervals(trial: Trial, model: Estimator, level: float = 0.95, terms: Iterable[str] | None = None) -> ProfileIntervals:
    """Intervals of a Gaussian mixed model's variances and correlations by profiling its (restricted) likelihood.

    Each parameter is held at a value, all others are put at their best, and the values at which -2 log likelihood is no more than a
    chi-square quantile (1 df) above its minimum make the interval.

    Parameters
    ----------
    trial : Trial
        A single trial.
    model : MixedModel
        With `reml=True` the restricted likelihood is profiled; lme4 profiles the full one, as `reml=False` does.
    level : float
    terms : iterable of str, optional
        Which parameters; all of them if left out.

    Raises
    ------
    DataError
        For a stack of trials.
    FitError
        If the outcome is not Gaussian, the fit fails, or no parameter has a name that was asked for.

    References
    ----------
    Pawitan Y (2001). In all likelihood: statistical modelling and inference using likelihood. Oxford University Press.

    Examples
    --------
    >>> import swedge as sw
    >>> allocation = sw.Design.stepped_wedge(clusters=6, periods=4).randomise(seed=1)
    >>> mean = np.random.default_rng(3).normal(size=(6, 1)) + np.random.default_rng(4).normal(scale=0.4, size=(6, 4))
    >>> trial = sw.Trial.from_cells(np.full((6, 4), 20), mean, allocation, within=456.0)
    >>> profile_intervals(trial, sw.MixedModel(sw.Exchangeable())).tidy()[["term", "conf_low", "conf_high"]].round(2)
           term  conf_low  conf_high
    0  residual      0.94       1.22
    1   cluster      0.90      12.20
    2       icc      0.46       0.92
    """
    check_pair(trial, model)
    if not isinstance(model, MixedModel) or trial.family != "gaussian":
        raise FitError(
            "Variances are profiled for a MixedModel of a Gaussian outcome; use LikelihoodRatioTest for effects of other models."
        )
    if trial.shape:
        raise DataError(f"This is a stack of trials of shape {trial.shape}; take one with trial.replicate(0).")
    if isinstance(terms, str):
        raise FitError(f"terms is the text {terms!r}. Pass a list of names.")
    if not 0 < level < 1:
        raise FitError(f"level is {level}; expected a number between 0 and 1, such as 0.9.")
    fit = model.fit(trial)
    structure = model.correlation.structure()
    likelihood = gaussian_model(trial, effects(trial, model.effect, model.estimand), structure, model.reml)[0]
    found = {name: float(value) for name, value in fit.details["variances"].items()}
    spaces = coordinates_of(likelihood, structure, found)
    where = {term: space for space in spaces for term in space.names if term in space.own}
    chosen = tuple(where) if terms is None else tuple(terms)
    _check_terms(chosen, tuple(where))
    profiles = [_Profile(where[term], term, float(stats.chi2.ppf(level, 1))) for term in chosen]
    kind = "restricted likelihood" if model.reml else "likelihood"
    return ProfileIntervals(
        terms=chosen,
        estimate=np.array([np.nan if _undefined(profile.term, found) else profile.shown(profile.best) for profile in profiles]),
        conf_int=np.array([profile.shown(np.array(profile.limits)) for profile in profiles]),
        level=level,
        curves={profile.term: profile.curve() for profile in profiles},
        estimator="MixedModel profile",
        methods=f"Intervals of variances and correlations from the profile {kind}, all other parameters at their best.",
        notes=tuple(f"{term} is not defined: {NO_SHARE}" for term in chosen if _undefined(term, found)),
    )


NO_SHARE = (
    "no variance between clusters is estimated, so there is nothing of which it could be a share. Its interval is what the data allow."
)


def _undefined(term: str, found: Mapping[str, float]) -> bool:
    """Whether the estimate is a share of a variance that is 0."""
    return term in ("cac", "lasting") and not found.get("cluster", 0.0) + found.get("cluster_period", 0.0)


def _check_terms(asked: Iterable[str], known: tuple[str, ...]) -> None:
    for term in asked:
        if term not in known:
            raise FitError(f"No parameter is called {term!r}; there are {listing(known, 9)}.{nearest(term, known)}")


class _Profile:
    """One parameter held, the others at their best."""

    def __init__(self, space: Coordinates, term: str, rise: float) -> None:
        self.space, self.term, self.rise = space, term, rise
        self.at = space.names.index(term)
        self.best = float(space.start[self.at])
        self.low, self.high = (float(bound[self.at]) for bound in (space.lower, space.upper))
        self.free = np.delete(np.arange(len(space.names)), self.at)
        self.warm: dict[float, Array] = {self.best: space.start[self.free]}
        self.least = space.criterion(space.start)
        self.limits = self._limit(-1), self._limit(1)

    def shown(self, values: Any) -> Any:
        """Variances, where the coordinate is a standard deviation."""
        return values**2 if self.term in self.space.squared else values

    def excess(self, value: float) -> float:
        """How far the profile is above the height of the interval's ends."""
        return self._held(value) - self.least - self.rise

    def _held(self, value: float) -> float:
        if not len(self.free):
            return self.space.criterion(np.array([value]))
        start = self.warm[min(self.warm, key=lambda known: abs(known - value))]
        bounds = list(zip(self.space.lower[self.free], self.space.upper[self.free], strict=True))
        point = np.full(len(self.space.names), value)

        def objective(others: Array) -> tuple[float, Array]:
            point[self.free] = others
            criterion, gradient = self.space.slope(point)
            return criterion, gradient[self.free]

        found = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-13, "gtol": 1e-7})
        self.warm[value] = found.x
        return float(found.fun)

    def _limit(self, side: int) -> float:
        """Where the profile leaves the interval below (-1) or above (1) the estimate, or the end of the range."""
        edge = self.low if side < 0 else self.high
        if np.isfinite(edge) and not self.space.diverges(self.term, side) and self.excess(edge) <= 0:
            return edge
        inside, outside = self.best, self._next(self.best, side)
        while self.excess(outside) < 0:
            inside, outside = outside, self._next(outside, side)
        return float(optimize.brentq(self.excess, inside, outside, xtol=1e-12, rtol=1e-9))

    def _next(self, value: float, side: int) -> float:
        """A step outwards: halfway to a finite end, or doubling towards an infinite one."""
        edge = self.low if side < 0 else self.high
        if np.isfinite(edge):
            return (value + edge) / 2
        return 2 * value if value > 0 else self.space.unit

    def curve(self) -> Array:
        """The rise over the interval and a little beyond it."""
        low, high = self.limits
        width = high - low
        values = np.linspace(max(low - width / 10, self.low + 1e-6 * width), min(high + width / 10, self.high), POINTS)
        return np.stack([self.shown(values), [self._held(float(value)) - self.least for value in values]])
