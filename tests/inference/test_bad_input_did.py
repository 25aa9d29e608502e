"""What tests for few treated clusters, splits, choices of comparators and bounds refuse, and what they say to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import swedge as sw
from few_treated_panels import panel_of, transition_trial
from swedge.estimators.callaway_santanna import CallawaySantAnna
from swedge.estimators.imputation import Imputation
from swedge.estimators.sun_abraham import SunAbraham
from swedge.inference.comparators import choose_comparators, with_comparators
from swedge.inference.evidence import split_evidence
from swedge.inference.few_treated import ConleyTaberTest, FermanPintoTest
from swedge.inference.honest import honest_effect
from swedge.inference.pretrends import pretrend_test
from swedge.inference.robustness import robustness, wedge_and_comparators, without_periods, without_run_up

STUDY = SunAbraham(aggregate="dynamic")
PANEL = panel_of(1)
WEDGE = sw.Trial.from_cells(
    np.ones((9, 5)),
    np.random.default_rng(0).standard_normal((9, 5)),
    sw.Design.stepped_wedge(clusters=4, periods=5).randomise(seed=1),
    comparators=[f"other {k}" for k in range(5)],
)
FIT = STUDY.fit(panel_of(2, treated=6, others=24, together=True))
TWO_WAY = sw.TwoWayFixedEffects()
BIG = sw.Trial.from_cells(np.ones((9, 10)), np.eye(9, 10), sw.Design.stepped_wedge(clusters=9, periods=10).randomise(seed=1))
BINARY = sw.Trial.from_cells(
    np.ones((4, 5)), np.zeros((4, 5)), sw.Design.stepped_wedge(clusters=4, periods=5).randomise(seed=1), within=3.0
)
GAPS = replace(PANEL, cells=replace(PANEL.cells, n=np.where(np.arange(88).reshape(11, 8) == 87, 0.0, PANEL.cells.n)))
UNIVERSAL = CallawaySantAnna(aggregate="dynamic", base="universal")
TRANSITION = transition_trial([[0, 0, 0, None, 1, 1, 1], [0, 0, 0, 0, None, 1, 1]], 2)
TWO_BASES = transition_trial([[0, 0, 0, None, 1, 1, 1], [0, 0, 0, 0, 0, 1, 1]], 2)
STACK = PANEL.under(np.stack([PANEL.treatment] * 2), np.stack([PANEL.exposure] * 2))

CASES: list[tuple[str, Callable[[], object], str]] = [
    ("draws", lambda: ConleyTaberTest(draws=0), "draws"),
    ("seed", lambda: FermanPintoTest(seed=-1), "seed"),
    ("level", lambda: FermanPintoTest(level=95), "0.95"),
    ("no weights", lambda: ConleyTaberTest().run(PANEL, sw.MixedModel()), "PlaceboTest"),
    ("several effects", lambda: ConleyTaberTest().run(PANEL, CallawaySantAnna(aggregate=None)), "needs one"),
    ("stack", lambda: FermanPintoTest().run(STACK, TWO_WAY), "replicate"),
    ("no estimator", lambda: FermanPintoTest().run(PANEL, "twfe"), "text 'twfe', not an Estimator"),
    ("no comparators", lambda: ConleyTaberTest().run(BIG, TWO_WAY), "Add comparators"),
    ("gaps", lambda: ConleyTaberTest().run(GAPS, TWO_WAY), "la 10"),
    ("split of a panel", lambda: split_evidence(PANEL, TWO_WAY), "PlaceboTest"),
    ("split of a mixed model", lambda: split_evidence(WEDGE, sw.MixedModel()), "no weighted sum"),
    ("split of weights by outcomes", lambda: split_evidence(WEDGE, sw.SyntheticDiD()), "CallawaySantAnna or TwoWayFixedEffects"),
    ("effects by the previous period", lambda: pretrend_test(CallawaySantAnna(aggregate="dynamic").fit(TRANSITION)), "universal"),
    ("two references", lambda: pretrend_test(UNIVERSAL.fit(TWO_BASES)), "event -2; event -1"),
    ("split of many", lambda: split_evidence(BIG, TWO_WAY), "362,880"),
    ("split level", lambda: split_evidence(WEDGE, TWO_WAY, level=0), "0.95"),
    ("split draws", lambda: split_evidence(WEDGE, TWO_WAY, draws=0), "draws"),
    ("split of no trial", lambda: split_evidence(3, TWO_WAY), "fits a Trial"),
    ("choose from none", lambda: choose_comparators(BIG), "no never-treated"),
    ("choose from a stack", lambda: choose_comparators(STACK), "replicate"),
    ("choose by", lambda: choose_comparators(PANEL, "matchign"), "matching"),
    ("choose by number", lambda: choose_comparators(PANEL, 3), "list of names"),
    ("choose on", lambda: choose_comparators(PANEL, on="level"), "levels"),
    ("choose count", lambda: choose_comparators(PANEL, count=0), "count"),
    ("choose unknown", lambda: choose_comparators(PANEL, ["la 4"]), "la 04"),
    ("choose a treated one", lambda: choose_comparators(PANEL, ["la 00"]), "no comparators"),
    ("exclude text", lambda: choose_comparators(PANEL, exclude="la 04"), "list of names"),
    ("exclude all", lambda: choose_comparators(PANEL, exclude=[f"la {k:02d}" for k in range(2, 11)]), "exclude fewer"),
    ("no table", lambda: choose_comparators(PANEL, "neighbours"), "cluster, neighbour, rank"),
    (
        "short table",
        lambda: choose_comparators(
            PANEL, "neighbours", neighbours=pd.DataFrame({"cluster": ["la 00"], "neighbour": ["la 05"], "rank": [1]})
        ),
        "la 01",
    ),
    ("no covariate", lambda: choose_comparators(PANEL, covariates=["size"]), "with_cluster_covariates"),
    ("covariate as text", lambda: choose_comparators(PANEL, covariates="size"), "list of names"),
    ("keep unknown", lambda: with_comparators(PANEL, ["x"]), "no comparators"),
    ("kind", lambda: honest_effect(FIT, "smooth"), "smoothness"),
    ("method", lambda: honest_effect(FIT, method="FLCI"), "conditional"),
    ("method of ratios", lambda: honest_effect(FIT, method="fixed length"), "convex"),
    ("bounds below 0", lambda: honest_effect(FIT, bounds=[-1]), "none below 0"),
    ("bounds", lambda: honest_effect(FIT, bounds=0.5), r"\[0.5, 1, 2\]"),
    ("no bounds", lambda: honest_effect(FIT, bounds=[]), "one or more"),
    ("term", lambda: honest_effect(FIT, term="event -2"), "event 0"),
    ("honest level", lambda: honest_effect(FIT, level=2), "0.95"),
    ("before", lambda: honest_effect(FIT, before=0), "before"),
    ("no event study", lambda: honest_effect(TWO_WAY.fit(PANEL)), "base='universal'"),
    ("no fit", lambda: pretrend_test(PANEL), "base='universal'"),
    ("no reference", lambda: pretrend_test(Imputation(aggregate="dynamic", leads=2).fit(PANEL)), "reference period"),
    ("varying base", lambda: pretrend_test(CallawaySantAnna(aggregate="dynamic").fit(PANEL)), "reference period"),
    ("rank", lambda: honest_effect(SunAbraham(aggregate="dynamic").fit(panel_of(3, others=3))), "too few clusters"),
    ("power", lambda: pretrend_test(FIT, power=[0.01]), "above 0.0"),
    ("power of 1", lambda: pretrend_test(FIT, power=[1.0]), "below 1"),
    ("power alone", lambda: pretrend_test(FIT, power=0.8), "such as"),
    ("pretrend level", lambda: pretrend_test(FIT, level=1), "0.95"),
    ("period", lambda: without_periods(PANEL, [2020]), "periods are 1; 2"),
    ("period alone", lambda: without_periods(PANEL, 3), "list of period"),
    ("no period", lambda: without_periods(PANEL, []), "nothing"),
    ("all periods", lambda: without_periods(PANEL, range(1, 9)), "Leave out fewer"),
    ("scatter", lambda: without_periods(BINARY, [2]), "scatter"),
    ("run-up", lambda: without_run_up(PANEL, 0), "periods"),
    ("run-up of a stack", lambda: without_run_up(STACK), "replicate"),
    ("wedge alone", lambda: wedge_and_comparators(BIG), "no never-treated"),
    ("wedge of text", lambda: wedge_and_comparators(WEDGE, wedge="twfe"), "text 'twfe', not an Estimator"),
    ("robustness of lists", lambda: robustness(PANEL, TWO_WAY, exclude=[2]), "without Covid"),
    ("robustness of nothing", lambda: robustness(PANEL, None), "a NoneType, not an Estimator"),
]


@pytest.mark.parametrize(("call", "told"), [pytest.param(*case[1:], id=case[0]) for case in CASES])
def test_bad_input_is_refused_with_directions(call: Callable[[], object], told: str) -> None:
    with pytest.raises(sw.SwedgeError, match=told):
        call()


def test_split_without_stand_ins_says_so() -> None:
    split = split_evidence(with_comparators(WEDGE, ["other 1", "other 2", "other 3"]), TWO_WAY, draws=99)
    assert any("cannot stand in" in note for note in split.notes)
    assert any("No placebo test of the whole" in note for note in split.notes)
