"""Designs, allocations and the randomisation that links them."""

from swedge.design.allocation import Allocation, Draw
from swedge.design.constraint import Constraint, Covariate
from swedge.design.design import Design
from swedge.design.strata import Stratum

__all__ = ["Allocation", "Constraint", "Covariate", "Design", "Draw", "Stratum"]
