"""The calls that the page for R users sets beside R's are made, and what can be fitted is; the gallery draws every picture there is."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import swedge as sw
from swedge.estimate import Estimator
from test_docs import assert_page_runs, python_blocks

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = (DOCS / "for-r-users.md").read_text("utf-8")
HEADER = "| R | swedge | what to know |"
NO_CALLS = ("swedge lock", "swedge report", "Report.rows", "Report.save")


def calls() -> list[str]:
    """What stands in backticks in the middle column of the tables with R beside swedge."""
    found = []
    for table in PAGE.split(HEADER)[1:]:
        rows = [line for line in table.split("\n\n")[0].splitlines() if line.startswith("| ")]
        cells = [re.split(r"(?<!\\)\|", row)[2] for row in rows]
        found += [call for cell in cells for call in re.findall(r"`([^`]+)`", cell)]
    return [call for call in found if call not in NO_CALLS]


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """What the page defines, every public name of swedge, and a table of covariates by cluster."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(python_blocks(PAGE), "for-r-users.md", "exec"), names)
    sizes = pd.DataFrame({"size": range(5)}, index=names["design"].clusters)
    return {**{name: getattr(sw, name) for name in sw.__all__}, **names, "trial": names["continuous"], "sizes": sizes}


def test_the_tables_are_found() -> None:
    assert len(calls()) > 35
    assert 'GEE(NestedExchangeable(), vcov="KC")' in calls()


@pytest.mark.parametrize("call", calls())
def test_a_call_beside_r_s_runs(call: str, page: dict[str, Any]) -> None:
    made = eval(call, page)
    if isinstance(made, Estimator):
        assert any(fits(made, page[name]) for name in ("continuous", "binary", "panel"))


def fits(estimator: Estimator, trial: sw.Trial) -> bool:
    try:
        return bool(estimator.fit(trial).tidy()["estimate"].notna().any())
    except sw.SwedgeError:
        return False


PEERS = [
    "swPwr",
    "swSim",
    "glsPower",
    "swCRTdesign",
    "SteppedPower",
    "swdpwr",
    "SWSamp",
    "clusterPower",
    "steppedwedge",
    "geeCRT",
    "geepack",
    "clubSandwich",
    "lme4",
    "lmerTest",
    "pbkrtest",
    "nlme",
    "glmmTMB",
    "fixest",
    "bacondecomp",
    "didimputation",
    "did2s",
    "staggered",
    "HonestDiD",
    "synthdid",
    "DIDmultiplegtDYN",
    "fwildclusterboot",
    "mice",
    "survival",
    "randomizr",
    "ri2",
    "ritest",
    "cvcrand",
    "consort",
    "gtsummary",
]


@pytest.mark.parametrize("peer", [*PEERS, "(did)"])
def test_every_package_of_the_golden_tables_is_on_the_page(peer: str) -> None:
    assert peer in PAGE


def drawing() -> list[tuple[type, str]]:
    """Every method of a public class that draws."""
    kinds = [getattr(sw, name) for name in sw.__all__ if inspect.isclass(getattr(sw, name))]
    return [(kind, name) for kind in kinds for name in vars(kind) if name.startswith("plot")]


def noted(method: Callable[..., Any], key: tuple[type, str], seen: set[tuple[type, str]]) -> Callable[..., Any]:
    def call(*given: Any, **named: Any) -> Any:
        seen.add(key)
        return method(*given, **named)

    return call


def test_the_gallery_has_a_picture_of_every_method_that_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: set[tuple[type, str]] = set()
    for kind, name in drawing():
        monkeypatch.setattr(kind, name, noted(getattr(kind, name), (kind, name), seen))
    assert_page_runs(DOCS / "gallery.md")
    assert len(seen) > 30
    assert not [f"{kind.__name__}.{name}" for kind, name in drawing() if (kind, name) not in seen]


def test_every_picture_of_the_gallery_is_described_in_words() -> None:
    cells = re.findall(r"^```\{code-cell\}\n(.*?)^```", (DOCS / "gallery.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    drawn = [cell for cell in cells if re.search(r"\.plot|forest\(|Image\(", cell)]
    assert len(drawn) > 35
    assert not [cell for cell in drawn if ":mystnb: {image: {alt:" not in cell]
