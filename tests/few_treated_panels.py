"""Panels with few treated clusters, for tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

import swedge as sw

Array = np.ndarray


def panel_of(seed: int, treated: int = 2, others: int = 9, effect: float = 0.0, periods: int = 8, together: bool = False) -> sw.Trial:
    rng = np.random.default_rng([seed, 17])
    count = treated + others
    frame = pd.DataFrame([(f"la {i:02d}", t) for i in range(count) for t in range(1, periods + 1)], columns=["la", "year"])
    frame["first"] = frame.la.map({f"la {i:02d}": 5 + (0 if together else i) for i in range(treated)}).fillna(0)
    frame["y"] = rng.standard_normal(len(frame)) + np.repeat(3 * rng.standard_normal(count), periods)
    frame["y"] += effect * ((frame["first"] > 0) & (frame.year >= frame["first"]))
    return sw.Trial.from_panel(frame, cluster="la", period="year", outcome="y", first_treated="first")


def with_outcome(trial: sw.Trial, outcome: Array) -> sw.Trial:
    return replace(trial, cells=replace(trial.cells, mean=outcome[..., None]))


def transition_trial(rows: list[list[float | None]], copies: int, others: int = 12) -> sw.Trial:
    """Noise under sequences of treatments (None: not observed), `copies` clusters each, beside comparators."""
    allocation = sw.Design.from_matrix(rows, clusters_per_sequence=[copies] * len(rows)).randomise(seed=0)
    shape = (copies * len(rows) + others, len(rows[0]))
    y = np.random.default_rng(2).standard_normal(shape)
    return sw.Trial.from_cells(np.ones(shape), y, allocation, comparators=[f"other {k}" for k in range(others)])
