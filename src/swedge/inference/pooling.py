"""Estimates from several imputed sets made one by Rubin's rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from swedge._kernels.rubin import Pooled, pool_sets
from swedge.errors import DataError, FitError, Status, listing
from swedge.estimate import Estimate

Array = NDArray[np.float64]

# Complete-data degrees of freedom below which a note says what Barnard and Rubin's formula takes from them.
FEW_DF = 10.0
VARIANCES = ("within", "between", "fmi")


@dataclass(frozen=True, eq=False, repr=False)
class PooledEstimate(Estimate):
    """An estimate from several imputed sets; a term's `tidy` row adds ``relative_increase`` and ``fmi``.

    Attributes
    ----------
    imputations : int
        How many sets were pooled.
    details : dict
        Arrays of the shape of `estimate`: ``within`` and ``between`` (the variances in and between sets), ``relative_increase`` (of the
        variance, by missing data), ``fmi`` (fraction of missing information) and ``complete_df``.
    """

    imputations: int = 0

    def tidy(self) -> pd.DataFrame:
        """One row a term, with the columns that every result has and what the missing data cost."""
        return super().tidy().assign(**{name: np.ravel(self.details[name]) for name in ("relative_increase", "fmi")})


def pool(estimates: Iterable[Estimate], complete_df: ArrayLike | None = None) -> PooledEstimate:
    """Pool the fits of several imputed sets by Rubin's rules, each term by itself.

    Parameters
    ----------
    estimates : iterable of Estimate
        One an imputed set, by one estimator: at least two, and all of one shape.
    complete_df : array_like, optional
        Degrees of freedom that complete data would leave. Left out, they are the mean of the fits' own.

    Raises
    ------
    DataError
        If there are fewer than two fits, they differ in terms, estimand, estimator, scale, level or shape, or `complete_df` is not
        positive.
    FitError
        If a fit failed: leaving its set out would change what is estimated.

    Notes
    -----
    The variance is the mean variance W plus (1 + 1/m) times the variance B between sets. The degrees of freedom are those of Barnard and
    Rubin (1999), which never exceed ``v (v + 1) / (v + 3)`` of the v that complete data leave; with infinite v they are Rubin's own. With
    few clusters that is a price: 2.8 where complete data leave 3.9. Where the sets give one and the same estimate nothing was imputed, and
    v stands as it is.

    The fraction of missing information is Rubin's (1987), from the degrees of freedom at infinite v. Software that puts the adjusted ones
    into it would report a third of the information as missing in a trial with 4 degrees of freedom whose data are complete.

    In a stack a set that failed spoils its own replicate alone: nan, under the worst status.

    References
    ----------
    Rubin DB (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
    Barnard J, Rubin DB (1999). Small-sample degrees of freedom with multiple imputation. Biometrika 86, 948-955.

    Examples
    --------
    >>> import numpy as np, swedge as sw
    >>> from swedge.inference.pooling import pool
    >>> allocation = sw.Design.stepped_wedge(clusters=6, periods=4).randomise(seed=0)
    >>> sets = [np.random.default_rng(k).normal(size=(6, 4)) for k in range(5)]
    >>> fits = [sw.FixedEffects().fit(sw.Trial.from_cells(np.full((6, 4), 50), mean, allocation)) for mean in sets]
    >>> pool(fits).tidy()[["estimate", "df", "fmi"]].shape
    (1, 3)
    """
    fits = _checked(estimates)
    first = fits[0]
    status = np.max([fit.status for fit in fits], axis=0)
    _refuse_failed(fits)
    stack = {name: np.stack([getattr(fit, name) for fit in fits]) for name in ("estimate", "std_error", "df")}
    complete = _complete_df(complete_df, stack["df"])
    pooled = pool_sets(stack["estimate"], stack["std_error"] ** 2, complete)
    return PooledEstimate(
        terms=first.terms,
        estimate=pooled.estimate,
        std_error=np.sqrt(pooled.variance),
        df=pooled.df,
        status=np.asarray(status, dtype=np.int8),
        estimand=first.estimand,
        estimator=first.estimator,
        scale=first.scale,
        methods=f"{first.methods.removesuffix('.')}; {len(fits)} imputed data sets pooled by Rubin's rules, with Barnard-Rubin degrees of"
        " freedom.",
        notes=(*dict.fromkeys(note for fit in fits for note in fit.notes), *_price(pooled, complete)),
        details={"relative_increase": pooled.increase, "complete_df": complete, **{name: getattr(pooled, name) for name in VARIANCES}},
        level=first.level,
        imputations=len(fits),
    )


def _checked(estimates: Iterable[Estimate]) -> list[Estimate]:
    """The fits, if they are of one kind."""
    if isinstance(estimates, Estimate) or not isinstance(estimates, Iterable):
        raise DataError(f"pool takes the fits of all imputed sets, and this is a single {type(estimates).__name__}. Pass them as a list.")
    fits: list[Any] = list(estimates)
    strange = [f"number {k} is a {type(fit).__name__}" for k, fit in enumerate(fits, 1) if not isinstance(fit, Estimate)]
    if strange:
        raise DataError(f"pool takes Estimates, and {listing(strange)}. Pass what estimator.fit(trial) returned for each imputed set.")
    if len(fits) < 2:
        raise DataError(f"{len(fits)} imputed sets were passed; Rubin's rules need at least 2, and 20 are better. Pass one fit a set.")
    _check_alike(fits)
    return fits


def _check_alike(fits: Sequence[Estimate]) -> None:
    for name in ("estimator", "estimand", "terms", "scale", "level", "lead"):
        kinds = [np.shape(fit.status) if name == "lead" else getattr(fit, name) for fit in fits]
        apart = [f"set {k}: {kind!r}" for k, kind in enumerate(kinds, 1) if kind != kinds[0]]
        if apart:
            what = "shape" if name == "lead" else name
            raise DataError(
                f"The fits differ in {what}: {len(apart)} are not as set 1 ({kinds[0]!r}). {listing(apart)}. Fit one estimator to every"
                " imputed set, with the same covariates."
            )


def _refuse_failed(fits: Sequence[Estimate]) -> None:
    if np.ndim(fits[0].status):
        return
    failed = [(k, Status(int(fit.status))) for k, fit in enumerate(fits, 1) if not Status(int(fit.status)).usable]
    if failed:
        shown = listing([f"set {k}: {status.name.lower().replace('_', ' ')}" for k, status in failed])
        raise FitError(f"{len(failed)} of {len(fits)} imputed sets could not be fitted: {shown}. {failed[0][1].advice}")


def _complete_df(given: ArrayLike | None, own: Array) -> Array:
    if given is None:
        return np.asarray(own.mean(0))
    df = np.asarray(given, dtype=float)
    if not (df > 0).all():
        raise DataError(f"complete_df is {given!r}; expected positive degrees of freedom, or np.inf for a normal distribution.")
    try:
        return np.broadcast_to(df, own.shape[1:])
    except ValueError:
        raise DataError(f"complete_df has shape {df.shape}, the estimates {own.shape[1:]}. Pass one number, or one a term.") from None


def _price(pooled: Pooled, df: Array) -> tuple[str, ...]:
    """What few clusters lose to Barnard and Rubin's formula."""
    if np.size(df) != 1 or not df < FEW_DF or not pooled.between > 0:
        return ()
    most = float(df * (df + 1) / (df + 3))
    return (
        f"Complete data leave {float(df):.1f} degrees of freedom here, and Barnard and Rubin's formula at most {most:.1f} however little is"
        " missing: the interval is wide for that reason too.",
    )
