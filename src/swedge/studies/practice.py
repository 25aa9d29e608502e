"""The file that comes with the Family Safeguarding plan: simulated children to practise on, none of whom exists."""

from __future__ import annotations

from collections.abc import Sequence

from swedge.studies.children import simulate_children
from swedge.studies.facts import family_safeguarding

WITHOUT_PROCEEDINGS = ("Swindon",)


def practice_children(seed: int, comparators: Sequence[str] = ()) -> bytes:
    """A CSV of children at the trial's sizes: `simulate_children` with an effect, noise and gaps.

    Parameters
    ----------
    seed : int
        The same seed gives the same bytes.
    comparators : sequence of str
        Authorities to add that never go live, of 3,000 children each.

    Examples
    --------
    >>> practice_children(0).splitlines()[0][:31]
    b'child_id,la,referral_date,treat'
    """
    children = simulate_children(
        family_safeguarding(),
        seed,
        odds_ratio=0.8,
        secondary_odds_ratio=0.85,
        plan_ratio=0.9,
        noise=0.1,
        comparators=tuple(comparators),
        comparator_size=3000,
        without_proceedings=WITHOUT_PROCEEDINGS,
        missing=True,
    )
    return children.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n").encode()
