"""Multiplicity by the joint reference distribution of several statistics.

References
----------
Westfall PH, Young SS (1993). Resampling-Based Multiple Testing. Wiley. Algorithm 2.8 is the step-down procedure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Largest(NamedTuple):
    """Largest absolute statistics: of all outcomes ``(A, ..., 1)``, and for each outcome of those no more extreme, ``(A, ..., K)``.

    `order` ``(..., K)`` lists the outcomes from the most extreme to the least.
    """

    overall: Array
    remaining: Array
    order: NDArray[np.int64]


def largest_statistics(reference: Array, observed: Array) -> Largest:
    """What each of ``observed (..., K)`` is compared with in ``reference (A, ..., K)``.

    A statistic of the reference that could not be computed counts as infinite; one that was not observed is the least extreme.

    >>> largest_statistics(np.array([[3.0, 1.0], [0.0, -2.0], [2.0, 0.0]]), np.array([-1.0, 3.0])).remaining
    array([[3., 3.],
           [0., 2.],
           [2., 2.]])
    """
    far = np.where(np.isnan(reference), np.inf, np.abs(reference))
    order = np.argsort(np.where(np.isnan(observed), np.inf, -np.abs(observed)), axis=-1, kind="stable")
    ranked = np.take_along_axis(far, np.broadcast_to(order, far.shape), -1)
    left = np.maximum.accumulate(ranked[..., ::-1], -1)[..., ::-1]
    place = np.argsort(order, axis=-1)
    return Largest(far.max(-1, keepdims=True), np.take_along_axis(left, np.broadcast_to(place, far.shape), -1), order)


def never_falling(p: Array, order: NDArray[np.int64]) -> Array:
    """Raise ``p (..., K)`` to that of every more extreme outcome.

    >>> never_falling(np.array([0.2, 0.3, 0.1]), np.array([1, 0, 2]))
    array([0.3, 0.3, 0.3])
    """
    raised = np.maximum.accumulate(np.take_along_axis(p, order, -1), -1)
    return np.take_along_axis(raised, np.argsort(order, axis=-1), -1)
