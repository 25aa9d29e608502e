"""What an estimator is, what it returns, and the test that reads it as it stands."""

from swedge.estimate.estimator import Estimator, LinearEstimator, check_estimator, check_pair, refuse_failed
from swedge.estimate.forest import forest
from swedge.estimate.result import COLUMNS, RATIOS, SCALES, Estimate, Wording, as_ratios, assemble, quantile, two_sided_p
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
    "as_ratios",
    "assemble",
    "check_estimator",
    "check_pair",
    "forest",
    "quantile",
    "refuse_failed",
    "two_sided_p",
]
