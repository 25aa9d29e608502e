"""The only door for data frames: cells, covariate patterns and trials."""

from swedge.trial.cells import Cells, Patterns
from swedge.trial.trial import Trial

__all__ = ["Cells", "Patterns", "Trial"]
