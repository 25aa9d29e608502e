from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import swedge as sw
from swedge.power.grid import simulate_grid

DESIGN = sw.Design.stepped_wedge(clusters=5, periods=6)
WIDE = sw.Design.stepped_wedge(clusters=6, periods=7)
TRUTH = sw.Scenario(family="binomial", baseline=0.06, size=200)
METHODS: dict[str, Any] = {"CR2": sw.FixedEffects()}


def power(truth: sw.Scenario = TRUTH, methods: Any = METHODS, **how: Any) -> sw.SimulatedPower:
    return sw.simulate_power(DESIGN, truth, methods, **{"reps": 250, "seed": 1, **how})


def grid(designs: Any = None, scenarios: Any = None, methods: Any = METHODS, **how: Any) -> object:
    given = {"a": DESIGN} if designs is None else designs
    return simulate_grid(given, {"b": TRUTH} if scenarios is None else scenarios, methods, **{"reps": 250, "seed": 1, **how})


ARGUMENTS: dict[str, tuple[Callable[[], object], str]] = {
    "no replicates": (lambda: power(reps=0), "reps=0; expected a whole number"),
    "half a replicate": (lambda: power(reps=0.5), "reps=0.5"),
    "a seed in words": (lambda: power(seed="one"), "seed='one'; expected a whole number"),
    "a negative seed": (lambda: power(seed=-1), "seed=-1"),
    "a level of 5": (lambda: power(alpha=5), "alpha=5; expected a number between 0 and 1"),
    "an error of nought": (lambda: power(mcse=0.0), "mcse=0.0; expected the Monte Carlo standard error"),
    "no block": (lambda: power(block=0), "block=0; expected a whole number of chunks of 250"),
    "no workers": (lambda: power(n_jobs=0), "n_jobs=0; expected a number of processes"),
    "no methods": (lambda: power(methods={}), "No methods were given"),
    "a method by name": (lambda: power(methods={"a": "CR2"}), "'a' is 'CR2'; expected an estimator"),
    "a test that is none": (lambda: power(methods={"a": (sw.FixedEffects(), "wald")}), "expected an estimator, or a pair"),
    "three of a pair": (lambda: power(methods={"a": (sw.FixedEffects(), sw.WaldTest(), 1)}), "expected an estimator, or a pair"),
    "a design without a name": (lambda: grid(designs=DESIGN), "designs is Design(.*; expected a mapping of names to Designs"),
    "no scenarios": (lambda: grid(scenarios={}), "scenarios is {}; expected a mapping"),
    "a scenario that is none": (lambda: grid(scenarios={"b": 0.8}), r"scenarios\['b'\] is 0.8; expected a Scenario"),
    "no tests": (lambda: grid(tests={}), "tests= is empty"),
    "tests twice": (
        lambda: grid(methods={"a": (sw.FixedEffects(), sw.WaldTest())}, tests={"Wald": sw.WaldTest()}),
        "'a' already has a test",
    ),
    "sizes of another design": (
        lambda: grid({"fits": DESIGN, "wide": WIDE}, {"five": dataclasses.replace(TRUTH, size=(9.0,) * 5)}),
        "Scenario 'five' on design 'wide': size has shape",
    ),
    "no such method": (lambda: power().plot_zip("CR"), "no method 'CR' here, only CR2. Did you mean 'CR2'"),
    "a zip on another scale": (
        lambda: power(methods={"w": sw.WithinPeriod()}).plot_zip("w"),
        "the identity scale, the effect is on 'logit'",
    ),
    "a zip without intervals": (
        lambda: power(methods={"e": (sw.FixedEffects(), sw.RandomisationTest())}).plot_zip("e"),
        "'e' gives no intervals",
    ),
}


@pytest.mark.parametrize(("call", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_make_no_sense_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(sw.DesignError, match=message.replace("Design(", r"Design\(")):
        call()


STUDIES: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 2}, "seed is 1 there, 2 here"),
    "level": ({"alpha": 0.1}, "alpha is 0.05 there, 0.1 here"),
    "truth": ({"truth": dataclasses.replace(TRUTH, effect=-0.2)}, r"truth.effect is 0.0 there, -0.2 here"),
    "correlation": (
        {"truth": dataclasses.replace(TRUTH, correlation=sw.NestedExchangeable(0.01, 0.8))},
        'truth.correlation.type is "RandomEffects" there, "NestedExchangeable" here',
    ),
    "estimator": ({"methods": {"CR2": sw.FixedEffects(vcov="CR3")}}, 'methods.CR2.estimator.vcov is "CR2" there, "CR3" here'),
    "test": ({"methods": {"CR2": (sw.FixedEffects(), sw.WaldTest(0.9))}}, "methods.CR2.test.level is 0.95 there, 0.9 here"),
    "another method": ({"methods": {**METHODS, "within": sw.WithinPeriod()}}, "methods.within is null there, {"),
}


@pytest.mark.parametrize(("change", "message"), STUDIES.values(), ids=STUDIES)
def test_a_folder_of_another_study_is_refused_naming_what_differs(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    power(store=tmp_path)
    with pytest.raises(sw.PlanError, match="holds another study") as caught:
        power(**change, store=tmp_path)
    assert message in str(caught.value)


def test_another_design_and_another_version_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    power(store=tmp_path)
    with pytest.raises(sw.PlanError, match=r"design.clusters is .* there"):
        sw.simulate_power(WIDE, TRUTH, METHODS, reps=250, seed=1, store=tmp_path)
    manifest = tmp_path / "_manifest.json"
    manifest.write_text(manifest.read_text().replace('"numpy":"', '"numpy":"0.'))
    with pytest.raises(sw.PlanError, match='numpy is "0'):
        power(store=tmp_path)


def test_a_grid_is_not_written_to_the_folder_of_a_single_run(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    power(store=tmp_path)
    with pytest.raises(sw.PlanError, match="common is null there, true here"):
        grid(store=tmp_path)


def test_numbers_that_are_equal_are_the_same_study(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import numpy as np

    power(dataclasses.replace(TRUTH, effect=-0.2, late=(0, 0, 1, 0, np.inf)), store=tmp_path)
    power(dataclasses.replace(TRUTH, effect=np.float64(-0.2), late=[0.0, 0.0, 1.0, 0.0, np.inf]), seed=np.int64(1), store=tmp_path)


def test_folders_that_cannot_serve_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(sw.PlanError, match=r"holds files that are no simulation: thesis.docx"):
        power(store=tmp_path)
    with pytest.raises(sw.PlanError, match="cannot be a folder"):
        power(store=tmp_path / "thesis.docx")
    with pytest.raises(sw.PlanError, match="cannot be a folder"):
        power(store=tmp_path / "thesis.docx" / "below")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seed": NaN}'])
def test_an_edited_manifest_is_refused(text: str, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    power(store=tmp_path)
    (tmp_path / "_manifest.json").write_text(text)
    with pytest.raises(sw.PlanError):
        power(store=tmp_path)


def test_a_method_that_cannot_be_told_from_another_is_not_stored(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")

    class Nameless:
        def run(self, trial: sw.Trial, estimator: sw.Estimator) -> sw.TestResult:
            return sw.WaldTest().run(trial, estimator)

    methods = {"a": (sw.FixedEffects(), Nameless())}
    assert power(methods=methods).reps == 250
    with pytest.raises(sw.DesignError, match="Make it a frozen dataclass"):
        power(methods=methods, store=tmp_path)


def test_without_pyarrow_a_store_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(sw.DesignError, match=r"pip install 'swedge\[parquet\]'"):
        power(store=tmp_path)
