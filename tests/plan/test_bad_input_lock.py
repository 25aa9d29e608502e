"""A lock that was edited, of another version, or of nothing is refused, and the message says what and what to do."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from plan_examples import safeguarding_plan, small_plan
from swedge import PlanError
from swedge.design import record
from swedge.plan import Plan


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "plan.lock.json"
    safeguarding_plan().lock(target)
    return target


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"seed":2020', '"seed":2021', "seed is now 2021"),
        ('"column":"looked_after"', '"column":"rereferred"', 'plan.outcomes.looked_after.column is now "rereferred"'),
        ("C(gender) + ", "", "plan.outcomes.looked_after.covariates is now"),
        ('"alpha":0.05', '"alpha":0.06', "plan.alpha is now 0.06"),
        ('"Walsall":0', '"Walsall":1', "allocation.allocation.Walsall is now 1"),
        ('"vcov":"CR2"', '"vcov":"CR0"', 'vcov is now "CR0"'),
        ('"versions":{"linearmodels":"', '"versions":{"linearmodels":"9', "versions.linearmodels is now"),
    ],
)
def test_an_edited_value_is_named(path: Path, old: str, new: str, named: str) -> None:
    edited(path, old, new)
    with pytest.raises(PlanError, match="was edited after it was locked") as caught:
        Plan.load(path)
    assert named in str(caught.value)
    assert "swedge amend" in str(caught.value)


def test_any_flipped_bit_is_refused(path: Path) -> None:
    data, draw = path.read_bytes(), random.Random(0)
    for _ in range(300):
        at, bit = draw.randrange(len(data)), 1 << draw.randrange(8)
        path.write_bytes(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :])
        with pytest.raises(PlanError):
            Plan.load(path)


def test_an_edit_with_a_hash_made_to_fit_is_refused_by_what_was_registered(path: Path) -> None:
    before = Plan.load(path).sha256
    content = json.loads(path.read_bytes())
    content["plan"]["seed"] = 1
    body = {key: value for key, value in content.items() if key not in ("seals", "sha256")}
    sealed = {**body, "seals": content["seals"]}
    path.write_bytes(record.text({**sealed, "sha256": record.digest(sealed)}))
    with pytest.raises(PlanError, match="seed is now 1"):
        Plan.load(path)
    assert record.digest(body) != before


@pytest.mark.parametrize(("old", "new"), [("{", "{ "), ("\n", ""), ("\n", "\n\n"), ('"seed":2020', '"seed":2020,"seed":2020')])
def test_another_spelling_of_the_same_values_is_refused(path: Path, old: str, new: str) -> None:
    edited(path, old, new)
    with pytest.raises(PlanError, match=r"canonical|edited"):
        Plan.load(path)


def test_an_edited_history_is_refused(tmp_path: Path) -> None:
    path, plan = tmp_path / "plan.lock.json", small_plan()
    plan.lock(path)
    Plan.load(path).amend(replace(plan, seed=2), reason="why", unblinded=False, date="2021-01-01").save(path, overwrite=True)
    content = json.loads(path.read_bytes())
    content["earlier"][0]["plan"]["seed"] = 3
    body = {key: value for key, value in content.items() if key not in ("seals", "sha256")}
    from swedge.plan.lock import seals

    sealed = {**body, "seals": seals(body)}
    path.write_bytes(record.text({**sealed, "sha256": record.digest(sealed)}))
    with pytest.raises(PlanError, match="history was edited"):
        Plan.load(path)


def test_a_changed_plan_is_not_locked_over_another(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(PlanError, match=r"seed was registered as 2020 and is now 1\. .*swedge amend"):
        replace(safeguarding_plan(), seed=1).lock(path)
    assert path.read_bytes() == before


def test_a_plan_without_an_allocation_is_not_locked(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="swedge randomise"):
        small_plan(allocation=None).lock(tmp_path / "plan.lock.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"format": "swedge lock 1"}', b'{"a":' * 100_000])
def test_what_is_no_lock_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.lock.json").write_bytes(data)
    with pytest.raises(PlanError):
        Plan.load(tmp_path / "plan.lock.json")


def test_a_lock_of_a_newer_format_says_so(path: Path) -> None:
    edited(path, "swedge lock 1", "swedge lock 2")
    with pytest.raises(PlanError, match="format 'swedge lock 2'; this version of swedge reads 'swedge lock 1'"):
        Plan.load(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": " "}, "needs a reason"),
        ({"date": "1 May 2021"}, "year-month-day"),
        ({"date": "2019-01-01"}, "before the last one"),
    ],
)
def test_an_amendment_says_what_it_lacks(changes: dict[str, object], words: str, tmp_path: Path) -> None:
    path, plan = tmp_path / "plan.lock.json", small_plan()
    plan.lock(path)
    first = Plan.load(path).amend(replace(plan, seed=2), reason="why", unblinded=False, date="2021-01-01")
    given = {"reason": "why", "unblinded": True, "date": "2022-01-01"} | changes
    with pytest.raises(PlanError, match=words):
        first.amend(replace(plan, seed=3), **given)


def test_an_amendment_of_nothing_is_refused(path: Path) -> None:
    with pytest.raises(PlanError, match="nothing to amend"):
        Plan.load(path).amend(safeguarding_plan(), reason="why", unblinded=False)


@pytest.mark.parametrize(("name", "words"), [("nope.json", "There is no lock .*swedge lock"), ("plan.toml", "no lock. Lock it with")])
def test_what_is_not_there_or_not_locked_is_refused_in_a_sentence(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text("title = 'A'")
    with pytest.raises(PlanError, match=words):
        Plan.load(tmp_path / name)
