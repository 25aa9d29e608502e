"""What a simulated child is like. Shares that were published carry their source; the others are assumptions and are called so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.errors import DesignError

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Years of age in each group, by the ages that a study takes in. Assumption: children are spread evenly over them.
AGE_GROUPS = {
    "0-12 and unborn": {"unborn": 0.5, "0": 1.0, "1-4": 4.0, "5-9": 5.0, "10-12": 3.0},
    "12-17": {"12-13": 2.0, "14-15": 2.0, "16-17": 2.0},
    "0-17": {"0": 1.0, "1-4": 4.0, "5-9": 5.0, "10-15": 6.0, "16-17": 2.0},
}

#: Assumption: the share of white British children, and how the others divide. An authority's share differs with `WHITE_BRITISH_SD` (logit).
WHITE_BRITISH, WHITE_BRITISH_SD = 0.7, 0.8
OTHER_ETHNICITIES = {"White other": 0.2, "Mixed": 0.25, "Asian": 0.25, "Black": 0.2, "Other": 0.1}

#: Assumptions: shares of boys, of disabled children, of unaccompanied asylum seekers; and of children with no, one and more previous plans.
MALE, DISABLED, ASYLUM_SEEKER = 0.51, 0.12, 0.005
PREVIOUS_PLANS = (0.93, 0.05, 0.02)

#: Share of episodes whose assessment named a factor: parent's alcohol and drugs, three kinds of domestic abuse, parent's mental health.
#: Source: Department for Education open statistics. They are drawn independently, as their joint shares are not published.
FACTORS = {"1B": 0.143, "2B": 0.141, "3A": 0.113, "3B": 0.317, "3C": 0.050, "4B": 0.335}

#: Digits of the share of white British children, so that a file written and read back is the same.
SHARE_DIGITS = 4

#: Missing shares in the trial. Source: the evaluators' published analysis code and the protocol wording quoted in it.
MISSING = {"ethnicity": 0.09, "uasc": 0.06, "gender": 0.035}

#: Assumption: log odds of being looked after, against the first level. Each authority's intercept is solved to keep its baseline risk.
PROGNOSIS: dict[str, dict[Any, float]] = {
    "age_group": {"unborn": 0.6, "0": 0.4, "1-4": 0.0, "5-9": -0.2, "10-12": -0.1},
    "previous_plans": {1: 0.5, 2: 0.8},
    "disability": {1: 0.2},
}


def draw_covariates(authority: Index, month: Index, ages: str, rng: np.random.Generator) -> pd.DataFrame:
    """Covariates and assessment factors, one row a child.

    Parameters
    ----------
    authority, month : ndarray (N,)
        0-based authority and calendar month of the referral, for the share of white British children by authority and month.
    ages : str
        A key of `AGE_GROUPS`.
    """
    count = len(authority)
    ethnicity = _ethnicity(authority, rng)
    rows = pd.DataFrame(
        {
            "age_group": _age_groups(ages, count, rng),
            "gender": np.where(rng.random(count) < MALE, "male", "female"),
            "ethnicity": ethnicity,
            "white_british_share": _share_by_month(authority, month, ethnicity == "White British"),
            "disability": _flags(DISABLED, count, rng),
            "previous_plans": rng.choice(len(PREVIOUS_PLANS), count, p=PREVIOUS_PLANS),
            "uasc": _flags(ASYLUM_SEEKER, count, rng),
        }
    )
    factors = {f"factor_{code}": _flags(share, count, rng) for code, share in FACTORS.items()}
    return rows.assign(**factors, trio=np.maximum.reduce(list(factors.values())))


def prognosis_of(rows: pd.DataFrame) -> Array:
    """Sum of the covariates' assumed log odds ``(N,)``; levels without an entry count 0."""
    parts = [rows[name].map(effects).fillna(0.0).to_numpy(dtype=float) for name, effects in PROGNOSIS.items()]
    return np.asarray(np.sum(parts, axis=0))


def with_gaps(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The rows with `MISSING` shares of values blanked, completely at random."""
    return rows.assign(**{name: rows[name].mask(rng.random(len(rows)) < share) for name, share in MISSING.items()})


def _flags(share: float, count: int, rng: np.random.Generator) -> Index:
    return (rng.random(count) < share).astype(np.intp)


def _age_groups(ages: str, count: int, rng: np.random.Generator) -> NDArray[np.str_]:
    if ages not in AGE_GROUPS:
        raise DesignError(f"No age groups are known for ages {ages!r}; expected one of {', '.join(map(repr, AGE_GROUPS))}.")
    years = np.array(list(AGE_GROUPS[ages].values()))
    return np.array(list(AGE_GROUPS[ages]))[rng.choice(len(years), count, p=years / years.sum())]


def _ethnicity(authority: Index, rng: np.random.Generator) -> NDArray[np.str_]:
    centre = np.log(WHITE_BRITISH / (1 - WHITE_BRITISH))
    share = 1 / (1 + np.exp(-centre - WHITE_BRITISH_SD * rng.standard_normal(authority.max() + 1)))
    others = np.array(list(OTHER_ETHNICITIES))[rng.choice(len(OTHER_ETHNICITIES), len(authority), p=list(OTHER_ETHNICITIES.values()))]
    return np.where(rng.random(len(authority)) < share[authority], "White British", others)


def _share_by_month(authority: Index, month: Index, flag: NDArray[np.bool_]) -> Array:
    """Mean of a flag in each authority and month, looked up for every child."""
    at = authority * (month.max() + 1) + month
    return np.asarray((np.bincount(at, flag) / np.maximum(np.bincount(at), 1))[at].round(SHARE_DIGITS))
