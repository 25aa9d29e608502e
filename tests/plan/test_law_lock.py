"""A lock is one sequence of bytes, reads back as the plan that it was made of, and keeps every earlier version."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import swedge as sw
from plan_examples import ADJUSTED, safeguarding_plan, small_plan
from swedge.design import record
from swedge.plan import LockedPlan, Plan, specs
from swedge.plan.content import ABSENT, differences, leaves, plan_content, plan_of
from swedge.plan.versions import versions_of

PLANS = {"small": small_plan, "safeguarding": safeguarding_plan}


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]()


def locked(plan: Plan) -> LockedPlan:
    return LockedPlan(plan, versions_of())


def test_a_lock_reads_back_as_the_plan(plan: Plan, tmp_path: Path) -> None:
    sha256 = plan.lock(tmp_path / "plan.lock.json")
    found = Plan.load(tmp_path / "plan.lock.json")
    assert (found.plan, found.sha256, found.allocation) == (plan, sha256, plan.allocation)
    assert repr(found.plan) == repr(plan)


def test_the_hash_is_the_sha256_of_everything_else_in_the_file(plan: Plan, tmp_path: Path) -> None:
    sha256 = plan.lock(tmp_path / "plan.lock.json")
    content = json.loads((tmp_path / "plan.lock.json").read_bytes())
    assert content.pop("sha256") == sha256 == record.digest(content)


def test_the_hash_is_printed_to_be_registered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sha256 = small_plan().lock(tmp_path / "plan.lock.json")
    assert capsys.readouterr().out == f"{sha256}\n"


def test_locking_again_changes_no_byte(plan: Plan, tmp_path: Path) -> None:
    path = tmp_path / "plan.lock.json"
    plan.lock(path)
    before = path.read_bytes()
    plan.lock(path)
    assert path.read_bytes() == before


def test_another_process_with_another_hash_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    program = "import sys; sys.path.insert(0, sys.argv[1]); from plan_examples import *; safeguarding_plan().lock(sys.argv[2])"
    for seed in ("1", "2"):
        arguments = [sys.executable, "-c", program, str(Path(__file__).parents[1]), str(tmp_path / f"{seed}.json")]
        subprocess.run(arguments, check=True, capture_output=True, env={"PYTHONHASHSEED": seed, "LC_ALL": "C", "PATH": ""}, cwd=tmp_path)
    safeguarding_plan().lock(tmp_path / "0.json")
    assert len({(tmp_path / f"{k}.json").read_bytes() for k in range(3)}) == 1


def test_content_and_plan_are_inverse(plan: Plan) -> None:
    assert plan.allocation is not None
    content = json.loads(json.dumps(plan_content(plan)))
    assert plan_of(content, plan.allocation.record()) == plan


def test_every_leaf_of_a_plan_has_a_path_of_its_own(plan: Plan) -> None:
    paths = [path for path, _ in leaves(plan_content(plan))]
    assert len(set(paths)) == len(paths)
    assert "outcomes." + plan.outcomes[0].name + ".column" in paths


def test_differences_name_what_was_and_what_is() -> None:
    now = replace(safeguarding_plan(), seed=1, columns=())
    found = {change.path: (change.was, change.now) for change in differences(plan_content(safeguarding_plan()), plan_content(now))}
    assert found["seed"] == (2020, 1)
    assert found["columns.gender.holds"] == ("category", ABSENT)
    assert not differences(plan_content(now), plan_content(now))


def test_an_amendment_keeps_what_it_replaced(tmp_path: Path) -> None:
    path, first = tmp_path / "plan.lock.json", small_plan()
    before = first.lock(path)
    second = replace(first, alpha=0.01, tests=(), analyses=(replace(first.analyses[0], tests=()),))
    Plan.load(path).amend(second, reason="  fewer\ntests ", unblinded=False, date="2021-01-02").save(path, overwrite=True)
    third = replace(second, title="Another title")
    Plan.load(path).amend(third, reason="a better name", unblinded=True, date="2022-03-04").save(path, overwrite=True)
    found = Plan.load(path)
    assert found.plan == third
    assert [(a.number, a.date, a.reason, a.unblinded) for a in found.amendments] == [
        (1, "2021-01-02", "fewer tests", False),
        (2, "2022-03-04", "a better name", True),
    ]
    assert found.amendments[0].before == before
    changes = found.changes().set_index(["number", "path"])
    assert changes.loc[(1, "plan.alpha"), ["was", "now"]].tolist() == ["0.05", "0.01"]
    assert changes.loc[(2, "plan.title"), ["was", "now"]].tolist() == ['"A small trial"', '"Another title"']


def test_a_lock_of_other_package_versions_is_read_and_keeps_its_hash(tmp_path: Path) -> None:
    old = LockedPlan(small_plan(), versions_of() | {"numpy": "1.0.0"})
    old.save(tmp_path / "plan.lock.json")
    found = Plan.load(tmp_path / "plan.lock.json")
    assert found.versions["numpy"] == "1.0.0"
    assert found.sha256 == old.sha256


def test_two_plans_that_mean_the_same_have_one_hash() -> None:
    plan = small_plan()
    again = small_plan(alpha=0.05, seed=1)
    assert locked(plan).sha256 == locked(again).sha256
    assert locked(plan).sha256 != locked(small_plan(seed=2)).sha256


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"seed": 7}, "seed"),
        ({"title": "Other"}, "title"),
        ({"version": "2"}, "version"),
        ({"date": "2020-02-02"}, "date"),
        ({"multiplicity": None}, "multiplicity"),
    ],
)
def test_every_change_is_named(changes: dict[str, object], path: str) -> None:
    registered = locked(safeguarding_plan())
    changed = replace(safeguarding_plan(), **changes)
    assert [change for change in registered.differences(changed) if change.path.startswith(path)]
    with pytest.raises(sw.PlanError, match=path):
        registered.require_same(changed)


def test_one_covariate_more_is_named() -> None:
    plan = safeguarding_plan()
    outcomes = (replace(plan.outcomes[0], covariates=f"{ADJUSTED} + C(trio)"), *plan.outcomes[1:])
    found = locked(plan).differences(replace(plan, outcomes=outcomes))
    assert [change.path for change in found] == ["outcomes.looked_after.covariates"]


def test_another_allocation_is_named() -> None:
    plan = small_plan()
    other = next(drawn for seed in range(9) if (drawn := plan.design.randomise(seed)) != plan.allocation)
    found = locked(plan).differences(plan.with_allocation(other))
    assert {change.path.split(".")[0] for change in found} == {"allocation"}


@pytest.mark.parametrize("part", ["populations", "outcomes", "estimators", "columns"])
def test_entries_that_change_places_are_another_plan(part: str) -> None:
    plan = safeguarding_plan()
    turned = replace(plan, **{part: getattr(plan, part)[::-1]})
    (change,) = locked(plan).differences(turned)
    names = [entry.name for entry in getattr(plan, part)]
    assert (change.path, change.was, change.now) == (f"{part}.order", names, names[::-1])
    assert locked(plan).amend(turned, reason="why", unblinded=False, date="2021-01-01").changes()["path"].tolist() == [f"plan.{part}.order"]


def test_columns_of_one_name_in_two_sources_are_told_apart(tmp_path: Path) -> None:
    sources = (specs.Source("people", cluster="cluster", period="period"), specs.Source("panel", cluster="cluster", period="period"))
    columns = (specs.Column("age", "number", source="people"), specs.Column("age", "number", source="panel"))
    plan = small_plan(sources=sources, columns=columns)
    other = replace(plan, columns=(replace(columns[0], holds="category"), columns[1]))
    (change,) = locked(plan).differences(other)
    assert (change.path, change.was, change.now) == ("columns.age1.holds", "number", "category")
    assert len({path for path, _ in leaves(plan_content(plan))}) == len([*leaves(plan_content(plan))])
