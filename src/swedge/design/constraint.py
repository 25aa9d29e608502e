"""Covariate-constrained randomisation: keep the allocations that balance the arms best, and draw among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, isfinite
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from swedge.design.enumeration import CELLS, Ints, Layout, Ranks, all_ranks, distinct_ranks, unrank
from swedge.design.validation import seed_number, spell, whole
from swedge.errors import DesignError, counted, listing, nearest, offending

ENUMERATION_LIMIT = 2_000_000
"""Longest list of allocations that is made at once."""

_TIE = 1e-9


@dataclass(frozen=True)
class Covariate:
    """A cluster characteristic to balance: one value for each cluster, in the design's order, and its weight in the score.

    Raises
    ------
    DesignError
        If the values are all the same or not finite, or the weight is not positive.

    Examples
    --------
    >>> Covariate("referrals", (10, 20, 30)).standardised
    array([-1.,  0.,  1.])
    """

    name: str
    values: tuple[float, ...]
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Settle types; refuse what cannot be standardised."""
        object.__setattr__(self, "values", tuple(float(value) for value in self.values))
        object.__setattr__(self, "weight", float(self.weight))
        if not all(map(isfinite, self.values)) or len(set(self.values)) < 2:
            raise DesignError(
                f"Covariate {self.name!r} is the same in every cluster or not finite, so it cannot be balanced. Leave it out."
            )
        if not (isfinite(self.weight) and self.weight > 0):
            raise DesignError(f"The weight of covariate {self.name!r} is {self.weight}. Give a positive number.")

    @property
    def standardised(self) -> NDArray[np.float64]:
        """Values `(I,)` with mean 0 and standard deviation 1 over clusters."""
        values = np.array(self.values)
        scores: NDArray[np.float64] = (values - values.mean()) / values.std(ddof=1)
        return scores


@dataclass(frozen=True)
class Constraint:
    """Which allocations are good enough to draw from (Raab and Butcher 2001; Moulton 2004).

    The balance score of an allocation is the sum, over covariates and over the periods in which both arms are observed, of the squared
    difference between the arms' means of the standardised covariate, times the covariate's weight. Small is balanced. In a period where
    a cluster is treated in part it counts in both arms, in proportion.

    Parameters
    ----------
    covariates
        What to balance.
    keep
        A share (float below 1) or a number (int) of candidates to keep; allocations that tie at the cut are all kept.
    sample
        Number of distinct candidates drawn at random from all allocations; None scores all of them.
    seed
        Seed of that sample.

    Raises
    ------
    DesignError
        If `keep` or `sample` is not a share or count, or only one of `sample` and `seed` is given.

    References
    ----------
    Raab GM, Butcher I (2001). Balance in cluster randomized trials. Statistics in Medicine 20:351-365.
    Moulton LH (2004). Covariate-based constrained randomization of group-randomized trials. Clinical Trials 1:297-305.

    Examples
    --------
    >>> Constraint((Covariate("referrals", (10, 20, 30)),), keep=0.5).number_kept(candidates=6)
    3
    """

    covariates: tuple[Covariate, ...]
    keep: float | int
    sample: int | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """Check the share kept and that a sample can be drawn again."""
        object.__setattr__(self, "covariates", tuple(self.covariates))
        object.__setattr__(self, "keep", _checked_keep(self.keep))
        if not self.covariates:
            raise DesignError("The constraint has no covariates. Name at least one to balance.")
        if (self.sample is None) != (self.seed is None):
            raise DesignError(
                "sample and seed belong together: pass both to score a random sample of allocations, or neither to score all."
            )
        if self.sample is not None:
            object.__setattr__(self, "sample", whole(self.sample, "sample", least=2))
            object.__setattr__(self, "seed", seed_number(self.seed))

    def number_kept(self, candidates: int) -> int:
        """How many of the candidates to keep before ties at the cut."""
        return self.keep if isinstance(self.keep, int) else ceil(round(self.keep * candidates, 6))

    def check(self, matrix: NDArray[np.float64], layout: Layout) -> None:
        """Refuse a constraint that does not fit the design."""
        n_clusters = len(layout.member)
        wrong = [f"{c.name!r} has {len(c.values)}" for c in self.covariates if len(c.values) != n_clusters]
        if wrong:
            raise DesignError(f"Each covariate needs {n_clusters} values, one a cluster: {listing(wrong)}.")
        if not arm_contrast(matrix, layout.supply.sum(axis=0)).size:
            raise DesignError("No period has treated and control clusters, so there are no arms to balance. Leave the constraint out.")
        candidates = self._candidates(layout.count)
        if not 2 <= self.number_kept(candidates) <= candidates:
            raise DesignError(
                f"keep={self.keep} of {spell(candidates)} allocations is {spell(self.number_kept(candidates))}. Keep between 2 and"
                f" {spell(candidates)}: a single allocation is not a randomisation."
            )

    def _candidates(self, count: int) -> int:
        if self.sample is None and count > ENUMERATION_LIMIT:
            raise DesignError(
                f"The design has {spell(count)} allocations, too many to score (limit {ENUMERATION_LIMIT:,}). Pass sample= and seed="
                " to score a random sample of them, for example sample=100_000."
            )
        if self.sample is not None and self.sample >= count:
            raise DesignError(f"sample={self.sample:,} of {spell(count)} allocations samples nothing. Leave sample= out to score them all.")
        if self.sample is not None and self.sample > ENUMERATION_LIMIT:
            raise DesignError(f"sample={self.sample:,} is more than can be scored (limit {ENUMERATION_LIMIT:,}). Sample fewer.")
        return self.sample or count


def _checked_keep(keep: object) -> float | int:
    if isinstance(keep, (float, np.floating)) and 0 < keep < 1:
        return float(keep)
    if isinstance(keep, (float, np.floating)):
        raise DesignError(f"keep is {keep}. Give a share between 0 and 1, or a whole number of allocations.")
    return whole(keep, "keep", least=2)


def checked_covariates(frame: object, clusters: Sequence[str], weights: object) -> tuple[Covariate, ...]:
    """Columns of a frame indexed by cluster, as covariates in the design's order."""
    if not isinstance(frame, pd.DataFrame):
        raise DesignError(
            f"covariates is a {type(frame).__name__}. Pass a DataFrame with one row per cluster and the cluster names as its index."
        )
    rows = frame.set_axis([str(name) for name in frame.index], axis=0)
    _refuse_other_clusters(list(rows.index), clusters)
    _refuse_columns(rows)
    by_name = _weights([str(c) for c in rows.columns], weights)
    ordered = rows.loc[list(clusters)]
    return tuple(Covariate(str(c), tuple(ordered[c].astype(float)), by_name[str(c)]) for c in ordered.columns)


def _refuse_other_clusters(named: list[str], clusters: Sequence[str]) -> None:
    others = [name for name in named if name not in set(clusters)]
    hints = "".join(dict.fromkeys(nearest(name, clusters) for name in others[:3]))
    unknown = [f"{counted(len(others), 'row is', 'rows are')} named after no cluster ({offending(others)}){hints}"] if others else []
    missing = [f"{name!r} has no row" for name in clusters if name not in set(named)]
    twice = [f"{name!r} has {named.count(name)} rows" for name in clusters if named.count(name) > 1]
    if offenders := unknown + missing + twice:
        raise DesignError(f"covariates needs one row for each cluster, with its name as index: {listing(offenders)}.")


def _refuse_columns(rows: pd.DataFrame) -> None:
    twins = [repr(c) for c in rows.columns[rows.columns.duplicated()]]
    if twins:
        raise DesignError(f"Covariates are named more than once: {listing(twins)}. Rename or drop the repeats.")
    text = [repr(c) for c in rows.columns if not pd.api.types.is_numeric_dtype(rows[c].dtype)]
    if text:
        raise DesignError(
            f"Covariates must be numbers: {listing(text)}. Code a category as 0/1 columns, for example with pandas.get_dummies."
        )
    gaps = [f"{c!r} in {', '.join(rows.index[rows[c].isna()][:3])}" for c in rows.columns if rows[c].isna().any()]
    if gaps:
        raise DesignError(
            f"Covariates are missing: {listing(gaps)}. Fill them in before the draw; a cluster cannot be balanced on what is unknown."
        )


def _weights(names: list[str], weights: object) -> dict[str, float]:
    if weights is None:
        return dict.fromkeys(names, 1.0)
    if isinstance(weights, Mapping):
        unknown = [f"{name!r}.{nearest(name, names)}" for name in weights if name not in names]
        if unknown:
            raise DesignError(f"weights names no covariate: {listing(unknown)}")
        return {name: weights.get(name, 1.0) for name in names}
    if not isinstance(weights, Iterable) or len(values := list(weights)) != len(names):
        raise DesignError(f"weights is {weights!r}. Give one weight for each of {len(names)} covariates, or a mapping from name to weight.")
    return dict(zip(names, values, strict=True))


@dataclass(frozen=True, eq=False)
class Scored:
    """Candidates in lexicographic order: `ranks (C,)` in the unconstrained list, `scores (C,)`, and which are `kept (C,)`."""

    ranks: Ranks
    scores: NDArray[np.float64]
    kept: NDArray[np.bool_]

    @cached_property
    def kept_ranks(self) -> Ranks:
        """Ranks of the allocations to draw from, increasing."""
        return self.ranks[self.kept]


def score_candidates(constraint: Constraint, matrix: NDArray[np.float64], layout: Layout) -> Scored:
    """Score every candidate and mark the best."""
    ranks = _candidate_ranks(constraint, layout)
    contrast = arm_contrast(matrix, layout.supply.sum(axis=0))
    z = np.stack([np.sqrt(c.weight) * c.standardised for c in constraint.covariates])
    step = max(1, CELLS // (len(layout.member) * contrast.shape[1]))
    blocks = [balance_scores(unrank(layout, ranks[b : b + step]), contrast, z) for b in range(0, len(ranks), step)]
    scores = np.concatenate(blocks)
    return Scored(ranks, scores, _best(scores, constraint.number_kept(len(ranks))))


def _candidate_ranks(constraint: Constraint, layout: Layout) -> Ranks:
    if constraint.sample is None:
        return all_ranks(layout, 0, layout.count)
    return distinct_ranks(np.random.PCG64(constraint.seed), layout.count, constraint.sample)


def arm_contrast(matrix: NDArray[np.float64], places: Ints) -> NDArray[np.float64]:
    """Weights `(S, T')` that turn values of clusters into treated minus control means, for the T' periods with both arms.

    How many clusters are treated in a period does not depend on the allocation, so a cluster's weight depends on its sequence alone.
    """
    treated, observed = np.nan_to_num(matrix), ~np.isnan(matrix)
    n_treated, n_control = places @ treated, places @ (observed - treated)
    both = (n_treated > 0) & (n_control > 0)
    contrast: NDArray[np.float64] = treated[:, both] / n_treated[both] - (observed - treated)[:, both] / n_control[both]
    return contrast


def balance_scores(allocations: Ints, contrast: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score `(R,)` of allocations `(R, I)` given weighted standardised covariates `(K, I)`."""
    difference: NDArray[Any] = np.swapaxes(contrast[allocations], -1, -2) @ z.T
    scores: NDArray[np.float64] = np.square(difference).sum(axis=(-1, -2))
    return scores


def _best(scores: NDArray[np.float64], wanted: int) -> NDArray[np.bool_]:
    cut = np.partition(scores, wanted - 1)[wanted - 1]
    kept: NDArray[np.bool_] = scores <= cut + _TIE * (cut + scores.mean())
    return kept
