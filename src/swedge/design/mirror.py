"""Mirror images: allocations that tie in a two-sided test because swapping them only turns the effect's sign."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge.design.enumeration import Ints


def mirror_of(matrix: NDArray[np.float64], supply: Ints) -> Ints | None:
    """The mirror image `(S,)` of each sequence, or None when the design has none.

    Mirror rows x and x' are observed in the same periods and add up to one constant c_t over all clusters of a period. Summed over an
    allocation and its mirror, which use the same rows, 2 sum(x_t) = n_t c_t: the constant is twice the mean of the period. The mirror of
    an allocation is permitted when every stratum has as many places in a sequence as in its mirror; it is another allocation unless every
    sequence mirrors itself.
    """
    observed, cells, places = ~np.isnan(matrix), np.nan_to_num(matrix), supply.sum(axis=0)
    constant = 2 * (places @ cells) / np.maximum(places @ observed, 1)
    sums = cells[:, None] + cells[None]
    matches = np.isclose(sums, constant, rtol=0, atol=1e-9) | ~observed[:, None]
    paired = matches.all(axis=-1) & (observed[:, None] == observed[None]).all(axis=-1)
    mirror = paired.argmax(axis=1)
    others = (mirror != np.arange(len(mirror))).any()
    return mirror if others and paired.any(axis=1).all() and (supply[:, mirror] == supply).all() else None


def has_mirrors_throughout(allocations: Ints, mirror: Ints) -> bool:
    """Whether the mirror image of every allocation `(R, I)` is itself in the list."""
    listed = set(map(bytes, allocations))
    return all(bytes(row) in listed for row in mirror[allocations])
