"""What a likelihood fit found, before it is put into words."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Found(NamedTuple):
    """One row a replicate: terms ``(R, K)``, their covariance ``(R, K, K)`` and own df ``(R, K)``; -2 log likelihood; variances by name.

    `shares` are the icc, cac and iac that these variances make, where they make any. `alone` is the share of each
    term that single clusters fit exactly ``(R, K)``, which a cluster-robust variance does not see.
    """

    estimate: Array
    covariance: Array
    df: Array
    status: NDArray[np.int8]
    criterion: Array
    variances: dict[str, Array]
    shares: dict[str, Array] = {}  # noqa: RUF012 - never written to
    alone: Array | None = None
