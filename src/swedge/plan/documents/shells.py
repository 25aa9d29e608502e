"""Table shells: the results tables of every analysis before there are results."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from swedge._present.report import Section, Table
from swedge._present.results import shaped
from swedge.plan.documents.naming import OWN_TEST, label_in
from swedge.plan.documents.sap_analysis import smallest_attainable
from swedge.plan.plan import Plan
from swedge.plan.specs import Analysis
from swedge.plan.uses import analysed


def shell_sections(plan: Plan) -> list[Section]:
    """One section an analysis, with the table that its results will fill; what the design decides already, the smallest p, is filled."""
    return [Section(f"Table shell: {analysis.label}", (_table(plan, analysis),)) for analysis in plan.analyses]


def shell_frame(plan: Plan, analysis: Analysis) -> pd.DataFrame:
    """One row for each result that an analysis will give: ``outcome, population, estimator, test, min_p``, in the plan's labels.

    The estimator's own test is called "own". `min_p` is nan where a test has no smallest p that the design decides.
    """
    populations = analysis.populations or plan.names["populations"][:1]
    rows = product(analysed(plan, analysis), populations, analysis.estimators, ("", *analysis.tests))
    found = [
        {
            "outcome": outcome.label,
            "population": label_in(plan, "populations", population),
            "estimator": label_in(plan, "estimators", estimator),
            "test": label_in(plan, "tests", test) if test else OWN_TEST,
            "min_p": smallest_attainable(plan, analysis, outcome, plan.test(test).test) if test else 0.0,
        }
        for outcome, population, estimator, test in rows
    ]
    frame = pd.DataFrame(found)
    return frame.assign(min_p=frame["min_p"].replace(0.0, np.nan))


def _table(plan: Plan, analysis: Analysis) -> Table:
    shell = shaped(shell_frame(plan, analysis), shell=True)
    columns = shell.columns
    frame = pd.DataFrame({column.name: column.cells for column in columns})
    notes = " ".join(text for _, text in shell.notes)
    return Table(frame, f"{analysis.label}. {notes} Blank cells are what the data will tell.".replace("  ", " "))
