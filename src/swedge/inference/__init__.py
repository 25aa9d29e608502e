"""Tests that stand on a reference distribution, or on leaving clusters out; and what several of them say together."""

from swedge.inference.bootstrap import WildBootstrapTest
from swedge.inference.comparators import ComparatorChoice, choose_comparators, with_comparators
from swedge.inference.diagnostics import Diagnostics, diagnose
from swedge.inference.evidence import EvidenceSplit, split_evidence
from swedge.inference.few_treated import ConleyTaberTest, FermanPintoTest
from swedge.inference.honest import HonestEffect, honest_effect
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
from swedge.inference.pretrends import PretrendTest, pretrend_test
from swedge.inference.randomisation import RandomisationTest
from swedge.inference.residuals import CellResiduals, cell_residuals
from swedge.inference.robustness import SideBySide, robustness, wedge_and_comparators, without_periods, without_run_up

__all__ = [
    "CellInfluence",
    "CellResiduals",
    "ComparatorChoice",
    "ConleyTaberTest",
    "Diagnostics",
    "EvidenceSplit",
    "FermanPintoTest",
    "HonestEffect",
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
    "PretrendTest",
    "RandomisationTest",
    "SideBySide",
    "WildBootstrapTest",
    "cell_influence",
    "cell_residuals",
    "choose_comparators",
    "diagnose",
    "honest_effect",
    "leave_one_cluster_out",
    "missing_data_analysis",
    "multiplicity",
    "pool",
    "pretrend_test",
    "robustness",
    "split_evidence",
    "wedge_and_comparators",
    "with_comparators",
    "without_periods",
    "without_run_up",
]
