"""Exceptions that say what, where, what was expected and what to do; and the status of a fit."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum

# Counts of 1 to this many are suppressed in anything meant for release, and a value that so few rows hold may be one person's.
SMALL = 5

# More different wrong values than this look like a column of names or dates of birth, which repeat when a person has many rows.
MANY_VALUES = 20


class SwedgeError(ValueError):
    """Base of every error that swedge raises on purpose."""


class DesignError(SwedgeError):
    """The schedule, its strata, its constraint or its allocation cannot be what was asked for."""


class DataError(SwedgeError):
    """The data contradict the design, or cannot carry the analysis asked for."""


class FitError(SwedgeError):
    """A model could not be fitted, or does not exist for this trial."""


class PlanError(SwedgeError):
    """A registered record was edited, or does not belong to what is being run."""


class Status(IntEnum):
    """What became of one fit. ``OK`` and ``SINGULAR`` carry numbers; every other status carries nan."""

    OK = 0
    SINGULAR = 1
    NOT_CONVERGED = 2
    SEPARATED = 3
    RANK_DEFICIENT = 4
    NO_VARIATION = 5
    NO_DEGREES_OF_FREEDOM = 6
    NO_RESIDUAL = 7
    ONE_CLUSTER = 8

    @property
    def usable(self) -> bool:
        """Whether the fit carries numbers."""
        return self <= Status.SINGULAR

    @property
    def advice(self) -> str:
        """What happened and what to do about it."""
        return _ADVICE[self]


_ADVICE = {
    Status.OK: "The fit converged.",
    Status.SINGULAR: "A variance component is estimated as zero, or a correlation as one. Few clusters cannot tell it from zero: prefer"
    " Kenward-Roger to Satterthwaite, which drops the component.",
    Status.NOT_CONVERGED: "The optimiser did not converge. Look for a cluster or period with hardly any data, or simplify the model.",
    Status.SEPARATED: "The outcome is all 0 or all 1 in a group of cells that a coefficient singles out, so its estimate is infinite."
    " Merge the periods or levels concerned, or compare risks with a linear estimator.",
    Status.RANK_DEFICIENT: "The cells observed do not identify every coefficient. Drop a covariate that repeats another, or check that some"
    " period holds treated and control clusters.",
    Status.NO_VARIATION: "Every outcome is the same, so there is nothing to estimate. Check that the right column was passed.",
    Status.NO_RESIDUAL: "Individuals hardly differ within their cells, so the likelihood has no maximum. Check that the outcome is one"
    " value an individual, or analyse the cell means: MixedModel(Exchangeable()) on a trial built without within=.",
    Status.ONE_CLUSTER: "One cluster alone carries this effect: the model fits its cells exactly, so a cluster-robust variance has nothing"
    " to measure the error by. Use PlaceboTest or FermanPintoTest with comparators, RandomisationTest, MixedModel, or"
    " FixedEffects(vcov='overdispersed').",
    Status.NO_DEGREES_OF_FREEDOM: "No degrees of freedom are left for the variance, or the data hardly tell what it rests on. Use fewer"
    " coefficients or random effects, another df=, or another variance.",
}


def nearest(name: object, known: Iterable[object]) -> str:
    """A phrase naming the closest known name, or nothing when none is close.

    >>> nearest("Walsal", ["Walsall", "Swindon"])
    " Did you mean 'Walsall'?"
    """
    folded = {str(k).casefold(): str(k) for k in known}
    close = difflib.get_close_matches(str(name).casefold(), folded, n=1, cutoff=0.6)
    return f" Did you mean {folded[close[0]]!r}?" if close else ""


def described(value: object) -> str:
    """What kind of thing was passed, with its article.

    >>> described(SwedgeError), described("GEE"), described(1)
    ('the class SwedgeError', "the text 'GEE'", 'an int')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, str):
        return f"the text {value!r:.60}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"


def listing(items: Sequence[object], limit: int = 3) -> str:
    """At most `limit` offenders, then how many more.

    >>> listing(["a", "b", "c", "d"])
    'a; b; c; and 1 more'
    """
    shown = "; ".join(str(item) for item in items[:limit])
    return shown + (f"; and {len(items) - limit} more" if len(items) > limit else "")


def counted(count: int, one: str, several: str) -> str:
    """A count and what it counts, with its verb.

    >>> counted(1, "row lies", "rows lie"), counted(3598, "row lies", "rows lie")
    ('1 row lies', '3,598 rows lie')
    """
    return f"{count:,} {one if count == 1 else several}"


def releasable(values: Iterable[object]) -> dict[str, int]:
    """Values that may be shown and how many rows hold each, the most frequent first.

    A value that 5 rows or fewer hold may be one person's, and so may each of very many different values: neither is among them.

    >>> releasable(["Walsal"] * 9 + ["Jane Doe"])
    {"'Walsal'": 9}
    """
    tally = Counter(repr(value) if isinstance(value, str) else str(value) for value in values)
    return {value: rows for value, rows in tally.most_common() if rows > SMALL} if len(tally) <= MANY_VALUES else {}


def offending(values: Sequence[object]) -> str:
    """How many different values a column should not hold, and those of them that may be shown.

    >>> offending(["Walsal"] * 9 + ["Jane Doe"])
    "2 different values, such as 'Walsal' in 9 rows"
    >>> offending(["Jane Doe"])
    "1 value, not shown: it may be one person's"
    """
    count = len(set(map(str, values)))
    different, owner = counted(count, "value", "different values"), f"{'it' if count == 1 else 'each'} may be one person's"
    shown = [f"{value} in {rows:,} rows" for value, rows in releasable(values).items()]
    return f"{different}, such as {', '.join(shown[:3])}" if shown else f"{different}, not shown: {owner}"
