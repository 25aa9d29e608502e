"""A panel of authorities in the form of the published one, simulated. No authority in it is real."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from swedge.design.validation import seed_number, whole
from swedge.errors import DesignError
from swedge.studies.facts import family_safeguarding
from swedge.studies.panel import first_treated_years
from swedge.studies.study import Study

Array = NDArray[np.float64]

#: Known adopters of this programme and of a sister programme, so that rules of exclusion have something to exclude.
ADOPTERS = ("Luton", "Rochdale")

#: Children under 18 of an authority: median, standard deviation of the logarithm, and fewest. Like those of England.
CHILDREN = (61_000.0, 0.58, 25_000.0)

#: Plans of two years or more as a share of plans on a day. Source: Department for Education open statistics.
LONG = 0.023

#: Counts published as blanks. Statistics of children in need suppress these.
SUPPRESSED = (1, 5)

#: Standard deviation of what a year does to a rate everywhere (logarithm): an assumption.
YEAR = 0.03


class Rate(NamedTuple):
    """A rate's level, the standard deviations of authorities and of their noise (logarithms), and its year-to-year correlation.

    Chosen so that about their means over ten years, and counts included, rates vary and persist like those of English authorities, 2016 to
    2025.
    """

    level: float
    between: float
    noise: float
    correlation: float


#: Per 10,000 children; re-referrals per referral.
RATES = {
    "looked_after": Rate(67, 0.33, 0.22, 0.95),
    "started": Rate(27, 0.30, 0.19, 0.7),
    "referrals": Rate(530, 0.26, 0.24, 0.7),
    "rereferrals": Rate(0.20, 0.16, 0.23, 0.6),
    "applications": Rate(10.7, 0.37, 0.23, 0.7),
    "plans": Rate(44, 0.30, 0.25, 0.6),
    "long_plans": Rate(LONG, 0.30, 0.30, 0.0),
}
NOT_CHANGED = ("referrals", "plans")
PARTS = {"rereferrals": "referrals", "long_plans": "plans"}


def simulate_panel(
    seed: int,
    *,
    study: Study | None = None,
    ratio: float = 0.9,
    comparators: int = 30,
    years: Iterable[int] = range(2016, 2026),
    neighbours: int = 10,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A panel and a table of neighbours such as `authority_panel` reads, simulated.

    The study's authorities bear their names and go-live dates and nothing else of theirs; the others are called "Authority 1" and so on,
    but for two known adopters that no analysis should compare with. The last one exists for the last four years only.

    Parameters
    ----------
    seed : int
        The same seed gives the same panel but for what `ratio` changes.
    study : Study, optional
        `family_safeguarding` by default.
    ratio : float
        Of every rate, treated against untreated, from the first treated year on. Referrals and plans are not changed, but re-referrals
        and the share of long plans are.
    comparators : int
        Authorities that never adopt.
    years : iterable of int
        Reporting years.
    neighbours : int
        Rows an authority of the study has in the table: drawn at random from all others.

    Returns
    -------
    panel : DataFrame
        ``la_code, la_name, year, cla_count, cla_rate_per_10k, cla_started_count, referral_count, rereferral_count, rereferral_percent,
        care_applications_per_10k, cpp_at_31_march, cpp_ge_2y`` (blank for 1 to 5).
    neighbours : DataFrame
        ``la_code, la_name, rank, neighbour_la_code``.

    Raises
    ------
    DesignError
        If `ratio` is not positive, a count is too small, years are none, or the study has no dates.

    Examples
    --------
    >>> panel, near = simulate_panel(seed=1)
    >>> panel["la_name"].nunique(), len(near)
    (37, 50)
    """
    programme = family_safeguarding() if study is None else study
    names = _names(programme, whole(comparators, "comparators", least=2))
    chosen = np.array(sorted({whole(year, "years") for year in years}))
    if not 0 < ratio < np.inf or not len(chosen):
        raise DesignError(f"ratio={ratio!r}, {len(chosen)} years; expected a positive ratio, such as 0.9 (1: no effect), and years.")
    draw, near = (np.random.default_rng(s) for s in np.random.SeedSequence(seed_number(seed)).spawn(2))
    starts = first_treated_years(programme)
    treated = chosen >= np.array([starts.get(name, np.inf) for name in names])[:, None]
    panel = _panel(names, chosen, np.where(treated, ratio, 1.0), draw)
    late = (panel["la_name"] == names[-1]) & (panel["year"] <= chosen[-1] - 4)
    return panel[~late].reset_index(drop=True), _near(names, len(starts), whole(neighbours, "neighbours", least=1), near)


def _names(study: Study, comparators: int) -> tuple[str, ...]:
    return (*study.design.clusters, *ADOPTERS, *(f"Authority {k}" for k in range(1, comparators + 1)))


def _codes(names: tuple[str, ...]) -> NDArray[np.int64]:
    return 1001 + np.arange(len(names))


def _panel(names: tuple[str, ...], years: NDArray[np.int64], effect: Array, rng: np.random.Generator) -> pd.DataFrame:
    """One row an authority and year."""
    size = np.maximum(rng.lognormal(np.log(CHILDREN[0]), CHILDREN[1], (len(names), 1)), CHILDREN[2]) / 1e4
    rate = {name: _rates(kind, effect.shape, rng) * (1.0 if name in NOT_CHANGED else effect) for name, kind in RATES.items()}
    place = {name: rng.random(effect.shape) for name in RATES}  # quantiles: what is not treated does not depend on the effect
    count = {name: stats.poisson.ppf(place[name], rate[name] * size) for name in RATES if name not in PARTS}
    count["looked_after"] = (rate["looked_after"] * size).round()  # the same children from year to year
    again, long = (stats.binom.ppf(place[name], count[of], np.minimum(rate[name], 1.0)) for name, of in PARTS.items())
    columns = {
        "cla_count": count["looked_after"],
        "cla_rate_per_10k": (count["looked_after"] / size).round(1),
        "cla_started_count": count["started"],
        "referral_count": count["referrals"],
        "rereferral_count": again,
        "rereferral_percent": (100 * again / np.maximum(count["referrals"], 1)).round(1),
        "care_applications_per_10k": (count["applications"] / size).round(1),
        "cpp_at_31_march": count["plans"],
        "cpp_ge_2y": np.where((long < SUPPRESSED[0]) | (long > SUPPRESSED[1]), long, np.nan),
    }
    keys = {"la_code": np.repeat(_codes(names), len(years)), "la_name": np.repeat(names, len(years)), "year": np.tile(years, len(names))}
    return pd.DataFrame(keys | {name: np.ravel(values) for name, values in columns.items()})


def _rates(kind: Rate, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Rates ``(I, T)``: level, authority, year, and noise that is as large in the first year as later."""
    own, common = rng.normal(0, kind.between, (shape[0], 1)), rng.normal(0, YEAR, (1, shape[1]))
    fresh, noise = rng.normal(0, kind.noise, shape), np.empty(shape)
    noise[:, 0] = fresh[:, 0]
    for t in range(1, shape[1]):
        noise[:, t] = kind.correlation * noise[:, t - 1] + np.sqrt(1 - kind.correlation**2) * fresh[:, t]
    return np.asarray(kind.level * np.exp(own + common + noise))


def _near(names: tuple[str, ...], treated: int, count: int, rng: np.random.Generator) -> pd.DataFrame:
    codes, rows = _codes(names), []
    for i in range(treated):
        others = rng.permutation(np.delete(codes, i))[:count]
        rows += [(codes[i], names[i], rank, code) for rank, code in enumerate(others, 1)]
    return pd.DataFrame(rows, columns=["la_code", "la_name", "rank", "neighbour_la_code"])
