"""What an estimator is, what it returns, and the test that reads it as it stands."""

from swedge.estimate.estimator import Estimator, LinearEstimator, refuse_failed
from swedge.estimate.forest import forest
from swedge.estimate.result import COLUMNS, RATIOS, SCALES, Estimate, Wording, assemble, quantile, two_sided_p
from swedge.estimate.test import TestResult, WaldTest

__all__ = [
    "COLUMNS",
    "RATIOS",
    "SCALES",
    "Estimate",
    "Estimator",
    "LinearEstimator",
    "TestResult",
    "WaldTest",
    "Wording",
    "assemble",
    "forest",
    "quantile",
    "refuse_failed",
    "two_sided_p",
]
