"""Tests that stand on a reference distribution, or on leaving clusters out; and what several of them say together."""

from swedge.inference.bootstrap import WildBootstrapTest
from swedge.inference.diagnostics import Diagnostics, diagnose
from swedge.inference.imputation import MultipleImputation
from swedge.inference.influence import CellInfluence, cell_influence
from swedge.inference.jackknife import JackknifeResult, JackknifeTest
from swedge.inference.leave_out import LeaveOneOut, leave_one_cluster_out
from swedge.inference.likelihood_ratio import LikelihoodRatioTest
from swedge.inference.max_t import MaxT, MaxTResult
from swedge.inference.missing import MissingDataAnalysis, missing_data_analysis
from swedge.inference.multiplicity import multiplicity
from swedge.inference.parametric_bootstrap import ParametricBootstrapTest
from swedge.inference.placebo import PlaceboTest
from swedge.inference.pooling import PooledEstimate, pool
from swedge.inference.randomisation import RandomisationTest
from swedge.inference.residuals import CellResiduals, cell_residuals

__all__ = [
    "CellInfluence",
    "CellResiduals",
    "Diagnostics",
    "JackknifeResult",
    "JackknifeTest",
    "LeaveOneOut",
    "LikelihoodRatioTest",
    "MaxT",
    "MaxTResult",
    "MissingDataAnalysis",
    "MultipleImputation",
    "ParametricBootstrapTest",
    "PlaceboTest",
    "PooledEstimate",
    "RandomisationTest",
    "WildBootstrapTest",
    "cell_influence",
    "cell_residuals",
    "diagnose",
    "leave_one_cluster_out",
    "missing_data_analysis",
    "multiplicity",
    "pool",
]
