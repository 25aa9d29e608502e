"""A design as a distribution: how many allocations it permits, which, and how to draw one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from swedge.design import pairs
from swedge.design.constraint import ENUMERATION_LIMIT, Constraint, Scored, checked_covariates, score_candidates
from swedge.design.enumeration import Ints, all_ranks, rank, shuffle, uniform_ranks, unrank
from swedge.design.mirror import has_mirrors_throughout, mirror_of
from swedge.design.rollout import Rollout
from swedge.design.validation import seed_number, spell, whole
from swedge.errors import DesignError, listing


@dataclass(frozen=True)
class Permitted(Rollout):
    """The permitted allocations of a rollout. Use it through `Design`."""

    @cached_property
    def _candidates(self) -> Scored | None:
        return None if self.constraint is None else score_candidates(self.constraint, self.matrix, self._layout)

    def count(self) -> int:
        """Number of permitted allocations, exact however large.

        Without a constraint it is a multinomial coefficient for each stratum, multiplied; with one, the number kept.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=5, periods=6).count()
        120
        >>> Design.stepped_wedge(["A", "B", "C", "D", "E"], strata=[["A", "B"], ["C", "D", "E"]]).count()
        12
        """
        scored = self._candidates
        return self._layout.count if scored is None else int(scored.kept.sum())

    def min_p(self) -> float:
        """Smallest two-sided p-value that a randomisation test of this design can give.

        It is 1 / count, or 2 / count when every allocation has a mirror image that ties with it: one under which each cluster's treatment
        is a constant of the period minus what it was, as in a parallel trial with equal arms.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.parallel(clusters=6).min_p() == 2 / 20
        True
        """
        tied = 2 if self.count() > 1 and self._mirrored() else 1
        return tied / self.count()

    def _mirrored(self) -> bool:
        mirror = mirror_of(self.matrix, self._layout.supply)
        if mirror is None or self.constraint is None:
            return mirror is not None
        return has_mirrors_throughout(self.allocations(), mirror)

    def allocations(self) -> Ints:
        """Every permitted allocation once `(R, I)`, as 0-based sequences in lexicographic order.

        Raises
        ------
        DesignError
            If there are more than 2,000,000: use `iter_allocations` or `random_allocations`.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=3, periods=4).allocations()[:2]
        array([[0, 1, 2],
               [0, 2, 1]])
        """
        if self.count() > ENUMERATION_LIMIT:
            raise DesignError(
                f"The design permits {spell(self.count())} allocations, too many for one array (limit {ENUMERATION_LIMIT:,}). Use"
                " iter_allocations(block=) to go through them, or random_allocations(draws, rng) to sample."
            )
        return self._numbered(0, self.count())

    def _numbered(self, start: int, stop: int) -> Ints:
        scored = self._candidates
        ranks = all_ranks(self._layout, start, stop) if scored is None else scored.kept_ranks[start:stop]
        return unrank(self._layout, ranks)

    def numbered(self, index: int) -> tuple[int, ...]:
        """The allocation with number `index`, counted from 0 in the order of `allocations`, without making the list.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=5, periods=6).numbered(119)
        (4, 3, 2, 1, 0)
        """
        if whole(index, "index") >= self.count():
            raise DesignError(f"index is {index}, but the allocations are numbered 0 to {spell(self.count() - 1)}.")
        return tuple(self._numbered(int(index), int(index) + 1)[0].tolist())

    def iter_allocations(self, block: int = 65_536) -> Iterator[Ints]:
        """The same list in blocks `(<= block, I)`, made one at a time.

        Examples
        --------
        >>> from swedge.design import Design
        >>> [len(part) for part in Design.stepped_wedge(clusters=4, periods=5).iter_allocations(block=10)]
        [10, 10, 4]
        """
        total, step, start = self.count(), whole(block, "block", least=1), 0
        while start < total:
            yield self._numbered(start, min(start + step, total))
            start += step

    def random_allocations(self, draws: int, rng: np.random.Generator | int) -> Ints:
        """Independent uniform draws `(draws, I)` from the permitted allocations, for simulation and Monte Carlo tests.

        Parameters
        ----------
        draws
            How many.
        rng
            A NumPy generator, or a seed. For the allocation of a real trial use `randomise`, which leaves a record.

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(clusters=5, periods=6).random_allocations(1_000, 0).shape
        (1000, 5)
        """
        generator = rng if isinstance(rng, np.random.Generator) else np.random.default_rng(seed_number(rng))
        scored, size = self._candidates, whole(draws, "draws")
        if scored is None:
            return shuffle(self._layout, size, generator)
        return unrank(self._layout, generator.choice(scored.kept_ranks, size=size))

    def permits(self, sequence: ArrayLike) -> bool:
        """Whether an allocation `(I,)` is one of the permitted ones.

        Examples
        --------
        >>> from swedge.design import Design
        >>> design = Design.stepped_wedge(clusters=3, periods=4)
        >>> design.permits([2, 0, 1]), design.permits([0, 0, 1])
        (True, False)
        """
        return self.number_of(sequence) is not None

    def number_of(self, sequence: ArrayLike) -> int | None:
        """The number of an allocation `(I,)` in the list, from 0; None when it is not permitted."""
        vector = self._vector(sequence)
        if self._supply_offences(vector):
            return None
        number = rank(self._layout, vector)
        scored = self._candidates
        if scored is None:
            return number
        place = int(np.searchsorted(scored.kept_ranks, number))
        return place if place < self.count() and scored.kept_ranks[place] == number else None

    def _vector(self, sequence: ArrayLike) -> Ints:
        vector = np.asarray(sequence)
        if vector.shape != (self.n_clusters,) or vector.dtype.kind not in "iu":
            raise DesignError(f"An allocation is {self.n_clusters} whole numbers, the sequence of each cluster; got {sequence!r}.")
        return vector.astype(np.intp)

    def _supply_offences(self, vector: Ints) -> list[str]:
        outside = [
            f"{self.clusters[i]} takes sequence {vector[i]}, and they count from 0 to {self.n_sequences - 1}"
            for i in np.flatnonzero((vector < 0) | (vector >= self.n_sequences))
        ]
        if outside:
            return outside
        taken = np.zeros_like(self._layout.supply)
        np.add.at(taken, (self._layout.member, vector), 1)
        named = [f"{{{listing(group.clusters)}}} has" for group in self.strata] or ["the design has"]
        return [
            f"{named[h]} {self._layout.supply[h, s]} of sequence {s} and would use {taken[h, s]}"
            for h, s in np.argwhere(taken != self._layout.supply).tolist()
        ]

    def _require(self, sequence: ArrayLike) -> tuple[int, ...]:
        vector = self._vector(sequence)
        if offences := self._supply_offences(vector):
            restriction = "strata do" if self.strata else "design does"
            raise DesignError(
                f"The {restriction} not permit this allocation: {listing(offences)}. Correct it, or the design it was drawn from."
            )
        if self.number_of(vector) is None:
            raise DesignError(
                f"The constraint does not permit this allocation: it is not among the {self.count():,} kept. If the draw was unconstrained,"
                " use dataclasses.replace(design, constraint=None)."
            )
        return tuple(vector.tolist())

    def _drawn_index(self, seed: int) -> int:
        return int(uniform_ranks(np.random.PCG64(seed), self.count(), 1)[0])

    def constrained(
        self,
        covariates: pd.DataFrame,
        keep: float | int = 0.1,
        weights: Mapping[str, float] | Sequence[float] | None = None,
        sample: int | None = None,
        seed: int | None = None,
    ) -> Self:
        """The design with only its best balanced allocations permitted.

        Parameters
        ----------
        covariates
            One row per cluster, its name as index; numeric columns.
        keep
            The share (below 1) or the number of allocations to keep; ties at the cut are kept together.
        weights
            Weight of each covariate in the score, by name or in order; 1 by default.
        sample, seed
            Score this many distinct allocations, sampled with this seed, instead of all.

        Returns
        -------
        Design
            Inspect `balance()` and `pairs()` before drawing: a constraint that always or never puts two clusters together is too tight.

        Raises
        ------
        DesignError
            If a cluster has no row, a covariate is missing, text or constant, or fewer than two allocations would be kept.

        Examples
        --------
        >>> import pandas as pd
        >>> from swedge.design import Design
        >>> sizes = pd.DataFrame({"referrals": [10947, 5468, 4345, 3836, 2829]}, index=list("ABCDE"))
        >>> Design.stepped_wedge(list("ABCDE")).constrained(sizes, keep=0.25).count()
        30
        """
        chosen = checked_covariates(covariates, self.clusters, weights)
        design = replace(self, constraint=Constraint(chosen, keep, sample, seed))
        design.count()
        return design

    def balance(self) -> pd.DataFrame:
        """Every candidate's `allocation` (its number in the unconstrained list), balance `score` and whether it was `kept`.

        Raises
        ------
        DesignError
            If the design has no constraint.

        Examples
        --------
        >>> import pandas as pd
        >>> from swedge.design import Design
        >>> sizes = pd.DataFrame({"size": [1, 2, 4]}, index=["A", "B", "C"])
        >>> Design.stepped_wedge(["A", "B", "C"]).constrained(sizes, keep=2).balance().round(2)
           allocation  score   kept
        0           0   4.39  False
        1           1   1.82   True
        2           2   2.79  False
        3           3   2.79  False
        4           4   1.82   True
        5           5   4.39  False
        """
        scored = self._candidates
        if scored is None:
            raise DesignError(
                "The design has no constraint, so no allocation has a balance score. Add one with design.constrained(covariates)."
            )
        return pd.DataFrame({"allocation": scored.ranks, "score": scored.scores, "kept": scored.kept})

    def pairs(self) -> pd.DataFrame:
        """How often each two clusters are put together, over the permitted allocations.

        Returns
        -------
        DataFrame
            `a, b`; the shares of allocations in which they take the `same` sequence, go live one step apart (`adjacent`), and in which a
            goes live before b (`a_first`); and a `flag`: "always together", "never together" (where strata and sequences leave room for
            both), "always first" or "always second" (of a).

        Examples
        --------
        >>> from swedge.design import Design
        >>> Design.stepped_wedge(["A", "B", "C"], strata=[["A"], ["B", "C"]]).pairs()[["a", "b", "a_first", "flag"]]
           a  b  a_first          flag
        0  A  B      1.0  always first
        1  A  C      1.0  always first
        2  B  C      0.5
        """
        relations = pairs.relations(self._go_live_period())
        free = pairs.shares_by_stratum(self._layout, relations)
        blocks = self.iter_allocations(block=pairs.block_size(self.n_clusters))
        shares = free if self._candidates is None else pairs.shares_by_counting(blocks, relations)
        return pairs.pair_frame(self.clusters, shares, free)
