"""Cells, scatter and covariate columns against R, on data sets that R itself carries.

R 4.2.2 (2022-11-10 r83330), packages datasets and stats: `tapply`, `aov` and `model.matrix` with treatment contrasts. All are exact sums of
small whole numbers, so agreement is to rounding.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.trial.formula import covariate_columns

# datasets::warpbreaks (Tippett 1950): nine looms for each of two wools at three tensions, in the order of the file.
BREAKS = [26, 30, 54, 25, 70, 52, 51, 26, 67, 18, 21, 29, 17, 12, 18, 35, 30, 36, 36, 21, 24, 18, 10, 43, 28, 15, 26]
BREAKS += [27, 14, 29, 19, 29, 31, 41, 20, 44, 42, 26, 19, 16, 39, 28, 21, 39, 29, 20, 21, 24, 17, 13, 15, 15, 16, 28]

# datasets::UCBAdmissions: department, then admitted and rejected men, admitted and rejected women.
BERKELEY = {
    "A": (512, 313, 89, 19),
    "B": (353, 207, 17, 8),
    "C": (120, 205, 202, 391),
    "D": (138, 279, 131, 244),
    "E": (53, 138, 94, 299),
    "F": (22, 351, 24, 317),
}


def test_cell_means_and_residual_sum_of_squares_of_warpbreaks() -> None:
    looms = pd.DataFrame({"wool": np.repeat(["A", "B"], 27), "tension": np.tile(np.repeat([1, 2, 3], 9), 2), "breaks": BREAKS})
    allocation = sw.Design.stepped_wedge(["A", "B"], periods=3).allocate({"A": 0, "B": 1})
    trial = sw.Trial.from_frame(looms, allocation, cluster="wool", period="tension", outcome="breaks")
    means = [[44.5555555556, 24.0, 24.5555555556], [28.2222222222, 28.7777777778, 18.7777777778]]
    np.testing.assert_allclose(trial.outcome, means, atol=5e-11)
    assert trial.n.tolist() == [[9, 9, 9], [9, 9, 9]]
    np.testing.assert_allclose(np.ravel(trial.cells.within), [4064.44444444445, 1680.66666666667], rtol=1e-13)  # type: ignore[arg-type]
    assert np.sum(trial.cells.within) == pytest.approx(5745.11111111111, rel=1e-13)  # type: ignore[arg-type]


def test_admissions_of_berkeley() -> None:
    """4,526 applicants, 1,755 admitted."""
    groups = [
        (dept, gender, admitted, admitted + rejected)
        for dept, (am, rm, aw, rw) in BERKELEY.items()
        for gender, admitted, rejected in (("Male", am, rm), ("Female", aw, rw))
    ]
    frame = pd.DataFrame(groups, columns=["dept", "gender", "admitted", "applied"]).assign(period=1)
    design = sw.Design.from_matrix([[0], [1]], clusters_per_sequence=[3, 3], clusters=list(BERKELEY))
    allocation = design.allocate({dept: int(dept > "C") for dept in BERKELEY})
    columns = {"cluster": "dept", "period": "period", "outcome": "admitted", "size": "applied", "family": "binomial"}
    trial = sw.Trial.from_frame(frame, allocation, covariates="C(gender)", **columns)
    assert (trial.n.sum(), (trial.n * trial.outcome).sum()) == pytest.approx((4526, 1755))
    rates = [0.644158628081, 0.632478632479, 0.350762527233, 0.339646464646, 0.251712328767, 0.0644257703081]
    np.testing.assert_allclose(trial.outcome[:, 0], rates, rtol=1e-11)
    assert trial.covariates == ("gender[Male]",)
    assert trial.patterns is not None
    assert trial.patterns.n[:, 0].tolist() == [108, 25, 593, 375, 393, 341]
    assert trial.patterns.n[:, 1].tolist() == [825, 560, 325, 417, 191, 373]


ROWS = pd.DataFrame({"a": list("uvwuvw"), "b": list("pppqqq"), "z": [1, 2, 4, 8, 16, 32]})
MODEL_MATRIX = {
    "C(a) + C(b)": (("a[v]", "a[w]", "b[q]"), [[0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]]),
    "a * b": (
        ("a[v]", "a[w]", "b[q]", "a[v]:b[q]", "a[w]:b[q]"),
        [[0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]],
    ),
    "z:a": (("z:a[u]", "z:a[v]", "z:a[w]"), [[1, 0, 0, 8, 0, 0], [0, 2, 0, 0, 16, 0], [0, 0, 4, 0, 0, 32]]),
}


@pytest.mark.parametrize("formula", MODEL_MATRIX)
def test_columns_of_model_matrix(formula: str) -> None:
    labels, columns = covariate_columns(formula, ROWS)
    assert labels == MODEL_MATRIX[formula][0]
    np.testing.assert_array_equal(columns.T, MODEL_MATRIX[formula][1])


@pytest.mark.parametrize(("formula", "rank"), [("a + b", 4), ("a*b", 6), ("a:b", 6), ("a*z", 6), ("z:a", 4), ("a + a:b", 6)])
def test_columns_span_what_r_spans(formula: str, rank: int) -> None:
    """R drops nothing from a lone interaction and so carries a column too many; patsy does not. The span is the same."""
    columns = np.column_stack([np.ones(6), covariate_columns(formula, ROWS)[1]])
    assert np.linalg.matrix_rank(columns) == rank == columns.shape[1]
