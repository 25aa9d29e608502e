"""The reference is complete: every public name has a link, and a docstring that says what it takes, shows a call and names its source."""

from __future__ import annotations

import enum
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import swedge
import swedge.plan
import swedge.studies
from swedge.estimate import Estimator

API = (Path(__file__).resolve().parents[1] / "docs" / "api.md").read_text("utf-8")
MODULES = (swedge, swedge.plan, swedge.studies)
NAMES = [(module.__name__, name) for module in MODULES for name in module.__all__ if not inspect.ismodule(getattr(module, name))]

# Keys of plan.toml: each has a line of its own on the page of plans, which test_docs_shell holds there, and templates are their example.
WRITTEN_AS_TOML = "swedge.plan.specs"

NO_FORMULA = {
    "Scenario": "assumptions, each defined in its own line",
    "aliasing": "defined in its notes",
    "best_incomplete": "leaves out what information_content says is least",
    "cell_residuals": "defined in its notes",
    "choose_comparators": "the distance is defined in its notes",
    "detectable_effect": "searches analytic_power",
    "diagnose": "puts other results together",
    "exact_power": "counts rejections",
    "exposure_overlap": "counts days",
    "leave_one_cluster_out": "fits again",
    "missing_data_analysis": "fits again; MultipleImputation and pool name their sources",
    "power_over_allocations": "repeats analytic_power",
    "power_surface": "repeats analytic_power",
    "required_clusters": "searches analytic_power",
    "required_size": "searches analytic_power",
    "simulate_grid": "counts rejections",
    "simulate_power": "counts rejections",
    "split_evidence": "defined in its notes",
    "variance_under": "the formula is its first line",
    "wedge_and_comparators": "puts other results together",
    "with_comparators": "selects rows",
    "without_periods": "selects cells",
    "without_run_up": "selects cells",
}


def public() -> dict[str, Any]:
    """Public classes and functions by name, errors and enumerations apart."""
    found = {f"{module}.{name}": getattr(swedge_module(module), name) for module, name in NAMES}
    return {key: thing for key, thing in found.items() if not (inspect.isclass(thing) and issubclass(thing, BaseException | enum.Enum))}


def swedge_module(name: str) -> Any:
    return {module.__name__: module for module in MODULES}[name]


THINGS = {key: thing for key, thing in public().items() if thing.__module__ != WRITTEN_AS_TOML}
COMPUTE = ("swedge.estimators.", "swedge.inference.", "swedge.power.")


def has(thing: Any, heading: str) -> bool:
    return re.search(rf"^{heading}\n-", inspect.getdoc(thing) or "", re.MULTILINE) is not None


def takes_something(thing: Any) -> bool:
    if is_dataclass(thing):
        return any(field.init for field in fields(thing))
    return bool(getattr(thing, "_fields", ())) if inspect.isclass(thing) else bool(inspect.signature(thing).parameters)


def is_result(thing: Any) -> bool:
    """What functions and methods give: its attributes are described, and nobody makes one."""
    return inspect.isclass(thing) and has(thing, "Attributes")


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda value: str(value))
def test_every_public_name_has_a_link_in_the_reference(module: str, name: str) -> None:
    assert any(f"`~{home}.{name}`" in API for home in (module, "swedge") if name in swedge_module(home).__all__)


def test_every_link_of_the_reference_is_a_public_name() -> None:
    links = {tuple(link.rsplit(".", 1)) for link in re.findall(r"\{py:obj\}`~([\w.]+)`", API)}
    assert links <= set(NAMES)


@pytest.mark.parametrize("key", [key for key, thing in THINGS.items() if takes_something(thing)])
def test_what_it_takes_or_holds_is_described(key: str) -> None:
    assert has(THINGS[key], "Parameters") or has(THINGS[key], "Attributes")


@pytest.mark.parametrize("key", [key for key, thing in THINGS.items() if not is_result(thing)])
def test_an_example_is_shown(key: str) -> None:
    assert has(THINGS[key], "Examples")


@pytest.mark.parametrize("key", [key for key, thing in THINGS.items() if thing.__module__.startswith(COMPUTE) and not is_result(thing)])
def test_a_formula_has_a_source(key: str) -> None:
    name = key.rpartition(".")[2]
    named = has(THINGS[key], "References") or re.search(r"\b(19|20)\d\d\b", inspect.getdoc(THINGS[key]) or "")
    assert bool(named) != (name in NO_FORMULA)


def test_every_estimator_and_test_has_a_source() -> None:
    names = [key for key, thing in THINGS.items() if inspect.isclass(thing) and (issubclass(thing, Estimator) or hasattr(thing, "run"))]
    assert len(names) > 25
    assert not [key for key in names if key.rpartition(".")[2] in NO_FORMULA]
