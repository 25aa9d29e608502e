"""What imputation, two-stage, saturated, stacked, switching and generalised estimators refuse, and what they say to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from swedge.estimators.bacon import bacon_decomposition
from swedge.estimators.difference import DifferenceInDifferences
from swedge.estimators.extended_two_way import ExtendedTwoWay
from swedge.estimators.generalised import GeneralisedDiD
from swedge.estimators.imputation import Imputation
from swedge.estimators.stacked import StackedDiD
from swedge.estimators.switcher_comparison import SwitcherComparison
from swedge.estimators.switchers import Switchers
from swedge.estimators.two_stage import TwoStage

OWN = {"vcov": "influence", "df": "normal"}
Make = Callable[[], DifferenceInDifferences]


def panel(starts: list[int], periods: int = 4) -> sw.Trial:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame([(f"c{i}", t, g, rng.normal()) for i, g in enumerate(starts) for t in range(1, periods + 1)], columns=list("ctgy"))
    return sw.Trial.from_panel(rows, cluster="c", period="t", outcome="y", first_treated="g")


CHOICES: list[tuple[Make, str]] = [
    (lambda: Imputation(aggregate="dynamc"), "aggregate='dynamc'; expected one of simple, .* Did you mean 'dynamic'"),
    (lambda: TwoStage(aggregate=3), "aggregate=3"),
    (lambda: Imputation(aggregate="dynamic", leads=-1), "leads=-1; expected a whole number of periods from 0"),
    (lambda: TwoStage(aggregate="dynamic", leads=True), "leads=True"),
    (lambda: Imputation(leads=2), "leads=2 are effects by event time. Use aggregate='dynamic'"),
    (lambda: Imputation(leave_one_out=True), "leave_one_out=True belongs to vcov='influence'"),
    (lambda: ExtendedTwoWay(controls="nevr"), "controls='nevr'.* Did you mean 'never'"),
    (lambda: ExtendedTwoWay(aggregate="event"), "aggregate='event'"),
    (lambda: StackedDiD(before=0), "before=0; expected a whole number of periods from 1"),
    (lambda: StackedDiD(after=1.5), "after=1.5"),
    (lambda: StackedDiD(controls="all"), "controls='all'"),
    (lambda: StackedDiD(weigh="size"), "weigh='size'"),
    (lambda: Switchers(effects=0), "effects=0; expected a whole number of periods from 1"),
    (lambda: Switchers(placebos="2"), "placebos='2'"),
    (lambda: SwitcherComparison(controls="allways"), "controls='allways'.* Did you mean 'always'"),
    (lambda: SwitcherComparison(weigh="size"), "weigh='size'"),
    (lambda: GeneralisedDiD(alike="group"), "alike='group'"),
    (lambda: GeneralisedDiD(correlation=0.1), "correlation=0.1; expected a structure with values"),
    (lambda: Switchers(vcov="CR9"), "vcov='CR9'"),
    (lambda: TwoStage(vcov="influence"), "no Satterthwaite df"),
]


@pytest.mark.parametrize(("make", "message"), CHOICES, ids=range(len(CHOICES)))
def test_choices(make: Make, message: str) -> None:
    with pytest.raises(sw.FitError, match=message):
        make()


NONE_CLEAN: list[tuple[DifferenceInDifferences, list[int]]] = [
    (Imputation(), [2, 2, 2]),
    (Imputation(), [1, 1, 0]),
    (TwoStage(), [2, 2, 2]),
    (ExtendedTwoWay(), [2, 2, 2]),
    (ExtendedTwoWay(controls="never"), [2, 3, 4]),
    (StackedDiD(), [2, 2, 2]),
    (StackedDiD(before=4, after=4), [2, 3, 0]),
    (Switchers(), [2, 2, 2]),
    (Switchers(), [1, 1, 0]),
    (SwitcherComparison(), [2, 2, 2]),
    (SwitcherComparison(controls="always"), [2, 2, 0]),
    (GeneralisedDiD(), [2, 2, 2]),
    (GeneralisedDiD(alike="cell"), [1, 1, 0]),
]


@pytest.mark.parametrize(("estimator", "starts"), NONE_CLEAN, ids=[f"{type(e).__name__} {s}" for e, s in NONE_CLEAN])
def test_no_clean_comparison(estimator: DifferenceInDifferences, starts: list[int]) -> None:
    with pytest.raises(sw.DataError, match="No clean comparison is left"):
        estimator.fit(panel(starts))


EVERY = (Imputation(), TwoStage(), ExtendedTwoWay(), StackedDiD(), Switchers(), GeneralisedDiD())


@pytest.mark.parametrize("estimator", EVERY, ids=lambda e: type(e).__name__)
def test_treatment_that_stops_or_comes_in_part(estimator: DifferenceInDifferences) -> None:
    trial = panel([2, 3, 0, 0])
    stops = trial.treatment.copy()
    stops[0, 3] = 0
    with pytest.raises(sw.DataError, match=r"c0 is treated and later not.* Use SwitcherComparison"):
        estimator.fit(replace(trial, treatment=stops))
    partly = trial.treatment.copy()
    partly[1, 2] = 0.5
    for estimator_ in (estimator, SwitcherComparison()):
        with pytest.raises(sw.DataError, match="c1 is treated in part of a period"):
            estimator_.fit(replace(trial, treatment=partly))


def test_leaving_one_out_of_one() -> None:
    with pytest.raises(sw.FitError, match=r"3; 4 \(2 first treated periods\) have cells with none. Use leave_one_out=False"):
        Imputation(leave_one_out=True, **OWN).fit(panel([2, 2, 3, 4, 0, 0]))


def test_leads_beyond_the_panel() -> None:
    """`Imputation` estimates its leads together, so that all are lost; what follows treatment stands."""
    trial = panel([2, 3, 3, 0, 0])
    for estimator, lost in ((Imputation, 4), (TwoStage, 2)):
        fit, plain = estimator(aggregate="dynamic", leads=4).fit(trial), estimator(aggregate="dynamic").fit(trial)
        assert (fit.tidy()["status"] == "rank_deficient").sum() == lost
        assert any(f"({lost} of {len(fit.terms)} effects): the cells observed do not identify them" in note for note in fit.notes)
        after = [fit.terms.index(term) for term in plain.terms]
        np.testing.assert_allclose(fit.std_error[after], plain.std_error, rtol=1e-10)


def test_a_generalised_estimator_has_no_influence_function() -> None:
    with pytest.raises(sw.FitError, match="vcov='influence'; expected one of CR0"):
        GeneralisedDiD(**OWN)


def test_a_correlation_without_values() -> None:
    with pytest.raises(sw.DesignError, match="icc"):
        GeneralisedDiD(correlation=sw.Exchangeable()).fit(panel([2, 3, 0, 0]))


def test_cells_without_an_untreated_outcome_are_named() -> None:
    note = Imputation().fit(panel([1, 2, 3, 4, 4])).notes[-1]
    assert note.startswith("8 treated cells have no untreated outcome to compare with and are left out: c0; c1; c2; and 2 more (5 of 5")
    assert "in 1; 2; 3; and 1 more (4 of 4 periods)" in note


@pytest.mark.parametrize("estimator", [Imputation(**OWN), TwoStage(**OWN), ExtendedTwoWay(**OWN)], ids=lambda e: type(e).__name__)
def test_groups_of_one_cluster_are_named_where_their_error_is_not_seen(estimator: DifferenceInDifferences) -> None:
    assert "One cluster alone was first treated in 3 (1 of 2 groups)" in estimator.fit(panel([2, 2, 3, 0, 0])).notes[-1]
    assert not estimator.fit(panel([2, 2, 3, 3, 0, 0])).notes
    assert not replace(estimator, vcov="CR2").fit(panel([2, 2, 3, 0, 0])).notes


def test_decomposition() -> None:
    trial = panel([2, 3, 0, 0])
    stack = replace(trial, cells=replace(trial.cells, mean=np.stack([trial.cells.mean] * 2)))
    with pytest.raises(sw.DataError, match=r"This is a stack of 2 trials; decompose one at a time, trial.replicate"):
        bacon_decomposition(stack)
    gap = trial.cells.n.copy()
    gap[1, 1] = 0
    with pytest.raises(sw.DataError, match=r"c1 \(1 of 4 clusters\) are not observed in every period"):
        bacon_decomposition(replace(trial, cells=replace(trial.cells, n=gap)))
    with pytest.raises(sw.DataError, match="Every cluster starts in the same period"):
        bacon_decomposition(panel([2, 2]))
    found = bacon_decomposition(panel([1, 2, 3, 0]))
    assert found.tidy().columns.tolist() == ["treated", "control", "kind", "estimate", "weight"]
    assert "of the weight lies on comparisons whose controls are already treated" in found.summary()
    assert found.plot().get_xlabel() == "Weight in the estimate"
    assert repr(found).startswith("<BaconDecomposition: 6 comparisons")
