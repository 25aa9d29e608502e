"""What may leave the room."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from swedge.errors import SMALL
from swedge.trial import Trial


def small(trial: Trial) -> NDArray[np.bool_]:
    """Cells ``(I, T)`` of one trial with 1 to 5 individuals, events, or (binary outcomes) individuals without an event."""
    counts = [trial.n]
    if trial.family in ("binomial", "poisson"):
        events = trial.n * np.where(trial.n > 0, trial.outcome, 0.0)
        counts += [events, trial.n - events] if trial.family == "binomial" else [events]
    whole = np.round(np.stack(counts))
    return np.asarray(((whole >= 1) & (whole <= SMALL)).any(0))
