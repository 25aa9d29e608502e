"""Secondary outcomes of a simulated child: what follows a plan, a later referral for the trio, and school. Shares are assumptions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swedge.design import Design
from swedge.studies.covariates import SHARE_DIGITS
from swedge.studies.plans import plan_lengths
from swedge.studies.referred import Array, Referred, binary, expit, logit

#: How authorities differ in outcomes other than the primary (standard deviation, logit or log length).
AUTHORITY_SD = 0.1

#: Return to statutory services once a plan has ended; a second plan inside 36 months, among children with one.
RETURNED, SECOND_PLAN = 0.30, 0.15

#: Days over which plans are added up: 36 months. Source: the study's registered outcome.
HORIZON = 1095

#: Children whose first referral does not name the trio and a later one does, days between the two, and re-referral for the trio.
LATER, GAP, TRIO_AGAIN = 0.08, (30, 540), 0.20

#: Sessions missed without authorisation: their mean share, how alike a child's sessions are (a beta's size), and sessions in three terms.
ABSENT, ALIKE, SESSIONS = 0.03, 6.0, 380

#: Ages at which a child has no school sessions to miss.
BELOW_SCHOOL = ("unborn", "0", "1-4")


def returns(children: Referred, still_open: NDArray[Any], effect: float, rng: np.random.Generator) -> Array:
    """1 for a child back in statutory services, 0 for one not, ``(N,)``; nan where no plan ended."""
    back = binary(logit(RETURNED) + effect * children.treated + children.shocks(rng, AUTHORITY_SD), rng)
    return np.where(still_open == 0, back, np.nan)


def second_plans(days: NDArray[Any], rng: np.random.Generator) -> Array:
    """Days on all plans ``(N,)``: the first one's, and a second one's where there is one, within the horizon; nan without a plan."""
    more = np.ceil(plan_lengths(len(days), rng)) * (rng.random(len(days)) < SECOND_PLAN)
    return np.asarray(np.minimum(days + more, HORIZON))


def trio_referrals(
    children: Referred, named: NDArray[Any], design: Design, effect: float, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Index referral for the trio, treatment as of that day, and re-referral for it; NaT and nan without one in the window."""
    later = children.date + rng.integers(*GAP, len(named))
    inside = (rng.random(len(named)) < LATER) & (later < np.datetime64(design.boundaries[-1]))
    held = named.astype(bool) | inside
    date = np.where(named.astype(bool), children.date, later)
    moved = np.where(held, date, children.date)
    index = replace(children, period=design.period_of(moved), date=moved, treated=children.live_on(moved))
    again = binary(logit(TRIO_AGAIN) + effect * index.treated + index.shocks(rng, AUTHORITY_SD), rng)
    return {
        "trio_date": np.where(held, moved.astype("datetime64[s]"), np.datetime64("NaT", "s")),
        "trio_treated": np.where(held, index.treated, np.nan),
        "trio_rereferred": np.where(held, again, np.nan),
    }


def absences(children: Referred, ages: NDArray[Any], effect: float, rng: np.random.Generator) -> Array:
    """Share of sessions missed ``(N,)``, nan below school age."""
    mean = expit(logit(ABSENT) + effect * children.treated + children.shocks(rng, AUTHORITY_SD))
    share = rng.binomial(SESSIONS, rng.beta(mean * ALIKE, (1 - mean) * ALIKE)) / SESSIONS
    return np.where(np.isin(ages, BELOW_SCHOOL), np.nan, share.round(SHARE_DIGITS))
