"""Tests that stand on a reference distribution."""

from swedge.inference.placebo import PlaceboTest
from swedge.inference.randomisation import RandomisationTest

__all__ = ["PlaceboTest", "RandomisationTest"]
