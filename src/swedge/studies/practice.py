"""The file that comes with the Family Safeguarding plan: simulated children to practise on, none of whom exists."""

from __future__ import annotations

from swedge.studies.children import simulate_children
from swedge.studies.facts import family_safeguarding

COMPARATORS = tuple(f"Comparison {number}" for number in range(1, 11))
WITHOUT_PROCEEDINGS = ("Swindon",)


def practice_children(seed: int) -> bytes:
    """A CSV of children at the trial's sizes and ten comparison authorities: `simulate_children` with an effect, noise and gaps.

    Parameters
    ----------
    seed : int
        The same seed gives the same bytes.

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
        comparators=COMPARATORS,
        comparator_size=3000,
        without_proceedings=WITHOUT_PROCEEDINGS,
        missing=True,
    )
    return children.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n").encode()
