"""A child-level file as a trial would receive it, simulated at a study's sizes. No child in it exists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.validation import seed_number, whole
from swedge.errors import DataError, DesignError, listing, nearest
from swedge.studies.covariates import PREVIOUS_PLANS, SHARE_DIGITS, draw_covariates, prognosis_of, with_gaps
from swedge.studies.plans import plan_lengths
from swedge.studies.referred import Referred, binary, expit, logit
from swedge.studies.secondary import AUTHORITY_SD, absences, returns, second_plans, trio_referrals
from swedge.studies.study import Study

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Re-referrals within 12 months. Source: Department for Education open statistics.
REREFERRED = 0.22

#: Plans started over referrals, 62,000 over 630,000 a year, and the share of them that are second or later plans. Same source.
PLANS, SUBSEQUENT = 62_000 / 630_000, 0.245

#: Assumptions: share of children with a pre-proceedings meeting, of these with proceedings in 16 weeks, and days from referral to plan.
MEETING, PROCEEDINGS = 0.04, 0.35
PLAN_DELAY = (15, 46)

#: Days on a single plan are censored at 24 months. Source: the study's registered outcome.
CENSORED_AT = 730

DATES = ("referral_date", "plan_start", "trio_date")


def simulate_children(
    study: Study,
    seed: int,
    *,
    odds_ratio: float = 0.8,
    secondary_odds_ratio: float = 1.0,
    plan_ratio: float = 1.0,
    noise: float = 0.0,
    prognosis: float = 1.0,
    comparators: Sequence[str] = (),
    comparator_size: int | None = None,
    without_proceedings: Collection[str] = (),
    missing: bool = False,
) -> pd.DataFrame:
    """One row a child: authority, date of first referral, covariates, outcomes.

    Dates are uniform over the window; a child is treated when the authority was live on the day of referral. Sizes and baseline risks are
    the study's; every other share is a named constant of this module, of `covariates` or of `plans`, with a source or called an assumption.

    Parameters
    ----------
    study : Study
        With dates and the allocation carried out.
    seed : int
        The same seed gives the same children; turning on `missing` changes no other value.
    odds_ratio : float
        Of being looked after, treated against control, given authority, period and covariates.
    secondary_odds_ratio : float
        Of re-referral, proceedings, return to services, and of a school session missed.
    plan_ratio : float
        Of the length of plans.
    noise : float
        Standard deviation of the authority-by-period effect: logit scale, and log length for plans.
    prognosis : float
        Multiplies the covariates' assumed effects on being looked after (`covariates.PROGNOSIS`).
    comparators : sequence of str
        Never-treated authorities to add. Their sizes are `comparator_size` (default: the mean of the study's), their risks are drawn from
        the study's: both are assumptions.
    without_proceedings : collection of str
        Authorities that hold no proceedings data; the outcome is then missing for all their children.
    missing : bool
        Blank ethnicity, asylum seeking and gender at the trial's missing shares, completely at random.

    Returns
    -------
    DataFrame
        ``child_id, la, referral_date, treated``; ``age_group, gender, ethnicity, white_british_share`` (by authority and month),
        ``disability, previous_plans, uasc``; ``factor_1B`` to ``factor_4B``, ``trio``; ``looked_after``; ``plan_start``, ``plan_days``
        (censored at 730; nan without a plan), ``plan_open`` (1 where censored); ``rereferred`` (within 12 months); ``proceedings`` (nan
        without a pre-proceedings meeting); ``returned`` (to statutory services within 36 months of referral; nan unless a plan ended);
        ``plan_days_total`` (over 36 months; nan without a plan); ``trio_date, trio_treated, trio_rereferred`` (first referral in the window
        that names the trio, whether the authority was live then, and re-referral for the trio within 18 months; nan without one);
        ``absence`` (share of school sessions missed over three terms; nan under school age).

    Raises
    ------
    DesignError
        If the study has no dates or sizes, the seed is no whole number, or a name is unknown or taken.

    Examples
    --------
    >>> from swedge.studies import family_safeguarding
    >>> children = simulate_children(family_safeguarding(), seed=0)
    >>> len(children), int(children["proceedings"].isna().sum()) > 20_000
    (27425, True)
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed_number(seed)).spawn(11)]
    where, what, care, plans, again, court, gaps, back, total, trio, school = streams
    children = _referrals(study, tuple(comparators), comparator_size, noise, where)
    _check_names(without_proceedings, children.names)
    rows = draw_covariates(children.authority, _month(children.date), study.ages, what)
    odds, other = np.log(_positive(odds_ratio, "odds_ratio")), np.log(_positive(secondary_odds_ratio, "secondary_odds_ratio"))
    single = _plans(children, rows["previous_plans"].to_numpy(), _positive(plan_ratio, "plan_ratio"), plans)
    outcomes = {
        "looked_after": _looked_after(children, prognosis * prognosis_of(rows), odds, care),
        **single,
        "rereferred": binary(logit(REREFERRED) + other * children.treated + children.shocks(again, AUTHORITY_SD), again),
        "proceedings": _proceedings(children, other, without_proceedings, court),
        "returned": returns(children, single["plan_open"], other, back),
        "plan_days_total": second_plans(single["plan_days"], total),
        **trio_referrals(children, rows["trio"].to_numpy(), study.design, other, trio),
        "absence": absences(children, rows["age_group"].to_numpy(), other, school),
    }
    frame = pd.concat([_identity(children), rows, pd.DataFrame(outcomes)], axis=1)
    return with_gaps(frame, gaps) if missing else frame


def write_children(frame: pd.DataFrame, path: str | PathLike[str]) -> None:
    """Write a child-level file as CSV with ISO dates; missing values are blank.

    Parameters
    ----------
    frame : DataFrame
        As `simulate_children` gives it.
    path : path

    Examples
    --------
    >>> import tempfile
    >>> from swedge.studies import family_safeguarding, read_children, simulate_children
    >>> children = simulate_children(family_safeguarding(), seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_children(children, f"{folder}/children.csv")
    ...     read_children(f"{folder}/children.csv").equals(children)
    True
    """
    frame.to_csv(path, index=False, date_format="%Y-%m-%d")


def read_children(path: str | PathLike[str]) -> pd.DataFrame:
    """Read back what `write_children` wrote: same columns, types and values.

    Parameters
    ----------
    path : path

    Raises
    ------
    DataError
        If a date column is missing, or holds something that is no date; the values themselves are not shown.

    Examples
    --------
    >>> import tempfile
    >>> from swedge.studies import family_safeguarding, simulate_children
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_children(simulate_children(family_safeguarding(), seed=0), f"{folder}/children.csv")
    ...     len(read_children(f"{folder}/children.csv"))
    27425
    """
    frame = pd.read_csv(path, dtype={"age_group": str})
    lacking = [name for name in DATES if name not in frame.columns]
    if lacking:
        raise DataError(f"The file lacks {listing(lacking)}. Pass a file written by write_children.")
    return frame.assign(**{name: _as_dates(frame[name]) for name in DATES}).round(
        {"white_british_share": SHARE_DIGITS, "absence": SHARE_DIGITS}
    )


def _as_dates(column: pd.Series) -> pd.Series:
    read = pd.to_datetime(column, format="%Y-%m-%d", errors="coerce")
    lost = int((read.isna() & column.notna()).sum())
    if lost:
        raise DataError(f"{lost} of {len(column)} values of {column.name!r} are no dates. Write them as year-month-day.")
    return read.astype("datetime64[s]")


def _referrals(study: Study, comparators: tuple[str, ...], size: int | None, noise: float, rng: np.random.Generator) -> Referred:
    """Children in order of authority and date."""
    live = np.array([*study.go_live.values(), *["NaT"] * len(comparators)], dtype="datetime64[D]")
    names, sizes, risk = _authorities(study, comparators, size, rng)
    authority = np.repeat(np.arange(len(sizes)), sizes)
    edges = np.array(study.design.boundaries, dtype="datetime64[D]")
    day = rng.integers(0, int((edges[-1] - edges[0]).astype(int)), len(authority))
    date = edges[0] + day[np.lexsort((day, authority))]
    treated = np.asarray(date >= live[authority], dtype=np.intp)  # no date is at or after NaT
    return Referred(names, risk, live, authority, study.design.period_of(date), date, treated, noise)


def _authorities(
    study: Study, comparators: tuple[str, ...], size: int | None, rng: np.random.Generator
) -> tuple[tuple[str, ...], Index, Array]:
    """Names, sizes and baseline risks: the study's, then the comparators'."""
    taken = sorted({name for name in comparators if name in study.design.clusters or comparators.count(name) > 1})
    if taken:
        raise DesignError(
            f"comparators names a cluster of the trial, or an authority twice: {listing(taken)}. Name other authorities once each."
        )
    own = np.array(study.sizes, dtype=np.intp) if study.sizes else study.cell_sizes.sum(-1).astype(np.intp)
    each = round(float(own.mean())) if size is None else whole(size, "comparator_size", least=1)
    risk = np.concatenate([study.baseline_risk, rng.choice(study.baseline_risk, len(comparators))])
    return (*study.design.clusters, *comparators), np.concatenate([own, np.full(len(comparators), each, dtype=np.intp)]), risk


def _identity(children: Referred) -> pd.DataFrame:
    columns = {
        "child_id": np.arange(1, len(children.authority) + 1),
        "la": np.array(children.names)[children.authority],
        "referral_date": children.date.astype("datetime64[s]"),
        "treated": children.treated,
    }
    return pd.DataFrame(columns)


def _looked_after(children: Referred, prognosis: Array, effect: float, rng: np.random.Generator) -> Index:
    intercept = _intercepts(children, prognosis)[children.authority]
    return binary(intercept + prognosis + effect * children.treated + children.shocks(rng), rng)


def _intercepts(children: Referred, prognosis: Array) -> Array:
    """Each authority's intercept ``(I,)``, by Newton, at which its children's mean untreated risk is its baseline risk."""
    count = np.bincount(children.authority)
    intercept = logit(children.risk)
    for _ in range(20):
        risk = expit(intercept[children.authority] + prognosis)
        slope = np.bincount(children.authority, risk * (1 - risk))
        intercept = intercept - (np.bincount(children.authority, risk) - count * children.risk) / slope
    return intercept


def _plans(children: Referred, previous: Index, ratio: float, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Start, censored length and whether censored, of the children with a plan; drawn as a flow."""
    before = 1 - PREVIOUS_PLANS[0]
    share = np.where(previous > 0, SUBSEQUENT * PLANS / before, (1 - SUBSEQUENT) * PLANS / (1 - before))
    planned = rng.random(len(share)) < share
    lengths = plan_lengths(len(share), rng, ratio**children.treated * np.exp(children.shocks(rng, AUTHORITY_SD)))
    start = (children.date + rng.integers(*PLAN_DELAY, len(share))).astype("datetime64[s]")
    return {
        "plan_start": np.where(planned, start, np.datetime64("NaT", "s")),
        "plan_days": np.where(planned, np.minimum(np.ceil(lengths), CENSORED_AT), np.nan),
        "plan_open": np.where(planned, (lengths > CENSORED_AT).astype(float), np.nan),
    }


def _proceedings(children: Referred, effect: float, without: Collection[str], rng: np.random.Generator) -> Array:
    known = ~np.isin(np.array(children.names), list(without))[children.authority]
    met = (rng.random(len(known)) < MEETING) & known
    issued = binary(logit(PROCEEDINGS) + effect * children.treated + children.shocks(rng, AUTHORITY_SD), rng)
    return np.where(met, issued, np.nan)


def _check_names(given: Collection[str], names: tuple[str, ...]) -> None:
    unknown = [f"{name!r}.{nearest(name, names)}" for name in given if name not in names]
    if unknown:
        raise DesignError(f"without_proceedings names authorities that are not simulated: {listing(unknown)}")


def _positive(value: float, name: str) -> float:
    if not 0 < value < np.inf:
        raise DesignError(f"{name} is {value}; expected a positive number, such as 0.8. 1 means no effect.")
    return value


def _month(date: NDArray[np.datetime64]) -> Index:
    months = date.astype("datetime64[M]").astype(np.intp)
    return np.asarray(months - months.min())
