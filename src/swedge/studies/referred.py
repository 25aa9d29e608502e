"""Where and when simulated children were referred, and draws on the logit scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class Referred:
    """Where and when each child was referred, under which treatment; the authority-by-period noise is drawn by outcome."""

    names: tuple[str, ...]
    risk: Array
    live: NDArray[np.datetime64]
    authority: Index
    period: Index
    date: NDArray[np.datetime64]
    treated: Index
    noise: float

    def shocks(self, rng: np.random.Generator, sd: float = 0.0) -> Array:
        """Each child's authority effect plus authority-by-period noise ``(N,)``."""
        shape = (len(self.names), int(self.period.max()) + 1)
        table = sd * rng.standard_normal((shape[0], 1)) + self.noise * rng.standard_normal(shape)
        return np.asarray(table[self.authority, self.period])

    def live_on(self, date: NDArray[np.datetime64]) -> Index:
        """1 where each child's authority was live on the day ``(N,)``; no date is at or after NaT, nor is NaT after any."""
        return np.asarray(date >= self.live[self.authority], dtype=np.intp)


def binary(eta: Array, rng: np.random.Generator) -> Index:
    """1 with the probability whose log odds are `eta`."""
    return (rng.random(len(eta)) < expit(eta)).astype(np.intp)


def expit(eta: Array) -> Array:
    """The probability of log odds."""
    return np.asarray(1 / (1 + np.exp(-eta)))


def logit(risk: ArrayLike) -> Array:
    """The log odds of a probability."""
    share = np.asarray(risk, dtype=float)
    return np.asarray(np.log(share / (1 - share)))
