"""The result of a fit: arrays over the stack, a tidy frame, a summary and a plot."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special

from swedge._present.tables import percent
from swedge.errors import DataError, FitError, Status, listing
from swedge.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

COLUMNS = ("term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high", "estimand", "estimator", "status")


# A cluster-robust variance is refused when single clusters fit more than this share of the contrast exactly, and noted above the second.
ONE_CLUSTER, SOME_CLUSTER = 0.5, 0.01
# The detail that holds this share for each term of a fit refused for it.
ONE_CLUSTER_SHARE = "one_cluster_share"
# The detail that holds the status of each term of fits that stand although some term has no numbers.
TERM_STATUS = "term_status"
# A standard error below this share of the estimate is what rounding leaves of a fit without residuals.
EXACT = 1e-10


def two_sided_p(statistic: ArrayLike, df: ArrayLike) -> Array:
    """Two-sided p of a t statistic; infinite df is the normal distribution.

    >>> float(two_sided_p(1.959963984540054, np.inf)).__round__(6)
    0.05
    """
    t, nu = np.broadcast_arrays(np.abs(np.asarray(statistic, dtype=float)), np.asarray(df, dtype=float))
    student = special.stdtr(np.where(np.isfinite(nu), nu, 1.0), -t)
    return np.asarray(2 * np.where(np.isinf(nu), special.ndtr(-t), np.where(np.isnan(nu), np.nan, student)))


def quantile(level: float, df: ArrayLike) -> Array:
    """Half-width of a two-sided interval in standard errors."""
    nu = np.asarray(df, dtype=float)
    student = special.stdtrit(np.where(np.isfinite(nu), nu, 1.0), (1 + level) / 2)
    return np.asarray(np.where(np.isinf(nu), special.ndtri((1 + level) / 2), np.where(np.isnan(nu), np.nan, student)))


@dataclass(frozen=True, eq=False, repr=False)
class Estimate:
    """The result of one estimator on one trial, or on a stack.

    Arrays have the trial's leading shape, followed by K only when there are several terms. Failed fits in a stack hold nan.

    Attributes
    ----------
    terms : tuple of str
    estimate, std_error, df : ndarray (...) or (..., K)
        On the scale named by `scale`: differences (identity), log odds ratios (logit), log ratios (log). Infinite df means normal.
    status : ndarray (...) of Status codes
    estimand, estimator, scale : str
    methods : str
        One sentence fit for a paper.
    notes : tuple of str
        What has to be known before the numbers are used.
    details : dict
        Further arrays of the fit: its criterion, variances, dispersion.
    level : float
        Confidence level of `conf_int`.
    covariance : ndarray (..., K, K)
        Covariance of the terms, its diagonal the squared standard errors.
    """

    terms: tuple[str, ...]
    estimate: Array
    std_error: Array
    df: Array
    status: NDArray[np.int8]
    estimand: str
    estimator: str
    scale: str
    methods: str
    notes: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    level: float = 0.95
    covariance: Array | None = None

    def __repr__(self) -> str:
        """One line: what was estimated, by what, and how it went."""
        if np.ndim(self.status):
            return f"<Estimate: {np.size(self.status)} fits by {self.estimator}>"
        shown = ", ".join(f"{v:.4g}" for v in np.ravel(self.estimate)[:3]) + ", ..." * (len(self.terms) > 3)
        return f"<Estimate: {self.estimand} {shown} ({SCALES[self.scale]}) by {self.estimator}, {Status(int(self.status)).name.lower()}>"

    @property
    def statistic(self) -> Array:
        """The estimate over its standard error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.estimate / self.std_error)

    @property
    def p_value(self) -> Array:
        """Two-sided p."""
        return two_sided_p(self.statistic, self.df)

    @property
    def conf_int(self) -> Array:
        """Confidence limits ``(..., 2)`` at `level`."""
        half = quantile(self.level, self.df) * self.std_error
        return np.stack([self.estimate - half, self.estimate + half], -1)

    @property
    def bands(self) -> Array:
        """Limits ``(K, 2)`` of one fit that hold for all terms together at `level`; nan for a term without a standard error.

        Every term has the same pointwise level, that at which correlated normal statistics are all inside, and its own df: a little
        cautious where the terms' errors share their denominators, up to two points too narrow where they do not.

        Raises
        ------
        DataError
            For a stack.
        FitError
            If the fit has one term, or knows no covariance of its terms.
        """
        from swedge._kernels.bands import largest_t_quantile

        _one(self)
        known = np.ravel(np.isfinite(self.std_error))
        if known.sum() < 2 or self.covariance is None:
            raise FitError("Simultaneous bands need several terms and their covariance. Fit effect=ByExposure() without an estimand.")
        pointwise = 1 - two_sided_p(largest_t_quantile(self.covariance[np.ix_(known, known)], np.inf, self.level), np.inf)
        half = quantile(float(pointwise), self.df) * self.std_error
        return np.stack([self.estimate - half, self.estimate + half], -1)

    def at(self, level: float) -> Estimate:
        """The same fit with another confidence level."""
        if not 0 < level < 1:
            raise FitError(f"level is {level}; expected a number between 0 and 1, such as 0.9.")
        return replace(self, level=level)

    def tidy(self) -> pd.DataFrame:
        """One row a term (and, in a stack, a replicate), with the columns that every result has."""
        lead = np.shape(self.status)
        shape = (*lead, len(self.terms))
        limits = self.conf_int.reshape((*shape, 2))
        table = {
            name: np.broadcast_to(getattr(self, name).reshape(shape), shape).ravel()
            for name in ("estimate", "std_error", "statistic", "df", "p_value")
        }
        count = int(np.prod(lead))
        frame = pd.DataFrame(
            {"term": list(self.terms) * count, **table, "conf_low": limits[..., 0].ravel(), "conf_high": limits[..., 1].ravel()}
        )
        codes = self.details.get(TERM_STATUS, np.broadcast_to(np.reshape(self.status, (*lead, 1)), shape))
        names = [Status(int(code)).name.lower() for code in np.ravel(codes)]
        frame = frame.assign(estimand=self.estimand, estimator=self.estimator, status=names)[list(COLUMNS)]
        return frame.assign(replicate=np.repeat(np.arange(count), len(self.terms))) if lead else frame

    def summary(self) -> str:
        """Estimates, what they rest on, and one sentence of methods."""
        from swedge._present.tables import text_table

        rows = self.tidy().drop(columns=["estimand", "estimator"])
        head = f"{self.estimator}: {self.estimand} ({SCALES[self.scale]}), {percent(self.level)} interval"
        lines = [text_table(rows), *self._ratios(), *(f"Note: {note}" for note in self.notes), f"Methods: {self.methods}"]
        return "\n".join([head, *lines])

    def _ratios(self) -> list[str]:
        """Estimates on a log scale as the ratios that they are, of a single fit."""
        if np.ndim(self.status) or self.scale not in RATIOS:
            return []
        shown = zip(self.terms, as_ratios(self.estimate, self.conf_int), strict=True)
        return [f"As {RATIOS[self.scale]}: " + "; ".join(f"{term} {ratio}" for term, ratio in shown)]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Estimates with their intervals; effects by exposure or period as a curve with simultaneous bands."""
        from swedge._present.forest import add_ratios, draw_forest

        _one(self)
        along = _along(self._parts().terms) and self.covariance is not None
        labels = list(self.terms) if len(self.terms) > 1 else [self.estimator]
        axes = (
            self._parts()._curve(ax)
            if along
            else draw_forest(labels, np.ravel(self.estimate), self.conf_int.reshape(-1, 2), SCALES[self.scale], ax=ax)
        )
        return add_ratios(axes, RATIOS[self.scale].capitalize(), "right" if along else "top") if self.scale in RATIOS else axes

    def _curve(self, ax: Axes | None) -> Axes:
        from swedge._present.effect_curve import draw_effect_curve

        at = np.array([float(term.split()[1]) for term in self.terms])
        kind = self.terms[0].split()[0]
        onset = -0.5 if kind == "event" and at.min() < 0 else None
        bands = self.bands if np.isfinite(self.std_error).sum() > 1 else None
        return draw_effect_curve(at, self.estimate, self.conf_int, bands, ALONG[kind], f"Effect ({SCALES[self.scale]})", ax, onset)

    def _parts(self) -> Estimate:
        """The same fit without an overall effect that stands before its parts."""
        if self.terms[0] != "overall" or len(self.terms) == 1 or np.ndim(self.status):
            return self
        own = {name: getattr(self, name)[1:] for name in ("terms", "estimate", "std_error", "df")}
        details = {name: value[1:] if name == TERM_STATUS else value for name, value in self.details.items()}
        return replace(self, covariance=None if self.covariance is None else self.covariance[1:, 1:], details=details, **own)


ALONG = {"exposure": "Periods since crossover", "period": "Period", "event": "Periods since treatment"}


def _along(terms: tuple[str, ...]) -> bool:
    """Whether the terms are several effects along exposures, periods or event times."""
    return len(terms) > 1 and any(all(term.startswith(f"{kind} ") for term in terms) for kind in ALONG)


SCALES = {
    "identity": "difference",
    "logit": "log odds ratio",
    "log": "log ratio",
    "probit": "probit difference",
    "cloglog": "complementary log-log difference",
    "log hazard": "log hazard ratio",
    "marginal logit": "marginal log odds ratio",
}

# What the exponential of an effect is, on the scales that are logarithms.
RATIOS = {scale: words.replace("log ", "") for scale, words in SCALES.items() if " log " in f" {words} "}


def as_ratios(estimate: ArrayLike, conf_int: Array) -> list[str]:
    """Estimates ``(K,)`` on a log scale, with their limits ``(K, 2)``, as the ratios that they are.

    >>> as_ratios(np.log([0.5]), np.log([[0.25, 1.0]]))
    ['0.5 (0.25 to 1)']
    """
    shown = zip(np.exp(np.ravel(estimate)), np.exp(conf_int.reshape(-1, 2)), strict=True)
    return [f"{value:.3g} ({low:.3g} to {high:.3g})" for value, (low, high) in shown]


def _one(estimate: Estimate) -> None:
    if np.ndim(estimate.status):
        raise DataError(f"This is a stack of {np.size(estimate.status)} fits; fit one trial to plot it.")


@dataclass(frozen=True)
class Wording:
    """What a result is called: the words that go with its numbers."""

    estimator: str
    estimand: str
    scale: str
    methods: str
    notes: tuple[str, ...] = ()


def assemble(
    trial: Trial,
    terms: tuple[str, ...],
    numbers: tuple[Array, Array, Array],
    status: NDArray[np.int8],
    wording: Wording,
    details: dict[str, Array] | None = None,
    alone: Array | None = None,
    own: NDArray[np.int8] | None = None,
) -> Estimate:
    """An estimate from rows ``(R or 1, K)`` of estimate and df, ``(R or 1, K, K)`` of covariance, and statuses ``(R or 1,)``.

    `alone` is the share of each contrast that single clusters fit exactly, which a cluster-robust variance does not see. `own` ``(R or 1,
    K)`` are statuses of terms: one that is not usable becomes nan, and the others stand.

    Where a status is not usable, or no df are left, the numbers become nan. A fit without residuals has no df left, whatever the formula
    for them says.
    """
    estimate, covariance, df = numbers
    variance = np.einsum("...kk->...k", covariance)
    each = np.zeros((1, len(terms)), dtype=np.int8) if own is None else own
    stands = each <= Status.SINGULAR
    lost = np.where((np.isfinite(variance) | ~stands).all(-1), Status.OK, Status.RANK_DEFICIENT)
    bad = np.where((spent(estimate, variance, df) & stands).any(-1), Status.NO_DEGREES_OF_FREEDOM, lost)
    shares = np.zeros((1, len(terms))) if alone is None else np.nan_to_num(alone)
    blind = np.where(stands, shares, 0.0)
    bad = np.where(blind.max(-1, initial=0.0) > ONE_CLUSTER, Status.ONE_CLUSTER, bad)
    code = np.where(status <= Status.SINGULAR, np.maximum(bad, status), status)
    whole = (code <= Status.SINGULAR)[:, None]
    usable = whole & stands
    arrays = [_shaped(np.where(usable, rows, np.nan), trial.shape) for rows in (estimate, np.sqrt(variance), df)]
    shown = {name: _shaped(rows[:, None], trial.shape) for name, rows in (details or {}).items()}
    if len(terms) > 1 and (code == Status.ONE_CLUSTER).any():
        shown[ONE_CLUSTER_SHARE] = _shaped(shares, trial.shape)
    if not stands.all():
        shown[TERM_STATUS] = _shaped(np.where(whole, np.maximum(each, code[:, None]), code[:, None]), trial.shape)
    return Estimate(
        terms=terms,
        estimate=arrays[0],
        std_error=arrays[1],
        df=arrays[2],
        status=_shaped(code[:, None], trial.shape).astype(np.int8),
        estimand=wording.estimand,
        estimator=wording.estimator,
        scale=wording.scale,
        methods=wording.methods,
        notes=(*wording.notes, *_blind_spot(terms, blind.max(0, initial=0.0))),
        details=shown,
        covariance=_squared(np.where(usable[..., None] & usable[..., None, :], covariance, np.nan), trial.shape),
    )


def spent(estimate: Array, variance: Array, df: Array) -> NDArray[np.bool_]:
    """Whether no degrees of freedom are left, or rounding alone of the variance."""
    return np.asarray(~(df > 0) | (variance <= EXACT**2 * estimate**2))


def _squared(rows: Array, lead: tuple[int, ...]) -> Array:
    """``(R or 1, K, K)`` to the leading shape and K, K."""
    return np.broadcast_to(rows, (int(np.prod(lead)), *rows.shape[1:])).reshape((*lead, *rows.shape[1:])).copy()


def _blind_spot(terms: tuple[str, ...], shares: Array) -> tuple[str, ...]:
    """What shares ``(K,)`` of the contrasts a cluster-robust variance does not see."""
    parts = [(term, share) for term, share in zip(terms, shares, strict=True) if share > SOME_CLUSTER]
    if not parts:
        return ()
    one = f"{parts[0][1]:.0%} of this effect"
    what = listing([f"{share:.0%} of the effect {term!r}" for term, share in parts]) if len(terms) > 1 else one
    return (
        f"{what} rests on cells that one cluster alone informs, and their error is not in the cluster-robust standard"
        " error: it is too small.",
    )


def _shaped(rows: NDArray[Any], lead: tuple[int, ...]) -> NDArray[Any]:
    """``(R or 1, K)`` to the leading shape, with K kept only when there are several terms."""
    terms = rows.shape[-1]
    full = np.broadcast_to(rows, (int(np.prod(lead)), terms))
    return full.reshape(lead if terms == 1 else (*lead, terms)).copy()
